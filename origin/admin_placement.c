/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `ribera-admin placement --stdin`: the placement rule (cdn/ranked) behind a line
 * protocol, so that anyone can measure it on a log of their own:
 *
 *   C capacity window-start-hour window-hours daily-budget(0: ours) admit|push
 *   R second item bytes H|M     a request, after it happened; M in admit mode wants an answer
 *   P second                    the night begins; wants an answer
 *
 * An answer is lines "+ item" and "- item", then ".".  A line that is not one of
 * these ends the talk with its number: an answer to what was not understood would
 * measure something else.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "base/words.h"
#include "cdn/ranked.h"
#include "origin/admin.h"
#include "origin/trace.h"

#define FAR_SECONDS (INT64_C(1) << 48)
#define MAX_ITEMS 4000000 /* half a kilobyte each */

struct session {
	struct ranked *ranked; /* NULL: no C line yet */
	struct numbers items;
	bool admits;
	size_t line;
};

static int answer(const struct session *s, const struct tier_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++)
		printf("%c %" PRIu64 "\n", changes->v[i].add ? '+' : '-', s->items.values[changes->v[i].item]);
	puts(".");
	return fflush(stdout) == 0 ? 0 : -EPIPE;
}

/* The words behind the line's letter; ret_words has room for `max`.  -1: more than that. */
static int words_of(char *line, char **ret_words, int max)
{
	int n = 0;

	for (char *save, *w = strtok_r(line, " \t\r\n", &save); w != NULL; w = strtok_r(NULL, " \t\r\n", &save)) {
		if (n == max)
			return -1;
		ret_words[n++] = w;
	}
	return n;
}

static bool whole_number(const char *s, uint64_t *ret_v)
{
	return str_parse_u64(s, strlen(s), ret_v) == 0;
}

/* Seconds, as far as arithmetic with them is safe. */
static bool second_of(const char *s, int64_t *ret_v)
{
	return str_parse_i64(s, strlen(s), ret_v) == 0 && *ret_v > -FAR_SECONDS && *ret_v < FAR_SECONDS;
}

static int begin(struct session *s, char **words, int n, struct fault *f)
{
	struct ranked_settings settings = {0};

	if (n != 6 || !whole_number(words[1], &settings.capacity) || !whole_number(words[4], &settings.night_budget) ||
	    (strcmp(words[5], "admit") != 0 && strcmp(words[5], "push") != 0))
		return fault_set(f, ERR_SYNTAX, _("line %zu: expected C CAPACITY START HOURS BUDGET admit|push"), s->line);
	settings.admits = s->admits = strcmp(words[5], "admit") == 0;
	ranked_free(&s->ranked);
	numbers_fini(&s->items);
	s->ranked = ranked_new(&settings);
	return 0;
}

static int request(struct session *s, char **words, int n, struct fault *f)
{
	int64_t second;
	uint64_t value, bytes;
	uint32_t item;
	bool missed = n == 5 && strcmp(words[4], "M") == 0;

	if (n != 5 || !second_of(words[1], &second) || !whole_number(words[2], &value) || !whole_number(words[3], &bytes) ||
	    (!missed && strcmp(words[4], "H") != 0))
		return fault_set(f, ERR_SYNTAX, _("line %zu: expected R SECOND ITEM BYTES H|M"), s->line);
	item = numbers_get(&s->items, value);
	if (item >= MAX_ITEMS)
		return fault_set(f, ERR_LIMIT, _("line %zu: more than %d items"), s->line, MAX_ITEMS);
	if (!ranked_knows(s->ranked, item))
		ranked_know(s->ranked, item, bytes);
	ranked_played(s->ranked, item, bytes, second);
	return s->admits && missed ? answer(s, ranked_admit(s->ranked, item)) : 0;
}

static int night(struct session *s, char **words, int n, struct fault *f)
{
	int64_t second;

	if (n != 2 || !second_of(words[1], &second))
		return fault_set(f, ERR_SYNTAX, _("line %zu: expected P SECOND"), s->line);
	return answer(s, ranked_night(s->ranked, second));
}

static int obey(struct session *s, char *line, struct fault *f)
{
	char *words[6];
	int n = words_of(line, words, 6);

	if (n > 0 && strcmp(words[0], "C") == 0)
		return begin(s, words, n, f);
	if (n > 0 && s->ranked == NULL)
		return fault_set(f, ERR_SYNTAX, _("line %zu: the first line must be C ..."), s->line);
	if (n > 0 && strcmp(words[0], "R") == 0)
		return request(s, words, n, f);
	if (n > 0 && strcmp(words[0], "P") == 0)
		return night(s, words, n, f);
	return fault_set(f, ERR_SYNTAX, _("line %zu: expected C, R or P"), s->line);
}

int admin_placement(const struct admin *admin, char **args, struct fault *f)
{
	struct session s = {0};
	char line[256];
	int e = 0;

	(void)args;
	if (!admin->from_stdin)
		return fault_set(f, ERR_USAGE, _("placement speaks its line protocol on standard input: give --stdin"));
	while (e == 0 && fgets(line, sizeof line, stdin) != NULL) {
		s.line++;
		if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n')
			e = fault_set(f, ERR_SYNTAX, _("line %zu: longer than %zu characters"), s.line, sizeof line - 2);
		else
			e = obey(&s, line, f);
	}
	if (e == 0 && ferror(stdin))
		e = fault_set(f, -errno, _("standard input: %s"), words_error(-errno));
	if (e == -EPIPE)
		fault_set(f, e, _("the output could not be written"));
	ranked_free(&s.ranked);
	numbers_fini(&s.items);
	return e;
}

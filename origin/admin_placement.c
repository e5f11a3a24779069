/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `ribera-admin placement --stdin`: the placement rule (cdn/ranked) behind a line
 * protocol, so that anyone can measure it on a log of their own:
 *
 *   C capacity window-start-hour window-hours daily-budget(0: ours) admit|push
 *   R second item bytes H|M     a request, after it happened; M in admit mode wants an answer
 *   P second                    the night begins; wants an answer
 *
 * An answer is lines "+ item" and "- item", then ".".
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cdn/ranked.h"
#include "origin/admin.h"
#include "origin/trace.h"

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

static int begin(struct session *s, const char *line, struct fault *f)
{
	struct ranked_settings settings = {0};
	char mode[8] = "";

	if (sscanf(line, "C %" SCNu64 " %*d %*d %" SCNu64 " %7s", &settings.capacity, &settings.night_budget, mode) != 3 ||
	    (strcmp(mode, "admit") != 0 && strcmp(mode, "push") != 0))
		return fault_set(f, ERR_SYNTAX, "line %zu: expected C CAPACITY START HOURS BUDGET admit|push", s->line);
	settings.admits = s->admits = strcmp(mode, "admit") == 0;
	ranked_free(&s->ranked);
	numbers_fini(&s->items);
	s->ranked = ranked_new(&settings);
	return 0;
}

static int request(struct session *s, const char *line, struct fault *f)
{
	int64_t second;
	uint64_t value, bytes;
	uint32_t item;
	char outcome;

	if (sscanf(line, "R %" SCNd64 " %" SCNu64 " %" SCNu64 " %c", &second, &value, &bytes, &outcome) != 4 ||
	    (outcome != 'H' && outcome != 'M'))
		return fault_set(f, ERR_SYNTAX, "line %zu: expected R SECOND ITEM BYTES H|M", s->line);
	item = numbers_get(&s->items, value);
	if (!ranked_knows(s->ranked, item))
		ranked_know(s->ranked, item, bytes);
	ranked_played(s->ranked, item, bytes, second);
	return s->admits && outcome == 'M' ? answer(s, ranked_admit(s->ranked, item)) : 0;
}

static int night(struct session *s, const char *line, struct fault *f)
{
	int64_t second;

	if (sscanf(line, "P %" SCNd64, &second) != 1)
		return fault_set(f, ERR_SYNTAX, "line %zu: expected P SECOND", s->line);
	return answer(s, ranked_night(s->ranked, second));
}

static int obey(struct session *s, const char *line, struct fault *f)
{
	s->line++;
	if (line[0] == 'C')
		return begin(s, line, f);
	if (s->ranked == NULL)
		return fault_set(f, ERR_SYNTAX, "line %zu: the first line must be C ...", s->line);
	if (line[0] == 'R')
		return request(s, line, f);
	if (line[0] == 'P')
		return night(s, line, f);
	return fault_set(f, ERR_SYNTAX, "line %zu: expected C, R or P", s->line);
}

int admin_placement(const struct admin *admin, char **args, struct fault *f)
{
	struct session s = {0};
	char line[256];
	int e = 0;

	(void)args;
	if (!admin->from_stdin)
		return fault_set(f, ERR_USAGE, "placement speaks its line protocol on standard input: give --stdin");
	while (e == 0 && fgets(line, sizeof line, stdin) != NULL)
		e = obey(&s, line, f);
	if (e == -EPIPE)
		fault_set(f, e, "the output could not be written");
	ranked_free(&s.ranked);
	numbers_fini(&s.items);
	return e;
}

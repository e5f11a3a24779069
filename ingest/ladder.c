/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ladders.
 */
#include "ingest/ladder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define FLOOR_RATE 200000.0  /* bit/s: what a bad line carries, with sound beside it */
#define CAP 2.0              /* the VBV's rate over the expected average: a second of it may go into one */
#define FIRST_PICTURE 0.7    /* bits a pixel: the cap lets this much pass in a second whatever the average, for still scenes' first pictures */
#define FILE_MAX ((size_t)64 << 10)

/* --- of a file ------------------------------------------------------------------------------ */

static bool parse_rate(const char *word, uint64_t *ret_rate)
{
	char *end;
	double v = strtod(word, &end);

	if (end == word || !(v > 0))
		return false;
	if (*end == 'k')
		v *= 1e3, end++;
	else if (*end == 'M')
		v *= 1e6, end++;
	*ret_rate = (uint64_t)llround(v);
	return *end == '\0' && *ret_rate >= 10000 && *ret_rate <= 1000000000;
}

/* The words of a line, cut in place. */
static size_t split(char *line, char *words[static 8])
{
	size_t n = 0;

	line[strcspn(line, "#\r\n")] = '\0';
	for (char *p = line + strspn(line, " \t"); *p != '\0' && n < 8; p += strspn(p, " \t")) {
		size_t length = strcspn(p, " \t");

		words[n++] = p;
		p += length;
		if (*p != '\0')
			*p++ = '\0';
	}
	return n;
}

static bool parse_rung(char *const *words, size_t n, struct plan_rung *r)
{
	char extra;

	*r = (struct plan_rung){0};
	if (n < 2 || sscanf(words[0], "%dx%d%c", &r->width, &r->height, &extra) != 2 || r->width < 16 || r->height < 16 || r->width > 16384 ||
	    r->height > 16384)
		return false;
	if (strcmp(words[1], "crf") == 0) {
		char *end;

		if (n != 5 || strcmp(words[3], "max") != 0 || !parse_rate(words[4], &r->max_rate))
			return false;
		r->crf = strtod(words[2], &end);
		r->bitrate = (uint64_t)((double)r->max_rate / CAP);
		return *end == '\0' && r->crf >= 1 && r->crf <= 51;
	}
	if (!parse_rate(words[1], &r->bitrate) || (n != 2 && n != 4))
		return false;
	r->max_rate = r->bitrate * 3 / 2;
	return n == 2 || (strcmp(words[2], "max") == 0 && parse_rate(words[3], &r->max_rate) && r->max_rate >= r->bitrate);
}

static int take_line(char *line, const char *name, size_t number, struct plan_rung *rungs, size_t *n, struct fault *f)
{
	char *words[8], *shown = mem_dup_n(line, strcspn(line, "#\r\n"));
	size_t n_words = split(line, words);
	struct plan_rung r;
	int e = 0;

	if (n_words > 0 && !parse_rung(words, n_words, &r))
		e = fault_set(f, ERR_SYNTAX, _("%s:%zu: found \"%s\", expected a rung such as \"1280x720 3000k\", \"1280x720 3000k max 4500k\" or \"1280x720 crf 23 max 6M\""),
		              name, number, shown);
	else if (n_words > 0 && *n == PLAN_MAX_RUNGS)
		e = fault_set(f, ERR_LIMIT, _("%s:%zu: more than %d rungs"), name, number, PLAN_MAX_RUNGS);
	else if (n_words > 0 && *n > 0 && r.bitrate <= rungs[*n - 1].bitrate)
		e = fault_set(f, ERR_SYNTAX, _("%s:%zu: found \"%s\", expected a higher rate than the rung before: rungs ascend"), name, number, shown);
	else if (n_words > 0)
		rungs[(*n)++] = r;
	free(shown);
	return e;
}

int ladder_parse(const char *text, const char *name, struct plan_rung ret_rungs[static PLAN_MAX_RUNGS], size_t *ret_n, struct fault *f)
{
	size_t number = 0;
	int r = 0;

	*ret_n = 0;
	while (r == 0 && *text != '\0') {
		size_t length = strcspn(text, "\n");
		char *line = mem_dup_n(text, length);

		r = take_line(line, name, ++number, ret_rungs, ret_n, f);
		free(line);
		text += length + (text[length] == '\n');
	}
	if (r == 0 && *ret_n == 0)
		r = fault_set(f, ERR_SYNTAX, _("%s: has no rungs; a line is such as \"1280x720 3000k\""), name);
	return r;
}

static int even(double v)
{
	int i = 2 * (int)lround(v / 2);

	return i < 2 ? 2 : i;
}

/* The master's shape with as many pixels; what is larger than the master is left out, but for the first. */
static size_t fit(const struct plan *p, const struct plan_input *in, struct plan_rung *rungs, size_t n)
{
	double have = (double)p->width * p->height;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		double scale = sqrt((double)rungs[i].width * rungs[i].height / have);
		struct plan_rung r = rungs[i];

		if (kept > 0 && scale > 1.03 && rungs[i].width * rungs[i].height > rungs[i - 1].width * rungs[i - 1].height)
			break;
		r.width = scale < 0.97 ? even(p->width * scale) : p->width;
		r.height = scale < 0.97 ? even(p->height * scale) : p->height;
		if (kept > 0 && in->max_height > 0 && r.height > in->max_height)
			break;
		r.vbv = r.max_rate;
		rungs[kept++] = r;
		if (in->max_rungs > 0 && kept == in->max_rungs)
			break;
	}
	return kept;
}

static int from_file(const struct ladder_settings *s, struct plan *p, struct fault *f)
{
	struct plan_rung rungs[PLAN_MAX_RUNGS];
	struct buf text;
	size_t n;
	int r;

	buf_init(&text, FILE_MAX);
	r = file_read(s->ladder, &text);
	if (r != 0)
		fault_set(f, r, _("--ladder: cannot read %s: %s; give \"title\", \"fixed\" or a file"), s->ladder, words_error(r));
	else
		r = ladder_parse(buf_text(&text), s->ladder, rungs, &n, f);
	buf_fini(&text);
	if (r == 0)
		plan_set_rungs(p, rungs, fit(p, s->input, rungs, n));
	return r;
}

/* --- of the title ---------------------------------------------------------------------------- */

static void take_rungs(const struct ladder *l, struct plan *p)
{
	struct plan_rung rungs[PLAN_MAX_RUNGS];

	for (size_t i = 0; i < l->hull.n_rungs; i++) {
		const struct hull_point *h = &l->hull.rungs[i];
		const struct hull_size *size = &l->probe.sizes[h->size];
		double rate = fmax(round(h->rate / 1000), 10) * 1000;
		double cap = fmax(CAP * rate, FIRST_PICTURE * size->width * size->height);

		rungs[i] = (struct plan_rung){
			.width = size->width,
			.height = size->height,
			.bitrate = (uint64_t)rate,
			.max_rate = (uint64_t)cap,
			.vbv = (uint64_t)cap,
			.crf = round(h->crf * 2) / 2,
		};
	}
	plan_set_rungs(p, rungs, l->hull.n_rungs);
}

static int of_title(const struct ladder_settings *s, struct plan *p, struct ladder *l, struct fault *f)
{
	struct probe_settings probe = {s->master, s->input, p, s->preset, FLOOR_RATE, s->progress, s->stop};
	struct fault why = {0};
	int r = probe_run(&probe, &l->probe, &why);

	if (r == ERR_UNSUPPORTED) {
		snprintf(l->note, sizeof l->note, "%s", fault_text(&why));
		return 0;
	}
	if (r != 0) {
		*f = why;
		return r;
	}
	l->has_probe = true;
	hull_make(&l->probe, FLOOR_RATE, s->input->max_rungs, &l->hull);
	take_rungs(l, p);
	return 0;
}

int ladder_make(const struct ladder_settings *s, struct plan *ret_plan, struct ladder *ret_ladder, struct fault *f)
{
	int r = plan_make(s->input, ret_plan, f);

	*ret_ladder = (struct ladder){0};
	if (r != 0 || strcmp(s->ladder, "fixed") == 0)
		return r;
	if (strcmp(s->ladder, "title") != 0)
		return from_file(s, ret_plan, f);
	if (strcmp(s->master, "-") == 0) {
		snprintf(ret_ladder->note, sizeof ret_ladder->note, N_("standard input cannot be looked at here and there"));
		return 0;
	}
	return of_title(s, ret_plan, ret_ladder, f);
}

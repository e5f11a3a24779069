/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reads a line, does it, answers at once.
 */
#include "player/abr_serve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "player/abr.h"

#define MAX_RUNGS 64
#define MAX_SEGMENTS 1000000
#define MAX_NUMBERS (MAX_RUNGS + 1)
#define MOST 4294967295.0 /* of any number: bytes, ms, kbit/s */

struct serve {
	struct abr_setup setup;
	uint32_t bitrates[MAX_RUNGS];
	uint32_t *sizes;
	struct abr *abr;
	FILE *out;
};

static unsigned parse_numbers(char *text, double ret[static MAX_NUMBERS])
{
	unsigned n = 0;
	char *end;

	while (n < MAX_NUMBERS) {
		ret[n] = strtod(text, &end);
		if (end == text || !(fabs(ret[n]) <= MOST))
			break;
		text = end;
		n++;
	}
	return n;
}

static dur_us ms(double v)
{
	return (dur_us)(v * 1000);
}

static bool natural(const double *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i] < 0)
			return false;
	return true;
}

static bool on_video(struct serve *s, const double *v, unsigned n)
{
	if (n < 4 || v[0] < 1 || v[0] > MAX_RUNGS || v[1] < 1 || v[1] > MAX_SEGMENTS || v[2] <= 0 || v[3] <= 0)
		return false;
	free(s->sizes);
	s->setup.n_rungs = (unsigned)v[0];
	s->setup.n_segments = (unsigned)v[1];
	s->setup.segment = ms(v[2]);
	s->setup.buffer_cap = ms(v[3]);
	s->sizes = mem_try((size_t)s->setup.n_segments * s->setup.n_rungs, sizeof *s->sizes);
	return s->sizes != NULL;
}

static bool on_bitrates(struct serve *s, const double *v, unsigned n)
{
	if (n != s->setup.n_rungs)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (!(v[i] >= 1 && v[i] < MOST / 1000) || (i > 0 && v[i] < v[i - 1]))
			return false;
		s->bitrates[i] = (uint32_t)(v[i] * 1000);
	}
	return true;
}

static bool on_sizes(struct serve *s, const double *v, unsigned n)
{
	if (s->sizes == NULL || n != s->setup.n_rungs + 1 || !natural(v, n) || v[0] >= s->setup.n_segments)
		return false;
	for (unsigned i = 0; i < s->setup.n_rungs; i++)
		s->sizes[(size_t)v[0] * s->setup.n_rungs + i] = (uint32_t)v[i + 1];
	return true;
}

static bool on_go(struct serve *s)
{
	struct abr_state first = {.last_rung = -1};

	s->setup.bitrates = s->bitrates;
	s->setup.sizes = s->sizes;
	abr_free(&s->abr);
	s->abr = s->sizes != NULL ? abr_new(&s->setup) : NULL;
	if (s->abr == NULL)
		return false;
	fprintf(s->out, "%u 1\n", abr_next(s->abr, &first).rung);
	return true;
}

static bool on_result(struct serve *s, const double *v, unsigned n)
{
	struct abr_sample a = {.aborted = n > 5 && v[5] >= 0};

	if (s->abr == NULL || n < 5 || !natural(v, 5) || v[1] >= s->setup.n_rungs)
		return false;
	a.segment = (unsigned)v[0];
	a.rung = (unsigned)v[1];
	a.bytes = (uint64_t)v[2];
	a.first_byte = ms(v[3]);
	a.total = ms(v[4]);
	abr_add_sample(s->abr, &a);
	return true;
}

static bool on_decide(struct serve *s, const double *v, unsigned n)
{
	struct abr_state state = {.last_rung = -1};
	struct abr_decision d;

	if (s->abr == NULL || n < 4 || v[0] < 0 || v[1] < -1 || v[1] >= s->setup.n_rungs || !natural(v + 2, 2))
		return false;
	state = (struct abr_state){(unsigned)v[0], (int)v[1], ms(v[2]), ms(v[3])};
	d = abr_next(s->abr, &state);
	fprintf(s->out, "%u %.3f\n", d.rung, (double)d.wait / 1000);
	return true;
}

static bool on_progress(struct serve *s, const double *v, unsigned n)
{
	struct abr_progress p;

	if (s->abr == NULL || n < 7 || !natural(v, 7) || v[1] >= s->setup.n_rungs || v[3] > v[2])
		return false;
	p = (struct abr_progress){(unsigned)v[0], (unsigned)v[1], (uint64_t)v[2], (uint64_t)v[3], ms(v[4]), ms(v[5]), ms(v[6]), 0};
	fprintf(s->out, "%d\n", abr_abandon(s->abr, &p));
	return true;
}

static bool obey(struct serve *s, char *line)
{
	double v[MAX_NUMBERS] = {0};
	unsigned n = line[0] != '\0' ? parse_numbers(line + 1, v) : 0;

	switch (line[0]) {
	case 'V':
		return on_video(s, v, n);
	case 'B':
		return on_bitrates(s, v, n);
	case 'S':
		return on_sizes(s, v, n);
	case 'G':
		return on_go(s);
	case 'R':
		return on_result(s, v, n);
	case 'D':
		return on_decide(s, v, n);
	case 'P':
		return on_progress(s, v, n);
	default:
		return false;
	}
}

int abr_serve(const char *algorithm, FILE *in, FILE *out, struct fault *f)
{
	struct serve s = {.setup = {.algorithm = algorithm}, .out = out};
	char *line = NULL;
	size_t cap = 0;
	unsigned number = 0;
	int r = 0;

	while (r == 0 && getline(&line, &cap, in) > 0) {
		number++;
		if (!obey(&s, line))
			r = fault_set(f, ERR_SYNTAX, _("standard input:%u: \"%.60s\" is not understood here"), number, line);
		fflush(out);
	}
	abr_free(&s.abr);
	free(s.sizes);
	free(line);
	return r;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Progress bar or progress lines; `now` is an argument so that tests need no
 * clock.
 */
#include "base/progress.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define BAR_WIDTH 24

struct progress {
	FILE *out;
	char *label, *unit;
	char note[64];
	uint64_t total, done;
	mono_us start, last_print;
	unsigned tenths_said;
	bool terminal, printed;
};

struct progress *progress_new(FILE *out, const char *label, const char *unit, uint64_t total, mono_us now)
{
	struct progress *p = mem_new(sizeof *p);

	p->out = out;
	p->label = mem_dup(label);
	p->unit = mem_dup(unit);
	p->total = total;
	p->start = p->last_print = now;
	p->terminal = isatty(fileno(out)) == 1;
	return p;
}

void progress_set_total(struct progress *p, uint64_t total)
{
	p->total = total;
}

static void format_rate(const struct progress *p, double per_s, char text[static STR_BYTES_SIZE + 16])
{
	char bytes[STR_BYTES_SIZE];

	if (strcmp(p->unit, "B") == 0) {
		str_format_bytes(per_s > 0 ? (uint64_t)per_s : 0, bytes);
		snprintf(text, STR_BYTES_SIZE + 16, "%s/s", bytes);
	} else {
		snprintf(text, STR_BYTES_SIZE + 16, "%.*f %.16s/s", per_s < 10 ? 1 : 0, per_s, p->unit);
	}
}

static void format_left(const struct progress *p, double per_s, char text[static STR_BYTES_SIZE])
{
	if (p->total == 0 || per_s <= 0 || p->done > p->total)
		snprintf(text, STR_BYTES_SIZE, "-:--");
	else
		str_format_duration((dur_us)((double)(p->total - p->done) / per_s * 1e6), text);
}

static void put_bar(const struct progress *p)
{
	int full = p->total > 0 ? (int)(BAR_WIDTH * (p->done < p->total ? p->done : p->total) / p->total) : 0;

	fputc('[', p->out);
	for (int i = 0; i < BAR_WIDTH; i++)
		fputc(i < full ? '#' : '.', p->out);
	fputs("] ", p->out);
}

static void print(struct progress *p, mono_us now)
{
	double s = (double)(now - p->start) / 1e6, per_s = s > 0.05 ? (double)p->done / s : 0;
	char rate[STR_BYTES_SIZE + 16], left[STR_BYTES_SIZE];

	format_rate(p, per_s, rate);
	format_left(p, per_s, left);
	fprintf(p->out, "%s%s ", p->terminal ? "\r" : "", p->label);
	if (p->terminal)
		put_bar(p);
	if (p->total > 0)
		fprintf(p->out, "%3d%% ", (int)(100 * (p->done < p->total ? p->done : p->total) / p->total));
	else if (strcmp(p->unit, "B") != 0)
		fprintf(p->out, "%llu %s ", (unsigned long long)p->done, p->unit);
	fprintf(p->out, _("%s, ETA %s%s%s%s"), rate, left, p->note[0] != '\0' ? ", " : "", p->note,
	        p->terminal ? "\033[K" : "\n");
	fflush(p->out);
	p->last_print = now;
	p->printed = true;
}

static bool due(struct progress *p, mono_us now)
{
	unsigned tenths = p->total > 0 ? (unsigned)(10 * p->done / p->total) : 0;

	if (p->terminal)
		return now - p->last_print >= 100 * DUR_MS;
	if (tenths > p->tenths_said && now - p->last_print >= DUR_S) {
		p->tenths_said = tenths;
		return true;
	}
	return now - p->last_print >= 15 * DUR_S;
}

void progress_update(struct progress *p, uint64_t done, const char *note, mono_us now)
{
	p->done = done;
	snprintf(p->note, sizeof p->note, "%s", note != NULL ? note : "");
	if (due(p, now))
		print(p, now);
}

void progress_free(struct progress **pp, mono_us now)
{
	struct progress *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	print(p, now);
	if (p->terminal)
		fputc('\n', p->out);
	free(p->label);
	free(p->unit);
	free(p);
}

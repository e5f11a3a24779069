/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Long films have thousands of segments: what shares a column is drawn as its mean.
 */
#include "ingest/svg.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define WIDTH 960.0
#define HEIGHT 300.0
#define LEFT 68.0
#define RIGHT 112.0 /* for the names */
#define TOP 14.0
#define BOTTOM 30.0
#define MAX_COLUMNS 240
#define NAME_HEIGHT 15.0
#define VALUE_MAX 1e12

struct drawing {
	const struct svg_chart *c;
	struct buf *out;
	double least, most, step;  /* of the scale and its lines */
	size_t n;                  /* columns */
	double *times;             /* n + 1 */
	double *values;            /* n of each series */
};

void svg_text(const char *text, struct buf *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '&')
			buf_puts(out, "&amp;");
		else if (*text == '<')
			buf_puts(out, "&lt;");
		else if (*text == '>')
			buf_puts(out, "&gt;");
		else if (*text == '"')
			buf_puts(out, "&quot;");
		else
			buf_putc(out, (unsigned char)*text < 0x20 ? ' ' : *text);
	}
}

/* --- columns and scale -------------------------------------------------------------------------- */

static double mean(const struct svg_series *s, size_t from, size_t to)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = from; i < to && i < s->n; i++)
		if (fabs(s->values[i]) < VALUE_MAX) { /* NAN is not */
			sum += s->values[i];
			n++;
		}
	return n > 0 ? sum / (double)n : NAN;
}

static void make_columns(struct drawing *d)
{
	const struct svg_chart *c = d->c;

	d->n = c->n_steps < MAX_COLUMNS ? c->n_steps : MAX_COLUMNS;
	d->times = mem_new_array(d->n + 1, sizeof *d->times);
	d->values = mem_new_array(d->n * c->n_series, sizeof *d->values);
	for (size_t i = 0; i < d->n; i++) {
		size_t from = i * c->n_steps / d->n, to = (i + 1) * c->n_steps / d->n;

		d->times[i] = c->times[from];
		for (size_t s = 0; s < c->n_series; s++)
			d->values[s * d->n + i] = mean(&c->series[s], from, to);
	}
	d->times[d->n] = c->times[c->n_steps];
}

/* 1, 2 or 5 times a power of ten, so that about `n` of them fill `range` */
static double round_step(double range, double n)
{
	double raw = range / n, power = pow(10, floor(log10(raw)));

	return raw / power > 5 ? 10 * power : raw / power > 2 ? 5 * power : raw / power > 1 ? 2 * power : power;
}

static bool make_scale(struct drawing *d)
{
	double least = INFINITY, most = -INFINITY;

	for (size_t i = 0; i < d->n * d->c->n_series; i++)
		if (isfinite(d->values[i])) {
			least = fmin(least, d->values[i]);
			most = fmax(most, d->values[i]);
		}
	if (!isfinite(least))
		return false;
	if (d->c->least < d->c->most)
		least = d->c->least, most = d->c->most;
	if (most - least < 1e-9)
		most = least + fmax(fabs(least) * 0.1, 1e-6);
	d->step = round_step(most - least, 5);
	d->least = floor(least / d->step + 1e-9) * d->step;
	d->most = ceil(most / d->step - 1e-9) * d->step;
	return true;
}

static double x_of(const struct drawing *d, double time)
{
	double all = d->times[d->n] - d->times[0];

	return LEFT + (WIDTH - LEFT - RIGHT) * (all > 0 ? (time - d->times[0]) / all : 0);
}

static double y_of(const struct drawing *d, double value)
{
	return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - d->least) / (d->most - d->least));
}

static void put_time(double seconds, struct buf *out)
{
	unsigned s = seconds >= 0 && seconds < 1e9 ? (unsigned)lround(seconds) : 0;

	if (s >= 3600)
		buf_printf(out, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	else
		buf_printf(out, "%u:%02u", s / 60, s % 60);
}

static void put_value(const struct drawing *d, double value)
{
	buf_printf(d->out, "%.*f%s", d->c->decimals, value, d->c->unit);
}

/* --- parts -------------------------------------------------------------------------------------- */

static void draw_grid(const struct drawing *d)
{
	static const double steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200};
	double all = d->times[d->n] - d->times[0], every = 14400;

	for (size_t i = sizeof steps / sizeof steps[0]; i-- > 0;)
		if (all / steps[i] <= 8)
			every = steps[i];
	for (unsigned i = 0; i < 32 && d->least + i * d->step <= d->most + d->step / 2; i++) {
		double v = d->least + i * d->step;

		buf_printf(d->out, "<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/><text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">", LEFT, y_of(d, v),
		           WIDTH - RIGHT, LEFT - 8, y_of(d, v) + 4);
		put_value(d, fabs(v) < d->step / 1000 ? 0 : v);
		buf_puts(d->out, "</text>");
	}
	for (double t = 0; t <= all + 0.001 && t <= 64 * every; t += every) {
		buf_printf(d->out, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">", x_of(d, d->times[0] + t), HEIGHT - 8);
		put_time(d->times[0] + t, d->out);
		buf_puts(d->out, "</text>");
	}
}

static void draw_line(const struct drawing *d, size_t s)
{
	bool pen = false;

	buf_printf(d->out, "<path class=\"line s%zu\" d=\"", s % 10);
	for (size_t i = 0; i < d->n; i++) {
		double v = d->values[s * d->n + i];

		if (!isfinite(v)) {
			pen = false;
			continue;
		}
		if (pen)
			buf_printf(d->out, "V%.1f", y_of(d, v));
		else
			buf_printf(d->out, "M%.1f %.1f", x_of(d, d->times[i]), y_of(d, v));
		buf_printf(d->out, "H%.1f", x_of(d, d->times[i + 1]));
		pen = true;
	}
	buf_puts(d->out, "\"/>");
}

struct label {
	size_t series;
	double y;
};

static int compare_labels(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return (x->y > y->y) - (x->y < y->y);
}

/* Names at the right end, moved apart where lines end together. */
static void draw_names(const struct drawing *d)
{
	struct label labels[SVG_MAX_SERIES];
	size_t n = 0;

	for (size_t s = 0; s < d->c->n_series; s++) {
		double v = d->n > 0 ? d->values[s * d->n + d->n - 1] : NAN;

		if (isfinite(v))
			labels[n++] = (struct label){s, y_of(d, v)};
	}
	qsort(labels, n, sizeof labels[0], compare_labels);
	for (size_t i = 1; i < n; i++)
		labels[i].y = fmax(labels[i].y, labels[i - 1].y + NAME_HEIGHT);
	for (size_t i = n; i-- > 0;)
		labels[i].y = fmin(labels[i].y, HEIGHT - BOTTOM - NAME_HEIGHT * (double)(n - 1 - i));
	for (size_t i = 0; i < n; i++) {
		buf_printf(d->out, "<text class=\"name s%zu\" x=\"%.0f\" y=\"%.1f\">", labels[i].series % 10, WIDTH - RIGHT + 8, labels[i].y + 4);
		svg_text(d->c->series[labels[i].series].name, d->out);
		buf_puts(d->out, "</text>");
	}
}

/* One hint a column: the time, and every series' value, the last series first. */
static void draw_hints(const struct drawing *d)
{
	for (size_t i = 0; i < d->n; i++) {
		buf_printf(d->out, "<rect class=\"hint\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\"><title>", x_of(d, d->times[i]), TOP,
		           x_of(d, d->times[i + 1]) - x_of(d, d->times[i]), HEIGHT - TOP - BOTTOM);
		put_time(d->times[i], d->out);
		for (size_t s = d->c->n_series; s-- > 0;) {
			if (!isfinite(d->values[s * d->n + i]))
				continue;
			buf_puts(d->out, "\n");
			svg_text(d->c->series[s].name, d->out);
			buf_puts(d->out, ": ");
			put_value(d, d->values[s * d->n + i]);
		}
		buf_puts(d->out, "</title></rect>");
	}
}

void svg_chart(const struct svg_chart *c, struct buf *out)
{
	struct drawing d = {.c = c, .out = out};

	if (c->n_steps == 0 || c->n_series == 0 || c->n_series > SVG_MAX_SERIES)
		return;
	make_columns(&d);
	if (make_scale(&d)) {
		buf_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">", WIDTH, HEIGHT, c->id, c->id,
		           c->id);
		svg_text(c->title, out);
		buf_printf(out, "</title><desc id=\"%s-d\">", c->id);
		svg_text(c->description, out);
		buf_puts(out, "</desc>");
		draw_grid(&d);
		for (size_t s = 0; s < c->n_series; s++)
			draw_line(&d, s);
		draw_names(&d);
		draw_hints(&d);
		buf_puts(out, "</svg>\n");
	}
	free(d.times);
	free(d.values);
}

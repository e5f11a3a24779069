/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The picture of the title's ladder: rate to the right in logarithms, quality
 * upwards; a thin line a size, the hull over them, a ring a rung.
 */
#include "ingest/report_hull.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"

#define WIDTH 960.0
#define HEIGHT 360.0
#define LEFT 68.0
#define RIGHT 96.0
#define TOP 16.0
#define BOTTOM 34.0

/* --- report.json --------------------------------------------------------------------------- */

json_t *report_hull_json(const struct ladder *l)
{
	json_t *sizes = json_array(), *hull = json_array(), *rungs = json_array();

	for (size_t s = 0; s < l->probe.n_sizes; s++) {
		const struct hull_size *k = &l->probe.sizes[s];
		json_t *points = json_array();

		for (size_t q = 0; q < l->probe.n_crfs; q++)
			json_array_append_new(points, json_pack("{s:f, s:I, s:f, s:f}", "crf", l->probe.crfs[q], "bitrate", (json_int_t)k->rate[q], "quality",
			                                        round(k->quality[q] * 100) / 100, "psnr", round(k->psnr[q] * 100) / 100));
		json_array_append_new(sizes, json_pack("{s:i, s:i, s:o}", "width", k->width, "height", k->height, "points", points));
	}
	for (size_t i = 0; i < l->hull.n_points; i++)
		json_array_append_new(hull, json_pack("[I, f]", (json_int_t)l->hull.points[i].rate, round(l->hull.points[i].quality * 100) / 100));
	for (size_t i = 0; i < l->hull.n_rungs; i++) {
		const struct hull_point *p = &l->hull.rungs[i];

		json_array_append_new(rungs, json_pack("{s:i, s:i, s:f, s:I, s:f}", "width", l->probe.sizes[p->size].width, "height",
		                                       l->probe.sizes[p->size].height, "crf", p->crf, "bitrate", (json_int_t)p->rate, "quality",
		                                       round(p->quality * 100) / 100));
	}
	return json_pack("{s:o, s:o, s:o}", "sizes", sizes, "line", hull, "rungs", rungs);
}

/* --- the page ------------------------------------------------------------------------------ */

struct scale {
	double least_rate, most_rate, least, most; /* bit/s, dB */
};

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static void widen(struct scale *s, double rate, double quality)
{
	s->least_rate = fmin(s->least_rate, rate);
	s->most_rate = fmax(s->most_rate, rate);
	s->least = fmin(s->least, quality);
	s->most = fmax(s->most, quality);
}

static bool make_scale(const json_t *hull, struct scale *s)
{
	const json_t *size, *point;
	size_t i, j;

	*s = (struct scale){1e12, 0, 1e3, -1e3};
	json_array_foreach(json_object_get(hull, "sizes"), i, size)
		json_array_foreach(json_object_get(size, "points"), j, point)
			widen(s, fmin(fmax(number(point, "bitrate"), 1), 1e12), fmin(fmax(number(point, "quality"), -1e3), 1e3));
	s->most = ceil(s->most);
	s->least = floor(s->least);
	if (s->most <= s->least && s->most > -1e3) { /* a still picture looks the same at any rate */
		s->most += 1;
		s->least -= 1;
	}
	return s->most_rate > s->least_rate && s->most > s->least;
}

static double x_of(const struct scale *s, double rate)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * log(fmax(rate, 1) / s->least_rate) / log(s->most_rate / s->least_rate);
}

static double y_of(const struct scale *s, double quality)
{
	return TOP + (HEIGHT - TOP - BOTTOM) * (s->most - quality) / (s->most - s->least);
}

static void put_rate(struct buf *out, double rate)
{
	if (rate >= 1e6)
		buf_printf(out, "%g Mbit/s", round(rate / 1e5) / 10);
	else
		buf_printf(out, "%.0f kbit/s", rate / 1e3);
}

static void put_grid(const struct scale *s, struct buf *out)
{
	static const double steps[] = {1, 2, 5};
	double every = s->most - s->least > 12 ? 4 : 2;

	for (double q = ceil(s->least / every) * every; q <= s->most; q += every)
		buf_printf(out, "<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/><text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%g dB</text>", LEFT, y_of(s, q),
		           WIDTH - RIGHT, LEFT - 8, y_of(s, q) + 4, q);
	for (double power = 1e3; power < 1e9; power *= 10)
		for (size_t i = 0; i < 3; i++) {
			double rate = steps[i] * power;

			if (rate < s->least_rate || rate > s->most_rate)
				continue;
			buf_printf(out, "<path class=\"grid\" d=\"M%.1f %.0fV%.0f\"/><text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">", x_of(s, rate), TOP,
			           HEIGHT - BOTTOM, x_of(s, rate), HEIGHT - 12);
			put_rate(out, rate);
			buf_puts(out, "</text>");
		}
}

static void put_size(const struct scale *s, const json_t *size, size_t number_of, struct buf *out)
{
	const json_t *points = json_object_get(size, "points"), *best = json_array_get(points, 0), *point;
	size_t i;

	buf_printf(out, "<path class=\"line thin s%zu\" d=\"", number_of % 10);
	json_array_foreach(points, i, point)
		buf_printf(out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(s, number(point, "bitrate")), y_of(s, number(point, "quality")));
	buf_printf(out, "\"/><text class=\"name s%zu\" x=\"%.1f\" y=\"%.1f\">%.0fp</text>", number_of % 10, x_of(s, number(best, "bitrate")) + 6,
	           y_of(s, number(best, "quality")) + 4, number(size, "height"));
}

static void put_line(const struct scale *s, const json_t *line, struct buf *out)
{
	const json_t *point;
	size_t i;

	buf_puts(out, "<path class=\"hull\" d=\"");
	json_array_foreach(line, i, point)
		buf_printf(out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(s, json_number_value(json_array_get(point, 0))),
		           y_of(s, json_number_value(json_array_get(point, 1))));
	buf_puts(out, "\"/>");
}

static void put_rungs(const struct scale *s, const json_t *rungs, struct buf *out)
{
	const json_t *rung;
	size_t i;

	json_array_foreach(rungs, i, rung) {
		double x = x_of(s, number(rung, "bitrate")), y = y_of(s, number(rung, "quality"));

		buf_printf(out, "<circle class=\"rung\" cx=\"%.1f\" cy=\"%.1f\" r=\"6\"><title>%.0fx%.0f at ", x, y, number(rung, "width"), number(rung, "height"));
		put_rate(out, number(rung, "bitrate"));
		buf_printf(out, ", %.1f dB, crf %g</title></circle>", number(rung, "quality"), number(rung, "crf"));
	}
}

void report_hull_page(const json_t *hull, struct buf *out)
{
	const json_t *size;
	struct scale s;
	size_t i;

	if (!json_is_object(hull) || !make_scale(hull, &s))
		return;
	buf_printf(out, "<section><h2>Why this ladder</h2><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"hull-t hull-d\"><title id=\"hull-t\">"
	           "Rate and quality of this title at every size</title><desc id=\"hull-d\">One line a picture size; the thick line is the best that any rate can look; "
	           "rings are the renditions that were made.</desc>", WIDTH, HEIGHT);
	put_grid(&s, out);
	json_array_foreach(json_object_get(hull, "sizes"), i, size)
		put_size(&s, size, i, out);
	put_line(&s, json_object_get(hull, "line"), out);
	put_rungs(&s, json_object_get(hull, "rungs"), out);
	buf_puts(out, "</svg><p class=\"note\">Moments of the film were encoded at every size and measured at the size of the display (SSIM as "
	         "−10 log(1 − SSIM)). The thick line is the best that each rate can look; the renditions (rings) lie on it, from what a bad line "
	         "carries to where more bits no longer show.</p></section>\n");
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The hull of known curves, and ladder files.
 */
#include <math.h>
#include <string.h>

#include "ingest/hull.h"
#include "ingest/ladder.h"
#include "t/lib/unit.h"

/* The program's own probes need a master. */
int probe_run(const struct probe_settings *s, struct hull_probe *ret_probe, struct fault *f)
{
	return fault_set(f, ERR_UNSUPPORTED, "no probes here");
}

/* Three sizes; each gains 2 dB a doubling of rate and flattens at its ceiling; larger ones cost more at first. */
static struct hull_probe curves(void)
{
	struct hull_probe p = {.n_sizes = 3, .n_crfs = 3, .crfs = {20, 26, 33}};
	static const double base[] = {8e5, 2e6, 6e6}, best[] = {10, 14, 18};

	for (size_t s = 0; s < 3; s++) {
		p.sizes[s] = (struct hull_size){.width = 480 << s, .height = 270 << s};
		for (size_t q = 0; q < 3; q++) {
			double steps = (p.crfs[q] - 20) / 6;

			p.sizes[s].rate[q] = base[s] * pow(2, -steps);
			p.sizes[s].quality[q] = best[s] - 2.2 * steps - 0.2 * steps * steps;
		}
	}
	return p;
}

Test(hull, is_convex_ascending_and_best_at_every_rate)
{
	struct hull_probe p = curves();
	struct hull h;

	hull_make(&p, 2e5, 0, &h);
	CHECK(h.n_points > 4);
	for (size_t i = 1; i < h.n_points; i++) {
		CHECK(h.points[i].rate > h.points[i - 1].rate);
		CHECK(h.points[i].quality > h.points[i - 1].quality);
		CHECK(h.points[i].size >= h.points[i - 1].size);
	}
	for (size_t i = 2; i < h.n_points; i++) {
		double a = (h.points[i - 1].quality - h.points[i - 2].quality) / (h.points[i - 1].rate - h.points[i - 2].rate);
		double b = (h.points[i].quality - h.points[i - 1].quality) / (h.points[i].rate - h.points[i - 1].rate);

		CHECK(b <= a * 1.000001);
	}
}

Test(hull, passes_through_what_was_measured)
{
	struct hull_probe p = curves();
	struct hull_point q = hull_at(&p, 1, 26);

	CHECK(fabs(q.rate - p.sizes[1].rate[1]) < 1);
	CHECK(fabs(q.quality - p.sizes[1].quality[1]) < 1e-9);
}

Test(hull, rungs_go_from_the_floor_to_the_top)
{
	struct hull_probe p = curves();
	struct hull h;

	hull_make(&p, 4e5, 0, &h);
	CHECK(h.n_rungs >= 4);
	CHECK(h.rungs[0].rate < 5e5);
	CHECK(h.rungs[h.n_rungs - 1].size == 2);
	for (size_t i = 1; i < h.n_rungs; i++) {
		CHECK(h.rungs[i].rate > 1.2 * h.rungs[i - 1].rate);
		CHECK(h.rungs[i].quality > h.rungs[i - 1].quality);
	}
	hull_make(&p, 4e5, 2, &h);
	CHECK_INT(h.n_rungs, 2);
	hull_make(&p, 4e5, 1, &h);
	CHECK_INT(h.n_rungs, 1);
	CHECK(h.rungs[0].size == 2);
}

Test(hull, a_still_picture_gets_one_rung)
{
	struct hull_probe p = {.n_sizes = 1, .n_crfs = 3, .crfs = {20, 26, 33}};
	struct hull h;

	p.sizes[0] = (struct hull_size){.width = 640, .height = 360, .rate = {30000, 20000, 15000}, .quality = {40, 39.9, 39.8}};
	hull_make(&p, 2e5, 0, &h);
	CHECK_INT(h.n_rungs, 1);
	CHECK(h.rungs[0].crf <= 24);
}

static void refused(const char *text, const char *part)
{
	struct plan_rung rungs[PLAN_MAX_RUNGS];
	struct fault f = {0};
	size_t n;

	CHECK(ladder_parse(text, "x.ladder", rungs, &n, &f) != 0);
	CHECK_HAS(f.text, part);
}

Test(ladder, files_are_read_and_mistakes_located)
{
	struct plan_rung rungs[PLAN_MAX_RUNGS];
	struct fault f = {0};
	size_t n;

	CHECK_INT(ladder_parse("# ours\n640x360 800k\n\n1280x720 3M max 4500k # good\n1920x1080 crf 22.5 max 12M", "x.ladder", rungs, &n, &f), 0);
	CHECK_INT(n, 3);
	CHECK_INT(rungs[0].bitrate, 800000);
	CHECK_INT(rungs[0].max_rate, 1200000);
	CHECK_INT(rungs[1].max_rate, 4500000);
	CHECK(rungs[2].crf > 22.4 && rungs[2].crf < 22.6);
	CHECK_INT(rungs[2].width, 1920);
	refused("", "has no rungs");
	refused("640x360 800k\n1280 x 720 3M\n", "x.ladder:2:");
	refused("640x360\n", "x.ladder:1:");
	refused("640x360 800k max 100k\n", "x.ladder:1:");
	refused("640x360 crf 99 max 3M\n", "x.ladder:1:");
	refused("640x360 800k\n640x360 700k\n", "ascend");
	refused("0x0 800k\n", "x.ladder:1:");
	refused("640x360x3 800k\n", "x.ladder:1:");
}

Test(plan, the_fixed_ladder_is_the_well_known_one)
{
	static const struct {
		int width, height;
		uint64_t rate;
	} want[] = {{416, 234, 235000},   {480, 270, 375000},   {640, 360, 560000},   {640, 360, 750000},     {768, 432, 1050000},
	            {960, 540, 1750000},  {1280, 720, 2350000}, {1280, 720, 3000000}, {1920, 1080, 4300000}, {1920, 1080, 5800000}};
	struct plan_input in = {.width = 1920, .height = 1080, .sar = {1, 1}, .frame_rate = {24, 1}, .segment_seconds = 4};
	int widths[PLAN_MAX_RUNGS], heights[PLAN_MAX_RUNGS];
	struct fault f = {0};
	struct plan p;

	CHECK_INT(plan_make(&in, &p, &f), 0);
	CHECK_INT(p.n_rungs, 10);
	for (size_t i = 0; i < 10; i++) {
		CHECK_INT(p.rungs[i].width, want[i].width);
		CHECK_INT(p.rungs[i].height, want[i].height);
		CHECK_INT(p.rungs[i].bitrate, want[i].rate);
	}
	CHECK_INT(plan_sizes(&in, &p, widths, heights), 7);
	CHECK_INT(widths[6], 1920);
}

Test(plan, nothing_is_scaled_up_and_shapes_are_kept)
{
	struct plan_input in = {.width = 720, .height = 576, .sar = {16, 15}, .frame_rate = {25, 1}, .segment_seconds = 4};
	struct fault f = {0};
	struct plan p;

	CHECK_INT(plan_make(&in, &p, &f), 0);
	for (size_t i = 0; i < p.n_rungs; i++) {
		CHECK(p.rungs[i].width <= 720 && p.rungs[i].height <= 576);
		CHECK(fabs((double)p.rungs[i].width / p.rungs[i].height - (double)p.width / p.height) < 0.02);
		CHECK(p.rungs[i].width % 2 == 0 && p.rungs[i].height % 2 == 0);
	}
	in = (struct plan_input){.width = 1080, .height = 1920, .sar = {1, 1}, .frame_rate = {30, 1}, .segment_seconds = 4, .max_height = 800};
	CHECK_INT(plan_make(&in, &p, &f), 0);
	CHECK(p.rungs[p.n_rungs - 1].height <= 800);
}

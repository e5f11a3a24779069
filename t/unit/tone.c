/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Known points of BT.2100, and what any way from HDR to SDR must keep.
 */
#include <math.h>

#include "ingest/tone.h"
#include "t/lib/unit.h"

static const struct tone pq = {.in = {AVCOL_PRI_BT2020, AVCOL_TRC_SMPTE2084, AVCOL_SPC_BT2020_NCL}, .is_hdr = true, .peak = 1000};
static const struct tone hlg = {.in = {AVCOL_PRI_BT2020, AVCOL_TRC_ARIB_STD_B67, AVCOL_SPC_BT2020_NCL}, .is_hdr = true, .peak = 1000};

static double grey(const struct tone *t, double v)
{
	double out[3];

	tone_map(t, (const double[]){v, v, v}, out);
	cr_assert_float_eq(out[0], out[1], 0.002);
	cr_assert_float_eq(out[1], out[2], 0.002);
	return out[1];
}

Test(tone, black_is_black_and_the_peak_is_white)
{
	cr_assert_float_eq(grey(&pq, 0), 0, 1e-6);
	cr_assert_float_eq(grey(&hlg, 0), 0, 1e-6);
	cr_assert_float_eq(grey(&pq, 0.7518), 1, 0.002); /* 1000 cd/m2 */
	cr_assert_float_eq(grey(&hlg, 1), 1, 0.002);
	cr_assert_float_eq(grey(&pq, 1), 1, 0.002);      /* above the peak */
}

Test(tone, graphics_white_stays_bright_and_shadows_stay)
{
	/* 203 cd/m2 is 58 % of PQ and 75 % of HLG (BT.2408) */
	cr_assert(grey(&pq, 0.58) > 0.85 && grey(&pq, 0.58) < 0.95);
	cr_assert_float_eq(grey(&pq, 0.58), grey(&hlg, 0.75), 0.01);
	/* 20 cd/m2 lies below the knee: (20 / 203) ^ (1 / 2.4) */
	cr_assert_float_eq(grey(&pq, 0.3570), pow(20 / 203.0, 1 / 2.4), 0.01);
}

Test(tone, brighter_stays_brighter)
{
	double last = -1, last_hlg = -1;

	for (int i = 0; i <= 100; i++) {
		cr_assert(grey(&pq, i / 100.0) >= last - 1e-9);
		cr_assert(grey(&hlg, i / 100.0) >= last_hlg - 1e-9);
		last = grey(&pq, i / 100.0);
		last_hlg = grey(&hlg, i / 100.0);
	}
}

Test(tone, colours_keep_hue_and_stay_in_range)
{
	double out[3];

	for (int i = 0; i < 11 * 11 * 11; i++) {
		const double in[3] = {i % 11 / 10.0, i / 11 % 11 / 10.0, i / 121 / 10.0};

		tone_map(&pq, in, out);
		for (int k = 0; k < 3; k++)
			cr_assert(out[k] >= 0 && out[k] <= 1);
	}
	tone_map(&pq, (const double[]){0.6, 0.5, 0.3}, out); /* orange */
	cr_assert(out[0] > out[1] + 0.1 && out[1] > out[2] + 0.1, "it has lost its colour: %f %f %f", out[0], out[1], out[2]);
}

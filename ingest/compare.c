/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sums of a block fit 32 bits whatever the depth: 64 samples of 12 bits squared are 2^30.
 */
#include "ingest/compare.h"

struct block {
	uint32_t a, b, aa, bb, ab;
};

static inline struct block sum_8(const uint8_t *p, ptrdiff_t p_step, const uint8_t *q, ptrdiff_t q_step)
{
	struct block k = {0};

	for (int j = 0; j < 8; j++, p += p_step, q += q_step)
		for (int i = 0; i < 8; i++) {
			uint32_t u = p[i], v = q[i];

			k.a += u, k.b += v, k.aa += u * u, k.bb += v * v, k.ab += u * v;
		}
	return k;
}

static inline struct block sum_16(const uint8_t *p, ptrdiff_t p_step, const uint8_t *q, ptrdiff_t q_step)
{
	struct block k = {0};

	for (int j = 0; j < 8; j++, p += p_step, q += q_step) {
		const uint16_t *s = (const void *)p, *t = (const void *)q;

		for (int i = 0; i < 8; i++) {
			uint32_t u = s[i], v = t[i];

			k.a += u, k.b += v, k.aa += u * u, k.bb += v * v, k.ab += u * v;
		}
	}
	return k;
}

static double ssim_of(const struct block *k, double c1, double c2)
{
	double ma = k->a / 64.0, mb = k->b / 64.0;
	double va = k->aa / 64.0 - ma * ma, vb = k->bb / 64.0 - mb * mb, cov = k->ab / 64.0 - ma * mb;

	return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
}

void compare_luma(struct compare_plane a, struct compare_plane b, int width, int height, double *ret_ssim, double *ret_error)
{
	const double peak = (1u << a.depth) - 1, c1 = 0.01 * 0.01 * peak * peak, c2 = 0.03 * 0.03 * peak * peak;
	ptrdiff_t wide = a.depth > 8 ? 2 : 1;
	double ssim = 0, error = 0;
	size_t n = 0;

	for (int y = 0; y + 8 <= height; y += 8)
		for (int x = 0; x + 8 <= width; x += 8, n++) {
			const uint8_t *p = a.bytes + y * a.step + x * wide, *q = b.bytes + y * b.step + x * wide;
			struct block k = wide == 2 ? sum_16(p, a.step, q, b.step) : sum_8(p, a.step, q, b.step);

			error += (double)k.aa + (double)k.bb - 2.0 * k.ab;
			ssim += ssim_of(&k, c1, c2);
		}
	*ret_ssim = n > 0 ? ssim / (double)n : 1;
	*ret_error = n > 0 ? error / (64.0 * (double)n * peak * peak) : 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Letters by table: what Unicode's decomposition without marks gives for the
 * scripts that have cases, so that nothing depends on the locale.
 */
#include "origin/fold.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* U+00C0 to U+017F; '*' parts words, '?' is in pairs[]. */
static const char latin[] = "aaaaaa?ceeeeiiiidnooooo*ouuuuy??aaaaaa?ceeeeiiiidnooooo*ouuuuy?y"
                            "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii??jjkkkllllllllll"
                            "nnnnnnnnnoooooo??rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
_Static_assert(sizeof latin - 1 == 0x180 - 0xc0, "a letter is missing");

static const struct pair {
	uint32_t letter;
	const char *plain;
} pairs[] = {
	{0xc6, "ae"}, {0xde, "th"}, {0xdf, "ss"}, {0xe6, "ae"}, {0xfe, "th"}, {0x132, "ij"}, {0x133, "ij"}, {0x152, "oe"}, {0x153, "oe"},
};

/* From first to last each becomes `to`, or, where `step` is not 0, is moved by it. */
static const struct range {
	uint32_t first, last, to;
	int step;
} ranges[] = {
	{0x1a0, 0x1a1, 'o', 0},     {0x1af, 0x1b0, 'u', 0},     {0x1cd, 0x1ce, 'a', 0},     {0x1cf, 0x1d0, 'i', 0},
	{0x1d1, 0x1d2, 'o', 0},     {0x1d3, 0x1dc, 'u', 0},     {0x218, 0x219, 's', 0},     {0x21a, 0x21b, 't', 0},
	{0x386, 0x386, 0x3b1, 0},   {0x388, 0x388, 0x3b5, 0},   {0x389, 0x389, 0x3b7, 0},   {0x38a, 0x38a, 0x3b9, 0},
	{0x38c, 0x38c, 0x3bf, 0},   {0x38e, 0x38e, 0x3c5, 0},   {0x38f, 0x38f, 0x3c9, 0},   {0x390, 0x390, 0x3b9, 0},
	{0x391, 0x3a9, 0, 0x20},    {0x3aa, 0x3aa, 0x3b9, 0},   {0x3ab, 0x3ab, 0x3c5, 0},   {0x3ac, 0x3ac, 0x3b1, 0},
	{0x3ad, 0x3ad, 0x3b5, 0},   {0x3ae, 0x3ae, 0x3b7, 0},   {0x3af, 0x3af, 0x3b9, 0},   {0x3b0, 0x3b0, 0x3c5, 0},
	{0x3c2, 0x3c2, 0x3c3, 0},   {0x3ca, 0x3ca, 0x3b9, 0},   {0x3cb, 0x3cb, 0x3c5, 0},   {0x3cc, 0x3cc, 0x3bf, 0},
	{0x3cd, 0x3cd, 0x3c5, 0},   {0x3ce, 0x3ce, 0x3c9, 0},   {0x401, 0x401, 0x435, 0},   {0x419, 0x419, 0x438, 0},
	{0x400, 0x40f, 0, 0x50},    {0x410, 0x42f, 0, 0x20},    {0x439, 0x439, 0x438, 0},   {0x451, 0x451, 0x435, 0},
	{0x531, 0x556, 0, 0x30},    {0x1ea0, 0x1eb7, 'a', 0},   {0x1eb8, 0x1ec7, 'e', 0},   {0x1ec8, 0x1ecb, 'i', 0},
	{0x1ecc, 0x1ee3, 'o', 0},   {0x1ee4, 0x1ef1, 'u', 0},   {0x1ef2, 0x1ef9, 'y', 0},   {0xff10, 0xff19, 0, -0xfee0},
	{0xff21, 0xff3a, 0, -0xfec0}, {0xff41, 0xff5a, 0, -0xfee0},
};

/* The letter at *p, which moves on; 0 for what is none (and for the end). */
static uint32_t next_letter(const unsigned char **p)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	uint32_t c = *(*p)++;
	unsigned more = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : 0;

	if (c < 0x80)
		return c;
	if (more == 0)
		return 0;
	c &= 0x3fu >> more;
	for (unsigned i = 0; i < more; i++, (*p)++) {
		if ((**p & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (**p & 0x3f);
	}
	return c >= least[more] ? c : 0;
}

static bool is_within(uint32_t c, uint32_t first, uint32_t last)
{
	return c >= first && c <= last;
}

static bool is_alone(uint32_t c)
{
	return is_within(c, 0xe00, 0xe7f) || is_within(c, 0x2e80, 0x2fdf) || is_within(c, 0x3040, 0x30ff) || is_within(c, 0x3400, 0x9fff) ||
	       is_within(c, 0xf900, 0xfaff) || is_within(c, 0x20000, 0x3ffff);
}

static bool parts_words(uint32_t c)
{
	return c < 0xaa || is_within(c, 0xab, 0xb4) || is_within(c, 0xb6, 0xb9) || is_within(c, 0xbb, 0xbf) || is_within(c, 0x2000, 0x206f) ||
	       is_within(c, 0x20a0, 0x20cf) || is_within(c, 0x2190, 0x2bff) || is_within(c, 0x3000, 0x303f) || is_within(c, 0xfe30, 0xfe6f) ||
	       is_within(c, 0xff00, 0xff0f) || is_within(c, 0xff1a, 0xff20) || is_within(c, 0xff3b, 0xff40) || is_within(c, 0xff5b, 0xff65);
}

static bool is_mark(uint32_t c)
{
	return is_within(c, 0x300, 0x36f);
}

static uint32_t plain(uint32_t c)
{
	if (c >= 0xc0 && c < 0x180)
		return (unsigned char)latin[c - 0xc0];
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (is_within(c, ranges[i].first, ranges[i].last))
			return ranges[i].step != 0 ? (uint32_t)((int)c + ranges[i].step) : ranges[i].to;
	return c;
}

struct word {
	char text[FOLD_WORD_SIZE];
	size_t n;
	fold_word_f each;
	void *ctx;
};

static void end_word(struct word *w)
{
	w->text[w->n] = '\0';
	if (w->n > 0)
		w->each(w->ctx, w->text, w->n);
	w->n = 0;
}

static void add_letter(struct word *w, uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (w->n + n >= sizeof w->text)
		return;
	if (n == 1) {
		w->text[w->n++] = (char)c;
		return;
	}
	w->text[w->n++] = (char)(n == 2 ? 0xc0 | c >> 6 : n == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
	for (size_t left = n - 1; left-- > 0;)
		w->text[w->n++] = (char)(0x80 | (c >> 6 * left & 0x3f));
}

static void add_pair(struct word *w, uint32_t c)
{
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		for (const char *s = pairs[i].plain; pairs[i].letter == c && *s != '\0'; s++)
			add_letter(w, (unsigned char)*s);
}

void fold_words(const char *utf8, fold_word_f each, void *ctx)
{
	struct word w = {.n = 0, .each = each, .ctx = ctx};
	const unsigned char *p = (const unsigned char *)utf8;

	while (*p != '\0') {
		uint32_t c = next_letter(&p), to = c;

		if (is_within(c, 'A', 'Z'))
			to = c + 0x20;
		else if (c >= 0x80)
			to = plain(c);
		if (is_mark(c))
			continue;
		if (is_alone(to))
			end_word(&w);
		if (c >= 0xc0 && to == '?')
			add_pair(&w, c);
		else if (is_within(to, 'a', 'z') || is_within(to, '0', '9') || (to >= 0x80 && !parts_words(to)))
			add_letter(&w, to);
		else
			end_word(&w);
		if (is_alone(to))
			end_word(&w);
	}
	end_word(&w);
}

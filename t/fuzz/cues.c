/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles as the player reads them: WebVTT ('v'), TTML ('t'), or both in ISO BMFF
 * ('m': two bytes say where the initialisation segment ends).  Cues come out in
 * order, none is longer than it may be, and none holds a byte that ends a line.
 */
#include <string.h>

#include "base/must.h"
#include "player/cues.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct cues *c)
{
	struct cues_shown shown;
	char out[256];

	MUST(c->n <= CUES_MAX);
	for (size_t i = 0; i < c->n; i++) {
		MUST(c->v[i].text != NULL && strlen(c->v[i].text) <= CUE_MAX_TEXT && strpbrk(c->v[i].text, "\r\n") == NULL);
		MUST(c->v[i].end > c->v[i].start && (i == 0 || c->v[i].start >= c->v[i - 1].start));
	}
	memset(out, 1, sizeof out);
	cues_at(c, c->n > 0 ? c->v[0].start : 0, &shown);
	MUST(shown.n <= CUES_AT_ONCE && (shown.n > 0) == (c->n > 0));
	for (size_t i = 0; i < shown.n; i++) {
		const struct cue_place *p = &shown.v[i].place;

		MUST(memchr(shown.text + shown.v[i].at, 0, sizeof shown.text - shown.v[i].at) != NULL);
		MUST(!p->set || (p->left >= 0 && p->width >= 0 && p->left + p->width <= 1.001f && p->align >= -1 && p->align <= 1 && p->edge >= -1 && p->edge <= 1));
		MUST(!p->set || p->line != CUE_LINE_ROW || (p->row >= -1000 && p->row <= 1000));
	}
	cues_join(&shown, out, sizeof out);
	MUST(memchr(out, 0, sizeof out) != NULL);
}

static int read_mp4(const uint8_t *data, size_t n, struct cues *c)
{
	struct fault f = {0};
	size_t init;

	if (n < 2)
		return 0;
	init = (size_t)data[0] << 8 | data[1];
	if (init > n - 2)
		init = n - 2;
	return cues_from_mp4(data + 2, init, data + 2 + init, n - 2 - init, DUR_S, c, &f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cues c = {0};
	struct fault f = {0};

	if (n == 0)
		return 0;
	if (data[0] == 'v')
		cues_from_vtt((const char *)data + 1, n - 1, 0, &c, &f);
	else if (data[0] == 't')
		cues_from_ttml((const char *)data + 1, n - 1, 0, &c, &f);
	else
		read_mp4(data + 1, n - 1, &c);
	check(&c);
	cues_free(&c);
	return 0;
}

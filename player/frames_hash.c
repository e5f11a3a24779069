/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pictures as lines of text, to be compared with what a package holds.
 */
#include "player/frames_hash.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "player/media.h"

struct frames_hash {
	FILE *out;
	uint8_t *pixels;
	int cap;
	char *path;
};

int frames_hash_new(const char *path, struct frames_hash **ret, struct fault *f)
{
	struct frames_hash *h = mem_new(sizeof *h);

	h->out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	if (h->out == NULL) {
		int e = -errno;

		free(h);
		return fault_set(f, e, "%s: %s", path, words_error(e));
	}
	h->path = mem_dup(path);
	fputs("#pts_us, duration_us, bytes, md5, size\n", h->out);
	*ret = h;
	return 0;
}

void frames_hash_put(struct frames_hash *h, const struct media_frame *m)
{
	const AVFrame *f = m->av;
	int n = av_image_get_buffer_size(f->format, f->width, f->height, 1);
	uint8_t sum[16];

	if (n > h->cap) {
		h->pixels = mem_resize(h->pixels, (size_t)n, 1);
		h->cap = n;
	}
	if (n <= 0 || av_image_copy_to_buffer(h->pixels, n, (const uint8_t *const *)f->data, f->linesize, f->format, f->width,
	                                      f->height, 1) < 0)
		return;
	av_md5_sum(sum, h->pixels, (size_t)n);
	fprintf(h->out, "%lld, %lld, %d, ", (long long)m->pts, (long long)m->duration, n);
	for (int i = 0; i < 16; i++)
		fprintf(h->out, "%02x", sum[i]);
	fprintf(h->out, ", %dx%d\n", f->width, f->height);
}

int frames_hash_end(struct frames_hash **ph, struct fault *f)
{
	struct frames_hash *h = *ph;
	bool bad;

	if (h == NULL)
		return 0;
	bad = fflush(h->out) != 0 || ferror(h->out);
	if (h->out != stdout)
		bad = fclose(h->out) != 0 || bad;
	if (bad)
		fault_set(f, -EIO, _("%s: the hashes could not be written"), h->path);
	free(h->pixels);
	free(h->path);
	free(h);
	*ph = NULL;
	return bad ? -EIO : 0;
}

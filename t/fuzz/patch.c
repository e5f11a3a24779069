/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * MPD patches (a document and its patch, a NUL between them) and parts that stand elsewhere: what comes
 * out is a document that the reader takes or refuses, in bounded size.
 */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "dash/mpd.h"
#include "dash/mpd_link.h"
#include "dash/mpd_patch.h"

#define OUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct part {
	const uint8_t *bytes;
	size_t n;
	unsigned asked;
};

static int get(void *ctx, const char *url, struct buf *out, char **ret_url, struct fault *f)
{
	struct part *p = ctx;

	MUST(++p->asked <= MPD_MAX_LINKS);
	*ret_url = mem_dup(url);
	return buf_append(out, p->bytes, p->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *nul = n > 0 ? memchr(data, 0, n) : NULL;
	size_t at = nul != NULL ? (size_t)(nul - data) : n;
	struct part part = {nul != NULL ? nul + 1 : data + n, nul != NULL ? n - at - 1 : 0, 0};
	struct fault f = {0};
	struct mpd *mpd = NULL;
	struct buf out;

	buf_init(&out, OUT_MAX);
	if (mpd_patch(data, at, part.bytes, part.n, "patch", &out, &f) == 0) {
		mpd_read(out.bytes, out.size, "patched", &mpd, &f);
		mpd_free(&mpd);
	} else {
		MUST(out.size == 0);
	}
	buf_fini(&out);
	buf_init(&out, OUT_MAX);
	mpd_resolve_links(data, at, "fuzz", "http://h/d/x.mpd", get, NULL, &part, &out, &f);
	buf_fini(&out);
	return 0;
}

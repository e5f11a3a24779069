/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: a frame carries its checksum, and what comes out has exactly the promised length, so a damaged one
 * is told and never read as another list.
 */
#include "origin/plan_pack.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/err.h"

/* What is far back has to be found, wherever in the base it stands. */
static int window_for(size_t n)
{
	int log = 20;

	while (log < 31 && ((size_t)1 << log) < n)
		log++;
	return log;
}

static size_t compress(ZSTD_CCtx *ctx, void *to, size_t room, const char *text, size_t n, const char *base, size_t base_n)
{
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, 1);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	if (base != NULL) {
		ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, window_for(n + base_n));
		ZSTD_CCtx_setParameter(ctx, ZSTD_c_enableLongDistanceMatching, 1);
		ZSTD_CCtx_refPrefix(ctx, base, base_n);
	}
	return ZSTD_compress2(ctx, to, room, text, n);
}

int plan_pack(const char *text, size_t n, const char *base, size_t base_n, struct buf *out)
{
	ZSTD_CCtx *ctx;
	size_t packed;
	void *to;

	if (n > PLAN_PACK_MAX)
		return -E2BIG;
	ctx = ZSTD_createCCtx();
	to = buf_reserve(out, ZSTD_compressBound(n));
	packed = ctx != NULL && to != NULL ? compress(ctx, to, ZSTD_compressBound(n), text, n, base, base_n) : SIZE_MAX;
	ZSTD_freeCCtx(ctx);
	if (ZSTD_isError(packed))
		return -ENOMEM; /* there is room for the worst case, so nothing else can be wrong */
	buf_commit(out, packed);
	return 0;
}

int plan_unpack(const void *packed, size_t n, const char *base, size_t base_n, size_t size, char **ret_text)
{
	ZSTD_DCtx *ctx;
	size_t got;
	char *text;

	if (size > PLAN_PACK_MAX)
		return ERR_CORRUPT;
	ctx = ZSTD_createDCtx();
	text = malloc(size + 1);
	if (ctx == NULL || text == NULL) {
		ZSTD_freeDCtx(ctx);
		free(text);
		return -ENOMEM;
	}
	if (base != NULL)
		ZSTD_DCtx_refPrefix(ctx, base, base_n);
	got = ZSTD_decompressDCtx(ctx, text, size, packed, n);
	ZSTD_freeDCtx(ctx);
	if (ZSTD_isError(got) || got != size) {
		free(text);
		return ERR_CORRUPT;
	}
	text[size] = '\0';
	*ret_text = text;
	return 0;
}

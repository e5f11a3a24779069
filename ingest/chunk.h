/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A chunk: some whole segments of one rendition, encoded by themselves, and the
 * file in the work folder that keeps them for an ingest that was interrupted.
 * Its bits depend on the frames and the settings alone, so that a rendition is
 * the same whoever encoded its chunks, where and when.
 */
#ifndef RIBERA_INGEST_CHUNK_H
#define RIBERA_INGEST_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ingest/quality.h"

#define CHUNK_MAX_BYTES ((size_t)1 << 30)

struct chunk_sample {
	uint32_t size;
	bool sync, starts_segment;
	int64_t composition;    /* presentation minus decode time, in frames; what the encoder's delay adds included */
	struct quality quality;
};

struct chunk {
	struct chunk_sample *samples; /* decode order */
	size_t n_samples, cap_samples;
	struct buf data;        /* their bytes, one behind the other */
};

void chunk_init(struct chunk *);
void chunk_fini(struct chunk *);
/* The bytes are copied.  ERR_LIMIT, -ENOMEM. */
int chunk_add(struct chunk *, const struct chunk_sample *, const void *bytes);

/* Written under a temporary name and renamed: a file that is there is whole, unless the
 * machine lost power, which the checksum tells.  -errno. */
int chunk_write(const struct chunk *, const char *path);
/* -ENOENT; ERR_CORRUPT: not what was written; -errno, -ENOMEM. */
int chunk_read(const char *path, struct chunk *ret_chunk);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Written out as text and hashed.
 */
#include "ingest/identity.h"

#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/words.h"

#define FORMAT "chunks 4" /* changes when the same settings mean other chunks */
#define END_BYTES ((size_t)1 << 20)

static int put_end(int fd, uint64_t offset, struct buf *b)
{
	void *bytes = mem_new(END_BYTES);
	ssize_t n = file_pread_all(fd, bytes, END_BYTES, offset);

	if (n > 0)
		buf_append(b, bytes, (size_t)n);
	free(bytes);
	return n < 0 ? (int)n : 0;
}

static int put_file(const char *master, struct buf *b, bool *ret_lasting)
{
	int fd = strcmp(master, "-") != 0 ? open(master, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1, r = 0;
	struct stat st;

	*ret_lasting = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	if (!*ret_lasting) {
		buf_printf(b, "process %ld at %lld\n", (long)getpid(), (long long)clock_mono());
	} else {
		buf_printf(b, "%lld bytes of %lld.%09ld\n", (long long)st.st_size, (long long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
		r = put_end(fd, 0, b);
		if (r == 0 && (uint64_t)st.st_size > END_BYTES)
			r = put_end(fd, (uint64_t)st.st_size - END_BYTES, b);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static void put_plan(const struct plan *p, struct buf *b)
{
	buf_printf(b, "%d/%d frames/s, segments of %u, fields %d\n", p->frame_rate.num, p->frame_rate.den, p->segment_frames, (int)p->fields);
	for (size_t i = 0; i < p->n_rungs; i++) {
		const struct plan_rung *r = &p->rungs[i];

		buf_printf(b, "%s %dx%d %llu %llu %llu %.3f %u\n", r->name, r->width, r->height, (unsigned long long)r->bitrate,
		           (unsigned long long)r->max_rate, (unsigned long long)r->vbv, r->crf, r->chunk_segments);
	}
}

int identity_of(const char *master, const struct plan *plan, const char *preset, const struct plan *av1, const char *av1_preset, char ret_key[static IDENTITY_SIZE], bool *ret_lasting,
                struct fault *f)
{
	char hex[SHA256_HEX_SIZE];
	struct sha256 hash;
	struct buf b;
	int r;

	buf_init(&b, 4 * END_BYTES);
	buf_printf(&b, FORMAT " of " PACKAGE_VERSION " with libavcodec %u, preset %s\n", avcodec_version(), preset);
	put_plan(plan, &b);
	if (av1->n_rungs > 0) {
		buf_printf(&b, "AV1 with preset %s\n", av1_preset);
		put_plan(av1, &b);
	}
	r = put_file(master, &b, ret_lasting);
	if (r == 0)
		r = buf_error(&b);
	sha256_of(b.bytes, b.size, &hash);
	buf_fini(&b);
	if (r != 0)
		return fault_set(f, r, _("%s: cannot be read: %s"), master, words_error(r));
	sha256_to_hex(&hash, hex);
	memcpy(ret_key, hex, IDENTITY_SIZE - 1);
	ret_key[IDENTITY_SIZE - 1] = '\0';
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: a bit is set only after its bytes were written and verified, with
 * release order; `held` counts a piece exactly while its word is full.
 */
#include "edge/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rcu.h"
#include "dash/mpd.h"
#include "dash/package.h"

bool copy_is_manifest(const struct copy *c)
{
	return strcmp(c->name, PACKAGE_MANIFEST) == 0 && c->object.size <= MPD_MAX_BYTES;
}

struct package *package_ref(struct package *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

/* The copies hold references of the package, so the last one to go finds none of them. */
void package_unref(struct package **pp)
{
	struct package *p = *pp;

	*pp = NULL;
	if (p == NULL || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	digest_free(&p->digest);
	free(p->copies);
	free(p->seen);
	free(p->ranks);
	free(p->keep);
	free(p->folder);
	free(p->title);
	free(p);
}

bool package_is_whole(const struct package *p)
{
	for (size_t i = 0; i < p->n_copies; i++) {
		const struct copy *c = __atomic_load_n(&p->copies[i], __ATOMIC_ACQUIRE);

		if (c == NULL || !copy_is_kept(c))
			return false;
	}
	return true;
}

bool package_keeps(const struct package *p, size_t index)
{
	return __atomic_load_n(&p->keep[index], __ATOMIC_RELAXED) != 0;
}

bool package_is_filled(const struct package *p)
{
	for (size_t i = 0; i < p->n_copies; i++) {
		const struct copy *c = __atomic_load_n(&p->copies[i], __ATOMIC_ACQUIRE);

		if (package_keeps(p, i) && (c == NULL || !copy_is_kept(c)))
			return false;
	}
	return __atomic_load_n(&p->hold, __ATOMIC_RELAXED) != 0;
}

uint64_t package_held(const struct package *p)
{
	uint64_t held = 0;

	for (size_t i = 0; i < p->digest->n_files; i++) {
		const struct copy *c = __atomic_load_n(&p->copies[i], __ATOMIC_ACQUIRE);

		held += c != NULL ? __atomic_load_n(&c->held, __ATOMIC_RELAXED) : 0;
	}
	return held;
}

static bool is_name(const char *name, const char *s, size_t n)
{
	return strlen(name) == n && memcmp(name, s, n) == 0;
}

int package_find(const struct package *p, const char *name, size_t n)
{
	if (is_name(PACKAGE_DIGEST, name, n))
		return (int)PACKAGE_TORRENT_AT(p);
	if (is_name(PACKAGE_LEAVES, name, n))
		return (int)PACKAGE_LEAVES_AT(p);
	return digest_find(p->digest, name, n);
}

/* --- copies -------------------------------------------------------------------------- */

struct copy *copy_of_object(struct serve_object *o)
{
	return (struct copy *)o; /* the first member */
}

struct copy *copy_ref(struct copy *c)
{
	serve_object_ref(&c->object);
	return c;
}

void copy_unref(struct copy **pc)
{
	struct serve_object *o = *pc != NULL ? &(*pc)->object : NULL;

	*pc = NULL;
	serve_object_unref(&o);
}

struct copy *copy_new(struct package *p, size_t index, const char *name, uint64_t size, const char *etag,
                      const struct serve_object_ops *ops)
{
	struct copy *c = mem_new(sizeof *c);

	c->package = package_ref(p);
	c->index = index;
	c->name = name;
	c->etag = mem_dup(etag);
	c->n_pieces = (size_t)((size + DIGEST_PIECE - 1) / DIGEST_PIECE);
	c->blocks = mem_new_array(c->n_pieces + 1, sizeof *c->blocks);
	c->journalled = mem_new_array(c->n_pieces / 64 + 1, sizeof *c->journalled);
	c->object = (struct serve_object){
		.magic = SERVE_OBJECT_MAGIC,
		.refs = 1,
		.fd = -1,
		.size = size,
		.type = package_media_type(name, strlen(name)),
		.etag = c->etag,
		.cache_control = PACKAGE_CACHE_IMMUTABLE,
		.ops = ops,
	};
	return c;
}

static int open_at_size(const char *path, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct stat st;
	int r;

	if (fd < 0 && errno == EROFS) /* what is here can be read all the same */
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && size == 0) /* an empty file needs no disk */
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && ((uint64_t)st.st_size == size || ftruncate(fd, (off_t)size) == 0))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* A file that is whole was last written when its bytes came. */
static wall_us came_at(const struct copy *c, int fd)
{
	struct stat st;

	return copy_is_whole(c) && fstat(fd, &st) == 0 ? (wall_us)st.st_mtim.tv_sec * DUR_S : clock_wall();
}

int copy_open(struct copy *c)
{
	int none = -1, fd;
	wall_us since;
	char *path;

	if (__atomic_load_n(&c->object.fd, __ATOMIC_ACQUIRE) >= 0)
		return 0;
	if (__atomic_load_n(&c->gone, __ATOMIC_ACQUIRE))
		return ERR_NOT_FOUND; /* its name may be another copy's by now */
	path = path_join(c->package->folder, c->name);
	fd = open_at_size(path, c->object.size);
	free(path);
	if (fd < 0)
		return fd;
	since = came_at(c, fd);
	if (!__atomic_compare_exchange_n(&c->object.fd, &none, fd, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		close(fd); /* another thread was first */
	else
		__atomic_store_n(&c->object.since, since, __ATOMIC_RELAXED);
	return 0;
}

int copy_open_object(struct serve_object *o)
{
	struct copy *c = copy_of_object(o);
	int r = __atomic_load_n(&c->held, __ATOMIC_ACQUIRE) > 0 ? copy_open(c) : 0;

	if (r < 0 && r != ERR_NOT_FOUND)
		copy_fail(c, r, clock_mono() + DUR_S);
	return r;
}

int copy_make_writable(struct copy *c)
{
	char *path;
	int fd, r = 0;

	if ((fcntl(copy_fd(c), F_GETFL) & O_ACCMODE) != O_RDONLY)
		return 0;
	path = path_join(c->package->folder, c->name);
	fd = open_at_size(path, c->object.size);
	free(path);
	if (fd < 0)
		return fd;
	/* in place: viewers have the number */
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		r = -EROFS;
	else if (dup3(fd, copy_fd(c), O_CLOEXEC) < 0)
		r = -errno;
	close(fd);
	return r;
}

uint64_t copy_piece_size(const struct copy *c, size_t piece)
{
	uint64_t left = c->object.size - piece * DIGEST_PIECE;

	return left < DIGEST_PIECE ? left : DIGEST_PIECE;
}

uint64_t copy_full_word(const struct copy *c, size_t piece)
{
	uint64_t blocks = (copy_piece_size(c, piece) + DIGEST_BLOCK - 1) / DIGEST_BLOCK;

	return blocks == 64 ? UINT64_MAX : (UINT64_C(1) << blocks) - 1;
}

static uint64_t word(const struct copy *c, size_t piece)
{
	return __atomic_load_n(&c->blocks[piece], __ATOMIC_ACQUIRE);
}

bool copy_has_piece(const struct copy *c, size_t piece)
{
	return word(c, piece) == copy_full_word(c, piece);
}

bool copy_is_bare(const struct copy *c, size_t piece, uint64_t first, uint64_t end)
{
	for (uint64_t block = first / DIGEST_BLOCK; block * DIGEST_BLOCK < end; block++)
		if ((word(c, piece) >> block & 1) != 0)
			return false;
	return true;
}

bool copy_is_whole(const struct copy *c)
{
	return __atomic_load_n(&c->held, __ATOMIC_ACQUIRE) == c->object.size;
}

bool copy_is_kept(const struct copy *c)
{
	bool small = c->index >= c->package->digest->n_files; /* the digest's own are synced before they are shown */

	return copy_is_whole(c) && (small || __atomic_load_n(&c->n_kept, __ATOMIC_ACQUIRE) == c->n_pieces);
}

/* Blocks of the piece in memory; inside an RCU section. */
static uint64_t passage_word(const struct passage *w, size_t piece)
{
	return w != NULL ? __atomic_load_n(&w->blocks[piece], __ATOMIC_ACQUIRE) : 0;
}

/* From a block on, so many bits in a row. */
static unsigned run_of(uint64_t word, unsigned block)
{
	uint64_t missing = ~word >> block;

	return missing == 0 ? 64 - block : (unsigned)__builtin_ctzll(missing);
}

static uint64_t ready_to(const struct copy *c, const struct passage *w, uint64_t at, uint64_t end)
{
	while (at < end) {
		size_t piece = (size_t)(at / DIGEST_PIECE);
		unsigned block = (unsigned)(at % DIGEST_PIECE / DIGEST_BLOCK);
		unsigned run = run_of(word(c, piece) | passage_word(w, piece), block);

		if (run == 0)
			break;
		at = piece * DIGEST_PIECE + (block + run) * DIGEST_BLOCK;
		if (block + run < 64)
			break;
	}
	return at < end ? at : end;
}

uint64_t copy_ready(const struct copy *c, uint64_t offset, uint64_t length)
{
	uint64_t size = c->object.size, end;

	if (offset >= size)
		return 0;
	end = length < size - offset ? offset + length : size;
	if (copy_is_whole(c))
		return end - offset;
	if (RCU_LOAD(&c->passage) == NULL)
		return ready_to(c, NULL, offset, end) - offset;
	rcu_read_begin();
	end = ready_to(c, RCU_LOAD(&c->passage), offset, end);
	rcu_read_end();
	return end - offset;
}

int copy_source(const struct copy *c, uint64_t offset, uint64_t *length)
{
	const struct passage *w;
	size_t piece = (size_t)(offset / DIGEST_PIECE);
	uint64_t in_piece = offset % DIGEST_PIECE, here;
	unsigned block = (unsigned)(in_piece / DIGEST_BLOCK), run;
	int fd = __atomic_load_n(&c->object.fd, __ATOMIC_ACQUIRE);

	if (copy_is_whole(c))
		return fd;
	w = RCU_LOAD(&c->passage);
	run = run_of(word(c, piece), block);
	if (run == 0) {
		run = run_of(passage_word(w, piece), block);
		fd = w != NULL ? w->fd : -1;
	}
	here = (block + run) * DIGEST_BLOCK - in_piece;
	if (run == 0)
		return -1;
	if (here < *length)
		*length = here;
	return fd;
}

bool copy_shows_piece(const struct copy *c, size_t piece)
{
	uint64_t size = copy_piece_size(c, piece);

	return copy_ready(c, piece * DIGEST_PIECE, size) == size;
}

void copy_show_blocks(struct copy *c, size_t piece, unsigned first, unsigned n)
{
	uint64_t bits = n == 64 ? UINT64_MAX : ((UINT64_C(1) << n) - 1) << first;
	uint64_t full = copy_full_word(c, piece);
	uint64_t before = __atomic_fetch_or(&c->blocks[piece], bits, __ATOMIC_ACQ_REL);

	if (before != full && (before | bits) == full)
		__atomic_add_fetch(&c->held, copy_piece_size(c, piece), __ATOMIC_ACQ_REL);
}

bool copy_hide_piece(struct copy *c, size_t piece)
{
	bool was_whole = __atomic_exchange_n(&c->blocks[piece], 0, __ATOMIC_ACQ_REL) == copy_full_word(c, piece);

	if (was_whole)
		__atomic_sub_fetch(&c->held, copy_piece_size(c, piece), __ATOMIC_ACQ_REL);
	return was_whole;
}

void copy_fail(struct copy *c, int code, mono_us until)
{
	__atomic_store_n(&c->fail_code, code, __ATOMIC_RELAXED);
	__atomic_store_n(&c->fail_until, until, __ATOMIC_RELEASE);
}

int copy_failure(const struct copy *c, mono_us now)
{
	mono_us until = __atomic_load_n(&c->fail_until, __ATOMIC_ACQUIRE);

	return until > now ? __atomic_load_n(&c->fail_code, __ATOMIC_RELAXED) : 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Keeps loops from waiting for disks.  Before bytes of a file are sent, the page
 * cache is asked whether they are there; when not, a small pool of threads reads
 * them and the reply goes on when they are.  Files are opened by these threads too.
 *
 * What was seen to be there is believed for 4 to 8 seconds, so that files in
 * demand cost nothing: one mark for every 256 KiB of an object.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/mem.h"
#include "serve/inner.h"

#define CHUNK ((uint64_t)256 << 10)
#define STEP (64 << 10)              /* between the bytes that are asked for */
#define AHEAD ((uint64_t)1 << 20)    /* read for one reply at once, and announced behind that */
#define BLOCK ((uint64_t)2 << 20)    /* as large as folios come */
#define BUFFER (128 << 10)
#define N_READERS 8

struct job {
	struct job *next;
	struct serve_object *object; /* one reference; or NULL */
	struct serve_waiter *waiter; /* one reference */
	uint64_t offset, length;
	bool to_open; /* and no more */
	struct beside *beside; /* NULL: the object is meant */
};

struct disk {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more;
	struct job *first, **last;
	unsigned n_threads, n_idle, n_jobs;
	bool quit;
	pthread_t threads[N_READERS];
};

/* --- marks ------------------------------------------------------------------------- */

static uint16_t mark_of(wall_us now)
{
	return (uint16_t)((now / (4 * DUR_S) & 0x7fff) | 0x8000);
}

static bool is_fresh(uint16_t mark, uint16_t now)
{
	return mark != 0 && ((now - mark) & 0x7fff) <= 1;
}

static uint16_t *marks_of(struct serve_object *o)
{
	uint16_t *marks = __atomic_load_n(&o->warm, __ATOMIC_ACQUIRE), *none = NULL;

	if (marks != NULL)
		return marks;
	marks = mem_new_array((size_t)(o->size / CHUNK) + 1, sizeof *marks);
	if (__atomic_compare_exchange_n(&o->warm, &none, marks, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return marks;
	free(marks); /* another thread was first */
	return none;
}

/* Asked byte by byte, STEP apart: what is between was read and is given up together with them. */
static bool is_resident(int fd, uint64_t offset, uint64_t end)
{
	char byte;
	struct iovec v = {&byte, 1};

	for (uint64_t at = offset; at < end; at += STEP)
		if (preadv2(fd, &v, 1, (off_t)at, RWF_NOWAIT) != 1)
			return false;
	return preadv2(fd, &v, 1, (off_t)end - 1, RWF_NOWAIT) == 1;
}

uint64_t disk_warm(struct lane *l, struct serve_object *o, uint64_t offset, uint64_t length)
{
	uint16_t *marks = marks_of(o), now = mark_of(h2o_get_timestamp(&l->ctx, NULL, NULL)->tv_sec * DUR_S);
	uint64_t at = offset, end = offset + length;

	while (at < end) {
		uint64_t chunk = at / CHUNK, first = chunk * CHUNK, stop = first + CHUNK < o->size ? first + CHUNK : o->size;

		if (!is_fresh(__atomic_load_n(&marks[chunk], __ATOMIC_RELAXED), now)) {
			if (is_resident(o->fd, first, stop))
				__atomic_store_n(&marks[chunk], now, __ATOMIC_RELAXED);
			else if ((first == at && stop <= end) || !is_resident(o->fd, at, stop < end ? stop : end))
				break;
		}
		at = stop;
	}
	return (at < end ? at : end) - offset;
}

/* --- readers ----------------------------------------------------------------------- */

static int read_all(int fd, char *buffer, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		ssize_t n = pread(fd, buffer, end - offset < BUFFER ? (size_t)(end - offset) : BUFFER, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : ERR_TRUNCATED;
		offset += (uint64_t)n;
	}
	return 0;
}

/* As one folio, where the file system has such: they cost less whenever they are sent than what an announcement reads
 * page by page (t/bench/folios).  A fault of a mapping that asks for huge pages is the one way to have that, and this call the one
 * that cannot end in a signal.  It may do nothing: everything is read afterwards. */
static void read_block(int fd, uint64_t block, uint64_t from)
{
	void *p = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, (off_t)block);

	if (p == MAP_FAILED)
		return;
	if (madvise(p, BLOCK, MADV_HUGEPAGE) == 0 && madvise(p, BLOCK, MADV_RANDOM) == 0) /* random: this block alone */
		(void)madvise((char *)p + (from - block) / 4096 * 4096, 1, MADV_POPULATE_READ);
	munmap(p, BLOCK);
}

/* Begins to read what is wanted, and announces what is behind that.  Blocks of which little is wanted are left alone. */
static void announce(int fd, uint64_t offset, uint64_t end, uint64_t size)
{
	uint64_t next = end + AHEAD < size ? end + AHEAD : size;

	for (uint64_t block = offset / BLOCK * BLOCK; block < end; block += BLOCK) {
		uint64_t from = offset > block ? offset : block, to = next < block + BLOCK ? next : block + BLOCK;

		if (to - from >= BLOCK / 2 && !is_resident(fd, from, to))
			read_block(fd, block, from);
		else
			(void)posix_fadvise(fd, (off_t)from, (off_t)(to - from), POSIX_FADV_WILLNEED);
	}
}

/* Whole chunks, so that they can be marked. */
static int run(const struct job *j, char *buffer)
{
	struct serve_object *o = j->object;
	uint64_t first = j->offset / CHUNK, offset = first * CHUNK;
	uint64_t end = (j->offset + j->length + CHUNK - 1) / CHUNK * CHUNK;
	int error;

	if (j->beside != NULL)
		return 0;
	if (j->to_open)
		return object_is_open(o) ? 0 : o->ops->open(o);
	if (end > o->size)
		end = o->size;
	announce(o->fd, offset, end, o->size);
	error = read_all(o->fd, buffer, offset, end);
	for (uint64_t i = first; error == 0 && i * CHUNK < end; i++)
		__atomic_store_n(&marks_of(o)[i], mark_of(clock_wall()), __ATOMIC_RELAXED);
	return error;
}

static struct job *pop(struct disk *d)
{
	struct job *j = d->first;

	if (j == NULL)
		return NULL;
	d->n_jobs--;
	if ((d->first = j->next) == NULL)
		d->last = &d->first;
	return j;
}

static void finish(struct job *j, int error)
{
	if (j->beside != NULL)
		beside_work(j->beside, error == ERR_CANCELLED);
	serve_object_unref(&j->object);
	body_wake(j->waiter, error);
	free(j);
}

static void *reader(void *arg)
{
	struct disk *d = arg;
	char *buffer = mem_new(BUFFER);
	struct job *j;
	bool quit;

	pthread_mutex_lock(&d->lock);
	for (;;) {
		d->n_idle++;
		while (d->first == NULL && !d->quit)
			pthread_cond_wait(&d->more, &d->lock);
		d->n_idle--;
		if ((j = pop(d)) == NULL)
			break;
		quit = d->quit; /* whoever waits is to know */
		pthread_mutex_unlock(&d->lock);
		finish(j, quit ? ERR_CANCELLED : run(j, buffer));
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	free(buffer);
	return NULL;
}

struct disk *disk_new(void)
{
	struct disk *d = mem_new(sizeof *d);

	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->more, NULL);
	d->last = &d->first;
	return d;
}

void disk_free(struct disk **pd)
{
	struct disk *d = *pd;

	*pd = NULL;
	if (d == NULL)
		return;
	pthread_mutex_lock(&d->lock);
	d->quit = true;
	pthread_cond_broadcast(&d->more);
	pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i < d->n_threads; i++)
		pthread_join(d->threads[i], NULL);
	pthread_cond_destroy(&d->more);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* Without a single reader the loop has to do it. */
static void run_here(struct job *j)
{
	char *buffer = mem_new(BUFFER);
	int error = run(j, buffer);

	free(buffer);
	finish(j, error);
}

static void add(struct disk *d, const struct job *job)
{
	struct job *j = mem_new(sizeof *j);

	*j = *job;
	pthread_mutex_lock(&d->lock);
	*d->last = j;
	d->last = &j->next;
	if (++d->n_jobs > d->n_idle && d->n_threads < N_READERS && pthread_create(&d->threads[d->n_threads], NULL, reader, d) == 0)
		d->n_threads++;
	j = d->n_threads == 0 ? pop(d) : NULL;
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
	if (j != NULL)
		run_here(j);
}

void disk_open(struct disk *d, struct serve_object *o, struct serve_waiter *w)
{
	add(d, &(struct job){.object = serve_object_ref(o), .waiter = w, .to_open = true});
}

void disk_work(struct disk *d, struct beside *b, struct serve_waiter *w)
{
	add(d, &(struct job){.beside = b, .waiter = w});
}

void disk_fetch(struct disk *d, struct serve_object *o, uint64_t offset, uint64_t length, struct serve_waiter *w)
{
	add(d, &(struct job){.object = serve_object_ref(o), .waiter = w, .offset = offset, .length = length < AHEAD ? length : AHEAD});
}

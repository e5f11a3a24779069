/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GET /api/v1/backup: a thread of its own makes the copy, which may take minutes, and
 * the reply reads it piece by piece, so that neither heartbeats nor memory suffer by
 * a large catalogue.  The copy has no name any more once it is read from: whatever
 * dies, nothing is left behind.  One at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/origin.h"
#include "origin/reply.h"
#include "serve/serve.h"

#define PIECE ((size_t)1 << 20)
#define TYPE "application/vnd.sqlite3"

struct backup {
	pthread_mutex_t lock; /* guards all below */
	unsigned refs;        /* the thread and the reply */
	char *from, *path;
	int fd;               /* of the copy; -1: not yet */
	int error;            /* why there is none */
	uint64_t offset;
	struct serve_waiter *waiter; /* of a reply that waits for the copy */
};

static atomic_flag is_running = ATOMIC_FLAG_INIT;

/* The threads, of which the older one may be at its last line: whoever ends waits for it, or its file would stay. */
static struct {
	pthread_mutex_t lock; /* guards `n` */
	pthread_cond_t ended;
	unsigned n;
	atomic_bool stop;
} copying = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void note_running(int more)
{
	pthread_mutex_lock(&copying.lock);
	copying.n += (unsigned)more;
	pthread_cond_signal(&copying.ended);
	pthread_mutex_unlock(&copying.lock);
}

void api_backup_stop(void)
{
	atomic_store(&copying.stop, true);
	pthread_mutex_lock(&copying.lock);
	while (copying.n > 0)
		pthread_cond_wait(&copying.ended, &copying.lock);
	pthread_mutex_unlock(&copying.lock);
}

static void unref(struct backup *b)
{
	bool last;

	pthread_mutex_lock(&b->lock);
	last = --b->refs == 0;
	pthread_mutex_unlock(&b->lock);
	if (!last)
		return;
	if (b->fd >= 0)
		close(b->fd);
	pthread_mutex_destroy(&b->lock);
	free(b->from);
	free(b->path);
	free(b);
	atomic_flag_clear(&is_running);
}

static void *copy(void *arg)
{
	struct backup *b = arg;
	struct serve_waiter *waiter;
	struct fault f = {0};
	int fd = -1, e;

	unlink(b->path); /* of a process that was killed */
	e = catalogue_copy(b->from, b->path, &copying.stop, &f);
	if (e == 0 && (fd = open(b->path, O_RDONLY | O_CLOEXEC)) < 0)
		e = fault_set(&f, -errno, "the copy \"%s\": %s", b->path, err_text(-errno));
	unlink(b->path);
	if (e != 0 && e != ERR_CANCELLED)
		log_error("origin/backup", "%s", fault_text(&f));
	pthread_mutex_lock(&b->lock);
	b->fd = fd;
	b->error = e;
	waiter = b->waiter;
	b->waiter = NULL;
	pthread_mutex_unlock(&b->lock);
	if (waiter != NULL)
		serve_wake(waiter);
	unref(b);
	note_running(-1);
	return NULL;
}

static int read_piece(struct backup *b, struct blob **ret_piece)
{
	struct buf buf;
	ssize_t n;
	void *room = mem_try(PIECE, 1);

	if (room == NULL)
		return SERVE_STREAM_CUT;
	do
		n = pread(b->fd, room, PIECE, (off_t)b->offset);
	while (n < 0 && errno == EINTR);
	buf_init(&buf, PIECE);
	if (n > 0 && buf_append(&buf, room, (size_t)n) == 0)
		*ret_piece = blob_take_buf(&buf);
	buf_fini(&buf);
	free(room);
	if (n <= 0)
		return n == 0 ? -ENODATA : SERVE_STREAM_CUT;
	b->offset += (uint64_t)n;
	return *ret_piece != NULL ? 1 : SERVE_STREAM_CUT;
}

static int next(void *ctx, struct serve_waiter *waiter, struct blob **ret_piece)
{
	struct backup *b = ctx;
	int r = 0;

	pthread_mutex_lock(&b->lock);
	if (b->error != 0)
		r = SERVE_STREAM_CUT; /* what came so far must not pass for a whole */
	else if (b->fd >= 0)
		r = read_piece(b, ret_piece);
	else
		b->waiter = serve_waiter_ref(waiter);
	pthread_mutex_unlock(&b->lock);
	return r;
}

static void leave(void *ctx)
{
	unref(ctx);
}

void api_backup(struct api_call *c)
{
	static const struct serve_header fields[] = {
		{"cache-control", "no-store"}, {"content-disposition", "attachment; filename=\"catalogue.sqlite\""}};
	static const struct serve_stream_ops ops = {next, leave};
	char problem[256];
	struct backup *b;
	pthread_t thread;

	catalogue_problem(c->origin->catalogue, problem, sizeof problem);
	if (problem[0] != '\0') {
		reply_problem(c->req, 503, "%s", problem);
		return;
	}
	if (strcmp(serve_method(c->req), "HEAD") == 0) { /* no copy is made to be thrown away */
		serve_reply(c->req, 200, TYPE, NULL, fields, 2);
		return;
	}
	if (atomic_flag_test_and_set(&is_running)) {
		reply_problem(c->req, 503, "a copy is being made for somebody else: try again in a while");
		return;
	}
	b = mem_new(sizeof *b);
	*b = (struct backup){.refs = 2, .fd = -1, .from = catalogue_beside(c->origin->catalogue, ""),
	                     .path = catalogue_beside(c->origin->catalogue, ".copy")};
	pthread_mutex_init(&b->lock, NULL);
	note_running(1);
	if (pthread_create(&thread, NULL, copy, b) != 0) {
		note_running(-1);
		b->refs = 1;
		unref(b);
		reply_problem(c->req, 503, "no thread can be started for the copy");
		return;
	}
	pthread_detach(thread);
	serve_reply_stream(c->req, TYPE, fields, 2, &ops, b);
}

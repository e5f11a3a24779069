/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Edges, not levels: the presenter reads until nothing is left, so what is told once
 * is enough, and a descriptor that nobody reads keeps nobody awake.
 */
#include "player/wake.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "player/hub.h"

struct wake {
	struct hub *hub;
	pthread_t thread;
	int epoll;
	atomic_bool end;
};

static atomic_int bell = -1; /* an eventfd: all that a signal handler may touch */

void wake_signal(void)
{
	const uint64_t one = 1;
	int saved = errno, fd = atomic_load(&bell);

	if (fd >= 0 && write(fd, &one, sizeof one) < 0)
		errno = 0; /* full: it rings already */
	errno = saved;
}

static void *run(void *ctx)
{
	struct wake *w = ctx;
	struct epoll_event e[8];

	while (!atomic_load(&w->end)) {
		if (epoll_wait(w->epoll, e, 8, -1) < 0 && errno != EINTR)
			break;
		hub_lock(w->hub);
		w->hub->poked = true;
		hub_ring(w->hub);
		hub_unlock(w->hub);
	}
	return NULL;
}

static void close_all(struct wake *w)
{
	int fd = atomic_exchange(&bell, -1);

	if (fd >= 0)
		close(fd);
	if (w->epoll >= 0)
		close(w->epoll);
}

struct wake *wake_new(struct hub *hub)
{
	struct wake *w = mem_new(sizeof *w);
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	w->hub = hub;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	atomic_store(&bell, fd);
	wake_watch(w, fd);
	if (fd < 0 || w->epoll < 0 || pthread_create(&w->thread, NULL, run, w) != 0) {
		close_all(w);
		free(w);
		return NULL;
	}
	return w;
}

void wake_watch(struct wake *w, int fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};

	if (w != NULL && fd >= 0)
		epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e); /* a file or a second time: nothing to wait for */
}

void wake_free(struct wake **pw)
{
	struct wake *w = *pw;

	if (w == NULL)
		return;
	atomic_store(&w->end, true);
	wake_signal();
	pthread_join(w->thread, NULL);
	close_all(w);
	free(w);
	*pw = NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One thread, a signalfd and an eventfd.  Whether a line can be logged is asked first: what hangs may be who reads the log.
 */
#include "base/ending.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/notify.h"

#define MARGIN (10 * DUR_S) /* of what the manager is told */

struct ending {
	const char *where;
	enum phase { STARTS, RUNS, ENDS } phase;
	dur_us grace;
	mono_us until; /* INT64_MAX: not known yet */
	void (*restart)(void *ctx);
	void *ctx;
	int signals, over;
	pthread_t thread;
};

static bool can_log(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static void end_now(const struct ending *e)
{
	if (e->phase == STARTS)
		notify_manager("STOPPING=1");
	if (can_log())
		log_info(e->where, e->phase == STARTS ? "told to end while it starts" : "told to end again: what is in flight is cut");
	_exit(0);
}

static void end_late(const struct ending *e)
{
	if (can_log())
		log_error(e->where, "something does not end, a disk that does not answer perhaps: %s without it", e->restart != NULL ? "restarting" : "ending");
	if (e->restart != NULL)
		e->restart(e->ctx);
	_exit(e->restart != NULL);
}

/* Milliseconds until something is due. */
static int pause_of(const struct ending *e)
{
	dur_us left = e->until - clock_mono(), alive = e->phase == ENDS ? notify_watchdog() : 0;

	if (e->until == INT64_MAX)
		return -1;
	if (alive > 0 && alive < left)
		left = alive;
	return left > 0 ? (int)(left / DUR_MS) + 1 : 0;
}

static void *run(void *arg)
{
	struct ending *e = arg;
	struct pollfd fds[] = {{.fd = e->over, .events = POLLIN}, {.fd = e->restart == NULL ? e->signals : -1, .events = POLLIN}};

	for (;;) {
		int n;

		if (e->phase == ENDS && notify_watchdog() > 0)
			notify_manager("WATCHDOG=1");
		n = poll(fds, 2, pause_of(e));
		if (n > 0 && fds[0].revents != 0)
			return NULL;
		if (n > 0 && fds[1].revents != 0 && e->phase != RUNS)
			end_now(e);
		if (n > 0 && fds[1].revents != 0) { /* looked at, not read: it is the main thread's */
			e->until = clock_mono() + e->grace + ENDING_REST;
			fds[1].fd = -1;
		}
		if (clock_mono() >= e->until)
			end_late(e);
	}
}

static void release(struct ending *e)
{
	if (e->signals >= 0)
		close(e->signals);
	if (e->over >= 0)
		close(e->over);
	free(e);
}

static struct ending *begin(const struct ending *settings)
{
	struct ending *e = mem_new(sizeof *e);
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	*e = *settings;
	e->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	e->over = eventfd(0, EFD_CLOEXEC);
	if (e->signals < 0 || e->over < 0 || pthread_create(&e->thread, NULL, run, e) != 0) {
		release(e);
		return NULL;
	}
	return e;
}

struct ending *ending_of_start(const char *where)
{
	return begin(&(struct ending){.where = where, .phase = STARTS, .until = INT64_MAX});
}

struct ending *ending_of_run(const char *where, dur_us grace)
{
	return begin(&(struct ending){.where = where, .phase = RUNS, .grace = grace, .until = INT64_MAX});
}

struct ending *ending_of_end(const char *where, dur_us grace, void (*restart)(void *ctx), void *ctx)
{
	notify_manager("EXTEND_TIMEOUT_USEC=%lld", (long long)(grace + ENDING_REST + MARGIN));
	return begin(&(struct ending){.where = where, .phase = ENDS, .until = clock_mono() + grace + ENDING_REST, .restart = restart, .ctx = ctx});
}

void ending_of_terminal(const struct sigaction *how)
{
	struct sigaction before;

	if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGHUP, how, NULL);
}

void ending_over(struct ending **pe)
{
	struct ending *e = *pe;

	if (e == NULL)
		return;
	*pe = NULL;
	MUST(write(e->over, &(uint64_t){1}, sizeof(uint64_t)) == (ssize_t)sizeof(uint64_t));
	pthread_join(e->thread, NULL);
	release(e);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How late a loop is: by how much its tick comes after its time, and how long a
 * message to itself waits among the events of everybody else.  A loop that is
 * later than max_lag for a second on end has more work than it can do; new
 * connections are sent away then, so that those it has go on.
 *
 * One late sample says nothing (a machine that was stopped for a moment), a
 * queue that stands does.
 */
#include "base/counter.h"
#include "serve/inner.h"

#define STANDING DUR_S

static void sample(struct lane *l, dur_us lag, mono_us now)
{
	dur_us max = __atomic_load_n(&l->serve->settings.max_lag, __ATOMIC_RELAXED);

	counters_observe(l->serve->counters, C_LAG, lag);
	if (max == 0 || lag <= max) {
		l->lag.late_since = 0;
		l->lag.full = false;
		return;
	}
	if (l->lag.late_since == 0)
		l->lag.late_since = now;
	l->lag.full = now - l->lag.late_since >= STANDING;
}

static void on_message(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
	struct lane *l = H2O_STRUCT_FROM_MEMBER(struct lane, lag.receiver, receiver);
	mono_us now = clock_mono();
	dur_us queued = now - l->lag.sent;

	h2o_linklist_unlink(&l->lag.message.link);
	l->lag.sent = 0;
	sample(l, queued > l->lag.tick ? queued : l->lag.tick, now);
}

void lag_tick(struct lane *l, dur_us interval)
{
	mono_us now = clock_mono();

	l->lag.tick = l->lag.ticked > 0 && now > l->lag.ticked + interval ? now - l->lag.ticked - interval : 0;
	l->lag.ticked = now;
	if (l->lag.sent > 0) /* still on its way */
		return;
	l->lag.sent = now;
	h2o_multithread_send_message(&l->lag.receiver, &l->lag.message);
}

void lag_begin(struct lane *l)
{
	h2o_multithread_register_receiver(l->ctx.queue, &l->lag.receiver, on_message);
}

void lag_end(struct lane *l)
{
	while (l->lag.sent > 0)
		h2o_evloop_run(l->loop, 10);
	h2o_multithread_unregister_receiver(l->ctx.queue, &l->lag.receiver);
}

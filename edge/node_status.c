/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the node tells of itself: to the origin with every heartbeat, to whoever
 * asks /healthz, to the service manager.  Read from the view that viewers have,
 * so it waits for nobody.
 */
#include <config.h>

#include "edge/node_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/notify.h"
#include "base/rcu.h"
#include "base/str.h"
#include "edge/counts.h"

const char *node_status_trouble(void *ctx)
{
	struct node *n = ctx;
	const char *trouble = store_trouble(n->store);

	if (trouble != NULL)
		return trouble;
	return contact_has_plan(n->contact) ? NULL : "no plan from the origin yet";
}

/* It has something to serve by; trouble with the disk does not end that. */
bool node_status_ready(void *ctx)
{
	struct node *n = ctx;

	return contact_has_plan(n->contact);
}

bool node_status_send_away(void *ctx)
{
	struct node *n = ctx;

	return contact_sends_away(n->contact);
}

static void add_parts(struct contact_status *s, const struct package *p, size_t *cap)
{
	for (size_t i = 0; i < p->digest->n_files; i++) {
		if (!package_keeps(p, i))
			continue;
		MEM_GROW(s->parts, *cap, s->n_parts);
		s->parts[s->n_parts++] = mem_printf("%s/%s/%s", p->title, p->revision, p->digest->files[i].name);
	}
}

/* On its way: some of what the plan wants of it is here. */
static void add_filling(struct contact_status *s, const struct package *p, size_t *cap)
{
	struct contact_filling f = {0};
	bool wanted = false;

	for (size_t i = 0; i < p->digest->n_files && !wanted; i++)
		wanted = package_keeps(p, i);
	rcu_read_begin();
	f.bytes = package_held(p);
	rcu_read_end();
	if (!wanted || f.bytes == 0)
		return;
	f.title = mem_dup(p->title);
	snprintf(f.revision, sizeof f.revision, "%s", p->revision);
	MEM_GROW(s->filling, *cap, s->n_filling);
	s->filling[s->n_filling++] = f;
}

void node_status_report(void *ctx, struct contact_status *s)
{
	struct node *n = ctx;
	size_t count, cap = 0, filling_cap = 0;
	struct package **packages = viewers_packages(n->viewers, &count);
	double load[1] = {0};

	s->holds = mem_new_array(count + 1, sizeof *s->holds);
	for (size_t i = 0; i < count; i++) {
		bool whole, filled;

		rcu_read_begin();
		whole = package_is_whole(packages[i]);
		filled = package_is_filled(packages[i]);
		rcu_read_end();
		if (whole)
			s->holds[s->n_holds++] = mem_printf("%s/%s", packages[i]->title, packages[i]->revision);
		else if (filled)
			add_parts(s, packages[i], &cap);
		else
			add_filling(s, packages[i], &filling_cap);
		package_unref(&packages[i]);
	}
	free(packages);
	s->capacity = store_capacity(n->store);
	s->free_bytes = store_available(n->store);
	s->well = clock_mono() - __atomic_load_n(&n->well_since, __ATOMIC_RELAXED);
	s->trouble = store_trouble(n->store);
	if (s->trouble == NULL)
		s->trouble = contact_clock_trouble(n->contact);
	s->store_errors = disk_failures(store_disk(n->store)) + (uint64_t)counters_read(n->counters, COUNT_SCRUB_BAD);
	s->hits = (uint64_t)counters_read(n->counters, COUNT_HITS);
	for (int i = COUNT_MISS_NOT_PLANNED; i <= COUNT_MISS_READ_ONLY; i++)
		s->misses += (uint64_t)counters_read(n->counters, i);
	s->liars = upstream_liars(n->upstream, &s->n_liars);
	if (n->nearby != NULL) {
		s->round_trips = mem_new_array(NEARBY_NEWS, sizeof *s->round_trips);
		s->n_round_trips = nearby_news(n->nearby, clock_mono(), s->round_trips, NEARBY_NEWS);
	}
	if (getloadavg(load, 1) == 1)
		s->load = load[0] / (double)sysconf(_SC_NPROCESSORS_ONLN);
}

void node_status_told(void *ctx, const struct contact_status *s)
{
	struct node *n = ctx;

	upstream_liars_told(n->upstream, s->n_liars);
	if (n->nearby != NULL)
		nearby_told(n->nearby, s->round_trips, s->n_round_trips, clock_mono());
}

void node_status_collect(struct node *n, bool at_once)
{
	size_t count;
	struct package **packages = viewers_packages(n->viewers, &count);

	demand_collect(n->demand, packages, count, wall_now(n->wall), clock_mono(), at_once);
	for (size_t i = 0; i < count; i++)
		package_unref(&packages[i]);
	free(packages);
}

void node_status_collect_due(void *ctx)
{
	node_status_collect(ctx, false);
}

void node_status_feed_watchdog(struct job *job)
{
	struct manager_job *j = (struct manager_job *)job;

	if (notify_watchdog() > 0)
		notify_manager("WATCHDOG=1");
	__atomic_store_n(&j->posted, false, __ATOMIC_RELEASE);
}

static size_t count_whole(struct node *n)
{
	size_t count, whole = 0;
	struct package **packages = viewers_packages(n->viewers, &count);

	for (size_t i = 0; i < count; i++) {
		rcu_read_begin();
		whole += package_is_whole(packages[i]);
		rcu_read_end();
		package_unref(&packages[i]);
	}
	free(packages);
	return whole;
}

static void describe(struct node *n, char *status, size_t size)
{
	const char *trouble = node_status_trouble(n);
	char room[STR_BYTES_SIZE];

	str_format_bytes(store_available(n->store), room);
	snprintf(status, size, "%s%s%zu titles whole, %s free", trouble != NULL ? trouble : "", trouble != NULL ? "; " : "", count_whole(n), room);
}

void node_tell_manager(struct node *n)
{
	char status[sizeof n->said];

	if (getenv("NOTIFY_SOCKET") == NULL)
		return;
	if (!__atomic_load_n(&n->manager.posted, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&n->manager.posted, true, __ATOMIC_RELAXED);
		engine_post(n->engine, &n->manager.job);
	}
	describe(n, status, sizeof status);
	if (strcmp(status, n->said) == 0)
		return;
	notify_manager("STATUS=%s", status);
	memcpy(n->said, status, sizeof status);
}

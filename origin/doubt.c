/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Witnesses of the time.
 */
#include "origin/doubt.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "origin/catalogue.h"
#include "origin/registry.h"

#define OFF (30 * DUR_S)        /* so far from ours is another time */
#define AHEAD (2 * DUR_MIN)     /* the log may be from before the clock was corrected by a little */
#define LEAST_EDGES 2

struct doubt {
	pthread_mutex_t lock;
	char text[DOUBT_SIZE]; /* guarded */
};

struct doubt *doubt_new(void)
{
	struct doubt *d = mem_new(sizeof *d);

	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void doubt_free(struct doubt **pd)
{
	if (*pd == NULL)
		return;
	pthread_mutex_destroy(&(*pd)->lock);
	free(*pd);
	*pd = NULL;
}

struct clocks {
	dur_us *offsets; /* edges' clocks before ours */
	size_t n, cap;
};

static bool add_clock(void *ctx, const struct registry_edge *e)
{
	struct clocks *c = ctx;

	if (!e->up || !e->has_clock)
		return true;
	MEM_GROW(c->offsets, c->cap, c->n);
	c->offsets[c->n++] = e->clock_offset;
	return true;
}

static int compare(const void *a, const void *b)
{
	dur_us x = *(const dur_us *)a, y = *(const dur_us *)b;

	return x < y ? -1 : x > y;
}

/* What most edges' clocks are before ours; 0 when they do not agree that it is another time. */
static dur_us offset_of_most(struct registry *r)
{
	struct clocks c = {0};
	size_t others = 0;
	dur_us middle = 0;

	registry_each(r, NULL, add_clock, &c);
	if (c.n >= LEAST_EDGES) {
		qsort(c.offsets, c.n, sizeof *c.offsets, compare);
		middle = c.offsets[c.n / 2];
		for (size_t i = 0; i < c.n; i++)
			others += llabs(c.offsets[i] - middle) < OFF;
	}
	free(c.offsets);
	return llabs(middle) >= OFF && others * 2 > c.n && others >= LEAST_EDGES ? middle : 0;
}

static void take_newest(void *ctx, const struct catalogue_entry *e)
{
	*(wall_us *)ctx = e->at;
}

static wall_us newest_entry(struct catalogue *c)
{
	char problem[DOUBT_SIZE];
	wall_us at = 0;
	struct fault f = {0};

	catalogue_problem(c, problem, sizeof problem);
	if (problem[0] != '\0' || catalogue_each_entry(c, 0, 1, NULL, take_newest, &at, &f) != 0)
		return 0; /* it says nothing now */
	return at;
}

static void hear(struct registry *r, struct catalogue *c, wall_us now, char ret[static DOUBT_SIZE])
{
	static const char cure[] = "is this machine's time synchronised (timedatectl)?";
	char here[CLOCK_RFC3339_SIZE], there[CLOCK_RFC3339_SIZE];
	dur_us off = offset_of_most(r);
	wall_us newest = off == 0 ? newest_entry(c) : 0;

	ret[0] = '\0';
	clock_to_rfc3339(now, here);
	if (off != 0) {
		clock_to_rfc3339(now + off, there);
		snprintf(ret, DOUBT_SIZE, "the clock shows %s, most edges' clocks %s: %s", here, there, cure);
	} else if (newest > now + AHEAD) {
		clock_to_rfc3339(newest, there);
		snprintf(ret, DOUBT_SIZE, "the clock shows %s, and the catalogue's last entry is of %s: %s", here, there, cure);
	}
}

void doubt_tick(struct doubt *d, struct registry *r, struct catalogue *c, wall_us now)
{
	char text[DOUBT_SIZE];
	bool was, is;

	hear(r, c, now, text);
	pthread_mutex_lock(&d->lock);
	was = d->text[0] != '\0';
	is = text[0] != '\0';
	memcpy(d->text, text, sizeof text);
	pthread_mutex_unlock(&d->lock);
	if (is && !was)
		log_warn("origin/doubt", "%s", text);
	else if (was && !is)
		log_info("origin/doubt", "the clock can be believed again");
}

void doubt_text(struct doubt *d, char ret[static DOUBT_SIZE])
{
	pthread_mutex_lock(&d->lock);
	memcpy(ret, d->text, DOUBT_SIZE);
	pthread_mutex_unlock(&d->lock);
}

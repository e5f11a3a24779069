/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counting viewers by title.
 */
#include "origin/popular.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "origin/catalogue.h"

#define HOUR 3600
#define HOURS 24
#define ROWS 5000
#define EVERY (5 * DUR_S)
#define SHARE 20 /* of the time one part is spent counting */

struct count {
	char *title;
	uint64_t viewers, requests;
};

struct popular {
	mono_us counted;         /* 0: not yet */
	dur_us took;
	uint64_t demand_version; /* of what was counted */
	int64_t hour;
	pthread_mutex_t lock; /* guards the list */
	struct popular_list list;
};

struct counts {
	struct count *items;
	size_t n, cap;
};

struct popular *popular_new(void)
{
	struct popular *p = mem_new(sizeof *p);

	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void popular_list_fini(struct popular_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->titles[i]);
	l->n = 0;
}

void popular_free(struct popular **pp)
{
	if (*pp == NULL)
		return;
	popular_list_fini(&(*pp)->list);
	pthread_mutex_destroy(&(*pp)->lock);
	free(*pp);
	*pp = NULL;
}

/* Rows come by bytes: the files of a title are not beside each other. */
static void add(void *ctx, const struct catalogue_count *row)
{
	struct counts *c = ctx;
	size_t n = strcspn(row->name, "/"), i;

	for (i = 0; i < c->n; i++)
		if (strncmp(c->items[i].title, row->name, n) == 0 && c->items[i].title[n] == '\0')
			break;
	if (i == c->n) {
		MEM_GROW(c->items, c->cap, c->n);
		c->items[c->n++] = (struct count){.title = mem_dup_n(row->name, n)};
	}
	c->items[i].viewers += row->sessions;
	c->items[i].requests += row->requests;
}

static int most_first(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	if (x->viewers != y->viewers)
		return x->viewers < y->viewers ? 1 : -1;
	if (x->requests != y->requests)
		return x->requests < y->requests ? 1 : -1;
	return strcmp(x->title, y->title);
}

static void keep(struct popular *p, struct counts *c)
{
	struct popular_list list = {0};

	if (c->n > 0)
		qsort(c->items, c->n, sizeof *c->items, most_first);
	for (size_t i = 0; i < c->n; i++)
		if (list.n < POPULAR_MAX)
			list.titles[list.n++] = c->items[i].title;
		else
			free(c->items[i].title);
	pthread_mutex_lock(&p->lock);
	popular_list_fini(&p->list);
	p->list = list;
	pthread_mutex_unlock(&p->lock);
}

dur_us popular_tick(struct popular *p, struct catalogue *catalogue, wall_us wall, mono_us now)
{
	int64_t hour = wall / DUR_S / HOUR * HOUR;
	struct catalogue_demand_query q = {.by = CATALOGUE_BY_FILE, .from = hour - (HOURS - 1) * HOUR, .to = hour, .limit = ROWS};
	uint64_t version = catalogue_demand_version(catalogue);
	struct counts c = {0};
	struct fault f = {0};
	dur_us begin = clock_cpu_thread();
	dur_us pause = SHARE * p->took > EVERY ? SHARE * p->took : EVERY;

	if ((p->counted != 0 && now - p->counted < pause) || (p->demand_version == version && p->hour == hour))
		return p->took;
	p->counted = now;
	if (catalogue_each_demand(catalogue, &q, add, &c, &f) == 0) {
		p->demand_version = version;
		p->hour = hour;
		keep(p, &c);
	} else {
		log_verbose("origin/popular", "not counted: %s", fault_text(&f));
		for (size_t i = 0; i < c.n; i++)
			free(c.items[i].title);
	}
	free(c.items);
	p->took = clock_cpu_thread() - begin;
	return p->took;
}

void popular_read(struct popular *p, struct popular_list *ret)
{
	pthread_mutex_lock(&p->lock);
	ret->n = p->list.n;
	for (size_t i = 0; i < ret->n; i++)
		ret->titles[i] = mem_dup(p->list.titles[i]);
	pthread_mutex_unlock(&p->lock);
}

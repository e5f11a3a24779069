/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A title without any track has its largest file as one.
 */
#include "origin/stock.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "origin/library.h"

bool stock_is_track(const char *file)
{
	const char *dot = strrchr(file, '.');

	return dot != NULL && (strcmp(dot, ".mp4") == 0 || strcmp(dot, ".m4s") == 0 || strcmp(dot, ".webm") == 0);
}

static uint64_t companions(const struct revision *r, size_t *ret_tracks, size_t *ret_largest)
{
	uint64_t bytes = 0;

	*ret_tracks = *ret_largest = 0;
	for (size_t i = 0; i < r->n_files; i++) {
		if (stock_is_track(r->files[i].name))
			++*ret_tracks;
		else
			bytes += r->files[i].size;
		if (r->files[i].size > r->files[*ret_largest].size)
			*ret_largest = i;
	}
	return *ret_tracks > 0 ? bytes : r->bytes - (r->n_files > 0 ? r->files[*ret_largest].size : 0);
}

static void add_title(struct stock *s, size_t *cap, const struct revision *r)
{
	size_t tracks, largest;
	uint64_t beside = companions(r, &tracks, &largest);

	for (size_t i = 0; i < r->n_files; i++) {
		if (tracks > 0 ? !stock_is_track(r->files[i].name) : i != largest)
			continue;
		MEM_GROW(s->items, *cap, s->n);
		s->items[s->n++] = (struct stock_item){mem_printf("%s/%s", r->title, r->files[i].name), r, r->files[i].name,
		                                       r->files[i].size + beside};
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct stock_item *)a)->name, ((const struct stock_item *)b)->name);
}

static int newest_first(const void *a, const void *b, void *items)
{
	const struct revision *x = ((struct stock_item *)items)[*(const uint32_t *)a].of;
	const struct revision *y = ((struct stock_item *)items)[*(const uint32_t *)b].of;

	if (x->published != y->published)
		return x->published > y->published ? -1 : 1;
	return strcmp(x->title, y->title);
}

static void find_newest(struct stock *s)
{
	s->newest = mem_new_array(s->n + 1, sizeof *s->newest);
	for (size_t i = 0; i < s->n; i++)
		if (i == 0 || s->items[i].of != s->items[i - 1].of)
			s->newest[s->n_titles++] = (uint32_t)i;
	if (s->n_titles > 0)
		qsort_r(s->newest, s->n_titles, sizeof *s->newest, newest_first, s->items);
}

void stock_new(const struct library_view *v, struct stock *ret)
{
	size_t cap = 0;

	*ret = (struct stock){0};
	for (size_t i = 0; i < v->n_titles; i++)
		add_title(ret, &cap, v->titles[i].revisions[0]);
	if (ret->n > 0)
		qsort(ret->items, ret->n, sizeof *ret->items, by_name);
	find_newest(ret);
}

void stock_fini(struct stock *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->items[i].name);
	free(s->items);
	free(s->newest);
	*s = (struct stock){0};
}

/* The first item not before `prefix`. */
static size_t lower(const struct stock *s, const char *prefix)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(s->items[middle].name, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t stock_find(const struct stock *s, const char *name, size_t *ret_first)
{
	const char *slash = strchr(name, '/'), *file = slash != NULL ? strrchr(name, '/') : NULL;
	size_t title = slash != NULL ? (size_t)(slash - name) + 1 : 0, n = 0;
	char *key;

	if (slash == NULL || file == slash)
		return 0;
	key = mem_printf("%.*s%s", (int)title, name, file + 1);
	*ret_first = lower(s, key);
	if (*ret_first < s->n && strcmp(s->items[*ret_first].name, key) == 0) {
		n = 1;
	} else if (stock_is_track(file + 1)) { /* who asks for a playlist shows nothing about tracks */
		key[title] = '\0';
		*ret_first = lower(s, key);
		while (*ret_first + n < s->n && strncmp(s->items[*ret_first + n].name, key, title) == 0)
			n++;
	}
	free(key);
	return n;
}

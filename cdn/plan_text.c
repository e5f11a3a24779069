/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A short plan comes over a network: nothing in it is believed.  What is written
 * of it is checked again by whoever reads the whole plan.
 */
#include "cdn/plan_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void plan_text_json(struct buf *b, json_t *value)
{
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	buf_puts(b, text != NULL ? text : "null");
	free(text);
	json_decref(value);
}

static int wrong(struct fault *f, const char *what)
{
	return fault_set(f, ERR_SYNTAX, "short plan: %s is missing or not what it should be", what);
}

static void end_list(struct buf *b)
{
	if (b->size > 0 && b->bytes[b->size - 1] == ',')
		b->size--;
	buf_puts(b, "]");
}

/* --- runs --- */

void plan_text_runs(const bool *held, size_t n, struct buf *b)
{
	size_t end;

	buf_puts(b, "[");
	for (size_t i = 0; i < n; i = end) {
		size_t first = i;

		while (first < n && !held[first])
			first++;
		if (first == n)
			break;
		for (end = first; end < n && held[end];)
			end++;
		buf_printf(b, "%zu,%zu,", first - i, end - first);
	}
	end_list(b);
}

/* As the whole plan says it: ["TITLE/REVISION", ...] */
static int write_holds(const json_t *runs, const struct shelf *s, struct buf *b)
{
	size_t line = 0, n = json_array_size(runs);

	if (!json_is_array(runs) || n % 2 != 0)
		return ERR_SYNTAX;
	buf_puts(b, "[");
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(runs, i);
		json_int_t length = json_integer_value(v);

		if (!json_is_integer(v) || length < 0 || (uint64_t)length > s->n - line)
			return ERR_SYNTAX;
		for (json_int_t k = 0; k < length; k++, line++) {
			size_t revision_n;
			const char *revision = shelf_revision(s, line, &revision_n);

			if (buf_error(b) != 0) /* said by whoever began it: a few bytes each stand for a whole library */
				return ERR_LIMIT;
			if (i % 2 == 1)
				buf_printf(b, "\"%.*s/%.*s\",", (int)s->lines[line].name_n, shelf_title(s, line), (int)revision_n, revision);
		}
	}
	end_list(b);
	return 0;
}

static int write_peers(const json_t *peers, const struct shelf *s, struct buf *b, struct fault *f)
{
	size_t i;
	json_t *peer;

	if (!json_is_array(peers))
		return wrong(f, "peers");
	buf_puts(b, "[");
	json_array_foreach((json_t *)peers, i, peer) {
		buf_puts(b, "{\"name\":");
		plan_text_json(b, json_incref(json_object_get(peer, "name")));
		buf_puts(b, ",\"url\":");
		plan_text_json(b, json_incref(json_object_get(peer, "url")));
		buf_puts(b, ",\"holds\":");
		if (write_holds(json_object_get(peer, "holds"), s, b) != 0)
			return wrong(f, "what a peer holds");
		buf_puts(b, "},");
	}
	end_list(b);
	return 0;
}

/* --- titles --- */

static int write_held(const json_t *o, const struct shelf *s, bool *held, struct buf *b)
{
	const char *title = json_string_value(json_is_object(o) ? json_object_get(o, "title") : o);
	json_t *files = json_object_get(o, "files");
	size_t line;

	if (title == NULL || shelf_find(s, title, strlen(title), &line) == 0 || held[line])
		return ERR_SYNTAX;
	held[line] = true;
	shelf_copy_to_hold(s, line, b);
	if (files != NULL) {
		buf_puts(b, ",\"files\":");
		plan_text_json(b, json_incref(files));
	}
	buf_puts(b, json_is_true(json_object_get(o, "urgent")) ? ",\"urgent\":true}," : "},");
	return 0;
}

/* Those to hold, in order, then all others. */
static int write_titles(const json_t *hold, const struct shelf *s, struct buf *b, struct fault *f)
{
	bool *held = mem_new_array(s->n + 1, sizeof *held);
	int r = json_is_array(hold) ? 0 : wrong(f, "hold");

	buf_puts(b, "[");
	for (size_t i = 0; r == 0 && i < json_array_size(hold); i++)
		if (write_held(json_array_get(hold, i), s, held, b) != 0)
			r = wrong(f, "a title to hold");
	if (r == 0)
		shelf_copy(s, held, b);
	end_list(b);
	free(held);
	return r;
}

int plan_text_whole(const json_t *plan, const struct shelf *s, struct buf *b, struct fault *f)
{
	const char *shelf = json_string_value(json_object_get(plan, "shelf"));
	json_t *steering = json_object_get(plan, "steering");
	int r;

	if (shelf == NULL || strcmp(shelf, s->hash) != 0)
		return wrong(f, "shelf");
	buf_puts(b, "{\"origin\":");
	plan_text_json(b, json_incref(json_object_get(plan, "origin")));
	buf_puts(b, ",\"titles\":");
	r = write_titles(json_object_get(plan, "hold"), s, b, f);
	buf_puts(b, ",\"peers\":");
	if (r == 0)
		r = write_peers(json_object_get(plan, "peers"), s, b, f);
	if (steering != NULL) {
		buf_puts(b, ",\"steering\":");
		plan_text_json(b, json_incref(steering));
	}
	buf_puts(b, ",\"version\":");
	plan_text_json(b, json_incref(json_object_get(plan, "version")));
	buf_puts(b, "}");
	if (r == 0 && buf_error(b) != 0)
		r = fault_set(f, buf_error(b), "a plan of more than %zu bytes, or no memory for it", b->max);
	return r;
}

/* --- the shelf --- */

/* Order is not looked at: what is out of order has another hash. */
static int add_line(struct shelf *s, const json_t *o)
{
	const char *title = json_string_value(json_object_get(o, "title")), *revision = json_string_value(json_object_get(o, "revision"));
	const char *digest = json_string_value(json_object_get(o, "digest"));
	const json_t *digest_bytes = json_object_get(o, "digest_bytes"), *bytes = json_object_get(o, "bytes");
	struct sha256 hash;

	if (title == NULL || !str_is_name(title, strlen(title)) || revision == NULL || !str_is_name(revision, strlen(revision)) ||
	    digest == NULL || sha256_from_hex(digest, strlen(digest), &hash) != 0 || !json_is_integer(digest_bytes) || !json_is_integer(bytes))
		return ERR_SYNTAX;
	shelf_add(s, title, revision, &hash, (uint64_t)json_integer_value(digest_bytes), (uint64_t)json_integer_value(bytes));
	return 0;
}

struct change {
	const struct shelf *have;
	size_t next;      /* of its lines */
	const json_t *titles, *gone;
	size_t i, k;      /* of titles, of gone */
};

static const char *title_at(const struct change *c)
{
	return json_string_value(json_object_get(json_array_get(c->titles, c->i), "title"));
}

/* The title that is next to be changed, of the two lists, both sorted; NULL: no more. */
static const char *next_title(const struct change *c)
{
	const char *a = title_at(c), *b = json_string_value(json_array_get(c->gone, c->k));

	return a == NULL || (b != NULL && strcmp(b, a) < 0) ? b : a;
}

static int merge(struct change *c, struct shelf *to)
{
	const char *title;

	while ((title = next_title(c)) != NULL) {
		char *name = mem_dup(title);
		size_t first, n = shelf_find(c->have, name, strlen(name), &first);
		const char *gone = json_string_value(json_array_get(c->gone, c->k));
		int r = first < c->next ? ERR_SYNTAX : 0;

		if (r == 0)
			shelf_add_lines(to, c->have, c->next, first);
		c->next = first + n;
		if (gone != NULL && strcmp(gone, name) == 0)
			c->k++;
		for (; r == 0 && title_at(c) != NULL && strcmp(title_at(c), name) == 0; c->i++)
			r = add_line(to, json_array_get(c->titles, c->i));
		free(name);
		if (r != 0)
			return r;
	}
	shelf_add_lines(to, c->have, c->next, c->have->n);
	return c->i == json_array_size(c->titles) && c->k == json_array_size(c->gone) ? 0 : ERR_SYNTAX;
}

int plan_text_shelf(const json_t *plan, const struct shelf *have, size_t max, struct shelf *ret, struct fault *f)
{
	const json_t *changes = json_object_get(plan, "changes");
	const char *since = json_string_value(json_object_get(changes, "since")), *wanted = json_string_value(json_object_get(plan, "shelf"));
	struct change c = {.have = have, .titles = json_object_get(changes, "titles"), .gone = json_object_get(changes, "gone")};
	struct shelf s;
	int r;

	if (wanted == NULL || (changes != NULL && (since == NULL || strcmp(since, have->hash) != 0)))
		return wrong(f, "shelf or since");
	shelf_init(&s, max);
	r = merge(&c, &s) == 0 ? shelf_close(&s) : wrong(f, "changes");
	if (r == 0 && strcmp(s.hash, wanted) != 0)
		r = fault_set(f, ERR_SYNTAX, "short plan: the library that comes of it is another one than the origin's");
	if (r != 0)
		shelf_fini(&s);
	else
		*ret = s;
	return r;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/shelf and cdn/plan_text: shelves that change by chance and are changed alike
 * from what is sent, whole plans of short ones, and short ones that lie.
 */
#include "cdn/plan_text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/must.h"
#include "t/lib/unit.h"

#define MAX ((size_t)1 << 24)

static unsigned state = 7;

static unsigned draw(unsigned n)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % n;
}

/* Up to a hundred titles, some with two revisions; `flavour` of a title changes its digest. */
static void make_shelf(const unsigned *flavour, struct shelf *ret)
{
	shelf_init(ret, MAX);
	for (unsigned i = 0; i < 100; i++) {
		struct sha256 h;
		char title[16], revision[24];

		if (flavour[i] == 0)
			continue;
		snprintf(title, sizeof title, "t%02u", i);
		snprintf(revision, sizeof revision, "%020u", flavour[i]);
		sha256_of(&flavour[i], sizeof flavour[i], &h);
		shelf_add(ret, title, revision, &h, flavour[i], i);
		if (flavour[i] % 3 == 0)
			shelf_add(ret, title, "00000000000000000000", &h, 1, 1);
	}
	cr_assert(shelf_close(ret) == 0);
}

struct names {
	json_t *titles, *gone;
	const struct shelf *now;
};

static void note(void *ctx, const char *title, size_t n)
{
	struct names *x = ctx;
	size_t first, lines = shelf_find(x->now, title, n, &first);

	if (lines == 0)
		json_array_append_new(x->gone, json_stringn(title, n));
	for (size_t i = 0; i < lines; i++) {
		size_t at = x->now->lines[first + i].at, end = first + i + 1 < x->now->n ? x->now->lines[first + i + 1].at : x->now->text.size;

		json_array_append_new(x->titles, json_loadb((const char *)x->now->text.bytes + at, end - at - 1, 0, NULL));
	}
}

static json_t *changes(const struct shelf *a, const struct shelf *b)
{
	struct names x = {json_array(), json_array(), b};

	shelf_compare(a, b, note, &x);
	return json_pack("{s:s, s:{s:s, s:o, s:o}}", "shelf", b->hash, "changes", "since", a->hash, "titles", x.titles, "gone", x.gone);
}

Test(plan_text, what_changed_makes_the_same_shelf)
{
	for (int round = 0; round < 300; round++) {
		unsigned old[100], now[100];
		struct shelf a, b, c;
		struct fault f = {0};
		json_t *o;

		for (int i = 0; i < 100; i++) {
			old[i] = draw(4) == 0 ? 0 : 1 + draw(1000);
			now[i] = draw(1 + (unsigned)round % 9) != 0 ? old[i] : draw(3) == 0 ? 0 : 1 + draw(1000);
		}
		make_shelf(old, &a);
		make_shelf(now, &b);
		o = changes(&a, &b);
		cr_assert(plan_text_shelf(o, &a, MAX, &c, &f) == 0, "round %d: %s", round, fault_text(&f));
		cr_assert(c.text.size == b.text.size && c.n == b.n);
		cr_assert(c.text.size == 0 || memcmp(c.text.bytes, b.text.bytes, b.text.size) == 0);
		for (size_t i = 0; i < b.n; i++)
			cr_assert(c.lines[i].at == b.lines[i].at && c.lines[i].name_n == b.lines[i].name_n && c.lines[i].current == b.lines[i].current);
		if (strcmp(a.hash, b.hash) != 0)
			cr_assert(plan_text_shelf(o, &b, MAX, &(struct shelf){0}, &f) == ERR_SYNTAX, "of another shelf");
		json_decref(o);
		shelf_fini(&a);
		shelf_fini(&b);
		shelf_fini(&c);
	}
}

static void some(struct shelf *s)
{
	unsigned flavour[100] = {[3] = 1, [5] = 3, [9] = 2};

	make_shelf(flavour, s);
}

static json_t *short_plan(const struct shelf *s, const char *hold, const char *runs)
{
	char *text = mem_printf("{\"shelf\":\"%s\",\"origin\":\"http://o\",\"hold\":%s,\"peers\":[{\"name\":\"b\",\"url\":\"http://b\",\"holds\":%s}],"
	                        "\"steering\":\"http://o/steer\",\"version\":\"v\"}", s->hash, hold, runs);
	json_t *o = json_loads(text, 0, NULL);

	cr_assert(o != NULL, "%s", text);
	free(text);
	return o;
}

Test(plan_text, a_whole_plan_of_a_short_one)
{
	struct shelf s;
	struct buf b;
	struct fault f = {0};
	json_t *o, *whole, *titles;

	some(&s);
	o = short_plan(&s, "[\"t09\",{\"title\":\"t05\",\"files\":[\"a.mp4\"],\"urgent\":true}]", "[0,1,1,2]");
	buf_init(&b, MAX);
	cr_assert(plan_text_whole(o, &s, &b, &f) == 0, "%s", fault_text(&f));
	whole = json_loads(buf_text(&b), JSON_REJECT_DUPLICATES, NULL);
	titles = json_object_get(whole, "titles");
	cr_assert(json_array_size(titles) == 4);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(titles, 0), "title")), "t09");
	cr_assert(json_is_true(json_object_get(json_array_get(titles, 1), "urgent")));
	cr_assert(json_array_size(json_object_get(json_array_get(titles, 1), "files")) == 1);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(titles, 2), "title")), "t03");
	cr_assert(json_is_false(json_object_get(json_array_get(titles, 2), "hold")));
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(titles, 3), "revision")), "00000000000000000000");
	titles = json_object_get(json_array_get(json_object_get(whole, "peers"), 0), "holds");
	cr_assert(json_array_size(titles) == 3);
	cr_assert_str_eq(json_string_value(json_array_get(titles, 1)), "t05/00000000000000000000");
	cr_assert_str_eq(json_string_value(json_array_get(titles, 2)), "t09/00000000000000000002");
	json_decref(whole);
	json_decref(o);
	buf_fini(&b);
	shelf_fini(&s);
}

Test(plan_text, short_plans_that_lie)
{
	static const char *const bad[][2] = {
		{"[\"t04\"]", "[]"}, {"[\"t09\",\"t09\"]", "[]"}, {"[7]", "[]"}, {"{}", "[]"}, {"[{\"files\":[]}]", "[]"},
		{"[]", "[0,5]"}, {"[]", "[9,1]"}, {"[]", "[-1,1]"}, {"[]", "[1]"}, {"[]", "[0,4,9223372036854775807,1]"}, {"[]", "\"\""}, {"[]", "[0.5,1]"},
	};
	struct shelf s;

	some(&s);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		json_t *o = short_plan(&s, bad[i][0], bad[i][1]);
		struct fault f = {0};
		struct buf b;

		buf_init(&b, MAX);
		cr_assert(plan_text_whole(o, &s, &b, &f) == ERR_SYNTAX, "%s %s", bad[i][0], bad[i][1]);
		buf_fini(&b);
		json_decref(o);
	}
	shelf_fini(&s);
}

/* Of a few bytes each, by the hundred thousand: what they come to is bounded, and so is the work. */
Test(plan_text, peers_that_hold_everything)
{
	struct shelf s;
	struct sha256 h = {{0}};
	json_t *o, *peers = json_array(), *peer;
	struct fault f = {0};
	char title[16];
	struct buf b;

	MUST(setrlimit(RLIMIT_CPU, &(struct rlimit){20, 20}) == 0); /* it would be minutes */
	shelf_init(&s, MAX);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(title, sizeof title, "t%05u", i);
		shelf_add(&s, title, "00000000000000000000", &h, 1, 1);
	}
	cr_assert(shelf_close(&s) == 0);
	o = short_plan(&s, "[]", "[0,20000]");
	peer = json_array_get(json_object_get(o, "peers"), 0);
	for (unsigned i = 0; i < 200000; i++)
		json_array_append(peers, peer);
	json_object_set_new(o, "peers", peers);
	buf_init(&b, MAX);
	cr_assert(plan_text_whole(o, &s, &b, &f) < 0);
	buf_fini(&b);
	json_decref(o);
	shelf_fini(&s);
}

Test(plan_text, runs_are_read_as_they_are_written)
{
	struct shelf s;
	bool held[5] = {0};

	some(&s);
	for (unsigned bits = 0; bits < 16; bits++) {
		struct buf runs, whole;
		struct fault f = {0};
		unsigned seen = 0;
		json_t *o, *root, *back;

		for (unsigned i = 0; i < 4; i++)
			held[i] = bits >> i & 1;
		buf_init(&runs, MAX);
		buf_init(&whole, MAX);
		plan_text_runs(held, s.n, &runs);
		o = short_plan(&s, "[]", buf_text(&runs));
		cr_assert(plan_text_whole(o, &s, &whole, &f) == 0);
		root = json_loads(buf_text(&whole), 0, NULL);
		back = json_object_get(json_array_get(json_object_get(root, "peers"), 0), "holds");
		for (size_t i = 0; i < json_array_size(back); i++)
			seen |= 1u << shelf_find_key(&s, json_string_value(json_array_get(back, i)));
		cr_assert(seen == bits, "%u %u %s", seen, bits, buf_text(&runs));
		buf_fini(&runs);
		buf_fini(&whole);
		json_decref(o);
		json_decref(root);
	}
	cr_assert(shelf_find_key(&s, "t05") == s.n && shelf_find_key(&s, "t05/x") == s.n && shelf_find_key(&s, "zz/00000000000000000002") == s.n);
	shelf_fini(&s);
}

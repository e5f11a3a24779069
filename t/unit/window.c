/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/window: once a day, as long as it says, on the four dates that matter too.
 */
#include "cdn/window.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "cdn/rates.h"
#include "t/lib/unit.h"

static struct zone *load(const char *name)
{
	char *path = mem_printf("/usr/share/zoneinfo/%s", name);
	struct zone *z = NULL;
	struct buf b;

	buf_init(&b, ZONE_MAX_BYTES);
	cr_assert(file_read(path, &b) == 0, "no %s: apt-get install tzdata", path);
	cr_assert(zone_read(b.bytes, b.size, path, &z, NULL) == 0);
	buf_fini(&b);
	free(path);
	return z;
}

/* Walks minute by minute and collects what is open: every opening and its length. */
struct run {
	int64_t opens, seconds;
	int32_t day;
};

static size_t walk(const struct window *w, int64_t from, int64_t to, struct run *runs, size_t max)
{
	size_t n = 0;
	bool was_open = true; /* what is open at `from` does not count */

	for (int64_t t = from; t < to; t += 60) {
		struct window_state s;

		window_at(w, t * DUR_S, &s);
		if (s.open && !was_open && n < max)
			runs[n++] = (struct run){t, 0, s.day};
		if (s.open && n > 0)
			runs[n - 1].seconds += 60;
		if (s.changes != INT64_MAX) {
			CHECK(s.changes > t * DUR_S);
			window_at(w, s.changes - 1, &(struct window_state){.day = 0});
		}
		was_open = s.open;
	}
	return n;
}

#define HOURS 3600
#define D_2026_03_28 1774656000
#define D_2026_10_24 1792800000

Test(window, clocks_go_forward)
{
	struct zone *z = load("Europe/Vienna");
	struct window w = {z, 2 * HOURS * DUR_S + 30 * DUR_MIN, 4 * DUR_HOUR}; /* 02:30 is missing on the 29th */
	struct run runs[4];

	CHECK_INT(walk(&w, D_2026_03_28, D_2026_03_28 + 3 * 86400, runs, 4), 3);
	CHECK_INT(runs[0].opens, D_2026_03_28 + 90 * 60);      /* 02:30 CET */
	CHECK_INT(runs[1].opens, D_2026_03_28 + 86400 + 3600); /* 03:00 CEST, the jump */
	CHECK_INT(runs[2].opens, D_2026_03_28 + 2 * 86400 + 30 * 60);
	for (int i = 0; i < 3; i++)
		CHECK_INT(runs[i].seconds, 4 * HOURS);
	CHECK_INT(runs[1].day - runs[0].day, 1);
	zone_free(&z);
}

Test(window, clocks_go_back)
{
	struct zone *z = load("Europe/Vienna");
	struct window w = {z, 2 * HOURS * DUR_S + 30 * DUR_MIN, 4 * DUR_HOUR}; /* 02:30 is there twice on the 25th */
	struct run runs[4];

	CHECK_INT(walk(&w, D_2026_10_24, D_2026_10_24 + 3 * 86400, runs, 4), 3);
	CHECK_INT(runs[0].opens, D_2026_10_24 + 30 * 60);         /* 02:30 CEST */
	CHECK_INT(runs[1].opens, D_2026_10_24 + 86400 + 30 * 60); /* the first 02:30 */
	CHECK_INT(runs[2].opens, D_2026_10_24 + 2 * 86400 + 90 * 60);
	for (int i = 0; i < 3; i++)
		CHECK_INT(runs[i].seconds, 4 * HOURS);
	zone_free(&z);
}

Test(window, in_america_too)
{
	struct zone *z = load("America/New_York");
	struct window w = {z, 2 * HOURS * DUR_S, 1 * DUR_HOUR}; /* missing on 2026-03-08, and twice 01:00 on 2026-11-01 */
	struct run runs[4];

	CHECK_INT(walk(&w, 1772841600 + 5 * HOURS, 1772841600 + 5 * HOURS + 3 * 86400, runs, 4), 3);
	CHECK_INT(runs[1].opens, 1772953200); /* 2026-03-08T07:00Z: the jump */
	CHECK_INT(runs[1].seconds, HOURS);
	w.start = 1 * HOURS * DUR_S;
	CHECK_INT(walk(&w, 1793404800 + 4 * HOURS, 1793404800 + 4 * HOURS + 3 * 86400, runs, 4), 3);
	CHECK_INT(runs[1].opens, 1793509200); /* 2026-11-01T05:00Z: the first 01:00 */
	CHECK_INT(runs[1].seconds, HOURS);
	zone_free(&z);
}

Test(window, past_midnight)
{
	struct zone *z = zone_utc();
	struct window w = {z, 22 * HOURS * DUR_S, 6 * DUR_HOUR};
	struct window_state s;

	window_at(&w, (D_2026_03_28 + 3 * HOURS) * DUR_S, &s); /* yesterday's */
	CHECK(s.open);
	CHECK_INT(s.changes, (D_2026_03_28 + 4 * HOURS) * DUR_S);
	CHECK_INT(s.day, D_2026_03_28 / 86400 - 1);
	window_at(&w, (D_2026_03_28 + 4 * HOURS) * DUR_S, &s);
	CHECK(!s.open);
	CHECK_INT(s.changes, (D_2026_03_28 + 22 * HOURS) * DUR_S);
	zone_free(&z);
}

Test(window, far_zones)
{
	struct zone *z = load("Pacific/Kiritimati"); /* +14 */
	struct window w = {z, 1 * HOURS * DUR_S, 2 * DUR_HOUR};
	struct window_state s;

	window_at(&w, (D_2026_03_28 + 11 * HOURS) * DUR_S, &s); /* 01:00 on the 29th there */
	CHECK(s.open);
	CHECK_INT(s.day, D_2026_03_28 / 86400 + 1);
	zone_free(&z);
	z = load("Etc/GMT+12"); /* -12 */
	w.zone = z;
	window_at(&w, (D_2026_03_28 + 13 * HOURS) * DUR_S, &s);
	CHECK(s.open);
	CHECK_INT(s.day, D_2026_03_28 / 86400);
	zone_free(&z);
}

Test(window, always_and_never)
{
	struct zone *z = zone_utc();
	struct window w = {z, 3 * HOURS * DUR_S, 24 * DUR_HOUR};
	struct window_state s;

	window_at(&w, 0, &s);
	CHECK(s.open && s.changes == INT64_MAX);
	w.duration = 0;
	window_at(&w, 3 * HOURS * DUR_S, &s);
	CHECK(!s.open && s.changes == INT64_MAX);
	zone_free(&z);
}

Test(window, starts)
{
	dur_us start;

	CHECK_INT(window_parse_start("02:00", &start), 0);
	CHECK_INT(start, 2 * HOURS * DUR_S);
	CHECK_INT(window_parse_start("23:59:59", &start), 0);
	CHECK_INT(start, 86399 * DUR_S);
	CHECK_INT(window_parse_start("7:05", &start), 0);
	CHECK_INT(window_parse_start("24:00", &start), ERR_SYNTAX);
	CHECK_INT(window_parse_start("2", &start), ERR_SYNTAX);
	CHECK_INT(window_parse_start("2:60", &start), ERR_SYNTAX);
	CHECK_INT(window_parse_start("02:00x", &start), ERR_SYNTAX);
	CHECK_INT(window_parse_start("", &start), ERR_SYNTAX);
	CHECK_INT(window_parse_start(":", &start), ERR_SYNTAX);
}

Test(rates, hours_have_their_rate_and_the_rest_the_other)
{
	struct rates r = {.otherwise = 7};
	struct zone *utc = zone_utc();
	struct fault f = {0};

	CHECK_INT(rates_parse(&r, "08:00-18:00 2MB, 22:30-01:00 0,01:00-01:30 64k", utc, &f), 0);
	CHECK_INT(rates_at(&r, 8 * DUR_HOUR), 2000000);
	CHECK_INT(rates_at(&r, 18 * DUR_HOUR), 7);
	CHECK_INT(rates_at(&r, 18 * DUR_HOUR - 1), 2000000);
	CHECK_INT(rates_at(&r, 23 * DUR_HOUR), 0);
	CHECK_INT(rates_at(&r, 24 * DUR_HOUR + 30 * DUR_MIN), 0);
	CHECK_INT(rates_at(&r, DUR_HOUR), 64000);
	CHECK_INT(rates_parse(&r, NULL, utc, &f), 0);
	CHECK_INT(rates_at(&r, 8 * DUR_HOUR), 7);
	zone_free(&utc);
}

Test(rates, nonsense_is_named)
{
	static const char *const wrong[] = {"8-9 1MB", "08:00-18:00", "08:00-18:00 fast", "25:00-01:00 1", "x", "08:00-09:00 1 2", ", 1"};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct rates r = {0};
		struct fault f = {0};

		CHECK(rates_parse(&r, wrong[i], NULL, &f) < 0);
		CHECK(strstr(fault_text(&f), "found \"") != NULL);
	}
}

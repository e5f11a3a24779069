/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/zone: offsets and local times, compared with the C library's own reading
 * of the same files, and files that are no zone.
 */
#include "cdn/zone.h"

#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "t/lib/unit.h"

static struct zone *load(const char *name)
{
	char *path = mem_printf("/usr/share/zoneinfo/%s", name);
	struct zone *z = NULL;
	struct fault f = {0};
	struct buf b;

	buf_init(&b, ZONE_MAX_BYTES);
	cr_assert(file_read(path, &b) == 0, "no %s: apt-get install tzdata", path);
	cr_assert(zone_read(b.bytes, b.size, path, &z, &f) == 0, "%s", fault_text(&f));
	buf_fini(&b);
	free(path);
	return z;
}

static void compare_with_libc(const char *name, int64_t from, int64_t to, int64_t step)
{
	struct zone *z = load(name);

	setenv("TZ", name, 1);
	tzset();
	for (int64_t t = from; t < to; t += step) {
		time_t when = (time_t)t;
		struct tm tm;

		localtime_r(&when, &tm);
		cr_assert(zone_offset(z, t, NULL) == tm.tm_gmtoff, "%s at %lld: %d, libc says %ld", name, (long long)t,
		          zone_offset(z, t, NULL), tm.tm_gmtoff);
	}
	zone_free(&z);
}

#define YEAR 31556952LL
#define Y1970 0LL
#define Y2100 (130 * YEAR)

Test(zone, agrees_with_libc)
{
	static const char *const names[] = {"Europe/Vienna",     "America/New_York", "America/Sao_Paulo", "Asia/Kolkata",
	                                    "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia",      "Asia/Tehran",
	                                    "America/Santiago",  "Antarctica/Troll", "Pacific/Chatham",   "Etc/GMT+12",
	                                    "Europe/Dublin",     "America/Nuuk"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		compare_with_libc(names[i], Y1970, Y2100, 86400 / 4 + 1);
}

Test(zone, next_is_the_next_change)
{
	struct zone *z = load("Europe/Vienna");
	int64_t next;

	/* 2026-03-29T01:00:00Z and 2026-10-25T01:00:00Z; then 2060, by the footer's rule */
	CHECK_INT(zone_offset(z, 1774745999, &next), 3600);
	CHECK_INT(next, 1774746000);
	CHECK_INT(zone_offset(z, next, &next), 7200);
	CHECK_INT(next, 1792890000);
	CHECK_INT(zone_offset(z, next, NULL), 3600);
	CHECK_INT(zone_offset(z, 2847661200 - 1, &next), 3600);
	CHECK_INT(next, 2847661200); /* the last Sunday of March */
	zone_free(&z);
}

Test(zone, local_times_that_are_missing_or_doubled)
{
	struct zone *z = load("Europe/Vienna");

	/* 2026-03-29: 02:00 to 03:00 is missing; the jump is at 01:00Z */
	CHECK_INT(zone_from_local(z, 1774749600 - 1), 1774745999); /* 01:59:59 */
	CHECK_INT(zone_from_local(z, 1774749600), 1774746000);     /* 02:00 */
	CHECK_INT(zone_from_local(z, 1774749600 + 1800), 1774746000);
	CHECK_INT(zone_from_local(z, 1774749600 + 3600), 1774746000); /* 03:00 */
	CHECK_INT(zone_from_local(z, 1774749600 + 7200), 1774749600);
	/* 2026-10-25: 02:00 to 03:00 is there twice; the first starts at 00:00Z */
	CHECK_INT(zone_from_local(z, 1792893600), 1792886400);
	CHECK_INT(zone_from_local(z, 1792893600 + 1800), 1792886400 + 1800);
	CHECK_INT(zone_from_local(z, 1792893600 + 3600), 1792893600); /* 03:00 CET */
	zone_free(&z);
}

Test(zone, a_day_that_never_was)
{
	struct zone *z = load("Pacific/Apia"); /* skipped 2011-12-30 */

	CHECK_INT(zone_from_local(z, 1325203200 + 43200), 1325239200);
	zone_free(&z);
}

Test(zone, utc)
{
	struct zone *z = zone_utc();
	int64_t next;

	CHECK_INT(zone_offset(z, 12345, &next), 0);
	CHECK(next == INT64_MAX);
	CHECK_INT(zone_from_local(z, 12345), 12345);
	zone_free(&z);
}

Test(zone, names)
{
	CHECK(zone_name_is_good("Europe/Vienna"));
	CHECK(zone_name_is_good("Etc/GMT+1"));
	CHECK(zone_name_is_good("America/Argentina/Buenos_Aires"));
	CHECK(!zone_name_is_good(""));
	CHECK(!zone_name_is_good("/etc/passwd"));
	CHECK(!zone_name_is_good("../../etc/passwd"));
	CHECK(!zone_name_is_good("Europe/../x"));
	CHECK(!zone_name_is_good("Europe/"));
	CHECK(!zone_name_is_good("Europe//Vienna"));
	CHECK(!zone_name_is_good("a b"));
}

/* Every cut and every changed byte of a real file is either refused or read; nothing else. */
Test(zone, damaged_files)
{
	struct fault f = {0};
	struct buf b;
	struct zone *z;

	buf_init(&b, ZONE_MAX_BYTES);
	cr_assert(file_read("/usr/share/zoneinfo/Europe/Vienna", &b) == 0, "no zones: apt-get install tzdata");
	for (size_t n = 0; n < b.size; n++) {
		z = NULL;
		CHECK(zone_read(b.bytes, n, "cut", &z, &f) < 0);
		CHECK(z == NULL);
	}
	for (size_t i = 0; i < b.size; i++)
		for (int bit = 0; bit < 8; bit += 7) {
			b.bytes[i] ^= (uint8_t)(1 << bit);
			z = NULL;
			if (zone_read(b.bytes, b.size, "changed", &z, &f) == 0) {
				(void)zone_offset(z, 1774746000, NULL);
				(void)zone_offset(z, INT64_C(4102444800), NULL);
			}
			zone_free(&z);
			b.bytes[i] ^= (uint8_t)(1 << bit);
		}
	CHECK(zone_read("no zone", 7, "text", &z, &f) < 0);
	CHECK_HAS(f.text, "text is not a time zone file");
	buf_fini(&b);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Clocks and their text forms, independent of locale and TZ.
 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/must.h"

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	MUST(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * DUR_S + ts.tv_nsec / 1000;
}

wall_us clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

mono_us clock_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

dur_us clock_cpu(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int to_fields(wall_us t, struct tm *ret_tm)
{
	time_t s = (time_t)floor_div(t, DUR_S);

	if (gmtime_r(&s, ret_tm) == NULL || ret_tm->tm_year < -1899 || ret_tm->tm_year > 8099)
		return ERR_OUT_OF_RANGE;
	return 0;
}

void clock_to_rfc3339(wall_us t, char ret_text[static CLOCK_RFC3339_SIZE])
{
	struct tm tm;
	unsigned ms = (unsigned)((t - floor_div(t, DUR_S) * DUR_S) / 1000);

	if (to_fields(t, &tm) != 0)
		snprintf(ret_text, CLOCK_RFC3339_SIZE, "-");
	else
		snprintf(ret_text, CLOCK_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		         (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		         (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		         (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, ms % 1000);
}

void clock_to_http(wall_us t, char ret_text[static CLOCK_RFC3339_SIZE])
{
	struct tm tm;

	if (to_fields(t, &tm) != 0)
		snprintf(ret_text, CLOCK_RFC3339_SIZE, "-");
	else
		snprintf(ret_text, CLOCK_RFC3339_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
		         days[tm.tm_wday], (unsigned)tm.tm_mday % 100, months[tm.tm_mon],
		         (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		         (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/* RFC 9110 5.6.7: day-name "," SP day SP month SP year SP hh:mm:ss SP GMT, 29 bytes. */
int clock_from_http(const char *s, size_t n, wall_us *ret_t)
{
	char text[30], again[CLOCK_RFC3339_SIZE], month[4];
	struct tm tm = {0};
	wall_us t;

	if (n != 29)
		return ERR_SYNTAX;
	memcpy(text, s, n);
	text[n] = '\0';
	if (sscanf(text + 5, "%2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year,
	           &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return ERR_SYNTAX;
	for (tm.tm_mon = 0; tm.tm_mon < 12; tm.tm_mon++)
		if (strcmp(months[tm.tm_mon], month) == 0)
			break;
	if (tm.tm_mon == 12)
		return ERR_SYNTAX;
	tm.tm_year -= 1900;
	t = (wall_us)timegm(&tm) * DUR_S;
	clock_to_http(t, again);
	if (strcmp(again, text) != 0)
		return ERR_SYNTAX;
	*ret_t = t;
	return 0;
}

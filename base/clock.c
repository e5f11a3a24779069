/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Clocks and their text forms, independent of locale and TZ.
 */
#include "base/clock.h"

#include <stdbool.h>
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

dur_us clock_cpu_thread(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
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

/* RFC 9110 5.6.7: a two-digit year more than 50 years ahead is the last one that ended so. */
static int full_year(int two_digits)
{
	struct tm now;
	int year;

	if (two_digits < 0 || two_digits > 99 || to_fields(clock_wall(), &now) != 0)
		return two_digits;
	year = (now.tm_year + 1900) / 100 * 100 + two_digits;
	return year > now.tm_year + 1900 + 50 ? year - 100 : year;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; its year is not checked against the day's name, as it is a guess. */
static int from_rfc850(const char *s, wall_us *ret_t)
{
	static const char *const names[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
	char day[10], month[4], again[48];
	struct tm tm = {0};
	int year, i = 0;

	if (sscanf(s, "%9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT", day, &tm.tm_mday, month, &year, &tm.tm_hour, &tm.tm_min,
	           &tm.tm_sec) != 7)
		return ERR_SYNTAX;
	while (i < 7 && strcmp(names[i], day) != 0)
		i++;
	while (tm.tm_mon < 12 && strcmp(months[tm.tm_mon], month) != 0)
		tm.tm_mon++;
	snprintf(again, sizeof again, "%s, %02u-%s-%02u %02u:%02u:%02u GMT", day, (unsigned)tm.tm_mday, month, (unsigned)year % 100,
	         (unsigned)tm.tm_hour, (unsigned)tm.tm_min, (unsigned)tm.tm_sec);
	if (i == 7 || tm.tm_mon == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 ||
	    strcmp(again, s) != 0)
		return ERR_SYNTAX;
	tm.tm_year = full_year(year) - 1900;
	*ret_t = (wall_us)timegm(&tm) * DUR_S;
	return 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", or "Sun Nov  6 08:49:37 1994" as asctime() has it. */
static int from_full_year(const char *s, bool fixdate, wall_us *ret_t)
{
	char again[CLOCK_RFC3339_SIZE], shuffled[CLOCK_RFC3339_SIZE], month[4];
	struct tm tm = {0};
	wall_us t;
	int n;

	n = fixdate ? sscanf(s + 5, "%2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec)
	            : sscanf(s + 4, "%3s %2d %2d:%2d:%2d %4d", month, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year);
	while (n == 6 && tm.tm_mon < 12 && strcmp(months[tm.tm_mon], month) != 0)
		tm.tm_mon++;
	if (n != 6 || tm.tm_mon == 12)
		return ERR_SYNTAX;
	tm.tm_year -= 1900;
	t = (wall_us)timegm(&tm) * DUR_S;
	clock_to_http(t, again);
	if (!fixdate) { /* the same parts in asctime's order, the day padded with a space */
		snprintf(shuffled, sizeof shuffled, "%.3s %.3s %c%c %.8s %.4s", again, again + 8, again[5] == '0' ? ' ' : again[5], again[6],
		         again + 17, again + 12);
		memcpy(again, shuffled, sizeof again);
	}
	if (strcmp(again, s) != 0)
		return ERR_SYNTAX;
	*ret_t = t;
	return 0;
}

int clock_from_http(const char *s, size_t n, wall_us *ret_t)
{
	char text[40];

	if (n < 24 || n >= sizeof text || memchr(s, '\0', n) != NULL)
		return ERR_SYNTAX;
	memcpy(text, s, n);
	text[n] = '\0';
	if (n == 24)
		return from_full_year(text, false, ret_t);
	return n == 29 && text[3] == ',' ? from_full_year(text, true, ret_t) : from_rfc850(text, ret_t);
}

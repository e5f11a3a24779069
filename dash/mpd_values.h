/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The value types of MPD attributes (XML Schema part 2 and ISO/IEC 23009-1
 * 5.3): text to numbers and back.  Each reader takes the whole of the text, with
 * white space around it, or fails with ERR_SYNTAX or ERR_OUT_OF_RANGE.
 */
#ifndef RIBERA_DASH_MPD_VALUES_H
#define RIBERA_DASH_MPD_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "dash/mpd.h"

/* Digits; ".0" behind them is allowed. */
int mpd_value_uint(const char *s, size_t n, uint64_t max, uint64_t *ret_v);
int mpd_value_int(const char *s, size_t n, int64_t *ret_v);
/* Of any case. */
int mpd_value_bool(const char *s, size_t n, bool *ret_v);
/* ConditionalUintType: "true", "false" or a number, which is true unless 0. */
int mpd_value_flag(const char *s, size_t n, bool *ret_v);
/* A double; "INF" is INFINITY. */
int mpd_value_double(const char *s, size_t n, double *ret_v);
/* xs:duration, not negative; a year counts 365 days, a month 30. */
int mpd_value_duration(const char *s, size_t n, dur_us *ret_d);
/* xs:dateTime; without a zone it is UTC. */
int mpd_value_date(const char *s, size_t n, wall_us *ret_t);
/* "30000/1001", "16:9", "25", and "29.97" as 2997/100. */
int mpd_value_ratio(const char *s, size_t n, struct mpd_ratio *ret_ratio);
/* "first-last", "first-" or "first". */
int mpd_value_range(const char *s, size_t n, struct mpd_range *ret_range);
/* The last number of a list of one or two. */
int mpd_value_last_uint(const char *s, size_t n, uint64_t max, uint64_t *ret_v);

#define MPD_VALUE_SIZE 64
void mpd_value_from_duration(dur_us d, char ret_text[static MPD_VALUE_SIZE]);
void mpd_value_from_date(wall_us t, char ret_text[static MPD_VALUE_SIZE]);
void mpd_value_from_double(double v, char ret_text[static MPD_VALUE_SIZE]);

#endif

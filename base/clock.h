/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Time.  Three scalar types that must not be mixed: wall time (may jump),
 * monotonic time (never goes back) and durations, all in microseconds.  Media
 * time is none of these: it is an integer with a timescale (dash/).
 */
#ifndef RIBERA_BASE_CLOCK_H
#define RIBERA_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t wall_us; /* since 1970-01-01T00:00:00Z, without leap seconds */
typedef int64_t mono_us; /* since some fixed instant of this boot */
typedef int64_t dur_us;

#define DUR_MS ((dur_us)1000)
#define DUR_S ((dur_us)1000000)
#define DUR_MIN (60 * DUR_S)
#define DUR_HOUR (60 * DUR_MIN)

wall_us clock_wall(void);
mono_us clock_mono(void);
dur_us clock_cpu(void); /* CPU time of this process */
dur_us clock_cpu_thread(void); /* of the calling thread */

#define CLOCK_RFC3339_SIZE 32
/* "2026-01-02T03:04:05.678Z" (RFC 3339), for years 1 to 9999; others print as "-". */
void clock_to_rfc3339(wall_us t, char ret_text[static CLOCK_RFC3339_SIZE]);
/* "Fri, 02 Jan 2026 03:04:05 GMT" (RFC 9110 5.6.7). */
void clock_to_http(wall_us t, char ret_text[static CLOCK_RFC3339_SIZE]);
/* Reads the three forms of RFC 9110 5.6.7: IMF-fixdate, RFC 850 and asctime; ERR_SYNTAX for anything else. */
int clock_from_http(const char *s, size_t n, wall_us *ret_t);

#endif

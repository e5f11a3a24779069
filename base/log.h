/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The log: one line an event on standard error,
 *   2026-01-02T03:04:05.678Z warn edge/fill: piece has a wrong hash title=bbb piece=17
 * or, where standard error is the journal's (JOURNAL_STREAM), an entry with a
 * field RIBERA_TITLE, RIBERA_PIECE, ... for each value (base/journald.h); if the
 * journal cannot be reached, "<4>edge/fill: ..." with the syslog priority.
 *
 * Messages are lower case, values follow as key=value, the offending value
 * quoted.  Nothing per segment above debug.  A line is written by one write(2),
 * so lines of several threads do not mix.
 */
#ifndef RIBERA_BASE_LOG_H
#define RIBERA_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_VERBOSE, LOG_DEBUG };

void log_set_level(enum log_level);
int log_level_from_name(const char *name, enum log_level *ret_level); /* "error" ... "debug"; ERR_SYNTAX */
int log_enabled(enum log_level);

/* `where` is "program/part", a string constant. */
void log_write(enum log_level, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(where, ...) log_write(LOG_ERROR, where, __VA_ARGS__)
#define log_warn(where, ...) log_write(LOG_WARN, where, __VA_ARGS__)
#define log_info(where, ...) log_write(LOG_INFO, where, __VA_ARGS__)
#define log_verbose(where, ...) (log_enabled(LOG_VERBOSE) ? log_write(LOG_VERBOSE, where, __VA_ARGS__) : (void)0)
#define log_debug(where, ...) (log_enabled(LOG_DEBUG) ? log_write(LOG_DEBUG, where, __VA_ARGS__) : (void)0)

#endif

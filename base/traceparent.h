/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The context of a request that passes through several programs (W3C Trace
 * Context, level 1): 32 hex digits that stay the same all the way, 16 that name
 * one request on it, and flags.  Digits are kept as the text they travel as.
 * Pure, but for traceparent_new.
 */
#ifndef RIBERA_BASE_TRACEPARENT_H
#define RIBERA_BASE_TRACEPARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACEPARENT_SIZE 56 /* "00-TRACE-SPAN-FLAGS" and a NUL */

struct traceparent {
	char trace[33], span[17]; /* lower-case hex digits, never all zeros; NUL-terminated */
	uint8_t flags;            /* TRACEPARENT_SAMPLED or 0: level 1 knows no other */
};
#define TRACEPARENT_SAMPLED 1

/* A field's value as it came (3.2, 4.3), strictly.  Versions to come are read as far as this one
 * reaches.  ERR_SYNTAX: it is as if there was none. */
int traceparent_parse(const char *value, size_t n, struct traceparent *ret);
void traceparent_format(const struct traceparent *, char ret_value[static TRACEPARENT_SIZE]);

/* A trace of its own, not sampled.  Random; any thread. */
void traceparent_new(struct traceparent *ret);
/* Another request on the same trace: all stays but the span, which is random. */
void traceparent_step(struct traceparent *);

/* Is a tracestate (3.3), its lines joined by commas, fit to be passed on?  At most 512 bytes and 32 members. */
#define TRACESTATE_MAX 512
bool tracestate_is_good(const char *value, size_t n);

/* 1 to 64 of [A-Za-z0-9._-]: an X-Request-Id that may stand in logs and answers as it is. */
bool request_id_is_good(const char *value, size_t n);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * traceparent, tracestate and request ids: what is taken is written as it came (version 0), and a step on
 * the same trace changes its span alone.
 */
#include <stdint.h>
#include <string.h>

#include "base/must.h"
#include "base/traceparent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_parent(const char *value, size_t n)
{
	struct traceparent t, next, again;
	char text[TRACEPARENT_SIZE];

	if (traceparent_parse(value, n, &t) != 0)
		return;
	MUST(strspn(t.trace, "0123456789abcdef") == 32 && strspn(t.span, "0123456789abcdef") == 16);
	MUST(strspn(t.trace, "0") < 32 && strspn(t.span, "0") < 16);
	traceparent_format(&t, text);
	MUST(memcmp(text + 2, value + 2, 51) == 0);
	MUST(traceparent_parse(text, strlen(text), &again) == 0 && again.flags == t.flags);
	next = t;
	traceparent_step(&next);
	MUST(strcmp(next.trace, t.trace) == 0 && strcmp(next.span, t.span) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *value = (const char *)data;

	check_parent(value, n);
	if (request_id_is_good(value, n))
		MUST(n >= 1 && n <= 64 && memchr(value, '\0', n) == NULL && memchr(value, '\n', n) == NULL && memchr(value, '"', n) == NULL);
	if (tracestate_is_good(value, n))
		MUST(n <= TRACESTATE_MAX && memchr(value, '\n', n) == NULL && memchr(value, '\r', n) == NULL && memchr(value, '\0', n) == NULL);
	return 0;
}

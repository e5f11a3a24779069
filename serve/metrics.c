/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /metrics in the format its reader asks for: the Prometheus text format 0.0.4,
 * or OpenMetrics 1.0.0, in which a counter's family is named without the _total
 * of its samples, and an end tells a whole text from one that was cut.
 */
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "serve/inner.h"

#define OPEN_METRICS "application/openmetrics-text"
#define OPEN_METRICS_TYPE OPEN_METRICS "; version=1.0.0; charset=utf-8"
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The weight of one entry of Accept in thousandths (RFC 9110 12.4.2). */
static int weight(const char *p, const char *end)
{
	const char *q = memmem(p, (size_t)(end - p), ";q=", 3);
	int value = 0, unit = 1000;

	if (q == NULL && (q = memmem(p, (size_t)(end - p), "; q=", 4)) == NULL)
		return 1000;
	for (q += q[1] == ' ' ? 4 : 3; q < end && unit > 0 && ((*q >= '0' && *q <= '9') || *q == '.'); q++)
		if (*q != '.') {
			value += (*q - '0') * unit;
			unit /= 10;
		}
	return value;
}

/* What the media type weighs; 0: it is not named. */
static int weight_of(const char *accept, size_t n, const char *type)
{
	const char *end = accept + n;
	int best = 0;

	for (const char *p = accept, *stop; p < end; p = stop + 1) {
		stop = memchr(p, ',', (size_t)(end - p));
		if (stop == NULL)
			stop = end;
		while (p < stop && *p == ' ')
			p++;
		if ((size_t)(stop - p) >= strlen(type) && strncasecmp(p, type, strlen(type)) == 0 && weight(p, stop) > best)
			best = weight(p, stop);
		if (stop == end)
			break;
	}
	return best;
}

static bool wants_open_metrics(const struct serve_request *r)
{
	size_t n;
	const char *accept = serve_field(r, "accept", &n);
	int open = accept != NULL ? weight_of(accept, n, OPEN_METRICS) : 0;

	return open > 0 && open >= weight_of(accept, n, "text/plain");
}

/* "# HELP a_total ..." and "# TYPE a_total counter" name the family: a. */
static void write_comment(struct buf *out, const char *line, size_t n)
{
	static const char suffix[] = "_total";
	size_t m = sizeof suffix - 1;
	const char *name = line + 7, *stop = memchr(name, ' ', n - 7);

	if (stop == NULL || (size_t)(stop - name) <= m || memcmp(stop - m, suffix, m) != 0) {
		buf_append(out, line, n);
		return;
	}
	buf_append(out, line, (size_t)(stop - m - line));
	buf_append(out, stop, (size_t)(line + n - stop));
}

static void to_open_metrics(const struct buf *text, struct buf *out)
{
	const char *p = (const char *)text->bytes, *end = p + text->size;

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((stop != NULL ? stop + 1 : end) - p);

		if (n > 7 && (memcmp(p, "# HELP ", 7) == 0 || memcmp(p, "# TYPE ", 7) == 0))
			write_comment(out, p, n);
		else
			buf_append(out, p, n);
		p += n;
	}
	buf_puts(out, "# EOF\n");
}

void serve_reply_metrics(struct serve_request *r, struct buf *text)
{
	static const struct serve_header fields[] = {{"cache-control", "no-store"}, {"vary", "Accept"}};
	struct buf open;

	if (buf_error(text) != 0) {
		request_refuse(r, 500);
	} else if (wants_open_metrics(r)) {
		buf_init(&open, 2 * text->size + 16);
		to_open_metrics(text, &open);
		serve_reply(r, 200, OPEN_METRICS_TYPE, blob_take_buf(&open), fields, 2);
		buf_fini(&open);
	} else {
		serve_reply(r, 200, TEXT_TYPE, blob_take_buf(text), fields, 2);
	}
	buf_fini(text);
}

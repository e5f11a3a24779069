/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Response header fields (RFC 9110).
 */
#include "fetch/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

#define FIELD_MAX 1024        /* longer values of kept strings are ignored */
#define RETRY_MAX DUR_HOUR

void response_init(struct response *r)
{
	*r = (struct response){0};
}

void response_fini(struct response *r)
{
	free(r->etag);
	free(r->content_type);
	free(r->cache_status);
	free(r->effective_url);
	response_init(r);
}

static void keep(char **slot, const char **view, const char *s, size_t n)
{
	if (n > FIELD_MAX)
		return;
	free(*slot);
	*slot = mem_dup_n(s, n);
	*view = *slot;
}

/* RFC 9110 14.4: "bytes" SP first "-" last "/" size */
static void read_content_range(struct response *r, const char *s, size_t n)
{
	const char *end = s + n, *dash, *slash;
	uint64_t first, last, size;

	if (n < 6 || strncasecmp(s, "bytes ", 6) != 0)
		return;
	s += 6;
	dash = memchr(s, '-', (size_t)(end - s));
	slash = memchr(s, '/', (size_t)(end - s));
	if (dash == NULL || slash == NULL || slash < dash)
		return;
	if (str_parse_u64(s, (size_t)(dash - s), &first) != 0 ||
	    str_parse_u64(dash + 1, (size_t)(slash - dash - 1), &last) != 0 ||
	    str_parse_u64(slash + 1, (size_t)(end - slash - 1), &size) != 0)
		return;
	if (first > last || last >= size)
		return;
	r->facts.has_range = true;
	r->facts.range_first = first;
	r->facts.range_last = last;
	r->facts.range_size = size;
}

/* RFC 9110 10.2.3: seconds or a date. */
static void read_retry_after(struct response *r, const char *s, size_t n, wall_us now)
{
	uint64_t seconds;
	wall_us when;
	dur_us d = 0;

	if (str_parse_u64(s, n, &seconds) == 0)
		d = seconds < (uint64_t)(RETRY_MAX / DUR_S) ? (dur_us)seconds * DUR_S : RETRY_MAX;
	else if (clock_from_http(s, n, &when) == 0)
		d = when - now;
	r->facts.retry_after = d < 0 ? 0 : d > RETRY_MAX ? RETRY_MAX : d;
}

static void start_anew(struct response *r, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);
	uint64_t status;

	response_fini(r);
	if (space != NULL && (size_t)(line + n - space) >= 4 && str_parse_u64(space + 1, 3, &status) == 0)
		r->facts.status = (int)status;
}

static bool is(const char *name, size_t n, const char *want)
{
	return strlen(want) == n && strncasecmp(name, want, n) == 0;
}

static void read_field(struct response *r, const char *name, size_t name_n, const char *v, size_t n, wall_us now)
{
	uint64_t length;

	if (is(name, name_n, "content-length")) {
		if (str_parse_u64(v, n, &length) == 0) {
			r->facts.has_length = true;
			r->facts.length = length;
		}
	} else if (is(name, name_n, "content-range")) {
		read_content_range(r, v, n);
	} else if (is(name, name_n, "retry-after")) {
		read_retry_after(r, v, n, now);
	} else if (is(name, name_n, "date")) {
		if (clock_from_http(v, n, &r->facts.date) != 0)
			r->facts.date = 0;
	} else if (is(name, name_n, "etag")) {
		keep(&r->etag, &r->facts.etag, v, n);
	} else if (is(name, name_n, "content-type")) {
		keep(&r->content_type, &r->facts.content_type, v, n);
	} else if (is(name, name_n, "cache-status")) {
		keep(&r->cache_status, &r->facts.cache_status, v, n);
	}
}

void response_line(struct response *r, const char *line, size_t n, wall_us now)
{
	const char *colon;
	size_t name_n;

	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' '))
		n--;
	if (n >= 5 && strncmp(line, "HTTP/", 5) == 0) {
		start_anew(r, line, n);
		return;
	}
	colon = memchr(line, ':', n);
	if (colon == NULL)
		return;
	name_n = (size_t)(colon - line);
	colon++;
	while (colon < line + n && (*colon == ' ' || *colon == '\t'))
		colon++;
	read_field(r, line, name_n, colon, (size_t)(line + n - colon), now);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fetch/response: header fields of peers that may lie.
 */
#include "fetch/response.h"
#include "t/lib/unit.h"

#define NOW ((wall_us)784111777 * DUR_S) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void lines(struct response *r, const char *text)
{
	response_init(r);
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		response_line(r, text, n + (text[n] == '\n'), NOW);
		text += n + (text[n] == '\n');
	}
}

Test(response, facts_of_a_partial_reply)
{
	struct response r;

	lines(&r, "HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\nCONTENT-RANGE: bytes 100-199/1000\r\n"
	          "ETag:\t\"abc\" \r\nCache-Status: edge;hit\r\n\r\n");
	CHECK_INT(r.facts.status, 206);
	CHECK(r.facts.has_length && r.facts.length == 100);
	CHECK(r.facts.has_range && r.facts.range_first == 100 && r.facts.range_last == 199 && r.facts.range_size == 1000);
	CHECK_STR(r.facts.etag, "\"abc\"");
	CHECK_STR(r.facts.cache_status, "edge;hit");
	response_fini(&r);
}

Test(response, a_new_status_line_forgets_the_former)
{
	struct response r;

	lines(&r, "HTTP/1.1 302 Found\r\nETag: \"old\"\r\nContent-Length: 5\r\n\r\nHTTP/2 200 \r\n\r\n");
	CHECK_INT(r.facts.status, 200);
	CHECK(r.facts.etag == NULL && !r.facts.has_length);
	response_fini(&r);
}

Test(response, nonsense_is_as_if_absent)
{
	static const char *const bad[] = {
		"Content-Range: bytes 5-4/10", "Content-Range: bytes 0-10/10", "Content-Range: bytes */10",
		"Content-Range: bytes 0-1/*",  "Content-Range: items 0-1/10",  "Content-Range: bytes 0-1",
		"Content-Range: bytes -1-1/3", "Content-Range: bytes 0-18446744073709551616/3", "Content-Range", "Content-Range:",
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct response r;

		lines(&r, bad[i]);
		cr_assert(!r.facts.has_range, "\"%s\" was taken", bad[i]);
		response_fini(&r);
	}
}

Test(response, retry_after)
{
	struct response r;

	lines(&r, "HTTP/1.1 503 x\r\nRetry-After: 7\r\n");
	CHECK_INT(r.facts.retry_after, 7 * DUR_S);
	response_fini(&r);
	lines(&r, "Retry-After: Sun, 06 Nov 1994 08:49:47 GMT");
	CHECK_INT(r.facts.retry_after, 10 * DUR_S);
	response_fini(&r);
	lines(&r, "Retry-After: Sun, 06 Nov 1994 08:49:27 GMT");
	CHECK_INT(r.facts.retry_after, 0);
	response_fini(&r);
	lines(&r, "Retry-After: 99999999999999");
	CHECK_INT(r.facts.retry_after, DUR_HOUR);
	response_fini(&r);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * References against a base (RFC 3986 5.2), a line each: what comes out has a scheme, no byte that
 * a URI may not hold, no dot segment, and is resolved to itself.  A signed URL's
 * networks are read from the same text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "dash/timeline.h"
#include "serve/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const char *url)
{
	char *again = timeline_join_url("http://other/", url);

	for (const char *p = url; *p != '\0'; p++)
		MUST((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f && *p != '#');
	if (strncmp(url, "http://", 7) == 0) {
		size_t n = strcspn(url, "?");

		MUST(memmem(url + 7, n > 7 ? n - 7 : 0, "/../", 4) == NULL);
		MUST(again != NULL && strcmp(again, url) == 0);
	}
	free(again);
}

static void check_net(const char *text)
{
	struct sign_net net;

	if (sign_net_read(text, &net) != 0)
		return;
	MUST((net.family == 4 && net.bits <= 32) || (net.family == 6 && net.bits <= 128));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = mem_dup_n((const char *)data, n), *reference = strchr(text, '\n');
	char *url;

	if (reference != NULL)
		*reference++ = '\0';
	check_net(text);
	url = timeline_join_url("http://h.example:8080/v/t/r/manifest.mpd?x=1", text);
	if (url != NULL)
		check(url);
	free(url);
	url = reference != NULL ? timeline_join_url(text, reference) : NULL;
	if (url != NULL && strncmp(text, "http://h/", 9) == 0)
		check(url);
	free(url);
	free(text);
	return 0;
}

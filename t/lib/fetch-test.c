/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Drives fetch/ from a script: one order a line on standard input, one JSON line
 * a finished transfer on standard output.
 *   get ID URL [first=N last=N max=N rate=N stall=MS pause=MS total=MS connect=MS abort=N]   cancel ID   know URL   known URL   quit
 */
#include <inttypes.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/sha256.h"
#include "base/str.h"
#include "fetch/fetch.h"

struct job {
	unsigned long name;
	struct sha256_state *hash;
	uint64_t got, abort_at;
	int headers, dones;
};

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static int on_header(void *ctx, const struct fetch_response *response)
{
	((struct job *)ctx)->headers++;
	return 0;
}

static int on_data(void *ctx, const void *bytes, size_t n)
{
	struct job *j = ctx;

	MUST(j->headers == 1);
	sha256_update(j->hash, bytes, n);
	j->got += n;
	return j->abort_at > 0 && j->got >= j->abort_at ? ERR_HASH : 0;
}

static void on_done(void *ctx, const struct fetch_result *r, const struct fetch_response *facts)
{
	struct job *j = ctx;
	struct sha256 h;
	char hex[SHA256_HEX_SIZE];

	MUST(j->dones++ == 0 && j->headers <= 1);
	sha256_final(j->hash, &h);
	sha256_to_hex(&h, hex);
	pthread_mutex_lock(&output);
	printf("{\"id\": %lu, \"error\": %d, \"status\": %d, \"bytes\": %" PRIu64 ", \"sha256\": \"%s\", \"reused\": %s, "
	       "\"first_byte\": %" PRId64 ", \"total\": %" PRId64 ", \"retry_after\": %" PRId64 "}\n",
	       j->name, r->error, r->status, r->bytes, hex, r->reused ? "true" : "false", r->first_byte, r->total,
	       facts->retry_after);
	fflush(stdout);
	pthread_mutex_unlock(&output);
	sha256_free(&j->hash);
	free(j);
}

static void option(struct fetch_request *req, struct job *j, const char *word)
{
	const char *eq = strchr(word, '=');
	uint64_t v = 0;

	MUST(eq != NULL && str_parse_u64(eq + 1, strlen(eq + 1), &v) == 0);
	if (str_starts(word, "first="))
		req->first = v, req->has_range = true;
	else if (str_starts(word, "last="))
		req->last = v;
	else if (str_starts(word, "max="))
		req->max_bytes = v;
	else if (str_starts(word, "rate="))
		req->max_rate = v;
	else if (str_starts(word, "stall="))
		req->stall_timeout = (dur_us)v * DUR_MS;
	else if (str_starts(word, "pause="))
		req->pause_timeout = (dur_us)v * DUR_MS;
	else if (str_starts(word, "total="))
		req->total_timeout = (dur_us)v * DUR_MS;
	else if (str_starts(word, "connect="))
		req->connect_timeout = (dur_us)v * DUR_MS;
	else if (str_starts(word, "abort="))
		j->abort_at = v;
}

int main(void)
{
	static fetch_id ids[4096];
	struct fetch *f;
	char line[4096];

	MUST(fetch_new(&(struct fetch_settings){.user_agent = "fetch-test", .max_per_host = 4}, &f) == 0);
	while (fgets(line, sizeof line, stdin) != NULL) {
		char *save, *word = strtok_r(line, " \n", &save);
		char *name = strtok_r(NULL, " \n", &save);
		uint64_t n = 0;

		if (word == NULL || strcmp(word, "quit") == 0)
			break;
		if (strcmp(word, "know") == 0) {
			fetch_know(f, name);
			continue;
		}
		if (strcmp(word, "known") == 0) {
			pthread_mutex_lock(&output);
			printf("{\"known\": %s}\n", fetch_knows(f, name) ? "true" : "false");
			fflush(stdout);
			pthread_mutex_unlock(&output);
			continue;
		}
		MUST(name != NULL && str_parse_u64(name, strlen(name), &n) == 0 && n < 4096);
		if (strcmp(word, "cancel") == 0) {
			fetch_cancel(f, ids[n]);
			continue;
		}
		struct fetch_request req = {.url = strtok_r(NULL, " \n", &save)};
		struct job *j = mem_new(sizeof *j);

		j->name = n;
		j->hash = sha256_new();
		while ((word = strtok_r(NULL, " \n", &save)) != NULL)
			option(&req, j, word);
		ids[n] = fetch_start(f, &req, on_header, on_data, on_done, j);
	}
	fetch_free(&f);
	return 0;
}

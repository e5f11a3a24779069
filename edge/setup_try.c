/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Trying the edge end to end.
 */
#include "edge/setup_try.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "edge/node.h"
#include "edge/setup_ask.h"
#include "fetch/fetch.h"

#define PATIENCE (15 * DUR_S)

int setup_check_zone(const char *name, struct fault *f)
{
	struct settings s = {0};
	struct config *c = config_new(settings_rows, settings_n_rows, &s);
	int r;

	s.name = "x";
	s.origin = "http://x";
	s.store = "x";
	s.window_zone = name;
	r = settings_check(&s, f);
	settings_fini(&s);
	config_free(&c);
	return r;
}

/* Words of /healthz: "" when it is well; NULL when nothing answered.  Caller frees. */
static char *ask_health(struct fetch *fetch, const char *base)
{
	char *url = mem_printf("%s/healthz", base), *words = NULL;
	struct fetch_request req = {.url = url, .max_bytes = 4096, .connect_timeout = 2 * DUR_S, .stall_timeout = 2 * DUR_S, .total_timeout = 4 * DUR_S};
	struct fetch_result result = {0};
	struct blob *reply = NULL;
	struct fault f = {0};

	fetch_get(fetch, &req, &reply, &result, NULL, &f);
	if (result.status == 200)
		words = mem_dup("");
	else if (result.status == 503 && reply != NULL)
		words = mem_dup_n((const char *)reply->bytes, strcspn((const char *)reply->bytes, "\n") < reply->size ? strcspn((const char *)reply->bytes, "\n") : reply->size);
	else if (result.status > 0)
		words = mem_printf("HTTP %d", result.status);
	blob_unref(&reply);
	free(url);
	return words;
}

/* How this machine reaches its own edge, whatever others do; caller frees. */
static char *own_address(const struct settings *s, uint16_t port)
{
	const char *colon = strrchr(s->listen, ':');
	int n = colon != NULL ? (int)(colon - s->listen) : 0;
	bool any = n == 0 || strncmp(s->listen, "*", 1) == 0 || strncmp(s->listen, "0.0.0.0", 7) == 0 || strncmp(s->listen, "[::]", 4) == 0;

	return mem_printf("%s://%.*s:%u", settings_has_tls(s) ? "https" : "http", any ? 9 : n, any ? "127.0.0.1" : s->listen, port);
}

/* With TLS the certificate names the public address, so only that one can be asked. */
static int wait_until_well(const struct settings *s, uint16_t port, struct fetch *fetch, FILE *out, struct fault *f)
{
	static const struct timespec step = {.tv_nsec = 200000000};
	char *own = own_address(s, port), *words = NULL;
	const char *where = settings_has_tls(s) && s->public_url != NULL ? s->public_url : own;
	mono_us end = clock_mono() + PATIENCE;
	int r = 0;

	do {
		free(words);
		words = ask_health(fetch, where);
		if (words != NULL && words[0] == '\0')
			break;
		nanosleep(&step, NULL);
	} while (clock_mono() < end && !ask_stopped());
	if (ask_stopped())
		r = fault_set(f, ERR_CANCELLED, _("stopped before the edge was seen to work"));
	else if (words == NULL)
		r = fault_set(f, ERR_NETWORK, _("the edge runs, but %s cannot be reached from this machine: check firewall, address and certificate"), where);
	else if (words[0] != '\0')
		r = fault_set(f, ERR_TIMEOUT, _("the edge runs, but is not well: %s"), words);
	else
		fprintf(out, _("  the edge starts, has its plan and answers at %s\n"), where);
	free(words);
	words = r == 0 && s->public_url != NULL && where == own ? ask_health(fetch, s->public_url) : NULL;
	if (r == 0 && s->public_url != NULL && where == own && (words == NULL || words[0] != '\0'))
		fprintf(out, _("  but %s does not lead to it from here: check the name, the firewall and the router, unless only others can use it\n"), s->public_url);
	free(words);
	free(own);
	return r;
}

static int run_node(struct settings *s, struct fetch *fetch, FILE *out, struct fault *f)
{
	struct node_ports ports = {0};
	struct node *n = NULL;
	int r;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	r = node_start(s, &n, &ports, f);
	if (r == 0) {
		r = wait_until_well(s, ports.viewers, fetch, out, f);
		node_stop(&n);
	}
	return r;
}

int setup_try(const char *path, struct fetch *fetch, FILE *out, struct fault *f)
{
	struct settings s = {0};
	struct config *c = config_new(settings_rows, settings_n_rows, &s);
	int r = config_read_file(c, path, f);
	bool there;
	char *store;

	if (r == 0)
		r = settings_check(&s, f);
	if (r == 0) {
		const char *real = s.store;

		there = file_exists(real);
		store = mem_printf("%s/.setup-%ld", real, (long)getpid());
		s.store = store;
		s.access_log = NULL;
		r = run_node(&s, fetch, out, f);
		folder_remove(store);
		if (!there)
			rmdir(real);
		free(store);
	}
	if (r != 0)
		fault_prefix(f, _("%s is written, but does not work yet"), path);
	settings_fini(&s);
	config_free(&c);
	return r;
}

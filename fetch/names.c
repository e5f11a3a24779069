/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A small table, and a thread that lives while names in it wait to be looked up.  It is detached, for getaddrinfo cannot be
 * interrupted: who ends last, it or the owner, frees the table.
 */
#include "fetch/names.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define N_HOSTS 256
#define FRESH DUR_MIN /* as curl keeps what it has looked up */
#define ANEW DUR_S
#define ADDRESSES_MAX 1000 /* bytes of them */

struct host {
	char *name;      /* NULL: a free place */
	char *addresses; /* "a,b"; NULL: none came yet */
	mono_us asked;
	bool waits;      /* to be looked up */
};

struct names {
	pthread_mutex_t lock; /* guards all */
	struct host hosts[N_HOSTS];
	bool runs, left;      /* the thread; the owner has gone */
};

struct names *names_new(void)
{
	struct names *n = mem_new(sizeof *n);

	pthread_mutex_init(&n->lock, NULL);
	return n;
}

static void forget(struct host *h)
{
	free(h->name);
	free(h->addresses);
	*h = (struct host){0};
}

static void dispose(struct names *n)
{
	for (size_t i = 0; i < N_HOSTS; i++)
		forget(&n->hosts[i]);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void names_free(struct names **pn)
{
	struct names *n = *pn;
	bool runs;

	*pn = NULL;
	if (n == NULL)
		return;
	pthread_mutex_lock(&n->lock);
	n->left = true;
	runs = n->runs;
	pthread_mutex_unlock(&n->lock);
	if (!runs)
		dispose(n);
}

/* --- the thread ------------------------------------------------------------------------ */

static void add_address(struct buf *out, const struct sockaddr *a)
{
	char text[INET6_ADDRSTRLEN];

	if (a->sa_family == AF_INET && inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, text, sizeof text) != NULL)
		buf_printf(out, "%s%s", out->size > 0 ? "," : "", text);
	else if (a->sa_family == AF_INET6 && inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, text, sizeof text) != NULL)
		buf_printf(out, "%s[%s]", out->size > 0 ? "," : "", text);
}

/* NULL: nothing came.  In the order in which the system would try them. */
static char *look_up(const char *name)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *all = NULL;
	struct buf out;
	char *r = NULL;

	if (getaddrinfo(name, NULL, &hints, &all) != 0)
		return NULL;
	buf_init(&out, ADDRESSES_MAX);
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		add_address(&out, a->ai_addr);
	if (out.size > 0)
		r = mem_printf("%.*s", (int)out.size, (const char *)out.bytes);
	buf_fini(&out);
	freeaddrinfo(all);
	return r;
}

static struct host *find(struct names *n, const char *name)
{
	for (size_t i = 0; i < N_HOSTS; i++)
		if (n->hosts[i].name != NULL && strcmp(n->hosts[i].name, name) == 0)
			return &n->hosts[i];
	return NULL;
}

static char *next_name(struct names *n)
{
	for (size_t i = 0; i < N_HOSTS && !n->left; i++)
		if (n->hosts[i].waits) {
			n->hosts[i].waits = false;
			return mem_dup(n->hosts[i].name);
		}
	return NULL;
}

static void learn(struct names *n, const char *name, char *addresses)
{
	struct host *h = find(n, name);

	if (h == NULL || addresses == NULL) {
		free(addresses);
		return;
	}
	free(h->addresses);
	h->addresses = addresses;
}

static void *run(void *ctx)
{
	struct names *n = ctx;
	char *name;
	bool left;

	pthread_mutex_lock(&n->lock);
	while ((name = next_name(n)) != NULL) {
		char *addresses;

		pthread_mutex_unlock(&n->lock);
		addresses = look_up(name);
		pthread_mutex_lock(&n->lock);
		learn(n, name, addresses);
		free(name);
	}
	n->runs = false;
	left = n->left;
	pthread_mutex_unlock(&n->lock);
	if (left)
		dispose(n);
	return NULL;
}

/* Under the lock.  Without a thread nothing is known before it is needed, and that is all. */
static void begin(struct names *n)
{
	pthread_attr_t how;
	pthread_t thread;

	if (n->runs)
		return;
	pthread_attr_init(&how);
	pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
	n->runs = pthread_create(&thread, &how, run, n) == 0;
	pthread_attr_destroy(&how);
}

/* --- for everybody --------------------------------------------------------------------- */

static bool is_address(const char *host)
{
	struct in_addr a;

	return host[0] == '[' || inet_pton(AF_INET, host, &a) == 1;
}

/* To be freed by curl_free; NULL when there is nothing to look up. */
static char *host_of(const char *url, unsigned *ret_port)
{
	CURLU *u = curl_url();
	char *host = NULL, *port = NULL;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		*ret_port = (unsigned)strtoul(port, NULL, 10);
	curl_url_cleanup(u);
	if (host != NULL && (port == NULL || is_address(host))) {
		curl_free(host);
		host = NULL;
	}
	curl_free(port);
	return host;
}

/* A free place, else that of who was asked for longest ago. */
static struct host *place(struct names *n)
{
	struct host *oldest = &n->hosts[0];

	for (size_t i = 0; i < N_HOSTS; i++) {
		if (n->hosts[i].name == NULL)
			return &n->hosts[i];
		if (n->hosts[i].asked < oldest->asked)
			oldest = &n->hosts[i];
	}
	forget(oldest);
	return oldest;
}

void names_ask(struct names *n, const char *url, bool anew)
{
	mono_us now = clock_mono();
	unsigned port;
	char *name = host_of(url, &port);
	struct host *h;

	if (name == NULL)
		return;
	pthread_mutex_lock(&n->lock);
	h = find(n, name);
	if (h == NULL) {
		h = place(n);
		h->name = mem_dup(name);
		h->asked = now - FRESH;
	}
	if (!h->waits && now - h->asked >= (anew ? ANEW : FRESH)) {
		h->asked = now;
		h->waits = true;
		begin(n);
	}
	pthread_mutex_unlock(&n->lock);
	curl_free(name);
}

/* To be freed. */
static char *first_behind(const char *addresses)
{
	const char *rest = strchr(addresses, ',');

	return rest != NULL ? mem_printf("%s,%.*s", rest + 1, (int)(rest - addresses), addresses) : mem_dup(addresses);
}

char *names_find(struct names *n, const char *url, bool second)
{
	unsigned port = 0;
	char *name = host_of(url, &port), *r = NULL, *order;
	const struct host *h;

	if (name == NULL)
		return NULL;
	pthread_mutex_lock(&n->lock);
	h = find(n, name);
	if (h != NULL && h->addresses != NULL) {
		order = second ? first_behind(h->addresses) : mem_dup(h->addresses);
		r = mem_printf("+%s:%u:%s", name, port, order);
		free(order);
	}
	pthread_mutex_unlock(&n->lock);
	curl_free(name);
	return r;
}

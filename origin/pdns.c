/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GET /pdns/lookup/NAME./TYPE and the few other questions that pdns_server asks at
 * its start.  What is not known is {"result":false}, which is no error to it.
 */
#include "origin/pdns.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/rcu.h"
#include "base/str.h"
#include "dash/package.h"
#include "origin/library.h"
#include "origin/origin.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/revision.h"
#include "origin/steer.h"
#include "serve/serve.h"

#define MAX_ANSWERS 2 /* of a family */

struct lookup {
	const struct origin *origin;
	char name[256];     /* lower case, without the last dot */
	const char *type;
	char client[64];    /* the viewer's network, or who asks for it */
	int scope;          /* leading bits of the viewer's address that the answer is for; 0: all */
	char here[64];      /* the name server's address, at which it was asked; "" unknown */
	char key[600];      /* TITLE/REVISION that must be held; "" any */
	json_t *records;
};

static void add(struct lookup *l, const char *type, const char *content, int ttl)
{
	if (strcasecmp(l->type, "ANY") == 0 || strcasecmp(l->type, type) == 0 || strcmp(type, "CNAME") == 0)
		json_array_append_new(l->records, json_pack("{s:s, s:s, s:s, s:i, s:i}", "qtype", type, "qname", l->name, "content", content,
		                                            "ttl", ttl, "scopeMask", l->scope));
}

/* The zone's NS is this name: it has to lead somewhere, and the resolver is there already. */
static void add_name_server(struct lookup *l)
{
	uint8_t bits[16];

	l->scope = 0;
	if (inet_pton(AF_INET, l->here, bits) == 1)
		add(l, "A", l->here, 3600);
	else if (inet_pton(AF_INET6, l->here, bits) == 1)
		add(l, "AAAA", l->here, 3600);
}

static void add_zone(struct lookup *l)
{
	const char *zone = l->origin->settings.dns_zone;
	char *soa = mem_printf("ns.%s hostmaster.%s 1 3600 600 86400 30", zone, zone), *ns = mem_printf("ns.%s", zone);

	add(l, "SOA", soa, 3600);
	add(l, "NS", ns, 3600);
	free(soa);
	free(ns);
}

/* --- edges ------------------------------------------------------------------------------ */

/* The edges that may be answered, copied while the registry is locked. */
struct crowd {
	const struct lookup *lookup;
	struct holders_edge *edges;
	size_t n, cap;
};

static bool take_edge(void *ctx, const struct registry_edge *e)
{
	struct crowd *c = ctx;

	if (!e->up || (c->lookup->key[0] != '\0' && !registry_edge_holds(e, c->lookup->key)))
		return true;
	MEM_GROW(c->edges, c->cap, c->n);
	c->edges[c->n] = *e->shown;
	c->edges[c->n].name = mem_dup(e->name);
	c->edges[c->n++].url = mem_dup(e->url);
	return true;
}

/* The host of "http://host:port". */
static char *host_of(const char *url)
{
	const char *s = strstr(url, "://") + 3;

	if (*s == '[')
		return mem_dup_n(s + 1, strcspn(s + 1, "]"));
	return mem_dup_n(s, strcspn(s, ":/"));
}

enum family { FAMILY_A, FAMILY_AAAA, FAMILY_NAME, N_FAMILIES };

static enum family family_of(const char *host)
{
	uint8_t bits[16];

	return inet_pton(AF_INET, host, bits) == 1 ? FAMILY_A : inet_pton(AF_INET6, host, bits) == 1 ? FAMILY_AAAA : FAMILY_NAME;
}

/* What was answered of each family so far. */
struct given {
	unsigned n;
	unsigned distance; /* of the first */
};

/* A few of each family, equally near: the name server mixes them.  A name only when there is no address, and alone (RFC 1034 3.6.2). */
static void add_edge(struct lookup *l, const char *url, unsigned distance, struct given given[static N_FAMILIES])
{
	static const char *const types[N_FAMILIES] = {"A", "AAAA", "CNAME"};
	char *host = host_of(url);
	enum family family = family_of(host);
	struct given *g = &given[family];
	bool good = family == FAMILY_NAME ? given[FAMILY_A].n + given[FAMILY_AAAA].n + g->n == 0 && strcmp(l->name, l->origin->settings.dns_zone) != 0
	                                  : given[FAMILY_NAME].n == 0 && g->n < MAX_ANSWERS && (g->n == 0 || g->distance == distance);

	if (good) {
		add(l, types[family], host, (int)(l->origin->settings.dns_ttl / DUR_S));
		*g = (struct given){g->n + 1, distance};
	}
	free(host);
}

static void add_best(struct lookup *l, struct crowd *c)
{
	struct holders_set *set = mem_new(sizeof *set + (c->n + 1) * sizeof set->edges[0]);
	struct steer_edge *edges = mem_new_array(c->n + 1, sizeof *edges);
	struct given given[N_FAMILIES] = {{0, 0}};
	size_t order[STEER_MAX_EDGES], n;

	for (size_t i = 0; i < c->n; i++)
		set->edges[set->n++] = &c->edges[i];
	steering_describe(l->origin->steering, set, l->client, edges);
	n = steer_order(steer_client_key(l->client), edges, set->n, STEER_MAX_EDGES, order);
	for (size_t i = 0; i < n; i++)
		add_edge(l, c->edges[order[i]].url, edges[order[i]].distance, given);
	if (n == 0 && l->key[0] == '\0') /* no edge is up: the origin serves all titles itself, and the name stays a name */
		add_edge(l, steering_origin(l->origin->steering), PREFIX_FAR, given);
	free(edges);
	free(set);
}

static void add_edges(struct lookup *l)
{
	struct crowd c = {.lookup = l};

	registry_each(l->origin->registry, NULL, take_edge, &c);
	add_best(l, &c);
	for (size_t i = 0; i < c.n; i++) {
		free(c.edges[i].name);
		free(c.edges[i].url);
	}
	free(c.edges);
	if (l->key[0] != '\0' && json_array_size(l->records) == 0) { /* nobody holds it: an edge will fetch it */
		l->key[0] = '\0';
		add_edges(l);
	}
}

/* --- names ------------------------------------------------------------------------------ */

/* What stands before ".ZONE"; "" for the zone itself, NULL for names elsewhere. */
static char *label_of(const struct lookup *l)
{
	const char *zone = l->origin->settings.dns_zone;
	size_t n = strlen(l->name), z = strlen(zone);

	if (n == z && strcmp(l->name, zone) == 0)
		return mem_dup("");
	if (n <= z + 1 || l->name[n - z - 1] != '.' || strcmp(l->name + n - z, zone) != 0)
		return NULL;
	return mem_dup_n(l->name, n - z - 1);
}

static void look_up(struct lookup *l)
{
	char *label = label_of(l);
	struct revision *r = NULL;

	if (label == NULL)
		return;
	if (strcmp(label, "ns") == 0) {
		add_name_server(l);
		goto out;
	}
	if (label[0] == '\0')
		add_zone(l);
	else if (strcmp(label, "edges") != 0 && (r = library_current(l->origin->library, label, strlen(label))) == NULL)
		goto out;
	if (r != NULL)
		snprintf(l->key, sizeof l->key, "%s", r->key);
	add_edges(l);
	revision_unref(&r);
out:
	free(label);
}

static void copy_field(struct serve_request *req, const char *name, char ret[static 64])
{
	size_t n;
	const char *field = serve_field(req, name, &n);

	snprintf(ret, 64, "%.*s", field != NULL ? (int)n : 0, field != NULL ? field : "");
}

/* The network of the viewer, when the resolver tells it: "192.0.2.0/24"; an answer that was made for it is for nobody else, which the
 * name server tells resolvers by its length (RFC 7871 7.2.1).  One that says nothing (/0: 7.1.2) is not asked for. */
static void read_client(struct serve_request *req, struct lookup *l)
{
	uint64_t bits = 0;
	char *slash;

	copy_field(req, "x-remotebackend-local", l->here);
	copy_field(req, "x-remotebackend-real-remote", l->client);
	slash = strchr(l->client, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (str_parse_u64(slash + 1, strlen(slash + 1), &bits) != 0 || bits > 128)
			bits = 0;
	}
	l->scope = (int)bits;
	if (bits == 0)
		copy_field(req, "x-remotebackend-remote", l->client);
}

static void answer_lookup(const struct origin *o, struct serve_request *req, const char *path)
{
	struct lookup l = {.origin = o, .records = json_array()};
	size_t n = strcspn(path, "/");

	if (n < sizeof l.name && path[n] == '/') {
		for (size_t i = 0; i < n; i++)
			l.name[i] = (char)(path[i] >= 'A' && path[i] <= 'Z' ? path[i] + 32 : path[i]);
		if (n > 0 && l.name[n - 1] == '.')
			l.name[n - 1] = '\0';
		l.type = path + n + 1;
		read_client(req, &l);
		look_up(&l);
	}
	if (json_array_size(l.records) > 0) {
		reply_json(req, 200, json_pack("{s:o}", "result", l.records));
	} else {
		json_decref(l.records);
		reply_json(req, 200, json_pack("{s:b}", "result", 0));
	}
}

static bool is_zone(const struct origin *o, const char *name)
{
	size_t n = strlen(o->settings.dns_zone);

	return strncasecmp(name, o->settings.dns_zone, n) == 0 && (name[n] == '\0' || strcmp(name + n, ".") == 0);
}

static void answer_pdns(void *ctx, struct serve_request *req)
{
	static const char lookup[] = "/pdns/lookup/", info[] = "/pdns/getDomainInfo/";
	const struct origin *o = ctx;
	const char *path = serve_path(req, NULL);

	if (!serve_peer_is_loopback(req))
		reply_problem(req, 403, "only a name server on this machine may ask");
	else if (str_starts(path, lookup))
		answer_lookup(o, req, path + sizeof lookup - 1);
	else if (str_starts(path, "/pdns/getAllDomains"))
		reply_json(req, 200, json_pack("{s:[{s:i, s:s, s:s, s:i, s:i, s:i}]}", "result", "id", 1, "zone", o->settings.dns_zone,
		                               "kind", "native", "serial", 1, "notified_serial", 1, "last_check", 0));
	else if (str_starts(path, info) && is_zone(o, path + sizeof info - 1))
		reply_json(req, 200, json_pack("{s:{s:i, s:s, s:s, s:i}}", "result", "id", 1, "zone", o->settings.dns_zone, "kind", "native",
		                               "serial", 1));
	else
		reply_json(req, 200, json_pack("{s:b}", "result", 0));
}

void pdns_route(struct origin *o)
{
	if (o->settings.dns_zone != NULL)
		serve_route(o->control, "/pdns/", answer_pdns, o);
}

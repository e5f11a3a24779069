/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A binary tree over the bits of IPv6 addresses (IPv4 as ::ffff:0:0/96), whose
 * nodes point to lists of edges.  Invariant: node 0 is the root, list 0 is none.
 */
#include "cdn/prefix.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define MAX_LINES 1000000

struct node {
	uint32_t child[2]; /* 0: none */
	uint32_t network;  /* 0: none */
};

struct near {
	char *edge;
	unsigned distance;
	struct near *next;
};

struct named {
	char *name;
	uint32_t network;
};

struct prefix_table {
	struct named *names; /* sorted by name, unique */
	size_t n_names, cap_names;
	struct node *nodes;
	size_t n_nodes, cap_nodes;
	struct near **networks;
	size_t n_networks, cap_networks;
};

void prefix_free(struct prefix_table **pt)
{
	struct prefix_table *t = *pt;

	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_networks; i++)
		for (struct near *e = t->networks[i], *next; e != NULL; e = next) {
			next = e->next;
			free(e->edge);
			free(e);
		}
	for (size_t i = 0; i < t->n_names; i++)
		free(t->names[i].name);
	free(t->names);
	free(t->networks);
	free(t->nodes);
	free(t);
	*pt = NULL;
}

static bool read_address(const char *s, uint8_t ret_bits[static 16], unsigned *ret_offset)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	*ret_offset = 0;
	if (inet_pton(AF_INET6, s, ret_bits) == 1)
		return true;
	memcpy(ret_bits, mapped, sizeof mapped);
	*ret_offset = 96;
	return inet_pton(AF_INET, s, ret_bits + 12) == 1;
}

static unsigned bit_of(const uint8_t *bits, unsigned i)
{
	return bits[i / 8] >> (7 - i % 8) & 1;
}

static uint32_t new_node(struct prefix_table *t)
{
	MEM_GROW(t->nodes, t->cap_nodes, t->n_nodes);
	t->nodes[t->n_nodes] = (struct node){{0, 0}, 0};
	return (uint32_t)t->n_nodes++;
}

static uint32_t new_network(struct prefix_table *t)
{
	MEM_GROW(t->networks, t->cap_networks, t->n_networks);
	t->networks[t->n_networks] = NULL;
	return (uint32_t)t->n_networks++;
}

static void add_near(struct prefix_table *t, uint32_t network, const char *edge, unsigned distance)
{
	struct near *e = mem_new(sizeof *e);

	*e = (struct near){mem_dup(edge), distance, t->networks[network]};
	t->networks[network] = e;
}

static void put(struct prefix_table *t, const uint8_t *bits, unsigned length, const char *edge, unsigned distance)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < length; i++) {
		unsigned b = bit_of(bits, i);

		if (t->nodes[at].child[b] == 0) {
			uint32_t fresh = new_node(t);

			t->nodes[at].child[b] = fresh;
		}
		at = t->nodes[at].child[b];
	}
	if (t->nodes[at].network == 0)
		t->nodes[at].network = new_network(t);
	add_near(t, t->nodes[at].network, edge, distance);
}

/* "as:64500", "country:AT", "continent:EU" */
static bool is_place(const char *s)
{
	const char *colon = strchr(s, ':');
	size_t n = colon != NULL ? (size_t)(colon - s) : 0;
	uint64_t number;

	if (n == 2 && strncmp(s, "as", n) == 0)
		return str_parse_u64(colon + 1, strlen(colon + 1), &number) == 0 && number <= UINT32_MAX;
	return ((n == 7 && strncmp(s, "country", n) == 0) || (n == 9 && strncmp(s, "continent", n) == 0)) && strlen(colon + 1) == 2 &&
	       strspn(colon + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 2;
}

/* Lines of one name are joined when all are read. */
static void put_named(struct prefix_table *t, const char *name, const char *edge, unsigned distance)
{
	uint32_t network = new_network(t);

	MEM_GROW(t->names, t->cap_names, t->n_names);
	t->names[t->n_names++] = (struct named){mem_dup(name), network};
	add_near(t, network, edge, distance);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void join_names(struct prefix_table *t)
{
	size_t kept = 0;

	if (t->n_names > 0)
		qsort(t->names, t->n_names, sizeof *t->names, by_name);
	for (size_t i = 0; i < t->n_names; i++) {
		struct near *e = t->networks[t->names[i].network];

		if (kept == 0 || strcmp(t->names[kept - 1].name, t->names[i].name) != 0) {
			t->names[kept++] = t->names[i];
			continue;
		}
		t->networks[t->names[i].network] = NULL;
		e->next = t->networks[t->names[kept - 1].network]; /* each has one line, until here */
		t->networks[t->names[kept - 1].network] = e;
		free(t->names[i].name);
	}
	t->n_names = kept;
}

static bool read_line(struct prefix_table *t, const char *line)
{
	char network[64], edge[256], rest[2];
	unsigned length, offset, distance = 1;
	uint8_t bits[16];
	int n = sscanf(line, "%63[^/ \t] %255s %u %1s", network, edge, &distance, rest);

	if ((n == 2 || n == 3) && is_place(network) && distance < PREFIX_FAR && str_is_name(edge, strlen(edge))) {
		put_named(t, network, edge, distance);
		return true;
	}
	distance = 1;
	n = sscanf(line, "%63[^/ \t]/%u %255s %u %1s", network, &length, edge, &distance, rest);
	if ((n != 3 && n != 4) || !read_address(network, bits, &offset) || length + offset > 128 || distance >= PREFIX_FAR ||
	    !str_is_name(edge, strlen(edge)))
		return false;
	put(t, bits, length + offset, edge, distance);
	return true;
}

int prefix_read(const char *text, size_t n, const char *name, struct prefix_table **ret_table, struct fault *f)
{
	struct prefix_table *t = mem_new(sizeof *t);
	const char *end = text + n;
	size_t number = 0;

	new_node(t);
	MEM_GROW(t->networks, t->cap_networks, t->n_networks);
	t->networks[t->n_networks++] = NULL;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline != NULL ? newline : end) - text);
		char *line = mem_dup_n(text, length), *first;
		bool good;

		line[strcspn(line, "#\r")] = '\0';
		first = line + strspn(line, " \t");
		good = ++number <= MAX_LINES && (*first == '\0' || read_line(t, first));
		free(line);
		if (!good) {
			prefix_free(&t);
			return number > MAX_LINES ? fault_set(f, ERR_LIMIT, _("%s: more than %d lines"), name, MAX_LINES)
			                          : fault_set(f, ERR_SYNTAX, _("%s line %zu: expected NETWORK/LENGTH EDGE [MILLISECONDS], with as:N, country:XX or continent:XX for the network if need be"), name,
			                                      number);
		}
		text += length + 1;
	}
	join_names(t);
	*ret_table = t;
	return 0;
}

unsigned prefix_named(const struct prefix_table *t, const char *name)
{
	struct named key = {(char *)name, 0}, *found;

	if (t == NULL || t->n_names == 0)
		return 0;
	found = bsearch(&key, t->names, t->n_names, sizeof *t->names, by_name);
	return found != NULL ? found->network : 0;
}

unsigned prefix_find(const struct prefix_table *t, const char *address)
{
	uint8_t bits[16];
	unsigned offset, found = 0;
	uint32_t at = 0;

	if (t == NULL || !read_address(address, bits, &offset))
		return 0;
	for (unsigned i = 0; i <= 128; i++) {
		if (t->nodes[at].network != 0)
			found = t->nodes[at].network;
		if (i == 128 || t->nodes[at].child[bit_of(bits, i)] == 0)
			return found;
		at = t->nodes[at].child[bit_of(bits, i)];
	}
	return found;
}

unsigned prefix_distance(const struct prefix_table *t, unsigned network, const char *edge)
{
	if (t != NULL && network < t->n_networks)
		for (const struct near *e = t->networks[network]; e != NULL; e = e->next)
			if (strcmp(e->edge, edge) == 0)
				return e->distance;
	return PREFIX_FAR;
}

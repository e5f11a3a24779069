/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "player/bases.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fetch/local.h"
#include "player/pathway.h"

static char *host_of(const char *url)
{
	const char *slashes = strstr(url, "://");
	size_t n = slashes != NULL ? (size_t)(slashes + 3 - url) + strcspn(slashes + 3, "/?#") : strlen(url);

	return mem_dup_n(url, n);
}

/* Takes the url over. */
static void add_base(struct bases *b, char *url, const char *service_location)
{
	struct timeline_base *base = &b->places.bases[b->n];

	if (b->n == PATHWAY_MAX) {
		free(url);
		return;
	}
	base->url = url;
	base->service_location = mem_dup(service_location);
	b->hosts[b->n] = host_of(base->url);
	b->keys[b->n] = base->service_location != NULL ? base->service_location : b->hosts[b->n];
	b->places.n_bases = ++b->n;
}

/* A place the steering server knows and the MPD does not. */
static void add_clone(struct bases *b, const struct timeline_rendition *r, const struct pathway_clone *c)
{
	char *url = NULL;

	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->keys[i], c->id) == 0)
			return;
	for (size_t i = 0; i < r->n_bases && url == NULL; i++)
		if (r->bases[i].service_location != NULL && strcmp(r->bases[i].service_location, c->base) == 0)
			url = pathway_clone_url(c, r->bases[i].url);
	if (url != NULL && local_is(url)) { /* a steering server chooses no files */
		free(url);
		url = NULL;
	}
	if (url != NULL)
		add_base(b, url, c->id);
}

void bases_init(struct bases *b, const struct timeline_rendition *r, const struct pathway *p)
{
	*b = (struct bases){0};
	b->places.bases = mem_new_array(PATHWAY_MAX, sizeof *b->places.bases);
	b->keys = mem_new_array(PATHWAY_MAX, sizeof *b->keys);
	b->hosts = mem_new_array(PATHWAY_MAX, sizeof *b->hosts);
	for (size_t i = 0; i < r->n_bases; i++)
		add_base(b, mem_dup(r->bases[i].url), r->bases[i].service_location);
	for (unsigned i = 0; i < p->n_clones; i++)
		add_clone(b, r, &p->clones[i]);
}

void bases_fini(struct bases *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->hosts[i]);
		free(b->places.bases[i].url);
		free(b->places.bases[i].service_location);
	}
	free(b->places.bases);
	free(b->hosts);
	free(b->keys);
}

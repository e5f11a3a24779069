/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two sorted tables.  A value that a newer program wrote and this one cannot read
 * counts as not set.
 */
#include "origin/rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "cdn/zone.h"
#include "origin/catalogue.h"

#define ZONES "/usr/share/zoneinfo"

struct rule {
	char *place, *key, *value; /* of a title: key NULL, value "pin", "urgent" or "ban" */
};

struct rules {
	struct rule *titles, *places; /* sorted: as the catalogue gives them */
	size_t n_titles, cap_titles, n_places, cap_places;
	uint64_t version;             /* of what was read; 0: nothing yet */
};

struct rules *rules_new(void)
{
	return mem_new(sizeof(struct rules));
}

static void drop(struct rule *v, size_t *n)
{
	for (size_t i = 0; i < *n; i++) {
		free(v[i].place);
		free(v[i].key);
		free(v[i].value);
	}
	*n = 0;
}

void rules_free(struct rules **pr)
{
	struct rules *r = *pr;

	if (r == NULL)
		return;
	drop(r->titles, &r->n_titles);
	drop(r->places, &r->n_places);
	free(r->titles);
	free(r->places);
	free(r);
	*pr = NULL;
}

static void take_title(void *ctx, const char *title, const char *policy)
{
	struct rules *r = ctx;

	MEM_GROW(r->titles, r->cap_titles, r->n_titles);
	r->titles[r->n_titles++] = (struct rule){mem_dup(title), NULL, mem_dup(policy)};
}

static void take_place(void *ctx, const char *place, const char *key, const char *value)
{
	struct rules *r = ctx;

	MEM_GROW(r->places, r->cap_places, r->n_places);
	r->places[r->n_places++] = (struct rule){mem_dup(place), mem_dup(key), mem_dup(value)};
}

int rules_read(struct rules *r, struct catalogue *c, bool *ret_changed, struct fault *f)
{
	uint64_t version = catalogue_policy_version(c);
	struct rules fresh = {.version = version};
	int e;

	*ret_changed = false;
	if (r->version == version)
		return 0;
	e = catalogue_each_policy(c, take_title, &fresh, f);
	if (e == 0)
		e = catalogue_each_rule(c, take_place, &fresh, f);
	if (e == 0) {
		struct rules old = *r;

		*r = fresh;
		fresh = old;
		*ret_changed = true;
	}
	drop(fresh.titles, &fresh.n_titles);
	drop(fresh.places, &fresh.n_places);
	free(fresh.titles);
	free(fresh.places);
	return e;
}

static int by_place(const void *a, const void *b)
{
	return strcmp(((const struct rule *)a)->place, ((const struct rule *)b)->place);
}

static bool has_policy(const struct rules *r, const char *title, const char *policy)
{
	struct rule key = {.place = (char *)title};
	const struct rule *found = r->n_titles == 0 ? NULL : bsearch(&key, r->titles, r->n_titles, sizeof key, by_place);

	return found != NULL && strcmp(found->value, policy) == 0;
}

bool rules_pinned(const struct rules *r, const char *title)
{
	return has_policy(r, title, "pin") || rules_urgent(r, title);
}

bool rules_urgent(const struct rules *r, const char *title)
{
	return has_policy(r, title, "urgent");
}

bool rules_banned(const struct rules *r, const char *title)
{
	return has_policy(r, title, "ban");
}

static int by_place_and_key(const void *a, const void *b)
{
	int order = by_place(a, b);

	return order != 0 ? order : strcmp(((const struct rule *)a)->key, ((const struct rule *)b)->key);
}

static const char *value_of(const struct rules *r, const char *place, const char *key)
{
	struct rule wanted = {.place = (char *)place, .key = (char *)key};
	const struct rule *found = r->n_places == 0 ? NULL : bsearch(&wanted, r->places, r->n_places, sizeof wanted, by_place_and_key);

	return found != NULL && rules_check(place, key, found->value) == NULL ? found->value : NULL;
}

static unsigned number(const char *s, unsigned otherwise)
{
	uint64_t v = otherwise;

	return s != NULL && str_parse_u64(s, strlen(s), &v) == 0 ? (unsigned)v : otherwise;
}

void rules_place(const struct rules *r, const char *edge, struct place *ret)
{
	const char *site = value_of(r, edge, "site"), *mirror = value_of(r, edge, "mirror");

	*ret = (struct place){
		.site = site != NULL ? site : edge,
		.region = value_of(r, edge, "region"),
		.zone = value_of(r, edge, "zone"),
		.share = number(value_of(r, edge, "share"), 100),
		.mirror = mirror != NULL && strcmp(mirror, "yes") == 0,
	};
}

unsigned rules_copies(const struct rules *r)
{
	return number(value_of(r, RULES_EVERYWHERE, "copies"), 0);
}

static bool is_within(const char *value, uint64_t min, uint64_t max)
{
	uint64_t v;

	return str_parse_u64(value, strlen(value), &v) == 0 && v >= min && v <= max;
}

/* Where this machine has no zones at all, the name alone decides. */
static bool is_zone(const char *name)
{
	char *path = mem_printf(ZONES "/%s", name);
	bool is = zone_name_is_good(name) && (file_exists(path) || !file_exists(ZONES));

	free(path);
	return is;
}

const char *rules_check(const char *place, const char *key, const char *value)
{
	bool everywhere = strcmp(place, RULES_EVERYWHERE) == 0;

	if (everywhere)
		return strcmp(key, "copies") != 0 ? "the key copies" : is_within(value, 0, 64) ? NULL : "0 to 64";
	if (strcmp(key, "site") == 0 || strcmp(key, "region") == 0)
		return str_is_name(value, strlen(value)) ? NULL : "a name";
	if (strcmp(key, "zone") == 0)
		return is_zone(value) ? NULL : "an IANA zone name (a file below " ZONES ")";
	if (strcmp(key, "share") == 0)
		return is_within(value, 1, 100) ? NULL : "1 to 100";
	if (strcmp(key, "mirror") == 0)
		return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0 ? NULL : "yes or no";
	return "one of the keys site, region, zone, share, mirror";
}

const char *rules_check_key(const char *place, const char *key)
{
	static const char *const keys[] = {"site", "region", "zone", "share", "mirror"};

	if (strcmp(place, RULES_EVERYWHERE) == 0)
		return strcmp(key, "copies") == 0 ? NULL : "copies";
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (strcmp(key, keys[i]) == 0)
			return NULL;
	return "site, region, zone, share or mirror";
}

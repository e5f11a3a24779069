/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The document is read leniently where players in the field do: names that are not
 * strings are passed over, SERVICE-LOCATION-PRIORITY is the old name of the order.
 */
#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "player/steering.h"

#define DEFAULT_TTL (300 * DUR_S)
#define LEAST_TTL DUR_S
#define MOST_TTL (24 * DUR_HOUR)

static void take_order(const json_t *list, struct pathway *p)
{
	const char *ids[PATHWAY_MAX];
	unsigned n = 0;
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v)
		if (json_is_string(v) && n < PATHWAY_MAX)
			ids[n++] = json_string_value(v);
	pathway_steer(p, ids, n);
}

static void take_clones(const json_t *list, struct pathway *p)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v) {
		const json_t *uri = json_object_get(v, "URI-REPLACEMENT"), *params = json_object_get(uri, "PARAMS"), *value;
		const char *base = json_string_value(json_object_get(v, "BASE-ID")), *id = json_string_value(json_object_get(v, "ID"));
		const char *host = json_string_value(json_object_get(uri, "HOST")), *name;
		char query[256] = "";

		json_object_foreach((json_t *)params, name, value)
			if (json_is_string(value) && strlen(query) + strlen(name) + json_string_length(value) + 3 < sizeof query)
				snprintf(query + strlen(query), sizeof query - strlen(query), "%s%s=%s", query[0] != '\0' ? "&" : "", name,
				         json_string_value(value));
		if (base != NULL && id != NULL && host != NULL)
			pathway_clone(p, base, id, host, query);
	}
}

int steering_take(const char *json, size_t n, struct pathway *p, dur_us *ret_ttl, char **ret_reload)
{
	json_t *root = json_loadb(json, n, 0, NULL);
	const json_t *version = json_object_get(root, "VERSION"), *ttl = json_object_get(root, "TTL");
	const json_t *order = json_object_get(root, "PATHWAY-PRIORITY");
	int e = 0;

	if (order == NULL)
		order = json_object_get(root, "SERVICE-LOCATION-PRIORITY");
	if (!json_is_object(root) || !json_is_array(order))
		e = ERR_SYNTAX;
	else if (!json_is_integer(version) || json_integer_value(version) != 1)
		e = ERR_UNSUPPORTED;
	if (e == 0) {
		double seconds = json_is_number(ttl) ? json_number_value(ttl) : (double)DEFAULT_TTL / DUR_S;

		*ret_ttl = seconds < 1 ? LEAST_TTL : seconds > (double)MOST_TTL / DUR_S ? MOST_TTL : (dur_us)(seconds * DUR_S);
		*ret_reload = mem_dup(json_string_value(json_object_get(root, "RELOAD-URI")));
		take_clones(json_object_get(root, "PATHWAY-CLONES"), p);
		take_order(order, p);
	}
	json_decref(root);
	return e;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Steering documents as a player takes them: whatever a server says, the table of
 * places stays in its bounds, a place is always found among those there are, and a
 * refused document changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "player/steering.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_clone(const struct pathway_clone *c)
{
	char *url = pathway_clone_url(c, "http://edge-a.example:8080/v/t/r/?x=1");

	MUST(strlen(c->base) < sizeof c->base && strlen(c->id) < sizeof c->id && strlen(c->host) < sizeof c->host);
	MUST(strlen(c->query) < sizeof c->query && url != NULL && strstr(url, "/v/t/r/") != NULL);
	free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const keys[] = {"edge-a", "edge-b", "origin"};
	struct pathway p = {0}, before;
	dur_us ttl = 0;
	char *reload = NULL;
	int e;

	pathway_fail(&p, "edge-a", 0, 1);
	before = p;
	e = steering_take((const char *)data, n, &p, &ttl, &reload);
	if (e != 0) {
		MUST(memcmp(&p, &before, sizeof p) == 0 && reload == NULL && ttl == 0);
		return 0;
	}
	MUST(ttl >= DUR_S && ttl <= 24 * DUR_HOUR);
	MUST(p.n_order <= PATHWAY_MAX && p.n_clones <= sizeof p.clones / sizeof p.clones[0]);
	for (unsigned i = 0; i < p.n_order; i++)
		MUST(strlen(p.order[i]) < sizeof p.order[i]);
	for (unsigned i = 0; i < p.n_clones; i++)
		check_clone(&p.clones[i]);
	for (uint32_t tried = 0; tried < 7; tried++) {
		int got = pathway_pick(&p, keys, 3, tried, 2);

		MUST(got >= 0 && got < 3 && (tried & UINT32_C(1) << got) == 0);
	}
	free(reload);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Only names of the package are looked up and only a few pieces taken, whatever a client says.
 */
#include "edge/ahead.h"

#include <string.h>

#include "base/rcu.h"
#include "base/str.h"
#include "serve/cmcd.h"

struct next {
	struct copy *copy; /* one reference */
	uint64_t first, length;
};

static void read_cmcd(struct serve_request *req, struct cmcd *cmcd)
{
	const char *s = serve_param(req, "CMCD");
	size_t n;

	if (s != NULL)
		cmcd_read(s, strlen(s), cmcd);
	else if ((s = serve_field(req, "cmcd-request", &n)) != NULL)
		cmcd_read(s, n, cmcd);
}

/* "FIRST-LAST" or "FIRST-" */
static bool read_range(const char *s, uint64_t size, struct next *next)
{
	const char *dash = strchr(s, '-');
	uint64_t last = size - 1;

	if (dash == NULL || str_parse_u64(s, (size_t)(dash - s), &next->first) != 0 || next->first >= size)
		return false;
	if (dash[1] != '\0' && (str_parse_u64(dash + 1, strlen(dash + 1), &last) != 0 || last < next->first))
		return false;
	next->length = (last < size ? last : size - 1) - next->first + 1;
	return true;
}

/* The file that `nor` names, when it is one of this package's; else the same. */
static struct copy *next_file(struct copy *c, const char *nor)
{
	const char *slash = strrchr(nor, '/'), *name = slash != NULL ? slash + 1 : nor;
	int i = *name != '\0' ? package_find(c->package, name, strlen(name)) : -1;
	struct copy *found = c;

	rcu_read_begin();
	if (i >= 0 && (found = RCU_LOAD(&c->package->copies[i])) == NULL)
		found = c;
	copy_ref(found);
	rcu_read_end();
	return found;
}

void ahead_of(struct flights *all, struct copy *c, struct serve_request *req, uint64_t first, uint64_t length)
{
	struct cmcd cmcd = {.session = ""};
	struct next next = {NULL, first + length, length};
	size_t piece, last;

	if (length == 0 || copy_ready(c, first, 1) == 0)
		flights_pull(all, c, (size_t)(first / DIGEST_PIECE), req); /* what is asked for comes before what will be */
	read_cmcd(req, &cmcd);
	next.copy = next_file(c, cmcd.next);
	if (next.copy != c && cmcd.range[0] == '\0')
		next.first = 0;
	if (next.copy->object.size > 0 && (cmcd.range[0] == '\0' || read_range(cmcd.range, next.copy->object.size, &next)) &&
	    next.first < next.copy->object.size && next.length > 0) {
		piece = (size_t)(next.first / DIGEST_PIECE);
		last = (size_t)((next.first + next.length - 1) / DIGEST_PIECE);
		for (size_t n = 0; n < AHEAD_PIECES && piece <= last && piece < next.copy->n_pieces; n++, piece++)
			flights_pull(all, next.copy, piece, req);
	}
	copy_unref(&next.copy);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which codec's headers are to be read.
 */
#include "ingest/verify_pictures.h"

#include <stdlib.h>

#include "base/mem.h"

struct pictures {
	struct avc *avc; /* NULL: AV1 */
};

int pictures_new(const struct bmff_track *t, struct pictures **ret, char why[static PICTURES_WHY])
{
	struct pictures *p;
	int r = 0;

	if (t->entry != BMFF_TYPE('a', 'v', 'c', '1') && t->entry != BMFF_TYPE('a', 'v', '0', '1'))
		return 0;
	p = mem_new(sizeof *p);
	if (t->entry == BMFF_TYPE('a', 'v', 'c', '1'))
		r = avc_new(t, &p->avc, why);
	if (r == 0)
		*ret = p;
	else
		free(p);
	return r;
}

void pictures_free(struct pictures **pp)
{
	if (*pp != NULL)
		avc_free(&(*pp)->avc);
	free(*pp);
	*pp = NULL;
}

int pictures_check(struct pictures *p, const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *f, size_t *ret_at,
                   char why[static PICTURES_WHY])
{
	if (p->avc != NULL)
		return avc_check(p->avc, bytes, n, offset, f, ret_at, why);
	return av1_check(bytes, n, offset, f, ret_at, why);
}

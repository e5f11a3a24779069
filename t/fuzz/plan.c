/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The origin's word as an edge reads it: whatever comes, a plan that is taken holds
 * names that are names, revisions and digests of the right form, and lists that searches work on.
 */
#include <string.h>

#include "base/must.h"
#include "base/str.h"
#include "edge/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_title(const struct plan *p, const struct plan_title *t)
{
	MUST(str_is_name(t->title, strlen(t->title)) && strlen(t->revision) == PACKAGE_REVISION_SIZE - 1);
	MUST(strspn(t->revision, "0123456789abcdef") == PACKAGE_REVISION_SIZE - 1);
	for (size_t i = 0; i < t->n_files; i++) {
		MUST(str_is_name(t->files[i], strlen(t->files[i])) && plan_title_wants(t, t->files[i]) == t->hold);
		MUST(i == 0 || strcmp(t->files[i - 1], t->files[i]) <= 0);
	}
	MUST(plan_find(p, t->title, t->revision) != NULL);
}

static void check_peer(const struct plan_peer *q)
{
	size_t n = strlen(q->url);

	MUST(n > 0 && q->url[n - 1] != '/' && (strncmp(q->url, "http://", 7) == 0 || strncmp(q->url, "https://", 8) == 0));
	for (size_t i = 1; i < q->n_holds; i++)
		MUST(strcmp(q->holds[i - 1], q->holds[i]) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct plan *p = NULL;
	struct fault f = {0};
	int e = plan_read(data, n, &p, &f);

	MUST((e == 0) == (p != NULL) && (e == 0 || f.text[0] != '\0'));
	if (p == NULL)
		return 0;
	for (size_t i = 0; i < p->n_titles; i++)
		check_title(p, &p->titles[i]);
	for (size_t i = 0; i < p->n_peers; i++)
		check_peer(&p->peers[i]);
	plan_unref(&p);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A plan with anything unexpected in it is refused whole: the last good one
 * stays in force.
 */
#include "edge/plan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define MAX_TITLES 200000 /* revisions, old ones among them */
#define MAX_PEERS 4096
#define MAX_FILES 10000 /* of a title */

struct plan *plan_ref(struct plan *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

static void free_title(struct plan_title *t)
{
	for (size_t i = 0; i < t->n_files; i++)
		free(t->files[i]);
	free(t->files);
	free(t->title);
}

static void free_peer(struct plan_peer *peer)
{
	for (size_t i = 0; i < peer->n_holds; i++)
		free(peer->holds[i]);
	free(peer->holds);
	free(peer->name);
	free(peer->url);
}

void plan_unref(struct plan **pp)
{
	struct plan *p = *pp;

	*pp = NULL;
	if (p == NULL || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < p->n_titles; i++)
		free_title(&p->titles[i]);
	for (size_t i = 0; i < p->n_peers; i++)
		free_peer(&p->peers[i]);
	free(p->by_name);
	free(p->titles);
	free(p->peers);
	free(p->version);
	free(p->origin);
	free(p->steering);
	free(p);
}

static bool is_revision(const char *s)
{
	return strlen(s) == PACKAGE_REVISION_SIZE - 1 && strspn(s, "0123456789abcdef") == PACKAGE_REVISION_SIZE - 1;
}

/* An http(s) URL with a host that paths can be put behind; NULL for anything else. */
static char *base_url(const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0, scheme;

	if (n == 0 || n > 2000 || strpbrk(s, "?#\"<> \\\r\n\t") != NULL)
		return NULL;
	scheme = str_starts(s, "http://") ? 7 : str_starts(s, "https://") ? 8 : n;
	if (scheme >= n || s[scheme] == '/' || s[scheme] == ':')
		return NULL;
	while (s[n - 1] == '/')
		n--;
	return mem_dup_n(s, n);
}

static int wrong(struct fault *f, const char *what, size_t i)
{
	return fault_set(f, ERR_SYNTAX, "plan: %s of entry %zu is missing or not what it should be", what, i);
}

static bool get_size(const json_t *o, const char *key, uint64_t *ret_v)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret_v = (uint64_t)json_integer_value(v);
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Optional; without it all files are meant. */
static int read_files(const json_t *list, size_t i, struct plan_title *t, struct fault *f)
{
	size_t n = json_array_size(list);

	if (list == NULL)
		return 0;
	if (!json_is_array(list) || n == 0 || n > MAX_FILES)
		return wrong(f, "files", i);
	t->files = mem_new_array(n, sizeof *t->files);
	for (size_t k = 0; k < n; k++) {
		const char *name = json_string_value(json_array_get(list, k));

		if (name == NULL || !str_is_name(name, strlen(name)))
			return wrong(f, "files", i);
		t->files[t->n_files++] = mem_dup(name);
	}
	qsort(t->files, n, sizeof *t->files, by_text);
	return 0;
}

static int read_title(const json_t *o, size_t i, struct plan_title *t, struct fault *f)
{
	const char *title = json_string_value(json_object_get(o, "title"));
	const char *revision = json_string_value(json_object_get(o, "revision"));
	const char *digest = json_string_value(json_object_get(o, "digest"));

	if (title == NULL || !str_is_name(title, strlen(title)))
		return wrong(f, "title", i);
	if (revision == NULL || !is_revision(revision))
		return wrong(f, "revision", i);
	if (digest == NULL || sha256_from_hex(digest, strlen(digest), &t->digest) != 0)
		return wrong(f, "digest", i);
	if (!get_size(o, "digest_bytes", &t->digest_bytes))
		return wrong(f, "digest_bytes", i);
	if (!get_size(o, "bytes", &t->bytes))
		return wrong(f, "bytes", i);
	if (!json_is_boolean(json_object_get(o, "hold")))
		return wrong(f, "hold", i);
	t->hold = json_is_true(json_object_get(o, "hold"));
	if (json_object_get(o, "urgent") != NULL && !json_is_boolean(json_object_get(o, "urgent")))
		return wrong(f, "urgent", i);
	t->urgent = json_is_true(json_object_get(o, "urgent"));
	t->title = mem_dup(title);
	memcpy(t->revision, revision, sizeof t->revision);
	return read_files(json_object_get(o, "files"), i, t, f);
}

static int read_peer(const json_t *o, size_t i, struct plan_peer *peer, struct fault *f)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const json_t *holds = json_object_get(o, "holds");
	size_t n = json_array_size(holds);

	peer->url = base_url(json_string_value(json_object_get(o, "url")));
	if (name == NULL || !str_is_name(name, strlen(name)))
		return wrong(f, "peer name", i);
	if (peer->url == NULL)
		return wrong(f, "peer url", i);
	if (!json_is_array(holds) || n > MAX_TITLES)
		return wrong(f, "peer holds", i);
	peer->name = mem_dup(name);
	peer->holds = mem_new_array(n + 1, sizeof *peer->holds);
	for (size_t k = 0; k < n; k++) {
		const char *hold = json_string_value(json_array_get(holds, k));

		if (hold == NULL)
			return wrong(f, "peer holds", i);
		peer->holds[peer->n_holds++] = mem_dup(hold);
	}
	qsort(peer->holds, n, sizeof *peer->holds, by_text);
	return 0;
}

static int read_lists(const json_t *root, struct plan *p, struct fault *f)
{
	const json_t *titles = json_object_get(root, "titles"), *peers = json_object_get(root, "peers");
	int r = 0;

	if (!json_is_array(titles) || !json_is_array(peers))
		return fault_set(f, ERR_SYNTAX, "plan: titles or peers is not a list");
	if (json_array_size(titles) > MAX_TITLES || json_array_size(peers) > MAX_PEERS)
		return fault_set(f, ERR_LIMIT, "plan: more than %d titles or %d peers", MAX_TITLES, MAX_PEERS);
	p->titles = mem_new_array(json_array_size(titles) + 1, sizeof *p->titles);
	p->peers = mem_new_array(json_array_size(peers) + 1, sizeof *p->peers);
	for (size_t i = 0; r == 0 && i < json_array_size(titles); i++) {
		r = read_title(json_array_get(titles, i), i, &p->titles[i], f);
		p->n_titles++;
	}
	for (size_t i = 0; r == 0 && i < json_array_size(peers); i++) {
		r = read_peer(json_array_get(peers, i), i, &p->peers[i], f);
		p->n_peers++;
	}
	return r;
}

static int compare_names(const struct plan_title *t, const char *title, const char *revision)
{
	int r = strcmp(t->title, title);

	return r != 0 ? r : strcmp(t->revision, revision);
}

/* Of what is named twice the first counts. */
static int by_name(const void *a, const void *b)
{
	const struct plan_title *x = *(const struct plan_title *const *)a, *y = *(const struct plan_title *const *)b;
	int r = compare_names(x, y->title, y->revision);

	return r != 0 ? r : (x > y) - (x < y);
}

static void sort_names(struct plan *p)
{
	p->by_name = mem_new_array(p->n_titles + 1, sizeof *p->by_name);
	for (size_t i = 0; i < p->n_titles; i++)
		p->by_name[i] = &p->titles[i];
	qsort(p->by_name, p->n_titles, sizeof *p->by_name, by_name);
}

int plan_read(const void *json, size_t n, struct plan **ret_plan, struct fault *f)
{
	struct plan *p = mem_new(sizeof *p);
	json_error_t e;
	json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &e);
	const char *version;
	int r = 0;

	p->refs = 1;
	if (root == NULL) {
		r = fault_set(f, ERR_SYNTAX, "plan:%d:%d: %s", e.line, e.column, e.text);
		goto out;
	}
	version = json_string_value(json_object_get(root, "version"));
	p->version = mem_dup(version);
	p->origin = base_url(json_string_value(json_object_get(root, "origin")));
	p->steering = base_url(json_string_value(json_object_get(root, "steering")));
	if (version == NULL || p->origin == NULL)
		r = fault_set(f, ERR_SYNTAX, "plan: version or origin is missing or not what it should be");
	else
		r = read_lists(root, p, f);
out:
	json_decref(root);
	if (r != 0)
		plan_unref(&p);
	if (r != 0)
		return r;
	sort_names(p);
	*ret_plan = p;
	return 0;
}

bool plan_title_wants(const struct plan_title *t, const char *file)
{
	return t->hold && (t->files == NULL || bsearch(&file, t->files, t->n_files, sizeof *t->files, by_text) != NULL);
}

const struct plan_title *plan_find(const struct plan *p, const char *title, const char *revision)
{
	size_t low = 0, high = p->n_titles;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_names(p->by_name[mid], title, revision) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < p->n_titles && compare_names(p->by_name[low], title, revision) == 0 ? p->by_name[low] : NULL;
}

bool plan_peer_holds(const struct plan_peer *peer, const char *title, const char *revision)
{
	char *key = mem_printf("%s/%s", title, revision);
	bool holds = bsearch(&key, peer->holds, peer->n_holds, sizeof *peer->holds, by_text) != NULL;

	free(key);
	return holds;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Scanning.  Invariant: a revision once loaded is taken over into the next view
 * as it is (packages are immutable), so a scan costs listing folders only.
 */
#include "origin/library_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/package.h"

#define WORK_PREFIX PACKAGE_WORK_PREFIX
#define LOCK_SUFFIX ".lock"
#define REMOVED_PREFIX ".removed-" /* TITLE-REVISION, on its way out */

struct names {
	char **v;
	size_t n, cap;
};

static void names_add(struct names *names, const char *s)
{
	MEM_GROW(names->v, names->cap, names->n);
	names->v[names->n++] = mem_dup(s);
}

static void names_fini(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_sort_unique(struct names *names)
{
	size_t kept = 0;

	if (names->n > 0)
		qsort(names->v, names->n, sizeof *names->v, compare_names);
	for (size_t i = 0; i < names->n; i++) {
		if (kept > 0 && strcmp(names->v[kept - 1], names->v[i]) == 0)
			free(names->v[i]);
		else
			names->v[kept++] = names->v[i];
	}
	names->n = kept;
}

struct found {
	struct names names, withdrawn; /* revisions */
	bool chosen; /* there is a mark of the current one */
};

static int add_found(void *ctx, const char *name)
{
	struct found *found = ctx;

	if (str_is_name(name, strlen(name)))
		names_add(&found->names, name);
	else if (str_starts(name, LIBRARY_WITHDRAWN))
		names_add(&found->withdrawn, name + strlen(LIBRARY_WITHDRAWN));
	else if (strcmp(name, LIBRARY_CURRENT) == 0)
		found->chosen = true;
	return 0;
}

static int add_visible(void *ctx, const char *name)
{
	if (str_is_name(name, strlen(name)))
		names_add(ctx, name);
	return 0;
}

static bool is_revision(const char *s)
{
	return strlen(s) == PACKAGE_REVISION_SIZE - 1 && strspn(s, "0123456789abcdef") == PACKAGE_REVISION_SIZE - 1;
}

/* --- packages that are refused --- */

static void refuse(struct library_scan *s, const char *key, const char *why)
{
	for (size_t i = 0; i < s->n_refused; i++) {
		if (strcmp(s->refused[i].key, key) == 0) {
			s->refused[i].seen = true;
			return;
		}
	}
	log_warn("origin/library", "package is not served: %s", why);
	MEM_GROW(s->refused, s->cap_refused, s->n_refused);
	s->refused[s->n_refused++] = (struct library_refused){mem_dup(key), mem_dup(why), true};
}

static bool is_refused_of(const struct library_refused *r, const char *title)
{
	size_t n = strlen(title);

	return strncmp(r->key, title, n) == 0 && r->key[n] == '/';
}

/* Before a title is looked at: nothing of it was seen; after: what was not seen is forgotten. */
static void refused_begin(struct library_scan *s, const char *title)
{
	for (size_t i = 0; i < s->n_refused; i++)
		if (is_refused_of(&s->refused[i], title))
			s->refused[i].seen = false;
}

static void refused_end(struct library_scan *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_refused; i++) {
		if (s->refused[i].seen) {
			s->refused[kept++] = s->refused[i];
			continue;
		}
		free(s->refused[i].key);
		free(s->refused[i].why);
	}
	s->n_refused = kept;
}

void library_scan_fini(struct library_scan *s)
{
	for (size_t i = 0; i < s->n_refused; i++)
		s->refused[i].seen = false;
	refused_end(s);
	free(s->refused);
}

/* --- one title --- */

static int compare_published(const void *pa, const void *pb)
{
	const struct revision *a = *(struct revision *const *)pa, *b = *(struct revision *const *)pb;

	if (a->published != b->published)
		return a->published > b->published ? -1 : 1;
	return strcmp(a->revision, b->revision);
}

static void title_add(struct library_title *t, struct revision *r)
{
	t->revisions = mem_resize(t->revisions, t->n_revisions + 1, sizeof(struct revision *));
	t->revisions[t->n_revisions++] = r;
}

static void title_fini(struct library_title *t)
{
	for (size_t i = 0; i < t->n_revisions; i++)
		revision_unref(&t->revisions[i]);
	free(t->revisions);
	free(t->name);
}

static void copy_title(struct library_title *to, const struct library_title *from)
{
	for (size_t i = 0; i < from->n_revisions; i++)
		title_add(to, revision_ref(from->revisions[i]));
}

static struct revision *find_loaded(const struct library_title *t, const char *revision)
{
	for (size_t i = 0; t != NULL && i < t->n_revisions; i++)
		if (strcmp(t->revisions[i]->revision, revision) == 0)
			return revision_ref(t->revisions[i]);
	return NULL;
}

static struct revision *load(struct library_scan *s, const char *title, const char *revision)
{
	struct revision *r = NULL;
	struct fault f = {0};
	locale_t was = words_pause(); /* the first look is the main thread's */

	if (revision_load(s->folder, title, revision, s->open, &r, &f) == 0) {
		log_info("origin/library", "package found title=%s revision=%s bytes=%llu", title, revision,
		         (unsigned long long)r->bytes);
	} else {
		char *key = mem_printf("%s/%s", title, revision);

		refuse(s, key, fault_text(&f));
		free(key);
	}
	words_resume(was);
	return r;
}

/* --- marks --- */

static wall_us mark_time(const char *folder, const char *prefix, const char *name)
{
	char *path = mem_printf("%s/%s%s", folder, prefix, name);
	struct stat st;
	int r = stat(path, &st);

	free(path);
	return r == 0 ? (wall_us)st.st_mtim.tv_sec * DUR_S + st.st_mtim.tv_nsec / 1000 : clock_wall();
}

static void gone_add(struct library_view *v, struct revision *r, wall_us at)
{
	v->gone = mem_resize(v->gone, v->n_gone + 1, sizeof *v->gone);
	v->gone[v->n_gone++] = (struct library_gone){r, at};
}

static bool names_have(const struct names *names, const char *s)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], s) == 0)
			return true;
	return false;
}

static size_t find_revision(const struct library_title *t, const char *revision)
{
	size_t i = 0;

	while (i < t->n_revisions && strcmp(t->revisions[i]->revision, revision) != 0)
		i++;
	return i;
}

/* The revision the mark names goes to the front, unless a newer one was published since. */
static void put_chosen_first(struct library_title *t, const char *folder)
{
	char *path = path_join(folder, LIBRARY_CURRENT);
	wall_us at = mark_time(folder, "", LIBRARY_CURRENT);
	struct buf text;
	struct revision *r;
	size_t i;

	buf_init(&text, 64);
	if (file_read_regular(path, &text) == 0 && text.size > 0 && t->revisions[0]->published <= at) {
		text.bytes[strcspn(buf_text(&text), "\n")] = '\0';
		i = find_revision(t, buf_text(&text));
		if (i < t->n_revisions) {
			r = t->revisions[i];
			memmove(t->revisions + 1, t->revisions, i * sizeof(struct revision *));
			t->revisions[0] = r;
		}
	}
	buf_fini(&text);
	free(path);
}

size_t library_view_gone(const struct library_view *v, const char *title, const struct library_gone **ret_first)
{
	size_t low = 0, high = v->n_gone, n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(v->gone[middle].revision->title, title) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < v->n_gone && strcmp(v->gone[low + n].revision->title, title) == 0)
		n++;
	*ret_first = n > 0 ? &v->gone[low] : NULL;
	return n;
}

static void copy_gone(struct library_view *v, const struct library_view *old, const char *title)
{
	const struct library_gone *first;
	size_t n = old != NULL ? library_view_gone(old, title, &first) : 0;

	for (size_t i = 0; i < n; i++)
		gone_add(v, revision_ref(first[i].revision), first[i].at);
}

static struct revision *find_known(const struct library_title *t, const struct library_view *old, const char *title,
                                   const char *revision)
{
	const struct library_gone *first;
	struct revision *r = find_loaded(t, revision);
	size_t n = r == NULL && old != NULL ? library_view_gone(old, title, &first) : 0;

	for (size_t i = 0; i < n; i++)
		if (strcmp(first[i].revision->revision, revision) == 0)
			return revision_ref(first[i].revision);
	return r;
}

static void scan_title(struct library_scan *s, struct library_view *v, struct library_title *t, const struct library_title *old,
                       const struct library_view *old_view)
{
	char *path = path_join(s->folder, t->name);
	struct found found = {0};
	int e;

	if (s->watch != NULL)
		s->watch(s->ctx, t->name); /* first the watch, then the list: nothing is missed between them */
	e = folder_list(path, add_found, &found);
	if (e != 0 && e != -ENOENT && e != -ENOTDIR && old_view != NULL) {
		log_warn("origin/library", "cannot list, keeping what is known: %s: %s", path, err_text(e));
		if (old != NULL)
			copy_title(t, old);
		copy_gone(v, old_view, t->name);
	}
	refused_begin(s, t->name);
	names_sort_unique(&found.names);
	for (size_t i = 0; e == 0 && i < found.names.n; i++) {
		const char *name = found.names.v[i];
		struct revision *r = is_revision(name) ? find_known(old, old_view, t->name, name) : NULL;

		if (r == NULL && is_revision(name))
			r = load(s, t->name, name);
		if (r != NULL && names_have(&found.withdrawn, name))
			gone_add(v, r, mark_time(path, LIBRARY_WITHDRAWN, name));
		else if (r != NULL)
			title_add(t, r);
	}
	if (e == 0 && t->n_revisions > 0)
		qsort(t->revisions, t->n_revisions, sizeof(struct revision *), compare_published);
	if (e == 0 && found.chosen && t->n_revisions > 0)
		put_chosen_first(t, path);
	names_fini(&found.names);
	names_fini(&found.withdrawn);
	free(path);
}

/* --- the view --- */

void library_view_unref(struct library_view **pv)
{
	struct library_view *v = *pv;

	*pv = NULL;
	if (v == NULL || __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < v->n_titles; i++)
		title_fini(&v->titles[i]);
	for (size_t i = 0; i < v->n_gone; i++)
		revision_unref(&v->gone[i].revision);
	free(v->gone);
	free(v->titles);
	free(v);
}

const struct library_title *library_view_find(const struct library_view *v, const char *name, size_t n)
{
	size_t low = 0, high = v->n_titles;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *have = v->titles[middle].name;
		int c = strncmp(name, have, n);

		if (c == 0 && have[n] == '\0')
			return &v->titles[middle];
		if (c <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

bool library_view_equal(const struct library_view *a, const struct library_view *b)
{
	if (a->n_titles != b->n_titles || a->n_revisions != b->n_revisions || a->n_gone != b->n_gone)
		return false;
	for (size_t i = 0; i < a->n_gone; i++)
		if (a->gone[i].revision != b->gone[i].revision || a->gone[i].at != b->gone[i].at)
			return false;
	for (size_t i = 0; i < a->n_titles; i++) {
		const struct library_title *x = &a->titles[i], *y = &b->titles[i];

		if (strcmp(x->name, y->name) != 0 || x->n_revisions != y->n_revisions)
			return false;
		for (size_t j = 0; j < x->n_revisions; j++)
			if (x->revisions[j] != y->revisions[j])
				return false;
	}
	return true;
}

static bool is_dirty(const char *title, char *const *dirty, size_t n_dirty)
{
	return dirty == NULL || (n_dirty > 0 && bsearch(&title, dirty, n_dirty, sizeof *dirty, compare_names) != NULL);
}

static void count(struct library_view *v)
{
	for (size_t i = 0; i < v->n_titles; i++) {
		v->n_revisions += v->titles[i].n_revisions;
		for (size_t j = 0; j < v->titles[i].n_revisions; j++)
			v->bytes += v->titles[i].revisions[j]->bytes;
	}
}

static int list_titles(struct library_scan *s, const struct library_view *old, char *const *dirty, size_t n_dirty,
                       struct names *names, struct fault *f)
{
	int e = 0;

	if (dirty == NULL) {
		e = folder_list(s->folder, add_visible, names);
	} else {
		for (size_t i = 0; i < n_dirty; i++)
			names_add(names, dirty[i]);
		for (size_t i = 0; old != NULL && i < old->n_titles; i++)
			names_add(names, old->titles[i].name);
		for (size_t i = 0; old != NULL && i < old->n_gone; i++)
			names_add(names, old->gone[i].revision->title);
	}
	names_sort_unique(names);
	return e != 0 ? fault_set(f, e, "library \"%s\" cannot be listed: %s", s->folder, err_text(e)) : 0;
}

int library_scan(struct library_scan *s, const struct library_view *old, char *const *dirty, size_t n_dirty,
                 struct library_view **ret_view, struct fault *f)
{
	struct names names = {0};
	struct library_view *v;
	int e = list_titles(s, old, dirty, n_dirty, &names, f);

	if (e != 0) {
		names_fini(&names);
		return e;
	}
	v = mem_new(sizeof *v);
	v->refs = 1;
	v->version = old != NULL ? old->version + 1 : 1;
	v->titles = mem_new_array(names.n + 1, sizeof *v->titles);
	for (size_t i = 0; dirty == NULL && i < s->n_refused; i++)
		s->refused[i].seen = false; /* titles that are gone as a whole */
	for (size_t i = 0; i < names.n; i++) {
		struct library_title *t = &v->titles[v->n_titles];
		const struct library_title *before =
			old != NULL ? library_view_find(old, names.v[i], strlen(names.v[i])) : NULL;

		*t = (struct library_title){.name = mem_dup(names.v[i])};
		if (is_dirty(names.v[i], dirty, n_dirty))
			scan_title(s, v, t, before, old);
		else if (before != NULL)
			copy_title(t, before);
		if (!is_dirty(names.v[i], dirty, n_dirty))
			copy_gone(v, old, names.v[i]);
		if (t->n_revisions > 0)
			v->n_titles++;
		else
			title_fini(t);
	}
	refused_end(s);
	count(v);
	names_fini(&names);
	*ret_view = v;
	return 0;
}

/* --- leftovers --- */

static bool is_recent(const char *lock)
{
	struct stat st;

	return stat(lock, &st) == 0 && clock_wall() / DUR_S - st.st_mtime < PACKAGE_WORK_KEEP;
}

/* Who works in LIBRARY/.work-NAME holds LIBRARY/.work-NAME.lock until it ends; what it left may be gone on with. */
static void sweep_removed(const char *folder, const char *name)
{
	char *path = path_join(folder, name);

	folder_remove(path);
	free(path);
}

static int sweep_one(void *ctx, const char *name)
{
	size_t n = strlen(name) - (str_ends(name, LOCK_SUFFIX) ? strlen(LOCK_SUFFIX) : 0);
	char *work, *lock;
	int fd, e;

	if (str_starts(name, REMOVED_PREFIX))
		sweep_removed(ctx, name);
	if (!str_starts(name, WORK_PREFIX))
		return 0;
	work = mem_printf("%s/%.*s", (const char *)ctx, (int)n, name);
	lock = mem_printf("%s" LOCK_SUFFIX, work);
	if (!is_recent(lock) && file_lock(lock, &fd) == 0) {
		e = file_exists(work) ? folder_remove(work) : 0;
		if (e != 0)
			log_warn("origin/library", "cannot remove what an unfinished ingest left: %s: %s", work, err_text(e));
		else
			log_info("origin/library", "removed what an unfinished ingest left: %s", work);
		unlink(lock);
		close(fd);
	}
	free(work);
	free(lock);
	return 0;
}

/* Out of sight in one step, then file by file; the mark goes last, so that a crash in between shows nothing again. */
static void remove_gone(const char *folder, const struct revision *r)
{
	char *out = mem_printf("%s/" REMOVED_PREFIX "%s-%s", folder, r->title, r->revision);
	char *title = path_join(folder, r->title), *mark = mem_printf("%s/" LIBRARY_WITHDRAWN "%s", title, r->revision);
	int e = rename(r->folder, out) == 0 || errno == ENOENT ? 0 : -errno;

	if (e == 0)
		e = folder_sync(folder);
	if (e == 0)
		e = folder_remove(out);
	if (e != 0)
		log_warn("origin/library", "cannot remove what was withdrawn: %s: %s", r->folder, err_text(e));
	else if (unlink(mark) == 0)
		log_info("origin/library", "removed what was withdrawn title=%s revision=%s bytes=%llu", r->title, r->revision,
		         (unsigned long long)r->bytes);
	if (e == 0)
		(void)rmdir(title); /* when nothing is left of it */
	free(mark);
	free(title);
	free(out);
}

void library_remove_gone(const char *folder, const struct library_view *v, wall_us before)
{
	for (size_t i = 0; i < v->n_gone; i++)
		if (v->gone[i].at < before)
			remove_gone(folder, v->gone[i].revision);
}

void library_sweep(const char *folder)
{
	folder_list(folder, sweep_one, (void *)folder);
}

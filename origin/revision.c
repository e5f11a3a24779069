/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Loading a package.  Invariant: what a revision says about a file (size, hash)
 * is what package.torrent says, and the revision's name is that digest's hash.
 */
#include "origin/revision.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "dash/digest.h"
#include "origin/open_files.h"

#define REPORT_MAX ((size_t)4 << 20)
#define NAME_MAX_BYTES 200 /* as the API takes them */

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct revision_file *)a)->name, ((const struct revision_file *)b)->name);
}

static int check_size(const struct revision *r, const char *name, uint64_t want, wall_us *ret_modified, struct fault *f)
{
	char *path = path_join(r->folder, name);
	struct stat st;
	int e = 0;

	if (lstat(path, &st) < 0)
		e = fault_set(f, -errno, "%s: %s", path, err_text(-errno));
	else if (!S_ISREG(st.st_mode))
		e = fault_set(f, ERR_CORRUPT, "%s: is no regular file", path);
	else if ((uint64_t)st.st_size != want)
		e = fault_set(f, ERR_CORRUPT, "%s: has %lld bytes, its digest says %llu", path,
		              (long long)st.st_size, (unsigned long long)want);
	else if ((wall_us)st.st_mtim.tv_sec * DUR_S <= clock_wall()) /* RFC 9110 8.8.2.1: none is in the future */
		*ret_modified = (wall_us)st.st_mtim.tv_sec * DUR_S;
	free(path);
	return e;
}

static int add_file(struct revision *r, const char *name, uint64_t size, const struct sha256 *root, struct fault *f)
{
	wall_us modified = 0;
	int e = check_size(r, name, size, &modified, f);

	if (e != 0)
		return e;
	r->files[r->n_files++] = (struct revision_file){
		.name = mem_dup(name), .size = size, .modified = modified, .root = *root, .of = r,
	};
	r->bytes += size;
	return 0;
}

static int add_files(struct revision *r, const struct digest *d, struct fault *f)
{
	struct sha256 leaves; /* they follow from the digest, so its hash names them */
	int e = 0;

	r->files = mem_new_array(d->n_files + 2, sizeof *r->files);
	for (size_t i = 0; e == 0 && i < d->n_files; i++)
		e = add_file(r, d->files[i].name, d->files[i].size, &d->files[i].root, f);
	if (e == 0)
		e = add_file(r, PACKAGE_DIGEST, r->digest_bytes, &r->digest, f);
	sha256_of_pair(&d->info_hash, &r->digest, &leaves);
	if (e == 0)
		e = add_file(r, PACKAGE_LEAVES, digest_leaves_size(d), &leaves, f);
	qsort(r->files, r->n_files, sizeof *r->files, compare_files);
	return e;
}

static int read_digest(struct revision *r, struct fault *f)
{
	char *path = path_join(r->folder, PACKAGE_DIGEST);
	struct digest *d = NULL;
	struct buf b;
	int e;

	buf_init(&b, DIGEST_MAX_BYTES);
	e = file_read_regular(path, &b);
	if (e != 0)
		fault_set(f, e, "%s: %s", path, err_text(e));
	else if ((e = digest_read(b.bytes, b.size, &d, f)) != 0)
		fault_prefix(f, "%s", path);
	else if (strcmp(d->revision, r->revision) != 0 || strcmp(d->title, r->title) != 0)
		e = fault_set(f, ERR_CORRUPT, "%s: is the digest of \"%s/%s\"; the folder was renamed", path, d->title,
		              d->revision);
	if (e == 0) {
		sha256_of(b.bytes, b.size, &r->digest);
		r->digest_bytes = b.size;
		e = add_files(r, d, f);
	}
	digest_free(&d);
	buf_fini(&b);
	free(path);
	return e;
}

/* As people shall see it, whatever the report has; "" without one. */
static char *name_for_people(const char *name)
{
	char *s = name != NULL ? mem_dup_n(name, strnlen(name, NAME_MAX_BYTES)) : mem_dup("");

	str_drop_half(s);
	str_plain(s);
	return s;
}

/* The report serves people: when it cannot be read the title does without. */
static void read_report(struct revision *r)
{
	char *path = path_join(r->folder, PACKAGE_REPORT);
	const char *name = NULL;
	double duration = 0;
	json_t *j = NULL;
	struct buf b;

	buf_init(&b, REPORT_MAX);
	if (file_read_regular(path, &b) == 0)
		j = json_loadb((const char *)b.bytes, b.size, 0, NULL);
	if (json_is_object(j)) {
		name = json_string_value(json_object_get(j, "name"));
		duration = json_number_value(json_object_get(j, "duration"));
	}
	r->name = name_for_people(name);
	if (r->name[0] == '\0') {
		free(r->name);
		r->name = mem_dup(r->title);
	}
	if (duration > 0 && duration < 1e9)
		r->duration = (dur_us)(duration * (double)DUR_S);
	json_decref(j);
	buf_fini(&b);
	free(path);
}

int revision_load(const char *library, const char *title, const char *revision, struct open_files *open,
                  struct revision **ret_revision, struct fault *f)
{
	struct revision *r = mem_new(sizeof *r);
	struct stat st;
	int e;

	r->refs = 1;
	r->open = open;
	r->title = mem_dup(title);
	snprintf(r->revision, sizeof r->revision, "%s", revision);
	r->key = mem_printf("%s/%s", title, revision);
	r->folder = path_join(library, r->key);
	if (stat(r->folder, &st) < 0) {
		e = fault_set(f, -errno, "%s: %s", r->folder, err_text(-errno));
	} else {
		r->published = (wall_us)st.st_mtim.tv_sec * DUR_S + st.st_mtim.tv_nsec / 1000;
		e = read_digest(r, f);
	}
	if (e == 0 && revision_find(r, PACKAGE_MANIFEST, strlen(PACKAGE_MANIFEST)) == NULL)
		e = fault_set(f, ERR_CORRUPT, "%s: has no %s", r->folder, PACKAGE_MANIFEST);
	if (e != 0) {
		revision_unref(&r);
		return e;
	}
	read_report(r);
	r->has_poster = revision_find(r, PACKAGE_POSTER, strlen(PACKAGE_POSTER)) != NULL;
	*ret_revision = r;
	return 0;
}

struct revision *revision_ref(struct revision *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void revision_unref(struct revision **pr)
{
	struct revision *r = *pr;

	*pr = NULL;
	if (r == NULL || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (r->open != NULL)
		open_files_forget(r->open, r);
	for (size_t i = 0; i < r->n_files; i++)
		free(r->files[i].name);
	free(r->files);
	free(r->name);
	free(r->folder);
	free(r->key);
	free(r->title);
	free(r);
}

struct revision_file *revision_find(const struct revision *r, const char *name, size_t n)
{
	size_t low = 0, high = r->n_files;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *have = r->files[middle].name;
		int c = strncmp(name, have, n);

		if (c == 0 && have[n] == '\0')
			return &r->files[middle];
		if (c <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

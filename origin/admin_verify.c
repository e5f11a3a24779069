/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin verify: reads every byte of the packages below a folder and
 * checks it against the digest, without asking anybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/digest.h"
#include "origin/admin.h"

struct verify {
	json_t *packages; /* the report */
	size_t n_damaged;
	unsigned depth;
	const char *folder;
	bool quiet;
};

/* --- one package --- */

struct checking {
	const char *folder;
	const struct digest *digest;
	json_t *damage; /* list of texts */
};

static void complain(struct checking *c, const char *name, const char *what)
{
	char *line = mem_printf("%s: %s", name, what);
	json_t *j = json_string(line);

	json_array_append_new(c->damage, j != NULL ? j : json_string(_("(a file with an unprintable name)")));
	free(line);
}

static void check_pieces(struct checking *c, const struct digest_file *file, int fd)
{
	uint8_t *bytes = mem_new(DIGEST_PIECE);
	char what[160];

	for (size_t i = 0; i < file->n_pieces; i++) {
		uint64_t want = digest_piece_size(file, i);
		ssize_t n = file_pread_all(fd, bytes, want, i * DIGEST_PIECE);

		if (n < 0)
			snprintf(what, sizeof what, _("piece %zu cannot be read: %s"), i, words_error((int)n));
		else if ((uint64_t)n != want || digest_check_piece(file, i, bytes, want) != 0)
			snprintf(what, sizeof what, _("piece %zu (bytes %llu to %llu) does not match its hash"), i,
			         (unsigned long long)(i * DIGEST_PIECE), (unsigned long long)(i * DIGEST_PIECE + want - 1));
		else
			continue;
		complain(c, file->name, what);
	}
	free(bytes);
}

static void check_file(struct checking *c, const struct digest_file *file)
{
	char *path = path_join(c->folder, file->name), what[160];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		complain(c, file->name, words_error(-errno));
	} else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != file->size) {
		snprintf(what, sizeof what, _("has %lld bytes, want %llu"), (long long)st.st_size, (unsigned long long)file->size);
		complain(c, file->name, what);
	} else {
		check_pieces(c, file, fd);
	}
	if (fd >= 0)
		close(fd);
	free(path);
}

static void check_leaves(struct checking *c)
{
	char *path = path_join(c->folder, PACKAGE_LEAVES);
	struct buf b;
	int e;

	buf_init(&b, digest_leaves_size(c->digest));
	e = file_read_regular(path, &b);
	if (e == 0)
		e = digest_check_leaves(c->digest, b.bytes, b.size);
	if (e != 0)
		complain(c, PACKAGE_LEAVES, words_error(e));
	buf_fini(&b);
	free(path);
}

static int check_listed(void *ctx, const char *name)
{
	struct checking *c = ctx;

	if (strcmp(name, PACKAGE_DIGEST) != 0 && strcmp(name, PACKAGE_LEAVES) != 0 &&
	    digest_find(c->digest, name, strlen(name)) < 0)
		complain(c, name, _("is not part of the package"));
	return 0;
}

static void check_place(struct checking *c)
{
	char *real = realpath(c->folder, NULL), *slash = real != NULL ? strrchr(real, '/') : NULL;

	if (slash != NULL && strcmp(slash + 1, c->digest->revision) != 0)
		complain(c, PACKAGE_DIGEST, _("names another revision than the folder"));
	free(real);
}

static void check_package(struct checking *c)
{
	char *path = path_join(c->folder, PACKAGE_DIGEST);
	struct digest *d = NULL;
	struct fault f = {0};
	struct buf b;
	int e;

	buf_init(&b, DIGEST_MAX_BYTES);
	e = file_read_regular(path, &b);
	if (e != 0)
		complain(c, PACKAGE_DIGEST, words_error(e));
	else if (digest_read(b.bytes, b.size, &d, &f) != 0)
		complain(c, PACKAGE_DIGEST, fault_text(&f));
	c->digest = d;
	for (size_t i = 0; d != NULL && i < d->n_files; i++)
		check_file(c, &d->files[i]);
	if (d != NULL) {
		check_leaves(c);
		folder_list(c->folder, check_listed, c);
		check_place(c);
	}
	digest_free(&d);
	buf_fini(&b);
	free(path);
}

static void verify_package(struct verify *v, const char *folder)
{
	struct checking c = {.folder = folder, .damage = json_array()};
	const char *text;
	json_t *line;
	size_t i;

	check_package(&c);
	if (!v->quiet) {
		printf("%s  %s\n", json_array_size(c.damage) == 0 ? _("good   ") : _("DAMAGED"), folder);
		json_array_foreach(c.damage, i, line) {
			text = json_string_value(line);
			printf("         %s\n", text);
		}
		fflush(stdout);
	}
	v->n_damaged += json_array_size(c.damage) > 0;
	json_array_append_new(v->packages, json_pack("{s:s, s:b, s:o}", "folder", folder, "good",
	                                             (int)(json_array_size(c.damage) == 0), "damage", c.damage));
}

/* --- folders of packages --- */

static bool has_digest(const char *folder)
{
	char *path = path_join(folder, PACKAGE_DIGEST);
	bool has = file_exists(path);

	free(path);
	return has;
}

static bool is_revision(const char *s)
{
	return strlen(s) == PACKAGE_REVISION_SIZE - 1 && strspn(s, "0123456789abcdef") == PACKAGE_REVISION_SIZE - 1;
}

static int walk(void *ctx, const char *name)
{
	struct verify *v = ctx;
	char *path = path_join(v->folder, name);
	int e = 0;

	if (!str_is_name(name, strlen(name)) || !file_is_folder(path)) {
		free(path);
		return 0;
	}
	if (has_digest(path) || is_revision(name)) {
		verify_package(v, path);
	} else if (v->depth < 1) {
		const char *before = v->folder;

		v->folder = path;
		v->depth++;
		e = folder_list(path, walk, v);
		v->depth--;
		v->folder = before;
	}
	free(path);
	return e;
}

int admin_verify(const struct admin *a, char **args, struct fault *f)
{
	struct verify v = {.packages = json_array(), .folder = args[0], .quiet = a->json};
	size_t n;
	int e = 0;

	if (has_digest(args[0]))
		verify_package(&v, args[0]);
	else
		e = folder_list(args[0], walk, &v);
	n = json_array_size(v.packages);
	if (e == 0 && a->json) {
		json_t *report = json_pack("{s:O, s:I}", "packages", v.packages, "damaged", (json_int_t)v.n_damaged);

		json_dumpf(report, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(report);
	}
	json_decref(v.packages);
	if (e != 0)
		return fault_set(f, e, "\"%s\": %s", args[0], words_error(e));
	if (n == 0)
		return fault_set(f, ERR_NOT_FOUND, _("\"%s\" has no package in it: give a library, a title or a package"), args[0]);
	return v.n_damaged > 0 ? fault_set(f, ERR_HASH, _("%zu of %zu packages are damaged"), v.n_damaged, n) : 0;
}

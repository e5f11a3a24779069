/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin's commands that change titles, and what tells of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "origin/admin.h"

#define HEAD_SIZE 100 /* of a database */
#define BACKUP_PATIENCE (5 * DUR_MIN) /* while the copy is made nothing comes */
#define N_OF(a) (sizeof(a) / sizeof(a)[0])

static int change(const struct admin *a, const char *method, json_t *body, struct fault *f, const char *fmt, const char *one,
                  const char *two)
{
	char *end = mem_printf("%s%s", two != NULL ? "/" : "", two != NULL ? two : "");
	char *path = mem_printf("/api/v1/titles/%s%s%s", one, fmt, end);
	int e = admin_call(a, method, path, body, NULL, f);

	free(path);
	free(end);
	return e;
}

int admin_title_withdraw(const struct admin *a, char **args, struct fault *f)
{
	char *slash = strchr(args[0], '/');

	if (slash == NULL)
		return change(a, "DELETE", NULL, f, "", args[0], NULL);
	*slash = '\0';
	return change(a, "DELETE", NULL, f, "/revisions", args[0], slash + 1);
}

int admin_title_restore(const struct admin *a, char **args, struct fault *f)
{
	char *slash = strchr(args[0], '/');
	json_t *body = json_object();

	if (slash != NULL) {
		*slash = '\0';
		json_object_set_new(body, "revision", json_string(slash + 1));
	}
	return change(a, "POST", body, f, "/restore", args[0], NULL);
}

/* The revision published before the current one; to be freed. */
static int find_before(const struct admin *a, const char *title, char **ret_revision, struct fault *f)
{
	char *path = mem_printf("/api/v1/titles/%s", title);
	const char *current = NULL, *best = NULL, *best_at = "", *now_at = "";
	json_t *o, *r;
	size_t i;
	int e = admin_call(a, "GET", path, NULL, &o, f);

	free(path);
	if (e != 0)
		return e;
	current = json_string_value(json_object_get(o, "revision"));
	json_array_foreach(json_object_get(o, "revisions"), i, r)
		if (json_is_true(json_object_get(r, "current")) && json_is_string(json_object_get(r, "published")))
			now_at = json_string_value(json_object_get(r, "published"));
	json_array_foreach(json_object_get(o, "revisions"), i, r) {
		const char *at = json_string_value(json_object_get(r, "published"));

		if (at != NULL && strcmp(at, now_at) < 0 && strcmp(at, best_at) > 0) {
			best_at = at;
			best = json_string_value(json_object_get(r, "revision"));
		}
	}
	if (best == NULL)
		e = fault_set(f, ERR_NOT_FOUND, _("%s has no revision older than %s"), title, current != NULL ? current : _("the current one"));
	else
		*ret_revision = mem_dup(best);
	json_decref(o);
	return e;
}

int admin_title_rollback(const struct admin *a, char **args, struct fault *f)
{
	char *revision = args[1] != NULL ? mem_dup(args[1]) : NULL;
	int e = revision == NULL ? find_before(a, args[0], &revision, f) : 0;

	if (e == 0)
		e = change(a, "PUT", json_pack("{s:s}", "revision", revision), f, "/current", args[0], NULL);
	if (e == 0 && !a->json)
		printf(_("%s is at %s\n"), args[0], revision);
	free(revision);
	return e;
}

int admin_title_newest(const struct admin *a, char **args, struct fault *f)
{
	return change(a, "DELETE", NULL, f, "/current", args[0], NULL);
}

static json_t *tags_of(const char *list)
{
	json_t *tags = json_array();

	for (const char *p = list; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if (n > 0)
			json_array_append_new(tags, json_stringn(p, n));
		p += n + (p[n] == ',');
	}
	return tags;
}

int admin_title_set(const struct admin *a, char **args, struct fault *f)
{
	const char *key = args[1], *value = args[2];
	uint64_t year;
	json_t *v;

	if (strcmp(key, "name") != 0 && strcmp(key, "description") != 0 && strcmp(key, "year") != 0 && strcmp(key, "tags") != 0 &&
	    strcmp(key, "policy") != 0)
		return fault_set(f, ERR_USAGE, _("found \"%s\", expected name, description, year, tags or policy"), key);
	if (strcmp(key, "tags") == 0)
		v = strcmp(value, "none") == 0 ? json_array() : tags_of(value);
	else if (strcmp(value, "none") == 0 && strcmp(key, "policy") != 0)
		v = json_null();
	else if (strcmp(key, "year") != 0)
		v = json_string(value);
	else if (str_parse_u64(value, strlen(value), &year) == 0 && year < 10000)
		v = json_integer((json_int_t)year);
	else
		return fault_set(f, ERR_USAGE, _("year: found \"%s\", expected a number, or none"), value);
	if (v == NULL)
		return fault_set(f, ERR_USAGE, _("%s: the value is no UTF-8"), key);
	return change(a, "PATCH", json_pack("{s:o}", key, v), f, "/metadata", args[0], NULL);
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "-";
}

static int show_list(const struct admin *a, const char *path, const char *list, const char *const *heads, const char *const *keys,
                     size_t n, struct fault *f)
{
	struct admin_table *t;
	json_t *rows, *row;
	size_t i;
	int e = admin_list(a, path, list, &rows, f);

	if (e != 0)
		return e;
	if (a->json) {
		json_dumpf(rows, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		t = admin_table_new(heads, n);
		json_array_foreach(rows, i, row)
			for (size_t k = 0; k < n; k++) {
				const json_t *v = json_object_get(row, keys[k]);

				if (json_is_boolean(v))
					admin_table_cell(t, "%s", json_is_true(v) ? _("yes") : _("in part"));
				else if (json_is_integer(v))
					admin_table_cell(t, "%lld", (long long)json_integer_value(v));
				else
					admin_table_cell(t, "%s", strcmp(keys[k], "state") == 0 ? admin_word(text(row, keys[k])) : text(row, keys[k]));
			}
		admin_table_print(&t, stdout);
	}
	json_decref(rows);
	return 0;
}

int admin_withdrawn(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {N_("TITLE"), N_("REVISION"), N_("WITHDRAWN"), N_("REMOVED AFTER")};
	static const char *const keys[] = {"title", "revision", "withdrawn", "removed_after"};

	return show_list(a, "/api/v1/withdrawn", "withdrawn", heads, keys, N_OF(heads), f);
}

int admin_holdings(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {"EDGE", "TITLE", "REVISION", "COMPLETE"};
	static const char *const keys[] = {"edge", "title", "revision", "complete"};
	char *path = mem_printf("/api/v1/holdings%s%s", args[0] != NULL ? "?title=" : "", args[0] != NULL ? args[0] : "");
	int e = show_list(a, path, "holdings", heads, keys, N_OF(heads), f);

	free(path);
	return e;
}

int admin_log(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {N_("AT"), N_("WHO"), N_("WHAT"), N_("SUBJECT"), N_("DETAIL")};
	static const char *const keys[] = {"at", "who", "what", "subject", "detail"};

	return show_list(a, "/api/v1/audit?limit=100", "entries", heads, keys, N_OF(heads), f);
}

int admin_masters(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {N_("ID"), N_("STATE"), N_("FILE"), N_("TITLE"), N_("QUEUED"), N_("DETAIL")};
	static const char *const keys[] = {"id", "state", "file", "title", "queued", "detail"};

	return show_list(a, "/api/v1/masters", "masters", heads, keys, N_OF(heads), f);
}

/* --- the copy of the catalogue --- */

struct copying {
	int fd, error; /* error: of writing */
	uint64_t n;
	uint8_t head[HEAD_SIZE];
};

static int take_copy(void *ctx, const void *bytes, size_t n)
{
	struct copying *k = ctx;

	for (size_t i = 0; i < n && k->n + i < HEAD_SIZE; i++)
		k->head[k->n + i] = ((const uint8_t *)bytes)[i];
	k->error = file_write_all(k->fd, bytes, n);
	k->n += n;
	return k->error;
}

/* The size that the database itself says (its file format, 1.3): page size and number of pages. */
static uint64_t size_said(const uint8_t *head)
{
	uint64_t page = (uint64_t)head[16] << 8 | head[17];
	uint64_t pages = (uint64_t)head[28] << 24 | (uint64_t)head[29] << 16 | (uint64_t)head[30] << 8 | head[31];

	return (page == 1 ? 65536 : page) * pages;
}

static int check_copy(const struct copying *k, struct fault *f)
{
	if (k->n < HEAD_SIZE || memcmp(k->head, "SQLite format 3", 16) != 0)
		return fault_set(f, ERR_HTTP, _("what came is no database"));
	if (size_said(k->head) != k->n)
		return fault_set(f, ERR_HTTP, _("of the copy %llu bytes came, and it has %llu: try again"), (unsigned long long)k->n,
		                 (unsigned long long)size_said(k->head));
	return 0;
}

/* A file without a name, so that whoever ends this leaves nothing behind; where the file system has none, `part`.  Tokens' hashes are in it. */
static int open_copy(const char *path, const char *part, bool *ret_named)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash != NULL ? mem_dup_n(path, (size_t)(slash - path) + 1) : mem_dup(".");
	int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	free(folder);
	*ret_named = fd < 0;
	return fd >= 0 ? fd : open(part, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
}

static int keep_copy(int fd, const char *part, const char *path, struct fault *f)
{
	char self[32];
	int e;

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	/* unlike rename() it replaces nothing */
	e = fsync(fd) != 0 || linkat(AT_FDCWD, part != NULL ? part : self, AT_FDCWD, path, part != NULL ? 0 : AT_SYMLINK_FOLLOW) != 0 ? -errno : 0;
	return e == 0 ? 0 : fault_set(f, e, "\"%s\": %s", path, words_error(e));
}

int admin_backup(const struct admin *a, char **args, struct fault *f)
{
	struct copying k = {.fd = -1};
	char *part = mem_printf("%s.part", args[0]);
	bool named = false;
	int e = 0;

	if (file_exists(args[0]))
		e = fault_set(f, ERR_EXISTS, _("\"%s\" is there already"), args[0]);
	else if ((k.fd = open_copy(args[0], part, &named)) < 0)
		e = fault_set(f, -errno, "\"%s\": %s", part, words_error(-errno));
	if (e == 0)
		e = admin_stream(a, "/api/v1/backup", BACKUP_PATIENCE, take_copy, &k, f);
	if (e != 0 && k.error != 0)
		e = fault_set(f, k.error, "\"%s\": %s", named ? part : args[0], words_error(k.error));
	if (e == 0)
		e = check_copy(&k, f);
	if (e == 0)
		e = keep_copy(k.fd, named ? part : NULL, args[0], f);
	if (e == 0 && !a->json)
		printf(_("%s: %llu bytes\n"), args[0], (unsigned long long)k.n);
	if (k.fd >= 0) {
		close(k.fd);
		if (named)
			unlink(part);
	}
	free(part);
	return e;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The page.  Its files are few and small, so they live in memory, sorted by name.
 */
#include "origin/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/words.h"
#include "origin/reply.h"

#define MAX_BYTES ((size_t)64 << 20)
#define MAX_DEPTH 4

/* Films come from edges, whose addresses change: connect-src is open, nothing else is. */
#define POLICY \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " \
	"font-src 'self'; manifest-src 'self'; worker-src 'self' blob:; connect-src *; base-uri 'none'; " \
	"form-action 'none'; frame-ancestors 'none'"

struct file {
	char *name; /* "index.html", "fonts/a.woff2" */
	const char *type;
	char etag[33];
	struct blob *bytes;
};

struct page {
	struct file *files; /* sorted by name */
	size_t n, cap, bytes;
};

struct walk {
	struct page *page;
	const char *folder, *prefix;
	unsigned depth;
	struct fault *fault;
};

static const char *type_of(const char *name)
{
	static const char *const types[][2] = {
		{".html", "text/html; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".mjs", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".json", "application/json"},
		{".webmanifest", "application/manifest+json"},
		{".svg", "image/svg+xml"},
		{".png", "image/png"},
		{".jpg", "image/jpeg"},
		{".webp", "image/webp"},
		{".ico", "image/x-icon"},
		{".woff2", "font/woff2"},
		{".txt", "text/plain; charset=utf-8"},
	};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (str_ends(name, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

static void set_etag(struct file *f)
{
	char hex[SHA256_HEX_SIZE];
	struct sha256 hash;

	sha256_of(f->bytes->bytes, f->bytes->size, &hash);
	sha256_to_hex(&hash, hex);
	snprintf(f->etag, sizeof f->etag, "%.32s", hex);
}

static int add_file(struct page *p, const char *path, const char *name, struct fault *f)
{
	struct file file = {.type = type_of(name)};
	struct buf b;
	int e;

	buf_init(&b, MAX_BYTES - p->bytes);
	e = file_read(path, &b);
	if (e == 0) {
		p->bytes += b.size;
		file.bytes = blob_take_buf(&b);
		e = file.bytes == NULL ? -ENOMEM : 0;
	}
	buf_fini(&b);
	if (e != 0)
		return fault_set(f, e, _("page \"%s\": %s"), path, words_error(e));
	set_etag(&file);
	file.name = mem_dup(name);
	MEM_GROW(p->files, p->cap, p->n);
	p->files[p->n++] = file;
	return 0;
}

static int add(void *ctx, const char *name);

static int add_folder(const struct walk *w, const char *path, const char *name)
{
	char *prefix = mem_printf("%s/", name);
	struct walk inner = {.page = w->page, .folder = path, .prefix = prefix, .depth = w->depth + 1, .fault = w->fault};
	int e = folder_list(path, add, &inner);

	free(prefix);
	return e;
}

static int add(void *ctx, const char *name)
{
	const struct walk *w = ctx;
	char *path = path_join(w->folder, name), *full = mem_printf("%s%s", w->prefix, name);
	struct stat st;
	int e = 0;

	if (!str_is_name(name, strlen(name)) || stat(path, &st) < 0)
		;
	else if (S_ISREG(st.st_mode))
		e = add_file(w->page, path, full, w->fault);
	else if (S_ISDIR(st.st_mode) && w->depth < MAX_DEPTH)
		e = add_folder(w, path, full);
	free(full);
	free(path);
	return e;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

int page_load(const char *folder, struct page **ret_page, struct fault *f)
{
	struct page *p = mem_new(sizeof *p);
	struct walk w = {.page = p, .folder = folder, .prefix = "", .fault = f};
	int e = folder_list(folder, add, &w);

	if (e == -ENOENT) {
		log_warn("origin/page", "there is no page: \"%s\" is missing; set www to the folder that has index.html", folder);
		e = 0;
	} else if (e != 0 && (f == NULL || f->code == 0)) {
		fault_set(f, e, _("page \"%s\": %s"), folder, words_error(e));
	}
	if (e != 0) {
		page_free(&p);
		return e;
	}
	if (p->n > 0)
		qsort(p->files, p->n, sizeof *p->files, compare);
	*ret_page = p;
	return 0;
}

void page_free(struct page **pp)
{
	struct page *p = *pp;

	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		free(p->files[i].name);
		blob_unref(&p->files[i].bytes);
	}
	free(p->files);
	free(p);
	*pp = NULL;
}

static const struct file *find(const struct page *p, const char *path, const char *home)
{
	struct file key = {.name = (char *)(str_starts(path, "/www/") ? path + 5 : path)};

	if (strcmp(path, "/") == 0)
		key.name = (char *)home;
	else if (strcmp(path, "/status") == 0 && strcmp(home, PAGE_STATUS) == 0)
		key.name = (char *)home;
	else if (key.name == path)
		return NULL;
	return p->n > 0 ? bsearch(&key, p->files, p->n, sizeof *p->files, compare) : NULL;
}

void page_answer(const struct page *p, const char *home, struct serve_request *req)
{
	const char *method = serve_method(req);
	const struct file *f = find(p, serve_path(req, NULL), home);
	char etag[40];
	struct serve_header fields[] = {
		{"etag", etag},
		{"cache-control", "no-cache"},
		{"x-content-type-options", "nosniff"},
		{"referrer-policy", "no-referrer"},
		{"content-security-policy", POLICY},
	};
	const size_t n = sizeof fields / sizeof fields[0];

	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		reply_not_allowed(req, "GET, HEAD");
		return;
	}
	if (f == NULL) {
		reply_text(req, 404, "there is no such page\n");
		return;
	}
	snprintf(etag, sizeof etag, "\"%s\"", f->etag);
	switch (serve_judge(req, etag)) {
	case CONDITION_PASSED:
		serve_reply(req, 200, f->type, blob_ref(f->bytes), fields, n);
		return;
	case CONDITION_NOT_MODIFIED:
		serve_reply(req, 304, NULL, NULL, fields, n);
		return;
	case CONDITION_FAILED:
		reply_not_as_seen(req, f->etag);
		return;
	}
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Uploading.  The origin is asked where an upload stands before anything is sent and
 * after every mishap, so nothing has to be remembered here.
 */
#include "ingest/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/digest.h"
#include "fetch/fetch.h"

#define CHUNK ((size_t)4 << 20)
#define ANSWER_MAX ((uint64_t)4 << 20)
#define TOKEN_FILE_MAX ((size_t)64 << 10)
#define PAUSE_FIRST (500 * DUR_MS)
#define PAUSE_MAX (15 * DUR_S)
#define NAP (100 * DUR_MS) /* a signal may come just before one */
#define BAD_PIECES 3 /* sent anew before we give up */
#define SLOWEST (120 * DUR_S) /* without a byte of answer */

struct upload {
	const struct upload_settings *settings;
	const char *package;
	char *base; /* "http://origin:8081" */
	char *token; /* a field, or NULL */
	struct fetch *fetch;
	struct digest *digest;
	struct progress *progress;
	uint64_t done, sent;
	bool existed;
};

/* --- one request --- */

static int read_token(const char *path, char **ret_field, struct fault *f)
{
	char *save = NULL, *word, *second;
	struct buf b;
	int e;

	if (path == NULL)
		return 0;
	buf_init(&b, TOKEN_FILE_MAX);
	e = file_read(path, &b);
	if (e == 0) {
		buf_putc(&b, '\n');
		b.bytes[strcspn(buf_text(&b), "\r\n")] = '\0';
		word = strtok_r((char *)b.bytes, " \t", &save);
		second = word != NULL ? strtok_r(NULL, " \t", &save) : NULL;
		if (word != NULL)
			*ret_field = mem_printf("Authorization: Bearer %s", second != NULL ? second : word);
		else
			e = fault_set(f, ERR_USAGE, _("token file \"%s\": its first line has no token"), path);
	} else {
		fault_set(f, e, _("token file \"%s\": %s"), path, words_error(e));
	}
	buf_fini(&b);
	return e;
}

static void base64(const char *text, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)text[i] << 16;

		v |= i + 1 < n ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
		v |= i + 2 < n ? (uint8_t)text[i + 2] : 0;
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

struct ask {
	const char *method, *path, *extra[3];
	size_t n_extra;
	const void *body;
	size_t n;
};

/* 0 and the status, whatever it is; else what kept the answer from coming. */
static int ask(struct upload *u, const struct ask *a, int *ret_status, json_t **ret_json, struct fault *f)
{
	const char *fields[6] = {"Tus-Resumable: 1.0.0"};
	size_t n = 1;
	char *url = mem_printf("%s%s", u->base, a->path);
	struct fetch_request req = {.url = url, .method = a->method, .body = a->body, .body_size = a->n, .max_bytes = ANSWER_MAX,
	                            .stall_timeout = SLOWEST};
	struct fetch_result result = {0};
	struct blob *blob = NULL;
	int e;

	for (size_t i = 0; i < a->n_extra; i++)
		fields[n++] = a->extra[i];
	if (u->token != NULL)
		fields[n++] = u->token;
	req.fields = fields;
	req.n_fields = n;
	e = fetch_get(u->fetch, &req, &blob, &result, NULL, f);
	if (e == ERR_HTTP && result.status >= 400)
		e = 0;
	*ret_status = result.status;
	*ret_json = e == 0 && blob != NULL ? json_loadb((const char *)blob->bytes, blob->size, 0, NULL) : NULL;
	blob_unref(&blob);
	free(url);
	return e;
}

static bool is_passing(int e, int status)
{
	return e != 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void pause_for(struct upload *u, dur_us d)
{
	mono_us end = clock_mono() + d;

	while (*u->settings->stop == 0 && clock_mono() < end)
		nanosleep(&(struct timespec){.tv_nsec = NAP * 1000}, NULL);
}

static int refused(int status, const json_t *answer, struct fault *f)
{
	const char *detail = json_string_value(json_object_get(answer, "detail"));

	return fault_set(f, status == 507 ? -ENOSPC : ERR_HTTP, _("the origin says %d: %s"), status, detail != NULL ? detail : _("no reason given"));
}

/* Asks until there is an answer that is meant for us, or patience ends. */
static int ask_patiently(struct upload *u, const struct ask *a, int *ret_status, json_t **ret_json, struct fault *f)
{
	mono_us end = clock_mono() + u->settings->patience;
	dur_us pause = PAUSE_FIRST;

	for (;;) {
		int e = ask(u, a, ret_status, ret_json, f);

		if (!is_passing(e, *ret_status))
			return 0;
		if (*u->settings->stop != 0)
			e = fault_set(f, ERR_CANCELLED, _("stopped; give the same command again to go on"));
		else if (e == 0)
			e = refused(*ret_status, *ret_json, f);
		json_decref(*ret_json);
		*ret_json = NULL;
		if (*u->settings->stop != 0 || clock_mono() + pause > end)
			return e;
		pause_for(u, pause);
		pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
	}
}

/* --- one file --- */

struct file {
	const char *name;
	int fd;
	uint64_t size, offset;
	char *path; /* of the upload */
	bool published;
};

static void take_state(struct file *file, const json_t *answer)
{
	file->offset = (uint64_t)json_integer_value(json_object_get(answer, "offset"));
	file->published = json_is_true(json_object_get(answer, "published"));
}

/* Makes the upload, or finds it: 0; ERR_EXISTS: the origin has the package. */
static int begin_file(struct upload *u, struct file *file, struct fault *f)
{
	char title[200], revision[40], name[200], *metadata, *length = mem_printf("Upload-Length: %llu", (unsigned long long)file->size);
	struct ask a = {.method = "POST", .path = "/api/v1/uploads", .n_extra = 2, .body = "", .n = 0};
	json_t *answer = NULL;
	const char *id, *detail;
	int status, e;

	base64(u->digest->title, title);
	base64(u->digest->revision, revision);
	base64(file->name, name);
	metadata = mem_printf("Upload-Metadata: title %s,revision %s,filename %s", title, revision, name);
	a.extra[0] = length;
	a.extra[1] = metadata;
	e = ask_patiently(u, &a, &status, &answer, f);
	id = json_string_value(json_object_get(answer, "id"));
	detail = json_string_value(json_object_get(answer, "detail"));
	if (e == 0 && status == 409 && detail != NULL && str_ends(detail, "is in the library"))
		e = ERR_EXISTS;
	else if (e == 0 && (status != 201 || id == NULL))
		e = status < 400 ? fault_set(f, ERR_HTTP, _("no upload was made: is %s the control listener of an origin?"), u->base)
		                 : refused(status, answer, f);
	if (e == 0) {
		file->path = mem_printf("/api/v1/uploads/%s", id);
		take_state(file, answer);
	}
	json_decref(answer);
	free(metadata);
	free(length);
	return e;
}

static int find_offset(struct upload *u, struct file *file, struct fault *f)
{
	struct ask a = {.method = "GET", .path = file->path};
	json_t *answer = NULL;
	int status, e = ask_patiently(u, &a, &status, &answer, f);

	if (e == 0 && status != 200)
		e = refused(status, answer, f);
	if (e == 0)
		take_state(file, answer);
	json_decref(answer);
	return e;
}

/* One chunk.  1: it was taken; 0: it is not known, ask; negative: never. */
static int send_chunk(struct upload *u, struct file *file, const void *bytes, size_t n, unsigned *bad, struct fault *f)
{
	char *offset = mem_printf("Upload-Offset: %llu", (unsigned long long)file->offset);
	struct ask a = {.method = "PATCH", .path = file->path, .extra = {offset, "Content-Type: application/offset+octet-stream"},
	                .n_extra = 2, .body = bytes, .n = n};
	json_t *answer = NULL;
	int status, e = ask(u, &a, &status, &answer, f);

	free(offset);
	if (is_passing(e, status) || status == 409)
		e = 0;
	else if (status == 204)
		e = 1;
	else if (status == 460 && ++*bad < BAD_PIECES)
		e = 0;
	else
		e = refused(status, answer, f);
	json_decref(answer);
	return e;
}

static int send_file(struct upload *u, struct file *file, struct fault *f)
{
	uint8_t *bytes = mem_new_array(CHUNK, 1);
	uint64_t before = u->done;
	mono_us gone_on = clock_mono();
	dur_us pause = PAUSE_FIRST;
	unsigned bad = 0;
	int e = 0;

	while (e >= 0 && file->offset < file->size) {
		size_t n = file->size - file->offset < CHUNK ? (size_t)(file->size - file->offset) : CHUNK;

		if (*u->settings->stop != 0)
			e = fault_set(f, ERR_CANCELLED, _("stopped; give the same command again to go on"));
		else if (file_pread_all(file->fd, bytes, n, file->offset) != (ssize_t)n)
			e = fault_set(f, ERR_TRUNCATED, _("\"%s/%s\" is shorter than the digest says"), u->package, file->name);
		else
			e = send_chunk(u, file, bytes, n, &bad, f);
		if (e > 0) {
			file->offset += n;
			u->sent += n;
			gone_on = clock_mono();
			pause = PAUSE_FIRST;
		} else if (e == 0 && clock_mono() - gone_on > u->settings->patience) {
			e = fault_set(f, ERR_TIMEOUT, _("the origin has taken nothing for %lld s; give the same command again to go on"),
			              (long long)(u->settings->patience / DUR_S));
		} else if (e == 0) {
			pause_for(u, pause);
			pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
			e = find_offset(u, file, f);
		}
		u->done = before + file->offset;
		if (u->progress != NULL)
			progress_update(u->progress, u->done, file->name, clock_mono());
	}
	u->done = before + file->size;
	free(bytes);
	return e < 0 ? e : 0;
}

static int upload_file(struct upload *u, const char *name, struct fault *f)
{
	char *path = path_join(u->package, name);
	struct file file = {.name = name, .fd = open(path, O_RDONLY | O_CLOEXEC)};
	int e = file.fd < 0 ? -errno : file_size(path, &file.size);

	e = e != 0 ? fault_set(f, e, "\"%s\": %s", path, words_error(e)) : begin_file(u, &file, f);
	if (e == 0)
		e = send_file(u, &file, f);
	if (file.fd >= 0)
		close(file.fd);
	free(file.path);
	free(path);
	return e;
}

/* --- the package --- */

static int read_package(struct upload *u, struct fault *f)
{
	char *path = path_join(u->package, PACKAGE_DIGEST);
	struct buf b;
	int e;

	buf_init(&b, DIGEST_MAX_BYTES);
	e = file_read(path, &b);
	if (e != 0)
		fault_set(f, e, _("\"%s\" is no package: %s: %s"), u->package, PACKAGE_DIGEST, words_error(e));
	else
		e = digest_read(b.bytes, b.size, &u->digest, f);
	buf_fini(&b);
	free(path);
	return e;
}

/* Is it published?  A package whose last file came in a request that was lost. */
static int check_published(struct upload *u, struct fault *f)
{
	char *path = mem_printf("/api/v1/titles/%s", u->digest->title);
	struct ask a = {.method = "GET", .path = path};
	json_t *answer = NULL, *r;
	int status, e = ask_patiently(u, &a, &status, &answer, f);
	bool found = false;
	size_t i;

	if (e == 0 && status != 200 && status != 404)
		e = refused(status, answer, f);
	json_array_foreach(json_object_get(answer, "revisions"), i, r)
		found = found || (json_is_string(json_object_get(r, "revision")) &&
		                  strcmp(json_string_value(json_object_get(r, "revision")), u->digest->revision) == 0);
	if (e == 0 && !found)
		e = fault_set(f, ERR_HTTP, _("all files are there, but the origin does not show the package; its log says why"));
	json_decref(answer);
	free(path);
	return e;
}

static int upload_files(struct upload *u, struct fault *f)
{
	int e = upload_file(u, PACKAGE_DIGEST, f);

	if (e == 0)
		e = upload_file(u, PACKAGE_LEAVES, f);
	for (size_t i = 0; e == 0 && i < u->digest->n_files; i++)
		e = upload_file(u, u->digest->files[i].name, f);
	u->existed = e == ERR_EXISTS && u->sent == 0;
	return e == ERR_EXISTS || e == 0 ? check_published(u, f) : e;
}

int upload_package(const char *package, const struct upload_settings *s, struct upload_result *ret_result, struct fault *f)
{
	struct upload u = {.settings = s, .package = package};
	struct fetch_settings fetch = {.user_agent = "ribera-ingest", .ca_file = s->ca_file, .told = s->stop};
	size_t n = strlen(s->to);
	int e;

	while (n > 0 && s->to[n - 1] == '/')
		n--;
	u.base = mem_dup_n(s->to, n);
	e = read_package(&u, f);
	if (e == 0)
		e = read_token(s->token_file, &u.token, f);
	if (e == 0 && (e = fetch_new(&fetch, &u.fetch)) != 0)
		fault_set(f, e, _("cannot start: %s"), words_error(e));
	if (e == 0 && !s->quiet)
		u.progress = progress_new(stderr, _("upload"), "B", u.digest->size, clock_mono());
	if (e == 0)
		e = upload_files(&u, f);
	if (e == 0) {
		*ret_result = (struct upload_result){.title = mem_dup(u.digest->title), .bytes = u.digest->size, .sent = u.sent, .existed = u.existed};
		snprintf(ret_result->revision, sizeof ret_result->revision, "%s", u.digest->revision);
	}
	if (u.progress != NULL)
		progress_free(&u.progress, clock_mono());
	fetch_free(&u.fetch);
	digest_free(&u.digest);
	free(u.token);
	free(u.base);
	return e;
}

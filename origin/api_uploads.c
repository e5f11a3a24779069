/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Uploads through the control API: tus 1.0, so that stock clients work, with JSON
 * beside its fields for those who have none of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "dash/package.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/doubt.h"
#include "origin/events.h"
#include "origin/form.h"
#include "origin/origin.h"
#include "origin/paging.h"
#include "origin/reply.h"
#include "origin/tus.h"
#include "origin/upload.h"
#include "serve/serve.h"

#define MAX_FIELDS 10
#define NAME_BYTES 200
#define TELL_EVERY ((uint64_t)8 << 20) /* bytes of a body between two events of its progress */

/* The fields of a reply, with room for the numbers in them. */
struct fields {
	struct serve_header v[MAX_FIELDS];
	size_t n;
	char offset[24], length[24], expires[CLOCK_RFC3339_SIZE + 8], limit[48], max[24];
};

static void add(struct fields *f, const char *name, const char *value)
{
	f->v[f->n++] = (struct serve_header){name, value};
}

static void begin_fields(const struct api_call *c, struct fields *f)
{
	f->n = 0;
	add(f, "tus-resumable", TUS_VERSION);
	add(f, "cache-control", "no-store");
	/* draft-ietf-httpbis-resumable-upload */
	snprintf(f->limit, sizeof f->limit, "max-size=%llu", (unsigned long long)c->origin->settings.upload_max);
	add(f, "upload-limit", f->limit);
}

static void upload_fields(const struct api_call *c, struct fields *f, const struct upload *u)
{
	begin_fields(c, f);
	snprintf(f->offset, sizeof f->offset, "%llu", (unsigned long long)upload_offset(u));
	snprintf(f->length, sizeof f->length, "%llu", (unsigned long long)u->length);
	clock_to_http(u->expires, f->expires);
	add(f, "upload-offset", f->offset);
	add(f, "upload-length", f->length);
	add(f, "upload-expires", f->expires);
}

static json_t *upload_json(const struct upload *u)
{
	char expires[CLOCK_RFC3339_SIZE], sum[SHA256_HEX_SIZE];

	clock_to_rfc3339(u->expires, expires);
	sha256_to_hex(&u->is, sum);
	return json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:I, s:I, s:b, s:b, s:s, s:s?}", "id", u->id, "kind", u->is_master ? "master" : "package",
	                 "title", u->title, "revision", u->revision, "file", u->file, "offset", (json_int_t)u->offset, "length",
	                 (json_int_t)u->length, "whole", (int)u->whole, "published", (int)u->published, "expires", expires, "sha256",
	                 u->has_sum ? sum : NULL);
}

static void send(struct api_call *c, int status, const struct fields *f, const char *location, json_t *body)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	reply_note(status, location, text);
	serve_reply(c->req, status, text != NULL ? "application/json" : NULL, text != NULL ? blob_copy(text, strlen(text)) : NULL,
	            f->v, f->n);
	free(text);
}

/* Does the client speak our version?  False: it has been answered. */
static bool is_our_version(struct api_call *c)
{
	static const struct serve_header version = {"tus-version", TUS_VERSION};
	size_t n;
	const char *field = serve_field(c->req, "tus-resumable", &n);

	if (field == NULL || strcmp(field, TUS_VERSION) == 0)
		return true;
	serve_reply(c->req, 412, NULL, NULL, &version, 1);
	return false;
}

void api_tus_options(struct api_call *c)
{
	struct fields f;

	begin_fields(c, &f);
	snprintf(f.max, sizeof f.max, "%llu", (unsigned long long)c->origin->settings.upload_max);
	add(&f, "tus-version", TUS_VERSION);
	add(&f, "tus-extension", TUS_EXTENSIONS);
	add(&f, "tus-checksum-algorithm", TUS_CHECKSUMS);
	add(&f, "tus-max-size", f.max);
	send(c, 204, &f, NULL, NULL);
}

static void upload_fault(struct api_call *c, const struct fault *f)
{
	int status;

	switch (f->code) {
	case -ENOSPC:
	case -EDQUOT:
		status = 507;
		break;
	case ERR_HASH:
		status = 460; /* tus: Checksum Mismatch */
		break;
	case ERR_EXISTS:
	case ERR_NOT_FOUND:
	case ERR_CORRUPT:
	case ERR_CANCELLED:
		status = 409;
		break;
	case ERR_LIMIT:
		status = 413;
		break;
	case ERR_SYNTAX:
		status = 400;
		break;
	default:
		reply_fault(c->req, f);
		return;
	}
	reply_problem(c->req, status, "%s", fault_text(f));
}

static struct upload *find(struct api_call *c)
{
	struct upload *u = uploads_find(c->origin->uploads, c->name);

	if (u == NULL)
		reply_problem(c->req, 404, "there is no upload \"%.128s\"; it may have expired", c->name);
	return u;
}

/* --- writing --- */

/* A body on its way into an upload; outlives the call that began it. */
struct writing {
	struct origin *origin;
	char who[sizeof((struct api_call *)0)->who];
	bool creates; /* the request made the upload as well */
	struct upload *upload; /* while body.upload is not NULL */
	struct upload_body body;
	struct tus_sum sum;
	struct fault fault;
	uint64_t told; /* the offset of the last event */
};

static void tell_progress(struct writing *w)
{
	events_say(w->origin->events, EVENT_UPLOAD_PROGRESS, upload_json(w->upload));
	w->told = w->upload->offset;
}

static int take_bytes(void *ctx, const void *bytes, size_t n)
{
	struct writing *w = ctx;
	int e = uploads_add(w->origin->uploads, &w->body, bytes, n, clock_wall(), &w->fault);

	tus_sum_add(&w->sum, bytes, n);
	if (e == 0 && w->upload->offset - w->told >= TELL_EVERY)
		tell_progress(w);
	return e;
}

static void answer_made(struct api_call *c, struct upload *u);

static void answer_written(struct writing *w, struct serve_request *req, bool was_published)
{
	struct api_call c = {.origin = w->origin, .req = req};
	struct upload *u = w->upload;
	struct fields f;

	if (u->published && !was_published)
		events_say(w->origin->events, EVENT_UPLOAD_PUBLISHED, json_pack("{s:s, s:s, s:s}", "title", u->title, "revision",
		                                                                u->revision, "who", w->who));
	else
		tell_progress(w);
	if (w->creates) {
		answer_made(&c, u);
		return;
	}
	upload_fields(&c, &f, u);
	send(&c, 204, &f, NULL, NULL);
}

static void end_bytes(void *ctx, struct serve_request *req, int error)
{
	struct writing *w = ctx;
	struct api_call c = {.origin = w->origin, .req = req};
	bool fits = error == 0 && tus_sum_fits(&w->sum), was = w->body.upload != NULL && w->upload->published;
	int e = uploads_end(w->origin->uploads, &w->body, fits, clock_wall(), error == 0 ? &w->fault : NULL);

	if (req == NULL)
		log_verbose("origin/upload", "a body was cut: %s", err_text(error));
	else if (error == 0 && !fits)
		reply_problem(req, 460, "the bytes are not those of Upload-Checksum: send them again");
	else if (error != 0 || e != 0)
		upload_fault(&c, &w->fault);
	else
		answer_written(w, req, was);
	tus_sum_fini(&w->sum);
	free(w);
}

static const struct serve_intake_ops into_upload = {take_bytes, end_bytes};

/* Takes the request's body and answers. */
static void write_body(struct api_call *c, struct upload *u, bool creates)
{
	struct writing *w = mem_new(sizeof *w);
	struct form_error wrong;
	uint64_t size = serve_body_size(c->req);
	int e = tus_sum_begin(c->req, &w->sum);

	w->origin = c->origin;
	w->creates = creates;
	w->upload = u;
	w->told = u->offset;
	memcpy(w->who, c->who, sizeof w->who);
	if (e != 0) {
		form_fail(&wrong, "Upload-Checksum", "expected one of " TUS_CHECKSUMS ", a space, and the hash in base64");
		reply_form_error(c->req, &wrong);
	} else if (size != UINT64_MAX && size > u->length - upload_offset(u)) {
		reply_problem(c->req, 413, "%llu bytes are to come in this body, and %llu of the upload", (unsigned long long)size,
		              (unsigned long long)(u->length - upload_offset(u)));
	} else if (uploads_begin(c->origin->uploads, u, w->sum.hash != NULL, &w->body, &w->fault) != 0) {
		upload_fault(c, &w->fault);
	} else {
		serve_take_body(c->req, &into_upload, w);
		return;
	}
	tus_sum_fini(&w->sum);
	free(w);
}

void api_write_upload(struct api_call *c)
{
	struct upload *u;
	struct form_error wrong;
	uint64_t offset;
	size_t n;
	const char *type = serve_field(c->req, "content-type", &n);

	if (!is_our_version(c) || (u = find(c)) == NULL)
		return;
	if (type == NULL || strcasecmp(type, TUS_TYPE) != 0) {
		reply_problem(c->req, 415, "expected Content-Type: " TUS_TYPE);
	} else if (!tus_number(c->req, "upload-offset", &offset)) {
		form_fail(&wrong, "Upload-Offset", "expected a whole number");
		reply_form_error(c->req, &wrong);
	} else if (offset != upload_offset(u)) {
		reply_problem(c->req, 409, "the upload is at byte %llu: ask with HEAD and go on from there", (unsigned long long)upload_offset(u));
	} else {
		write_body(c, u, false);
	}
}

/* --- making --- */

struct names {
	char *title, *revision, *file, *name, *sha256;
	bool has_sum;
	struct sha256 sum; /* of a master, as the client tells it */
};

static void names_fini(struct names *v)
{
	free(v->title);
	free(v->revision);
	free(v->file);
	free(v->name);
	free(v->sha256);
}

static int read_names(struct api_call *c, struct names *v, struct form_error *e)
{
	static const char *const keys[] = {"title", "revision", "filename", "name", "sha256"};
	char **const values[] = {&v->title, &v->revision, &v->file, &v->name, &v->sha256};
	size_t n;
	const char *field = serve_field(c->req, "upload-metadata", &n);

	for (size_t i = 0; field != NULL && i < sizeof keys / sizeof keys[0]; i++)
		if (tus_metadata(field, n, keys[i], values[i]) != 0)
			return form_fail(e, "Upload-Metadata", "%s: expected base64 of text", keys[i]);
	return 0;
}

static bool is_name(const char *s)
{
	return s != NULL && str_is_name(s, strlen(s));
}

static bool is_revision(const char *s)
{
	return s != NULL && strlen(s) == PACKAGE_REVISION_SIZE - 1 && strspn(s, "0123456789abcdef") == PACKAGE_REVISION_SIZE - 1;
}

static bool is_utf8(const char *s)
{
	json_t *j = json_string(s);
	bool is = j != NULL;

	json_decref(j);
	return is;
}

static int check_names(struct names *v, bool is_master, struct form_error *e)
{
	static const char where[] = "Upload-Metadata";

	if (is_master && v->title != NULL && (!is_name(v->title) || strlen(v->title) > 64))
		return form_fail(e, where, "title: expected up to 64 of a-z A-Z 0-9 . _ -");
	if (is_master && v->name != NULL && (!form_is_text(v->name, strlen(v->name), NAME_BYTES) || !is_utf8(v->name)))
		return form_fail(e, where, "name: expected text of at most %d bytes", NAME_BYTES);
	if (is_master && v->sha256 != NULL && sha256_from_hex(v->sha256, strlen(v->sha256), &v->sum) != 0)
		return form_fail(e, where, "sha256: expected 64 hex digits");
	if (!is_master && !is_name(v->title))
		return form_fail(e, where, "title: expected the package's title");
	if (!is_master && !is_revision(v->revision))
		return form_fail(e, where, "revision: expected the package's revision, 20 hex digits");
	if (!is_master && !is_name(v->file))
		return form_fail(e, where, "filename: expected the name of a file of the package");
	return 0;
}

/* The digest of the whole: Repr-Digest (RFC 9530), or sha256 in the metadata, for clients of tus have no other place. */
static int read_sum(struct api_call *c, struct names *v, struct form_error *e)
{
	struct sha256 field;
	int has = tus_repr_digest(c->req, &field);

	if (has < 0)
		return form_fail(e, "Repr-Digest", "expected sha-256=:BASE64: of 32 bytes");
	if (has > 0 && v->sha256 != NULL && !sha256_equal(&field, &v->sum))
		return form_fail(e, "Repr-Digest", "is another than sha256 in Upload-Metadata");
	if (has > 0)
		v->sum = field;
	v->has_sum = has > 0 || v->sha256 != NULL;
	return 0;
}

/* A master's file name comes from people: what is no name here becomes "-". */
static void clean_file_name(struct names *v)
{
	const char *slash = v->file != NULL ? strrchr(v->file, '/') : NULL;
	char *clean = v->file == NULL || v->file[0] == '\0' ? mem_dup("master") : mem_dup(slash != NULL ? slash + 1 : v->file);

	if (strlen(clean) > 100)
		memmove(clean, clean + strlen(clean) - 100, 101);
	for (char *p = clean; *p != '\0'; p++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p) == NULL || (p == clean && strchr(".-", *p) != NULL))
			*p = '_';
	free(v->file);
	v->file = clean[0] != '\0' && strcmp(clean, "job.json") != 0 ? clean : mem_dup("master");
	if (v->file != clean)
		free(clean);
}

static void answer_made(struct api_call *c, struct upload *u)
{
	char *location = mem_printf("/api/v1/uploads/%s", u->id);
	struct fields f;

	upload_fields(c, &f, u);
	add(&f, "location", location);
	send(c, 201, &f, location, upload_json(u));
	free(location);
}

static void make(struct api_call *c, const struct names *v, bool is_master, uint64_t length)
{
	struct upload_wish wish = {is_master, v->title, v->revision, v->file, v->name, length, v->has_sum ? &v->sum : NULL};
	struct catalogue_entry entry = {.at = clock_wall(), .who = c->who, .what = is_master ? "master upload" : "package upload",
	                                .subject = v->title != NULL ? v->title : v->file, .detail = v->file};
	struct fault f = {0};
	struct upload *u;
	char doubt[DOUBT_SIZE];
	size_t type_n;
	const char *type = serve_field(c->req, "content-type", &type_n);

	doubt_text(c->origin->doubt, doubt);
	if (doubt[0] == '\0')
		uploads_sweep(c->origin->uploads, clock_wall());
	if ((is_master || strcmp(v->file, PACKAGE_DIGEST) == 0) && catalogue_add_entry(c->origin->catalogue, &entry, &f) != 0) {
		reply_fault(c->req, &f);
		return;
	}
	if (uploads_create(c->origin->uploads, &wish, clock_wall(), &u, &f) != 0) {
		upload_fault(c, &f);
		return;
	}
	if (serve_body_size(c->req) > 0 && u->offset == 0 && type != NULL && strcasecmp(type, TUS_TYPE) == 0)
		write_body(c, u, true); /* creation-with-upload */
	else
		answer_made(c, u);
}

static void create(struct api_call *c, bool is_master)
{
	struct names v = {0};
	struct form_error e;
	uint64_t length;

	if (!is_our_version(c))
		return;
	if (read_names(c, &v, &e) != 0 || check_names(&v, is_master, &e) != 0 || (is_master && read_sum(c, &v, &e) != 0)) {
		reply_form_error(c->req, &e);
	} else if (!tus_number(c->req, "upload-length", &length)) {
		form_fail(&e, "Upload-Length", "expected a whole number");
		reply_form_error(c->req, &e);
	} else if (length > c->origin->settings.upload_max) {
		reply_problem(c->req, 413, "an upload may have %llu bytes", (unsigned long long)c->origin->settings.upload_max);
	} else {
		if (is_master)
			clean_file_name(&v);
		make(c, &v, is_master, length);
	}
	names_fini(&v);
}

void api_create_upload(struct api_call *c)
{
	create(c, false);
}

void api_create_master(struct api_call *c)
{
	create(c, true);
}

/* --- reading, ending --- */

static void list_one(void *ctx, const struct upload *u)
{
	json_array_append_new(ctx, upload_json(u));
}

void api_list_uploads(struct api_call *c)
{
	json_t *list = json_array();

	uploads_each(c->origin->uploads, list_one, list);
	paging_answer(c->req, "uploads", list, &(struct paging_keys){{"id"}},
	              json_pack("{s:I, s:I}", "bytes", (json_int_t)uploads_bytes(c->origin->uploads), "max_bytes",
	                        (json_int_t)c->origin->settings.upload_max));
}

void api_get_upload(struct api_call *c)
{
	struct upload *u = is_our_version(c) ? find(c) : NULL;
	struct fault fault = {0};
	struct fields f;

	if (u == NULL)
		return;
	if (uploads_sync(c->origin->uploads, u, &fault) != 0) { /* the offset is a promise */
		upload_fault(c, &fault);
		return;
	}
	upload_fields(c, &f, u);
	send(c, 200, &f, NULL, upload_json(u));
}

void api_end_upload(struct api_call *c)
{
	struct upload *u = is_our_version(c) ? find(c) : NULL;
	struct fault fault = {0};
	struct fields f;

	if (u == NULL)
		return;
	if (uploads_remove(c->origin->uploads, u, &fault) != 0) {
		upload_fault(c, &fault);
		return;
	}
	begin_fields(c, &f);
	send(c, 204, &f, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin's requests to the control API.
 */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "fetch/fetch.h"
#include "origin/admin.h"

#define ANSWER_MAX ((uint64_t)256 << 20)
#define TOKEN_FILE_MAX ((size_t)64 << 10)
#define TIMEOUT (30 * DUR_S)

/* "Authorization: Bearer TOKEN", or NULL without a token file. */
static int read_token(const struct admin *a, char **ret_field, struct fault *f)
{
	char *save = NULL, *word, *second;
	struct buf b;
	int e;

	*ret_field = NULL;
	if (a->token_file == NULL)
		return 0;
	buf_init(&b, TOKEN_FILE_MAX);
	e = file_read(a->token_file, &b);
	if (e != 0) {
		buf_fini(&b);
		return fault_set(f, e, _("token file \"%s\": %s"), a->token_file, words_error(e));
	}
	buf_putc(&b, '\n');
	b.bytes[strcspn(buf_text(&b), "\r\n")] = '\0';
	word = strtok_r((char *)b.bytes, " \t", &save);
	second = word != NULL ? strtok_r(NULL, " \t", &save) : NULL;
	if (word == NULL)
		e = fault_set(f, ERR_USAGE, _("token file \"%s\": its first line has no token"), a->token_file);
	else
		*ret_field = mem_printf("Authorization: Bearer %s", second != NULL ? second : word);
	buf_fini(&b);
	return e;
}

/* What others wrote is shown on a terminal: no control may reach it. */
static void make_plain(json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_string(j)) {
		char *text = mem_dup(json_string_value(j));

		for (char *p = text; (p = strpbrk(p, "\t\n\r")) != NULL; p++)
			*p = ' ';
		str_plain(text);
		json_string_set(j, text);
		free(text);
	}
	json_object_foreach(j, key, v)
		make_plain(v);
	json_array_foreach(j, i, v)
		make_plain(v);
}

void admin_make_plain(const struct admin *a, json_t *j)
{
	if (!a->json)
		make_plain(j);
}

static int read_answer(const struct blob *blob, int status, json_t **ret_json, struct fault *f)
{
	json_t *j = blob != NULL ? json_loadb((const char *)blob->bytes, blob->size, 0, NULL) : NULL;
	const char *detail = json_string_value(json_object_get(j, "detail"));
	const char *field = json_string_value(json_object_get(j, "field"));
	int e = 0;

	if (status >= 400)
		e = fault_set(f, status == 404 ? ERR_NOT_FOUND : ERR_HTTP, _("the origin says %d: %s%s%s"), status,
		              field != NULL ? field : "", field != NULL ? ": " : "", detail != NULL ? detail : _("no reason given"));
	else if (j == NULL && status != 204)
		e = fault_set(f, ERR_HTTP, _("the origin's answer is no JSON; is --control its control listener?"));
	if (e == 0 && ret_json != NULL)
		*ret_json = json_incref(j);
	json_decref(j);
	return e;
}

static int request(const struct admin *a, struct fetch *fetch, const char *method, const char *url, const char *token,
                   const char *body, json_t **ret_json, struct fault *f)
{
	const char *fields[] = {"Content-Type: application/json", token};
	struct fetch_request req = {
		.url = url,
		.method = method,
		.body = body,
		.body_size = body != NULL ? strlen(body) : 0,
		.fields = fields,
		.n_fields = token != NULL ? 2 : 1,
		.max_bytes = ANSWER_MAX,
		.total_timeout = TIMEOUT,
	};
	struct fetch_result result = {0};
	struct blob *blob = NULL;
	int e = fetch_get(fetch, &req, &blob, &result, NULL, f);

	if (e == 0 || (e == ERR_HTTP && result.status >= 400)) {
		e = read_answer(blob, result.status, ret_json, f);
		if (e == 0 && ret_json != NULL)
			admin_make_plain(a, *ret_json);
	} else {
		fault_prefix(f, _("cannot ask the origin at %s"), a->control);
	}
	blob_unref(&blob);
	return e;
}

int admin_call(const struct admin *a, const char *method, const char *path, json_t *body, json_t **ret_json,
               struct fault *f)
{
	struct fetch_settings settings = {.user_agent = "ribera-admin", .ca_file = a->ca_file};
	size_t n = strlen(a->control);
	char *url, *token = NULL, *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	struct fetch *fetch = NULL;
	int e = read_token(a, &token, f);

	while (n > 0 && a->control[n - 1] == '/')
		n--;
	url = mem_printf("%.*s%s", (int)n, a->control, path);
	if (e == 0 && (e = fetch_new(&settings, &fetch)) != 0)
		fault_set(f, e, _("cannot start: %s"), words_error(e));
	if (e == 0)
		e = request(a, fetch, method, url, token, text, ret_json, f);
	fetch_free(&fetch);
	json_decref(body);
	free(text);
	free(token);
	free(url);
	return e;
}

/* --- answers that are no JSON --- */

struct asking {
	struct fetch *fetch;
	char *url, *token;
	const char *fields[1];
	struct fetch_request req;
};

static void asking_fini(struct asking *k)
{
	fetch_free(&k->fetch);
	free(k->url);
	free(k->token);
}

static int begin_asking(const struct admin *a, const char *path, struct asking *k, struct fault *f)
{
	struct fetch_settings settings = {.user_agent = "ribera-admin", .ca_file = a->ca_file};
	size_t n = strlen(a->control);
	int e;

	*k = (struct asking){0};
	e = read_token(a, &k->token, f);
	while (n > 0 && a->control[n - 1] == '/')
		n--;
	k->url = mem_printf("%.*s%s", (int)n, a->control, path);
	k->fields[0] = k->token;
	k->req = (struct fetch_request){.url = k->url, .fields = k->fields, .n_fields = k->token != NULL};
	if (e == 0 && (e = fetch_new(&settings, &k->fetch)) != 0)
		fault_set(f, e, _("cannot start: %s"), words_error(e));
	if (e != 0)
		asking_fini(k);
	return e;
}

/* In the fetch thread, which nobody else needs. */
struct streaming {
	int (*take)(void *ctx, const void *bytes, size_t n);
	void *ctx;
	struct buf refused; /* the body of an error */
	struct fetch_result result;
	sem_t done;
	int status;
};

static int on_head(void *ctx, const struct fetch_response *r)
{
	((struct streaming *)ctx)->status = r->status;
	return 0;
}

static int on_bytes(void *ctx, const void *bytes, size_t n)
{
	struct streaming *s = ctx;

	return s->status < 400 ? s->take(s->ctx, bytes, n) : buf_append(&s->refused, bytes, n);
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct streaming *s = ctx;

	s->result = *result;
	sem_post(&s->done);
}

int admin_stream(const struct admin *a, const char *path, dur_us patience, int (*take)(void *ctx, const void *bytes, size_t n),
                 void *ctx, struct fault *f)
{
	struct streaming s = {.take = take, .ctx = ctx};
	struct blob *refused;
	struct asking k;
	int e = begin_asking(a, path, &k, f);

	if (e != 0)
		return e;
	k.req.stall_timeout = patience;
	buf_init(&s.refused, 65536);
	sem_init(&s.done, 0, 0);
	fetch_start(k.fetch, &k.req, on_head, on_bytes, on_done, &s);
	while (sem_wait(&s.done) != 0)
		;
	e = s.result.error;
	if (e == 0 && s.status >= 400) {
		refused = blob_take_buf(&s.refused);
		e = read_answer(refused, s.status, NULL, f);
		blob_unref(&refused);
	} else if (e != 0) {
		fault_set(f, e, _("cannot listen to the origin at %s: %s"), a->control, s.result.text);
	}
	sem_destroy(&s.done);
	buf_fini(&s.refused);
	asking_fini(&k);
	return e;
}

int admin_read_health(const struct admin *a, char **ret_problem, struct fault *f)
{
	struct fetch_result result = {0};
	struct blob *blob = NULL;
	struct asking k;
	int e = begin_asking(a, "/healthz", &k, f);

	if (e != 0)
		return e;
	k.req.max_bytes = 4096;
	k.req.total_timeout = TIMEOUT;
	e = fetch_get(k.fetch, &k.req, &blob, &result, NULL, f);
	if (e == ERR_HTTP && result.status == 503)
		*ret_problem = blob != NULL ? mem_dup_n((const char *)blob->bytes, blob->size - (blob->size > 0 && blob->bytes[blob->size - 1] == '\n')) : mem_dup("it says nothing");
	else if (e == 0)
		*ret_problem = NULL;
	else
		fault_prefix(f, _("cannot ask the origin at %s"), a->control);
	e = e == ERR_HTTP && result.status == 503 ? 0 : e;
	if (e == 0 && *ret_problem != NULL && !a->json)
		str_plain(*ret_problem);
	blob_unref(&blob);
	asking_fini(&k);
	return e;
}

/* Does another page follow?  One that brings nothing, or that leads to where it began, would have others behind it for ever. */
static int read_next(const json_t *page, const char *list, char **next, struct fault *f)
{
	const char *behind = json_string_value(json_object_get(page, "next"));
	bool stands = behind != NULL && (json_array_size(json_object_get(page, list)) == 0 || (*next != NULL && strcmp(*next, behind) == 0));

	free(*next);
	*next = stands ? NULL : mem_dup(behind);
	return stands ? fault_set(f, ERR_HTTP, _("the origin's list has no end: is --control its control listener?")) : 0;
}

int admin_list(const struct admin *a, const char *path, const char *list, json_t **ret_array, struct fault *f)
{
	json_t *all = json_array(), *page = NULL;
	char *next = NULL;
	int e;

	do {
		char *where = mem_printf("%s%c%s%s%s", path, strchr(path, '?') != NULL ? '&' : '?', strstr(path, "limit=") != NULL ? "" : "limit=1000",
		                         next != NULL ? "&after=" : "", next != NULL ? next : "");

		e = admin_call(a, "GET", where, NULL, &page, f);
		free(where);
		if (e == 0) {
			json_array_extend(all, json_object_get(page, list));
			e = read_next(page, list, &next, f);
			json_decref(page);
		}
	} while (e == 0 && next != NULL);
	free(next);
	if (e != 0)
		json_decref(all);
	else
		*ret_array = all;
	return e;
}

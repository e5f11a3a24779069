/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Answering with an object: find, judge conditions and ranges, set the fields,
 * hand over to body.c.  Status and fields depend on the request and the object's
 * facts alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rcu.h"
#include "base/str.h"
#include "serve/condition.h"
#include "serve/inner.h"

#define SMALL_VIEW (64 << 10) /* such files are copied to memory, larger ones mapped */
#define BOUNDARY "ribera-3d6b6a416f9b5c1e"

/* --- references -------------------------------------------------------------------- */

struct serve_object *serve_object_ref(struct serve_object *o)
{
	MUST_MAGIC(o, SERVE_OBJECT_MAGIC);
	MUST(__atomic_fetch_add(&o->refs, 1, __ATOMIC_RELAXED) > 0);
	return o;
}

static void drop_view(const void *view, uint64_t size)
{
	void *p = (void *)(uintptr_t)view;

	if (view == NULL)
		return;
	if (size <= SMALL_VIEW)
		free(p);
	else
		munmap(p, size);
}

void serve_object_unref(struct serve_object **po)
{
	struct serve_object *o = *po;

	*po = NULL;
	if (o == NULL)
		return;
	MUST_MAGIC(o, SERVE_OBJECT_MAGIC);
	if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	drop_view(o->view, o->size);
	o->view = NULL;
	free(o->warm);
	o->warm = NULL;
	free((void *)(uintptr_t)o->lines);
	o->lines = NULL;
	o->ops->free(o);
}

bool object_is_open(const struct serve_object *o)
{
	return o->ops->open == NULL || __atomic_load_n(&o->fd, __ATOMIC_ACQUIRE) >= 0 || object_is_memory(o);
}

bool object_is_memory(const struct serve_object *o)
{
	return __atomic_load_n(&o->fd, __ATOMIC_ACQUIRE) < 0 && __atomic_load_n(&o->view, __ATOMIC_ACQUIRE) != NULL;
}

/* As drop_view takes it. */
static void *new_view(uint64_t size)
{
	void *p;

	if (size <= SMALL_VIEW)
		return mem_try(size + 1, 1);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int serve_object_keep(struct serve_object *o, const void *bytes, size_t n)
{
	void *p = new_view(n);

	if (p == NULL)
		return -ENOMEM;
	memcpy(p, bytes, n);
	o->size = n;
	__atomic_store_n(&o->view, p, __ATOMIC_RELEASE);
	return 0;
}

static void *make_view(const struct serve_object *o)
{
	struct stat st;
	void *p;

	if (fstat(o->fd, &st) != 0 || (uint64_t)st.st_size < o->size)
		return NULL; /* mapped bytes behind the end would be a SIGBUS */
	if (o->size > SMALL_VIEW) {
		p = mmap(NULL, o->size, PROT_READ, MAP_SHARED, o->fd, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	p = new_view(o->size);
	if (p != NULL && file_pread_all(o->fd, p, o->size, 0) != (ssize_t)o->size) {
		free(p);
		return NULL;
	}
	return p;
}

bool object_is_copied(const struct serve_object *o)
{
	return (o->size <= SMALL_VIEW && __atomic_load_n(&o->view, __ATOMIC_ACQUIRE) != NULL) || object_is_memory(o);
}

const uint8_t *object_view(struct serve_object *o)
{
	const void *view = __atomic_load_n(&o->view, __ATOMIC_ACQUIRE), *none = NULL;
	void *made;

	if (view != NULL || (made = make_view(o)) == NULL)
		return view;
	if (__atomic_compare_exchange_n(&o->view, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return made;
	drop_view(made, o->size); /* another thread was first */
	return none;
}

/* --- fields ------------------------------------------------------------------------ */

static struct condition_field list_field(const struct serve_request *r, const h2o_token_t *token)
{
	h2o_iovec_t list = request_list(r, &token->buf);

	return (struct condition_field){list.base, list.len};
}

static const char *date_text(struct serve_request *r, wall_us t)
{
	struct date *d = &r->lane->dates[(uint64_t)(t / DUR_S) % N_DATES];

	if (d->time != t) {
		clock_to_http(t, d->text);
		d->time = t;
	}
	return h2o_strdup(&r->req->pool, d->text, strlen(d->text)).base; /* the slot may change before the header goes out */
}

/* In front of `end`. */
static char *put_before(char *end, uint64_t v)
{
	do
		*--end = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	return end;
}

/* RFC 9111 5.1. */
static void add_age(struct serve_request *r)
{
	wall_us since = __atomic_load_n(&r->object->since, __ATOMIC_RELAXED);
	int64_t age = since > 0 ? h2o_get_timestamp(&r->lane->ctx, NULL, NULL)->tv_sec - since / DUR_S : -1;
	char *text, *p;

	if (since == 0)
		return;
	if (age < 0)
		age = 0; /* the clock was set back */
	text = h2o_mem_alloc_pool(&r->req->pool, 24);
	text[23] = '\0';
	p = put_before(text + 23, (uint64_t)age);
	request_add(r, H2O_TOKEN_AGE, p);
}

static void add_validators(struct serve_request *r)
{
	const struct serve_object *o = r->object;

	if (o->etag != NULL)
		request_add(r, H2O_TOKEN_ETAG, o->etag);
	if (o->modified != 0)
		request_add(r, H2O_TOKEN_LAST_MODIFIED, date_text(r, o->modified));
}

/* What a browser opens as a page of this host may be anybody's who publishes: it runs nothing, and has from elsewhere nothing. */
#define PAGE_POLICY "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

static bool is_page(const struct serve_object *o)
{
	return o->type != NULL && (str_starts(o->type, "text/html") || str_starts(o->type, "image/svg"));
}

static char *make_lines(const struct serve_object *o)
{
	char modified[CLOCK_RFC3339_SIZE] = "";

	if (o->modified != 0)
		clock_to_http(o->modified, modified);
	return mem_printf("%s\r\naccept-ranges: bytes%s%s%s%s%s%s%s", o->type, o->etag != NULL ? "\r\netag: " : "", o->etag != NULL ? o->etag : "",
	                  o->modified != 0 ? "\r\nlast-modified: " : "", modified, o->cache_control != NULL ? "\r\ncache-control: " : "",
	                  o->cache_control != NULL ? o->cache_control : "",
	                  is_page(o) ? "\r\ncontent-security-policy: " PAGE_POLICY "\r\nx-content-type-options: nosniff" : "");
}

/* What a whole reply with this object says of it, made once and by any thread. */
static const char *object_lines(struct serve_object *o)
{
	const char *lines = __atomic_load_n(&o->lines, __ATOMIC_ACQUIRE), *none = NULL;
	char *made;

	if (lines != NULL)
		return lines;
	made = make_lines(o);
	if (__atomic_compare_exchange_n(&o->lines, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return made;
	free(made); /* another thread was first */
	return none;
}

static void add_facts(struct serve_request *r)
{
	const struct serve_object *o = r->object;

	add_validators(r);
	if (o->cache_control != NULL)
		request_add(r, H2O_TOKEN_CACHE_CONTROL, o->cache_control);
	add_age(r);
}

/* "cache;desc=hit;dur=0.021": from the request's head to the reply's, in milliseconds. */
static void add_server_timing(struct serve_request *r)
{
	static const h2o_iovec_t field = REQUEST_NAME("server-timing");
	static const char hit[] = "cache;desc=hit;dur=", miss[] = "cache;desc=miss;dur=", home[] = "origin;dur=";
	const char *what = r->cache == NULL ? home : strcmp(r->cache, "hit") == 0 ? hit : miss;
	uint64_t us, ms;
	size_t n = strlen(what);
	char *text = h2o_mem_alloc_pool(&r->req->pool, n + 26), *end = text + n + 25, *p = end;

	r->first_byte = clock_mono();
	us = (uint64_t)(r->first_byte - r->started);
	ms = us / 1000;
	for (int i = 0; i < 3; i++, us /= 10)
		*--p = (char)('0' + us % 10);
	*--p = '.';
	p = put_before(p, ms);
	memcpy(p - n, what, n);
	request_add_field(r, &field, p - n, (size_t)(end - p) + n);
}

static void add_cache_status(struct serve_request *r)
{
	static const h2o_iovec_t field = REQUEST_NAME("cache-status");
	const char *name = r->lane->serve->settings.name;
	h2o_iovec_t value;

	add_server_timing(r);
	if (r->cache == NULL)
		return;
	value = h2o_concat(&r->req->pool, h2o_iovec_init(name, strlen(name)), h2o_iovec_init(H2O_STRLIT(";")), h2o_iovec_init(r->cache, strlen(r->cache)));
	request_add_field(r, &field, value.base, value.len); /* RFC 9211 2 */
}

static enum condition judge(const struct serve_request *r, const char *etag, wall_us modified)
{
	const struct condition_fields fields = {
		.if_match = list_field(r, H2O_TOKEN_IF_MATCH),
		.if_unmodified_since = list_field(r, H2O_TOKEN_IF_UNMODIFIED_SINCE),
		.if_none_match = list_field(r, H2O_TOKEN_IF_NONE_MATCH),
		.if_modified_since = list_field(r, H2O_TOKEN_IF_MODIFIED_SINCE),
	};

	return r->is_conditional ? condition_judge(&fields, etag, modified) : CONDITION_PASSED;
}

enum condition serve_judge(const struct serve_request *r, const char *etag)
{
	return judge(r, etag, 0);
}

/* RANGE_IGNORE when the whole is to be sent. */
static enum range_verdict judge_range(struct serve_request *r)
{
	const struct condition_field range = list_field(r, H2O_TOKEN_RANGE), if_range = list_field(r, H2O_TOKEN_IF_RANGE);
	struct range ranges[RANGE_MAX];
	enum range_verdict verdict;

	if (range.text == NULL || r->is_head) /* RFC 9110 14.2: only GET */
		return RANGE_IGNORE;
	if (if_range.text != NULL && !condition_if_range(&if_range, r->object->etag, r->object->modified, clock_wall()))
		return RANGE_IGNORE;
	verdict = range_parse(range.text, range.n, r->object->size, ranges, &r->n_ranges);
	if (verdict == RANGE_SOME) {
		r->ranges = h2o_mem_alloc_pool(&r->req->pool, r->n_ranges * sizeof *ranges);
		memcpy(r->ranges, ranges, r->n_ranges * sizeof *ranges);
	}
	return verdict;
}

/* --- the body's spans -------------------------------------------------------------- */

static void plan_whole(struct serve_request *r, uint64_t offset, uint64_t length)
{
	r->body.one = (struct span){.offset = offset, .left = length};
	r->body.spans = &r->body.one;
	r->body.n = length > 0 ? 1 : 0;
	r->length = length;
}

/* multipart/byteranges (RFC 9110 14.6). */
static void plan_parts(struct serve_request *r)
{
	const struct serve_object *o = r->object;
	struct span *spans = h2o_mem_alloc_pool(&r->req->pool, (r->n_ranges + 1) * sizeof *spans);

	for (size_t i = 0; i < r->n_ranges; i++) {
		const struct range *g = &r->ranges[i];

		spans[i].text = request_printf(r, "%s--" BOUNDARY "\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
		                               i > 0 ? "\r\n" : "", o->type != NULL ? o->type : "application/octet-stream",
		                               g->first, g->last, o->size);
		spans[i].text_n = strlen(spans[i].text);
		spans[i].offset = g->first;
		spans[i].left = g->last - g->first + 1;
		r->length += spans[i].text_n + spans[i].left;
	}
	spans[r->n_ranges] = (struct span){.text = "\r\n--" BOUNDARY "--\r\n", .text_n = sizeof BOUNDARY - 1 + 8};
	r->length += spans[r->n_ranges].text_n;
	r->body.spans = spans;
	r->body.n = r->n_ranges + 1;
}

/* --- sending ----------------------------------------------------------------------- */

/* All of it stands in the object's file for good. */
static bool is_settled(struct serve_object *o)
{
	uint64_t n = o->size;
	int fd;

	if (o->ops->source == NULL)
		return true;
	rcu_read_begin();
	fd = o->ops->source(o, 0, &n);
	rcu_read_end();
	return fd == __atomic_load_n(&o->fd, __ATOMIC_RELAXED) && n == o->size;
}

static bool is_growing(struct serve_object *o)
{
	return o->ops->ready != NULL && (o->ops->ready(o, 0, o->size) < (int64_t)o->size || !is_settled(o));
}

/* "bytes 0-1/2" (RFC 9110 14.4); printf would take a fifth of what a reply of a range takes. */
static void add_content_range(struct serve_request *r)
{
	static const char unit[] = "bytes ";
	char *end = (char *)h2o_mem_alloc_pool(&r->req->pool, sizeof unit + 3 * 21) + sizeof unit + 3 * 21, *p = end;

	*--p = '\0';
	p = put_before(p, r->object->size);
	*--p = '/';
	p = put_before(p, r->ranges->last);
	*--p = '-';
	p = put_before(p, r->ranges->first);
	p -= sizeof unit - 1;
	memcpy(p, unit, sizeof unit - 1);
	request_add(r, H2O_TOKEN_CONTENT_RANGE, p);
}

/* One by one. */
static void add_fields(struct serve_request *r)
{
	const struct serve_object *o = r->object;

	if (r->n_ranges > 1)
		request_add(r, H2O_TOKEN_CONTENT_TYPE, "multipart/byteranges; boundary=" BOUNDARY);
	else if (o->type != NULL)
		request_add(r, H2O_TOKEN_CONTENT_TYPE, o->type);
	if (r->n_ranges == 1)
		add_content_range(r);
	request_add(r, H2O_TOKEN_ACCEPT_RANGES, "bytes");
	if (is_page(o)) {
		request_add_name(r, "content-security-policy", PAGE_POLICY);
		request_add_name(r, "x-content-type-options", "nosniff");
	}
	add_facts(r);
}

/* All is decided; the first bytes, if any are to be sent, are there. */
static void send_object(struct serve_request *r)
{
	const struct serve_object *o = r->object;

	r->replied = true;
	request_set_status(r, r->status);
	if (r->n_ranges == 0 && o->size <= SMALL_VIEW && o->type != NULL && request_takes_lines(r)) {
		request_add(r, H2O_TOKEN_CONTENT_TYPE, object_lines(r->object));
		add_age(r);
	} else {
		add_fields(r);
	}
	add_cache_status(r);
	request_add_cors(r);
	r->req->res.content_length = r->length;
	body_start(r);
}

/* An object still on its way: no header before its first byte is here, so that a
 * failure can still be told as one. */
static void send_when_ready(struct serve_request *r)
{
	const struct span *s = r->body.spans;
	int64_t ready;

	r->resume = send_when_ready;
	ready = r->growing && r->body.n > 0 && !r->is_head
	                        ? r->object->ops->ready(r->object, s->offset, s->left)
	                        : 1;
	if (ready > 0 && (r->is_head || r->body.n == 0 || object_is_copied(r->object) || !body_wait_disk(r, s->offset, s->left)))
		send_object(r);
	else if (ready > 0)
		return;
	else if (ready < 0)
		body_fail(r, (int)ready);
	else
		body_wait(r, s->offset, s->left);
}

static void send_not_modified(struct serve_request *r)
{
	r->replied = true;
	request_set_status(r, 304);
	add_facts(r);
	add_cache_status(r);
	request_add_cors(r);
	r->req->res.content_length = SIZE_MAX;
	body_start(r);
}

/* What was asked of it does not hold: its validators say what it is now (RFC 9110 8.8). */
static void refuse(struct serve_request *r, int status)
{
	add_validators(r);
	add_cache_status(r);
	request_refuse(r, status);
}

static void answer_found(struct serve_request *r)
{
	enum condition condition;
	enum range_verdict range;
	int refusal;

	if (!r->opened && !object_is_open(r->object)) {
		r->resume = answer_found;
		body_wait_open(r);
		return;
	}
	refusal = object_is_memory(r->object) && __atomic_load_n(&r->object->refs, __ATOMIC_RELAXED) == 1 ? held_take(r, r->object->size) : 0;
	if (refusal != 0) {
		request_refuse(r, refusal);
		return;
	}
	condition = judge(r, r->object->etag, r->object->modified);
	if (condition == CONDITION_NOT_MODIFIED) {
		send_not_modified(r);
		return;
	}
	if (condition == CONDITION_FAILED) {
		refuse(r, 412);
		return;
	}
	range = r->is_conditional ? judge_range(r) : RANGE_IGNORE;
	if (range == RANGE_UNSATISFIABLE) {
		request_add(r, H2O_TOKEN_CONTENT_RANGE, request_printf(r, "bytes */%" PRIu64, r->object->size));
		request_add(r, H2O_TOKEN_ACCEPT_RANGES, "bytes");
		refuse(r, 416);
		return;
	}
	r->growing = is_growing(r->object);
	r->status = range == RANGE_SOME ? 206 : 200;
	if (r->n_ranges > 1)
		plan_parts(r);
	else if (r->n_ranges == 1)
		plan_whole(r, r->ranges->first, r->ranges->last - r->ranges->first + 1);
	else
		plan_whole(r, 0, r->object->size);
	send_when_ready(r);
}

static void answer_without_object(struct serve_request *r, const struct serve_found *found)
{
	add_cache_status(r);
	if (found->location != NULL)
		request_add(r, H2O_TOKEN_LOCATION, h2o_strdup(&r->req->pool, found->location, strlen(found->location)).base);
	request_refuse(r, found->status >= 200 && found->status <= 599 ? found->status : 404);
}

void object_answer(struct serve_request *r)
{
	struct serve_found found = {0};

	r->route->find(r->route->ctx, r->path, r->path_n, r, &found);
	r->cache = found.cache;
	if (found.object != NULL) {
		MUST_MAGIC(found.object, SERVE_OBJECT_MAGIC);
		r->object = found.object;
		answer_found(r);
	} else {
		answer_without_object(r, &found);
	}
	free(found.location);
}

/* What was found may have been closed, renamed or removed meanwhile; or its owner knows now that its disk fails. */
void object_not_opened(struct serve_request *r, int error)
{
	if (r->found_again) {
		request_refuse(r, error == ERR_NOT_FOUND || error == -ENOENT ? 404 : 503);
		return;
	}
	r->found_again = true;
	r->opened = false;
	serve_object_unref(&r->object);
	object_answer(r);
}

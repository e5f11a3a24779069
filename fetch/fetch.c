/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libcurl's multi interface behind callbacks, in one thread.
 *
 * Other threads only append to two lists under a lock (new transfers, ids to
 * cancel) and wake the thread; everything else belongs to the fetch thread.
 * Invariant: every started transfer's done callback runs exactly once.
 */
#include "fetch/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/background.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/traceparent.h"
#include "fetch/local.h"
#include "fetch/names.h"
#include "fetch/response.h"

#define CONNECT_TIMEOUT (3 * DUR_S)
#define STALL_TIMEOUT (10 * DUR_S)
#define MAX_REDIRECTS 5L
#define POLL_MS 1000
#define LOOK_MS 200 /* what a signal's handler has said rings no bell */
#define IDLE_MS (3600 * 1000) /* nothing runs: who starts something wakes the thread */
#define CACHED_CONNECTIONS 64L
#define FILE_BLOCK ((size_t)128 << 10)

/* One that is lost for want of memory would ask for something else: a whole file, with no body, of a server nobody vouches for. */
#define SET(easy, option, value) MUST(curl_easy_setopt(easy, option, value) != CURLE_OUT_OF_MEMORY)

struct transfer {
	struct transfer *next; /* in `fresh`, then in `running` */
	fetch_id id;
	struct fetch *fetch;
	CURL *easy;
	char *path; /* of a file; NULL: by HTTP */
	bool has_range;
	uint64_t first, last;
	struct curl_slist *fields, *address;
	fetch_header_f header;
	fetch_data_f data;
	fetch_done_f done;
	void *ctx;
	uint64_t max_bytes;
	dur_us stall_timeout, pause_timeout;
	dur_us first_body; /* how long it took; 0: none yet */
	struct response response;
	struct fetch_result result;
	mono_us asked, last_progress;
	bool begun; /* has a connection: the stall clock runs; before it, curl's connect timeout does */
	bool header_said, cancelled;
	int refused; /* what a callback of ours or the user's returned */
	char error_text[CURL_ERROR_SIZE];
};

struct fetch {
	CURLM *multi;
	pthread_t thread;
	struct names *names;
	char *user_agent, *ca_file;
	bool http2, background, files;
	const volatile sig_atomic_t *told;
	struct transfer *running; /* the fetch thread's */

	pthread_mutex_t lock; /* guards what follows */
	struct transfer *fresh;
	fetch_id *cancels;
	size_t n_cancels, cap_cancels;
	fetch_id last_id;
	bool stopped; /* whatever is started is cancelled */
	bool stop;
};

static void global_init(void)
{
	MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static void transfer_free(struct transfer *t)
{
	response_fini(&t->response);
	curl_slist_free_all(t->fields);
	curl_slist_free_all(t->address);
	curl_easy_cleanup(t->easy);
	free(t->path);
	free(t);
}

/* --- callbacks from curl, in the fetch thread ---------------------------------------- */

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	if (!t->header_said)
		response_line(&t->response, line, size * n, clock_wall());
	t->last_progress = clock_mono();
	return size * n;
}

/* Transfers may wait for one of the host's connections: that is no stall. */
static int on_request(void *ctx, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct transfer *t = ctx;

	t->begun = true;
	t->asked = t->last_progress = clock_mono();
	return CURL_PREREQFUNC_OK;
}

/* The header is complete when body bytes or the end come: redirects and 1xx are behind us then. */
static int say_header(struct transfer *t)
{
	const char *url = NULL;

	if (t->header_said)
		return 0;
	t->header_said = true;
	curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	t->response.effective_url = t->path != NULL ? local_url(t->path) : mem_dup(url);
	t->response.facts.effective_url = t->response.effective_url;
	return t->header != NULL ? t->header(t->ctx, &t->response.facts) : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	n *= size;
	t->last_progress = clock_mono();
	if (t->first_body == 0)
		t->first_body = t->last_progress - t->asked + 1;
	t->refused = say_header(t);
	if (t->refused == 0 && t->max_bytes > 0 && n > t->max_bytes - t->result.bytes)
		t->refused = ERR_LIMIT;
	if (t->refused != 0)
		return CURL_WRITEFUNC_ERROR;
	t->result.bytes += n;
	if (t->data != NULL)
		t->refused = t->data(t->ctx, bytes, n);
	return t->refused != 0 ? CURL_WRITEFUNC_ERROR : n;
}

/* curl's own low-speed check works in whole seconds and averages; ours is exact. */
static dur_us patience(const struct transfer *t)
{
	dur_us d;

	if (t->first_body == 0 || t->pause_timeout == 0)
		return t->stall_timeout;
	d = 2 * t->first_body > t->pause_timeout ? 2 * t->first_body : t->pause_timeout; /* a round trip may pass between two flights of bytes */
	return d < t->stall_timeout ? d : t->stall_timeout;
}

static bool stalled(const struct transfer *t, mono_us now)
{
	return t->begun && now - t->last_progress > patience(t);
}

static int on_progress(void *ctx, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total, curl_off_t ul)
{
	struct transfer *t = ctx;

	if (t->cancelled)
		t->refused = ERR_CANCELLED;
	else if (stalled(t, clock_mono()))
		t->refused = ERR_TIMEOUT;
	return t->refused != 0;
}

/* --- the end of a transfer ------------------------------------------------------------ */

static int error_of(const struct transfer *t, CURLcode code)
{
	if (t->refused != 0)
		return t->refused;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_PARTIAL_FILE:
		return ERR_TRUNCATED;
	case CURLE_URL_MALFORMAT:
		return ERR_SYNTAX;
	case CURLE_UNSUPPORTED_PROTOCOL: /* of the URL, or of the answer (HTTP/0.9) */
		return t->begun ? ERR_HTTP : ERR_SYNTAX;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_TOO_MANY_REDIRECTS:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_HTTP2:
		return ERR_HTTP;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return ERR_NETWORK;
	}
}

static void fill_times(struct transfer *t)
{
	curl_off_t connected = 0, first = 0, total = 0;
	long new_connections = 0, status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &connected);
	if (connected == 0)
		curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connected);
	curl_easy_getinfo(t->easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &total);
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &new_connections);
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	t->result.reused = new_connections == 0;
	t->result.connected = t->result.reused ? 0 : connected;
	t->result.first_byte = first;
	t->result.total = total;
	t->result.status = (int)status;
	t->result.date = t->response.facts.date;
}

/* That a body fell silent was seen here, not by curl. */
static void say_why(struct transfer *t, CURLcode code)
{
	const char *curls = code == CURLE_OK ? "" : t->error_text[0] != '\0' ? t->error_text : curl_easy_strerror(code);

	if (t->refused == ERR_TIMEOUT)
		snprintf(t->result.text, sizeof t->result.text, "no byte for %.1f s", (double)(clock_mono() - t->last_progress) / DUR_S);
	else
		snprintf(t->result.text, sizeof t->result.text, "%s", curls);
}

/* Who was reached shall be known when names are gone; who was not may have moved. */
static void keep_name(struct transfer *t, CURLcode code)
{
	const char *url = NULL;
	bool unreached = !t->begun && (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT);

	curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	if (url != NULL && (t->begun || unreached))
		names_ask(t->fetch->names, url, unreached);
}

static void finish(struct transfer *t, CURLcode code)
{
	keep_name(t, code);
	fill_times(t);
	if (code == CURLE_OK)
		t->refused = say_header(t);
	t->result.error = error_of(t, code);
	say_why(t, code);
	t->done(t->ctx, &t->result, &t->response.facts);
	transfer_free(t);
}

/* --- files ----------------------------------------------------------------------------- */

/* What a server would say of it. */
static void describe_file(struct transfer *t, uint64_t size)
{
	struct fetch_response *r = &t->response.facts;

	r->status = t->has_range ? 206 : 200;
	r->has_length = true;
	r->length = t->has_range ? t->last - t->first + 1 : size;
	r->has_range = t->has_range;
	r->range_first = t->first;
	r->range_last = t->last;
	r->range_size = size;
}

static int read_file(struct transfer *t, int fd, uint64_t size)
{
	uint64_t at = t->has_range ? t->first : 0, end = t->has_range ? t->last + 1 : size;
	uint8_t *block = mem_new(FILE_BLOCK);
	int r;

	describe_file(t, size);
	r = at < end ? 0 : say_header(t);
	while (r == 0 && at < end) {
		size_t want = end - at < FILE_BLOCK ? (size_t)(end - at) : FILE_BLOCK;
		ssize_t n = file_pread_all(fd, block, want, at);

		at += want;
		if (n != (ssize_t)want)
			r = n < 0 ? (int)n : ERR_TRUNCATED; /* it was cut meanwhile */
		else if (on_body((char *)block, 1, want, t) != want)
			r = t->refused;
	}
	free(block);
	return r;
}

/* In one go: a disk is no line that others wait for. */
static void run_file(struct transfer *t)
{
	uint64_t size = 0;
	int fd = local_open(t->path, &size), r = fd;

	t->asked = t->result.started;
	if (fd >= 0)
		r = t->has_range && (t->first > t->last || t->last >= size) ? ERR_TRUNCATED : read_file(t, fd, size);
	if (fd >= 0)
		close(fd);
	t->result.error = r;
	t->result.status = t->response.facts.status;
	t->result.reused = true;
	t->result.first_byte = t->first_body;
	t->result.total = clock_mono() - t->result.started;
	if (r < 0)
		snprintf(t->result.text, sizeof t->result.text, "%s", t->path);
	t->done(t->ctx, &t->result, &t->response.facts);
	transfer_free(t);
}

static void unlink_running(struct fetch *f, struct transfer *t)
{
	struct transfer **p = &f->running;

	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
}

static void end_transfer(struct fetch *f, struct transfer *t, CURLcode code)
{
	unlink_running(f, t);
	curl_multi_remove_handle(f->multi, t->easy);
	finish(t, code);
}

static void collect_ended(struct fetch *f)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(f->multi, &left)) != NULL) {
		struct transfer *t = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		end_transfer(f, t, code);
	}
}

/* --- the thread ----------------------------------------------------------------------- */

static void take_fresh(struct fetch *f, struct transfer *fresh)
{
	while (fresh != NULL) {
		struct transfer *t = fresh;

		fresh = t->next;
		t->result.started = t->last_progress = clock_mono();
		if (t->path != NULL) {
			run_file(t);
			continue;
		}
		t->next = f->running;
		f->running = t;
		MUST(curl_multi_add_handle(f->multi, t->easy) == CURLM_OK);
	}
}

static void cancel_ids(struct fetch *f, const fetch_id *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (struct transfer *t = f->running; t != NULL; t = t->next)
			if (t->id == ids[i])
				t->cancelled = true;
}

/* Cancelled transfers, and stalled ones that curl has no event for, end here. */
static void end_overdue(struct fetch *f)
{
	mono_us now = clock_mono();
	struct transfer *next;

	for (struct transfer *t = f->running; t != NULL; t = next) {
		next = t->next;
		if (t->cancelled)
			t->refused = ERR_CANCELLED;
		else if (stalled(t, now))
			t->refused = ERR_TIMEOUT;
		else
			continue;
		end_transfer(f, t, CURLE_ABORTED_BY_CALLBACK);
	}
}

static int wait_ms(const struct fetch *f)
{
	mono_us now = clock_mono();
	dur_us left = (f->told != NULL ? LOOK_MS : POLL_MS) * DUR_MS;

	if (f->running == NULL)
		return IDLE_MS;
	for (const struct transfer *t = f->running; t != NULL; t = t->next)
		if (t->begun && t->last_progress + patience(t) - now < left)
			left = t->last_progress + patience(t) - now;
	return left < 0 ? 0 : (int)(left / DUR_MS) + 1;
}

static bool take_orders(struct fetch *f)
{
	struct transfer *fresh, *reversed = NULL;
	fetch_id *cancels;
	size_t n;
	bool stop, stopped;

	pthread_mutex_lock(&f->lock);
	fresh = f->fresh;
	f->fresh = NULL;
	cancels = f->cancels;
	n = f->n_cancels;
	f->cancels = NULL;
	f->n_cancels = f->cap_cancels = 0;
	stop = f->stop;
	stopped = f->stopped || (f->told != NULL && *f->told != 0);
	pthread_mutex_unlock(&f->lock);
	while (fresh != NULL) { /* oldest first */
		struct transfer *t = fresh;

		fresh = t->next;
		t->next = reversed;
		reversed = t;
	}
	take_fresh(f, reversed);
	cancel_ids(f, cancels, n);
	free(cancels);
	for (struct transfer *t = f->running; t != NULL && stopped; t = t->next)
		t->cancelled = true;
	return stop;
}

static void *run(void *ctx)
{
	struct fetch *f = ctx;
	int active;

	if (f->background)
		background_thread();
	while (!take_orders(f)) {
		curl_multi_perform(f->multi, &active);
		collect_ended(f);
		end_overdue(f);
		curl_multi_poll(f->multi, NULL, 0, wait_ms(f), NULL);
	}
	take_orders(f);
	while (f->running != NULL) {
		f->running->refused = ERR_CANCELLED;
		end_transfer(f, f->running, CURLE_ABORTED_BY_CALLBACK);
	}
	return NULL;
}

/* --- for everybody --------------------------------------------------------------------- */

int fetch_new(const struct fetch_settings *s, struct fetch **ret_fetch)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct fetch *f = mem_new(sizeof *f);
	int r;

	pthread_once(&once, global_init);
	f->multi = curl_multi_init();
	MUST(f->multi != NULL);
	curl_multi_setopt(f->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)(s->max_per_host > 0 ? s->max_per_host : 6));
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, CACHED_CONNECTIONS);
	f->user_agent = mem_dup(s->user_agent != NULL ? s->user_agent : "ribera");
	f->ca_file = mem_dup(s->ca_file);
	f->http2 = s->http2;
	f->background = s->background;
	f->files = s->files;
	f->told = s->told;
	pthread_mutex_init(&f->lock, NULL);
	f->names = names_new();
	r = pthread_create(&f->thread, NULL, run, f);
	if (r != 0) {
		curl_multi_cleanup(f->multi);
		names_free(&f->names);
		free(f->user_agent);
		free(f->ca_file);
		free(f);
		return -r;
	}
	*ret_fetch = f;
	return 0;
}

void fetch_free(struct fetch **pf)
{
	struct fetch *f = *pf;

	*pf = NULL;
	if (f == NULL)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_mutex_unlock(&f->lock);
	curl_multi_wakeup(f->multi);
	pthread_join(f->thread, NULL);
	curl_multi_cleanup(f->multi);
	names_free(&f->names);
	pthread_mutex_destroy(&f->lock);
	free(f->cancels);
	free(f->user_agent);
	free(f->ca_file);
	free(f);
}

static void set_time_and_size(CURL *e, const struct fetch_request *req)
{
	SET(e, CURLOPT_CONNECTTIMEOUT_MS,
	                 (long)((req->connect_timeout > 0 ? req->connect_timeout : CONNECT_TIMEOUT) / DUR_MS));
	if (req->total_timeout > 0)
		SET(e, CURLOPT_TIMEOUT_MS, (long)(req->total_timeout / DUR_MS));
	if (req->max_rate > 0)
		SET(e, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)req->max_rate);
	if (req->has_range) {
		char range[48];

		snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)req->first, (unsigned long long)req->last);
		SET(e, CURLOPT_RANGE, range);
	}
}

static void set_body(CURL *e, const struct fetch_request *req)
{
	if (req->method != NULL && strcmp(req->method, "HEAD") == 0)
		SET(e, CURLOPT_NOBODY, 1L);
	else if (req->method != NULL && strcmp(req->method, "GET") != 0)
		SET(e, CURLOPT_CUSTOMREQUEST, req->method);
	if (req->body != NULL) {
		SET(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_size);
		SET(e, CURLOPT_COPYPOSTFIELDS, req->body);
	}
}

static void set_callbacks(struct transfer *t)
{
	CURL *e = t->easy;

	SET(e, CURLOPT_PRIVATE, t);
	SET(e, CURLOPT_ERRORBUFFER, t->error_text);
	SET(e, CURLOPT_HEADERFUNCTION, on_header);
	SET(e, CURLOPT_HEADERDATA, t);
	SET(e, CURLOPT_WRITEFUNCTION, on_body);
	SET(e, CURLOPT_WRITEDATA, t);
	SET(e, CURLOPT_PREREQFUNCTION, on_request);
	SET(e, CURLOPT_PREREQDATA, t);
	SET(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(e, CURLOPT_XFERINFODATA, t);
	SET(e, CURLOPT_NOPROGRESS, 0L);
}

/* Every request can be found again in the log of who answers it. */
static void add_trace(struct transfer *t, const struct traceparent *trace)
{
	static const char name[] = "traceparent: ";
	char field[sizeof name - 1 + TRACEPARENT_SIZE];
	struct traceparent own;

	if (trace == NULL)
		traceparent_new(&own);
	memcpy(field, name, sizeof name - 1);
	traceparent_format(trace != NULL ? trace : &own, field + sizeof name - 1);
	t->fields = curl_slist_append(t->fields, field);
}

static void set_address(const struct fetch *f, struct transfer *t, const struct fetch_request *req)
{
	char *address = names_find(f->names, req->url, req->other_address);

	if (address != NULL && (t->address = curl_slist_append(NULL, address)) != NULL)
		SET(t->easy, CURLOPT_RESOLVE, t->address);
	free(address);
}

static void set_protocol(const struct fetch *f, struct transfer *t, const struct fetch_request *req)
{
	CURL *e = t->easy;

	SET(e, CURLOPT_URL, req->url);
	SET(e, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(e, CURLOPT_FOLLOWLOCATION, 1L);
	SET(e, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
	SET(e, CURLOPT_NOSIGNAL, 1L);
	SET(e, CURLOPT_QUICK_EXIT, 1L); /* one that ends while its name is looked up: else all would wait for the name server */
	set_address(f, t, req);
	SET(e, CURLOPT_TCP_NODELAY, 1L);
	SET(e, CURLOPT_BUFFERSIZE, 128L * 1024);
	SET(e, CURLOPT_HTTP_VERSION, (long)(f->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SET(e, CURLOPT_USERAGENT, f->user_agent);
	if (f->ca_file != NULL)
		SET(e, CURLOPT_CAINFO, f->ca_file);
	t->fields = curl_slist_append(NULL, "Expect:"); /* bodies here are small: no 100-continue round trip */
	add_trace(t, req->trace);
	for (size_t i = 0; i < req->n_fields; i++)
		t->fields = curl_slist_append(t->fields, req->fields[i]);
	MUST(t->fields != NULL);
	SET(e, CURLOPT_HTTPHEADER, t->fields);
}

fetch_id fetch_start(struct fetch *f, const struct fetch_request *req, fetch_header_f header, fetch_data_f data,
                     fetch_done_f done, void *ctx)
{
	struct transfer *t = mem_new(sizeof *t);
	fetch_id id;

	t->fetch = f;
	t->header = header;
	t->data = data;
	t->done = done;
	t->ctx = ctx;
	t->max_bytes = req->max_bytes;
	t->stall_timeout = req->stall_timeout > 0 ? req->stall_timeout : STALL_TIMEOUT;
	t->pause_timeout = req->pause_timeout;
	t->easy = curl_easy_init();
	MUST(t->easy != NULL);
	set_protocol(f, t, req);
	set_time_and_size(t->easy, req);
	set_body(t->easy, req);
	set_callbacks(t);
	t->path = f->files ? local_path(req->url) : NULL;
	t->has_range = req->has_range;
	t->first = req->first;
	t->last = req->last;
	pthread_mutex_lock(&f->lock);
	id = t->id = ++f->last_id;
	t->next = f->fresh;
	f->fresh = t;
	pthread_mutex_unlock(&f->lock);
	curl_multi_wakeup(f->multi);
	return id;
}

void fetch_cancel(struct fetch *f, fetch_id id)
{
	pthread_mutex_lock(&f->lock);
	MEM_GROW(f->cancels, f->cap_cancels, f->n_cancels);
	f->cancels[f->n_cancels++] = id;
	pthread_mutex_unlock(&f->lock);
	curl_multi_wakeup(f->multi);
}

void fetch_stop(struct fetch *f)
{
	pthread_mutex_lock(&f->lock);
	f->stopped = true;
	pthread_mutex_unlock(&f->lock);
	curl_multi_wakeup(f->multi);
}

void fetch_know(struct fetch *f, const char *url)
{
	names_ask(f->names, url, false);
}

bool fetch_knows(struct fetch *f, const char *url)
{
	char *address = names_find(f->names, url, false);

	free(address);
	return address != NULL;
}

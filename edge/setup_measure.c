/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Measuring disk and line.
 */
#include "edge/setup_measure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "edge/plan.h"
#include "fetch/fetch.h"

#define PIECE ((size_t)1 << 20)
#define MOST_PIECES 512
#define DISK_TIME (2 * DUR_S)
#define LINE_TIME (4 * DUR_S)
#define LINES 4
#define REPLY_MAX ((size_t)8 << 20)

/* --- disk --- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static double rate_of(uint64_t bytes, mono_us start)
{
	dur_us took = clock_mono() - start;

	return (double)bytes * (double)DUR_S / (double)(took > 0 ? took : 1);
}

/* Some file systems pack what repeats: every piece is other bytes. */
static int write_pieces(int fd, uint64_t *piece, uint64_t room, size_t *ret_n, double *ret_rate)
{
	uint64_t state = (uint64_t)clock_mono() | 1;
	mono_us start = clock_mono();
	size_t n = 0;
	int r = 0;

	while (r == 0 && n < MOST_PIECES && (n + 1) * PIECE * 10 < room && clock_mono() - start < DISK_TIME) {
		for (size_t i = 0; i < PIECE / sizeof *piece; i++)
			piece[i] = next_random(&state);
		r = file_pwrite_all(fd, piece, PIECE, n * PIECE);
		n += r == 0;
	}
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	*ret_n = n;
	*ret_rate = rate_of(n * PIECE, start);
	return r;
}

static int read_pieces(int fd, void *piece, size_t n, double *ret_rate)
{
	uint64_t state = 88172645463325252u, bytes = 0;
	mono_us start = clock_mono();

	for (size_t i = 0; i < n && clock_mono() - start < DISK_TIME; i++) {
		ssize_t got = file_pread_all(fd, piece, PIECE, next_random(&state) % n * PIECE);

		if (got < 0)
			return (int)got;
		bytes += (uint64_t)got;
	}
	*ret_rate = rate_of(bytes, start);
	return 0;
}

static int measure_file(const char *path, struct disk_speed *d)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), direct, r;
	void *piece = NULL;
	size_t n;

	if (fd < 0)
		return -errno;
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unlink(path); /* whoever ends this leaves nothing behind, which would keep the folder from being a store */
	if (posix_memalign(&piece, 4096, PIECE) != 0)
		abort();
	r = write_pieces(fd, piece, d->free_bytes, &n, &d->write_rate);
	d->cached = direct < 0;
	if (r == 0 && n > 0)
		r = read_pieces(direct >= 0 ? direct : fd, piece, n, &d->read_rate);
	if (direct >= 0)
		close(direct);
	close(fd);
	free(piece);
	return r;
}

int measure_disk(const char *folder, struct disk_speed *d, struct fault *f)
{
	char *path = mem_printf("%s/.speed-%ld", folder, (long)getpid());
	int r;

	*d = (struct disk_speed){0};
	r = folder_free_bytes(folder, &d->free_bytes, &d->total_bytes);
	if (r == 0)
		r = measure_file(path, d);
	free(path);
	return r == 0 ? 0 : fault_set(f, r, _("the folder %s cannot be used: %s"), folder, words_error(r));
}

/* --- the origin --- */

static int ask_origin(const struct setup_origin *o, const char *method, const char *path, const char *body, struct blob **ret_blob,
                      struct fetch_result *result, struct fault *f)
{
	char *url = mem_printf("%s%s", o->url, path), *authorization = o->token != NULL ? mem_printf("Authorization: Bearer %s", o->token) : NULL;
	const char *fields[2];
	struct fetch_request req = {.url = url, .method = method, .body = body, .body_size = body != NULL ? strlen(body) : 0,
	                            .fields = fields, .max_bytes = REPLY_MAX, .stall_timeout = 5 * DUR_S, .total_timeout = 15 * DUR_S};
	int r;

	if (authorization != NULL)
		fields[req.n_fields++] = authorization;
	if (body != NULL)
		fields[req.n_fields++] = "Content-Type: application/json";
	r = fetch_get(o->fetch, &req, ret_blob, result, NULL, f);
	free(authorization);
	free(url);
	return r;
}

/* The words of a problem document, or of a short text; caller frees. */
static char *words_of(const struct blob *b)
{
	json_t *root = b != NULL ? json_loadb((const char *)b->bytes, b->size, 0, NULL) : NULL;
	const char *detail = json_string_value(json_object_get(root, "detail"));
	size_t n = b != NULL && b->size < 200 ? b->size : 0;
	char *words;

	while (detail == NULL && n > 0 && strchr("\r\n ", b->bytes[n - 1]) != NULL)
		n--;
	words = detail != NULL ? mem_dup(detail) : mem_dup_n(n > 0 ? (const char *)b->bytes : "", n);
	json_decref(root);
	str_plain(words); /* the terminal of who sets up an edge obeys no origin */
	return words;
}

int origin_probe(const struct setup_origin *o, char **ret_ill, dur_us *ret_round_trip, struct fault *f)
{
	struct fetch_result result = {0};
	struct blob *reply = NULL;
	int r = ask_origin(o, "GET", "/healthz", NULL, &reply, &result, f);

	*ret_ill = NULL;
	*ret_round_trip = result.connected;
	if (result.status == 200 || result.status == 503) {
		*ret_ill = result.status == 200 ? mem_dup("") : words_of(reply);
		r = 0;
	} else if (result.status > 0) {
		r = fault_set(f, ERR_HTTP, _("%s answers, but %d to /healthz: give the control listener of ribera-origin (its port is 8081 by default)"),
		              o->url, result.status);
	} else {
		r = fault_set(f, r, _("%s does not answer: %s"), o->url, result.text[0] != '\0' ? result.text : words_error(r));
	}
	blob_unref(&reply);
	return r;
}

int origin_probe_token(const struct setup_origin *o, const char *name, struct fault *f)
{
	char *path = mem_printf("/api/v1/edges/%s", name), *words;
	struct fetch_result result = {0};
	struct blob *reply = NULL;
	int r = ask_origin(o, "GET", path, NULL, &reply, &result, f);

	free(path);
	words = words_of(reply);
	if (result.status == 401)
		r = fault_set(f, ERR_DENIED, o->token != NULL ? _("the origin does not take this token (%s)") : _("the origin wants a token (%s)"), words);
	else if (result.status == 200 || (result.status == 404 && strstr(words, "no edge") != NULL))
		r = 0;
	else if (result.status == 404)
		r = fault_set(f, ERR_HTTP, _("%s is no control listener of ribera-origin: that of viewers is another one (%s)"), o->url, words);
	else if (result.status > 0)
		r = fault_set(f, ERR_HTTP, _("the origin answered %d: %s"), result.status, words);
	free(words);
	blob_unref(&reply);
	return r;
}

/* --- the line --- */

struct lines {
	struct fetch *fetch;
	const char *url;
	uint64_t size;   /* of the file */
	mono_us end;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t news;
	unsigned running;
	uint64_t bytes;
	mono_us first, last; /* bytes came from then to then */
};

static int on_bytes(void *ctx, const void *bytes, size_t n)
{
	struct lines *l = ctx;
	mono_us now = clock_mono();

	(void)bytes;
	pthread_mutex_lock(&l->lock);
	if (l->first == 0)
		l->first = now;
	else
		l->bytes += n; /* the first ones were on their way before the clock started */
	l->last = now;
	pthread_mutex_unlock(&l->lock);
	return now < l->end ? 0 : ERR_CANCELLED;
}

static void on_end(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct lines *l = ctx;

	(void)result;
	(void)response;
	pthread_mutex_lock(&l->lock);
	l->running--;
	pthread_cond_signal(&l->news);
	pthread_mutex_unlock(&l->lock);
}

/* The same file from several places at once, as a fill does. */
static double take_bytes(struct fetch *fetch, const char *url, uint64_t size)
{
	struct lines l = {.fetch = fetch, .url = url, .size = size, .end = clock_mono() + LINE_TIME, .running = LINES};
	double rate;

	pthread_mutex_init(&l.lock, NULL);
	pthread_cond_init(&l.news, NULL);
	for (uint64_t i = 0; i < LINES; i++) {
		struct fetch_request req = {.url = url, .has_range = true, .first = size / LINES * i, .last = i + 1 < LINES ? size / LINES * (i + 1) - 1 : size - 1,
		                            .stall_timeout = LINE_TIME, .total_timeout = 2 * LINE_TIME};

		fetch_start(fetch, &req, NULL, on_bytes, on_end, &l);
	}
	pthread_mutex_lock(&l.lock);
	while (l.running > 0)
		pthread_cond_wait(&l.news, &l.lock);
	rate = l.last > l.first ? (double)l.bytes * (double)DUR_S / (double)(l.last - l.first) : 0;
	pthread_mutex_unlock(&l.lock);
	pthread_cond_destroy(&l.news);
	pthread_mutex_destroy(&l.lock);
	return rate;
}

/* The largest file of a title: "NAME", caller frees; NULL: it could not be had. */
static char *largest_file(const struct setup_origin *o, const char *title, uint64_t *ret_size)
{
	char *path = mem_printf("/api/v1/titles/%s", title), *name = NULL;
	struct fetch_result result = {0};
	struct blob *reply = NULL;
	struct fault f = {0};
	json_t *root = NULL, *file;
	size_t i;

	*ret_size = 0;
	if (ask_origin(o, "GET", path, NULL, &reply, &result, &f) == 0)
		root = json_loadb((const char *)reply->bytes, reply->size, 0, NULL);
	json_array_foreach(json_object_get(root, "files"), i, file) {
		const char *s = json_string_value(json_object_get(file, "name"));
		json_int_t bytes = json_integer_value(json_object_get(file, "bytes"));

		if (s == NULL || !str_is_name(s, strlen(s)) || bytes <= 0 || (uint64_t)bytes <= *ret_size)
			continue;
		free(name);
		name = mem_dup(s);
		*ret_size = (uint64_t)bytes;
	}
	json_decref(root);
	blob_unref(&reply);
	free(path);
	return name;
}

static const struct plan_title *largest_title(const struct plan *p)
{
	const struct plan_title *best = NULL;

	for (size_t i = 0; i < p->n_titles; i++)
		if (best == NULL || p->titles[i].bytes > best->bytes)
			best = &p->titles[i];
	return best;
}

static void measure_by_plan(const struct setup_origin *o, const struct plan *p, struct line_speed *s)
{
	const struct plan_title *t = largest_title(p);
	uint64_t size = 0;
	char *file = t != NULL ? largest_file(o, t->title, &size) : NULL, *url;

	s->why_not = t == NULL ? _("its library is empty") : _("it gives no bytes without a signature, or they are out of reach");
	if (file == NULL || size < 4096 * LINES) {
		free(file);
		return;
	}
	url = mem_printf("%s/v/%s/%s/%s", p->origin, t->title, t->revision, file);
	s->rate = take_bytes(o->fetch, url, size);
	free(url);
	free(file);
}

int measure_line(const struct setup_origin *o, const char *name, const char *public_url, uint64_t capacity, struct line_speed *s,
                 struct fault *f)
{
	json_t *body = json_pack("{s:s, s:s, s:I}", "name", name, "url", public_url, "capacity", (json_int_t)capacity);
	char *text = json_dumps(body, JSON_COMPACT), *path = mem_printf("/api/v1/edges/%s/plan", name), *words;
	struct fetch_result result = {0};
	struct blob *reply = NULL;
	struct plan *plan = NULL;
	int r = ask_origin(o, "POST", "/api/v1/edges", text, &reply, &result, f);

	*s = (struct line_speed){0};
	if (r == 0) {
		blob_unref(&reply);
		r = ask_origin(o, "GET", path, NULL, &reply, &result, f);
	}
	if (r == 0)
		r = plan_read(reply->bytes, reply->size, &plan, f);
	else if (result.status > 0) {
		words = words_of(reply);
		r = fault_set(f, r, _("the origin answered %d: %s"), result.status, words);
		free(words);
	}
	if (r == 0)
		measure_by_plan(o, plan, s);
	plan_unref(&plan);
	blob_unref(&reply);
	json_decref(body);
	free(path);
	free(text);
	return r;
}

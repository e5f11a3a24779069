/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Serves a folder through serve/, for tests and benches:
 *   /NAME              the file
 *   /grow/NAME         the file as an object that grows by 16 KiB every few milliseconds
 *   /stuck/NAME        ... that never gets past its first 16 KiB
 *   /fail/502, /fail/504   an object whose bytes never come; /fail/cut: after 32 KiB
 *   /take              bodies as they come: how many bytes, their hash, the largest piece; ?refuse: 409 without looking,
 *                      ?most=N: 413 after so many; the last one that was cut is told by /h/cut
 *   /h/echo, /h/big    handlers; /h/busy: 20 ms of work on the loop; /metrics
 * Prints "port N" (and "tls N") and runs until SIGTERM or SIGINT.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/config.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/sha256.h"
#include "base/str.h"
#include "serve/serve.h"

#define STEP 16384
#define MAX_WAITERS 4096

struct settings {
	const char *root, *listen, *tls_listen, *cert, *key, *log, *cors, *url_keys;
	uint64_t threads, max_connections, max_per_client, min_rate;
	dur_us idle, stall, stop, ticket_life, max_lag;
	bool dev_cert;
};

static const struct config_row rows[] = {
	{"root", CONFIG_PATH, offsetof(struct settings, root), ".", 0, 0, "DIR", "the folder", false},
	{"listen", CONFIG_STRING, offsetof(struct settings, listen), "127.0.0.1:0", 0, 0, "ADDR:PORT", "where to listen", false},
	{"tls-listen", CONFIG_STRING, offsetof(struct settings, tls_listen), NULL, 0, 0, "ADDR:PORT", "where to listen with TLS", false},
	{"cert", CONFIG_PATH, offsetof(struct settings, cert), NULL, 0, 0, "FILE", "certificate", false},
	{"key", CONFIG_PATH, offsetof(struct settings, key), NULL, 0, 0, "FILE", "private key", false},
	{"url-keys", CONFIG_PATH, offsetof(struct settings, url_keys), NULL, 0, 0, "FILE", "keys of signed URLs", false},
	{"dev-cert", CONFIG_BOOL, offsetof(struct settings, dev_cert), "no", 0, 0, NULL, "make a certificate", false},
	{"ticket-life", CONFIG_DURATION, offsetof(struct settings, ticket_life), "0s", 0, 0, "T", "of TLS tickets", false},
	{"log", CONFIG_PATH, offsetof(struct settings, log), NULL, 0, 0, "FILE", "access log", false},
	{"cors", CONFIG_STRING, offsetof(struct settings, cors), "*", 0, 0, "ORIGIN", "allowed origin", false},
	{"threads", CONFIG_UINT, offsetof(struct settings, threads), "2", 1, 64, "N", "event loops", false},
	{"max-connections", CONFIG_UINT, offsetof(struct settings, max_connections), "0", 0, 0, "N", "at once", false},
	{"max-per-client", CONFIG_UINT, offsetof(struct settings, max_per_client), "0", 0, 0, "N", "of one client", false},
	{"min-rate", CONFIG_RATE, offsetof(struct settings, min_rate), "0", 0, 0, "RATE", "of viewers", false},
	{"max-lag", CONFIG_DURATION, offsetof(struct settings, max_lag), "0s", 0, 0, "T", "of loops before new connections are sent away", false},
	{"idle", CONFIG_DURATION, offsetof(struct settings, idle), "30s", 0, 0, "T", "idle timeout", false},
	{"stall", CONFIG_DURATION, offsetof(struct settings, stall), "60s", 0, 0, "T", "stall timeout", false},
	{"stop", CONFIG_DURATION, offsetof(struct settings, stop), "2s", 0, 0, "T", "how long replies may finish", false},
};

/* One file; those that grow have a copy of their own per request. */
struct file {
	struct serve_object object;
	char *path, *etag, *on_disk;
	_Atomic uint64_t grown;
	uint64_t fail_at; /* 0: never */
	int fail_with;
};

static struct file **files;
static size_t n_files, cap_files;
static struct serve *server;

/* The waiters of all growing objects, woken as the feeder steps. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	struct file *file;
	struct serve_waiter *waiter;
} waiters[MAX_WAITERS];
static size_t n_waiters;
static atomic_bool quit;

static void file_free(struct serve_object *o)
{
	struct file *f = o->ctx;

	if (o->fd >= 0)
		close(o->fd);
	free(f->on_disk);
	free(f->path);
	free(f->etag);
	free(f);
}

static int64_t file_ready(struct serve_object *o, uint64_t offset, uint64_t length)
{
	struct file *f = o->ctx;
	uint64_t grown = f->grown;

	if (offset < grown)
		return (int64_t)(grown - offset);
	return f->fail_with != 0 && grown >= f->fail_at ? f->fail_with : 0;
}

static void file_want(struct serve_object *o, uint64_t offset, uint64_t length, struct serve_waiter *w)
{
	pthread_mutex_lock(&lock);
	MUST(n_waiters < MAX_WAITERS);
	waiters[n_waiters].file = o->ctx;
	waiters[n_waiters++].waiter = w;
	serve_object_ref(o);
	pthread_mutex_unlock(&lock);
}

static int file_open(struct serve_object *o)
{
	struct file *f = o->ctx;
	int fd = open(f->on_disk, O_RDONLY | O_CLOEXEC), none = -1;

	if (fd >= 0 && !__atomic_compare_exchange_n(&o->fd, &none, fd, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		close(fd);
	return fd >= 0 ? 0 : -errno;
}

static const struct serve_object_ops whole_ops = {.free = file_free, .open = file_open};
static const struct serve_object_ops growing_ops = {.ready = file_ready, .want = file_want, .free = file_free, .open = file_open};

static void *feed(void *arg)
{
	while (!quit) {
		struct timespec pause = {.tv_nsec = 2000000};

		nanosleep(&pause, NULL);
		pthread_mutex_lock(&lock);
		for (size_t i = n_waiters; i-- > 0;) {
			struct file *f = waiters[i].file;
			struct serve_object *o = &f->object;

			if (f->fail_with == ERR_BUSY && f->grown > 0)
				continue; /* stuck */
			if (f->fail_with == 0 || f->grown < f->fail_at || f->fail_with == ERR_BUSY)
				f->grown += f->grown + STEP <= f->object.size ? STEP : f->object.size - f->grown;
			serve_wake(waiters[i].waiter);
			waiters[i] = waiters[--n_waiters];
			serve_object_unref(&o);
		}
		pthread_mutex_unlock(&lock);
	}
	for (size_t i = 0; i < n_waiters; i++) {
		struct serve_object *o = &waiters[i].file->object;

		serve_wake(waiters[i].waiter);
		serve_object_unref(&o);
	}
	return NULL;
}

static struct file *file_new(const char *path, const char *url, const struct serve_object_ops *ops)
{
	struct file *f = mem_new(sizeof *f);
	const char *type = str_ends(path, ".mpd") ? "application/dash+xml" : str_ends(path, ".mp4") ? "video/mp4" : "application/octet-stream";
	struct stat st;

	if (stat(path, &st) != 0) {
		perror(path);
		exit(1);
	}
	f->path = mem_dup(url);
	f->on_disk = mem_dup(path);
	f->etag = mem_printf("\"%llx-%llx\"", (unsigned long long)st.st_ino, (unsigned long long)st.st_size);
	f->object = (struct serve_object){.magic = SERVE_OBJECT_MAGIC, .refs = 1, .fd = -1, .size = (uint64_t)st.st_size,
	                                  .modified = 1700000000 * DUR_S, .type = type, .etag = f->etag,
	                                  .cache_control = "public, max-age=31536000, immutable", .ops = ops, .ctx = f};
	return f;
}

static const char *root;

static int each_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	if (kind != FTW_F)
		return 0;
	MEM_GROW(files, cap_files, n_files);
	files[n_files++] = file_new(path, path + strlen(root), &whole_ops);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct file *const *)a)->path, (*(struct file *const *)b)->path);
}

static struct file *look_up(const char *path)
{
	struct file key = {.path = (char *)(uintptr_t)path}, *kp = &key, **found;

	found = bsearch(&kp, files, n_files, sizeof *files, by_path);
	return found != NULL ? *found : NULL;
}

static void find(void *ctx, const char *path, size_t n, struct serve_request *r, struct serve_found *ret)
{
	struct file *f = look_up(path);

	ret->status = 404;
	ret->cache = f != NULL ? "hit" : "fwd=uri-miss;detail=unknown";
	if (f != NULL)
		ret->object = serve_object_ref(&f->object);
}

static void find_growing(void *ctx, const char *path, size_t n, struct serve_request *r, struct serve_found *ret)
{
	const char *name = strchr(path + 1, '/');
	struct file *f = look_up(name);
	char *full;

	ret->status = 404;
	ret->cache = "fwd=uri-miss;detail=not-planned";
	if (f == NULL && (f = look_up("/big.mp4")) == NULL)
		return;
	full = mem_printf("%s%s", root, f->path);
	f = file_new(full, path, &growing_ops);
	free(full);
	f->fail_with = strcmp(path, "/fail/502") == 0   ? ERR_HTTP
	               : strcmp(path, "/fail/504") == 0 ? ERR_TIMEOUT
	               : strcmp(path, "/fail/cut") == 0 ? ERR_NETWORK
	               : str_starts(path, "/stuck/")    ? ERR_BUSY
	                                                : 0;
	f->fail_at = f->fail_with == ERR_NETWORK ? 2 * STEP : f->fail_with == ERR_BUSY ? UINT64_MAX : 0;
	ret->object = &f->object;
}

static void find_moved(void *ctx, const char *path, size_t n, struct serve_request *r, struct serve_found *ret)
{
	ret->status = 302;
	ret->location = mem_dup("/small.mpd");
}

static void echo(void *ctx, struct serve_request *r)
{
	struct serve_header extra[] = {{"x-test", "1"}};
	const char *q = serve_param(r, "q");
	struct buf out;
	size_t n;
	const void *body = serve_body(r, &n);

	buf_init(&out, 2 << 20);
	buf_printf(&out, "%s %s q=%s peer=%s loopback=%d tls=%d host=%s body=", serve_method(r), serve_path(r, NULL), q != NULL ? q : "-",
	           serve_peer(r), serve_peer_is_loopback(r), serve_is_tls(r), serve_host(r, NULL));
	buf_append(&out, body, n);
	serve_reply(r, 200, "text/plain", blob_take_buf(&out), extra, 1);
}

struct taken {
	EVP_MD_CTX *hash;
	uint64_t n, most;
	size_t largest;
};
static struct {
	_Atomic uint64_t bodies, bytes;
	_Atomic int error;
} cut;

static int take(void *ctx, const void *bytes, size_t n)
{
	struct taken *t = ctx;

	MUST(EVP_DigestUpdate(t->hash, bytes, n) == 1);
	t->n += n;
	t->largest = n > t->largest ? n : t->largest;
	return t->n > t->most ? ERR_LIMIT : 0;
}

static void end_take(void *ctx, struct serve_request *r, int error)
{
	struct taken *t = ctx;
	struct sha256 hash;
	char hex[SHA256_HEX_SIZE];
	struct buf out;

	if (r == NULL) {
		cut.bytes = t->n;
		cut.error = error;
		cut.bodies++;
	} else {
		MUST(EVP_DigestFinal_ex(t->hash, hash.bytes, NULL) == 1);
		sha256_to_hex(&hash, hex);
		buf_init(&out, 1000);
		buf_printf(&out, "%llu %s %zu", (unsigned long long)t->n, hex, t->largest);
		serve_reply(r, error == 0 ? 200 : 413, "text/plain", blob_take_buf(&out), NULL, 0);
	}
	EVP_MD_CTX_free(t->hash);
	free(t);
}

static void taking(void *ctx, struct serve_request *r)
{
	static const struct serve_intake_ops ops = {take, end_take};
	const char *most = serve_param(r, "most");
	struct taken *t;

	if (serve_param(r, "refuse") != NULL) {
		serve_reply(r, 409, "text/plain", blob_copy("refused", 7), NULL, 0);
		return;
	}
	t = mem_new(sizeof *t);
	t->hash = EVP_MD_CTX_new();
	MUST(EVP_DigestInit_ex(t->hash, EVP_sha256(), NULL) == 1);
	t->most = UINT64_MAX;
	if (most != NULL)
		(void)str_parse_u64(most, strlen(most), &t->most);
	serve_take_body(r, &ops, t);
}

static void tell_cut(void *ctx, struct serve_request *r)
{
	struct buf out;

	buf_init(&out, 1000);
	buf_printf(&out, "%llu %llu %d", (unsigned long long)cut.bodies, (unsigned long long)cut.bytes, cut.error);
	serve_reply(r, 200, "text/plain", blob_take_buf(&out), NULL, 0);
}

static void big(void *ctx, struct serve_request *r)
{
	struct buf out;

	buf_init(&out, 4 << 20);
	while (out.size < 3 << 20)
		buf_printf(&out, "%zu,", out.size);
	serve_reply(r, 200, "text/plain", blob_take_buf(&out), NULL, 0);
}

static void busy(void *ctx, struct serve_request *r)
{
	mono_us end = clock_mono() + 20 * DUR_MS;

	while (clock_mono() < end)
		;
	serve_reply(r, 200, "text/plain", NULL, NULL, 0);
}

static void metrics(void *ctx, struct serve_request *r)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	serve_write_metrics(server, &out);
	serve_reply_metrics(r, &out);
}

static void load(const char *folder)
{
	root = folder;
	if (nftw(folder, each_file, 16, FTW_PHYS) != 0) {
		perror(folder);
		exit(1);
	}
	if (n_files > 0)
		qsort(files, n_files, sizeof *files, by_path);
}

static int start(const struct settings *s, struct fault *f)
{
	const struct serve_settings settings = {
		.name = "serve-test", .threads = (unsigned)s->threads, .max_connections = s->max_connections,
		.max_per_client = s->max_per_client, .min_rate = s->min_rate, .max_lag = s->max_lag, .idle_timeout = s->idle, .stall_timeout = s->stall, .access_log = s->log, .url_keys = s->url_keys,
		.tls_cert = s->cert, .tls_key = s->key, .tls_dev = s->dev_cert, .tls_ticket_life = s->ticket_life, .allow_origin = s->cors[0] != '\0' ? s->cors : NULL,
	};
	uint16_t port;
	int r = serve_new(&settings, &server, f);

	if (r < 0)
		return r;
	serve_route_objects(server, "/", find, NULL);
	serve_route_objects(server, "/grow/", find_growing, NULL);
	serve_route_objects(server, "/stuck/", find_growing, NULL);
	serve_route_objects(server, "/fail/", find_growing, NULL);
	serve_route_objects(server, "/moved", find_moved, NULL);
	serve_route(server, "/h/echo", echo, NULL);
	serve_route(server, "/h/big", big, NULL);
	serve_route(server, "/h/cut", tell_cut, NULL);
	serve_route_bodies(server, "/take", taking, NULL);
	serve_route_read(server, "/h/busy", busy, NULL);
	serve_route_read(server, "/metrics", metrics, NULL);
	r = serve_listen(server, s->listen, false, &port, f);
	if (r < 0)
		return r;
	printf("port %u\n", port);
	if (s->tls_listen != NULL) {
		r = serve_listen(server, s->tls_listen, true, &port, f);
		if (r < 0)
			return r;
		printf("tls %u\n", port);
	}
	r = serve_start(server, f);
	fflush(stdout);
	return r;
}

int main(int argc, char **argv)
{
	struct settings s = {0};
	struct fault f = {0};
	struct config *config = config_new(rows, sizeof rows / sizeof rows[0], &s);
	pthread_t feeder;
	sigset_t set;
	int got, r = config_read_args(config, &argc, argv, &f);

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r == 0) {
		load(s.root);
		r = start(&s, &f);
	}
	if (r < 0) {
		fprintf(stderr, "serve-test: %s\n", fault_text(&f));
		serve_free(&server, 0);
		config_free(&config);
		return 1;
	}
	pthread_create(&feeder, NULL, feed, NULL);
	do {
		static const struct timespec step = {.tv_nsec = 50000000};

		got = sigtimedwait(&set, NULL, &step);
		if (got == SIGHUP)
			serve_reopen_log(server);
		if (serve_refresh(server, got == SIGHUP, &f) < 0)
			fprintf(stderr, "serve-test: %s\n", fault_text(&f));
	} while (got < 0 || got == SIGHUP);
	serve_free(&server, s.stop);
	quit = true;
	pthread_join(feeder, NULL);
	for (size_t i = 0; i < n_files; i++) {
		struct serve_object *o = &files[i]->object;

		serve_object_unref(&o);
	}
	free(files);
	config_free(&config);
	return 0;
}

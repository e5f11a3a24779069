/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Objects are sent from a descriptor, so the text lives in a memfd, or in memory when it is one viewer's own.  It is made when somebody asks for it, beside
 * the loops (serve_object_ops.open), for the package's manifest has to be read.
 * Invariant: size and etag stand before the descriptor (or the memory) does, and change no more.
 */
#include "edge/manifest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "dash/mpd.h"
#include "dash/playlist.h"

#define TRY_AGAIN DUR_S /* after a failure */

struct manifest {
	struct serve_object object; /* the first member */
	char etag[40];
	pthread_mutex_t lock; /* one makes it */
	mono_us fail_until;   /* atomic */
	struct copy *copy;    /* one reference each */
	struct plan *plan;
	char *name, *url, *prefix;
	bool playlist;        /* HLS's */
};

static void free_object(struct serve_object *o)
{
	struct manifest *m = (struct manifest *)o;

	if (o->fd >= 0)
		close(o->fd);
	copy_unref(&m->copy);
	plan_unref(&m->plan);
	free(m->name);
	free(m->url);
	free(m->prefix);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static int keep(struct manifest *m, const struct buf *text)
{
	char hex[SHA256_HEX_SIZE];
	struct sha256 hash;
	int fd, r;

	sha256_of(text->bytes, text->size, &hash);
	sha256_to_hex(&hash, hex);
	snprintf(m->etag, sizeof m->etag, "\"%.32s\"", hex);
	if (*m->prefix != '\0') /* one viewer's own, who may take long */
		return serve_object_keep(&m->object, text->bytes, text->size);
	fd = memfd_create("manifest", MFD_CLOEXEC);
	r = fd >= 0 ? file_write_all(fd, text->bytes, text->size) : -errno;
	if (r != 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	m->object.size = text->size;
	__atomic_store_n(&m->object.fd, fd, __ATOMIC_RELEASE);
	return 0;
}

static void add_place(struct mpd_place *places, size_t *n, const struct package *p, const char *url, const char *name)
{
	places[*n].url = mem_printf("%s/v/%s/%s/", url, p->title, p->revision);
	places[(*n)++].service_location = name;
}

#define MAX_PEERS 4 /* more places than that no player tries */

static size_t list_places(const struct package *p, const struct plan *plan, const char *name, const char *url,
                          struct mpd_place *places)
{
	size_t n = 0;

	add_place(places, &n, p, url, name);
	for (size_t i = 0; i < plan->n_peers && n < 1 + MAX_PEERS; i++)
		if (plan_peer_holds(&plan->peers[i], p->title, p->revision) && strcmp(plan->peers[i].name, name) != 0)
			add_place(places, &n, p, plan->peers[i].url, plan->peers[i].name);
	add_place(places, &n, p, plan->origin, "origin");
	return n;
}

/* "http://host/v/..." -> "http://host/s/TOKEN/v/..." */
static void sign_places(struct mpd_place *places, size_t n, const char *prefix)
{
	for (size_t i = 0; *prefix != '\0' && i < n; i++) {
		char *plain = (char *)places[i].url, *path = strstr(plain, "/v/");

		/* a public URL may have a path of its own with /v/ in it: ours is the last */
		for (char *next; (next = strstr(path + 1, "/v/")) != NULL;)
			path = next;
		places[i].url = mem_printf("%.*s%s%s", (int)(path - plain), plain, prefix, path);
		free(plain);
	}
}

/* The question players of this MPD ask, with the places it lists; NULL: none. */
static char *steering_question(const struct package *p, const struct plan *plan, const struct mpd_place *places, size_t n)
{
	struct buf b;
	char *text;

	if (plan->steering == NULL)
		return NULL;
	buf_init(&b, 1 << 16);
	buf_printf(&b, "%s?title=%s&revision=%s&in=", plan->steering, p->title, p->revision);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i > 0 ? "," : "", places[i].service_location);
	text = buf_error(&b) == 0 ? mem_dup(buf_text(&b)) : NULL;
	buf_fini(&b);
	return text;
}

static int read_copy(struct copy *c, struct buf *out)
{
	void *room;
	ssize_t n;
	int r = copy_open(c);

	if (r != 0)
		return r;
	room = buf_reserve(out, (size_t)c->object.size);
	if (room == NULL)
		return buf_error(out);
	n = file_pread_all(copy_fd(c), room, (size_t)c->object.size, 0);
	if (n < 0)
		return (int)n;
	buf_commit(out, (size_t)n);
	return 0;
}

static int localise(const struct manifest *m, const struct buf *in, const struct mpd_place *places, size_t n, const char *steering,
                    struct buf *out)
{
	return m->playlist ? playlist_localise(in->bytes, in->size, places, n, steering, out, NULL)
	                   : mpd_localise_steered(in->bytes, in->size, places, n, steering, out, NULL);
}

/* Holding the lock. */
static int make(struct manifest *m)
{
	struct mpd_place places[MAX_PEERS + 2];
	struct buf in, out;
	size_t n = list_places(m->copy->package, m->plan, m->name, m->url, places);
	char *steering = steering_question(m->copy->package, m->plan, places, n);
	int r;

	sign_places(places, n, m->prefix);
	buf_init(&in, MPD_MAX_BYTES);
	buf_init(&out, MPD_MAX_BYTES);
	r = read_copy(m->copy, &in);
	if (r == 0)
		r = localise(m, &in, places, n, steering, &out);
	if (r == 0)
		r = keep(m, &out);
	for (size_t i = 0; i < n; i++)
		free((char *)places[i].url);
	free(steering);
	buf_fini(&in);
	buf_fini(&out);
	return r;
}

static int open_object(struct serve_object *o)
{
	struct manifest *m = (struct manifest *)o;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	if (o->fd < 0 && o->view == NULL && (r = make(m)) != 0)
		__atomic_store_n(&m->fail_until, clock_mono() + TRY_AGAIN, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&m->lock);
	return r;
}

struct serve_object *manifest_new(struct copy *c, const char *file, struct plan *plan, const char *name, const char *url,
                                  const char *prefix, size_t prefix_n)
{
	static const struct serve_object_ops ops = {.free = free_object, .open = open_object};
	struct manifest *m = mem_new(sizeof *m);

	pthread_mutex_init(&m->lock, NULL);
	m->copy = copy_ref(c);
	m->plan = plan_ref(plan);
	m->playlist = strcmp(file, PACKAGE_PLAYLIST) == 0;
	m->name = mem_dup(name);
	m->url = mem_dup(url);
	m->prefix = mem_printf("%.*s", (int)prefix_n, prefix);
	m->object = (struct serve_object){
		.magic = SERVE_OBJECT_MAGIC,
		.refs = 1,
		.fd = -1,
		.type = package_media_type(file, strlen(file)),
		.etag = m->etag,
		.cache_control = PACKAGE_CACHE_MANIFEST,
		.ops = &ops,
	};
	return &m->object;
}

bool manifest_failed(const struct serve_object *o, mono_us now)
{
	return __atomic_load_n(&((const struct manifest *)o)->fail_until, __ATOMIC_RELAXED) > now;
}

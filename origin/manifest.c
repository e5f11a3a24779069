/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The cache is an array of ways of slots.  An entry carries its whole key (the
 * revision and the places, as text), so that a hit is right by comparison, not
 * by hash.  The bytes live in a memfd: for serve/ they are a file like others;
 * those of a manifest with one viewer's token, in memory.
 */
#include "origin/manifest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/sha256.h"
#include "dash/mpd.h"
#include "dash/package.h"
#include "dash/playlist.h"
#include "origin/revision.h"
#include "origin/steer.h"
#include "serve/serve.h"

#define N_SETS 512
#define N_WAYS 4

struct entry {
	char *key;
	struct serve_object *object; /* one reference */
};

struct manifest_cache {
	const struct holders *holders;
	const struct steering *steering;
	char *origin_url;
	pthread_mutex_t lock; /* of those who make entries */
	unsigned next_way;
	struct entry *slots[N_SETS][N_WAYS]; /* rcu */
};

/* The places of one MPD, as text that outlives the read section. */
struct places {
	struct mpd_place v[MANIFEST_MAX_EDGES + 1];
	size_t n;
	struct buf key; /* "TITLE/REVISION/FILE\nNAME URL\n..." */
	const char *prefix; /* "/s/TOKEN" of the viewer's URL */
	size_t prefix_n;
};

struct manifest_cache *manifest_cache_new(const struct holders *holders, const struct steering *steering, const char *origin_url)
{
	struct manifest_cache *c = mem_new(sizeof *c);

	c->holders = holders;
	c->steering = steering;
	c->origin_url = mem_dup(origin_url);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void entry_free(struct entry **pe)
{
	if (*pe == NULL)
		return;
	serve_object_unref(&(*pe)->object);
	free((*pe)->key);
	free(*pe);
	*pe = NULL;
}

void manifest_cache_free(struct manifest_cache **pc)
{
	struct manifest_cache *c = *pc;

	if (c == NULL)
		return;
	for (size_t i = 0; i < N_SETS; i++)
		for (size_t j = 0; j < N_WAYS; j++)
			entry_free(&c->slots[i][j]);
	pthread_mutex_destroy(&c->lock);
	free(c->origin_url);
	free(c);
	*pc = NULL;
}

/* --- which places --- */

static void add_place(struct places *p, const char *name, const char *url, const struct revision *r)
{
	p->v[p->n].service_location = mem_dup(name);
	p->v[p->n].url = mem_printf("%s%.*s/v/%s/", url, (int)p->prefix_n, p->prefix, r->key);
	p->n++;
	buf_printf(&p->key, "\n%s %s", name, url);
}

static void add_edges(struct places *p, const struct steering *steering, const struct holders_set *set, const struct revision *r,
                      const char *client)
{
	struct steer_edge *candidates = mem_new_array(set->n, sizeof *candidates);
	size_t order[MANIFEST_MAX_EDGES], n;

	steering_describe(steering, set, client, candidates);
	n = steer_order(steer_client_key(client), candidates, set->n, MANIFEST_MAX_EDGES, order);
	if (n > 0)
		steering_sent(set->edges[order[0]], client);
	for (size_t i = 0; i < n; i++)
		add_place(p, set->edges[order[i]]->name, set->edges[order[i]]->url, r);
	free(candidates);
}

/* The question a player of it shall ask, with the places it knows; NULL: none. */
static char *steering_question(const struct places *p, const struct steering *steering, const struct revision *r)
{
	const char *url = steering_url(steering);
	struct buf b;
	char *text;

	if (url == NULL)
		return NULL;
	buf_init(&b, 1 << 16);
	buf_printf(&b, "%s?title=%s&revision=%s&in=", url, r->title, r->revision);
	for (size_t i = 0; i < p->n; i++)
		buf_printf(&b, "%s%s", i > 0 ? "," : "", p->v[i].service_location);
	text = buf_error(&b) == 0 ? mem_dup(buf_text(&b)) : NULL;
	buf_fini(&b);
	return text;
}

static void places_init(struct places *p, const struct manifest_cache *c, const struct revision *r, const char *file,
                        const char *client)
{
	const struct holders_set *set;

	p->n = 0;
	buf_init(&p->key, 1 << 16);
	buf_printf(&p->key, "%s/%s", r->key, file);
	rcu_read_begin();
	set = holders_find(c->holders, r->key);
	if (set != NULL)
		add_edges(p, c->steering, set, r, client);
	rcu_read_end();
	add_place(p, MANIFEST_ORIGIN, c->origin_url, r);
}

static void places_fini(struct places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free((char *)p->v[i].url);
		free((char *)p->v[i].service_location);
	}
	buf_fini(&p->key);
}

/* --- making one --- */

struct manifest_object {
	struct serve_object object;
	char etag[SHA256_HEX_SIZE + 2];
};

static void free_object(struct serve_object *object)
{
	if (object->fd >= 0)
		close(object->fd);
	free(object);
}

static const struct serve_object_ops manifest_ops = {.free = free_object};

static int keep(struct serve_object *o, const struct buf *b, const char *file, bool lone)
{
	if (lone)
		return serve_object_keep(o, b->bytes, b->size);
	o->fd = memfd_create(file, MFD_CLOEXEC);
	o->size = b->size;
	return o->fd < 0 ? -errno : file_pwrite_all(o->fd, b->bytes, b->size, 0);
}

/* `lone`: for one viewer, who may take long. */
static int new_object(const struct buf *b, const char *file, bool lone, struct serve_object **ret_object)
{
	struct manifest_object *m = mem_new(sizeof *m);
	struct serve_object *o = &m->object;
	char hex[SHA256_HEX_SIZE];
	struct sha256 hash;
	int e;

	sha256_of(b->bytes, b->size, &hash);
	sha256_to_hex(&hash, hex);
	snprintf(m->etag, sizeof m->etag, "\"%.32s\"", hex);
	m->object = (struct serve_object){
		.magic = SERVE_OBJECT_MAGIC,
		.refs = 1,
		.fd = -1,
		.type = package_media_type(file, strlen(file)),
		.etag = m->etag,
		.cache_control = PACKAGE_CACHE_MANIFEST,
		.ops = &manifest_ops,
	};
	e = keep(o, b, file, lone);
	if (e == 0)
		*ret_object = o;
	else
		serve_object_unref(&o);
	return e;
}

static int make_object(const struct manifest_cache *c, const struct revision *r, const char *file, const struct places *p,
                       struct serve_object **ret_object, struct fault *f)
{
	char *path = path_join(r->folder, file), *steering = steering_question(p, c->steering, r);
	struct buf in, out;
	int e;

	buf_init(&in, MPD_MAX_BYTES);
	buf_init(&out, MPD_MAX_BYTES);
	e = file_read_regular(path, &in);
	if (e != 0)
		fault_set(f, e, "%s: %s", path, err_text(e));
	if (e == 0 && strcmp(file, PACKAGE_PLAYLIST) == 0)
		e = playlist_localise(in.bytes, in.size, p->v, p->n, steering, &out, f);
	else if (e == 0)
		e = mpd_localise_steered(in.bytes, in.size, p->v, p->n, steering, &out, f);
	if (e == 0)
		e = new_object(&out, file, p->prefix_n > 0, ret_object);
	buf_fini(&in);
	buf_fini(&out);
	free(steering);
	free(path);
	return e;
}

/* --- the cache --- */

static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h ^ (h >> 32);
}

static struct serve_object *look_up(struct entry **set, const char *key)
{
	struct serve_object *object = NULL;

	rcu_read_begin();
	for (size_t i = 0; i < N_WAYS && object == NULL; i++) {
		struct entry *e = RCU_LOAD(&set[i]);

		if (e != NULL && strcmp(e->key, key) == 0)
			object = serve_object_ref(e->object);
	}
	rcu_read_end();
	return object;
}

static void store(struct manifest_cache *c, struct entry **set, const char *key, struct serve_object *object)
{
	struct entry *e = mem_new(sizeof *e), *old;
	size_t way = 0;

	*e = (struct entry){.key = mem_dup(key), .object = serve_object_ref(object)};
	while (way < N_WAYS && set[way] != NULL)
		way++;
	if (way == N_WAYS)
		way = c->next_way++ % N_WAYS;
	old = RCU_SWAP(&set[way], e);
	if (old != NULL) {
		rcu_synchronize();
		entry_free(&old);
	}
}

int manifest_get(struct manifest_cache *c, struct revision *r, const char *file, const char *client_address, const char *prefix,
                 size_t prefix_n, struct serve_object **ret_object, struct fault *f)
{
	struct serve_object *object;
	struct entry **set;
	struct places p = {.prefix = prefix, .prefix_n = prefix_n};
	const char *key;
	int e = 0;

	if (revision_find(r, file, strlen(file)) == NULL)
		return ERR_NOT_FOUND;
	places_init(&p, c, r, file, client_address);
	if (prefix_n > 0) { /* one viewer's own: not worth keeping */
		e = make_object(c, r, file, &p, ret_object, f);
		places_fini(&p);
		return e;
	}
	key = buf_text(&p.key);
	set = c->slots[hash(key) % N_SETS];
	object = look_up(set, key);
	if (object == NULL) {
		pthread_mutex_lock(&c->lock);
		object = look_up(set, key); /* another viewer may have made it meanwhile */
		if (object == NULL && (e = make_object(c, r, file, &p, &object, f)) == 0)
			store(c, set, key, object);
		pthread_mutex_unlock(&c->lock);
	}
	places_fini(&p);
	if (e == 0)
		*ret_object = object;
	return e;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Objects are sent from a descriptor, so the text lives in a memfd.
 */
#include "edge/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "dash/mpd.h"

struct manifest {
	struct serve_object object;
	char etag[40];
};

static void free_object(struct serve_object *o)
{
	close(o->fd);
	free(o); /* the first member */
}

static int object_of(const struct buf *text, struct serve_object **ret_object)
{
	static const struct serve_object_ops ops = {.free = free_object};
	char hex[SHA256_HEX_SIZE];
	struct manifest *m;
	struct sha256 hash;
	int fd = memfd_create("manifest", MFD_CLOEXEC);
	int r = fd >= 0 ? file_write_all(fd, text->bytes, text->size) : -errno;

	if (r != 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	m = mem_new(sizeof *m);
	sha256_of(text->bytes, text->size, &hash);
	sha256_to_hex(&hash, hex);
	snprintf(m->etag, sizeof m->etag, "\"%.32s\"", hex);
	m->object = (struct serve_object){
		.magic = SERVE_OBJECT_MAGIC,
		.refs = 1,
		.fd = fd,
		.size = text->size,
		.type = package_media_type(PACKAGE_MANIFEST, strlen(PACKAGE_MANIFEST)),
		.etag = m->etag,
		.cache_control = PACKAGE_CACHE_MANIFEST,
		.ops = &ops,
	};
	*ret_object = &m->object;
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
static void sign_places(struct mpd_place *places, size_t n, const char *prefix, size_t prefix_n)
{
	for (size_t i = 0; prefix_n > 0 && i < n; i++) {
		char *plain = (char *)places[i].url, *path = strstr(plain, "/v/");

		/* a public URL may have a path of its own with /v/ in it: ours is the last */
		for (char *next; (next = strstr(path + 1, "/v/")) != NULL;)
			path = next;
		places[i].url = mem_printf("%.*s%.*s%s", (int)(path - plain), plain, (int)prefix_n, prefix, path);
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
	n = file_pread_all(c->object.fd, room, (size_t)c->object.size, 0);
	if (n < 0)
		return (int)n;
	buf_commit(out, (size_t)n);
	return 0;
}

int manifest_make(struct copy *c, const struct plan *plan, const char *name, const char *url,
                  const char *prefix, size_t prefix_n, struct serve_object **ret_object)
{
	struct mpd_place places[MAX_PEERS + 2];
	struct buf in, out;
	size_t n = list_places(c->package, plan, name, url, places);
	char *steering = steering_question(c->package, plan, places, n);
	int r;

	sign_places(places, n, prefix, prefix_n);

	buf_init(&in, MPD_MAX_BYTES);
	buf_init(&out, MPD_MAX_BYTES);
	r = read_copy(c, &in);
	if (r == 0)
		r = mpd_localise_steered(in.bytes, in.size, places, n, steering, &out, NULL);
	if (r == 0)
		r = object_of(&out, ret_object);
	for (size_t i = 0; i < n; i++)
		free((char *)places[i].url);
	free(steering);
	buf_fini(&in);
	buf_fini(&out);
	return r;
}

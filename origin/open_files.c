/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A file's serve_object is made when it is first asked for and hung on the
 * file, where loops find it without a lock.  Making and closing are rare and
 * go through one mutex; opening waits for a disk and does not.  Invariant: a file
 * is in the ring if and only if its object is set, and the list holds one
 * reference of each.
 */
#include "origin/open_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rcu.h"
#include "serve/serve.h"

struct open_files {
	pthread_mutex_t lock;
	struct revision_file **ring; /* max + 1 places, oldest at `first` */
	size_t max, first, n;
};

/* An object of ours with its ETag behind it. */
struct file_object {
	struct serve_object object;
	char *path;
	char etag[SHA256_HEX_SIZE + 2];
};

struct open_files *open_files_new(size_t max)
{
	struct open_files *o = mem_new(sizeof *o);

	o->max = max > 0 ? max : 1;
	o->ring = mem_new_array(o->max + 1, sizeof(struct revision_file *));
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

void open_files_free(struct open_files **po)
{
	struct open_files *o = *po;

	if (o == NULL)
		return;
	MUST(o->n == 0);
	pthread_mutex_destroy(&o->lock);
	free(o->ring);
	free(o);
	*po = NULL;
}

size_t open_files_count(struct open_files *o)
{
	size_t n;

	pthread_mutex_lock(&o->lock);
	n = o->n;
	pthread_mutex_unlock(&o->lock);
	return n;
}

static void free_object(struct serve_object *object)
{
	struct file_object *fo = (struct file_object *)object;

	if (object->fd >= 0)
		close(object->fd);
	free(fo->path);
	free(fo);
}

static int open_file(const char *path, uint64_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), e;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size)
		return fd;
	e = ERR_CORRUPT;
	close(fd);
	return e;
}

static int open_object(struct serve_object *object)
{
	struct file_object *fo = (struct file_object *)object;
	int fd = open_file(fo->path, object->size), none = -1;

	if (fd < 0)
		log_error("origin/library", "cannot open a file of the library: %s: %s", fo->path, err_text(fd));
	else if (!__atomic_compare_exchange_n(&object->fd, &none, fd, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		close(fd); /* another thread was first */
	return fd < 0 ? fd : 0;
}

static const struct serve_object_ops file_ops = {.free = free_object, .open = open_object};

static struct serve_object *new_object(const struct revision_file *file)
{
	struct file_object *fo = mem_new(sizeof *fo);
	char hex[SHA256_HEX_SIZE];

	fo->path = path_join(file->of->folder, file->name);
	sha256_to_hex(&file->root, hex);
	snprintf(fo->etag, sizeof fo->etag, "\"%s\"", hex);
	fo->object = (struct serve_object){
		.magic = SERVE_OBJECT_MAGIC,
		.refs = 1,
		.fd = -1,
		.size = file->size,
		.modified = file->modified,
		.type = package_media_type(file->name, strlen(file->name)),
		.etag = fo->etag,
		.cache_control = PACKAGE_CACHE_IMMUTABLE,
		.ops = &file_ops,
	};
	return &fo->object;
}

static struct revision_file *take_first(struct open_files *o)
{
	struct revision_file *file = o->ring[o->first];

	o->first = (o->first + 1) % (o->max + 1);
	o->n--;
	return file;
}

static void put_last(struct open_files *o, struct revision_file *file)
{
	o->ring[(o->first + o->n++) % (o->max + 1)] = file;
}

/* Adds a file whose object is set; returns the object to close, or NULL. */
static struct serve_object *add(struct open_files *o, struct revision_file *file)
{
	put_last(o, file);
	while (o->n > o->max) {
		struct revision_file *victim = take_first(o);

		if (__atomic_exchange_n(&victim->used, false, __ATOMIC_RELAXED))
			put_last(o, victim); /* a second chance; ends, for the flag is clear now */
		else
			return RCU_SWAP(&victim->object, NULL);
	}
	return NULL;
}

struct serve_object *revision_file_make(struct revision_file *file)
{
	struct open_files *o = file->of->open;
	struct serve_object *object, *victim = NULL;

	pthread_mutex_lock(&o->lock);
	object = RCU_LOAD(&file->object);
	if (object == NULL) {
		object = new_object(file);
		RCU_STORE(&file->object, object);
		victim = add(o, file);
	}
	serve_object_ref(object);
	pthread_mutex_unlock(&o->lock);
	if (victim != NULL) {
		rcu_synchronize();
		serve_object_unref(&victim);
	}
	return object;
}

struct serve_object *revision_file_object(struct revision_file *file)
{
	struct serve_object *object = RCU_LOAD(&file->object);

	if (object == NULL)
		return NULL;
	if (!__atomic_load_n(&file->used, __ATOMIC_RELAXED))
		__atomic_store_n(&file->used, true, __ATOMIC_RELAXED);
	return serve_object_ref(object);
}

void open_files_forget(struct open_files *o, const struct revision *r)
{
	pthread_mutex_lock(&o->lock);
	for (size_t i = o->n; i > 0; i--) {
		struct revision_file *file = take_first(o);
		struct serve_object *object;

		if (file->of != r) {
			put_last(o, file);
			continue;
		}
		object = RCU_SWAP(&file->object, NULL);
		serve_object_unref(&object);
	}
	pthread_mutex_unlock(&o->lock);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The package's own judge.  It shares no state with the code that wrote the
 * package: everything is read back from the disk, through the readers that
 * players and edges use.  Here: hashes, and the order of the whole.
 */
#include "ingest/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/digest.h"
#include "dash/package.h"
#include "ingest/verify_seen.h"

#define LEAVES_MAX ((size_t)1 << 32)
#define REPORT_MAX ((size_t)64 << 20)

int verify_read_file(const struct verify *v, const char *name, size_t max, struct buf *out)
{
	char *path = path_join(v->folder, name);
	int r;

	buf_init(out, max);
	r = file_read_regular(path, out);
	if (r != 0) {
		buf_fini(out);
		verify_wrong(v->fault, r, _("%s: cannot be read: %s"), name, words_error(r));
	}
	free(path);
	return r;
}

bool verify_stopped(const struct verify *v)
{
	return v->settings->stop != NULL && *v->settings->stop != 0;
}

unsigned verify_threads(const struct verify *v)
{
	long n = v->settings->threads > 0 ? (long)v->settings->threads : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 64 ? 64 : (unsigned)n;
}

/* --- hashes ------------------------------------------------------------------------------ */

struct hashes {
	const char *folder;
	const volatile sig_atomic_t *stop; /* or NULL */
	struct digest *digest;
	struct verify_facts *facts;
	struct fault *fault;
};

static int check_pieces(struct hashes *h, const struct digest_file *file, int fd, uint8_t *room)
{
	for (size_t p = 0; p < file->n_pieces; p++) {
		ssize_t n = file_pread_all(fd, room, DIGEST_PIECE, p * DIGEST_PIECE);

		if (h->stop != NULL && *h->stop != 0)
			return fault_set(h->fault, ERR_CANCELLED, _("stopped"));
		if (n < 0)
			return fault_set(h->fault, (int)n, _("%s: cannot be read: %s"), file->name, words_error((int)n));
		if (digest_check_piece(file, p, room, (size_t)n) != 0)
			return verify_wrong(h->fault, ERR_HASH, _("%s: piece %zu (bytes from %llu on) does not match its hash: the file is damaged"),
			                 file->name, p, (unsigned long long)(p * DIGEST_PIECE));
	}
	return 0;
}

static int check_file(struct hashes *h, const struct digest_file *file, uint8_t *room)
{
	char *path = path_join(h->folder, file->name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r;
	struct stat st;

	free(path);
	if (fd < 0)
		return verify_wrong(h->fault, -errno, _("%s: is in the digest and not in the folder (%s)"), file->name, strerror(errno));
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != file->size)
		r = verify_wrong(h->fault, ERR_TRUNCATED, _("%s: has %lld bytes, the digest says %llu"), file->name, (long long)st.st_size,
		              (unsigned long long)file->size);
	else
		r = check_pieces(h, file, fd, room);
	close(fd);
	h->facts->files++;
	h->facts->bytes += file->size;
	return r;
}

static int check_listed(void *ctx, const char *name)
{
	struct hashes *h = ctx;

	if (strcmp(name, PACKAGE_DIGEST) == 0 || strcmp(name, PACKAGE_LEAVES) == 0 || digest_find(h->digest, name, strlen(name)) >= 0)
		return 0;
	return fault_set(h->fault, ERR_EXISTS, _("%s: is not in the digest; remove it"), name);
}

static int check_leaves(struct hashes *h)
{
	struct verify v = {.folder = h->folder, .fault = h->fault};
	struct buf leaves;
	int r = verify_read_file(&v, PACKAGE_LEAVES, LEAVES_MAX, &leaves);

	if (r != 0)
		return r;
	r = digest_check_leaves(h->digest, leaves.bytes, leaves.size);
	buf_fini(&leaves);
	return r == 0 ? 0 : verify_wrong(h->fault, r, _("%s: does not match the digest"), PACKAGE_LEAVES);
}

/* A folder that is named by a revision is the one of this digest. */
static int check_name(struct hashes *h)
{
	size_t n = strlen(h->folder), at;

	while (n > 1 && h->folder[n - 1] == '/')
		n--;
	for (at = n; at > 0 && h->folder[at - 1] != '/';)
		at--;
	if (n - at != PACKAGE_REVISION_SIZE - 1 || strspn(h->folder + at, "0123456789abcdef") < n - at ||
	    memcmp(h->folder + at, h->digest->revision, n - at) == 0)
		return 0;
	return fault_set(h->fault, ERR_HASH, _("%s: is named for another revision than that of its digest, %s; rename it"), h->folder,
	                 h->digest->revision);
}

static int read_digest(struct hashes *h)
{
	struct verify v = {.folder = h->folder, .fault = h->fault};
	struct buf text;
	int r = verify_read_file(&v, PACKAGE_DIGEST, DIGEST_MAX_BYTES, &text);

	if (r != 0)
		return r;
	r = digest_read(text.bytes, text.size, &h->digest, h->fault);
	buf_fini(&text);
	if (r != 0)
		fault_prefix(h->fault, PACKAGE_DIGEST);
	return r;
}

int verify_hashes(const char *folder, const volatile sig_atomic_t *stop, struct verify_facts *facts, struct fault *f)
{
	struct hashes h = {.folder = folder, .stop = stop, .facts = facts, .fault = f};
	uint8_t *room = mem_new(DIGEST_PIECE);
	int r = read_digest(&h);

	if (r == 0)
		r = check_name(&h);
	if (r == 0)
		r = folder_list(folder, check_listed, &h);
	for (size_t i = 0; r == 0 && i < h.digest->n_files; i++)
		r = check_file(&h, &h.digest->files[i], room);
	if (r == 0)
		r = check_leaves(&h);
	free(room);
	digest_free(&h.digest);
	return r;
}

/* --- the tracks, side by side ---------------------------------------------------------------- */

struct crew {
	struct verify *v;
	atomic_size_t next;
};

static void *read_tracks(void *ctx)
{
	struct crew *c = ctx;
	size_t i;

	while ((i = atomic_fetch_add(&c->next, 1)) < c->v->n_tracks)
		verify_track(c->v, &c->v->tracks[i]);
	return NULL;
}

/* The first track's fault by name, whichever thread was first. */
static int check_tracks(struct verify *v)
{
	struct crew crew = {.v = v};
	pthread_t threads[64];
	unsigned n = verify_threads(v), started = 0;

	while (started + 1 < n && started + 1 < v->n_tracks && pthread_create(&threads[started], NULL, read_tracks, &crew) == 0)
		started++;
	read_tracks(&crew);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < v->n_tracks; i++) {
		if (v->tracks[i].fault.code != 0) {
			*v->fault = v->tracks[i].fault;
			return v->fault->code;
		}
		v->facts.segments += v->tracks[i].n_cuts;
	}
	v->facts.tracks = v->n_tracks;
	return 0;
}

static int open_track(void *ctx, const char *name)
{
	struct verify *v = ctx;
	struct stat st;
	char *path;
	int fd;

	if (name[0] != '.' && str_ends(name, ".vtt")) {
		MEM_GROW(v->texts, v->cap_texts, v->n_texts);
		v->texts[v->n_texts++] = (struct seen_text){.name = mem_dup(name)};
	}
	if (name[0] == '.' || !str_ends(name, ".mp4"))
		return 0;
	path = path_join(v->folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	free(path);
	if (fd < 0)
		return fault_set(v->fault, -errno, _("%s: cannot be read: %s"), name, strerror(errno));
	MEM_GROW(v->tracks, v->cap_tracks, v->n_tracks);
	v->tracks[v->n_tracks++] = (struct seen){.name = mem_dup(name), .fd = fd};
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return verify_wrong(v->fault, ERR_TRUNCATED, _("%s: is empty"), name);
	v->tracks[v->n_tracks - 1].size = (uint64_t)st.st_size;
	return 0;
}

static void fini(struct verify *v)
{
	for (size_t i = 0; i < v->n_tracks; i++) {
		close(v->tracks[i].fd);
		free(v->tracks[i].name);
		free(v->tracks[i].cuts);
		bmff_movie_free(&v->tracks[i].movie);
	}
	free(v->tracks);
	for (size_t i = 0; i < v->n_texts; i++)
		free(v->texts[i].name);
	free(v->texts);
}

/* --- the report -------------------------------------------------------------------------------- */

/* The number of pictures that report.json gives the film. */
static int reported_frames(const struct verify *v, uint64_t *ret_frames)
{
	json_error_t where;
	struct buf text;
	json_t *all, *frames;
	int r = verify_read_file(v, PACKAGE_REPORT, REPORT_MAX, &text);

	if (r != 0)
		return r;
	all = json_loadb((const char *)text.bytes, text.size, 0, &where);
	buf_fini(&text);
	frames = json_object_get(all, "frames");
	if (!json_is_integer(frames) || json_integer_value(frames) <= 0)
		r = verify_wrong(v->fault, ERR_SYNTAX, _("%s: does not say how many frames the film has"), PACKAGE_REPORT);
	else
		*ret_frames = (uint64_t)json_integer_value(frames);
	json_decref(all);
	return r;
}

static int check_frames(struct verify *v)
{
	uint64_t want = v->settings->frames;
	int r = want > 0 ? 0 : reported_frames(v, &want);

	for (size_t i = 0; r == 0 && i < v->n_tracks; i++)
		if (v->tracks[i].handler == VERIFY_VIDEO) {
			v->facts.pictures += v->tracks[i].samples;
			if (v->tracks[i].samples != want)
				r = verify_wrong(v->fault, ERR_CORRUPT, _("%s: has %llu pictures, the master %llu"), v->tracks[i].name,
				              (unsigned long long)v->tracks[i].samples, (unsigned long long)want);
		}
	return r;
}

/* --- all of it ---------------------------------------------------------------------------------- */

static int check_content(struct verify *v)
{
	int r = folder_list(v->folder, open_track, v);

	if (r < 0 && v->fault->code == 0)
		fault_set(v->fault, r, _("%s: cannot be read: %s"), v->folder, words_error(r));
	if (r == 0)
		r = check_tracks(v);
	if (r == 0)
		r = verify_across(v);
	if (r == 0)
		r = check_frames(v);
	if (r == 0)
		r = verify_manifest(v);
	if (r == 0)
		r = verify_playlists(v);
	if (r == 0)
		r = verify_texts(v);
	return r == 0 ? verify_decode(v) : r;
}

int verify_content(const char *folder, const struct verify_settings *s, struct verify_facts *ret_facts, struct fault *f)
{
	struct fault mine = {0};
	struct verify v = {.folder = folder, .settings = s, .fault = &mine};
	int r = check_content(&v);

	fini(&v);
	if (r == 0)
		*ret_facts = v.facts;
	else if (f != NULL)
		*f = mine;
	return r;
}

int verify_package(const char *folder, const struct verify_settings *s, struct verify_facts *ret_facts, struct fault *f)
{
	struct verify_facts hashed = {0}, facts;
	int r = verify_hashes(folder, s->stop, &hashed, f);

	if (r == 0)
		r = verify_content(folder, s, &facts, f);
	if (r != 0)
		return r;
	facts.files = hashed.files;
	facts.bytes = hashed.bytes;
	*ret_facts = facts;
	return 0;
}

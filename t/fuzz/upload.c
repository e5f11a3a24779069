/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Resumable uploads as a machine of states: an input is a list of steps (make an upload,
 * send right or wrong bytes, begin the process anew, give up, let time pass), the truth
 * is a small package.
 *
 * Held after every step: an offset is never past the length nor behind what was
 * acknowledged, a package is in the library only when every byte of it is right.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "dash/digest.h"
#include "dash/package.h"
#include "origin/library.h"
#include "origin/upload.h"
#include "t/fuzz/folder.h"

#define BIG (DIGEST_PIECE + 300)
#define N_FILES 4
#define MASTER N_FILES

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char *folder;
static struct library *library;
static char revision[PACKAGE_REVISION_SIZE];
static struct {
	const char *name;
	struct buf bytes;
} truth[N_FILES + 1] = {{.name = PACKAGE_DIGEST}, {.name = PACKAGE_LEAVES}, {.name = "a.mp4"}, {.name = "b.vtt"}, {.name = "film.mkv"}};

static int take_master(void *ctx, const struct upload *v, const char *path, struct fault *f)
{
	struct buf b;

	buf_init(&b, BIG * 2);
	MUST(file_read(path, &b) == 0 && b.size == v->length);
	buf_fini(&b);
	return unlink(path) == 0 ? 0 : -1;
}

static uint64_t no_bytes(void *ctx)
{
	return 0;
}

static struct uploads *begin(void)
{
	return uploads_new(&(struct upload_settings){.library_folder = folder, .library = library, .max_bytes = (uint64_t)1 << 30,
	                                             .life = DUR_HOUR, .take_master = take_master, .other_bytes = no_bytes});
}

static void make_truth(void)
{
	struct digest_builder *b = digest_builder_new("t");

	for (int i = 0; i < N_FILES + 1; i++)
		buf_init(&truth[i].bytes, BIG * 2);
	for (size_t i = 0; i < BIG; i++)
		buf_append(&truth[2].bytes, &(uint8_t){(uint8_t)(i * 7 + i / 251)}, 1);
	buf_puts(&truth[3].bytes, "WEBVTT\n\n00:01.000 --> 00:02.000\ntext\n");
	buf_puts(&truth[MASTER].bytes, "not a film, but who would know");
	for (int i = 2; i < N_FILES; i++) {
		MUST(digest_builder_file(b, truth[i].name) == 0);
		digest_builder_bytes(b, truth[i].bytes.bytes, truth[i].bytes.size);
	}
	MUST(digest_builder_finish(b, NULL, &truth[0].bytes, &truth[1].bytes, revision) == 0);
	digest_builder_free(&b);
}

static void clean_up(void)
{
	library_close(&library);
	folder_remove(folder);
	free(folder);
	for (int i = 0; i < N_FILES + 1; i++)
		buf_fini(&truth[i].bytes);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct fault f = {0};

	log_set_level(LOG_ERROR);
	folder = fuzz_folder();
	make_truth();
	MUST(library_open(&(struct library_settings){.folder = folder, .max_open_files = 16, .rescan = DUR_HOUR, .grace = DUR_HOUR}, &library, &f) == 0);
	atexit(clean_up);
	return 0;
}

/* --- the model --- */

struct model {
	struct uploads *uploads;
	struct {
		char id[UPLOAD_ID_SIZE]; /* "": none */
		uint64_t offset;         /* acknowledged */
	} known[N_FILES + 1];
	wall_us now;
};

static void check_published(void)
{
	static struct buf b; /* for good: a MiB anew at each step would be most of the work */

	for (int i = 0; i < N_FILES; i++) {
		char *path = mem_printf("%s/t/%s/%s", folder, revision, truth[i].name);

		b.size = 0;
		b.max = BIG * 2;
		MUST(file_read(path, &b) == 0 && b.size == truth[i].bytes.size && memcmp(b.bytes, truth[i].bytes.bytes, b.size) == 0);
		free(path);
	}
}

static void check(struct model *m)
{
	char *path = mem_printf("%s/t/%s", folder, revision);

	if (file_exists(path))
		check_published();
	free(path);
	for (int i = 0; i <= MASTER; i++) {
		const struct upload *u = m->known[i].id[0] != '\0' ? uploads_find(m->uploads, m->known[i].id) : NULL;

		if (u != NULL)
			MUST(u->offset <= u->length && u->length == truth[i].bytes.size);
	}
}

static void make(struct model *m, int i, bool lie)
{
	const struct upload_wish wish = {.is_master = i == MASTER, .title = i == MASTER ? NULL : "t", .revision = i == MASTER ? NULL : revision,
	                                 .file = truth[i].name, .length = truth[i].bytes.size + lie};
	struct upload *u = NULL;
	struct fault f = {0};
	int e = uploads_create(m->uploads, &wish, m->now, &u, &f);

	MUST((e == 0) == (u != NULL) && (e == 0 || f.text[0] != '\0'));
	if (e == 0 && lie) {
		if (i >= MASTER || i == 0)
			uploads_remove(m->uploads, u, &f); /* its length cannot be known yet */
		else
			MUST(!"a length that is not the package's");
	} else if (e == 0) {
		snprintf(m->known[i].id, sizeof m->known[i].id, "%s", u->id);
		m->known[i].offset = u->offset;
	}
}

static void send(struct model *m, int i, size_t n, bool wrong)
{
	struct upload *u = m->known[i].id[0] != '\0' ? uploads_find(m->uploads, m->known[i].id) : NULL;
	struct fault f = {0};
	uint64_t before;
	uint8_t *bytes;

	if (u == NULL)
		return;
	before = u->offset;
	n = wrong || n <= u->length - before ? n : (size_t)(u->length - before);
	bytes = calloc(n + 1, 1);
	if (before < truth[i].bytes.size) /* not byte by byte: each would be traced */
		memcpy(bytes, truth[i].bytes.bytes + before, n < truth[i].bytes.size - before ? n : (size_t)(truth[i].bytes.size - before));
	if (wrong && n > 0)
		bytes[n / 2] ^= 1;
	if (uploads_write(m->uploads, u, bytes, n, m->now, &f) == 0) {
		u = uploads_find(m->uploads, m->known[i].id);
		MUST(u == NULL || u->offset == before + n || u->whole);
		m->known[i].offset = u != NULL ? u->offset : 0;
	} else {
		MUST(f.text[0] != '\0' && u->offset <= before + n / 2); /* what was wrong is not taken, nor what came behind it */
		m->known[i].offset = u->offset;
	}
	free(bytes);
}

/* Pieces that were never whole may go when a new process looks at them: no others. */
static void begin_anew(struct model *m)
{
	uploads_free(&m->uploads);
	m->uploads = begin();
	for (int i = 0; i <= MASTER; i++) {
		const struct upload *u = m->known[i].id[0] != '\0' ? uploads_find(m->uploads, m->known[i].id) : NULL;

		if (u == NULL)
			m->known[i].id[0] = '\0';
		else
			MUST(u->offset >= m->known[i].offset);
	}
}

static void step(struct model *m, uint8_t what, uint8_t how)
{
	static const size_t sizes[] = {0, 1, 37, 4096, 16384, 300, DIGEST_PIECE, DIGEST_PIECE + 299, BIG};
	int i = what % (N_FILES + 1);
	struct upload *u;
	struct fault f = {0};

	switch (what / (N_FILES + 1) % 8) {
	case 0:
	case 1:
		make(m, i, how % 16 == 15);
		break;
	case 2:
	case 3:
	case 4:
		send(m, i, sizes[how % 9], what / (N_FILES + 1) % 8 == 4);
		break;
	case 5:
		begin_anew(m);
		break;
	case 6:
		u = m->known[i].id[0] != '\0' ? uploads_find(m->uploads, m->known[i].id) : NULL;
		if (u != NULL)
			MUST(uploads_remove(m->uploads, u, &f) == 0);
		m->known[i].id[0] = '\0';
		break;
	default:
		m->now += how * DUR_MIN;
		uploads_sweep(m->uploads, m->now);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct model m = {.uploads = begin(), .now = 1700000000 * DUR_S};
	char *uploads = path_join(folder, ".uploads"), *title = path_join(folder, "t");
	struct fault f = {0};

	for (size_t i = 0; i + 1 < n && i < 80; i += 2) {
		step(&m, data[i], data[i + 1]);
		check(&m);
	}
	uploads_free(&m.uploads);
	folder_remove(uploads);
	folder_remove(title);
	library_refresh(library, "t", &f);
	free(title);
	free(uploads);
	return 0;
}

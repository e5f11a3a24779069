/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * digest-make TITLE FOLDER OUT [WEB_SEED]: writes the metainfo of the folder's
 * files to OUT and their leaves to OUT.leaves, reads both back, checks every
 * piece and prints the info hash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/must.h"
#include "dash/digest.h"

#define LIMIT ((size_t)1 << 30)

struct making {
	struct digest_builder *builder;
	const struct digest *digest; /* when checking */
	const char *folder;
};

static int load(const char *folder, const char *name, struct buf *out)
{
	char *path = path_join(folder, name);
	int r;

	buf_init(out, LIMIT);
	r = file_read(path, out);
	free(path);
	return r;
}

static int add(void *ctx, const char *name)
{
	struct making *m = ctx;
	struct buf b;
	int r = load(m->folder, name, &b);

	if (r == 0)
		r = digest_builder_file(m->builder, name);
	if (r == 0)
		digest_builder_bytes(m->builder, b.bytes, b.size);
	buf_fini(&b);
	return r;
}

static int check(void *ctx, const char *name)
{
	struct making *m = ctx;
	int i = digest_find(m->digest, name, strlen(name)), r = i < 0 ? ERR_NOT_FOUND : 0;
	struct buf b;

	if (r == 0)
		r = load(m->folder, name, &b);
	for (size_t p = 0; r == 0 && p < m->digest->files[i].n_pieces; p++)
		r = digest_check_piece(&m->digest->files[i], p, b.bytes + p * DIGEST_PIECE, (size_t)digest_piece_size(&m->digest->files[i], p));
	if (i >= 0)
		buf_fini(&b);
	return r;
}

static int make(struct making *m, const char *out, const char *web_seed, struct fault *f)
{
	struct buf metainfo, leaves;
	struct digest *d = NULL;
	char revision[PACKAGE_REVISION_SIZE], hex[SHA256_HEX_SIZE], path[4096];
	int r = folder_list(m->folder, add, m);

	buf_init(&metainfo, DIGEST_MAX_BYTES);
	buf_init(&leaves, LIMIT);
	if (r == 0)
		r = digest_builder_finish(m->builder, web_seed, &metainfo, &leaves, revision);
	if (r == 0)
		r = digest_read(metainfo.bytes, metainfo.size, &d, f);
	m->digest = d;
	if (r == 0)
		r = digest_check_leaves(d, leaves.bytes, leaves.size);
	if (r == 0)
		r = folder_list(m->folder, check, m);
	snprintf(path, sizeof path, "%s.leaves", out);
	if (r == 0)
		r = file_write_atomic(path, leaves.bytes, leaves.size, 0644);
	if (r == 0)
		r = file_write_atomic(out, metainfo.bytes, metainfo.size, 0644);
	if (r == 0) {
		MUST(strcmp(revision, d->revision) == 0);
		sha256_to_hex(&d->info_hash, hex);
		printf("%s\n", hex);
	}
	digest_free(&d);
	buf_fini(&metainfo);
	buf_fini(&leaves);
	return r;
}

int main(int argc, char **argv)
{
	struct making m = {0};
	struct fault f = {0};
	int r;

	if (argc < 4) {
		fprintf(stderr, "usage: digest-make TITLE FOLDER OUT [WEB_SEED]\n");
		return 2;
	}
	m.folder = argv[2];
	m.builder = digest_builder_new(argv[1]);
	r = make(&m, argv[3], argc > 4 ? argv[4] : NULL, &f);
	digest_builder_free(&m.builder);
	if (r < 0)
		fprintf(stderr, "digest-make: %s\n", f.code != 0 ? fault_text(&f) : err_text(r));
	return r < 0;
}

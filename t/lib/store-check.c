/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Opens edges' stores as an edge would and hashes everything they would serve.
 * Folders come as lines on standard input; for each one line goes out:
 * "ok TITLE/REVISION=HELD/SIZE..." or "bad WHAT".
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/store.h"

static bool piece_is_good(struct copy *c, size_t piece, uint8_t *bytes)
{
	uint64_t size = copy_piece_size(c, piece);

	return copy_open(c) == 0 &&
	       file_pread_all(c->object.fd, bytes, (size_t)size, piece * DIGEST_PIECE) == (ssize_t)size &&
	       digest_check_piece(&c->package->digest->files[c->index], piece, bytes, (size_t)size) == 0;
}

/* What it would serve and is wrong, or NULL. */
static const char *check_files(struct package *p)
{
	uint8_t *bytes = mem_new(DIGEST_PIECE);
	const char *wrong = NULL;

	for (size_t i = 0; i < p->digest->n_files; i++)
		for (size_t k = 0; k < p->copies[i]->n_pieces; k++)
			if (copy_ready(p->copies[i], k * DIGEST_PIECE, 1) > 0 && !piece_is_good(p->copies[i], k, bytes))
				wrong = p->copies[i]->name;
	free(bytes);
	return wrong;
}

static const char *check_leaves(struct package *p)
{
	struct copy *c = p->copies[PACKAGE_LEAVES_AT(p)];
	const char *wrong = NULL;
	char *path;
	struct buf b;

	if (c == NULL)
		return NULL;
	path = path_join(p->folder, c->name);
	buf_init(&b, 1 << 20);
	if (file_read(path, &b) != 0 || digest_check_leaves(p->digest, b.bytes, b.size) != 0)
		wrong = c->name;
	buf_fini(&b);
	free(path);
	return wrong;
}

static void check(const char *folder)
{
	const struct store_settings settings = {.folder = folder};
	struct store *s = NULL;
	struct fault f = {0};
	const char *wrong = NULL;
	struct package **packages;
	struct buf out;
	size_t n;

	if (store_open(&settings, &s, &f) != 0) {
		printf("bad cannot open: %s\n", fault_text(&f));
		return;
	}
	buf_init(&out, 1 << 20);
	packages = store_packages(s, &n);
	for (size_t i = 0; i < n && wrong == NULL; i++) {
		wrong = check_files(packages[i]);
		if (wrong == NULL)
			wrong = check_leaves(packages[i]);
		buf_printf(&out, " %s/%s=%llu/%llu", packages[i]->title, packages[i]->revision,
		           (unsigned long long)package_held(packages[i]), (unsigned long long)packages[i]->digest->size);
	}
	if (wrong != NULL)
		printf("bad %s would be served wrong\n", wrong);
	else
		printf("ok%s\n", n > 0 ? buf_text(&out) : "");
	buf_fini(&out);
	store_close(&s);
}

int main(void)
{
	char line[4096];

	log_set_level(LOG_ERROR);
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		check(line);
		fflush(stdout);
	}
	return 0;
}

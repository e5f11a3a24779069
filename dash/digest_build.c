/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Making a digest: bytes are hashed as they come, in any order of files.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "dash/bencode.h"
#include "dash/digest.h"
#include "dash/digest_inner.h"

struct build_file {
	char *name;
	uint64_t size;
	struct sha256 *blocks;
	size_t n_blocks, cap_blocks;
	struct sha256 *pieces;
	size_t n_pieces;
	struct sha256 root;
};

struct digest_builder {
	char *title;
	struct build_file *files;
	size_t n_files, cap_files;
	struct sha256_state *hash; /* of the block in work */
	size_t in_block;
};

struct digest_builder *digest_builder_new(const char *title)
{
	struct digest_builder *b = mem_new(sizeof *b);

	b->title = mem_dup(title);
	b->hash = sha256_new();
	return b;
}

void digest_builder_free(struct digest_builder **pb)
{
	struct digest_builder *b = *pb;

	*pb = NULL;
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n_files; i++) {
		free(b->files[i].name);
		free(b->files[i].blocks);
		free(b->files[i].pieces);
	}
	free(b->files);
	free(b->title);
	sha256_free(&b->hash);
	free(b);
}

static void end_block(struct digest_builder *b)
{
	struct build_file *f = &b->files[b->n_files - 1];

	MEM_GROW(f->blocks, f->cap_blocks, f->n_blocks);
	sha256_final(b->hash, &f->blocks[f->n_blocks++]);
	b->in_block = 0;
}

static void end_file(struct digest_builder *b)
{
	struct build_file *f;

	if (b->n_files == 0)
		return;
	f = &b->files[b->n_files - 1];
	if (b->in_block > 0)
		end_block(b);
	if (f->pieces != NULL)
		return;
	f->n_pieces = (f->n_blocks + DIGEST_BLOCKS_PER_PIECE - 1) / DIGEST_BLOCKS_PER_PIECE;
	f->pieces = mem_new_array(f->n_pieces, sizeof *f->pieces);
	digest_root_of_file(f->blocks, f->n_blocks, f->size, f->pieces, f->n_pieces, &f->root);
}

int digest_builder_file(struct digest_builder *b, const char *name)
{
	end_file(b);
	if (!str_is_name(name, strlen(name)))
		return ERR_SYNTAX;
	if (b->n_files == DIGEST_MAX_FILES)
		return ERR_LIMIT;
	for (size_t i = 0; i < b->n_files; i++)
		if (strcmp(b->files[i].name, name) == 0)
			return ERR_EXISTS;
	MEM_GROW(b->files, b->cap_files, b->n_files);
	b->files[b->n_files++] = (struct build_file){.name = mem_dup(name)};
	return 0;
}

void digest_builder_bytes(struct digest_builder *b, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	MUST(b->n_files > 0);
	b->files[b->n_files - 1].size += n;
	while (n > 0) {
		size_t m = DIGEST_BLOCK - b->in_block;

		m = m < n ? m : n;
		sha256_update(b->hash, p, m);
		b->in_block += m;
		p += m;
		n -= m;
		if (b->in_block == DIGEST_BLOCK)
			end_block(b);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct build_file *)a)->name, ((const struct build_file *)b)->name);
}

/* keys in the order of their bytes: "length" < "pieces root"; "file tree" < "meta version" < "name" < "piece length" */
static void put_info(const struct digest_builder *b, struct buf *out)
{
	buf_puts(out, "d");
	bencode_put_word(out, "file tree");
	buf_puts(out, "d");
	for (size_t i = 0; i < b->n_files; i++) {
		bencode_put_word(out, b->files[i].name);
		buf_puts(out, "d0:d");
		bencode_put_word(out, "length");
		bencode_put_int(out, (int64_t)b->files[i].size);
		if (b->files[i].size > 0) {
			bencode_put_word(out, "pieces root");
			bencode_put_text(out, b->files[i].root.bytes, 32);
		}
		buf_puts(out, "ee");
	}
	buf_puts(out, "e");
	bencode_put_word(out, "meta version");
	bencode_put_int(out, 2);
	bencode_put_word(out, "name");
	bencode_put_word(out, b->title);
	bencode_put_word(out, "piece length");
	bencode_put_int(out, (int64_t)DIGEST_PIECE);
	buf_puts(out, "e");
}

static int by_root(const void *a, const void *b)
{
	const struct build_file *const *x = a, *const *y = b;

	return memcmp((*x)->root.bytes, (*y)->root.bytes, 32);
}

static void put_layers(const struct digest_builder *b, struct buf *out)
{
	const struct build_file **large = mem_new_array(b->n_files, sizeof *large);
	size_t n = 0;

	for (size_t i = 0; i < b->n_files; i++)
		if (b->files[i].size > DIGEST_PIECE)
			large[n++] = &b->files[i];
	qsort(large, n, sizeof *large, by_root);
	bencode_put_word(out, "piece layers");
	buf_puts(out, "d");
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && memcmp(large[i]->root.bytes, large[i - 1]->root.bytes, 32) == 0)
			continue;
		bencode_put_text(out, large[i]->root.bytes, 32);
		bencode_put_text(out, large[i]->pieces, 32 * large[i]->n_pieces);
	}
	buf_puts(out, "e");
	free(large);
}

int digest_builder_finish(struct digest_builder *b, const char *web_seed, struct buf *metainfo, struct buf *leaves,
                          char ret_revision[static PACKAGE_REVISION_SIZE])
{
	struct sha256 info_hash;
	char hex[SHA256_HEX_SIZE];
	size_t start;

	end_file(b);
	qsort(b->files, b->n_files, sizeof *b->files, by_name);
	buf_puts(metainfo, "d");
	bencode_put_word(metainfo, "info");
	start = metainfo->size;
	put_info(b, metainfo);
	if (buf_error(metainfo) != 0)
		return buf_error(metainfo);
	sha256_of(metainfo->bytes + start, metainfo->size - start, &info_hash);
	put_layers(b, metainfo);
	if (web_seed != NULL) {
		bencode_put_word(metainfo, "url-list");
		buf_puts(metainfo, "l");
		bencode_put_word(metainfo, web_seed);
		buf_puts(metainfo, "e");
	}
	buf_puts(metainfo, "e");
	for (size_t i = 0; i < b->n_files; i++)
		buf_append(leaves, b->files[i].blocks, 32 * b->files[i].n_blocks);
	sha256_to_hex(&info_hash, hex);
	memcpy(ret_revision, hex, PACKAGE_REVISION_SIZE - 1);
	ret_revision[PACKAGE_REVISION_SIZE - 1] = '\0';
	return buf_error(metainfo) != 0 ? buf_error(metainfo) : buf_error(leaves);
}

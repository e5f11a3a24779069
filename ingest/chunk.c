/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The file: "RIBCHNK1", number of samples (8 bytes), SHA-256 of what follows,
 * then 29 bytes a sample, then the data.  It never leaves the work folder.
 */
#include "ingest/chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"

#define MAGIC "RIBCHNK1"
#define HEAD_SIZE (8 + 8 + sizeof(struct sha256))
#define SAMPLE_SIZE (4 + 1 + 8 + 8 + 8)
#define MAX_SAMPLES ((size_t)1 << 20)

#define IS_SYNC 1
#define STARTS_SEGMENT 2
#define HAS_QUALITY 4

void chunk_init(struct chunk *c)
{
	*c = (struct chunk){0};
	buf_init(&c->data, CHUNK_MAX_BYTES);
}

void chunk_fini(struct chunk *c)
{
	buf_fini(&c->data);
	free(c->samples);
	c->samples = NULL;
	c->n_samples = c->cap_samples = 0;
}

int chunk_add(struct chunk *c, const struct chunk_sample *s, const void *bytes)
{
	MEM_GROW(c->samples, c->cap_samples, c->n_samples);
	c->samples[c->n_samples++] = *s;
	return buf_append(&c->data, bytes, s->size);
}

/* --- out --------------------------------------------------------------------------------- */

static uint64_t bits_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return bits;
}

static void put_samples(const struct chunk *c, struct buf *b)
{
	for (size_t i = 0; i < c->n_samples; i++) {
		const struct chunk_sample *s = &c->samples[i];

		buf_be(b, s->size, 4);
		buf_be(b, (s->sync ? IS_SYNC : 0u) | (s->starts_segment ? STARTS_SEGMENT : 0u) | (s->quality.known ? HAS_QUALITY : 0u), 1);
		buf_be(b, (uint64_t)s->composition, 8);
		buf_be(b, bits_of(s->quality.psnr), 8);
		buf_be(b, bits_of(s->quality.ssim), 8);
	}
}

static void hash_of(const struct buf *table, const void *data, size_t n, struct sha256 *ret_hash)
{
	struct sha256_state *state = sha256_new();

	sha256_update(state, table->bytes, table->size);
	sha256_update(state, data, n);
	sha256_final(state, ret_hash);
	sha256_free(&state);
}

static int write_parts(const char *path, const struct buf *head, const struct buf *table, const struct buf *data)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, head->bytes, head->size);
	if (r == 0)
		r = file_write_all(fd, table->bytes, table->size);
	if (r == 0)
		r = file_write_all(fd, data->bytes, data->size);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int chunk_write(const struct chunk *c, const char *path)
{
	char *part = mem_printf("%s.part", path);
	struct buf head, table;
	struct sha256 hash;
	int r;

	buf_init(&head, HEAD_SIZE);
	buf_init(&table, MAX_SAMPLES * SAMPLE_SIZE);
	put_samples(c, &table);
	hash_of(&table, c->data.bytes, c->data.size, &hash);
	buf_append(&head, MAGIC, 8);
	buf_be(&head, c->n_samples, 8);
	buf_append(&head, hash.bytes, sizeof hash.bytes);
	r = buf_error(&head) != 0 ? buf_error(&head) : buf_error(&table) != 0 ? buf_error(&table) : buf_error(&c->data);
	if (r == 0)
		r = write_parts(part, &head, &table, &c->data);
	if (r == 0 && rename(part, path) < 0)
		r = -errno;
	if (r != 0)
		unlink(part);
	buf_fini(&table);
	buf_fini(&head);
	free(part);
	return r;
}

/* --- in ---------------------------------------------------------------------------------- */

static uint64_t get(const uint8_t **p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *(*p)++;
	return v;
}

static double value_of(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static struct chunk_sample get_sample(const uint8_t **p)
{
	struct chunk_sample s = {.size = (uint32_t)get(p, 4)};
	unsigned flags = (unsigned)get(p, 1);

	s.sync = (flags & IS_SYNC) != 0;
	s.starts_segment = (flags & STARTS_SEGMENT) != 0;
	s.composition = (int64_t)get(p, 8);
	s.quality.known = (flags & HAS_QUALITY) != 0;
	s.quality.psnr = value_of(get(p, 8));
	s.quality.ssim = value_of(get(p, 8));
	return s;
}

static int take_in(const struct buf *file, struct chunk *c)
{
	const uint8_t *p = file->bytes + 8, *data;
	uint64_t n, bytes = 0;
	struct sha256 want, have;

	if (file->size < HEAD_SIZE || memcmp(file->bytes, MAGIC, 8) != 0)
		return ERR_CORRUPT;
	n = get(&p, 8);
	memcpy(want.bytes, p, sizeof want.bytes);
	p += sizeof want.bytes;
	if (n > MAX_SAMPLES || (uint64_t)n * SAMPLE_SIZE > file->size - HEAD_SIZE)
		return ERR_CORRUPT;
	sha256_of(p, file->size - HEAD_SIZE, &have);
	if (!sha256_equal(&want, &have))
		return ERR_CORRUPT;
	data = p + n * SAMPLE_SIZE;
	for (uint64_t i = 0; i < n; i++) {
		struct chunk_sample s = get_sample(&p);

		if (s.size > (uint64_t)(file->bytes + file->size - data) - bytes)
			return ERR_CORRUPT;
		MEM_GROW(c->samples, c->cap_samples, c->n_samples);
		c->samples[c->n_samples++] = s;
		bytes += s.size;
	}
	return bytes != (uint64_t)(file->bytes + file->size - data) ? ERR_CORRUPT : buf_append(&c->data, data, (size_t)bytes);
}

int chunk_read(const char *path, struct chunk *ret_chunk)
{
	struct buf file;
	int r;

	chunk_init(ret_chunk);
	buf_init(&file, CHUNK_MAX_BYTES + HEAD_SIZE + MAX_SAMPLES * SAMPLE_SIZE);
	r = file_read(path, &file);
	if (r == 0)
		r = take_in(&file, ret_chunk);
	buf_fini(&file);
	if (r != 0)
		chunk_fini(ret_chunk);
	return r;
}

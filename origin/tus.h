/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The fields of resumable uploads (tus 1.0, https://tus.io/protocols/resumable-upload).
 */
#ifndef RIBERA_ORIGIN_TUS_H
#define RIBERA_ORIGIN_TUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct form_error;
struct sha256;
struct serve_request;

#define TUS_VERSION "1.0.0"
#define TUS_EXTENSIONS "creation,creation-with-upload,expiration,checksum,termination"
#define TUS_CHECKSUMS "sha1,sha256"
#define TUS_TYPE "application/offset+octet-stream"

/* Base64 (RFC 4648 4) with its padding: the number of bytes (at most n / 4 * 3), or negative (ERR_SYNTAX). */
int tus_base64(const char *text, size_t n, void *ret_bytes);

/* The value of a key of Upload-Metadata; to be freed; *ret_value is NULL when it is not there.  ERR_SYNTAX. */
int tus_metadata(const char *field, size_t n, const char *key, char **ret_value);

/* A field that is a whole number.  False: it is missing or something else. */
bool tus_number(const struct serve_request *, const char *lower_case_name, uint64_t *ret_number);

/* Repr-Digest (RFC 9530 3): 1 and the SHA-256 in it; 0: there is none; ERR_SYNTAX. */
int tus_repr_digest(const struct serve_request *, struct sha256 *ret_hash);

/* Upload-Checksum, over a body as it comes. */
struct tus_sum {
	struct evp_md_ctx_st *hash; /* NULL: the request has none */
	uint8_t want[32];
	size_t want_n;
};
/* 0; ERR_UNSUPPORTED: another algorithm; ERR_SYNTAX. */
int tus_sum_begin(const struct serve_request *, struct tus_sum *ret);
void tus_sum_add(struct tus_sum *, const void *bytes, size_t n);
bool tus_sum_fits(struct tus_sum *); /* once; true when there is none */
void tus_sum_fini(struct tus_sum *);

#endif

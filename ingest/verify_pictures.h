/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The headers of coded pictures, read without decoding them: what a decoder needs
 * to start at a segment, whether any picture is missing, and whether they are
 * presented in the order in which the encoder meant them.
 */
#ifndef RIBERA_INGEST_VERIFY_PICTURES_H
#define RIBERA_INGEST_VERIFY_PICTURES_H

#include "dash/bmff_fragment.h"

#define PICTURES_WHY 160

struct pictures; /* hidden */

/* From the decoder configuration.  0 and *ret NULL for a codec that is not looked into
 * (all but H.264 and AV1).  ERR_CORRUPT with the reason in `why`. */
int pictures_new(const struct bmff_track *, struct pictures **ret, char why[static PICTURES_WHY]);
void pictures_free(struct pictures **);

/* One segment, whose bytes stand at `offset` of their file.  It must stand alone.
 * ERR_CORRUPT: *ret_at is the sample, `why` the reason. */
int pictures_check(struct pictures *, const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *, size_t *ret_at,
                   char why[static PICTURES_WHY]);

/* verify_avc.c: ITU-T H.264 */
struct avc;
int avc_new(const struct bmff_track *, struct avc **ret, char why[static PICTURES_WHY]);
void avc_free(struct avc **);
int avc_check(struct avc *, const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *, size_t *ret_at,
              char why[static PICTURES_WHY]);

/* verify_av1.c: AV1 Bitstream & Decoding Process; needs nothing of the configuration */
int av1_check(const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *, size_t *ret_at, char why[static PICTURES_WHY]);

#endif

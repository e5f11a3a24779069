/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A certificate to try things out with: made here, signed by itself, trusted by
 * nobody.
 */
#ifndef RIBERA_SERVE_DEVCERT_H
#define RIBERA_SERVE_DEVCERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/err.h"

/* P-256, good for a year from `now`, for localhost, 127.0.0.1, ::1, this machine's
 * name and `host` (a name or an address; may be NULL).  The caller frees both. */
int devcert_make(const char *host, wall_us now, X509 **ret_cert, EVP_PKEY **ret_key, struct fault *);

/* Writes both as PEM; the key for its owner alone. */
int devcert_write(X509 *, EVP_PKEY *, const char *cert_path, const char *key_path, struct fault *);

#endif

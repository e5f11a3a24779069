/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * TLS for all lanes of a server: TLS 1.2 and 1.3, h2 and http/1.1 by ALPN, session
 * tickets, OCSP stapling, and certificates that are replaced while it runs.
 *
 * A context is immutable once made.  A new certificate is a new context; running
 * connections keep the one they began with.
 */
#ifndef RIBERA_SERVE_TLS_H
#define RIBERA_SERVE_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

struct tls; /* hidden */

struct tls_settings {
	const char *cert, *key; /* PEM paths; an OCSP answer (DER) is taken from CERT.ocsp when that is there */
	bool dev;               /* where there is no certificate make one; cert and key may be NULL then */
	const char *dev_host;   /* whom it is for besides this machine, or NULL */
	dur_us ticket_life;
};

/* The strings must stay.  ERR_USAGE and others; the fault names the file. */
int tls_new(const struct tls_settings *, struct tls **ret, struct fault *);
void tls_free(struct tls **); /* after every reference of its contexts is given back */

/* Reads the files anew if they have changed or `always`.  1: there is a new context;
 * 0: nothing to do; negative: the one in force stays.  One thread at a time. */
int tls_refresh(struct tls *, bool always, struct fault *);

unsigned tls_generation(const struct tls *); /* grows with every context; any thread */
SSL_CTX *tls_context(struct tls *);          /* the one in force; a reference for the caller; any thread */

#endif

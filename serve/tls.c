/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The TLS context all lanes share: TLS 1.2 and 1.3, h2 and http/1.1 by ALPN.
 * Tickets are sealed with the context's own key, so a session made on one lane
 * goes on on another.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "serve/inner.h"

static int tls_fault(struct fault *f, const char *what, const char *path)
{
	char text[256];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
	ERR_clear_error();
	return fault_set(f, ERR_USAGE, "%s \"%s\": %s", what, path, text);
}

static int load(SSL_CTX *ctx, const char *cert, const char *key, struct fault *f)
{
	if (key == NULL)
		return fault_set(f, ERR_USAGE, "the certificate \"%s\" needs its private key", cert);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return tls_fault(f, "cannot use the certificate", cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return tls_fault(f, "cannot use the private key", key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return tls_fault(f, "the certificate does not belong to the private key", key);
	return 0;
}

int tls_new(const char *cert, const char *key, SSL_CTX **ret, struct fault *f)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int r;

	if (ctx == NULL)
		return tls_fault(f, "cannot make a TLS context for", cert);
	r = load(ctx, cert, key, f);
	if (r < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	/* RFC 9113 9.2.2 forbids the others for h2; RFC 9325 4.2 advises against them anyway */
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* 10 KB less per idle connection */
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"ribera", 6);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets hold the sessions */
	h2o_ssl_register_alpn_protocols(ctx, h2o_alpn_protocols);
	*ret = ctx;
	return 0;
}

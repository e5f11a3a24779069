/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The TLS context in force and the files it is made of.
 */
#include "serve/tls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "serve/devcert.h"
#include "serve/inner.h"
#include "serve/ticket.h"

#define WHERE "serve/tls"
#define MAX_OCSP 65536
#define N_FILES 3 /* certificate, key, OCSP answer */

/* What tells one version of a file from another. */
struct mark {
	struct timespec time;
	off_t size;
	ino_t inode;
};

struct tls {
	struct tls_settings s;
	char *ocsp_path; /* or NULL */
	struct tickets *tickets;
	struct mark marks[N_FILES]; /* the owner's thread */
	pthread_mutex_t lock;       /* guards ctx */
	SSL_CTX *ctx;
	atomic_uint generation;
};

/* The OCSP answer of a context; lives as long as that. */
struct staple {
	unsigned char *bytes;
	int n;
	wall_us until;
};

static int tls_fault(struct fault *f, const char *what, const char *path, const char *cure)
{
	unsigned long first = ERR_peek_error(); /* what follows it says where OpenSSL was */
	char text[256];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
	ERR_clear_error();
	if (ERR_SYSTEM_ERROR(first))
		return fault_set(f, ERR_USAGE, "%s \"%s\": %s%s", what, path, words_error(-ERR_GET_REASON(first)),
		                 ERR_GET_REASON(first) == EACCES ? _(": the user this runs as must be able to read it and to enter the folders above it") : "");
	return fault_set(f, ERR_USAGE, "%s \"%s\": %s%s", what, path, text, cure);
}

/* --- stapling ---------------------------------------------------------------------- */

static void free_staple(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct staple *s = ptr;

	if (s != NULL)
		free(s->bytes);
	free(s);
}

static int staple_index(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int at = -1;
	int i;

	pthread_mutex_lock(&lock);
	if (at < 0)
		at = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_staple);
	i = at;
	pthread_mutex_unlock(&lock);
	return i;
}

/* RFC 6066 8: only when asked, only while it is valid. */
static int on_status(SSL *ssl, void *ctx)
{
	const struct staple *s = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), staple_index());
	unsigned char *copy;

	if (s == NULL || clock_wall() >= s->until)
		return SSL_TLSEXT_ERR_NOACK;
	copy = OPENSSL_memdup(s->bytes, (size_t)s->n); /* OpenSSL frees it */
	if (copy == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, s->n);
	return SSL_TLSEXT_ERR_OK;
}

static wall_us asn1_to_wall(const ASN1_GENERALIZEDTIME *t)
{
	struct tm tm = {0};

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (wall_us)timegm(&tm) * DUR_S : INT64_MAX;
}

/* Until when the answer speaks for this certificate; 0: it does not. */
static wall_us ocsp_until(OCSP_RESPONSE *response, X509 *cert)
{
	OCSP_BASICRESP *basic = OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(response) : NULL;
	wall_us until = 0;

	for (int i = 0; basic != NULL && i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
		ASN1_GENERALIZEDTIME *next = NULL;
		ASN1_INTEGER *serial = NULL;

		OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(one));
		if (serial == NULL || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert)) != 0)
			continue;
		OCSP_single_get0_status(one, NULL, NULL, NULL, &next);
		until = asn1_to_wall(next);
	}
	OCSP_BASICRESP_free(basic);
	return until;
}

/* A bad answer is left out with a warning: a certificate without one still serves. */
static void load_staple(const struct tls *t, SSL_CTX *ctx)
{
	const unsigned char *p;
	OCSP_RESPONSE *response;
	struct staple *s;
	struct buf b;
	wall_us until;

	buf_init(&b, MAX_OCSP);
	if (t->ocsp_path == NULL || !file_exists(t->ocsp_path) || file_read(t->ocsp_path, &b) != 0) {
		buf_fini(&b);
		return;
	}
	p = b.bytes;
	response = d2i_OCSP_RESPONSE(NULL, &p, (long)b.size);
	until = response != NULL ? ocsp_until(response, SSL_CTX_get0_certificate(ctx)) : 0;
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	if (until <= clock_wall()) {
		log_warn(WHERE, "the OCSP answer is not used: it is %s path=\"%s\"", until == 0 ? "none for this certificate" : "out of date", t->ocsp_path);
	} else {
		s = mem_new(sizeof *s);
		s->bytes = mem_new(b.size);
		memcpy(s->bytes, b.bytes, b.size);
		s->n = (int)b.size;
		s->until = until;
		SSL_CTX_set_ex_data(ctx, staple_index(), s);
		SSL_CTX_set_tlsext_status_cb(ctx, on_status);
	}
	buf_fini(&b);
}

/* --- a context --------------------------------------------------------------------- */

/* A key that is encrypted must not make a service wait at a terminal. */
static int no_password(char *out, int size, int writing, void *ctx)
{
	return 0;
}

static int mismatch(const struct tls_settings *s, struct fault *f)
{
	ERR_clear_error();
	return fault_set(f, ERR_USAGE, _("the certificate \"%s\" does not belong to the private key \"%s\""), s->cert, s->key);
}

static int load_files(SSL_CTX *ctx, const struct tls_settings *s, struct fault *f)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, s->cert) != 1)
		return tls_fault(f, _("cannot use the certificate"), s->cert, "");
	if (SSL_CTX_use_PrivateKey_file(ctx, s->key, SSL_FILETYPE_PEM) != 1)
		return ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ? mismatch(s, f) : tls_fault(f, _("cannot use the private key"), s->key, _(": it must be PEM, without a password, of the certificate's first entry"));
	if (SSL_CTX_check_private_key(ctx) != 1)
		return mismatch(s, f);
	if (file_is_shared(s->key))
		log_warn(WHERE, "others can read or write the private key; chmod 640 \"%s\"", s->key);
	if (X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx))) < 0)
		log_warn(WHERE, "the certificate has expired: viewers will refuse it path=\"%s\"", s->cert);
	return 0;
}

static int load_dev(SSL_CTX *ctx, const struct tls_settings *s, struct fault *f)
{
	X509 *cert;
	EVP_PKEY *key;
	int r = devcert_make(s->dev_host, clock_wall(), &cert, &key, f);

	if (r < 0)
		return r;
	log_warn(WHERE, "serving with a certificate made for trying out, which nobody trusts: set tls.cert and tls.key for real use");
	if (SSL_CTX_use_certificate(ctx, cert) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		r = tls_fault(f, "cannot use", "--dev-cert", "");
	else if (s->cert != NULL)
		r = devcert_write(cert, key, s->cert, s->key, f);
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}

static void harden(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	/* RFC 9113 9.2.2 forbids the others for h2; RFC 9325 4.2 advises against them anyway */
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* 10 KB less per idle connection */
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"ribera", 6);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets hold the sessions */
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	h2o_ssl_register_alpn_protocols(ctx, h2o_alpn_protocols);
}

static int make(const struct tls *t, SSL_CTX **ret, struct fault *f)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int r;

	if (ctx == NULL)
		return tls_fault(f, "cannot make a TLS context for", t->s.cert != NULL ? t->s.cert : "--dev-cert", "");
	harden(ctx);
	tickets_use(t->tickets, ctx);
	r = t->s.dev && (t->s.cert == NULL || !file_exists(t->s.cert)) ? load_dev(ctx, &t->s, f) : load_files(ctx, &t->s, f);
	if (r < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	load_staple(t, ctx);
	*ret = ctx;
	return 0;
}

/* --- the one in force -------------------------------------------------------------- */

static void look(const struct tls *t, struct mark marks[static N_FILES])
{
	const char *paths[N_FILES] = {t->s.cert, t->s.key, t->ocsp_path};
	struct stat st;

	memset(marks, 0, N_FILES * sizeof *marks);
	for (int i = 0; i < N_FILES; i++)
		if (paths[i] != NULL && stat(paths[i], &st) == 0) {
			marks[i].time = st.st_mtim;
			marks[i].size = st.st_size;
			marks[i].inode = st.st_ino;
		}
}

int tls_refresh(struct tls *t, bool always, struct fault *f)
{
	struct mark marks[N_FILES];
	SSL_CTX *fresh = NULL, *old;
	int r;

	look(t, marks);
	if (t->ctx != NULL && t->s.cert == NULL) /* made here: nothing to read anew */
		return 0;
	if (!always && memcmp(marks, t->marks, sizeof marks) == 0)
		return 0;
	memcpy(t->marks, marks, sizeof marks); /* also when it fails: the same files fail again */
	r = make(t, &fresh, f);
	if (r < 0)
		return r;
	if (t->s.dev)
		look(t, t->marks); /* it may have written them */
	pthread_mutex_lock(&t->lock);
	old = t->ctx;
	t->ctx = fresh;
	pthread_mutex_unlock(&t->lock);
	atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
	SSL_CTX_free(old);
	return 1;
}

int tls_new(const struct tls_settings *s, struct tls **ret, struct fault *f)
{
	struct tls *t;
	int r;

	if (s->cert != NULL && s->key == NULL)
		return fault_set(f, ERR_USAGE, _("the certificate \"%s\" needs its private key"), s->cert);
	t = mem_new(sizeof *t);
	t->s = *s;
	t->ocsp_path = s->cert != NULL ? mem_printf("%s.ocsp", s->cert) : NULL;
	t->tickets = tickets_new(s->ticket_life);
	pthread_mutex_init(&t->lock, NULL);
	r = tls_refresh(t, true, f);
	if (r < 0)
		tls_free(&t);
	else
		*ret = t;
	return r < 0 ? r : 0;
}

void tls_free(struct tls **pt)
{
	struct tls *t = *pt;

	*pt = NULL;
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	tickets_free(&t->tickets);
	pthread_mutex_destroy(&t->lock);
	free(t->ocsp_path);
	free(t);
}

unsigned tls_generation(const struct tls *t)
{
	return atomic_load_explicit(&t->generation, memory_order_acquire);
}

SSL_CTX *tls_context(struct tls *t)
{
	SSL_CTX *ctx;

	pthread_mutex_lock(&t->lock);
	ctx = t->ctx;
	SSL_CTX_up_ref(ctx);
	pthread_mutex_unlock(&t->lock);
	return ctx;
}

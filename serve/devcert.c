/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The certificate of --dev-cert.
 */
#include "serve/devcert.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/words.h"

#define DAY (24 * DUR_HOUR)

/* "DNS:localhost,IP:127.0.0.1,..." */
static void name_all(const char *host, char *out, size_t size)
{
	char machine[128] = "";
	struct in6_addr a;
	bool is_address = host != NULL && (inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1);
	int n = snprintf(out, size, "DNS:localhost,IP:127.0.0.1,IP:::1");

	if (gethostname(machine, sizeof machine - 1) == 0 && machine[0] != '\0' && strpbrk(machine, ",:") == NULL)
		n += snprintf(out + n, size - (size_t)n, ",DNS:%s", machine);
	if (host != NULL && host[0] != '\0' && (is_address || strpbrk(host, "*,:") == NULL) && strlen(host) < 256)
		snprintf(out + n, size - (size_t)n, ",%s:%s", is_address ? "IP" : "DNS", host);
}

static bool add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool good;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	good = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good;
}

static bool fill_in(X509 *x, EVP_PKEY *key, const char *names, wall_us now)
{
	static const unsigned char title[] = "Ribera, for trying out";
	X509_NAME *subject = X509_get_subject_name(x);
	int64_t serial = 0;

	return RAND_bytes((unsigned char *)&serial, 7) == 1 && X509_set_version(x, X509_VERSION_3) == 1 &&
	       ASN1_INTEGER_set_int64(X509_get_serialNumber(x), serial & INT64_MAX) == 1 &&
	       ASN1_TIME_set(X509_getm_notBefore(x), (time_t)((now - DUR_HOUR) / DUR_S)) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(x), (time_t)((now + 365 * DAY) / DUR_S)) != NULL &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, title, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, subject) == 1 && X509_set_pubkey(x, key) == 1 &&
	       add_extension(x, NID_subject_alt_name, names) && add_extension(x, NID_basic_constraints, "critical,CA:TRUE") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") && X509_sign(x, key, EVP_sha256()) > 0;
}

int devcert_make(const char *host, wall_us now, X509 **ret_cert, EVP_PKEY **ret_key, struct fault *f)
{
	char names[1024];
	X509 *x = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");

	name_all(host, names, sizeof names);
	if (x == NULL || key == NULL || !fill_in(x, key, names, now)) {
		char text[256];

		ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
		ERR_clear_error();
		X509_free(x);
		EVP_PKEY_free(key);
		return fault_set(f, ERR_UNSUPPORTED, _("cannot make a certificate for %s: %s"), names, text);
	}
	*ret_cert = x;
	*ret_key = key;
	return 0;
}

static int write_one(BIO *b, bool made, const char *path, mode_t mode, struct fault *f)
{
	char *bytes = NULL;
	long n = b != NULL ? BIO_get_mem_data(b, &bytes) : 0;
	int r = made && n > 0 ? file_write_atomic(path, bytes, (size_t)n, mode) : ERR_UNSUPPORTED;

	BIO_free(b);
	return r < 0 ? fault_set(f, r, _("cannot write the certificate for trying out to \"%s\": %s"), path, words_error(r)) : 0;
}

int devcert_write(X509 *cert, EVP_PKEY *key, const char *cert_path, const char *key_path, struct fault *f)
{
	BIO *b = BIO_new(BIO_s_secmem());
	int r = write_one(b, PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1, key_path, 0600, f);

	if (r < 0)
		return r;
	b = BIO_new(BIO_s_mem());
	return write_one(b, PEM_write_bio_X509(b, cert) == 1, cert_path, 0644, f);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ticket keys.  Invariant: no ticket is sealed with a key older than half its
 * life, and a key outlives every ticket it sealed.  The lock is taken once a
 * handshake, which costs a thousand times more.
 */
#include "serve/ticket.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/mem.h"

#define N_KEYS 4 /* one in use, those of the three half lives before */

struct key {
	unsigned char name[16], cipher[32], mac[32];
	mono_us born; /* 0: none */
};

struct tickets {
	pthread_mutex_t lock;
	dur_us life;
	struct key keys[N_KEYS]; /* youngest first */
};

struct tickets *tickets_new(dur_us life)
{
	struct tickets *t = mem_new(sizeof *t);

	pthread_mutex_init(&t->lock, NULL);
	t->life = life;
	return t;
}

void tickets_free(struct tickets **pt)
{
	struct tickets *t = *pt;

	*pt = NULL;
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t->keys, sizeof t->keys);
	free(t);
}

/* Under the lock. */
static bool rotate(struct tickets *t, mono_us now)
{
	struct key fresh = {.born = now};

	if (t->keys[0].born != 0 && now - t->keys[0].born < t->life / 2)
		return true;
	if (RAND_bytes(fresh.name, sizeof fresh.name) != 1 || RAND_priv_bytes(fresh.cipher, sizeof fresh.cipher) != 1 ||
	    RAND_priv_bytes(fresh.mac, sizeof fresh.mac) != 1)
		return false;
	memmove(&t->keys[1], &t->keys[0], (N_KEYS - 1) * sizeof t->keys[0]);
	t->keys[0] = fresh;
	OPENSSL_cleanse(&fresh, sizeof fresh);
	return true;
}

static bool key_to_seal(struct tickets *t, struct key *ret_key)
{
	bool good;

	pthread_mutex_lock(&t->lock);
	good = rotate(t, clock_mono());
	*ret_key = t->keys[0];
	pthread_mutex_unlock(&t->lock);
	return good;
}

/* 0: none; 1: the one in use; 2: an old one. */
static int key_to_open(struct tickets *t, const unsigned char *name, struct key *ret_key)
{
	mono_us now = clock_mono();
	int found = 0;

	pthread_mutex_lock(&t->lock);
	for (int i = 0; i < N_KEYS && found == 0; i++)
		if (t->keys[i].born != 0 && now - t->keys[i].born < t->life / 2 + t->life &&
		    memcmp(t->keys[i].name, name, sizeof t->keys[i].name) == 0) {
			*ret_key = t->keys[i];
			found = now - t->keys[i].born < t->life / 2 ? 1 : 2;
		}
	pthread_mutex_unlock(&t->lock);
	return found;
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *k)
{
	char digest[] = "sha256";
	OSSL_PARAM params[3] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's terms: -1 error, 0 full handshake, 1 good, 2 good and to be renewed. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	struct tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct key k;
	int found = 1, good;

	if (seal && (!key_to_seal(t, &k) || RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc())) != 1))
		return -1;
	if (!seal && (found = key_to_open(t, name, &k)) == 0)
		return 0;
	if (seal)
		memcpy(name, k.name, sizeof k.name);
	good = seal ? EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv)
	            : EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv);
	if (good != 1 || !set_mac(mac, &k))
		found = -1;
	OPENSSL_cleanse(&k, sizeof k);
	return found;
}

void tickets_use(struct tickets *t, SSL_CTX *ctx)
{
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_timeout(ctx, t->life / DUR_S);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tokens of signed URLs.  The keys are kept as the two half-done hashes of HMAC
 * (RFC 2104), which a check copies to its stack: OpenSSL's newer interfaces take
 * memory for every hash, so the older ones are used here.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "serve/sign.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define MAX_FILE 65536
#define MIN_SECRET 16
#define MAX_SECRET 128
#define MAC_TEXT 43 /* base64url of 32 bytes, unpadded */
#define MAX_DEPTH 8

struct key {
	char id[SIGN_MAX_ID + 1];
	SHA256_CTX inner, outer;
};

struct sign_keys {
	size_t n;
	struct key keys[SIGN_MAX_KEYS];
};

/* --- keys -------------------------------------------------------------------------- */

static void prepare_key(struct key *k, const uint8_t *secret, size_t n)
{
	uint8_t block[SHA256_CBLOCK] = {0}, pad[SHA256_CBLOCK];

	if (n > sizeof block)
		SHA256(secret, n, block);
	else
		memcpy(block, secret, n);
	for (size_t i = 0; i < sizeof block; i++)
		pad[i] = block[i] ^ 0x36;
	SHA256_Init(&k->inner);
	SHA256_Update(&k->inner, pad, sizeof pad);
	for (size_t i = 0; i < sizeof block; i++)
		pad[i] = block[i] ^ 0x5c;
	SHA256_Init(&k->outer);
	SHA256_Update(&k->outer, pad, sizeof pad);
	OPENSSL_cleanse(block, sizeof block);
	OPENSSL_cleanse(pad, sizeof pad);
}

static bool is_id(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z')))
			return false;
	return n >= 1 && n <= SIGN_MAX_ID;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static bool read_hex(const char *s, size_t n, uint8_t *out)
{
	for (size_t i = 0; i < n / 2; i++) {
		int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high * 16 + low);
	}
	return n % 2 == 0;
}

static const struct key *find_key(const struct sign_keys *keys, const char *id, size_t n)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strlen(keys->keys[i].id) == n && memcmp(keys->keys[i].id, id, n) == 0)
			return &keys->keys[i];
	return NULL;
}

static int add_key(struct sign_keys *keys, const char *line, size_t n, const char *name, unsigned number, struct fault *f)
{
	size_t id_n = 0, gap, secret_n;
	uint8_t secret[MAX_SECRET];

	while (id_n < n && line[id_n] != ' ' && line[id_n] != '\t')
		id_n++;
	for (gap = id_n; gap < n && (line[gap] == ' ' || line[gap] == '\t');)
		gap++;
	secret_n = n - gap;
	if (!is_id(line, id_n))
		return fault_set(f, ERR_SYNTAX, _("%s:%u: expected a key's name of 1 to %d letters and digits, then its secret"), name, number,
		                 SIGN_MAX_ID);
	if (secret_n < 2 * MIN_SECRET || secret_n > 2 * MAX_SECRET || !read_hex(line + gap, secret_n, secret))
		return fault_set(f, ERR_SYNTAX, _("%s:%u: the secret of \"%.*s\" must be %d to %d hex digits: make one with \"openssl rand -hex 32\""),
		                 name, number, (int)id_n, line, 2 * MIN_SECRET, 2 * MAX_SECRET);
	if (find_key(keys, line, id_n) != NULL)
		return fault_set(f, ERR_SYNTAX, _("%s:%u: there are two keys \"%.*s\""), name, number, (int)id_n, line);
	if (keys->n == SIGN_MAX_KEYS)
		return fault_set(f, ERR_LIMIT, _("%s:%u: more than %d keys: take out the oldest"), name, number, SIGN_MAX_KEYS);
	memcpy(keys->keys[keys->n].id, line, id_n);
	prepare_key(&keys->keys[keys->n++], secret, secret_n / 2);
	OPENSSL_cleanse(secret, sizeof secret);
	return 0;
}

int sign_keys_read(const char *text, size_t n, const char *name, struct sign_keys **ret, struct fault *f)
{
	struct sign_keys *keys = mem_new(sizeof *keys);
	unsigned number = 1;
	int r = 0;

	for (const char *p = text, *end = text + n, *stop; r == 0 && p < end; p = stop + 1, number++) {
		size_t len;

		stop = memchr(p, '\n', (size_t)(end - p));
		if (stop == NULL)
			stop = end;
		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		for (len = (size_t)(stop - p); len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t' || p[len - 1] == '\r');)
			len--;
		if (len > 0 && *p != '#')
			r = add_key(keys, p, len, name, number, f);
	}
	if (r == 0 && keys->n == 0)
		r = fault_set(f, ERR_SYNTAX, _("%s: there is no key in it: a line is \"NAME SECRET\""), name);
	if (r < 0)
		sign_keys_free(&keys);
	else
		*ret = keys;
	return r;
}

int sign_keys_load(const char *path, struct sign_keys **ret, struct fault *f)
{
	struct buf b;
	int r;

	buf_init(&b, MAX_FILE);
	r = file_read(path, &b);
	if (r < 0)
		fault_set(f, r, _("cannot read the keys of signed URLs \"%s\": %s"), path, words_error(r));
	else
		r = sign_keys_read((const char *)b.bytes, b.size, path, ret, f);
	if (r == 0 && file_is_shared(path))
		log_warn("serve/sign", "others can read or write the keys of signed URLs; chmod 640 \"%s\"", path);
	if (b.size > 0)
		OPENSSL_cleanse(b.bytes, b.size);
	buf_fini(&b);
	return r;
}

void sign_keys_free(struct sign_keys **pk)
{
	if (*pk != NULL)
		OPENSSL_cleanse(*pk, sizeof **pk);
	free(*pk);
	*pk = NULL;
}

/* --- networks ---------------------------------------------------------------------- */

static size_t address_size(unsigned family)
{
	return family == 4 ? 4 : 16;
}

static void mask(struct sign_net *net)
{
	for (unsigned i = 0; i < address_size(net->family); i++) {
		unsigned kept = net->bits > 8 * i ? net->bits - 8 * i : 0;

		if (kept < 8)
			net->address[i] &= (uint8_t)(0xff00u >> kept);
	}
}

static bool read_address(const char *text, struct sign_net *net)
{
	net->family = inet_pton(AF_INET, text, net->address) == 1 ? 4 : inet_pton(AF_INET6, text, net->address) == 1 ? 6 : 0;
	return net->family != 0;
}

int sign_net_read(const char *text, struct sign_net *ret)
{
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct sign_net net = {0};
	char address[INET6_ADDRSTRLEN];
	uint64_t bits;

	if (n >= sizeof address)
		return ERR_SYNTAX;
	memcpy(address, text, n);
	address[n] = '\0';
	if (!read_address(address, &net))
		return ERR_SYNTAX;
	bits = 8 * address_size(net.family);
	if (slash != NULL && (str_parse_u64(slash + 1, strlen(slash + 1), &bits) != 0 || bits > 8 * address_size(net.family)))
		return ERR_SYNTAX;
	net.bits = (unsigned)bits;
	mask(&net);
	*ret = net;
	return 0;
}

/* --- MAC --------------------------------------------------------------------------- */

/* How long the first `depth` segments are with their slashes: "/v/bbb/" of "/v/bbb/x" for 2.
 * 0: there are not as many. */
static size_t signed_length(const char *path, size_t n, unsigned depth)
{
	size_t at = 0;

	for (unsigned i = 0; i <= depth; i++) {
		const char *slash = at < n ? memchr(path + at, '/', n - at) : NULL;

		if (slash == NULL)
			return 0;
		at = (size_t)(slash - path) + 1;
	}
	return at;
}

static void compute(const struct key *k, uint64_t expires, unsigned depth, const struct sign_net *net, const char *path, size_t n,
                    uint8_t mac[static SHA256_DIGEST_LENGTH])
{
	SHA256_CTX ctx = k->inner;
	char head[128];
	int len = snprintf(head, sizeof head, "ribera-1\n%llu\n%u\n", (unsigned long long)expires, depth);

	if (net->family == 0) {
		head[len++] = '-';
	} else {
		len += snprintf(head + len, sizeof head - (size_t)len, "%u-%u ", net->family, net->bits);
		for (size_t i = 0; i < address_size(net->family); i++) {
			head[len++] = "0123456789abcdef"[net->address[i] >> 4];
			head[len++] = "0123456789abcdef"[net->address[i] & 15];
		}
	}
	head[len++] = '\n';
	SHA256_Update(&ctx, head, (size_t)len);
	SHA256_Update(&ctx, path, n);
	SHA256_Final(mac, &ctx);
	ctx = k->outer;
	SHA256_Update(&ctx, mac, SHA256_DIGEST_LENGTH);
	SHA256_Final(mac, &ctx);
}

static void to_base64url(const uint8_t mac[static SHA256_DIGEST_LENGTH], char out[static MAC_TEXT])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < MAC_TEXT; i++) {
		size_t bit = 6 * i, byte = bit / 8;
		unsigned pair = (unsigned)mac[byte] << 8 | (byte + 1 < SHA256_DIGEST_LENGTH ? mac[byte + 1] : 0);

		out[i] = letters[pair >> (10 - bit % 8) & 63];
	}
}

int sign_make(const struct sign_keys *keys, const char *path, unsigned depth, wall_us expires, const struct sign_net *net,
              char ret_token[static SIGN_TOKEN_SIZE])
{
	static const struct sign_net none = {0};
	const struct key *k = &keys->keys[0];
	size_t n = signed_length(path, strlen(path), depth);
	uint8_t mac[SHA256_DIGEST_LENGTH];
	int len;

	if (net == NULL)
		net = &none;
	if (n == 0 || depth > MAX_DEPTH || expires < 0)
		return ERR_OUT_OF_RANGE;
	compute(k, (uint64_t)(expires / DUR_S), depth, net, path, n, mac);
	len = snprintf(ret_token, SIGN_TOKEN_SIZE, "%s.%llu.%u.", k->id, (unsigned long long)(expires / DUR_S), depth);
	if (net->family != 0)
		len += snprintf(ret_token + len, SIGN_TOKEN_SIZE - (size_t)len, "%u-%u.", net->family, net->bits);
	to_base64url(mac, ret_token + len);
	ret_token[len + MAC_TEXT] = '\0';
	return 0;
}

/* --- the check --------------------------------------------------------------------- */

struct token {
	const char *id, *mac;
	size_t id_n;
	uint64_t expires, depth, bits;
	unsigned family;
};

/* The text up to the next '.', and past it. */
static bool next_part(const char **p, const char *end, const char **ret, size_t *ret_n)
{
	const char *stop = memchr(*p, '.', (size_t)(end - *p));

	if (stop == NULL)
		return false;
	*ret = *p;
	*ret_n = (size_t)(stop - *p);
	*p = stop + 1;
	return true;
}

static bool parse(const char *p, size_t n, struct token *t)
{
	const char *end = p + n, *part;
	size_t len;

	*t = (struct token){0};
	if (n >= SIGN_TOKEN_SIZE || !next_part(&p, end, &t->id, &t->id_n) || !is_id(t->id, t->id_n))
		return false;
	if (!next_part(&p, end, &part, &len) || str_parse_u64(part, len, &t->expires) != 0)
		return false;
	if (!next_part(&p, end, &part, &len) || str_parse_u64(part, len, &t->depth) != 0 || t->depth > MAX_DEPTH)
		return false;
	if (next_part(&p, end, &part, &len)) {
		if (len < 3 || (part[0] != '4' && part[0] != '6') || part[1] != '-' || str_parse_u64(part + 2, len - 2, &t->bits) != 0)
			return false;
		t->family = (unsigned)(part[0] - '0');
		if (t->bits > 8 * address_size(t->family))
			return false;
	}
	t->mac = p;
	return end - p == MAC_TEXT;
}

enum sign_verdict sign_check(const struct sign_keys *keys, const char *token, size_t n, const char *path, size_t path_n,
                             const char *client, wall_us now)
{
	struct sign_net net = {0};
	uint8_t mac[SHA256_DIGEST_LENGTH];
	char text[MAC_TEXT];
	const struct key *k;
	struct token t;
	size_t length;

	if (!parse(token, n, &t))
		return SIGN_MALFORMED;
	k = find_key(keys, t.id, t.id_n);
	if (k == NULL)
		return SIGN_UNKNOWN_KEY;
	length = signed_length(path, path_n, (unsigned)t.depth);
	if (length == 0)
		return SIGN_WRONG;
	if (t.family != 0) {
		if (!read_address(client, &net) || net.family != t.family)
			return SIGN_WRONG;
		net.bits = (unsigned)t.bits;
		mask(&net);
	}
	compute(k, t.expires, (unsigned)t.depth, &net, path, length, mac);
	to_base64url(mac, text);
	if (CRYPTO_memcmp(text, t.mac, MAC_TEXT) != 0)
		return SIGN_WRONG;
	return now < 0 || (uint64_t)(now / DUR_S) >= t.expires ? SIGN_EXPIRED : SIGN_GOOD;
}

const char *sign_verdict_text(enum sign_verdict v)
{
	switch (v) {
	case SIGN_GOOD:
		return "good";
	case SIGN_MALFORMED:
		return "the token of this URL cannot be read";
	case SIGN_UNKNOWN_KEY:
		return "this URL was signed with a key that is not in use (any more)";
	case SIGN_WRONG:
		return "this URL was signed for another path or another client, or was changed";
	case SIGN_EXPIRED:
		return "this URL has expired: ask for a new one";
	}
	return "";
}

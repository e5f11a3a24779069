/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tokens.  Invariant: a secret is known to its bearer only; what is kept is its
 * SHA-256 (secrets made here have 256 random bits, so no salt is needed).
 */
#include "origin/tokens.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/words.h"
#include "origin/catalogue.h"

#define FILE_MAX ((size_t)64 << 10)
#define SECRET_MIN 16

struct token {
	int64_t id; /* 0: of the file */
	enum token_role role;
	struct sha256 hash;
	char *edge; /* or NULL */
	char *note;
	wall_us created, expires; /* expires 0: never */
};

struct tokens {
	struct catalogue *catalogue;
	pthread_mutex_t lock;
	struct token *v;
	size_t n, cap;
	bool known;
};

static const struct {
	enum token_role role;
	const char *name;
} roles[] = {
	{ROLE_ADMIN, "admin"}, {ROLE_PUBLISHER, "publisher"}, {ROLE_EDGE, "edge"}, {ROLE_VIEWER_STATS, "viewer-stats"},
};

int token_role_from_name(const char *name, enum token_role *ret_role)
{
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		if (strcmp(roles[i].name, name) == 0) {
			*ret_role = roles[i].role;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

const char *token_role_name(enum token_role role)
{
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		if (roles[i].role == role)
			return roles[i].name;
	return "none";
}

static void fini(struct token *k)
{
	free(k->edge);
	free(k->note);
}

static void add(struct tokens *t, const struct token *token)
{
	MEM_GROW(t->v, t->cap, t->n);
	t->v[t->n++] = *token;
}

static int read_line(struct tokens *t, const char *file, unsigned line, char *text, struct fault *f)
{
	struct token token = {.role = ROLE_ADMIN};
	char *save = NULL, *first, *second;

	text[strcspn(text, "#\r")] = '\0';
	first = strtok_r(text, " \t", &save);
	second = first != NULL ? strtok_r(NULL, " \t", &save) : NULL;
	if (first == NULL)
		return 0;
	if (second != NULL && (token_role_from_name(first, &token.role) != 0 || strtok_r(NULL, " \t", &save) != NULL))
		return fault_set(f, ERR_SYNTAX, _("%s:%u: expected TOKEN, or ROLE TOKEN with ROLE admin, publisher, edge or viewer-stats"),
		                 file, line);
	if (second == NULL)
		second = first;
	if (strlen(second) < SECRET_MIN)
		return fault_set(f, ERR_SYNTAX, _("%s:%u: a token has at least %d characters; make one with: openssl rand -hex 24"),
		                 file, line, SECRET_MIN);
	sha256_of(second, strlen(second), &token.hash);
	token.note = mem_dup("token file");
	add(t, &token);
	return 0;
}

static int read_token_file(struct tokens *t, const char *file, struct fault *f)
{
	char *save = NULL, *line;
	unsigned number = 0;
	struct buf b;
	int e;

	buf_init(&b, FILE_MAX);
	e = file_read(file, &b);
	if (e != 0) {
		buf_fini(&b);
		return fault_set(f, e, _("token file \"%s\": %s"), file, words_error(e));
	}
	if (file_is_shared(file))
		log_warn("origin/tokens", "others can read or write the token file; chmod 600 \"%s\"", file);
	for (line = strtok_r((char *)b.bytes, "\n", &save); e == 0 && line != NULL; line = strtok_r(NULL, "\n", &save))
		e = read_line(t, file, ++number, line, f);
	buf_fini(&b);
	if (e == 0 && t->n == 0)
		e = fault_set(f, ERR_SYNTAX, _("token file \"%s\" has no token in it; make one with: openssl rand -hex 24"), file);
	return e;
}

int tokens_new(const char *file, struct catalogue *catalogue, struct tokens **ret_tokens, struct fault *f)
{
	struct tokens *t = mem_new(sizeof *t);
	int e;

	t->catalogue = catalogue;
	pthread_mutex_init(&t->lock, NULL);
	e = file != NULL ? read_token_file(t, file, f) : 0;
	if (e != 0)
		tokens_free(&t);
	else
		*ret_tokens = t;
	return e;
}

void tokens_free(struct tokens **pt)
{
	struct tokens *t = *pt;

	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++)
		fini(&t->v[i]);
	free(t->v);
	pthread_mutex_destroy(&t->lock);
	free(t);
	*pt = NULL;
}

static void load_one(void *ctx, const struct catalogue_token *c)
{
	struct tokens *t = ctx;
	struct token token = {.id = c->id, .hash = c->hash, .created = c->created, .expires = c->expires};

	if (token_role_from_name(c->role, &token.role) != 0)
		return;
	token.note = mem_dup(c->note);
	token.edge = c->edge != NULL ? mem_dup(c->edge) : NULL;
	add(t, &token);
}

static void forget_loaded(struct tokens *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].id == 0)
			t->v[kept++] = t->v[i];
		else
			fini(&t->v[i]);
	}
	t->n = kept;
}

int tokens_load(struct tokens *t, struct fault *f)
{
	int e;

	pthread_mutex_lock(&t->lock);
	forget_loaded(t);
	e = catalogue_each_token(t->catalogue, load_one, t, f);
	t->known = t->known || e == 0;
	pthread_mutex_unlock(&t->lock);
	return e;
}

bool tokens_any(struct tokens *t)
{
	bool any;

	pthread_mutex_lock(&t->lock);
	any = t->n > 0;
	pthread_mutex_unlock(&t->lock);
	return any;
}

bool tokens_known(struct tokens *t)
{
	bool known;

	pthread_mutex_lock(&t->lock);
	known = t->known;
	pthread_mutex_unlock(&t->lock);
	return known;
}

enum token_role tokens_check(struct tokens *t, const char *token, size_t n, wall_us now, char ret_who[static 32],
                             char ret_edge[static TOKEN_EDGE_SIZE], bool *ret_chosen)
{
	enum token_role role = 0;
	struct sha256 hash;

	sha256_of(token, n, &hash);
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n; i++) { /* all of them: the time tells nothing */
		const struct token *have = &t->v[i];

		if (sha256_equal(&hash, &have->hash) && (have->expires == 0 || now < have->expires)) {
			role = have->role;
			*ret_chosen = have->id == 0;
			snprintf(ret_who, 32, "token %lld", (long long)have->id);
			snprintf(ret_edge, TOKEN_EDGE_SIZE, "%s", have->edge != NULL ? have->edge : "");
		}
	}
	pthread_mutex_unlock(&t->lock);
	return role;
}

static size_t count_role(const struct tokens *t, enum token_role role)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->v[i].role == role;
	return n;
}

static char *random_secret(void)
{
	struct sha256 bits;
	char hex[SHA256_HEX_SIZE];

	if (getrandom(bits.bytes, sizeof bits.bytes, 0) != (ssize_t)sizeof bits.bytes)
		return NULL;
	sha256_to_hex(&bits, hex);
	return mem_printf("rib_%s", hex);
}

int tokens_make(struct tokens *t, enum token_role role, const char *edge, const char *note, dur_us life, wall_us now, const char *who,
                int64_t *ret_id, char **ret_secret, struct fault *f)
{
	struct catalogue_token row = {.role = token_role_name(role), .edge = edge, .note = note, .created = now};
	char *secret = random_secret();
	int e = 0;

	if (secret == NULL)
		return fault_set(f, ERR_BUSY, "the system has no random bytes yet; try again");
	row.expires = life > 0 ? now + life : 0;
	sha256_of(secret, strlen(secret), &row.hash);
	pthread_mutex_lock(&t->lock);
	if (role != ROLE_ADMIN && count_role(t, ROLE_ADMIN) == 0)
		e = fault_set(f, ERR_EXISTS, "make an admin token first: once a token exists every request needs one");
	if (e == 0)
		e = catalogue_add_token(t->catalogue, &row, who, ret_id, f);
	if (e == 0)
		add(t, &(struct token){.id = *ret_id, .role = role, .hash = row.hash, .note = mem_dup(note), .created = now,
		                       .edge = edge != NULL ? mem_dup(edge) : NULL, .expires = row.expires});
	pthread_mutex_unlock(&t->lock);
	if (e == 0)
		*ret_secret = secret;
	else
		free(secret);
	return e;
}

static int revoke_at(struct tokens *t, size_t i, wall_us now, const char *who, struct fault *f)
{
	int e;

	if (t->v[i].role == ROLE_ADMIN && count_role(t, ROLE_ADMIN) == 1 && t->n > 1)
		return fault_set(f, ERR_EXISTS, "token %lld is the last of an admin; revoke the others first", (long long)t->v[i].id);
	e = catalogue_revoke_token(t->catalogue, t->v[i].id, who, now, f);
	if (e == 0) {
		fini(&t->v[i]);
		t->n--;
		memmove(&t->v[i], &t->v[i + 1], (t->n - i) * sizeof t->v[0]);
	}
	return e;
}

int tokens_revoke(struct tokens *t, int64_t id, wall_us now, const char *who, struct fault *f)
{
	int e = fault_set(f, ERR_NOT_FOUND, "there is no token %lld", (long long)id);

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; id > 0 && i < t->n; i++) {
		if (t->v[i].id == id) {
			e = revoke_at(t, i, now, who, f);
			break;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return e;
}

json_t *tokens_list(struct tokens *t)
{
	char created[CLOCK_RFC3339_SIZE], expires[CLOCK_RFC3339_SIZE];
	json_t *list = json_array();

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n; i++) {
		const struct token *k = &t->v[i];

		clock_to_rfc3339(k->created, created);
		clock_to_rfc3339(k->expires, expires);
		json_array_append_new(list, json_pack("{s:I, s:s, s:s?, s:s, s:s?, s:s?}", "id", (json_int_t)k->id, "role",
		                                      token_role_name(k->role), "edge", k->edge, "note", k->note, "created",
		                                      k->id != 0 ? created : NULL, "expires", k->expires != 0 ? expires : NULL));
	}
	pthread_mutex_unlock(&t->lock);
	return list;
}

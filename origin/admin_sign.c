/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin sign: a signed URL, made here with the key file, without asking the
 * origin.
 */
#include <stdio.h>
#include <string.h>

#include "origin/admin.h"
#include "base/words.h"
#include "serve/sign.h"

#define LIFE (12 * DUR_HOUR)
#define DEPTH 2 /* /v/TITLE/ */

/* Where the path of a URL begins; of a path, at its start.  NULL: neither. */
static const char *path_of(const char *url)
{
	const char *host = strstr(url, "://");

	return url[0] == '/' ? url : host != NULL ? strchr(host + 3, '/') : NULL;
}

static int print_signed(const struct admin *a, const struct sign_keys *keys, const char *url, struct fault *f)
{
	dur_us life = a->expires_seconds > 0 ? (dur_us)a->expires_seconds * DUR_S : LIFE;
	const char *path = path_of(url);
	wall_us expires = clock_wall() + life;
	char token[SIGN_TOKEN_SIZE], until[CLOCK_RFC3339_SIZE];
	struct sign_net net = {0};

	if (a->client != NULL && sign_net_read(a->client, &net) != 0)
		return fault_set(f, ERR_USAGE, _("client: found \"%s\", expected an address or a network such as 192.0.2.0/24"), a->client);
	if (path == NULL || strncmp(path, "/v/", 3) != 0 || sign_make(keys, path, DEPTH, expires, &net, token) != 0)
		return fault_set(f, ERR_USAGE, _("found \"%s\", expected http://HOST/v/TITLE/FILE or /v/TITLE/FILE"), url);
	clock_to_rfc3339(expires, until);
	if (a->json)
		printf("{\"url\": \"%.*s/s/%s%s\", \"expires\": \"%s\"}\n", (int)(path - url), url, token, path, until);
	else
		printf("%.*s/s/%s%s\n", (int)(path - url), url, token, path);
	return 0;
}

int admin_sign(const struct admin *a, char **args, struct fault *f)
{
	struct sign_keys *keys;
	int r;

	if (a->url_keys == NULL)
		return fault_set(f, ERR_USAGE, _("url_keys is not set: give --url-keys FILE, the file the origin has"));
	if (strpbrk(args[0], "\"\\ ?#") != NULL)
		return fault_set(f, ERR_USAGE, _("found \"%s\": a URL to sign has no query, spaces or quotes"), args[0]);
	r = sign_keys_load(a->url_keys, &keys, f);
	if (r < 0)
		return r;
	r = print_signed(a, keys, args[0], f);
	sign_keys_free(&keys);
	return r;
}

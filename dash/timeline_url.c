/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reference resolution (RFC 3986 5.2).  Stricter libraries refuse what packagers
 * write (spaces, accents, braces); here these bytes are percent-encoded, and only
 * what can be no address at all is refused.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "dash/timeline.h"

#define MAX_URL ((size_t)16 << 10)

struct part {
	const char *s; /* NULL: not there */
	size_t n;
};

struct uri {
	struct part scheme, authority, path, query;
};

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of "scheme:" without the colon, or 0 (RFC 3986 3.1). */
static size_t scheme_size(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || !is_alpha(*s))
		return 0;
	for (i = 1; i < n; i++)
		if (!is_alpha(s[i]) && !(s[i] >= '0' && s[i] <= '9') && strchr("+-.", s[i]) == NULL)
			break;
	return i < n && s[i] == ':' ? i : 0;
}

static size_t size_until(const char *s, size_t n, const char *marks)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strchr(marks, s[i]) != NULL)
			break;
	return i;
}

/* RFC 3986 appendix B, without the fragment. */
static int split(const char *s, struct uri *ret_uri)
{
	struct uri u = {0};
	size_t n = strlen(s), cut;

	while (n > 0 && strchr(" \t\r\n", *s) != NULL) {
		s++;
		n--;
	}
	while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL)
		n--;
	if (n > MAX_URL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return -1;
	n = size_until(s, n, "#");
	cut = scheme_size(s, n);
	if (cut > 0) {
		u.scheme = (struct part){s, cut};
		s += cut + 1;
		n -= cut + 1;
	}
	if (n >= 2 && s[0] == '/' && s[1] == '/') {
		cut = 2 + size_until(s + 2, n - 2, "/?");
		u.authority = (struct part){s + 2, cut - 2};
		s += cut;
		n -= cut;
	}
	cut = size_until(s, n, "?");
	u.path = (struct part){s, cut};
	if (cut < n)
		u.query = (struct part){s + cut + 1, n - cut - 1};
	*ret_uri = u;
	return 0;
}

/* What RFC 3986 2 lets stand; anything else becomes %XX. */
static void put(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c) != NULL)
			buf_printf(out, "%%%02X", c);
		else
			buf_putc(out, (char)c);
	}
}

static bool starts(const char *s, size_t n, const char *prefix)
{
	size_t k = strlen(prefix);

	return n >= k && memcmp(s, prefix, k) == 0;
}

static bool is(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* Takes away the last segment and its '/', but nothing in front of `from`. */
static void pop(struct buf *out, size_t from)
{
	size_t n = out->size;

	while (n > from && out->bytes[--n] != '/')
		;
	if (n < out->size) {
		out->size = n;
		out->bytes[n] = '\0';
	}
}

/* RFC 3986 5.2.4, written behind what `out` has. */
static void put_path(struct buf *out, const char *s, size_t n)
{
	size_t from = out->size;
	bool relative = n > 0 && *s != '/';

	while (n > 0) {
		size_t skip = 0;

		if (starts(s, n, "../"))
			skip = 3;
		else if (starts(s, n, "./") || starts(s, n, "/./"))
			skip = 2;
		else if (starts(s, n, "/../")) {
			pop(out, from);
			skip = 3;
		} else if (is(s, n, "/..")) {
			pop(out, from);
			put(out, "/", 1);
			break;
		} else if (is(s, n, "/.")) {
			put(out, "/", 1);
			break;
		} else if (is(s, n, ".") || is(s, n, "..")) {
			break;
		} else {
			skip = 1 + size_until(s + 1, n - 1, "/");
			put(out, s, skip);
		}
		s += skip;
		n -= skip;
	}
	/* A base that is itself relative stays so. */
	if (relative && out->size > from && out->bytes[from] == '/' && buf_error(out) == 0) {
		memmove(out->bytes + from, out->bytes + from + 1, out->size - from);
		out->size--;
	}
}

/* RFC 3986 5.2.3 and 5.2.4 */
static void put_merged(struct buf *out, const struct uri *base, struct part path)
{
	struct buf merged;
	size_t n = base->path.n;

	buf_init(&merged, 3 * MAX_URL);
	while (n > 0 && base->path.s[n - 1] != '/')
		n--;
	if (base->authority.s != NULL && base->path.n == 0)
		buf_puts(&merged, "/");
	buf_append(&merged, base->path.s, n);
	buf_append(&merged, path.s, path.n);
	put_path(out, buf_text(&merged), merged.size);
	buf_fini(&merged);
}

/* RFC 3986 5.2.2 and 5.3 */
static void resolve(struct buf *out, const struct uri *base, const struct uri *ref)
{
	bool whole = ref->scheme.s != NULL;
	const struct part *scheme = whole ? &ref->scheme : &base->scheme;
	const struct part *authority = whole || ref->authority.s != NULL ? &ref->authority : &base->authority;
	const struct part *query = &ref->query;

	if (scheme->s != NULL) {
		put(out, scheme->s, scheme->n);
		buf_putc(out, ':');
	}
	if (authority->s != NULL) {
		buf_puts(out, "//");
		put(out, authority->s, authority->n);
	}
	if (whole || ref->authority.s != NULL || (ref->path.n > 0 && *ref->path.s == '/')) {
		put_path(out, ref->path.s, ref->path.n);
	} else if (ref->path.n > 0) {
		put_merged(out, base, ref->path);
	} else {
		put_path(out, base->path.s, base->path.n); /* a base may have dot segments of its own */
		query = ref->query.s != NULL ? &ref->query : &base->query;
	}
	if (query->s != NULL) {
		buf_putc(out, '?');
		put(out, query->s, query->n);
	}
}

char *timeline_join_url(const char *base, const char *reference)
{
	struct uri b, r;
	struct buf out;

	if (base == NULL || reference == NULL || split(base, &b) != 0 || split(reference, &r) != 0)
		return NULL;
	buf_init(&out, 6 * MAX_URL);
	resolve(&out, &b, &r);
	if (buf_error(&out) != 0) {
		buf_fini(&out);
		return NULL;
	}
	buf_puts(&out, "");
	return buf_take(&out);
}

static bool is_file(const char *url)
{
	return strncasecmp(url, "file:", 5) == 0;
}

char *timeline_lead_url(const char *base, const char *reference)
{
	char *url = timeline_join_url(base, reference);

	if (url != NULL && is_file(url) && !is_file(base)) {
		free(url);
		url = NULL;
	}
	return url;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * CMCD lists: `bl=2900,bs,sid="6e2fb550"`, in any order.
 */
#include "serve/cmcd.h"

#include <string.h>

struct item {
	const char *key, *value; /* value without its quotes; NULL: none */
	size_t key_n, value_n;
};

/* Behind the quote that closes what begins at `p`. */
static const char *quoted_end(const char *p, const char *end)
{
	const char *quote = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL;

	if (quote != NULL && memchr(p, '\\', (size_t)(quote - p)) == NULL)
		return quote + 1;
	while (p < end && *p != '"')
		p += *p == '\\' && p + 1 < end ? 2 : 1;
	return p < end ? p + 1 : end;
}

/* The end of the item that starts at `p`: the next comma outside quotes. */
static const char *item_end(const char *p, const char *end)
{
	while (p < end && *p != ',')
		p = *p == '"' ? quoted_end(p + 1, end) : p + 1;
	return p;
}

static struct item split(const char *p, const char *end)
{
	const char *equals = memchr(p, '=', (size_t)(end - p));
	struct item i = {.key = p, .key_n = (size_t)((equals != NULL ? equals : end) - p)};

	if (equals == NULL)
		return i;
	i.value = equals + 1;
	i.value_n = (size_t)(end - i.value);
	if (i.value_n >= 2 && i.value[0] == '"' && end[-1] == '"') {
		i.value++;
		i.value_n -= 2;
	}
	return i;
}

static inline bool is_key(const struct item *i, const char *name)
{
	return i->key_n == strlen(name) && memcmp(i->key, name, strlen(name)) == 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* URLs are percent-encoded (CTA-5004 2).  What does not fit is as if it were not told. */
static void decode(const struct item *i, char *out, size_t size)
{
	size_t n = 0;

	for (size_t k = 0; i->value != NULL && k < i->value_n && n < size; k++) {
		const char *p = i->value + k;
		bool coded = *p == '%' && k + 2 < i->value_n && hex(p[1]) >= 0 && hex(p[2]) >= 0;

		out[n++] = coded ? (char)(hex(p[1]) * 16 + hex(p[2])) : *p;
		k += coded ? 2 : 0;
	}
	out[n < size ? n : 0] = '\0';
}

void cmcd_read(const char *text, size_t n, struct cmcd *cmcd)
{
	const char *end = text + n;

	for (const char *p = text, *stop; p < end; p = stop + 1) {
		struct item i;

		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		stop = item_end(p, end);
		i = split(p, stop);
		if (is_key(&i, "bs"))
			cmcd->starved = i.value == NULL || (i.value_n == 4 && memcmp(i.value, "true", 4) == 0);
		if (is_key(&i, "nor"))
			decode(&i, cmcd->next, sizeof cmcd->next);
		if (is_key(&i, "nrr"))
			decode(&i, cmcd->range, sizeof cmcd->range);
		if (is_key(&i, "sid") && i.value != NULL) {
			size_t size = i.value_n < CMCD_MAX_SESSION ? i.value_n : CMCD_MAX_SESSION;

			memcpy(cmcd->session, i.value, size);
			cmcd->session[size] = '\0';
		}
	}
}

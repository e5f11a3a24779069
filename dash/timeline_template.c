/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Template-based addresses (ISO/IEC 23009-1 5.3.9.4.4).
 */
#include <inttypes.h>
#include <string.h>

#include "dash/timeline_build.h"

#define MAX_WIDTH 32

static const struct {
	const char *name;
	size_t offset;
} identifiers[] = {
	{"Number", offsetof(struct timeline_names, number)},
	{"Time", offsetof(struct timeline_names, time)},
	{"Bandwidth", offsetof(struct timeline_names, bandwidth)},
	{"SubNumber", offsetof(struct timeline_names, sub_number)},
};
#define N_IDENTIFIERS (sizeof identifiers / sizeof identifiers[0])

/* "%0[width]d": its width, or -1 when s is something else. */
static int read_width(const char *s, size_t n)
{
	int width = 0;

	if (n < 4 || n > 5 || s[0] != '%' || s[1] != '0' || s[n - 1] != 'd')
		return -1;
	for (size_t i = 2; i < n - 1; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		width = width * 10 + (s[i] - '0');
	}
	return width <= MAX_WIDTH ? width : -1;
}

/* What stands between two dollars; false when it is no identifier. */
static bool expand_one(const char *s, size_t n, const struct timeline_names *names, struct buf *out)
{
	if (n == 0) {
		buf_putc(out, '$');
		return true;
	}
	if (n == 16 && memcmp(s, "RepresentationID", 16) == 0) {
		buf_puts(out, names->id != NULL ? names->id : "");
		return true;
	}
	for (size_t i = 0; i < N_IDENTIFIERS; i++) {
		size_t k = strlen(identifiers[i].name);
		int width = 1;

		if (n < k || memcmp(s, identifiers[i].name, k) != 0)
			continue;
		if (n > k)
			width = read_width(s + k, n - k);
		if (width < 0)
			continue;
		buf_printf(out, "%0*" PRIu64, width, *(const uint64_t *)((const char *)names + identifiers[i].offset));
		return true;
	}
	return false;
}

void timeline_expand(const char *template, const struct timeline_names *names, struct buf *out)
{
	for (const char *s = template; *s != '\0';) {
		const char *open = strchr(s, '$');
		const char *close = open != NULL ? strchr(open + 1, '$') : NULL;

		if (close == NULL) {
			buf_puts(out, s);
			return;
		}
		buf_append(out, s, (size_t)(open - s));
		if (expand_one(open + 1, (size_t)(close - open - 1), names, out)) {
			s = close + 1;
		} else {
			buf_putc(out, '$');
			s = open + 1;
		}
	}
}

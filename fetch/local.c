/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Between file: URLs and paths.  What a name may not have in a URL is percent-encoded.
 */
#include "fetch/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

bool local_is(const char *url)
{
	return strncasecmp(url, "file:", 5) == 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* RFC 8089 2: file:///path, file://localhost/path or file:/path */
static const char *skip_authority(const char *s)
{
	if (strncmp(s, "//", 2) != 0)
		return s;
	s += 2;
	return strncasecmp(s, "localhost/", 10) == 0 ? s + 9 : s;
}

char *local_path(const char *url)
{
	const char *s = local_is(url) ? skip_authority(url + 5) : "";
	char *path, *to;

	if (*s != '/')
		return NULL;
	path = to = mem_dup_n(s, strcspn(s, "?#"));
	for (s = path; *s != '\0'; s++) {
		bool escape = *s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0;

		*to++ = escape ? (char)(hex(s[1]) << 4 | hex(s[2])) : *s;
		if (escape)
			s += 2;
	}
	*to = '\0';
	return path;
}

char *local_url(const char *path)
{
	static const char digits[] = "0123456789ABCDEF";
	char *url = mem_new(strlen("file://") + 3 * strlen(path) + 1), *to = url + strlen("file://");

	memcpy(url, "file://", strlen("file://"));
	for (; *path != '\0'; path++) {
		unsigned char c = (unsigned char)*path;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~/", c) != NULL;

		if (plain) {
			*to++ = (char)c;
		} else {
			*to++ = '%';
			*to++ = digits[c >> 4];
			*to++ = digits[c & 15];
		}
	}
	*to = '\0';
	return url;
}

int local_open(const char *path, uint64_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r = 0; /* a pipe without a writer would wait */
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_size = (uint64_t)st.st_size;
	return fd;
}

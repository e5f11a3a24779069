/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Entries for the journal.  Values hold no line feeds (the log has replaced
 * them), so every field is a line KEY=VALUE.
 */
#include "base/journald.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_ENTRY 8192
#define MAX_NAME 48 /* of a key; the journal's limit is 64 with the prefix */

static bool is_ours(const char *stream)
{
	unsigned long long device, inode;
	struct stat st;
	char rest;

	return stream != NULL && sscanf(stream, "%llu:%llu%c", &device, &inode, &rest) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

int journald_open(void)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = JOURNALD_SOCKET};
	int fd;

	if (!is_ours(getenv("JOURNAL_STREAM")))
		return -1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&where, sizeof where) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* --- an entry -------------------------------------------------------------------------- */

struct entry {
	char bytes[MAX_ENTRY];
	size_t n;
};

static void put(struct entry *e, const char *s, size_t n)
{
	if (n > sizeof e->bytes - e->n)
		n = sizeof e->bytes - e->n;
	memcpy(e->bytes + e->n, s, n);
	e->n += n;
}

static bool fits(const struct entry *e, size_t n)
{
	return n + 2 * MAX_NAME <= sizeof e->bytes - e->n;
}

static void put_field(struct entry *e, const char *name, const char *value, size_t n)
{
	if (!fits(e, n))
		return;
	put(e, name, strlen(name));
	put(e, "=", 1);
	put(e, value, n);
	put(e, "\n", 1);
}

static void put_key(struct entry *e, const char *key, size_t key_n, const char *value, size_t n)
{
	char name[sizeof "RIBERA_" + MAX_NAME] = "RIBERA_";

	for (size_t i = 0; i < key_n; i++)
		name[7 + i] = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 'a' + 'A') : key[i];
	put_field(e, name, value, n);
}

/* How long the text is that the first n bytes of fmt make. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static size_t length_of(const char *fmt, size_t n, va_list args)
{
	char part[1024];
	va_list again;
	int length;

	if (n >= sizeof part)
		return SIZE_MAX;
	memcpy(part, fmt, n);
	part[n] = '\0';
	va_copy(again, args);
	length = vsnprintf(NULL, 0, part, again);
	va_end(again);
	return length < 0 ? SIZE_MAX : (size_t)length;
}
#pragma GCC diagnostic pop

static size_t key_length(const char *s)
{
	size_t n = 0;

	if (*s < 'a' || *s > 'z')
		return 0;
	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') || s[n] == '_')
		n++;
	return s[n] == '=' && n <= MAX_NAME ? n : 0;
}

static void put_values(struct entry *e, const struct journald_entry *j, const char *fmt, va_list args)
{
	for (const char *p = fmt; *p != '\0'; p++) {
		size_t n = p == fmt || p[-1] == ' ' ? key_length(p) : 0, quoted, from, to;
		const char *value = p + n + 1, *end;

		if (n == 0)
			continue;
		quoted = *value == '"';
		value += quoted;
		end = value + strcspn(value, quoted ? "\"" : " ");
		from = length_of(fmt, (size_t)(value - fmt), args);
		to = length_of(fmt, (size_t)(end - fmt), args);
		if (from <= to && to <= j->n)
			put_key(e, p, n, j->text + from, to - from);
		p = end - 1;
	}
}

int journald_send(int fd, const struct journald_entry *j, const char *fmt, va_list args)
{
	struct entry e = {.n = 0};
	char priority = (char)('0' + j->priority);

	put(&e, "MESSAGE=", 8);
	put(&e, j->where, strlen(j->where));
	put(&e, ": ", 2);
	put(&e, j->text, j->n);
	put(&e, "\n", 1);
	put_field(&e, "PRIORITY", &priority, 1);
	put_field(&e, "SYSLOG_IDENTIFIER", program_invocation_short_name, strlen(program_invocation_short_name));
	put_field(&e, "RIBERA_PART", j->where, strlen(j->where));
	put_field(&e, "RIBERA_LEVEL", j->level, strlen(j->level));
	put_values(&e, j, fmt, args);
	return send(fd, e.bytes, e.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

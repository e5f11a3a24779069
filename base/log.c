/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The log.  Bytes that could forge a line (control characters) are replaced.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/journald.h"
#include "base/str.h"

static int current_level = LOG_INFO;
static int journal = -1; /* set once */

static const struct {
	const char *name;
	int priority; /* syslog's */
} levels[] = {{"error", 3}, {"warn", 4}, {"info", 6}, {"verbose", 6}, {"debug", 7}};

void log_set_level(enum log_level level)
{
	__atomic_store_n(&current_level, (int)level, __ATOMIC_RELAXED);
}

int log_enabled(enum log_level level)
{
	return (int)level <= __atomic_load_n(&current_level, __ATOMIC_RELAXED);
}

int log_level_from_name(const char *name, enum log_level *ret_level)
{
	for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
		if (strcmp(levels[i].name, name) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

static size_t put_head(char *line, size_t size, enum log_level level, const char *where)
{
	char now[CLOCK_RFC3339_SIZE];
	int n;

	if (getenv("JOURNAL_STREAM") != NULL) {
		n = snprintf(line, size, "<%d>%s: ", levels[level].priority, where);
	} else {
		clock_to_rfc3339(clock_wall(), now);
		n = snprintf(line, size, "%s %s %s: ", now, levels[level].name, where);
	}
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static void open_journal(void)
{
	journal = journald_open();
}

void log_write(enum log_level level, const char *where, const char *fmt, ...)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct journald_entry entry = {.priority = levels[level].priority, .level = levels[level].name, .where = where};
	char line[2048];
	size_t n, head;
	va_list ap;
	int r;

	if (!log_enabled(level))
		return;
	pthread_once(&once, open_journal);
	head = n = put_head(line, sizeof line - 1, level, where);
	va_start(ap, fmt);
	r = vsnprintf(line + n, sizeof line - 1 - n, fmt, ap);
	va_end(ap);
	n += r < 0 ? 0 : (size_t)r;
	if (n > sizeof line - 2)
		n = sizeof line - 2;
	for (size_t i = head; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[n] = '\0';
	str_plain(line + head);
	entry.text = line + head;
	entry.n = n - head;
	va_start(ap, fmt);
	r = journal >= 0 ? journald_send(journal, &entry, fmt, ap) : -1;
	va_end(ap);
	if (r == 0)
		return;
	line[n++] = '\n';
	(void)file_write_all(STDERR_FILENO, line, n); /* if it fails there is nowhere left to say it */
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * base/journald: what an entry of the log is to the journal.
 */
#include "base/journald.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/lib/unit.h"

static char received[8192];

static int say(int fd, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static int say(int fd, const char *fmt, va_list args)
{
	char text[1024];
	struct journald_entry e = {.priority = 4, .level = "warn", .where = "edge/fill", .text = text};
	va_list again;

	va_copy(again, args);
	e.n = (size_t)vsnprintf(text, sizeof text, fmt, again);
	va_end(again);
	return journald_send(fd, &e, fmt, args);
}

/* The fields of the values; the whole entry is in `received`. */
static const char *entry(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *entry(const char *fmt, ...)
{
	int pair[2];
	ssize_t n;
	va_list args;
	char *last;

	CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	va_start(args, fmt);
	CHECK_INT(say(pair[0], fmt, args), 0);
	va_end(args);
	n = recv(pair[1], received, sizeof received - 1, 0);
	received[n > 0 ? n : 0] = '\0';
	close(pair[0]);
	close(pair[1]);
	last = strstr(received, "RIBERA_LEVEL=warn\n");
	return last != NULL ? last + 18 : "no level";
}

static int say_to(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int say_to(int fd, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = say(fd, fmt, args);
	va_end(args);
	return r;
}

Test(journald, an_entry_has_message_priority_and_part)
{
	CHECK_STR(entry("it is so"), "");
	CHECK(strstr(received, "MESSAGE=edge/fill: it is so\nPRIORITY=4\nSYSLOG_IDENTIFIER=") == received);
	CHECK(strstr(received, "\nRIBERA_PART=edge/fill\n") != NULL);
}

Test(journald, values_are_fields)
{
	CHECK_STR(entry("piece has a wrong hash: %s title=%s piece=%zu", "why", "film", (size_t)17), "RIBERA_TITLE=film\nRIBERA_PIECE=17\n");
	CHECK_STR(entry("path=\"%s\" error=\"%s\"", "/a b", "no such file"), "RIBERA_PATH=/a b\nRIBERA_ERROR=no such file\n");
	CHECK_STR(entry("url=%s:%d/x rate_kbps=%.1f", "http://h", 80, 1.5), "RIBERA_URL=http://h:80/x\nRIBERA_RATE_KBPS=1.5\n");
	CHECK_STR(entry("n=%.*s end=%d", 3, "abcdef", 7), "RIBERA_N=abc\nRIBERA_END=7\n");
	CHECK_STR(entry("name=%s", ""), "RIBERA_NAME=\n");
}

Test(journald, a_value_is_no_other_field)
{
	CHECK_STR(entry("refused name=\"%s\"", "x\" title=\"forged"), "RIBERA_NAME=x\" title=\"forged\n");
	CHECK_STR(entry("%s", "title=forged"), "");
	CHECK_STR(entry("A=%d --key=%s x%%=%d", 1, "v", 2), "");
}

Test(journald, a_journal_that_is_gone_is_told)
{
	int pair[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	close(pair[1]);
	CHECK(say_to(pair[0], "x") < 0);
	close(pair[0]);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram
 * an entry, each value of a message a field of its own, so that an operator asks
 * for `journalctl RIBERA_TITLE=film` instead of grepping.  Any thread.
 */
#ifndef RIBERA_BASE_JOURNALD_H
#define RIBERA_BASE_JOURNALD_H

#include <stdarg.h>
#include <stddef.h>

#define JOURNALD_SOCKET "/run/systemd/journal/socket"

/* A socket to the journal when standard error is the journal's (JOURNAL_STREAM names its device
 * and inode, systemd.exec(5)); -1: it is not, or there is none. */
int journald_open(void);

struct journald_entry {
	int priority;      /* syslog's */
	const char *level; /* ours */
	const char *where; /* "edge/fill" */
	const char *text;  /* the message as `fmt` makes it, without control characters; may be cut */
	size_t n;
};
/* Sends it with a field RIBERA_KEY for every ` key=%...` of `fmt` (the values' places are known from the format, so no
 * value can pretend to be another field).  Does not wait: 0, or -errno when the journal does not take it. */
int journald_send(int fd, const struct journald_entry *, const char *fmt, va_list);

#endif

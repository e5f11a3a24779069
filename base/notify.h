/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Telling the service manager how things stand: one datagram to the socket it
 * names in NOTIFY_SOCKET (the protocol of sd_notify(3), stable by promise).
 * Without a manager these do nothing.  Any thread.
 */
#ifndef RIBERA_BASE_NOTIFY_H
#define RIBERA_BASE_NOTIFY_H

#include "base/clock.h"

/* "READY=1", "STOPPING=1", "STATUS=...", several joined by newlines; cut at 500 bytes. */
void notify_manager(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How often the manager wants to hear "WATCHDOG=1" at the latest (WATCHDOG_USEC, for this
 * process), halved as sd_watchdog_enabled(3) advises; 0: not at all. */
dur_us notify_watchdog(void);

/* "RELOADING=1" with the time systemd asks for; READY=1 ends it. */
void notify_reloading(void);

#endif

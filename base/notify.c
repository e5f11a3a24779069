/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The service manager's socket.  Nobody there is no failure of ours.
 */
#include "base/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void send_state(const char *state, size_t n_state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = path != NULL ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof a.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(a.sun_path, path, n);
	if (path[0] == '@')
		a.sun_path[0] = '\0'; /* an abstract socket */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, state, n_state, MSG_NOSIGNAL, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

void notify_manager(const char *fmt, ...)
{
	char state[501];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(state, sizeof state, fmt, ap);
	va_end(ap);
	if (n > 0)
		send_state(state, (size_t)n < sizeof state ? (size_t)n : sizeof state - 1);
}

dur_us notify_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	long long us;

	if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()))
		return 0;
	us = strtoll(usec, &end, 10);
	return *end == '\0' && us > 1 ? us / 2 : 0;
}

void notify_reloading(void)
{
	notify_manager("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono());
}

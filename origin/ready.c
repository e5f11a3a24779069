/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Readiness.
 */
#include "origin/ready.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

int ready_write_ports(const char *path, uint16_t viewers, uint16_t control, struct fault *f)
{
	char text[80];
	int n = snprintf(text, sizeof text, "{\"viewers\": %u, \"control\": %u}\n", viewers, control);
	int e = file_write_atomic(path, text, (size_t)n, 0644);

	return e != 0 ? fault_set(f, e, "ports file \"%s\": %s", path, err_text(e)) : 0;
}

void ready_notify(const char *state)
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
	/* nobody there is no failure of ours */
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a,
	              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

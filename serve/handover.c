/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sockets from the environment, and into that of the next program.  The next
 * program is us again: the process is the same, so that a service manager needs
 * not be told, and only one at a time has the store and the catalogue.
 */
#include "serve/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "serve/serve.h"

#define FIRST 3 /* of LISTEN_FDS */
#define MAX_SOCKETS 128
#define PARKED 256 /* copies wait above the numbers they will get */
#define OURS "ribera-"
#define TRIAL_S 10 /* reading settings takes no longer */

static struct {
	bool read;
	size_t n;
	bool taken[MAX_SOCKETS];
	char *names; /* "a:b:c", or NULL */
} inherited;

static struct {
	size_t n;
	struct {
		int fd;
		unsigned index;
		uint64_t cookie;
	} v[MAX_SOCKETS];
} kept;

/* --- from the environment ---------------------------------------------------------- */

static void read_environment(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	uint64_t value;

	inherited.read = true;
	if (pid == NULL || n == NULL || str_parse_u64(pid, strlen(pid), &value) != 0 || value != (uint64_t)getpid())
		return; /* not for us */
	if (str_parse_u64(n, strlen(n), &value) == 0 && value <= MAX_SOCKETS)
		inherited.n = (size_t)value;
	else
		log_warn("serve", "LISTEN_FDS is \"%s\", expected a number up to %d: no sockets are taken", n, MAX_SOCKETS);
	inherited.names = mem_dup(names);
	for (size_t i = 0; i < inherited.n; i++)
		(void)fcntl(FIRST + (int)i, F_SETFD, FD_CLOEXEC);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

static void name_of(size_t i, char *out, size_t size)
{
	const char *p = inherited.names;

	out[0] = '\0';
	for (; p != NULL && i > 0; i--)
		p = (p = strchr(p, ':')) != NULL ? p + 1 : NULL;
	if (p != NULL)
		snprintf(out, size, "%.*s", (int)strcspn(p, ":"), p);
}

static in_port_t port_of(const struct sockaddr *a)
{
	return a->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)a)->sin6_port
	                                : ((const struct sockaddr_in *)(const void *)a)->sin_port;
}

static bool is_same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;

	if (a->sa_family != b->sa_family)
		return false;
	return a->sa_family == AF_INET6 ? memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0
	                                : a->sa_family == AF_INET && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

/* Of one of our listeners, not of a unit: those are "ribera-edge@madrid-1.socket". */
static bool is_place(const char *name)
{
	size_t n = sizeof OURS - 1;

	return str_starts(name, OURS) && name[n] != '\0' && name[n + strspn(name + n, "0123456789")] == '\0';
}

/* Is it a listening socket of this address?  One of ours also by its place. */
static bool fits(size_t i, const struct sockaddr *want, unsigned index)
{
	struct sockaddr_storage has = {0};
	socklen_t n = sizeof has, flag_n = sizeof(int);
	char name[64], mine[64];
	int listening = 0, fd = FIRST + (int)i;
	bool ours;

	name_of(i, name, sizeof name);
	snprintf(mine, sizeof mine, OURS "%u", index);
	ours = strcmp(name, mine) == 0;
	if (!ours && is_place(name))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &flag_n) != 0 || !listening ||
	    getsockname(fd, (struct sockaddr *)&has, &n) != 0 || !is_same_host(want, (struct sockaddr *)&has))
		return false;
	return port_of(want) == port_of((struct sockaddr *)&has) || (ours && port_of(want) == 0);
}

size_t handover_take(const struct sockaddr *want, unsigned index, int *ret_fds, size_t max)
{
	size_t n = 0;

	if (!inherited.read)
		read_environment();
	for (size_t i = 0; i < inherited.n && n < max; i++) {
		int fd = FIRST + (int)i;

		if (inherited.taken[i] || !fits(i, want, index))
			continue;
		inherited.taken[i] = true;
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		ret_fds[n++] = fd;
	}
	return n;
}

void serve_drop_inherited(void)
{
	for (size_t i = 0; i < inherited.n; i++)
		if (!inherited.taken[i]) {
			char name[64];

			name_of(i, name, sizeof name);
			log_warn("serve", "a socket that was handed to us is not used: no listener has its address name=\"%s\"", name);
			close(FIRST + (int)i);
			inherited.taken[i] = true;
		}
}

/* --- to the next program ----------------------------------------------------------- */

static bool is_kept(uint64_t cookie)
{
	for (size_t i = 0; i < kept.n; i++)
		if (kept.v[i].cookie == cookie)
			return true;
	return false;
}

void handover_keep(unsigned index, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t cookie = 0;
		socklen_t len = sizeof cookie;
		int fd;

		/* threads may share a socket */
		if (getsockopt(fds[i], SOL_SOCKET, SO_COOKIE, &cookie, &len) != 0 || is_kept(cookie) || kept.n == MAX_SOCKETS)
			continue;
		fd = fcntl(fds[i], F_DUPFD_CLOEXEC, PARKED);
		if (fd < 0) {
			log_error("serve", "cannot keep a listening socket for the next program: %s", err_text(-errno));
			continue;
		}
		kept.v[kept.n].fd = fd;
		kept.v[kept.n].index = index;
		kept.v[kept.n++].cookie = cookie;
	}
}

static void set_number(const char *name, long long value)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", value);
	setenv(name, text, 1);
}

int serve_hand_over(char *const argv[], struct fault *f)
{
	struct buf names;

	buf_init(&names, 4096);
	for (size_t i = 0; i < kept.n; i++) {
		if (dup2(kept.v[i].fd, FIRST + (int)i) < 0) /* which clears FD_CLOEXEC */
			return fault_set(f, -errno, "cannot hand over a listening socket: %s", err_text(-errno));
		buf_printf(&names, "%s" OURS "%u", i > 0 ? ":" : "", kept.v[i].index);
	}
	set_number("LISTEN_PID", getpid());
	set_number("LISTEN_FDS", (long long)kept.n);
	setenv("LISTEN_FDNAMES", buf_text(&names), 1);
	execvp(argv[0], argv);
	return fault_set(f, -errno, "cannot start \"%s\": %s", argv[0], err_text(-errno));
}

/* Until the child has ended.  ERR_TIMEOUT, or ERR_CANCELLED when this process was told to end: then it is killed. */
static int await(pid_t child, int *ret_status)
{
	struct pollfd fds[2] = {{.fd = pidfd_open(child, 0), .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	sigset_t ends;
	int n = 1;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	if (fds[0].fd >= 0) { /* else there is nothing to wait by */
		fds[1].fd = signalfd(-1, &ends, SFD_CLOEXEC); /* looked at, not read: they stay for the main loop */
		while ((n = poll(fds, 2, TRIAL_S * 1000)) < 0 && errno == EINTR)
			;
	}
	if (fds[0].fd >= 0 && fds[0].revents == 0) {
		kill(child, SIGKILL);
		(void)poll(fds, 1, 1000); /* what a disk holds ends later */
		(void)waitpid(child, ret_status, WNOHANG);
		n = n > 0 ? ERR_CANCELLED : ERR_TIMEOUT;
	} else {
		while (waitpid(child, ret_status, 0) < 0 && errno == EINTR)
			;
		n = 0;
	}
	for (int i = 0; i < 2; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return n;
}

int serve_try_program(char *const argv[], struct fault *f)
{
	static char check[] = "--check";
	extern char **environ;
	size_t n = 0;
	char **args;
	pid_t pid;
	int status = 0, e;

	while (argv[n] != NULL)
		n++;
	args = mem_new_array(n + 2, sizeof *args);
	memcpy(args, argv, n * sizeof *args);
	args[n] = check;
	e = posix_spawnp(&pid, argv[0], NULL, NULL, args, environ);
	free(args);
	if (e != 0)
		return fault_set(f, -e, "cannot start \"%s\": %s", argv[0], err_text(-e));
	e = await(pid, &status);
	if (e == ERR_CANCELLED)
		return fault_set(f, e, "told to end meanwhile");
	if (e != 0)
		return fault_set(f, e, "\"%s --check\" has not ended after %d s", argv[0], TRIAL_S);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return fault_set(f, ERR_USAGE, "\"%s --check\" fails with these settings: see above", argv[0]);
}

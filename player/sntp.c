/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The request's transmit time is a nonce, and an answer must return it: what anyone
 * else sends to our port is dropped.
 */
#include "player/sntp.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define PACKET 48
#define EPOCH INT64_C(2208988800) /* seconds from 1900 to 1970 */
#define ERA (INT64_C(1) << 32)

static uint64_t get_u32(const unsigned char *p)
{
	return (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
}

wall_us sntp_time(const unsigned char stamp[static 8])
{
	int64_t seconds = (int64_t)get_u32(stamp);

	if ((stamp[0] & 0x80) == 0)
		seconds += ERA; /* RFC 4330 3: behind 2036 */
	return (seconds - EPOCH) * DUR_S + (wall_us)((get_u32(stamp + 4) * DUR_S) >> 32);
}

/* "[::1]:123", "host:123", "host", "::1" */
static struct addrinfo *look_up(const char *server)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	bool bracket = server[0] == '[';
	const char *end = bracket ? strchr(server, ']') : strchr(server, ':');
	const char *port = end == NULL ? NULL : bracket ? (end[1] == ':' ? end + 2 : NULL) : end + 1;
	struct addrinfo *list = NULL;
	char *host;

	if (!bracket && end != NULL && strchr(end + 1, ':') != NULL) { /* an IPv6 address alone */
		end = NULL;
		port = NULL;
	}
	host = end != NULL ? mem_dup_n(server + bracket, (size_t)(end - server) - bracket) : mem_dup(server);
	if (getaddrinfo(host, port != NULL ? port : "123", &hints, &list) != 0)
		list = NULL;
	free(host);
	return list;
}

/* RFC 5905 14: of a server (mode 4) that knows the time (stratum 1 to 15, no alarm), and to our question. */
static bool is_answer(const unsigned char *answer, ssize_t n, const unsigned char *question)
{
	return n >= PACKET && (answer[0] & 7) == 4 && answer[0] >> 6 != 3 && answer[1] >= 1 && answer[1] <= 15 &&
	       memcmp(answer + 24, question + 40, 8) == 0 && get_u32(answer + 40) != 0;
}

static bool exchange(int fd, mono_us end, dur_us *ret_offset)
{
	unsigned char question[PACKET] = {4 << 3 | 3}, answer[PACKET + 512]; /* version 4, client */
	wall_us sent = clock_wall();
	dur_us left;

	if (getrandom(question + 40, 8, 0) != 8 || send(fd, question, sizeof question, 0) != (ssize_t)sizeof question)
		return false;
	while ((left = end - clock_mono()) > 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(left / DUR_MS) + 1) < 0 && errno != EINTR)
			return false;
		n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false; /* nobody listens there */
		if (!is_answer(answer, n, question))
			continue;
		/* T1 and T4 are ours, T2 and T3 the server's: ((T2 - T1) + (T3 - T4)) / 2 */
		*ret_offset = ((sntp_time(answer + 32) - sent) + (sntp_time(answer + 40) - clock_wall())) / 2;
		return true;
	}
	return false;
}

bool sntp_ask(const char *server, dur_us patience, dur_us *ret_offset)
{
	struct addrinfo *list = look_up(server);
	mono_us end = clock_mono() + patience;
	bool ok = false;

	for (const struct addrinfo *a = list; a != NULL && !ok && clock_mono() < end; a = a->ai_next) {
		int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			continue;
		/* of several addresses each has its share of the time */
		ok = connect(fd, a->ai_addr, a->ai_addrlen) == 0 &&
		     exchange(fd, a->ai_next != NULL ? clock_mono() + (end - clock_mono()) / 2 : end, ret_offset);
		close(fd);
	}
	if (list != NULL)
		freeaddrinfo(list);
	return ok;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * By itself, because the kernel's struct tcp_info and the C library's (which lacks the least round trip) exclude each other.
 */
#include "serve/trip.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

dur_us trip_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0)
		return 0;
	/* the smoothed one grows with the queue that a reply fills; ~0 is "none yet" */
	if (n >= offsetof(struct tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt && info.tcpi_min_rtt != 0 && info.tcpi_min_rtt != UINT32_MAX)
		return info.tcpi_min_rtt;
	return info.tcpi_rtt;
}

bool trip_traffic(int fd, uint64_t *ret_in, uint64_t *ret_out)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 || n < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
		return false;
	*ret_in = info.tcpi_bytes_received;
	*ret_out = info.tcpi_bytes_acked;
	return true;
}

int64_t trip_acknowledged(int fd)
{
	uint64_t in, out;

	return trip_traffic(fd, &in, &out) ? (int64_t)out : -1;
}

bool trip_is_open(int fd)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof info;

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 && info.tcpi_state == 1; /* TCP_ESTABLISHED, which the kernel's headers do not tell */
}

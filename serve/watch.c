/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Notices viewers who leave while their reply waits for bytes.  On HTTP/1.1 h2o
 * does not read while a request runs (what it would read moves the request's own
 * fields), so the kernel is asked at every tick, all waiting ones in one call.
 * HTTP/2 reads all the time and needs none of this.
 *
 * Invariant: a request is on its lane's list exactly while it waits.
 */
#include <poll.h>

#include "serve/inner.h"

#define AT_ONCE 256

void watch_begin(struct serve_request *r)
{
	if (r->req->version < 0x200)
		h2o_linklist_insert(&r->lane->waiting, &r->wait_link);
}

void watch_end(struct serve_request *r)
{
	if (h2o_linklist_is_linked(&r->wait_link))
		h2o_linklist_unlink(&r->wait_link);
}

/* Requests end inside: the list is only gone on with behind those asked about. */
static size_t look_at(struct lane *l, h2o_linklist_t **at)
{
	struct serve_request *asked[AT_ONCE];
	struct pollfd fds[AT_ONCE];
	size_t n = 0;

	for (; *at != &l->waiting && n < AT_ONCE; *at = (*at)->next) {
		asked[n] = H2O_STRUCT_FROM_MEMBER(struct serve_request, wait_link, *at);
		fds[n] = (struct pollfd){.fd = h2o_socket_get_fd(asked[n]->conn->sock), .events = POLLRDHUP};
		n++;
	}
	if (n == 0 || poll(fds, n, 0) <= 0)
		return n;
	for (size_t i = 0; i < n; i++)
		if ((fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
			body_leave(asked[i]); /* of HTTP/1.1, where one connection runs one request: no other is touched */
	return n;
}

void watch_look(struct lane *l)
{
	h2o_linklist_t *at = l->waiting.next;

	while (look_at(l, &at) == AT_ONCE)
		;
}

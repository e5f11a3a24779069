/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Listening sockets that outlive a process: given to us by the service manager
 * (LISTEN_FDS, as in sd_listen_fds(3)), or by us to the program that replaces us.
 * What connects meanwhile waits in their queue; nobody is refused.
 *
 * The main thread's alone.
 */
#ifndef RIBERA_SERVE_HANDOVER_H
#define RIBERA_SERVE_HANDOVER_H

#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"

/* Sockets that were given to us for this address: how many, at most `max`; they are the
 * caller's then.  `index` tells the process's listeners apart by the order in which they
 * are opened, so that port 0 finds its port again. */
size_t handover_take(const struct sockaddr *, unsigned index, int *ret_fds, size_t max);

/* Keeps copies of the sockets for the next program. */
void handover_keep(unsigned index, const int *fds, size_t n);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Work that gives way: what fetches, checks and journals in the background takes the processor when those who answer
 * somebody leave it.
 */
#ifndef RIBERA_BASE_BACKGROUND_H
#define RIBERA_BASE_BACKGROUND_H

/* Lowers the calling thread's priority, for good.  Where that cannot be done nothing changes. */
void background_thread(void);

#endif

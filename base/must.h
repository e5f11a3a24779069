/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Assertions that stay on in release builds.  They are for our own mistakes
 * only: a condition that depends on bytes from the network, the disk or a user
 * is an error to return, never a MUST.
 */
#ifndef RIBERA_BASE_MUST_H
#define RIBERA_BASE_MUST_H

/* Aborts with the place and the text of the condition when it is false. */
#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			must_fail(#cond, __FILE__, __LINE__, __func__);                            \
	} while (0)

/* Structs that travel through a void pointer start with `unsigned magic`. */
#define MUST_MAGIC(ptr, value) MUST((ptr) != NULL && (ptr)->magic == (value))

_Noreturn void must_fail(const char *cond, const char *file, int line, const char *func);

#endif

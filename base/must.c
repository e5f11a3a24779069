/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The end of a program that found itself wrong: one line, then abort(), so that
 * a core dump or the service manager sees it.
 */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void must_fail(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "ribera: broken invariant at %s:%d in %s: %s\n", file, line, func, cond);
	fflush(stderr);
	abort();
}

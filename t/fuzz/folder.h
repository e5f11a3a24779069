/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A folder of a fuzz target's own, in memory where there is such a place: it is
 * synced thousands of times a second.
 */
#ifndef RIBERA_T_FUZZ_FOLDER_H
#define RIBERA_T_FUZZ_FOLDER_H

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"

/* To be removed (folder_remove) and freed. */
static inline char *fuzz_folder(void)
{
	char *path = mem_printf("%s/ribera-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");

	MUST(mkdtemp(path) != NULL);
	return path;
}

#endif

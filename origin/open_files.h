/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The open files of the library: a second-chance list with a maximum.  Used by
 * revision.c alone; the public side is in revision.h.
 */
#ifndef RIBERA_ORIGIN_OPEN_FILES_H
#define RIBERA_ORIGIN_OPEN_FILES_H

#include "origin/revision.h"

/* Closes what the list has open of this revision.  Nobody reads it any more. */
void open_files_forget(struct open_files *, const struct revision *);

#endif

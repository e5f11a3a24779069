/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Poisons functions that cannot be used safely.  Included last, from the
 * compiler's command line (-include) for every file of ours.
 */
#ifndef RIBERA_BASE_BANNED_H
#define RIBERA_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* with clang, glibc's fortified headers make macros of some */
#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat

#pragma GCC poison sprintf vsprintf strcpy strcat strncpy strncat strtok atoi atol atof gets gmtime localtime asctime ctime

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Colours on terminals.
 */
#ifndef RIBERA_BASE_COLOUR_H
#define RIBERA_BASE_COLOUR_H

#include <stdbool.h>
#include <stdio.h>

/* May `out` get colours?  A terminal that is not dumb, and no NO_COLOR with a value (no-color.org). */
bool colour_is_wanted(FILE *out);

#define COLOUR_GOOD "\033[32m"
#define COLOUR_BAD "\033[31m"
#define COLOUR_WARN "\033[33m"
#define COLOUR_HEAD "\033[1m"
#define COLOUR_END "\033[0m"

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Common Media Client Data (CTA-5004), as far as a server acts on it.  Pure.
 */
#ifndef RIBERA_SERVE_CMCD_H
#define RIBERA_SERVE_CMCD_H

#include <stdbool.h>
#include <stddef.h>

#define CMCD_MAX_SESSION 64 /* CTA-5004: at most 64 characters */

#define CMCD_MAX_NEXT 255

struct cmcd {
	char session[CMCD_MAX_SESSION + 1]; /* sid, "" when not told; longer ones are cut */
	char next[CMCD_MAX_NEXT + 1];       /* nor: the next object, decoded; "" when not told or longer */
	char range[48];                     /* nrr: its range, "12323-48763" */
	bool starved;                       /* bs: the buffer ran empty before this request */
};

/* Reads one list of keys (the decoded query parameter, or one CMCD-* field) into
 * what `cmcd` holds already.  Unknown keys and what is malformed are passed over. */
void cmcd_read(const char *text, size_t n, struct cmcd *cmcd);

#endif

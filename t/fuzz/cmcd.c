/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * CMCD lists: any bytes, and the session stays within its bounds.
 */
#include <stdint.h>
#include <string.h>

#include "base/must.h"
#include "serve/cmcd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cmcd c = {.session = ""};

	cmcd_read((const char *)data, n, &c);
	MUST(strnlen(c.session, sizeof c.session) <= CMCD_MAX_SESSION);
	return 0;
}

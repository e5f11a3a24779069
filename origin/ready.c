/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Readiness.
 */
#include "origin/ready.h"

#include <stdio.h>

#include "base/file.h"
#include "base/words.h"

int ready_write_ports(const char *path, uint16_t viewers, uint16_t control, struct fault *f)
{
	char text[80];
	int n = snprintf(text, sizeof text, "{\"viewers\": %u, \"control\": %u}\n", viewers, control);
	int e = file_write_atomic(path, text, (size_t)n, 0644);

	return e != 0 ? fault_set(f, e, _("ports file \"%s\": %s"), path, words_error(e)) : 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where the catalogs are.
 */
#include "base/words.h"

#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "FOLDER-OF-THE-PROGRAM/locale", if there is such a folder. */
static const char *beside(char path[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || (size_t)(slash - path) + sizeof "/locale" > PATH_MAX)
		return NULL;
	memcpy(slash, "/locale", sizeof "/locale");
	return access(path, X_OK) == 0 ? path : NULL;
}

void words_start(const char *program)
{
	char path[PATH_MAX];
	const char *folder = beside(path);

	setlocale(LC_CTYPE, "");
	setlocale(LC_MESSAGES, "");
	bindtextdomain(program, folder != NULL ? folder : RIBERA_LOCALEDIR);
	bind_textdomain_codeset(program, "UTF-8"); /* what libass takes, and every terminal of today */
	textdomain(program);
}

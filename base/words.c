/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where the catalogs are.
 */
#include "base/words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static locale_t ours; /* words_start_here's, of the one thread that called it */

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

static void open_catalog(const char *program)
{
	char path[PATH_MAX];
	const char *folder = beside(path);

	bindtextdomain(program, folder != NULL ? folder : RIBERA_LOCALEDIR);
	bind_textdomain_codeset(program, "UTF-8"); /* what libass takes, and every terminal of today */
	bind_textdomain_codeset("libc", "UTF-8");
	textdomain(program);
}

void words_start(const char *program)
{
	setlocale(LC_CTYPE, "C.UTF-8"); /* text is UTF-8 whatever the terminal is, and "TITLE" is "title" in Turkey too */
	setlocale(LC_MESSAGES, "");
	open_catalog(program);
}

void words_start_here(const char *program)
{
	ours = newlocale(LC_MESSAGES_MASK, "", (locale_t)0);
	if (ours != (locale_t)0)
		uselocale(ours);
	open_catalog(program);
}

void words_end(void)
{
	if (ours == (locale_t)0)
		return;
	uselocale(LC_GLOBAL_LOCALE);
	freelocale(ours);
	ours = (locale_t)0;
}

locale_t words_pause(void)
{
	return uselocale(LC_GLOBAL_LOCALE);
}

void words_resume(locale_t was)
{
	uselocale(was);
}

void words_plain(void)
{
	setlocale(LC_MESSAGES, "C");
}

const char *words_error(int code)
{
	const char *text = err_text(code);

	return code < 0 && strerrordesc_np(-code) == text ? dgettext("libc", text) : gettext(text);
}

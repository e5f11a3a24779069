/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Words in the reader's language (LC_MESSAGES, by gettext), where people meet
 * them: the questions of setup, the help of ribera-admin and what is wrong with its
 * options, the player's window and status line.  Logs,
 * reports and all that programs read stay English, and numbers keep their point:
 * LC_NUMERIC is never set.  Catalogs are po/PROGRAM.LANGUAGE.po.
 */
#ifndef RIBERA_BASE_WORDS_H
#define RIBERA_BASE_WORDS_H

#include <libintl.h>

#define _(text) gettext(text)
#define N_(text) text /* of a table: marked here, translated where it is said */

/* Once, before threads: takes the locale of the environment and PROGRAM's catalog, beside the program where
 * it was built, else where catalogs are installed.  Without one all stays English. */
void words_start(const char *program);

#endif

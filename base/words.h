/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Words in the reader's language (LC_MESSAGES, by gettext), where people meet
 * them: --help, the questions of setup, what is wrong with options, settings and
 * masters, progress and results on a terminal, tables, the player's window and status line.
 * Logs, reports, JSON and all that programs read stay English (with --json complaints too), and
 * numbers keep their point: LC_NUMERIC is never set.  What libraries say (libxml2 of XML, FFmpeg of masters) is quoted as it is, and so are names of
 * a standard (Period, moov).  Catalogs are po/PROGRAM.LANGUAGE.po, each joined with po/base.LANGUAGE.po and po/dash.LANGUAGE.po, the words of the
 * rooms that several programs share.
 */
#ifndef RIBERA_BASE_WORDS_H
#define RIBERA_BASE_WORDS_H

#include <libintl.h>
#include <locale.h>

#define _(text) gettext(text)
#define N_(text) text /* of a table: marked here, translated where it is said */

/* Once, before threads: takes the locale of the environment and PROGRAM's catalog, beside the program where
 * it was built, else where catalogs are installed.  Without one all stays English. */
void words_start(const char *program);

/* The same for this thread alone, until words_end(): a service that speaks to whoever starts it, and whose threads
 * and later messages, which go to a log, stay English. */
void words_start_here(const char *program);
void words_end(void);

/* After words_start_here: between these the thread speaks English, for what it meets goes to the log.  Resume takes what pause gave. */
locale_t words_pause(void);
void words_resume(locale_t);

/* For the whole process, before further threads: from here on English, for what programs read (--json). */
void words_plain(void);

/* err_text() in the reader's language (errno's from libc's own catalog, where that is installed). */
const char *words_error(int code);

#endif

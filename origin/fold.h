/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Text as people search it: small letters without accents, cut into words.
 * "Canción" is found by "cancion".  Latin, Greek, Cyrillic and Armenian letters are
 * folded; scripts without spaces (Chinese, Japanese, Thai, ...) give a word per
 * letter; other letters stay as they are.  Bytes that are no UTF-8 part words.
 */
#ifndef RIBERA_ORIGIN_FOLD_H
#define RIBERA_ORIGIN_FOLD_H

#include <stddef.h>

#define FOLD_WORD_SIZE 64 /* with its NUL; longer words are cut between letters */

/* `word` is NUL-terminated, `n` its length, and lives during the call. */
typedef void (*fold_word_f)(void *ctx, const char *word, size_t n);
void fold_words(const char *utf8, fold_word_f each, void *ctx);

#endif

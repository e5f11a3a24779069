/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Languages as masters name them (ISO 639-2, mostly) and as MPD and HLS want
 * them (BCP 47, RFC 5646).  Pure.
 */
#ifndef RIBERA_INGEST_LANGUAGE_H
#define RIBERA_INGEST_LANGUAGE_H

#include <stdbool.h>

#define LANGUAGE_SIZE 24

/* Has it the shape of a language tag: "en", "pt-BR", "zh-Hant-TW"? */
bool language_is_tag(const char *);

/* "spa" gives "es", "pt-BR" stays; what is no tag or stands for nothing gives "und". */
void language_tag(const char *code, char ret_tag[static LANGUAGE_SIZE]);

/* The language's own name, "Español" for "es" or "es-MX"; NULL when it is not known here. */
const char *language_name(const char *tag);

#endif

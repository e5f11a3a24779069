/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Options for FFmpeg's parts.  One that is lost for want of memory would make something else than was asked for, and not a word of it.
 */
#ifndef RIBERA_INGEST_OPTIONS_H
#define RIBERA_INGEST_OPTIONS_H

#include <libavutil/dict.h>

#include "base/must.h"

static inline void options_set(AVDictionary **options, const char *name, const char *value)
{
	MUST(av_dict_set(options, name, value, 0) >= 0);
}

#endif

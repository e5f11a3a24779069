/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Colours: what a master's numbers mean (ITU-T H.273), and the way from HDR (PQ, HLG; Rec. ITU-R BT.2100) to
 * BT.709.  Pure, but for the table's file.
 */
#ifndef RIBERA_INGEST_TONE_H
#define RIBERA_INGEST_TONE_H

#include <libavutil/mastering_display_metadata.h>

#include "ingest/source.h"

struct colours {
	enum AVColorPrimaries primaries;
	enum AVColorTransferCharacteristic transfer;
	enum AVColorSpace matrix;
};

/* What a master of HDR says of its light; players fit it to their display by that. */
struct light {
	bool has_display, has_level;
	AVMasteringDisplayMetadata display; /* SMPTE ST 2086: where it was made; primaries and luminance are both there */
	AVContentLightMetadata level;       /* CTA-861.3: what is in it */
};

struct tone {
	struct colours in;  /* the master's; what it does not say, guessed as players do */
	struct colours out; /* of 8-bit renditions */
	bool is_hdr;        /* in is PQ or HLG: a table leads to out */
	struct light light; /* of HDR alone */
	double peak;        /* cd/m2 of the brightest picture, as the master says, or 1000 */
};

void tone_of(const struct source_info *, const AVFrame *first, struct tone *ret_tone);

/* R'G'B' (0 to 1) of the master to R'G'B' of BT.709 as a display of 203 cd/m2 shows it.  Hue stays. */
void tone_map(const struct tone *, const double in[static 3], double ret_out[static 3]);

/* Writes a table of that for libavfilter's lut3d under a temporary name; the caller unlinks and frees it. */
int tone_write_table(const struct tone *, char **ret_path, struct fault *);

#endif

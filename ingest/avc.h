/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * H.264 High by libx264.
 */
#ifndef RIBERA_INGEST_AVC_H
#define RIBERA_INGEST_AVC_H

#include "ingest/coder.h"

extern const struct coder avc_coder;

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * H.264's parameter sets (ITU-T H.264 7.3.2.1, 7.3.2.2), out of the decoder's configuration in the sample entry
 * (ISO/IEC 14496-15 5.3.3.1): what it takes to read a slice header.  Pure; any thread.
 */
#ifndef RIBERA_DASH_AVC_H
#define RIBERA_DASH_AVC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AVC_SPS_MAX 32
#define AVC_PPS_MAX 256

struct avc_sps {
	bool present, separate_planes, frames_only, gaps_allowed;
	unsigned chroma;                             /* chroma_format_idc: 0 is grey */
	unsigned frame_num_bits, poc_type, poc_bits; /* poc_bits: 0 unless poc_type is 0 */
	uint32_t ref_frames;
	uint32_t width, height;
};

struct avc_pps {
	bool present;
	uint32_t sps;
	bool whole;                  /* what follows could be read: no slice groups */
	bool cabac, bottom_order, weighted, redundant;
	unsigned bipred;             /* weighted_bipred_idc */
	uint32_t active[2];          /* num_ref_idx_lX_default_active */
};

struct avc_sets {
	unsigned length_size; /* bytes before each NAL unit */
	struct avc_sps sps[AVC_SPS_MAX];
	struct avc_pps pps[AVC_PPS_MAX];
};

/* 0 with all sets, each of a known sps; ERR_CORRUPT, and *ret is of no use. */
int avc_read(const uint8_t *config, size_t n, struct avc_sets *ret);

/* 7.4.1: the bytes of a NAL unit without the emulation prevention in them, at most `max`; how many. */
size_t avc_unescape(const uint8_t *nal, size_t n, uint8_t *out, size_t max);

#endif

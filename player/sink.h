/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where pictures and sound go.  All calls come from the presenter's thread (the
 * main one).  A sink without sound leaves the sound_ functions NULL; the
 * presenter then takes the clock for the ear.  A picture's pts and pkt_duration are
 * presentation time in microseconds.
 */
#ifndef RIBERA_PLAYER_SINK_H
#define RIBERA_PLAYER_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "player/keys.h"

struct AVFrame;
struct overlay_facts;

struct sink {
	void (*show)(struct sink *, const struct AVFrame *);
	bool all; /* it wants each picture, however late */
	void (*preview)(struct sink *, const struct AVFrame *); /* NULL, or: one on the way to another place: for eyes, not for records */
	/* ERR_UNSUPPORTED without a device: the picture plays alone.  *channels: wanted, and then what
	 * there are, in SDL's order (device.h) */
	int (*sound_open)(struct sink *, int rate, int *channels);
	/* `at`: presentation time of the first sample */
	void (*sound_put)(struct sink *, const float *interleaved, size_t n_samples, dur_us at);
	dur_us (*sound_left)(struct sink *); /* given and not yet heard; NULL: it records, and is no clock */
	void (*sound_run)(struct sink *, bool on);
	void (*sound_clear)(struct sink *);
	void (*sound_close)(struct sink *); /* NULL, or: sound_open comes again before anything else */
	struct command (*poll)(struct sink *); /* what was asked for in the window */
	int (*fd)(struct sink *); /* NULL, or: readable when poll has something; -1: poll must be called now and then */
	/* NULL, or: what stands over the picture from now on.  Where nothing is to be shown
	 * behind it (text alone), the last picture is drawn again. */
	void (*overlay)(struct sink *, const struct overlay_facts *);
	/* NULL, or: 1 full screen, 0 not, -1 the other way, -2 as it is; is it now? */
	bool (*full)(struct sink *, int how);
	/* NULL, or: the mouse has moved a moment ago, and where on the bar it is (0 to 1, -1: elsewhere) */
	bool (*wants_bar)(struct sink *, double *ret_hover);
	/* NULL, or what it is drawn on, in pixels, and how many of them there are to a point */
	void (*size)(struct sink *, int *ret_width, int *ret_height, double *ret_scale);
	int (*finish)(struct sink *, struct fault *); /* NULL, or at the end of playing: what went wrong */
	void (*free)(struct sink *);
};

struct sink *sink_null_new(void);
/* Records into an MP4 file. */
int sink_dump_new(const char *path, struct sink **ret_sink, struct fault *);
/* `height`: of the title's largest picture, 0 when it is not known; the window is as high at
 * least, within the screen.  ERR_UNSUPPORTED when it was not built in or there is no display;
 * the fault names the cure. */
int sink_sdl_new(const char *title, unsigned height, struct sink **ret_sink, struct fault *);

#endif

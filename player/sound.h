/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sound as a device hears it: one unbroken row of samples.  Frames are laid at
 * their time: a gap becomes silence, an overlap is cut, and what is less than
 * an ear can tell apart is left alone and told as drift.
 */
#ifndef RIBERA_PLAYER_SOUND_H
#define RIBERA_PLAYER_SOUND_H

#include "player/media.h"
#include "player/sink.h"

struct SwrContext;
struct tempo;

#define SOUND_SPANS 8 /* changes of speed within what a device holds */

struct sound {
	struct sink *sink;
	bool opened, silent;     /* silent: nobody takes samples */
	bool device;             /* what is heard can be asked: it is the clock */
	int rate, channels;      /* of the device */
	int max_channels;
	struct SwrContext *swr;
	int in_rate, in_format, in_channels;
	dur_us anchor;           /* time of sample 0 */
	uint64_t samples;        /* laid since */
	double speed;
	struct tempo *tempo;     /* NULL at speed 1 */
	uint64_t given;          /* samples, to the device */
	struct {
		uint64_t from;   /* of `given` */
		double speed;
	} spans[SOUND_SPANS];    /* the speeds of what may not be heard yet, the newest first */
	dur_us drift;            /* of the last frame against its place in the row */
	float *buffer;
	size_t cap;
};

/* For so many loudspeakers at most; 0: as many as there are. */
void sound_init(struct sound *, struct sink *, unsigned max_channels);
void sound_fini(struct sound *);
/* Closes the device, which costs energy also in silence; what it was given is lost.  The next frame opens it again. */
void sound_rest(struct sound *);
/* The next sample is heard at presentation time `at`. */
void sound_reset(struct sound *, dur_us at);
/* From now on faster or slower, at the same pitch. */
void sound_set_speed(struct sound *, double speed);
/* Where the row ends, in presentation time. */
dur_us sound_end(const struct sound *);
/* What is heard now, in presentation time, by the device; `clock` when there is none. */
dur_us sound_heard(const struct sound *, dur_us clock);
/* Lays a frame at its time; borrows it. */
void sound_put(struct sound *, const struct media_frame *);

#endif

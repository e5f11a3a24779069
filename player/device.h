/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A sound device through SDL 2, and what is heard of it at this moment.  One
 * thread, but for SDL's own, which takes samples.
 */
#ifndef RIBERA_PLAYER_DEVICE_H
#define RIBERA_PLAYER_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct device; /* hidden */

/* NULL without a device.  *channels: wanted, and then what the device has; in SDL's order
 * (SDL_audio.h: of six front left, right, centre, low frequencies, back left, right). */
struct device *device_new(int rate, int *channels);
void device_free(struct device **);
/* Interleaved; they are copied. */
void device_put(struct device *, const float *samples, size_t n_samples);
/* Given and not yet heard, at this moment. */
dur_us device_left(struct device *);
/* Off, silence is heard, and what was given stays. */
void device_run(struct device *, bool on);
/* What was given and not taken by the device is forgotten. */
void device_clear(struct device *);

#endif

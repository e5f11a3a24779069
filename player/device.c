/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SDL takes samples in lumps of 21 ms and says nothing of time.  When each lump will
 * have been heard is estimated from when it was taken: lumps follow each other without
 * a gap, and the moments at which they are taken jitter, so the estimate goes on by
 * a lump's length and is drawn to what it should be by a small part of the difference.
 * One that is taken more than a lump too late was waited for in silence, as little more
 * than one is ever under way, and all behind it is late.
 */
#include <config.h>

#include "player/device.h"

#ifdef HAVE_SDL

#include <SDL.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LUMP 1024                  /* samples at 48 kHz; more wakes cost more energy */
#define FAR (60 * DUR_MS)          /* further off than jitter is: begun anew */
#define DRAW 16                    /* the part of a difference that is believed at once */

struct device {
	SDL_AudioDeviceID id;
	int rate, channels;
	dur_us lump;
	int lumps;               /* under way when one was just taken, that one counted */
	/* under SDL's lock of the device */
	bool running;            /* else it hears silence, and when is known all along */
	float *row;              /* n samples, from first on */
	size_t first, n, cap;
	mono_us heard;           /* when all that was taken will have been heard; 0: nothing was */
};

static dur_us length(const struct device *d, size_t n_samples)
{
	return (dur_us)n_samples * DUR_S / d->rate;
}

/* Sound servers ask when they have nothing left; ALSA itself while the lump before is played. */
static int lumps_under_way(void)
{
	const char *driver = SDL_GetCurrentAudioDriver();

	return driver != NULL && strcmp(driver, "alsa") == 0 ? 2 : 1;
}

static void note_taken(struct device *d, mono_us now)
{
	mono_us by_now = now + d->lumps * d->lump, by_row = d->heard + d->lump, off = by_now - by_row;

	if (d->heard == 0 || off > FAR || off < -FAR)
		d->heard = by_now;
	else
		d->heard = by_row + (off > d->lump ? off - d->lump : off / DRAW);
}

static void take(void *ctx, Uint8 *out, int size)
{
	struct device *d = ctx;
	size_t frame = (size_t)d->channels * sizeof(float), want = (size_t)size / frame, n = !d->running ? 0 : want < d->n ? want : d->n;

	if (n > 0) /* there may be no row at all yet */
		memcpy(out, d->row + d->first * (size_t)d->channels, n * frame);
	memset(out + n * frame, 0, (want - n) * frame);
	d->first += n;
	d->n -= n;
	note_taken(d, clock_mono());
}

struct device *device_new(int rate, int *channels)
{
	struct device *d = mem_new(sizeof *d);
	SDL_AudioSpec want = {.freq = rate, .format = AUDIO_F32SYS, .channels = (Uint8)*channels,
		.samples = rate > 96000 ? 4 * LUMP : rate > 48000 ? 2 * LUMP : LUMP, .callback = take, .userdata = d}, got;

	d->id = SDL_OpenAudioDevice(NULL, 0, &want, &got, SDL_AUDIO_ALLOW_CHANNELS_CHANGE | SDL_AUDIO_ALLOW_SAMPLES_CHANGE);
	if (d->id == 0) {
		free(d);
		return NULL;
	}
	d->rate = rate;
	d->channels = *channels = got.channels;
	d->lump = length(d, got.samples);
	d->lumps = lumps_under_way();
	SDL_PauseAudioDevice(d->id, 0);
	return d;
}

void device_free(struct device **pd)
{
	struct device *d = *pd;

	if (d == NULL)
		return;
	SDL_CloseAudioDevice(d->id);
	free(d->row);
	free(d);
	*pd = NULL;
}

static void make_room(struct device *d, size_t n)
{
	size_t channels = (size_t)d->channels;

	if (d->first + d->n + n <= d->cap)
		return;
	if (d->n > 0)
		memmove(d->row, d->row + d->first * channels, d->n * channels * sizeof *d->row);
	d->first = 0;
	if (d->n + n > d->cap) {
		d->cap = 2 * (d->n + n);
		d->row = mem_resize(d->row, d->cap * channels, sizeof *d->row);
	}
}

void device_put(struct device *d, const float *samples, size_t n)
{
	size_t channels = (size_t)d->channels;

	if (n == 0)
		return;
	SDL_LockAudioDevice(d->id);
	make_room(d, n);
	memcpy(d->row + (d->first + d->n) * channels, samples, n * channels * sizeof *samples);
	d->n += n;
	SDL_UnlockAudioDevice(d->id);
}

/* A lump that is taken later than expected is heard in time all the same: below zero the row's own samples are under way. */
dur_us device_left(struct device *d)
{
	mono_us now = clock_mono();
	dur_us under_way, row;

	SDL_LockAudioDevice(d->id);
	row = length(d, d->n);
	under_way = d->heard != 0 && d->heard - now > -FAR ? d->heard - now : d->n > 0 ? d->lump : 0;
	SDL_UnlockAudioDevice(d->id);
	return row + under_way > 0 ? row + under_way : 0;
}

void device_run(struct device *d, bool on)
{
	SDL_LockAudioDevice(d->id);
	d->running = on;
	SDL_UnlockAudioDevice(d->id);
}

void device_clear(struct device *d)
{
	SDL_LockAudioDevice(d->id);
	d->n = d->first = 0;
	SDL_UnlockAudioDevice(d->id);
}

#endif

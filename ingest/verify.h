/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading a finished package as a stranger would, before it is published.
 *
 * Every fault names the file (which is the rendition), the segment and its time,
 * what is wrong, and the cure.  Calls may run in several threads at once; each
 * starts and ends threads of its own.
 */
#ifndef RIBERA_INGEST_VERIFY_H
#define RIBERA_INGEST_VERIFY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum verify_level {
	/* Every box, and every picture's header.  Decoded are the first picture of each segment and, whole, each
	 * segment whose turn it is: one of VERIFY_TURN, another in each rendition.  About 1 % of what encoding at
	 * `veryfast` takes; decoding all is 15 %. */
	VERIFY_SAMPLED,
	/* The same, and everything is decoded, each segment by a decoder that has seen no other. */
	VERIFY_FULL,
};
#define VERIFY_TURN 32

struct verify_settings {
	enum verify_level level;
	unsigned threads;           /* 0: one a core */
	uint64_t frames;            /* pictures that the master gave; 0: report.json's number */
	const char *schema;         /* an XML schema that the MPD must be valid to; NULL: none */
	bool progress;              /* show how far decoding is, on standard error */
	const volatile sig_atomic_t *stop; /* non-zero: give up soon with ERR_CANCELLED; may be NULL */
};

/* Sound against picture, milliseconds; positive: later than the picture. */
struct verify_sound {
	char file[64];
	double start_ms, end_ms;
	bool is_silent; /* from the first sample to the last; found by VERIFY_FULL alone */
};
#define VERIFY_MAX_SOUNDS 64

struct verify_facts {
	size_t files, tracks, segments;
	uint64_t bytes;
	uint64_t pictures;          /* in all renditions */
	uint64_t pictures_decoded;
	uint64_t samples_decoded;   /* of sound, each channel's counted once */
	size_t starts_decoded;      /* segments whose first picture was decoded alone */
	size_t segments_decoded;    /* whole */
	size_t texts, cues;         /* subtitle files, and what is in them */
	struct verify_sound sounds[VERIFY_MAX_SOUNDS];
	size_t n_sounds;
};

/* What the tracks, the MPD and the playlists in `folder` say and hold, without the
 * digest (which may not be made yet). */
int verify_content(const char *folder, const struct verify_settings *, struct verify_facts *ret_facts, struct fault *);

/* Every hash of the digest, and no file beside it; `*facts` gets files and bytes. */
int verify_hashes(const char *folder, const volatile sig_atomic_t *stop, struct verify_facts *facts, struct fault *);

/* Both, and that report.json speaks of these tracks. */
int verify_package(const char *folder, const struct verify_settings *, struct verify_facts *ret_facts, struct fault *);

/* Prints what was found right, in lines or as one JSON object. */
void verify_say(const char *folder, const struct verify_facts *, double seconds, bool json, FILE *out);
/* The lines of it that say what was decoded and how far sound stands from the picture. */
void verify_say_found(const struct verify_facts *, FILE *out);

#endif

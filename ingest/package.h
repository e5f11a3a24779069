/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What stands around the track files of a package: MPD, HLS playlists, report,
 * digest.  The tracks are finished when this is called.
 */
#ifndef RIBERA_INGEST_PACKAGE_H
#define RIBERA_INGEST_PACKAGE_H

#include <jansson.h>

#include "dash/package.h"
#include "ingest/language.h"
#include "ingest/plan.h"
#include "ingest/source.h"
#include "ingest/tone.h"
#include "ingest/track.h"
#include "ingest/verify.h"

struct ladder;
struct tiles_facts;

struct package_video {
	const struct track_facts *facts;
	const struct plan_rung *rung;
};

enum sound_kind { SOUND_PLAIN, SOUND_DUB, SOUND_COMMENTARY, SOUND_DESCRIPTION };

/* "sound", "dub", "commentary", "description" */
const char *sound_kind_name(enum sound_kind);

struct package_audio {
	const struct track_facts *facts;
	const char *name;         /* without ".mp4" */
	char language[LANGUAGE_SIZE]; /* BCP 47; "und" */
	const char *label;        /* "" if none */
	int channels, sample_rate;
	uint64_t bitrate;
	enum sound_kind kind;
	bool is_main;             /* the one to start with */
};

enum text_kind { TEXT_SUBTITLES, TEXT_FORCED, TEXT_SDH, TEXT_COMMENTARY };

/* "subtitles", "forced", "sdh", "commentary" */
const char *text_kind_name(enum text_kind);

#define PACKAGE_MAX_TEXTS 64

struct package_text {         /* texts.h */
	char file[72];            /* "text-es.vtt" */
	char language[LANGUAGE_SIZE];
	const char *label;        /* "" if none */
	enum text_kind kind;
	uint64_t bytes;
	size_t cues;
};

/* What a person should know; `text` is English, as the report is. */
struct package_note {
	const char *code, *text;
};

struct package {
	const char *folder;       /* where the tracks stand */
	const char *title, *name; /* slug and human name */
	const char *source;       /* the master's file name */
	const struct source_info *source_info; /* NULL: not told in the report */
	const char *preset;       /* the encoder's; NULL: not told */
	const struct plan *plan;
	const struct ladder *ladder; /* or NULL */
	uint64_t frames;
	struct package_video video[PLAN_MAX_RUNGS];
	size_t n_video;
	struct package_video av1[PLAN_MAX_RUNGS]; /* further ones */
	size_t n_av1;
	struct colours av1_colours;
	struct package_audio audio[4 * SOURCE_MAX_AUDIO];
	size_t n_audio;
	struct package_text text[PACKAGE_MAX_TEXTS];
	size_t n_text;
	json_t *chapters;         /* chapters.h; NULL: none */
	const struct tiles_facts *tiles; /* thumbnails; NULL: none */
	const struct package_note *notes;
	size_t n_notes;
	double encode_seconds;    /* wall */
};

/* Writes everything but the tracks into the folder, and checks what can be checked
 * without the digest, which is written last. */
int package_write(const struct package *, const struct verify_settings *, struct verify_facts *ret_facts, char ret_revision[static PACKAGE_REVISION_SIZE], struct fault *);

#endif

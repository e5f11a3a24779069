/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The subtitles of an ingest: those in the master and those in files of their
 * own; each becomes one WebVTT file of the package.
 */
#ifndef RIBERA_INGEST_TEXTS_H
#define RIBERA_INGEST_TEXTS_H

#include "ingest/package.h"
#include "ingest/source.h"

struct texts; /* hidden */

/* "es=film.es.srt", "en:forced=FILE", "en:sdh=FILE", "en:commentary=FILE" */
struct texts_settings {
	const char *const *files;
	size_t n_files;
};

/* What cannot become text, or lost cues: for the report.  `code` is a literal of doc/REPORT.md, `fmt` one marked with N_(). */
typedef void (*texts_warn_f)(void *ctx, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Reads the files, and gets ready for the master's streams.  Info must stay.  Faults name the file and the cure. */
int texts_new(const struct source_info *, const struct texts_settings *, texts_warn_f, void *ctx, struct texts **ret_texts, struct fault *);
void texts_free(struct texts **);

/* A packet of the master's text stream `text`. */
int texts_take(struct texts *, size_t text, const AVPacket *, struct fault *);

/* A picture in film time, in the order of showing: takes the closed captions (CEA-608 in ATSC A/53's data) that it carries. */
int texts_see(struct texts *, const AVFrame *, AVRational time_base, struct fault *);

/* The film begins at `zero` in the master's time and lasts `length`, microseconds: writes the files into `folder` and
 * fills package->text.  A stream without a cue is left out. */
int texts_end(struct texts *, int64_t zero, int64_t length, const char *folder, struct package *, struct fault *);

#endif

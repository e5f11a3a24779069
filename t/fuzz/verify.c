/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A track file of any content: the judge reads no byte outside it, and says what is
 * wrong or nothing.  Seeds are the track files of a small package.
 */
#include <libavutil/log.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/must.h"
#include "dash/bmff_track.h"
#include "ingest/verify_seen.h"

#define SAMPLES_MAX 64 /* what is decoded; decoding long inputs is slow and not ours */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	av_log_set_level(AV_LOG_QUIET);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct verify_settings settings = {.level = VERIFY_FULL, .threads = 1};
	struct fault f = {0};
	struct seen t = {.name = (char[]){"track.mp4"}, .fd = memfd_create("track", MFD_CLOEXEC), .size = n};
	struct verify v = {.folder = ".", .settings = &settings, .tracks = &t, .n_tracks = 1, .fault = &f};
	int r;

	MUST(t.fd >= 0 && file_write_all(t.fd, data, n) == 0);
	r = verify_track(&v, &t);
	MUST((r == 0) == (t.fault.code == 0) && (r == 0 || t.fault.text[0] != '\0'));
	if (r == 0 && verify_across(&v) == 0 && t.samples <= SAMPLES_MAX && (t.track->width <= 512 && t.track->height <= 512))
		MUST(verify_decode(&v) == 0 || f.text[0] != '\0');
	close(t.fd);
	free(t.cuts);
	bmff_movie_free(&t.movie);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Writing of one track file.  Fragments go to a hidden file beside the final one
 * while the encoder runs, since the index that stands in front of them is known
 * only at the end.
 */
#include "ingest/track.h"

#include <errno.h>
#include <fcntl.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "dash/bmff.h"
#include "dash/bmff_fragment.h"
#include "dash/bmff_header.h"
#include "dash/bmff_track.h"
#include "ingest/options.h"
#include "ingest/tone.h"

#define SEGMENT_MAX ((size_t)256 << 20)
#define HEADER_MAX ((size_t)1 << 20)

struct track {
	struct track_setup setup;
	struct track_facts facts;
	char *part, *final;      /* paths */
	int fd;
	AVCodecParameters *parameters;
	struct buf data;         /* of the segment in work */
	struct bmff_sample *samples;
	size_t n_samples, cap_samples;
	uint64_t time;           /* decode time of the next sample */
	uint64_t segment_time;   /* tfdt of the segment in work */
	struct track_segment *segments;
	size_t cap_segments;
	double error, ssim;      /* sums over the pictures of the segment in work that are known; error relative to full scale */
	size_t n_known;
	uint32_t sequence;
};

static int cannot(const struct track *t, int code, const char *what, struct fault *f)
{
	return fault_set(f, code, "%s: %s: %s%s", t->final, what, words_error(code),
	                 code == -ENOSPC ? _("; free space there and run the same command again") : "");
}

int track_new(const struct track_setup *s, struct track **ret_track, struct fault *f)
{
	struct track *t = mem_new(sizeof *t);

	t->setup = *s;
	t->parameters = avcodec_parameters_alloc();
	MUST(t->parameters != NULL && avcodec_parameters_copy(t->parameters, s->parameters) >= 0);
	t->part = mem_printf("%s/.%s.part", s->folder, s->name);
	t->final = mem_printf("%s/%s.mp4", s->folder, s->name);
	snprintf(t->facts.file, sizeof t->facts.file, "%s.mp4", s->name);
	t->facts.timescale = s->timescale;
	buf_init(&t->data, SEGMENT_MAX);
	t->fd = open(t->part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (t->fd < 0) {
		int r = cannot(t, -errno, "cannot be made", f);

		track_free(&t);
		return r;
	}
	*ret_track = t;
	return 0;
}

void track_free(struct track **pt)
{
	struct track *t = *pt;

	*pt = NULL;
	if (t == NULL)
		return;
	if (t->fd >= 0) {
		close(t->fd);
		unlink(t->part);
	}
	avcodec_parameters_free(&t->parameters);
	buf_fini(&t->data);
	free(t->samples);
	free(t->segments);
	free(t->part);
	free(t->final);
	free(t);
}

const struct track_facts *track_facts(const struct track *t)
{
	return &t->facts;
}

/* --- segments ------------------------------------------------------------------------- */

static void note_segment(struct track *t, uint64_t size)
{
	struct track_facts *k = &t->facts;
	int64_t shift = t->setup.lead - t->setup.edit_start; /* from decode time to presentation */
	int64_t start = (int64_t)t->segment_time + shift;

	MEM_GROW(t->segments, t->cap_segments, k->n_segments);
	t->segments[k->n_segments++] = (struct track_segment){
		.size = size,
		.start = start < 0 ? 0 : start,
		.duration = (uint64_t)((int64_t)t->time + shift - (start < 0 ? 0 : start)),
		.sync = (t->samples[0].flags & BMFF_FLAG_IS_NON_SYNC) == 0,
		.psnr = t->n_known > 0 ? -10 * log10(t->error / (double)t->n_known) : 0,
		.ssim = t->n_known > 0 ? t->ssim / (double)t->n_known : 0,
	};
	t->error = t->ssim = 0;
	t->n_known = 0;
	k->segments = t->segments;
}

static void note_quality(struct track *t, const struct quality *q)
{
	if (!q->known)
		return;
	t->error += pow(10, -q->psnr / 10);
	t->ssim += q->ssim;
	t->n_known++;
}

static int close_segment(struct track *t, struct fault *f)
{
	struct bmff_fragment_head head = {
		.sequence = ++t->sequence,
		.track_id = 1,
		.tfdt = t->segment_time,
		.samples = t->samples,
		.n_samples = t->n_samples,
		.rolls = t->setup.roll_distance != 0,
	};
	struct buf boxes;
	int r;

	if (t->n_samples == 0)
		return 0;
	buf_init(&boxes, HEADER_MAX * 16);
	r = bmff_fragment_write(&head, &boxes);
	if (r == 0)
		r = file_write_all(t->fd, boxes.bytes, boxes.size);
	if (r == 0)
		r = file_write_all(t->fd, t->data.bytes, t->data.size);
	if (r == 0)
		note_segment(t, boxes.size + t->data.size);
	else
		cannot(t, r, "cannot be written", f);
	buf_fini(&boxes);
	buf_clear(&t->data);
	t->n_samples = 0;
	return r;
}

int track_add(struct track *t, const struct track_sample *s, struct fault *f)
{
	int r;

	if (s->starts_segment && t->n_samples > 0) {
		r = close_segment(t, f);
		if (r != 0)
			return r;
	}
	if (t->n_samples == 0)
		t->segment_time = t->time;
	MEM_GROW(t->samples, t->cap_samples, t->n_samples);
	t->samples[t->n_samples++] = (struct bmff_sample){
		.composition = s->composition,
		.size = (uint32_t)s->size,
		.duration = s->duration,
		.flags = s->sync ? BMFF_FLAGS_SYNC : BMFF_FLAGS_NON_SYNC,
	};
	t->time += s->duration;
	t->facts.samples++;
	note_quality(t, &s->quality);
	r = buf_append(&t->data, s->bytes, s->size);
	return r == 0 ? 0 : fault_set(f, r, _("%s: segment %zu is over %zu MiB; is the bitrate right?"), t->facts.file,
	                              t->facts.n_segments, SEGMENT_MAX >> 20);
}

/* --- the file -------------------------------------------------------------------------- */

/* ISO/IEC 14496-12 12.1.6 and 12.1.7: libavformat makes the boxes of what the stream has beside it. */
static void put_light(AVStream *st, const struct light *light)
{
	void *display = light != NULL && light->has_display ? av_stream_new_side_data(st, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, sizeof light->display) : NULL;
	void *level = light != NULL && light->has_level ? av_stream_new_side_data(st, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, sizeof light->level) : NULL;

	if (display != NULL)
		memcpy(display, &light->display, sizeof light->display);
	if (level != NULL)
		memcpy(level, &light->level, sizeof light->level);
}

/* ftyp and moov as libavformat writes them for these parameters. */
static int avformat_header(const struct track *t, uint8_t **ret_bytes, int *ret_n, struct fault *f)
{
	AVFormatContext *c = NULL;
	AVDictionary *options = NULL;
	AVStream *st;
	int r = avformat_alloc_output_context2(&c, NULL, "mp4", NULL);

	MUST(r >= 0 && avio_open_dyn_buf(&c->pb) >= 0);
	st = avformat_new_stream(c, NULL);
	MUST(st != NULL && avcodec_parameters_copy(st->codecpar, t->parameters) >= 0);
	st->codecpar->codec_tag = 0;
	st->time_base = (AVRational){1, (int)t->setup.timescale};
	st->avg_frame_rate = t->setup.frame_rate;
	st->sample_aspect_ratio = st->codecpar->sample_aspect_ratio;
	put_light(st, t->setup.light);
	c->flags |= AVFMT_FLAG_BITEXACT;
	options_set(&options, "movflags", "empty_moov+default_base_moof+cmaf+write_colr");
	options_set(&options, "use_editlist", "0");
	r = avformat_write_header(c, &options);
	av_dict_free(&options);
	if (r >= 0 && c->pb->error < 0)
		r = c->pb->error;
	*ret_n = avio_close_dyn_buf(c->pb, ret_bytes);
	c->pb = NULL;
	avformat_free_context(c);
	if (*ret_bytes == NULL) /* it gives its memory up when it cannot have more, and still tells a size */
		return fault_set(f, -ENOMEM, _("out of memory"));
	return r < 0 ? fault_set(f, ERR_MEDIA, _("%s: its header cannot be made"), t->facts.file) : 0;
}

static int make_header(struct track *t, struct buf *out, struct fault *f)
{
	struct bmff_header_settings s = {
		.has_edit = true,
		.edit_start = t->setup.edit_start,
		.edit_duration = t->facts.duration,
		.roll_distance = t->setup.roll_distance,
		.duration = t->facts.duration,
	};
	uint8_t *bytes = NULL;
	int n = 0, r = avformat_header(t, &bytes, &n, f);

	if (r == 0)
		r = bmff_header_make(bytes, (size_t)n, &s, out, f);
	av_free(bytes);
	return r;
}

static int read_codecs(struct track *t, const struct buf *header, struct fault *f)
{
	struct bmff_movie *movie;
	int r = bmff_movie_read(header->bytes, header->size, &movie, f);

	if (r != 0)
		return r;
	snprintf(t->facts.codecs, sizeof t->facts.codecs, "%s", movie->tracks[0].codecs);
	bmff_movie_free(&movie);
	return 0;
}

static int make_index(struct track *t, struct buf *out)
{
	struct track_facts *k = &t->facts;
	struct bmff_sidx x = {.reference_id = 1, .timescale = k->timescale, .n_entries = k->n_segments};
	int r;

	x.entries = mem_new_array(k->n_segments, sizeof *x.entries);
	for (size_t i = 0; i < k->n_segments; i++)
		x.entries[i] = (struct bmff_sidx_entry){
			.size = (uint32_t)k->segments[i].size,
			.duration = (uint32_t)k->segments[i].duration,
			.starts_with_sap = k->segments[i].sync,
			.sap_type = k->segments[i].sync,
		};
	r = bmff_sidx_write(&x, out);
	free(x.entries);
	return r;
}

static int copy_fragments(struct track *t, int to)
{
	off_t from = 0, size = lseek(t->fd, 0, SEEK_END);

	while (from < size) {
		ssize_t n = copy_file_range(t->fd, &from, to, NULL, (size_t)(size - from), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	return 0;
}

static int write_final(struct track *t, const struct buf *header, const struct buf *index)
{
	int fd = open(t->final, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, header->bytes, header->size);
	if (r == 0)
		r = file_write_all(fd, index->bytes, index->size);
	if (r == 0)
		r = copy_fragments(t, fd);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r != 0)
		unlink(t->final);
	return r;
}

/* Sound that the encoder made behind the end of the film is not presented. */
static void clip_to(struct track *t, uint64_t presented)
{
	struct track_facts *k = &t->facts;

	k->duration = presented > 0 ? presented : (uint64_t)((int64_t)t->time + t->setup.lead - t->setup.edit_start);
	for (size_t i = 0; i < k->n_segments; i++) {
		struct track_segment *s = &t->segments[i];

		if ((uint64_t)s->start + s->duration > k->duration)
			s->duration = k->duration > (uint64_t)s->start ? k->duration - (uint64_t)s->start : 0;
	}
}

int track_finish(struct track *t, uint64_t presented, struct fault *f)
{
	struct buf header, index;
	int r = close_segment(t, f);

	if (r != 0)
		return r;
	if (t->facts.n_segments == 0)
		return fault_set(f, ERR_MEDIA, _("%s: the encoder gave nothing"), t->facts.file);
	clip_to(t, presented);
	buf_init(&header, HEADER_MAX);
	buf_init(&index, HEADER_MAX);
	r = make_header(t, &header, f);
	if (r == 0)
		r = read_codecs(t, &header, f);
	if (r == 0)
		r = make_index(t, &index);
	if (r == 0) {
		r = write_final(t, &header, &index);
		if (r != 0)
			cannot(t, r, "cannot be written", f);
	}
	close(t->fd);
	unlink(t->part);
	t->fd = -1;
	t->facts.header_size = header.size;
	t->facts.index_size = index.size;
	t->facts.size = header.size + index.size;
	for (size_t i = 0; i < t->facts.n_segments; i++)
		t->facts.size += t->segments[i].size;
	buf_fini(&header);
	buf_fini(&index);
	return r;
}

/* --- rates ----------------------------------------------------------------------------- */

uint64_t track_bandwidth(const struct track_facts *k, double buffer_seconds)
{
	double most = 0;

	for (size_t i = 0; i < k->n_segments; i++) {
		double bits = 0;

		for (size_t j = i; j < k->n_segments; j++) {
			double at = (double)(k->segments[j].start - k->segments[i].start) / k->timescale;

			bits += 8.0 * (double)k->segments[j].size;
			if (bits / (buffer_seconds + at) > most)
				most = bits / (buffer_seconds + at);
		}
	}
	return (uint64_t)most + 1;
}

uint64_t track_average(const struct track_facts *k)
{
	return k->duration > 0 ? (uint64_t)(8.0 * (double)k->size * k->timescale / (double)k->duration) : 0;
}

uint64_t track_peak(const struct track_facts *k)
{
	double most = 0;

	for (size_t i = 0; i < k->n_segments; i++) {
		double rate = k->segments[i].duration > 0 ? 8.0 * (double)k->segments[i].size * k->timescale / (double)k->segments[i].duration : 0;

		/* the last one may be a few frames: its rate says nothing */
		if (rate > most && (i + 1 < k->n_segments || k->n_segments == 1))
			most = rate;
	}
	return (uint64_t)most + 1;
}

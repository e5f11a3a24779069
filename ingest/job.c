/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pipeline: one thread decodes, mends and scales; every rendition's encoder
 * has its own.  Sound is held back until the picture has come as far, so that
 * sound behind the film's end is never encoded.
 */
#include "ingest/job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/progress.h"
#include "base/str.h"
#include "ingest/encode.h"
#include "ingest/filter.h"
#include "ingest/package.h"
#include "ingest/poster.h"
#include "ingest/publish.h"
#include "ingest/verify.h"

#define MAX_SOUNDS 32
#define HELD_MAX_BYTES ((size_t)256 << 20)
#define AHEAD_SECONDS 1.0 /* how far sound may run ahead of the picture before it waits */
#define MAX_WARNINGS 32

struct held {
	AVFrame *frame;
	struct held *next;
};

/* One audio stream of the master: one or two renditions (5.1 and a stereo mix). */
struct sound {
	int rate;
	size_t n;
	int channels[2];
	uint64_t bitrate[2];
	char name[2][64];
	struct filter *filter[2];
	struct encode *encode[2];
	struct held *first, **last; /* decoded, waiting for the picture */
	AVRational time_base;
};

struct job {
	const struct job_settings *settings;
	struct fault *fault;
	struct source *source;
	const struct source_info *info;
	struct plan plan;
	char *folder;            /* in work */
	struct filter *pictures;
	struct encode *video[PLAN_MAX_RUNGS];
	struct sound sounds[SOURCE_MAX_AUDIO];
	size_t held_bytes;
	AVFrame *poster;         /* the best picture so far of the first minute */
	double poster_worth;
	AVFrame *picture;        /* the newest, not yet filtered: it stands until the next one's place on the grid */
	int64_t picture_place;
	double picture_time;     /* seconds of the newest picture */
	uint64_t frames;         /* on the grid */
	struct progress *progress;
	char *warnings[MAX_WARNINGS];
	size_t n_warnings;
};

static void warn(struct job *j, char *text)
{
	if (j->n_warnings < MAX_WARNINGS) {
		if (!j->settings->quiet)
			fprintf(stderr, "note: %s\n", text);
		j->warnings[j->n_warnings++] = text;
	} else {
		free(text);
	}
}

/* --- plan --------------------------------------------------------------------------------- */

int job_plan(const struct job_settings *s, const struct source_info *i, struct plan *ret_plan, struct fault *f)
{
	struct plan_input in = {
		.width = i->width,
		.height = i->height,
		.sar = i->sar,
		.rotation = i->rotation,
		.frame_rate = i->frame_rate,
		.segment_seconds = s->segment_seconds,
		.max_height = s->max_height,
		.max_rungs = s->max_rungs,
	};

	return plan_make(&in, ret_plan, f);
}

/* RFC 5646 2.2.1: the shortest code; ISO 639-2 to 639-1 for what masters mostly say. */
static const char *language_tag(const char *code)
{
	static const char map[][2][4] = {
		{"eng", "en"}, {"spa", "es"}, {"fra", "fr"}, {"fre", "fr"}, {"deu", "de"}, {"ger", "de"}, {"ita", "it"}, {"por", "pt"},
		{"cat", "ca"}, {"eus", "eu"}, {"baq", "eu"}, {"glg", "gl"}, {"nld", "nl"}, {"dut", "nl"}, {"swe", "sv"}, {"dan", "da"},
		{"nor", "no"}, {"fin", "fi"}, {"isl", "is"}, {"pol", "pl"}, {"ces", "cs"}, {"cze", "cs"}, {"slk", "sk"}, {"slo", "sk"},
		{"hun", "hu"}, {"ron", "ro"}, {"rum", "ro"}, {"bul", "bg"}, {"ell", "el"}, {"gre", "el"}, {"tur", "tr"}, {"rus", "ru"},
		{"ukr", "uk"}, {"ara", "ar"}, {"heb", "he"}, {"hin", "hi"}, {"zho", "zh"}, {"chi", "zh"}, {"jpn", "ja"}, {"kor", "ko"},
		{"vie", "vi"}, {"tha", "th"}, {"ind", "id"}, {"msa", "ms"}, {"may", "ms"}, {"hrv", "hr"}, {"srp", "sr"}, {"slv", "sl"},
	};

	for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
		if (strcmp(map[i][0], code) == 0)
			return map[i][1];
	return code;
}

static bool unique_name(const struct job *j, const char *name)
{
	for (size_t a = 0; a < j->info->n_audio; a++)
		for (size_t i = 0; i < j->sounds[a].n; i++)
			if (strcmp(j->sounds[a].name[i], name) == 0)
				return false;
	return true;
}

static void add_sound(struct job *j, struct sound *s, const char *language, int channels, uint64_t bitrate)
{
	static const char *const kinds[] = {[1] = "mono", [2] = "stereo", [6] = "5.1"};
	char name[64];

	snprintf(name, sizeof name, "audio-%s-%s-%lluk", language, kinds[channels], (unsigned long long)bitrate / 1000);
	for (unsigned n = 2; !unique_name(j, name); n++)
		snprintf(name, sizeof name, "audio-%s-%s-%lluk-%u", language, kinds[channels], (unsigned long long)bitrate / 1000, n);
	s->channels[s->n] = channels;
	s->bitrate[s->n] = bitrate;
	memcpy(s->name[s->n], name, sizeof name);
	s->n++;
}

static void plan_sounds(struct job *j)
{
	for (size_t a = 0; a < j->info->n_audio; a++) {
		const struct source_audio *in = &j->info->audio[a];
		struct sound *s = &j->sounds[a];
		char *language = str_slug(language_tag(in->language));

		s->last = &s->first;
		s->rate = in->sample_rate == 44100 ? 44100 : 48000;
		if (in->channels == 1)
			add_sound(j, s, language, 1, 96000);
		else
			add_sound(j, s, language, 2, 128000);
		if (in->channels >= 6)
			add_sound(j, s, language, 6, 320000);
		free(language);
	}
}

/* --- encoders ------------------------------------------------------------------------------- */

static int start_video(struct job *j, const AVFrame *first)
{
	int r = filter_new_video(j->info, &j->plan, first, &j->pictures, j->fault);

	for (size_t i = 0; r == 0 && i < j->plan.n_rungs; i++) {
		struct encode_video v = {
			.folder = j->folder,
			.plan = &j->plan,
			.rung = &j->plan.rungs[i],
			.preset = j->settings->preset,
			/* x264 under a VBV gives other bits each time when several threads share one encoder; the renditions
			 * run side by side, so the cores are busy all the same */
			.threads = 1,
			.primaries = first->color_primaries,
			.transfer = first->color_trc,
			.matrix = first->colorspace,
		};

		r = encode_new_video(&v, &j->video[i], j->fault);
	}
	return r;
}

static int start_sound(struct job *j, struct sound *s, const AVFrame *first)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		struct encode_audio a = {
			.folder = j->folder,
			.plan = &j->plan,
			.name = s->name[i],
			.sample_rate = s->rate,
			.channels = s->channels[i],
			.bitrate = s->bitrate[i],
		};

		r = encode_new_audio(&a, &s->encode[i], j->fault);
		if (r == 0 && first != NULL)
			r = filter_new_audio(first, s->time_base, s->rate, s->channels[i], &s->filter[i], j->fault);
	}
	return r;
}

/* --- frames ----------------------------------------------------------------------------------- */

/* A picture of each second of the first minute is looked at, at about 720 lines. */
static void consider_poster(struct job *j, size_t output, const AVFrame *frame)
{
	int64_t every = (int64_t)ceil(av_q2d(j->plan.frame_rate));
	bool last = output + 1 == j->plan.n_rungs;
	double worth;

	if (frame->pts % every != 0 || frame->pts > 60 * every || frame->height > 800)
		return;
	if (!last && j->plan.rungs[output + 1].height <= 800)
		return;
	worth = poster_worth(frame);
	if (j->poster != NULL && worth <= 1.1 * j->poster_worth)
		return;
	av_frame_free(&j->picture);
	av_frame_free(&j->poster);
	j->poster = av_frame_clone(frame);
	j->poster_worth = worth;
}

static int picture_out(void *ctx, size_t output, AVFrame *frame)
{
	struct job *j = ctx;

	consider_poster(j, output, frame);
	if (output == 0 && (uint64_t)frame->pts + 1 > j->frames)
		j->frames = (uint64_t)frame->pts + 1;
	return encode_push(j->video[output], frame, j->fault);
}

struct sound_sink {
	struct job *job;
	struct encode *encode;
};

static int sound_out(void *ctx, size_t output, AVFrame *frame)
{
	struct sound_sink *sink = ctx;

	return encode_push(sink->encode, frame, sink->job->fault);
}

static int push_sound(struct job *j, struct sound *s, AVFrame *frame)
{
	int r = s->encode[0] == NULL ? start_sound(j, s, frame) : 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		struct sound_sink sink = {j, s->encode[i]};

		r = filter_push(s->filter[i], frame, sound_out, &sink, j->fault);
	}
	return r;
}

static size_t sound_bytes(const AVFrame *frame)
{
	return (size_t)frame->nb_samples * (size_t)frame->ch_layout.nb_channels * 8;
}

static int release_sound(struct job *j, struct sound *s, double until)
{
	int r = 0;

	while (r == 0 && s->first != NULL &&
	       (j->held_bytes > HELD_MAX_BYTES || (double)s->first->frame->pts * av_q2d(s->time_base) < until)) {
		struct held *h = s->first;

		s->first = h->next;
		if (s->first == NULL)
			s->last = &s->first;
		j->held_bytes -= sound_bytes(h->frame);
		r = push_sound(j, s, h->frame);
		av_frame_free(&h->frame);
		free(h);
	}
	return r;
}

static int hold_sound(struct job *j, struct sound *s, AVFrame *frame, AVRational time_base)
{
	struct held *h = mem_new(sizeof *h);

	s->time_base = time_base;
	h->frame = av_frame_clone(frame);
	MUST(h->frame != NULL);
	*s->last = h;
	s->last = &h->next;
	j->held_bytes += sound_bytes(frame);
	return release_sound(j, s, j->picture_time);
}

static void show_progress(struct job *j)
{
	char note[48];

	if (j->progress == NULL)
		return;
	snprintf(note, sizeof note, "%.1f s of film", j->picture_time);
	progress_update(j->progress, j->frames, note, clock_mono());
}

/* Variable rates end here: the picture is shown on every place of the grid up to `end`. */
static int show_picture_until(struct job *j, int64_t end)
{
	int r = 0;

	for (; r == 0 && j->picture_place < end; j->picture_place++) {
		j->picture->pts = j->picture_place;
		r = filter_push(j->pictures, j->picture, picture_out, j, j->fault);
	}
	return r;
}

/* A gap of an hour is a broken time stamp, not a long picture. */
static int check_gap(struct job *j, int64_t place, double at)
{
	double gap = (double)(place - j->picture_place) / av_q2d(j->plan.frame_rate);

	if (gap < 600)
		return 0;
	return fault_set(j->fault, ERR_CORRUPT, "%s: its time stamps jump from %.1f s to %.1f s; remux it with new ones (ffmpeg -fflags +genpts)",
	                 j->settings->master, at - gap, at);
}

static int take_picture(struct job *j, AVFrame *frame, AVRational time_base)
{
	int64_t place = av_rescale_q_rnd(frame->pts, time_base, av_inv_q(j->plan.frame_rate), AV_ROUND_NEAR_INF);
	double at = (double)frame->pts * av_q2d(time_base);
	int r = 0;

	if (j->picture == NULL) {
		r = start_video(j, frame);
	} else {
		r = check_gap(j, place, at);
		if (r == 0)
			r = show_picture_until(j, place);
		av_frame_free(&j->picture);
	}
	if (r != 0)
		return r;
	j->picture = av_frame_clone(frame);
	MUST(j->picture != NULL);
	j->picture_time = at;
	for (size_t a = 0; r == 0 && a < j->info->n_audio; a++)
		r = release_sound(j, &j->sounds[a], j->picture_time);
	show_progress(j);
	return r;
}

static int take_frame(void *ctx, int audio, AVFrame *frame, AVRational time_base)
{
	struct job *j = ctx;

	if (j->settings->stop != NULL && *j->settings->stop)
		return fault_set(j->fault, ERR_CANCELLED, "stopped; nothing was published");
	return audio < 0 ? take_picture(j, frame, time_base) : hold_sound(j, &j->sounds[audio], frame, time_base);
}

/* --- the end ------------------------------------------------------------------------------------ */

static int end_pictures(struct job *j)
{
	int r = show_picture_until(j, j->picture_place + 1);

	if (r == 0)
		r = filter_push(j->pictures, NULL, picture_out, j, j->fault);

	for (size_t i = 0; r == 0 && i < j->plan.n_rungs; i++)
		r = encode_finish(j->video[i], j->fault);
	return r;
}

static int end_sound(struct job *j, struct sound *s)
{
	double film = (double)j->frames / av_q2d(j->plan.frame_rate);
	uint64_t samples = (uint64_t)llround(film * s->rate);
	int r = release_sound(j, s, film);

	if (r == 0 && s->encode[0] == NULL) /* a stream without one decodable block */
		r = start_sound(j, s, NULL);
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		struct sound_sink sink = {j, s->encode[i]};

		encode_set_length(s->encode[i], samples);
		if (s->filter[i] != NULL)
			r = filter_push(s->filter[i], NULL, sound_out, &sink, j->fault);
		if (r == 0)
			r = encode_finish(s->encode[i], j->fault);
	}
	return r;
}

static int judge(struct job *j, const struct source_result *res)
{
	double want = j->info->container_seconds, have = (double)j->frames / av_q2d(j->plan.frame_rate);
	uint64_t bad = res->video_bad + res->audio_bad, all = res->video_packets + res->audio_packets;

	if (bad > 0 && (double)bad > SOURCE_MAX_BAD_SHARE * (double)all)
		return fault_set(j->fault, ERR_CORRUPT, "%s: %llu of %llu packets cannot be decoded; the file is damaged", j->settings->master,
		                 (unsigned long long)bad, (unsigned long long)all);
	if (bad > 0)
		warn(j, mem_printf("%llu of %llu packets could not be decoded cleanly", (unsigned long long)bad, (unsigned long long)all));
	if (want > 0 && have < want - fmax(1.0, 0.02 * want)) {
		if (!j->settings->accept_truncated)
			return fault_set(j->fault, ERR_TRUNCATED,
			                 "%s: the picture ends after %.1f s of %.1f s; the file is cut short. Copy it again, or give --accept-truncated",
			                 j->settings->master, have, want);
		warn(j, mem_printf("the picture ends after %.1f s of %.1f s", have, want));
	}
	return 0;
}

static int encode_all(struct job *j)
{
	struct source_result res = {0};
	int r = source_run(j->source, take_frame, j, &res, j->fault);

	if (r == 0)
		r = end_pictures(j);
	if (r == 0)
		r = judge(j, &res);
	for (size_t a = 0; r == 0 && a < j->info->n_audio; a++)
		r = end_sound(j, &j->sounds[a]);
	return r;
}

static void describe_sounds(struct job *j, struct package *p)
{
	for (size_t a = 0; a < j->info->n_audio; a++)
		for (size_t i = 0; i < j->sounds[a].n && p->n_audio < MAX_SOUNDS; i++) {
			struct sound *s = &j->sounds[a];
			struct package_audio *out = &p->audio[p->n_audio++];

			*out = (struct package_audio){
				.facts = encode_facts(s->encode[i]),
				.name = s->name[i],
				.label = j->info->audio[a].label,
				.channels = s->channels[i],
				.sample_rate = s->rate,
				.bitrate = s->bitrate[i],
				.is_main = a == 0 && i == 0,
			};
			snprintf(out->language, sizeof out->language, "%s", language_tag(j->info->audio[a].language));
		}
}

static int write_package(struct job *j, double seconds, struct verify_facts *facts, char revision[static PACKAGE_REVISION_SIZE])
{
	struct verify_settings check = {.frames = j->frames, .level = j->settings->proof, .stop = j->settings->stop, .progress = !j->settings->quiet};
	struct package p = {
		.folder = j->folder,
		.title = j->settings->title,
		.name = j->settings->name,
		.source = j->settings->master,
		.source_info = j->info,
		.preset = j->settings->preset,
		.plan = &j->plan,
		.frames = j->frames,
		.warnings = (const char **)j->warnings,
		.n_warnings = j->n_warnings,
		.encode_seconds = seconds,
	};

	for (size_t i = 0; i < j->plan.n_rungs; i++)
		p.video[p.n_video++] = (struct package_video){encode_facts(j->video[i]), &j->plan.rungs[i]};
	describe_sounds(j, &p);
	if (j->poster != NULL) {
		char *path = path_join(j->folder, PACKAGE_POSTER);
		int r = poster_write(j->poster, path, j->fault);

		free(path);
		if (r != 0)
			return r;
	}
	return package_write(&p, &check, facts, revision, j->fault);
}

static void job_fini(struct job *j)
{
	for (size_t i = 0; i < PLAN_MAX_RUNGS; i++)
		encode_free(&j->video[i]);
	for (size_t a = 0; a < SOURCE_MAX_AUDIO; a++) {
		struct sound *s = &j->sounds[a];

		for (size_t i = 0; i < 2; i++) {
			filter_free(&s->filter[i]);
			encode_free(&s->encode[i]);
		}
		while (s->first != NULL) {
			struct held *h = s->first;

			s->first = h->next;
			av_frame_free(&h->frame);
			free(h);
		}
	}
	av_frame_free(&j->picture);
	av_frame_free(&j->poster);
	filter_free(&j->pictures);
	source_close(&j->source);
	for (size_t i = 0; i < j->n_warnings; i++)
		free(j->warnings[i]);
	free(j->folder);
}

static void start_progress(struct job *j)
{
	double fps = av_q2d(j->plan.frame_rate);

	if (j->settings->quiet)
		return;
	fprintf(stderr, "%dx%d, %.3f frames/s, %zu audio stream%s -> %zu video renditions up to %dx%d, segments of %.2f s\n", j->info->width,
	        j->info->height, fps, j->info->n_audio, j->info->n_audio == 1 ? "" : "s", j->plan.n_rungs,
	        j->plan.rungs[j->plan.n_rungs - 1].width, j->plan.rungs[j->plan.n_rungs - 1].height, j->plan.segment_frames / fps);
	if (j->info->n_audio == 0)
		fprintf(stderr, "note: the master has no sound; the package will have none\n");
	j->progress = progress_new(stderr, "encode", "frames", (uint64_t)(j->info->container_seconds * fps), clock_mono());
}

static int run(struct job *j, struct job_result *res)
{
	mono_us begin = clock_mono();
	int r = source_open(j->settings->master, &j->source, j->fault);

	if (r != 0)
		return r;
	j->info = source_info(j->source);
	r = job_plan(j->settings, j->info, &j->plan, j->fault);
	if (r != 0)
		return r;
	plan_sounds(j);
	r = publish_begin(j->settings->library, j->settings->title, &j->folder, j->fault);
	if (r != 0)
		return r;
	start_progress(j);
	r = encode_all(j);
	progress_free(&j->progress, clock_mono());
	if (r == 0)
		r = write_package(j, (double)(clock_mono() - begin) / 1e6, &res->facts, res->revision);
	if (r == 0)
		r = verify_hashes(j->folder, &res->facts, j->fault);
	if (r == 0)
		r = publish_end(j->settings->library, j->settings->title, res->revision, j->folder, &res->folder, &res->existed, j->fault);
	if (r == 0) {
		res->frames = j->frames;
		res->n_video = j->plan.n_rungs;
		res->seconds = (double)j->frames / av_q2d(j->plan.frame_rate);
		for (size_t i = 0; i < j->plan.n_rungs; i++)
			res->bytes += encode_facts(j->video[i])->size;
		for (size_t a = 0; a < j->info->n_audio; a++)
			for (size_t i = 0; i < j->sounds[a].n; i++, res->n_audio++)
				res->bytes += encode_facts(j->sounds[a].encode[i])->size;
	}
	return r;
}

int job_run(const struct job_settings *s, struct job_result *ret_result, struct fault *f)
{
	struct job *j = mem_new(sizeof *j);
	struct job_result res = {0};
	char *folder;
	int r;

	j->settings = s;
	j->fault = f;
	snprintf(res.title, sizeof res.title, "%s", s->title);
	r = run(j, &res);
	folder = mem_dup(j->folder);
	job_fini(j);
	free(j);
	if (folder != NULL)
		publish_abandon(&folder);
	if (r == 0)
		*ret_result = res;
	else
		job_result_fini(&res);
	return r;
}

void job_result_fini(struct job_result *r)
{
	free(r->folder);
	r->folder = NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pipeline: one thread decodes, mends and scales; the renditions encode in
 * threads of their own.  Invariant: the package is a function of master,
 * settings and program version, however often the ingest was interrupted.
 */
#include "ingest/job.h"

#include <config.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/words.h"
#include "ingest/av1.h"
#include "ingest/chapters.h"
#include "ingest/identity.h"
#include "ingest/package.h"
#include "ingest/reel.h"
#include "ingest/poster.h"
#include "ingest/publish.h"
#include "ingest/sounds.h"
#include "ingest/texts.h"
#include "ingest/verify.h"

#define MAX_NOTES 32

struct job {
	const struct job_settings *settings;
	struct fault *fault;
	struct source *source;
	const struct source_info *info;
	struct plan plan, av1;
	struct ladder ladder;
	struct publish_work work;
	bool resumable;          /* the same command can find this master again */
	struct reel *reel;
	struct sounds *sounds;
	struct texts *texts;
	int64_t start;           /* of the picture in the master's time, microseconds */
	struct progress *progress;
	struct package_note notes[MAX_NOTES]; /* texts are owned */
	size_t n_notes;
};

/* Takes both texts: that of the report, the same in every language, and that for whoever looks on. */
static void add_note(struct job *j, const char *code, char *text, char *said)
{
	str_plain(said);
	if (j->n_notes < MAX_NOTES) {
		if (!j->settings->quiet)
			fprintf(stderr, _("note: %s\n"), said);
		j->notes[j->n_notes++] = (struct package_note){code, text};
	} else {
		free(text);
	}
	free(said);
}

__attribute__((format(printf, 3, 4))) static void warn(void *ctx, const char *code, const char *fmt, ...)
{
	char text[512], said[512]; /* names in them are titles and languages, which are short */
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	va_start(args, fmt);
	vsnprintf(said, sizeof said, _(fmt), args);
	va_end(args);
	add_note(ctx, code, mem_dup(text), mem_dup(said));
}

/* --- plan -------------------------------------------------------------------------------- */

static enum plan_fields fields_of(const struct job_settings *s, const struct source_info *i)
{
	if (strcmp(s->deinterlace, "off") == 0)
		return PLAN_NO_FIELDS;
	if (strcmp(s->deinterlace, "field") != 0)
		return i->interlaced ? PLAN_TO_FRAMES : PLAN_AS_FLAGGED;
	if (i->interlaced)
		return PLAN_TO_PICTURES;
	return source_has_fields_later(s->master, s->stop) ? PLAN_FLAGGED_TO_PICTURES : PLAN_AS_FLAGGED;
}

int job_plan(const struct job_settings *s, const struct source_info *i, struct plan *ret_plan, struct ladder *ret_ladder, struct fault *f)
{
	enum plan_fields fields = fields_of(s, i);
	struct plan_input in = {
		.width = i->width,
		.height = i->height,
		.sar = i->sar,
		.rotation = i->rotation,
		.frame_rate = fields == PLAN_TO_PICTURES || fields == PLAN_FLAGGED_TO_PICTURES ? av_mul_q(i->frame_rate, (AVRational){2, 1}) : i->frame_rate,
		.fields = fields,
		.segment_seconds = s->segment_seconds,
		.max_height = s->max_height,
		.max_rungs = s->max_rungs,
	};
	struct ladder_settings ladder = {s->ladder, s->master, &in, s->preset, !s->quiet, s->stop};

	return ladder_make(&ladder, ret_plan, ret_ladder, f);
}

/* --- frames ------------------------------------------------------------------------------ */

static void show_progress(struct job *j)
{
	double kept = reel_kept(j->reel);
	char note[64];

	if (j->progress == NULL)
		return;
	if (kept > 0)
		snprintf(note, sizeof note, _("%.1f s of film, %.1f s kept"), reel_time(j->reel), kept);
	else
		snprintf(note, sizeof note, _("%.1f s of film"), reel_time(j->reel));
	progress_update(j->progress, reel_frames(j->reel), note, clock_mono());
}

static bool is_stopped(const struct job *j)
{
	return j->settings->stop != NULL && *j->settings->stop != 0;
}

/* Whatever failed of being told to stop. */
static int say_stopped(struct job *j)
{
	return fault_set(j->fault, ERR_CANCELLED, _("stopped; nothing was published%s"),
	                 j->resumable ? _(", what is finished is kept: the same command goes on from there") : "");
}

static int take_frame(void *ctx, int audio, AVFrame *frame, AVRational time_base)
{
	struct job *j = ctx;
	int r;

	if (is_stopped(j))
		return ERR_CANCELLED;
	if (audio >= 0)
		return sounds_take(j->sounds, (size_t)audio, frame, time_base, j->fault);
	r = texts_see(j->texts, frame, time_base, j->fault);
	if (r == 0)
		r = reel_take(j->reel, frame, time_base, j->fault);
	if (r == 0)
		r = sounds_release(j->sounds, reel_time(j->reel), j->fault);
	show_progress(j);
	return r;
}

static int take_text(void *ctx, size_t text, const AVPacket *packet)
{
	struct job *j = ctx;

	return texts_take(j->texts, text, packet, j->fault);
}

/* --- the end ----------------------------------------------------------------------------- */

#define LENGTH_ROOM(seconds) fmax(1.0, 0.02 * (seconds))

/* A file that ends before it said; or sound and subtitles that go on without pictures. */
static int judge_length(struct job *j, double have, double want, double all)
{
	bool is_cut = want > 0 && have < want - LENGTH_ROOM(want) && (j->info->is_pictures_own || all < want - LENGTH_ROOM(want));

	if (is_cut && !j->settings->accept_truncated)
		return fault_set(j->fault, ERR_TRUNCATED,
		                 _("%s: the picture ends after %.1f s of %.1f s; the file is cut short. Copy it again, or give --accept-truncated"),
		                 j->settings->master, have, want);
	if (is_cut)
		warn(j, "truncated", N_("the picture ends after %.1f s of %.1f s"), have, want);
	else if (all > have + LENGTH_ROOM(have))
		warn(j, "longer-than-picture", N_("sound or subtitles go on to %.1f s; they are cut at the last picture's end, %.1f s"), all, have);
	return 0;
}

static int judge(struct job *j, const struct source_result *res)
{
	/* a length that was reckoned from time stamps is none when these jump */
	double want = res->jumps > 0 || res->strays > 0 ? 0 : j->info->container_seconds, have = (double)reel_frames(j->reel) / av_q2d(j->plan.frame_rate);
	uint64_t bad = res->video_bad + res->audio_bad, all = res->video_packets + res->audio_packets;

	if (bad > 0 && (double)bad > SOURCE_MAX_BAD_SHARE * (double)all)
		return fault_set(j->fault, ERR_CORRUPT, _("%s: %llu of %llu packets cannot be decoded; the file is damaged"), j->settings->master,
		                 (unsigned long long)bad, (unsigned long long)all);
	if (res->jumps > 0)
		warn(j, "time-stamps-jump", N_("its time stamps jump (%u in all), first after %.1f s; what follows was put behind"), res->jumps, res->first_jump);
	if (res->strays > 0)
		warn(j, "time-stamps-stray", N_("time stamps far ahead of all around (%u in all), the first where %.1f s is due; what has them was put in its place"),
		     res->strays, res->first_stray);
	if (reel_met_fields(j->reel) && strcmp(j->settings->deinterlace, "field") == 0)
		warn(j, "fields-late", N_("fields come where looks at the beginning and here and there had found none; they became frames, not pictures of their own"));
	if (res->late_stream > 0)
		warn(j, "stream-late", N_("a further stream begins after %.1f s and is left out; remux the master if it is to be heard or seen"), res->late_stream);
	if (bad > 0)
		warn(j, "packets-damaged", N_("%llu of %llu packets could not be decoded cleanly"), (unsigned long long)bad, (unsigned long long)all);
	return judge_length(j, have, want, res->all_seconds);
}

static int encode_all(struct job *j)
{
	struct reel_setup s = {
		.info = j->info,
		.plan = &j->plan,
		.master = j->settings->master,
		.folder = j->work.package,
		.chunks = j->work.chunks,
		.preset = j->settings->preset,
		.av1 = &j->av1,
		.av1_preset = j->settings->av1_preset,
		.stop = j->settings->stop,
	};
	struct source_result res = {0};
	int r;

	j->reel = reel_new(&s);
	j->sounds = sounds_new(j->info, &j->plan, j->work.package, j->settings->opus);
	source_hear_texts(j->source, take_text, j);
	r = source_run(j->source, take_frame, j, &res, j->fault);
	j->start = res.start;
	if (r == 0)
		r = reel_end(j->reel, j->fault);
	if (r == 0)
		r = judge(j, &res);
	if (r == 0)
		r = sounds_end(j->sounds, (double)reel_frames(j->reel) / av_q2d(j->plan.frame_rate), j->fault);
	return r;
}

static int write_poster(struct job *j)
{
	char *path;
	int r;

	if (reel_poster(j->reel) == NULL)
		return 0;
	path = path_join(j->work.package, PACKAGE_POSTER);
	r = poster_write(reel_poster(j->reel), path, j->fault);
	free(path);
	return r;
}

static int64_t film_us(const struct job *j)
{
	return av_rescale_q((int64_t)reel_frames(j->reel), av_inv_q(j->plan.frame_rate), AV_TIME_BASE_Q);
}

static int write_package(struct job *j, double seconds, struct package *p, struct job_result *res)
{
	struct verify_settings check = {.frames = reel_frames(j->reel), .level = j->settings->proof, .schema = j->settings->schema, .stop = j->settings->stop,
	                                .progress = !j->settings->quiet};
	int r = write_poster(j);

	*p = (struct package){
		.folder = j->work.package,
		.title = j->settings->title,
		.name = j->settings->name,
		.source = j->settings->master,
		.source_info = j->info,
		.preset = j->settings->preset,
		.plan = &j->plan,
		.ladder = &j->ladder,
		.frames = reel_frames(j->reel),
		.tiles = reel_tiles(j->reel),
		.notes = j->notes,
		.n_notes = j->n_notes,
		.encode_seconds = seconds,
	};
	for (size_t i = 0; i < j->plan.n_rungs; i++)
		p->video[p->n_video++] = (struct package_video){reel_facts(j->reel, i), &j->plan.rungs[i]};
	for (size_t i = 0; i < j->av1.n_rungs; i++)
		p->av1[p->n_av1++] = (struct package_video){reel_av1_facts(j->reel, i), &j->av1.rungs[i]};
	p->av1_colours = reel_tone(j->reel)->in;
	sounds_describe(j->sounds, p);
	if (r == 0)
		r = texts_end(j->texts, j->start, film_us(j), j->work.package, p, j->fault);
	p->chapters = chapters_of(j->info, j->start, film_us(j));
	if (r == 0 && p->chapters != NULL)
		r = chapters_write(p->chapters, j->work.package, j->fault);
	p->n_notes = j->n_notes;
	return r == 0 ? package_write(p, &check, &res->facts, res->revision, j->fault) : r;
}

static void start_progress(struct job *j)
{
	double fps = av_q2d(j->plan.frame_rate);

	if (j->settings->quiet)
		return;
	fprintf(stderr, ngettext("%dx%d, %.3f frames/s, %zu audio stream -> %zu video renditions up to %dx%d, segments of %.2f s\n",
	                         "%dx%d, %.3f frames/s, %zu audio streams -> %zu video renditions up to %dx%d, segments of %.2f s\n", j->info->n_audio),
	        j->info->width, j->info->height, fps, j->info->n_audio, j->plan.n_rungs,
	        j->plan.rungs[j->plan.n_rungs - 1].width, j->plan.rungs[j->plan.n_rungs - 1].height, j->plan.segment_frames / fps);
	if (j->info->n_audio == 0)
		fputs(_("note: the master has no sound; the package will have none\n"), stderr);
	j->progress = progress_new(stderr, _("encode"), _("frames"), (uint64_t)(j->info->container_seconds * fps), clock_mono());
}

/* What a later run of the same command may go on from: trouble of the machine, not of the master. */
static bool is_worth_keeping(const struct job *j, int error)
{
	return j->resumable && (error == ERR_CANCELLED || error == -ENOSPC || error == -EDQUOT || error == -EIO || error == -ENOMEM);
}

static void plan_av1(struct job *j)
{
	if (!j->settings->av1)
		return;
	av1_plan(&j->plan, &j->av1);
	if (j->av1.n_rungs == 0)
		warn(j, "av1-left-out", N_("AV1 is left out: the encoder takes no picture below %dx%d"), AV1_LEAST_SIDE, AV1_LEAST_SIDE);
}

static int begin(struct job *j)
{
	const struct job_settings *s = j->settings;
	char key[IDENTITY_SIZE];
	int r = source_open(s->master, s->stop, &j->source, j->fault);

	if (r != 0)
		return r;
	j->info = source_info(j->source);
	r = texts_new(j->info, &(struct texts_settings){s->subtitles, s->n_subtitles}, warn, j, &j->texts, j->fault);
	if (r == 0)
		r = job_plan(s, j->info, &j->plan, &j->ladder, j->fault);
	if (r == 0 && j->info->n_more_audio > 0)
		warn(j, "sounds-left-out", N_("%zu sounds beyond the first %d are left out; remux the master with those that are wanted in front"), j->info->n_more_audio,
		     SOURCE_MAX_AUDIO);
	if (r == 0 && j->ladder.note[0] != '\0')
		add_note(j, "fixed-ladder", mem_printf("the fixed ladder is used: %s", j->ladder.note), mem_printf(_("the fixed ladder is used: %s"), _(j->ladder.note)));
	if (r == 0)
		plan_av1(j);
	if (r == 0)
		r = identity_of(s->master, &j->plan, s->preset, &j->av1, s->av1_preset, key, &j->resumable, j->fault);
	if (r == 0)
		r = publish_begin(s->library, s->title, key, &j->work, j->fault);
	if (r == 0 && j->work.found && !s->quiet)
		fputs(_("going on from what an interrupted run has finished\n"), stderr);
	return r;
}

static void describe(struct job *j, const struct package *p, struct job_result *res)
{
	res->frames = p->frames;
	res->n_video = p->n_video + p->n_av1;
	res->n_audio = p->n_audio;
	res->n_text = p->n_text;
	res->seconds = (double)p->frames / av_q2d(j->plan.frame_rate);
	res->kept_seconds = reel_kept(j->reel);
	for (size_t i = 0; i < p->n_video; i++)
		res->bytes += p->video[i].facts->size;
	for (size_t i = 0; i < p->n_av1; i++)
		res->bytes += p->av1[i].facts->size;
	for (size_t i = 0; i < p->n_audio; i++)
		res->bytes += p->audio[i].facts->size;
	for (size_t i = 0; i < p->n_text; i++)
		res->bytes += p->text[i].bytes;
}

static int run(struct job *j, struct job_result *res)
{
	mono_us begun = clock_mono();
	struct package *p = mem_new(sizeof *p);
	int r = begin(j);

	if (r == 0) {
		start_progress(j);
		r = encode_all(j);
		progress_free(&j->progress, clock_mono());
	}
	if (r == 0)
		r = write_package(j, (double)(clock_mono() - begun) / 1e6, p, res);
	if (r == 0)
		r = verify_hashes(j->work.package, j->settings->stop, &res->facts, j->fault);
	if (r == 0)
		r = publish_end(j->settings->library, j->settings->title, res->revision, &j->work, &res->folder, &res->existed, j->fault);
	if (r == 0)
		describe(j, p, res);
	json_decref(p->chapters);
	free(p);
	return r;
}

static void job_fini(struct job *j)
{
	reel_free(&j->reel);
	sounds_free(&j->sounds);
	texts_free(&j->texts);
	source_close(&j->source);
	for (size_t i = 0; i < j->n_notes; i++)
		free((char *)j->notes[i].text);
}

int job_run(const struct job_settings *s, struct job_result *ret_result, struct fault *f)
{
	struct job *j = mem_new(sizeof *j);
	struct job_result res = {0};
	int r;

	j->settings = s;
	j->fault = f;
	snprintf(res.title, sizeof res.title, "%s", s->title);
	r = run(j, &res);
	if (r != 0 && is_stopped(j))
		r = say_stopped(j);
	job_fini(j);
	publish_tell(s->library, &j->work, f);
	publish_abandon(&j->work, is_worth_keeping(j, r));
	free(j);
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

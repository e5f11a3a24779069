/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles take no part in what chunks are made of, so an ingest can be given
 * again with others and keeps its pictures.
 */
#include "ingest/texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "base/words.h"
#include "ingest/captions.h"
#include "ingest/language.h"

#define FILE_MAX ((size_t)64 << 20)

struct text {
	struct captions *captions;
	char language[LANGUAGE_SIZE], name[64];
	const char *label;
	enum text_kind kind;
	bool of_file;            /* its times begin with the film */
};

struct texts {
	texts_warn_f warn;
	void *ctx;
	struct text all[PACKAGE_MAX_TEXTS];
	size_t n;
	size_t of_stream[SOURCE_MAX_TEXT]; /* index in `all`; PACKAGE_MAX_TEXTS: left out */
	size_t of_picture;       /* the same for closed captions, once has_picture */
	bool has_picture, has_708;
	char language[LANGUAGE_SIZE]; /* what is spoken first, which is what closed captions are written in */
};

const char *text_kind_name(enum text_kind kind)
{
	static const char *const names[] = {"subtitles", "forced", "sdh", "commentary"};

	return names[kind];
}

/* --- names ---------------------------------------------------------------------------------- */

static bool is_taken(const struct texts *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->all[i].name, name) == 0)
			return true;
	return false;
}

static void give_name(const struct texts *t, struct text *x)
{
	char *language = str_slug(x->language), stem[48];

	snprintf(stem, sizeof stem, "text-%s%s%s", language, x->kind != TEXT_SUBTITLES ? "-" : "", x->kind != TEXT_SUBTITLES ? text_kind_name(x->kind) : "");
	snprintf(x->name, sizeof x->name, "%s", stem);
	for (unsigned n = 2; is_taken(t, x->name); n++)
		snprintf(x->name, sizeof x->name, "%s-%u", stem, n);
	free(language);
}

/* --- files ---------------------------------------------------------------------------------- */

static int read_kind(const char *s, size_t n, enum text_kind *ret_kind)
{
	for (enum text_kind k = TEXT_SUBTITLES; k <= TEXT_COMMENTARY; k++)
		if (strlen(text_kind_name(k)) == n && memcmp(text_kind_name(k), s, n) == 0) {
			*ret_kind = k;
			return 0;
		}
	return ERR_SYNTAX;
}

static int read_setting(const char *setting, struct text *x, const char **ret_path, struct fault *f)
{
	const char *equals = strchr(setting, '=');
	size_t head = equals != NULL ? (size_t)(equals - setting) : 0, n = strcspn(setting, ":=");
	char *code = mem_dup_n(setting, n);
	bool good = head > 0 && equals[1] != '\0' && language_is_tag(code) && (n == head || read_kind(setting + n + 1, head - n - 1, &x->kind) == 0);

	language_tag(good ? code : "", x->language);
	free(code);
	if (!good)
		return fault_set(f, ERR_USAGE, _("--subtitles: \"%s\" is not LANGUAGE=FILE or LANGUAGE:KIND=FILE; LANGUAGE is a tag as en, es or pt-BR, "
		                 "KIND is forced, sdh or commentary"), setting);
	*ret_path = equals + 1;
	return 0;
}

static int add_file(struct texts *t, const char *setting, struct fault *f)
{
	struct text *x = &t->all[t->n];
	const char *path = "";
	int r = t->n < PACKAGE_MAX_TEXTS ? read_setting(setting, x, &path, f) : fault_set(f, ERR_LIMIT, _("--subtitles: more than %d"), PACKAGE_MAX_TEXTS);

	if (r == 0)
		r = captions_read_file(path, &x->captions, f);
	if (r != 0)
		return r;
	x->label = "";
	x->of_file = true;
	give_name(t, x);
	t->n++;
	return 0;
}

/* --- the master's --------------------------------------------------------------------------- */

static enum text_kind kind_of(const struct source_text *s)
{
	return s->is_forced ? TEXT_FORCED : s->is_for_deaf ? TEXT_SDH : s->is_commentary ? TEXT_COMMENTARY : TEXT_SUBTITLES;
}

static int add_stream(struct texts *t, const struct source_text *s, size_t index, struct fault *f)
{
	struct text *x = &t->all[t->n];
	int r;

	t->of_stream[index] = PACKAGE_MAX_TEXTS;
	if (!captions_can_read(s->parameters) || t->n >= PACKAGE_MAX_TEXTS) {
		t->warn(t->ctx, "subtitles-left-out", N_("subtitles in stream %d (%s, %s) are left out: they are no text that can be read; give them with --subtitles"), s->stream,
		                           avcodec_get_name(s->parameters->codec_id), s->language);
		return 0;
	}
	r = captions_new(s->parameters, s->time_base, &x->captions, f);
	if (r != 0) {
		fault_prefix(f, _("subtitles in stream %d"), s->stream);
		return r;
	}
	language_tag(s->language, x->language);
	x->label = s->label;
	x->kind = kind_of(s);
	give_name(t, x);
	t->of_stream[index] = t->n++;
	return 0;
}

int texts_new(const struct source_info *info, const struct texts_settings *s, texts_warn_f warn, void *ctx, struct texts **ret_texts, struct fault *f)
{
	struct texts *t = mem_new(sizeof *t);
	int r = 0;

	t->warn = warn;
	t->ctx = ctx;
	language_tag(info->n_audio > 0 ? info->audio[0].language : "", t->language);
	for (size_t i = 0; r == 0 && i < s->n_files; i++)
		r = add_file(t, s->files[i], f);
	for (size_t i = 0; r == 0 && i < info->n_text; i++)
		r = add_stream(t, &info->text[i], i, f);
	if (r != 0)
		texts_free(&t);
	else
		*ret_texts = t;
	return r;
}

void texts_free(struct texts **pt)
{
	struct texts *t = *pt;

	*pt = NULL;
	if (t == NULL)
		return;
	for (size_t i = 0; i < PACKAGE_MAX_TEXTS; i++)
		captions_free(&t->all[i].captions);
	free(t);
}

int texts_take(struct texts *t, size_t text, const AVPacket *p, struct fault *f)
{
	size_t index = t->of_stream[text];
	int r = index < t->n ? captions_take(t->all[index].captions, p, f) : 0;

	if (r != 0)
		fault_prefix(f, "subtitles \"%s\"", t->all[index].name);
	return r;
}

/* --- in the pictures ------------------------------------------------------------------------ */

static int add_picture(struct texts *t, struct fault *f)
{
	AVCodecParameters *p = avcodec_parameters_alloc();
	struct text *x = &t->all[t->n];
	int r;

	MUST(p != NULL);
	t->has_picture = true;
	t->of_picture = PACKAGE_MAX_TEXTS;
	p->codec_type = AVMEDIA_TYPE_SUBTITLE;
	p->codec_id = AV_CODEC_ID_EIA_608;
	if (t->n >= PACKAGE_MAX_TEXTS || !captions_can_read(p)) {
		t->warn(t->ctx, "captions-left-out", N_("closed captions in the pictures are left out: this FFmpeg does not read them, or there are too many subtitles"));
		avcodec_parameters_free(&p);
		return 0;
	}
	r = captions_new(p, AV_TIME_BASE_Q, &x->captions, f);
	avcodec_parameters_free(&p);
	if (r != 0)
		return r;
	memcpy(x->language, t->language, sizeof x->language);
	x->label = "";
	x->kind = TEXT_SDH;
	x->of_file = true; /* pictures come in film time */
	give_name(t, x);
	t->of_picture = t->n++;
	return 0;
}

/* ATSC A/53 part 4, 6.2.3: three bytes each, of kind 0 and 1 (CEA-608, its two fields) or 2 and 3 (CEA-708).  Most are filling. */
static bool has_captions(struct texts *t, const AVFrameSideData *d)
{
	bool found = false;

	for (size_t i = 0; i + 3 <= d->size; i += 3) {
		bool is_valid = (d->data[i] & 4) != 0, is_708 = (d->data[i] & 2) != 0, is_filling = (d->data[i + 1] & 127) == 0 && (d->data[i + 2] & 127) == 0;

		found = found || (is_valid && !is_708 && !is_filling);
		t->has_708 = t->has_708 || (is_valid && is_708 && !is_filling);
	}
	return found;
}

int texts_see(struct texts *t, const AVFrame *frame, AVRational time_base, struct fault *f)
{
	const AVFrameSideData *d = av_frame_get_side_data(frame, AV_FRAME_DATA_A53_CC);
	AVPacket *p;
	int r = 0;

	if (d == NULL || (!has_captions(t, d) && !t->has_picture))
		return 0;
	if (!t->has_picture)
		r = add_picture(t, f);
	if (r != 0 || t->of_picture >= t->n)
		return r;
	p = av_packet_alloc();
	MUST(p != NULL && av_new_packet(p, (int)d->size) >= 0);
	memcpy(p->data, d->data, d->size);
	p->pts = av_rescale_q(frame->pts, time_base, AV_TIME_BASE_Q);
	r = captions_take(t->all[t->of_picture].captions, p, f);
	if (r != 0)
		fault_prefix(f, _("closed captions"));
	av_packet_free(&p);
	return r;
}

/* --- the end -------------------------------------------------------------------------------- */

static int write_file(const struct captions_found *found, const char *folder, struct package_text *out, struct fault *f)
{
	char *path = path_join(folder, out->file);
	struct buf text;
	int r;

	buf_init(&text, FILE_MAX);
	r = cue_write(found->cues, found->n, &text);
	if (r == 0)
		r = file_write_atomic(path, text.bytes, text.size, 0644);
	if (r != 0)
		fault_set(f, r, _("%s: cannot be written: %s"), path, words_error(r));
	out->bytes = text.size;
	out->cues = found->n;
	buf_fini(&text);
	free(path);
	return r;
}

static void tell(struct texts *t, const struct text *x, const struct captions_found *k)
{
	if (k->bad > 0)
		t->warn(t->ctx, "subtitles-damaged", N_("subtitles \"%s\": %llu entries could not be read; are they UTF-8?"), x->name, (unsigned long long)k->bad);
	if (k->outside > 0 && k->n > 0)
		t->warn(t->ctx, "subtitles-outside", N_("subtitles \"%s\": %zu cues lie outside the film"), x->name, k->outside);
	if (k->outside > 0 && k->n == 0)
		t->warn(t->ctx, "subtitles-outside", N_("subtitles \"%s\": %zu cues lie outside the film, which is all of them"), x->name, k->outside);
	if (k->n == 0)
		t->warn(t->ctx, "subtitles-empty", N_("subtitles \"%s\" are left out: they have no cue"), x->name);
}

int texts_end(struct texts *t, int64_t zero, int64_t length, const char *folder, struct package *p, struct fault *f)
{
	int r = 0;

	if (t->has_708 && !t->has_picture)
		t->warn(t->ctx, "captions-left-out", N_("closed captions in the pictures are left out: they are CEA-708 alone, and CEA-608 is read; give them with --subtitles"));
	for (size_t i = 0; r == 0 && i < t->n; i++) {
		const struct text *x = &t->all[i];
		struct package_text *out = &p->text[p->n_text];
		struct captions_found found;

		captions_end(x->captions, x->of_file ? 0 : zero, length, &found);
		tell(t, x, &found);
		if (found.n == 0)
			continue;
		*out = (struct package_text){.label = x->label, .kind = x->kind};
		snprintf(out->file, sizeof out->file, "%s.vtt", x->name);
		snprintf(out->language, sizeof out->language, "%s", x->language);
		r = write_file(&found, folder, out, f);
		p->n_text++;
	}
	return r;
}

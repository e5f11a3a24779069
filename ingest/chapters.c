/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A chapter lasts until the next one begins, whatever the master says of its
 * end: players show one at a time.
 */
#include "ingest/chapters.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/words.h"
#include "ingest/cue.h"

#define MAX_CHAPTERS 1000
#define FILE_MAX ((size_t)4 << 20)

static int64_t start_of(const AVChapter *c, int64_t zero)
{
	return av_rescale_q(c->start, c->time_base, AV_TIME_BASE_Q) - zero;
}

static int by_start(const void *pa, const void *pb)
{
	int64_t a = start_of(*(const AVChapter *const *)pa, 0), b = start_of(*(const AVChapter *const *)pb, 0);

	return a < b ? -1 : a > b;
}

static json_t *chapter_json(const AVChapter *c, size_t number, int64_t start, int64_t end)
{
	const AVDictionaryEntry *title = av_dict_get(c->metadata, "title", NULL, 0);
	json_t *text = title != NULL && title->value[0] != '\0' ? json_string(title->value) : NULL;

	if (text == NULL) /* none, or not UTF-8 */
		text = json_sprintf("%zu", number);
	return json_pack("{s:i, s:f, s:f, s:[{s:s, s:o}]}", "chapter", (int)number, "start-time", (double)(start / 1000) / 1000, "duration",
	                 (double)((end - start) / 1000) / 1000, "titles", "language", "und", "title", text);
}

json_t *chapters_of(const struct source_info *info, int64_t zero, int64_t length)
{
	size_t n = info->n_chapters < MAX_CHAPTERS ? info->n_chapters : MAX_CHAPTERS;
	const AVChapter **sorted = mem_new_array(n + 1, sizeof *sorted);
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++)
		sorted[i] = info->chapters[i];
	qsort(sorted, n, sizeof *sorted, by_start);
	for (size_t i = 0; i < n; i++) {
		int64_t start = start_of(sorted[i], zero), end = i + 1 < n ? start_of(sorted[i + 1], zero) : length;

		start = start < 0 ? 0 : start;
		end = end > length ? length : end;
		if (end / 1000 > start / 1000) /* in the film, and not the same moment twice */
			json_array_append_new(all, chapter_json(sorted[i], json_array_size(all) + 1, start, end));
	}
	free(sorted);
	if (json_array_size(all) == 0) {
		json_decref(all);
		return NULL;
	}
	return all;
}

static char *cue_text(const char *title)
{
	struct buf text;
	char *taken;

	buf_init(&text, FILE_MAX);
	for (; *title != '\0'; title++)
		if (*title == '&')
			buf_puts(&text, "&amp;");
		else if (*title == '<')
			buf_puts(&text, "&lt;");
		else if (*title == '>')
			buf_puts(&text, "&gt;");
		else
			buf_putc(&text, (unsigned char)*title < 0x20 ? ' ' : *title);
	taken = buf_take(&text);
	return taken;
}

static int put_vtt(const json_t *chapters, struct buf *out)
{
	size_t n = json_array_size(chapters), i;
	struct cue *cues = mem_new_array(n, sizeof *cues);
	const json_t *c;
	int r;

	json_array_foreach(chapters, i, c) {
		double start = json_real_value(json_object_get(c, "start-time"));

		cues[i].start = (int64_t)(start * 1e6 + 0.5);
		cues[i].end = (int64_t)((start + json_real_value(json_object_get(c, "duration"))) * 1e6 + 0.5);
		cues[i].text = cue_text(json_string_value(json_object_get(json_array_get(json_object_get(c, "titles"), 0), "title")));
	}
	r = cue_write(cues, n, out);
	for (i = 0; i < n; i++)
		free(cues[i].text);
	free(cues);
	return r;
}

static int write_one(const char *folder, const char *name, const struct buf *text, struct fault *f)
{
	char *path = path_join(folder, name);
	int r = buf_error(text) != 0 ? buf_error(text) : file_write_atomic(path, text->bytes, text->size, 0644);

	if (r != 0)
		fault_set(f, r, _("%s: cannot be written: %s"), path, words_error(r));
	free(path);
	return r;
}

int chapters_write(const json_t *chapters, const char *folder, struct fault *f)
{
	char *dump = json_dumps(chapters, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	struct buf text;
	int r;

	buf_init(&text, FILE_MAX);
	put_vtt(chapters, &text);
	r = write_one(folder, CHAPTERS_VTT, &text, f);
	buf_clear(&text);
	buf_printf(&text, "%s\n", dump);
	if (r == 0)
		r = write_one(folder, CHAPTERS_JSON, &text, f);
	buf_fini(&text);
	free(dump);
	return r;
}

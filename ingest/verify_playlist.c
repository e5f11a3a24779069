/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The HLS playlists against the tracks: every byte range and duration is the
 * index's, and every file named is there (RFC 8216).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/package.h"
#include "ingest/verify_seen.h"

#define PLAYLIST_MAX ((size_t)64 << 20)
#define ROUNDING 0.000002 /* EXTINF is written with six decimals */

struct list {
	struct verify *v;
	const struct seen *t;
	const char *name;
	unsigned line, target;
	size_t segment;      /* the next one */
	double length;       /* of the last EXTINF; negative: none */
	unsigned long long size, offset;
	bool has_range, has_map, ended;
};

static int wrong(const struct list *l, const char *what)
{
	return verify_wrong(l->v->fault, ERR_CORRUPT, _("%s:%u: segment %zu: %s %s"), l->name, l->line, l->segment, what, l->t->name);
}

static int check_map(struct list *l, const char *text)
{
	char *want = mem_printf("URI=\"%s\",BYTERANGE=\"%llu@0\"", l->t->name, (unsigned long long)l->t->header_end);
	int same = strcmp(text, want);

	free(want);
	l->has_map = true;
	return same == 0 ? 0 : wrong(l, _("EXT-X-MAP is not the header of"));
}

/* A segment's URI ends what was said of it. */
static int check_uri(struct list *l, const char *uri)
{
	const struct cut *cut;

	if (l->segment >= l->t->n_cuts)
		return wrong(l, _("is one more than are in"));
	cut = &l->t->cuts[l->segment];
	if (strcmp(uri, l->t->name) != 0)
		return wrong(l, _("is not in the file"));
	if (!l->has_range || l->size != cut->size || l->offset != cut->offset)
		return wrong(l, _("EXT-X-BYTERANGE is not that of the index of"));
	if (fabs(l->length - (double)cut->duration / l->t->timescale) > ROUNDING)
		return wrong(l, _("EXTINF is not that of the index of"));
	if (lround(l->length) > (long)l->target) /* RFC 8216 4.3.3.1 */
		return wrong(l, _("EXT-X-TARGETDURATION is shorter than a segment of"));
	l->segment++;
	l->length = -1;
	l->has_range = false;
	return 0;
}

static int check_line(struct list *l, const char *line)
{
	if (str_starts(line, "#EXT-X-MAP:"))
		return check_map(l, line + strlen("#EXT-X-MAP:"));
	if (str_starts(line, "#EXT-X-TARGETDURATION:"))
		l->target = (unsigned)strtoul(line + strlen("#EXT-X-TARGETDURATION:"), NULL, 10);
	else if (str_starts(line, "#EXTINF:"))
		l->length = strtod(line + strlen("#EXTINF:"), NULL);
	else if (str_starts(line, "#EXT-X-BYTERANGE:"))
		l->has_range = sscanf(line + strlen("#EXT-X-BYTERANGE:"), "%llu@%llu", &l->size, &l->offset) == 2;
	else if (str_starts(line, "#EXT-X-ENDLIST"))
		l->ended = true;
	else if (line[0] != '#' && line[0] != '\0')
		return check_uri(l, line);
	return 0;
}

static int each_line(struct buf *text, void *ctx, int (*each)(void *, const char *, unsigned))
{
	char *at = (char *)text->bytes, *next;
	unsigned n = 0;
	int r = 0;

	for (; r == 0 && at != NULL && *at != '\0'; at = next) {
		next = strchr(at, '\n');
		if (next != NULL)
			*next++ = '\0';
		r = each(ctx, at, ++n);
	}
	return r;
}

static int track_line(void *ctx, const char *line, unsigned number)
{
	struct list *l = ctx;

	l->line = number;
	return check_line(l, line);
}

static int check_track(struct verify *v, const struct seen *t)
{
	char *name = mem_printf("%.*s.m3u8", (int)(strlen(t->name) - strlen(".mp4")), t->name);
	struct list l = {.v = v, .t = t, .name = name, .length = -1};
	struct buf text;
	int r = verify_read_file(v, name, PLAYLIST_MAX, &text);

	if (r == 0) {
		r = each_line(&text, &l, track_line);
		buf_fini(&text);
		if (r == 0 && (l.segment != t->n_cuts || !l.has_map || !l.ended))
			r = verify_wrong(v->fault, ERR_CORRUPT, _("%s: has %zu segments, %s has %zu, or no EXT-X-MAP or EXT-X-ENDLIST"), name, l.segment, t->name,
			              t->n_cuts);
	}
	free(name);
	return r;
}

/* --- main.m3u8 -------------------------------------------------------------------------------- */

static int check_there(struct verify *v, const char *name, size_t n, unsigned line)
{
	char *file = mem_dup_n(name, n), *path = path_join(v->folder, file);
	bool there = str_is_name(file, n) && file_exists(path);
	int r = there ? 0 : verify_wrong(v->fault, ERR_NOT_FOUND, _("%s:%u: names \"%s\", which is not in the package"), PACKAGE_PLAYLIST, line, file);

	free(path);
	free(file);
	return r;
}

static int main_line(void *ctx, const char *line, unsigned number)
{
	const char *uri = line[0] == '#' ? strstr(line, "URI=\"") : NULL;

	if (uri != NULL)
		return check_there(ctx, uri + 5, strcspn(uri + 5, "\""), number);
	return line[0] != '#' && line[0] != '\0' ? check_there(ctx, line, strlen(line), number) : 0;
}

int verify_playlists(struct verify *v)
{
	struct buf text;
	int r = verify_read_file(v, PACKAGE_PLAYLIST, PLAYLIST_MAX, &text);

	if (r != 0)
		return r;
	r = each_line(&text, v, main_line);
	buf_fini(&text);
	for (size_t i = 0; r == 0 && i < v->n_tracks; i++)
		r = check_track(v, &v->tracks[i]);
	return r;
}

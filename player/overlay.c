/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Everything is a line of an ASS script, graphs and the bar too (drawings), so one
 * renderer makes it all.  Nothing is drawn anew while script and size are the same.
 */
#include <config.h>

#include "player/overlay.h"

/* The bar has the lowest tenth of the window, and stands a fortieth from its sides. */
double overlay_bar_at(int width, int height, int x, int y)
{
	int margin = width / 40;
	double part;

	if (width <= 2 * margin || y < height - height / 10)
		return -1;
	part = (double)(x - margin) / (width - 2 * margin);
	return part < 0 ? 0 : part > 1 ? 1 : part;
}

#ifndef HAVE_ASS

struct overlay *overlay_new(void)
{
	return NULL;
}

void overlay_free(struct overlay **o)
{
}

bool overlay_draw(struct overlay *o, const struct overlay_view *v, const struct overlay_facts *facts, const uint32_t **ret_pixels)
{
	*ret_pixels = NULL;
	return false;
}

void overlay_area(const struct overlay *o, int ret_area[static 4])
{
}

#else

#include <ass/ass.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "player/cues.h"

#define MAX_SCRIPT 65536

struct overlay {
	ASS_Library *library;
	ASS_Renderer *renderer;
	int width, height;
	struct buf script, before;
	uint32_t *pixels;
	size_t cap;
	bool drawn;              /* there is something in the pixels, */
	int area[4];             /* and where: left, top, right, bottom */
};

static void be_quiet(int level, const char *format, va_list arguments, void *ctx)
{
}

struct overlay *overlay_new(void)
{
	struct overlay *o = mem_new(sizeof *o);

	buf_init(&o->script, MAX_SCRIPT);
	buf_init(&o->before, MAX_SCRIPT);
	o->library = ass_library_init();
	if (o->library != NULL) {
		ass_set_message_cb(o->library, be_quiet, NULL);
		o->renderer = ass_renderer_init(o->library);
	}
	if (o->renderer == NULL) {
		overlay_free(&o);
		return NULL;
	}
	ass_set_fonts(o->renderer, NULL, "sans-serif", ASS_FONTPROVIDER_AUTODETECT, NULL, 1);
	return o;
}

void overlay_free(struct overlay **po)
{
	struct overlay *o = *po;

	if (o == NULL)
		return;
	if (o->renderer != NULL)
		ass_renderer_done(o->renderer);
	if (o->library != NULL)
		ass_library_done(o->library);
	buf_fini(&o->script);
	buf_fini(&o->before);
	free(o->pixels);
	free(o);
	*po = NULL;
}

/* --- the script ------------------------------------------------------------------------------------ */

struct rect {
	int x, y, w, h;
};

/* Above the bar, over the place it is of, within the window. */
static struct rect thumb_place(const struct overlay_facts *f, int width, int height)
{
	struct rect r = {.w = f->thumb != NULL ? f->thumb_width : 0, .h = f->thumb != NULL ? f->thumb_height : 0};
	int margin = width / 40;

	if (r.w > width / 4) {
		r.h = r.h * (width / 4) / r.w;
		r.w = width / 4;
	}
	r.x = margin + (int)((width - 2 * margin) * f->hover) - r.w / 2;
	r.x = r.x > width - margin - r.w ? width - margin - r.w : r.x;
	r.x = r.x < margin ? margin : r.x;
	r.y = height - height / 10 - r.h - height / 60;
	return r;
}

/* A part of the window's height, and never so small that it cannot be read: `least` is in points, scale pixels each. */
static int at_least(int part, int least, double scale)
{
	int n = (int)(least * scale + 0.5);

	return part > n ? part : n;
}

/* Subtitles stand above the bar while it is there, and above its picture. */
static void put_head(struct buf *s, const struct overlay_facts *f, int width, int height, double scale)
{
	struct rect thumb = thumb_place(f, width, height);
	int low = f->bar < 0 ? height / 14 : f->hover < 0 ? height / 7 : height - thumb.y + height / 60;
	int big = height / 16, small = at_least(height / 32, 11, scale), words = at_least(height / 22, 14, scale);

	buf_printf(s, "[Script Info]\nScriptType: v4.00+\nPlayResX: %d\nPlayResY: %d\nWrapStyle: 0\nScaledBorderAndShadow: yes\n\n[V4+ Styles]\n"
	              "Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, BackColour, Bold, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding, Angle\n",
	           width, height);
	/* encoding -1: the direction of a line is that of its first letter */
	buf_printf(s, "Style: Sub,sans-serif,%d,&H00FFFFFF,&H00000000,&H80000000,0,1,%d,0,2,%d,%d,%d,-1,0\n", big, big / 16 + 1, width / 20,
	           width / 20, low);
	/* border 3 is a box behind each run of text, of the border's colour; @ has signs of the Far East stand upright in turned lines */
	buf_printf(s, "Style: Box,sans-serif,%d,&H00FFFFFF,&HFF000000,&H80000000,0,3,%d,0,2,%d,%d,%d,-1,0\n", big, big / 12 + 1, width / 20, width / 20, low);
	buf_printf(s, "Style: Down,@sans-serif,%d,&H00FFFFFF,&H00000000,&H80000000,0,1,%d,0,2,%d,%d,%d,-1,270\n", big, big / 16 + 1, width / 20, width / 20, low);
	buf_printf(s, "Style: DownBox,@sans-serif,%d,&H00FFFFFF,&HFF000000,&H80000000,0,3,%d,0,2,%d,%d,%d,-1,270\n", big, big / 12 + 1, width / 20, width / 20, low);
	/* border 4 is libass' own: one box behind all lines, the shadow is its padding */
	buf_printf(s, "Style: Small,monospace,%d,&H00FFFFFF,&H00000000,&H60000000,0,4,0,%d,7,%d,10,%d,1,0\n", small, small / 2, small, small);
	buf_printf(s, "Style: Message,sans-serif,%d,&H0080FFFF,&H00000000,&H40000000,0,4,0,%d,8,%d,%d,%d,1,0\n", words, words / 2, width / 10,
	           width / 10, height / 12);
	buf_puts(s, "Style: Draw,sans-serif,10,&H00FFFFFF,&H00000000,&H00000000,0,1,0,0,7,0,0,0,1,0\n\n[Events]\n"
	            "Format: Layer, Start, End, Style, MarginL, MarginR, Text\n");
}

static void put_line(struct buf *s, int layer, const char *style)
{
	buf_printf(s, "Dialogue: %d,0:00:00.00,1:00:00.00,%s,0,0,", layer, style);
}

static void put_plain(struct buf *s, int layer, const char *style, const char *text)
{
	if (*text == '\0')
		return;
	put_line(s, layer, style);
	cues_put_text(s, text, strlen(text));
	buf_putc(s, '\n');
}

static void put_box(struct buf *s, int layer, const char *colour, const char *alpha, int x, int y, int w, int h)
{
	put_line(s, layer, "Draw");
	buf_printf(s, "{\\pos(0,0)\\c&H%s&\\1a&H%s&\\p1}m %d %d l %d %d %d %d %d %d\n", colour, alpha, x, y, x + w, y, x + w, y + h, x, y + h);
}

/* As high as its highest point, with a word about what it is in its corner. */
static void put_graph(struct buf *s, const float *v, const char *label, const char *colour, int x, int y, int w, int h, double scale)
{
	float most = 0.001f;

	put_box(s, 1, "000000", "60", x, y, w, h);
	for (int i = 0; i < OVERLAY_POINTS; i++)
		most = v[i] > most ? v[i] : most;
	put_line(s, 2, "Draw");
	buf_printf(s, "{\\pos(0,0)\\c&H%s&\\p1}m %d %d l", colour, x, y + h);
	for (int i = 0; i < OVERLAY_POINTS; i++)
		buf_printf(s, " %d %d", x + i * w / (OVERLAY_POINTS - 1), y + h - (int)(v[i] / most * (float)(h - 2)));
	buf_printf(s, " %d %d\n", x + w, y + h);
	put_line(s, 3, "Draw");
	buf_printf(s, "{\\an7\\bord1\\pos(%d,%d)\\fs%d}", x + 3, y + 1, at_least(h / 3, 9, scale));
	cues_put_text(s, label, strlen(label));
	buf_putc(s, '\n');
}

static void put_graphs(struct buf *s, const struct overlay_facts *f, int width, int height, double scale)
{
	static const char *const colours[OVERLAY_GRAPHS] = {"60D060", "40A0FF", "D0C040", "5050F0"};
	int w = width / 4, h = height / 14, gap = at_least(height / 72, 4, scale);

	for (int i = 0; i < OVERLAY_GRAPHS; i++)
		put_graph(s, f->graphs[i].v, f->graphs[i].label, colours[i], width - w - gap, gap + i * (h + gap), w, h, scale);
}

static void put_bar(struct buf *s, const struct overlay_facts *f, int width, int height, double scale)
{
	int x = width / 40, w = width - 2 * x, h = at_least(height / 90, 4, scale), y = height - height / 24;

	put_box(s, 3, "000000", "70", 0, height - height / 10, width, height / 10);
	put_box(s, 4, "808080", "40", x, y, w, h);
	put_box(s, 5, "C0C0C0", "40", x, y, (int)(w * f->loaded), h);
	put_box(s, 6, "40A0FF", "00", x, y, (int)(w * f->bar), h);
	put_line(s, 6, "Draw");
	buf_printf(s, "{\\an1\\pos(%d,%d)\\fs%d}", x, y - h, at_least(height / 32, 11, scale));
	cues_put_text(s, f->bar_text, strlen(f->bar_text));
	buf_putc(s, '\n');
}

/* The time where the mouse is; a comment tells one picture from another. */
static void put_hover(struct buf *s, const struct overlay_facts *f, int width, int height, double scale)
{
	struct rect r = thumb_place(f, width, height);
	int x = width / 40 + (int)((width - 2 * (width / 40)) * f->hover);

	buf_printf(s, "Comment: 0,0:00:00.00,0:00:00.00,Draw,0,0,%u %d\n", f->thumb != NULL ? f->thumb_id : 0, f->thumb != NULL);
	put_box(s, 7, "FFFFFF", "20", x - 1, height - height / 24 - 4, 2, height / 90 + 8);
	put_line(s, 8, "Draw");
	buf_printf(s, "{\\an2\\bord2\\pos(%d,%d)\\fs%d}", f->thumb != NULL ? r.x + r.w / 2 : x, r.y + r.h - 2, at_least(height / 32, 11, scale));
	cues_put_text(s, f->hover_text, strlen(f->hover_text));
	buf_putc(s, '\n');
}

/* Lines wrap between the margins; 0 would be the style's. */
static int margin(int n)
{
	return n > 1 ? n : 1;
}

/* The last line first. */
static void put_backwards(struct buf *s, const char *text)
{
	const char *end = text + strlen(text);

	while (end > text) {
		const char *line = end;

		while (line > text && !(line - text >= 2 && line[-2] == '\\' && line[-1] == 'N'))
			line--;
		buf_append(s, line, (size_t)(end - line));
		if (line > text)
			buf_puts(s, "\\N");
		end = line > text ? line - 2 : text;
	}
}

/* Lines that are written downwards are lines that are turned clockwise about where they stand: their top is then at the right, and
 * each next one to the left; where it is to be at the right they are written in turn.  WebVTT 7.2 counts from the first line's side. */
static void put_down(struct buf *s, const struct cue_place *p, const char *text, int width, int height, const int picture[static 4])
{
	int length = (int)(p->width * (float)picture[3]), y = picture[1] + (int)(p->left * (float)picture[3]), row = height / 16, edge = p->edge, x;
	int n = p->line == CUE_LINE_ROW ? p->row : -1, from = n < 0 ? -n - 1 : n;

	y += p->align < 0 ? 0 : p->align > 0 ? length : length / 2;
	if (p->line == CUE_LINE_PART) {
		x = picture[0] + (int)(p->y * (float)picture[2]);
	} else {
		edge = (p->writing == CUE_DOWN_LEFT) == (n >= 0) ? 1 : -1;
		x = edge > 0 ? picture[0] + picture[2] - from * row : picture[0] + from * row;
	}
	buf_printf(s, "Dialogue: 0,0:00:00.00,1:00:00.00,%s,%d,%d,{\\an%d\\pos(%d,%d)}", p->boxed ? "DownBox" : "Down", margin((width - length) / 2), margin((width - length) / 2),
	           (edge < 0 ? 2 : edge > 0 ? 8 : 5) + p->align, x, y);
	if (p->writing == CUE_DOWN_RIGHT)
		put_backwards(s, text);
	else
		buf_puts(s, text);
	buf_putc(s, '\n');
}

/* Behind all of the text's box. */
static void put_frame(struct buf *s, const struct cue_place *p, const int picture[static 4])
{
	float left = p->writing == CUE_ACROSS ? p->left : p->top, width = p->writing == CUE_ACROSS ? p->width : p->height;
	float top = p->writing == CUE_ACROSS ? p->top : p->left, height = p->writing == CUE_ACROSS ? p->height : p->width;
	char colour[8], alpha[4];

	snprintf(colour, sizeof colour, "%02X%02X%02X", p->frame & 255, p->frame >> 8 & 255, p->frame >> 16 & 255);
	snprintf(alpha, sizeof alpha, "%02X", 255 - (p->frame >> 24));
	put_box(s, 0, colour, alpha, picture[0] + (int)(left * (float)picture[2]), picture[1] + (int)(top * (float)picture[3]), (int)(width * (float)picture[2]), (int)(height * (float)picture[3]));
}

/* Text with a place of its own.  Where its line is not said libass finds room at the bottom, else it stands where it is to stand. */
static void put_placed(struct buf *s, const struct cue_place *p, const char *text, int width, int height, const int picture[static 4], int bottom)
{
	int left = picture[0] + (int)(p->left * (float)picture[2]), box = (int)(p->width * (float)picture[2]), row = height / 16, edge = p->edge, y;
	int x = p->align < 0 ? left : p->align > 0 ? left + box : left + box / 2;
	char clip[64] = "";

	if (p->framed)
		put_frame(s, p, picture);
	if (p->writing != CUE_ACROSS) {
		put_down(s, p, text, width, height, picture);
		return;
	}
	if (p->line == CUE_LINE_AUTO) {
		buf_printf(s, "Dialogue: 0,0:00:00.00,1:00:00.00,%s,%d,%d,{\\an%d}%s\n", p->boxed ? "Box" : "Sub", margin(left), margin(width - left - box), 2 + p->align, text);
		return;
	}
	if (p->line == CUE_LINE_ROW) {
		edge = p->row < 0 ? 1 : -1;
		y = p->row < 0 ? picture[1] + picture[3] + (p->row + 1) * row : picture[1] + p->row * row;
	} else {
		y = picture[1] + (int)(p->y * (float)picture[3]);
	}
	if (p->window_lines > 0)
		y += (int)((1 - p->window_anchor) * (float)(p->window_lines * row));
	if (edge > 0 && y > bottom)
		y = bottom;
	if (p->window_lines > 0)
		snprintf(clip, sizeof clip, "\\clip(%d,%d,%d,%d)", left, y - p->window_lines * row, left + box, y);
	buf_printf(s, "Dialogue: 0,0:00:00.00,1:00:00.00,%s,%d,%d,{\\an%d\\pos(%d,%d)%s}%s\n", p->boxed ? "Box" : "Sub", margin(left), margin(width - left - box),
	           (edge < 0 ? 8 : edge > 0 ? 2 : 5) + p->align, x, y, clip, text);
}

static void put_subtitles(struct buf *s, const struct overlay_facts *f, int width, int height, const int picture[static 4])
{
	for (size_t i = 0; i < f->subtitles.n; i++) {
		const char *text = f->subtitles.text + f->subtitles.v[i].at;

		if (f->subtitles.v[i].place.set) {
			put_placed(s, &f->subtitles.v[i].place, text, width, height, picture, f->bar < 0 ? height : height - height / 10);
			continue;
		}
		put_line(s, 0, f->subtitles.v[i].place.boxed ? "Box" : "Sub");
		buf_puts(s, text);
		buf_putc(s, '\n');
	}
}

static void write_script(struct buf *s, const struct overlay_facts *f, const struct overlay_view *v)
{
	int width = v->width, height = v->height;

	buf_clear(s);
	if (f->subtitles.n == 0 && f->statistics[0] == '\0' && f->message[0] == '\0' && f->bar < 0)
		return;
	put_head(s, f, width, height, v->scale);
	put_subtitles(s, f, width, height, v->picture);
	put_plain(s, 7, "Small", f->statistics);
	put_plain(s, 8, "Message", f->message);
	if (f->statistics[0] != '\0')
		put_graphs(s, f, width, height, v->scale);
	if (f->bar >= 0)
		put_bar(s, f, width, height, v->scale);
	if (f->bar >= 0 && f->hover >= 0)
		put_hover(s, f, width, height, v->scale);
}

static void widen(struct overlay *o, int left, int top, int right, int bottom)
{
	int *a = o->area;

	if (!o->drawn) {
		a[0] = o->width;
		a[1] = o->height;
		a[2] = a[3] = 0;
	}
	a[0] = left < a[0] ? left > 0 ? left : 0 : a[0];
	a[1] = top < a[1] ? top > 0 ? top : 0 : a[1];
	a[2] = right > a[2] ? right < o->width ? right : o->width : a[2];
	a[3] = bottom > a[3] ? bottom < o->height ? bottom : o->height : a[3];
	o->drawn = true;
}

void overlay_area(const struct overlay *o, int ret_area[static 4])
{
	memcpy(ret_area, o->area, sizeof o->area);
}

/* --- pixels ------------------------------------------------------------------------------------------- */

static uint32_t blend(uint32_t under, uint32_t r, uint32_t g, uint32_t b, uint32_t a)
{
	uint32_t ua = under >> 24, rest = ua * (255 - a) / 255, out = a + rest;

	if (out == 0)
		return 0;
#define MIX(v, shift) (((v) * a + ((under >> (shift)) & 255) * rest) / out)
	return out << 24 | MIX(r, 16) << 16 | MIX(g, 8) << 8 | MIX(b, 0);
#undef MIX
}

static void put_image(struct overlay *o, const ASS_Image *image)
{
	uint32_t r = image->color >> 24, g = image->color >> 16 & 255, b = image->color >> 8 & 255, opaque = 255 - (image->color & 255);

	for (int y = 0; y < image->h; y++) {
		const uint8_t *from = image->bitmap + y * image->stride;
		uint32_t *to = o->pixels + (size_t)(image->dst_y + y) * (size_t)o->width + image->dst_x;

		for (int x = 0; x < image->w; x++)
			if (from[x] != 0)
				to[x] = blend(to[x], r, g, b, from[x] * opaque / 255);
	}
}

/* With a border, to the size it has here. */
static void put_thumb(struct overlay *o, const struct overlay_facts *f)
{
	struct rect r = thumb_place(f, o->width, o->height);

	for (int y = -2; y < r.h + 2; y++)
		for (int x = -2; x < r.w + 2; x++) {
			bool border = x < 0 || y < 0 || x >= r.w || y >= r.h;

			if (r.y + y < 0 || r.y + y >= o->height || r.x + x < 0 || r.x + x >= o->width)
				continue;
			o->pixels[(size_t)(r.y + y) * (size_t)o->width + (size_t)(r.x + x)] =
				border ? 0xffe0e0e0 : 0xff000000 | f->thumb[(size_t)(y * f->thumb_height / r.h) * (size_t)f->thumb_width + (size_t)(x * f->thumb_width / r.w)];
		}
	widen(o, r.x - 2, r.y - 2, r.x + r.w + 2, r.y + r.h + 2);
}

static void render(struct overlay *o)
{
	ASS_Track *track = ass_read_memory(o->library, (char *)o->script.bytes, o->script.size, NULL);
	int changed;

	if (track == NULL)
		return;
	for (const ASS_Image *image = ass_render_frame(o->renderer, track, 1000, &changed); image != NULL; image = image->next) {
		put_image(o, image);
		widen(o, image->dst_x, image->dst_y, image->dst_x + image->w, image->dst_y + image->h);
	}
	ass_free_track(track);
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

bool overlay_draw(struct overlay *o, const struct overlay_view *v, const struct overlay_facts *f, const uint32_t **ret_pixels)
{
	int width = v->width, height = v->height;
	size_t n = (size_t)width * (size_t)height;
	bool other = width != o->width || height != o->height;

	write_script(&o->script, f, v);
	if (!other && same(&o->script, &o->before)) {
		*ret_pixels = o->drawn ? o->pixels : NULL;
		return false;
	}
	if (n > o->cap) {
		o->pixels = mem_resize(o->pixels, n, sizeof *o->pixels);
		o->cap = n;
	}
	o->width = width;
	o->height = height;
	memset(o->pixels, 0, n * sizeof *o->pixels);
	ass_set_frame_size(o->renderer, width, height);
	o->drawn = false;
	if (f->bar >= 0 && f->hover >= 0 && f->thumb != NULL)
		put_thumb(o, f);
	if (o->script.size > 0)
		render(o);
	buf_clear(&o->before);
	buf_append(&o->before, o->script.bytes, o->script.size);
	*ret_pixels = o->drawn ? o->pixels : NULL;
	return true;
}

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A window and a sound device through SDL 2.  Planar 4:2:0 goes to the graphics
 * card as it is; anything else is converted first.
 */
#include <config.h>

#include "player/sink.h"

#ifndef HAVE_SDL

int sink_sdl_new(const char *title, unsigned height, struct sink **ret_sink, struct fault *f)
{
	return fault_set(f, ERR_UNSUPPORTED, _("this build has no window (SDL2 was not there): use --output null, or "
	                                     "apt-get install libsdl2-dev and build again"));
}

#else

#include <SDL.h>
#include <SDL_syswm.h>
#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "player/device.h"
#include "player/overlay.h"

#define BAR (2 * DUR_S)          /* the bar stays so long after the mouse has moved, and as long as it rests on it */

struct window {
	struct sink sink;
	SDL_Window *window;
	SDL_Renderer *renderer;
	SDL_Texture *texture;
	int top;                 /* height of the title's largest picture */
	int width, height;
	double desktop_scale;    /* 0: not known */
	double aspect;           /* of the picture as it is shown, turned */
	int turn;                /* clockwise, degrees: 0, 90, 180, 270 */
	struct device *sound;
	struct overlay *overlay;
	SDL_Texture *over;       /* of over_width x over_height; NULL: nothing stands over the picture */
	int over_width, over_height;
	bool over_shown;
	SDL_Rect over_area;      /* all of it that is not empty: blending costs by the pixel */
	mono_us moved;           /* when the mouse did */
	bool held;               /* its button, since it was on the bar */
	bool covers;             /* full screen without a window manager: it was as `small` says */
	SDL_Rect small;
	int mouse_x, mouse_y;
	struct SwsContext *sws;
	AVFrame *converted;
};

static struct window *of(struct sink *s)
{
	return (struct window *)s;
}

static const AVFrame *as_yuv(struct window *w, const AVFrame *f)
{
	if (f->format == AV_PIX_FMT_YUV420P || f->format == AV_PIX_FMT_YUVJ420P)
		return f;
	if (w->converted == NULL || w->converted->width != f->width || w->converted->height != f->height) {
		av_frame_free(&w->converted);
		w->converted = av_frame_alloc();
		if (w->converted == NULL)
			return NULL;
		w->converted->format = AV_PIX_FMT_YUV420P;
		w->converted->width = f->width;
		w->converted->height = f->height;
		if (av_frame_get_buffer(w->converted, 0) < 0)
			return NULL;
	}
	w->sws = sws_getCachedContext(w->sws, f->width, f->height, f->format, f->width, f->height, AV_PIX_FMT_YUV420P,
	                              SWS_BILINEAR, NULL, NULL, NULL);
	if (w->sws == NULL)
		return NULL;
	sws_scale(w->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, w->converted->data,
	          w->converted->linesize);
	return w->converted;
}

/* The window takes the first picture's shape and the title's size; renditions scale into it. */
static void first_size(struct window *w)
{
	SDL_Rect screen = {0, 0, 1280, 720};
	int height = w->height > w->top ? w->height : w->top, width = (int)(height * w->aspect);

	SDL_GetDisplayUsableBounds(0, &screen);
	if (width < 640) {
		height = (int)(640 / w->aspect);
		width = 640;
	}
	if (width > screen.w || height > screen.h) {
		double by = SDL_min((double)screen.w / width, (double)screen.h / height);

		width = (int)(width * by);
		height = (int)(height * by);
	}
	SDL_SetWindowSize(w->window, width, height);
	SDL_SetWindowPosition(w->window, SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED);
	SDL_ShowWindow(w->window);
}

/* The display matrix in quarter turns. */
static int turn_of(const AVFrame *f)
{
	const AVFrameSideData *side = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
	double angle = side != NULL ? av_display_rotation_get((const int32_t *)side->data) : 0;

	if (!(angle >= -360 && angle <= 360)) /* NaN for no rotation at all */
		return 0;
	return ((int)lround(-angle / 90) * 90 % 360 + 360) % 360;
}

static bool fit_texture(struct window *w, const AVFrame *f)
{
	bool first = w->texture == NULL;
	double sar = f->sample_aspect_ratio.num > 0 && f->sample_aspect_ratio.den > 0 ? av_q2d(f->sample_aspect_ratio) : 1;

	w->turn = turn_of(f);
	w->aspect = sar * f->width / f->height;
	if (w->turn % 180 != 0)
		w->aspect = 1 / w->aspect;
	if (first || w->width != f->width || w->height != f->height) {
		if (!first)
			SDL_DestroyTexture(w->texture);
		w->texture = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_IYUV, SDL_TEXTUREACCESS_STREAMING, f->width, f->height);
		w->width = f->width;
		w->height = f->height;
	}
	if (first && w->texture != NULL)
		first_size(w);
	return w->texture != NULL;
}

/* Into the rectangle, turned: SDL turns about its middle after scaling. */
static void draw_picture(struct window *w, SDL_Rect to)
{
	if (w->turn % 180 != 0) {
		SDL_Rect lying = {to.x + (to.w - to.h) / 2, to.y + (to.h - to.w) / 2, to.h, to.w};

		to = lying;
	}
	if (w->turn == 0)
		SDL_RenderCopy(w->renderer, w->texture, NULL, &to);
	else
		SDL_RenderCopyEx(w->renderer, w->texture, NULL, &to, w->turn, NULL, SDL_FLIP_NONE);
}

/* Where in ww x wh pixels the picture stands. */
static SDL_Rect place(const struct window *w, int ww, int wh)
{
	SDL_Rect to;

	to.w = ww;
	to.h = (int)(ww / w->aspect + 0.5);
	if (to.h > wh) {
		to.h = wh;
		to.w = (int)(wh * w->aspect + 0.5);
	}
	to.x = (ww - to.w) / 2;
	to.y = (wh - to.h) / 2;
	return to;
}

static void draw(struct window *w)
{
	int ww, wh;
	SDL_Rect to;

	SDL_GetRendererOutputSize(w->renderer, &ww, &wh);
	to = place(w, ww, wh);
	if (to.w < ww || to.h < wh || w->texture == NULL) { /* else the picture covers all */
		SDL_SetRenderDrawColor(w->renderer, 0, 0, 0, 255);
		SDL_RenderClear(w->renderer);
	}
	if (w->texture != NULL)
		draw_picture(w, to);
	if (w->over_shown)
		SDL_RenderCopy(w->renderer, w->over, &w->over_area, &w->over_area);
	SDL_RenderPresent(w->renderer);
}

static void show(struct sink *s, const AVFrame *frame)
{
	struct window *w = of(s);
	const AVFrame *f = as_yuv(w, frame);

	if (f == NULL || !fit_texture(w, frame))
		return;
	SDL_UpdateYUVTexture(w->texture, NULL, f->data[0], f->linesize[0], f->data[1], f->linesize[1], f->data[2],
	                     f->linesize[2]);
	draw(w);
}

#ifdef SDL_VIDEO_DRIVER_X11
/* X11 has no points; desktops say by Xft.dpi how large they draw.  0: they do not. */
static double desktop_scale(SDL_Window *w)
{
	SDL_SysWMinfo i;
	void *x = SDL_LoadObject("libX11.so.6");
	char *(*resources)(Display *) = NULL;
	const char *line = NULL;
	double dpi = 0;

	SDL_VERSION(&i.version);
	if (x != NULL)
		*(void **)&resources = SDL_LoadFunction(x, "XResourceManagerString");
	if (resources != NULL && SDL_GetWindowWMInfo(w, &i) && i.subsystem == SDL_SYSWM_X11)
		line = resources(i.info.x11.display);
	line = line != NULL ? strstr(line, "Xft.dpi:") : NULL;
	if (line != NULL)
		dpi = SDL_strtod(line + strlen("Xft.dpi:"), NULL);
	if (x != NULL)
		SDL_UnloadObject(x);
	return dpi > 0 ? dpi / 96 : 0;
}
#else
static double desktop_scale(SDL_Window *w)
{
	return 0;
}
#endif

/* HiDPI: in the renderer's pixels, not in the window's points (Wayland, macOS). */
static void size(struct sink *s, int *ret_width, int *ret_height, double *ret_scale)
{
	struct window *w = of(s);
	int points = 0;
	double scale;

	SDL_GetRendererOutputSize(w->renderer, ret_width, ret_height);
	SDL_GetWindowSize(w->window, &points, NULL);
	scale = points > 0 ? (double)*ret_width / points : 1;
	if (w->desktop_scale > scale)
		scale = w->desktop_scale;
	*ret_scale = scale < 1 ? 1 : scale > 4 ? 4 : scale;
}

static void overlay(struct sink *s, const struct overlay_facts *facts)
{
	struct window *w = of(s);
	const uint32_t *pixels;
	int width, height, area[4];
	struct overlay_view v;
	SDL_Rect at;

	size(s, &width, &height, &v.scale);
	at = w->texture != NULL ? place(w, width, height) : (SDL_Rect){0, 0, width, height};
	v.width = width;
	v.height = height;
	memcpy(v.picture, (const int[4]){at.x, at.y, at.w, at.h}, sizeof v.picture);
	if (w->overlay == NULL || width <= 0 || height <= 0 || !overlay_draw(w->overlay, &v, facts, &pixels))
		return;
	if (w->over == NULL || w->over_width != width || w->over_height != height) {
		if (w->over != NULL)
			SDL_DestroyTexture(w->over);
		w->over = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_STREAMING, width, height);
		SDL_SetTextureBlendMode(w->over, SDL_BLENDMODE_BLEND);
		w->over_width = width;
		w->over_height = height;
	}
	overlay_area(w->overlay, area);
	w->over_area = (SDL_Rect){area[0], area[1], area[2] - area[0], area[3] - area[1]};
	if (pixels != NULL && w->over != NULL)
		SDL_UpdateTexture(w->over, &w->over_area, pixels + area[1] * width + area[0], width * 4);
	w->over_shown = pixels != NULL && w->over != NULL;
	if (w->texture != NULL)
		draw(w);
}

static bool wants_bar(struct sink *s, double *ret_hover)
{
	struct window *w = of(s);
	int width, height;

	SDL_GetWindowSize(w->window, &width, &height);
	*ret_hover = overlay_bar_at(width, height, w->mouse_x, w->mouse_y);
	if (w->moved == 0)
		return false;
	return clock_mono() - w->moved < BAR || (*ret_hover >= 0 && SDL_GetMouseFocus() == w->window);
}

static int sound_open(struct sink *s, int rate, int *channels)
{
	of(s)->sound = device_new(rate, channels);
	return of(s)->sound != NULL ? 0 : ERR_UNSUPPORTED;
}

static void sound_put(struct sink *s, const float *samples, size_t n, dur_us at)
{
	device_put(of(s)->sound, samples, n);
}

static dur_us sound_left(struct sink *s)
{
	return device_left(of(s)->sound);
}

static void sound_run(struct sink *s, bool on)
{
	if (of(s)->sound != NULL)
		device_run(of(s)->sound, on);
}

static void sound_close(struct sink *s)
{
	device_free(&of(s)->sound);
}

static void sound_clear(struct sink *s)
{
	if (of(s)->sound != NULL)
		device_clear(of(s)->sound);
}

/* X11 without a window manager: nobody does what SDL asks for, and SDL believes that it was done. */
static bool unmanaged(SDL_Window *w)
{
	const char *driver = SDL_GetCurrentVideoDriver();
	int top = 0, left = 0, bottom = 0, right = 0;

	return driver != NULL && strcmp(driver, "x11") == 0 && (SDL_GetWindowBordersSize(w, &top, &left, &bottom, &right) < 0 || (top | left | bottom | right) == 0);
}

/* A window that is as large as the screen already is nothing new to a manager that draws no borders. */
static void cover(struct window *w)
{
	SDL_Rect all;

	w->covers = unmanaged(w->window) && SDL_GetDisplayBounds(SDL_GetWindowDisplayIndex(w->window), &all) == 0;
	if (!w->covers)
		return;
	SDL_GetWindowPosition(w->window, &w->small.x, &w->small.y);
	SDL_GetWindowSize(w->window, &w->small.w, &w->small.h);
	SDL_SetWindowSize(w->window, all.w, all.h);
	SDL_SetWindowPosition(w->window, all.x, all.y);
}

static void uncover(struct window *w)
{
	if (!w->covers)
		return;
	SDL_SetWindowSize(w->window, w->small.w, w->small.h);
	SDL_SetWindowPosition(w->window, w->small.x, w->small.y);
	w->covers = false;
}

static bool full_screen(struct sink *s, int how)
{
	SDL_Window *w = of(s)->window;
	bool full = (SDL_GetWindowFlags(w) & SDL_WINDOW_FULLSCREEN_DESKTOP) != 0, wanted = how == -1 ? !full : how == -2 ? full : how != 0;

	if (wanted && !full)
		cover(of(s));
	if (wanted != full)
		SDL_SetWindowFullscreen(w, wanted ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
	if (!wanted && full)
		uncover(of(s));
	return wanted;
}

static struct command on_key(const SDL_KeyboardEvent *e)
{
	static const struct {
		SDL_Keycode code;
		int key;
	} others[] = {{SDLK_LEFT, KEY_LEFT}, {SDLK_RIGHT, KEY_RIGHT}, {SDLK_UP, KEY_UP}, {SDLK_DOWN, KEY_DOWN}, {SDLK_ESCAPE, KEY_ESCAPE}};
	struct command c = {CMD_NOTHING, 0};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (others[i].code == e->keysym.sym)
			c = keys_command(others[i].key);
	if (c.verb == CMD_NOTHING && e->keysym.sym < 128)
		c = keys_command(e->keysym.sym);
	if (e->repeat != 0 && c.verb != CMD_SEEK_BY && c.verb != CMD_STEP && c.verb != CMD_SPEED_BY)
		c.verb = CMD_NOTHING;
	return c;
}

/* A click on the seek bar goes there, at its release exactly; a double click elsewhere is full screen. */
static struct command on_click(struct window *w, const SDL_MouseButtonEvent *e)
{
	int width, height;
	double part;

	SDL_GetWindowSize(w->window, &width, &height);
	part = overlay_bar_at(width, height, e->x, e->y);
	if (e->button == SDL_BUTTON_LEFT && part >= 0) {
		w->held = true;
		w->moved = clock_mono();
		return (struct command){CMD_DRAG, part};
	}
	if (e->button == SDL_BUTTON_LEFT && e->clicks == 2)
		return (struct command){CMD_FULL_SCREEN, 0};
	return (struct command){CMD_NOTHING, 0};
}

/* Held, the mouse drags along the bar wherever it is; what is passed over between two pictures is nothing. */
static struct command on_motion(struct window *w, const SDL_MouseMotionEvent *e)
{
	int width, height;

	w->moved = clock_mono();
	w->mouse_x = e->x;
	w->mouse_y = e->y;
	SDL_GetWindowSize(w->window, &width, &height);
	if (!w->held || SDL_HasEvent(SDL_MOUSEMOTION))
		return (struct command){CMD_NOTHING, 0};
	return (struct command){CMD_DRAG, overlay_bar_at(width, height, e->x, height)};
}

static struct command on_release(struct window *w, const SDL_MouseButtonEvent *e)
{
	int width, height;

	if (!w->held || e->button != SDL_BUTTON_LEFT)
		return (struct command){CMD_NOTHING, 0};
	w->held = false;
	SDL_GetWindowSize(w->window, &width, &height);
	return (struct command){CMD_SEEK_PART, overlay_bar_at(width, height, e->x, height)};
}

static struct command poll_events(struct sink *s)
{
	struct window *w = of(s);
	SDL_Event e;

	while (SDL_PollEvent(&e)) {
		struct command c = {CMD_NOTHING, 0};

		if (e.type == SDL_QUIT)
			c.verb = CMD_QUIT;
		else if (e.type == SDL_KEYDOWN)
			c = on_key(&e.key);
		else if (e.type == SDL_MOUSEBUTTONDOWN)
			c = on_click(w, &e.button);
		else if (e.type == SDL_MOUSEMOTION)
			c = on_motion(w, &e.motion);
		else if (e.type == SDL_MOUSEBUTTONUP)
			c = on_release(w, &e.button);
		else if (e.type == SDL_WINDOWEVENT && w->texture != NULL)
			draw(w);
		if (c.verb != CMD_NOTHING)
			return c;
	}
	return (struct command){CMD_NOTHING, 0};
}

/* X11 tells by its connection; what other displays have SDL does not say without their headers. */
static int events_fd(struct sink *s)
{
#ifdef SDL_VIDEO_DRIVER_X11
	SDL_SysWMinfo i;

	SDL_VERSION(&i.version);
	if (SDL_GetWindowWMInfo(of(s)->window, &i) && i.subsystem == SDL_SYSWM_X11)
		return ConnectionNumber(i.info.x11.display);
#endif
	return -1;
}

/* What display drivers, libdbus and their like keep for themselves is no leak of ours; a sanitizer can tell only while they
 * are still loaded. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WITH_ASAN)
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libdbus-1\nleak:libGL\nleak:_dri.so\nleak:libX\nleak:libpulse\n";
}

const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

static void quit_sdl(void)
{
}
#else
static void quit_sdl(void)
{
	SDL_Quit();
}
#endif

static void window_free(struct sink *s)
{
	struct window *w = of(s);

	device_free(&w->sound);
	if (w->over != NULL)
		SDL_DestroyTexture(w->over);
	if (w->texture != NULL)
		SDL_DestroyTexture(w->texture);
	overlay_free(&w->overlay);
	if (w->renderer != NULL)
		SDL_DestroyRenderer(w->renderer);
	if (w->window != NULL)
		SDL_DestroyWindow(w->window);
	quit_sdl();
	sws_freeContext(w->sws);
	av_frame_free(&w->converted);
	free(w);
}

/* SDL falls back to drivers that show nothing; those are for who asks for them by name. */
static bool real_display(void)
{
	const char *driver = SDL_GetCurrentVideoDriver();

	if (getenv("SDL_VIDEODRIVER") != NULL)
		return true;
	if (driver != NULL && strcmp(driver, "offscreen") != 0 && strcmp(driver, "dummy") != 0 && strcmp(driver, "evdev") != 0)
		return true;
	SDL_SetError("there is no display (DISPLAY and WAYLAND_DISPLAY are unset)");
	return false;
}

static void open_window(struct window *w, const char *title, Uint32 flags)
{
	w->window = SDL_CreateWindow(title, SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 640, 360,
	                             SDL_WINDOW_HIDDEN | SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
	w->renderer = w->window != NULL ? SDL_CreateRenderer(w->window, -1, flags) : NULL;
}

/* OpenGL without a graphics card (Mesa's llvmpipe and the like). */
static bool pretended_card(SDL_Renderer *r)
{
	static const char *const names[] = {"llvmpipe", "softpipe", "swrast", "Software Rasterizer"};
	const char *(*get)(unsigned) = NULL;
	const char *name = NULL;
	SDL_RendererInfo info;

	if (SDL_GetRendererInfo(r, &info) != 0 || strncmp(info.name, "opengl", 6) != 0)
		return false;
	*(void **)&get = SDL_GL_GetProcAddress("glGetString");
	if (get != NULL)
		name = get(0x1F01); /* GL_RENDERER */
	for (size_t i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++)
		if (strstr(name, names[i]) != NULL)
			return true;
	return false;
}

/* Where the processor draws anyway, SDL's own renderer, straight into the X server's memory, takes a twentieth of what a
 * pretended card takes (a picture of 1080p: 1 ms, and 23). */
static void draw_without_card(struct window *w, const char *title)
{
	const char *driver = SDL_GetCurrentVideoDriver();

	if (getenv("SDL_RENDER_DRIVER") != NULL || driver == NULL || strcmp(driver, "x11") != 0 || w->renderer == NULL || !pretended_card(w->renderer))
		return;
	SDL_DestroyRenderer(w->renderer);
	SDL_DestroyWindow(w->window);
	SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0"); /* else that card would draw it in the end */
	open_window(w, title, SDL_RENDERER_SOFTWARE);
}

int sink_sdl_new(const char *title, unsigned height, struct sink **ret_sink, struct fault *f)
{
	struct window *w = mem_new(sizeof *w);

	w->sink = (struct sink){.show = show, .preview = show, .sound_open = sound_open, .sound_put = sound_put, .sound_left = sound_left,
		.sound_run = sound_run, .sound_clear = sound_clear, .sound_close = sound_close, .poll = poll_events, .fd = events_fd, .overlay = overlay, .wants_bar = wants_bar, .size = size, .full = full_screen, .free = window_free};
	w->top = height < 8192 ? (int)height : 0;
	w->overlay = overlay_new();
	SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
	if (SDL_Init(SDL_INIT_VIDEO) == 0 && real_display()) {
		SDL_InitSubSystem(SDL_INIT_AUDIO); /* without it the picture plays alone */
		open_window(w, title, SDL_RENDERER_PRESENTVSYNC);
		draw_without_card(w, title);
	}
	if (w->renderer == NULL) {
		fault_set(f, ERR_UNSUPPORTED, _("no window can be opened: %s: use --output null without a display"), SDL_GetError());
		window_free(&w->sink);
		return ERR_UNSUPPORTED;
	}
	SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "1");
	w->desktop_scale = desktop_scale(w->window);
	*ret_sink = &w->sink;
	return 0;
}

#endif

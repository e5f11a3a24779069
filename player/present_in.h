/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the presenter's two files share: the loop by the clock (present.c), and
 * what a viewer asks for and is told (hands.c).
 */
#ifndef RIBERA_PLAYER_PRESENT_IN_H
#define RIBERA_PLAYER_PRESENT_IN_H

#include "player/keys.h"
#include "player/overlay.h"
#include "player/pace.h"
#include "player/present.h"
#include "player/sound.h"

#define HANDS_REST (10 * DUR_S) /* a pause that is long */

struct present {
	struct present_setup set; /* set.speed is the speed now */
	struct hub *hub;
	struct report *report;
	struct sound sound;
	bool playing, paused, shown, quit;
	bool stepping;           /* one picture is wanted while it is paused */
	bool rested;             /* the sound device was closed, as the pause is long */
	mono_us paused_at;
	bool stepped;            /* pictures went on without the sound */
	bool statistics;
	dur_us drawing;          /* how long a picture takes to the screen, of late: it is begun so much earlier */
	dur_us base_pts;
	mono_us base;            /* when the clock showed base_pts */
	mono_us settled;         /* until then it takes the device's time at once */
	struct pace pace;
	bool own_pace;           /* the viewer has chosen a speed or a place: it is not steered */
	mono_us paced_next;
	dur_us video_end;        /* end of the last picture taken */
	mono_us stall_began;     /* 0: none */
	mono_us status_next;
	bool dragged;            /* key pictures are shown, one by one: the clock stands still */
	double scan;             /* through them, so many times as fast; 0: not */
	dur_us scan_from;        /* where it was ... */
	mono_us scan_began;      /* ... then */
	mono_us scan_next;
	bool drag_waits;         /* the place to show next */
	dur_us drag_to;
	mono_us sought;          /* when a seek began that has shown nothing yet; 0: none */
	bool restarted;          /* the first picture behind a seek was shown: scripts are to be told */
	dur_us last_seek;        /* how long the last one took */
	dur_us first_picture;    /* after how long it, or one on the way to it, was seen; 0: not yet */
	dur_us posted;           /* the position the engine was last woken for */
	struct overlay_facts facts;
	uint64_t dropped_before; /* at the last point of the graphs */
	mono_us drawn_next, sampled_next;
	bool draw_waits;         /* something may be drawn otherwise, at drawn_next */
	char status[512];        /* the line that stands in the terminal */
	bool status_stands;      /* it was the same the last time */
	char notice[128];        /* a moment's message */
	mono_us notice_end;
	mono_us bar_end;         /* the bar is shown until then: somebody stepped along it */
	int width, height;       /* of the last picture */
	bool terminal;
	struct wake *wake;       /* NULL: there is none */
	bool told;               /* by it, of all that comes in the window */
	bool drew;               /* of late: SDL may have taken events meanwhile that nobody will tell of */
};

dur_us present_clock(const struct present *, mono_us now);
/* From now on; not 0. */
void present_set_speed(struct present *, double speed, mono_us now);
void present_clock_stop(struct present *, dur_us at);

/* Obeys all that was asked for, wherever.  Without the hub's lock. */
void hands_take(struct present *);
/* A pause that is long closes the sound device. */
void hands_rest(struct present *, mono_us now);
/* The next key picture, when one is due. */
void hands_scan(struct present *, mono_us now);
void hands_status(struct present *, mono_us now);
/* What stands over the picture; the hub's lock not held. */
void hands_draw(struct present *, mono_us now);
/* ipc_get_f */
struct json_t *hands_property(void *present, const char *name);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a viewer can ask for, whatever it comes from: a window, a terminal, a
 * socket.  One table says which key means what.
 */
#ifndef RIBERA_PLAYER_KEYS_H
#define RIBERA_PLAYER_KEYS_H

#include <stdbool.h>
#include <stdio.h>

enum command_verb {
	CMD_NOTHING,
	CMD_QUIT,
	CMD_PAUSE,        /* toggles */
	CMD_SET_PAUSE,    /* value: 0 or 1 */
	CMD_SEEK_BY,      /* value: seconds */
	CMD_SEEK_TO,      /* value: seconds since the start of the title */
	CMD_SEEK_PART,    /* value: 0 to 1 of the title */
	CMD_SEEK_BY_PART, /* the same, from here */
	CMD_DRAG,         /* the same, by key pictures, until a seek */
	CMD_SCAN_BY,      /* value: 1 forward, -1 back, through key pictures; again: twice as fast */
	CMD_SET_SCAN,     /* value: times as fast; 0 ends it */
	CMD_SPEED_BY,     /* value: factor */
	CMD_SET_SPEED,    /* value */
	CMD_RUNG,         /* value: 1 is the lowest; 0 leaves it to the adaptation */
	CMD_NEXT_AUDIO,
	CMD_NEXT_TEXT,
	CMD_STATISTICS,   /* toggles */
	CMD_FULL_SCREEN,  /* toggles; the window's own */
	CMD_SET_FULL_SCREEN, /* value: 0 or 1 */
	CMD_STEP,         /* one picture on, paused */
};
struct command {
	enum command_verb verb;
	double value;
};

/* Keys that are no characters. */
enum key { KEY_LEFT = 0x100, KEY_RIGHT, KEY_UP, KEY_DOWN, KEY_ESCAPE };
struct command keys_command(int key);
/* The table, for --help. */
void keys_print(FILE *out);

/* The terminal's keys, when standard input is one in the foreground.  keys_end
 * puts it back as it was; it is put back too when a signal ends the program by default. */
void keys_begin(void);
void keys_end(void);
/* What the keys come from; -1: nothing. */
int keys_fd(void);
/* The next key that was pressed, or CMD_NOTHING; never blocks. */
struct command keys_poll(void);

#endif

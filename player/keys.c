/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of keys, and a terminal read key by key.
 */
#include "player/keys.h"

#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/words.h"

static const struct {
	int key;
	struct command command;
	const char *name, *help; /* NULL: another name of the one above */
} table[] = {
	{' ', {CMD_PAUSE, 0}, N_("space"), N_("pause, go on")},
	{KEY_LEFT, {CMD_SEEK_BY, -5}, N_("left"), N_("5 s back")},
	{KEY_RIGHT, {CMD_SEEK_BY, 5}, N_("right"), N_("5 s on")},
	{KEY_DOWN, {CMD_SEEK_BY, -60}, N_("down"), N_("60 s back")},
	{KEY_UP, {CMD_SEEK_BY, 60}, "up", N_("60 s on")},
	{'[', {CMD_SPEED_BY, 1 / 1.1}, "[", N_("slower, at the same pitch")},
	{']', {CMD_SPEED_BY, 1.1}, "]", N_("faster, at the same pitch")},
	{'=', {CMD_SET_SPEED, 1}, "=", N_("speed as it was made")},
	{'<', {CMD_SCAN_BY, -1}, "<", N_("back through the key pictures; again: twice as fast")},
	{'>', {CMD_SCAN_BY, 1}, ">", N_("forward through the key pictures; space ends it")},
	{'1', {CMD_RUNG, 1}, N_("1 to 9"), N_("this rendition only, 1 is the lowest")},
	{'2', {CMD_RUNG, 2}, NULL, NULL},
	{'3', {CMD_RUNG, 3}, NULL, NULL},
	{'4', {CMD_RUNG, 4}, NULL, NULL},
	{'5', {CMD_RUNG, 5}, NULL, NULL},
	{'6', {CMD_RUNG, 6}, NULL, NULL},
	{'7', {CMD_RUNG, 7}, NULL, NULL},
	{'8', {CMD_RUNG, 8}, NULL, NULL},
	{'9', {CMD_RUNG, 9}, NULL, NULL},
	{'0', {CMD_RUNG, 0}, "0", N_("adapt to the line again")},
	{'a', {CMD_NEXT_AUDIO, 0}, "a", N_("next sound track")},
	{'s', {CMD_NEXT_TEXT, 0}, "s", N_("next subtitles, at last none")},
	{'i', {CMD_STATISTICS, 0}, "i", N_("statistics")},
	{'f', {CMD_FULL_SCREEN, 0}, "f", N_("full screen")},
	{'.', {CMD_STEP, 0}, ".", N_("one picture on")},
	{'q', {CMD_QUIT, 0}, "q", N_("quit")},
	{KEY_ESCAPE, {CMD_QUIT, 0}, NULL, NULL},
};
#define N_KEYS (sizeof table / sizeof table[0])

struct command keys_command(int key)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (table[i].key == key)
			return table[i].command;
	return (struct command){CMD_NOTHING, 0};
}

void keys_print(FILE *out)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (table[i].name != NULL)
			fprintf(out, "  %-8s %s\n", _(table[i].name), _(table[i].help));
}

/* --- the terminal ---------------------------------------------------------------------------- */

static bool raw;
static struct termios before;

/* Echo off, keys at once; signals stay (ISIG), so Ctrl-C works as ever. */
void keys_begin(void)
{
	struct termios t;

	if (raw || !isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &before) != 0)
		return;
	t = before;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 0;
	raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

void keys_end(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	raw = false;
}

int keys_fd(void)
{
	return raw ? STDIN_FILENO : -1;
}

static bool readable(int ms)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN) != 0;
}

/* ECMA-48: ESC [ A and ESC O A; an ESC alone is the key. */
static int read_escape(void)
{
	static const struct {
		char last;
		int key;
	} arrows[] = {{'A', KEY_UP}, {'B', KEY_DOWN}, {'C', KEY_RIGHT}, {'D', KEY_LEFT}};
	char s[2];

	if (!readable(20) || read(STDIN_FILENO, s, 1) != 1)
		return KEY_ESCAPE;
	if ((s[0] != '[' && s[0] != 'O') || !readable(20) || read(STDIN_FILENO, s + 1, 1) != 1)
		return 0;
	for (size_t i = 0; i < sizeof arrows / sizeof arrows[0]; i++)
		if (arrows[i].last == s[1])
			return arrows[i].key;
	return 0;
}

struct command keys_poll(void)
{
	unsigned char c;

	/* stopped and put in the background, a program must not read */
	if (!raw || !readable(0) || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return (struct command){CMD_NOTHING, 0};
	if (read(STDIN_FILENO, &c, 1) != 1) {
		keys_end(); /* hung up */
		return (struct command){CMD_NOTHING, 0};
	}
	return keys_command(c == 27 ? read_escape() : c);
}

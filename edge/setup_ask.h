/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Questions to a person at a terminal.  Where there is none the default is the
 * answer, so that one flow serves people and scripts.
 */
#ifndef RIBERA_EDGE_SETUP_ASK_H
#define RIBERA_EDGE_SETUP_ASK_H

#include <stdbool.h>
#include <signal.h>
#include <stdio.h>

struct ask {
	FILE *in, *out;
	bool people; /* `in` is a terminal */
	bool ended;  /* the person ended the input (Ctrl-D) */
};

void ask_init(struct ask *, FILE *in, FILE *out);

/* The answer without blanks at its ends; an empty one is `def`, which may be
 * NULL: then NULL.  Caller frees. */
char *ask_text(struct ask *, const char *question, const char *def);
/* The same, not shown while it is typed; "" when nothing was. */
char *ask_secret(struct ask *, const char *question);
/* Ctrl-C, or another end that was asked for, ends the question that is open; a second one ends the program. */
void ask_listen_to_signals(void);
bool ask_stopped(void);
const volatile sig_atomic_t *ask_told(void); /* not 0 once it is so; for others who wait */
bool ask_yes(struct ask *, const char *question, bool def);

#endif

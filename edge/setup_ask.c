/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Questions and answers, line by line.
 */
#include "edge/setup_ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/ending.h"
#include "base/mem.h"
#include "base/words.h"

void ask_init(struct ask *a, FILE *in, FILE *out)
{
	*a = (struct ask){.in = in, .out = out, .people = isatty(fileno(in)) == 1};
	if (a->people)
		setvbuf(in, NULL, _IONBF, 0); /* what is typed ahead stays where poll sees it */
}

static volatile sig_atomic_t told_to_stop;

static void on_signal(int number)
{
	told_to_stop = number;
}

void ask_listen_to_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* no SA_RESTART: a question ends; the second one kills */

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	ending_of_terminal(&a);
}

bool ask_stopped(void)
{
	return told_to_stop != 0;
}

const volatile sig_atomic_t *ask_told(void)
{
	return &told_to_stop;
}

/* False: it is to end.  A signal that comes before the wait begins is not lost. */
static bool wait_for_input(struct ask *a)
{
	struct pollfd input = {.fd = fileno(a->in), .events = POLLIN};
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (!ask_stopped() && ppoll(&input, 1, NULL, &before) < 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !ask_stopped();
}

/* A line without its end and the blanks around it; NULL at the end of the input. */
static char *read_line(struct ask *a)
{
	char *line = NULL, *start, *text;
	size_t size = 0, n;

	if (!wait_for_input(a) || getline(&line, &size, a->in) < 0) {
		free(line);
		a->ended = true;
		fputc('\n', a->out);
		return NULL;
	}
	start = line + strspn(line, " \t\r\n");
	for (n = strlen(start); n > 0 && strchr(" \t\r\n", start[n - 1]) != NULL; n--)
		;
	text = mem_dup_n(start, n);
	free(line);
	return text;
}

char *ask_text(struct ask *a, const char *question, const char *def)
{
	char *text = NULL;

	if (a->people && !a->ended) {
		fprintf(a->out, def != NULL && def[0] != '\0' ? "%s [%s]: " : "%s: ", question, def);
		fflush(a->out);
		text = read_line(a);
	}
	if (text != NULL && text[0] != '\0')
		return text;
	free(text);
	return def != NULL ? mem_dup(def) : NULL;
}

char *ask_secret(struct ask *a, const char *question)
{
	struct termios before, quiet;
	bool hidden;
	char *text;

	if (!a->people || a->ended)
		return mem_dup("");
	hidden = tcgetattr(fileno(a->in), &before) == 0;
	if (hidden) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(fileno(a->in), TCSAFLUSH, &quiet);
	}
	fprintf(a->out, _("%s (not shown): "), question); /* only now: somebody may answer at once */
	fflush(a->out);
	text = read_line(a);
	if (hidden) {
		tcsetattr(fileno(a->in), TCSAFLUSH, &before);
		fputc('\n', a->out);
	}
	return text != NULL ? text : mem_dup("");
}

bool ask_yes(struct ask *a, const char *question, bool def)
{
	char *full = mem_printf("%s (%s)", question, def ? _("Y/n") : _("y/N")), *text = ask_text(a, full, "");
	bool yes = text[0] == '\0' ? def : strchr("yYsS", text[0]) != NULL;

	free(text);
	free(full);
	return yes;
}

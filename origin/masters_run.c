/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The child: between fork and exec only what may be called there is called
 * (signal-safety(7)), since other threads may hold locks.
 */
#include "origin/masters_run.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#define OPTIONS_MAX 64
#define OUT_MAX ((size_t)1 << 20)
#define LINE_MAX_BYTES 1000
#define NICE 10 /* viewers come first */

/* A name without a slash is looked for beside this program first. */
static char *find_program(const char *program)
{
	char self[4096], *slash, *beside;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (strchr(program, '/') != NULL || n <= 0)
		return mem_dup(program);
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	beside = path_join(self, program);
	if (access(beside, X_OK) == 0)
		return beside;
	free(beside);
	return mem_dup(program);
}

/* NULL-terminated views of the command and of `options`, which is cut into words. */
static void make_argv(const struct masters_command *c, const char *program, char *options, const char *argv[OPTIONS_MAX + 12])
{
	char *save = NULL;
	size_t n = 0;

	argv[n++] = program;
	argv[n++] = c->master;
	argv[n++] = "--library";
	argv[n++] = c->library;
	argv[n++] = "--json";
	if (c->title != NULL) {
		argv[n++] = "--title";
		argv[n++] = c->title;
	}
	if (c->name != NULL) {
		argv[n++] = "--name";
		argv[n++] = c->name;
	}
	for (char *word = strtok_r(options, " ", &save); word != NULL && n < OPTIONS_MAX + 11; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
}

static void become(const char *const argv[], int out, int err, pid_t parent)
{
	static const char text[] = "cannot be run: is ribera-ingest installed?\n";
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (nice(NICE) == -1)
		errno = 0; /* then it runs as we do */
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		_exit(127);
	_exit(126);
}

struct lines {
	char text[LINE_MAX_BYTES + 1], last[LINE_MAX_BYTES + 1];
	size_t n;
};

static void end_line(struct lines *l, void (*on_line)(void *, const char *), void *ctx)
{
	json_t *text;

	l->text[l->n] = '\0';
	text = json_string(l->text);
	for (size_t i = 0; text == NULL && i < l->n; i++)
		if ((unsigned char)l->text[i] >= 0x80)
			l->text[i] = '?'; /* not UTF-8 as a whole */
	json_decref(text);
	if (l->n > 0) {
		memcpy(l->last, l->text, l->n + 1);
		on_line(ctx, l->last);
	}
	l->n = 0;
}

static void take_text(struct lines *l, const char *bytes, size_t n, void (*on_line)(void *, const char *), void *ctx)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' || bytes[i] == '\r')
			end_line(l, on_line, ctx);
		else if (l->n < LINE_MAX_BYTES && bytes[i] != '\0')
			l->text[l->n++] = bytes[i];
	}
}

/* Reads both pipes to their ends. */
static void listen(int out, int err, struct buf *json, struct lines *lines, void (*on_line)(void *, const char *), void *ctx)
{
	struct pollfd fds[] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
	char bytes[4096];

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (fds[i].fd < 0 || fds[i].revents == 0)
				continue;
			n = read(fds[i].fd, bytes, sizeof bytes);
			if (n <= 0)
				fds[i].fd = -1;
			else if (i == 0)
				buf_append(json, bytes, (size_t)n);
			else
				take_text(lines, bytes, (size_t)n, on_line, ctx);
		}
	}
	end_line(lines, on_line, ctx);
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void read_result(const struct buf *json, struct masters_outcome *o)
{
	json_t *r = json_loadb(buf_text(json), json->size, 0, NULL);
	const char *title = json_string_value(json_object_get(r, "title"));
	const char *revision = json_string_value(json_object_get(r, "revision"));

	o->title = title != NULL ? mem_dup(title) : NULL;
	o->revision = revision != NULL ? mem_dup(revision) : NULL;
	json_decref(r);
}

static void run_child(const char *const argv[], void (*on_child)(void *, pid_t), void (*on_line)(void *, const char *), void *ctx,
                      struct masters_outcome *o)
{
	struct lines lines = {.n = 0};
	struct buf json;
	int out[2] = {-1, -1}, err[2] = {-1, -1};
	pid_t parent = getpid(), child;

	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 || (child = fork()) < 0) {
		o->code = MASTERS_AGAIN;
		o->said = mem_dup(err_text(-errno));
		for (int i = 0; i < 2; i++) {
			if (out[i] >= 0)
				close(out[i]);
			if (err[i] >= 0)
				close(err[i]);
		}
		return;
	}
	if (child == 0)
		become(argv, out[1], err[1], parent);
	close(out[1]);
	close(err[1]);
	on_child(ctx, child);
	buf_init(&json, OUT_MAX);
	listen(out[0], err[0], &json, &lines, on_line, ctx);
	on_child(ctx, 0);
	o->code = wait_for(child);
	o->said = mem_dup(lines.last);
	read_result(&json, o);
	buf_fini(&json);
	close(out[0]);
	close(err[0]);
}

void masters_run(const struct masters_command *c, void (*on_child)(void *, pid_t), void (*on_line)(void *, const char *), void *ctx,
                 struct masters_outcome *ret_outcome)
{
	const char *argv[OPTIONS_MAX + 12];
	char *program = find_program(c->program), *options = mem_dup(c->options != NULL ? c->options : "");

	*ret_outcome = (struct masters_outcome){0};
	make_argv(c, program, options, argv);
	run_child(argv, on_child, on_line, ctx, ret_outcome);
	free(options);
	free(program);
}

void masters_outcome_fini(struct masters_outcome *o)
{
	free(o->said);
	free(o->title);
	free(o->revision);
	*o = (struct masters_outcome){0};
}

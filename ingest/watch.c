/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inotify only wakes: what is to be done is read from the folder each time, so a
 * lost event costs a few seconds and nothing else.
 */
#include "ingest/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define WHERE "ingest/watch"
#define SETTLE (3 * DUR_S)   /* a file that did not change for so long has landed */
#define AGAIN (60 * DUR_S)   /* after trouble of the machine */
#define LOOK (5 * DUR_S)     /* without an event */
#define SAID_MAX 4096        /* bytes of a child's messages that are kept */

enum { C_PUBLISHED, C_FAILED, C_AGAIN, C_BUSY_SECONDS, C_BUSY, C_WAITING, C_OLDEST, N_COUNTERS };
static const struct counter_row counter_rows[] = {
	[C_PUBLISHED] = {"ribera_ingest_masters_total", "result=\"published\"", COUNTER_TOTAL, "Masters that were worked at, by what came of it."},
	[C_FAILED] = {"ribera_ingest_masters_total", "result=\"failed\"", COUNTER_TOTAL, "Masters that were worked at, by what came of it."},
	[C_AGAIN] = {"ribera_ingest_masters_total", "result=\"again\"", COUNTER_TOTAL, "Masters that were worked at, by what came of it."},
	[C_BUSY_SECONDS] = {"ribera_ingest_busy_seconds_total", NULL, COUNTER_TOTAL, "Seconds in which a master was worked at."},
	[C_BUSY] = {"ribera_ingest_busy", NULL, COUNTER_GAUGE, "1 while a master is worked at."},
	[C_WAITING] = {"ribera_ingest_waiting", NULL, COUNTER_GAUGE, "Masters in the folder, the one that is worked at among them."},
	[C_OLDEST] = {"ribera_ingest_waiting_seconds", NULL, COUNTER_GAUGE, "How long the oldest of them has been there."},
};

struct watch {
	const struct watch_settings *settings;
	int notify;
	char *done, *failed;     /* folders */
	mono_us not_before;      /* the next ingest */
	struct counters *counters;
	mono_us told, busy_until; /* when the metrics were last written; up to when busy seconds were counted */
	bool is_dumb;            /* they could not be written, and the log knows */
	/* of one look */
	char *next;              /* the oldest master that has landed, or NULL */
	struct timespec next_time;
	bool unsettled;          /* something is still coming in */
};

static bool stopped(const struct watch *w)
{
	return *w->settings->stop != 0;
}

/* --- what is there ------------------------------------------------------------------------ */

static bool is_master_name(const char *name)
{
	static const char *const unfinished[] = {".part", ".tmp", ".crdownload", ".filepart", ".txt"};

	if (name[0] == '.')
		return false;
	for (size_t i = 0; i < sizeof unfinished / sizeof unfinished[0]; i++)
		if (str_ends(name, unfinished[i]))
			return false;
	return true;
}

static bool is_older(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Changed is when bytes or name last did: a copy that keeps the master's own time has landed just now all the same. */
static bool has_settled(const struct stat *st)
{
	wall_us changed = (wall_us)st->st_ctim.tv_sec * DUR_S + st->st_ctim.tv_nsec / 1000;
	wall_us now = clock_wall();

	return now - changed >= SETTLE || changed > now + DUR_MIN; /* a clock that was set back */
}

static int look_at(void *ctx, const char *name)
{
	struct watch *w = ctx;
	struct stat st;
	char *path;

	if (!is_master_name(name))
		return 0;
	path = path_join(w->settings->folder, name);
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
		free(path);
	} else if (!has_settled(&st)) {
		w->unsettled = true;
		free(path);
	} else if (w->next == NULL || is_older(&st.st_ctim, &w->next_time)) {
		free(w->next);
		w->next = path;
		w->next_time = st.st_ctim;
	} else {
		free(path);
	}
	return 0;
}

static int look(struct watch *w, struct fault *f)
{
	int r;

	free(w->next);
	w->next = NULL;
	w->unsettled = false;
	r = folder_list(w->settings->folder, look_at, w);
	return r == 0 ? 0 : fault_set(f, r, _("--watch: %s: cannot be read: %s"), w->settings->folder, words_error(r));
}

/* --- what there is to measure -------------------------------------------------------------- */

struct waiting {
	const char *folder;
	int64_t n, oldest; /* oldest: seconds of the wall clock, 0: none */
};

static int count_master(void *ctx, const char *name)
{
	struct waiting *k = ctx;
	struct stat st;
	char *path;

	if (!is_master_name(name))
		return 0;
	path = path_join(k->folder, name);
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		k->n++;
		if (k->oldest == 0 || st.st_ctim.tv_sec < k->oldest)
			k->oldest = st.st_ctim.tv_sec;
	}
	free(path);
	return 0;
}

static void write_metrics(struct watch *w)
{
	struct buf text;
	int e;

	buf_init(&text, SIZE_MAX);
	counters_write(w->counters, &text);
	e = file_write_atomic(w->settings->metrics, text.bytes, text.size, 0644);
	if (e == 0 && chmod(w->settings->metrics, 0644) < 0) /* whatever the umask: another user reads it */
		e = -errno;
	if (e != 0 && !w->is_dumb)
		log_warn(WHERE, "metrics cannot be written path=\"%s\": %s", w->settings->metrics, err_text(e));
	w->is_dumb = e != 0;
	buf_fini(&text);
}

/* Every LOOK, or because something has changed. */
static void tell(struct watch *w, bool changed)
{
	struct waiting k = {.folder = w->settings->folder};
	mono_us at = clock_mono();
	dur_us busy = at - w->busy_until;

	if (w->settings->metrics == NULL || (!changed && at - w->told < LOOK))
		return;
	w->told = at;
	if (counters_read(w->counters, C_BUSY) != 0 && busy >= DUR_S) {
		counters_add(w->counters, C_BUSY_SECONDS, (uint64_t)(busy / DUR_S));
		w->busy_until += busy / DUR_S * DUR_S;
	}
	folder_list(k.folder, count_master, &k);
	counters_set(w->counters, C_WAITING, k.n);
	counters_set(w->counters, C_OLDEST, k.oldest == 0 || clock_wall() / DUR_S < k.oldest ? 0 : clock_wall() / DUR_S - k.oldest);
	write_metrics(w);
}

static void begin_work(struct watch *w)
{
	w->busy_until = clock_mono();
	counters_set(w->counters, C_BUSY, 1);
	tell(w, true);
}

static void end_work(struct watch *w, unsigned result)
{
	dur_us busy = clock_mono() - w->busy_until;

	counters_add(w->counters, C_BUSY_SECONDS, (uint64_t)((busy + DUR_S / 2) / DUR_S));
	counters_add(w->counters, result, 1);
	counters_set(w->counters, C_BUSY, 0);
	tell(w, true);
}

static void wait_for_news(struct watch *w)
{
	struct pollfd p = {.fd = w->notify, .events = POLLIN};
	char events[4096];
	int timeout = (int)((w->unsettled ? SETTLE / 4 : LOOK) / DUR_MS);

	if (poll(&p, 1, timeout) > 0 && read(w->notify, events, sizeof events) < 0)
		log_debug(WHERE, "inotify: %s", err_text(-errno));
}

/* --- one ingest ---------------------------------------------------------------------------- */

/* Blocked until here: our handler would note a signal where the program that comes does not look. */
static void drop_handlers(const sigset_t *before)
{
	static const int ours[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction a;

	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (sigaction(ours[i], NULL, &a) == 0 && a.sa_handler != SIG_IGN) /* by nohup(1), say */
			signal(ours[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, before, NULL);
}

static void run_child(const struct watch *w, int said, pid_t parent, const sigset_t *before)
{
	static char quiet[] = "--quiet", json[] = "--json", end[] = "--";
	size_t n = 0;
	char **argv;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* alone it would be in the way of the next watcher's */
	drop_handlers(before);
	if (getppid() != parent)
		_exit(WATCH_AGAIN);
	while (w->settings->command[n] != NULL)
		n++;
	argv = mem_new_array(n + 5, sizeof *argv);
	memcpy(argv, w->settings->command, n * sizeof *argv);
	argv[n++] = quiet;
	argv[n++] = json;
	argv[n++] = end;
	argv[n] = w->next;
	dup2(said, STDERR_FILENO);
	execv("/proc/self/exe", argv);
	fprintf(stderr, _("cannot be started: %s\n"), words_error(-errno));
	_exit(WATCH_AGAIN);
}

/* All it says, the beginning kept; SIGTERM is handed on. */
static void listen_to(struct watch *w, int fd, pid_t child, struct buf *said)
{
	char bytes[1024];
	bool told = false;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int r = poll(&p, 1, 500);
		ssize_t n;

		if (stopped(w) && !told) {
			kill(child, SIGTERM);
			told = true;
		}
		tell(w, false);
		if (r <= 0)
			continue;
		n = read(fd, bytes, sizeof bytes);
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		if (n > 0)
			buf_append(said, bytes, (size_t)n);
	}
}

/* Its exit code, or 128 and the signal that ended it; WATCH_AGAIN when it cannot be started. */
static int ingest(struct watch *w, struct buf *said)
{
	int ends[2], status;
	pid_t child, parent = getpid();
	sigset_t all, before;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return WATCH_AGAIN;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	child = fork();
	if (child == 0)
		run_child(w, ends[1], parent, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (child > 0) {
		listen_to(w, ends[0], child, said);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	if (child < 0)
		return WATCH_AGAIN;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- after it ------------------------------------------------------------------------------ */

/* A free name in the folder: film.mp4, film-2.mp4, film-3.mp4 ... */
static char *place_in(const char *folder, const char *name)
{
	const char *end = strrchr(name, '.');
	char *path = path_join(folder, name);

	end = end != NULL ? end : name + strlen(name);
	for (unsigned n = 2; file_exists(path); n++) {
		free(path);
		path = mem_printf("%s/%.*s-%u%s", folder, (int)(end - name), name, n, end);
	}
	return path;
}

static void put_away(struct watch *w, const char *folder, const char *reason)
{
	char *place = place_in(folder, strrchr(w->next, '/') + 1), *text;

	if (rename(w->next, place) < 0) {
		log_error(WHERE, "cannot move \"%s\" to %s: %s", w->next, place, err_text(-errno));
		w->not_before = clock_mono() + AGAIN;
	} else if (reason != NULL) {
		text = mem_printf("%s.txt", place);
		if (file_write_atomic(text, reason, strlen(reason), 0644) != 0)
			log_warn(WHERE, "cannot write %s", text);
		free(text);
	}
	free(place);
}

static const char *reason_of(int code, struct buf *said)
{
	if (code > 128)
		buf_printf(said, "ribera-ingest was ended by signal %d (%s)\n", code - 128, strsignal(code - 128));
	else if (said->size == 0)
		buf_printf(said, "ribera-ingest ended with code %d and said nothing\n", code);
	return buf_text(said);
}

static void take_next(struct watch *w)
{
	const char *name = strrchr(w->next, '/') + 1;
	unsigned result = C_AGAIN;
	struct buf said;
	int code;

	begin_work(w);
	buf_init(&said, SAID_MAX);
	log_info(WHERE, "begin master=\"%s\"", name);
	code = ingest(w, &said);
	if (stopped(w) && code != 0) {
		log_info(WHERE, "stopped; it goes on from there next time master=\"%s\"", name);
	} else if (code == 0) {
		log_info(WHERE, "published master=\"%s\"", name);
		put_away(w, w->done, NULL);
		result = C_PUBLISHED;
	} else if (code == WATCH_AGAIN) {
		log_warn(WHERE, "will be tried again master=\"%s\": %s", name, reason_of(code, &said));
		w->not_before = clock_mono() + AGAIN;
	} else {
		log_error(WHERE, "failed master=\"%s\": %s", name, reason_of(code, &said));
		put_away(w, w->failed, buf_text(&said));
		result = C_FAILED;
	}
	end_work(w, result);
	buf_fini(&said);
}

/* --- the loop ------------------------------------------------------------------------------ */

static int prepare(struct watch *w, struct fault *f)
{
	const char *folder = w->settings->folder;
	int r = 0;

	w->done = path_join(folder, "done");
	w->failed = path_join(folder, "failed");
	if (!file_is_folder(folder))
		return fault_set(f, -ENOTDIR, _("--watch: %s is no folder; make it first"), folder);
	if ((r = folder_make(w->done, 0755)) != 0 || (r = folder_make(w->failed, 0755)) != 0)
		return fault_set(f, r, _("--watch: cannot make folders in %s: %s"), folder, words_error(r));
	w->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->notify < 0 || inotify_add_watch(w->notify, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) < 0)
		log_warn(WHERE, "no inotify for %s (%s): looking every %d s", folder, err_text(-errno), (int)(LOOK / DUR_S));
	return 0;
}

int watch_run(const struct watch_settings *s, struct fault *f)
{
	struct watch w = {.settings = s, .notify = -1, .counters = counters_new(counter_rows, N_COUNTERS)};
	int r = prepare(&w, f);

	if (r == 0)
		log_info(WHERE, "watching folder=\"%s\"", s->folder);
	if (r == 0)
		tell(&w, true);
	while (r == 0 && !stopped(&w)) {
		r = look(&w, f);
		if (r == 0 && w.next != NULL && clock_mono() >= w.not_before)
			take_next(&w);
		else if (r == 0)
			wait_for_news(&w);
		tell(&w, false);
	}
	if (w.notify >= 0)
		close(w.notify);
	counters_free(&w.counters);
	free(w.next);
	free(w.done);
	free(w.failed);
	return r;
}

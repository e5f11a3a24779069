/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The library's thread and its readers.  Whoever scans and publishes views holds
 * `scanning`; readers reach the present view by rcu, so nothing they do waits for
 * a scan or for each other.
 */
#include "origin/library.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rcu.h"
#include "base/str.h"
#include "base/words.h"
#include "origin/library_scan.h"
#include "serve/serve.h"

#define EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR)
#define DIRTY_MAX 1000 /* more names than this: look at all */
#define NAME_SIZE_MAX 128 /* of str_is_name */

struct watch {
	int wd;
	char *title; /* NULL: the library itself */
};

struct library {
	struct library_settings settings;
	char *folder;
	struct library_view *view; /* rcu */
	struct open_files *open;
	pthread_t thread;
	bool running;
	int inotify, stop;
	pthread_mutex_t scanning; /* guards what follows, and the making of views */
	struct library_scan scan;
	struct watch *watches; /* sorted by wd: the kernel gives rising numbers */
	size_t n_watches, cap_watches;
	char **dirty;
	size_t n_dirty, cap_dirty;
	bool all_dirty, watch_failed;
	/* shared */
	pthread_mutex_t lock;
	size_t n_refused;
	char problem[256];
	bool doubts_ages; /* atomic */
};

/* --- readers --- */

struct library_view *library_view_ref(struct library_view *v)
{
	__atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
	return v;
}

struct library_view *library_view(struct library *l)
{
	struct library_view *v;

	rcu_read_begin();
	v = library_view_ref(RCU_LOAD(&l->view));
	rcu_read_end();
	return v;
}

size_t library_view_behind(const struct library_view *v, const char *name)
{
	size_t low = 0, high = v->n_titles;

	while (name != NULL && low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(v->titles[middle].name, name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct revision *pick(const struct library_title *t, const char *revision, size_t n)
{
	for (size_t i = 0; t != NULL && i < t->n_revisions; i++)
		if (strncmp(t->revisions[i]->revision, revision, n) == 0 && t->revisions[i]->revision[n] == '\0')
			return t->revisions[i];
	return NULL;
}

const struct revision *library_view_revision(const struct library_view *v, const char *key)
{
	const char *slash = strchr(key, '/');

	return slash == NULL ? NULL : pick(library_view_find(v, key, (size_t)(slash - key)), slash + 1, strlen(slash + 1));
}

/* Viewers who are in the middle of what was withdrawn. */
static struct revision *pick_gone(const struct library_view *v, const struct package_path *p)
{
	const struct library_gone *first;
	char title[NAME_SIZE_MAX + 1];
	size_t n;

	if (v->n_gone == 0 || p->title_n > NAME_SIZE_MAX)
		return NULL;
	memcpy(title, p->title, p->title_n);
	title[p->title_n] = '\0';
	n = library_view_gone(v, title, &first);
	for (size_t i = 0; i < n; i++)
		if (strncmp(first[i].revision->revision, p->revision, p->revision_n) == 0 &&
		    first[i].revision->revision[p->revision_n] == '\0')
			return first[i].revision;
	return NULL;
}

int library_find(struct library *l, const struct package_path *p, struct serve_object **ret_object)
{
	struct serve_object *object = NULL;
	struct revision_file *file = NULL;
	struct revision *r;

	rcu_read_begin();
	r = pick(library_view_find(RCU_LOAD(&l->view), p->title, p->title_n), p->revision, p->revision_n);
	if (r == NULL)
		r = pick_gone(RCU_LOAD(&l->view), p);
	if (r != NULL)
		file = revision_find(r, p->file, p->file_n);
	if (file != NULL)
		object = revision_file_object(file);
	if (file != NULL && object == NULL)
		revision_ref(r);
	rcu_read_end();
	if (file == NULL)
		return ERR_NOT_FOUND;
	if (object == NULL) {
		object = revision_file_make(file);
		revision_unref(&r);
	}
	*ret_object = object;
	return 0;
}

struct revision *library_current(struct library *l, const char *title, size_t n)
{
	const struct library_title *t;
	struct revision *r = NULL;

	rcu_read_begin();
	t = library_view_find(RCU_LOAD(&l->view), title, n);
	if (t != NULL)
		r = revision_ref(t->revisions[0]);
	rcu_read_end();
	return r;
}

void library_state(struct library *l, struct library_state *ret_state)
{
	struct library_view *v = library_view(l);

	*ret_state = (struct library_state){
		.n_titles = v->n_titles,
		.n_revisions = v->n_revisions,
		.bytes = v->bytes,
		.n_open_files = open_files_count(l->open),
	};
	library_view_unref(&v);
	pthread_mutex_lock(&l->lock);
	ret_state->n_refused = l->n_refused;
	memcpy(ret_state->problem, l->problem, sizeof ret_state->problem);
	pthread_mutex_unlock(&l->lock);
}

/* --- the thread: watching --- */

static void add_watch(struct library *l, const char *path, const char *title)
{
	int wd = inotify_add_watch(l->inotify, path, EVENTS);

	if (wd < 0 && (errno == ENOSPC || errno == ENOMEM) && !l->watch_failed) {
		l->watch_failed = true;
		log_warn("origin/library", "not every folder can be watched (%s): raise fs.inotify.max_user_watches; "
		         "new packages are found by looking again", err_text(-errno));
	}
	if (wd < 0 || (l->n_watches > 0 && wd <= l->watches[l->n_watches - 1].wd))
		return; /* gone, or watched already */
	MEM_GROW(l->watches, l->cap_watches, l->n_watches);
	l->watches[l->n_watches++] = (struct watch){wd, mem_dup(title)};
}

static void watch_title(void *ctx, const char *title)
{
	struct library *l = ctx;
	char *path = path_join(l->folder, title);

	add_watch(l, path, title);
	free(path);
}

static struct watch *find_watch(struct library *l, int wd)
{
	size_t low = 0, high = l->n_watches;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->watches[middle].wd == wd)
			return &l->watches[middle];
		if (wd < l->watches[middle].wd)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void mark_dirty(struct library *l, const char *title)
{
	if (!str_is_name(title, strlen(title)) || l->all_dirty)
		return;
	for (size_t i = 0; i < l->n_dirty; i++)
		if (strcmp(l->dirty[i], title) == 0)
			return;
	if (l->n_dirty == DIRTY_MAX) {
		l->all_dirty = true;
		return;
	}
	MEM_GROW(l->dirty, l->cap_dirty, l->n_dirty);
	l->dirty[l->n_dirty++] = mem_dup(title);
}

static void take_event(struct library *l, const struct inotify_event *event)
{
	struct watch *w = find_watch(l, event->wd);

	if ((event->mask & IN_Q_OVERFLOW) != 0)
		l->all_dirty = true;
	if (w == NULL)
		return;
	if ((event->mask & IN_IGNORED) != 0) { /* the folder is gone */
		free(w->title);
		memmove(w, w + 1, (size_t)(l->watches + --l->n_watches - w) * sizeof *w);
	} else if (w->title != NULL) {
		mark_dirty(l, w->title);
	} else if (event->len > 0) {
		mark_dirty(l, event->name);
	}
}

static void take_events(struct library *l)
{
	char bytes[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(l->inotify, bytes, sizeof bytes)) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const struct inotify_event *)(bytes + at);

			take_event(l, event);
			at += (ssize_t)(sizeof *event + event->len);
		}
	}
}

/* --- the thread: scanning --- */

static void set_problem(struct library *l, const char *text)
{
	pthread_mutex_lock(&l->lock);
	if (strcmp(l->problem, text) != 0 && text[0] != '\0')
		log_error("origin/library", "%s", text);
	else if (l->problem[0] != '\0' && text[0] == '\0')
		log_info("origin/library", "the library can be read again");
	snprintf(l->problem, sizeof l->problem, "%s", text);
	l->n_refused = l->scan.n_refused;
	pthread_mutex_unlock(&l->lock);
}

static void publish(struct library *l, struct library_view *fresh)
{
	struct library_view *old;

	if (l->view != NULL && library_view_equal(l->view, fresh)) {
		library_view_unref(&fresh);
		return;
	}
	old = RCU_SWAP(&l->view, fresh);
	if (l->settings.changed != NULL)
		l->settings.changed(l->settings.ctx, old, fresh);
	if (old != NULL) {
		rcu_synchronize();
		library_view_unref(&old);
	}
}

static int compare_dirty(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int look(struct library *l, bool all, struct fault *f)
{
	struct library_view *fresh;
	int e;

	if (all)
		add_watch(l, l->folder, NULL); /* again, should the folder have been replaced */
	else
		qsort(l->dirty, l->n_dirty, sizeof *l->dirty, compare_dirty);
	e = library_scan(&l->scan, l->view, all ? NULL : l->dirty, all ? 0 : l->n_dirty, &fresh, f);
	for (size_t i = 0; i < l->n_dirty; i++)
		free(l->dirty[i]);
	l->n_dirty = 0;
	l->all_dirty = false;
	if (e == 0)
		publish(l, fresh);
	return e;
}

static void *run(void *arg)
{
	struct library *l = arg;
	mono_us next = clock_mono() + l->settings.rescan;

	for (;;) {
		struct pollfd fds[] = {{.fd = l->inotify, .events = POLLIN}, {.fd = l->stop, .events = POLLIN}};
		dur_us left = next - clock_mono();
		struct fault f = {0};
		bool all;
		int e = 0;

		if (left > 0)
			poll(fds, 2, left > DUR_HOUR ? 3600 * 1000 : (int)(left / DUR_MS) + 1);
		if (fds[1].revents != 0)
			return NULL;
		pthread_mutex_lock(&l->scanning);
		take_events(l);
		all = l->all_dirty || clock_mono() >= next;
		if (all) {
			next = clock_mono() + l->settings.rescan;
			if (!__atomic_load_n(&l->doubts_ages, __ATOMIC_RELAXED))
				library_remove_gone(l->folder, l->view, clock_wall() - l->settings.grace);
		}
		if (all || l->n_dirty > 0) {
			e = look(l, all, &f);
			set_problem(l, e != 0 ? fault_text(&f) : "");
		}
		pthread_mutex_unlock(&l->scanning);
	}
}

void library_doubt_ages(struct library *l, bool doubts)
{
	__atomic_store_n(&l->doubts_ages, doubts, __ATOMIC_RELAXED);
}

/* --- marks --- */

/* Looks at the title again, and gives the lock back. */
static int look_again(struct library *l, const char *title, int e, struct fault *f)
{
	int r;

	mark_dirty(l, title);
	r = look(l, l->all_dirty, e == 0 ? f : NULL);
	pthread_mutex_unlock(&l->scanning);
	return e != 0 ? e : r;
}

int library_refresh(struct library *l, const char *title, struct fault *f)
{
	pthread_mutex_lock(&l->scanning);
	return look_again(l, title, 0, f);
}

static int mark_error(int e, const char *path, struct fault *f)
{
	return e == 0 ? 0 : fault_set(f, e, "library mark \"%s\": %s", path, err_text(e));
}

static int set_mark(const char *folder, const char *name, const char *text, struct fault *f)
{
	char *path = path_join(folder, name);
	int e = mark_error(file_write_atomic(path, text, strlen(text), 0644), path, f);

	free(path);
	return e;
}

static int clear_mark(const char *folder, const char *name, struct fault *f)
{
	char *path = path_join(folder, name);
	int e = mark_error(unlink(path) == 0 || errno == ENOENT ? folder_sync(folder) : -errno, path, f);

	free(path);
	return e;
}

static int set_withdrawn(const char *folder, const struct revision *r, bool withdrawn, struct fault *f)
{
	char name[sizeof LIBRARY_WITHDRAWN + PACKAGE_REVISION_SIZE];

	snprintf(name, sizeof name, LIBRARY_WITHDRAWN "%s", r->revision);
	return withdrawn ? set_mark(folder, name, "", f) : clear_mark(folder, name, f);
}

static bool is_meant(const struct revision *r, const char *revision)
{
	return revision == NULL || strcmp(r->revision, revision) == 0;
}

static int nothing_meant(const char *title, const char *revision, const char *what, struct fault *f)
{
	return fault_set(f, ERR_NOT_FOUND, "there is no %s \"%s%s%s\"", what, title, revision != NULL ? "/" : "",
	                 revision != NULL ? revision : "");
}

/* Marks those of a title that are meant as withdrawn, or takes their marks away. */
static int mark_meant(struct library *l, const char *title, const char *revision, bool withdraw, struct fault *f)
{
	char *folder = path_join(l->folder, title);
	const struct library_title *t;
	const struct library_gone *gone = NULL;
	size_t n = 0, all;
	int e = 0;

	pthread_mutex_lock(&l->scanning);
	t = library_view_find(l->view, title, strlen(title));
	all = !withdraw ? library_view_gone(l->view, title, &gone) : t != NULL ? t->n_revisions : 0;
	for (size_t i = 0; e == 0 && i < all; i++) {
		const struct revision *r = withdraw ? t->revisions[i] : gone[i].revision;

		if (is_meant(r, revision)) {
			e = set_withdrawn(folder, r, withdraw, f);
			n++;
		}
	}
	if (e == 0 && n == 0)
		e = nothing_meant(title, revision, withdraw ? "title" : "withdrawn title", f);
	free(folder);
	return look_again(l, title, e, f);
}

int library_withdraw(struct library *l, const char *title, const char *revision, struct fault *f)
{
	return mark_meant(l, title, revision, true, f);
}

int library_restore(struct library *l, const char *title, const char *revision, struct fault *f)
{
	return mark_meant(l, title, revision, false, f);
}

int library_choose(struct library *l, const char *title, const char *revision, struct fault *f)
{
	char *folder = path_join(l->folder, title);
	const struct library_title *t;
	int e;

	pthread_mutex_lock(&l->scanning);
	t = library_view_find(l->view, title, strlen(title));
	if (t == NULL || (revision != NULL && pick(t, revision, strlen(revision)) == NULL))
		e = nothing_meant(title, revision, "title", f);
	else
		e = revision != NULL ? set_mark(folder, LIBRARY_CURRENT, revision, f) : clear_mark(folder, LIBRARY_CURRENT, f);
	free(folder);
	return look_again(l, title, e, f);
}

int library_open(const struct library_settings *settings, struct library **ret_library, struct fault *f)
{
	struct library *l = mem_new(sizeof *l);
	int e;

	*l = (struct library){.settings = *settings, .folder = mem_dup(settings->folder), .inotify = -1, .stop = -1};
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->scanning, NULL);
	l->open = open_files_new(settings->max_open_files);
	l->scan = (struct library_scan){.folder = l->folder, .open = l->open, .watch = watch_title, .ctx = l};
	e = folder_make(l->folder, 0755);
	if (e != 0) {
		fault_set(f, e, _("library \"%s\" cannot be made: %s"), l->folder, words_error(e));
		goto out;
	}
	l->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	l->stop = eventfd(0, EFD_CLOEXEC);
	if (l->inotify < 0 || l->stop < 0) {
		e = fault_set(f, -errno, "cannot watch the library: %s", err_text(-errno));
		goto out;
	}
	library_sweep(l->folder);
	e = look(l, true, f);
	if (e != 0)
		goto out;
	set_problem(l, "");
	e = -pthread_create(&l->thread, NULL, run, l);
	if (e != 0)
		fault_set(f, e, "cannot start a thread: %s", err_text(e));
	else
		l->running = true;
out:
	if (e != 0)
		library_close(&l);
	else
		*ret_library = l;
	return e;
}

void library_stop(struct library *l)
{
	if (l == NULL || !l->running)
		return;
	MUST(write(l->stop, &(uint64_t){1}, 8) == 8);
	pthread_join(l->thread, NULL);
	l->running = false;
}

void library_close(struct library **pl)
{
	struct library *l = *pl;

	if (l == NULL)
		return;
	library_stop(l);
	library_view_unref(&l->view);
	library_scan_fini(&l->scan);
	open_files_free(&l->open);
	for (size_t i = 0; i < l->n_watches; i++)
		free(l->watches[i].title);
	for (size_t i = 0; i < l->n_dirty; i++)
		free(l->dirty[i]);
	free(l->watches);
	free(l->dirty);
	if (l->inotify >= 0)
		close(l->inotify);
	if (l->stop >= 0)
		close(l->stop);
	pthread_mutex_destroy(&l->scanning);
	pthread_mutex_destroy(&l->lock);
	free(l->folder);
	free(l);
	*pl = NULL;
}

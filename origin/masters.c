/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The queue.  Invariant: a job's folder says what is to be done with it; the table
 * is a copy of the folders, under the lock.
 */
#include "origin/masters.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "origin/events.h"
#include "origin/masters_run.h"
#include "origin/note.h"
#include "origin/upload.h"

#define FOLDER ".uploads"
#define PREFIX "master-"
#define SAID_MAX 500
#define READ ((size_t)1 << 20)
#define CHILD_GRACE (10 * DUR_S) /* what a disk keeps longer is ended: as after a power cut, what it has finished is kept */

enum state { QUEUED, RUNNING, DONE, FAILED };
static const char *const states[] = {"queued", "running", "done", "failed"};

struct job {
	char id[UPLOAD_ID_SIZE];
	enum state state;
	char *file, *title, *name; /* title and name may be NULL */
	char *said;                /* its last words, or NULL */
	char *done_title, *done_revision;
	uint64_t bytes;
	bool has_sum, has_want; /* `is` is known; the client told `want` */
	struct sha256 is, want;
	wall_us queued;
	mono_us not_before;
	pid_t child;
	bool removed;              /* while it runs */
};

struct masters {
	struct masters_settings settings;
	char *folder;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t news;
	struct job **jobs;    /* by time */
	size_t n, cap;
	bool stopping, ended; /* ended: the thread has nothing more to do */
	mono_us stopped;      /* since when it is stopping */
};

static void job_free(struct job *j)
{
	free(j->file);
	free(j->title);
	free(j->name);
	free(j->said);
	free(j->done_title);
	free(j->done_revision);
	free(j);
}

static char *job_path(const struct masters *m, const struct job *j, const char *file)
{
	return mem_printf("%s/" PREFIX "%s/%s", m->folder, j->id, file);
}

/* The first that has the same bytes, or NULL. */
static const struct job *twin_of(const struct masters *m, const struct job *j)
{
	for (size_t i = 0; j->has_sum && i < m->n && m->jobs[i] != j; i++)
		if (!m->jobs[i]->removed && m->jobs[i]->has_sum && sha256_equal(&m->jobs[i]->is, &j->is))
			return m->jobs[i];
	return NULL;
}

static json_t *job_json(const struct masters *m, const struct job *j)
{
	char queued[CLOCK_RFC3339_SIZE], sum[SHA256_HEX_SIZE];
	const struct job *twin = twin_of(m, j);

	clock_to_rfc3339(j->queued, queued);
	sha256_to_hex(&j->is, sum);
	return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:I, s:s, s:s?, s:s?, s:s?, s:s?}", "id", j->id, "state", states[j->state], "file", j->file,
	                 "title", j->done_title != NULL ? j->done_title : j->title, "name", j->name, "bytes", (json_int_t)j->bytes,
	                 "queued", queued, "revision", j->done_revision, "detail", j->said, "sha256", j->has_sum ? sum : NULL, "same_as",
	                 twin != NULL ? twin->id : NULL);
}

static int save(const struct masters *m, const struct job *j, struct fault *f)
{
	char *path = job_path(m, j, "job.json");
	json_t *o = job_json(m, j);
	char want[SHA256_HEX_SIZE];
	int e;

	json_object_set_new(o, "at", json_integer(j->queued));
	sha256_to_hex(&j->want, want);
	if (j->has_want)
		json_object_set_new(o, "sha256_told", json_string(want));
	e = note_save(path, o, "master", f);
	free(path);
	return e;
}

static int compare_jobs(const void *pa, const void *pb)
{
	const struct job *a = *(struct job *const *)pa, *b = *(struct job *const *)pb;

	return a->queued < b->queued ? -1 : a->queued > b->queued ? 1 : strcmp(a->id, b->id);
}

static struct job *read_job(const json_t *o, const char *id)
{
	const char *state = json_string_value(json_object_get(o, "state"));
	struct job *j = mem_new(sizeof *j);

	*j = (struct job){.file = note_text(o, "file"), .title = note_text(o, "title"), .name = note_text(o, "name"),
	                  .said = note_text(o, "detail"), .done_revision = note_text(o, "revision"),
	                  .bytes = (uint64_t)json_integer_value(json_object_get(o, "bytes")),
	                  .queued = json_integer_value(json_object_get(o, "at"))};
	j->has_sum = note_hash(o, "sha256", &j->is);
	j->has_want = note_hash(o, "sha256_told", &j->want);
	snprintf(j->id, sizeof j->id, "%s", id);
	for (size_t i = 0; state != NULL && i < sizeof states / sizeof states[0]; i++)
		if (strcmp(states[i], state) == 0)
			j->state = (enum state)i;
	if (j->state == RUNNING)
		j->state = QUEUED; /* whoever ran it is gone */
	return j;
}

static int load_one(void *ctx, const char *name)
{
	struct masters *m = ctx;
	char *path;
	json_t *o;

	if (!str_starts(name, PREFIX) || strlen(name) != strlen(PREFIX) + UPLOAD_ID_SIZE - 1)
		return 0;
	path = mem_printf("%s/%s/job.json", m->folder, name);
	o = note_load(path);
	if (json_is_string(json_object_get(o, "file"))) {
		MEM_GROW(m->jobs, m->cap, m->n);
		m->jobs[m->n++] = read_job(o, name + strlen(PREFIX));
	}
	json_decref(o);
	free(path);
	return 0;
}

static struct job *find(struct masters *m, const char *id)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->jobs[i]->id, id) == 0 && !m->jobs[i]->removed)
			return m->jobs[i];
	return NULL;
}

static void drop(struct masters *m, struct job *j)
{
	char *folder = job_path(m, j, "");

	folder_remove(folder);
	free(folder);
	for (size_t i = 0; i < m->n; i++) {
		if (m->jobs[i] == j) {
			memmove(m->jobs + i, m->jobs + i + 1, (--m->n - i) * sizeof(struct job *));
			break;
		}
	}
	job_free(j);
}

static void say(const struct masters *m, const struct job *j, enum event_kind kind)
{
	events_say(m->settings.events, kind, job_json(m, j));
}

/* --- the thread --- */

static struct job *next_job(struct masters *m, mono_us now, mono_us *ret_when)
{
	*ret_when = now + DUR_HOUR;
	for (size_t i = 0; i < m->n; i++) {
		if (m->jobs[i]->state != QUEUED)
			continue;
		if (m->jobs[i]->not_before <= now)
			return m->jobs[i];
		if (m->jobs[i]->not_before < *ret_when)
			*ret_when = m->jobs[i]->not_before;
	}
	return NULL;
}

struct telling {
	struct masters *m;
	struct job *j;
};

static void on_child(void *ctx, pid_t child)
{
	struct telling *t = ctx;

	pthread_mutex_lock(&t->m->lock);
	t->j->child = child;
	if (child > 0 && (t->m->stopping || t->j->removed))
		kill(child, SIGTERM);
	pthread_mutex_unlock(&t->m->lock);
}

static void on_line(void *ctx, const char *line)
{
	struct telling *t = ctx;
	json_t *o = json_pack("{s:s, s:s?, s:s}", "id", t->j->id, "title", t->j->title, "detail", line);

	events_say(t->m->settings.events, EVENT_INGEST_PROGRESS, o);
}

static void set_said(struct job *j, const char *text)
{
	size_t n = strlen(text);

	if (n > SAID_MAX)
		for (text += n - SAID_MAX; ((unsigned char)*text & 0xc0) == 0x80; text++)
			; /* half a letter is no JSON */
	free(j->said);
	j->said = n > 0 ? mem_dup(text) : NULL;
}

/* People know the master by its name: where it stands on this disk says nothing to them. */
static void set_said_of(struct job *j, const char *text, const char *path)
{
	const char *at = strstr(text, path);
	char *said = at != NULL ? mem_printf("%.*s%s%s", (int)(at - text), text, j->file, at + strlen(path)) : mem_dup(text);

	set_said(j, said);
	free(said);
}

/* With the lock.  What the run came to. */
static void take_outcome(struct masters *m, struct job *j, const struct masters_outcome *o)
{
	char *master = job_path(m, j, j->file);
	struct fault f = {0};

	set_said_of(j, o->said, master);
	j->child = 0;
	if (j->removed) {
		drop(m, j);
		free(master);
		return;
	}
	if (o->code == 0) {
		j->state = DONE;
		j->done_title = o->title != NULL ? mem_dup(o->title) : NULL;
		j->done_revision = o->revision != NULL ? mem_dup(o->revision) : NULL;
		set_said(j, "");
	} else if (o->code == MASTERS_AGAIN || m->stopping) {
		j->state = QUEUED;
		j->not_before = clock_mono() + m->settings.again;
	} else {
		j->state = FAILED;
	}
	if (save(m, j, &f) != 0)
		log_warn("origin/masters", "%s", fault_text(&f));
	else if (j->state == DONE)
		unlink(master); /* the note first: a master that is gone cannot be queued */
	log_info("origin/masters", "%s file=%s%s%s", states[j->state], j->file, j->said != NULL ? ": " : "", j->said != NULL ? j->said : "");
	say(m, j, j->state == DONE ? EVENT_INGEST_DONE : j->state == FAILED ? EVENT_INGEST_FAILED : EVENT_INGEST_QUEUED);
	free(master);
}

/* Bytes that came in two lives of this program were hashed in neither.  Without the lock. */
static int find_sum(struct masters *m, const struct job *j, const char *path, struct sha256 *ret_sum, struct fault *f)
{
	struct sha256_state *state = sha256_new();
	uint8_t *bytes = mem_new(READ);
	int fd = open(path, O_RDONLY | O_CLOEXEC), e = fd < 0 ? -errno : 0;
	ssize_t n = 1;

	for (uint64_t at = 0; e == 0 && n > 0; at += (uint64_t)n) {
		n = file_pread_all(fd, bytes, READ, at);
		if (n < 0)
			e = (int)n;
		else
			sha256_update(state, bytes, (size_t)n);
		pthread_mutex_lock(&m->lock);
		if (m->stopping || j->removed)
			e = ERR_CANCELLED;
		pthread_mutex_unlock(&m->lock);
	}
	if (e == 0)
		sha256_final(state, ret_sum);
	else
		fault_set(f, e, "%s: %s", j->file, err_text(e));
	if (fd >= 0)
		close(fd);
	free(bytes);
	sha256_free(&state);
	return e;
}

/* Are these the bytes that were sent?  With the lock, which is given back meanwhile.  False: *ret_outcome says why not. */
static bool check_sum(struct masters *m, struct job *j, const char *path, struct masters_outcome *ret_outcome)
{
	struct fault f = {0};
	struct sha256 sum;
	int e = 0;

	if (!j->has_sum) {
		pthread_mutex_unlock(&m->lock);
		e = find_sum(m, j, path, &sum, &f);
		pthread_mutex_lock(&m->lock);
		j->has_sum = e == 0;
		if (e == 0)
			j->is = sum;
	}
	if (e == 0 && j->has_want && !sha256_equal(&j->is, &j->want))
		e = fault_set(&f, ERR_HASH, "these are not the bytes that were sent: their SHA-256 is another than was told: upload it again");
	*ret_outcome = (struct masters_outcome){.code = e == 0 ? 0 : e == ERR_HASH ? 1 : MASTERS_AGAIN, .said = e != 0 ? mem_dup(fault_text(&f)) : NULL};
	return e == 0;
}

static void run_job(struct masters *m, struct job *j)
{
	struct telling t = {m, j};
	char *path = job_path(m, j, j->file);
	struct masters_command command = {m->settings.program, m->settings.options, path, m->settings.library, j->title, j->name};
	struct masters_outcome outcome;
	struct fault f = {0};

	j->state = RUNNING;
	if (save(m, j, &f) != 0)
		log_warn("origin/masters", "%s", fault_text(&f));
	if (check_sum(m, j, path, &outcome)) {
		say(m, j, EVENT_INGEST_STARTED);
		pthread_mutex_unlock(&m->lock);
		masters_run(&command, on_child, on_line, &t, &outcome);
		pthread_mutex_lock(&m->lock);
	}
	take_outcome(m, j, &outcome);
	masters_outcome_fini(&outcome);
	free(path);
}

static void *work(void *arg)
{
	struct masters *m = arg;

	pthread_mutex_lock(&m->lock);
	while (!m->stopping) {
		mono_us when;
		struct job *j = next_job(m, clock_mono(), &when);
		struct timespec until = {.tv_sec = when / DUR_S, .tv_nsec = when % DUR_S * 1000};

		if (j != NULL)
			run_job(m, j);
		else
			pthread_cond_timedwait(&m->news, &m->lock, &until);
	}
	m->ended = true;
	pthread_cond_signal(&m->news);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int masters_new(const struct masters_settings *s, struct masters **ret_masters, struct fault *f)
{
	struct masters *m = mem_new(sizeof *m);
	pthread_condattr_t attr;
	int e;

	m->settings = *s;
	m->folder = path_join(s->library, FOLDER);
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* clock_mono's */
	pthread_cond_init(&m->news, &attr);
	pthread_condattr_destroy(&attr);
	folder_list(m->folder, load_one, m);
	if (m->n > 0)
		qsort(m->jobs, m->n, sizeof(struct job *), compare_jobs);
	e = -pthread_create(&m->thread, NULL, work, m);
	m->running = e == 0;
	if (e != 0) {
		fault_set(f, e, "cannot start a thread: %s", err_text(e));
		masters_free(&m);
		return e;
	}
	*ret_masters = m;
	return 0;
}

/* With the lock. */
static void signal_child(struct masters *m, int number)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->jobs[i]->child > 0)
			kill(m->jobs[i]->child, number);
}

void masters_stop(struct masters *m)
{
	if (m == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	if (!m->stopping) {
		m->stopping = true;
		m->stopped = clock_mono();
		signal_child(m, SIGTERM);
		pthread_cond_signal(&m->news);
	}
	pthread_mutex_unlock(&m->lock);
}

static void end_thread(struct masters *m)
{
	mono_us until = m->stopped + CHILD_GRACE;
	struct timespec t = {.tv_sec = until / DUR_S, .tv_nsec = until % DUR_S * 1000};

	pthread_mutex_lock(&m->lock);
	while (!m->ended && pthread_cond_timedwait(&m->news, &m->lock, &t) == 0)
		;
	if (!m->ended) {
		log_warn("origin/masters", "ribera-ingest does not end and is killed");
		signal_child(m, SIGKILL);
	}
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL); /* one that waits for a time ThreadSanitizer does not know */
}

void masters_free(struct masters **pm)
{
	struct masters *m = *pm;

	if (m == NULL)
		return;
	masters_stop(m);
	if (m->running)
		end_thread(m);
	for (size_t i = 0; i < m->n; i++)
		job_free(m->jobs[i]);
	free(m->jobs);
	free(m->folder);
	pthread_cond_destroy(&m->news);
	pthread_mutex_destroy(&m->lock);
	free(m);
	*pm = NULL;
}

/* --- for others --- */

int masters_take(void *ctx, const struct upload *u, const char *path, struct fault *f)
{
	struct masters *m = ctx;
	struct job *j = mem_new(sizeof *j);
	int e;

	*j = (struct job){.file = mem_dup(u->file), .title = u->title != NULL ? mem_dup(u->title) : NULL,
	                  .name = u->name != NULL ? mem_dup(u->name) : NULL, .bytes = u->length, .queued = clock_wall(), .has_sum = u->has_sum, .has_want = u->has_want,
	                  .is = u->is, .want = u->want};
	snprintf(j->id, sizeof j->id, "%s", u->id);
	pthread_mutex_lock(&m->lock);
	e = find(m, j->id) != NULL ? ERR_EXISTS : save(m, j, f);
	if (e == 0) {
		MEM_GROW(m->jobs, m->cap, m->n);
		m->jobs[m->n++] = j;
		say(m, j, EVENT_INGEST_QUEUED);
		pthread_cond_signal(&m->news);
	} else {
		job_free(j);
	}
	pthread_mutex_unlock(&m->lock);
	(void)path; /* it stands where the job looks for it */
	return e == ERR_EXISTS ? 0 : e; /* it was queued before a crash */
}

uint64_t masters_bytes(void *ctx)
{
	struct masters *m = ctx;
	uint64_t n = 0;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n; i++)
		n += m->jobs[i]->state != DONE ? m->jobs[i]->bytes : 0;
	pthread_mutex_unlock(&m->lock);
	return n;
}

json_t *masters_list(struct masters *m, const struct sha256 *sum)
{
	json_t *list = json_array();

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n; i++)
		if (!m->jobs[i]->removed && (sum == NULL || (m->jobs[i]->has_sum && sha256_equal(&m->jobs[i]->is, sum))))
			json_array_append_new(list, job_json(m, m->jobs[i]));
	pthread_mutex_unlock(&m->lock);
	return list;
}

json_t *masters_get(struct masters *m, const char *id)
{
	struct job *j;
	json_t *o;

	pthread_mutex_lock(&m->lock);
	j = find(m, id);
	o = j != NULL ? job_json(m, j) : NULL;
	pthread_mutex_unlock(&m->lock);
	return o;
}

static int not_found(const char *id, struct fault *f)
{
	return fault_set(f, ERR_NOT_FOUND, "there is no master \"%.128s\"", id);
}

int masters_remove(struct masters *m, const char *id, struct fault *f)
{
	struct job *j;
	int e = 0;

	pthread_mutex_lock(&m->lock);
	j = find(m, id);
	if (j == NULL) {
		e = not_found(id, f);
	} else if (j->state == RUNNING) {
		j->removed = true; /* the thread drops it when the child has ended */
		if (j->child > 0)
			kill(j->child, SIGTERM);
	} else {
		drop(m, j);
	}
	pthread_mutex_unlock(&m->lock);
	return e;
}

int masters_retry(struct masters *m, const char *id, struct fault *f)
{
	struct job *j;
	int e = 0;

	pthread_mutex_lock(&m->lock);
	j = find(m, id);
	if (j == NULL)
		e = not_found(id, f);
	else if (j->state != FAILED)
		e = fault_set(f, ERR_EXISTS, "it is %s", states[j->state]);
	if (e == 0) {
		j->state = QUEUED;
		j->not_before = 0;
		e = save(m, j, f);
		say(m, j, EVENT_INGEST_QUEUED);
		pthread_cond_signal(&m->news);
	}
	pthread_mutex_unlock(&m->lock);
	return e;
}

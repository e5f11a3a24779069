/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Distinct viewers of an hour are estimated by linear counting: each sets one of
 * 1024 bits of the file's set, and the number of bits still clear tells how many
 * there were (Whang et al. 1990; within 3 % up to a thousand).
 *
 * A batch is named by its place in the line.  Its stream is this process, its
 * sequence counts within: an edge that lost its disk starts a new stream and is
 * not taken for one that repeats itself.
 */
#include "edge/demand.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "edge/counts.h"
#include "serve/cmcd.h"

#define WHERE "edge/demand"
#define MAX_BATCHES 1000
#define MANY_BATCHES 16      /* so many undelivered: from now on one an hour */
#define MAX_FILES 20000      /* in a batch; the rest waits for the next */
#define MAX_BATCH_BYTES ((size_t)12 << 20)
#define MAX_LINE_BYTES ((uint64_t)256 << 20) /* on the disk; the oldest go first */
#define CLOCK_SET (10 * DUR_S) /* no clock drifts so far between two looks */
#define IN_MEMORY 64         /* batches that wait here while the disk takes none */

struct demand {
	char *folder;
	dur_us interval;
	struct counters *counters;
	char stream[17];
	uint64_t sequence;      /* of the last batch of this process */
	uint64_t first, last;   /* places in the line; first > last: none */
	char *memory[IN_MEMORY]; /* texts of places the disk did not take, by place */
	uint64_t bytes;         /* of the line on the disk */
	wall_us collected;      /* 0: never */
	mono_us looked;         /* the same instant */
	int64_t hour;           /* hours since 1970 that counts belong to */
};

/* --- the loops' side --------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t session_of(struct serve_request *req)
{
	static const char *const fields[] = {"cmcd-session", "cmcd-status"};
	const char *s = serve_param(req, "CMCD");
	struct cmcd cmcd = {0};
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t n;

	if (s != NULL)
		cmcd_read(s, strlen(s), &cmcd);
	for (size_t i = 0; i < 2 && cmcd.session[0] == '\0'; i++)
		if ((s = serve_field(req, fields[i], &n)) != NULL)
			cmcd_read(s, n, &cmcd);
	if (cmcd.session[0] != '\0') {
		h = mix(h, cmcd.session, strlen(cmcd.session));
	} else {
		s = serve_peer(req);
		h = mix(h, s, strlen(s));
		s = serve_field(req, "user-agent", &n);
		h = s != NULL ? mix(h, s, n) : h;
	}
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ (h >> 31);
}

void demand_see(struct copy *c, struct serve_request *req)
{
	uint64_t h, bit, *word;

	if (c->index >= c->package->digest->n_files)
		return;
	h = session_of(req);
	word = &c->package->seen[c->index].sessions[h / 64 % DEMAND_WORDS];
	bit = UINT64_C(1) << (h % 64);
	if ((__atomic_load_n(word, __ATOMIC_RELAXED) & bit) == 0)
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

/* --- the line on the disk ---------------------------------------------------------------- */

static char *path_of(const struct demand *d, uint64_t place)
{
	return mem_printf("%s/%020llu.json", d->folder, (unsigned long long)place);
}

static uint64_t size_of(const struct demand *d, uint64_t place)
{
	char *path = path_of(d, place);
	uint64_t size = 0;

	if (file_size(path, &size) != 0)
		size = 0;
	free(path);
	return size;
}

static int find_batch(void *ctx, const char *name)
{
	struct demand *d = ctx;
	unsigned long long place;
	int end = 0;

	if (sscanf(name, "%20llu.json%n", &place, &end) != 1 || end == 0 || name[end] != '\0')
		return 0;
	d->first = place < d->first ? place : d->first;
	d->last = place > d->last ? place : d->last;
	d->bytes += size_of(d, place);
	return 0;
}

struct demand *demand_new(const char *folder, dur_us interval, struct counters *counters)
{
	struct demand *d = mem_new(sizeof *d);
	uint64_t random = 0;
	int r;

	*d = (struct demand){.folder = mem_dup(folder), .interval = interval, .counters = counters, .first = UINT64_MAX};
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		random = (uint64_t)clock_wall() ^ (uint64_t)getpid() << 48;
	snprintf(d->stream, sizeof d->stream, "%016llx", (unsigned long long)random);
	r = folder_make(folder, 0755);
	if (r == 0)
		r = folder_list(folder, find_batch, d);
	if (r != 0)
		log_warn(WHERE, "demand will not be kept on disk: %s path=\"%s\"", err_text(r), folder);
	if (d->first == UINT64_MAX)
		d->first = 1;
	return d;
}

void demand_free(struct demand **pd)
{
	if (*pd == NULL)
		return;
	for (size_t i = 0; i < IN_MEMORY; i++)
		free((*pd)->memory[i]);
	free((*pd)->folder);
	free(*pd);
	*pd = NULL;
}

char *demand_next(struct demand *d)
{
	while (d->first <= d->last) {
		char *path, *text = NULL;
		struct buf b;

		if (d->memory[d->first % IN_MEMORY] != NULL)
			return mem_dup(d->memory[d->first % IN_MEMORY]);
		path = path_of(d, d->first);
		buf_init(&b, MAX_BATCH_BYTES);
		if (file_read(path, &b) == 0 && b.size > 0)
			text = mem_dup_n((const char *)b.bytes, b.size);
		buf_fini(&b);
		free(path);
		if (text != NULL)
			return text;
		demand_delivered(d); /* gone, or not to be read: the next */
	}
	return NULL;
}

void demand_delivered(struct demand *d)
{
	uint64_t size;
	char *path;

	if (d->first > d->last)
		return;
	if (d->memory[d->first % IN_MEMORY] != NULL) {
		free(d->memory[d->first % IN_MEMORY]);
		d->memory[d->first++ % IN_MEMORY] = NULL;
		return;
	}
	size = size_of(d, d->first);
	d->bytes -= size < d->bytes ? size : d->bytes;
	path = path_of(d, d->first++);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warn(WHERE, "cannot remove a batch: %s path=\"%s\"", err_text(-errno), path);
	free(path);
}

/* --- taking the differences -------------------------------------------------------------- */

static uint64_t estimate(const struct demand_seen *seen)
{
	unsigned clear = 0;

	for (size_t i = 0; i < DEMAND_WORDS; i++)
		clear += 64 - (unsigned)__builtin_popcountll(__atomic_load_n(&seen->sessions[i], __ATOMIC_RELAXED));
	return clear == DEMAND_BITS ? 0 : (uint64_t)(-(double)DEMAND_BITS * log((clear > 0 ? clear : 0.5) / DEMAND_BITS) + 0.5);
}

/* Counters of a copy; they go on when a copy takes another's place.  A package that is just being removed has none any more. */
static void read_counters(const struct package *p, size_t i, uint64_t *requests, uint64_t *bytes)
{
	const struct copy *c;

	rcu_read_begin();
	c = RCU_LOAD(&p->copies[i]);
	if (c != NULL) {
		*requests = __atomic_load_n(&c->requests, __ATOMIC_RELAXED);
		*bytes = __atomic_load_n(&c->bytes, __ATOMIC_RELAXED);
	}
	rcu_read_end();
}

static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static bool take_file(struct package *p, size_t i, bool hour_ends, json_t *files)
{
	struct demand_seen *seen = &p->seen[i];
	uint64_t requests = seen->requests, bytes = seen->bytes, sessions = estimate(seen);
	bool any;

	read_counters(p, i, &requests, &bytes);
	any = requests > seen->requests || bytes > seen->bytes;
	if (any)
		json_array_append_new(files, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "title", p->title, "revision", p->revision,
		                                       "file", p->digest->files[i].name, "requests",
		                                       (json_int_t)grown(requests, seen->requests), "bytes",
		                                       (json_int_t)grown(bytes, seen->bytes), "sessions",
		                                       (json_int_t)grown(sessions, seen->told)));
	seen->requests = requests;
	seen->bytes = bytes;
	if (any)
		seen->told = sessions;
	for (size_t k = 0; hour_ends && k < DEMAND_WORDS; k++)
		__atomic_store_n(&seen->sessions[k], 0, __ATOMIC_RELAXED);
	if (hour_ends)
		seen->told = 0;
	return any;
}

static json_t *take_all(struct package *const *packages, size_t n, bool hour_ends)
{
	json_t *files = json_array();

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < packages[i]->digest->n_files && json_array_size(files) < MAX_FILES; k++)
			take_file(packages[i], k, hour_ends, files);
	return files;
}

/* Until it is delivered or the process ends.  All that wait stand within IN_MEMORY places, so none takes another's slot. */
static bool hold_in_memory(struct demand *d, char *text)
{
	if (d->last + 1 - d->first >= IN_MEMORY)
		return false;
	d->memory[++d->last % IN_MEMORY] = text;
	return true;
}

static void keep(struct demand *d, json_t *files)
{
	json_t *batch = json_pack("{s:s, s:I, s:[{s:I, s:O}]}", "stream", d->stream, "sequence", (json_int_t)++d->sequence, "hours",
	                          "hour", (json_int_t)(d->hour * 3600), "files", files);
	char *text = json_dumps(batch, JSON_COMPACT), *path = path_of(d, d->last + 1);
	int r = text != NULL ? file_write_atomic(path, text, strlen(text), 0644) : -ENOMEM;

	if (r == 0) {
		d->last++;
		d->bytes += strlen(text);
	} else if (text != NULL && hold_in_memory(d, text)) {
		text = NULL;
		log_verbose(WHERE, "what was asked for waits in memory: %s", err_text(r));
	} else {
		counters_add(d->counters, COUNT_DEMAND_LOST, 1);
		log_warn(WHERE, "what was asked for could not be kept, %zu files' counts are lost: %s", json_array_size(files),
		         err_text(r));
	}
	while (d->first <= d->last && (d->last - d->first + 1 > MAX_BATCHES || d->bytes > MAX_LINE_BYTES)) {
		counters_add(d->counters, COUNT_DEMAND_LOST, 1);
		demand_delivered(d);
	}
	free(path);
	free(text);
	json_decref(batch);
}

static bool was_set(const struct demand *d, wall_us wall, mono_us now)
{
	dur_us more = (wall - d->collected) - (now - d->looked);

	return more > CLOCK_SET || more < -CLOCK_SET;
}

void demand_collect(struct demand *d, struct package *const *packages, size_t n, wall_us wall, mono_us now, bool at_once)
{
	int64_t hour = wall / DUR_HOUR;
	bool hour_ends;
	json_t *files;

	if (d->collected == 0) {
		d->collected = wall;
		d->looked = now;
		d->hour = hour;
	}
	if (was_set(d, wall, now))
		d->hour = hour;
	hour_ends = hour != d->hour;
	if (!hour_ends && !at_once && (now - d->looked < d->interval || d->last + 1 - d->first >= MANY_BATCHES))
		return;
	files = take_all(packages, n, hour_ends);
	if (json_array_size(files) > 0)
		keep(d, files);
	json_decref(files);
	d->collected = wall;
	d->looked = now;
	d->hour = hour;
}

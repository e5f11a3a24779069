/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A line is "SECONDS BYTES TITLE/REVISION/FILE\n".  Names have neither blanks
 * nor slashes (base/str.h), so a line is read in one way or not at all.
 */
#include "edge/plays.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define WHERE "edge/plays"
#define MAX_WAITING ((size_t)256 << 10)

struct plays {
	char *path, *old;
	struct buf waiting;
	bool said;
};

struct plays *plays_new(const char *path)
{
	struct plays *p = mem_new(sizeof *p);

	p->path = mem_dup(path);
	p->old = mem_printf("%s.old", path);
	buf_init(&p->waiting, MAX_WAITING);
	return p;
}

void plays_free(struct plays **pp)
{
	struct plays *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	plays_flush(p);
	buf_fini(&p->waiting);
	free(p->path);
	free(p->old);
	free(p);
}

void plays_note(struct plays *p, const char *title, const char *revision, const char *file, uint64_t bytes, wall_us when)
{
	if (p->waiting.size + strlen(title) + strlen(revision) + strlen(file) + 64 > MAX_WAITING)
		return; /* the disk takes nothing: what is new is of no more use than what waits */
	buf_printf(&p->waiting, "%" PRId64 " %" PRIu64 " %s/%s/%s\n", when / DUR_S, bytes, title, revision, file);
}

static int append(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), r = 0;
	ssize_t written;

	if (fd < 0)
		return -errno;
	written = write(fd, bytes, n);
	if (written < 0)
		r = -errno;
	else if ((size_t)written < n)
		r = -ENOSPC;
	close(fd);
	return r;
}

void plays_flush(struct plays *p)
{
	uint64_t size = 0;
	int r;

	if (p->waiting.size == 0)
		return;
	if (file_size(p->path, &size) == 0 && size + p->waiting.size > PLAYS_MAX_BYTES && rename(p->path, p->old) < 0)
		log_warn(WHERE, "cannot put the older plays aside: %s path=\"%s\"", err_text(-errno), p->path);
	r = append(p->path, p->waiting.bytes, p->waiting.size);
	if (r == 0)
		buf_clear(&p->waiting);
	else if (!p->said)
		log_warn(WHERE, "what was played is not remembered over a restart: %s path=\"%s\"", err_text(r), p->path);
	p->said = r != 0;
}

/* Cuts the line up in place. */
static void read_line(char *line, plays_row_f *row, void *ctx)
{
	char *end, *title, *revision, *file;
	int64_t second = strtoll(line, &end, 10);
	uint64_t bytes;

	if (end == line || *end != ' ' || second < 0 || second > INT64_MAX / DUR_S)
		return;
	bytes = strtoull(end + 1, &title, 10);
	if (title == end + 1 || *title++ != ' ')
		return;
	revision = strchr(title, '/');
	file = revision != NULL ? strchr(revision + 1, '/') : NULL;
	if (file == NULL)
		return;
	*revision++ = '\0';
	*file++ = '\0';
	row(ctx, title, revision, file, bytes, second * DUR_S);
}

static void read_file(const char *path, plays_row_f *row, void *ctx)
{
	struct buf b;

	buf_init(&b, 2 * PLAYS_MAX_BYTES);
	if (file_read(path, &b) == 0) {
		char *text = mem_dup_n((const char *)b.bytes, b.size), *end;

		for (char *line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
			*end = '\0';
			read_line(line, row, ctx);
		}
		free(text);
	}
	buf_fini(&b);
}

void plays_read(struct plays *p, plays_row_f *row, void *ctx)
{
	read_file(p->old, row, ctx);
	read_file(p->path, row, ctx);
}

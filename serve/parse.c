/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Heads that libh2o cannot read.  By itself it answers all of them with a fixed text, 400 without a Date, below
 * its handlers, filters and loggers.  Its call of the parser is bound when the program starts, and finds the function
 * below, which asks libh2o's own and makes of a failure an empty request with a status in store: so it is refused
 * as all others are, with its fields, its line in the log and its number among the refused.
 */
#include <dlfcn.h>
#include <string.h>

#include "base/must.h"
#include "serve/inner.h"

#define MAX_HEAD ((size_t)48 << 10) /* bytes without an end; the limits of what is in a head are smaller */

/* picohttpparser.h, which libh2o does not install. */
struct phr_header {
	const char *name;
	size_t name_n;
	const char *value;
	size_t value_n;
};
typedef int parse_f(const char *bytes, size_t n, const char **method, size_t *method_n, const char **path, size_t *path_n, int *minor,
                    struct phr_header *fields, size_t *n_fields, size_t seen);
parse_f phr_parse_request;

static parse_f *theirs;
static _Thread_local int refused;

void parse_init(void)
{
	theirs = (parse_f *)dlsym(RTLD_NEXT, "phr_parse_request");
	MUST(theirs != NULL);
}

int parse_take_refusal(void)
{
	int status = refused;

	refused = 0;
	return status;
}

/* 0: it is well, or not all here yet. */
static int judge(int end, const char *bytes, size_t n, bool no_room)
{
	if (end == -1)
		return no_room ? 431 : 400;
	if (end == -2 && n >= MAX_HEAD)
		return memchr(bytes, '\n', MAX_HEAD) == NULL ? 414 : 431;
	return 0;
}

/* RFC 9110 10.1.1: of HTTP/1.0 it is not to be taken notice of. */
static void drop_expectations(struct phr_header *fields, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++)
		if (fields[i].name_n != 6 || strncasecmp(fields[i].name, "expect", 6) != 0)
			fields[kept++] = fields[i];
	*n = kept;
}

int phr_parse_request(const char *bytes, size_t n, const char **method, size_t *method_n, const char **path, size_t *path_n, int *minor,
                      struct phr_header *fields, size_t *n_fields, size_t seen)
{
	size_t room = *n_fields;
	int end;

	*method = *path = NULL;
	*method_n = *path_n = 0;
	end = theirs(bytes, n, method, method_n, path, path_n, minor, fields, n_fields, seen);
	refused = judge(end, bytes, n, *n_fields == room);
	if (refused == 0) {
		if (end > 0 && *minor == 0)
			drop_expectations(fields, n_fields);
		return end;
	}
	if (*method == NULL || *path == NULL || *path_n == 0 || **path != '/') { /* the line itself is what is wrong */
		*method = "-";
		*path = "/";
		*method_n = *path_n = 1;
	}
	*minor = 1;
	*n_fields = 0;
	return (int)n;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Replies in JSON, with validators, and problems (RFC 9457).  Each ends the request.
 */
#ifndef RIBERA_ORIGIN_REPLY_H
#define RIBERA_ORIGIN_REPLY_H

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "serve/serve.h"

struct form_error;
struct json_text;

/* Takes `body` (one reference).  For a GET that is 200 an ETag from the bytes
 * is added, and If-None-Match answered with 304. */
void reply_json(struct serve_request *, int status, json_t *body);
/* Text that is JSON already, with its ETag (without quotes); takes the blob. */
void reply_json_blob(struct serve_request *, struct blob *body, const char *etag);
/* What was written, as reply_json would send it with 200; takes its bytes. */
void reply_json_text(struct serve_request *, struct json_text *);
/* The same of what is never twice the same (seconds since): its ETag is that of `what`, what people change of it, so that If-Match
 * can name it; it is not to be stored, and never 304. */
void reply_json_alive(struct serve_request *, struct json_text *, const char *what);
/* The same with an ETag from its bytes, and how old it is (RFC 9111 5.1). */
void reply_json_aged(struct serve_request *, struct blob *body, dur_us age);
void reply_created(struct serve_request *, json_t *body, const char *location);
void reply_text(struct serve_request *, int status, const char *text);
void reply_empty(struct serve_request *, int status);

/* `detail` is for people. */
void reply_problem(struct serve_request *, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void reply_form_error(struct serve_request *, const struct form_error *);
/* 429 with Retry-After */
void reply_too_often(struct serve_request *, dur_us wait, const char *detail);
/* The status that fits the fault's code. */
void reply_fault(struct serve_request *, const struct fault *);
/* 405 (RFC 9110 15.5.6) */
void reply_not_allowed(struct serve_request *, const char *allow);
/* 401 (RFC 6750 3) */
void reply_unauthorized(struct serve_request *, const char *detail);

/* 412: a condition does not hold of what has this ETag (without quotes; "": it has none). */
void reply_not_as_seen(struct serve_request *, const char *etag);

/* Does the request have an If-Match or If-None-Match? */
bool reply_has_condition(const struct serve_request *);
/* Do these (RFC 9110 13.1.1, 13.1.2) let it change what has this ETag (without quotes; "": it has none)?
 * False: it has been answered with 412. */
bool reply_if_match(struct serve_request *, const char *etag);

/* What an answer would be: while set, the JSON replies and problems of this thread go there and are not sent. */
struct reply_peek {
	int status;
	char etag[65]; /* of a 200 */
};
void reply_peek(struct reply_peek *); /* NULL: they are sent again */

/* A reply as it was sent, to be sent again. */
struct reply_kept {
	int status;            /* 0: none yet */
	char *location, *body; /* owned, or NULL */
};
/* The same for one that is sent by other means; nothing when none is kept. */
void reply_note(int status, const char *location, const char *body);
/* Keeps the JSON replies of this thread there; NULL: no more. */
void reply_keep(struct reply_kept *);
void reply_again(struct serve_request *, const struct reply_kept *);

#endif

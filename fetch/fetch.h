/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The HTTP client: libcurl's multi interface in one thread of its own, with
 * connection reuse, byte ranges, deadlines and honest time measurement.
 *
 * Callbacks run in the fetch thread: they hand over and return, they never
 * block.  Everything else may be called from any thread, also from a callback.
 */
#ifndef RIBERA_FETCH_FETCH_H
#define RIBERA_FETCH_FETCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct blob;
struct fetch; /* hidden */
struct traceparent;

struct fetch_settings {
	const char *user_agent;
	unsigned max_per_host; /* connections; 0: 6 */
	bool http2;            /* offer h2 over TLS */
	bool background;       /* its thread gives way to others */
	const char *ca_file;   /* NULL: the system's */
	bool files;            /* file: URLs are read, too; else they are ERR_SYNTAX, like all that is neither http nor https */
	const volatile sig_atomic_t *told; /* by a signal's handler: soon after it is not 0 all is as after fetch_stop; NULL: none */
};

int fetch_new(const struct fetch_settings *, struct fetch **ret_fetch);
/* Cancels what runs (their done callbacks come first, with ERR_CANCELLED) and joins the thread. */
void fetch_free(struct fetch **);

struct fetch_request {
	const char *url;        /* absolute, http or https; or file (RFC 8089), with `files`: it is read as if a server gave it */
	const char *method;     /* NULL: GET */
	bool has_range;
	uint64_t first, last;   /* inclusive, RFC 9110 14.1.2 */
	const void *body;       /* copied */
	size_t body_size;
	const char *const *fields; /* "Name: value", n_fields of them; copied */
	size_t n_fields;
	const struct traceparent *trace; /* whose part it is; NULL: it begins a trace of its own */
	uint64_t max_bytes;     /* of the response's body; more is ERR_LIMIT; 0: no limit */
	uint64_t max_rate;      /* bytes per second; 0: no limit */
	dur_us connect_timeout; /* 0: 3 s */
	dur_us stall_timeout;   /* no byte for so long is ERR_TIMEOUT; 0: 10 s */
	dur_us pause_timeout;   /* once the body flows, so long without a byte is too, if the first one did not take half of
	                         * that; 0: as stall_timeout */
	dur_us total_timeout;   /* 0: none */
	bool other_address;     /* the server's second address before its first, where fetch_know has found several */
};

struct fetch_result {
	int error;              /* 0: an HTTP response came in whole, whatever its status; else
	                         * ERR_NETWORK, ERR_TIMEOUT, ERR_LIMIT, ERR_CANCELLED, ERR_TRUNCATED, ERR_HTTP
	                         * (malformed), or what the data callback returned; of a file also -errno of
	                         * opening and reading it, -EINVAL: it is none */
	int status;             /* HTTP status; 0 when there was none; 200 or 206 for a file */
	uint64_t bytes;         /* of the body, as received */
	mono_us started;        /* when the request was given to curl */
	dur_us connected;       /* until connected (TLS included); 0 on a reused connection */
	dur_us first_byte;      /* until the first byte of the response */
	dur_us total;
	bool reused;
	wall_us date;           /* the response's Date; 0: none */
	char text[256];         /* the reason in words, curl's mostly, for logs */
};

/* Response facts, valid inside the callbacks. */
struct fetch_response {
	int status;
	bool has_length;
	uint64_t length;        /* Content-Length */
	bool has_range;         /* a well-formed Content-Range: bytes first-last/size */
	uint64_t range_first, range_last, range_size;
	const char *etag;       /* or NULL */
	const char *content_type;
	const char *cache_status;
	dur_us retry_after;     /* 0: none given */
	wall_us date;           /* Date; 0: none */
	const char *effective_url; /* after redirects */
};

/* Once, when the header is complete.  Non-zero ends the transfer with that error. */
typedef int (*fetch_header_f)(void *ctx, const struct fetch_response *);
/* Body bytes.  Non-zero ends the transfer with that error. */
typedef int (*fetch_data_f)(void *ctx, const void *bytes, size_t n);
/* Exactly once for every started transfer, as the last callback. */
typedef void (*fetch_done_f)(void *ctx, const struct fetch_result *, const struct fetch_response *);

/* Looks up the name of the URL's server in the background: it will be known when it is needed, also when no name can be
 * looked up any more by then.  Who was reached once stays known by itself.  What is known is looked up again, in
 * the background too, when it is used a minute later and when its server cannot be reached. */
void fetch_know(struct fetch *, const char *url);
/* Whether that has come. */
bool fetch_knows(struct fetch *, const char *url);

typedef uint64_t fetch_id;

/* Starts a transfer and returns its id (never 0).  header and data may be NULL.
 * What `req` points to is copied. */
fetch_id fetch_start(struct fetch *, const struct fetch_request *req, fetch_header_f, fetch_data_f, fetch_done_f, void *ctx);
/* The done callback comes with ERR_CANCELLED unless it came already.  Unknown ids are fine. */
void fetch_cancel(struct fetch *, fetch_id);
/* Cancels what runs, and from now on whatever is started: all who wait for something go on. */
void fetch_stop(struct fetch *);

/* Waits for the whole body (max_bytes must be set).  Returns result.error, or
 * ERR_HTTP for a status of 400 and above (the body is returned all the same).
 * ret_blob and ret_result may be NULL; *ret_etag (or NULL) is to be freed.
 * Not from the fetch thread. */
int fetch_get(struct fetch *, const struct fetch_request *req, struct blob **ret_blob, struct fetch_result *ret_result,
              char **ret_etag, struct fault *);

#endif

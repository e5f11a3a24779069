/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The HTTP server: libh2o event loops, one per thread.  serve/ is the only room
 * (besides the mains) that includes <h2o.h>.
 *
 * Two kinds of routes:
 *  - objects: GET and HEAD of bytes whose facts (size, hash, type) are known
 *    beforehand, with ranges and conditionals, sent without copying; bytes that
 *    are still on their way here (pull-through) are sent as they come;
 *  - handlers: small replies made by a callback (control API, pages, health).
 *
 * A find or handler callback runs on a loop's thread.  On a server that serves
 * viewers it must not block; a control server is a `struct serve` of its own
 * with one thread, where it may (SQLite).
 */
#ifndef RIBERA_SERVE_SERVE_H
#define RIBERA_SERVE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/traceparent.h"
#include "serve/condition.h"

struct blob;
struct buf;
struct serve;         /* hidden */
struct serve_request; /* hidden; lives until its reply is sent */
struct serve_waiter;  /* hidden; reference counted */

struct serve_settings {
	const char *name;          /* "ribera-edge": Server field, Cache-Status, log */
	unsigned threads;          /* 1 to 64 */
	uint64_t max_connections;  /* 0: 100,000 */
	uint64_t max_per_client;   /* connections of one IPv4 address or IPv6 /64; 0: a tenth of all and 100 */
	uint64_t min_rate;         /* bytes per second that a viewer has to take, looked at over stall_timeout; 0: 500 */
	dur_us max_lag;            /* new connections get 503 while a loop is later than this; 0: never */
	uint64_t max_body;         /* of requests to handlers; 0: 1 MiB */
	uint64_t max_held;         /* bytes made for one request (replies by handlers, objects in memory) that a client may leave unread, all together 8 times as much; 0: no limit */
	/* Are the bodies of requests with this Authorization (NULL: none) worth waiting for?  Of others no body is taken in: their
	 * handlers are called when the head is there, see none, and refuse them.  NULL: all are.  Any loop thread; must not block. */
	bool (*trusts)(void *ctx, const char *authorization, size_t n);
	void *trusts_ctx;
	bool problems;             /* what is refused before a handler sees it is told as problem+json (RFC 9457), not as text */
	dur_us idle_timeout;       /* of keep-alive connections and of slow requests; 0: 30 s */
	dur_us stall_timeout;      /* a reply that makes no progress for so long is cut; 0: 60 s */
	const char *access_log;    /* path, "-" for standard output, NULL: none */
	const char *tls_cert, *tls_key; /* PEM paths, or NULL; an OCSP answer is taken from CERT.ocsp */
	bool tls_dev;                   /* where there is no certificate make one to try things out */
	const char *tls_dev_address;    /* ADDR:PORT: whom it is for besides localhost, or NULL */
	dur_us tls_ticket_life;         /* of session tickets; 0: 12 h */
	const char *url_keys;      /* file of the keys of signed URLs (serve/sign.h); objects are then served to such only */
	dur_us url_life;           /* of URLs that serve_sign makes; 0: 12 h */
	const char *allow_origin;  /* CORS Access-Control-Allow-Origin, "*" ; NULL: no CORS fields */
};

int serve_new(const struct serve_settings *, struct serve **ret_serve, struct fault *);

/* Before serve_start.  `address` is "127.0.0.1:8080", "[::1]:0", "*:80".
 * The fault names the address and the cure (in use, no permission).
 * ret_port (or NULL) is the port bound, also for port 0. */
int serve_listen(struct serve *, const char *address, bool tls, uint16_t *ret_port, struct fault *);

/* --- objects ----------------------------------------------------------------------- */

struct serve_object;

struct serve_object_ops {
	/* Bytes that can be sent now from `offset` on (at most `length` matter):
	 * > 0; 0: none yet, call want(); negative: they will not come
	 * (ERR_TIMEOUT gives 504, others 502, if no header was sent yet; else the
	 * connection is cut).  Any loop thread; must not block. */
	int64_t (*ready)(struct serve_object *, uint64_t offset, uint64_t length);
	/* ready() said 0: see to it that bytes at `offset` come (`length` bytes are
	 * wanted in all) and call serve_wake(waiter) once when ready() would say
	 * something else.  Takes over one reference of the waiter. */
	void (*want)(struct serve_object *, uint64_t offset, uint64_t length, struct serve_waiter *);
	/* Where the bytes at `offset` that ready() spoke of stand: the descriptor that has them at
	 * that offset (object.fd, or one whose bytes are in memory and may go again), *length
	 * lowered to those that stand there together; -1: they have gone.  Called inside an RCU
	 * section that lasts until they were read.  NULL: all stands in object.fd. */
	int (*source)(struct serve_object *, uint64_t offset, uint64_t *length);
	/* More of a reply's body (200 or 206) has gone to its viewer: `bytes`, more than 0; `first`: nothing had before.  What was given away
	 * and may not have arrived when the viewer left is not told.  NULL: nobody counts.  The request's loop. */
	void (*sent)(struct serve_object *, struct serve_request *, uint64_t bytes, bool first);
	/* The last reference is gone. */
	void (*free)(struct serve_object *);
	/* fd is negative: sets it once and for all (with release order), or says why not.  Before that it may set the
	 * object's size and what etag points to.  Runs beside the loops, for a disk may keep it waiting; perhaps twice at
	 * a time.  0 with fd still negative: what is to be sent needs no file (source knows).  When it fails find is asked
	 * once more, which may answer otherwise; then it is 404 (ERR_NOT_FOUND, -ENOENT) or 503.  NULL: objects are open
	 * when they are found. */
	int (*open)(struct serve_object *);
};

/* Facts and bytes of one resource.  Filled by the owner before it is first
 * returned by a find callback, constant afterwards; the strings live as long as
 * the object. */
struct serve_object {
	unsigned magic;             /* SERVE_OBJECT_MAGIC */
	unsigned refs;              /* by serve_object_ref and _unref */
	int fd;                     /* for pread, sendfile and mmap; closed by ops->free; negative: ops->open comes first, or its bytes are in memory */
	uint64_t size;
	wall_us modified;           /* 0: no Last-Modified */
	wall_us since;              /* when the bytes came from their origin, for Age; 0: they are at home here; atomic */
	const char *type;           /* Content-Type */
	const char *etag;           /* strong, with its quotes; these do not change while the object lives */
	const char *cache_control;
	const struct serve_object_ops *ops; /* ready and want NULL: all bytes are there */
	void *ctx;                  /* the owner's */
	const void *view;           /* serve's own: the bytes in memory once somebody needed them; NULL at first */
	uint16_t *warm;             /* serve's own: what was in the page cache of late (serve/disk.c); NULL at first */
	const char *lines;          /* serve's own: the fields above as HTTP/1.1 has them (serve/object.c); NULL at first */
};
#define SERVE_OBJECT_MAGIC 0x5e0b1ec7u

struct serve_object *serve_object_ref(struct serve_object *); /* any thread */
/* Gives it its bytes (copied) and size once and for all, in place of a descriptor: what is made for one request would hold one for as
 * long as its viewer likes.  Within ops->open, or before it is first returned; all else it says is set before.  -ENOMEM. */
int serve_object_keep(struct serve_object *, const void *bytes, size_t n);
void serve_object_unref(struct serve_object **);              /* any thread; takes NULL, sets NULL */

/* Whose bytes are wanted; within want() only. */
struct serve_request *serve_waiter_request(struct serve_waiter *);
/* Any thread, any time later, exactly once per want(); harmless when the viewer has left. */
void serve_wake(struct serve_waiter *);

/* What a find callback says. */
struct serve_found {
	struct serve_object *object; /* one reference passes to the server; NULL: status and location below */
	int status;                  /* without object: 404, 302 (with location), 503, ... */
	char *location;              /* owned by the server afterwards */
	const char *cache;           /* Cache-Status parameters: "hit", "fwd=uri-miss;detail=not-planned"; static */
};
/* `path` is percent-decoded, normalised (no dot segments, no NUL) and starts with the route's prefix. */
typedef void (*serve_find_f)(void *ctx, const char *path, size_t n, struct serve_request *, struct serve_found *ret_found);

void serve_route_objects(struct serve *, const char *prefix, serve_find_f, void *ctx);

/* --- signed URLs (serve/sign.h) ------------------------------------------------------ */

#define SERVE_PREFIX_SIZE 120

/* "/s/TOKEN" of the request's own URL, "" for none (not NUL-terminated): to be put before
 * the paths in its answer that are on the data plane.  A find callback sees the path without it. */
const char *serve_prefix(const struct serve_request *, size_t *ret_n);
/* "/s/TOKEN" for what lies below the first `depth` segments of `path`; "" when URLs are not
 * signed here.  Lives as long as the request. */
const char *serve_sign(struct serve_request *, const char *path, unsigned depth);
/* The same for requests of our own to others that have the same keys; all paths, for an hour.  Any thread. */
void serve_sign_own(const struct serve *, wall_us now, char ret_prefix[static SERVE_PREFIX_SIZE]);

/* --- traces (W3C Trace Context) ------------------------------------------------------- */

enum { SERVE_TRACE_FIELDS = 2 };
/* What requests carry that we make for the sake of this one. */
struct serve_trace {
	struct traceparent parent;        /* the trace it belongs to, and it as the parent */
	char *fields[SERVE_TRACE_FIELDS]; /* its tracestate and its X-Request-Id, "name: value"; NULL: it has none */
};
void serve_trace(struct serve_request *, struct serve_trace *ret); /* the request's loop */
void serve_trace_fini(struct serve_trace *);

/* --- handlers ---------------------------------------------------------------------- */

typedef void (*serve_handler_f)(void *ctx, struct serve_request *);

/* The longest matching prefix wins; "" matches everything.  Before serve_start. */
void serve_route(struct serve *, const char *prefix, serve_handler_f, void *ctx);

/* The same, but the bodies of PATCH and POST are not collected before (settings.max_body does not bound them), unless the
 * request has an Idempotency-Key: the handler is called when the head is in.  It answers without the body, or calls
 * serve_take_body. */
void serve_route_bodies(struct serve *, const char *prefix, serve_handler_f, void *ctx);

/* The same for GET and HEAD alone: the server answers other methods. */
void serve_route_read(struct serve *, const char *prefix, serve_handler_f, void *ctx);

/* Views that live as long as the request. */
const char *serve_method(const struct serve_request *);                    /* "GET" */
const char *serve_path(const struct serve_request *, size_t *ret_n);       /* decoded, NUL-terminated */
const char *serve_query(const struct serve_request *, size_t *ret_n);      /* raw, behind '?'; "" if none */
/* The first parameter `name` of the query, decoded, from the request's pool; NULL: not there. */
const char *serve_param(struct serve_request *, const char *name);
const char *serve_field(const struct serve_request *, const char *lower_case_name, size_t *ret_n); /* NULL: not there */
const char *serve_host(const struct serve_request *, size_t *ret_n);       /* Host or :authority */
const void *serve_body(const struct serve_request *, size_t *ret_n);
const char *serve_peer(const struct serve_request *);                      /* "192.0.2.1" */
bool serve_peer_is_loopback(const struct serve_request *);                 /* and no proxy that asks for somebody else and says so */
bool serve_is_tls(const struct serve_request *);
/* The least round trip of the last minutes on the request's connection, as the kernel measures it (a system call); 0: not known.
 * The request's loop. */
dur_us serve_round_trip(const struct serve_request *);

/* What its conditions say of what has this ETag (quoted; NULL: none) and no date (RFC 9110 13.2.2). */
enum condition serve_judge(const struct serve_request *, const char *etag);

struct serve_header {
	const char *name, *value; /* name in lower case; both copied */
};
/* Ends the request.  `body` (one reference taken; NULL: none) is not sent for HEAD.
 * Content-Length, Date, Server, CORS are added. */
void serve_reply(struct serve_request *, int status, const char *type, struct blob *body,
                 const struct serve_header *extra, size_t n_extra);

/* --- bodies of any size ------------------------------------------------------------------ */

struct serve_intake_ops {
	/* The next bytes of the body, which are the caller's: 0, or negative when no more are wanted. */
	int (*take)(void *ctx, const void *bytes, size_t n);
	/* Exactly once, and the last call.  With the request: all is here (0), or what take said (negative): it is to be
	 * answered now.  With NULL: the rest will not come, for the client left, was too slow (it takes as min_rate and
	 * stall_timeout say of replies) or sent what cannot be read. */
	void (*end)(void *ctx, struct serve_request *, int error);
};
/* Is there a body, and not here yet? */
bool serve_body_is_coming(const struct serve_request *);
/* Its bytes; UINT64_MAX: the client has not told. */
uint64_t serve_body_size(const struct serve_request *);
/* Instead of a reply, within a handler.  Calls back from within when the body is here.  Tells a client that waits for it (Expect:
 * 100-continue) to go on.  The request's loop. */
void serve_take_body(struct serve_request *, const struct serve_intake_ops *, void *ctx);

/* --- replies without an end (server-sent events) ------------------------------------- */

#define SERVE_STREAM_CUT (-1000000)
struct serve_stream_ops {
	/* The next piece, when the viewer has room: 1 and *ret_piece (one reference passes,
	 * not empty); 0: nothing is new, and a reference of the waiter was kept, to be woken
	 * by serve_wake() once; negative: the reply ends, with SERVE_STREAM_CUT so that it is
	 * seen to be no whole.  The request's loop. */
	int (*next)(void *ctx, struct serve_waiter *, struct blob **ret_piece);
	/* The viewer has left or the reply has ended.  The request's loop. */
	void (*free)(void *ctx);
};
struct serve_waiter *serve_waiter_ref(struct serve_waiter *); /* serve_wake() gives it back */
/* A reply 200 of pieces; `ops` must stay.  One without any piece for stall_timeout is cut. */
void serve_reply_stream(struct serve_request *, const char *type, const struct serve_header *extra, size_t n_extra,
                        const struct serve_stream_ops *, void *ctx);

/* Instead of a reply, within a handler: `then` is called, and replies, in a later turn of the loop when all others that
 * are ready had theirs; one such request a turn, first come first among clients, of whom none has two in a row while others wait.  Not at all when the client leaves before. */
void serve_later(struct serve_request *, serve_handler_f then, void *ctx);

struct serve_beside_ops {
	void (*work)(void *ctx); /* once, beside the loops: it may wait, and shares nothing with handlers that has no lock */
	void (*then)(void *ctx, struct serve_request *); /* replies; the request's loop; not at all when the client leaves before */
	void (*free)(void *ctx); /* in all cases, the last call; any thread */
};
/* Instead of a reply, within a handler. */
void serve_beside(struct serve_request *, const struct serve_beside_ops *, void *ctx);

/* Ends the request with metrics in the Prometheus text format, or as OpenMetrics when that
 * is what the reader prefers.  Takes the text's bytes. */
void serve_reply_metrics(struct serve_request *, struct buf *text);

/* --- running ----------------------------------------------------------------------- */

int serve_start(struct serve *, struct fault *); /* starts the threads */
/* Closes the listeners, lets replies finish for at most `limit`, joins the threads.  Takes NULL; a second call does nothing. */
void serve_stop(struct serve *, dur_us limit);
/* serve_stop, and frees. Takes NULL, sets NULL. */
void serve_free(struct serve **, dur_us limit);

/* Appends the server's own counters in the Prometheus text format; names start with "ribera_http_". */
void serve_write_metrics(const struct serve *, struct buf *out);
/* The same for a further server of the program, whose families begin with `prefix` instead of "ribera_http". */
void serve_write_metrics_as(const struct serve *, const char *prefix, struct buf *out);
int64_t serve_open_connections(const struct serve *);
/* Takes in files that have changed, or all of them: certificate, key, OCSP answer.  To be
 * called every second or so, by one thread at a time.  1: something is new; 0: nothing is;
 * negative: what was there stays in force, and the same files are not tried again. */
int serve_refresh(struct serve *, bool always, struct fault *);
/* Takes max_connections, max_per_client, min_rate and max_lag; any thread. */
void serve_set_limits(struct serve *, const struct serve_settings *);
/* Reopens the access log (after rotation).  Any thread. */
void serve_reopen_log(struct serve *);

/* --- giving way to another program, without refusing a connection (main thread) ------- */

/* After the last serve_listen: closes sockets that were handed to us and that nobody listens on. */
void serve_drop_inherited(void);
/* Runs argv with --check behind it: would it start?  ERR_USAGE: not with these settings; ERR_TIMEOUT: it hangs, and is killed;
 * ERR_CANCELLED: SIGTERM or SIGINT, which are blocked, wait for the caller. */
int serve_try_program(char *const argv[], struct fault *);
/* Before serve_stop: the listening sockets stay open for serve_hand_over. */
void serve_keep_listeners(const struct serve *);
/* Becomes the program argv, with the sockets kept.  Everything else is to be closed by now.
 * Returns only when that fails. */
int serve_hand_over(char *const argv[], struct fault *);

#endif

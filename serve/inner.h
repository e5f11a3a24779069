/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the files of serve/ share and nobody else sees.
 *
 *   serve 1--* lane (one thread, one event loop) 1--* conn 1--* serve_request
 *
 * Everything of a lane is touched by its own thread only, except its mailbox.
 */
#ifndef RIBERA_SERVE_INNER_H
#define RIBERA_SERVE_INNER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

/* h2o's headers are not written for our warnings */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <h2o.h>
#include <h2o/http1.h>
#include <h2o/http2.h>
#pragma GCC diagnostic pop

#include "base/clock.h"
#include "serve/limit.h"
#include "serve/path.h"
#include "serve/range.h"
#include "serve/serve.h"
#include "serve/sign.h"

struct access_log;
struct beside;
struct blob;
struct counters;
struct disk;
struct guard;
struct intake;
struct tls;

enum {
	C_CONNECTIONS,
	C_SHED_CONNECTIONS,
	C_SHED_LAG,
	C_SHED_FILES,
	C_CONNECTIONS_REFUSED,
	C_CONNECTIONS_FLOOD,
	C_CONNECTIONS_SLOW,
	C_ACCEPT_FAILED,
	C_REPLIES_2XX,
	C_REPLIES_206,
	C_REPLIES_3XX,
	C_REPLIES_4XX,
	C_REPLIES_5XX,
	C_BYTES,
	C_REFUSED_TARGET,
	C_REFUSED_FRAMING,
	C_REFUSED_SIGNATURE,
	C_REFUSED_UNREAD,
	C_CUT_STALLED,
	C_CUT_FAILED,
	C_CUT_LEFT,
	C_CMCD,
	C_CMCD_STARVED,
	C_LOG_DROPPED,
	C_DISK_WAITS,
	C_OPEN,
	C_LAG,
	C_FIRST_BYTE,
	C_TOTAL,
	N_COUNTERS,
};

struct route {
	char *prefix;
	size_t n;
	serve_find_f find; /* either this */
	serve_handler_f handle; /* or this */
	bool read_only; /* the handler is for GET and HEAD */
	bool takes_bodies; /* as they come (serve/intake.c) */
	void *ctx;
};

struct listener {
	int *fds; /* one per thread */
	unsigned index; /* among all listeners of the process */
	bool tls;
};

struct serve {
	struct serve_settings settings; /* strings owned */
	char *cors_lines;               /* CORS fields for HTTP/1.1: see request_add_lines; NULL: none */
	struct route *routes;           /* longest prefix first */
	size_t n_routes, cap_routes;
	struct listener *listeners;
	size_t n_listeners, cap_listeners;
	h2o_globalconf_t h2o;
	struct tls *tls; /* or NULL */
	struct limit *limit;
	struct guard *guard; /* of signed URLs, or NULL */
	struct counters *counters;
	struct access_log *log; /* or NULL */
	struct disk *disk;
	bool takes_bodies; /* one of the routes does */
	struct lane *lanes;     /* settings.threads of them, once started */
	sem_t ready; /* posted by every lane that runs */
	bool started;
	atomic_bool stopping;
	_Atomic mono_us stop_at; /* when what is still running is cut */
	_Atomic int64_t open;
	_Atomic uint64_t held; /* bytes (held.c) */
	/* The kernel gives out the lowest number that is free: a connection with one from max_fd on
	 * is refused, for files have to be opened too; one from last_fd on is closed at once. */
	int max_fd, last_fd;
};

/* The way into a lane from other threads; outlives the lane while waiters point to it. */
struct mailbox {
	pthread_mutex_t lock; /* guards `open` and sending */
	bool open;
	atomic_uint refs;
	h2o_multithread_receiver_t receiver;
	struct lane *lane;
};

/* HTTP-dates of late, by their second: objects have few different ones. */
#define N_DATES 64
struct date {
	wall_us time;
	char text[CLOCK_RFC3339_SIZE];
};

struct access_buffer {
	char *bytes;
	size_t n;
	int64_t second; /* of `time` */
	char time[CLOCK_RFC3339_SIZE];
};

struct lane {
	struct serve *serve;
	unsigned index;
	pthread_t thread;
	h2o_evloop_t *loop;
	h2o_context_t ctx;
	struct door *doors; /* one per listener */
	SSL_CTX *tls;       /* what new connections get; one reference, or NULL */
	unsigned tls_generation;
	h2o_timeout_t stall, tick;
	h2o_timeout_entry_t tick_entry;
	h2o_linklist_t conns;
	h2o_linklist_t waiting; /* requests of HTTP/1.1 that wait for bytes */
	h2o_linklist_t intakes; /* requests of HTTP/2 whose bodies are taken as they come */
	h2o_linklist_t leftovers; /* bodies that nobody takes (intake.c) */
	unsigned n_leftovers;
	h2o_linklist_t later;   /* requests that wait for their turn */
	char later_peer[46];    /* who had the last */
	h2o_timeout_t turn;     /* the first of them has its own */
	h2o_timeout_entry_t turn_entry;
	struct mailbox *mailbox;
	struct access_buffer access;
	struct date dates[N_DATES];
	uint64_t next_id;
	struct {
		int trust; /* 0: it is to be found out; 1, or -1: never */
		int64_t second; /* of `date` */
		char date[CLOCK_RFC3339_SIZE];
	} head; /* head.c */
	struct {
		int in, out, nowhere; /* in < 0: there is none */
	} pipe; /* pipe.c */
	char traces[17]; /* traces that begin in this lane: these digits, then the request's id */
	mono_us closed; /* since when the doors are; 0: open */
	bool told;      /* HTTP/2 connections were sent their GOAWAY */
	struct {
		h2o_multithread_receiver_t receiver;
		h2o_multithread_message_t message;
		mono_us sent, ticked; /* 0: not */
		mono_us late_since;   /* 0: it is not */
		dur_us tick;          /* the last one's lateness */
		bool full;            /* more work than it can do */
	} lag;
};

/* A listening socket within a lane. */
struct door {
	struct lane *lane;
	h2o_socket_t *sock;
	h2o_accept_ctx_t accept;
	bool resting; /* out of descriptors: until the next tick */
};

#define CONN_MAGIC 0xc0440001u
struct conn {
	unsigned magic;
	unsigned running; /* requests */
	struct lane *lane;
	struct door *door;
	h2o_socket_t *sock;
	h2o_timeout_entry_t silence; /* until its first bytes */
	h2o_linklist_t link;         /* in lane->conns */
	struct serve_request *sending; /* whose sendfile waits for room */
	size_t room;                   /* bytes that the socket took at once of late; 0: none yet */
	struct serve_request *taking;  /* whose body is being read */
	char peer[46];
	mono_us since;          /* when it came, or its last request ended */
	bool loopback, counted, asked; /* asked: it had a request */
	int refuse;             /* over a limit: the status its request gets; 0: none */
	struct limit_client client;
	unsigned left;          /* replies given up of late */
	bool frames;            /* it speaks HTTP/2 */
	bool sends;             /* ... some of a body came since it was last looked after */
	unsigned heads;         /* ... requests since then */
	uint64_t in, out;       /* ... bytes until then */
	h2o_conn_t *h2;         /* once there was a request by HTTP/2 */
	bool rests;             /* ... and h2_rest has been called since the last */
	mono_us taken;          /* ... when it had no request half here, or the last body was whole */
	uint32_t excess;        /* the HTTP/2 stream whose body was too large; 0: none */
	uint32_t excess_frames; /* of it that came behind the answer, until it was reset */
	const struct serve_request *excessive; /* ... while it is being answered */
};

/* A piece of a body: text of ours, then bytes of the source. */
struct span {
	const char *text;
	size_t text_n;
	uint64_t offset, left;
};

struct body {
	struct span *spans;
	size_t n, at;
	const uint8_t *view; /* the whole source in memory, or NULL */
	char *buffer;        /* for pread */
	bool by_sendfile;
	bool on_disk; /* what is sent comes from the object's file, which may have to be read */
	struct span one;
};

#define REQUEST_MAGIC 0x4e9e5701u
struct serve_request {
	h2o_filereq_t anchor; /* req->filereq points here: how the logger finds us */
	unsigned magic;
	bool replied, waiting, stopped, is_head;
	bool cut; /* by us, or the connection's end: not all of the reply is out */
	bool found_again;    /* after it could not be opened */
	bool opened;         /* that has been seen to */
	bool is_conditional; /* it may have fields of conditions or of ranges */
	bool has_cmcd;       /* the same */
	bool untraced;       /* it has no field that tells a trace or an id */
	bool asked_alone;    /* of HTTP/1.1, without a body and with nothing behind it yet */
	bool progress; /* since the stall timer last ran */
	bool growing; /* the object's bytes are not all here yet */
	bool held;    /* the reply is ready, and waits for the end of the body */
	struct intake *intake; /* the body that is still on its way, or NULL */
	h2o_linklist_t intake_link; /* in lane->intakes */
	h2o_generator_t generator;
	h2o_req_t *req;
	struct lane *lane;
	struct conn *conn;
	const struct route *route;
	struct path_target target;
	char *path; /* behind the token of a signed URL */
	size_t path_n;
	const char *prefix; /* "/s/TOKEN" */
	size_t prefix_n;
	enum sign_verdict verdict; /* of the token, when there is one */
	const char *cache;
	struct serve_object *object;
	struct blob *blob;
	uint64_t held_bytes; /* of it (held.c) */
	struct serve_waiter *waiter;
	const struct serve_stream_ops *stream; /* a reply without an end, or NULL */
	void *stream_ctx;
	struct body body;
	h2o_timeout_entry_t stall;
	h2o_linklist_t wait_link; /* in lane->waiting */
	size_t seen_written;
	int seen_queued;
	size_t seen_sent; /* of this reply, by HTTP/2 */
	size_t told_sent; /* to the object's owner */
	mono_us started, first_byte;
	uint64_t id;
	const struct request_trace *trace; /* NULL until it is asked for */
	void (*resume)(struct serve_request *); /* when what it waits for came */
	serve_handler_f later; /* whose turn it waits for, or NULL (later.c) */
	void *later_ctx;
	h2o_linklist_t later_link; /* in lane->later */
	struct beside *beside; /* what is done for it (beside.c), or NULL */
	/* what a reply of an object needs once its first bytes are there */
	int status;
	uint64_t length;
	size_t n_ranges;
	struct range *ranges;
};

/* Where a request belongs (W3C Trace Context); its own span is serve_request.id. */
struct request_trace {
	const char *trace;      /* 32 hex digits: the client's, or made here; NUL-terminated */
	const char *parent;     /* 16, the span of the client's; NULL: it gave none */
	const char *request_id; /* the client's X-Request-Id, or the trace; NUL-terminated */
	unsigned flags;
};

struct serve_waiter {
	h2o_multithread_message_t message;
	atomic_uint refs;
	int error; /* of the disk; set before it is sent */
	struct mailbox *mailbox; /* one reference */
	struct serve_request *request; /* NULL: the viewer has left; the lane's thread only */
};

/* request.c */
int request_start(h2o_handler_t *, h2o_req_t *);
void request_run(struct serve_request *, int status); /* answers it, with a refusal when status is not 0 */
void request_end(h2o_logger_t *, h2o_req_t *);
/* Fields of the reply, which point to name and value: both must outlive its head. */
void request_add_field(struct serve_request *, const h2o_iovec_t *lower_case_name, const char *value, size_t n);
static inline void request_add(struct serve_request *r, const h2o_token_t *token, const char *value)
{
	request_add_field(r, &token->buf, value, __builtin_strlen(value));
}
/* On HTTP/1.1 alone: fields that are always the same are one to libh2o, whose value holds CRLF and the lines of the
 * others; each field costs as much as a hundred bytes of body. */
static inline bool request_takes_lines(const struct serve_request *r)
{
	return r->req->version < 0x200;
}
void request_add_name(struct serve_request *, const char *lower_case_name, const char *value);
#define REQUEST_NAME(text) {(char *)(uintptr_t)(text), sizeof(text) - 1} /* of a static h2o_iovec_t */
char *request_printf(struct serve_request *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void request_add_cors(struct serve_request *);
char *request_cors_lines(const char *allow_origin); /* the caller's; NULL for NULL */
/* Status and fields of a handler's reply. */
void request_begin_reply(struct serve_request *, int status, const char *type, const struct serve_header *extra, size_t n_extra);
void request_send_memory(struct serve_request *, const void *bytes, size_t n); /* which stay until it has ended */
struct serve_request *request_new(h2o_req_t *);
void request_set_status(struct serve_request *, int status);
const char *status_text(int status);
const char *request_field(const struct serve_request *, const h2o_token_t *, size_t *ret_n);
/* The lines of a list field as one (RFC 9110 5.3), in the request's pool; base NULL: there is none. */
h2o_iovec_t request_list(const struct serve_request *, const h2o_iovec_t *lower_case_name);
static inline struct serve_request *request_of(h2o_req_t *req)
{
	return (struct serve_request *)(void *)req->filereq;
}

/* refuse.c */
void refuse_init(void); /* before the first lane */
/* A short text of our own, not to be stored; problem+json where the settings say so. */
void request_refuse(struct serve_request *, int status);
/* application/problem+json (RFC 9457); the detail is a text of ours without quotes. */
void request_problem(struct serve_request *, int status, const char *detail);

/* parse.c */
void parse_init(void); /* before the first lane */
/* The status that the request that begins now is to be refused with, for its head cannot be read; 0: it was. */
int parse_take_refusal(void);
/* A body that libh2o was told nothing of. */
struct parse_body {
	bool is, chunked, expects; /* 100-continue */
	uint64_t length; /* when it is not chunked */
	size_t head_n;
};
void parse_begin(const struct serve *); /* on the lane's thread */
bool parse_take_body(struct parse_body *ret); /* of the request that begins now; false: libh2o has it, if there is one */
bool parse_is_taken(const struct serve *, h2o_iovec_t method, h2o_iovec_t raw_path);
bool parse_is_trusted(const struct serve *, const char *authorization, size_t n); /* NULL: it has none */

/* intake.c */
void intake_begin_1(struct serve_request *, const struct parse_body *); /* HTTP/1.1 */
void intake_begin_2(struct serve_request *, uint64_t length); /* HTTP/2; UINT64_MAX: not told */
bool intake_take_2(struct serve_request *, const void *bytes, size_t n); /* false: the stream is to be reset */
void intake_finish_2(struct serve_request *); /* the rest is the request's entity */
bool intake_is_taking(const struct serve_request *);
bool intake_is_slow(const struct serve_request *); /* since it was last asked */
void intake_fail(struct serve_request *, int error);
bool intake_reply(struct serve_request *); /* a reply begins; true: it is held */
void intake_let_go(struct serve_request *); /* HTTP/2: a held reply goes out, and nothing more of the body is taken */
void intake_over(struct serve_request *);  /* the request ends */
void intake_end_leftovers(struct lane *);
/* frames.c */
void frames_init(void); /* before the first lane */
void frames_begin(struct lane *);

/* h2.c */
void h2_init(void); /* before the first lane */
/* The frame that is being read is the last that is taken of its stream: what is held of a reply goes out instead of a reset. */
void h2_let_go(uint32_t stream_id);
/* Of an HTTP/2 connection: is there a request whose head or body has begun and not ended? */
bool h2_is_receiving(const h2o_conn_t *);
/* ... of which the body has not ended?  Of the connection's socket. */
bool h2_awaits_body(const h2o_socket_t *);
/* Of a request by HTTP/2: has its viewer made no room for what there is to send (RFC 9113 6.9)? */
bool h2_is_shut(h2o_req_t *);
/* Ends this reply and leaves the others of the connection. */
size_t h2_unsent(h2o_req_t *); /* bytes of the reply that libh2o has and has given to nobody */
void h2_cut(h2o_req_t *);
/* Of a connection without a request: gives back what the next one makes anew (2 KB). */
void h2_rest(h2o_conn_t *);

/* pipe.c */
void pipe_begin(struct lane *);
void pipe_end(struct lane *);
/* As sendfile(2) to the connection's socket.  *ret_full: it has no room for more now, which another call would find out too. */
ssize_t pipe_send(struct conn *, int from, uint64_t offset, size_t n, bool *ret_full);

/* object.c */
void object_answer(struct serve_request *);
/* All bytes of a complete object in memory, kept as long as the object; NULL: cannot be had. */
const uint8_t *object_view(struct serve_object *);
bool object_is_open(const struct serve_object *);
bool object_is_memory(const struct serve_object *); /* has its bytes, and no file */
void object_not_opened(struct serve_request *, int error);
bool object_is_copied(const struct serve_object *); /* is its view memory of ours, not the file's? */

#define SMALL_BODY ((uint64_t)16 << 10) /* goes out in one write with the head */
#define BODY_SLICE (256 << 10)          /* of bodies that go through h2o: TLS encrypts a whole slice at once */

/* head.c */
/* True: the whole reply is out, and the request is gone.  False: nothing was done. */
bool head_send(struct serve_request *);
/* The head alone, on a corked socket, where it waits for the first bytes behind it: 0; 1: h2o brings the rest of it and then has the
 * generator go on; -1: nothing was done. */
int head_begin(struct serve_request *);
/* Around the first reply that h2o sends: does it do what head_send would do for it?  NULL: no need to look. */
const int *head_watch(const struct serve_request *);
void head_learn(struct lane *, const int *watched);

/* body.c */
void body_start(struct serve_request *); /* status and fields are set; spans and the view too */
void body_wait(struct serve_request *, uint64_t offset, uint64_t length);
void body_make_waiter(struct serve_request *);
void body_begin_wait(struct serve_request *); /* somebody has the waiter and will wake it */
void body_fail(struct serve_request *, int error);
void body_leave(struct serve_request *); /* the viewer has gone */
size_t body_under_way(const struct serve_request *); /* of the connection, on plain HTTP/1.1: bytes that nobody has acknowledged yet */
void body_tell_sent(struct serve_request *, size_t sent); /* to the object's owner: so much of the body in all */
void body_release(struct serve_request *);
void body_on_stall(h2o_timeout_entry_t *);
bool body_wait_disk(struct serve_request *, uint64_t offset, uint64_t length); /* false: nothing to wait for */
void body_wait_open(struct serve_request *); /* for the object's file to be opened */
void body_wake(struct serve_waiter *, int error); /* takes over a reference; any thread */
void body_on_messages(h2o_multithread_receiver_t *, h2o_linklist_t *);

/* held.c */
int held_take(struct serve_request *, uint64_t bytes); /* made for it alone.  0, or the status to refuse with */
void held_release(struct serve_request *); /* the request ends */

/* stream.c */
void stream_run(struct serve_request *);
void stream_release(struct serve_request *);
/* beside.c */
void beside_work(struct beside *, bool cancelled); /* takes over a reference; a thread that reads */
void beside_release(struct serve_request *); /* the request ends */
/* later.c */
void later_begin(struct lane *);
void later_release(struct serve_request *); /* the request ends */

/* disk.c */
struct disk *disk_new(void);
void disk_free(struct disk **); /* ends its threads; after the lanes */
/* Of `length` bytes from `offset` on, so many can be sent without a wait for the disk; 0: have them fetched. */
uint64_t disk_warm(struct lane *, struct serve_object *, uint64_t offset, uint64_t length);
/* Has its file opened, and wakes the waiter as disk_fetch does. */
void disk_open(struct disk *, struct serve_object *, struct serve_waiter *);
/* Reads them, or the first of them, and wakes the waiter, one reference of which is taken over. */
void disk_work(struct disk *, struct beside *, struct serve_waiter *); /* takes over a reference of both */
void disk_fetch(struct disk *, struct serve_object *, uint64_t offset, uint64_t length, struct serve_waiter *);

/* lag.c */
void lag_begin(struct lane *);
void lag_end(struct lane *);
void lag_tick(struct lane *, dur_us interval); /* at every tick */

/* lane.c */
void conn_given_up(struct conn *); /* a reply whose viewer did not wait for its end */
int lanes_start(struct serve *, struct fault *);
void lanes_stop(struct serve *, dur_us limit);
void mailbox_unref(struct mailbox *);

/* guard.c */
int guard_new(const char *path, dur_us life, struct guard **ret, struct fault *); /* `path` must stay */
void guard_free(struct guard **);
int guard_refresh(struct guard *, bool always, struct fault *); /* as serve_refresh */
int guard_take(struct serve_request *); /* takes the token out of the path: 0, or the status to refuse with */
bool guard_lets_pass(struct serve_request *); /* false: it has been answered */

/* 16 digits: the nibbles of each half spread to bytes, and all eight made digits at once. */
static inline void put_digits(char text[static 16], uint64_t id)
{
	for (int i = 0; i < 2; i++) {
		uint64_t v = id >> (i == 0 ? 32 : 0) & 0xffffffff, letters;

		v = (v | v << 16) & 0x0000ffff0000ffff;
		v = (v | v << 8) & 0x00ff00ff00ff00ff;
		v = (v | v << 4) & 0x0f0f0f0f0f0f0f0f;
		letters = (v + 0x0606060606060606) >> 4 & 0x0101010101010101;
		v = htobe64(v + 0x3030303030303030 + letters * ('a' - '0' - 10));
		memcpy(text + 8 * i, &v, 8);
	}
}

/* trace.c */
const struct request_trace *trace_of(struct serve_request *); /* found out once; lives as long as the request */
void trace_answer(struct serve_request *); /* X-Request-Id */

/* watch.c */
void watch_begin(struct serve_request *);
void watch_end(struct serve_request *);
void watch_look(struct lane *);

/* access.c */
int access_open(const char *path, struct access_log **ret, struct fault *);
void access_close(struct access_log **);
void access_reopen(struct access_log *);
/* `r` is NULL for what h2o answered itself; `session` may be "". */
void access_write(struct lane *, h2o_req_t *, struct serve_request *r, const char *session, mono_us now);
void access_flush(struct lane *);

#endif

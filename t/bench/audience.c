/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Thousands of viewers in one thread, each as the player is: a connection of its own, the player's
 * adaptation, segments by byte range when there is room in the buffer, a playhead that runs in real
 * time, the next server when one fails.  Bodies are thrown away in the kernel (MSG_TRUNC).
 *
 *   audience VIEWERS SECONDS RAMP PORT... <FILM >RESULT
 *
 * They come evenly over RAMP seconds, to the ports in turn.  FILM: "RUNGS SEGMENTS SEGMENT_US", then
 * "BITRATE PATH" for each rung, then "OFFSET SIZE" for each segment and rung.  RESULT: one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "player/abr.h"
#include "t/bench/times.h"

#define MAX_RUNGS 16
#define MAX_PORTS 16
#define CAP (25 * DUR_S)
#define SILENCE (10 * DUR_S) /* without a byte: the next server */
#define LOOK (100 * DUR_MS)  /* how often a running transfer is judged */
#define TICK_MS 5

static struct film {
	unsigned n_rungs, n_segments;
	dur_us segment;
	uint32_t bitrates[MAX_RUNGS], *sizes;
	uint64_t *offsets;
	char paths[MAX_RUNGS][256];
} film;

enum state { AWAY, RESTING, ASKING, HEAD, BODY };

struct viewer {
	enum state state;
	int fd, last_rung;
	unsigned port, segment, rung;
	struct abr *abr;
	mono_us wake, asked, heard, looked, first;
	mono_us begun;    /* of the session: its first request */
	mono_us ends;     /* when what is buffered will have been played; 0: not playing yet */
	uint64_t got;
	char head[2048];
	size_t n_head;
};

static uint16_t ports[MAX_PORTS];
static unsigned n_ports;
static int poller;
static struct times first_bytes, starts;
static struct {
	uint64_t segments, bytes, stalls, sessions, errors, reconnects, restarts, bits;
	dur_us stalled, played;
} sum;
static char garbage[1 << 18];

static dur_us buffered(const struct viewer *v, mono_us now)
{
	return v->ends > now ? v->ends - now : 0;
}

/* --- connections --- */

static void leave(struct viewer *v)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
}

static void dial(struct viewer *v)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(ports[v->port % n_ports]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};
	int one = 1;

	v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(v->fd >= 0);
	setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(v->fd, (struct sockaddr *)&a, sizeof a) < 0)
		leave(v);
	else
		MUST(epoll_ctl(poller, EPOLL_CTL_ADD, v->fd, &e) == 0);
}

/* What goes wrong costs a second and the server. */
static void fail(struct viewer *v, mono_us now)
{
	sum.errors++;
	leave(v);
	v->port++;
	v->state = RESTING;
	v->wake = now + DUR_S;
}

static void ask(struct viewer *v, mono_us now)
{
	uint64_t at = film.offsets[v->segment * film.n_rungs + v->rung];
	uint32_t size = film.sizes[v->segment * film.n_rungs + v->rung];
	char text[1024];
	int n;

	if (v->fd < 0) {
		sum.reconnects++;
		dial(v);
	}
	n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nRange: bytes=%" PRIu64 "-%" PRIu64 "\r\n\r\n", film.paths[v->rung], at, at + size - 1);
	v->asked = v->heard = v->looked = now;
	v->got = 0;
	v->n_head = 0;
	v->state = HEAD;
	if (v->fd < 0 || send(v->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		fail(v, now);
}

/* --- a session --- */

static void begin(struct viewer *v, mono_us now, unsigned segment)
{
	const struct abr_setup setup = {.n_rungs = film.n_rungs, .bitrates = film.bitrates, .n_segments = film.n_segments,
	                                .sizes = film.sizes, .segment = film.segment, .buffer_cap = CAP};

	abr_free(&v->abr);
	v->abr = abr_new(&setup);
	MUST(v->abr != NULL);
	v->segment = segment;
	v->last_rung = -1;
	v->ends = 0;
	v->begun = now;
	v->state = ASKING;
	sum.sessions++;
}

static void choose(struct viewer *v, mono_us now)
{
	struct abr_state s = {.segment = v->segment, .last_rung = v->last_rung, .buffer = buffered(v, now), .now = now};
	struct abr_decision d;

	if (s.buffer + film.segment > CAP) {
		v->state = RESTING;
		v->wake = now + s.buffer + film.segment - CAP;
		return;
	}
	d = abr_next(v->abr, &s);
	v->rung = d.rung;
	v->state = ASKING;
	if (d.wait > 0) {
		v->state = RESTING;
		v->wake = now + d.wait;
	} else {
		ask(v, now);
	}
}

static void tell(struct viewer *v, mono_us now, bool aborted)
{
	struct abr_sample s = {.segment = v->segment, .rung = v->rung, .bytes = v->got, .first_byte = v->first - v->asked, .total = now - v->asked, .aborted = aborted};

	abr_add_sample(v->abr, &s);
}

/* A segment is whole: it plays behind what is there, or at once. */
static void arrived(struct viewer *v, mono_us now)
{
	tell(v, now, false);
	if (v->ends == 0) {
		times_note(&starts, (double)(now - v->begun) / DUR_S);
		v->ends = now;
	} else if (v->ends < now) {
		sum.stalls++;
		sum.stalled += now - v->ends;
		v->ends = now;
	}
	v->ends += film.segment;
	sum.played += film.segment;
	sum.segments++;
	sum.bits += film.bitrates[v->rung];
	v->last_rung = (int)v->rung;
	if (++v->segment == film.n_segments)
		begin(v, now, 0);
	choose(v, now);
}

/* --- replies --- */

/* 0: more is to come; 1: the head is there; -1: not what was asked for. */
static int take_head(struct viewer *v, size_t n)
{
	char *end, want[64];

	v->n_head += n;
	v->head[v->n_head] = '\0';
	end = strstr(v->head, "\r\n\r\n");
	if (end == NULL)
		return v->n_head < sizeof v->head - 1 ? 0 : -1;
	snprintf(want, sizeof want, "bytes %" PRIu64 "-", film.offsets[v->segment * film.n_rungs + v->rung]);
	if (strncmp(v->head, "HTTP/1.1 206", 12) != 0 || strstr(v->head, want) == NULL)
		return -1;
	v->got = v->n_head - (size_t)(end + 4 - v->head);
	return 1;
}

static void judge(struct viewer *v, mono_us now)
{
	uint32_t size = film.sizes[v->segment * film.n_rungs + v->rung];
	struct abr_progress p = {.segment = v->segment, .rung = v->rung, .size = size, .got = v->got, .elapsed = now - v->asked,
	                         .first_byte = v->state == BODY ? v->first - v->asked : 0, .buffer = buffered(v, now)};
	int to = v->state == BODY && v->last_rung >= 0 ? abr_abandon(v->abr, &p) : -1;

	v->looked = now;
	if (to >= 0) {
		sum.restarts++;
		tell(v, now, true);
		leave(v);
		v->rung = (unsigned)to;
		ask(v, now);
	} else if (now - v->heard > SILENCE) {
		fail(v, now);
	}
}

static void readable(struct viewer *v, mono_us now)
{
	uint32_t size = film.sizes[v->segment * film.n_rungs + v->rung];

	for (int turns = 0; turns < 8; turns++) {
		ssize_t n = v->state == HEAD ? recv(v->fd, v->head + v->n_head, sizeof v->head - 1 - v->n_head, MSG_DONTWAIT)
		                             : recv(v->fd, garbage, size - v->got < sizeof garbage ? size - v->got : sizeof garbage, MSG_TRUNC | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fail(v, now);
			return;
		}
		sum.bytes += (uint64_t)n;
		if (v->state == HEAD && v->n_head == 0) {
			v->first = now;
			times_note(&first_bytes, (double)(now - v->asked) / DUR_S);
		}
		v->heard = now;
		if (v->state == BODY) {
			v->got += (uint64_t)n;
		} else {
			int r = take_head(v, (size_t)n);

			if (r < 0) {
				fail(v, now);
				return;
			}
			v->state = r > 0 ? BODY : HEAD;
		}
		if (v->state == BODY && v->got >= size) {
			arrived(v, now);
			return;
		}
	}
}

/* --- all of them --- */

static void tick(struct viewer *all, size_t n, mono_us now, unsigned *seed)
{
	for (size_t i = 0; i < n; i++) {
		struct viewer *v = &all[i];

		if (v->state == AWAY && v->wake <= now) {
			begin(v, now, (unsigned)rand_r(seed) % film.n_segments);
			choose(v, now);
		} else if (v->state == RESTING && v->wake <= now) {
			choose(v, now);
		} else if ((v->state == HEAD || v->state == BODY) && now - v->looked >= LOOK) {
			judge(v, now);
		}
	}
}

static void read_film(void)
{
	MUST(scanf("%u %u %" SCNd64, &film.n_rungs, &film.n_segments, &film.segment) == 3 && film.n_rungs <= MAX_RUNGS);
	for (unsigned r = 0; r < film.n_rungs; r++)
		MUST(scanf("%" SCNu32 " %255s", &film.bitrates[r], film.paths[r]) == 2);
	film.sizes = mem_new_array((size_t)film.n_segments * film.n_rungs, sizeof *film.sizes);
	film.offsets = mem_new_array((size_t)film.n_segments * film.n_rungs, sizeof *film.offsets);
	for (size_t i = 0; i < (size_t)film.n_segments * film.n_rungs; i++)
		MUST(scanf("%" SCNu64 " %" SCNu32, &film.offsets[i], &film.sizes[i]) == 2);
}

static void report(size_t n, double seconds)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("{\"viewers\": %zu, \"seconds\": %.1f, \"sessions\": %" PRIu64 ", \"segments\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"played_s\": %.1f, "
	       "\"stalls\": %" PRIu64 ", \"stalled_s\": %.2f, \"errors\": %" PRIu64 ", \"reconnects\": %" PRIu64 ", \"restarts\": %" PRIu64 ", \"kbps\": %.0f, "
	       "\"first_p50_ms\": %.3f, \"first_p99_ms\": %.3f, \"start_p50_ms\": %.1f, \"start_p99_ms\": %.1f, \"cpu_s\": %.2f}\n",
	       n, seconds, sum.sessions, sum.segments, sum.bytes, (double)sum.played / DUR_S, sum.stalls, (double)sum.stalled / DUR_S, sum.errors, sum.reconnects - n,
	       sum.restarts, sum.segments > 0 ? (double)sum.bits / (double)sum.segments / 1000 : 0, times_quantile(&first_bytes, 0.5), times_quantile(&first_bytes, 0.99),
	       times_quantile(&starts, 0.5), times_quantile(&starts, 0.99), (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv)
{
	size_t n = argc > 4 ? strtoul(argv[1], NULL, 10) : 0;
	struct viewer *all;
	unsigned seed = 1;
	mono_us begun, end, ticked = 0, now;
	double ramp;

	if (n == 0 || argc - 4 > MAX_PORTS) {
		fputs("usage: audience VIEWERS SECONDS RAMP PORT... <FILM\n", stderr);
		return 2;
	}
	for (n_ports = 0; n_ports < (unsigned)argc - 4; n_ports++)
		ports[n_ports] = (uint16_t)strtoul(argv[4 + n_ports], NULL, 10);
	read_film();
	poller = epoll_create1(EPOLL_CLOEXEC);
	ramp = strtod(argv[3], NULL);
	begun = now = clock_mono();
	end = begun + (dur_us)(strtod(argv[2], NULL) * DUR_S);
	all = mem_new_array(n, sizeof *all);
	for (size_t i = 0; i < n; i++)
		all[i] = (struct viewer){.fd = -1, .port = (unsigned)i, .wake = begun + (dur_us)(ramp * DUR_S * (double)i / (double)n)};
	while ((now = clock_mono()) < end) {
		struct epoll_event events[512];
		int got = epoll_wait(poller, events, 512, TICK_MS);

		now = clock_mono();
		for (int i = 0; i < got; i++)
			if (((struct viewer *)events[i].data.ptr)->state >= HEAD)
				readable(events[i].data.ptr, now);
		if (now - ticked >= TICK_MS * DUR_MS) {
			tick(all, n, now, &seed);
			ticked = now;
		}
	}
	for (size_t i = 0; i < n; i++) { /* who stalls now does */
		if (all[i].ends > 0 && all[i].ends < now) {
			sum.stalls++;
			sum.stalled += now - all[i].ends;
		}
		leave(&all[i]);
		abr_free(&all[i].abr);
	}
	report(n, (double)(now - begun) / DUR_S);
	free(all);
	free(film.sizes);
	free(film.offsets);
	return 0;
}

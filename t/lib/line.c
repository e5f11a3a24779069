/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An emulated line between two network namespaces: what goes into one TUN device comes out of the other, after a
 * schedule of rate, delay, jitter and loss that is the same on every machine for the same seed.
 *
 *   line SEED NETNS_A DEVICE_A NETNS_B DEVICE_B
 *
 * Says "ready" when both devices are there (the caller gives them addresses), then obeys lines on its standard input and
 * ends with it.  DIRECTION is ab or ba:
 *
 *   DIRECTION KEY=VALUE...   rate=KBIT_S (0: no limit), delay=MS, jitter=MS, loss=PERCENT, queue=BYTES,
 *                            trace=FILE: rows duration_s,throughput_kbps,latency_ms with a heading, from the beginning again at
 *                            the end; half of latency_ms (a round trip's) is added to delay
 *                            reorder=PERCENT of the packets come 30 ms late and are overtaken; mtu=BYTES (0: any): what is
 *                            larger vanishes without a word
 *   cut | mend               nothing passes; or again
 *   forget                   as a router that has lost its state: of TCP passes only what begins from now on
 *   stats                    one line of JSON
 *
 * Every line is answered: "ok", the JSON, or "error: ..." .  Without reorder packets never overtake each other.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_PACKET 65536
#define MAX_WAITING 65536 /* packets of one direction */
#define DEFAULT_QUEUE 200000
#define MAX_FLOWS 4096
#define OVERTAKEN (30 * 1000000LL) /* ns */

typedef int64_t ns_t;
#define NS_S 1000000000LL

struct row {
	ns_t duration, delay;
	double rate; /* bytes per second */
};

struct packet {
	ns_t sent, due; /* off the queue, out of the line */
	uint32_t size;
	uint8_t *bytes;
	bool is_late;
};

/* In the order in which they are due. */
struct ring {
	struct packet *packets;
	size_t first, n;
};

struct direction {
	const char *name;
	int in, out;
	double rate, loss;      /* bytes per second, 0: no limit; 0 to 1 */
	double reorder;         /* 0 to 1 */
	size_t mtu;             /* 0: no limit */
	ns_t delay, jitter;
	uint64_t queue;         /* bytes that may wait to be sent */
	struct row *rows;       /* the trace, or NULL */
	size_t n_rows;
	double trace_bytes;     /* of one pass */
	size_t row;             /* where link_free stands in it */
	ns_t row_left;
	ns_t link_free;         /* the last packet is sent by then */
	ns_t last_due;
	uint64_t waiting;       /* bytes not sent yet */
	struct packet *packets; /* ring */
	size_t first, n, n_sent; /* n_sent: from first on, off the queue */
	struct ring late;       /* those that others overtake */
	uint64_t random;
	uint64_t passed, bytes, lost, full, not_sent;
};

static bool is_cut, has_forgotten;
static uint64_t flows[MAX_FLOWS]; /* hashes of connections that began since; 0: free */

static ns_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_S + t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "line: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64: [0, 1) */
static double chance(struct direction *d)
{
	uint64_t z = d->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (double)((z ^ z >> 31) >> 11) / (double)(1ull << 53);
}

/* --- the devices ----------------------------------------------------------------------- */

static int open_device(const char *netns, const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	char path[256];
	int ns, fd;

	snprintf(path, sizeof path, "/run/netns/%s", netns);
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(path);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		die("/dev/net/tun");
	return fd;
}

/* --- when a packet is sent -------------------------------------------------------------- */

static void next_row(struct direction *d)
{
	d->row = (d->row + 1) % d->n_rows;
	d->row_left = d->rows[d->row].duration;
}

/* The line stands idle until `until`. */
static void pass_time(struct direction *d, ns_t until)
{
	ns_t t = until - d->link_free;

	if (t <= 0)
		return;
	d->link_free = until;
	while (d->n_rows > 0 && t >= d->row_left) {
		t -= d->row_left;
		next_row(d);
	}
	d->row_left -= t;
}

/* Sends `bytes` from link_free on. */
static void send_bytes(struct direction *d, double bytes)
{
	if (d->n_rows == 0) {
		d->link_free += d->rate > 0 ? (ns_t)(bytes / d->rate * 1e9) : 0;
		return;
	}
	for (;;) {
		double rate = d->rows[d->row].rate, room = rate * (double)d->row_left / 1e9;

		if (room >= bytes && rate > 0) {
			ns_t t = (ns_t)(bytes / rate * 1e9);

			d->link_free += t;
			d->row_left -= t < d->row_left ? t : d->row_left;
			return;
		}
		bytes -= room;
		d->link_free += d->row_left;
		next_row(d);
	}
}

/* --- what a router knows ---------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The same for both directions of a connection, never 0. */
static uint64_t flow_of(const uint8_t *ip, const uint8_t *tcp)
{
	uint64_t a = (uint64_t)word_at(ip + 12) << 16 | (uint64_t)tcp[0] << 8 | tcp[1];
	uint64_t b = (uint64_t)word_at(ip + 16) << 16 | (uint64_t)tcp[2] << 8 | tcp[3];
	uint64_t z = (a ^ b) * 0x9e3779b97f4a7c15u + (a + b) * 0xbf58476d1ce4e5b9u;

	return (z ^ z >> 29) | 1;
}

/* True: TCP of a connection whose beginning was not seen since the state was lost. */
static bool is_unknown(const uint8_t *bytes, size_t n)
{
	size_t head = n >= 20 ? (size_t)(bytes[0] & 15) * 4 : 0;
	const uint8_t *tcp = bytes + head;
	uint64_t flow;

	if (!has_forgotten || head < 20 || n < head + 20 || bytes[0] >> 4 != 4 || bytes[9] != 6)
		return false;
	flow = flow_of(bytes, tcp);
	for (size_t i = 0; i < MAX_FLOWS; i++) {
		uint64_t *f = &flows[(flow / 2 + i) % MAX_FLOWS];

		if (*f == 0 && (tcp[13] & 0x12) == 2) /* SYN without ACK */
			*f = flow;
		if (*f == flow)
			return false;
		if (*f == 0)
			return true;
	}
	return true;
}

/* Takes what is off the queue by now out of `waiting`. */
static void count_sent(struct direction *d, ns_t now)
{
	while (d->n_sent < d->n && d->packets[(d->first + d->n_sent) % MAX_WAITING].sent <= now)
		d->waiting -= d->packets[(d->first + d->n_sent++) % MAX_WAITING].size;
}

static void take(struct direction *d, const uint8_t *bytes, size_t n, ns_t now)
{
	ns_t delay = d->delay + (ns_t)((double)d->jitter * chance(d));
	bool lost = chance(d) < d->loss, late = d->reorder > 0 && chance(d) < d->reorder;
	struct packet *p;

	count_sent(d, now);
	if (is_cut || lost || (d->mtu > 0 && n > d->mtu) || is_unknown(bytes, n) || (d->n_rows > 0 && d->trace_bytes <= 0)) {
		d->lost++;
		return;
	}
	if (d->waiting + n > d->queue || d->n == MAX_WAITING) {
		d->full++;
		return;
	}
	pass_time(d, now);
	if (d->n_rows > 0)
		delay += d->rows[d->row].delay;
	send_bytes(d, (double)n);
	p = &d->packets[(d->first + d->n++) % MAX_WAITING];
	p->sent = d->link_free;
	p->due = p->sent + delay > d->last_due ? p->sent + delay : d->last_due;
	d->last_due = p->due;
	p->is_late = late;
	p->size = (uint32_t)n;
	p->bytes = malloc(n);
	if (p->bytes == NULL)
		die("memory");
	memcpy(p->bytes, bytes, n);
	d->waiting += n;
}

static void deliver(struct direction *d, const struct packet *p)
{
	if (is_cut || write(d->out, p->bytes, p->size) != (ssize_t)p->size)
		d->not_sent++;
	d->passed++;
	d->bytes += p->size;
	free(p->bytes);
}

/* Puts it behind those that are due before it. */
static void put_late(struct direction *d, const struct packet *p)
{
	struct packet *to;

	if (d->late.n == MAX_WAITING) {
		deliver(d, p);
		return;
	}
	to = &d->late.packets[(d->late.first + d->late.n++) % MAX_WAITING];
	*to = *p;
	to->due += OVERTAKEN;
}

static void give(struct direction *d, ns_t now)
{
	for (; d->late.n > 0 && d->late.packets[d->late.first].due <= now; d->late.n--) {
		deliver(d, &d->late.packets[d->late.first]);
		d->late.first = (d->late.first + 1) % MAX_WAITING;
	}
	count_sent(d, now);
	while (d->n_sent > 0 && d->packets[d->first].due <= now) {
		struct packet *p = &d->packets[d->first];

		if (p->is_late)
			put_late(d, p);
		else
			deliver(d, p);
		d->first = (d->first + 1) % MAX_WAITING;
		d->n--;
		d->n_sent--;
	}
}

static void read_all(struct direction *d, ns_t now)
{
	static uint8_t bytes[MAX_PACKET];
	ssize_t n;

	for (int i = 0; i < 64 && (n = read(d->in, bytes, sizeof bytes)) > 0; i++)
		take(d, bytes, (size_t)n, now);
}

/* --- orders ---------------------------------------------------------------------------- */

static const char *read_trace(struct direction *d, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[256];
	double seconds, kbps, ms;
	size_t cap = 0;

	if (f == NULL)
		return strerror(errno);
	free(d->rows);
	d->rows = NULL;
	d->n_rows = d->row = 0;
	d->trace_bytes = 0;
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%lf,%lf,%lf", &seconds, &kbps, &ms) != 3 || seconds <= 0)
			continue; /* the heading */
		if (d->n_rows == cap && (d->rows = realloc(d->rows, (cap = cap * 2 + 64) * sizeof *d->rows)) == NULL)
			die("memory");
		d->rows[d->n_rows++] = (struct row){(ns_t)(seconds * 1e9), (ns_t)(ms / 2 * 1e6), kbps * 125};
		d->trace_bytes += seconds * kbps * 125;
	}
	fclose(f);
	d->row_left = d->n_rows > 0 ? d->rows[0].duration : 0;
	return d->n_rows > 0 ? NULL : "no row in the trace";
}

static const char *set(struct direction *d, char *pair)
{
	char *value = strchr(pair, '='), *end;
	double v;

	if (value == NULL)
		return "no value";
	*value++ = '\0';
	if (strcmp(pair, "trace") == 0)
		return read_trace(d, value);
	v = strtod(value, &end);
	if (*value == '\0' || *end != '\0' || !(v >= 0))
		return "no number";
	if (strcmp(pair, "rate") == 0)
		d->rate = v * 125;
	else if (strcmp(pair, "delay") == 0)
		d->delay = (ns_t)(v * 1e6);
	else if (strcmp(pair, "jitter") == 0)
		d->jitter = (ns_t)(v * 1e6);
	else if (strcmp(pair, "loss") == 0)
		d->loss = v / 100;
	else if (strcmp(pair, "reorder") == 0)
		d->reorder = v / 100;
	else if (strcmp(pair, "mtu") == 0)
		d->mtu = (size_t)v;
	else if (strcmp(pair, "queue") == 0)
		d->queue = (uint64_t)v;
	else
		return "unknown key";
	return NULL;
}

static void print_stats(const struct direction *d, const char *end)
{
	printf("\"%s\": {\"passed\": %llu, \"bytes\": %llu, \"lost\": %llu, \"full\": %llu, \"not_sent\": %llu}%s", d->name,
	       (unsigned long long)d->passed, (unsigned long long)d->bytes, (unsigned long long)d->lost,
	       (unsigned long long)d->full, (unsigned long long)d->not_sent, end);
}

static void obey(struct direction *d, char *line)
{
	const char *wrong = NULL;
	char *word = strtok_r(line, " ", &line);
	struct direction *one = NULL;

	for (int i = 0; word != NULL && i < 2; i++)
		if (strcmp(word, d[i].name) == 0)
			one = &d[i];
	if (word == NULL) {
		wrong = "an empty line";
	} else if (one != NULL) {
		while (wrong == NULL && (word = strtok_r(NULL, " ", &line)) != NULL)
			wrong = set(one, word);
	} else if (strcmp(word, "stats") == 0) {
		printf("{");
		print_stats(&d[0], ", ");
		print_stats(&d[1], "}\n");
		fflush(stdout);
		return;
	} else if (strcmp(word, "cut") == 0 || strcmp(word, "mend") == 0) {
		is_cut = *word == 'c';
	} else if (strcmp(word, "forget") == 0) {
		has_forgotten = true;
		memset(flows, 0, sizeof flows);
	} else {
		wrong = "unknown order";
	}
	printf(wrong != NULL ? "error: %s\n" : "ok\n", wrong);
	fflush(stdout);
}

/* False at the end of the input. */
static bool read_orders(struct direction *d)
{
	static char text[8192];
	static size_t n;
	ssize_t got = read(0, text + n, sizeof text - n - 1);
	char *start = text, *end;

	if (got <= 0)
		return false;
	n += (size_t)got;
	text[n] = '\0';
	while ((end = strchr(start, '\n')) != NULL) {
		*end = '\0';
		obey(d, start);
		start = end + 1;
	}
	n -= (size_t)(start - text);
	memmove(text, start, n);
	return n < sizeof text - 1;
}

static ns_t next_due(const struct direction *d, ns_t due)
{
	if (d->late.n > 0 && d->late.packets[d->late.first].due < due)
		due = d->late.packets[d->late.first].due;
	return d->n > 0 && d->packets[d->first].due < due ? d->packets[d->first].due : due;
}

static void make_direction(struct direction *d, const char *name, int in, int out, uint64_t seed)
{
	*d = (struct direction){.name = name, .in = in, .out = out, .queue = DEFAULT_QUEUE, .random = seed};
	d->packets = calloc(MAX_WAITING, sizeof *d->packets);
	d->late.packets = calloc(MAX_WAITING, sizeof *d->late.packets);
	if (d->packets == NULL || d->late.packets == NULL)
		die("memory");
	d->link_free = now_ns();
}

static void free_direction(struct direction *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->packets[(d->first + i) % MAX_WAITING].bytes);
	for (size_t i = 0; i < d->late.n; i++)
		free(d->late.packets[(d->late.first + i) % MAX_WAITING].bytes);
	free(d->packets);
	free(d->late.packets);
	free(d->rows);
}

int main(int argc, char **argv)
{
	struct direction d[2];
	int a, b;

	if (argc != 6) {
		fprintf(stderr, "usage: line SEED NETNS_A DEVICE_A NETNS_B DEVICE_B\n");
		return 2;
	}
	a = open_device(argv[2], argv[3]);
	b = open_device(argv[4], argv[5]);
	make_direction(&d[0], "ab", a, b, strtoull(argv[1], NULL, 10) * 2);
	make_direction(&d[1], "ba", b, a, strtoull(argv[1], NULL, 10) * 2 + 1);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd p[3] = {{a, POLLIN, 0}, {b, POLLIN, 0}, {0, POLLIN, 0}};
		ns_t now = now_ns(), wait = next_due(&d[0], next_due(&d[1], now + 10 * NS_S)) - now;
		struct timespec t = {wait > 0 ? wait / NS_S : 0, wait > 0 ? wait % NS_S : 0};

		if (ppoll(p, 3, &t, NULL) < 0 && errno != EINTR)
			die("poll");
		now = now_ns();
		for (int i = 0; i < 2; i++)
			if (p[i].revents & POLLIN)
				read_all(&d[i], now);
		for (int i = 0; i < 2; i++)
			give(&d[i], now);
		if (p[2].revents != 0 && !read_orders(d))
			break;
	}
	for (int i = 0; i < 2; i++)
		free_direction(&d[i]);
	return 0;
}

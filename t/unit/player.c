/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The player's pure parts: the meter, the choice of a base, adaptation, CMCD.
 */
#include "t/lib/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "player/abr.h"
#include "player/cmcd.h"
#include "player/flow.h"
#include "player/known.h"
#include "player/meter.h"
#include "player/pace.h"
#include "player/pathway.h"
#include "player/skim.h"
#include "player/tcp_line.h"

/* --- meter --- */

Test(meter, two_transfers_side_by_side_are_one_busy_line)
{
	struct meter m = {0}, before;

	meter_begin(&m, 1 * DUR_S);
	before = m;
	meter_begin(&m, 2 * DUR_S);
	meter_add(&m, 1000000, 2 * DUR_S);
	meter_end(&m, 3 * DUR_S);
	meter_add(&m, 1000000, 5 * DUR_S);
	meter_end(&m, 5 * DUR_S);
	CHECK_INT(m.busy, 4 * DUR_S);
	CHECK_INT(meter_rate(&before, &m), 4000000);
}

Test(meter, idle_time_is_not_busy_time)
{
	struct meter m = {0};

	meter_begin(&m, 0);
	meter_end(&m, DUR_S);
	meter_begin(&m, 100 * DUR_S);
	meter_end(&m, 101 * DUR_S);
	CHECK_INT(m.busy, 2 * DUR_S);
	CHECK_INT(meter_rate(&m, &m), 0);
}

/* A chunk in two pieces every 200 ms: the maker's pauses are nobody's, the first piece of a burst took a millisecond. */
Test(meter, pauses_of_the_maker_are_not_the_lines)
{
	struct meter m = {0}, before = m;
	mono_us t = DUR_S, former = 0;

	for (int i = 0; i < 5; i++, t += 200 * DUR_MS) {
		meter_burst(&m, former, 10000, t);
		meter_burst(&m, t, 90000, t + 9 * DUR_MS);
		former = t + 9 * DUR_MS;
	}
	CHECK_INT(m.busy, 50 * DUR_MS);
	CHECK_INT(meter_rate(&before, &m), 80000000);
}

/* --- pathway --- */

static const char *const abc[] = {"a", "b", "c"};

Test(pathway, order_then_penalty_then_return)
{
	struct pathway p = {0};
	mono_us now = DUR_S;

	CHECK_INT(pathway_pick(&p, abc, 3, 0, now), 0);
	pathway_fail(&p, "a", 0, now);
	CHECK(pathway_penalised(&p, "a", now));
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now), 1);
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now + 9 * DUR_S), 1);
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now + 11 * DUR_S), 0);
}

Test(pathway, penalties_grow_and_a_success_forgives)
{
	struct pathway p = {0};
	mono_us now = DUR_S;

	for (int i = 0; i < 3; i++)
		pathway_fail(&p, "a", 0, now);
	CHECK(pathway_penalised(&p, "a", now + 39 * DUR_S));
	CHECK(!pathway_penalised(&p, "a", now + 41 * DUR_S));
	for (int i = 0; i < 100; i++)
		pathway_fail(&p, "a", 0, now);
	CHECK(!pathway_penalised(&p, "a", now + 5 * DUR_MIN + DUR_S));
	pathway_ok(&p, "a", now - 1); /* asked for before it failed: no news */
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now), 1);
	pathway_ok(&p, "a", now);
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now), 0);
	pathway_fail(&p, "a", 0, now);
	CHECK(!pathway_penalised(&p, "a", now + 11 * DUR_S));
}

Test(pathway, retry_after_is_obeyed)
{
	struct pathway p = {0};

	pathway_fail(&p, "a", 60 * DUR_S, 0);
	CHECK(pathway_penalised(&p, "a", 59 * DUR_S));
}

Test(pathway, when_all_are_penalised_the_one_free_first)
{
	struct pathway p = {0};

	pathway_fail(&p, "a", 90 * DUR_S, 0);
	pathway_fail(&p, "b", 30 * DUR_S, 0);
	pathway_fail(&p, "c", 60 * DUR_S, 0);
	CHECK_INT(pathway_pick(&p, abc, 3, 0, DUR_S), 1);
	CHECK_INT(pathway_pick(&p, abc, 3, 2, DUR_S), 2);
	CHECK_INT(pathway_pick(&p, abc, 3, 7, DUR_S), -1);
	CHECK_INT(pathway_pick(&p, abc, 0, 0, DUR_S), -1);
}

Test(pathway, a_second_place_is_one_that_gave_something)
{
	struct pathway p = {0};
	mono_us now = 100 * DUR_S;

	CHECK_INT(pathway_second(&p, abc, 3, 1, now), 1); /* none did: by the orders */
	pathway_rate(&p, "c", 2000000, now);
	CHECK_INT(pathway_second(&p, abc, 3, 1, now), 2);
	pathway_rate(&p, "b", 3000000, now);
	CHECK_INT(pathway_second(&p, abc, 3, 1, now), 1);
	pathway_fail(&p, "b", 0, now);
	CHECK_INT(pathway_second(&p, abc, 3, 1, now), 2);
	pathway_fail(&p, "c", 0, now);
	CHECK_INT(pathway_second(&p, abc, 3, 1, now), -1); /* the penalised are not asked beside others */
	CHECK_INT(pathway_second(&p, abc, 3, 6, now), 0);
	CHECK_INT(pathway_second(&p, abc, 3, 7, now), -1);
}

Test(pathway, a_slow_place_is_told_from_a_slow_line)
{
	struct pathway p = {0};
	mono_us now = DUR_S;

	CHECK(pathway_promises(&p, "b", 1000000)); /* nothing is known of it */
	pathway_left(&p, "a", 300000, now);
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now), 1);
	pathway_rate(&p, "b", 310000, now + DUR_S); /* the other one is no better: it is the line */
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now + DUR_S), 0);
	CHECK(!pathway_promises(&p, "b", 300000));
	pathway_left(&p, "a", 300000, now);
	pathway_rate(&p, "b", 5000000, now + DUR_S);
	CHECK(pathway_promises(&p, "b", 300000));
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now + DUR_MIN), 1);
	CHECK_INT(pathway_pick(&p, abc, 3, 0, now + 62 * DUR_S), 0); /* it gets another chance */
}

Test(pathway, a_slow_place_that_comes_back_is_looked_at_anew)
{
	struct pathway p = {0};
	mono_us now = DUR_S;

	pathway_left(&p, "a", 300000, now);
	pathway_rate(&p, "b", 5000000, now);
	now += DUR_MIN;
	pathway_rate(&p, "a", 300000, now); /* still slow: away for longer */
	CHECK(pathway_penalised(&p, "a", now + 119 * DUR_S));
	now += 2 * DUR_MIN;
	pathway_rate(&p, "a", 4000000, now);
	CHECK(!pathway_penalised(&p, "a", now));
	pathway_left(&p, "a", 300000, now);
	pathway_rate(&p, "b", 5000000, now); /* all was forgiven: a minute again */
	CHECK(!pathway_penalised(&p, "a", now + 61 * DUR_S));
	for (int i = 0; i < 100; i++)
		pathway_rate(&p, "a", 300000, now += 10 * DUR_MIN);
	CHECK(!pathway_penalised(&p, "a", now + 5 * DUR_MIN + DUR_S));
}

Test(pathway, more_keys_than_it_remembers)
{
	struct pathway p = {0};
	char key[300];

	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "host-%d", i);
		pathway_fail(&p, key, 0, i * DUR_S);
	}
	CHECK_INT(p.n, PATHWAY_MAX);
	CHECK(pathway_penalised(&p, "host-99", 100 * DUR_S));
	memset(key, 'x', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	pathway_fail(&p, key, 0, 0);
	CHECK(pathway_penalised(&p, key, DUR_S));
}

/* --- adaptation --- */

static const uint32_t ladder[] = {300000, 1000000, 3000000, 6000000};

static struct abr *make(const char *name)
{
	struct abr_setup s = {.algorithm = name, .n_rungs = 4, .bitrates = ladder, .n_segments = 100, .segment = 4 * DUR_S,
		.buffer_cap = 30 * DUR_S};

	return abr_new(&s);
}

/* A line of `bps` with 50 ms to the first byte, for n segments; the last rung chosen. */
static unsigned play(struct abr *a, double bps, unsigned n, dur_us *buffer, dur_us *stall)
{
	int last = -1;

	for (unsigned i = 0; i < n; i++) {
		struct abr_state s = {.segment = i, .last_rung = last, .buffer = *buffer};
		struct abr_decision d = abr_next(a, &s);
		struct abr_sample x = {.segment = i, .rung = d.rung, .bytes = ladder[d.rung] / 2, .first_byte = 50 * DUR_MS};

		CHECK(d.rung < 4 && d.wait >= 0);
		x.total = x.first_byte + (dur_us)((double)x.bytes * 8e6 / bps);
		if (*buffer + 4 * DUR_S > 30 * DUR_S) /* room for it first */
			*buffer = 26 * DUR_S;
		*buffer -= d.wait < *buffer ? d.wait : *buffer;
		if (i > 0 && x.total > *buffer)
			*stall += x.total - *buffer;
		*buffer = (x.total < *buffer ? *buffer - x.total : 0) + 4 * DUR_S;
		CHECK(*buffer <= 30 * DUR_S);
		abr_add_sample(a, &x);
		last = (int)d.rung;
	}
	return (unsigned)last;
}

Test(abr, finds_the_rung_of_a_steady_line_without_a_stall)
{
	static const struct {
		double bps;
		unsigned rung;
	} lines[] = {{100e6, 3}, {4e6, 2}, {1.5e6, 1}, {400e3, 0}};

	for (unsigned k = 0; abr_algorithms[k] != NULL; k++)
		for (unsigned i = 0; i < 4; i++) {
			struct abr *a = make(abr_algorithms[k]);
			dur_us buffer = 0, stall = 0;
			unsigned got = play(a, lines[i].bps, 40, &buffer, &stall);

			/* all but the rate rule go above the line while there is much in hand, and come back */
			CHECK(got == lines[i].rung || (k != 1 && got == lines[i].rung + 1));
			CHECK_INT(stall, 0);
			abr_free(&a);
		}
}

Test(abr, comes_down_before_the_buffer_is_spent)
{
	for (unsigned k = 0; abr_algorithms[k] != NULL; k++) {
		struct abr *a = make(abr_algorithms[k]);
		dur_us buffer = 0, stall = 0;

		play(a, 20e6, 20, &buffer, &stall);
		CHECK(play(a, 500e3, 16, &buffer, &stall) <= (k != 1));
		abr_free(&a);
	}
}

Test(abr, an_unknown_line_is_tried_carefully_and_a_known_one_is_not)
{
	struct abr_setup s = {.n_rungs = 4, .bitrates = ladder, .n_segments = 10, .segment = 4 * DUR_S, .buffer_cap = 30 * DUR_S};
	struct abr_state first = {.last_rung = -1};
	struct abr *a = abr_new(&s);

	CHECK_INT(abr_next(a, &first).rung, 0);
	CHECK_INT(abr_forecast(a), 0);
	abr_free(&a);
	s.start_bps = 20000000;
	a = abr_new(&s);
	CHECK_INT(abr_next(a, &first).rung, 1); /* the best that is here in half a second */
	CHECK_INT(abr_forecast(a), 20000000);
	abr_free(&a);
}

Test(abr, abandons_what_would_come_too_late_once)
{
	struct abr *a = make(NULL);
	struct abr_progress p = {.segment = 5, .rung = 3, .size = 3000000, .got = 300000, .elapsed = 4 * DUR_S,
		.first_byte = 50 * DUR_MS, .buffer = 8 * DUR_S};
	struct abr_sample sample = {.bytes = 500000, .first_byte = 50 * DUR_MS, .total = 3 * DUR_S};
	struct abr_state again = {.segment = 5, .last_rung = 3, .buffer = 8 * DUR_S};

	abr_add_sample(a, &sample);
	p.rung = 0; /* nothing is lower */
	CHECK_INT(abr_abandon(a, &p), -1);
	p.rung = 3;
	p.buffer = 28 * DUR_S; /* it is slow, but there is time */
	p.got = 2900000;
	CHECK_INT(abr_abandon(a, &p), -1);
	p.got = 300000;
	p.buffer = 2 * DUR_S;
	CHECK_INT(abr_abandon(a, &p), 0);
	CHECK_INT(abr_abandon(a, &p), -1);
	CHECK_INT(abr_next(a, &again).rung, 0);
	p.segment = 6;
	p.got = 2990000;
	CHECK_INT(abr_abandon(a, &p), -1);
	abr_free(&a);
}

/* A line that never erred and gives a twentieth now has changed; one that always swings may come back. */
Test(abr, a_calm_line_that_collapses_is_believed_sooner_than_a_wild_one)
{
	for (int wild = 0; wild < 2; wild++) {
		struct abr *a = make(NULL);
		struct abr_progress p = {.segment = 12, .rung = 3, .size = 3000000, .first_byte = 50 * DUR_MS, .buffer = 14 * DUR_S};
		int rung = -1;
		dur_us body = 0;

		for (unsigned i = 0; i < 12; i++) {
			struct abr_sample x = {.segment = i, .rung = 3, .bytes = 3000000, .first_byte = 50 * DUR_MS};

			x.total = x.first_byte + (dur_us)(3000000 * 8e6 / (wild && i % 3 == 0 ? 1e6 : 20e6));
			abr_add_sample(a, &x);
		}
		while (rung < 0 && body < 10 * DUR_S) {
			body += 100 * DUR_MS;
			p.got = (uint64_t)(body / 8);
			p.elapsed = p.first_byte + body;
			p.buffer = 14 * DUR_S - body;
			rung = abr_abandon(a, &p);
		}
		CHECK_INT(rung < 0, wild);
		if (!wild)
			CHECK(body <= 3 * DUR_S);
		abr_free(&a);
	}
}

/* Two lines with the same means, one of which sank at the end of its last download. */
Test(abr, what_came_last_within_a_download_counts)
{
	uint64_t forecasts[2];

	for (int sinks = 0; sinks < 2; sinks++) {
		struct abr *a = make(NULL);

		for (unsigned i = 0; i < 6; i++) {
			struct abr_sample x = {.segment = i, .rung = 2, .bytes = 1500000, .first_byte = 0, .total = 3 * DUR_S};
			struct abr_progress p = {.segment = i, .rung = 2, .size = 1500000, .got = sinks && i == 5 ? 1300000 : 1000000,
				.elapsed = 2 * DUR_S, .buffer = 20 * DUR_S};

			CHECK_INT(abr_abandon(a, &p), -1);
			abr_add_sample(a, &x);
		}
		forecasts[sinks] = abr_forecast(a);
		abr_free(&a);
	}
	CHECK_INT(forecasts[0] / 100000, 40); /* 4 Mbit/s */
	CHECK(forecasts[1] < forecasts[0] * 9 / 10);
}

/* A cache nearby gives some segments at memory speed: the line behind it is as fast as before. */
Test(abr, memory_speed_does_not_fool_the_forecast)
{
	struct abr *a = make(NULL);

	for (unsigned i = 0; i < 12; i++) {
		bool near = i >= 6 && i % 2 == 0;
		struct abr_sample x = {.segment = i, .rung = 2, .bytes = 1500000, .first_byte = DUR_MS};

		x.total = x.first_byte + (near ? 3 * DUR_MS : 3 * DUR_S);
		abr_add_sample(a, &x);
		CHECK(abr_forecast(a) >= 3600000 && abr_forecast(a) <= 5500000);
	}
	abr_free(&a);
}

/* The end of a film, black pictures, sound: 15 KB that took mostly waiting say little of a line. */
Test(abr, small_segments_weigh_little)
{
	struct abr *a = make(NULL);
	uint64_t before;

	for (unsigned i = 0; i < 8; i++) {
		struct abr_sample x = {.segment = i, .rung = 2, .bytes = 1500000, .first_byte = 50 * DUR_MS, .total = 3050 * DUR_MS};

		abr_add_sample(a, &x);
	}
	before = abr_forecast(a);
	CHECK(before > 3800000 && before < 4200000);
	for (unsigned i = 8; i < 11; i++) {
		struct abr_sample x = {.segment = i, .rung = 2, .bytes = 3000, .first_byte = 50 * DUR_MS, .total = 110 * DUR_MS}; /* 400 kbit/s */

		abr_add_sample(a, &x);
	}
	CHECK(abr_forecast(a) > before * 3 / 4 && abr_forecast(a) <= before);
	abr_free(&a);
}

/* What is on its way is nearly here: no lower rung, from its beginning, is sooner. */
Test(abr, what_is_nearly_here_is_not_abandoned_on_a_dying_line)
{
	struct abr *a = make(NULL);
	struct abr_progress p = {.segment = 5, .rung = 1, .size = 500000, .got = 450000, .elapsed = 20 * DUR_S,
		.first_byte = 50 * DUR_MS, .buffer = DUR_S};
	struct abr_sample sample = {.bytes = 500000, .first_byte = 50 * DUR_MS, .total = 20 * DUR_S};

	abr_add_sample(a, &sample);
	CHECK_INT(abr_abandon(a, &p), -1);
	abr_free(&a);
}

Test(abr, impossible_numbers_are_refused)
{
	struct abr_setup s = {.n_rungs = 4, .bitrates = ladder, .n_segments = 10, .segment = 4 * DUR_S, .buffer_cap = 30 * DUR_S};

	s.algorithm = "magic";
	CHECK(abr_new(&s) == NULL);
	s.algorithm = NULL;
	s.n_rungs = 65;
	CHECK(abr_new(&s) == NULL);
	s.n_rungs = 4;
	s.segment = 0;
	CHECK(abr_new(&s) == NULL);
}

/* --- what a body says of its line --- */

Test(flow, says_nothing_while_bytes_wait_for_one_that_was_lost)
{
	struct flow f;
	mono_us t = 0;

	flow_begin(&f, t);
	CHECK(flow_tells(&f, 100000, t += 100 * DUR_MS));
	CHECK(flow_tells(&f, 200000, t += 100 * DUR_MS));
	for (int i = 0; i < 8; i++)
		CHECK(!flow_tells(&f, 200000, t += 100 * DUR_MS));
	CHECK(!flow_tells(&f, 201448, t += 100 * DUR_MS)); /* the first of several that were lost */
	CHECK(!flow_tells(&f, 201448, t += 100 * DUR_MS));
	CHECK(!flow_tells(&f, 350000, t += 100 * DUR_MS));
	CHECK(flow_tells(&f, 400000, t += 100 * DUR_MS));
}

Test(flow, a_line_that_gives_nothing_for_long_is_slow)
{
	struct flow f;
	mono_us t = 0;

	flow_begin(&f, t);
	CHECK(flow_tells(&f, 100000, t += 100 * DUR_MS));
	while (!flow_tells(&f, 100000, t += 100 * DUR_MS))
		CHECK(t < 3 * DUR_S);
	CHECK(t > 2 * DUR_S);
	CHECK(flow_tells(&f, 101448, t += 100 * DUR_MS)); /* a packet a second is no steady flow either */
	CHECK(flow_tells(&f, 101448, t += 100 * DUR_MS));
}

/* --- a line as TCP uses it --- */

static struct trace *trace_of(const char *rows)
{
	char path[] = "/tmp/ribera-trace-XXXXXX";
	struct trace *t = NULL;
	struct fault f = {0};
	int fd = mkstemp(path);

	CHECK(fd >= 0 && write(fd, rows, strlen(rows)) == (ssize_t)strlen(rows));
	close(fd);
	CHECK_INT(trace_read(path, &t, &f), 0);
	unlink(path);
	return t;
}

/* How long it takes from t on. */
static double body(struct tcp_line *l, double t, uint64_t bytes)
{
	double end = 0;

	tcp_line_ask(l, t, bytes);
	CHECK(tcp_line_run(l, INFINITY, &end));
	CHECK_INT(tcp_line_got(l), bytes);
	return end - t;
}

Test(tcp_line, windows_double_and_shrink_when_idle)
{
	struct trace *t = trace_of("h\n100,1000000,100\n");
	struct tcp_line *l = tcp_line_new(t);
	double first = body(l, 0, 70 * 1448), again = body(l, first, 70 * 1448), late = body(l, 60e3, 70 * 1448);

	CHECK(first > 300 && first < 302); /* 10, 20 and 40 packets */
	CHECK(again > 100 && again < 102);
	CHECK(late > 300 && late < 302); /* a minute later all is forgotten (RFC 5681 4.1) */
	tcp_line_free(&l);
	trace_free(&t);
}

Test(tcp_line, a_long_body_takes_the_line_for_itself_through_losses)
{
	struct trace *t = trace_of("h\n100,4000,80\n");
	struct tcp_line *l = tcp_line_new(t);
	double took = body(l, 0, 20000000), least = 80 + 40000;

	CHECK(took > least && took < 1.01 * least);
	tcp_line_free(&l);
	trace_free(&t);
}

Test(tcp_line, what_was_sent_comes_before_what_is_asked_anew)
{
	struct trace *t = trace_of("h\n2,6000,50\n100,250,50\n");
	struct tcp_line *l = tcp_line_new(t);
	double end, quiet = body(l, 50e3, 1448), behind;

	tcp_line_ask(l, 102e3, 3000000); /* at the beginning of the second round: 6000 kbit/s */
	CHECK(!tcp_line_run(l, 105e3, &end));
	CHECK(tcp_line_got(l) > 1000000 && isfinite(tcp_line_first(l)));
	tcp_line_leave(l, 105e3);
	behind = body(l, 105e3, 1448);
	CHECK(quiet < 100);
	CHECK(behind > 2000 && behind < 50 + 200000 * 8 / 250 + 60); /* a queue of at most 200 kB */
	tcp_line_free(&l);
	trace_free(&t);
}

Test(tcp_line, bytes_behind_one_that_was_lost_are_seen_when_it_has_come)
{
	struct trace *t = trace_of("h\n100,1500,80\n");
	struct tcp_line *l = tcp_line_new(t);
	double end, now = 0, longest = 0, since = 0;
	uint64_t before = 0;

	tcp_line_ask(l, 0, 8000000);
	for (; !tcp_line_run(l, now, &end); now += 10) {
		if (tcp_line_got(l) != before)
			since = now;
		before = tcp_line_got(l);
		longest = fmax(longest, now - since);
	}
	CHECK(longest > 500 && longest < 2500); /* what was lost is sent again behind a full queue: a second */
	tcp_line_free(&l);
	trace_free(&t);
}

Test(tcp_line, pauses_double_where_a_full_queue_stands_still)
{
	struct trace *t = trace_of("h\n5,3000,80\n12,0,80\n200,3000,80\n");
	struct tcp_line *l = tcp_line_new(t);
	double end, at = 6e3;

	tcp_line_ask(l, 0, 8000000);
	CHECK(!tcp_line_run(l, at, &end));
	for (int i = 0; i < 6; i++) { /* each has its first window sent into the queue, until there is no more room */
		tcp_line_leave(l, at);
		tcp_line_ask(l, at += 100, 20000);
		CHECK(!tcp_line_run(l, at, &end));
	}
	CHECK(tcp_line_run(l, INFINITY, &end));
	CHECK(end > 20e3); /* not when the line goes on, nor when the queue has come: the sender waits, and each time twice as long */
	CHECK(end < at + 2 * (17e3 - at) + 2e3); /* but no longer than that */
	CHECK(body(l, end, 300000) < 2500); /* it has forgotten that */
	tcp_line_free(&l);
	trace_free(&t);
}

/* --- what is known of networks --- */

static char *folder_with(const char *name, const char *text)
{
	char *folder = mem_dup("/tmp/ribera-known-XXXXXX"), *path;

	CHECK(mkdtemp(folder) != NULL);
	path = mem_printf("%s/proc/net", folder);
	CHECK_INT(folder_make(path, 0700), 0);
	free(path);
	path = mem_printf("%s/%s", folder, name);
	CHECK_INT(file_write_atomic(path, text, strlen(text), 0600), 0);
	free(path);
	return folder;
}

Test(known, a_network_is_its_default_route)
{
	static const char route[] = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
		"eth0\t00000000\t0102A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n"
		"wlan0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
		"wlan0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
	char *folder = folder_with("proc/net/route", route), *empty = folder_with("proc/net/other", "");
	char a[KNOWN_ID_SIZE], b[KNOWN_ID_SIZE], c[KNOWN_ID_SIZE], d[KNOWN_ID_SIZE];

	known_network(folder, "http://films.example/x.mpd", a);
	known_network(folder, "http://127.0.0.1:8090/x.mpd", b);
	known_network(empty, "http://films.example/x.mpd", c);
	known_network(empty, "http://localhost/x.mpd", d);
	CHECK(strlen(a) == KNOWN_ID_SIZE - 1 && strcmp(a, b) != 0 && strcmp(a, c) != 0);
	CHECK_STR(b, d);
	folder_remove(folder);
	folder_remove(empty);
	free(folder);
	free(empty);
}

Test(known, a_session_tells_the_next_and_old_news_is_dropped)
{
	char *folder = folder_with("broken.json", "{\"networks\": [{\"id\": 7}, null, {\"id\": \"0123456789abcdef\", \"bps\": -5}]}");
	char *path = mem_printf("%s/new/networks.json", folder), *broken = mem_printf("%s/broken.json", folder), id[KNOWN_ID_SIZE];
	static const char impossible[] = "{\"networks\": [{\"id\": \"0123456789abcdef\", \"bps\": 5000000, \"seen\": 9223372036854775807},"
		"{\"id\": \"0123456789abcdef\", \"bps\": 5000000, \"seen\": -9223372036854775807},"
		"{\"id\": \"0123456789abcdef\", \"bps\": 9223372036854775807, \"seen\": 1800000000}]}";
	wall_us now = 1800000000 * DUR_S;
	uint64_t size;

	CHECK_INT(known_rate(path, "0123456789abcdef", now), 0);
	known_store(path, "0123456789abcdef", 5000000, now);
	CHECK_INT(known_rate(path, "0123456789abcdef", now), 5000000);
	known_store(path, "0123456789abcdef", 50000000, now);
	CHECK(known_rate(path, "0123456789abcdef", now) > 15000000 && known_rate(path, "0123456789abcdef", now) < 25000000);
	CHECK_INT(known_rate(path, "0123456789abcdef", now + 91 * 24 * DUR_HOUR), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "%016d", i);
		known_store(path, id, 1000000, now + i * DUR_S);
	}
	CHECK_INT(known_rate(path, "0123456789abcdef", now), 0); /* the longest unseen goes */
	CHECK_INT(known_rate(path, id, now + 200 * DUR_S), 1000000);
	CHECK(file_size(path, &size) == 0 && size < 5000);
	CHECK_INT(known_rate(broken, "0123456789abcdef", now), 0);
	CHECK_INT(file_write_atomic(broken, impossible, strlen(impossible), 0600), 0);
	CHECK_INT(known_rate(broken, "0123456789abcdef", now), 0);
	known_store(broken, "0123456789abcdef", 7000000, now);
	CHECK_INT(known_rate(broken, "0123456789abcdef", now), 7000000);
	folder_remove(folder);
	free(folder);
	free(path);
	free(broken);
}

/* --- CMCD --- */

static const struct cmcd sample = {.session_id = "6e2f", .content_id = "fa\"ce", .type = 'v', .bitrate = 3200000,
	.top_bitrate = 6000000, .duration = 4004 * DUR_MS, .buffer = 21310 * DUR_MS, .throughput = 48123456, .starved = true, .speed = 1};

Test(cmcd, headers)
{
	char *h[CMCD_FIELDS];

	cmcd_headers(&sample, h);
	CHECK_STR(h[0], "CMCD-Object: br=3200,d=4004,ot=v,tb=6000");
	CHECK_STR(h[1], "CMCD-Request: bl=21300,dl=21300,mtp=48100");
	CHECK_STR(h[2], "CMCD-Session: cid=\"fa\\\"ce\",sf=d,sid=\"6e2f\",st=v");
	CHECK_STR(h[3], "CMCD-Status: bs,rtp=16000");
	for (int i = 0; i < CMCD_FIELDS; i++)
		free(h[i]);
}

Test(cmcd, speed_is_told_and_brings_deadlines_nearer)
{
	static const struct { double speed; const char *request, *session; } rows[] = {
		{2, "bl=21300,dl=10700,mtp=48100", "pr=2,sf=d"}, {1.25, "bl=21300,dl=17000,mtp=48100", "pr=1.25,sf=d"},
		{0, "bl=21300,mtp=48100", "pr=0,sf=d"}, {-1, "bl=21300,dl=21300,mtp=48100", "\",sf=d"}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cmcd c = sample;
		char *h[CMCD_FIELDS];

		c.speed = rows[i].speed;
		cmcd_headers(&c, h);
		CHECK_STR(h[1] + strlen("CMCD-Request: "), rows[i].request);
		CHECK(strstr(h[2], rows[i].session) != NULL);
		for (int k = 0; k < CMCD_FIELDS; k++)
			free(h[k]);
	}
}

Test(cmcd, what_comes_next_is_told)
{
	static const char *const rows[][3] = {{"a/1.m4s", "a/2.m4s", "2.m4s"}, {"1.m4s", "2.m4s", "2.m4s"}, {"a/1", "b/2", ""},
		{"1.m4s?x=/", "2.m4s", ""}, {"x", "http://h/2", ""}, {"a,1", "a,2", ""}, {"same", "same", ""}};
	struct cmcd c = sample;
	char *h[CMCD_FIELDS], *url;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cmcd_set_next(&c, rows[i][0], rows[i][1]);
		CHECK_STR(c.next, rows[i][2]);
	}
	cmcd_set_next(&c, "a/1.m4s", "a/2.m4s");
	c.has_next_range = true;
	c.next_first = 100;
	c.next_last = 199;
	cmcd_headers(&c, h);
	CHECK_STR(h[1], "CMCD-Request: bl=21300,dl=21300,mtp=48100,nor=\"2.m4s\",nrr=\"100-199\"");
	for (int i = 0; i < CMCD_FIELDS; i++)
		free(h[i]);
	c.content_id = NULL;
	url = cmcd_query(&c, "http://h/1");
	CHECK(strstr(url, "mtp%3D48100%2Cnor%3D%222.m4s%22%2Cnrr%3D%22100-199%22%2Cot") != NULL);
	free(url);
}

Test(cmcd, query_is_sorted_and_escaped)
{
	struct cmcd c = sample;
	char *url;

	c.content_id = NULL;
	url = cmcd_query(&c, "http://h/x.mp4?a=1");
	CHECK_STR(url, "http://h/x.mp4?a=1&CMCD=bl%3D21300%2Cbr%3D3200%2Cbs%2Cd%3D4004%2Cdl%3D21300%2Cmtp%3D48100%2Cot%3Dv%2C"
	               "rtp%3D16000%2Csf%3Dd%2Csid%3D%226e2f%22%2Cst%3Dv%2Ctb%3D6000");
	free(url);
}

Test(pace, catches_up_and_stops)
{
	struct mpd_service s = {.latency_target = 3000, .rate_max = 1.2, .rate_min = 0.9};
	struct pace p = pace_of(&s), none = pace_of(&(struct mpd_service){0});

	CHECK(pace_speed(&none, 60 * DUR_S, 10 * DUR_S) == 1);
	CHECK(pace_speed(&p, 3400 * DUR_MS, 3 * DUR_S) == 1);
	CHECK(pace_speed(&p, 3600 * DUR_MS, 3 * DUR_S) == 1.2);
	CHECK(pace_speed(&p, 3100 * DUR_MS, 3 * DUR_S) == 1.2); /* until it is there */
	CHECK(pace_speed(&p, 3000 * DUR_MS, 3 * DUR_S) == 1);
	CHECK(pace_speed(&p, 3600 * DUR_MS, 900 * DUR_MS) == 1); /* not out of the last of the buffer */
	CHECK(pace_speed(&p, 3600 * DUR_MS, 3 * DUR_S) == 1.2);
	CHECK(pace_speed(&p, 3600 * DUR_MS, 400 * DUR_MS) == 1);
	CHECK(pace_speed(&p, 2400 * DUR_MS, 2 * DUR_S) == 0.9);
	CHECK(pace_speed(&p, 3001 * DUR_MS, 2 * DUR_S) == 1);
	CHECK(pace_of(&(struct mpd_service){.rate_max = 1e9}).fast <= 2);
}

Test(cmcd, can_be_taken_out_of_an_address)
{
	static const char *const rows[][2] = {{"http://h/a?CMCD=x", "http://h/a"}, {"http://h/a?b=1&CMCD=x%2C", "http://h/a?b=1"},
		{"http://h/a?CMCD=x&b=1", "http://h/a?b=1"}, {"http://h/a?b=1&CMCD=x&c", "http://h/a?b=1&c"},
		{"http://h/a?XCMCD=x", "http://h/a?XCMCD=x"}, {"http://h/CMCD=x", "http://h/CMCD=x"}, {"", ""}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *url = mem_dup(rows[i][0]);

		cmcd_strip(url);
		CHECK_STR(url, rows[i][1]);
		free(url);
	}
}

/* --- pictures that need not be decoded --- */

Test(skim, slices_say_whether_they_are_needed)
{
	const uint8_t b[] = {0, 2, 0x09, 0xf0, 0, 3, 0x01, 0x9e, 0x11, 0, 2, 0x01, 0x9e}, p[] = {0, 2, 0x41, 0x9a},
		      mixed[] = {0, 2, 0x01, 0x9e, 0, 2, 0x41, 0x9a}, words[] = {0, 2, 0x06, 0x05};
	const uint8_t n[] = {0, 0, 0, 3, 0x00, 0x01, 0xd0}, r[] = {0, 0, 0, 3, 0x02, 0x01, 0xd0}, idr[] = {0, 0, 0, 3, 0x26, 0x01, 0xaf};

	CHECK(skim_needless(SKIM_AVC, 2, b, sizeof b));
	CHECK(!skim_needless(SKIM_AVC, 2, p, sizeof p));
	CHECK(!skim_needless(SKIM_AVC, 2, mixed, sizeof mixed));
	CHECK(!skim_needless(SKIM_AVC, 2, words, sizeof words));
	CHECK(skim_needless(SKIM_HEVC, 4, n, sizeof n));
	CHECK(!skim_needless(SKIM_HEVC, 4, r, sizeof r));
	CHECK(!skim_needless(SKIM_HEVC, 4, idr, sizeof idr));
	CHECK(!skim_needless(SKIM_OTHER, 4, n, sizeof n));
}

Test(skim, only_an_idr_picture_restarts)
{
	static const uint8_t idr[] = {0, 0, 0, 2, 0x67, 0, 0, 0, 0, 2, 0x65, 0x88}, open_gop[] = {0, 0, 0, 2, 0x06, 0, 0, 0, 0, 2, 0x61, 0x88};
	static const uint8_t hevc_idr[] = {0, 2, 0x28, 1}, hevc_cra[] = {0, 2, 0x2a, 1}, wrong[] = {0, 0, 0, 9, 0x65, 0x88};

	CHECK(skim_restarts(SKIM_AVC, 4, idr, sizeof idr));
	CHECK(!skim_restarts(SKIM_AVC, 4, open_gop, sizeof open_gop));
	CHECK(skim_restarts(SKIM_HEVC, 2, hevc_idr, sizeof hevc_idr));
	CHECK(!skim_restarts(SKIM_HEVC, 2, hevc_cra, sizeof hevc_cra));
	CHECK(!skim_restarts(SKIM_AVC, 4, wrong, sizeof wrong));
	CHECK(!skim_restarts(SKIM_AVC, 4, idr, 0));
	CHECK(!skim_restarts(SKIM_OTHER, 4, idr, sizeof idr));
}

Test(skim, what_is_no_unit_is_needed)
{
	const uint8_t b[] = {0, 3, 0x01, 0x9e, 0x11}, none[] = {0, 0, 0, 1};

	CHECK(skim_needless(SKIM_AVC, 2, b, sizeof b));
	for (size_t n = 0; n < sizeof b; n++)
		CHECK(!skim_needless(SKIM_AVC, 2, b, n));
	CHECK(!skim_needless(SKIM_AVC, 2, none, sizeof none));
	CHECK(!skim_needless(SKIM_AVC, 0, b, sizeof b));
}

Test(skim, the_configuration_has_the_size_of_lengths)
{
	const uint8_t avcc[] = {1, 0x64, 0, 0x1f, 0xff}, annex_b[] = {0, 0, 0, 1, 0x67};
	uint8_t hvcc[23] = {1};

	hvcc[21] = 0xfd;
	CHECK_INT(skim_length_size(SKIM_AVC, avcc, sizeof avcc), 4);
	CHECK_INT(skim_length_size(SKIM_AVC, avcc, 4), 0);
	CHECK_INT(skim_length_size(SKIM_AVC, annex_b, sizeof annex_b), 0);
	CHECK_INT(skim_length_size(SKIM_HEVC, hvcc, sizeof hvcc), 2);
	CHECK_INT(skim_length_size(SKIM_OTHER, hvcc, sizeof hvcc), 0);
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The report as one page without scripts: a summary, two charts over the time on
 * the viewer's clock (line and rendition; buffer), stalls as bands through both,
 * and tables of what went wrong.  The browser shows a segment's numbers as a hint.
 */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "player/hub.h"
#include "player/report.h"

#define WIDTH 960.0
#define LEFT 64.0
#define RIGHT 12.0
#define TOP 10.0
#define BOTTOM 26.0
#define SILENCE 1.0    /* seconds */
#define MAX_DRAWN 4000 /* segments in a chart; more are thinned out */

static const char style[] =
	":root{color-scheme:light dark;--bg:#f6f6f4;--card:#fff;--fg:#1b1c1e;--dim:#5f6268;--rule:#e2e2de;--line:#1a6d9b;"
	"--pick:#ac4d0c;--hand:#2e7829;--stall:#b12f2a}"
	"@media(prefers-color-scheme:dark){:root{--bg:#131416;--card:#1c1e21;--fg:#ececea;--dim:#a2a6ad;--rule:#33363b;"
	"--line:#62c0ec;--pick:#ffa15e;--hand:#84d47a;--stall:#ff8a84}}"
	"*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:24px 20px;background:var(--bg);color:var(--fg);"
	"font:15px/1.5 system-ui,sans-serif}h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}"
	"h2{font-size:17px;margin:0 0 10px}section{background:var(--card);border:1px solid var(--rule);border-radius:10px;"
	"padding:16px 20px;margin:16px 0;overflow-x:auto}p{margin:0;color:var(--dim)}"
	"dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px 20px;margin:0}"
	"dt{color:var(--dim);font-size:13px}dd{margin:0;font-size:20px;font-variant-numeric:tabular-nums}"
	"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:5px 12px 5px 0;"
	"border-bottom:1px solid var(--rule);font-size:14px;white-space:nowrap}th{color:var(--dim);font-weight:500}"
	"td:last-child{white-space:normal;overflow-wrap:anywhere;min-width:16em;width:100%}"
	"tr:last-child>td{border-bottom:0}svg{display:block;width:100%;min-width:640px;height:auto}svg text{font-size:12px;fill:var(--dim)}"
	".grid{stroke:var(--rule)}.line,.pick,.hand{fill:none;stroke-width:2;stroke-linejoin:round}.line{stroke:var(--line)}"
	".left{stroke:var(--dim);stroke-dasharray:3 3}.pick{stroke:var(--pick)}.hand{stroke:var(--hand)}.stall{fill:var(--stall);opacity:.3}.hint{fill:transparent}"
	".hint:hover{fill:var(--dim);fill-opacity:.15}.key b{font-weight:600}.key .l{color:var(--line)}.key .p{color:var(--pick)}"
	".key .h{color:var(--hand)}.key .f{color:var(--dim)}.key .s{color:var(--stall)}";

struct page {
	const struct report *r;
	struct buf *out;
	double end; /* seconds of the time axis */
	size_t thin;
};

static double secs(dur_us d)
{
	return (double)d / 1e6;
}

static void text(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '&')
			buf_puts(out, "&amp;");
		else if (*s == '<')
			buf_puts(out, "&lt;");
		else if (*s == '>')
			buf_puts(out, "&gt;");
		else if (*s == '"')
			buf_puts(out, "&quot;");
		else
			buf_putc(out, (unsigned char)*s < 0x20 ? ' ' : *s);
	}
}

static double x_at(const struct page *p, double t)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * fmin(fmax(t / p->end, 0), 1);
}

static bool drawn(const struct page *p, size_t i)
{
	return p->r->segments[i].lane == LANE_VIDEO && !p->r->segments[i].skipped && i % p->thin == 0;
}

/* 1, 2 or 5 times a power of ten, so that there are about n steps. */
static double nice_step(double range, double n)
{
	double raw = range / n, power = pow(10, floor(log10(raw))), lead = raw / power;

	return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
}

struct chart {
	const char *id, *title, *unit;
	double height, most;
};

static double y_at(const struct chart *c, double v)
{
	return TOP + (c->height - TOP - BOTTOM) * (1 - fmin(fmax(v / c->most, 0), 1));
}

static void axes(const struct page *p, const struct chart *c)
{
	double step = nice_step(c->most, 4), time = nice_step(p->end, 10);

	for (double v = 0; v <= c->most * 1.001; v += step)
		buf_printf(p->out, "<path class=\"grid\" d=\"M%g %.1fH%g\"/><text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%g%s</text>", LEFT,
		           y_at(c, v), WIDTH - RIGHT, LEFT - 6, y_at(c, v) + 4, v, c->unit);
	for (double t = 0; t <= p->end; t += time)
		buf_printf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g s</text>", x_at(p, t), c->height - 8, t);
}

static void stall_bands(const struct page *p, const struct chart *c)
{
	for (size_t i = 0; i < p->r->n_stalls; i++) {
		double from = secs(p->r->stalls[i].began), to = from + secs(p->r->stalls[i].duration);

		buf_printf(p->out, "<rect class=\"stall\" x=\"%.1f\" y=\"%g\" width=\"%.1f\" height=\"%.1f\"><title>stall of %.2f s</title></rect>",
		           x_at(p, from), TOP, fmax(x_at(p, to) - x_at(p, from), 1), c->height - TOP - BOTTOM, to - from);
	}
}

/* Where another place was asked. */
static void left_places(const struct page *p, const struct chart *c)
{
	for (size_t i = 0; i < p->r->n_failovers && i < MAX_DRAWN; i++)
		buf_printf(p->out, "<path class=\"left\" d=\"M%.1f %gV%.1f\"/>", x_at(p, secs(p->r->failovers[i].at)), TOP, c->height - BOTTOM);
}

static double line_of(const struct report_segment *s)
{
	return (double)s->throughput / 1e6;
}

/* How long nothing came before the segment did: a round trip is no news. */
static double silence_in(const struct report_segment *s)
{
	double t = secs(s->total - s->body);

	return s->body > 0 && t >= SILENCE ? t : 0;
}

/* A value that holds from each segment's request, or the first byte after a silence, to the next one's. */
static void steps(const struct page *p, const struct chart *c, const char *class, double (*value)(const struct report_segment *))
{
	bool first = true;

	buf_printf(p->out, "<path class=\"%s\" d=\"", class);
	for (size_t i = 0; i < p->r->n_segments; i++) {
		const struct report_segment *s = &p->r->segments[i];

		if (!drawn(p, i))
			continue;
		if (value == line_of && silence_in(s) > 0) {
			buf_printf(p->out, first ? "M%.1f %.1f" : "H%.1fV%.1f", x_at(p, secs(s->asked)), y_at(c, 0));
			first = false;
		}
		buf_printf(p->out, first ? "M%.1f %.1f" : "H%.1fV%.1f", x_at(p, secs(s->asked) + (value == line_of ? silence_in(s) : 0)), y_at(c, value(s)));
		first = false;
	}
	buf_printf(p->out, "H%.1f\"/>", x_at(p, p->end));
}

static void hints(const struct page *p, const struct chart *c)
{
	for (size_t i = 0; i < p->r->n_segments; i++) {
		const struct report_segment *s = &p->r->segments[i];
		double x = x_at(p, secs(s->asked)), w = x_at(p, secs(s->asked + s->total)) - x;

		if (!drawn(p, i))
			continue;
		buf_printf(p->out, "<rect class=\"hint\" x=\"%.1f\" y=\"%g\" width=\"%.1f\" height=\"%.1f\"><title>segment %u, ", x, TOP,
		           fmax(w, 2), c->height - TOP - BOTTOM, s->index);
		text(p->out, s->rendition);
		buf_printf(p->out, " of %.2f Mbit/s\n%llu bytes in %.0f ms, first byte after %.0f ms\nline %.2f Mbit/s, %.1f s in hand\n",
		           (double)s->bandwidth / 1e6, (unsigned long long)s->bytes, secs(s->total) * 1000, secs(s->first_byte) * 1000,
		           (double)s->throughput / 1e6, secs(s->buffer));
		text(p->out, s->service_location);
		buf_puts(p->out, "</title></rect>");
	}
}

static double pick_of(const struct report_segment *s)
{
	return (double)s->bandwidth / 1e6;
}

/* Seconds of the time a segment took during which nothing was played. */
static double stalled_in(const struct page *p, const struct report_segment *s)
{
	double from = secs(s->asked), to = secs(s->asked + s->total), sum = 0;

	for (size_t i = 0; i < p->r->n_stalls; i++) {
		double a = secs(p->r->stalls[i].began), b = a + secs(p->r->stalls[i].duration);

		sum += fmax(0, fmin(b, to) - fmax(a, from));
	}
	return sum;
}

/* In hand when the segment has come, without it. */
static double hand_after(const struct page *p, const struct report_segment *s)
{
	return fmax(0, secs(s->buffer) - secs(s->total) + stalled_in(p, s));
}

/* Falls while it is played, rises with each segment that comes. */
static void saw(const struct page *p, const struct chart *c, const char *class)
{
	double last = 0, from = 0;

	buf_printf(p->out, "<path class=\"%s\" d=\"M%.1f %.1f", class, x_at(p, 0), y_at(c, 0));
	for (size_t i = 0; i < p->r->n_segments; i++) {
		const struct report_segment *s = &p->r->segments[i];

		if (!drawn(p, i))
			continue;
		from = secs(s->asked + s->total);
		last = hand_after(p, s);
		buf_printf(p->out, "L%.1f %.1fL%.1f %.1fH%.1f", x_at(p, secs(s->asked)), y_at(c, secs(s->buffer)),
		           x_at(p, from - stalled_in(p, s)), y_at(c, last), x_at(p, from));
		last += s->skipped ? 0 : secs(s->duration);
		buf_printf(p->out, "V%.1f", y_at(c, last));
	}
	buf_printf(p->out, "L%.1f %.1f\"/>", x_at(p, p->end), y_at(c, fmax(0, last - (p->end - from))));
}

static void begin_chart(const struct page *p, const struct chart *c)
{
	buf_printf(p->out, "<section><h2>%s</h2><svg viewBox=\"0 0 %g %g\" role=\"img\" aria-labelledby=\"%s\"><title id=\"%s\">%s</title>",
	           c->title, WIDTH, c->height, c->id, c->id, c->title);
	axes(p, c);
	stall_bands(p, c);
	left_places(p, c);
}

static void end_chart(const struct page *p, const struct chart *c, const char *key)
{
	hints(p, c);
	buf_printf(p->out, "</svg><p class=\"key\">%s, <b class=\"s\">stalls</b>%s</p></section>", key,
	           p->r->n_failovers > 0 ? ", <b class=\"f\">fail-overs</b> (dashed)" : "");
}

/* A line that is far above the ladder says no more than that: the scale ends at twice the top. */
static void charts(const struct page *p)
{
	const struct report *r = p->r;
	struct chart rates = {"rates", "Line and rendition", "", 300, 0.1}, hand = {"hand", "Media in hand", " s", 180, 1};

	for (size_t i = 0; i < r->n_segments; i++)
		if (r->segments[i].lane == LANE_VIDEO) {
			rates.most = fmax(rates.most, fmax(pick_of(&r->segments[i]), line_of(&r->segments[i])));
			hand.most = fmax(hand.most, hand_after(p, &r->segments[i]) + secs(r->segments[i].duration));
		}
	if (r->top_bandwidth > 0)
		rates.most = fmin(rates.most, 2.0 * (double)r->top_bandwidth / 1e6);
	begin_chart(p, &rates);
	steps(p, &rates, "line", line_of);
	steps(p, &rates, "pick", pick_of);
	end_chart(p, &rates, "Mbit/s: <b class=\"l\">throughput of the line</b>, <b class=\"p\">rendition chosen</b>");
	begin_chart(p, &hand);
	saw(p, &hand, "hand");
	end_chart(p, &hand, "<b class=\"h\">media ahead of the playhead</b>");
}

static void number(struct buf *out, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void number(struct buf *out, const char *name, const char *fmt, ...)
{
	va_list ap;

	buf_printf(out, "<div><dt>%s</dt><dd>", name);
	va_start(ap, fmt);
	buf_vprintf(out, fmt, ap);
	va_end(ap);
	buf_puts(out, "</dd></div>");
}

static void summary(const struct page *p)
{
	const struct report *r = p->r;
	struct report_summary s = report_summary(r);

	buf_puts(p->out, "<section><dl>");
	number(p->out, "QoE", "%.3f", s.qoe);
	number(p->out, "mean bitrate", "%.2f Mbit/s", s.bitrate_kbps / 1000);
	number(p->out, "stalls", "%u (%.2f s)", s.stalls, s.stalled);
	number(p->out, "stall ratio", "%.2f %%", 100 * s.stall_ratio);
	number(p->out, "switches", "%u", s.switches);
	if (r->startup >= 0)
		number(p->out, "first picture", "%.0f ms", secs(r->startup) * 1000);
	number(p->out, "played", "%.1f s", secs(r->played));
	number(p->out, "frames shown, dropped", "%llu, %llu", (unsigned long long)r->presented, (unsigned long long)r->dropped);
	number(p->out, "fail-overs", "%zu", r->n_failovers);
	number(p->out, "received", "%.1f MB", (double)r->bytes / 1e6);
	buf_puts(p->out, "</dl></section>");
}

static void failover_rows(const struct page *p)
{
	if (p->r->n_failovers == 0)
		return;
	buf_puts(p->out, "<section><h2>Fail-overs</h2><table><thead><tr><th>at</th><th>segment</th><th>from</th><th>to</th><th>reason</th></tr>"
	                 "</thead><tbody>");
	for (size_t i = 0; i < p->r->n_failovers && i < MAX_DRAWN; i++) {
		const struct report_failover *f = &p->r->failovers[i];
		const char *cells[] = {f->from, f->to, f->reason};

		buf_printf(p->out, "<tr><td>%.2f s</td><td>%s %u</td>", secs(f->at), f->lane == LANE_VIDEO ? "video" : "audio", f->segment);
		for (int k = 0; k < 3; k++) {
			buf_puts(p->out, "<td>");
			text(p->out, cells[k]);
			buf_puts(p->out, "</td>");
		}
		buf_puts(p->out, "</tr>");
	}
	buf_puts(p->out, "</tbody></table></section>");
}

static void stall_rows(const struct page *p)
{
	if (p->r->n_stalls == 0)
		return;
	buf_puts(p->out, "<section><h2>Stalls</h2><table><thead><tr><th>at</th><th>in the film at</th><th>for</th></tr></thead><tbody>");
	for (size_t i = 0; i < p->r->n_stalls && i < MAX_DRAWN; i++)
		buf_printf(p->out, "<tr><td>%.2f s</td><td>%.2f s</td><td>%.2f s</td></tr>", secs(p->r->stalls[i].began), secs(p->r->stalls[i].at),
		           secs(p->r->stalls[i].duration));
	buf_puts(p->out, "</tbody></table></section>");
}

static void error_rows(const struct page *p)
{
	if (p->r->n_errors == 0)
		return;
	buf_puts(p->out, "<section><h2>Errors</h2><table><tbody>");
	for (size_t i = 0; i < p->r->n_errors && i < MAX_DRAWN; i++) {
		buf_puts(p->out, "<tr><td>");
		text(p->out, p->r->errors[i]);
		buf_puts(p->out, "</td></tr>");
	}
	buf_puts(p->out, "</tbody></table></section>");
}

void report_page(const struct report *r, struct buf *out)
{
	struct page p = {.r = r, .out = out, .end = 1, .thin = r->n_segments / MAX_DRAWN + 1};

	for (size_t i = 0; i < r->n_segments; i++)
		p.end = fmax(p.end, secs(r->segments[i].asked + r->segments[i].total));
	for (size_t i = 0; i < r->n_stalls; i++)
		p.end = fmax(p.end, secs(r->stalls[i].began + r->stalls[i].duration));
	buf_puts(out, "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,"
	              "initial-scale=1\"><title>Playback report</title><style>");
	buf_puts(out, style);
	buf_puts(out, "</style></head><body><h1>");
	text(out, r->url);
	buf_puts(out, "</h1><p>");
	buf_puts(out, r->finished ? "Played to the end" : "Not played to the end");
	buf_puts(out, ", adaptation <b>");
	text(out, r->algorithm != NULL ? r->algorithm : "");
	buf_puts(out, "</b>, output ");
	text(out, r->output != NULL ? r->output : "");
	buf_puts(out, "</p>");
	summary(&p);
	if (r->n_segments > 0)
		charts(&p);
	stall_rows(&p);
	failover_rows(&p);
	error_rows(&p);
	buf_puts(out, "</body></html>\n");
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `ribera-admin simulate TRACE`: what placement would do on a log of requests, as
 * a table, JSON or one SVG page.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "cdn/ranked.h"
#include "origin/admin.h"
#include "origin/simulate.h"

#define MAX_CAPACITIES 16
#define N_RUNS (N_PULL + 2)

struct table {
	uint64_t capacities[MAX_CAPACITIES];
	size_t n;
	struct simulate_result results[MAX_CAPACITIES][N_RUNS];
	struct simulate_site_result sites[MAX_CAPACITIES][2]; /* alone, together */
};

static const char *run_name(unsigned k)
{
	return k == N_PULL ? N_("plan, kept by day") : k > N_PULL ? N_("plan, pushed only") : pull_name((enum pull_rule)k);
}

/* "5%" of the catalogue, or bytes with a unit. */
static int read_capacity(const char *s, uint64_t catalogue, uint64_t *ret, struct fault *f)
{
	static const char units[] = "kMGTP";
	char *end;
	double v = strtod(s, &end);
	const char *unit;

	if (end == s || !(v > 0) || v > 1e18)
		return fault_set(f, ERR_USAGE, _("--capacity: found \"%s\", expected parts of the catalogue (5%%) or bytes (2T), "
		                 "several with commas"), s);
	if (*end == '%') {
		v *= (double)catalogue / 100;
		end++;
	} else if (*end != '\0' && *end != ',' && (unit = strchr(units, *end)) != NULL) {
		for (; unit >= units; unit--)
			v *= 1000;
		end++;
	}
	if (*end != '\0' && *end != ',')
		return fault_set(f, ERR_USAGE, _("--capacity: found \"%s\", expected 5%% or 2T"), s);
	*ret = v < 1 ? 1 : v > 9e18 ? (uint64_t)9e18 : (uint64_t)v;
	return 0;
}

static int read_capacities(const struct admin *a, uint64_t catalogue, struct table *t, struct fault *f)
{
	int e = 0;

	for (const char *s = a->capacity; e == 0 && s != NULL; s = strchr(s, ',')) {
		s += *s == ',';
		if (t->n == MAX_CAPACITIES)
			return fault_set(f, ERR_USAGE, _("--capacity: more than %d"), MAX_CAPACITIES);
		e = read_capacity(s, catalogue, &t->capacities[t->n++], f);
	}
	return e;
}

static void run_all(const struct trace *trace, const struct admin *a, struct table *t)
{
	for (size_t c = 0; c < t->n; c++) {
		struct simulate_settings s = {
			.capacity = t->capacities[c],
			.judged_from = 0.6,
			.night_budget = (uint64_t)((double)a->budget_percent / 100 * (double)t->capacities[c]),
			.window_hours = 6,
		};

		if (a->edges > 1) {
			simulate_site(trace, &s, (size_t)a->edges, false, &t->sites[c][0]);
			simulate_site(trace, &s, (size_t)a->edges, true, &t->sites[c][1]);
			continue;
		}
		for (unsigned k = 0; k < N_PULL; k++)
			simulate_pull(trace, &s, (enum pull_rule)k, &t->results[c][k]);
		simulate_ranked(trace, &s, SIMULATE_ADMIT, &t->results[c][N_PULL]);
		simulate_ranked(trace, &s, SIMULATE_PUSH, &t->results[c][N_PULL + 1]);
	}
}

static double best_pull(const struct simulate_result *r)
{
	double best = 0;

	for (unsigned k = 0; k < N_PULL; k++)
		best = r[k].byte_hit > best ? r[k].byte_hit : best;
	return best;
}

static void print_table(const struct trace *trace, const struct table *t)
{
	static const char *const heads[] = {N_(">capacity"),  N_("rule"),      N_(">byte hit %"), N_(">to best pull"), N_(">request hit %"),
	                                    N_(">fill %"),    N_(">writes/day"), N_(">worst night %"), N_(">half-life")};
	struct admin_table *out = admin_table_new(heads, sizeof heads / sizeof heads[0]);

	for (size_t c = 0; c < t->n; c++)
		for (unsigned k = 0; k < N_RUNS; k++) {
			const struct simulate_result *r = &t->results[c][k];

			admin_table_cell(out, "%.1f%%", 100 * (double)t->capacities[c] / (double)trace->catalogue);
			admin_table_cell(out, "%s", _(run_name(k)));
			admin_table_cell(out, "%.2f", 100 * r->byte_hit);
			admin_table_cell(out, "%+.2f", 100 * (r->byte_hit - best_pull(t->results[c])));
			admin_table_cell(out, "%.2f", 100 * r->request_hit);
			admin_table_cell(out, "%.2f", 100 * r->fill);
			admin_table_cell(out, "%.3f", r->writes);
			admin_table_cell(out, "%.2f", 100 * r->worst_night);
			if (r->half_life > 0)
				admin_table_cell(out, "%.1fd", r->half_life);
			else
				admin_table_cell(out, " ");
		}
	admin_table_print(&out, stdout);
}

static void print_sites(const struct trace *trace, const struct table *t)
{
	static const char *const heads[] = {N_(">capacity each"), N_("edges"), N_(">from the origin %"), N_(">of edges alone"), N_(">busiest / mean")};
	static const char *const names[] = {N_("alone, asking each other"), N_("one site")};
	struct admin_table *out = admin_table_new(heads, sizeof heads / sizeof heads[0]);

	for (size_t c = 0; c < t->n; c++)
		for (unsigned k = 0; k < 2; k++) {
			const struct simulate_site_result *r = &t->sites[c][k];

			admin_table_cell(out, "%.1f%%", 100 * (double)t->capacities[c] / (double)trace->catalogue);
			admin_table_cell(out, "%s", _(names[k]));
			admin_table_cell(out, "%.2f", 100 * r->origin);
			admin_table_cell(out, "%.3f", r->origin / t->sites[c][0].origin);
			admin_table_cell(out, "%.2f", r->most_load);
		}
	admin_table_print(&out, stdout);
}

static json_t *sites_json(const struct trace *trace, const struct table *t, uint64_t edges)
{
	json_t *cases = json_array();

	for (size_t c = 0; c < t->n; c++)
		json_array_append_new(cases, json_pack("{s:I, s:{s:f, s:f}, s:{s:f, s:f}, s:f}", "capacity", (json_int_t)t->capacities[c],
		                                       "alone", "origin", t->sites[c][0].origin, "most_load", t->sites[c][0].most_load,
		                                       "site", "origin", t->sites[c][1].origin, "most_load", t->sites[c][1].most_load,
		                                       "ratio", t->sites[c][1].origin / t->sites[c][0].origin));
	return json_pack("{s:I, s:I, s:I, s:o}", "requests", (json_int_t)trace->n, "catalogue", (json_int_t)trace->catalogue, "edges",
	                 (json_int_t)edges, "cases", cases);
}

static json_t *as_json(const struct trace *trace, const struct table *t)
{
	json_t *cases = json_array();

	for (size_t c = 0; c < t->n; c++)
		for (unsigned k = 0; k < N_RUNS; k++) {
			const struct simulate_result *r = &t->results[c][k];

			json_array_append_new(cases, json_pack("{s:I, s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "capacity",
			                                       (json_int_t)t->capacities[c], "rule", run_name(k), "byte_hit", r->byte_hit,
			                                       "request_hit", r->request_hit, "fill", r->fill, "writes_per_day", r->writes,
			                                       "worst_night", r->worst_night, "half_life_days", r->half_life));
		}
	return json_pack("{s:I, s:I, s:I, s:o}", "requests", (json_int_t)trace->n, "items", (json_int_t)trace->n_items,
	                 "catalogue", (json_int_t)trace->catalogue, "cases", cases);
}

/* Bars of the byte hit, one group a capacity. */
static void draw(const struct trace *trace, const struct table *t, FILE *out)
{
	static const char *const colours[N_RUNS] = {"#b8c4cc", "#a3b3bd", "#8fa2ae", "#7a919f", "#668090", "#0b7a53", "#3fa57f"};
	size_t rows = t->n * (N_RUNS + 2) + 2;

	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"%zu\" font-family=\"sans-serif\" font-size=\"13\">\n"
	        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
	        "<text x=\"20\" y=\"24\" font-size=\"16\">Byte hit ratio: %zu requests, %zu items, %.1f TB</text>\n",
	        rows * 20 + 20, trace->n, trace->n_items, (double)trace->catalogue / 1e12);
	for (size_t c = 0; c < t->n; c++) {
		size_t y = 40 + c * (N_RUNS + 2) * 20;

		fprintf(out, "<text x=\"20\" y=\"%zu\" font-weight=\"bold\">%.1f %% of the catalogue</text>\n", y + 14,
		        100 * (double)t->capacities[c] / (double)trace->catalogue);
		for (unsigned k = 0; k < N_RUNS; k++) {
			double v = t->results[c][k].byte_hit;

			y += 20;
			fprintf(out, "<text x=\"20\" y=\"%zu\">%s</text><rect x=\"160\" y=\"%zu\" width=\"%.1f\" height=\"14\" fill=\"%s\"/>"
			        "<text x=\"%.1f\" y=\"%zu\">%.2f %%</text>\n",
			        y + 14, run_name(k), y + 3, 480 * v, colours[k], 168 + 480 * v, y + 14, 100 * v);
		}
	}
	fputs("</svg>\n", out);
}

int admin_write_svg(const char *path, void (*draw_it)(void *ctx, FILE *), void *ctx, struct fault *f)
{
	FILE *out = fopen(path, "we");
	bool good;

	if (out == NULL)
		return fault_set(f, -errno, _("cannot write %s: %s"), path, words_error(-errno));
	draw_it(ctx, out);
	good = ferror(out) == 0;
	if (fclose(out) != 0 || !good)
		return fault_set(f, -EIO, _("%s could not be written"), path);
	return 0;
}

struct drawing {
	const struct trace *trace;
	const struct table *table;
};

static void draw_drawing(void *ctx, FILE *out)
{
	const struct drawing *d = ctx;

	draw(d->trace, d->table, out);
}

int admin_simulate(const struct admin *a, char **args, struct fault *f)
{
	struct table *t;
	struct trace *trace;
	json_t *j;
	int e = trace_read(args[0], &trace, f);

	if (e != 0)
		return e;
	t = mem_new(sizeof *t);
	e = read_capacities(a, trace->catalogue, t, f);
	if (e == 0) {
		run_all(trace, a, t);
		if (a->json) {
			j = a->edges > 1 ? sites_json(trace, t, a->edges) : as_json(trace, t);
			json_dumpf(j, stdout, JSON_INDENT(1));
			putchar('\n');
			json_decref(j);
		} else {
			(a->edges > 1 ? print_sites : print_table)(trace, t);
		}
		if (a->svg != NULL && a->edges > 1)
			e = fault_set(f, ERR_USAGE, _("--svg draws one store: leave --edges out"));
		else if (a->svg != NULL)
			e = admin_write_svg(a->svg, draw_drawing, &(struct drawing){trace, t}, f);
	}
	trace_free(&trace);
	free(t);
	return e;
}

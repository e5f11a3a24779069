/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin's insides: the commands, and what they share.
 */
#ifndef RIBERA_ORIGIN_ADMIN_H
#define RIBERA_ORIGIN_ADMIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"

struct admin {
	const char *control;    /* URL of the control listener */
	const char *token_file; /* or NULL */
	const char *ca_file;    /* NULL: the system's */
	bool json;              /* for machines: the JSON as it came */
	/* of some commands */
	const char *note, *edge;
	uint64_t expires_seconds;
	bool dry_run;
	bool from_stdin;
	const char *capacity, *svg; /* svg NULL: none */
	uint64_t budget_percent, edges;
	uint64_t rate; /* bytes a second that an edge's fill takes */
	const char *url_keys, *client;
	const char *ip, *title, *current; /* current NULL: nowhere yet */
	const char *compare; /* NULL: no */
	const char *tag;     /* NULL: any */
	bool history;
};

/* Exit codes of the commands: 0, 1 (failed; the fault says why), 2 (wrong usage). */

/* admin_api.c: one request; *ret_json (or NULL) is to be json_decref'd.  A status
 * of 400 and above is an error with the problem's detail. */
int admin_call(const struct admin *, const char *method, const char *path, json_t *body, json_t **ret_json,
               struct fault *);
/* What the origin says is wrong with it, to be freed; NULL: it is well. */
int admin_read_health(const struct admin *, char **ret_problem, struct fault *);

/* All pages of a list: the array named `list`, joined.  `path` may have a query. */
int admin_list(const struct admin *, const char *path, const char *list, json_t **ret_array, struct fault *);

/* An answer that is long, or without an end: its bytes as they come, until it ends or `take` returns another than 0; it may
 * be silent for `patience`. */
int admin_stream(const struct admin *, const char *path, dur_us patience, int (*take)(void *ctx, const void *bytes, size_t n), void *ctx,
                 struct fault *);

/* admin_table.c: rows of text under a head; numbers to the right ('>' before the head's text). */
struct admin_table;
struct admin_table *admin_table_new(const char *const *heads, size_t n_columns);
/* What the API calls it, in the reader's language; what is not known stays. */
const char *admin_word(const char *);
void admin_table_cell(struct admin_table *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void admin_percent_cell(struct admin_table *, const json_t *share); /* "-" when it is no number */
void admin_table_print(struct admin_table **, FILE *); /* prints and frees */

/* Of what came from elsewhere, unless it is shown as JSON: no control character that a terminal would obey. */
void admin_make_plain(const struct admin *, json_t *);
/* admin_simulate.c: a file written by `draw`; -errno. */
int admin_write_svg(const char *path, void (*draw)(void *ctx, FILE *), void *ctx, struct fault *);

/* The commands; args[0..n-1] stand behind their words. */
int admin_titles(const struct admin *, char **args, struct fault *);
int admin_tags(const struct admin *, char **args, struct fault *);
int admin_title_show(const struct admin *, char **args, struct fault *);
int admin_title_urgent(const struct admin *, char **args, struct fault *);
int admin_title_pin(const struct admin *, char **args, struct fault *);
int admin_title_ban(const struct admin *, char **args, struct fault *);
int admin_title_free(const struct admin *, char **args, struct fault *);
int admin_title_set(const struct admin *, char **args, struct fault *);
int admin_title_withdraw(const struct admin *, char **args, struct fault *);
int admin_title_restore(const struct admin *, char **args, struct fault *);
int admin_title_rollback(const struct admin *, char **args, struct fault *);
int admin_title_newest(const struct admin *, char **args, struct fault *);
int admin_withdrawn(const struct admin *, char **args, struct fault *);
int admin_holdings(const struct admin *, char **args, struct fault *);
int admin_log(const struct admin *, char **args, struct fault *);
int admin_masters(const struct admin *, char **args, struct fault *);
int admin_backup(const struct admin *, char **args, struct fault *);
int admin_events(const struct admin *, char **args, struct fault *);
int admin_fills(const struct admin *, char **args, struct fault *);
int admin_health(const struct admin *, char **args, struct fault *);
int admin_top(const struct admin *, char **args, struct fault *);
int admin_edges(const struct admin *, char **args, struct fault *);
int admin_edge_show(const struct admin *, char **args, struct fault *);
int admin_edge_remove(const struct admin *, char **args, struct fault *);
int admin_edge_drain(const struct admin *, char **args, struct fault *);
int admin_edge_undrain(const struct admin *, char **args, struct fault *);
int admin_places(const struct admin *, char **args, struct fault *);
int admin_edge_set(const struct admin *, char **args, struct fault *);
int admin_steering_explain(const struct admin *, char **args, struct fault *);
int admin_copies(const struct admin *, char **args, struct fault *);
int admin_plan(const struct admin *, char **args, struct fault *);
int admin_placement(const struct admin *, char **args, struct fault *);
int admin_simulate(const struct admin *, char **args, struct fault *);
int admin_tokens(const struct admin *, char **args, struct fault *);
int admin_token_new(const struct admin *, char **args, struct fault *);
int admin_token_revoke(const struct admin *, char **args, struct fault *);
int admin_sign(const struct admin *, char **args, struct fault *);
int admin_verify(const struct admin *, char **args, struct fault *);

#endif

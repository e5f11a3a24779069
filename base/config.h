/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Settings as a table: one row makes the struct field's default, the key in the
 * YAML file, the command-line option, the --help line and the commented sample.
 *
 *   struct settings { const char *listen; uint64_t threads; dur_us idle; bool cors; struct config_list tags; };
 *   static const struct config_row rows[] = {
 *     {"listen", CONFIG_STRING, offsetof(struct settings, listen), "127.0.0.1:8080", 0, 0, "ADDR:PORT", "where viewers connect"},
 *     {"window.start", CONFIG_STRING, ...   # file: window:\n  start: ...   option: --window-start
 *
 * Order of strength: default < file < command line.  An unknown key is an error
 * with its line.  Fields: CONFIG_STRING and CONFIG_PATH const char * (NULL when
 * the default is NULL), CONFIG_BOOL bool, CONFIG_UINT, CONFIG_BYTES and
 * CONFIG_RATE (bytes per second) uint64_t, CONFIG_DURATION dur_us, CONFIG_LIST and
 * CONFIG_EACH struct config_list.  Strings belong to the config and live until config_free.
 */
#ifndef RIBERA_BASE_CONFIG_H
#define RIBERA_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum config_type {
	CONFIG_STRING,
	CONFIG_PATH,
	CONFIG_BOOL,
	CONFIG_UINT,
	CONFIG_BYTES,
	CONFIG_RATE,
	CONFIG_DURATION,
	CONFIG_LIST,
	CONFIG_EACH, /* a list too, but an option gives one item, commas and all; command line alone */
};

struct config_list {
	const char **items; /* owned by the config */
	size_t n;
};

struct config_row {
	const char *name; /* "part.key" is nested in the file and --part-key on the command line */
	enum config_type type;
	size_t offset;    /* of the field in the settings struct */
	const char *def;  /* as text, parsed like input; NULL: unset (zero) */
	uint64_t min, max; /* for the numeric types; max 0 means unbounded (durations in us) */
	const char *arg;  /* what --help shows behind '=' */
	const char *help; /* one sentence, lower case, no full stop */
	bool once;        /* of one command, not a setting: stands in no file */
};

struct config; /* hidden: owns the strings */

/* Fills *settings from the defaults.  `rows` must stay. */
struct config *config_new(const struct config_row *rows, size_t n_rows, void *settings);
void config_free(struct config **);

/* Reads a YAML file over what is there.  ERR_SYNTAX, ERR_OUT_OF_RANGE, -errno;
 * the fault says file:line:column, what was found and what was expected. */
int config_read_file(struct config *, const char *path, struct fault *);

/* Reads YAML from memory; `name` stands for the file in messages. */
int config_read_text(struct config *, const char *name, const char *text, size_t n, struct fault *);

/* Before config_read_args: unless --config is given, what is there of /etc/ribera/NAME.yaml (sysconfdir) and ribera/NAME.yaml in
 * $XDG_CONFIG_HOME (else $HOME/.config) is read first, in this order, each with what is in its NAME.yaml.d.  `name` must stay. */
void config_look_for(struct config *, const char *name);

/* Takes the options out of argv: --name value, --name=value, --flag, --no-flag,
 * up to "--".  What is no option stays, in order, in argv[1..*argc-1].
 * --config FILE is read first, wherever it stands, then FILE.d/NAME.yaml in the
 * order of their names.  -t stands for --check, where there is such a row.  ERR_USAGE, whatever is wrong with them. */
int config_read_args(struct config *, int *argc, char **argv, struct fault *);

/* Of a fault that begins with the name of a setting ("listen \"x\": ...", "tls.cert and tls.key go together"): says
 * before it where in a file that setting stands.  For checks across settings, which come after the reading. */
void config_point(const struct config *, struct fault *);

/* Logs what differs: rows named in `live` (NULL at its end) as taken in, others as waiting for a restart. */
void config_log_changes(const char *where, const struct config_row *rows, size_t n_rows, const void *before, const void *after,
                        const char *const *live);

/* Prints as YAML what differs from `defaults` (of the same rows), each under its
 * help as a comment: a file that config_read_file takes in to the same settings. */
void config_print_changes(const struct config_row *, size_t n_rows, const void *settings, const void *defaults, FILE *);

void config_print_help(const struct config_row *, size_t n_rows, FILE *);
void config_print_sample(const struct config_row *, size_t n_rows, FILE *); /* commented YAML */

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The edge's settings: one table for file, command line, help and sample.
 */
#ifndef RIBERA_EDGE_SETTINGS_H
#define RIBERA_EDGE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/err.h"
#include "base/log.h"
#include "cdn/rates.h"
#include "cdn/window.h"

struct settings {
	const char *name, *origin, *token_file;
	const char *listen, *control, *public_url;
	const char *tls_cert, *tls_key, *ca_file;
	bool dev_cert;
	const char *url_keys;
	const char *store;
	uint64_t capacity, reserve, pull_share;
	const char *window_zone, *window_start;
	dur_us window_duration;
	const char *rates_text;
	uint64_t rate, parallel;
	uint64_t scrub_rate;
	dur_us scrub_every;
	dur_us heartbeat, demand;
	bool round_trips;
	uint64_t threads, max_connections, max_per_client, min_rate;
	dur_us grace, max_lag;
	const char *access_log, *log_level, *ports_file, *allow_origin;

	/* made of the above by settings_check */
	struct zone *zone;
	uint64_t zone_mark; /* which file it was read from */
	struct window window;
	struct rates rates; /* of rate and rates_text */
	enum log_level level;
	char *token; /* NULL: none */
};

extern const struct config_row settings_rows[];
extern const size_t settings_n_rows;

/* What a row alone cannot say: required values, the zone, the token.  Fills the
 * last part.  ERR_USAGE, ERR_NOT_FOUND, -errno. */
int settings_check(struct settings *, struct fault *);
void settings_fini(struct settings *);

/* Takes the window, the rates and their zone from `fresh`, which is left with the old zone. */
void settings_take_hours(struct settings *, struct settings *fresh);
/* Reads the zone again when its file was replaced (governments change rules, tzdata follows).  1: it was, and *ret_old
 * is the caller's to free once nobody uses it; 0: it was not; negative: the new file is no good and the old rules stay. */
int settings_renew_zone(struct settings *, struct zone **ret_old, struct fault *);

static inline bool settings_has_tls(const struct settings *s)
{
	return s->tls_cert != NULL || s->dev_cert;
}

#endif

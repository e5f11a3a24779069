/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The origin's settings: one table for --help, the file and the sample.
 */
#ifndef RIBERA_ORIGIN_SETTINGS_H
#define RIBERA_ORIGIN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/config.h"

struct settings {
	const char *library, *database, *www;
	const char *listen, *control, *public_url;
	const char *tls_cert, *tls_key;
	bool dev_cert, control_tls;
	const char *url_keys;
	dur_us url_life;
	const char *token_file, *access_log, *ports_file, *log_level;
	uint64_t threads, max_connections, max_per_client, min_rate, max_open_files, events_kept, upload_max;
	const char *masters_options;
	dur_us masters_again;
	dur_us probe, heartbeat, rescan, withdraw_grace, upload_life, grace, steering_ttl, slow_start, max_lag;
	const char *networks, *geo, *dns_zone;
	bool steering_learn;
	dur_us dns_ttl;
};

extern const struct config_row settings_rows[];
extern const size_t settings_n_rows;

/* What the types cannot say: a control listener beyond loopback needs a token,
 * a wildcard address a public_url, ...  ERR_USAGE, ERR_SYNTAX. */
int settings_check(const struct settings *, struct fault *);

/* "http://127.0.0.1:8080" for the address the viewers' listener is bound to; caller frees. */
char *settings_public_url(const struct settings *, uint16_t port);

static inline bool settings_has_tls(const struct settings *s)
{
	return s->tls_cert != NULL || s->dev_cert;
}

/* Is ADDR:PORT only reachable from this machine? */
bool settings_is_loopback(const char *address);

#endif

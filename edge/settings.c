/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of settings and the checks across rows.
 */
#include "edge/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define ROW(name, type, field, def, min, max, arg, help) \
	{name, type, offsetof(struct settings, field), def, min, max, arg, help, false}

const struct config_row settings_rows[] = {
	ROW("name", CONFIG_STRING, name, NULL, 0, 0, "NAME", "what this edge is called, unique at its origin"),
	ROW("origin", CONFIG_STRING, origin, NULL, 0, 0, "URL", "the origin's control listener"),
	ROW("token_file", CONFIG_PATH, token_file, NULL, 0, 0, "FILE", "file with the token for the origin"),
	ROW("ca_file", CONFIG_PATH, ca_file, NULL, 0, 0, "FILE", "certificates to trust instead of the system's"),
	ROW("listen", CONFIG_STRING, listen, "127.0.0.1:8090", 0, 0, "ADDR:PORT", "where viewers and peers connect"),
	ROW("control", CONFIG_STRING, control, NULL, 0, 0, "ADDR:PORT",
	    "second listener, for /healthz and /metrics from elsewhere than loopback"),
	ROW("public_url", CONFIG_STRING, public_url, NULL, 0, 0, "URL",
	    "how viewers and peers reach this edge; made from listen when that names an address"),
	ROW("tls.cert", CONFIG_PATH, tls_cert, NULL, 0, 0, "FILE", "certificate chain for viewers, PEM"),
	ROW("tls.key", CONFIG_PATH, tls_key, NULL, 0, 0, "FILE", "its private key, PEM"),
	ROW("dev_cert", CONFIG_BOOL, dev_cert, "no", 0, 0, NULL,
	    "serve over TLS with a certificate made here, to try things out; kept at tls.cert and tls.key when these are set"),
	ROW("url_keys", CONFIG_PATH, url_keys, NULL, 0, 0, "FILE",
	    "keys of signed URLs, the same as the origin's: films are served to signed URLs only"),
	ROW("allow_origin", CONFIG_STRING, allow_origin, "*", 0, 0, "ORIGIN", "web pages that may play from here (CORS)"),
	ROW("store", CONFIG_PATH, store, NULL, 0, 0, "DIR", "folder for packages, this edge's alone"),
	ROW("capacity", CONFIG_BYTES, capacity, "0", 0, 0, "SIZE", "bytes the store may take, 0 for all of the file system"),
	ROW("reserve", CONFIG_BYTES, reserve, "256MiB", 0, 0, "SIZE", "bytes of the file system that stay free"),
	ROW("pull_share", CONFIG_UINT, pull_share, "10", 0, 100, "PERCENT",
	    "part of the capacity for titles that were not planned but asked for"),
	ROW("window.zone", CONFIG_STRING, window_zone, "UTC", 0, 0, "ZONE", "time zone of the fill window, Europe/Vienna"),
	ROW("window.start", CONFIG_STRING, window_start, "00:00", 0, 0, "HH:MM", "local time at which the fill may begin"),
	ROW("window.duration", CONFIG_DURATION, window_duration, "24h", 0, 86400000000, "TIME",
	    "for how long, 24h for always, 0s for never"),
	ROW("rate", CONFIG_RATE, rate, "0", 0, 0, "RATE", "most bytes per second the fill takes, 0 for no cap"),
	ROW("rates", CONFIG_STRING, rates_text, NULL, 0, 0, "LIST",
	    "other rates by the hour, in the window's zone: 08:00-18:00 2MB, 18:00-23:00 500kB"),
	ROW("parallel", CONFIG_UINT, parallel, "4", 1, 32, "N", "pieces the fill fetches at once"),
	ROW("scrub.rate", CONFIG_RATE, scrub_rate, "8MiB", 0, 0, "RATE",
	    "bytes per second re-read and checked in the background, 0 for none"),
	ROW("scrub.every", CONFIG_DURATION, scrub_every, "24h", 0, 0, "TIME", "how often a check of everything begins"),
	ROW("heartbeat", CONFIG_DURATION, heartbeat, "2s", 100000, 3600000000, "TIME", "how often the origin hears from it"),
	ROW("demand", CONFIG_DURATION, demand, "1min", 100000, 3600000000, "TIME",
	    "how often the origin is told what was asked for"),
	ROW("round_trips", CONFIG_BOOL, round_trips, "yes", 0, 0, NULL,
	    "tell the origin how far viewers' networks (/24, /48, no addresses) are, so that it sends them to near edges"),
	ROW("threads", CONFIG_UINT, threads, "2", 1, 64, "N", "threads that serve viewers"),
	ROW("max_connections", CONFIG_UINT, max_connections, "100000", 1, 10000000, "N", "viewers' connections at most"),
	ROW("max_per_client", CONFIG_UINT, max_per_client, "0", 0, 0, "N",
	    "connections of one IPv4 address or IPv6 /64 at most; 0 is a tenth of max_connections and 100"),
	ROW("min_rate", CONFIG_RATE, min_rate, "500", 1, 0, "RATE", "a viewer who takes less over a minute is cut"),
	ROW("max_lag", CONFIG_DURATION, max_lag, "250ms", 0, DUR_MIN, "TIME",
	    "new viewers are sent away while a thread is later than this for a second; 0s is never"),
	ROW("grace", CONFIG_DURATION, grace, "5s", 0, 3600000000, "TIME", "what running replies get to finish at the end"),
	ROW("access_log", CONFIG_PATH, access_log, NULL, 0, 0, "FILE", "log of requests, - for standard output"),
	ROW("log_level", CONFIG_STRING, log_level, "info", 0, 0, "LEVEL", "error, warn, info, verbose or debug"),
	ROW("ports_file", CONFIG_PATH, ports_file, NULL, 0, 0, "FILE", "write the ports in use there, as JSON"),
};
const size_t settings_n_rows = sizeof settings_rows / sizeof settings_rows[0];

static int missing(struct fault *f, const char *option, const char *example)
{
	return fault_set(f, ERR_USAGE, _("%s is not set: give --%s %s or set it in the file"), option, option, example);
}

/* As libc looks for them: tzset(3). */
static char *zone_path(const struct settings *s)
{
	const char *folder = getenv("TZDIR");

	return mem_printf("%s/%s", folder != NULL && *folder != '\0' ? folder : "/usr/share/zoneinfo", s->window_zone);
}

/* Another file has another; 0: there is none. */
static uint64_t mark_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	return ((uint64_t)st.st_ino * 1000003 + (uint64_t)st.st_mtim.tv_sec) * 1000003 + (uint64_t)st.st_mtim.tv_nsec +
	       (uint64_t)st.st_size;
}

static int read_zone(struct settings *s, struct fault *f)
{
	char *path;
	struct buf b;
	int r;

	if (strcmp(s->window_zone, "UTC") == 0) {
		s->zone = zone_utc();
		return 0;
	}
	if (!zone_name_is_good(s->window_zone))
		return fault_set(f, ERR_USAGE, _("window.zone: found \"%s\", expected an IANA name such as Europe/Vienna"),
		                 s->window_zone);
	path = zone_path(s);
	s->zone_mark = mark_of(path);
	buf_init(&b, ZONE_MAX_BYTES);
	r = file_read(path, &b);
	if (r == -ENOENT || r == -EISDIR)
		r = fault_set(f, ERR_USAGE, _("window.zone: there is no zone \"%s\" (%s): is tzdata installed?"), s->window_zone,
		              path);
	else if (r != 0)
		r = fault_set(f, r, _("window.zone: cannot read %s: %s"), path, words_error(r));
	else
		r = zone_read(b.bytes, b.size, path, &s->zone, f);
	buf_fini(&b);
	free(path);
	return r;
}

static int read_token(struct settings *s, struct fault *f)
{
	struct buf b;
	size_t n;
	int r;

	if (s->token_file == NULL)
		return 0;
	buf_init(&b, 4096);
	r = file_read(s->token_file, &b);
	n = r == 0 ? strcspn(buf_text(&b), " \t\r\n") : 0;
	if (r != 0)
		fault_set(f, r, _("token_file: cannot read %s: %s"), s->token_file, words_error(r));
	else if (n == 0 || strspn(buf_text(&b) + n, " \t\r\n") != b.size - n)
		r = fault_set(f, ERR_SYNTAX, _("token_file: %s is not one token on one line"), s->token_file);
	else
		s->token = mem_dup_n(buf_text(&b), n);
	if (r == 0 && file_is_shared(s->token_file))
		log_warn("edge", "others can read or write the token file; chmod 600 \"%s\"", s->token_file);
	buf_fini(&b);
	return r;
}

static bool is_url(const char *s)
{
	return str_starts(s, "http://") || str_starts(s, "https://");
}

static int check_rows(struct settings *s, struct fault *f)
{
	if (s->name == NULL)
		return missing(f, "name", "edge-a");
	if (!str_is_name(s->name, strlen(s->name)))
		return fault_set(f, ERR_USAGE, _("name: found \"%s\", expected letters, digits, '.', '_' and '-'"), s->name);
	if (s->origin == NULL)
		return missing(f, "origin", "http://127.0.0.1:8081");
	if (!is_url(s->origin))
		return fault_set(f, ERR_USAGE, _("origin: found \"%s\", expected an http or https URL"), s->origin);
	if (s->public_url != NULL && !is_url(s->public_url))
		return fault_set(f, ERR_USAGE, _("public_url: found \"%s\", expected an http or https URL"), s->public_url);
	if (s->store == NULL)
		return missing(f, "store", "DIR");
	if ((s->tls_cert != NULL) != (s->tls_key != NULL))
		return fault_set(f, ERR_USAGE, _("tls.cert and tls.key go together: set both or none"));
	if (window_parse_start(s->window_start, &s->window.start) != 0)
		return fault_set(f, ERR_USAGE, _("window.start: found \"%s\", expected a time such as 02:00"), s->window_start);
	if (log_level_from_name(s->log_level, &s->level) != 0)
		return fault_set(f, ERR_USAGE, _("log_level: found \"%s\", expected error, warn, info, verbose or debug"),
		                 s->log_level);
	return 0;
}

int settings_check(struct settings *s, struct fault *f)
{
	struct fault why = {0};
	int r = check_rows(s, f);

	if (r == 0)
		r = read_zone(s, f);
	if (r == 0)
		r = read_token(s, f);
	s->rates.otherwise = s->rate;
	if (r == 0 && rates_parse(&s->rates, s->rates_text, s->zone, &why) != 0)
		r = fault_set(f, ERR_USAGE, _("rates: %s"), fault_text(&why));
	s->window.zone = s->zone;
	s->window.duration = s->window_duration;
	return r;
}

static void use_zone(struct settings *s, struct zone *zone)
{
	s->zone = zone;
	s->window.zone = zone;
	for (size_t i = 0; i < s->rates.n; i++)
		s->rates.hours[i].zone = zone;
}

void settings_take_hours(struct settings *s, struct settings *fresh)
{
	struct zone *old = s->zone;

	s->rate = fresh->rate;
	s->rates = fresh->rates;
	s->window = fresh->window;
	s->window_duration = fresh->window_duration;
	s->zone_mark = fresh->zone_mark;
	use_zone(s, fresh->zone);
	use_zone(fresh, old);
}

int settings_renew_zone(struct settings *s, struct zone **ret_old, struct fault *f)
{
	struct settings fresh = {.window_zone = s->window_zone};
	char *path = zone_path(s);
	uint64_t mark = mark_of(path);
	int r;

	free(path);
	if (mark == 0 || mark == s->zone_mark || strcmp(s->window_zone, "UTC") == 0)
		return 0; /* between two files, perhaps */
	r = read_zone(&fresh, f);
	s->zone_mark = mark;
	if (r != 0)
		return r;
	*ret_old = s->zone;
	use_zone(s, fresh.zone);
	return 1;
}

void settings_fini(struct settings *s)
{
	zone_free(&s->zone);
	free(s->token);
	s->token = NULL;
}

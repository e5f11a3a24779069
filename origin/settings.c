/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Settings.
 */
#include "origin/settings.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define ROW(name, type, field, def, min, max, arg, help) \
	{name, type, offsetof(struct settings, field), def, min, max, arg, help, false}

const struct config_row settings_rows[] = {
	ROW("library", CONFIG_PATH, library, NULL, 0, 0, "FOLDER", "where the title packages are; required"),
	ROW("listen", CONFIG_STRING, listen, "127.0.0.1:8080", 0, 0, "ADDR:PORT", "where viewers and edges get bytes"),
	ROW("control", CONFIG_STRING, control, "127.0.0.1:8081", 0, 0, "ADDR:PORT", "where the control API listens"),
	ROW("control_tls", CONFIG_BOOL, control_tls, "no", 0, 0, NULL,
	    "the control API over TLS too, with the certificate of tls.cert: for edges beyond a network of one's own"),
	ROW("public_url", CONFIG_STRING, public_url, NULL, 0, 0, "URL",
	    "how viewers and edges reach this origin; from listen when unset"),
	ROW("token_file", CONFIG_PATH, token_file, NULL, 0, 0, "FILE",
	    "tokens of the control API, one a line: TOKEN or ROLE TOKEN; needed beyond loopback"),
	ROW("database", CONFIG_PATH, database, NULL, 0, 0, "FILE",
	    "the catalogue; LIBRARY/.ribera/catalogue.sqlite when unset"),
	ROW("www", CONFIG_PATH, www, NULL, 0, 0, "FOLDER", "the web page's files; those installed when unset"),
	ROW("tls.cert", CONFIG_PATH, tls_cert, NULL, 0, 0, "FILE", "certificate chain (PEM): viewers are served over TLS"),
	ROW("tls.key", CONFIG_PATH, tls_key, NULL, 0, 0, "FILE", "its private key (PEM)"),
	ROW("dev_cert", CONFIG_BOOL, dev_cert, "no", 0, 0, NULL,
	    "serve over TLS with a certificate made here, to try things out; kept at tls.cert and tls.key when these are set"),
	ROW("url_keys", CONFIG_PATH, url_keys, NULL, 0, 0, "FILE",
	    "keys of signed URLs, \"NAME SECRET\" a line: films are served to signed URLs only; edges need the same file"),
	ROW("url_life", CONFIG_DURATION, url_life, "12h", DUR_S, 0, "TIME", "how long the signed URLs of the page are good"),
	ROW("threads", CONFIG_UINT, threads, "2", 1, 64, "N", "threads that serve viewers"),
	ROW("max_connections", CONFIG_UINT, max_connections, "100000", 1, 10000000, "N", "viewers' connections at most"),
	ROW("max_per_client", CONFIG_UINT, max_per_client, "0", 0, 0, "N",
	    "connections of one IPv4 address or IPv6 /64 at most; 0 is a tenth of max_connections and 100"),
	ROW("min_rate", CONFIG_RATE, min_rate, "500", 1, 0, "RATE", "a viewer who takes less over a minute is cut"),
	ROW("max_lag", CONFIG_DURATION, max_lag, "250ms", 0, DUR_MIN, "TIME",
	    "new viewers are sent away while a thread is later than this for a second; 0s is never"),
	ROW("max_open_files", CONFIG_UINT, max_open_files, "4096", 16, 1000000, "N", "library files kept open at most"),
	ROW("heartbeat", CONFIG_DURATION, heartbeat, "2s", 100 * DUR_MS, DUR_HOUR, "TIME",
	    "how often edges report; three missed reports make one down"),
	ROW("probe", CONFIG_DURATION, probe, "10s", 0, DUR_HOUR, "TIME",
	    "how often edges are asked at the address viewers get; one that was reached once and is silent twice gets no viewers; 0s is never"),
	ROW("steering.ttl", CONFIG_DURATION, steering_ttl, "30s", 0, DUR_HOUR, "TIME",
	    "how often running players ask where to go (content steering), whole seconds; 0s is never"),
	ROW("steering.slow_start", CONFIG_DURATION, slow_start, "1min", 0, DUR_HOUR, "TIME",
	    "how long an edge that comes back takes to get all its viewers again; 0s is at once"),
	ROW("steering.learn", CONFIG_BOOL, steering_learn, "yes", 0, 0, NULL,
	    "go by the round trips that edges measure of their viewers, by network, where networks says nothing"),
	ROW("networks", CONFIG_PATH, networks, NULL, 0, 0, "FILE",
	    "which edges are near which networks, lines NETWORK/LENGTH EDGE [MILLISECONDS]; as:N, country:XX and continent:XX stand for networks with geo"),
	ROW("geo", CONFIG_PATH, geo, NULL, 0, 0, "FILE",
	    "a file in MaxMind's format (.mmdb) that says in which country or autonomous system addresses are, for networks"),
	ROW("dns.zone", CONFIG_STRING, dns_zone, NULL, 0, 0, "NAME",
	    "answer PowerDNS's remote backend (http, /pdns on the control listener) for this zone"),
	ROW("dns.ttl", CONFIG_DURATION, dns_ttl, "30s", DUR_S, DUR_HOUR, "TIME", "how long such an answer is good"),
	ROW("events.kept", CONFIG_UINT, events_kept, "4096", 16, 1000000, "N",
	    "events kept in memory for listeners that come back or are slow"),
	ROW("rescan", CONFIG_DURATION, rescan, "1min", 100 * DUR_MS, 24 * DUR_HOUR, "TIME",
	    "how often the library is looked through even if the system reports no change"),
	ROW("upload.max", CONFIG_BYTES, upload_max, "200G", 1, 0, "BYTES", "what uploads may take of the disk, all together"),
	ROW("upload.life", CONFIG_DURATION, upload_life, "7d", DUR_S, 0, "TIME",
	    "an upload that gets no byte for so long is forgotten"),
	ROW("masters.options", CONFIG_STRING, masters_options, NULL, 0, 0, "OPTIONS",
	    "what ribera-ingest is given for uploaded masters beside the library, with spaces between"),
	ROW("masters.again", CONFIG_DURATION, masters_again, "1min", DUR_MS, DUR_HOUR, "TIME",
	    "between tries after a full disk or another run at the same title"),
	ROW("withdraw.grace", CONFIG_DURATION, withdraw_grace, "24h", 0, 0, "TIME",
	    "how long the bytes of withdrawn titles are kept, for viewers in the middle and second thoughts"),
	ROW("grace", CONFIG_DURATION, grace, "10s", 0, DUR_HOUR, "TIME", "what running replies get to finish at the end"),
	ROW("access_log", CONFIG_PATH, access_log, NULL, 0, 0, "FILE", "one line a request; - is standard output"),
	ROW("log_level", CONFIG_STRING, log_level, "info", 0, 0, "LEVEL", "error, warn, info, verbose or debug"),
	ROW("ports_file", CONFIG_PATH, ports_file, NULL, 0, 0, "FILE",
	    "written when ready: {\"viewers\": PORT, \"control\": PORT}"),
};
const size_t settings_n_rows = sizeof settings_rows / sizeof settings_rows[0];

/* The host of "host:port" without brackets; n is 0 when there is none. */
static const char *host_of(const char *address, size_t *ret_n)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon != NULL ? (size_t)(colon - address) : strlen(address);

	if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	*ret_n = n;
	return address;
}

static bool is_host(const char *address, const char *const *hosts)
{
	size_t n;
	const char *host = host_of(address, &n);

	for (; *hosts != NULL; hosts++)
		if (strlen(*hosts) == n && memcmp(*hosts, host, n) == 0)
			return true;
	return false;
}

bool settings_is_loopback(const char *address)
{
	static const char *const hosts[] = {"localhost", "::1", NULL};

	return str_starts(address, "127.") || is_host(address, hosts);
}

static bool is_wildcard(const char *address)
{
	static const char *const hosts[] = {"", "*", "0.0.0.0", "::", NULL};

	return is_host(address, hosts);
}

static bool is_base_url(const char *url)
{
	const char *host = str_starts(url, "http://") ? url + 7 : str_starts(url, "https://") ? url + 8 : "";

	return *host != '\0' && *host != '/' && strpbrk(url, "?#@ \"<>") == NULL;
}

/* Files that must be there at the start. */
static int check_files(const struct settings *s, struct fault *f)
{
	const struct {
		const char *name, *path;
	} files[] = {{"token_file", s->token_file}, {"tls.cert", s->dev_cert ? NULL : s->tls_cert}, {"tls.key", s->dev_cert ? NULL : s->tls_key},
	             {"url_keys", s->url_keys}, {"networks", s->networks}, {"geo", s->geo}};

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (files[i].path != NULL && !file_exists(files[i].path))
			return fault_set(f, ERR_USAGE, _("%s \"%s\": no such file"), files[i].name, files[i].path);
	return 0;
}

int settings_check(const struct settings *s, struct fault *f)
{
	enum log_level level;

	if (s->library == NULL)
		return fault_set(f, ERR_USAGE, _("no library: give --library FOLDER, or set it in the file"));
	if (log_level_from_name(s->log_level, &level) != 0)
		return fault_set(f, ERR_USAGE, _("log_level: found \"%s\", expected error, warn, info, verbose or debug"), s->log_level);
	if (!settings_is_loopback(s->control) && s->token_file == NULL)
		return fault_set(f, ERR_USAGE, _("control \"%s\" can be reached from other machines: set token_file, or listen on 127.0.0.1"),
		                 s->control);
	if (s->public_url == NULL && is_wildcard(s->listen))
		return fault_set(f, ERR_USAGE,
		                 _("listen \"%s\" names no host: set public_url to how viewers and edges reach this origin (http://HOST:PORT)"),
		                 s->listen);
	if (s->public_url != NULL && !is_base_url(s->public_url))
		return fault_set(f, ERR_USAGE, _("public_url: found \"%s\", expected http://HOST[:PORT][/PATH]"), s->public_url);
	if ((s->tls_cert == NULL) != (s->tls_key == NULL))
		return fault_set(f, ERR_USAGE, _("tls.cert and tls.key go together: set both or none"));
	if (s->control_tls && !settings_has_tls(s))
		return fault_set(f, ERR_USAGE, _("control_tls needs a certificate: set tls.cert and tls.key"));
	return check_files(s, f);
}

char *settings_public_url(const struct settings *s, uint16_t port)
{
	const char *colon = strrchr(s->listen, ':');
	size_t n;

	if (s->public_url == NULL)
		return mem_printf("%s://%.*s:%u", settings_has_tls(s) ? "https" : "http",
		                  colon != NULL ? (int)(colon - s->listen) : (int)strlen(s->listen), s->listen, port);
	n = strlen(s->public_url);
	while (n > 0 && s->public_url[n - 1] == '/')
		n--;
	return mem_dup_n(s->public_url, n);
}

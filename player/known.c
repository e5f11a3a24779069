/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * {"version": 1, "networks": [{"id": "6f1c...", "bps": 5100000, "seen": 1795000000}]}; whatever is not so is dropped.
 */
#include "player/known.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"

#define MAX_NETWORKS 32
#define MAX_FILE 65536
#define MAX_AGE (90 * 24 * DUR_HOUR)
#define NEW_SHARE 0.6
#define MIN_BPS 10000
#define MAX_BPS 100000000000

char *known_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state != NULL && state[0] == '/') /* the XDG specification: relative ones are ignored */
		return mem_printf("%s/ribera/networks.json", state);
	return home != NULL && home[0] == '/' ? mem_printf("%s/.local/state/ribera/networks.json", home) : NULL;
}

/* --- which network ---------------------------------------------------------------------------- */

static bool is_local(const char *url)
{
	const char *host = strstr(url, "://");

	if (host == NULL || strncmp(url, "file:", 5) == 0)
		return true;
	host += 3;
	return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 || strncmp(host, "[::1]", 5) == 0;
}

static FILE *open_at(const char *root, const char *name)
{
	char *path = mem_printf("%s/%s", root, name);
	FILE *f = fopen(path, "re");

	free(path);
	return f;
}

/* proc(5): Iface Destination Gateway Flags RefCnt Use Metric Mask, addresses as hexadecimal in memory order. */
static bool default_route4(const char *root, char interface[static 32], unsigned *ret_gateway)
{
	FILE *f = open_at(root, "proc/net/route");
	char line[256], name[32];
	unsigned destination, gateway, metric, mask, best = UINT32_MAX;
	bool found = false;

	if (f == NULL)
		return false;
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "%31s %x %x %*x %*u %*u %u %x", name, &destination, &gateway, &metric, &mask) == 5 &&
		    destination == 0 && mask == 0 && (!found || metric < best)) {
			found = true;
			best = metric;
			*ret_gateway = gateway;
			snprintf(interface, 32, "%s", name);
		}
	fclose(f);
	return found;
}

/* destination, its length, source, its length, next hop, metric, reference count, use, flags, interface */
static bool default_route6(const char *root, char interface[static 32], char gateway[static 33])
{
	FILE *f = open_at(root, "proc/net/ipv6_route");
	char line[256], name[32], hop[33];
	unsigned length;
	bool found = false;

	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "%*32s %x %*32s %*x %32s %*x %*x %*x %*x %31s", &length, hop, name) == 3 && length == 0 &&
		    strspn(hop, "0") < 32 && strcmp(name, "lo") != 0) {
			found = true;
			snprintf(interface, 32, "%s", name);
			snprintf(gateway, 33, "%s", hop);
		}
	fclose(f);
	return found;
}

/* IP address, type, flags, hardware address, mask, device */
static void hardware_of(const char *root, unsigned gateway, char ret[static 32])
{
	FILE *f = open_at(root, "proc/net/arp");
	char line[256], address[64], want[64], hardware[32];
	const uint8_t *b = (const uint8_t *)&gateway;

	ret[0] = '\0';
	snprintf(want, sizeof want, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "%63s %*s %*s %31s", address, hardware) == 2 && strcmp(address, want) == 0)
			snprintf(ret, 32, "%s", hardware);
	if (f != NULL)
		fclose(f);
}

void known_network(const char *root, const char *url, char ret_id[static KNOWN_ID_SIZE])
{
	char interface[32] = "", six[33] = "", hardware[32] = "", *text;
	unsigned four = 0;
	struct sha256 hash;
	char hex[SHA256_HEX_SIZE];

	if (is_local(url))
		snprintf(interface, sizeof interface, "this machine");
	else if (default_route4(root, interface, &four))
		hardware_of(root, four, hardware);
	else
		default_route6(root, interface, six);
	text = mem_printf("%s|%08x|%s|%s", interface, four, six, hardware);
	sha256_of(text, strlen(text), &hash);
	sha256_to_hex(&hash, hex);
	memcpy(ret_id, hex, KNOWN_ID_SIZE - 1);
	ret_id[KNOWN_ID_SIZE - 1] = '\0';
	free(text);
}

/* --- the file ----------------------------------------------------------------------------------- */

struct entry {
	char id[KNOWN_ID_SIZE];
	uint64_t bps;
	wall_us seen;
};

struct table {
	struct entry v[MAX_NETWORKS + 1];
	size_t n;
};

static void take_entry(struct table *t, const json_t *o, wall_us now)
{
	const char *id = json_string_value(json_object_get(o, "id"));
	json_int_t bps = json_integer_value(json_object_get(o, "bps")), seconds = json_integer_value(json_object_get(o, "seen"));
	wall_us seen = seconds > 0 && seconds < INT64_MAX / DUR_S ? seconds * DUR_S : 0;

	if (t->n >= MAX_NETWORKS || id == NULL || strlen(id) != KNOWN_ID_SIZE - 1 || bps < MIN_BPS || bps > MAX_BPS ||
	    seen > now + DUR_HOUR || now - seen > MAX_AGE)
		return;
	t->v[t->n] = (struct entry){.bps = (uint64_t)bps, .seen = seen};
	memcpy(t->v[t->n++].id, id, KNOWN_ID_SIZE);
}

static void read_table(const char *path, struct table *t, wall_us now)
{
	uint64_t size = 0;
	json_t *o = file_size(path, &size) == 0 && size <= MAX_FILE ? json_load_file(path, 0, NULL) : NULL;
	json_t *list = json_object_get(o, "networks"), *item;
	size_t i;

	t->n = 0;
	json_array_foreach(list, i, item)
		take_entry(t, item, now);
	json_decref(o);
}

static struct entry *find(struct table *t, const char *id)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].id, id) == 0)
			return &t->v[i];
	return NULL;
}

uint64_t known_rate(const char *path, const char *id, wall_us now)
{
	struct table t;
	struct entry *e;

	read_table(path, &t, now);
	e = find(&t, id);
	return e != NULL ? e->bps : 0;
}

static void put(struct table *t, const char *id, uint64_t bps, wall_us now)
{
	struct entry *e = find(t, id);

	if (e == NULL) {
		e = &t->v[t->n++];
		*e = (struct entry){.bps = bps};
		snprintf(e->id, sizeof e->id, "%s", id);
	}
	e->bps = (uint64_t)llround(exp(NEW_SHARE * log((double)bps) + (1 - NEW_SHARE) * log((double)e->bps)));
	e->seen = now;
	if (t->n > MAX_NETWORKS) {
		struct entry *oldest = &t->v[0];

		for (size_t i = 1; i < t->n; i++)
			if (t->v[i].seen < oldest->seen)
				oldest = &t->v[i];
		*oldest = t->v[--t->n];
	}
}

static int write_table(const char *path, const struct table *t)
{
	json_t *list = json_array(), *o = json_pack("{si so}", "version", 1, "networks", list);
	char *text;
	int r;

	for (size_t i = 0; i < t->n; i++)
		json_array_append_new(list, json_pack("{ss sI sI}", "id", t->v[i].id, "bps", (json_int_t)t->v[i].bps, "seen",
		                                      (json_int_t)(t->v[i].seen / DUR_S)));
	text = json_dumps(o, JSON_INDENT(1));
	r = text != NULL ? file_write_atomic(path, text, strlen(text), 0600) : -ENOMEM;
	free(text);
	json_decref(o);
	return r;
}

void known_store(const char *path, const char *id, uint64_t bps, wall_us now)
{
	char *folder = mem_dup_n(path, (size_t)(strrchr(path, '/') - path)), *lock = mem_printf("%s.lock", path);
	struct table t;
	int fd = -1, r = bps < MIN_BPS || bps > MAX_BPS ? 1 : folder_make(folder, 0700);

	if (r == 0)
		r = file_lock(lock, &fd);
	if (r == 0) {
		read_table(path, &t, now);
		put(&t, id, bps, now);
		r = write_table(path, &t);
	}
	if (r < 0 && r != ERR_LOCKED) /* locked: another session is telling the same */
		log_verbose("player/known", "what this network can is not kept path=%s error=\"%s\"", path, err_text(r));
	if (fd >= 0)
		close(fd);
	free(folder);
	free(lock);
}

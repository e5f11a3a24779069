/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the file says is not trusted: codes are two letters, or they are not there.
 */
#include "origin/geo.h"

#include <config.h>

#ifdef HAVE_MAXMIND

#include <arpa/inet.h>
#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"

struct geo {
	MMDB_s db;
};

int geo_open(const char *path, struct geo **ret_geo, struct fault *f)
{
	struct geo *g = mem_new(sizeof *g);
	int status = MMDB_open(path, MMDB_MODE_MMAP, &g->db), e = errno;

	if (status == MMDB_SUCCESS) {
		*ret_geo = g;
		return 0;
	}
	free(g);
	if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
		return fault_set(f, e != 0 ? -e : -EIO, _("geo: cannot read %s: %s"), path, e != 0 ? words_error(-e) : MMDB_strerror(status));
	return fault_set(f, ERR_SYNTAX, _("geo: %s is no MaxMind DB: %s"), path, MMDB_strerror(status));
}

void geo_free(struct geo **pg)
{
	if (*pg == NULL)
		return;
	MMDB_close(&(*pg)->db);
	free(*pg);
	*pg = NULL;
}

static bool parse(const char *address, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return true;
	}
	v6->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, address, &v6->sin6_addr) == 1;
}

static bool is_letter(char c)
{
	return c >= 'A' && c <= 'Z';
}

static void add_code(MMDB_entry_s *entry, const char *const *path, const char *kind, struct geo_place *place)
{
	MMDB_entry_data_s d;

	if (MMDB_aget_value(entry, &d, path) == MMDB_SUCCESS && d.has_data && d.type == MMDB_DATA_TYPE_UTF8_STRING && d.data_size == 2 &&
	    is_letter(d.utf8_string[0]) && is_letter(d.utf8_string[1]))
		snprintf(place->names[place->n++], sizeof place->names[0], "%s:%.2s", kind, d.utf8_string);
}

static void add_number(MMDB_entry_s *entry, struct geo_place *place)
{
	static const char *const path[] = {"autonomous_system_number", NULL};
	MMDB_entry_data_s d;

	if (MMDB_aget_value(entry, &d, path) == MMDB_SUCCESS && d.has_data && d.type == MMDB_DATA_TYPE_UINT32)
		snprintf(place->names[place->n++], sizeof place->names[0], "as:%u", d.uint32);
}

void geo_find(const struct geo *g, const char *address, struct geo_place *ret)
{
	static const char *const country[] = {"country", "iso_code", NULL}, *const continent[] = {"continent", "code", NULL};
	struct sockaddr_storage where;
	MMDB_lookup_result_s r;
	int e = MMDB_SUCCESS;

	ret->n = 0;
	if (g == NULL || !parse(address, &where))
		return;
	r = MMDB_lookup_sockaddr(&g->db, (struct sockaddr *)&where, &e);
	if (e != MMDB_SUCCESS || !r.found_entry)
		return;
	add_number(&r.entry, ret);
	add_code(&r.entry, country, "country", ret);
	add_code(&r.entry, continent, "continent", ret);
}

#else

int geo_open(const char *path, struct geo **ret_geo, struct fault *f)
{
	(void)ret_geo;
	return fault_set(f, ERR_USAGE, _("geo: %s cannot be used, this program was built without libmaxminddb"), path);
}

void geo_free(struct geo **pg)
{
	(void)pg;
}

void geo_find(const struct geo *g, const char *address, struct geo_place *ret)
{
	(void)g;
	(void)address;
	ret->n = 0;
}

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `ribera-admin steering explain`: what the origin would answer to one viewer, and why.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "origin/admin.h"

static bool is_address(const char *s)
{
	unsigned char bytes[16];

	return s != NULL && (inet_pton(AF_INET, s, bytes) == 1 || inet_pton(AF_INET6, s, bytes) == 1);
}

static bool is_name(const char *s)
{
	return s != NULL && str_is_name(s, strlen(s));
}

static void number_cell(struct admin_table *t, const json_t *v, double times, const char *unit)
{
	if (json_is_number(v))
		admin_table_cell(t, "%.0f%s", times * json_number_value(v), unit);
	else
		admin_table_cell(t, "-");
}

static void print(const json_t *o)
{
	static const char *const heads[] = {N_(">PLACE"), N_("EDGE"), N_(">DISTANCE"), N_(">LOAD"), N_(">SENT"), N_("WHY")};
	struct admin_table *t = admin_table_new(heads, sizeof heads / sizeof heads[0]);
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(o, "located"), i, e)
		printf("%s%s", i > 0 ? ", " : _("the viewer is in "), json_string_value(e));
	if (json_array_size(json_object_get(o, "located")) > 0)
		puts("\n");
	json_array_foreach(json_object_get(o, "edges"), i, e) {
		number_cell(t, json_object_get(e, "place"), 1, "");
		admin_table_cell(t, "%s", json_string_value(json_object_get(e, "name")));
		number_cell(t, json_object_get(e, "distance_ms"), 1, " ms");
		number_cell(t, json_object_get(e, "load"), 100, "%");
		number_cell(t, json_object_get(e, "sent"), 1, "");
		admin_table_cell(t, "%s", json_string_value(json_object_get(e, "why")));
	}
	admin_table_print(&t, stdout);
	if (!json_is_true(json_object_get(o, "network_known")))
		puts(_("\nNothing says which edges are near this address: it is in no line of the networks file."));
}

int admin_steering_explain(const struct admin *a, char **args, struct fault *f)
{
	char *path;
	json_t *o;
	int e;

	(void)args;
	if (!is_address(a->ip) || !is_name(a->title) || (a->current != NULL && !is_name(a->current)))
		return fault_set(f, ERR_USAGE, _("steering explain needs --ip ADDRESS and --title TITLE, and takes --current EDGE"));
	path = mem_printf("/api/v1/steering?ip=%s&title=%s%s%s", a->ip, a->title, a->current != NULL ? "&current=" : "",
	                  a->current != NULL ? a->current : "");
	e = admin_call(a, "GET", path, NULL, &o, f);
	free(path);
	if (e != 0)
		return e;
	if (a->json) {
		json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else {
		print(o);
	}
	json_decref(o);
	return 0;
}

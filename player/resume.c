/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One JSON object, {"URL": {"at": seconds, "when": seconds}}, replaced as a whole.
 */
#include "player/resume.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define MAX_TITLES 500

/* XDG Base Directory Specification */
static char *folder(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state != NULL && state[0] == '/')
		return mem_printf("%s/ribera", state);
	return home != NULL && home[0] == '/' ? mem_printf("%s/.local/state/ribera", home) : NULL;
}

static char *path(void)
{
	char *where = folder(), *p = where != NULL ? path_join(where, "positions.json") : NULL;

	free(where);
	return p;
}

static json_t *load(void)
{
	char *p = path();
	json_t *o = p != NULL ? json_load_file(p, 0, NULL) : NULL;

	free(p);
	if (json_is_object(o))
		return o;
	json_decref(o);
	return json_object();
}

dur_us resume_find(const char *url)
{
	json_t *o = load();
	double at = json_number_value(json_object_get(json_object_get(o, url), "at"));

	json_decref(o);
	return at > 0 && at < 1e9 ? (dur_us)(at * 1e6) : 0;
}

static void forget_oldest(json_t *o)
{
	const char *key, *oldest = NULL;
	json_t *v;
	double least = 0;

	json_object_foreach(o, key, v) {
		double when = json_number_value(json_object_get(v, "when"));

		if (oldest == NULL || when < least) {
			oldest = key;
			least = when;
		}
	}
	if (oldest != NULL)
		json_object_del(o, oldest);
}

void resume_store(const char *url, dur_us position)
{
	json_t *o = load();
	char *where = folder(), *p = path(), *text;
	int r = 0;

	if (position > 0)
		json_object_set_new(o, url, json_pack("{s:f, s:f}", "at", (double)position / 1e6, "when", (double)clock_wall() / 1e6));
	else
		json_object_del(o, url);
	while (json_object_size(o) > MAX_TITLES)
		forget_oldest(o);
	text = json_dumps(o, JSON_INDENT(1));
	if (p != NULL && text != NULL && (r = folder_make(where, 0700)) == 0)
		r = file_write_atomic(p, text, strlen(text), 0600);
	if (r < 0)
		log_warn("player/resume", "where this title was left cannot be kept path=\"%s\" reason=\"%s\"", p, err_text(r));
	free(text);
	free(where);
	free(p);
	json_decref(o);
}

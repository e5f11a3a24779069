/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A note is written beside and renamed over the old one: a reader finds the one
 * or the other, never a part.
 */
#include "origin/note.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

int note_save(const char *path, json_t *o, const char *what, struct fault *f)
{
	char *text = json_dumps(o, JSON_COMPACT);
	int e = text != NULL ? file_write_atomic(path, text, strlen(text), 0600) : -ENOMEM;

	if (e != 0)
		fault_set(f, e, "%s \"%s\": %s", what, path, err_text(e));
	json_decref(o);
	free(text);
	return e;
}

json_t *note_load(const char *path)
{
	json_t *o = NULL;
	struct buf b;

	buf_init(&b, NOTE_MAX);
	if (file_read(path, &b) == 0)
		o = json_loadb((const char *)b.bytes, b.size, 0, NULL);
	buf_fini(&b);
	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

char *note_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? mem_dup(s) : NULL;
}

bool note_hash(const json_t *o, const char *key, struct sha256 *ret_hash)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL && sha256_from_hex(s, strlen(s), ret_hash) == 0;
}

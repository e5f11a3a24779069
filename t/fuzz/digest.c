/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Metainfo: a digest that is read agrees with itself.
 */
#include <stdint.h>
#include <string.h>

#include "base/must.h"
#include "base/str.h"
#include "dash/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct digest *d;

	if (digest_read(data, n, &d, NULL) < 0)
		return 0;
	for (size_t i = 0; i < d->n_files; i++) {
		const struct digest_file *file = &d->files[i];

		MUST(str_is_name(file->name, strlen(file->name)));
		MUST(digest_find(d, file->name, strlen(file->name)) == (int)i);
		MUST(file->n_pieces == (file->size + DIGEST_PIECE - 1) / DIGEST_PIECE);
	}
	digest_free(&d);
	return 0;
}

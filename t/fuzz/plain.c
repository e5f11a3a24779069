/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs a fuzz target over files and folders of files, without libFuzzer: how the
 * corpora are replayed by the tests, with whatever compiler and sanitizers the
 * build has.  Each input stands in memory of its own size, so that a byte too far
 * is seen by them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#define INPUT_MAX ((size_t)16 << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
#pragma weak LLVMFuzzerInitialize

static size_t n_run;

static int run_file(const char *path)
{
	struct buf b;
	uint8_t *exact;
	int e;

	buf_init(&b, INPUT_MAX);
	e = file_read(path, &b);
	if (e != 0) {
		fprintf(stderr, "%s: %s\n", path, err_text(e));
		buf_fini(&b);
		return e;
	}
	exact = malloc(b.size > 0 ? b.size : 1);
	if (b.size > 0)
		memcpy(exact, b.bytes, b.size);
	fprintf(stderr, "# %s\n", path); /* the last one before a crash is the one */
	LLVMFuzzerTestOneInput(exact, b.size);
	n_run++;
	free(exact);
	buf_fini(&b);
	return 0;
}

static int run_in(void *ctx, const char *name)
{
	char *path = path_join(ctx, name);
	int e = run_file(path);

	free(path);
	return e;
}

int main(int argc, char **argv)
{
	int e = 0;

	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; e == 0 && i < argc; i++)
		e = file_is_folder(argv[i]) ? folder_list(argv[i], run_in, argv[i]) : run_file(argv[i]);
	printf("%zu inputs\n", n_run);
	return e != 0 || n_run == 0;
}

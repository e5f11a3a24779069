/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs a fuzz target over files and folders of files, without libFuzzer: how the
 * corpora are replayed by the tests, with whatever compiler and sanitizers the
 * build has.  Behind each input lies a page that must not be touched, so that a byte
 * too far ends the program without sanitizers too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/must.h"

#define INPUT_MAX ((size_t)16 << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
#pragma weak LLVMFuzzerInitialize

static size_t n_run;

static void run_guarded(const uint8_t *bytes, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page) / page * page;
	uint8_t *all = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(all != MAP_FAILED && mprotect(all + room, page, PROT_NONE) == 0);
	if (n > 0)
		memcpy(all + room - n, bytes, n);
	LLVMFuzzerTestOneInput(all + room - n, n);
	munmap(all, room + page);
}

static int run_file(const char *path)
{
	struct buf b;
	int e;

	buf_init(&b, INPUT_MAX);
	e = file_read(path, &b);
	if (e != 0) {
		fprintf(stderr, "%s: %s\n", path, err_text(e));
		buf_fini(&b);
		return e;
	}
	fprintf(stderr, "# %s\n", path); /* the last one before a crash is the one */
	run_guarded(b.bytes, b.size);
	n_run++;
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

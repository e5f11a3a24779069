/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the plans that were take in a catalogue, and how long it takes to keep one and to read an edge's sixty days.
 * Every edge holds a choice of its own of the library, six files a title; each night it changes CHANGED per mille of it.
 *
 *   make t/bench/history && t/bench/history [EDGES [HELD-TITLES [CHANGED]]]     (100 1000 20)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "origin/catalogue.h"

#define DAYS 60
#define FILES 6

static const char *const names[FILES] = {"video-1080p-5800k.mp4", "video-720p-3000k.mp4", "video-540p-1600k.mp4",
                                         "video-360p-800k.mp4", "video-270p-400k.mp4", "audio-en-stereo-128k.mp4"};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * UINT64_C(0x9e3779b97f4a7c15);
	return x ^ (x >> 29);
}

/* Place i of what an edge holds is another title each time its turn to change has come. */
static uint64_t title_of(int edge, int i, int day, int changed)
{
	int turn = (int)(mix((uint64_t)i + 1) % 1000), past = day * changed + (edge * 37) % 1000;

	return mix((uint64_t)edge << 40 | (uint64_t)i << 20 | (uint64_t)((past + turn) / 1000 + 1));
}

static char *held(int edge, int titles, int day, int changed)
{
	struct buf b;
	char *text;

	buf_init(&b, SIZE_MAX);
	for (int i = 0; i < titles; i++) {
		uint64_t t = title_of(edge, i, day, changed);

		buf_printf(&b, "%s\"title-%06u/%016llx%04x\":{", i == 0 ? "{" : ",", (unsigned)(t % 100000), (unsigned long long)t, i & 0xffff);
		for (int k = 0; k < FILES; k++)
			buf_printf(&b, "%s\"%s\":%llu", k == 0 ? "" : ",", names[k], (unsigned long long)(mix(t + (unsigned)k) % 4000000000u >> k));
		buf_puts(&b, "}");
	}
	buf_puts(&b, "}");
	text = buf_take(&b);
	return text;
}

static double put(struct catalogue *c, const char *edge, int day, const char *files)
{
	char hex[SHA256_HEX_SIZE];
	struct sha256 h;
	struct fault f = {0};
	mono_us begin = clock_mono();

	sha256_of(files, strlen(files), &h);
	sha256_to_hex(&h, hex);
	hex[32] = '\0';
	if (catalogue_put_plan(c, edge, &(struct catalogue_plan){day, day, hex, "{}", hex, files}, &f) != 0) {
		fprintf(stderr, "%s\n", fault_text(&f));
		exit(1);
	}
	return (double)(clock_mono() - begin) / 1e3;
}

static void count(void *ctx, const struct catalogue_plan *p)
{
	*(size_t *)ctx += strlen(p->files);
}

int main(int argc, char **argv)
{
	int edges = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100, titles = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1000;
	int changed = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 20;
	char folder[] = "/tmp/ribera-bench-XXXXXX", name[16], *path;
	double spent = 0, worst = 0, ms;
	size_t texts = 0, read = 0;
	struct catalogue *c;
	struct stat st;
	mono_us begin;

	if (mkdtemp(folder) == NULL || catalogue_new(path = path_join(folder, "catalogue.sqlite"), &c, NULL) != 0)
		return 1;
	for (int day = 0; day < DAYS; day++)
		for (int e = 0; e < edges; e++) {
			char *files = held(e, titles, day, changed);

			snprintf(name, sizeof name, "edge-%d", e);
			ms = put(c, name, day, files);
			spent += ms;
			worst = ms > worst ? ms : worst;
			texts += strlen(files);
			free(files);
		}
	begin = clock_mono();
	if (catalogue_each_plan(c, "edge-0", 0, DAYS, count, &read, NULL) != 0)
		return 1;
	ms = (double)(clock_mono() - begin) / 1e3;
	catalogue_free(&c);
	if (stat(path, &st) != 0)
		return 1;
	printf("%d edges that hold %d titles, %d per mille of them new each night, %d days: %.1f MB of texts are %.1f MB of catalogue\n", edges,
	       titles, changed, DAYS, (double)texts / 1e6, (double)st.st_size / 1e6);
	printf("%.1f kB a plan; to keep one %.2f ms, the longest %.1f; to read an edge's %d days %.1f ms\n",
	       (double)st.st_size / 1e3 / DAYS / edges, spent / DAYS / edges, worst, DAYS, ms);
	free(path);
	return folder_remove(folder) != 0;
}

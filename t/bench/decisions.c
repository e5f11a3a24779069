/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How fast the network decides, on one core: plans of sites, and steering.
 *
 *   make t/bench/decisions && t/bench/decisions
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cdn/site.h"
#include "cdn/steer.h"

#define FILES 100000
#define EDGES 1000
#define PER_SITE 4
#define CLIENTS 10000
#define STEERED 100

static double seconds_since(mono_us start)
{
	return (double)(clock_mono() - start) / (double)DUR_S;
}

static void plan_sites(void)
{
	struct site_item *items = mem_new_array(FILES, sizeof *items);
	struct site_copy *copies = mem_new_array((size_t)FILES * PER_SITE, sizeof *copies);
	mono_us start = clock_mono();
	double one = 0;
	size_t n = 0;
	uint64_t total = 0;
	struct rusage usage;
	char name[32];

	for (uint32_t i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "title-%u/video", i);
		items[i] = (struct site_item){.key = site_key(name), .bytes = 500000000 + i * 7919u % 4000000000u};
		total += items[i].bytes;
	}
	for (unsigned s = 0; s < EDGES / PER_SITE; s++) {
		struct site_edge edges[PER_SITE];
		mono_us began = clock_mono();

		for (unsigned k = 0; k < PER_SITE; k++) {
			snprintf(name, sizeof name, "edge-%u-%u", s, k);
			edges[k] = (struct site_edge){site_key(name), total / 20};
		}
		for (uint32_t i = 0; i < FILES; i++) /* another taste at every site */
			items[i].plays = 1e6 / (1 + (i * 2654435761u + s * 40503u) % FILES);
		n += site_plan(items, FILES, edges, PER_SITE, copies);
		one = seconds_since(began) > one ? seconds_since(began) : one;
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("plan: %d files, %d edges in sites of %d: %.1f s, the slowest site %.3f s, %zu copies, %.0f MB of memory\n", FILES, EDGES,
	       PER_SITE, seconds_since(start), one, n, (double)usage.ru_maxrss / 1000);
	free(items);
	free(copies);
}

static void steer(void)
{
	static struct steer_edge edges[STEERED];
	static char names[STEERED][16];
	static unsigned viewers[STEERED];
	uint64_t *keys = mem_new_array(CLIENTS, sizeof *keys);
	unsigned rounds = 0, most = 0;
	size_t order[4];
	mono_us start;
	double taken;

	for (unsigned i = 0; i < STEERED; i++) {
		snprintf(names[i], sizeof names[i], "edge-%u", i);
		edges[i] = (struct steer_edge){.name = names[i], .up = true, .holds = true};
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		char address[32];

		snprintf(address, sizeof address, "10.%u.%u.%u", i / 65536, i / 256 % 256, i % 256);
		keys[i] = steer_client_key(address);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		steer_order(keys[i], edges, STEERED, 4, order);
		edges[order[0]].load = ++viewers[order[0]] / (2.0 * CLIENTS / STEERED);
		most = viewers[order[0]] > most ? viewers[order[0]] : most;
	}
	start = clock_mono();
	do {
		for (unsigned i = 0; i < CLIENTS; i++)
			steer_order(keys[i], edges, STEERED, 4, order);
		rounds++;
	} while (seconds_since(start) < 1);
	taken = seconds_since(start);
	printf("steer: %d viewers, %d edges: %.0f decisions a second, the busiest edge has %.2f of its share\n", CLIENTS, STEERED,
	       rounds * (double)CLIENTS / taken, (double)most * STEERED / CLIENTS);
	free(keys);
}

int main(void)
{
	plan_sites();
	steer();
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How far apart two cores are: nanoseconds that a cache line takes from core 0 to core 1 and back, each of some turns.
 *
 *   cores TURNS
 *
 * Of what a reply over loopback costs half and more is lines that change hands between the server's core and the client's, so
 * the same program takes twice as much where the two are on different dies, and machines in the cloud may change that from
 * one second to the next.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRIPS 50000

static _Alignas(128) atomic_int line;

static void stay_on(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0) {
		perror("cores: sched_setaffinity");
		exit(1);
	}
}

static void *send_back(void *arg)
{
	stay_on(1);
	for (;;) {
		while (atomic_load_explicit(&line, memory_order_acquire) != 1)
			;
		atomic_store_explicit(&line, 0, memory_order_release);
	}
	return arg;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	pthread_t other;

	if (argc != 2 || pthread_create(&other, NULL, send_back, NULL) != 0) {
		fputs("usage: cores TURNS\n", stderr);
		return 2;
	}
	stay_on(0);
	for (int turn = atoi(argv[1]); turn > 0; turn--) {
		double begun = now();

		for (int i = 0; i < TRIPS; i++) {
			atomic_store_explicit(&line, 1, memory_order_release);
			while (atomic_load_explicit(&line, memory_order_acquire) != 0)
				;
		}
		printf("%.0f\n", (now() - begun) / TRIPS);
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names to test with, to be preloaded (LD_PRELOAD): all that end in .test are this machine, until they are gone; two.test
 * has 127.0.0.2 as its second address.
 *
 *   NAMES_GONE  a file that may not be there: all is well; empty: no name resolves (EAI_AGAIN); with "silent" in it: who
 *               asks waits until the file says so no more; with an IPv4 address: that is the one; with anything else: it takes 5 s, as with a
 *               server that does not answer.
 * Addresses resolve always.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the file says; "" when it is empty or not there. */
static void read_text(const char *gone, char *ret, int size)
{
	FILE *f = fopen(gone, "r");

	ret[0] = '\0';
	if (f != NULL && fgets(ret, size, f) == NULL)
		ret[0] = '\0';
	if (f != NULL)
		fclose(f);
}

static struct addrinfo **last(struct addrinfo **list)
{
	while (*list != NULL)
		list = &(*list)->ai_next;
	return list;
}

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	__typeof__(getaddrinfo) *real = (__typeof__(getaddrinfo) *)dlsym(RTLD_NEXT, "getaddrinfo");
	const char *gone = getenv("NAMES_GONE"), *dot = name != NULL ? strrchr(name, '.') : NULL;
	char text[40];
	struct stat st;
	int r;

	if (gone == NULL)
		abort(); /* a test in which no name can go would prove nothing */
	if (dot == NULL || strcmp(dot, ".test") != 0)
		return real(name, service, hints, ret);
	if (stat(gone, &st) != 0) {
		r = real("127.0.0.1", service, hints, ret);
		return r != 0 || strcmp(name, "two.test") != 0 ? r : real("127.0.0.2", service, hints, last(ret));
	}
	for (read_text(gone, text, sizeof text); strcmp(text, "silent") == 0; read_text(gone, text, sizeof text))
		usleep(10000);
	if (text[0] >= '0' && text[0] <= '9')
		return real(text, service, hints, ret);
	if (text[0] != '\0')
		sleep(5);
	return EAI_AGAIN;
}

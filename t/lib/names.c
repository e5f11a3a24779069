/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names to test with, to be preloaded (LD_PRELOAD): all that end in .test are this machine, until they are gone.
 *
 *   NAMES_GONE  a file that may not be there: all is well; empty: no name resolves (EAI_AGAIN); with something in it:
 *               that takes 5 s as well, as with a server that does not answer.
 * Addresses resolve always.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	__typeof__(getaddrinfo) *real = (__typeof__(getaddrinfo) *)dlsym(RTLD_NEXT, "getaddrinfo");
	const char *gone = getenv("NAMES_GONE"), *dot = name != NULL ? strrchr(name, '.') : NULL;
	struct stat st;

	if (gone == NULL)
		abort(); /* a test in which no name can go would prove nothing */
	if (dot == NULL || strcmp(dot, ".test") != 0)
		return real(name, service, hints, ret);
	if (stat(gone, &st) != 0)
		return real("127.0.0.1", service, hints, ret);
	if (st.st_size > 0)
		sleep(5);
	return EAI_AGAIN;
}

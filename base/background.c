/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * On Linux a nice value is a thread's own (setpriority(2), "C library/kernel differences").
 */
#include "base/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE 10

void background_thread(void)
{
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
}

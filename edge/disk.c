/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: `error` goes from 0 to a code by disk_failed alone, and back by a
 * probe that wrote, synced and removed a file.
 */
#include "edge/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define WHERE "edge/disk"
#define PROBE_BYTES 65536
#define PAUSE_MIN DUR_S
#define PAUSE_MAX (30 * DUR_S)
#define RELAPSE DUR_MIN

static bool is_of_the_disk(int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
	case -EROFS:
	case -EIO:
	case -EFBIG:
	case -EACCES:
	case -EPERM:
	case -ENODEV:
	case -ENXIO:
	case -ESTALE:
	case ERR_DATABASE:
		return true;
	default:
		return false;
	}
}

void disk_failed(struct disk *d, int error, const char *what)
{
	int none = 0;

	if (!is_of_the_disk(error))
		return;
	__atomic_add_fetch(&d->failures, 1, __ATOMIC_RELAXED);
	if (__atomic_compare_exchange_n(&d->error, &none, error, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		log_error(WHERE, "the disk does not take what is written, from now on what is here is served and nothing "
		          "taken in: %s: %s", what, err_text(error));
}

bool disk_reads_only(const struct disk *d)
{
	return __atomic_load_n(&d->error, __ATOMIC_ACQUIRE) != 0;
}

const char *disk_trouble(const struct disk *d)
{
	switch (__atomic_load_n(&d->error, __ATOMIC_ACQUIRE)) {
	case 0:
		return NULL;
	case -ENOSPC:
	case -EDQUOT:
		return "read-only: the disk is full";
	case -EROFS:
		return "read-only: the file system takes no writes";
	case ERR_DATABASE:
		return "read-only: the journal cannot be written";
	default:
		return "read-only: the disk does not take what is written";
	}
}

uint64_t disk_failures(const struct disk *d)
{
	return __atomic_load_n(&d->failures, __ATOMIC_RELAXED);
}

static int try_to_write(const char *folder)
{
	char *path = path_join(folder, "probe");
	void *bytes = mem_new(PROBE_BYTES);
	int r = file_write_atomic(path, bytes, PROBE_BYTES, 0600);

	if (unlink(path) < 0 && r == 0)
		r = -errno;
	free(bytes);
	free(path);
	return r;
}

static dur_us next_pause(struct disk *d, mono_us now)
{
	bool relapsed = d->recovered != 0 && now - d->recovered < RELAPSE;
	dur_us pause = d->pause > 0 && (relapsed || d->next_probe != 0) ? 2 * d->pause : PAUSE_MIN;

	return pause < PAUSE_MAX ? pause : PAUSE_MAX;
}

bool disk_probe(struct disk *d, const char *folder, mono_us now, mono_us *wake)
{
	if (!disk_reads_only(d))
		return false;
	if (d->next_probe != 0 && d->next_probe <= now && try_to_write(folder) == 0) {
		d->next_probe = 0;
		d->recovered = now;
		__atomic_store_n(&d->error, 0, __ATOMIC_RELEASE);
		log_info(WHERE, "the disk takes writes again");
		return true;
	}
	if (d->next_probe <= now) { /* the first look only notes the time */
		d->pause = next_pause(d, now);
		d->next_probe = now + d->pause;
	}
	if (d->next_probe < *wake)
		*wake = d->next_probe;
	return false;
}

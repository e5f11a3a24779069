/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What this process takes of its machine, as every Prometheus client names it
 * (process_*), and what it was built as.
 */
#ifndef RIBERA_BASE_PROCESS_H
#define RIBERA_BASE_PROCESS_H

struct buf;

/* Appends the families in the Prometheus text format 0.0.4; `program` and `version` are labels of ribera_build_info.
 * What /proc does not tell is left out.  Any thread. */
void process_write_metrics(const char *program, const char *version, struct buf *out);

#endif

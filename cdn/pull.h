/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What caches do without a plan: five well-known rules that keep what was asked
 * for.  They are what a plan must beat; `ribera-admin simulate` runs them beside
 * it.  Metadata only, whole items.  Pure; the owner's thread.
 *
 *   LRU        the longest unused goes
 *   LFU-DA     the least used goes; who stays ages (Arlitt et al. 2000)
 *   S3-FIFO    a small queue filters what is asked for once (Yang et al., SOSP 2023)
 *   SIEVE      one queue and a hand that passes over what was used (Zhang et al., NSDI 2024)
 *   W-TinyLFU  a window, then only who was asked for more often than who would go (Einziger et al. 2017)
 */
#ifndef RIBERA_CDN_PULL_H
#define RIBERA_CDN_PULL_H

#include <stdbool.h>
#include <stdint.h>

enum pull_rule { PULL_LRU, PULL_LFUDA, PULL_S3FIFO, PULL_SIEVE, PULL_TINYLFU, N_PULL };

const char *pull_name(enum pull_rule);

struct pull; /* hidden */

struct pull *pull_new(enum pull_rule, uint64_t capacity);
void pull_free(struct pull **);
/* One request for a whole item: true when it was there.  Afterwards it is,
 * unless the rule refused it or it is larger than the store. */
bool pull_ask(struct pull *, uint32_t item, uint64_t bytes);
bool pull_has(const struct pull *, uint32_t item);
uint64_t pull_written(const struct pull *); /* bytes taken in so far */

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Read-copy-update in small: readers look at shared immutable data without a
 * lock and without writing to a shared cache line; a writer publishes a new
 * version, waits until nobody can still see the old one, and frees it.
 *
 *   reader                                writer (one at a time per pointer)
 *     rcu_read_begin();                     old = RCU_SWAP(&shared, fresh);
 *     p = RCU_LOAD(&shared);                rcu_synchronize();
 *     ... take what is needed ...           free(old);
 *     rcu_read_end();
 *
 * A read section must be short, must not block and must not nest.
 * rcu_synchronize is not called from inside one.
 */
#ifndef RIBERA_BASE_RCU_H
#define RIBERA_BASE_RCU_H

#define RCU_LOAD(where) __atomic_load_n((where), __ATOMIC_SEQ_CST)
#define RCU_STORE(where, value) __atomic_store_n((where), (value), __ATOMIC_SEQ_CST)
#define RCU_SWAP(where, value) __atomic_exchange_n((where), (value), __ATOMIC_SEQ_CST)

void rcu_read_begin(void); /* any thread */
void rcu_read_end(void);

/* Returns when every read section that was open at the call has ended: some
 * microseconds.  Any thread. */
void rcu_synchronize(void);

#endif

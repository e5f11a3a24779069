/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * After a pause two looks in a row must have found bytes; but a line on which that
 * does not happen for so long is slow.
 */
#include "player/flow.h"

#define IN_ROW 2
#define LONGEST (2 * DUR_S)

void flow_begin(struct flow *f, mono_us now)
{
	*f = (struct flow){.in_row = IN_ROW, .steady = now};
}

bool flow_tells(struct flow *f, uint64_t got, mono_us now)
{
	f->in_row = got == f->got ? 0 : f->in_row + 1;
	f->got = got;
	if (f->in_row >= IN_ROW)
		f->steady = now;
	return f->in_row >= IN_ROW || now - f->steady > LONGEST;
}

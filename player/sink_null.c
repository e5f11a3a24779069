/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sink that shows nothing: frames are consumed by the clock as a window would.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "player/sink.h"

static void show(struct sink *s, const struct AVFrame *frame)
{
}

static struct command poll_events(struct sink *s)
{
	return (struct command){CMD_NOTHING, 0};
}

static void sink_free(struct sink *s)
{
	free(s);
}

struct sink *sink_null_new(void)
{
	struct sink *s = mem_new(sizeof *s);

	*s = (struct sink){.show = show, .preview = show, .poll = poll_events, .free = sink_free};
	return s;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Freeing what travels through the queues.
 */
#include "player/media.h"

#include <libavutil/frame.h>
#include <stdlib.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/must.h"
#include "player/feed.h"

struct media_segment *media_segment_copy(const struct media_segment *s)
{
	struct media_segment *copy = mem_new(sizeof *copy);

	MUST(s->feed == NULL);
	*copy = *s;
	copy->init = s->init != NULL ? blob_ref(s->init) : NULL;
	copy->body = s->body != NULL ? blob_ref(s->body) : NULL;
	return copy;
}

void media_segment_free(struct media_segment **s)
{
	if (*s != NULL) {
		blob_unref(&(*s)->init);
		blob_unref(&(*s)->body);
		feed_unref(&(*s)->feed);
	}
	free(*s);
	*s = NULL;
}

void media_frame_free(struct media_frame **f)
{
	if (*f != NULL)
		av_frame_free(&(*f)->av);
	free(*f);
	*f = NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Freeing what travels through the queues.
 */
#include "player/media.h"

#include <libavutil/frame.h>
#include <stdlib.h>

#include "base/blob.h"
#include "player/feed.h"

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

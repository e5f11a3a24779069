/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Events out of what has changed between two looks at a part.
 */
#ifndef RIBERA_ORIGIN_NEWS_H
#define RIBERA_ORIGIN_NEWS_H

struct events;
struct library_view;

/* Titles and revisions that came and went; `old` NULL says nothing. */
void news_of_library(struct events *, const struct library_view *old, const struct library_view *now);

/* A part's problem ("" for none) as it is now; `said` (256 bytes) is what was said of it last. */
void news_of_problem(struct events *, const char *part, const char *problem, char said[static 256]);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Comparing views: both are sorted, so one walk finds everything.
 */
#include "origin/news.h"

#include <stdio.h>
#include <string.h>

#include "origin/events.h"
#include "origin/library.h"

static void say_published(struct events *e, const struct revision *r)
{
	events_say(e, EVENT_TITLE_PUBLISHED, json_pack("{s:s, s:s, s:s, s:I}", "title", r->title, "name", r->name, "revision",
	                                               r->revision, "bytes", (json_int_t)r->bytes));
}

static bool has(const struct library_title *t, const struct revision *r)
{
	for (size_t i = 0; i < t->n_revisions; i++)
		if (strcmp(t->revisions[i]->revision, r->revision) == 0)
			return true;
	return false;
}

static void compare(struct events *e, const struct library_title *old, const struct library_title *now)
{
	for (size_t i = 0; i < old->n_revisions; i++)
		if (!has(now, old->revisions[i]))
			events_say(e, EVENT_REVISION_GONE, json_pack("{s:s, s:s}", "title", old->name, "revision",
			                                             old->revisions[i]->revision));
	if (strcmp(old->revisions[0]->revision, now->revisions[0]->revision) != 0)
		say_published(e, now->revisions[0]);
}

void news_of_library(struct events *e, const struct library_view *old, const struct library_view *now)
{
	size_t i = 0, j = 0;

	if (old == NULL)
		return;
	while (i < old->n_titles || j < now->n_titles) {
		int order = i == old->n_titles ? 1 : j == now->n_titles ? -1 : strcmp(old->titles[i].name, now->titles[j].name);

		if (order < 0)
			events_say(e, EVENT_TITLE_WITHDRAWN, json_pack("{s:s}", "title", old->titles[i++].name));
		else if (order > 0)
			say_published(e, now->titles[j++].revisions[0]);
		else
			compare(e, &old->titles[i++], &now->titles[j++]);
	}
}

void news_of_problem(struct events *e, const char *part, const char *problem, char said[static 256])
{
	if (strcmp(problem, said) == 0)
		return;
	snprintf(said, 256, "%s", problem);
	events_say(e, EVENT_STATE, json_pack("{s:s, s:b, s:s}", "part", part, "ok", (int)(problem[0] == '\0'), "detail", problem));
}

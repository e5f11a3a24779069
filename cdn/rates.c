/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every item is a window of its own, so clock changes are the window's matter.
 */
#include "cdn/rates.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/words.h"

static int read_item(const char *s, size_t n, const struct zone *zone, struct window *w, uint64_t *ret_rate)
{
	char from[9], to[9], rate[24], text[64];
	dur_us until;
	int end = 0;

	if (n >= sizeof text)
		return ERR_SYNTAX;
	memcpy(text, s, n);
	text[n] = '\0';
	if (sscanf(text, " %8[0-9:]-%8[0-9:] %23s %n", from, to, rate, &end) != 3 || text[end] != '\0')
		return ERR_SYNTAX;
	if (window_parse_start(from, &w->start) != 0 || window_parse_start(to, &until) != 0 ||
	    str_parse_bytes(rate, strlen(rate), ret_rate) != 0)
		return ERR_SYNTAX;
	w->zone = zone;
	w->duration = until > w->start ? until - w->start : until - w->start + 24 * DUR_HOUR;
	return 0;
}

int rates_parse(struct rates *r, const char *text, const struct zone *zone, struct fault *f)
{
	r->n = 0;
	while (text != NULL && *text != '\0') {
		size_t n = strcspn(text, ",");

		if (r->n == RATES_MAX)
			return fault_set(f, ERR_LIMIT, _("more than %d hours with a rate"), RATES_MAX);
		if (read_item(text, n, zone, &r->hours[r->n], &r->rates[r->n]) != 0)
			return fault_set(f, ERR_SYNTAX, _("found \"%.*s\", expected hours and a rate such as 08:00-18:00 2MB"), (int)n, text);
		r->n++;
		text += n + (text[n] == ',');
	}
	return 0;
}

uint64_t rates_at(const struct rates *r, wall_us now)
{
	for (size_t i = 0; i < r->n; i++) {
		struct window_state state;

		window_at(&r->hours[i], now, &state);
		if (state.open)
			return r->rates[i];
	}
	return r->otherwise;
}

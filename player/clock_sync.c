/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The answer is taken to be of the middle of the exchange.  A Date header has whole
 * seconds: half a second is added, and a difference of less than two is no news.
 */
#include "player/clock_sync.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "dash/mpd_values.h"
#include "dash/timeline.h"
#include "fetch/fetch.h"
#include "player/sntp.h"

#define COARSE (2 * DUR_S)
#define MAX_ANSWER 4096
#define ASK_TIME (2 * DUR_S) /* for one time server */
#define ALL_TIME (6 * DUR_S) /* then no further place is asked */
#define SPACES " \t\r\n"

static int ask(struct fetch *fetch, const char *url, const char *method, struct blob **ret_body, struct fetch_result *result,
               wall_us *ret_middle)
{
	struct fetch_request req = {.url = url, .method = method, .max_bytes = MAX_ANSWER, .connect_timeout = 2 * DUR_S,
		.total_timeout = 4 * DUR_S};
	wall_us before = clock_wall();
	int r = fetch_get(fetch, &req, ret_body, result, NULL, NULL);

	*ret_middle = before + (clock_wall() - before) / 2;
	return r;
}

static bool from_date(struct fetch *fetch, const char *url, dur_us *ret)
{
	struct blob *body = NULL;
	struct fetch_result result = {0};
	wall_us middle;
	dur_us d;

	if (!str_starts(url, "http"))
		return false;
	ask(fetch, url, "HEAD", &body, &result, &middle);
	blob_unref(&body);
	if (result.date == 0)
		return false;
	d = result.date + DUR_S / 2 - middle;
	*ret = d > COARSE || d < -COARSE ? d : 0;
	return true;
}

static bool from_text(struct fetch *fetch, const char *url, dur_us *ret)
{
	struct blob *body = NULL;
	struct fetch_result result = {0};
	wall_us middle, t;
	bool ok = ask(fetch, url, NULL, &body, &result, &middle) == 0 &&
	          mpd_value_date((const char *)body->bytes, body->size, &t) == 0;

	blob_unref(&body);
	if (ok)
		*ret = t - middle;
	return ok;
}

/* http-ntp: the answer is an NTP timestamp. */
static bool from_stamp(struct fetch *fetch, const char *url, dur_us *ret)
{
	struct blob *body = NULL;
	struct fetch_result result = {0};
	wall_us middle;
	bool ok = ask(fetch, url, NULL, &body, &result, &middle) == 0 && body->size == 8;

	if (ok)
		*ret = sntp_time(body->bytes) - middle;
	blob_unref(&body);
	return ok;
}

/* One of the places an UTCTiming names (5.8.5.7, table 57). */
static bool from_place(struct fetch *fetch, const char *mpd_url, const char *scheme, const char *place, dur_us *ret)
{
	char *url;
	bool ok = false;

	if (str_starts(scheme, "ntp:") || str_starts(scheme, "sntp:"))
		return sntp_ask(place, ASK_TIME, ret);
	url = timeline_join_url(mpd_url, place);
	if (url == NULL || !str_starts(url, "http"))
		ok = false;
	else if (str_starts(scheme, "http-head:"))
		ok = from_date(fetch, url, ret);
	else if (str_starts(scheme, "http-xsdate:") || str_starts(scheme, "http-iso:"))
		ok = from_text(fetch, url, ret);
	else if (str_starts(scheme, "http-ntp:"))
		ok = from_stamp(fetch, url, ret);
	free(url);
	return ok;
}

static bool from_timing(struct fetch *fetch, const char *mpd_url, const struct mpd_descriptor *d, wall_us received, mono_us end,
                        dur_us *ret)
{
	static const char prefix[] = "urn:mpeg:dash:utc:";
	const char *scheme = d->scheme != NULL && str_starts(d->scheme, prefix) ? d->scheme + sizeof prefix - 1 : "";
	const char *value = d->value != NULL ? d->value : "";
	wall_us t;

	if (str_starts(scheme, "direct:")) {
		if (mpd_value_date(value, strlen(value), &t) != 0)
			return false;
		*ret = t - received;
		return true;
	}
	for (value += strspn(value, SPACES); *value != '\0' && clock_mono() < end; value += strspn(value, SPACES)) {
		size_t n = strcspn(value, SPACES);
		char *place = mem_dup_n(value, n);
		bool ok = from_place(fetch, mpd_url, scheme, place, ret);

		log_verbose("player/clock", "asked scheme=%s place=%s answered=%d", scheme, place, ok);
		free(place);
		if (ok)
			return true;
		value += n;
	}
	return false;
}

bool clock_sync(struct fetch *fetch, const char *mpd_url, const struct mpd *m, wall_us received, dur_us *ret)
{
	mono_us end = clock_mono() + ALL_TIME;

	for (size_t i = 0; i < m->utc_timings.n; i++)
		if (from_timing(fetch, mpd_url, &m->utc_timings.v[i], received, end, ret))
			return true;
	if (m->utc_timings.n > 0)
		log_verbose("player/clock", "no UTCTiming of the MPD could be asked");
	return from_date(fetch, mpd_url, ret);
}

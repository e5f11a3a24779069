/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The MPD's attributes and nesting as tables, one row a fact, which the reader
 * and the writer share: what one writes the other reads.
 */
#ifndef RIBERA_DASH_MPD_TABLE_H
#define RIBERA_DASH_MPD_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum mpd_attr_type {
	ATTR_TEXT,     /* char * */
	ATTR_U32,
	ATTR_U64,
	ATTR_I64,
	ATTR_INT,
	ATTR_BOOL,
	ATTR_FLAG,     /* bool, written as true or a number */
	ATTR_DOUBLE,
	ATTR_DURATION, /* dur_us */
	ATTR_DATE,     /* wall_us */
	ATTR_RATE,     /* struct mpd_ratio, "30000/1001" */
	ATTR_ASPECT,   /* struct mpd_ratio, "16:9" */
	ATTR_RANGE,    /* struct mpd_range */
	ATTR_RATES,    /* uint32_t, the last of a list */
	ATTR_DYNAMIC,  /* bool: "dynamic" or "static" */
};

#define MPD_NO_HAS UINT16_MAX
#define MPD_ALWAYS INT16_MIN /* as `absent`: written whatever it is */

struct mpd_attr {
	const char *name;
	enum mpd_attr_type type;
	uint16_t offset;
	uint16_t has;    /* offset of the bool that says whether it is there, or MPD_NO_HAS */
	int16_t absent;  /* without `has`: the number that stands for "not there" */
};

enum mpd_element {
	EL_MPD,
	EL_GROUP,          /* holds others, has nothing of its own */
	EL_TEXT,           /* its text goes to a char * */
	EL_BASE_URL,
	EL_STEERING,
	EL_LATENCY,
	EL_PLAYBACK_RATE,
	EL_PERIOD,
	EL_SET,
	EL_COMPONENT,
	EL_REPRESENTATION,
	EL_SEGMENT_BASE,
	EL_SEGMENT_LIST,
	EL_SEGMENT_TEMPLATE,
	EL_URL,
	EL_TIMELINE,
	EL_PATTERN,
	EL_P,
	EL_S,
	EL_SEGMENT_URL,
	EL_DESCRIPTOR,
	EL_SERVICE,
	EL_N,
};

/* Rows end with a NULL name. */
extern const struct mpd_attr *const mpd_attrs[EL_N];
extern const struct mpd_attr mpd_common_attrs[]; /* of struct mpd_common */

/* `name` below `parent` is a `child` whose model is `offset` bytes into the parent's. */
struct mpd_nesting {
	enum mpd_element parent;
	const char *name;
	enum mpd_element child;
	size_t offset;
};
extern const struct mpd_nesting mpd_nestings[];
extern const size_t mpd_n_nestings;

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ISO/IEC 23009-1 5.3 in rows.  The order of a table is the order of writing.
 */
#include "dash/mpd_table.h"

#include "dash/mpd.h"

#define HAS(struct_, name, type, field, has_) {name, type, offsetof(struct_, field), offsetof(struct_, has_), 0}
#define OPT(struct_, name, type, field, absent) {name, type, offsetof(struct_, field), MPD_NO_HAS, absent}
#define END {NULL, ATTR_TEXT, 0, MPD_NO_HAS, 0}

static const struct mpd_attr mpd_rows[] = {
	OPT(struct mpd, "id", ATTR_TEXT, id, 0),
	OPT(struct mpd, "profiles", ATTR_TEXT, profiles, 0),
	OPT(struct mpd, "type", ATTR_DYNAMIC, dynamic, MPD_ALWAYS),
	HAS(struct mpd, "availabilityStartTime", ATTR_DATE, availability_start, has_availability_start),
	HAS(struct mpd, "availabilityEndTime", ATTR_DATE, availability_end, has_availability_end),
	HAS(struct mpd, "publishTime", ATTR_DATE, publish_time, has_publish_time),
	HAS(struct mpd, "mediaPresentationDuration", ATTR_DURATION, duration, has_duration),
	HAS(struct mpd, "minimumUpdatePeriod", ATTR_DURATION, minimum_update, has_minimum_update),
	OPT(struct mpd, "minBufferTime", ATTR_DURATION, min_buffer_time, MPD_ALWAYS),
	HAS(struct mpd, "timeShiftBufferDepth", ATTR_DURATION, time_shift, has_time_shift),
	HAS(struct mpd, "suggestedPresentationDelay", ATTR_DURATION, suggested_delay, has_suggested_delay),
	HAS(struct mpd, "maxSegmentDuration", ATTR_DURATION, max_segment_duration, has_max_segment_duration),
	END,
};
static const struct mpd_attr base_url_rows[] = {
	OPT(struct mpd_base_url, "serviceLocation", ATTR_TEXT, service_location, 0),
	HAS(struct mpd_base_url, "availabilityTimeOffset", ATTR_DOUBLE, availability_offset, has_availability_offset),
	HAS(struct mpd_base_url, "availabilityTimeComplete", ATTR_BOOL, availability_complete, has_availability_complete),
	HAS(struct mpd_base_url, "ttl", ATTR_DOUBLE, ttl, has_ttl),
	OPT(struct mpd_base_url, "dvb:priority", ATTR_U32, priority, 1),
	OPT(struct mpd_base_url, "dvb:weight", ATTR_U32, weight, 1),
	END,
};
static const struct mpd_attr steering_rows[] = {
	OPT(struct mpd_steering, "defaultServiceLocation", ATTR_TEXT, default_service_location, 0),
	OPT(struct mpd_steering, "queryBeforeStart", ATTR_BOOL, query_before_start, 0),
	OPT(struct mpd_steering, "clientRequirement", ATTR_BOOL, client_requirement, 1),
	END,
};
static const struct mpd_attr latency_rows[] = {
	OPT(struct mpd_service, "target", ATTR_U64, latency_target, 0),
	OPT(struct mpd_service, "min", ATTR_U64, latency_min, 0),
	OPT(struct mpd_service, "max", ATTR_U64, latency_max, 0),
	END,
};
static const struct mpd_attr rate_rows[] = {
	OPT(struct mpd_service, "min", ATTR_DOUBLE, rate_min, 0),
	OPT(struct mpd_service, "max", ATTR_DOUBLE, rate_max, 0),
	END,
};
static const struct mpd_attr period_rows[] = {
	OPT(struct mpd_period, "xlink:href", ATTR_TEXT, xlink_href, 0),
	OPT(struct mpd_period, "xlink:actuate", ATTR_TEXT, xlink_actuate, 0),
	OPT(struct mpd_period, "id", ATTR_TEXT, id, 0),
	HAS(struct mpd_period, "start", ATTR_DURATION, start, has_start),
	HAS(struct mpd_period, "duration", ATTR_DURATION, duration, has_duration),
	END,
};
static const struct mpd_attr set_rows[] = {
	OPT(struct mpd_set, "xlink:href", ATTR_TEXT, xlink_href, 0),
	OPT(struct mpd_set, "xlink:actuate", ATTR_TEXT, xlink_actuate, 0),
	OPT(struct mpd_set, "id", ATTR_TEXT, id, 0),
	OPT(struct mpd_set, "lang", ATTR_TEXT, lang, 0),
	OPT(struct mpd_set, "contentType", ATTR_TEXT, content_type, 0),
	OPT(struct mpd_set, "par", ATTR_ASPECT, par, 0),
	OPT(struct mpd_set, "maxBandwidth", ATTR_U64, max_bandwidth, 0),
	OPT(struct mpd_set, "maxWidth", ATTR_U32, max_width, 0),
	OPT(struct mpd_set, "maxHeight", ATTR_U32, max_height, 0),
	OPT(struct mpd_set, "maxFrameRate", ATTR_RATE, max_frame_rate, 0),
	OPT(struct mpd_set, "segmentAlignment", ATTR_FLAG, segment_alignment, 0),
	OPT(struct mpd_set, "bitstreamSwitching", ATTR_BOOL, bitstream_switching, 0),
	OPT(struct mpd_set, "subsegmentAlignment", ATTR_FLAG, subsegment_alignment, 0),
	OPT(struct mpd_set, "subsegmentStartsWithSAP", ATTR_INT, subsegment_starts_with_sap, 0),
	OPT(struct mpd_set, "selectionPriority", ATTR_U32, selection_priority, 1),
	END,
};
static const struct mpd_attr component_rows[] = {
	OPT(struct mpd_set, "contentType", ATTR_TEXT, content_type, 0),
	END,
};
static const struct mpd_attr representation_rows[] = {
	OPT(struct mpd_representation, "id", ATTR_TEXT, id, 0),
	OPT(struct mpd_representation, "bandwidth", ATTR_U64, bandwidth, MPD_ALWAYS),
	OPT(struct mpd_representation, "qualityRanking", ATTR_U32, quality_ranking, 0),
	OPT(struct mpd_representation, "dependencyId", ATTR_TEXT, dependency_id, 0),
	END,
};
const struct mpd_attr mpd_common_attrs[] = {
	OPT(struct mpd_common, "profiles", ATTR_TEXT, profiles, 0),
	OPT(struct mpd_common, "width", ATTR_U32, width, 0),
	OPT(struct mpd_common, "height", ATTR_U32, height, 0),
	OPT(struct mpd_common, "sar", ATTR_ASPECT, sar, 0),
	OPT(struct mpd_common, "frameRate", ATTR_RATE, frame_rate, 0),
	OPT(struct mpd_common, "audioSamplingRate", ATTR_RATES, audio_sampling_rate, 0),
	OPT(struct mpd_common, "mimeType", ATTR_TEXT, mime_type, 0),
	OPT(struct mpd_common, "containerProfiles", ATTR_TEXT, container_profiles, 0),
	OPT(struct mpd_common, "codecs", ATTR_TEXT, codecs, 0),
	OPT(struct mpd_common, "scte214:supplementalCodecs", ATTR_TEXT, supplemental_codecs, 0),
	OPT(struct mpd_common, "startWithSAP", ATTR_INT, start_with_sap, -1),
	HAS(struct mpd_common, "maxPlayoutRate", ATTR_DOUBLE, max_playout_rate, has_max_playout_rate),
	HAS(struct mpd_common, "codingDependency", ATTR_BOOL, coding_dependency, has_coding_dependency),
	OPT(struct mpd_common, "scanType", ATTR_TEXT, scan_type, 0),
	END,
};

#define SEGMENT_BASE_ROWS                                                                          \
	OPT(struct mpd_segments, "xlink:href", ATTR_TEXT, xlink_href, 0),                          \
	OPT(struct mpd_segments, "xlink:actuate", ATTR_TEXT, xlink_actuate, 0),                    \
	HAS(struct mpd_segments, "timescale", ATTR_U32, timescale, has_timescale),                 \
	HAS(struct mpd_segments, "presentationTimeOffset", ATTR_I64, pto, has_pto),                \
	HAS(struct mpd_segments, "eptDelta", ATTR_I64, ept_delta, has_ept_delta),                  \
	HAS(struct mpd_segments, "indexRange", ATTR_RANGE, index_range, has_index_range),          \
	OPT(struct mpd_segments, "indexRangeExact", ATTR_BOOL, index_range_exact, 0),              \
	HAS(struct mpd_segments, "availabilityTimeOffset", ATTR_DOUBLE, availability_offset,       \
	    has_availability_offset),                                                              \
	HAS(struct mpd_segments, "availabilityTimeComplete", ATTR_BOOL, availability_complete,     \
	    has_availability_complete)
#define MULTIPLE_SEGMENT_ROWS                                                                      \
	HAS(struct mpd_segments, "duration", ATTR_U64, duration, has_duration),                    \
	HAS(struct mpd_segments, "startNumber", ATTR_U64, start_number, has_start_number),         \
	HAS(struct mpd_segments, "endNumber", ATTR_U64, end_number, has_end_number),               \
	HAS(struct mpd_segments, "endSubNumber", ATTR_U64, end_sub_number, has_end_sub_number),    \
	HAS(struct mpd_segments, "k", ATTR_U64, k, has_k)

static const struct mpd_attr segment_base_rows[] = {SEGMENT_BASE_ROWS, END};
static const struct mpd_attr segment_list_rows[] = {SEGMENT_BASE_ROWS, MULTIPLE_SEGMENT_ROWS, END};
static const struct mpd_attr segment_template_rows[] = {
	SEGMENT_BASE_ROWS,
	MULTIPLE_SEGMENT_ROWS,
	OPT(struct mpd_segments, "media", ATTR_TEXT, media, 0),
	OPT(struct mpd_segments, "index", ATTR_TEXT, index, 0),
	OPT(struct mpd_segments, "initialization", ATTR_TEXT, init, 0),
	END,
};
static const struct mpd_attr url_rows[] = {
	OPT(struct mpd_url, "sourceURL", ATTR_TEXT, source, 0),
	HAS(struct mpd_url, "range", ATTR_RANGE, range, has_range),
	END,
};
static const struct mpd_attr s_rows[] = {
	HAS(struct mpd_s, "t", ATTR_U64, t, has_t),
	HAS(struct mpd_s, "n", ATTR_U64, n, has_n),
	OPT(struct mpd_s, "d", ATTR_U64, d, MPD_ALWAYS),
	OPT(struct mpd_s, "r", ATTR_I64, r, 0),
	OPT(struct mpd_s, "k", ATTR_U64, k, 1),
	HAS(struct mpd_s, "p", ATTR_U64, pattern, has_pattern),
	OPT(struct mpd_s, "pE", ATTR_U64, pattern_entry, 0),
	END,
};
static const struct mpd_attr pattern_rows[] = {
	OPT(struct mpd_pattern, "id", ATTR_U64, id, MPD_ALWAYS),
	END,
};
static const struct mpd_attr p_rows[] = {
	OPT(struct mpd_p, "d", ATTR_U64, d, MPD_ALWAYS),
	OPT(struct mpd_p, "r", ATTR_U64, r, 0),
	END,
};
static const struct mpd_attr segment_url_rows[] = {
	OPT(struct mpd_segment_url, "media", ATTR_TEXT, media, 0),
	HAS(struct mpd_segment_url, "mediaRange", ATTR_RANGE, media_range, has_media_range),
	OPT(struct mpd_segment_url, "index", ATTR_TEXT, index, 0),
	HAS(struct mpd_segment_url, "indexRange", ATTR_RANGE, index_range, has_index_range),
	END,
};
static const struct mpd_attr descriptor_rows[] = {
	OPT(struct mpd_descriptor, "schemeIdUri", ATTR_TEXT, scheme, 0),
	OPT(struct mpd_descriptor, "value", ATTR_TEXT, value, 0),
	OPT(struct mpd_descriptor, "id", ATTR_TEXT, id, 0),
	END,
};
static const struct mpd_attr no_rows[] = {END};

const struct mpd_attr *const mpd_attrs[EL_N] = {
	[EL_MPD] = mpd_rows,
	[EL_GROUP] = no_rows,
	[EL_TEXT] = no_rows,
	[EL_BASE_URL] = base_url_rows,
	[EL_STEERING] = steering_rows,
	[EL_LATENCY] = latency_rows,
	[EL_PLAYBACK_RATE] = rate_rows,
	[EL_PERIOD] = period_rows,
	[EL_SET] = set_rows,
	[EL_COMPONENT] = component_rows,
	[EL_REPRESENTATION] = representation_rows,
	[EL_SEGMENT_BASE] = segment_base_rows,
	[EL_SEGMENT_LIST] = segment_list_rows,
	[EL_SEGMENT_TEMPLATE] = segment_template_rows,
	[EL_URL] = url_rows,
	[EL_TIMELINE] = no_rows,
	[EL_PATTERN] = pattern_rows,
	[EL_P] = p_rows,
	[EL_S] = s_rows,
	[EL_SEGMENT_URL] = segment_url_rows,
	[EL_DESCRIPTOR] = descriptor_rows,
	[EL_SERVICE] = no_rows,
};

#define COMMON(el, struct_)                                                                        \
	{el, "AudioChannelConfiguration", EL_DESCRIPTOR, offsetof(struct_, common.audio_channels)}, \
	{el, "ContentProtection", EL_DESCRIPTOR, offsetof(struct_, common.content_protection)},    \
	{el, "EssentialProperty", EL_DESCRIPTOR, offsetof(struct_, common.essential)},             \
	{el, "SupplementalProperty", EL_DESCRIPTOR, offsetof(struct_, common.supplemental)},       \
	{el, "InbandEventStream", EL_DESCRIPTOR, offsetof(struct_, common.inband_events)}
#define SEGMENTS(el, struct_)                                                                      \
	{el, "BaseURL", EL_BASE_URL, offsetof(struct_, base_urls)},                                \
	{el, "SegmentBase", EL_SEGMENT_BASE, offsetof(struct_, segments)},                         \
	{el, "SegmentList", EL_SEGMENT_LIST, offsetof(struct_, segments)},                         \
	{el, "SegmentTemplate", EL_SEGMENT_TEMPLATE, offsetof(struct_, segments)}
#define URLS(el)                                                                                   \
	{el, "Initialization", EL_URL, offsetof(struct mpd_segments, initialization)},             \
	{el, "Initialisation", EL_URL, offsetof(struct mpd_segments, initialization)},             \
	{el, "RepresentationIndex", EL_URL, offsetof(struct mpd_segments, representation_index)}

const struct mpd_nesting mpd_nestings[] = {
	{EL_MPD, "ProgramInformation", EL_GROUP, 0},
	{EL_GROUP, "Title", EL_TEXT, offsetof(struct mpd, title)},
	{EL_GROUP, "Source", EL_TEXT, offsetof(struct mpd, source)},
	{EL_GROUP, "Copyright", EL_TEXT, offsetof(struct mpd, copyright)},
	{EL_MPD, "BaseURL", EL_BASE_URL, offsetof(struct mpd, base_urls)},
	{EL_MPD, "Location", EL_BASE_URL, offsetof(struct mpd, locations)},
	{EL_MPD, "PatchLocation", EL_BASE_URL, offsetof(struct mpd, patch_locations)},
	{EL_MPD, "ContentSteering", EL_STEERING, offsetof(struct mpd, steering)},
	{EL_MPD, "ServiceDescription", EL_SERVICE, 0},
	{EL_SERVICE, "ContentSteering", EL_STEERING, offsetof(struct mpd, steering)},
	{EL_SERVICE, "Latency", EL_LATENCY, offsetof(struct mpd, service)},
	{EL_SERVICE, "PlaybackRate", EL_PLAYBACK_RATE, offsetof(struct mpd, service)},
	{EL_MPD, "UTCTiming", EL_DESCRIPTOR, offsetof(struct mpd, utc_timings)},
	{EL_MPD, "EssentialProperty", EL_DESCRIPTOR, offsetof(struct mpd, essential)},
	{EL_MPD, "SupplementalProperty", EL_DESCRIPTOR, offsetof(struct mpd, supplemental)},
	{EL_MPD, "Period", EL_PERIOD, 0},
	SEGMENTS(EL_PERIOD, struct mpd_period),
	{EL_PERIOD, "ImportedMPD", EL_TEXT, offsetof(struct mpd_period, imported_mpd)},
	{EL_PERIOD, "AdaptationSet", EL_SET, 0},
	SEGMENTS(EL_SET, struct mpd_set),
	COMMON(EL_SET, struct mpd_set),
	{EL_SET, "Accessibility", EL_DESCRIPTOR, offsetof(struct mpd_set, accessibility)},
	{EL_SET, "Role", EL_DESCRIPTOR, offsetof(struct mpd_set, roles)},
	{EL_SET, "Viewpoint", EL_DESCRIPTOR, offsetof(struct mpd_set, viewpoints)},
	{EL_SET, "Label", EL_TEXT, offsetof(struct mpd_set, label)},
	{EL_SET, "ContentComponent", EL_COMPONENT, 0},
	{EL_SET, "Representation", EL_REPRESENTATION, 0},
	SEGMENTS(EL_REPRESENTATION, struct mpd_representation),
	COMMON(EL_REPRESENTATION, struct mpd_representation),
	URLS(EL_SEGMENT_BASE),
	URLS(EL_SEGMENT_LIST),
	URLS(EL_SEGMENT_TEMPLATE),
	{EL_SEGMENT_LIST, "SegmentTimeline", EL_TIMELINE, 0},
	{EL_SEGMENT_TEMPLATE, "SegmentTimeline", EL_TIMELINE, 0},
	{EL_TIMELINE, "Pattern", EL_PATTERN, 0},
	{EL_PATTERN, "P", EL_P, 0},
	{EL_TIMELINE, "S", EL_S, 0},
	{EL_SEGMENT_LIST, "SegmentURL", EL_SEGMENT_URL, 0},
};
const size_t mpd_n_nestings = sizeof mpd_nestings / sizeof mpd_nestings[0];

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of counters; the names are part of what operators build on.
 */
#include "edge/counts.h"

#define LOOKUPS_HELP "Requests for package files by how they were met; every miss has its reason."
#define FETCHED_HELP "Bytes of bodies fetched, by what they were for."
#define UPSTREAM_HELP "From a request for a piece to its end, whatever came of it."
#define WRITTEN_HELP "Bytes of pieces written to the disk, by what they came for."
#define FROM_HELP "Bytes of pieces fetched, by where they came from."

static const struct counter_row rows[N_COUNTS] = {
	[COUNT_HITS] = {"ribera_edge_lookups_total", "result=\"hit\"", COUNTER_TOTAL, LOOKUPS_HELP},
	[COUNT_MISS_NOT_PLANNED] = {"ribera_edge_lookups_total", "result=\"not-planned\"", COUNTER_TOTAL, LOOKUPS_HELP},
	[COUNT_MISS_NOT_FILLED] = {"ribera_edge_lookups_total", "result=\"planned-not-filled\"", COUNTER_TOTAL,
                                   LOOKUPS_HELP},
	[COUNT_MISS_EVICTED] = {"ribera_edge_lookups_total", "result=\"evicted\"", COUNTER_TOTAL, LOOKUPS_HELP},
	[COUNT_MISS_OVERLOADED] = {"ribera_edge_lookups_total", "result=\"node-overloaded\"", COUNTER_TOTAL,
                                   LOOKUPS_HELP},
	[COUNT_MISS_READ_ONLY] = {"ribera_edge_lookups_total", "result=\"read-only\"", COUNTER_TOTAL, LOOKUPS_HELP},
	[COUNT_UNKNOWN] = {"ribera_edge_lookups_total", "result=\"unknown\"", COUNTER_TOTAL, LOOKUPS_HELP},
	[COUNT_REFUSED_LOOP] = {"ribera_edge_lookups_total", "result=\"only-if-cached\"", COUNTER_TOTAL, LOOKUPS_HELP},
	[COUNT_SENT_TO_ORIGIN] = {"ribera_edge_sent_to_origin_total", NULL, COUNTER_TOTAL,
                                  "Requests answered with a redirect to the origin."},
	[COUNT_SENT_AWAY] = {"ribera_edge_sent_away_total", NULL, COUNTER_TOTAL,
                             "Requests answered with a redirect to another edge, since this one is being drained."},
	[COUNT_FETCHED_FILL] = {"ribera_edge_fetched_bytes_total", "by=\"fill\"", COUNTER_TOTAL, FETCHED_HELP},
	[COUNT_FETCHED_PULL] = {"ribera_edge_fetched_bytes_total", "by=\"pull\"", COUNTER_TOTAL, FETCHED_HELP},
	[COUNT_FETCHED_META] = {"ribera_edge_fetched_bytes_total", "by=\"digest\"", COUNTER_TOTAL, FETCHED_HELP},
	[COUNT_FETCHED_PEERS] = {"ribera_edge_fetched_from_bytes_total", "source=\"peer\"", COUNTER_TOTAL, FROM_HELP},
	[COUNT_FETCHED_ORIGIN] = {"ribera_edge_fetched_from_bytes_total", "source=\"origin\"", COUNTER_TOTAL, FROM_HELP},
	[COUNT_PIECES_FILL] = {"ribera_edge_pieces_total", "by=\"fill\"", COUNTER_TOTAL, "Pieces fetched and verified."},
	[COUNT_PIECES_PULL] = {"ribera_edge_pieces_total", "by=\"pull\"", COUNTER_TOTAL, "Pieces fetched and verified."},
	[COUNT_FLIGHTS_FILL] = {"ribera_edge_upstream_requests_total", "by=\"fill\"", COUNTER_TOTAL,
                                "Requests for pieces sent to peers and the origin."},
	[COUNT_FLIGHTS_PULL] = {"ribera_edge_upstream_requests_total", "by=\"pull\"", COUNTER_TOTAL,
                                "Requests for pieces sent to peers and the origin."},
	[COUNT_UPSTREAM_FILL] = {"ribera_edge_upstream_seconds", "by=\"fill\"", COUNTER_SECONDS, UPSTREAM_HELP},
	[COUNT_UPSTREAM_PULL] = {"ribera_edge_upstream_seconds", "by=\"pull\"", COUNTER_SECONDS, UPSTREAM_HELP},
	[COUNT_JOINED] = {"ribera_edge_joined_total", NULL, COUNTER_TOTAL,
                          "Waits of viewers that joined a piece already under way."},
	[COUNT_WRONG_HASH] = {"ribera_edge_wrong_hash_total", NULL, COUNTER_TOTAL,
                              "Times a source sent bytes that do not match their hash."},
	[COUNT_SOURCE_FAILED] = {"ribera_edge_source_failures_total", NULL, COUNTER_TOTAL,
                                 "Requests for pieces that a source failed, cut or was too slow for."},
	[COUNT_PIECE_FAILED] = {"ribera_edge_piece_failures_total", NULL, COUNTER_TOTAL,
                                "Pieces given up for now after all sources were tried."},
	[COUNT_NO_SPACE] = {"ribera_edge_no_space_total", NULL, COUNTER_TOTAL, "Pieces not stored for want of space."},
	[COUNT_WRITE_FAILED] = {"ribera_edge_write_failures_total", NULL, COUNTER_TOTAL, "Writes the disk refused."},
	[COUNT_WRITTEN_FILL] = {"ribera_edge_written_bytes_total", "by=\"fill\"", COUNTER_TOTAL, WRITTEN_HELP},
	[COUNT_WRITTEN_PULL] = {"ribera_edge_written_bytes_total", "by=\"pull\"", COUNTER_TOTAL, WRITTEN_HELP},
	[COUNT_STREAMED] = {"ribera_edge_streamed_bytes_total", NULL, COUNTER_TOTAL,
                            "Bytes fetched for viewers and passed on through memory, not kept."},
	[COUNT_ADMITTED] = {"ribera_edge_admitted_files_total", NULL, COUNTER_TOTAL,
                            "Files beside the plan that are kept since they outranked what went for them, or there was room."},
	[COUNT_EVICTED_BYTES] = {"ribera_edge_evicted_bytes_total", NULL, COUNTER_TOTAL, "Bytes given up for others."},
	[COUNT_EVICTED_FILES] = {"ribera_edge_evicted_files_total", NULL, COUNTER_TOTAL, "Files given up for others."},
	[COUNT_SCRUBBED] = {"ribera_edge_scrubbed_bytes_total", NULL, COUNTER_TOTAL, "Bytes re-read and checked."},
	[COUNT_SCRUB_BAD] = {"ribera_edge_scrub_bad_pieces_total", NULL, COUNTER_TOTAL,
                             "Pieces found changed on the disk, to be fetched again."},
	[COUNT_CONTACT_FAILED] = {"ribera_edge_contact_failures_total", NULL, COUNTER_TOTAL,
                                  "Requests to the origin's control API that failed."},
	[COUNT_DEMAND_SENT] = {"ribera_edge_demand_batches_total", "result=\"delivered\"", COUNTER_TOTAL,
                               "Batches of counts for the origin."},
	[COUNT_DEMAND_LOST] = {"ribera_edge_demand_batches_total", "result=\"lost\"", COUNTER_TOTAL,
                               "Batches of counts for the origin."},
	[COUNT_PLANS] = {"ribera_edge_plans_total", NULL, COUNTER_TOTAL, "Plans taken in."},
	[COUNT_PLANS_BAD] = {"ribera_edge_bad_plans_total", NULL, COUNTER_TOTAL, "Plans refused."},
	[COUNT_WINDOW_OPEN] = {"ribera_edge_window_open", NULL, COUNTER_GAUGE, "1 inside the fill window."},
	[COUNT_CLOCK_OFFSET] = {"ribera_edge_clock_offset_seconds", NULL, COUNTER_MILLI,
                                "This machine's clock before the origin's, within half a round trip."},
	[COUNT_ORIGIN_REACHED] = {"ribera_edge_origin_reached", NULL, COUNTER_GAUGE,
                                  "1 while the last contact with the origin's control API went well."},
	[COUNT_FILL_LEFT] = {"ribera_edge_fill_left_bytes", NULL, COUNTER_GAUGE, "Bytes of the plan not yet here."},
};

struct counters *counts_new(void)
{
	return counters_new(rows, N_COUNTS);
}

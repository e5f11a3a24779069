/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue's insides, shared by catalogue*.c alone: statements as a table,
 * schema steps, and the translation of SQLite's errors.
 */
#ifndef RIBERA_ORIGIN_CATALOGUE_SQL_H
#define RIBERA_ORIGIN_CATALOGUE_SQL_H

#include <pthread.h>
#include <sqlite3.h>

#include "origin/catalogue.h"

#define OF_TITLE "(?4 IS NULL OR (name > ?4 || '/' AND name < ?4 || '0')) "
#define DEMAND_WHERE                                                                                                  \
	"WHERE hour BETWEEN ?1 AND ?2 AND (?3 IS NULL OR edge = ?3) AND " OF_TITLE

/* Sums that do not overflow, whatever edges say: SUM() would fail, and + become a number with a fraction. */
#define TOTAL_OF(column) "CAST(TOTAL(" column ") AS INTEGER)"
#define GROWN(column, by) column " = MIN(" column " + " by ", 1 << 62)"
#define GROWN_ALL(by) GROWN("requests", by "requests") ", " GROWN("bytes", by "bytes") ", " GROWN("sessions", by "sessions")
#define DEMAND_TOTALS TOTAL_OF("requests") ", " TOTAL_OF("bytes") ", " TOTAL_OF("sessions") " FROM demand "

/* Days ?6 to ?7 have sums; hours in front of ?8 and from ?9 on are added up here.  `name`s are between the first and the last of the
 * title; seeking them day by day is what makes one title's cheap. */
#define SUMS_BY_FILE                                                                                                  \
	"WITH RECURSIVE whole(day) AS (SELECT ?6 WHERE ?6 <= ?7 UNION ALL SELECT day + 1 FROM whole WHERE day < ?7) "   \
	"SELECT 0, NULL, name, " TOTAL_OF("requests") ", " TOTAL_OF("bytes") ", " TOTAL_OF("sessions") " FROM ("        \
	"SELECT name, requests, bytes, sessions FROM whole CROSS JOIN demand_day USING(day) "                         \
	"WHERE name > coalesce(?4 || '/', '') AND name < coalesce(?4 || '0', char(1114111)) "                         \
	"UNION ALL SELECT name, requests, bytes, sessions FROM demand WHERE (hour BETWEEN ?1 AND ?8 - 1) AND " OF_TITLE \
	"UNION ALL SELECT name, requests, bytes, sessions FROM demand WHERE (hour BETWEEN ?9 AND ?2) AND " OF_TITLE     \
	") GROUP BY name ORDER BY 5 DESC, name LIMIT ?5"

#define UNBASED "AND NOT EXISTS(SELECT 1 FROM plan_files AS other WHERE other.base = plan_files.hash)"

/*        name                 SQL */
#define CATALOGUE_STATEMENTS(X)                                                                                       \
	X(SQL_BEGIN, "BEGIN IMMEDIATE")                                                                               \
	X(SQL_COMMIT, "COMMIT")                                                                                       \
	X(SQL_ROLLBACK, "ROLLBACK")                                                                                   \
	X(SQL_PUT_TITLE, "INSERT INTO title(name, label, seen) VALUES(?1, ?2, ?3) "                                   \
	                 "ON CONFLICT(name) DO UPDATE SET label = ?2")                                                \
	X(SQL_PUT_REVISION, "INSERT INTO revision(title, revision, digest, bytes, published, seen) "                  \
	                    "VALUES((SELECT id FROM title WHERE name = ?1), ?2, ?3, ?4, ?5, ?6) "                     \
	                    "ON CONFLICT(title, revision) DO UPDATE SET gone = NULL WHERE gone IS NOT NULL "          \
	                    "RETURNING id")                                                                           \
	X(SQL_EACH_REVISION, "SELECT title.name, revision.revision FROM revision JOIN title ON title.id = revision.title " \
	                     "WHERE revision.gone IS NULL")                                                           \
	X(SQL_PUT_FILE, "INSERT OR IGNORE INTO file(revision, name, bytes, root) VALUES(?1, ?2, ?3, ?4)")             \
	X(SQL_GONE_REVISION, "UPDATE revision SET gone = ?3 WHERE revision = ?2 AND gone IS NULL AND "                \
	                     "title = (SELECT id FROM title WHERE name = ?1)")                                        \
	X(SQL_PUT_EDGE, "INSERT INTO edge(name, url, capacity, up, registered) VALUES(?1, ?2, ?3, ?4, ?5) "           \
	                "ON CONFLICT(name) DO UPDATE SET url = ?2, capacity = ?3, up = ?4")                           \
	X(SQL_REMOVE_EDGE, "DELETE FROM edge WHERE name = ?1")                                                        \
	X(SQL_SET_UP, "UPDATE edge SET up = ?2 WHERE name = ?1")                                                      \
	X(SQL_SET_DRAINING, "UPDATE edge SET draining = ?2 WHERE name = ?1")                                          \
	X(SQL_EACH_EDGE, "SELECT id, name, url, capacity, up, draining FROM edge ORDER BY name")                                \
	X(SQL_EDGE_ID, "SELECT id FROM edge WHERE name = ?1")                                                         \
	X(SQL_ADD_HOLDING, "INSERT OR IGNORE INTO holding(edge, key) VALUES(?1, ?2)")                                 \
	X(SQL_ADD_HOLDINGS, "INSERT OR IGNORE INTO holding(edge, key) VALUES(?1, ?2), (?1, ?3), (?1, ?4), (?1, ?5), (?1, ?6), " \
	                    "(?1, ?7), (?1, ?8), (?1, ?9), (?1, ?10), (?1, ?11), (?1, ?12), (?1, ?13), (?1, ?14), (?1, ?15), " \
	                    "(?1, ?16), (?1, ?17)")                                                                   \
	X(SQL_DROP_HOLDING, "DELETE FROM holding WHERE edge = ?1 AND key = ?2")                                       \
	X(SQL_EACH_HOLDING, "SELECT key FROM holding WHERE edge = ?1 ORDER BY key")                                   \
	X(SQL_ADD_TOKEN, "INSERT INTO token(role, hash, note, created, edge, expires) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")          \
	X(SQL_REVOKE_TOKEN, "UPDATE token SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL")                        \
	X(SQL_EACH_TOKEN, "SELECT id, role, hash, note, created, expires, edge FROM token WHERE revoked IS NULL ORDER BY id") \
	X(SQL_PUT_BATCH, "INSERT INTO batch(edge, stream, sequence, at) VALUES(?1, ?2, ?3, ?4) "                      \
	                 "ON CONFLICT(edge, stream) DO UPDATE SET sequence = ?3, at = ?4 WHERE ?3 > sequence")        \
	X(SQL_ADD_DEMAND, "INSERT INTO demand(hour, edge, name, requests, bytes, sessions) VALUES(?1, ?2, ?3, ?4, ?5, ?6) " \
	                  "ON CONFLICT(hour, edge, name) DO UPDATE SET " GROWN("requests", "?4") ", "                 \
	                  GROWN("bytes", "?5") ", " GROWN("sessions", "?6"))                                          \
	X(SQL_FORGET_DEMAND, "DELETE FROM demand WHERE hour < MIN(?1, (SELECT MAX(hour) FROM demand)) - ?2")          \
	X(SQL_SUMMED, "SELECT hour, edge FROM demand_summed")                                                         \
	X(SQL_SET_SUMMED, "UPDATE demand_summed SET hour = ?1, edge = ?2")                                            \
	X(SQL_NEXT_UNSUMMED, "SELECT hour, edge FROM demand WHERE (hour, edge) < (?1, ?2) ORDER BY hour DESC, edge DESC LIMIT 1") \
	X(SQL_ADD_DAY, "INSERT INTO demand_day(day, name, requests, bytes, sessions) VALUES(?1, ?2, ?3, ?4, ?5) "     \
	               "ON CONFLICT(day, name) DO UPDATE SET " GROWN_ALL("excluded."))                                \
	X(SQL_ADD_HOUR, "INSERT INTO demand_hour(hour, requests, bytes, sessions) VALUES(?1, ?2, ?3, ?4) "            \
	                "ON CONFLICT(hour) DO UPDATE SET " GROWN_ALL("excluded."))                                    \
	X(SQL_SUM_DAY, "INSERT INTO demand_day(day, name, requests, bytes, sessions) "                                \
	               "SELECT hour / 86400, name, requests, bytes, sessions FROM demand WHERE hour = ?1 AND edge = ?2 " \
	               "ON CONFLICT(day, name) DO UPDATE SET " GROWN_ALL("excluded."))                                \
	X(SQL_SUM_HOUR, "INSERT INTO demand_hour(hour, requests, bytes, sessions) "                                   \
	                "SELECT ?1, MIN(TOTAL(requests), 1 << 62), MIN(TOTAL(bytes), 1 << 62), MIN(TOTAL(sessions), 1 << 62) " \
	                "FROM demand WHERE hour = ?1 AND edge = ?2 "                                                  \
	                "ON CONFLICT(hour) DO UPDATE SET " GROWN_ALL("excluded."))                                    \
	X(SQL_FORGET_DAYS, "DELETE FROM demand_day WHERE day < (MIN(?1, (SELECT MAX(hour) FROM demand)) - ?2) / 86400") \
	X(SQL_FORGET_HOURS, "DELETE FROM demand_hour WHERE hour < MIN(?1, (SELECT MAX(hour) FROM demand)) - ?2")      \
	X(SQL_SUMS_BY_FILE, SUMS_BY_FILE)                                                                             \
	X(SQL_SUMS_BY_HOUR, "SELECT hour, NULL, NULL, requests, bytes, sessions FROM demand_hour WHERE hour BETWEEN ?8 AND ?2 " \
	                    "UNION ALL SELECT hour, NULL, NULL, " DEMAND_TOTALS "WHERE hour BETWEEN ?1 AND ?8 - 1 "   \
	                    "GROUP BY hour ORDER BY 1 LIMIT ?5")                                                      \
	X(SQL_SUMS_DAYS, "SELECT day, name, bytes FROM demand_day WHERE day BETWEEN ?1 AND ?2 ORDER BY day, name")     \
	X(SQL_DEMAND_BY_FILE, "SELECT 0, NULL, name, " DEMAND_TOTALS                                                  \
	                      DEMAND_WHERE "GROUP BY name ORDER BY 5 DESC, name LIMIT ?5")                            \
	X(SQL_DEMAND_BY_HOUR, "SELECT hour, NULL, NULL, " DEMAND_TOTALS                                               \
	                      DEMAND_WHERE "GROUP BY hour ORDER BY hour LIMIT ?5")                                    \
	X(SQL_DEMAND_EACH, "SELECT hour, edge, name, requests, bytes, sessions FROM demand "                          \
	                   DEMAND_WHERE "ORDER BY name, edge, hour LIMIT ?5")                                         \
	X(SQL_PUT_POLICY, "INSERT INTO policy(title, policy) VALUES(?1, ?2) ON CONFLICT(title) DO UPDATE SET policy = ?2") \
	X(SQL_DROP_POLICY, "DELETE FROM policy WHERE title = ?1")                                                     \
	X(SQL_EACH_POLICY, "SELECT title, policy FROM policy ORDER BY title")                                         \
	X(SQL_PUT_META, "INSERT INTO meta(title, name, description, year, tags) VALUES(?1, ?2, ?3, ?4, ?5) "           \
	                "ON CONFLICT(title) DO UPDATE SET name = ?2, description = ?3, year = ?4, tags = ?5")          \
	X(SQL_EACH_META, "SELECT title, name, description, year, tags FROM meta ORDER BY title")                      \
	X(SQL_READ_AUDIT, "SELECT id, at, who, what, subject, detail FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2") \
	X(SQL_READ_AUDIT_OF, "SELECT id, at, who, what, subject, detail FROM audit WHERE id < ?1 AND subject = ?3 "   \
	                     "ORDER BY id DESC LIMIT ?2")                                                             \
	X(SQL_DO_ONCE, "INSERT INTO once(key, request, at) VALUES(?1, ?2, ?3)")                                       \
	X(SQL_DONE_ONCE, "UPDATE once SET status = ?2, location = ?3, body = ?4 WHERE key = ?1")                      \
	X(SQL_FIND_ONCE, "SELECT request, status, location, body FROM once WHERE key = ?1")                           \
	X(SQL_FORGET_ONCE, "DELETE FROM once WHERE at < ?1")                                                          \
	X(SQL_DEMAND_DAYS, "SELECT (hour + ?4) / 86400 AS day, name, " TOTAL_OF("bytes") " FROM demand "              \
	                   "WHERE edge = ?1 AND hour >= ?2 AND hour < ?3 GROUP BY day, name ORDER BY day, name")      \
	X(SQL_DEMAND_ALL_DAYS, "SELECT (hour + ?4) / 86400 AS day, name, " TOTAL_OF("bytes") " FROM demand "           \
	                       "WHERE ?1 IS NULL AND hour >= ?2 AND hour < ?3 GROUP BY day, name ORDER BY day, name") \
	X(SQL_PUT_RULE, "INSERT INTO rule(place, key, value) VALUES(?1, ?2, ?3) "                                     \
	                "ON CONFLICT(place, key) DO UPDATE SET value = ?3")                                           \
	X(SQL_DROP_RULE, "DELETE FROM rule WHERE place = ?1 AND key = ?2")                                            \
	X(SQL_EACH_RULE, "SELECT place, key, value FROM rule ORDER BY place, key")                                    \
	X(SQL_PUT_NIGHT, "INSERT INTO night(site, day, decided) VALUES(?1, ?2, ?3) "                                  \
	                 "ON CONFLICT(site) DO UPDATE SET day = ?2, decided = ?3")                                    \
	X(SQL_GET_NIGHT, "SELECT day, decided FROM night WHERE site = ?1")                                            \
	X(SQL_HAS_FILES, "SELECT count(*) FROM plan_files WHERE hash = ?1")                                           \
	X(SQL_BASE_FILES, "SELECT base.hash, base.bytes, base.packed FROM plan JOIN plan_files AS own ON own.hash = plan.files " \
	                  "JOIN plan_files AS base ON base.hash = coalesce(own.base, own.hash) "                      \
	                  "WHERE edge = ?1 ORDER BY day DESC LIMIT 1")                                                \
	X(SQL_PUT_FILES, "INSERT INTO plan_files(hash, base, bytes, packed) VALUES(?1, ?2, ?3, ?4)")                  \
	X(SQL_FILES_OF_DAY, "SELECT files FROM plan WHERE edge = ?1 AND day = ?2")                                    \
	X(SQL_PUT_PLAN, "INSERT INTO plan(edge, day, version, files, made, summary) VALUES(?1, ?2, ?3, ?4, ?5, ?6) "  \
	                "ON CONFLICT(edge, day) DO UPDATE SET version = ?3, files = ?4, made = ?5, summary = ?6")     \
	X(SQL_FORGET_FILES, "DELETE FROM plan_files WHERE NOT EXISTS(SELECT 1 FROM plan WHERE plan.files = hash) " UNBASED) \
	X(SQL_FORGET_ONE_FILES, "DELETE FROM plan_files WHERE hash = ?1 AND NOT EXISTS(SELECT 1 FROM plan WHERE files = ?1) " UNBASED) \
	X(SQL_FORGET_PLANS, "DELETE FROM plan WHERE edge = ?1 AND day < "                                             \
	                    "(SELECT day FROM plan WHERE edge = ?1 ORDER BY day DESC LIMIT 1 OFFSET ?2 - 1)")         \
	X(SQL_FORGET_EDGES_PLANS, "DELETE FROM plan WHERE day < ?1 AND edge NOT IN (SELECT name FROM edge)")          \
	X(SQL_FORGET_OLDEST_PLANS, "DELETE FROM plan WHERE day = (SELECT min(day) FROM plan) "                        \
	                           "AND (SELECT total(length(packed)) FROM plan_files) > ?1")                         \
	X(SQL_EACH_PLAN, "SELECT day, version, plan.files, made, summary, own.bytes, own.packed, base.hash, base.bytes, base.packed " \
	                 "FROM plan JOIN plan_files AS own ON own.hash = plan.files LEFT JOIN plan_files AS base ON base.hash = own.base " \
	                 "WHERE edge = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day")                                    \
	X(SQL_AUDIT, "INSERT INTO audit(at, who, what, subject, detail) VALUES(?1, ?2, ?3, ?4, ?5)")

enum catalogue_statement {
#define CATALOGUE_ENUM(name, sql) name,
	CATALOGUE_STATEMENTS(CATALOGUE_ENUM)
#undef CATALOGUE_ENUM
	N_SQL
};

struct catalogue {
	char *path;
	int lock_fd;
	pthread_mutex_t lock; /* guards all below */
	sqlite3 *db;          /* NULL: not open */
	sqlite3_stmt *statements[N_SQL];
	pthread_mutex_t telling; /* of the problem alone: who asks how it is does not wait for a lock of others */
	char problem[256];
	uint64_t demand_version, policy_version; /* atomic */
	const struct catalogue_once *once; /* to be noted with the next change of its thread, or NULL */
	pthread_t once_thread;
	bool once_noted;
	int64_t plans_swept; /* the day whose first plan has swept the history */
	int64_t max_history; /* bytes of packed lists */
	mono_us began; /* the transaction that holds the lock: when it was asked for */
	struct counters *counters;
};

/* Brings the schema of an open database to the present version.  ERR_UNSUPPORTED
 * when it was written by a newer program. */
int catalogue_schema_update(sqlite3 *, const char *path, struct fault *);

#define CATALOGUE_BUSY_MS 2000

const char *catalogue_text(enum catalogue_statement); /* its SQL */

/* ERR_BUSY or ERR_DATABASE, with what SQLite says and the cure. */
int catalogue_error(sqlite3 *, const char *path, struct fault *);

/* --- sums of demand (catalogue_sums.c) --- */

#define CATALOGUE_DAY (24 * 3600)

struct catalogue_mark {
	int64_t hour;    /* negative: all rows are summed */
	char edge[128 + 1];
};
/* Within a batch's transaction. */
int catalogue_sum_batch(struct catalogue *, const char *edge, const struct catalogue_batch *, struct fault *);
int catalogue_forget_sums(struct catalogue *, int64_t now, int64_t keep, struct fault *);
/* From which hour on the sums are whole; on any connection.  SQLite's result. */
int catalogue_whole_sums(sqlite3 *, int64_t *ret_from);

/* Within a transaction: notes the request that is to be done once. */
int catalogue_note_once(struct catalogue *, struct fault *);

/* With the lock held. --------------------------------------------------------- */

/* Takes the lock, opens if need be, begins a transaction. */
int catalogue_begin(struct catalogue *, struct fault *);
/* Commits when e is 0, else rolls back; remembers the problem; gives the lock back.  Returns the result. */
int catalogue_end(struct catalogue *, int e, struct fault *);

/* The statement, with `fmt` bound from ?1 on: s text (NULL allowed), i int64_t, h const struct sha256 *. */
sqlite3_stmt *catalogue_bind(struct catalogue *, enum catalogue_statement, const char *fmt, ...);
/* Runs it to its end; the number of changed rows, or negative. */
int catalogue_run(struct catalogue *, sqlite3_stmt *, struct fault *);
int catalogue_audit(struct catalogue *, wall_us when, const char *who, const char *what, const char *subject,
                    const char *detail, struct fault *);

#endif

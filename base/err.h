/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One table of errors for the whole house.
 *
 * A function that can fail returns int: 0 or a positive count on success, a
 * negative code on failure.  -errno stays as it is, FFmpeg's codes pass through
 * inside ingest/ and player/, ours start at -1000.
 *
 * A `struct fault` carries what a person needs: what failed, where, and the
 * cure.  It is filled where the reason is known and printed once, by main.
 */
#ifndef RIBERA_BASE_ERR_H
#define RIBERA_BASE_ERR_H

#include <stddef.h>

enum err_class {
	ERR_CLASS_FATAL,     /* will fail again in the same way */
	ERR_CLASS_TRANSIENT, /* may go through later or elsewhere */
	ERR_CLASS_INPUT,     /* what we were given is wrong */
};

/*        symbol            code   class      text */
#define ERR_TABLE(X)                                                                               \
	X(ERR_USAGE, -1000, INPUT, "wrong usage")                                                  \
	X(ERR_SYNTAX, -1001, INPUT, "cannot be parsed")                                            \
	X(ERR_OUT_OF_RANGE, -1002, INPUT, "value out of range")                                    \
	X(ERR_LIMIT, -1003, INPUT, "a size limit was reached")                                     \
	X(ERR_UNSUPPORTED, -1004, INPUT, "not supported")                                          \
	X(ERR_TRUNCATED, -1005, INPUT, "ends too early")                                           \
	X(ERR_HASH, -1006, INPUT, "bytes do not match their hash")                                 \
	X(ERR_NOT_FOUND, -1007, INPUT, "not found")                                                \
	X(ERR_EXISTS, -1008, INPUT, "exists already")                                              \
	X(ERR_LOCKED, -1009, FATAL, "in use by another process")                                   \
	X(ERR_HTTP, -1010, TRANSIENT, "the peer answered with an error")                           \
	X(ERR_NETWORK, -1011, TRANSIENT, "network error")                                          \
	X(ERR_TIMEOUT, -1012, TRANSIENT, "timed out")                                              \
	X(ERR_CANCELLED, -1013, FATAL, "cancelled")                                                \
	X(ERR_DATABASE, -1014, FATAL, "database error")                                            \
	X(ERR_BUSY, -1015, TRANSIENT, "busy")                                                      \
	X(ERR_MEDIA, -1016, INPUT, "media error")                                                  \
	X(ERR_CORRUPT, -1017, INPUT, "is damaged")                                                 \
	X(ERR_DENIED, -1018, INPUT, "not allowed")

enum err {
#define ERR_ENUM(symbol, code, class, text) symbol = code,
	ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
};

/* Text for any code: ours, -errno, or "error N".  Static storage or a
 * per-thread buffer; never NULL. */
const char *err_text(int code);

enum err_class err_class_of(int code);

/* A reason for people.  Plain data; zero-initialise with `= {0}`. */
struct fault {
	int code;       /* negative, 0 when nothing failed */
	char text[768]; /* "what: where: cure", no trailing newline; long values are cut */
};

/* Fills `f` (which may be NULL) and returns `code`, so that a failing function
 * can end with `return fault_set(f, ERR_SYNTAX, "...")`. */
int fault_set(struct fault *f, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the text already there. */
int fault_prefix(struct fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text, or err_text(code) when no text was given. */
const char *fault_text(const struct fault *f);

#endif

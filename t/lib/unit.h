/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Criterion assertions that show both values.
 */
#ifndef RIBERA_T_UNIT_H
#define RIBERA_T_UNIT_H

#include <criterion/criterion.h>
#include <string.h>

#define CHECK(cond) cr_assert((cond), "%s:%d: %s", __FILE__, __LINE__, #cond)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		cr_assert(got_ == want_, "%s:%d: %s is %lld, want %lld", __FILE__, __LINE__, #got, \
		          got_, want_);                                                            \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *got_ = (got), *want_ = (want);                                         \
		cr_assert(got_ != NULL && strcmp(got_, want_) == 0,                                \
		          "%s:%d: %s is \"%s\", want \"%s\"", __FILE__, __LINE__, #got,            \
		          got_ != NULL ? got_ : "(null)", want_);                                  \
	} while (0)

#define CHECK_HAS(text, part)                                                                      \
	do {                                                                                       \
		const char *text_ = (text), *part_ = (part);                                       \
		cr_assert(text_ != NULL && strstr(text_, part_) != NULL,                           \
		          "%s:%d: %s is \"%s\", want \"%s\" in it", __FILE__, __LINE__, #text,     \
		          text_ != NULL ? text_ : "(null)", part_);                                \
	} while (0)

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * base/traceparent: W3C Trace Context, level 1, by its own examples and against everything near them.
 */
#include "base/traceparent.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "t/lib/unit.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

/* What a value becomes when it is sent on; "" for one that is refused. */
static const char *again(const char *value)
{
	static char text[TRACEPARENT_SIZE];
	struct traceparent t;

	text[0] = '\0';
	if (traceparent_parse(value, strlen(value), &t) == 0)
		traceparent_format(&t, text);
	return text;
}

Test(traceparent, what_is_taken)
{
	CHECK_STR(again("00-" TRACE "-" SPAN "-01"), "00-" TRACE "-" SPAN "-01");
	CHECK_STR(again("00-" TRACE "-" SPAN "-00"), "00-" TRACE "-" SPAN "-00");
	CHECK_STR(again("00-" TRACE "-" SPAN "-ff"), "00-" TRACE "-" SPAN "-01"); /* flags to come are not sent on */
	CHECK_STR(again("00-" TRACE "-" SPAN "-02"), "00-" TRACE "-" SPAN "-00");
	CHECK_STR(again("cc-" TRACE "-" SPAN "-01"), "00-" TRACE "-" SPAN "-01"); /* a later version */
	CHECK_STR(again("cc-" TRACE "-" SPAN "-01-what-will-be"), "00-" TRACE "-" SPAN "-01");
}

Test(traceparent, what_is_refused)
{
	static const char *const bad[] = {
		"", "00", "ff-" TRACE "-" SPAN "-01", "0-" TRACE "-" SPAN "-01", "FE-" TRACE "-" SPAN "-01",
		"00-" TRACE "-" SPAN "-01-", "00-" TRACE "-" SPAN "-01-x", "00-" TRACE "-" SPAN "-1", "00-" TRACE "-" SPAN "-0g",
		"00-" TRACE "-" SPAN "-0", "00-" TRACE "-" SPAN, "cc-" TRACE "-" SPAN "-01x", "cc-" TRACE "-" SPAN "-01.more",
		"00-00000000000000000000000000000000-" SPAN "-01", "00-" TRACE "-0000000000000000-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", "00-" TRACE "-00F067AA0BA902B7-01",
		"00_" TRACE "-" SPAN "-01", "00-" TRACE "_" SPAN "-01", "00-" TRACE "-" SPAN "_01",
		" 00-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-01 ", "00-" TRACE "0-" SPAN "-01",
		"00-" TRACE "-" SPAN "-01,00-" TRACE "-" SPAN "-01", "zz-" TRACE "-" SPAN "-01"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_STR(again(bad[i]), "");
}

Test(traceparent, no_byte_behind_the_end_is_read)
{
	const char *whole = "00-" TRACE "-" SPAN "-01";

	for (size_t n = 0; n < strlen(whole); n++) { /* under a sanitizer a byte too many is seen */
		char *cut = malloc(n + 1);
		struct traceparent t;

		memcpy(cut, whole, n);
		cut = realloc(cut, n > 0 ? n : 1);
		CHECK_INT(traceparent_parse(cut, n, &t), ERR_SYNTAX);
		free(cut);
	}
}

Test(traceparent, new_ones_are_good_and_differ)
{
	struct traceparent a, b;
	char text[TRACEPARENT_SIZE];

	traceparent_new(&a);
	traceparent_format(&a, text);
	CHECK_STR(again(text), text);
	b = a;
	traceparent_step(&b);
	CHECK_STR(b.trace, a.trace);
	CHECK(strcmp(b.span, a.span) != 0);
	traceparent_new(&b);
	CHECK(strcmp(b.trace, a.trace) != 0);
}

static bool state(const char *s)
{
	return tracestate_is_good(s, strlen(s));
}

Test(traceparent, states)
{
	char many[512] = "";

	CHECK(state("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
	CHECK(state("a=1 , b=2,,\tc=x y"));
	CHECK(state("1tenant@sys=v"));
	CHECK(!state(""));
	CHECK(!state(" , "));
	CHECK(!state("a"));
	CHECK(!state("A=1"));
	CHECK(!state("1a=1"));
	CHECK(!state("a="));
	CHECK(!state("a=b=c"));
	CHECK(!state("a@=1"));
	CHECK(!state("a@b@c=1"));
	CHECK(!state("a@1=1"));
	CHECK(!state("a=\x7f"));
	CHECK(!state("a=1\r\nx: y"));
	for (int i = 0; i < 32; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "%sk%d=1", i ? "," : "", i);
	CHECK(state(many));
	snprintf(many + strlen(many), sizeof many - strlen(many), ",k33=1");
	CHECK(!state(many));
}

Test(traceparent, request_ids)
{
	CHECK(request_id_is_good("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", 36));
	CHECK(request_id_is_good("A.b_9", 5));
	CHECK(!request_id_is_good("", 0));
	CHECK(!request_id_is_good("a b", 3));
	CHECK(!request_id_is_good("a\"", 2));
	CHECK(!request_id_is_good("a\0b", 3));
	CHECK(!request_id_is_good("0123456789012345678901234567890123456789012345678901234567890123x", 65));
}

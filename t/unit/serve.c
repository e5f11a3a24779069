/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pure parts of serve/: ranges, conditions, targets.
 */
#include "t/lib/unit.h"

#include <stdio.h>

#include "base/err.h"
#include "serve/chunks.h"
#include "serve/cmcd.h"
#include "serve/condition.h"
#include "serve/sign.h"
#include "serve/path.h"
#include "serve/range.h"

/* "verdict first-last first-last" */
static const char *ranges_of(const char *field, uint64_t size)
{
	static char text[1024];
	struct range r[RANGE_MAX];
	size_t n = 0, at;
	enum range_verdict v = range_parse(field, strlen(field), size, r, &n);

	at = (size_t)snprintf(text, sizeof text, "%s", v == RANGE_IGNORE ? "ignore" : v == RANGE_SOME ? "some" : "none");
	for (size_t i = 0; v == RANGE_SOME && i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, " %llu-%llu", (unsigned long long)r[i].first,
		                       (unsigned long long)r[i].last);
	return text;
}

Test(serve, ranges)
{
	CHECK_STR(ranges_of("bytes=0-0", 10), "some 0-0");
	CHECK_STR(ranges_of("BYTES=0-99", 10), "some 0-9");
	CHECK_STR(ranges_of("bytes=3-", 10), "some 3-9");
	CHECK_STR(ranges_of("bytes=-3", 10), "some 7-9");
	CHECK_STR(ranges_of("bytes=-30", 10), "some 0-9");
	CHECK_STR(ranges_of("bytes=-0", 10), "none");
	CHECK_STR(ranges_of("bytes=10-", 10), "none");
	CHECK_STR(ranges_of("bytes=10-,0-0", 10), "some 0-0");
	CHECK_STR(ranges_of("bytes=0-0", 0), "none");
	CHECK_STR(ranges_of("bytes=-1", 0), "none");
	CHECK_STR(ranges_of("bytes=5-4", 10), "ignore");
	CHECK_STR(ranges_of("bytes=", 10), "ignore");
	CHECK_STR(ranges_of("bytes=,", 10), "ignore");
	CHECK_STR(ranges_of("bytes=a-b", 10), "ignore");
	CHECK_STR(ranges_of("bytes=1", 10), "ignore");
	CHECK_STR(ranges_of("bytes=--1", 10), "ignore");
	CHECK_STR(ranges_of("bytes=-", 10), "ignore");
	CHECK_STR(ranges_of("bytes=0-1x", 10), "ignore");
	CHECK_STR(ranges_of("items=0-1", 10), "ignore");
	CHECK_STR(ranges_of("bytes = 0-1", 10), "ignore");
	CHECK_STR(ranges_of("bytes= ,0-1 , ,", 10), "some 0-1");
	CHECK_STR(ranges_of("bytes=99999999999999999999999-", 10), "none");
	CHECK_STR(ranges_of("bytes=0-99999999999999999999999", 10), "some 0-9");
}

Test(serve, ranges_coalesce)
{
	CHECK_STR(ranges_of("bytes=0-10,5-20", 1000), "some 0-20");
	CHECK_STR(ranges_of("bytes=0-10,50-60", 1000), "some 0-60");
	CHECK_STR(ranges_of("bytes=500-510,0-10", 1000), "some 500-510 0-10");
	CHECK_STR(ranges_of("bytes=0-10,500-510,0-999", 1000), "some 0-999");
	CHECK_STR(ranges_of("bytes=0-10,200-210,100-120", 1000), "some 0-10 100-210");
	CHECK_STR(ranges_of("bytes=900-910,0-10,700-710,800-820,720-800", 1000), "some 700-910 0-10");
}

Test(serve, ranges_at_the_edge)
{
	/* found by t/fuzz/range: the gap must not wrap around */
	CHECK_STR(ranges_of("bytes=-8,5-,5-", UINT64_MAX), "some 5-18446744073709551614");
}

Test(serve, ranges_many)
{
	char field[1024] = "bytes=0-0";

	for (int i = 1; i < RANGE_MAX; i++)
		snprintf(field + strlen(field), sizeof field - strlen(field), ",%d-%d", i * 1000, i * 1000);
	CHECK(strncmp(ranges_of(field, 100000), "some 0-0 1000-1000", 18) == 0);
	snprintf(field + strlen(field), sizeof field - strlen(field), ",99000-99001");
	CHECK_STR(ranges_of(field, 100000), "ignore");
}

#define F(s) {(s), sizeof(s) - 1}
#define MODIFIED ((wall_us)784111777 * DUR_S) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define THEN "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"

static int judge(struct condition_fields f)
{
	return (int)condition_judge(&f, "\"abc\"", MODIFIED + 5);
}

Test(serve, conditions)
{
	struct condition_fields none = {0};

	CHECK_INT(judge(none), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("\"abc\"")}), CONDITION_NOT_MODIFIED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("W/\"abc\"")}), CONDITION_NOT_MODIFIED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("\"x\", \"abc\"")}), CONDITION_NOT_MODIFIED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("*")}), CONDITION_NOT_MODIFIED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("\"abcd\"")}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("abc")}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("")}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_match = F("\"abc\"")}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_match = F("W/\"abc\"")}), CONDITION_FAILED);
	CHECK_INT(judge((struct condition_fields){.if_match = F("*")}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_match = F("\"x\"")}), CONDITION_FAILED);
	CHECK_INT(judge((struct condition_fields){.if_modified_since = F(THEN)}), CONDITION_NOT_MODIFIED);
	CHECK_INT(judge((struct condition_fields){.if_modified_since = F(BEFORE)}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_modified_since = F("yesterday")}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_unmodified_since = F(BEFORE)}), CONDITION_FAILED);
	CHECK_INT(judge((struct condition_fields){.if_unmodified_since = F(THEN)}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_unmodified_since = F("yesterday")}), CONDITION_PASSED);
	/* the order of 13.2.2 */
	CHECK_INT(judge((struct condition_fields){.if_match = F("\"abc\""), .if_unmodified_since = F(BEFORE)}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_none_match = F("\"x\""), .if_modified_since = F(LATER)}), CONDITION_PASSED);
	CHECK_INT(judge((struct condition_fields){.if_match = F("\"x\""), .if_none_match = F("\"abc\"")}), CONDITION_FAILED);
}

Test(serve, if_range)
{
	struct condition_field tag = F("\"abc\""), weak = F("W/\"abc\""), other = F("\"x\""), date = F(THEN), late = F(LATER);
	wall_us now = MODIFIED + 100 * DUR_S;

	CHECK(condition_if_range(&tag, "\"abc\"", MODIFIED, now));
	CHECK(!condition_if_range(&weak, "\"abc\"", MODIFIED, now));
	CHECK(!condition_if_range(&weak, "W/\"abc\"", MODIFIED, now));
	CHECK(!condition_if_range(&other, "\"abc\"", MODIFIED, now));
	CHECK(!condition_if_range(&tag, NULL, MODIFIED, now));
	CHECK(condition_if_range(&date, "\"abc\"", MODIFIED, now));
	CHECK(!condition_if_range(&late, "\"abc\"", MODIFIED, now));
	CHECK(!condition_if_range(&date, "\"abc\"", MODIFIED, MODIFIED));
	CHECK(!condition_if_range(&date, "\"abc\"", 0, now));
}

static const char *decoded(const char *path)
{
	static char out[256];
	size_t n = 0;

	if (path_decode(path, strlen(path), out, &n) != 0)
		return "refused";
	return strlen(out) == n ? out : "wrong length";
}

Test(serve, paths)
{
	static const char *const refused[] = {
		"", "x", "//", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "/%2e%2e/a", "/%2e", "/a%2fb", "/a%2Fb", "/%00", "/a%",
		"/a%2", "/a%zz", "/a\\b", "/a%5cb", "/%0d%0a", "/%7f", "/a#b", "/\xc3\xa9", "/%c0%af", "/%e0%80%af", "/%ed%a0%80",
		"/%f4%90%80%80", "/%ff", "/%c3", "/a/..", "/..%2f..", "/%f8%88%80%80%80",
	};

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		CHECK_STR(decoded(refused[i]), "refused");
	CHECK_STR(decoded("/"), "/");
	CHECK_STR(decoded("/a/"), "/a/");
	CHECK_STR(decoded("/a%20b"), "/a b");
	CHECK_STR(decoded("/%C3%A9%e2%82%ac%f0%9f%98%80"), "/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	CHECK_STR(decoded("/..a/...b"), "/..a/...b");
	CHECK_STR(decoded("/a%252e"), "/a%2e");
}

Test(serve, targets)
{
	struct path_target t;
	char *longest = malloc(PATH_MAX_TARGET + 2);

	CHECK_INT(path_split("/a?b=c?d", 8, &t), 0);
	CHECK(t.path_n == 2 && t.query_n == 5 && memcmp(t.query, "b=c?d", 5) == 0);
	CHECK_INT(path_split("/a", 2, &t), 0);
	CHECK_INT(t.query_n, 0);
	CHECK_INT(path_split("http://h:1/a?b", 14, &t), 0);
	CHECK(t.path_n == 2 && t.query_n == 1);
	CHECK(t.authority_n == 3 && memcmp(t.authority, "h:1", 3) == 0);
	CHECK_INT(path_split("http://h", 8, &t), 0);
	CHECK(t.path_n == 1 && t.path[0] == '/' && t.query_n == 0 && t.authority_n == 1);
	CHECK_INT(path_split("HTTPS://h?a=/b", 14, &t), 0);
	CHECK(t.path_n == 1 && t.path[0] == '/' && t.query_n == 4 && memcmp(t.query, "a=/b", 4) == 0 && t.authority_n == 1);
	CHECK_INT(path_split("/http://h", 9, &t), 0);
	CHECK(t.authority == NULL && t.path_n == 9);
	CHECK_INT(path_split("http://h#/a", 11, &t), ERR_SYNTAX);
	CHECK_INT(path_split("http://", 7, &t), ERR_SYNTAX);
	CHECK_INT(path_split("http:///a", 9, &t), ERR_SYNTAX);
	CHECK_INT(path_split("http://?a", 9, &t), ERR_SYNTAX);
	CHECK_INT(path_split("http://:80/", 11, &t), ERR_SYNTAX);
	CHECK_INT(path_split("*", 1, &t), ERR_SYNTAX);
	CHECK_INT(path_split("", 0, &t), ERR_SYNTAX);
	memset(longest, '/', PATH_MAX_TARGET + 1);
	CHECK_INT(path_split(longest, PATH_MAX_TARGET, &t), 0);
	CHECK_INT(path_split(longest, PATH_MAX_TARGET + 1, &t), ERR_LIMIT);
	free(longest);
}

Test(serve, params)
{
	const char *q = "a=1&bb=&c&ab=2%20x+y&a=3", *v;
	char out[64];
	size_t n;

	CHECK((v = path_param(q, strlen(q), "a", &n)) != NULL && n == 1 && *v == '1');
	CHECK(path_param(q, strlen(q), "bb", &n) != NULL && n == 0);
	CHECK(path_param(q, strlen(q), "c", &n) != NULL && n == 0);
	CHECK(path_param(q, strlen(q), "b", &n) == NULL);
	CHECK((v = path_param(q, strlen(q), "ab", &n)) != NULL);
	CHECK_INT(path_decode_param(v, n, out, &n), 0);
	CHECK_STR(out, "2 x y");
	CHECK_INT(path_decode_param("%00", 3, out, &n), ERR_SYNTAX);
	CHECK_INT(path_decode_param("%4", 2, out, &n), ERR_SYNTAX);
}

static struct cmcd cmcd_of(const char *text)
{
	struct cmcd c = {.session = ""};

	cmcd_read(text, strlen(text), &c);
	return c;
}

Test(serve, cmcd)
{
	CHECK_STR(cmcd_of("bl=2900,bs,sid=\"6e2f\",sf=d").session, "6e2f");
	CHECK(cmcd_of("bl=2900,bs,sid=\"6e2f\"").starved);
	CHECK(!cmcd_of("bl=2900,sid=\"a,bs,b\"").starved);
	CHECK_STR(cmcd_of("cid=\"x,sid=\\\",sid=y\", sid=\"z\"").session, "z");
	CHECK_STR(cmcd_of("xsid=\"a\",sid").session, "");
	CHECK_STR(cmcd_of("nor=\"..%2F300kbps%2ftrack.m4v\",nrr=\"12323-48763\"").next, "../300kbps/track.m4v");
	CHECK_STR(cmcd_of("nor=\"a\",nrr=\"12323-48763\"").range, "12323-48763");
	CHECK_STR(cmcd_of("nor,nrr=\"0000000000000000000000000000000000000000000000000\"").range, "");
	CHECK_STR(cmcd_of("nor=\"%2\"").next, "%2");
	CHECK(!cmcd_of("bs=false").starved);
	CHECK_STR(cmcd_of("").session, "");
	CHECK_STR(cmcd_of("sid=\"").session, "\"");
	CHECK_INT(strlen(cmcd_of("sid=aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg").session), CMCD_MAX_SESSION);
}

/* --- signed URLs --- */

static const char two_keys[] = "# ours\nk2 00112233445566778899aabbccddeeff\n\n  k1\t0102030405060708090a0b0c0d0e0f1011121314 \r\n";
static const wall_us NOON = 1767268800 * DUR_S;

static struct sign_keys *keys_of(const char *text)
{
	struct sign_keys *keys = NULL;

	return sign_keys_read(text, strlen(text), "keys", &keys, NULL) == 0 ? keys : NULL;
}

static int check(const struct sign_keys *k, const char *token, const char *path, const char *client, wall_us now)
{
	return (int)sign_check(k, token, strlen(token), path, strlen(path), client, now);
}

Test(serve, signed_urls)
{
	struct sign_keys *two = keys_of(two_keys), *old = keys_of("k1 0102030405060708090A0B0C0D0E0F1011121314"), *other = keys_of("k9 00112233445566778899aabbccddeeff");
	char token[SIGN_TOKEN_SIZE], by_old[SIGN_TOKEN_SIZE];

	CHECK(two != NULL && old != NULL && other != NULL);
	CHECK_INT(sign_make(two, "/v/bbb/manifest.mpd", 2, NOON, NULL, token), 0);
	CHECK_INT(sign_make(old, "/v/bbb/", 2, NOON, NULL, by_old), 0);
	/* made with: printf 'ribera-1\n1767268800\n2\n-\n/v/bbb/' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0011...ff -binary | basenc --base64url */
	CHECK_STR(token, "k2.1767268800.2.ECfiitult73OLLdrRbTFVdCT4btKpKyzJalYm6ztgTY");
	CHECK_INT(check(two, token, "/v/bbb/0123/video.mp4", "192.0.2.1", NOON - 1), SIGN_GOOD);
	CHECK_INT(check(two, by_old, "/v/bbb/manifest.mpd", "192.0.2.1", NOON - DUR_S), SIGN_GOOD);
	CHECK_INT(check(two, token, "/v/bbb/0123/video.mp4", "192.0.2.1", NOON), SIGN_EXPIRED);
	CHECK_INT(check(two, token, "/v/bbc/0123/video.mp4", "192.0.2.1", 0), SIGN_WRONG);
	CHECK_INT(check(two, token, "/v/bbb", "192.0.2.1", 0), SIGN_WRONG);
	CHECK_INT(check(old, token, "/v/bbb/x", "192.0.2.1", 0), SIGN_UNKNOWN_KEY);
	CHECK_INT(check(other, token, "/v/bbb/x", "192.0.2.1", 0), SIGN_UNKNOWN_KEY);
	for (size_t i = 0; i < strlen(token); i++) { /* no letter may change */
		char bent[SIGN_TOKEN_SIZE];

		memcpy(bent, token, sizeof bent);
		bent[i] = bent[i] == '1' ? '3' : '1';
		CHECK(check(two, bent, "/v/bbb/x", "192.0.2.1", 0) != SIGN_GOOD);
		CHECK(sign_check(two, token, i, "/v/bbb/x", 8, "192.0.2.1", 0) != SIGN_GOOD);
	}
	CHECK_INT(sign_make(two, "/v", 2, NOON, NULL, token), ERR_OUT_OF_RANGE);
	sign_keys_free(&two);
	sign_keys_free(&old);
	sign_keys_free(&other);
}

Test(serve, signed_for_a_network)
{
	struct sign_keys *k = keys_of(two_keys);
	char token[SIGN_TOKEN_SIZE];
	struct sign_net net;

	CHECK_INT(sign_net_read("192.0.2.77/26", &net), 0);
	CHECK_INT(sign_make(k, "/v/bbb/", 2, NOON, &net, token), 0);
	CHECK_INT(check(k, token, "/v/bbb/x", "192.0.2.127", 0), SIGN_GOOD);
	CHECK_INT(check(k, token, "/v/bbb/x", "192.0.2.128", 0), SIGN_WRONG);
	CHECK_INT(check(k, token, "/v/bbb/x", "::1", 0), SIGN_WRONG);
	CHECK_INT(sign_net_read("2001:db8:7::/48", &net), 0);
	CHECK_INT(sign_make(k, "/v/bbb/", 2, NOON, &net, token), 0);
	CHECK_INT(check(k, token, "/v/bbb/x", "2001:db8:7:ffff::1", 0), SIGN_GOOD);
	CHECK_INT(check(k, token, "/v/bbb/x", "2001:db8:8::1", 0), SIGN_WRONG);
	CHECK_INT(sign_net_read("192.0.2.1", &net), 0);
	CHECK_INT(net.bits, 32);
	CHECK_INT(sign_net_read("192.0.2.1/33", &net), ERR_SYNTAX);
	CHECK_INT(sign_net_read("example", &net), ERR_SYNTAX);
	sign_keys_free(&k);
}

Test(serve, keys_that_are_none)
{
	static const char *const bad[] = {"", "# only\n", "k1", "k1 0011", "k1 zz112233445566778899aabbccddeeff", "k-1 00112233445566778899aabbccddeeff",
	                                  "k1 00112233445566778899aabbccddeefff", "k1 00112233445566778899aabbccddeeff\nk1 00112233445566778899aabbccddeeff"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct sign_keys *k = NULL;
		struct fault f = {0};

		CHECK_INT(sign_keys_read(bad[i], strlen(bad[i]), "the-file", &k, &f), ERR_SYNTAX);
		CHECK(strstr(f.text, "the-file") != NULL);
		CHECK(strstr(f.text, "00112233445566778899") == NULL); /* no secrets in messages */
	}
}

/* In two parts, cut at `cut`: the body, and behind it what stands behind the end; "more" or "wrong". */
static const char *chunks_of(const char *text, size_t text_n, size_t cut)
{
	static char out[256];
	struct chunks k = {0};
	size_t made = 0;
	ssize_t r = -2;

	for (size_t at = 0, n; r == -2 && at < text_n; at = cut) {
		size_t size = n = at == 0 && cut > 0 ? cut : text_n - at;

		memcpy(out + made, text + at, size);
		r = chunks_decode(&k, out + made, &n);
		made += n;
		if (r >= 0 && at + size < text_n) { /* the end came with the first part */
			memcpy(out + made + r, text + at + size, text_n - at - size);
			r += (ssize_t)(text_n - at - size);
		}
		if (cut <= at)
			break;
	}
	if (r < 0)
		return r == -2 ? "more" : "wrong";
	memmove(out + made + 1, out + made, (size_t)r);
	out[made] = '|';
	out[made + 1 + (size_t)r] = '\0';
	return out;
}

static void check_chunks(const char *text, size_t n, const char *want)
{
	for (size_t cut = 0; cut < n; cut++)
		CHECK_STR(chunks_of(text, n, cut), want);
}
#define CHUNKS(text, want) check_chunks(text, sizeof text - 1, want)

Test(serve, chunks)
{
	CHUNKS("3\r\nabc\r\n0\r\n\r\n", "abc|");
	CHUNKS("3\r\nabc\r\nB\r\n0\r\n\r\n234567\r\n00\r\n\r\nGET", "abc0\r\n\r\n234567|GET");
	CHUNKS("1;a=b; c=\"d\xc3\xa9\"\t\r\na\r\n0;e\r\nX-y: \t z\r\nEmpty:\r\n\r\n", "a|");
	CHUNKS("000000000000003\r\nabc\r\n000000000000000\r\n\r\n", "abc|");
	CHUNKS("3\r\nabc\r\n0\r\n", "more");
	CHUNKS("fffffffffffffff\r\nabc\r\n0\r\n\r\n", "more");
	CHUNKS("0000000000000003\r\nabc\r\n0\r\n\r\n", "wrong"); /* more digits than a size needs */
	CHUNKS("\r\n", "wrong");
	CHUNKS(";a\r\n", "wrong");
	CHUNKS("-1\r\n", "wrong");
	CHUNKS("0x3\r\nabc\r\n0\r\n\r\n", "wrong");
	CHUNKS("3_0\r\nabc\r\n0\r\n\r\n", "wrong");
	CHUNKS("3 \r\nabc\r\n0\r\n\r\n", "wrong");
	CHUNKS("3\nabc\r\n0\r\n\r\n", "wrong");
	CHUNKS("3;a\nabc\r\n0\r\n\r\n", "wrong");
	CHUNKS("3;a\rb\r\nabc\r\n0\r\n\r\n", "wrong");
	CHUNKS("3;\0\r\nabc\r\n0\r\n\r\n", "wrong");
	CHUNKS("3\r\nabc\n0\r\n\r\n", "wrong");
	CHUNKS("3\r\nabc\r\r\n0\r\n\r\n", "wrong");
	CHUNKS("3\r\nabcX\r\n0\r\n\r\n", "wrong");
	CHUNKS("0\n\r\n", "wrong");
	CHUNKS("0\r\n\n", "wrong");
	CHUNKS("0\r\nA: b\n\r\n", "wrong");
	CHUNKS("0\r\nA: b\rc\r\n\r\n", "wrong");
	CHUNKS("0\r\nA: b\r\n c\r\n\r\n", "wrong");
	CHUNKS("0\r\nA : b\r\n\r\n", "wrong");
	CHUNKS("0\r\nGET / HTTP/1.1\r\n\r\n", "wrong");
}

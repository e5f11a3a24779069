/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * base/: what must hold in the room that everybody stands on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/counter.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/str.h"
#include "t/lib/unit.h"

Test(file, a_pipe_is_written_to_and_stays_a_pipe)
{
	char folder[] = "/tmp/ribera-unit-XXXXXX", text[8] = "";
	struct stat st;
	char *path;
	int fd;

	cr_assert(mkdtemp(folder) != NULL);
	path = path_join(folder, "pipe");
	cr_assert(mkfifo(path, 0600) == 0);
	fd = open(path, O_RDWR | O_NONBLOCK);
	CHECK_INT(file_write_atomic(path, "hello", 5, 0644), 0);
	CHECK_INT(read(fd, text, sizeof text), 5);
	CHECK_STR(text, "hello");
	cr_assert(stat(path, &st) == 0 && S_ISFIFO(st.st_mode), "it is a file now");
	close(fd);
	free(path);
	CHECK_INT(folder_remove(folder), 0);
}

Test(buf, limit_sticks)
{
	struct buf b;

	buf_init(&b, 4);
	CHECK_INT(buf_puts(&b, "abcd"), 0);
	CHECK_INT(buf_putc(&b, 'e'), ERR_LIMIT);
	CHECK_INT(buf_puts(&b, ""), ERR_LIMIT);
	CHECK_INT(buf_error(&b), ERR_LIMIT);
	CHECK_STR(buf_text(&b), "abcd");
	buf_fini(&b);
}

Test(buf, big_endian)
{
	struct buf b;

	buf_init(&b, 64);
	buf_be(&b, 0x0102030405060708, 8);
	buf_be(&b, 0xabcdef, 3);
	CHECK_INT(b.size, 11);
	CHECK(memcmp(b.bytes, "\1\2\3\4\5\6\7\10\xab\xcd\xef", 11) == 0);
	buf_fini(&b);
}

Test(blob, shared_until_the_last)
{
	struct blob *a = blob_copy("xyz", 3), *b = blob_ref(a);

	blob_unref(&a);
	CHECK(a == NULL);
	CHECK(memcmp(b->bytes, "xyz", 3) == 0);
	blob_unref(&b);
	blob_unref(&b);
}

Test(sha256, known_answer)
{
	struct sha256 h, again;
	char hex[SHA256_HEX_SIZE];
	struct sha256_state *s = sha256_new();

	sha256_of("abc", 3, &h);
	sha256_to_hex(&h, hex);
	CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_update(s, "a", 1);
	sha256_update(s, "bc", 2);
	sha256_final(s, &again);
	CHECK(sha256_equal(&h, &again));
	sha256_update(s, "abc", 3);
	sha256_final(s, &again);
	CHECK(sha256_equal(&h, &again));
	sha256_free(&s);
	CHECK_INT(sha256_from_hex(hex, 64, &again), 0);
	CHECK(sha256_equal(&h, &again));
	hex[5] = 'g';
	CHECK_INT(sha256_from_hex(hex, 64, &again), ERR_SYNTAX);
}

Test(clock, http_date_there_and_back)
{
	char text[CLOCK_RFC3339_SIZE];
	wall_us t;

	CHECK_INT(clock_from_http("Sun, 06 Nov 1994 08:49:37 GMT", 29, &t), 0);
	CHECK_INT(t, 784111777 * DUR_S);
	clock_to_http(t, text);
	CHECK_STR(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	clock_to_rfc3339(t + 5000, text);
	CHECK_STR(text, "1994-11-06T08:49:37.005Z");
	CHECK_INT(clock_from_http("Mon, 06 Nov 1994 08:49:37 GMT", 29, &t), ERR_SYNTAX);
	CHECK_INT(clock_from_http("Sun, 06 Nov 1994 08:49:37 UTC", 29, &t), ERR_SYNTAX);
	CHECK_INT(clock_from_http("Sunday, 06-Nov-94 08:49:37 GMT", 30, &t), 0);
	CHECK_INT(t, 784111777 * DUR_S);
	CHECK_INT(clock_from_http("Wednesday, 31-Dec-25 23:59:59 GMT", 33, &t), 0);
	CHECK_INT(t, 1767225599 * DUR_S);
	CHECK_INT(clock_from_http("Someday, 06-Nov-94 08:49:37 GMT", 31, &t), ERR_SYNTAX);
	CHECK_INT(clock_from_http("Sunday, 06-Nov-94 08:49:37 PST", 30, &t), ERR_SYNTAX);
	CHECK_INT(clock_from_http("Sunday, 06-Nov-94 28:49:37 GMT", 30, &t), ERR_SYNTAX);
	CHECK_INT(clock_from_http("Sun Nov  6 08:49:37 1994", 24, &t), 0);
	CHECK_INT(t, 784111777 * DUR_S);
	CHECK_INT(clock_from_http("Wed Dec 31 23:59:59 2025", 24, &t), 0);
	CHECK_INT(t, 1767225599 * DUR_S);
	CHECK_INT(clock_from_http("Sun Nov 06 08:49:37 1994", 24, &t), ERR_SYNTAX);
	CHECK_INT(clock_from_http("Mon Nov  6 08:49:37 1994", 24, &t), ERR_SYNTAX);
	clock_to_rfc3339(INT64_MAX, text);
	CHECK_STR(text, "-");
}

#define PARSE(function, text, ret) function((text), strlen(text), (ret))

Test(str, numbers_are_read_whole_or_not_at_all)
{
	uint64_t u;
	int64_t i;
	dur_us d;
	double x;

	CHECK_INT(PARSE(str_parse_u64, "18446744073709551615", &u), 0);
	CHECK(u == UINT64_MAX);
	CHECK_INT(PARSE(str_parse_u64, "18446744073709551616", &u), ERR_OUT_OF_RANGE);
	CHECK_INT(PARSE(str_parse_u64, "", &u), ERR_SYNTAX);
	CHECK_INT(PARSE(str_parse_u64, "+1", &u), ERR_SYNTAX);
	CHECK_INT(PARSE(str_parse_u64, "1 ", &u), ERR_SYNTAX);
	CHECK_INT(PARSE(str_parse_i64, "-5", &i), 0);
	CHECK_INT(i, -5);
	CHECK_INT(PARSE(str_parse_i64, "-", &i), ERR_SYNTAX);
	CHECK_INT(PARSE(str_parse_bytes, "1.5 MiB", &u), 0);
	CHECK_INT(u, 1572864);
	CHECK_INT(PARSE(str_parse_bytes, "64k", &u), 0);
	CHECK_INT(u, 64000);
	CHECK_INT(PARSE(str_parse_bytes, "1e30", &u), ERR_OUT_OF_RANGE);
	CHECK_INT(PARSE(str_parse_bytes, "-1", &u), ERR_OUT_OF_RANGE);
	CHECK_INT(PARSE(str_parse_bytes, "0x10", &u), ERR_SYNTAX);
	CHECK_INT(PARSE(str_parse_duration, "250ms", &d), 0);
	CHECK_INT(d, 250000);
	CHECK_INT(PARSE(str_parse_duration, "6h", &d), 0);
	CHECK_INT(d, 6 * DUR_HOUR);
	CHECK_INT(PARSE(str_parse_duration, "6 fortnights", &d), ERR_SYNTAX);
	CHECK_INT(PARSE(str_parse_double, "nan", &x), ERR_SYNTAX);
	CHECK_INT(PARSE(str_parse_double, "1e999", &x), ERR_OUT_OF_RANGE);
}

Test(str, names_cannot_leave_their_folder)
{
	CHECK(str_is_name("video-1080p.mp4", 15));
	CHECK(!str_is_name("..", 2));
	CHECK(!str_is_name(".hidden", 7));
	CHECK(!str_is_name("a/b", 3));
	CHECK(!str_is_name("a\0b", 3));
	CHECK(!str_is_name("-rf", 3));
	CHECK(!str_is_name("", 0));
}

Test(str, slug)
{
	char *s = str_slug("  Big Buck Bunny (2008) — 30 s!");

	CHECK_STR(s, "big-buck-bunny-2008-30-s");
	free(s);
	s = str_slug("¡¿");
	CHECK_STR(s, "title");
	free(s);
}

struct settings {
	const char *listen;
	uint64_t threads;
	uint64_t cap;
	dur_us idle;
	bool cors;
	struct config_list tags;
};

static const struct config_row rows[] = {
	{"listen", CONFIG_STRING, offsetof(struct settings, listen), "127.0.0.1:8080", 0, 0, "ADDR:PORT", "where viewers connect", false},
	{"threads", CONFIG_UINT, offsetof(struct settings, threads), "2", 1, 64, "N", "threads that serve", false},
	{"disk.cap", CONFIG_BYTES, offsetof(struct settings, cap), "1GiB", 0, 0, "BYTES", "bytes at most", false},
	{"disk.idle_time", CONFIG_DURATION, offsetof(struct settings, idle), "30s", 1, 3600 * DUR_S, "TIME", "rest", false},
	{"cors", CONFIG_BOOL, offsetof(struct settings, cors), "yes", 0, 0, NULL, "allow other sites", false},
	{"tags", CONFIG_LIST, offsetof(struct settings, tags), NULL, 0, 0, "A,B", "labels", false},
};

static int read_text(struct settings *s, struct config **c, const char *text, struct fault *f)
{
	memset(s, 0, sizeof *s);
	*c = config_new(rows, sizeof rows / sizeof rows[0], s);
	return config_read_text(*c, "x.yaml", text, strlen(text), f);
}

Test(config, file_over_default_and_arguments_over_file)
{
	struct settings s;
	struct config *c;
	struct fault f = {0};
	char *argv[] = {"prog", "--threads=8", "in", "--no-cors", "--disk-idle-time", "2min", "--", "--out", NULL};
	int argc = 8;

	CHECK_INT(read_text(&s, &c, "threads: 4\ndisk:\n  cap: 2GiB\ntags: [a, b]\n", &f), 0);
	CHECK_INT(s.threads, 4);
	CHECK_INT(s.cap, 2147483648);
	CHECK_INT(s.tags.n, 2);
	CHECK_STR(s.tags.items[1], "b");
	CHECK_STR(s.listen, "127.0.0.1:8080");
	CHECK_INT(config_read_args(c, &argc, argv, &f), 0);
	CHECK_INT(s.threads, 8);
	CHECK(!s.cors);
	CHECK_INT(s.idle, 120 * DUR_S);
	CHECK_INT(argc, 3);
	CHECK_STR(argv[1], "in");
	CHECK_STR(argv[2], "--out");
	config_free(&c);
}

static void put_text(const char *folder, const char *name, const char *text)
{
	char *path = path_join(folder, name);

	CHECK_INT(file_write_atomic(path, text, strlen(text), 0644), 0);
	free(path);
}

Test(config, drop_ins_come_after_the_file_in_the_order_of_their_names)
{
	char folder[] = "/tmp/ribera-unit-XXXXXX";
	struct settings s = {0};
	struct config *c = config_new(rows, sizeof rows / sizeof rows[0], &s);
	struct fault f = {0};
	char *drops;
	char file[64];
	char *argv[] = {"prog", "--config", file, "--disk-cap=5GiB", NULL};
	int argc = 4;

	CHECK(mkdtemp(folder) != NULL);
	snprintf(file, sizeof file, "%s/x.yaml", folder);
	drops = mem_printf("%s.d", file);
	CHECK_INT(mkdir(drops, 0755), 0);
	put_text(folder, "x.yaml", "threads: 4\ncors: no\ndisk:\n  cap: 1GiB\n");
	put_text(drops, "20-more.yaml", "threads: 6\n");
	put_text(drops, "10-first.yaml", "threads: 5\ntags: [a]\n");
	put_text(drops, "notes.txt", "not: a setting\n");
	CHECK_INT(config_read_args(c, &argc, argv, &f), 0);
	CHECK_INT(s.threads, 6);
	CHECK_INT(s.tags.n, 1);
	CHECK(!s.cors);
	CHECK_INT(s.cap, 5368709120);
	put_text(drops, "30-wrong.yaml", "threads: 4\nthraeds: 5\n");
	argc = 4;
	argv[1] = "--config";
	CHECK_INT(config_read_args(c, &argc, argv, &f), ERR_USAGE);
	CHECK_HAS(f.text, "30-wrong.yaml:2:1: unknown setting");
	config_free(&c);
	folder_remove(folder);
	free(drops);
}

static void expect_fault(const char *text, int code, const char *part)
{
	struct settings s;
	struct config *c;
	struct fault f = {0};

	CHECK_INT(read_text(&s, &c, text, &f), code);
	CHECK_HAS(f.text, part);
	config_free(&c);
}

Test(config, what_is_printed_is_read_back)
{
	struct settings s = {0}, plain = {0}, back = {0};
	struct config *c, *d = config_new(rows, sizeof rows / sizeof rows[0], &plain), *b;
	struct fault f = {0};
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	CHECK_INT(read_text(&s, &c, "listen: 'C:\\a \"b\" # \xc3\xb1'\ndisk:\n  cap: 5GiB\ntags: ['a, b', \"c\"]\n", &f), 0);
	config_print_changes(rows, sizeof rows / sizeof rows[0], &s, &plain, out);
	fclose(out);
	CHECK_INT(read_text(&back, &b, text, &f), 0);
	CHECK_STR(back.listen, s.listen);
	cr_assert(back.cap == s.cap && back.cap != plain.cap);
	CHECK_INT(back.tags.n, 2);
	CHECK_STR(back.tags.items[0], "a, b");
	cr_assert(strstr(text, "threads") == NULL, "what is as by default is not written: %s", text);
	free(text);
	config_free(&c);
	config_free(&d);
	config_free(&b);
}

Test(config, mistakes_are_located)
{
	expect_fault("threads: 4\nthraeds: 5\n", ERR_SYNTAX, "x.yaml:2:1: unknown setting \"thraeds\"");
	expect_fault("disk:\n  cap: lots\n", ERR_SYNTAX, "x.yaml:2:8: disk.cap: found \"lots\"");
	expect_fault("threads: 65\n", ERR_OUT_OF_RANGE, "from 1 to 64");
	expect_fault("threads: [1]\n", ERR_SYNTAX, "x.yaml:1:10");
	expect_fault("a: b: c\n", ERR_SYNTAX, "x.yaml:1:");
	expect_fault("just words\n", ERR_SYNTAX, "expected lines such as");
	expect_fault("", 0, "");
}

Test(fault, what_others_wrote_stays_in_its_line)
{
	struct fault f = {0};

	fault_set(&f, ERR_SYNTAX, "\"%s\"", "a\nb\033[2J\x7f\xc2\x9b\xc3\xb1\xc2\xa0\xe2\x80\x9c");
	CHECK_STR(f.text, "\"a?b?[2J???\xc3\xb1\xc2\xa0\xe2\x80\x9c\"");
	fault_prefix(&f, "%s", "x\r");
	CHECK(strncmp(f.text, "x?: ", 4) == 0);
}

Test(config, brackets_without_end_are_refused_at_once)
{
	char *text = malloc(1000001), want[] = "x.yaml:1: brackets are opened within brackets more than 1000 times";

	cr_assert(text != NULL);
	memset(text, '[', 1000000);
	text[1000000] = '\0';
	memcpy(text, "a: ", 3);
	expect_fault(text, ERR_SYNTAX, want);
	free(text);
	expect_fault("tags: [a, b] # [[[\n", 0, "");
}

Test(config, wrong_usage_is_said)
{
	struct settings s = {0};
	struct config *c = config_new(rows, sizeof rows / sizeof rows[0], &s);
	struct fault f = {0};
	char *unknown[] = {"prog", "--wat", NULL}, *missing[] = {"prog", "--threads", NULL};
	int argc = 2;

	CHECK_INT(config_read_args(c, &argc, unknown, &f), ERR_USAGE);
	CHECK_HAS(f.text, "--wat");
	argc = 2;
	CHECK_INT(config_read_args(c, &argc, missing, &f), ERR_USAGE);
	CHECK_HAS(f.text, "needs a value");
	config_free(&c);
}

Test(counter, prometheus_text)
{
	static const struct counter_row table[] = {
		{"x_requests_total", "code=\"2xx\"", COUNTER_TOTAL, "Requests."},
		{"x_requests_total", "code=\"4xx\"", COUNTER_TOTAL, "Requests."},
		{"x_open", NULL, COUNTER_GAUGE, "Open."},
		{"x_wait_seconds", NULL, COUNTER_SECONDS, "Wait."},
	};
	struct counters *c = counters_new(table, 4);
	struct buf b;

	buf_init(&b, 1 << 16);
	counters_add(c, 0, 3);
	counters_add(c, 0, 4);
	counters_set(c, 2, -5);
	counters_observe(c, 3, 300);
	counters_observe(c, 3, 90 * DUR_S);
	counters_write(c, &b);
	CHECK_HAS(buf_text(&b), "# TYPE x_requests_total counter\nx_requests_total{code=\"2xx\"} 7\nx_requests_total{code=\"4xx\"} 0\n");
	CHECK_HAS(buf_text(&b), "x_open -5\n");
	CHECK_HAS(buf_text(&b), "x_wait_seconds_bucket{le=\"0.00025\"} 0\nx_wait_seconds_bucket{le=\"0.0005\"} 1\n");
	CHECK_HAS(buf_text(&b), "x_wait_seconds_bucket{le=\"+Inf\"} 2\nx_wait_seconds_sum 90.000300\nx_wait_seconds_count 2\n");
	CHECK_INT(counters_read(c, 3), 2);
	buf_fini(&b);
	counters_free(&c);
}

Test(file, atomic_write_lock_and_removal)
{
	char folder[] = "/tmp/ribera-unit-XXXXXX";
	char *deep, *file, *lock;
	struct buf b;
	int fd, again;

	CHECK(mkdtemp(folder) != NULL);
	deep = path_join(folder, "a/b/c");
	file = path_join(deep, "f");
	lock = path_join(deep, "lock");
	CHECK_INT(folder_make(deep, 0755), 0);
	CHECK_INT(folder_make(deep, 0755), 0);
	CHECK_INT(file_write_atomic(file, "one", 3, 0600), 0);
	CHECK_INT(file_write_atomic(file, "two!", 4, 0600), 0);
	buf_init(&b, 4);
	CHECK_INT(file_read(file, &b), 0);
	CHECK_STR(buf_text(&b), "two!");
	buf_fini(&b);
	buf_init(&b, 3);
	CHECK_INT(file_read(file, &b), ERR_LIMIT);
	buf_fini(&b);
	CHECK_INT(file_lock(lock, &fd), 0);
	CHECK_INT(file_lock(lock, &again), ERR_LOCKED);
	close(fd);
	CHECK_INT(file_lock(lock, &again), 0);
	close(again);
	CHECK_INT(folder_make(file, 0755), -ENOTDIR);
	CHECK_INT(folder_remove(folder), 0);
	CHECK_INT(folder_remove(folder), 0);
	CHECK(!file_exists(folder));
	free(deep);
	free(file);
	free(lock);
}

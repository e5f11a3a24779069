/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Keys stand in alphabetical order within their field (CTA-5004 section 2).
 */
#include "player/cmcd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static void key(struct buf *b, const char *name)
{
	if (b->size > 0)
		buf_putc(b, ',');
	buf_puts(b, name);
}

static void number(struct buf *b, const char *name, uint64_t value)
{
	key(b, name);
	buf_printf(b, "=%llu", (unsigned long long)value);
}

static void string(struct buf *b, const char *name, const char *value)
{
	key(b, name);
	buf_puts(b, "=\"");
	for (const char *p = value; *p != '\0' && p - value < 128; p++) {
		if (*p == '"' || *p == '\\')
			buf_putc(b, '\\');
		if ((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f)
			buf_putc(b, *p);
	}
	buf_putc(b, '"');
}

static uint64_t hundreds(uint64_t v)
{
	return (v + 50) / 100 * 100;
}

static void object(const struct cmcd *c, struct buf *b)
{
	if (c->bitrate > 0)
		number(b, "br", (c->bitrate + 500) / 1000);
	if (c->duration > 0)
		number(b, "d", (uint64_t)(c->duration / DUR_MS));
	key(b, "ot=");
	buf_putc(b, c->type);
	if (c->top_bitrate > 0)
		number(b, "tb", (c->top_bitrate + 500) / 1000);
}

static void request(const struct cmcd *c, struct buf *b)
{
	if (c->buffer >= 0) {
		number(b, "bl", hundreds((uint64_t)(c->buffer / DUR_MS)));
		if (c->speed != 0) /* what stands still has no deadline */
			number(b, "dl", hundreds((uint64_t)((double)(c->buffer / DUR_MS) / (c->speed > 0 ? c->speed : 1))));
	}
	if (c->throughput > 0)
		number(b, "mtp", hundreds(c->throughput / 1000));
	if (c->next[0] != '\0')
		string(b, "nor", c->next);
	if (c->has_next_range) {
		key(b, "nrr=\"");
		buf_printf(b, "%llu-%llu\"", (unsigned long long)c->next_first, (unsigned long long)c->next_last);
	}
	if (c->startup)
		key(b, "su");
}

static void session(const struct cmcd *c, struct buf *b)
{
	if (c->content_id != NULL)
		string(b, "cid", c->content_id);
	if (c->speed >= 0 && c->speed != 1) {
		key(b, "pr=");
		buf_printf(b, "%.4g", c->speed);
	}
	key(b, "sf=d");
	string(b, "sid", c->session_id);
	key(b, c->live ? "st=l" : "st=v");
}

static void status(const struct cmcd *c, struct buf *b)
{
	if (c->starved)
		key(b, "bs");
	/* five times the bitrate keeps a buffer filling and lets a server pace the rest */
	if (c->bitrate > 0)
		number(b, "rtp", hundreds(5 * c->bitrate / 1000));
}

void cmcd_set_next(struct cmcd *c, const char *reference, const char *next)
{
	size_t folder = 0;

	for (size_t i = 0; reference[i] != '\0' && reference[i] == next[i] && reference[i] != '?'; i++)
		if (reference[i] == '/')
			folder = i + 1;
	c->next[0] = '\0';
	/* commas would part keys in a query; a colon may be a scheme (RFC 3986 4.2) */
	if (strcmp(reference, next) == 0 || strpbrk(reference + folder, "/") != NULL || strpbrk(next + folder, "/,:\"\\") != NULL ||
	    strlen(next + folder) >= sizeof c->next)
		return;
	snprintf(c->next, sizeof c->next, "%s", next + folder);
}

static void (*const parts[CMCD_FIELDS])(const struct cmcd *, struct buf *) = {object, request, session, status};

void cmcd_headers(const struct cmcd *c, char *ret_fields[static CMCD_FIELDS])
{
	static const char *const names[CMCD_FIELDS] = {"Object", "Request", "Session", "Status"};

	for (int i = 0; i < CMCD_FIELDS; i++) {
		struct buf b;

		buf_init(&b, 1024);
		parts[i](c, &b);
		ret_fields[i] = b.size > 0 ? mem_printf("CMCD-%s: %s", names[i], buf_text(&b)) : NULL;
		buf_fini(&b);
	}
}

/* All keys of all fields, sorted: the parts are short, so sort the text. */
static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sorted(const struct cmcd *c, struct buf *out)
{
	struct buf b;
	char *keys[24], *rest, *k;
	size_t n = 0;

	buf_init(&b, 4096);
	for (int i = 0; i < CMCD_FIELDS; i++)
		parts[i](c, &b);
	/* a quoted comma cannot come: ids are ours, the content id is cut below */
	for (rest = (char *)b.bytes; rest != NULL && n < 24 && (k = strsep(&rest, ",")) != NULL;)
		keys[n++] = k;
	qsort(keys, n, sizeof *keys, by_text);
	for (size_t i = 0; i < n; i++)
		key(out, keys[i]);
	buf_fini(&b);
}

char *cmcd_query(const struct cmcd *c, const char *url)
{
	struct cmcd own = *c;
	struct buf list, out;
	char *r;

	if (own.content_id != NULL && strchr(own.content_id, ',') != NULL)
		own.content_id = NULL;
	buf_init(&list, 4096);
	buf_init(&out, 65536);
	sorted(&own, &list);
	buf_printf(&out, "%s%cCMCD=", url, strchr(url, '?') != NULL ? '&' : '?');
	for (size_t i = 0; i < list.size; i++) {
		char ch = (char)list.bytes[i];

		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~", ch) != NULL)
			buf_putc(&out, ch);
		else
			buf_printf(&out, "%%%02X", (unsigned char)ch);
	}
	r = buf_error(&out) == 0 ? buf_take(&out) : mem_dup(url);
	buf_fini(&out);
	buf_fini(&list);
	return r;
}

void cmcd_request_init(struct cmcd_request *q, enum cmcd_mode mode, const struct cmcd *c, const char *url)
{
	char *all[CMCD_FIELDS];

	*q = (struct cmcd_request){.url = c != NULL && mode == CMCD_QUERY ? cmcd_query(c, url) : mem_dup(url)};
	if (c == NULL || mode != CMCD_HEADERS)
		return;
	cmcd_headers(c, all);
	for (int i = 0; i < CMCD_FIELDS; i++)
		if (all[i] != NULL)
			q->fields[q->n++] = all[i];
}

void cmcd_request_fini(struct cmcd_request *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->fields[i]);
	free(q->url);
	*q = (struct cmcd_request){0};
}

void cmcd_strip(char *url)
{
	char *query = strchr(url, '?'), *at = query, *end;

	while (at != NULL && strncmp(at + 1, "CMCD=", 5) != 0)
		at = strchr(at + 1, '&');
	if (at == NULL)
		return;
	end = at + 1 + strcspn(at + 1, "&");
	if (at == query && *end == '&') /* the first of several: the mark stays */
		memmove(at + 1, end + 1, strlen(end + 1) + 1);
	else
		memmove(at, end, strlen(end) + 1);
}

void cmcd_session_id(const uint8_t random[static 16], char out[static 37])
{
	uint8_t b[16];

	memcpy(b, random, sizeof b);
	b[6] = (uint8_t)(0x40 | (b[6] & 0x0f));
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
	         b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

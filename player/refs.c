/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A decoded picture buffer without pictures: frames, short-term, picture order count type 0.
 */
#include "player/refs.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "dash/avc.h"

#define STORE 16        /* pictures kept for reference at most (A.3.1) */
#define LIST 32         /* entries of a list at most (7.4.3) */
#define HEADER 512      /* bytes, more than any slice header that is worth it */
#define BEHIND 24       /* of a slice's data go with its head: no decoder begins with fewer bytes than it reads ahead */
#define MAX_PICTURES 4096
#define FEW 8           /* operations of each kind; more are not understood */

struct picture {
	uint32_t made_of[STORE]; /* numbers of pictures */
	uint8_t n_made_of;
	bool wanted, needed;
	bool between;            /* a B picture that is a reference */
	uint32_t at, head;       /* bytes: where its first slice begins, and how many of it are its head */
};

struct kept {
	uint32_t picture, frame_num;
	int32_t poc, num; /* PicNum (8.2.4.1) as the picture in hand has it */
};

struct change { /* of a list (7.3.3.1), or in the marking (7.3.3.3) */
	uint32_t op, value;
};

struct slice {
	unsigned type; /* 0 P, 1 B, 2 I */
	bool idr, reference, adaptive;
	const struct avc_sps *sps;
	const struct avc_pps *pps;
	uint32_t frame_num, poc_lsb, active[2];
	unsigned n_changes[2], n_marks;
	struct change changes[2][LIST + 1], marks[FEW];
	size_t size; /* bytes of its header, emulation prevention counted as it may be */
};

struct refs {
	struct avc_sets sets;
	bool lost; /* not understood: everything is needed */
	struct picture *pictures;
	size_t n, cap;
	struct kept store[STORE];
	size_t n_store;
	uint32_t frame_num, poc_lsb; /* of the reference picture before */
	int32_t poc_msb;
};

struct refs *refs_new(const uint8_t *config, size_t n)
{
	struct refs *r = mem_new(sizeof *r);

	if (avc_read(config, n, &r->sets) < 0)
		refs_free(&r);
	return r;
}

void refs_free(struct refs **pr)
{
	if (*pr != NULL)
		free((*pr)->pictures);
	free(*pr);
	*pr = NULL;
}

/* --- slice headers: 7.3.3 --------------------------------------------------------------------- */

static bool read_changes(struct bits *b, struct slice *s, unsigned list)
{
	uint32_t op;

	if (bits_get(b, 1) == 0)
		return true;
	while ((op = bits_ue(b)) != 3) {
		if (b->bad || op > 1 || s->n_changes[list] > LIST)
			return false;
		s->changes[list][s->n_changes[list]++] = (struct change){op, bits_ue(b)};
	}
	return true;
}

static void skip_weights(struct bits *b, const struct slice *s)
{
	bits_ue(b);
	if (s->sps->chroma != 0)
		bits_ue(b);
	for (unsigned list = 0; list <= s->type; list++)
		for (uint32_t i = 0; i < s->active[list] && !b->bad; i++) {
			if (bits_get(b, 1)) {
				bits_se(b);
				bits_se(b);
			}
			if (s->sps->chroma != 0 && bits_get(b, 1))
				for (unsigned k = 0; k < 4; k++)
					bits_se(b);
		}
}

static bool read_marks(struct bits *b, struct slice *s)
{
	uint32_t op;

	if (s->idr) {
		bits_get(b, 1);
		return bits_get(b, 1) == 0;
	}
	s->adaptive = bits_get(b, 1);
	while (s->adaptive && (op = bits_ue(b)) != 0) {
		if (b->bad || op != 1 || s->n_marks == FEW)
			return false;
		s->marks[s->n_marks++] = (struct change){op, bits_ue(b)};
	}
	return true;
}

static bool read_lists(struct bits *b, struct slice *s)
{
	if (s->type == 1)
		bits_get(b, 1);
	memcpy(s->active, s->pps->active, sizeof s->active);
	if (bits_get(b, 1))
		for (unsigned list = 0; list <= s->type; list++)
			s->active[list] = bits_ue(b) + 1;
	for (unsigned list = 0; list <= s->type; list++)
		if (s->active[list] == 0 || s->active[list] > LIST || !read_changes(b, s, list))
			return false;
	if (s->type == 0 ? s->pps->weighted : s->pps->bipred == 1)
		skip_weights(b, s);
	return true;
}

/* The sets it names, when they are of a kind that is understood.  Without CABAC a slice that ends early may end within a
 * macroblock, whose coefficients FFmpeg then adds to another picture's. */
static bool find_sets(const struct refs *r, uint32_t pps, struct slice *s)
{
	if (pps >= AVC_PPS_MAX || !r->sets.pps[pps].whole)
		return false;
	s->pps = &r->sets.pps[pps];
	s->sps = &r->sets.sps[s->pps->sps];
	return s->sps->frames_only && !s->sps->gaps_allowed && !s->sps->separate_planes && s->sps->poc_type == 0 && !s->pps->redundant &&
	       s->pps->cabac && s->sps->ref_frames <= STORE;
}

static bool read_slice(const struct refs *r, const uint8_t *unit, size_t n, struct slice *s)
{
	uint8_t plain[HEADER];
	struct bits b = {.bytes = plain, .n = avc_unescape(unit, n < HEADER ? n : HEADER, plain, sizeof plain)};
	uint32_t head = bits_get(&b, 8);

	*s = (struct slice){.idr = head % 32 == 5, .reference = (head >> 5 & 3) != 0};
	bits_ue(&b);
	s->type = bits_ue(&b) % 5;
	if (s->type > 2 || !find_sets(r, bits_ue(&b), s))
		return false;
	s->frame_num = bits_get(&b, s->sps->frame_num_bits);
	if (s->idr)
		bits_ue(&b);
	s->poc_lsb = bits_get(&b, s->sps->poc_bits);
	if (s->pps->bottom_order && bits_se(&b) < 0) /* then the frame's order is its bottom field's */
		return false;
	if ((s->type != 2 && !read_lists(&b, s)) || (s->reference && !read_marks(&b, s)))
		return false;
	s->size = (b.at / 8 + 1) * 3 / 2;
	return !b.bad;
}

/* --- lists of references: 8.2.4 --------------------------------------------------------------- */

struct list {
	const struct kept *v[LIST + 1];
	size_t n;
};

static void sort(struct list *l, int (*before)(const struct kept *, const struct kept *, int32_t), int32_t poc)
{
	for (size_t i = 1; i < l->n; i++)
		for (size_t k = i; k > 0 && before(l->v[k], l->v[k - 1], poc); k--) {
			const struct kept *swap = l->v[k];

			l->v[k] = l->v[k - 1];
			l->v[k - 1] = swap;
		}
}

static int by_num(const struct kept *a, const struct kept *b, int32_t poc)
{
	(void)poc;
	return a->num > b->num;
}

/* What is shown before comes first, the nearest foremost. */
static int backwards(const struct kept *a, const struct kept *b, int32_t poc)
{
	if ((a->poc < poc) != (b->poc < poc))
		return a->poc < poc;
	return a->poc < poc ? a->poc > b->poc : a->poc < b->poc;
}

static int forwards(const struct kept *a, const struct kept *b, int32_t poc)
{
	if ((a->poc > poc) != (b->poc > poc))
		return a->poc > poc;
	return a->poc > poc ? a->poc < b->poc : a->poc > b->poc;
}

static struct list initial(const struct refs *r, const struct slice *s, unsigned which, int32_t poc)
{
	struct list l = {.n = r->n_store};

	for (size_t i = 0; i < l.n; i++)
		l.v[i] = &r->store[i];
	sort(&l, s->type == 0 ? by_num : which == 0 ? backwards : forwards, poc);
	return l;
}

static const struct kept *find_num(const struct refs *r, int32_t num)
{
	for (size_t i = 0; i < r->n_store; i++)
		if (r->store[i].num == num)
			return &r->store[i];
	return NULL;
}

/* 8.2.4.3.1; false: it names a picture that is not here */
static bool change(const struct refs *r, const struct slice *s, unsigned which, struct list *l)
{
	int32_t max = (int32_t)1 << s->sps->frame_num_bits, now = (int32_t)s->frame_num, num = now;
	size_t active = s->active[which], at = 0;

	for (unsigned i = 0; i < s->n_changes[which] && at < active; i++) {
		const struct change *c = &s->changes[which][i];
		const struct kept *k;
		size_t to;

		if (c->value >= (uint32_t)max)
			return false;
		num += (c->op == 0 ? -1 : 1) * ((int32_t)c->value + 1);
		num = num < 0 ? num + max : num >= max ? num - max : num;
		k = find_num(r, num > now ? num - max : num);
		if (k == NULL)
			return false;
		memmove(&l->v[at + 1], &l->v[at], (active - at) * sizeof l->v[0]);
		l->v[at++] = k;
		to = at;
		for (size_t from = at; from <= active; from++)
			if (l->v[from] != k)
				l->v[to++] = l->v[from];
	}
	return true;
}

static void note(struct picture *p, const struct list *l, size_t active)
{
	for (size_t i = 0; i < active; i++) {
		bool known = l->v[i] == NULL;

		for (unsigned k = 0; k < p->n_made_of && !known; k++)
			known = p->made_of[k] == l->v[i]->picture;
		if (!known)
			p->made_of[p->n_made_of++] = l->v[i]->picture;
	}
}

static bool note_lists(const struct refs *r, const struct slice *s, int32_t poc, struct picture *p)
{
	for (unsigned which = 0; s->type != 2 && which <= s->type; which++) {
		struct list l = initial(r, s, which, poc), first = initial(r, s, 0, poc);

		if (which == 1 && l.n > 1 && memcmp(l.v, first.v, l.n * sizeof l.v[0]) == 0) {
			l.v[0] = first.v[1];
			l.v[1] = first.v[0];
		}
		for (size_t i = s->active[which]; i < l.n; i++)
			l.v[i] = NULL;
		if (!change(r, s, which, &l))
			return false;
		note(p, &l, s->active[which]);
	}
	return true;
}

/* --- from picture to picture ------------------------------------------------------------------ */

static void forget(struct refs *r, size_t i)
{
	memmove(&r->store[i], &r->store[i + 1], (r->n_store - i - 1) * sizeof r->store[0]);
	r->n_store--;
}

/* 8.2.5: the oldest goes, or what is said */
static bool mark(struct refs *r, const struct slice *s, int32_t poc, uint32_t picture)
{
	size_t room = s->sps->ref_frames > 0 ? s->sps->ref_frames : 1, oldest = 0;

	for (unsigned i = 0; i < s->n_marks; i++) {
		const struct kept *k = find_num(r, (int32_t)s->frame_num - (int32_t)s->marks[i].value - 1);

		if (k == NULL)
			return false;
		forget(r, (size_t)(k - r->store));
	}
	for (size_t i = 1; i < r->n_store; i++)
		if (r->store[i].num < r->store[oldest].num)
			oldest = i;
	if (r->n_store >= room && s->adaptive)
		return false;
	if (r->n_store >= room)
		forget(r, oldest);
	r->store[r->n_store++] = (struct kept){.picture = picture, .frame_num = s->frame_num, .poc = poc};
	return true;
}

/* 8.2.1.1 */
static int32_t order(const struct refs *r, const struct slice *s, int32_t *ret_msb)
{
	int32_t max = (int32_t)1 << s->sps->poc_bits, ahead = (int32_t)s->poc_lsb - (int32_t)r->poc_lsb;

	*ret_msb = ahead <= -max / 2 ? r->poc_msb + max : ahead > max / 2 ? r->poc_msb - max : r->poc_msb;
	return *ret_msb + (int32_t)s->poc_lsb;
}

/* frame_num goes on from the reference picture before (7.4.3); every PicNum as this picture has it (8.2.4.1) */
static bool begin(struct refs *r, const struct slice *s)
{
	uint32_t mask = ((uint32_t)1 << s->sps->frame_num_bits) - 1;

	if (s->idr) {
		r->n_store = 0;
		r->poc_lsb = 0;
		r->poc_msb = 0;
	} else if (r->n == 0 || s->frame_num != ((r->frame_num + 1) & mask)) {
		return false;
	}
	for (size_t i = 0; i < r->n_store; i++)
		r->store[i].num = (int32_t)r->store[i].frame_num - (r->store[i].frame_num > s->frame_num ? (int32_t)mask + 1 : 0);
	return true;
}

static bool end(struct refs *r, const struct slice *s, int32_t poc, int32_t msb)
{
	if (!s->reference)
		return true;
	r->frame_num = s->frame_num;
	r->poc_lsb = s->poc_lsb;
	r->poc_msb = msb;
	return mark(r, s, poc, (uint32_t)r->n);
}

/* The NAL unit behind *at, which goes on behind it; NULL: none, or no such units */
static const uint8_t *next_unit(const struct refs *r, const uint8_t *unit, size_t n, size_t *at, size_t *ret_size)
{
	size_t size = 0;

	if (n - *at <= r->sets.length_size)
		return NULL;
	for (unsigned i = 0; i < r->sets.length_size; i++)
		size = size << 8 | unit[*at + i];
	*at += r->sets.length_size;
	if (size == 0 || size > n - *at)
		return NULL;
	*at += size;
	*ret_size = size;
	return unit + *at - size;
}

static bool same_picture(const struct slice *a, const struct slice *b)
{
	return a->idr == b->idr && a->reference == b->reference && a->frame_num == b->frame_num && a->poc_lsb == b->poc_lsb && a->pps->sps == b->pps->sps;
}

static bool add(struct refs *r, const uint8_t *unit, size_t n, struct picture *p)
{
	struct slice first = {0}, s;
	int32_t poc = 0, msb = 0;
	bool any = false;

	for (size_t at = 0, size; at < n;) {
		const uint8_t *nal = next_unit(r, unit, n, &at, &size);
		unsigned type = nal != NULL ? nal[0] & 31 : 0;

		if (nal == NULL || (type >= 2 && type <= 4) || type == 7 || type == 8)
			return false;
		if (type != 1 && type != 5)
			continue;
		if (!read_slice(r, nal, size, &s) || (any && !same_picture(&first, &s)))
			return false;
		if (!any) {
			if (!begin(r, &s))
				return false;
			first = s;
			poc = order(r, &s, &msb);
			p->at = (uint32_t)(nal - unit);
			p->head = (uint32_t)(s.size + BEHIND < size ? s.size + BEHIND : size);
			p->between = s.reference;
		}
		any = true;
		p->between = p->between && s.type == 1;
		if (!note_lists(r, &s, poc, p))
			return false;
	}
	return any && end(r, &first, poc, msb);
}

void refs_add(struct refs *r, const uint8_t *unit, size_t n, bool wanted)
{
	struct picture p = {.wanted = wanted};

	if (r->lost)
		return;
	r->lost = r->n == MAX_PICTURES || n > UINT32_MAX || !add(r, unit, n, &p);
	if (r->lost)
		return;
	MEM_GROW(r->pictures, r->cap, r->n);
	r->pictures[r->n++] = p;
}

/* What is behind these may be made of what is kept now. */
void refs_solve(struct refs *r)
{
	if (r->lost)
		return;
	for (size_t i = 0; i < r->n_store; i++)
		r->pictures[r->store[i].picture].needed = true;
	for (size_t i = r->n; i-- > 0;)
		for (unsigned k = 0; (r->pictures[i].wanted || r->pictures[i].needed) && k < r->pictures[i].n_made_of; k++)
			r->pictures[r->pictures[i].made_of[k]].needed = true;
}

size_t refs_cut(const struct refs *r, size_t i, uint8_t *unit, size_t n)
{
	const struct picture *p;
	size_t length = r->sets.length_size;

	if (r->lost || i >= r->n)
		return n;
	p = &r->pictures[i];
	if (p->wanted || p->needed || !p->between || p->at < length || (size_t)p->at + p->head > n)
		return n;
	if (length < 4 && (size_t)p->head >> (8 * length) != 0)
		return n;
	memmove(unit + length, unit + p->at, p->head);
	for (size_t k = 0; k < length; k++)
		unit[k] = (uint8_t)(p->head >> (8 * (length - 1 - k)));
	return length + p->head;
}

/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The package's own judge.  It shares no state with the code that wrote the
 * package: everything is read back from the disk, through the readers that
 * players and edges use.
 */
#include "ingest/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "dash/bmff.h"
#include "dash/bmff_fragment.h"
#include "dash/bmff_track.h"
#include "dash/digest.h"
#include "dash/mpd.h"

#define CURE "make the package again with ribera-ingest"
#define LEAVES_MAX ((size_t)1 << 32)

struct cut { /* one segment, as presented */
	int64_t start;
	uint64_t duration;
	uint32_t size; /* bytes */
};

struct seen {
	char *name;
	uint32_t timescale, handler, unit; /* unit: longest sample */
	uint32_t width, height;
	unsigned n_described; /* by the MPD */
	uint64_t header_end, index_end;
	struct cut *cuts;
	size_t n_cuts;
	char codecs[72];
};

struct verify {
	const char *folder;
	struct digest *digest;
	struct seen *tracks;
	size_t n_tracks, cap_tracks;
	struct verify_facts facts;
	struct fault *fault;
};

static int read_file(struct verify *v, const char *name, size_t max, struct buf *out)
{
	char *path = path_join(v->folder, name);
	int r;

	buf_init(out, max);
	r = file_read(path, out);
	if (r != 0) {
		buf_fini(out);
		fault_set(v->fault, r, "%s: cannot be read: %s; " CURE, path, err_text(r));
	}
	free(path);
	return r;
}

/* --- hashes ------------------------------------------------------------------------------ */

static int check_pieces(struct verify *v, const struct digest_file *file, int fd, uint8_t *room)
{
	for (size_t p = 0; p < file->n_pieces; p++) {
		ssize_t n = file_pread_all(fd, room, DIGEST_PIECE, p * DIGEST_PIECE);

		if (n < 0)
			return fault_set(v->fault, (int)n, "%s: cannot be read: %s", file->name, err_text((int)n));
		if (digest_check_piece(file, p, room, (size_t)n) != 0)
			return fault_set(v->fault, ERR_HASH, "%s: piece %zu (bytes from %llu on) does not match its hash: the file is damaged; " CURE,
			                 file->name, p, (unsigned long long)(p * DIGEST_PIECE));
	}
	return 0;
}

static int check_file(struct verify *v, const struct digest_file *file, uint8_t *room)
{
	char *path = path_join(v->folder, file->name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r;
	struct stat st;

	free(path);
	if (fd < 0)
		return fault_set(v->fault, -errno, "%s: is in the digest and not in the folder (%s); " CURE, file->name, strerror(errno));
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != file->size)
		r = fault_set(v->fault, ERR_TRUNCATED, "%s: has %lld bytes, the digest says %llu; " CURE, file->name, (long long)st.st_size,
		              (unsigned long long)file->size);
	else
		r = check_pieces(v, file, fd, room);
	close(fd);
	v->facts.files++;
	v->facts.bytes += file->size;
	return r;
}

static int check_listed(void *ctx, const char *name)
{
	struct verify *v = ctx;

	if (strcmp(name, PACKAGE_DIGEST) == 0 || strcmp(name, PACKAGE_LEAVES) == 0 || digest_find(v->digest, name, strlen(name)) >= 0)
		return 0;
	return fault_set(v->fault, ERR_EXISTS, "%s/%s: is not in the digest; remove it", v->folder, name);
}

static int check_hashes(struct verify *v)
{
	uint8_t *room = mem_new(DIGEST_PIECE);
	struct buf leaves;
	int r = folder_list(v->folder, check_listed, v);

	for (size_t i = 0; r == 0 && i < v->digest->n_files; i++)
		r = check_file(v, &v->digest->files[i], room);
	free(room);
	if (r == 0)
		r = read_file(v, PACKAGE_LEAVES, LEAVES_MAX, &leaves);
	if (r != 0)
		return r;
	r = digest_check_leaves(v->digest, leaves.bytes, leaves.size);
	buf_fini(&leaves);
	return r == 0 ? 0 : fault_set(v->fault, r, PACKAGE_LEAVES ": does not match the digest; " CURE);
}

/* --- tracks ------------------------------------------------------------------------------- */

struct reading {
	struct verify *v;
	struct seen *seen;
	const uint8_t *bytes;
	size_t size;
	const struct bmff_movie *movie;
	const struct bmff_sidx *sidx;
	int64_t shift;
	uint64_t end_time;   /* decode time behind the last fragment */
	uint64_t presented;  /* of the edit list, 0: all */
	int64_t next_start;  /* presentation time the index gives to the next segment */
};

static int bad(const struct reading *r, size_t segment, const char *what)
{
	return fault_set(r->v->fault, ERR_CORRUPT, "%s: segment %zu: %s; " CURE, r->seen->name, segment, what);
}

static int check_shape(const struct reading *r, size_t i, const struct bmff_fragment *f)
{
	if (f->n_trafs != 1 || f->n_truns != 1 || !f->base_is_moof || f->has_base_data_offset || !f->has_tfdt)
		return bad(r, i, "is not one CMAF fragment (one traf, one trun, tfdt, default-base-is-moof)");
	if (!f->data_in_mdat || f->n_samples == 0)
		return bad(r, i, "its samples do not lie in its mdat");
	if (!f->starts_with_sync || !f->first_is_earliest)
		return bad(r, i, "does not start with a picture that can be decoded alone (SAP 1)");
	if (f->tfdt != r->end_time)
		return bad(r, i, "its tfdt does not follow on the samples before");
	return 0;
}

/* What the index says of the segment against what was found in it. */
static int check_entry(struct reading *r, size_t i)
{
	const struct bmff_sidx_entry *e = &r->sidx->entries[i];
	const struct cut *cut = &r->seen->cuts[i];

	if (e->to_index || !e->starts_with_sap || e->sap_type < 1 || e->sap_type > 2 || e->sap_delta != 0)
		return bad(r, i, "the index does not say that it starts with an access point (SAP 1 or 2)");
	if (cut->start != r->next_start)
		return bad(r, i, "starts at another time than the index says");
	if (cut->duration != e->duration)
		return bad(r, i, "lasts otherwise than the index says");
	r->next_start = cut->start + (int64_t)cut->duration;
	return 0;
}

static int check_segment(struct reading *r, size_t i, uint64_t *offset)
{
	const struct bmff_sidx_entry *e = &r->sidx->entries[i];
	struct bmff_fragment *f;
	size_t pos = (size_t)*offset;
	struct cut *cut = &r->seen->cuts[i];
	int64_t end;
	int q;

	if (*offset > r->size || e->size > r->size - *offset)
		return bad(r, i, "the index points behind the end of the file");
	q = bmff_fragment_read(r->bytes, (size_t)(*offset + e->size), 0, &pos, r->movie, r->movie->tracks[0].id, &f, r->v->fault);
	if (q != 0)
		return bad(r, i, "has no readable moof");
	q = check_shape(r, i, f);
	if (q == 0 && (f->moof != *offset || f->mdat_end != *offset + e->size))
		q = bad(r, i, "the index does not fall on its moof and mdat");
	cut->start = f->earliest - r->shift < 0 ? 0 : f->earliest - r->shift;
	end = f->latest - r->shift;
	if (r->presented > 0 && end > (int64_t)r->presented)
		end = (int64_t)r->presented;
	cut->duration = end > cut->start ? (uint64_t)(end - cut->start) : 0;
	cut->size = e->size;
	if (q == 0)
		q = check_entry(r, i);
	for (size_t s = 0; s < f->n_samples; s++)
		if (f->samples[s].duration > r->seen->unit)
			r->seen->unit = f->samples[s].duration;
	r->end_time = f->tfdt + f->duration;
	*offset += e->size;
	bmff_fragment_free(&f);
	return q;
}

static int check_segments(struct reading *r)
{
	uint64_t offset = r->sidx->anchor + r->sidx->first_offset;
	int q = 0;

	/* the limit keeps comparisons between timescales within 128 bits */
	if (r->sidx->earliest_time > (uint64_t)1 << 56)
		return fault_set(r->v->fault, ERR_OUT_OF_RANGE, "%s: its index begins at an impossible time; " CURE, r->seen->name);
	if (r->sidx->timescale != r->seen->timescale || r->sidx->reference_id != r->movie->tracks[0].id || r->sidx->n_entries == 0)
		return fault_set(r->v->fault, ERR_CORRUPT, "%s: its index is of another track or timescale, or empty; " CURE, r->seen->name);
	r->next_start = (int64_t)r->sidx->earliest_time;
	r->seen->index_end = r->sidx->anchor;
	r->seen->n_cuts = r->sidx->n_entries;
	r->seen->cuts = mem_new_array(r->sidx->n_entries, sizeof *r->seen->cuts);
	for (size_t i = 0; q == 0 && i < r->sidx->n_entries; i++)
		q = check_segment(r, i, &offset);
	if (q == 0 && offset != r->size)
		q = bad(r, r->sidx->n_entries, "the index does not reach the end of the file");
	r->v->facts.segments += r->sidx->n_entries;
	return q;
}

/* ftyp moov sidx, in this order and nothing between */
static int find_head(const struct reading *r)
{
	static const uint32_t order[] = {BMFF_TYPE('f', 't', 'y', 'p'), BMFF_TYPE('m', 'o', 'o', 'v'), BMFF_TYPE('s', 'i', 'd', 'x')};
	struct bmff_box box;
	size_t pos = 0;

	for (size_t i = 0; i < 3; i++) {
		if (bmff_next(r->bytes, r->size, &pos, &box) != 0 || box.type != order[i])
			return fault_set(r->v->fault, ERR_CORRUPT, "%s: does not begin with ftyp, moov, sidx; " CURE, r->seen->name);
		if (i == 1)
			r->seen->header_end = box.end;
	}
	return 0;
}

static int check_bytes(struct reading *r)
{
	struct bmff_movie *movie = NULL;
	struct bmff_sidx *sidx = NULL;
	const struct bmff_track *t;
	int q = find_head(r);

	if (q == 0)
		q = bmff_movie_read(r->bytes, (size_t)r->seen->header_end, &movie, r->v->fault);
	if (q != 0)
		return q;
	q = movie->n_tracks == 1 ? bmff_sidx_read(r->bytes, r->size, 0, &sidx) : ERR_CORRUPT;
	if (q != 0) {
		bmff_movie_free(&movie);
		return fault_set(r->v->fault, q, "%s: has no readable index, or not one track; " CURE, r->seen->name);
	}
	t = &movie->tracks[0];
	r->movie = movie;
	r->sidx = sidx;
	r->shift = bmff_track_shift(t, movie->timescale);
	r->presented = t->n_edits > 0 && movie->timescale == t->timescale ? t->edits[t->n_edits - 1].duration : 0;
	r->seen->timescale = t->timescale;
	r->seen->handler = t->handler;
	r->seen->width = t->width;
	r->seen->height = t->height;
	snprintf(r->seen->codecs, sizeof r->seen->codecs, "%s", t->codecs);
	q = check_segments(r);
	bmff_sidx_free(&sidx);
	bmff_movie_free(&movie);
	return q;
}

static int check_track(struct verify *v, const struct digest_file *file)
{
	char *path = path_join(v->folder, file->name);
	struct reading r = {.v = v, .size = (size_t)file->size};
	int fd = file->size > 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1, q;
	void *map = fd >= 0 ? mmap(NULL, r.size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

	free(path);
	if (file->size == 0)
		return fault_set(v->fault, ERR_TRUNCATED, "%s: is empty; " CURE, file->name);
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED)
		return fault_set(v->fault, -errno, "%s: cannot be read: %s", file->name, strerror(errno));
	MEM_GROW(v->tracks, v->cap_tracks, v->n_tracks);
	r.seen = &v->tracks[v->n_tracks++];
	*r.seen = (struct seen){.name = mem_dup(file->name)};
	r.bytes = map;
	q = check_bytes(&r);
	munmap(map, (size_t)file->size);
	v->facts.tracks++;
	return q;
}

/* --- across tracks ------------------------------------------------------------------------ */

static int64_t end_of(const struct seen *t)
{
	const struct cut *last = &t->cuts[t->n_cuts - 1];

	return last->start + (int64_t)last->duration;
}

/* |a/a_scale - b/b_scale| <= most/most_scale, exactly */
static bool within(int64_t a, uint32_t a_scale, int64_t b, uint32_t b_scale, uint32_t most, uint32_t most_scale)
{
	__int128 apart = (__int128)a * b_scale - (__int128)b * a_scale;
	__int128 room = (__int128)most * a_scale * b_scale;

	return (apart < 0 ? -apart : apart) * most_scale <= room;
}

/* Every rendition of the picture at exactly the same times, sound within one access unit. */
static int compare(struct verify *v, const struct seen *first, const struct seen *t)
{
	bool sound = t->handler == BMFF_TYPE('s', 'o', 'u', 'n');

	if (!sound && t->n_cuts != first->n_cuts)
		return fault_set(v->fault, ERR_CORRUPT, "%s: has %zu segments, %s has %zu; " CURE, t->name, t->n_cuts, first->name, first->n_cuts);
	for (size_t i = 0; i < t->n_cuts && i < first->n_cuts; i++)
		if (!within(t->cuts[i].start, t->timescale, first->cuts[i].start, first->timescale, sound ? t->unit : 0, t->timescale))
			return fault_set(v->fault, ERR_CORRUPT, "%s: segment %zu starts at another time than in %s; " CURE, t->name, i, first->name);
	if (!within(end_of(t), t->timescale, end_of(first), first->timescale, sound ? t->unit : 0, t->timescale) &&
	    !within(end_of(t), t->timescale, end_of(first), first->timescale, sound ? first->unit : 0, first->timescale))
		return fault_set(v->fault, ERR_CORRUPT, "%s: ends at %.3f s, %s at %.3f s; " CURE, t->name, (double)end_of(t) / t->timescale,
		                 first->name, (double)end_of(first) / first->timescale);
	return 0;
}

static int check_alignment(struct verify *v)
{
	const struct seen *first = NULL;
	int r = 0;

	for (size_t i = 0; first == NULL && i < v->n_tracks; i++)
		if (v->tracks[i].handler == BMFF_TYPE('v', 'i', 'd', 'e'))
			first = &v->tracks[i];
	if (first == NULL)
		return fault_set(v->fault, ERR_CORRUPT, "%s: has no picture track; " CURE, v->folder);
	for (size_t i = 0; r == 0 && i < v->n_tracks; i++)
		r = compare(v, first, &v->tracks[i]);
	return r;
}

/* --- MPD ----------------------------------------------------------------------------------- */

static int mismatch(struct verify *v, const struct mpd_representation *m, const char *what)
{
	return fault_set(v->fault, ERR_CORRUPT, PACKAGE_MANIFEST ":%u: %s is not that of %s; " CURE, m->line, what, m->base_urls.v[0].url);
}

/* ISO/IEC 23009-1 5.3.5.2: read at @bandwidth and started @minBufferTime after any
 * segment's first bit, no segment comes late.  `full` counts the bits
 * asked for and not yet come. */
static int check_bandwidth(struct verify *v, const struct seen *t, const struct mpd_representation *m, dur_us buffer)
{
	/* the MPD writes its times rounded */
	double rate = (double)m->bandwidth, room = rate * ((double)buffer / DUR_S + 0.001), full = 0;

	for (size_t i = 0; i < t->n_cuts; i++) {
		if (i > 0)
			full -= rate * (double)(t->cuts[i].start - t->cuts[i - 1].start) / t->timescale;
		full = (full > 0 ? full : 0) + 8.0 * t->cuts[i].size;
		if (full > room)
			return fault_set(v->fault, ERR_CORRUPT, PACKAGE_MANIFEST ":%u: segment %zu of %s comes late at @bandwidth %llu and @minBufferTime %.3f s; " CURE,
			                 m->line, i, t->name, (unsigned long long)m->bandwidth, (double)buffer / DUR_S);
	}
	return 0;
}

static int check_described(struct verify *v, const struct seen *t, const struct mpd_set *set, const struct mpd_representation *m, dur_us buffer)
{
	const struct mpd_segments *s = &m->segments;
	const char *codecs = m->common.codecs != NULL ? m->common.codecs : set->common.codecs;
	uint32_t width = m->common.width > 0 ? m->common.width : set->common.width;
	uint32_t height = m->common.height > 0 ? m->common.height : set->common.height;

	if (s->initialization.range.first != 0 || s->initialization.range.last + 1 != t->header_end || s->index_range.first != t->header_end ||
	    s->index_range.last + 1 != t->index_end)
		return fault_set(v->fault, ERR_CORRUPT, PACKAGE_MANIFEST ":%u: the ranges of %s are not those of the file; " CURE, m->line, t->name);
	if (codecs == NULL || strcmp(codecs, t->codecs) != 0)
		return fault_set(v->fault, ERR_CORRUPT, PACKAGE_MANIFEST ":%u: %s holds %s, the MPD says \"%s\"; " CURE, m->line, t->name, t->codecs,
		                 codecs != NULL ? codecs : "");
	if (t->handler == BMFF_TYPE('v', 'i', 'd', 'e') && (width != t->width || height != t->height))
		return mismatch(v, m, "the picture's size");
	if (s->has_timescale && s->timescale != t->timescale)
		return mismatch(v, m, "the timescale");
	return check_bandwidth(v, t, m, buffer);
}

static int check_representation(struct verify *v, const struct mpd *mpd, const struct mpd_set *set, const struct mpd_representation *m)
{
	const char *file = m->base_urls.n == 1 ? m->base_urls.v[0].url : "";

	for (size_t i = 0; i < v->n_tracks; i++)
		if (strcmp(v->tracks[i].name, file) == 0) {
			v->tracks[i].n_described++;
			return check_described(v, &v->tracks[i], set, m, mpd->min_buffer_time);
		}
	return fault_set(v->fault, ERR_CORRUPT, PACKAGE_MANIFEST ":%u: names \"%s\", which is no track of the package; " CURE, m->line, file);
}

/* Each track once, and the whole of them as long as the MPD says. */
static int check_whole(struct verify *v, const struct mpd *mpd)
{
	const struct seen *t;

	for (size_t i = 0; i < v->n_tracks; i++) {
		t = &v->tracks[i];
		if (t->n_described != 1)
			return fault_set(v->fault, ERR_CORRUPT, PACKAGE_MANIFEST ": names %s %u times, not once; " CURE, t->name, t->n_described);
		/* sound is held to the picture's end by compare() */
		if (t->handler == BMFF_TYPE('v', 'i', 'd', 'e') &&
		    (!mpd->has_duration || !within(mpd->duration, DUR_S, end_of(t), t->timescale, t->unit, t->timescale)))
			return fault_set(v->fault, ERR_CORRUPT, PACKAGE_MANIFEST ": says %.3f s, %s lasts %.3f s; " CURE, (double)mpd->duration / DUR_S,
			                 t->name, (double)end_of(t) / t->timescale);
	}
	return 0;
}

static int check_manifest(struct verify *v)
{
	struct buf text;
	struct mpd *mpd;
	int r = read_file(v, PACKAGE_MANIFEST, MPD_MAX_BYTES, &text);

	if (r != 0)
		return r;
	r = mpd_read(text.bytes, text.size, PACKAGE_MANIFEST, &mpd, v->fault);
	buf_fini(&text);
	if (r != 0)
		return r;
	for (size_t p = 0; p < mpd->n_periods; p++)
		for (size_t s = 0; s < mpd->periods[p].n_sets; s++)
			for (size_t i = 0; r == 0 && i < mpd->periods[p].sets[s].n_representations; i++)
				r = check_representation(v, mpd, &mpd->periods[p].sets[s], &mpd->periods[p].sets[s].representations[i]);
	if (r == 0)
		r = check_whole(v, mpd);
	mpd_free(&mpd);
	return r;
}

/* A folder that is named by a revision is the one of this digest. */
static int check_name(struct verify *v)
{
	size_t n = strlen(v->folder), at;

	while (n > 1 && v->folder[n - 1] == '/')
		n--;
	for (at = n; at > 0 && v->folder[at - 1] != '/';)
		at--;
	if (n - at != PACKAGE_REVISION_SIZE - 1 || strspn(v->folder + at, "0123456789abcdef") < n - at ||
	    memcmp(v->folder + at, v->digest->revision, n - at) == 0)
		return 0;
	return fault_set(v->fault, ERR_HASH, "%s: is named for another revision than that of its " PACKAGE_DIGEST ", %s; rename it", v->folder,
	                 v->digest->revision);
}

static int check_all(struct verify *v)
{
	struct buf text;
	int r = read_file(v, PACKAGE_DIGEST, DIGEST_MAX_BYTES, &text);

	if (r != 0)
		return r;
	r = digest_read(text.bytes, text.size, &v->digest, v->fault);
	buf_fini(&text);
	if (r != 0) {
		fault_prefix(v->fault, "%s/" PACKAGE_DIGEST, v->folder);
		return r;
	}
	r = check_name(v);
	if (r == 0)
		r = check_hashes(v);
	for (size_t i = 0; r == 0 && i < v->digest->n_files; i++)
		if (str_ends(v->digest->files[i].name, ".mp4"))
			r = check_track(v, &v->digest->files[i]);
	if (r == 0)
		r = check_alignment(v);
	return r == 0 ? check_manifest(v) : r;
}

int verify_package(const char *folder, struct verify_facts *ret_facts, struct fault *f)
{
	struct verify v = {.folder = folder, .fault = f};
	int r = check_all(&v);

	for (size_t i = 0; i < v.n_tracks; i++) {
		free(v.tracks[i].name);
		free(v.tracks[i].cuts);
	}
	free(v.tracks);
	digest_free(&v.digest);
	if (r == 0)
		*ret_facts = v.facts;
	return r;
}

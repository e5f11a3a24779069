// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which of a manifest's base URLs (the edges, the origin last) a request goes to.  dash.js leaves a base URL only
// after every retry of a media segment against it has failed, and never for an index; here a retry already goes to
// the next place, for every kind of request.  It sits between dash.js and the network as a pair of interceptors.
//
// Rules: the manifest's order is the order of preference; a place that failed is in the penalty box for a while,
// longer each time in a row; one answer that is right clears it.  When all are in the box, the one that comes out
// first is tried.

const PENALTY_MS = 15000;
const PENALTY_MAX_MS = 120000;
const PATIENCE_MS = 25000;

/** What a status says of the place: nothing (0 bytes wrong with it) or a failure.  416 and 404 can be the place's
 * own: an edge that lost a title, while another has it. */
const failed = status => status === 0 || status === 404 || status === 410 || status === 416 || status === 429 || status >= 500;

/** Chromium's cache in memory (private windows) now and then gives the first part of a range for all of it, with a status
 * and headers that say all is well; dash.js would play that. */
function short(r) {
	const range = /^bytes (\d+)-(\d+)/.exec(r.headers?.['content-range'] ?? '');
	return range !== null && r.data instanceof ArrayBuffer && r.data.byteLength !== range[2] - range[1] + 1;
}

export class Pathways {
	/** `now` gives milliseconds that only go up; `on_move(from, to)` is told when media comes from elsewhere. */
	constructor({now = () => performance.now(), on_move = () => {}} = {}) {
		this.now = now;
		this.on_move = on_move;
		this.places = [];
		this.current = null; // the place of the last media answer
		this.pending = new Set();
		this.active = now(); // when something was last asked or answered
	}

	/** `list`: [{url, serviceLocation}] in order of preference; what is known of places that stay is kept. */
	setPlaces(list) {
		const known = new Map(this.places.map(p => [p.url, p]));
		this.places = list.filter(b => /^https?:/.test(b.url)).map(b => known.get(b.url) ??
			{url: b.url, name: b.serviceLocation ?? new URL(b.url).host, until: 0, failures: 0, requests: 0, bytes: 0});
	}

	/** A new start: every place gets its chance. */
	pardon() {
		for (const p of this.places)
			p.until = p.failures = 0;
	}

	of(url) {
		return this.places.find(p => url.startsWith(p.url)) ?? null;
	}

	best() {
		const now = this.now();
		return this.places.find(p => p.until <= now) ??
			this.places.reduce((a, b) => a === null || b.until < a.until ? b : a, null);
	}

	/** Request interceptor: the same file from the best place.  Where dash.js was steered to another place that is
	 * fine, that choice stands. */
	request(r) {
		this.pending.add(r);
		this.active = this.now();
		const asked = this.of(r.url);
		if (asked && asked.until > this.now()) {
			const better = this.best();
			r.url = better.url + r.url.slice(asked.url.length);
		}
		return r;
	}

	/** Response interceptor: learns from the answer. */
	response(r, is_media = true) {
		this.pending.delete(r.request);
		this.active = this.now();
		const place = this.of(r.request.url);
		if (!place)
			return r;
		place.requests++;
		if (short(r))
			r.status = 0; // dash.js asks again
		if (failed(r.status)) {
			place.failures++;
			place.until = this.now() + Math.min(PENALTY_MS * 2 ** (place.failures - 1), PENALTY_MAX_MS);
		} else {
			place.failures = 0;
			place.until = 0;
			place.bytes += r.data?.byteLength ?? 0;
			if (is_media && place !== this.current) {
				const from = this.current;
				this.current = place;
				this.on_move(from, place);
			}
		}
		return r;
	}

	/** Milliseconds since nothing is under way any more; what never ends counts for PATIENCE_MS. */
	idle() {
		const quiet = this.now() - this.active;
		return this.pending.size && quiet < PATIENCE_MS ? 0 : quiet;
	}

	/** For statistics: a copy that nobody can change us through. */
	report() {
		const now = this.now();
		return this.places.map(p => ({name: p.name, url: p.url, requests: p.requests, bytes: p.bytes, failures: p.failures,
			resting: p.until > now, current: p === this.current}));
	}
}

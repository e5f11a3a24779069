// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the page asks of the origin: the list of titles and one title.  Every failure is an ApiError with a key of
// strings.js, so that it can be said in the viewer's language.

const PATIENCE_MS = 10000;

export class ApiError extends Error {
	/** `key` into strings.js, `status` of the answer (0: none came). */
	constructor(key, status = 0) {
		super(key);
		this.key = key;
		this.status = status;
	}
}

async function get(path) {
	let answer;
	try {
		answer = await fetch(path, {headers: {accept: 'application/json'}, signal: AbortSignal.timeout(PATIENCE_MS)});
	} catch {
		throw new ApiError('api_down');
	}
	if (!answer.ok)
		throw new ApiError(answer.status === 400 && path.includes('q=') ? 'search_long' : 'api_status', answer.status);
	try {
		return await answer.json();
	} catch {
		throw new ApiError('api_unreadable', answer.status);
	}
}

/** A page of titles by name: {titles, total, next}; `next` is the `after` of the page behind, null on the last one. */
export async function titlesPage({q = '', tag = null, after = null, limit = 200} = {}) {
	const query = new URLSearchParams({limit});
	if (q.trim())
		query.set('q', q);
	if (tag !== null)
		query.set('tag', tag);
	if (after !== null)
		query.set('after', after);
	const page = await get('/api/v1/titles?' + query);
	if (!Array.isArray(page.titles) || (page.next && page.next === after)) // the latter would never end
		throw new ApiError('api_unreadable');
	return {titles: page.titles, total: page.total ?? page.titles.length, next: page.next ?? null};
}

/** The tags of most titles: [[tag, number of titles]]; nothing where that cannot be had. */
export async function listTags(limit) {
	try {
		return (await get(`/api/v1/tags?limit=${limit}`)).tags.map(x => [x.tag, x.titles]);
	} catch (error) {
		if (error instanceof ApiError)
			return [];
		throw error;
	}
}

/** What most people watch at the moment; nothing where that cannot be had: the page does without. */
export async function listPopular(limit) {
	try {
		const page = await get(`/api/v1/titles?order=popular&limit=${limit}`);
		return Array.isArray(page.titles) ? page.titles : [];
	} catch (error) {
		if (error instanceof ApiError)
			return [];
		throw error;
	}
}

/** One title with its files; an ApiError with status 404 where there is none. */
export async function getTitle(id) {
	return get('/api/v1/titles/' + encodeURIComponent(id));
}

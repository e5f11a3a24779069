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
		throw new ApiError('api_status', answer.status);
	try {
		return await answer.json();
	} catch {
		throw new ApiError('api_unreadable', answer.status);
	}
}

/**
 * All published titles, page by page: calls `on_page(titles so far, true when there are more)` after each, so that
 * the first films are there before the last are known.
 */
export async function listTitles(on_page) {
	const all = [];
	let after = null;
	do {
		const page = await get('/api/v1/titles?limit=200' + (after === null ? '' : `&after=${encodeURIComponent(after)}`));
		if (!Array.isArray(page.titles))
			throw new ApiError('api_unreadable');
		all.push(...page.titles);
		if (page.next && page.next === after)
			throw new ApiError('api_unreadable'); // would never end
		after = page.next ?? null;
		on_page(all, after !== null);
	} while (after !== null);
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

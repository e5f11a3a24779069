// SPDX-License-Identifier: GPL-3.0-or-later
//
// The wall of posters and its search.
import {announce, dress, el} from './dom.js';
import {ApiError, listPopular, listTags, titlesPage} from './api.js';
import {mine} from './playlist.js';
import {bytes, clock, t} from './strings.js';

/** "Película" is found by "pelicula": small letters without accents. */
const fold = text => text.normalize('NFD').replace(/\p{M}/gu, '').toLocaleLowerCase();

/** A colour of its own for a film without a poster, always the same one. */
function hue(id) {
	let h = 0;
	for (const c of id)
		h = (h * 31 + c.codePointAt(0)) % 360;
	return h;
}

/** The film's picture with its length. */
export function poster(title) {
	const frame = el('span', {class: 'poster'});
	const blank = el('span', {class: 'blank', 'aria-hidden': 'true'}, title.name.trim().slice(0, 1).toLocaleUpperCase());
	blank.style.setProperty('--hue', hue(title.title));
	frame.append(blank);
	if (title.poster) {
		const image = el('img', {alt: '', loading: 'lazy', decoding: 'async', width: 640, height: 360,
			on: {load: () => image.classList.add('there'), error: () => image.remove()}});
		image.src = title.poster;
		frame.append(image);
	}
	if (title.duration)
		frame.append(el('span', {class: 'length'}, clock(title.duration)));
	return frame;
}

/** Puts a film on the list being made, or takes it off. */
function listButton(title) {
	const button = el('button', {type: 'button', class: 'add', on: {click: () => {
		mine.toggle(title.title);
		announce(t(mine.has(title.title) ? 'list_added' : 'list_taken', {name: title.name}));
	}}});
	const draw = () => {
		const on = mine.has(title.title);
		if (button.getAttribute('aria-pressed') === String(on))
			return;
		dress(button, on ? 'done' : 'more', t('list_add', {name: title.name}));
		button.setAttribute('aria-pressed', on);
	};
	draw();
	return {button, draw};
}

function card(title) {
	const list = listButton(title);
	title.redraw = list.draw;
	return el('li', {}, list.button, el('a', {class: 'card', href: `#/title/${encodeURIComponent(title.title)}`},
		poster(title), el('span', {class: 'name'}, title.name), el('span', {class: 'facts'}, title.year ? String(title.year) : bytes(title.bytes))));
}

function emptyLibrary() {
	const command = `ribera-ingest FILM.mp4 --library LIBRARY --title NAME`;
	return el('section', {class: 'notice', id: 'empty'}, el('h1', {}, t('empty_title')), el('p', {}, t('empty_text')),
		el('pre', {tabindex: '0'}, el('code', {}, command)));
}

/** The tags of all films, those of most films first: [[tag, number of films]] */
function tagsOf(titles) {
	const counts = new Map();
	for (const x of titles)
		for (const tag of x.tags ?? [])
			counts.set(tag, (counts.get(tag) ?? 0) + 1);
	return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

const TAGS_SHOWN = 24, POPULAR_SHOWN = 6, POPULAR_LEAST = 7;
/** So many films are taken whole and searched here; of more the origin searches, and the wall grows as one goes down. */
const WHOLE_MAX = 400, PAGE = 100, TYPING_MS = 150;

/** What a search looks at. */
const words = x => fold([x.name, x.title, x.description ?? '', x.year ?? '', ...(x.tags ?? [])].join(' '));

/** Shows the wall in `root`; `filter` is {q, tag}; returns {search(filter), close()}. */
export function showWall(root, filter) {
	let titles = [], popular = [], tagged = [], closed = false, whole = true, total = 0, next = null, ready = false;
	let turn = 0, timer = 0, growing = false; // of what the origin searches
	const heading = el('h1', {class: 'sr'}, t('films'));
	const count = el('p', {class: 'count', id: 'count'}, t('loading'));
	const grid = el('ul', {class: 'wall', id: 'wall'});
	const tags = el('nav', {class: 'tags', id: 'tags', hidden: true, 'aria-label': t('tags')});
	const now = el('section', {class: 'popular', id: 'popular', hidden: true});
	const more = el('button', {type: 'button', class: 'button quiet', id: 'more', hidden: true, on: {click: grow}}, t('more_films'));
	const rest = el('div');
	root.replaceChildren(heading, tags, now, count, grid, el('p', {class: 'further'}, more), rest);
	root.setAttribute('aria-busy', 'true');
	const sight = new IntersectionObserver(seen => seen.some(x => x.isIntersecting) && grow(), {rootMargin: '800px'});
	sight.observe(more);

	function drawTags() {
		const all = whole ? tagsOf(titles).slice(0, TAGS_SHOWN) : tagged;
		tags.hidden = !all.length;
		tags.replaceChildren(...all.map(([tag, n]) => {
			const on = tag === filter.tag;
			return el('a', {class: 'tag', href: on ? '#/' : `#/?tag=${encodeURIComponent(tag)}`, 'aria-current': on ? 'true' : null}, tag, el('span', {class: 'n', 'aria-hidden': 'true'}, String(n)));
		}));
	}

	/** Only where there is more than the eye takes in at once, and nobody looks for something else. */
	function drawPopular() {
		now.hidden = !popular.length || titles.length < POPULAR_LEAST || filter.q !== '' || filter.tag !== null;
		if (!now.hidden && !now.firstChild)
			now.replaceChildren(el('h2', {}, t('popular_now')), el('ul', {class: 'wall'}, ...popular.map(card)));
	}

	/** Hides what is not searched for, where all films are here; the number of the others. */
	function sift() {
		const parts = fold(filter.q).split(/\s+/).filter(Boolean);
		let found = 0;
		for (const x of titles) {
			x.card ??= grid.appendChild(card(x));
			x.card.hidden = !parts.every(w => x.folded.includes(w)) || (filter.tag !== null && !x.tags?.includes(filter.tag));
			found += !x.card.hidden;
		}
		return found;
	}

	function draw() {
		const found = whole ? sift() : total, empty = ready && !total && !filter.q && filter.tag === null;
		drawTags();
		drawPopular();
		count.textContent = ready || found ? t('found', {n: found}) : t('loading');
		count.hidden = empty;
		more.hidden = whole || next === null;
		rest.replaceChildren();
		if (empty)
			rest.append(emptyLibrary());
		else if (ready && !found)
			rest.append(el('section', {class: 'notice', id: 'nothing'}, el('p', {}, t('nothing_found', {q: filter.q || filter.tag})),
				el('p', {}, el('a', {class: 'button', href: '#/'}, t('clear_search')))));
		return found;
	}

	/** What `work` asks of the origin can fail; that is said with a way to try again. */
	async function guarded(work, again) {
		try {
			await work();
		} catch (error) {
			if (!(error instanceof ApiError))
				throw error; // a mistake of ours belongs on the console
			if (closed)
				return;
			more.hidden = true;
			count.hidden = !titles.length;
			rest.replaceChildren(el('section', {class: 'notice error', role: 'alert', id: 'error'}, el('p', {}, t(error.key, {status: error.status})),
				el('button', {type: 'button', class: 'button', on: {click: again}}, t('retry'))));
		}
	}

	const load = () => guarded(async () => {
		count.hidden = false;
		grid.replaceChildren();
		rest.replaceChildren();
		ready = false;
		titles = [];
		do {
			const page = await titlesPage({after: next, limit: PAGE * 2});
			if (closed)
				return;
			total = page.total;
			next = page.next;
			whole = total <= WHOLE_MAX;
			titles.push(...page.titles.map(x => Object.assign(x, {folded: words(x)})));
			ready = next === null;
			if (whole)
				draw();
		} while (whole && next !== null);
		if (!whole) {
			tagged = await listTags(TAGS_SHOWN);
			await browse();
		}
		root.removeAttribute('aria-busy');
	}, () => { next = null; load(); });

	/** Many films: the first page of what is searched for; what comes too late for another search is dropped. */
	const browse = () => guarded(async () => {
		const this_turn = ++turn;
		const page = await titlesPage({...filter, limit: PAGE});
		if (closed || this_turn !== turn)
			return;
		({titles, total, next} = page);
		ready = true;
		grid.replaceChildren(...titles.map(card));
		const n = draw();
		announce(n ? t('found', {n}) : t('nothing_found', {q: filter.q || filter.tag}));
	}, browse);

	function grow() {
		if (growing || whole || next === null || closed)
			return;
		growing = true;
		const of = turn;
		guarded(async () => {
			const page = await titlesPage({...filter, after: next, limit: PAGE});
			if (closed || of !== turn)
				return;
			next = page.next;
			titles.push(...page.titles);
			grid.append(...page.titles.map(card));
			draw();
			sight.unobserve(more); // to be told again, if it is still in sight
			sight.observe(more);
		}, grow).finally(() => { growing = false; });
	}

	listPopular(POPULAR_SHOWN).then(list => {
		popular = list;
		if (!closed && ready)
			drawPopular();
	});
	const redraw = () => [...titles, ...popular].forEach(x => x.redraw?.());
	mine.addEventListener('change', redraw);
	load();
	return {
		search(wanted) {
			filter = wanted;
			clearTimeout(timer);
			if (!whole) {
				drawTags();
				timer = setTimeout(browse, TYPING_MS);
				return;
			}
			const n = draw();
			announce(n ? t('found', {n}) : t('nothing_found', {q: filter.q || filter.tag}));
		},
		close() {
			closed = true;
			clearTimeout(timer);
			sight.disconnect();
			mine.removeEventListener('change', redraw);
			root.removeAttribute('aria-busy');
		},
	};
}

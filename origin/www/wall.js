// SPDX-License-Identifier: GPL-3.0-or-later
//
// The wall of posters and its search.
import {announce, dress, el} from './dom.js';
import {ApiError, listPopular, listTitles} from './api.js';
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

/** What a search looks at. */
const words = x => fold([x.name, x.title, x.description ?? '', x.year ?? '', ...(x.tags ?? [])].join(' '));

/** Shows the wall in `root`; `filter` is {q, tag}; returns {search(filter), close()}. */
export function showWall(root, filter) {
	let titles = [], closed = false, more = true;
	const heading = el('h1', {class: 'sr'}, t('films'));
	const count = el('p', {class: 'count', id: 'count'}, t('loading'));
	const grid = el('ul', {class: 'wall', id: 'wall'});
	const tags = el('nav', {class: 'tags', id: 'tags', hidden: true, 'aria-label': t('tags')});
	const now = el('section', {class: 'popular', id: 'popular', hidden: true});
	const rest = el('div');
	let popular = [];
	root.replaceChildren(heading, tags, now, count, grid, rest);
	root.setAttribute('aria-busy', 'true');

	function drawTags() {
		const all = tagsOf(titles).slice(0, TAGS_SHOWN);
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

	function draw() {
		const query = filter.q;
		const parts = fold(query).split(/\s+/).filter(Boolean);
		drawTags();
		drawPopular();
		let found = 0;
		for (const x of titles) {
			x.card ??= grid.appendChild(card(x));
			x.card.hidden = !parts.every(w => x.folded.includes(w)) || (filter.tag !== null && !x.tags?.includes(filter.tag));
			found += !x.card.hidden;
		}
		count.textContent = more && !found ? t('loading') : t('found', {n: found});
		count.hidden = !more && !titles.length;
		rest.replaceChildren();
		if (!more && !titles.length)
			rest.append(emptyLibrary());
		else if (!more && !found)
			rest.append(el('section', {class: 'notice', id: 'nothing'}, el('p', {}, t('nothing_found', {q: query || filter.tag})),
				el('p', {}, el('a', {class: 'button', href: '#/'}, t('clear_search')))));
		return found;
	}

	function fail(error) {
		const text = t(error.key, {status: error.status});
		rest.replaceChildren(el('section', {class: 'notice error', role: 'alert', id: 'error'}, el('p', {}, text),
			el('button', {type: 'button', class: 'button', on: {click: load}}, t('retry'))));
		count.hidden = !titles.length;
	}

	async function load() {
		count.hidden = false;
		grid.replaceChildren();
		rest.replaceChildren();
		try {
			await listTitles((all, is_more) => {
				if (closed)
					return;
				titles = all.map(x => Object.assign(x, {folded: x.folded ?? words(x)}));
				more = is_more;
				draw();
			});
		} catch (error) {
			if (!(error instanceof ApiError))
				throw error; // a mistake of ours belongs on the console
			if (!closed)
				fail(error);
		}
		if (!closed)
			root.removeAttribute('aria-busy');
	}

	listPopular(POPULAR_SHOWN).then(list => {
		popular = list;
		if (!closed && !more)
			drawPopular();
	});
	const redraw = () => [...titles, ...popular].forEach(x => x.redraw?.());
	mine.addEventListener('change', redraw);
	load();
	return {
		search(wanted) {
			filter = wanted;
			const n = draw();
			announce(n ? t('found', {n}) : t('nothing_found', {q: filter.q || filter.tag}));
		},
		close() {
			closed = true;
			mine.removeEventListener('change', redraw);
			root.removeAttribute('aria-busy');
		},
	};
}

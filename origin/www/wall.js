// SPDX-License-Identifier: GPL-3.0-or-later
//
// The wall of posters and its search.
import {announce, dress, el} from './dom.js';
import {ApiError, listTitles} from './api.js';
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
		poster(title), el('span', {class: 'name'}, title.name), el('span', {class: 'facts'}, bytes(title.bytes))));
}

function emptyLibrary() {
	const command = `ribera-ingest FILM.mp4 --library LIBRARY --title NAME`;
	return el('section', {class: 'notice', id: 'empty'}, el('h1', {}, t('empty_title')), el('p', {}, t('empty_text')),
		el('pre', {tabindex: '0'}, el('code', {}, command)));
}

/** Shows the wall in `root`; returns {search(text), close()}. */
export function showWall(root, query) {
	let titles = [], closed = false, more = true;
	const heading = el('h1', {class: 'sr'}, t('films'));
	const count = el('p', {class: 'count', id: 'count'}, t('loading'));
	const grid = el('ul', {class: 'wall', id: 'wall'});
	const rest = el('div');
	root.replaceChildren(heading, count, grid, rest);
	root.setAttribute('aria-busy', 'true');

	function draw() {
		const words = fold(query).split(/\s+/).filter(Boolean);
		let found = 0;
		for (const x of titles) {
			x.card ??= grid.appendChild(card(x));
			x.card.hidden = !words.every(w => x.folded.includes(w));
			found += !x.card.hidden;
		}
		count.textContent = more && !found ? t('loading') : t('found', {n: found});
		count.hidden = !more && !titles.length;
		rest.replaceChildren();
		if (!more && !titles.length)
			rest.append(emptyLibrary());
		else if (!more && !found)
			rest.append(el('section', {class: 'notice', id: 'nothing'}, el('p', {}, t('nothing_found', {q: query})),
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
				titles = all.map(x => Object.assign(x, {folded: x.folded ?? fold(`${x.name} ${x.title}`)}));
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

	const redraw = () => titles.forEach(x => x.redraw?.());
	mine.addEventListener('change', redraw);
	load();
	return {
		search(text) {
			query = text;
			const n = draw();
			announce(n ? t('found', {n}) : t('nothing_found', {q: query}));
		},
		close() {
			closed = true;
			mine.removeEventListener('change', redraw);
			root.removeAttribute('aria-busy');
		},
	};
}

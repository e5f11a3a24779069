// SPDX-License-Identifier: GPL-3.0-or-later
//
// One playlist: the one being made here (its name and order can be changed), or one that came as an address.
import {announce, dress, el} from './dom.js';
import {ApiError, getTitle} from './api.js';
import {filmAddress, listAddress, mine} from './playlist.js';
import {clock, t} from './strings.js';
import {poster} from './wall.js';

const AT_ONCE = 6; // titles asked for at a time

class ListView {
	/** `list`: null for the one being made */
	constructor(root, list) {
		this.given = list;
		this.titles = new Map(); // name -> title, or an ApiError
		this.abort = new AbortController();
		this.name = el('input', {type: 'text', id: 'list-name', maxLength: 100, autocomplete: 'off', on: {input: () => { mine.set({name: this.name.value}); this.drawActions(); }}});
		this.heading = el('h1');
		this.facts = el('p', {class: 'count', id: 'list-facts'});
		this.actions = el('p', {class: 'actions'});
		this.items = el('ol', {class: 'list', id: 'list'});
		root.replaceChildren(el('section', {class: 'listing'}, this.heading, list ? null : this.name, this.facts, this.actions, this.items));
		mine.addEventListener('change', () => { if (!this.given && this.shown !== mine.of.join()) this.draw(); }, {signal: this.abort.signal});
		this.relabel();
		this.load();
	}

	get list() {
		return this.given ?? mine;
	}

	async load() {
		const waiting = [...new Set(this.list.of)].filter(x => !this.titles.has(x));
		const worker = async () => {
			for (let x = waiting.shift(); x !== undefined && !this.abort.signal.aborted; x = waiting.shift()) {
				try {
					this.titles.set(x, await getTitle(x));
				} catch (error) {
					if (!(error instanceof ApiError))
						throw error;
					this.titles.set(x, error);
				}
			}
		};
		await Promise.all(Array.from({length: AT_ONCE}, worker));
		if (!this.abort.signal.aborted)
			this.draw();
	}

	relabel() {
		document.title = `${this.list.name || t('playlist')} – Ribera`;
		this.heading.textContent = this.given ? this.list.name || t('playlist') : t('my_playlist');
		this.name.placeholder = t('list_name');
		this.name.setAttribute('aria-label', t('list_name'));
		this.name.value = this.list.name;
		this.draw();
	}

	draw() {
		const {of} = this.list;
		this.shown = of.join();
		const known = of.map(x => this.titles.get(x)).filter(x => x && !(x instanceof ApiError));
		const length = known.reduce((sum, x) => sum + (x.duration ?? 0), 0);
		this.facts.textContent = of.length ? [t('found', {n: of.length}), length ? clock(length) : null].filter(Boolean).join(' · ') : t('list_empty');
		this.items.replaceChildren(...of.map((x, i) => this.item(x, i)));
		this.drawActions();
		if (of.some(x => !this.titles.has(x)) && this.loading !== this.shown) {
			this.loading = this.shown;
			this.load();
		}
	}

	drawActions() {
		const list = this.list, link = new URL(listAddress(list), location.href).href;
		if (!list.of.length) {
			this.actions.replaceChildren(el('a', {class: 'button', href: '#/'}, t('list_choose')));
			return;
		}
		const copied = el('button', {type: 'button', class: 'button quiet', id: 'list-copy', on: {click: () => this.copy(copied, link)}}, t('list_share'));
		const keep = this.given ? el('button', {type: 'button', class: 'button quiet', id: 'list-keep', on: {click: () => { mine.set(list); location.hash = '#/list'; }}}, t('list_keep')) : null;
		this.actions.replaceChildren(el('a', {class: 'button', id: 'list-play', href: filmAddress(list, 0)}, t('list_play')), copied, ...(keep ? [keep] : []));
		this.link = link;
	}

	async copy(button, link) {
		try {
			await navigator.clipboard.writeText(link);
			button.textContent = t('copied');
		} catch { // not allowed, or a page without TLS: it is the address of the list's page
			location.hash = new URL(link).hash;
			button.textContent = t('list_address');
		}
		announce(button.textContent);
	}

	item(title, i) {
		const known = this.titles.get(title), gone = known instanceof ApiError;
		const name = known && !gone ? known.name : title;
		const face = known && !gone ? poster(known) : el('span', {class: 'poster'});
		const link = gone ? el('span', {class: 'entry gone'}, face, el('span', {class: 'name'}, name), el('span', {class: 'facts'}, t(known.status === 404 ? 'list_gone' : known.key, {status: known.status})))
			: el('a', {class: 'entry', href: filmAddress(this.list, i)}, face, el('span', {class: 'name'}, name));
		return el('li', {data: {title}}, link, this.given ? null : this.tools(name, i));
	}

	tools(name, i) {
		const {of} = mine;
		const move = by => {
			const next = [...of];
			next.splice(i + by, 0, ...next.splice(i, 1));
			mine.set({of: next});
			this.items.children[i + by].querySelector(by < 0 ? '.up' : '.down')?.focus();
			announce(t('list_moved', {name, n: i + by + 1}));
		};
		const tool = (icon, label, disabled, f) => {
			const b = el('button', {type: 'button', class: `control ${icon}`, disabled, on: {click: f}});
			dress(b, icon, label);
			return b;
		};
		return el('span', {class: 'tools'}, tool('up', t('list_up', {name}), i === 0, () => move(-1)), tool('down', t('list_down', {name}), i === of.length - 1, () => move(1)),
			tool('less', t('list_remove', {name}), false, () => { mine.set({of: of.filter((_, k) => k !== i)}); document.getElementById('main').focus(); }));
	}

	close() {
		this.abort.abort();
	}
}

export function showList(root, list) {
	return new ListView(root, list);
}

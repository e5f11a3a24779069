// SPDX-License-Identifier: GPL-3.0-or-later
//
// Playlists without accounts: a list of films is an address, `#/list?name=NAME&of=TITLE,TITLE`, that can be sent to
// anybody; the one being made is kept in this browser.
import {memory} from './dom.js';

const MOST = 200;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/; // what a title may be called; has no comma

/** {name, of: [title, ...]} of an address's values; null where there is no list in them. */
export function listOf(values) {
	const text = values.get('of') ?? values.get('list');
	if (text === null)
		return null;
	return {name: (values.get('name') ?? '').slice(0, 100), of: text.split(',').filter(x => NAME.test(x)).slice(0, MOST)};
}

function address(path, list, key, more = {}) {
	const name = list.name ? `name=${encodeURIComponent(list.name)}&` : '';
	const rest = Object.entries(more).map(([k, v]) => `&${k}=${v}`).join('');
	return `${path}?${name}${key}=${list.of.join(',')}${rest}`;
}

/** The list's own address. */
export const listAddress = list => address('#/list', list, 'of');

/** The address of its film number `i` (from 0), played as part of it. */
export const filmAddress = (list, i) => address(`#/title/${encodeURIComponent(list.of[i])}`, list, 'list', {at: i});

/** The list that is being made here; an EventTarget that says "change". */
class Mine extends EventTarget {
	constructor() {
		super();
		this.read();
		globalThis.addEventListener?.('storage', e => { if (e.key === null || e.key === 'ribera.list') { this.read(); this.dispatchEvent(new Event('change')); } });
	}

	read() {
		this.name = '';
		this.of = [];
		try {
			const kept = JSON.parse(memory.get('list'));
			this.name = String(kept.name ?? '').slice(0, 100);
			this.of = kept.of.filter(x => NAME.test(x)).slice(0, MOST);
		} catch { /* none yet */ }
	}

	set({name = this.name, of = this.of}) {
		this.name = name.slice(0, 100);
		this.of = of.slice(0, MOST);
		memory.set('list', JSON.stringify({name: this.name, of: this.of}));
		this.dispatchEvent(new Event('change'));
	}

	has(title) {
		return this.of.includes(title);
	}

	toggle(title) {
		this.set({of: this.has(title) ? this.of.filter(x => x !== title) : [...this.of, title]});
	}
}

export const mine = new Mine();

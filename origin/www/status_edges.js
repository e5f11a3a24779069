// SPDX-License-Identifier: GPL-3.0-or-later
//
// The table of edges: those in need of a look first, then by name.
import {announce, el} from './dom.js';
import {ask} from './control.js';
import {bytes, number, t} from './strings.js';

const COLUMNS = ['edge', 'state', 'disk', 'load', 'hits', 'held', 'fill', 'seen', 'act'];
const ORDER = {down: 0, draining: 1, up: 2};

/** "up", "down" or "draining" */
const stateOf = e => e.state === 'up' && e.draining ? 'draining' : e.state;

export function ago(seconds) {
	if (seconds < 90)
		return t('ago', {n: number(Math.round(seconds))});
	return seconds < 5400 ? t('ago_minutes', {n: number(Math.round(seconds / 60))}) : t('ago_hours', {n: number(Math.round(seconds / 3600))});
}

/** A bar with its words beside it; `share` 0 to 1. */
function bar(share, words) {
	const fill = el('span', {class: 'fill'});
	fill.style.setProperty('--share', `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`);
	return [el('span', {class: share > 0.9 ? 'meter full' : 'meter', 'aria-hidden': 'true'}, fill), el('span', {class: 'words'}, words)];
}

function disk(e) {
	if (e.free_bytes === null || !e.capacity)
		return [t('unknown')];
	const used = Math.max(0, e.capacity - e.free_bytes);
	return bar(used / e.capacity, t('disk', {used: bytes(used), of: bytes(e.capacity)}));
}

const percent = share => `${number(100 * share, share > 0.99 && share < 1 ? 1 : 0)} %`;

/** What is on its way; as much as fits, the number of the rest. */
function filling(e) {
	const parts = e.held.filter(h => !h.complete);
	return parts.length ? [...parts.slice(0, 2).map(h => el('span', {class: 'filling'}, `${h.title} · ${bytes(h.bytes ?? 0)}`)),
		parts.length > 2 ? el('span', {class: 'filling'}, `+ ${number(parts.length - 2)}`) : null] : ['–'];
}

export class Edges {
	/** `again()` looks anew after a change, `complain(error)` says what failed. */
	constructor(again, complain) {
		this.again = again;
		this.complain = complain;
		this.rows = new Map();
		this.list = null;
		this.title = el('h2', {id: 'edges-title'});
		this.search = el('input', {type: 'search', id: 'filter', autocomplete: 'off', on: {input: () => this.draw()}});
		this.found = el('p', {class: 'count', id: 'edges-found'});
		this.head = el('tr');
		this.body = el('tbody');
		this.table = el('table', {class: 'grid', id: 'edges', 'aria-labelledby': 'edges-title'}, el('thead', {}, this.head), this.body);
		this.none = el('p', {class: 'count', id: 'edges-none', hidden: true});
		this.element = el('section', {class: 'part'}, el('div', {class: 'line'}, this.title, this.search), this.found,
			el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-labelledby': 'edges-title'}, this.table), this.none);
	}

	relabel() {
		this.title.textContent = t('edges');
		this.search.placeholder = t('filter');
		this.search.setAttribute('aria-label', t('filter'));
		this.head.replaceChildren(...COLUMNS.map(c => el('th', {scope: 'col', data: {col: c}}, t(`col_${c}`))));
		this.rows.clear();
		if (this.list)
			this.draw();
	}

	show(list) {
		this.list = list;
		this.draw();
	}

	draw() {
		const {edges} = this.list, words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
		const shown = edges.filter(e => words.every(w => e.name.toLowerCase().includes(w) || e.url.includes(w) || t(`state_${stateOf(e)}`).includes(w)))
			.sort((a, b) => ORDER[stateOf(a)] - ORDER[stateOf(b)] || a.name.localeCompare(b.name));
		this.none.hidden = edges.length > 0;
		this.none.textContent = t('edges_none');
		this.table.hidden = !edges.length;
		this.search.hidden = edges.length < 6;
		this.found.hidden = this.search.hidden;
		this.found.textContent = t('edges_found', {n: number(shown.length), of: number(edges.length)});
		const rows = shown.map(e => this.row(e));
		if (rows.length !== this.body.rows.length || rows.some((r, i) => this.body.rows[i] !== r))
			this.body.replaceChildren(...rows); // else a button that has the keyboard would lose it
		for (const name of this.rows.keys())
			if (!edges.some(e => e.name === name))
				this.rows.delete(name);
	}

	row(e) {
		let row = this.rows.get(e.name);
		if (!row) {
			row = el('tr', {data: {edge: e.name}}, el('th', {scope: 'row'}, el('a', {href: e.url, rel: 'noreferrer'}, e.name)), ...COLUMNS.slice(1).map(c => el('td', {data: {col: c, label: t(`col_${c}`)}})));
			this.rows.set(e.name, row);
		}
		const cell = Object.fromEntries(COLUMNS.map((c, i) => [c, row.cells[i]]));
		const now = stateOf(e);
		row.dataset.state = now;
		cell.state.replaceChildren(el('span', {class: 'dot', 'aria-hidden': 'true'}), t(`state_${now}`));
		if (e.trouble)
			cell.state.append(el('span', {class: 'problem'}, e.trouble));
		cell.disk.replaceChildren(...disk(e));
		cell.load.replaceChildren(...(e.load === null ? [t('unknown')] : bar(e.load, percent(e.load))));
		cell.hits.textContent = e.hit_ratio === null || e.hit_ratio === undefined ? '–' : percent(e.hit_ratio);
		cell.held.textContent = number(e.holds ?? e.held.filter(h => h.complete).length);
		cell.fill.replaceChildren(...filling(e).filter(Boolean));
		cell.seen.textContent = ago(e.seen_seconds_ago);
		this.action(cell.act, e);
		return row;
	}

	action(cell, e) {
		const verb = e.draining ? 'undrain' : 'drain';
		const button = cell.firstChild ?? cell.appendChild(el('button', {type: 'button', class: 'quiet', on: {click: () => this.change(e.name, button.dataset.verb)}}));
		button.dataset.verb = verb;
		button.textContent = t(verb);
		button.setAttribute('aria-label', t(`${verb}_edge`, {name: e.name}));
	}

	async change(name, verb) {
		try {
			await ask(`/api/v1/edges/${encodeURIComponent(name)}/drain`, verb === 'drain' ? 'PUT' : 'DELETE');
			announce(t(`${verb}ed`, {name}));
			this.again();
		} catch (error) {
			this.complain(error);
		}
	}
}

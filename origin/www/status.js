// SPDX-License-Identifier: GPL-3.0-or-later
//
// The operators' page: how the origin is, its edges, what is asked for, what happens.  Looks again by itself while it
// is seen, and tells of events as they come.
import './status_words.js';
import {announce, el} from './dom.js';
import {ApiError} from './api.js';
import {ask, askAll, follow, hasToken, health, setToken} from './control.js';
import {startFrame} from './frame.js';
import {bytes, number, t} from './strings.js';
import {Demand} from './status_demand.js';
import {Edges} from './status_edges.js';
import {Events} from './status_events.js';
import {Masters} from './status_masters.js';

const LOOK_MS = 3000, COUNT_MS = 30000;

const main = document.getElementById('main');
const state = document.getElementById('state');

/** Four numbers that say most of it. */
class Tiles {
	constructor() {
		this.values = {};
		this.element = el('ul', {class: 'tiles', id: 'tiles'});
	}

	set(values) {
		Object.assign(this.values, values);
		this.element.replaceChildren(...['edges', 'titles', 'viewers', 'bytes'].filter(k => this.values[k] !== undefined)
			.map(k => el('li', {data: {tile: k}}, el('b', {}, this.values[k]()), el('span', {}, t(`tile_${k}`)))));
	}
}

class Status {
	constructor() {
		this.tiles = new Tiles();
		this.edges = new Edges(() => this.look(), error => this.complain(error));
		this.demand = new Demand(() => this.count());
		this.events = new Events();
		this.masters = new Masters();
		this.trouble = el('div', {class: 'notice error', role: 'alert', id: 'trouble', hidden: true});
		this.gate = el('form', {class: 'notice', id: 'gate', hidden: true, on: {submit: e => { e.preventDefault(); this.enter(); }}});
		this.parts = el('div', {class: 'parts'}, this.tiles.element, this.edges.element, this.demand.element, this.masters.element, this.events.element);
		this.forget = el('button', {type: 'button', class: 'quiet', id: 'forget', on: {click: () => { setToken(null); location.reload(); }}});
		this.heading = el('h1', {class: 'sr'});
		main.replaceChildren(this.heading, this.trouble, this.gate, this.parts, this.forget);
		this.relabel();
	}

	relabel() {
		document.title = `${t('status')} – Ribera`;
		this.heading.textContent = t('status');
		this.forget.textContent = t('token_forget');
		this.forget.hidden = !hasToken();
		this.tiles.set({});
		for (const part of [this.edges, this.demand, this.masters, this.events])
			part.relabel();
		if (!this.gate.hidden)
			this.askToken();
		if (this.said !== undefined)
			this.sayHealth(this.said);
	}

	sayHealth(words) {
		this.said = words;
		state.dataset.state = words === null ? 'well' : 'ill';
		const text = words === null ? t('origin_well') : t('origin_ill', {words});
		if (state.textContent !== text)
			state.textContent = text;
	}

	complain(error) {
		if (!(error instanceof ApiError))
			throw error; // a mistake of ours belongs on the console
		if (error.status === 401) {
			this.askToken(hasToken());
			return;
		}
		if (error.key === 'control_down') {
			this.said = undefined;
			state.dataset.state = 'ill';
			state.textContent = t('control_down');
		}
		this.trouble.replaceChildren(el('p', {}, t(error.key, {status: error.status, words: error.words ?? ''})));
		this.trouble.hidden = false;
	}

	askToken(refused = false) {
		if (!this.gate.hidden && !refused && this.gate.lang === document.documentElement.lang)
			return;
		this.gate.lang = document.documentElement.lang;
		const input = el('input', {type: 'password', autocomplete: 'off', id: 'token', required: true, 'aria-label': t('token')});
		this.gate.replaceChildren(el('h2', {}, t('token_needed')), ...(refused ? [el('p', {class: 'bad', role: 'alert'}, t('token_refused'))] : []),
			el('p', {}, t('token_text')), input, el('button', {class: 'button'}, t('token_use')));
		this.gate.hidden = false;
		this.parts.hidden = true;
		if (refused)
			setToken(null);
		input.focus();
	}

	enter() {
		setToken(this.gate.querySelector('input').value.trim());
		this.gate.hidden = true;
		this.parts.hidden = false;
		this.forget.hidden = false;
		this.start();
	}

	/** The quick look: health, edges. */
	async look() {
		try {
			const [words, list] = await Promise.all([health(), askAll('/api/v1/edges', 'edges')]);
			this.sayHealth(words);
			this.trouble.hidden = true;
			this.edges.show(list);
			this.demand.setEdges(list.edges.map(e => e.name));
			this.tiles.set({edges: () => t('of', {n: number(list.up), of: number(list.total)})});
			return true;
		} catch (error) {
			this.complain(error);
			return false;
		}
	}

	/** What is asked for; costs the origin more, and changes slowly. */
	async count() {
		this.masters.load();
		try {
			const [titles] = await Promise.all([ask('/api/v1/titles?limit=1'), this.demand.load(ask)]);
			const d = this.demand;
			this.tiles.set({titles: () => number(titles.total), viewers: () => number(d.viewers), bytes: () => bytes(d.bytes)});
		} catch (error) {
			this.complain(error);
		}
	}

	hear(e) {
		if (e.event.startsWith('ingest.'))
			this.masters.hear(e);
		if (this.events.add(e))
			announce(this.events.sentence(e));
		if (/^edge\.(up|down|draining|registered|removed)$/.test(e.event))
			this.look(); // at once, not with the next round
	}

	async start() {
		this.stop?.abort();
		this.stop = new AbortController();
		const signal = this.stop.signal;
		if (!await this.look())
			if (!this.gate.hidden)
				return;
		this.count();
		let counted = performance.now();
		const timer = setInterval(() => {
			if (document.hidden || !this.gate.hidden)
				return;
			this.look();
			if (performance.now() - counted > COUNT_MS) {
				counted = performance.now();
				this.count();
			}
		}, LOOK_MS);
		signal.addEventListener('abort', () => clearInterval(timer));
		follow(e => this.hear(e), live => this.events.setLive(live), signal);
	}
}

const status = new Status();
startFrame(() => status.relabel());
status.start();

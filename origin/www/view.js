// SPDX-License-Identifier: GPL-3.0-or-later
//
// One film: picture, controls, statistics, sharing, and what is known of its package.
//
// For tests and for the curious, `window.ribera` is the film that is open: {player: the dash.js player or null,
// film, stats(): the numbers of the overlay}; `data-state` of the <video> is one of loading, ready, playing, paused,
// waiting, ended, error.
import {announce, dress, el} from './dom.js';
import {getTitle} from './api.js';
import {bytes, clock, date, t} from './strings.js';
import {Controls} from './controls.js';
import {Film} from './film.js';
import {filmAddress, listAddress} from './playlist.js';
import {Overlay} from './stats.js';

const AGAIN_S = 10;

class TitleView {
	constructor(root, id, start, queue) {
		this.queue = queue;
		this.id = id;
		this.start = start;
		this.root = root;
		this.abort = new AbortController();
		this.build();
		this.load();
	}

	build() {
		this.video = el('video', {playsInline: true, preload: 'auto', id: 'video'});
		this.captions = el('div', {class: 'captions'});
		this.message = el('div', {class: 'message', role: 'alert', id: 'error', hidden: true});
		this.stage = el('section', {class: 'stage', id: 'stage'}, this.video, this.captions);
		this.film = new Film(this.video, this.captions);
		this.overlay = new Overlay(() => this.film.stats());
		this.controls = new Controls(this.film, this.stage, {statistics: () => this.overlay.toggle(), share: () => this.toggleShare(), next: () => this.next()});
		this.sharing = el('form', {class: 'panel sharing', id: 'sharing', hidden: true, on: {submit: e => { e.preventDefault(); this.copy(); }}});
		this.stage.append(this.overlay.element, this.sharing, this.message);
		this.back = el('a', {class: 'back', href: '#/'});
		this.name = el('h1', {}, this.id);
		this.facts = el('p', {class: 'facts'});
		this.story = el('div', {class: 'story'});
		this.details = el('div');
		this.rest = el('nav', {class: 'queue', id: 'queue', hidden: !this.queue});
		this.root.replaceChildren(this.stage, el('article', {class: 'about'}, this.back, this.name, this.facts, this.story, this.rest, this.details));
		this.film.addEventListener('fail', e => this.onFail(e.detail));
		this.film.addEventListener('state', () => this.onState());
		const signal = this.abort.signal;
		window.addEventListener('online', () => { if (this.waiting) this.again(); }, {signal});
		document.addEventListener('keydown', e => {
			if (e.key === 'Escape' && !this.sharing.hidden) {
				this.toggleShare();
				this.controls.share.focus();
			}
		}, {signal});
		this.relabel();
		const film = this.film;
		window.ribera = {film, get player() { return film.player; }, stats: () => film.stats()};
	}

	async load() {
		try {
			this.title = await getTitle(this.id);
		} catch (error) {
			if (this.closed)
				return;
			if (error.status === 404) {
				this.film.fail({key: 'film_missing', status: 404, again: false});
				return;
			}
			this.title = null; // the list is not needed to play
		}
		if (this.closed)
			return;
		this.relabel();
		if (this.title?.poster)
			this.video.poster = this.title.poster;
		this.film.open(this.title?.manifest ?? `/v/${encodeURIComponent(this.id)}/manifest.mpd`, this.id, this.start);
	}

	seek(seconds) {
		this.controls.seekTo(seconds);
		this.film.play();
	}

	/** The film behind this one in its list; null at the end of it, or without one. */
	next() {
		return this.queue && this.queue.at + 1 < this.queue.of.length ? filmAddress(this.queue, this.queue.at + 1) : null;
	}

	onState() {
		if (this.video.dataset.state === 'ended' && this.next())
			location.hash = this.next();
		if (this.video.dataset.state !== 'error' && !this.message.hidden) {
			this.message.hidden = true;
			this.waiting = false;
			clearInterval(this.countdown);
		}
	}

	onFail({key, status, again}) {
		this.failure = {key, status};
		clearInterval(this.countdown);
		let left = AGAIN_S;
		const text = el('p', {});
		const say = () => { text.textContent = t(this.failure.key, {id: this.id, status, n: left}); };
		say();
		const retry = el('button', {type: 'button', class: 'button', id: 'retry', on: {click: () => this.again()}}, t('retry'));
		this.message.replaceChildren(text, el('p', {}, retry));
		this.message.hidden = false;
		this.waiting = again;
		if (!again)
			return;
		text.setAttribute('aria-live', 'off'); // said once, not every second
		this.countdown = setInterval(() => {
			left--;
			if (left > 0)
				say();
			else
				this.again();
		}, 1000);
	}

	again() {
		clearInterval(this.countdown);
		this.waiting = false;
		this.message.hidden = true;
		announce(t('now_retrying'));
		if (this.film.player) {
			this.film.again();
		} else {
			this.film.setState('loading');
			this.load();
		}
	}

	link() {
		const at = Math.floor(this.video.currentTime);
		const query = this.with_time?.checked && at > 0 ? `?t=${at}` : '';
		return `${location.origin}${location.pathname}#/title/${encodeURIComponent(this.id)}${query}`;
	}

	toggleShare() {
		const show = this.sharing.hidden;
		this.sharing.hidden = !show;
		this.controls.share.setAttribute('aria-expanded', show);
		if (!show)
			return;
		const at = Math.floor(this.video.currentTime);
		this.with_time = el('input', {type: 'checkbox', checked: at > 0, on: {change: () => { this.address.value = this.link(); }}});
		this.address = el('input', {type: 'text', readOnly: true, id: 'address', 'aria-label': t('share_link'), on: {focus: () => this.address.select()}});
		this.sharing.replaceChildren(el('label', {}, this.with_time, el('span', {}, t('share_at', {at: clock(at)}))), this.address,
			el('button', {class: 'button', id: 'copy'}, t('copy')));
		this.address.value = this.link();
		this.address.focus();
	}

	async copy() {
		try {
			await navigator.clipboard.writeText(this.address.value);
			announce(t('copied'));
			this.sharing.querySelector('#copy').textContent = t('copied');
		} catch { // not allowed, or a page without TLS
			this.address.select();
			announce(t('copy_by_hand'));
			this.sharing.querySelector('#copy').textContent = t('copy_by_hand');
		}
	}

	relabel() {
		this.video.setAttribute('aria-label', t('player'));
		this.stage.setAttribute('aria-label', t('player'));
		dress(this.back, 'back', t('back'));
		this.back.append(t('back'));
		this.back.removeAttribute('aria-label');
		this.overlay.relabel();
		this.controls.relabel();
		if (!this.sharing.hidden)
			this.toggleShare();
		if (!this.message.hidden)
			this.onFail({...this.failure, again: this.waiting});
		if (this.queue)
			this.drawQueue();
		if (this.title)
			this.describe();
	}

	drawQueue() {
		const q = this.queue;
		this.rest.setAttribute('aria-label', q.name || t('playlist'));
		this.rest.replaceChildren(el('p', {}, el('a', {href: listAddress(q)}, q.name || t('playlist')), ` · ${t('of', {n: q.at + 1, of: q.of.length})}`),
			el('ol', {}, ...q.of.map((title, i) => el('li', {}, el('a', {href: filmAddress(q, i), 'aria-current': i === q.at ? 'true' : null, data: {title}}, this.names?.get(title) ?? title)))));
		if (!this.names) {
			this.names = new Map();
			this.nameQueue();
		}
	}

	async nameQueue() {
		for (const title of new Set(this.queue.of)) {
			try {
				this.names.set(title, (await getTitle(title)).name);
			} catch { /* its own view says why */ }
			if (this.closed)
				return;
			for (const a of this.rest.querySelectorAll(`a[data-title="${CSS.escape(title)}"]`))
				a.textContent = this.names.get(title) ?? title;
		}
	}

	describe() {
		const x = this.title;
		document.title = `${x.name} – Ribera`;
		this.name.textContent = x.name;
		this.facts.textContent = [x.year, x.duration ? clock(x.duration) : null, bytes(x.bytes), t('published', {date: date(x.published)})].filter(Boolean).join(' · ');
		this.story.replaceChildren(...(x.description ? x.description.split(/\n{2,}/).map(p => el('p', {}, p)) : []),
			...(x.tags?.length ? [el('p', {class: 'tags'}, ...x.tags.map(tag => el('a', {class: 'tag', href: `#/?tag=${encodeURIComponent(tag)}`}, tag)))] : []));
		if (!Array.isArray(x.files) || !x.files.length)
			return;
		const base = x.manifest.replace(/manifest\.mpd$/, `${x.revision}/`); // with its signature, if it has one
		const rows = x.files.map(f => el('tr', {}, el('td', {}, el('a', {href: base + encodeURIComponent(f.name)}, f.name)), el('td', {class: 'n'}, bytes(f.bytes))));
		const report = x.files.some(f => f.name === 'report.html') ? el('p', {}, el('a', {href: `${base}report.html`}, t('report'))) : null;
		const open = this.details.querySelector('details')?.open;
		this.details.replaceChildren(el('details', {open}, el('summary', {}, t('inside')),
			el('p', {class: 'facts'}, `${t('revision')} `, el('code', {}, x.revision)), report,
			el('table', {class: 'files', 'aria-label': t('inside')}, el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, t('file')), el('th', {scope: 'col', class: 'n'}, t('size')))), el('tbody', {}, ...rows))));
	}

	close() {
		this.closed = true;
		this.abort.abort();
		clearInterval(this.countdown);
		this.controls.close();
		this.overlay.close();
		this.film.close();
		if (document.fullscreenElement)
			document.exitFullscreen();
		delete window.ribera;
	}
}

/** Shows a film in `root`, from `start` seconds on (null: from the beginning), as part of `queue` ({name, of, at}) if
 * there is one; {seek, relabel, close}. */
export function showTitle(root, id, start, queue = null) {
	return new TitleView(root, id, start, queue);
}

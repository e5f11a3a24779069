// SPDX-License-Identifier: GPL-3.0-or-later
//
// Masters: sent from here in pieces (tus 1.0) that go on where they stopped, and what became of those that were sent.
import {announce, el} from './dom.js';
import {ApiError} from './api.js';
import {askAll, send} from './control.js';
import {bytes, number, t} from './strings.js';

const PIECE = 8 << 20, TRIES = 8, SHOWN = 8;

const base64 = text => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** One file on its way. */
class Upload {
	constructor(file, on_change, on_end) {
		Object.assign(this, {file, on_change, on_end, sent: 0, stopped: false, problem: null});
		this.run();
	}

	async run() {
		try {
			const made = await send('/api/v1/masters', 'POST', null, {'tus-resumable': '1.0.0', 'upload-length': String(this.file.size),
				'upload-metadata': `filename ${base64(this.file.name)},name ${base64(this.file.name.replace(/\.[^.]*$/, ''))}`});
			this.where = new URL(made.headers.get('location'), location.href).pathname;
			for (let tries = 0; this.sent < this.file.size && !this.stopped;)
				tries = await this.piece() ? 0 : await this.again(tries + 1);
		} catch (error) {
			if (!(error instanceof ApiError))
				throw error;
			this.problem = error;
		}
		this.on_end(this);
	}

	/** True when the origin has taken it. */
	async piece() {
		try {
			const answer = await send(this.where, 'PATCH', this.file.slice(this.sent, this.sent + PIECE),
				{'tus-resumable': '1.0.0', 'upload-offset': String(this.sent), 'content-type': 'application/offset+octet-stream'});
			this.sent = Number(answer.headers.get('upload-offset'));
			this.on_change(this);
			return true;
		} catch (error) {
			if (!(error instanceof ApiError) || (error.status >= 400 && error.status < 500 && error.status !== 409))
				throw error;
			this.problem = error;
			return false;
		}
	}

	/** The line or the origin was away: asks how far it got, and goes on from there. */
	async again(tries) {
		if (tries > TRIES)
			throw this.problem;
		await new Promise(resolve => setTimeout(resolve, Math.min(30000, 500 * 2 ** tries)));
		try {
			const answer = await send(this.where, 'HEAD', null, {'tus-resumable': '1.0.0'});
			this.sent = Number(answer.headers.get('upload-offset'));
			this.problem = null;
			return 0;
		} catch (error) {
			if (!(error instanceof ApiError) || error.status === 404)
				throw error;
			return tries;
		}
	}

	stop() {
		this.stopped = true;
		if (this.where)
			send(this.where, 'DELETE', null, {'tus-resumable': '1.0.0'}).catch(() => {});
	}
}

function bar(share, words) {
	const fill = el('span', {class: 'fill'});
	fill.style.setProperty('--share', `${(100 * share).toFixed(1)}%`);
	return [el('span', {class: 'meter', role: 'progressbar', 'aria-valuenow': Math.round(100 * share), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': words}, fill), el('span', {class: 'words'}, words)];
}

export class Masters {
	constructor() {
		this.masters = [];
		this.progress = new Map(); // id -> what the ingest says
		this.uploads = [];
		this.title = el('h2');
		this.input = el('input', {type: 'file', id: 'master', class: 'sr', multiple: true, accept: 'video/*,.mkv,.mov,.mxf,.ts,.y4m', on: {change: () => { this.take(this.input.files); this.input.value = ''; }}});
		this.choose = el('label', {class: 'quiet choose', htmlFor: 'master'});
		this.list = el('ul', {class: 'masters', id: 'masters'});
		this.none = el('p', {class: 'count'});
		this.element = el('section', {class: 'part', hidden: true, on: {dragover: e => e.preventDefault(), drop: e => { e.preventDefault(); this.take(e.dataTransfer.files); }}},
			el('div', {class: 'line'}, this.title, el('span', {}, this.input, this.choose)), this.none, this.list);
	}

	relabel() {
		this.title.textContent = t('masters');
		this.choose.textContent = t('master_choose');
		this.input.setAttribute('aria-label', t('master_choose'));
		this.none.textContent = t('masters_none');
		this.draw();
	}

	take(files) {
		for (const file of files)
			this.uploads.push(new Upload(file, () => this.draw(), upload => this.end(upload)));
		this.draw();
	}

	end(upload) {
		if (!upload.problem)
			this.uploads = this.uploads.filter(x => x !== upload);
		announce(upload.problem ? t(upload.problem.key, {status: upload.problem.status, words: upload.problem.words ?? ''}) : t('master_sent', {name: upload.file.name}));
		this.load();
	}

	/** Those who may not see masters do without. */
	async load() {
		try {
			this.masters = (await askAll('/api/v1/masters', 'masters')).masters;
			this.element.hidden = false;
			this.draw();
		} catch (error) {
			if (!(error instanceof ApiError))
				throw error;
		}
	}

	hear({event, data}) {
		if (event === 'ingest.progress')
			this.progress.set(data.id, data.detail);
		else if (/^ingest\./.test(event))
			this.load();
		this.draw();
	}

	row(name, ...more) {
		return el('li', {}, el('b', {}, name), el('span', {class: 'what'}, ...more));
	}

	draw() {
		const sending = this.uploads.map(u => {
			const words = u.problem ? t(u.problem.key, {status: u.problem.status, words: u.problem.words ?? ''}) : t('of', {n: bytes(u.sent), of: bytes(u.file.size)});
			const stop = el('button', {type: 'button', class: 'quiet', on: {click: () => { u.stop(); this.uploads = this.uploads.filter(x => x !== u); this.draw(); }}}, t('master_stop'));
			const row = this.row(u.file.name, ...(u.problem ? [el('span', {class: 'bad'}, words)] : bar(u.sent / Math.max(1, u.file.size), words)), stop);
			row.dataset.state = u.problem ? 'failed' : 'sending';
			return row;
		});
		const there = this.masters.slice(-SHOWN).reverse().map(m => {
			const detail = m.state === 'running' ? this.progress.get(m.id) ?? m.detail : m.detail;
			const twin = m.same_as && this.masters.find(x => x.id === m.same_as);
			const row = this.row(m.name ?? m.title ?? m.file, el('span', {class: m.state === 'failed' ? 'bad' : 'state-word'}, t(`master_${m.state}`)), detail ? ` ${detail}` : '',
				m.state === 'done' && m.title ? el('span', {}, ` ${m.title} · ${number(m.bytes / 1e6, 1)} MB`) : '', twin ? el('span', {class: 'what'}, ` · ${t('master_twin', {name: twin.name ?? twin.file})}`) : '');
			row.dataset.state = m.state;
			return row;
		});
		this.none.hidden = sending.length + there.length > 0;
		if (!this.list.contains(document.activeElement)) // a button that has the keyboard keeps it
			this.list.replaceChildren(...sending, ...there);
	}
}

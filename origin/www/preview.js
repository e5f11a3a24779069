// SPDX-License-Identifier: GPL-3.0-or-later
//
// The small picture above the position, under the pointer or where the keyboard scrubs; only a time for films without
// thumbnails.
import {el} from './dom.js';
import {clock} from './strings.js';

const WIDE = 192;

export class Preview {
	/** `seek` is the range input it stands above; `element` belongs beside it. */
	constructor(film, seek) {
		this.film = film;
		this.seek = seek;
		this.sheet = el('div', {class: 'sheet'});
		this.cut = el('div', {class: 'cut', hidden: true}, this.sheet);
		this.at = el('div', {class: 'at'});
		this.element = el('div', {class: 'preview', id: 'preview', hidden: true, 'aria-hidden': 'true'}, this.cut, this.at); // the range input speaks the time
		seek.addEventListener('pointermove', e => { if (e.pointerType !== 'touch') this.show(this.timeAt(e.offsetX)); });
		seek.addEventListener('pointerleave', () => this.hide());
		seek.addEventListener('blur', () => this.hide());
	}

	timeAt(x) {
		const max = Number(this.seek.max);
		return Math.min(max, Math.max(0, max * x / Math.max(1, this.seek.clientWidth)));
	}

	/** Shows the picture of a time above its place; what is asked for last counts. */
	async show(seconds) {
		if (!(Number(this.seek.max) > 0))
			return;
		this.wanted = seconds;
		this.element.hidden = false;
		this.at.textContent = clock(seconds);
		this.place(seconds);
		const found = await this.film.thumbnail(seconds);
		if (this.wanted !== seconds || this.element.hidden)
			return;
		this.cut.hidden = !found;
		this.at.style.position = found ? '' : 'static';
		if (found)
			this.draw(found);
		this.place(seconds);
	}

	draw({url, x, y, width, height}) {
		const scale = WIDE / width;
		Object.assign(this.cut.style, {width: `${WIDE}px`, height: `${Math.round(height * scale)}px`});
		Object.assign(this.sheet.style, {width: `${width}px`, height: `${height}px`, transform: `scale(${scale})`, backgroundImage: `url("${url}")`, backgroundPosition: `-${x}px -${y}px`});
	}

	/** Above the time, within the picture. */
	place(seconds) {
		const share = seconds / Number(this.seek.max), wide = this.element.offsetWidth;
		const left = this.seek.offsetLeft + share * this.seek.clientWidth - wide / 2;
		const most = this.seek.offsetLeft + this.seek.clientWidth - wide;
		this.element.style.left = `${Math.round(Math.min(most, Math.max(this.seek.offsetLeft, left)))}px`;
	}

	hide() {
		this.wanted = null;
		this.element.hidden = true;
	}
}

// SPDX-License-Identifier: GPL-3.0-or-later
//
// The statistics over the picture: numbers as text, and the last minute as a small graph.
import {el, svg} from './dom.js';
import {bitrate, number, t} from './strings.js';

const SECONDS = 60, WIDTH = 240, HEIGHT = 64;

const ROWS = {
	picture: s => s.picture.width ? `${s.picture.width}×${s.picture.height}` : t('unknown'),
	bitrate: s => s.video ? bitrate(s.video.bitrate) : t('unknown'),
	choice: s => s.auto ? t('auto') : t('by_hand'),
	audio: s => s.audio ? bitrate(s.audio.bitrate) : t('unknown'),
	line: s => bitrate(s.throughput ?? 0),
	buffer: s => t('seconds', {n: number(s.buffer, 1)}),
	frames: s => t('of', {n: number(s.dropped), of: number(s.frames)}),
	edge: s => s.edge?.name ?? t('unknown'),
	host: s => s.edge ? new URL(s.edge.url).host : t('unknown'),
	switches: s => `${number(s.switches)} · ${number(s.stalls)} · ${number(s.moves)}`,
};

export class Overlay {
	/** `read` gives the statistics (Film.stats). */
	constructor(read) {
		this.read = read;
		this.samples = [];
		this.cells = {};
		const list = el('dl');
		for (const key of Object.keys(ROWS)) {
			this.cells[key] = {name: el('dt'), value: el('dd', {data: {stat: key}})};
			list.append(this.cells[key].name, this.cells[key].value);
		}
		this.lines = {throughput: svg('polyline', {class: 'line'}), bitrate: svg('polyline', {class: 'rate'}), buffer: svg('polyline', {class: 'buffer'})};
		this.graph = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', preserveAspectRatio: 'none'}, ...Object.values(this.lines));
		this.legend = {line: el('span', {class: 'line'}), rate: el('span', {class: 'rate'}), buffer: el('span', {class: 'buffer'})};
		this.element = el('section', {class: 'stats', id: 'stats', hidden: true}, list, this.graph, el('p', {class: 'legend', 'aria-hidden': 'true'}, ...Object.values(this.legend)));
		this.relabel();
		this.timer = setInterval(() => this.tick(), 1000);
	}

	relabel() {
		for (const [key, cell] of Object.entries(this.cells))
			cell.name.textContent = t('stat_' + key);
		this.legend.line.textContent = t('stat_line');
		this.legend.rate.textContent = t('stat_bitrate');
		this.legend.buffer.textContent = t('stat_buffer');
		this.graph.setAttribute('aria-label', t('stat_graph', {n: SECONDS, unit: 'Mb/s'}));
		this.element.setAttribute('aria-label', t('statistics'));
		this.draw();
	}

	tick() {
		const s = this.read();
		this.samples.push({throughput: s.throughput ?? 0, bitrate: s.video?.bitrate ?? 0, buffer: s.buffer});
		if (this.samples.length > SECONDS)
			this.samples.shift();
		this.draw();
	}

	draw() {
		if (this.element.hidden)
			return;
		const s = this.read();
		for (const [key, f] of Object.entries(ROWS)) {
			const text = f(s);
			if (this.cells[key].value.textContent !== text)
				this.cells[key].value.textContent = text;
		}
		// A line far faster than the film would press the rest flat: it ends at the graph's upper edge.
		const top = 2.5 * Math.max(1e6, ...this.samples.map(x => x.bitrate));
		this.plot('throughput', top);
		this.plot('bitrate', top);
		this.plot('buffer', 40);
	}

	plot(key, top) {
		const step = WIDTH / (SECONDS - 1), left = WIDTH - step * (this.samples.length - 1);
		this.lines[key].setAttribute('points', this.samples.map((x, i) =>
			`${(left + i * step).toFixed(1)},${(HEIGHT - 2 - (HEIGHT - 4) * Math.min(1, x[key] / top)).toFixed(1)}`).join(' '));
	}

	toggle() {
		this.element.hidden = !this.element.hidden;
		this.draw();
		return !this.element.hidden;
	}

	close() {
		clearInterval(this.timer);
	}
}

// SPDX-License-Identifier: GPL-3.0-or-later
//
// What viewers ask for: bytes per hour as a chart, and the titles most asked for.
import {el, svg} from './dom.js';
import {currentLocale, bytes, number, t} from './strings.js';

const HOURS = 48, WIDTH = 960, HEIGHT = 160, TOP = 8, MOST = 10, HOUR_MS = 3600e3;

const hourName = ms => new Date(ms).toLocaleString(currentLocale(), {weekday: 'short', hour: '2-digit', minute: '2-digit'});

/** Sums of a day's files by title, the most bytes first. */
function byTitle(files) {
	const sums = new Map();
	for (const f of files) {
		const s = sums.get(f.title) ?? {title: f.title, bytes: 0, requests: 0};
		s.bytes += f.bytes;
		s.requests += f.requests;
		sums.set(f.title, s);
	}
	return [...sums.values()].sort((a, b) => b.bytes - a.bytes).slice(0, MOST);
}

export class Demand {
	/** `again()` is called when another edge is chosen. */
	constructor(again) {
		this.hours = [];
		this.titles = [];
		this.viewers = this.bytes = 0;
		this.names = [];
		this.title = el('h2');
		this.choice = el('select', {id: 'demand-edge', on: {change: again}});
		this.none = el('p', {class: 'count', id: 'demand-none'});
		this.chart = el('figure', {class: 'chart'});
		this.popular = el('div');
		this.element = el('section', {class: 'part'}, el('div', {class: 'line'}, this.title, this.choice), this.none, this.chart, this.popular);
	}

	relabel() {
		this.title.textContent = t('demand');
		this.choice.setAttribute('aria-label', t('demand_at'));
		this.drawChoice();
		this.draw();
	}

	setEdges(names) {
		if (names.join() === this.names.join())
			return;
		this.names = names;
		this.drawChoice();
	}

	drawChoice() {
		const chosen = this.choice.value;
		this.choice.replaceChildren(el('option', {value: ''}, t('demand_all')), ...this.names.map(n => el('option', {value: n}, n)));
		this.choice.value = this.names.includes(chosen) ? chosen : '';
		this.choice.hidden = this.names.length < 2;
	}

	async load(ask) {
		const edge = this.choice.value ? `&edge=${encodeURIComponent(this.choice.value)}` : '';
		const [hours, files] = await Promise.all([ask(`/api/v1/demand?by=hour&hours=${HOURS}${edge}`), ask(`/api/v1/demand?by=file&hours=24${edge}`)]);
		const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
		const there = new Map(hours.hours.map(h => [Date.parse(h.hour), h]));
		this.hours = Array.from({length: HOURS}, (_, i) => {
			const at = now - (HOURS - 1 - i) * HOUR_MS;
			return {at, bytes: 0, sessions: 0, ...there.get(at)};
		});
		this.viewers = this.hours[HOURS - 1].sessions;
		this.bytes = this.hours.slice(-24).reduce((sum, h) => sum + h.bytes, 0);
		this.titles = byTitle(files.files);
		this.draw();
	}

	draw() {
		const most = Math.max(0, ...this.hours.map(h => h.bytes));
		this.none.textContent = t('demand_none', {n: HOURS});
		this.none.hidden = !this.hours.length || most > 0;
		this.chart.hidden = most === 0;
		if (most > 0)
			this.drawChart(most);
		this.drawPopular();
	}

	drawChart(most) {
		const step = WIDTH / HOURS, tall = b => (HEIGHT - TOP) * b / most;
		const bars = this.hours.map((h, i) => svg('rect', {class: 'hour', x: (i * step + 1).toFixed(1), y: (HEIGHT - tall(h.bytes)).toFixed(1), width: (step - 2).toFixed(1), height: tall(h.bytes).toFixed(1), rx: 2},
			svg('title', {}, t('demand_of', {at: hourName(h.at), bytes: bytes(h.bytes), sessions: number(h.sessions)}))));
		const picture = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': t('demand_hours', {n: HOURS})}, ...bars);
		const marks = [0, HOURS / 2, HOURS - 1].map(i => el('span', {}, hourName(this.hours[i].at)));
		this.chart.replaceChildren(el('figcaption', {}, t('demand_hours', {n: HOURS}), el('span', {class: 'most'}, bytes(most))), picture, el('div', {class: 'marks', 'aria-hidden': 'true'}, ...marks));
	}

	drawPopular() {
		this.popular.hidden = !this.titles.length;
		const most = this.titles[0]?.bytes || 1;
		this.popular.replaceChildren(el('table', {class: 'grid', id: 'popular'}, el('caption', {}, t('popular')),
			el('thead', {}, el('tr', {}, ...['title', 'bytes', 'requests'].map(c => el('th', {scope: 'col', data: {col: c}}, t(`col_${c}`))))),
			el('tbody', {}, ...this.titles.map(x => {
				const fill = el('span', {class: 'fill'});
				fill.style.setProperty('--share', `${(100 * x.bytes / most).toFixed(1)}%`);
				return el('tr', {}, el('th', {scope: 'row'}, x.title), el('td', {data: {col: 'bytes'}}, el('span', {class: 'meter', 'aria-hidden': 'true'}, fill), el('span', {class: 'words'}, bytes(x.bytes))),
					el('td', {data: {col: 'requests'}}, number(x.requests)));
			}))));
	}
}

// SPDX-License-Identifier: GPL-3.0-or-later
//
// What happens, as it happens; the newest on top.
import {el} from './dom.js';
import {currentLocale, hasText, t} from './strings.js';

const KEPT = 100;

const SILENT = new Set(['hello', 'reset', 'fill.progress', 'ingest.progress', 'upload.progress', 'message']);

/** Key and values of the sentence for an event. */
function phrase(event, data) {
	const key = `event_${event.replaceAll('.', '_')}`;
	if (event === 'edge.draining' && data.draining === false)
		return ['event_edge_undrained', data];
	if (event === 'state.changed')
		return [data.ok ? 'event_state_well' : 'event_state_ill', data];
	if (event === 'edge.holds') {
		const more = data.added?.length ?? 0, less = data.removed?.length ?? 0;
		return more >= less ? [key, {...data, n: more}] : ['event_edge_holds_less', {...data, n: less}];
	}
	return [key, {...data, name: data.name ?? data.title ?? data.file ?? data.id}];
}

export class Events {
	constructor() {
		this.events = [];
		this.live = false;
		this.title = el('h2');
		this.state = el('span', {class: 'live', id: 'events-state'});
		this.none = el('p', {class: 'count'});
		this.list = el('ol', {class: 'events', id: 'events'});
		this.element = el('section', {class: 'part'}, el('div', {class: 'line'}, this.title, this.state), this.none, this.list);
	}

	relabel() {
		this.title.textContent = t('events');
		this.none.textContent = t('events_none');
		this.setLive(this.live);
	}

	setLive(live) {
		this.live = live;
		this.state.dataset.live = live;
		this.state.textContent = t(live ? 'events_live' : 'events_away');
	}

	/** What happened, in words; a kind without words of its own is told by its fields. */
	sentence({event, data}) {
		const [key, values] = phrase(event, data ?? {});
		if (hasText(key))
			return t(key, values);
		const about = Object.entries(values).filter(([k, v]) => k !== 'time' && k !== 'type' && v !== null && typeof v !== 'object').map(([k, v]) => `${k} ${v}`).join(' · ');
		return about ? `${event}: ${about}` : event;
	}

	/** Progress is seen in the table of edges; what is the line's own is not news. */
	add(e) {
		if (SILENT.has(e.event))
			return false;
		const time = new Date(Date.parse(e.data?.time) || Date.now());
		this.none.hidden = true;
		this.list.prepend(el('li', {data: {event: e.event}}, el('time', {dateTime: time.toISOString()}, time.toLocaleTimeString(currentLocale())), el('span', {}, this.sentence(e))));
		while (this.list.children.length > KEPT)
			this.list.lastChild.remove();
		return true;
	}
}

// SPDX-License-Identifier: GPL-3.0-or-later
//
// What happens, as it happens; the newest on top.
import {el} from './dom.js';
import {currentLanguage, t} from './strings.js';

const KEPT = 100;

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

	/** "edge.up: edge-a": the event's name and what it is about. */
	sentence({event, data}) {
		const about = data && typeof data === 'object' ? Object.entries(data).filter(([k, v]) => k !== 'time' && k !== 'id' && v !== null && typeof v !== 'object').map(([k, v]) => `${k} ${v}`).join(' · ') : '';
		return about ? `${event}: ${about}` : event;
	}

	add(e) {
		const time = new Date(Date.parse(e.data?.time) || Date.now());
		this.none.hidden = true;
		this.list.prepend(el('li', {data: {event: e.event}}, el('time', {dateTime: time.toISOString()}, time.toLocaleTimeString(currentLanguage())), el('span', {}, this.sentence(e))));
		while (this.list.children.length > KEPT)
			this.list.lastChild.remove();
	}
}

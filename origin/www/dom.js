// SPDX-License-Identifier: GPL-3.0-or-later
//
// The few helpers every part of the page builds its elements with.  Text only ever becomes text nodes, so
// nothing that comes from a server can become markup.

/**
 * A new element.  In `props`: `class`, `on` ({event: function}), `data` ({key: value}), properties of the element
 * that exist as such (`value`, `checked`, `hidden`), and attributes for everything else; null and false leave it out.
 */
export function el(name, props = {}, ...children) {
	const e = document.createElement(name);
	for (const [key, value] of Object.entries(props)) {
		if (value === null || value === undefined || value === false)
			continue;
		if (key === 'class')
			e.className = value;
		else if (key === 'on')
			for (const [event, f] of Object.entries(value))
				e.addEventListener(event, f);
		else if (key === 'data')
			Object.assign(e.dataset, value);
		else if (key in e && !key.includes('-') && key !== 'list' && key !== 'form')
			e[key] = value;
		else
			e.setAttribute(key, value === true ? '' : value);
	}
	e.append(...children.filter(c => c !== null && c !== undefined));
	return e;
}

const SVG = 'http://www.w3.org/2000/svg';

/** A new SVG element with attributes. */
export function svg(name, attributes = {}, ...children) {
	const e = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes))
		e.setAttribute(key, value);
	e.append(...children);
	return e;
}

const ICONS = {
	play: 'M8 5v14l11-7z',
	pause: 'M7 5h4v14H7zM13 5h4v14h-4z',
	replay: 'M12 5V1L7 6l5 5V7a6 6 0 1 1-6 6H4a8 8 0 1 0 8-8z',
	sound: 'M4 9v6h4l5 5V4L8 9zM15.5 8.2v7.6a4.2 4.2 0 0 0 0-7.6zM15.5 4v2.1a6.2 6.2 0 0 1 0 11.8V20a8.2 8.2 0 0 0 0-16z',
	muted: 'M4 9v6h4l5 5V4L8 9zM21.5 9.4 20.1 8l-2.3 2.3L15.5 8l-1.4 1.4 2.3 2.3-2.3 2.3 1.4 1.4 2.3-2.3 2.3 2.3 1.4-1.4-2.3-2.3z',
	settings: 'M3 6h10v2H3zM17 6h4v2h-4zM13 4h2v6h-2zM3 16h4v2H3zM11 16h10v2H11zM7 14h2v6H7zM3 11h18v2H3z',
	stats: 'M4 20V11h3v9zM10.500 20V4h3v16zM17 20v-6h3v6z',
	share: 'M18 16a3 3 0 0 0-2 .8l-7.100-4.100a3 3 0 0 0 0-1.400L16 7.200A3 3 0 1 0 15 5c0 .2 0 .5.1.7L8 9.800a3 3 0 1 0 0 4.400l7.100 4.200A2.900 2.900 0 1 0 18 16z',
	full: 'M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z',
	unfull: 'M8 4h2v6H4V8h4zM14 4h2v4h4v2h-6zM4 14h6v6H8v-4H4zM14 14h6v2h-4v4h-2z',
	keys: 'M4 6h16a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2zM5 8v2h2V8zM9 8v2h2V8zM13 8v2h2V8zM17 8v2h2V8zM5 11.500v2h2v-2zM9 11.500v2h2v-2zM13 11.500v2h2v-2zM17 11.500v2h2v-2zM8 15v1.500h8V15z',
	back: 'M20 11H7.800l5.600-5.600L12 4l-8 8 8 8 1.400-1.400L7.800 13H20z',
	sun: 'M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11 1h2v3.500h-2zM11 19.500h2V23h-2zM1 11h3.500v2H1zM19.500 11H23v2h-3.500zM3.500 4.900l1.400-1.400 2.500 2.500L6 7.400zM16.600 18l1.400-1.400 2.500 2.500-1.400 1.400zM18 7.400 16.600 6l2.500-2.500 1.400 1.400zM7.400 18l-2.500 2.500-1.400-1.400L6 16.600z',
	moon: 'M12.300 3a7 7 0 0 0 8.500 9.800A9 9 0 1 1 12.300 3z',
	more: 'M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z',
	less: 'M6.400 5 12 10.600 17.600 5 19 6.400 13.400 12 19 17.600 17.600 19 12 13.400 6.400 19 5 17.600 10.600 12 5 6.400z',
	done: 'M9.500 16.200 5.300 12l-1.400 1.400 5.600 5.600 11-11-1.400-1.400z',
	up: 'M12 7l7 7-1.400 1.400L12 9.800l-5.600 5.600L5 14z',
	down: 'M12 17l-7-7 1.400-1.400 5.600 5.600 5.600-5.600L19 10z',
	next: 'M6 5v14l9-7zM16 5h3v14h-3z',
	list: 'M3 6h12v2H3zM3 11h12v2H3zM3 16h8v2H3zM17 12v8l5-4z',
	auto: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zM12 4v16a8 8 0 0 1 0-16z',
};

/** One of the icons above, invisible to screen readers: its button carries the label. */
export function icon(name) {
	const path = svg('path', {d: ICONS[name], 'fill-rule': 'evenodd'});
	return svg('svg', {viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true', focusable: 'false'}, path);
}

/** Replaces the icon of a button and its label (which is its tooltip as well). */
export function dress(button, name, label) {
	button.replaceChildren(icon(name));
	button.setAttribute('aria-label', label);
	button.title = label;
}

/** Says it to screen readers, once. */
export function announce(text) {
	const news = document.getElementById('news');
	if (news.textContent === text)
		news.textContent = '';
	news.textContent = text;
}

/** localStorage where it is allowed, nothing where it is not (private windows, blocked storage). */
export const memory = {
	get(key) {
		try { return localStorage.getItem('ribera.' + key); } catch { return null; }
	},
	set(key, value) {
		try { localStorage.setItem('ribera.' + key, value); } catch { /* lasts for this page only */ }
	},
};

// SPDX-License-Identifier: GPL-3.0-or-later
//
// The page's frame: which view the address asks for, language, colours, search box.
//
//   #/                     the wall          #/?q=TEXT          the wall, searched
//   #/title/TITLE          one film          #/title/TITLE?t=73   from a time on, in seconds
import {startFrame} from './frame.js';
import {t} from './strings.js';
import {showWall} from './wall.js';
import {showTitle} from './view.js';

const main = document.getElementById('main');
const search = document.getElementById('search');
let view = null, shown = null;

/** {title, t, q} of the address */
function route() {
	const [path, query = ''] = location.hash.replace(/^#/, '').split('?');
	const values = new URLSearchParams(query);
	const match = /^\/title\/([^/]+)$/.exec(path);
	let title = null;
	try {
		title = match && decodeURIComponent(match[1]);
	} catch { /* a broken escape is no title */ }
	const at = Number.parseFloat(values.get('t'));
	return {title, t: Number.isFinite(at) && at > 0 ? at : null, q: values.get('q') ?? ''};
}

function show() {
	const r = route();
	const wanted = r.title === null ? 'wall' : `title ${r.title}`;
	if (wanted === 'wall' && search.value !== r.q)
		search.value = r.q;
	if (view && shown === wanted) {
		if (r.title === null)
			view.search(r.q);
		else if (r.t !== null)
			view.seek(r.t);
		return;
	}
	view?.close();
	const first = shown === null;
	shown = wanted;
	document.title = 'Ribera';
	document.body.dataset.view = r.title === null ? 'wall' : 'title';
	window.scrollTo(0, 0);
	view = r.title === null ? showWall(main, r.q) : showTitle(main, r.title, r.t);
	if (!first && document.activeElement !== search) // whoever types goes on typing
		main.focus({preventScroll: true});
}

function labelSearch() {
	search.placeholder = t('search');
	search.setAttribute('aria-label', t('search'));
}

search.addEventListener('input', () => {
	const hash = search.value ? `#/?q=${encodeURIComponent(search.value)}` : '#/';
	if (shown === 'wall') {
		history.replaceState(null, '', hash);
		view.search(search.value);
	} else {
		location.hash = hash;
	}
});
search.addEventListener('keydown', event => {
	if (event.key === 'Enter')
		document.querySelector('#wall li:not([hidden]) a')?.focus();
});

document.addEventListener('keydown', event => {
	if (event.key === '/' && !event.ctrlKey && !event.metaKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName)) {
		event.preventDefault();
		search.focus();
	}
});
startFrame(() => {
	labelSearch();
	if (view?.relabel) {
		view.relabel(); // a film goes on playing
	} else {
		shown = null;
		show();
	}
});
labelSearch();
window.addEventListener('hashchange', show);
show();

// SPDX-License-Identifier: GPL-3.0-or-later
//
// The page's frame: which view the address asks for, language, colours, search box.
//
//   #/                     the wall          #/?q=TEXT          the wall, searched
//   #/title/TITLE          one film          #/title/TITLE?t=73   from a time on, in seconds
import {dress, memory} from './dom.js';
import {currentLanguage, setLanguage, t} from './strings.js';
import {showWall} from './wall.js';
import {showTitle} from './view.js';

const main = document.getElementById('main');
const search = document.getElementById('search');
const themeButton = document.getElementById('theme');
const languageButton = document.getElementById('language');
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

function dressFrame() {
	document.documentElement.lang = currentLanguage();
	const theme = document.documentElement.dataset.theme;
	dress(themeButton, {auto: 'auto', light: 'sun', dark: 'moon'}[theme], t('theme_' + theme));
	languageButton.textContent = currentLanguage() === 'en' ? 'ES' : 'EN';
	languageButton.title = t('to_language');
	languageButton.setAttribute('aria-label', t('to_language'));
	languageButton.lang = currentLanguage() === 'en' ? 'es' : 'en';
	search.placeholder = t('search');
	search.setAttribute('aria-label', t('search'));
	document.getElementById('skip').textContent = t('skip');
}

function setTheme(theme) {
	document.documentElement.dataset.theme = theme;
	memory.set('theme', theme);
	dressFrame();
}

themeButton.addEventListener('click', () => {
	const order = ['auto', 'light', 'dark'];
	setTheme(order[(order.indexOf(document.documentElement.dataset.theme) + 1) % 3]);
});

languageButton.addEventListener('click', () => {
	setLanguage(currentLanguage() === 'en' ? 'es' : 'en');
	dressFrame();
	if (view?.relabel) {
		view.relabel(); // a film goes on playing
	} else {
		shown = null;
		show();
	}
});

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
document.getElementById('skip').addEventListener('click', event => {
	event.preventDefault(); // the address belongs to the router
	main.focus();
});

const remembered = memory.get('theme');
document.documentElement.dataset.theme = ['light', 'dark'].includes(remembered) ? remembered : 'auto';
dressFrame();
window.addEventListener('hashchange', show);
show();

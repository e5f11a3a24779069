// SPDX-License-Identifier: GPL-3.0-or-later
//
// The page's frame: which view the address asks for, language, colours, search box.
//
//   #/                     the wall          #/?q=TEXT          the wall, searched   #/?tag=TAG
//   #/title/TITLE          one film          #/title/TITLE?t=73   from a time on, in seconds
//   #/list                 the list that is made here             #/list?name=NAME&of=TITLE,TITLE   one that was sent
//   #/title/TITLE?list=TITLE,TITLE&at=0       a film as part of a list
import {dress, el} from './dom.js';
import {startFrame} from './frame.js';
import {t} from './strings.js';
import {filmAddress, listAddress, listOf, mine} from './playlist.js';
import {showList} from './lists.js';
import {showTitle} from './view.js';
import {showWall} from './wall.js';

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
	const list = listOf(values), place = Number(values.get('at'));
	return {title, t: Number.isFinite(at) && at > 0 ? at : null, q: values.get('q') ?? '', tag: values.get('tag'), is_list: path === '/list', list,
		queue: title !== null && list?.of[place] === title ? {...list, at: place} : null};
}

/** Which view an address wants; the same text, the same view. */
function viewOf(r) {
	if (r.is_list)
		return `list ${r.list ? listAddress(r.list) : ''}`;
	return r.title === null ? 'wall' : `title ${r.title} ${r.queue ? filmAddress(r.queue, r.queue.at) : ''}`;
}

function open(r) {
	if (r.is_list)
		return showList(main, r.list);
	return r.title === null ? showWall(main, {q: r.q, tag: r.tag}) : showTitle(main, r.title, r.t, r.queue);
}

function show() {
	const r = route();
	const wanted = viewOf(r);
	if (wanted === 'wall' && search.value !== r.q)
		search.value = r.q;
	if (view && shown === wanted) {
		if (wanted === 'wall')
			view.search({q: r.q, tag: r.tag});
		else if (r.t !== null)
			view.seek(r.t);
		return;
	}
	view?.close();
	const first = shown === null;
	shown = wanted;
	document.title = 'Ribera';
	document.body.dataset.view = wanted.split(' ')[0];
	window.scrollTo(0, 0);
	view = open(r);
	if (!first && document.activeElement !== search) // whoever types goes on typing
		main.focus({preventScroll: true});
}

/** The way to the list that is made here, where there is one. */
function drawListLink() {
	const link = document.getElementById('mine');
	dress(link, 'list', t('list_mine', {n: mine.of.length}));
	link.append(el('span', {'aria-hidden': 'true'}, String(mine.of.length)));
	link.hidden = !mine.of.length;
}

function labelSearch() {
	drawListLink();
	search.placeholder = t('search');
	search.setAttribute('aria-label', t('search'));
}

search.addEventListener('input', () => {
	const hash = search.value ? `#/?q=${encodeURIComponent(search.value)}` : '#/';
	if (shown === 'wall') {
		history.replaceState(null, '', hash);
		view.search({q: search.value, tag: null});
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
mine.addEventListener('change', drawListLink);
window.addEventListener('hashchange', show);
show();

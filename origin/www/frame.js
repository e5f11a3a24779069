// SPDX-License-Identifier: GPL-3.0-or-later
//
// What both pages have in their upper bar: language and colours, remembered.
import {dress, memory} from './dom.js';
import {currentLanguage, setLanguage, t} from './strings.js';

const themeButton = document.getElementById('theme');
const languageButton = document.getElementById('language');

/** Writes language, colours and their buttons into the page. */
export function dressFrame() {
	document.documentElement.lang = currentLanguage();
	const theme = document.documentElement.dataset.theme;
	dress(themeButton, {auto: 'auto', light: 'sun', dark: 'moon'}[theme], t('theme_' + theme));
	languageButton.textContent = currentLanguage() === 'en' ? 'ES' : 'EN';
	languageButton.title = t('to_language');
	languageButton.setAttribute('aria-label', t('to_language'));
	languageButton.lang = currentLanguage() === 'en' ? 'es' : 'en';
	document.getElementById('skip').textContent = t('skip');
}

function setTheme(theme) {
	document.documentElement.dataset.theme = theme;
	memory.set('theme', theme);
	dressFrame();
}

/** Makes the buttons work; `on_language` is called after another language was chosen. */
export function startFrame(on_language) {
	const remembered = memory.get('theme');
	document.documentElement.dataset.theme = ['light', 'dark'].includes(remembered) ? remembered : 'auto';
	themeButton.addEventListener('click', () => {
		const order = ['auto', 'light', 'dark'];
		setTheme(order[(order.indexOf(document.documentElement.dataset.theme) + 1) % 3]);
	});
	languageButton.addEventListener('click', () => {
		setLanguage(currentLanguage() === 'en' ? 'es' : 'en');
		dressFrame();
		on_language();
	});
	document.getElementById('skip').addEventListener('click', event => {
		event.preventDefault(); // the address belongs to the router
		document.getElementById('main').focus();
	});
	dressFrame();
}

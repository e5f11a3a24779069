// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a page says to those who do not see it, and whether those who see little can read it: the accessibility tree as
// Chromium makes it, headings, ids, contrast of every text (WCAG 2.2: 1.4.3, 1.3.1, 4.1.2, 2.5.8).
const WANT_NAME = new Set(['button', 'link', 'textbox', 'searchbox', 'slider', 'checkbox', 'radio', 'switch', 'combobox', 'listbox', 'menuitem',
	'image', 'table', 'dialog', 'alertdialog', 'progressbar', 'radiogroup', 'spinbutton', 'tab', 'Video', 'DisclosureTriangle']);

async function nameless(page) {
	const session = await page.context().newCDPSession(page);
	const {nodes} = await session.send('Accessibility.getFullAXTree');
	await session.detach();
	return nodes.filter(n => !n.ignored && WANT_NAME.has(n.role?.value) && !n.name?.value?.trim())
		.map(n => `${n.role.value} without a name`);
}

/** Everything that is wrong, in words. */
export async function audit(page) {
	const seen = await page.evaluate(() => {
		const wrong = [], visible = e => e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) && e.getClientRects().length > 0;
		const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
		for (const id of new Set(ids.filter((x, i) => ids.indexOf(x) !== i)))
			wrong.push(`two elements have the id ${id}`);
		let last = 0;
		for (const h of [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].filter(visible)) {
			const level = Number(h.tagName[1]);
			if (level > last + 1)
				wrong.push(`after a heading of level ${last} comes ${h.outerHTML.slice(0, 80)}`);
			last = level;
		}
		if ([...document.querySelectorAll('h1')].filter(visible).length > 1)
			wrong.push('more than one heading of level 1');
		if (document.querySelectorAll('main').length !== 1 || !document.documentElement.lang || !document.title)
			wrong.push('no main, language or title');
		const rgba = text => { // "rgb(1, 2, 3)", and "color(srgb 0.1 0.2 0.3 / 0.9)" of what is mixed
			const v = (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number), of = text.startsWith('color') ? 255 : 1;
			return [v[0] * of, v[1] * of, v[2] * of, v[3] ?? 1];
		};
		const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
		const light = c => c.slice(0, 3).map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4).reduce((s, x, i) => s + x * [0.2126, 0.7152, 0.0722][i], 0);
		const ground = e => {
			const layers = [];
			for (let p = e; p; p = p.parentElement) {
				const style = getComputedStyle(p);
				if (style.backgroundImage !== 'none' || p.tagName === 'VIDEO')
					return null; // over a picture: not to be told from here
				layers.push(rgba(style.backgroundColor));
				if (layers.at(-1)[3] === 1)
					break;
			}
			return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
		};
		const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), told = new Set();
		for (let n = walk.nextNode(); n; n = walk.nextNode()) {
			const e = n.parentElement;
			if (!n.data.trim() || !visible(e) || e.closest('[disabled], [aria-disabled=true], svg, script, style, noscript'))
				continue;
			const box = document.createRange();
			box.selectNodeContents(n);
			const size = box.getBoundingClientRect();
			if (size.width < 2 || size.height < 2)
				continue; // for screen readers alone
			const style = getComputedStyle(e), below = ground(e);
			if (!below)
				continue;
			const ink = over(rgba(style.color), below), [a, b] = [light(ink), light(below)];
			const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), px = parseFloat(style.fontSize);
			const least = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
			const key = `${e.tagName.toLowerCase()}.${e.className}#${e.id} ${style.color} on ${below.slice(0, 3).map(Math.round)}: ${ratio.toFixed(2)}`;
			if (ratio < least && !told.has(key)) {
				told.add(key);
				wrong.push(`weak text: ${key}, "${n.data.trim().slice(0, 30)}"`);
			}
		}
		for (const e of document.querySelectorAll('button, a[href], input, select, summary')) {
			const box = e.getBoundingClientRect();
			if (visible(e) && box.width > 2 && (box.width < 24 || box.height < 24) && getComputedStyle(e).display !== 'inline' && !e.closest('p, label, td') && !e.labels?.length)
				wrong.push(`small target ${Math.round(box.width)}x${Math.round(box.height)}: ${e.outerHTML.slice(0, 90)}`);
		}
		return wrong;
	});
	return [...await nameless(page), ...seen];
}

// SPDX-License-Identifier: GPL-3.0-or-later
//
// The operators' page: token, edges as they come and go, drain, demand, trouble in words.
import fs from 'node:fs';
import path from 'node:path';
import {audit} from '../lib/audit.mjs';
import {BUILD, check, checkClean, equal, openPage, run, startBrowser, startSystem, test, until} from '../lib/browser.mjs';

let system, browser;
async function status(context = null, token = null) {
	system ??= await startSystem('full');
	browser ??= await startBrowser();
	const page = await openPage(context ?? browser, system.control + '/status');
	if (token !== null) {
		await page.fill('#token', token);
		await page.keyboard.press('Enter');
	}
	return page;
}
const states = page => page.$$eval('#edges tbody tr', rows => rows.map(r => `${r.dataset.edge} ${r.dataset.state}`));
/** A request without a token, or with a wrong one, is a complaint that belongs here. */
const allowed = complaint => /401/.test(complaint);
const ours = () => ({...system, url: system.control});

test('asks for a token, says when it is wrong, and keeps a good one for the tab only', async () => {
	const page = await status();
	await page.waitForSelector('#gate:not([hidden])');
	check(!await page.isVisible('#edges'), 'the edges are shown without a token');
	equal(await audit(page), [], 'the question for a token, for who hears it or sees little');
	check(!/null|undefined|NaN/.test(await page.textContent('main')), 'words of a machine');
	await page.fill('#token', 'not this one');
	await page.keyboard.press('Enter');
	await page.waitForSelector('#gate .bad');
	await page.fill('#token', system.token);
	await page.keyboard.press('Enter');
	await page.waitForSelector('#edges tbody tr');
	await page.reload();
	await page.waitForSelector('#edges tbody tr');
	equal(await page.evaluate(() => Object.values(localStorage).join()).then(x => x.includes(system.token)), false, 'the token in localStorage');
	await page.click('#forget');
	await page.waitForSelector('#gate:not([hidden])');
	checkClean(page, ours(), allowed);
	await page.close();
});

test('shows every edge with its state, disk, load and titles', async () => {
	const page = await status(null, system.token);
	await until(async () => (await states(page)).join() === 'edge-a up,edge-b up', 10, 'both edges');
	equal(await page.textContent('[data-tile=edges] b'), '2 of 2', 'edges up');
	await until(async () => await page.locator('[data-tile=titles] b').count() && await page.textContent('[data-tile=titles] b') === '3', 10, 'titles');
	equal(await page.textContent('tr[data-edge=edge-a] [data-col=held]'), '3', 'titles held');
	check(/ of /.test(await page.textContent('tr[data-edge=edge-a] [data-col=disk]')), 'the disk is not told');
	equal(await page.textContent('#state'), 'The origin is well', 'state');
	const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, a, select')].filter(e => e.offsetParent &&
		!(e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML));
	equal(nameless, [], 'controls without a name');
	equal(await audit(page), [], 'for who hears the page or sees little');
	if (process.env.RIBERA_PICTURES)
		await page.screenshot({path: `${process.env.RIBERA_PICTURES}/status.png`, fullPage: true});
	checkClean(page, ours(), allowed);
	await page.close();
});

test('drains an edge by keyboard, and lets it take viewers again', async () => {
	const page = await status(null, system.token);
	await page.waitForSelector('tr[data-edge=edge-b] button');
	await page.focus('tr[data-edge=edge-b] button');
	await page.keyboard.press('Enter');
	await until(async () => (await states(page)).includes('edge-b draining'), 10, 'draining');
	equal((await states(page))[0], 'edge-b draining', 'the first row');
	await page.click('tr[data-edge=edge-b] button');
	await until(async () => (await states(page)).includes('edge-b up'), 10, 'up again');
	checkClean(page, ours(), allowed);
	await page.close();
});

test('shows what is asked for, by hour and by title', async () => {
	const film = await fetch(`${system.edges['edge-a']}/v/film/manifest.mpd`).then(r => r.text());
	const file = /<BaseURL>([^<]*video[^<]*\.mp4)<\/BaseURL>/.exec(film)[1];
	const list = await fetch(`${system.url}/api/v1/titles/film`).then(r => r.json());
	await fetch(`${system.edges['edge-a']}/v/film/${list.revision}/${file}`).then(r => r.arrayBuffer());
	await until(async () => {
		const answer = await fetch(`${system.control}/api/v1/demand?by=file`, {headers: {authorization: `Bearer ${system.token}`}}).then(r => r.json());
		return answer.files.length > 0;
	}, 60, 'demand at the origin');
	const page = await status(null, system.token);
	await page.waitForSelector('.chart svg');
	equal(await page.locator('.chart rect.hour').count(), 48, 'hours');
	equal(await page.textContent('#popular tbody tr:first-child th'), 'film', 'most asked for');
	await page.selectOption('#demand-edge', 'edge-b');
	await page.waitForSelector('#demand-none:not([hidden])');
	checkClean(page, ours(), allowed);
	await page.close();
});

test('an edge that dies is down at the top of the list, and comes back', async () => {
	const page = await status(null, system.token);
	await page.waitForSelector('tr[data-edge=edge-b]');
	await system.tell('kill edge-b');
	await until(async () => (await states(page))[0] === 'edge-b down', 60, 'down');
	equal(await page.textContent('[data-tile=edges] b'), '1 of 2', 'edges up');
	await page.waitForSelector('#events li[data-event="edge.down"]');
	check((await page.textContent('#events li[data-event="edge.down"]')).endsWith('edge-b is down'), 'the event has no words');
	equal(await page.textContent('#events-state'), 'live', 'events');
	await system.tell('start edge-b');
	await until(async () => (await states(page)).includes('edge-b up'), 60, 'up again');
	await page.waitForSelector('#events li[data-event="edge.up"]');
	await page.close();
});

test('says that the origin is away, and goes on when it is back', async () => {
	const page = await status(null, system.token);
	await page.waitForSelector('#edges tbody tr');
	await system.tell('kill origin');
	await page.waitForSelector('#trouble:not([hidden])');
	equal(await page.textContent('#state'), 'The origin doesn’t answer.', 'state');
	await system.tell('start origin');
	await until(async () => await page.textContent('#state') === 'The origin is well', 30, 'well again');
	check(!await page.isVisible('#trouble'), 'the trouble stays');
	await until(async () => await page.textContent('#events-state') === 'live', 30, 'events again');
	await page.close();
});

test('a file sent from the page becomes a film', async () => {
	const page = await status(null, system.token);
	await page.waitForSelector('#masters', {state: 'attached'});
	await page.waitForSelector('.choose');
	const master = path.join(BUILD, 't/cache', fs.readdirSync(path.join(BUILD, 't/cache')).find(f => /^film-640x360-25-8.*mp4$/.test(f)));
	await page.setInputFiles('#master', {name: 'My <i>film</i>.mp4', mimeType: 'video/mp4', buffer: fs.readFileSync(master)});
	await page.waitForSelector('#masters li[data-state=done]', {timeout: 180000});
	check((await page.textContent('#masters li[data-state=done] b')).includes('My <i>film</i>'), 'the name');
	await until(async () => (await fetch(`${system.url}/api/v1/titles`).then(r => r.json())).total === 4, 30, 'the film in the list');
	if (process.env.RIBERA_PICTURES)
		await page.screenshot({path: `${process.env.RIBERA_PICTURES}/masters.png`, fullPage: true});
	await page.setInputFiles('#master', {name: 'no film.mp4', mimeType: 'video/mp4', buffer: Buffer.from('this is no film')});
	await page.waitForSelector('#masters li[data-state=failed]', {timeout: 60000});
	const why = await page.textContent('#masters li[data-state=failed]');
	check(/ no.film\.mp4: /.test(why) && !why.includes('/'), `people are told: ${why}`);
	equal(await audit(page), [], 'masters, for who hears the page or sees little');
	await page.close();
});

test('speaks Spanish, is dark, and fits a phone', async () => {
	const phone = await startBrowser({viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true, locale: 'es-ES', colorScheme: 'dark'});
	const page = await status(phone, system.token);
	await page.waitForSelector('#edges tbody tr');
	equal(await page.textContent('#state'), 'El origen está bien', 'state');
	equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, 'width');
	equal(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), 'rgb(20, 22, 26)', 'ground');
	equal(await audit(page), [], 'the phone, for who hears the page or sees little');
	if (process.env.RIBERA_PICTURES)
		await page.screenshot({path: `${process.env.RIBERA_PICTURES}/status-phone.png`, fullPage: true});
	await page.close();
});

test('a thousand edges are shown and searched at once', async () => {
	const page = await status(null, system.token);
	await page.waitForSelector('#edges tbody tr');
	const edge = i => ({name: `edge-${i}`, url: `http://10.0.${i >> 8}.${i & 255}`, capacity: 1e12, state: i % 100 ? 'up' : 'down', draining: false, free_bytes: 4e11, load: 0.3, seen_seconds_ago: 2, held: []});
	await page.route('**/api/v1/edges?*', r => r.fulfill({json: {edges: Array.from({length: 1000}, (_, i) => edge(i)), total: 1000, up: 990, next: null}}));
	await until(async () => (await states(page)).length === 1000, 10, 'a thousand rows');
	equal((await states(page)).slice(0, 10).every(s => s.endsWith('down')), true, 'those that are down come first');
	await page.fill('#filter', 'edge-77');
	equal((await states(page)).length, 11, 'found');
	await page.close();
});

await run();

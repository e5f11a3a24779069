// SPDX-License-Identifier: GPL-3.0-or-later
//
// The page without much playing: wall, search, keyboard, languages, colours, sharing, errors in words, strictness.
import fs from 'node:fs';
import path from 'node:path';
import {audit} from '../lib/audit.mjs';
import {BUILD, SOURCE, check, checkClean, equal, openPage, run, startBrowser, startSystem, state, stats, test, until} from '../lib/browser.mjs';

let system, browser;
async function home(hash = '', context = null) {
	system ??= await startSystem('full');
	browser ??= await startBrowser();
	return openPage(context ?? browser, system.url + '/' + hash);
}
const names = page => page.locator('#wall li:not([hidden]) .name').allTextContents();
const loaded = page => page.waitForSelector('#wall li:not([hidden]) .card');
const playing = page => until(async () => {
	const now = await state(page);
	check(now !== 'error', `the film failed: ${now === 'error' && await page.locator('#error').textContent()}`);
	return now === 'playing';
}, 30, async () => `playing (${JSON.stringify(await stats(page))})`);

test('all languages have the same words with the same blanks', async () => {
	const {STRINGS} = await import(path.join(SOURCE, 'origin/www/strings.js'));
	await import(path.join(SOURCE, 'origin/www/status_words.js')); // the operators' page adds its own
	const shape = table => Object.entries(table).map(([key, text]) => `${key} ${[...text.matchAll(/\{\w+\}/g)].map(m => m[0]).sort()}`).sort();
	equal(shape(STRINGS.es), shape(STRINGS.en), 'es beside en');
	const source = fs.readdirSync(path.join(SOURCE, 'origin/www')).filter(f => f.endsWith('.js'))
		.map(f => fs.readFileSync(path.join(SOURCE, 'origin/www', f), 'utf8')).join('\n');
	for (const key of [...source.matchAll(/\bt\('(\w+)'[,)]/g)].map(m => m[1]))
		check(key in STRINGS.en, `the page says "${key}", which no language has`);
});

test('the wall shows every film with its poster, length and size', async () => {
	const page = await home();
	await loaded(page);
	equal((await names(page)).sort(), ['A short one', 'El río que no duerme', 'The moving test picture'], 'names');
	equal(await page.locator('#count').textContent(), '3 films', 'count');
	await until(() => page.evaluate(() => [...document.querySelectorAll('.poster img')].every(i => i.complete && i.naturalWidth > 100)), 10, 'posters');
	equal(await page.locator('.poster img').count(), 3, 'posters');
	equal(await page.locator('.card[href="#/title/film"] .length').textContent(), '1:00', 'length');
	checkClean(page, system);
	await page.close();
});

test('search finds without accents and capitals, is in the address, and says when there is nothing', async () => {
	const page = await home();
	await loaded(page);
	await page.keyboard.press('/');
	await page.keyboard.type('RIO');
	equal(await names(page), ['El río que no duerme'], 'found');
	equal(new URL(page.url()).hash, '#/?q=RIO', 'address');
	equal(await page.locator('#news').textContent(), '1 film', 'said to screen readers');
	await page.keyboard.press('Enter');
	equal(await page.evaluate(() => document.activeElement.getAttribute('href')), '#/title/rio', 'focus after Enter');
	await page.fill('#search', '<b>zzz');
	equal(await page.locator('#nothing p').first().textContent(), 'No film matches “<b>zzz”.', 'nothing');
	await page.click('#nothing a');
	await until(async () => (await names(page)).length === 3, 5, 'all films again');
	equal(await page.inputValue('#search'), '', 'search box');
	checkClean(page, system);
	await page.close();
	const linked = await home('#/?q=short');
	await loaded(linked);
	equal(await names(linked), ['A short one'], 'by address');
	await linked.close();
});

test('of very many films the origin searches, and the wall grows as one goes down', async () => {
	const many = await startSystem('many');
	browser ??= await startBrowser();
	const page = await openPage(browser, many.url + '/');
	await until(async () => (await names(page)).length >= 100, 20, 'the first films');
	equal(await page.locator('#count').textContent(), '450 films', 'count');
	await page.evaluate(() => document.querySelector('#more').scrollIntoView());
	await until(async () => (await names(page)).length >= 200, 20, 'more of them');
	await page.fill('#search', 'RIO num');
	await until(async () => (await names(page)).join() === 'Number 7 río,Number 157 río,Number 307 río', 20, 'what is searched for');
	equal(await page.locator('#count').textContent(), '3 films', 'count of the search');
	equal(await page.isVisible('#more'), false, 'more of the search');
	await page.fill('#search', 'nothing of the kind');
	await page.waitForSelector('#nothing');
	await page.fill('#search', 'x'.repeat(300));
	await page.waitForSelector('#error');
	equal(await page.locator('#error p').textContent(), 'That is too long to search for: use fewer words.', 'too long');
	await page.fill('#search', '');
	await until(async () => (await names(page)).length >= 100, 20, 'all films again');
	checkClean(page, many, complaint => /400/.test(complaint));
	await page.close();
});

test('the keyboard alone opens a film and works all of its controls', async () => {
	const page = await home();
	await loaded(page);
	for (let i = 0; i < 12 && await page.evaluate(() => document.activeElement.getAttribute('href')) !== '#/title/film'; i++)
		await page.keyboard.press('Tab');
	await page.keyboard.press('Enter');
	await playing(page);
	const video = f => page.evaluate(f);
	const time = () => video(() => document.querySelector('video').currentTime);
	await page.keyboard.press('Space');
	await until(async () => await state(page) === 'paused', 5, 'paused');
	await page.keyboard.press('5');
	await until(async () => Math.abs(await time() - 30) < 1, 5, '50 %');
	await page.keyboard.press('ArrowRight');
	await until(async () => Math.abs(await time() - 35) < 1, 5, '5 seconds on');
	await page.keyboard.press('ArrowLeft');
	await page.keyboard.press('ArrowLeft');
	await until(async () => Math.abs(await time() - 25) < 1, 5, '10 seconds back');
	await page.keyboard.press('m');
	equal(await video(() => document.querySelector('video').muted), true, 'muted');
	equal(await page.getAttribute('#mute', 'aria-label'), 'Unmute', 'label of mute');
	await page.keyboard.press('m');
	await page.keyboard.press('i');
	check(await page.isVisible('#stats'), 'statistics are not shown');
	equal(await page.getAttribute('#statistics', 'aria-pressed'), 'true', 'aria-pressed');
	await page.keyboard.press('i');
	check(!await page.isVisible('#stats'), 'statistics stay');
	await page.keyboard.press('f');
	await until(() => video(() => document.fullscreenElement?.id === 'stage'), 5, 'full screen');
	await page.keyboard.press('f');
	await until(() => video(() => !document.fullscreenElement), 5, 'no full screen');
	await page.keyboard.press('?');
	check(await page.isVisible('#help kbd'), 'no help');
	await page.keyboard.press('Escape');
	check(!await page.isVisible('#help'), 'help stays');
	await page.focus('#settings');
	await page.keyboard.press('Enter');
	check(await page.isVisible('#panel input[name=quality]:checked'), 'no quality menu');
	await page.keyboard.press('Escape');
	equal(await page.evaluate(() => document.activeElement.id), 'settings', 'focus after Escape');
	await page.keyboard.press('k');
	await playing(page);
	checkClean(page, system);
	await page.close();
});

test('every control has a name, the page its landmarks, and focus goes to what is new', async () => {
	const page = await home('#/title/film');
	await playing(page);
	const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, a')].filter(e =>
		!(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map(e => e.outerHTML));
	equal(nameless, [], 'controls without a name');
	for (const landmark of ['header', 'main', 'search', '[aria-live]', 'h1', 'section[aria-label]'])
		check(await page.locator(landmark).count() > 0, `no ${landmark}`);
	check(/^0:\d\d of 1:00$/.test(await page.getAttribute('#seek', 'aria-valuetext')), 'the position does not speak in times');
	await page.click('.back');
	await loaded(page);
	equal(await page.evaluate(() => document.activeElement.id), 'main', 'focus after a change of view');
	equal(await page.evaluate(() => window.ribera), undefined, 'what is left of the film');
	checkClean(page, system);
	await page.close();
});

async function hearAll(options) {
	const context = await startBrowser(options), page = await home('', context);
	await loaded(page);
	const hears = async what => equal(await audit(page), [], `${what}, ${options.colorScheme}`);
	await hears('the wall');
	await page.fill('#search', 'nothing of the kind');
	await page.waitForSelector('#nothing');
	await hears('nothing found');
	await page.fill('#search', '');
	await page.click('.card[href="#/title/film"]');
	await playing(page);
	await page.keyboard.press('i');
	await page.click('#settings');
	await hears('the film with its settings and statistics');
	await page.keyboard.press('Escape');
	await page.click('#share');
	await page.evaluate(() => { for (const d of document.querySelectorAll('details')) d.open = true; });
	await hears('the film with its link and files');
	await page.keyboard.press('Escape');
	await page.keyboard.press('?');
	await hears('the help');
	await page.keyboard.press('Escape');
	await page.goto(system.url + '/#/title/nowhere');
	await page.waitForSelector('#error:not([hidden])');
	await hears('a film that is gone');
	await page.goto(system.url + '/#/list');
	await page.waitForSelector('#list-name');
	await hears('a list that is empty');
	await page.goto(system.url + '/#/list?name=Rainy&of=short,rio,nowhere');
	await until(async () => await page.locator('#list .gone').count() === 1, 10, 'the list');
	await hears('a list');
	await page.close();
}

test('whoever hears the page, or sees little, gets all of it', async () => {
	await home().then(page => page.close());
	await Promise.all([hearAll({colorScheme: 'light'}), hearAll({colorScheme: 'dark', locale: 'es-ES', viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true})]);
});

test('the film\'s page leads to the report of how it was made', async () => {
	const page = await home('#/title/film');
	await playing(page);
	const link = page.locator('details a[href$="report.html"]').first();
	await until(async () => await link.count() > 0, 10, 'link to the report');
	await page.goto(new URL(await link.getAttribute('href'), page.url()).href);
	const found = await page.evaluate(() => ({charts: document.querySelectorAll('svg[role=img]').length, rungs: document.querySelectorAll('th[scope=row][class^=s]').length,
		poster: document.querySelector('header img').naturalWidth > 0, wide: document.documentElement.scrollWidth > innerWidth}));
	check(found.charts === 3 && found.rungs > 1 && found.poster && !found.wide, `the report shows ${JSON.stringify(found)}`);
	await page.close();
});

test('speaks Spanish where the browser does, and can be told otherwise, also while a film plays', async () => {
	const spanish = await startBrowser({locale: 'es-ES'});
	const page = await home('', spanish);
	await loaded(page);
	equal(await page.getAttribute('html', 'lang'), 'es', 'lang');
	equal(await page.locator('#count').textContent(), '3 películas', 'count');
	await page.click('.card[href="#/title/film"]');
	await playing(page);
	equal(await page.getAttribute('#play', 'aria-label'), 'Pausa', 'play button');
	const before = await page.evaluate(() => document.querySelector('video').currentTime);
	await page.click('#language');
	equal(await page.getAttribute('#play', 'aria-label'), 'Pause', 'play button');
	check(await page.evaluate(() => document.querySelector('video').currentTime) >= before, 'the film began anew');
	await page.goto(system.url + '/');
	await page.reload();
	await loaded(page);
	equal(await page.locator('#count').textContent(), '3 films', 'language after a reload');
	checkClean(page, system);
	await page.close();
});

test('is dark when the system is, and light when told to', async () => {
	const dark = await startBrowser({colorScheme: 'dark'});
	const page = await home('', dark);
	await loaded(page);
	const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
	equal(await ground(), 'rgb(20, 22, 26)', 'ground');
	await page.click('#theme');
	equal(await ground(), 'rgb(247, 246, 243)', 'ground when light');
	await page.reload();
	equal(await ground(), 'rgb(247, 246, 243)', 'ground after a reload');
	await page.click('#theme');
	equal(await ground(), 'rgb(20, 22, 26)', 'ground when dark');
	checkClean(page, system);
	await page.close();
});

test('the position shows the film at the time under the pointer', async () => {
	const page = await home('#/title/film');
	await playing(page);
	await page.evaluate(() => document.querySelector('video').pause());
	const box = await page.locator('#seek').boundingBox();
	const shown = () => page.evaluate(() => {
		const sheet = getComputedStyle(document.querySelector('#preview .sheet'));
		return document.querySelector('#preview .cut').hidden ? null : {at: document.querySelector('#preview .at').textContent, cut: sheet.backgroundPosition + sheet.backgroundImage};
	});
	const look = async (share, other = null) => {
		await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
		return until(async () => { const now = await shown(); return now && now.cut !== other?.cut && now; }, 15, 'another thumbnail');
	};
	const early = await look(0.1), late = await look(0.9, early);
	check(/^0:0[5-7]$/.test(early.at) && /^0:5[3-5]$/.test(late.at), `the times are ${early.at} and ${late.at}`);
	if (process.env.RIBERA_PICTURES)
		await page.screenshot({path: `${process.env.RIBERA_PICTURES}/preview.png`});
	await page.mouse.move(box.x + 5, box.y - 300);
	check(!await page.isVisible('#preview'), 'it stays');
	checkClean(page, system);
	await page.close();
});

test('a shared link starts at its time', async () => {
	const page = await home('#/title/film?t=37');
	await playing(page);
	const at = (await stats(page)).time;
	check(at >= 36.5 && at < 42, `started at ${at}`);
	await page.click('#share');
	const address = await page.inputValue('#address');
	const shared = /^(.*)\/#\/title\/film\?t=(\d+)$/.exec(address);
	check(shared && shared[1] === system.url && Number(shared[2]) >= 36 && Number(shared[2]) < 45, `the link is ${address}`);
	await page.click('#sharing input[type=checkbox]');
	equal(await page.inputValue('#address'), `${system.url}/#/title/film`, 'link without time');
	checkClean(page, system);
	await page.close();
});

async function unknownFilm() {
	const page = await home('#/title/nowhere');
	await page.waitForSelector('#error:not([hidden])');
	equal(await page.locator('#error p').first().textContent(), 'There is no film “nowhere” here. It may have been withdrawn.', 'unknown film');
	await page.close();
}

async function missingManifest() {
	const gone = await home();
	await loaded(gone);
	await gone.route('**/v/film/manifest.mpd*', r => r.fulfill({status: 404, body: ''}));
	await gone.click('.card[href="#/title/film"]');
	await gone.waitForSelector('#error:not([hidden])', {timeout: 15000});
	equal(await gone.locator('#error p').first().textContent(), 'The film’s manifest is not there (the server answered “404”).', 'missing manifest');
	equal(await gone.getAttribute('#error', 'role'), 'alert', 'role');
	await gone.unroute('**/v/film/manifest.mpd*');
	await gone.click('#retry');
	await playing(gone);
	check(!await gone.isVisible('#error'), 'the error stays');
	await gone.close();
}

async function noApi() {
	const down = await home();
	await loaded(down);
	await down.route('**/api/v1/titles?*', r => r.abort());
	await down.reload();
	await down.waitForSelector('#error');
	equal(await down.locator('#error p').textContent(), 'The list of films can’t be loaded: the server doesn’t answer.', 'no API');
	await down.unroute('**/api/v1/titles?*');
	await down.click('#error button');
	await loaded(down);
	await down.close();
}

async function missingScript() {
	const scriptless = await home();
	await loaded(scriptless);
	await scriptless.route('**/www/dash.mediaplayer.min.js', r => r.fulfill({status: 404, body: ''}));
	await scriptless.click('.card[href="#/title/film"]');
	await scriptless.waitForSelector('#error:not([hidden])');
	check((await scriptless.locator('#error p').first().textContent()).includes('npm ci'), 'nothing is said of the missing script');
	await scriptless.close();
}

test('errors are said in words, and trying again works', async () => {
	await home().then(page => page.close()); // the system is there
	await Promise.all([unknownFilm(), missingManifest(), noApi(), missingScript()]);
});

test('names of films cannot become markup or script', async () => {
	const page = await home();
	await loaded(page);
	const name = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
	await page.route('**/api/v1/titles?*', r => r.fulfill({json: {total: 1, next: null, titles: [{title: '../evil', name, duration: 5, revision: '0'.repeat(20),
		poster: 'javascript:1', manifest: '/v/x/manifest.mpd', bytes: 1, published: 'never'}]}}));
	await page.reload();
	await loaded(page);
	equal(await names(page), [name], 'name');
	equal(await page.getAttribute('#wall a', 'href'), '#/title/..%2Fevil', 'link');
	equal(await page.title(), 'Ribera', 'title');
	await page.close();
});

test('a playlist is made on the wall, ordered, sent as an address, and plays one film after the other', async () => {
	const page = await home();
	await loaded(page);
	equal(await page.isVisible('#mine'), false, 'a way to an empty list');
	for (const title of ['short', 'film', 'rio']) {
		await page.locator(`.card[href="#/title/${title}"]`).hover();
		await page.locator(`li:has(.card[href="#/title/${title}"]) .add`).click();
	}
	equal(await page.getAttribute('#mine', 'aria-label'), 'My playlist: 3 films', 'way to the list');
	await page.click('#mine');
	const order = () => page.$$eval('#list li', all => all.map(x => x.dataset.title).join());
	await until(async () => (await page.locator('#list .entry .name').allTextContents()).includes('El río que no duerme'), 10, 'names');
	equal(await order(), 'short,film,rio', 'order');
	await page.focus('#list li:nth-child(3) .up');
	await page.keyboard.press('Enter');
	equal(await order(), 'short,rio,film', 'order after a move');
	equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Move El río que no duerme up', 'focus goes with it');
	await page.click('#list li:nth-child(3) .less');
	await page.fill('#list-name', 'Rainy & <b>day</b>');
	await page.reload();
	equal(await order(), 'short,rio', 'after a reload');
	equal(await page.inputValue('#list-name'), 'Rainy & <b>day</b>', 'name after a reload');
	if (process.env.RIBERA_PICTURES)
		await page.screenshot({path: `${process.env.RIBERA_PICTURES}/list.png`});
	const link = new URL(await page.getAttribute('#list-play', 'href'), page.url()).href.replace(/#.*/, `#/list?name=${encodeURIComponent('Rainy & <b>day</b>')}&of=short,rio,nowhere`);
	await page.close();

	const other = await openPage(await startBrowser(), link); // somebody else's browser
	equal(await other.textContent('h1'), 'Rainy & <b>day</b>', 'name of the list that was sent');
	await until(async () => await other.locator('#list .gone').count() === 1, 10, 'the film that is gone');
	await other.click('#list-play');
	await playing(other);
	equal(await other.locator('#queue [aria-current]').textContent(), 'A short one', 'first film');
	await other.evaluate(() => { document.querySelector('video').currentTime = 7.5; });
	await until(async () => /title\/rio\?/.test(other.url()), 20, 'the second film by itself');
	await playing(other);
	await other.keyboard.press('n');
	await other.waitForSelector('#error:not([hidden])');
	check((await other.textContent('#error p')).includes('nowhere'), 'the film that is gone says so');
	await other.close();
});

test('tags, years and descriptions are shown, searched and lead to films alike; what is popular stands first', async () => {
	const page = await home();
	await loaded(page);
	const title = (n, tags) => ({title: `t${n}`, name: `Film ${n}`, duration: 60, revision: '0'.repeat(20), poster: null, manifest: `/v/t${n}/manifest.mpd`, bytes: 1000, published: '2026-01-01T00:00:00Z',
		year: 1990 + n, description: n === 3 ? 'Über die Donau' : null, tags});
	const list = Array.from({length: 9}, (_, i) => title(i, i % 3 === 0 ? ['drama', 'río & mar'] : i === 1 ? ['drama'] : []));
	await page.route('**/api/v1/titles?*', r => r.fulfill({json: /order=popular/.test(r.request().url()) ? {total: 2, next: null, titles: [list[4], list[2]]} : {total: 9, next: null, titles: list}}));
	await page.reload();
	await loaded(page);
	await page.waitForSelector('#popular:not([hidden])');
	equal(await page.locator('#popular .name').allTextContents(), ['Film 4', 'Film 2'], 'popular now');
	equal(await page.locator('#tags .tag').allTextContents(), ['drama4', 'río & mar3'], 'tags');
	await page.click('#tags .tag:nth-child(2)');
	await until(async () => (await names(page)).join() === 'Film 0,Film 3,Film 6', 5, 'films of a tag');
	await until(async () => !await page.isVisible('#popular'), 5, 'the wall without the popular ones');
	equal(new URL(page.url()).hash, '#/?tag=r%C3%ADo%20%26%20mar', 'address');
	await page.click('#tags .tag[aria-current]');
	await until(async () => (await names(page)).length === 9, 5, 'all again');
	await page.fill('#search', 'donau');
	await until(async () => (await names(page)).join() === 'Film 3', 5, 'by description');
	await page.fill('#search', '1995');
	await until(async () => (await names(page)).join() === 'Film 5', 5, 'by year');
	if (process.env.RIBERA_PICTURES) {
		await page.fill('#search', '');
		await page.screenshot({path: `${process.env.RIBERA_PICTURES}/wall.png`});
	}
	await page.close();
});

test('long lists come page by page', async () => {
	const page = await home();
	await loaded(page);
	const title = n => ({title: `t${n}`, name: `Film ${n}`, duration: 60, revision: '0'.repeat(20), poster: null, manifest: `/v/t${n}/manifest.mpd`, bytes: 1000, published: '2026-01-01T00:00:00Z'});
	await page.route('**/api/v1/titles?*', r => {
		const after = Number(new URL(r.request().url()).searchParams.get('after')?.slice(1) ?? 0);
		const n = Math.min(200, 380 - after);
		r.fulfill({json: {total: 380, titles: Array.from({length: n}, (_, i) => title(after + i + 1)), next: after + n < 380 ? `t${after + n}` : null}});
	});
	await page.reload();
	await until(async () => await page.locator('#count').textContent() === '380 films', 10, 'all films');
	equal((await names(page)).length, 380, 'cards');
	const took = await page.evaluate(() => {
		const start = performance.now(), input = document.querySelector('#search');
		input.value = 'film 37';
		input.dispatchEvent(new Event('input'));
		return performance.now() - start;
	});
	equal((await names(page)).length, 14, 'found');
	check(took < 500, `a search through 380 films took ${took} ms`);
	await page.close();
});

test('fits a phone without scrolling sideways', async () => {
	const phone = await startBrowser({viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true, deviceScaleFactor: 2});
	for (const hash of ['', '#/title/film']) {
		const page = await home(hash, phone);
		await (hash ? playing(page) : loaded(page));
		equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, `width of /${hash}`);
		if (hash) {
			await page.tap('video'); // shows the controls, does not pause
			equal(await state(page), 'playing', 'state after a tap');
			await page.tap('#settings');
			const box = await page.locator('#panel').boundingBox();
			check(box.x >= 0 && box.x + box.width <= 360 && box.y >= 0 && box.y + box.height <= 740, `the settings lie at ${JSON.stringify(box)}`);
		}
		checkClean(page, system);
		await page.close();
	}
});

test('nothing inline may run, and the page needs nothing inline', async () => {
	const page = await home('#/title/film');
	await playing(page);
	await page.click('#settings');
	await page.keyboard.press('i');
	checkClean(page, system);
	const html = fs.readFileSync(path.join(BUILD, 'www/index.html'), 'utf8');
	check(/script-src 'self';/.test(html) && /style-src 'self';/.test(html), 'the policy of the page is weak');
	const ran = await page.evaluate(() => {
		const s = document.createElement('script');
		s.textContent = 'window.evil = 1';
		document.head.append(s);
		return window.evil;
	});
	equal(ran, undefined, 'an inline script');
	await page.close();
});

test('an empty library says how to add the first film', async () => {
	const empty = await startSystem('empty');
	const page = await openPage(browser ??= await startBrowser(), empty.url + '/');
	await page.waitForSelector('#empty');
	check((await page.locator('#empty code').textContent()).startsWith('ribera-ingest '), 'no command is given');
	checkClean(page, empty);
	await page.close();
});

await run();

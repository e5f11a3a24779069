// SPDX-License-Identifier: GPL-3.0-or-later
//
// Films playing in the page, from real edges: for long, over a line that gets narrow and wide again, with edges that
// die, hang or were never there, and with nobody left.
import {check, checkClean, equal, openPage, patience, run, startBrowser, startSystem, state, stats, test, until} from '../lib/browser.mjs';

let system, browser;
async function film(hash = '#/title/film') {
	system ??= await startSystem('full');
	browser ??= await startBrowser();
	return openPage(browser, system.url + '/' + hash);
}

const report = async page => JSON.stringify(await stats(page).catch(() => null));
async function playing(page, seconds = 30) {
	await until(async () => {
		const now = await state(page);
		check(now !== 'error', `the film failed: ${await page.locator('#error').textContent()}`);
		return now === 'playing';
	}, seconds, async () => `playing (${await report(page)})`);
}
/** The film has gone on by `seconds` within a reasonable time, without a stall or an error. */
async function goesOn(page, seconds) {
	const before = await stats(page), start = performance.now();
	await until(async () => {
		const now = await stats(page);
		check(now.state !== 'error', `the film failed: ${await page.locator('#error').textContent()}`);
		return now.time >= before.time + seconds || now.state === 'ended';
	}, seconds * 1.5 + 10, async () => `${seconds} s of film (${await report(page)})`);
	if (patience === 1) // with programs that are slow by themselves the processor makes stalls of its own
		equal((await stats(page)).stalls, before.stalls, 'stalls');
	return (performance.now() - start) / 1000;
}
const host = url => new URL(url).host;
const edgeHosts = () => Object.values(system.edges).map(host);
const video = page => page.media.filter(m => /\/video-/.test(m.url));
/** 720 for .../video-720p-... */
const rung = media => Number(/\/video-(\d+)p/.exec(media.url)[1]);
const lost = complaint => /ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|TIMED_OUT|SOCKET_NOT_CONNECTED|CONNECTION_CLOSED|ABORTED|INCOMPLETE_CHUNKED_ENCODING|CONTENT_LENGTH_MISMATCH|FAILED)/.test(complaint);

test('a film plays for 12 s from an edge, at the film’s own pace, and every byte comes from edges', async () => {
	const page = await film();
	await playing(page);
	const took = await goesOn(page, 12);
	check(took > 11, `12 s of film took ${took} s`);
	const s = await stats(page);
	check(s.frames > 150 && s.picture.height >= 360, `too few frames, or too small: ${JSON.stringify(s)}`);
	check(page.media.length > 10, 'hardly any media was asked for');
	equal([...new Set(page.media.filter(m => m.status !== 206).map(m => m.status))], [], 'other statuses');
	equal(page.media.filter(m => !edgeHosts().includes(host(m.url))).map(m => m.url), [], 'media from elsewhere');
	check(host(s.edge.url) === host(page.media.at(-1).url), 'the statistics name another edge');
	check(page.media.some(m => /CMCD=/.test(m.url)), 'no CMCD');
	equal(s.failures, 0, 'failures');
	checkClean(page, system);
	await page.close();
});

test('the overlay shows what goes on', async () => {
	const page = await film();
	await playing(page);
	await page.keyboard.press('i');
	await goesOn(page, 4);
	let s, shown;
	await until(async () => { // a number may change between the two readings
		s = await stats(page);
		shown = Object.fromEntries(await page.locator('#stats dd').evaluateAll(list => list.map(e => [e.dataset.stat, e.textContent])));
		return shown.picture === `${s.picture.width}×${s.picture.height}` && /b\/s$/.test(shown.line);
	}, 5, 'the size of the picture, and the line');
	check(/^[\d.,]+ [kM]b\/s$/.test(shown.bitrate) && shown.choice === 'Auto', `bitrate: ${shown.bitrate}`);
	check(/^[\d.,]+ [kM]b\/s$/.test(shown.line), `line: ${shown.line}`);
	check(/^\d+\.\d s$/.test(shown.buffer), `buffer: ${shown.buffer}`);
	check(shown.edge.startsWith('edge-') && shown.host === host(s.edge.url), `edge: ${shown.edge} at ${shown.host}`);
	check((await page.getAttribute('#stats polyline.buffer', 'points')).split(' ').length >= 4, 'the graph is empty');
	await page.close();
});

test('a narrow line makes it go down, a wide one up again, without a stall', async () => {
	const page = await film();
	await playing(page);
	const top = 720;
	await until(() => video(page).some(m => rung(m) === top), 30, 'the best rendition');
	const line = await browser.newCDPSession(page);
	await line.send('Network.enable');
	const set = bytes => line.send('Network.emulateNetworkConditions', {offline: false, latency: 20, downloadThroughput: bytes, uploadThroughput: bytes});
	let from = video(page).length;
	await set(150e3); // 1.2 Mb/s
	await until(() => video(page).slice(from).some(m => rung(m) < top), 40, async () => `a smaller rendition (${await report(page)})`);
	from = video(page).length;
	await set(-1);
	await until(() => video(page).slice(from).some(m => rung(m) === top), 40, async () => `the best rendition again (${await report(page)})`);
	if (patience === 1)
		equal((await stats(page)).stalls, 0, 'stalls');
	checkClean(page, system);
	await page.close();
});

test('a quality chosen by hand is shown soon and stays', async () => {
	const page = await film();
	await playing(page);
	await page.click('#settings');
	const choices = page.locator('#panel input[name=quality]');
	const lowest = await choices.nth(await choices.count() - 1).getAttribute('value');
	check(await choices.count() >= 3, 'hardly any quality to choose');
	await page.locator(`#panel input[name=quality][value="${lowest}"]`).check();
	await until(async () => (await stats(page)).video?.id === lowest, 15, 'the lowest quality on the screen');
	const from = video(page).length;
	await goesOn(page, 8);
	const others = video(page).slice(from).filter(m => !m.url.includes(`/${lowest}.mp4`)).map(m => m.url);
	equal(others, [], 'other renditions asked for');
	equal((await stats(page)).auto, false, 'auto');
	checkClean(page, system);
	await page.close();
});

test('an edge killed in the middle is not noticed: the next one goes on', async () => {
	const page = await film();
	await playing(page);
	await until(async () => (await stats(page)).time > 2, 20, '2 s of film');
	const dead = (await stats(page)).edge.name;
	await system.tell(`kill ${dead}`);
	const from = page.media.length;
	await until(() => page.media.slice(from).filter(m => host(m.url) !== host(system.edges[dead])).length >= 3, 30, 'media from another place');
	await goesOn(page, 8);
	const s = await stats(page);
	check(s.moves >= 1 && s.edge.name !== dead, `moves: ${JSON.stringify(s)}`);
	check(edgeHosts().includes(host(s.edge.url)), 'the origin was asked while an edge could serve');
	checkClean(page, system, lost);
	await page.close();

	// the manifest may name the dead edge first for some seconds more
	const late = await film();
	await playing(late, 15);
	await goesOn(late, 4);
	equal(late.media.filter(m => m.status >= 400), [], 'refused media');
	await late.close();
	await system.tell(`start ${dead}`);
});

test('an edge that hangs is left before the film does', async () => {
	const page = await film();
	await playing(page);
	await until(async () => (await stats(page)).time > 2, 20, '2 s of film');
	const hung = (await stats(page)).edge.name;
	await system.tell(`stop ${hung}`);
	try {
		const from = page.media.length;
		await until(() => page.media.slice(from).some(m => host(m.url) !== host(system.edges[hung])), 45, async () => `media from another place (${await report(page)})`);
		await goesOn(page, 4);
	} finally {
		await system.tell(`continue ${hung}`);
	}
	await page.close();
});

test('with nobody left it says so, and goes on by itself when somebody is back', async () => {
	const page = await film();
	await playing(page);
	await page.evaluate(() => { document.querySelector('video').pause(); });
	for (const name of [...Object.keys(system.edges), 'origin'])
		await system.tell(`kill ${name}`);
	await page.keyboard.press('9');
	await page.evaluate(() => { document.querySelector('video').play(); });
	await page.waitForSelector('#error:not([hidden])', {timeout: 60000});
	check(/No server sends this film|no server answers/.test(await page.locator('#error').textContent()), 'other words');
	for (const name of ['origin', ...Object.keys(system.edges)])
		await system.tell(`start ${name}`);
	await until(async () => await state(page) === 'playing', 40, async () => `playing again (${await report(page)})`);
	check((await stats(page)).time > 50, 'it began at another place');
	check(!await page.isVisible('#error'), 'the error stays');
	checkClean(page, system, lost);
	await page.close();
});

await run();

// SPDX-License-Identifier: GPL-3.0-or-later
//
// Players nobody here wrote and the steering server: dash.js leaves an edge that is drained while it plays within two
// TTLs, without a stall, and one that is killed as well; Shaka Player asks.
import fs from 'node:fs';
import path from 'node:path';
import {SOURCE, check, equal, openPlayer, run, startBrowser, startSystem, test, until} from '../lib/browser.mjs';

const TTL = 2; // seconds, of the test's system
const MORE = 10; // seconds of film, more than any of them has in hand
const DASHJS = ['dashjs/dist/modern/umd/dash.all.min.js', url => {
	const p = window.dashjs.MediaPlayer().create();
	p.on('error', e => window.errors.push(e.error.message));
	p.updateSettings({streaming: {buffer: {bufferTimeDefault: 6, bufferTimeAtTopQuality: 6, bufferTimeAtTopQualityLongForm: 6}}});
	p.initialize(window.video, url, true);
}];
const SHAKA = ['shaka-player/dist/shaka-player.compiled.js', async url => {
	const p = new window.shaka.Player();
	p.addEventListener('error', e => window.errors.push(String(e.detail)));
	await p.attach(window.video);
	p.configure({streaming: {bufferingGoal: 6}});
	await p.load(url);
	await window.video.play();
}];
// as doc/shaka.js has it
const SHAKA_SPREAD = [SHAKA[0], async ([url, text]) => {
	document.head.append(Object.assign(document.createElement('script'), {text}));
	const p = new window.shaka.Player();
	p.addEventListener('error', e => window.errors.push(String(e.detail)));
	window.spreadOverEdges(p);
	await p.attach(window.video);
	p.configure({streaming: {bufferingGoal: 6}});
	await p.load(url);
	await window.video.play();
}, url => [url, fs.readFileSync(path.join(SOURCE, 'doc/shaka.js'), 'utf8')]];
const HLSJS = ['hls.js/dist/hls.js', url => {
	const p = new window.Hls({maxBufferLength: 6, maxMaxBufferLength: 6});
	p.on(window.Hls.Events.ERROR, (_, e) => { if (e.fatal) window.errors.push(e.details); });
	p.on(window.Hls.Events.MANIFEST_PARSED, () => window.video.play());
	p.loadSource(url.replace('manifest.mpd', 'main.m3u8'));
	p.attachMedia(window.video);
}];
let started, system;

async function player([script, start, arg = url => url]) {
	started ??= Promise.all([startSystem('full'), startBrowser()]);
	const [running, browser] = await started;
	system = running;
	return openPlayer(browser, script, start, arg(`${system.url}/v/film/manifest.mpd`));
}

const look = page => page.evaluate(() => ({time: window.video.currentTime, stalls: window.stalls, errors: window.errors}));
const nameOf = url => Object.keys(system.edges).find(n => url.startsWith(system.edges[n])) ?? 'origin';
const last = page => page.media.length ? nameOf(page.media.at(-1).url) : null;
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Pages that play, each beyond its first seconds; by the edge they are at. */
async function playing(kinds) {
	const pages = await Promise.all(kinds.map(player));
	await Promise.all(pages.map(page => until(async () => (await look(page)).time > 2, 40, async () => `the film (${JSON.stringify(await look(page))})`)));
	const places = pages.reduce((map, page) => map.set(last(page), [...map.get(last(page)) ?? [], page]), new Map());
	check(!places.has('origin') && !places.has(null), 'the first place is an edge');
	return places;
}

async function followDrain(kinds) {
	for (const [at, pages] of await playing(kinds)) {
		const steered = page => page.requests.filter(u => u.includes('/steer?')).length;
		await Promise.all(pages.map(page => until(async () => steered(page) > 1, 3 * TTL + 5, 'the second question to the steering server')));
		await system.tell(`drain ${at}`);
		try {
			await sleep(2 * TTL * 1000 + 500); // two TTLs are the promise; what was asked before may still come
			await Promise.all(pages.map(async page => {
				const before = page.media.length;
				await until(async () => page.media.length > before + 3, 20, 'more media');
				equal([...new Set(page.media.slice(before).map(m => nameOf(m.url)))].filter(n => n === at), [], 'media from the drained edge');
				const s = await look(page);
				equal([s.stalls, s.errors], [0, []], 'stalls and errors');
				await page.close();
			}));
		} finally {
			await system.tell(`undrain ${at}`);
		}
	}
}

/** Whether a player moves in the middle of a single-file rendition is its own affair; that it asks is not. */
async function asks(kind) {
	const page = await player(kind), questions = () => page.requests.filter(u => u.includes('/steer?'));
	await until(async () => questions().length > 2, 30, 'three questions to the steering server');
	const edge = last(page);
	check(questions().at(-1).includes('&sid='), `it follows RELOAD-URI: ${questions().at(-1)}`);
	check(decodeURIComponent(questions().at(-1)).includes(`_DASH_pathway=${edge}`), `it is at ${edge}: ${questions().at(-1)}`);
	const s = await look(page);
	equal([s.stalls, s.errors], [0, []], 'stalls and errors');
	await page.close();
}

async function surviveKill(kinds) {
	for (const [at, pages] of await playing(kinds)) {
		await system.tell(`kill ${at}`);
		try {
			await Promise.all(pages.map(async page => {
				const time = (await look(page)).time;
				await until(async () => (await look(page)).time > time + MORE && last(page) !== at, 40,
					async () => `${MORE} s more of film, from elsewhere (${last(page)}, ${JSON.stringify(await look(page))})`);
				await page.close();
			}));
		} finally {
			await system.tell(`start ${at}`);
		}
	}
}

/** The first indexes come after the steering server's first answer.  A player that holds what it asked before for another file
 * than what it would ask now takes every segment from the wrong byte on; what it appends after a seek is then no fragment. */
async function seeks(kind) {
	const browser = (await (started ??= Promise.all([startSystem('full'), startBrowser()])))[1];
	let answered, held = 2; // an index of the picture and one of the sound
	const answer = new Promise(resolve => { answered = resolve; });
	await browser.route(/\.mp4/, async route => {
		if (held-- > 0) {
			await answer;
			await sleep(300); // until the player has read it
		}
		await route.continue();
	});
	browser.on('response', r => { if (r.url().includes('/steer?')) answered(); });
	const page = await player(kind);
	await until(async () => (await look(page)).time > 2, 40, async () => `the film (${JSON.stringify(await look(page))})`);
	for (const to of [40, 12, 31]) {
		await page.evaluate(t => { window.video.currentTime = t; }, to);
		await until(async () => (await look(page)).time > to + 1, 20, async () => `the film from ${to} s on (${JSON.stringify(await look(page))})`);
	}
	equal((await look(page)).errors, [], 'errors');
	await page.close();
	await browser.unrouteAll();
}

/** Every sixth answer of media is cut at a third and says that it is whole. */
async function getsOver(kind) {
	const browser = (await (started ??= Promise.all([startSystem('full'), startBrowser()])))[1];
	let seen = 0, cut = 0;
	await browser.route(/\.mp4/, async route => {
		if (++seen % 6 !== 5)
			return route.continue();
		cut++;
		const response = await route.fetch(), body = await response.body();
		await route.fulfill({status: response.status(), headers: response.headers(), body: body.subarray(0, body.length / 3)});
	});
	const page = await player(kind);
	await until(async () => (await look(page)).time > 20, 60, async () => `the film (${JSON.stringify(await look(page))})`);
	const s = await look(page);
	equal([s.stalls, s.errors], [0, []], 'stalls and errors');
	check(cut > 1, `${cut} bodies were cut`);
	await page.close();
	await browser.unrouteAll();
}

test('dash.js and hls.js leave an edge that is drained within two TTLs, without a stall', () => followDrain([DASHJS, HLSJS]));
test('Shaka Player asks where to go, says where it is, and plays on', () => asks(SHAKA));
test('Shaka Player seeks on and back while it is steered', () => seeks(SHAKA));
test('Shaka Player with doc/shaka.js gets over bodies that are cut and say that they are whole', () => getsOver(SHAKA_SPREAD));
test('dash.js and hls.js go on when their edge is killed', () => surviveKill([HLSJS, DASHJS]));
test('Shaka Player goes on when its edge is killed', () => surviveKill([SHAKA]));

await run();

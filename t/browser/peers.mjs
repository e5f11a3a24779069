// SPDX-License-Identifier: GPL-3.0-or-later
//
// Players nobody here wrote, as they come from npm, with their own settings and without our page: each plays the
// film, sound and picture, from its manifest on the origin.
import http from 'node:http';
import path from 'node:path';
import {SOURCE, atEnd, check, equal, openPage, run, startBrowser, startSystem, test, until} from '../lib/browser.mjs';

let system, browser, site;

/** The address of a site that is not ours, with one page: a film's place. */
async function stranger() {
	const server = http.createServer((request, answer) => {
		answer.setHeader('content-type', 'text/html');
		answer.end('<!DOCTYPE html><link rel="icon" href="data:,"><video muted></video>');
	});
	await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
	atEnd(async () => server.close());
	return `http://127.0.0.1:${server.address().port}/`;
}

/** A page of another site (so every answer must allow strangers) with `script` (below node_modules) loaded and `start(url)` run in it. */
async function player(script, start, file) {
	system ??= await startSystem('full');
	browser ??= await startBrowser();
	const page = await openPage(browser, site ??= await stranger());
	await page.addScriptTag({path: path.join(SOURCE, 'node_modules', script)});
	await page.evaluate(() => {
		window.errors = [];
		window.video = document.querySelector('video');
	});
	await page.evaluate(start, `${system.url}/v/film/${file}`);
	return page;
}

/** It gets through ten seconds of film with sound and picture and without a complaint. */
async function plays(page) {
	const look = () => page.evaluate(() => ({time: window.video.currentTime, errors: window.errors, height: window.video.videoHeight,
		sound: window.video.webkitAudioDecodedByteCount, frames: window.video.getVideoPlaybackQuality().totalVideoFrames,
		duration: window.video.duration, error: window.video.error?.message ?? null}));
	await until(async () => {
		const s = await look();
		check(!s.errors.length && !s.error, `errors: ${JSON.stringify(s)}`);
		return s.time > 10;
	}, 40, async () => `10 s of film (${JSON.stringify(await look())})`);
	const s = await look();
	check(s.frames > 150 && s.height >= 234, `hardly a picture: ${JSON.stringify(s)}`);
	check(s.sound > 10000, `hardly a sound: ${JSON.stringify(s)}`);
	check(Math.abs(s.duration - 60) < 0.2, `duration ${s.duration}`);
	equal(page.media.filter(m => m.status >= 400), [], 'refused media');
	equal(page.complaints, [], 'complaints');
	await page.close();
}

test('dash.js as it comes plays the MPD', async () => {
	await plays(await player('dashjs/dist/modern/umd/dash.all.min.js', url => {
		const p = window.dashjs.MediaPlayer().create();
		p.on('error', e => window.errors.push(e.error.message));
		p.initialize(window.video, url, true);
	}, 'manifest.mpd'));
});

test('Shaka Player plays the MPD', async () => {
	await plays(await player('shaka-player/dist/shaka-player.compiled.js', async url => {
		const p = new window.shaka.Player();
		p.addEventListener('error', e => window.errors.push(String(e.detail)));
		await p.attach(window.video);
		await p.load(url);
		await window.video.play();
	}, 'manifest.mpd'));
});

test('hls.js plays the HLS playlist', async () => {
	await plays(await player('hls.js/dist/hls.min.js', url => {
		const p = new window.Hls();
		p.on(window.Hls.Events.ERROR, (name, e) => window.errors.push(`${e.type} ${e.details}`));
		p.loadSource(url);
		p.attachMedia(window.video);
		p.on(window.Hls.Events.MANIFEST_PARSED, () => window.video.play());
	}, 'main.m3u8'));
});

test('Shaka Player plays the HLS playlist', async () => {
	await plays(await player('shaka-player/dist/shaka-player.compiled.js', async url => {
		const p = new window.shaka.Player();
		p.addEventListener('error', e => window.errors.push(String(e.detail)));
		await p.attach(window.video);
		await p.load(url);
		await window.video.play();
	}, 'main.m3u8'));
});

await run();

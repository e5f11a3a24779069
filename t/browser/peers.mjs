// SPDX-License-Identifier: GPL-3.0-or-later
//
// Players nobody here wrote, as they come from npm, with their own settings and without our page: each plays the
// film, sound and picture, from its manifest on the origin.
import {check, equal, openPlayer, run, startBrowser, startSystem, test, until} from '../lib/browser.mjs';

const SECONDS = 8;
const DASHJS = ['dashjs/dist/modern/umd/dash.all.min.js', url => {
	const p = window.dashjs.MediaPlayer().create();
	p.on('error', e => window.errors.push(e.error.message));
	p.initialize(window.video, url, true);
}];
const SHAKA = ['shaka-player/dist/shaka-player.compiled.js', async url => {
	const p = new window.shaka.Player();
	p.addEventListener('error', e => window.errors.push(String(e.detail)));
	await p.attach(window.video);
	await p.load(url);
	await window.video.play();
}];
const HLSJS = ['hls.js/dist/hls.min.js', url => {
	const p = new window.Hls();
	p.on(window.Hls.Events.ERROR, (name, e) => window.errors.push(`${e.type} ${e.details}`));
	p.loadSource(url);
	p.attachMedia(window.video);
	p.on(window.Hls.Events.MANIFEST_PARSED, () => window.video.play());
}];
let system, browser;

/** They get through some seconds of film with sound and picture and without a complaint, at the same time. */
async function play(file, ...kinds) {
	system ??= await startSystem('full');
	browser ??= await startBrowser();
	await Promise.all(kinds.map(async ([script, start]) => plays(await openPlayer(browser, script, start, `${system.url}/v/film/${file}`))));
}

async function plays(page) {
	const look = () => page.evaluate(() => ({time: window.video.currentTime, errors: window.errors, height: window.video.videoHeight,
		sound: window.video.webkitAudioDecodedByteCount, frames: window.video.getVideoPlaybackQuality().totalVideoFrames,
		duration: window.video.duration, error: window.video.error?.message ?? null}));
	await until(async () => {
		const s = await look();
		check(!s.errors.length && !s.error, `errors: ${JSON.stringify(s)}`);
		return s.time > SECONDS;
	}, 40, async () => `${SECONDS} s of film (${JSON.stringify(await look())})`);
	const s = await look();
	check(s.frames > 150 && s.height >= 234, `hardly a picture: ${JSON.stringify(s)}`);
	check(s.sound > 10000, `hardly a sound: ${JSON.stringify(s)}`);
	check(Math.abs(s.duration - 60) < 0.2, `duration ${s.duration}`);
	equal(page.media.filter(m => m.status >= 400), [], 'refused media');
	equal(page.complaints, [], 'complaints');
	await page.close();
}

test('dash.js and Shaka Player as they come play the MPD', () => play('manifest.mpd', DASHJS, SHAKA));
test('hls.js and Shaka Player play the HLS playlist', () => play('main.m3u8', HLSJS, SHAKA));

await run();

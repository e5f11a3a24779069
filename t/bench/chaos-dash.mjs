// SPDX-License-Identifier: GPL-3.0-or-later
//
// One play of a film by dash.js in Chromium, for t/bench/chaos: node chaos-dash.mjs MPD-URL REPORT.json BUFFER_S DEADLINE_S [own]
// Writes REPORT.json.ready when the page stands, begins when REPORT.json.go is there, and ends with the film or the deadline.
//
// Settings: as its own but for the buffer; throughput measured by the bytes that come (see t/bench/line); and, for a film with
// two places, a request is given up after 5 s (its own: 20 s) and tried once more at the same place (its own: three times); with
// "own" these are its own.
import fs from 'node:fs';
import path from 'node:path';
import {SOURCE, emptySite, finish, openPage, startBrowser, until} from '../lib/browser.mjs';

const [mpd, report, buffer, deadline, own] = process.argv.slice(2);

function begin(url, seconds, own) {
	const video = document.querySelector('video'), player = dashjs.MediaPlayer().create(), E = dashjs.MediaPlayer.events;
	const seen = window.seen = {stalls: [], rates: {}, places: [], errors: [], startup: 0, ended: false}, began = performance.now();
	let waiting = 0;
	player.updateSettings({streaming: {
		buffer: {bufferTimeDefault: seconds, bufferTimeAtTopQuality: seconds, bufferTimeAtTopQualityLongForm: seconds},
		abr: {throughput: {useResourceTimingApi: false}, rules: {droppedFramesRule: {active: false}}}, // a busy machine is no slow line
		...own ? {} : {fragmentRequestTimeout: 5000, retryAttempts: {MediaSegment: 1}, retryIntervals: {MediaSegment: 500}},
	}});
	player.on(E.FRAGMENT_LOADING_COMPLETED, e => {
		const r = e.request;
		if (e.error || !e.response || r.type !== 'MediaSegment')
			return;
		const host = new URL(r.url).hostname.split('.')[0];
		if (seen.places.at(-1) !== host)
			seen.places.push(host);
		if (r.mediaType === 'video')
			seen.rates[r.index] = r.bandwidth ?? r.representation?.bandwidth ?? r.representation?.bitrateInKbit * 1000;
	});
	player.on(E.ERROR, e => seen.errors.push(e.error.message));
	video.addEventListener('playing', () => {
		if (!seen.startup)
			seen.startup = (performance.now() - began) / 1000;
		else if (waiting)
			seen.stalls.push((performance.now() - waiting) / 1000);
		waiting = 0;
	});
	const inHand = () => [...Array(video.buffered.length).keys()].some(i => video.buffered.start(i) <= video.currentTime && video.buffered.end(i) > video.currentTime + 1);
	video.addEventListener('waiting', () => { if (seen.startup && !waiting && !video.seeking && !inHand()) waiting = performance.now(); }); // else a busy machine
	// the end is half a second early: there it now and then seeks back and pauses, and no `ended` comes
	video.addEventListener('timeupdate', () => {
		if (seen.ended || video.currentTime < video.duration - 0.5)
			return;
		seen.late = (performance.now() - began) / 1000 - seen.startup - video.currentTime;
		seen.ended = true;
	});
	window.look = () => ({...seen, open: waiting ? (performance.now() - waiting) / 1000 : 0, time: video.currentTime,
		frames: video.getVideoPlaybackQuality().totalVideoFrames, state: {paused: video.paused, seeking: video.seeking, ready: video.readyState,
			error: video.error?.message, buffered: [...Array(video.buffered.length).keys()].map(i => [video.buffered.start(i), video.buffered.end(i)])}});
	player.initialize(video, url, true);
}

let page, failed = null;
try {
	page = await openPage(await startBrowser({viewport: {width: 320, height: 240}}), await emptySite());
	await page.addScriptTag({path: path.join(SOURCE, 'node_modules/dashjs/dist/modern/umd/dash.all.min.js')});
	fs.writeFileSync(`${report}.ready`, '');
	await until(() => fs.existsSync(`${report}.go`), 240, 'the word to begin');
	await page.evaluate(`(${begin})(${JSON.stringify(mpd)}, ${buffer}, ${own === 'own'})`);
	await until(() => page.evaluate(() => window.look().ended), Number(deadline), 'the end of the film');
} catch (error) {
	failed = String(error.message ?? error);
}
const seen = page ? await page.evaluate(() => window.look?.()).catch(() => null) : null;
if (seen) { // a stall that nothing ended is one; the sum is never more than the play was late, in its favour
	const stalls = seen.open > 0.5 ? [...seen.stalls, seen.open] : seen.stalls, rates = Object.values(seen.rates);
	const waited = stalls.reduce((a, b) => a + b, 0);
	fs.writeFileSync(report, JSON.stringify({failed, startup_s: seen.startup, stalls: stalls.length,
		stall_s: seen.ended ? Math.max(0, Math.min(seen.late, waited)) : waited, kbps: rates.reduce((a, b) => a + b, 0) / 1000 / Math.max(1, rates.length),
		frames: seen.frames, at_s: seen.time, places: seen.places, errors: seen.errors, state: seen.state,
		complaints: page.complaints.slice(-5)}));
} else {
	fs.writeFileSync(report, JSON.stringify({failed: failed ?? 'no page'}));
}
await finish();
process.exit(0);

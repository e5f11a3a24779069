// SPDX-License-Identifier: GPL-3.0-or-later
//
// dash.js or Shaka Player or both, for a test that is not in a browser (it runs this inside a network namespace).
//
//   node t/lib/watch.mjs ADDRESS_OF_THE_MPD [dash.js] [shaka]
//
// Each player has a page and a cache of its own.  Four times a second one JSON line with what each player's own events and counters say:
//   {"dash.js": {"time", "stalls", "stalled", "errors", "complaints", "asked", "media": [[seconds since the epoch, host:port], ...]}, "shaka": {...}}
// Ends at SIGTERM, with the last line; at SIGUSR2 Shaka Player goes over to another rendition.
import path from 'node:path';
import {SOURCE, emptySite, finish, openPage, startBrowser} from './browser.mjs';

const BUFFER = 6; // seconds, so that every part of the test sees requests
const PLAYERS = {
	'dash.js': ['dashjs/dist/modern/umd/dash.all.min.js', (url, seconds) => {
		const p = window.dashjs.MediaPlayer().create(), E = window.dashjs.MediaPlayer.events;
		p.updateSettings({streaming: {blacklistExpiryTime: 5000, buffer: {bufferTimeDefault: seconds,
			bufferTimeAtTopQuality: seconds, bufferTimeAtTopQualityLongForm: seconds}}});
		p.on(E.ERROR, e => window.seen.errors.push(e.error.message));
		p.on(E.BUFFER_EMPTY, e => { if (window.video.currentTime > 1) window.seen.stalls++; });
		p.on(E.FRAGMENT_LOADING_COMPLETED, e => { if (e.response && !e.error) window.seen.note(e.request.url); });
		p.initialize(window.video, url, true);
	}],
	shaka: ['shaka-player/dist/shaka-player.compiled.js', async (url, seconds) => {
		const p = new window.shaka.Player();
		p.addEventListener('error', e => window.seen.errors.push(String(e.detail)));
		p.addEventListener('buffering', e => { window.seen.stalls += e.buffering && window.video.currentTime > 1; });
		await p.attach(window.video);
		window.spreadOverEdges(p);
		p.configure({streaming: {bufferingGoal: seconds}});
		window.otherRendition = () => {
			p.configure({abr: {enabled: false}});
			p.selectVariantTrack(p.getVariantTracks().find(t => !t.active));
		};
		p.getNetworkingEngine().registerResponseFilter((type, r) => {
			if (type === window.shaka.net.NetworkingEngine.RequestType.SEGMENT)
				window.seen.note(r.uri);
		});
		await p.load(url);
		await window.video.play();
		setInterval(() => { window.seen.stalled = p.getStats().bufferingTime; }, 200);
	}],
};

async function begin(site, name, url) {
	const page = await openPage(await startBrowser(), site), [script, start] = PLAYERS[name];
	for (const file of ['doc/shaka.js', path.join('node_modules', script)])
		await page.addScriptTag({path: path.join(SOURCE, file)});
	await page.evaluate(() => {
		window.video = document.querySelector('video');
		window.seen = {stalls: 0, stalled: 0, errors: [], media: [], note: url => window.seen.media.push([Date.now() / 1000, new URL(url).host])};
	});
	await page.evaluate(`(${start})(${JSON.stringify(url)}, ${BUFFER})`);
	return page;
}

async function look(page) {
	const seen = await page.evaluate(() => ({time: window.video.currentTime, ...window.seen, note: undefined}));
	return {...seen, complaints: page.complaints.slice(-5), asked: page.requests.filter(u => u.includes('/steer?')).length};
}

let going = true;
const pages = {};
process.on('SIGTERM', () => { going = false; });
process.on('SIGUSR2', () => pages.shaka?.evaluate(() => window.otherRendition()));
try {
	const site = await emptySite();
	for (const name of process.argv.length > 3 ? process.argv.slice(3) : Object.keys(PLAYERS))
		pages[name] = await begin(site, name, process.argv[2]);
	while (going) {
		const row = {};
		for (const [name, page] of Object.entries(pages))
			row[name] = await look(page);
		console.log(JSON.stringify(row));
		await new Promise(resolve => setTimeout(resolve, 250));
	}
} catch (error) {
	console.log(String(error.stack ?? error));
	process.exitCode = 1;
}
await finish();

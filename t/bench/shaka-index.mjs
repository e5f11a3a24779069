#!/usr/bin/env node
// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where Shaka Player's error 3014 after a server's death comes from, without a program of ours: two nginx have one package, a file is
// the steering server's answer, and the nginx that plays is killed just before Shaka Player goes over to another rendition.
//
//   node t/bench/shaka-index.mjs PACKAGE [steered] [guarded] [plain]     (all three without; needs nginx, chromium, npm ci)
//
// For each: seconds of film 15 s later, errors, and the first ranges that were asked for.  steered: the MPD names the steering file;
// guarded: likewise, with doc/shaka.js; plain: two BaseURLs alone.
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {SOURCE, atEnd, finish, startBrowser} from '../lib/browser.mjs';

const [folder, ...kinds] = process.argv.slice(2), PORT = 18080, SITE = '127.0.0.4';
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'shaka-index-'));

function nginx(ip) {
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(t => `${t}_temp_path ${root}/.${t};`).join(' '), file = path.join(root, `.${ip}`);
	fs.writeFileSync(file, `daemon off; master_process off; error_log ${file}.log; pid ${file}.pid; events {}
http { access_log off; ${temporary} types { application/dash+xml mpd; video/mp4 mp4; application/json json; text/html html; }
server { listen ${ip}:${PORT}; root ${root}; add_header Access-Control-Allow-Origin *; add_header Access-Control-Expose-Headers Content-Range; } }`);
	return spawn('nginx', ['-c', file], {stdio: 'ignore'});
}

function manifest(steered) {
	const places = '<BaseURL serviceLocation="a">http://127.0.0.2:18080/</BaseURL><BaseURL serviceLocation="b">http://127.0.0.3:18080/</BaseURL>' +
		(steered ? `<ContentSteering defaultServiceLocation="a b">http://${SITE}:${PORT}/steer.json</ContentSteering>` : '');
	const text = fs.readFileSync(path.join(folder, 'manifest.mpd'), 'utf8');
	return text.replace(/<\/ProgramInformation>|<ProgramInformation[^>]*\/>|<MPD[^>]*>(?![^]*<ProgramInformation)/, s => s + places);
}

async function look(kind) {
	fs.writeFileSync(path.join(root, 'film.mpd'), manifest(kind !== 'plain'));
	const servers = ['127.0.0.2', '127.0.0.3', SITE].map(nginx);
	atEnd(async () => servers.forEach(s => s.kill()));
	await new Promise(resolve => setTimeout(resolve, 1500));
	const page = await (await startBrowser()).newPage(), asked = [];
	await page.goto(`http://${SITE}:${PORT}/index.html`);
	for (const file of ['node_modules/shaka-player/dist/shaka-player.compiled.js', 'doc/shaka.js'])
		await page.addScriptTag({path: path.join(SOURCE, file)});
	await page.evaluate(async ([url, guarded]) => {
		const p = window.p = new window.shaka.Player(), retryParameters = {maxAttempts: 6, baseDelay: 100};
		window.errors = [];
		p.addEventListener('error', e => window.errors.push(e.detail.code));
		if (guarded)
			window.spreadOverEdges(p);
		p.configure({manifest: {retryParameters}, streaming: {bufferingGoal: 6, retryParameters}, abr: {enabled: false}});
		await p.attach(document.querySelector('video'));
		await p.load(url);
		await document.querySelector('video').play();
	}, [`http://${SITE}:${PORT}/film.mpd`, kind === 'guarded']);
	await page.waitForFunction(() => document.querySelector('video').currentTime > 4, null, {timeout: 60000});
	page.on('request', r => { if (r.headers().range) asked.push(`  ${new URL(r.url()).host} ${path.basename(r.url())} ${r.headers().range}`); });
	servers[0].kill('SIGKILL');
	await new Promise(resolve => servers[0].once('exit', resolve));
	await page.evaluate(() => window.p.selectVariantTrack(window.p.getVariantTracks().find(t => !t.active), true));
	await new Promise(resolve => setTimeout(resolve, 15000));
	const seen = await page.evaluate(() => ({time: document.querySelector('video').currentTime, errors: window.errors, stalled: window.p.getStats().bufferingTime}));
	console.log(`${kind}: ${JSON.stringify(seen)}\n${asked.slice(0, 6).join('\n')}`);
	await page.close();
	for (const s of servers.slice(1)) {
		s.kill();
		await new Promise(resolve => s.once('exit', resolve));
	}
}

for (const file of fs.readdirSync(folder))
	fs.symlinkSync(path.resolve(folder, file), path.join(root, file));
fs.writeFileSync(path.join(root, 'steer.json'), JSON.stringify({VERSION: 1, TTL: 300, 'PATHWAY-PRIORITY': ['a', 'b']}));
fs.writeFileSync(path.join(root, 'index.html'), '<!DOCTYPE html><link rel="icon" href="data:,"><video muted></video>');
try {
	for (const kind of kinds.length ? kinds : ['steered', 'guarded', 'plain'])
		await look(kind);
} finally {
	await finish();
	fs.rmSync(root, {recursive: true, force: true});
}

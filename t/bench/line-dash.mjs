// SPDX-License-Identifier: GPL-3.0-or-later
//
// One play of a film by dash.js in Chromium, with its own settings or at its best: node line-dash.mjs MPD-URL REPORT.json [best]
// The page player.html and dash.js lie beside the MPD.  The report has the "quality" object of ribera-player's.
import fs from 'node:fs';
import {openPage, startBrowser, until} from '../lib/browser.mjs';

const [mpd, report, best] = process.argv.slice(2);
const context = await startBrowser({viewport: {width: 160, height: 120}});
const page = await openPage(context, new URL('player.html', mpd).href);
fs.writeFileSync(`${report}.ready`, '');
await until(() => fs.existsSync(`${report}.go`), 120, 'the word to begin');
await page.evaluate(([url, best]) => window.play(url, best), [mpd, best === 'best']);
await until(() => page.evaluate(() => window.seen.ended), 600, 'the end of the film');
const seen = await page.evaluate(() => window.seen);
const rates = Object.keys(seen.rates).sort((a, b) => a - b).map(k => seen.rates[k] / 1e6);
let qoe = 0, switched = 0, switches = 0;
for (let i = 1; i < rates.length; i++) {
	const jump = Math.abs(rates[i] - rates[i - 1]);
	qoe += rates[i] - jump;
	switched += jump;
	switches += jump > 0;
}
const stall = Math.max(0, Math.min(seen.late, seen.stalls.reduce((a, b) => a + b, 0))); // in its favour
fs.writeFileSync(report, JSON.stringify({quality: {
	segments: rates.length, qoe: (qoe - seen.top / 1e6 * stall) / (rates.length - 1), switches, switch_kbps: 1000 * switched / rates.length,
	bitrate_kbps: 1000 * rates.reduce((a, b) => a + b, 0) / rates.length, rebuf_ratio: stall / (stall + seen.duration),
	startup_s: seen.startup, stalls: seen.stalls.length, stall_s: stall,
}}));
process.exit(0);

// SPDX-License-Identifier: GPL-3.0-or-later
//
// For tests in Debian's Chromium: TAP, waiting for events, the system under test, and pages that note everything
// they ask for and complain about.
//
//   test('does this', async () => { ... }); await run();
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import readline from 'node:readline';
import {fileURLToPath} from 'node:url';

export const SOURCE = process.env.RIBERA_SOURCE ?? fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const BUILD = process.env.RIBERA_BUILD ?? process.cwd();
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--autoplay-policy=no-user-gesture-required', '--disable-gpu', '--disable-quic', '--no-first-run',
	'--disable-background-networking', '--disable-component-update', '--disable-sync', '--mute-audio'];

const tests = [], cleanups = [];
let opened = []; // pages of the test that runs

export function test(name, f) {
	tests.push([name, f]);
}

/** Called at the end, last one first, whatever happened. */
export function atEnd(f) {
	cleanups.push(f);
}

export function check(condition, text) {
	if (!condition)
		throw new Error(text);
}

export function equal(got, want, what = 'value') {
	const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
	check(a === b, `${what}: got ${a}, want ${b}`);
}

/** How much longer than usual all may take: under sanitizers (as in t/lib/tap.py). */
export const patience = Number(process.env.RIBERA_PATIENCE ?? 1);

/** Waits until f gives something true, and returns that; `what` is a text, or a function that gives one. */
export async function until(f, seconds, what) {
	const end = performance.now() + seconds * 1000 * patience;
	for (;;) {
		const value = await f();
		if (value)
			return value;
		if (performance.now() > end)
			throw new Error(`${typeof what === 'function' ? await what() : what} did not come within ${seconds} s`);
		await new Promise(resolve => setTimeout(resolve, 50));
	}
}

/** Runs the tests whose name has the first argument in it (all without one). */
export async function run() {
	const chosen = tests.filter(([name]) => name.includes(process.argv[2] ?? ''));
	let failed = 0, number = 0;
	const missing = cannot();
	if (missing) {
		console.log(`Bail out! ${missing}`);
		process.exitCode = 1;
		return;
	}
	console.log(`1..${chosen.length}`);
	for (const [name, f] of chosen) {
		const start = performance.now();
		const seconds = () => `(${((performance.now() - start) / 1000).toFixed(1)}s)`;
		number++;
		opened = [];
		try {
			await f();
			console.log(`ok ${number} - ${name} ${seconds()}`);
		} catch (error) {
			failed++;
			for (const line of [...String(error.stack ?? error).split('\n'), ...opened.flatMap(p => p.complaints)])
				console.log(`# ${line}`);
			console.log(`not ok ${number} - ${name} ${seconds()}`);
		}
	}
	await finish();
	process.exitCode = failed ? 1 : 0;
}

/** Ends what atEnd was told of; run does that itself. */
export async function finish() {
	for (const f of cleanups.reverse())
		await f().catch(error => console.log(`# at the end: ${error}`));
}

function cannot() {
	if (!fs.existsSync(CHROMIUM))
		return `${CHROMIUM} is not there: apt-get install chromium`;
	if (!fs.existsSync(path.join(SOURCE, 'node_modules/playwright-core')))
		return `no playwright-core: npm ci --ignore-scripts in ${SOURCE}`;
	return null;
}

/** An origin (and, when `kind` is "full", two edges) running: {url, edges: {name: url}, library, tell(command)}. */
export async function startSystem(kind) {
	const child = spawn('python3', [path.join(SOURCE, 't/lib/browser_system.py'), kind],
		{stdio: ['pipe', 'pipe', 'pipe'], env: {...process.env, RIBERA_BUILD: BUILD, RIBERA_SOURCE: SOURCE}});
	const lines = readline.createInterface({input: child.stdout})[Symbol.asyncIterator]();
	let words = '';
	child.stderr.on('data', d => { words += d; });
	const ended = new Promise(resolve => child.once('close', resolve));
	atEnd(async () => {
		child.stdin.end();
		await ended;
	});
	const next = async () => {
		const {value, done} = await lines.next();
		check(!done, `the system did not come up: ${words.slice(-3000)}`);
		return JSON.parse(value);
	};
	const system = await next();
	system.tell = async command => {
		child.stdin.write(command + '\n');
		return next();
	};
	return system;
}

let chromium; // one process for all: what is whose is kept apart by contexts

/** A browser of its own, nothing kept from before, nothing shared with others; `options` are playwright's for a context. */
export async function startBrowser(options = {}) {
	const playwright = await import(path.join(SOURCE, 'node_modules/playwright-core/index.mjs'));
	if (!chromium) {
		chromium = await playwright.chromium.launch({executablePath: CHROMIUM, headless: true, args: FLAGS});
		atEnd(() => chromium.close());
	}
	return chromium.newContext({viewport: {width: 1280, height: 800}, locale: 'en-GB', ...options});
}

/** A page that keeps `requests` (addresses), `complaints` (console errors, exceptions, CSP) and `answers` of media. */
export async function openPage(context, url) {
	const page = await context.newPage();
	page.setDefaultTimeout(15000);
	Object.assign(page, {requests: [], complaints: [], media: []});
	opened.push(page);
	page.on('request', r => page.requests.push(r.url()));
	page.on('console', m => { if (m.type() === 'error') page.complaints.push(`${m.text()} ${m.location().url}`); });
	page.on('pageerror', e => page.complaints.push(String(e)));
	page.on('response', r => { if (/\.mp4(\?|$)/.test(r.url())) page.media.push({url: r.url(), status: r.status()}); });
	await page.goto(url);
	return page;
}

/** The address of a page with an empty video element, for players that are not ours. */
export async function emptySite() {
	const server = http.createServer((request, answer) => {
		answer.setHeader('content-type', 'text/html');
		answer.end('<!DOCTYPE html><link rel="icon" href="data:,"><video muted></video>');
	});
	await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
	atEnd(async () => server.close());
	return `http://127.0.0.1:${server.address().port}/`;
}

/** Every request of the page went to one of our programs, and nothing was complained about. */
export function checkClean(page, system, allowed = () => false) {
	const ours = [system.url, ...Object.values(system.edges)].map(u => new URL(u).origin);
	const foreign = page.requests.filter(u => !/^(blob|data):/.test(u) && !ours.includes(new URL(u).origin));
	equal(foreign, [], 'requests to others');
	equal(page.complaints.filter(c => !allowed(c)), [], 'complaints');
}

export const stats = page => page.evaluate(() => window.ribera?.stats() ?? null);
export const state = page => page.evaluate(() => document.querySelector('video')?.dataset.state);

let site; // of all players

/** A player that nobody here wrote, on a page of another site (so every answer must allow strangers): `script` is its file
 *  below node_modules, and start(arg) is run in the page, where it finds window.video and window.errors to add to.
 *  The video's pauses for bytes are counted in window.stalls. */
export async function openPlayer(context, script, start, arg) {
	const page = await openPage(context, await (site ??= emptySite()));
	await page.addScriptTag({path: path.join(SOURCE, 'node_modules', script)});
	await page.evaluate(() => {
		window.errors = [];
		window.stalls = 0;
		window.video = document.querySelector('video');
		window.video.addEventListener('waiting', () => { window.stalls += window.video.currentTime > 1 && !window.video.seeking; });
	});
	await page.evaluate(start, arg);
	return page;
}

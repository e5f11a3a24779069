// SPDX-License-Identifier: GPL-3.0-or-later
//
// The choice of edge alone: order, penalties and their ends, with a clock of the test's own.
import path from 'node:path';
import {SOURCE, check, equal, run, test} from '../lib/browser.mjs';

const {Pathways} = await import(path.join(SOURCE, 'origin/www/pathways.js'));
const A = 'http://a/v/x/', B = 'http://b/v/x/', O = 'http://o/v/x/';

function three() {
	const moves = [], clock = {ms: 0};
	const p = new Pathways({now: () => clock.ms, on_move: (from, to) => moves.push(`${from?.name ?? '-'}>${to.name}`)});
	p.setPlaces([{url: A, serviceLocation: 'a'}, {url: B, serviceLocation: 'b'}, {url: O, serviceLocation: 'origin'}]);
	/** One request for `url` as dash.js makes it, answered with `status`; where it went. */
	const ask = (url, status) => {
		const r = p.request({url});
		p.response({request: r, status, data: new ArrayBuffer(status === 206 ? 10 : 0)});
		return r.url;
	};
	return {p, moves, clock, ask};
}

test('stays with the first place while it answers', () => {
	const {ask, moves} = three();
	for (let i = 0; i < 5; i++)
		equal(ask(A + 'video.mp4?CMCD=x', 206), A + 'video.mp4?CMCD=x', 'asked');
	equal(moves, ['->a'], 'moves');
});

test('a failure sends the very next request elsewhere, file and query unchanged', () => {
	for (const status of [0, 404, 500, 503]) {
		const {ask, moves} = three();
		ask(A + 'v.mp4', 206);
		equal(ask(A + 'v.mp4?CMCD=y', status), A + 'v.mp4?CMCD=y', 'first');
		equal(ask(A + 'v.mp4?CMCD=y', 206), B + 'v.mp4?CMCD=y', 'then');
		equal(moves, ['->a', 'a>b'], 'moves');
	}
});

test('comes back to a better place after its penalty, which doubles each time and ends with a success', () => {
	const {ask, clock} = three();
	ask(A + 'v', 0);
	clock.ms = 14999;
	equal(ask(A + 'v', 206), B + 'v', 'within the penalty');
	clock.ms = 15000;
	equal(ask(A + 'v', 0), A + 'v', 'after it');
	clock.ms = 15000 + 29999;
	equal(ask(A + 'v', 206), B + 'v', 'within twice the penalty');
	clock.ms = 15000 + 30000;
	equal(ask(A + 'v', 206), A + 'v', 'after it');
	ask(A + 'v', 0);
	clock.ms += 15000;
	equal(ask(A + 'v', 206), A + 'v', 'a success has made it short again');
});

test('when all have failed, asks the one that is free first, and again the others as they become free', () => {
	const {ask, clock} = three();
	ask(A + 'v', 0);
	clock.ms = 10;
	ask(A + 'v', 0);
	clock.ms = 20;
	ask(A + 'v', 0);
	equal(ask(A + 'v', 0), A + 'v', 'first to be free');
	equal(ask(A + 'v', 0), B + 'v', 'then');
});

test('a body that is shorter than its headers say is a failure, to dash.js as well', () => {
	const {p, ask} = three();
	const answer = (bytes, range) => p.response({request: p.request({url: A + 'v.mp4'}), status: 206, data: new ArrayBuffer(bytes), headers: range ? {'content-range': range} : {}});
	equal(answer(100, 'bytes 900-999/5000').status, 206, 'whole');
	equal(answer(100).status, 206, 'of unknown length');
	equal(p.report()[0].failures, 0, 'failures');
	equal(answer(96, 'bytes 900-999/5000').status, 0, 'cut');
	equal(p.report()[0].failures, 1, 'failures');
	equal(ask(A + 'v.mp4', 206), B + 'v.mp4', 'then');
});

test('leaves alone what is of no place, and a place dash.js was steered to', () => {
	const {ask} = three();
	equal(ask('http://o/v/x.mpd', 200), 'http://o/v/x.mpd', 'manifest');
	equal(ask(B + 'v', 206), B + 'v', 'steered');
});

test('keeps what it knows when the manifest comes again', () => {
	const {p, ask} = three();
	ask(A + 'v', 0);
	p.setPlaces([{url: A, serviceLocation: 'a'}, {url: O, serviceLocation: 'origin'}, {url: 'relative/', serviceLocation: 'r'}]);
	equal(ask(A + 'v', 206), O + 'v', 'asked');
	equal(p.report().map(x => x.name), ['a', 'origin'], 'places');
});

test('says how long nothing has been under way', () => {
	const {p, clock} = three();
	const r = p.request({url: A + 'v'});
	clock.ms = 5000;
	equal(p.idle(), 0, 'while it waits');
	p.response({request: r, status: 206});
	clock.ms = 7000;
	equal(p.idle(), 2000, 'afterwards');
	p.request({url: A + 'v'});
	clock.ms = 7000 + 26000;
	check(p.idle() > 25000, 'a request that never ends blocks for good');
});

await run();

// SPDX-License-Identifier: GPL-3.0-or-later
//
// The control API as the operators' page speaks it: a bearer token where one is needed, kept for this tab only, errors
// as ApiError with the server's own words, and the events as they come.
import {ApiError} from './api.js';

const PATIENCE_MS = 15000;
const TOKEN = 'ribera.token';

let token = null;
try {
	token = sessionStorage.getItem(TOKEN);
} catch { /* lasts for this page only */ }

/** Takes a token for everything from here on; null forgets it. */
export function setToken(text) {
	token = text;
	try {
		if (text === null)
			sessionStorage.removeItem(TOKEN);
		else
			sessionStorage.setItem(TOKEN, text);
	} catch { /* as above */ }
}

export const hasToken = () => token !== null;

const fields = () => token === null ? {} : {authorization: `Bearer ${token}`};

async function failure(answer) {
	let words = '';
	try {
		const problem = await answer.json();
		words = problem.detail ?? problem.title ?? '';
	} catch { /* not a problem document */ }
	const e = new ApiError(answer.status === 401 ? 'token_needed' : 'control_status', answer.status);
	e.words = words;
	return e;
}

/** The answer itself, its body unread; `body` is sent as it is. */
export async function send(path, method, body, fields_of_it) {
	let answer;
	try {
		answer = await fetch(path, {method, body, headers: {...fields(), ...fields_of_it}, cache: 'no-store', signal: AbortSignal.timeout(8 * PATIENCE_MS)});
	} catch {
		throw new ApiError('control_down');
	}
	if (!answer.ok)
		throw await failure(answer);
	return answer;
}

/** The answer's JSON (null when it has no body). `body`: sent as JSON. */
export async function ask(path, method = 'GET', body = undefined, more = {}) {
	let answer;
	try {
		answer = await fetch(path, {method, headers: {accept: 'application/json', ...fields(), ...(body === undefined ? {} : {'content-type': 'application/json'}), ...more},
			body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store'});
	} catch {
		throw new ApiError('control_down');
	}
	if (!answer.ok)
		throw await failure(answer);
	try {
		return answer.status === 204 ? null : await answer.json();
	} catch {
		throw new ApiError('control_unreadable', answer.status);
	}
}

/** All pages of a list: `name` is the field that holds it. */
export async function askAll(path, name) {
	const all = [];
	let after = null, first = null;
	do {
		const page = await ask(`${path}?limit=1000` + (after === null ? '' : `&after=${encodeURIComponent(after)}`));
		if (!Array.isArray(page[name]) || (page.next && page.next === after))
			throw new ApiError('control_unreadable');
		first ??= page;
		all.push(...page[name]);
		after = page.next ?? null;
	} while (after !== null);
	return {...first, [name]: all};
}

/** What the origin says of itself: null when it is well, else its words. */
export async function health() {
	let answer;
	try {
		answer = await fetch('/healthz', {signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store'});
	} catch {
		throw new ApiError('control_down');
	}
	return answer.ok ? null : (await answer.text()).trim();
}

/** Server-sent events, one after the other: {id, event, data}. */
async function* messages(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '', message = {};
	for (;;) {
		const {value, done} = await reader.read();
		if (done)
			return;
		const lines = (rest + value).split(/\r\n|\r|\n/);
		rest = lines.pop();
		for (const line of lines) {
			const colon = line.indexOf(':');
			const name = colon < 0 ? line : line.slice(0, colon);
			const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
			if (line === '') {
				if (message.data !== undefined)
					yield message;
				message = {};
			} else if (name === 'data') {
				message.data = message.data === undefined ? text : `${message.data}\n${text}`;
			} else if (name !== '') {
				message[name] = text;
			}
		}
	}
}

const pause = (ms, signal) => new Promise(resolve => {
	const timer = setTimeout(resolve, ms);
	signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, {once: true});
});

/**
 * Follows /api/v1/events until `signal`, taking up after the last one seen when the line breaks: `on_event({id, event,
 * data: object})`, `on_state(true or false)`.  EventSource cannot send a token, so this reads the stream itself.
 */
export async function follow(on_event, on_state, signal) {
	let last = null, wait = 1000;
	while (!signal.aborted) {
		try {
			const answer = await fetch('/api/v1/events', {signal, cache: 'no-store', headers: {accept: 'text/event-stream', ...fields(), ...(last === null ? {} : {'last-event-id': last})}});
			if (!answer.ok)
				throw await failure(answer);
			on_state(true);
			wait = 1000;
			for await (const m of messages(answer.body)) {
				last = m.id ?? last;
				let data = null;
				try {
					data = JSON.parse(m.data);
				} catch { /* said by name only */ }
				on_event({id: m.id, event: m.event ?? 'message', data});
			}
		} catch { /* again, below */ }
		on_state(false);
		await pause(wait, signal);
		wait = Math.min(30000, wait * 2);
	}
}

// SPDX-License-Identifier: GPL-3.0-or-later
//
// One film playing in one <video>: dash.js with the settings our packages want, the choice of edge, errors sorted
// into kinds that can be told to people, and the numbers of the statistics.  Knows nothing of the page around it.
//
// Events: "state" (video.dataset.state has changed), "tracks" (what there is to choose), "quality", "fail" (detail
// {key, status, again}: `again` is whether waiting can help).
import {memory} from './dom.js';
import {Pathways} from './pathways.js';

const STUCK_MS = 4000;
const LINE_MEMORY_MS = 3600e3;
const SCRIPT = '/www/dash.mediaplayer.min.js';

const SETTINGS = {
	debug: {logLevel: 1},
	streaming: {
		// Two or more places serve the same bytes: ask the next one soon instead of the same one for long.  A place
		// that hangs is left while half of the buffer is there; what is merely slow, dash.js abandons before that.
		fragmentRequestTimeout: 10000,
		retryIntervals: {MPD: 1000, MediaSegment: 250, InitializationSegment: 250, IndexSegment: 250},
		retryAttempts: {MPD: 3, MediaSegment: 6, InitializationSegment: 6, IndexSegment: 6},
		blacklistExpiryTime: 30,
		buffer: {
			fastSwitchEnabled: false, // what was paid for is shown; a choice by hand replaces it
			bufferTimeDefault: 24, bufferTimeAtTopQuality: 30, bufferTimeAtTopQualityLongForm: 30, bufferToKeep: 20,
		},
		// A rendition is one file: what the browser noted of its URL's first transfer is the index's time, not a segment's.
		abr: {throughput: {useResourceTimingApi: false}},
		gaps: {jumpLargeGaps: false}, // a hole is loaded again (unstick), not skipped
		text: {defaultEnabled: false},
		// The clock of a static film is nobody's business, least of all an outside server's.
		utcSynchronization: {enabled: false, enableBackgroundSyncAfterSegmentDownloadError: false,
			defaultTimingSource: {scheme: '', value: ''}},
		cmcd: {enabled: true, version: 1, mode: 'query', includeInRequests: ['segment']},
	},
};

let script = null;

/** Loads dash.js once; rejects where it is not installed.  A later call tries again. */
export function loadScript() {
	script ??= new Promise((resolve, reject) => {
		const e = document.createElement('script');
		e.src = SCRIPT;
		e.onload = () => window.dashjs ? resolve(window.dashjs) : reject(new Error('not dash.js'));
		e.onerror = () => { e.remove(); reject(new Error('not there')); };
		document.head.append(e);
	}).catch(error => { script = null; throw error; });
	return script;
}

/** kbit/s to begin with: half of what the line gave for the player's script a moment ago, or for the last film within
 * the hour, so that a fast line does not begin with a blurred picture and a slow one not with a long wait.
 * -1 (dash.js's own default) when neither is known. */
function firstGuess() {
	const load = performance.getEntriesByName(new URL(SCRIPT, location.href).href)[0];
	const [line, at] = (memory.get('line') ?? '').split(' ').map(Number);
	let kbits = -1;
	if (line > 0 && Date.now() - at < LINE_MEMORY_MS)
		kbits = line;
	else if (load?.transferSize > 100e3)
		kbits = 8 * load.transferSize / Math.max(1, load.responseEnd - load.requestStart);
	return kbits > 0 ? Math.min(10000, Math.max(300, kbits / 2)) : -1;
}

/** Kinds of dash.js errors (its codes) -> what is said, and whether trying again by itself makes sense. */
function sort(error) {
	const status = error.data?.response?.status ?? 0;
	if (error.code === undefined || error.data?.request?.type === 'ContentSteering')
		return null; // the steering server is away: playback goes on with what it knows
	switch (error.code) {
	case 25: case 11:
		return status ? {key: 'manifest_missing', status, again: false} : {key: 'manifest_down', status, again: true};
	case 10: case 31: case 34:
		return {key: 'manifest_bad', status, again: false};
	case 15: case 17: case 19: case 26: case 27: case 28:
		return {key: 'media_down', status, again: true};
	case 23:
		return {key: 'no_mse', status, again: false};
	case 32: case 35:
		return {key: 'codec', status, again: false};
	case 12: case 16: case 29: case 33:
		return null; // playback does without
	default:
		return {key: 'media_bad', status, again: false};
	}
}

export class Film extends EventTarget {
	/** `captions`: an element over the picture for subtitles that are not the browser's own (TTML) */
	constructor(video, captions) {
		super();
		this.video = video;
		this.captions = captions;
		this.pathways = new Pathways({on_move: (from, to) => { if (from) this.counts.moves++; }});
		this.counts = {switches: 0, stalls: 0, moves: 0, failures: 0, unstuck: 0};
		this.shown = null;       // the video Representation on the screen
		this.failure = null;     // waits until the buffer is empty
		this.begun = false;
		this.sheets = new Map(); // address of a sheet of thumbnails -> promise of its blob's address
		this.player = null;
		this.abort = new AbortController();
		this.watchVideo();
		this.setState('loading');
		this.timer = setInterval(() => this.unstick(), 1000);
	}

	setState(state) {
		if (this.video.dataset.state === state)
			return;
		this.video.dataset.state = state;
		this.dispatchEvent(new Event('state'));
	}

	/** Nothing is left to play. A browser may stop at the last picture and not say `ended`, when the position was set just before it. */
	atEnd() {
		const v = this.video;
		return v.ended || (this.begun && !v.seeking && v.currentTime > 0 && v.currentTime >= v.duration);
	}

	watchVideo() {
		const v = this.video, signal = this.abort.signal;
		const on = (type, f) => v.addEventListener(type, f, {signal});
		on('playing', () => { this.begun = true; this.setState('playing'); });
		on('pause', () => { if (v.dataset.state !== 'error') this.setState(this.atEnd() ? 'ended' : this.begun ? 'paused' : 'ready'); });
		on('ended', () => this.setState('ended'));
		window.addEventListener('pagehide', () => this.remember(), {signal});
		on('waiting', () => {
			if (this.begun && !v.seeking && !v.ended)
				this.counts.stalls++;
			if (v.dataset.state !== 'error')
				this.setState('waiting');
			this.tellFailure();
		});
		on('canplay', () => { if (v.paused && v.dataset.state !== 'error' && !this.atEnd()) this.setState(this.begun ? 'paused' : 'ready'); });
		on('seeking', () => { if (v.dataset.state === 'ended') this.setState(v.paused ? 'paused' : 'waiting'); });
	}

	/** Starts loading `manifest` at `start` seconds (null: the beginning); plays when it may. */
	async open(manifest, title, start) {
		this.manifest = new URL(manifest, location.href).href;
		let dashjs;
		try {
			dashjs = await loadScript();
		} catch {
			this.fail({key: 'script_missing', status: 0, again: false});
			return;
		}
		if (this.abort.signal.aborted)
			return;
		if (!window.MediaSource && !window.ManagedMediaSource) {
			this.fail({key: 'no_mse', status: 0, again: false});
			return;
		}
		const player = this.player = dashjs.MediaPlayer().create();
		const events = dashjs.MediaPlayer.events;
		player.initialize();
		player.updateSettings(SETTINGS);
		player.updateSettings({streaming: {abr: {initialBitrate: {video: firstGuess()}}}});
		player.updateSettings({streaming: {cmcd: {cid: title.slice(0, 64)}}});
		player.addRequestInterceptor(async r => this.pathways.request(r));
		player.addResponseInterceptor(async r => this.pathways.response(r));
		player.on(events.BASE_URLS_UPDATED, e => this.pathways.setPlaces(e.baseUrls ?? []));
		player.on(events.ERROR, e => this.onError(e.error));
		player.on(events.STREAM_INITIALIZED, () => {
			this.failure = null;
			this.dispatchEvent(new Event('tracks'));
			if (this.wants_play)
				this.play();
		});
		player.on(events.TEXT_TRACKS_ADDED, () => this.dispatchEvent(new Event('tracks')));
		player.on(events.QUALITY_CHANGE_RENDERED, e => {
			if (e.mediaType !== 'video')
				return;
			if (this.shown)
				this.counts.switches++;
			this.shown = e.newRepresentation ?? null;
			this.dispatchEvent(new Event('quality'));
		});
		player.setAutoPlay(false);
		player.attachView(this.video);
		player.attachTTMLRenderingDiv(this.captions);
		this.wants_play = true;
		player.attachSource(this.manifest, start ?? NaN);
	}

	/** Loads everything anew, at the place where it stopped. */
	again() {
		const at = this.begun || this.video.currentTime > 0 ? this.video.currentTime : NaN;
		this.failure = null;
		this.shown = null;
		this.pathways.pardon();
		this.wants_play = true;
		this.setState('loading');
		this.player.attachSource(this.manifest, at);
	}

	/**
	 * dash.js can lose a segment when seeks come fast after each other: it believes to have it, asks for nothing
	 * and waits for good.  Then everything is loaded anew, at the same place.
	 */
	unstick() {
		const v = this.video;
		if (this.player && v.dataset.state === 'waiting' && !v.paused && this.ahead() < 0.1 && this.pathways.idle() > STUCK_MS) {
			this.counts.unstuck++;
			this.again();
		}
	}

	/** Seconds that can be played from here on without another byte. */
	ahead() {
		const {buffered, currentTime: now} = this.video;
		for (let i = 0; i < buffered.length; i++)
			if (buffered.start(i) <= now + 0.25 && buffered.end(i) > now)
				return buffered.end(i) - now;
		return 0;
	}

	onError(error) {
		const failure = sort(error);
		if (!failure)
			return;
		this.counts.failures++;
		this.failure = failure;
		if (!failure.again || this.ahead() < 0.5)
			this.tellFailure();
	}

	/** A film is not interrupted for an error while there is something to show. */
	tellFailure() {
		if (this.failure && this.video.dataset.state !== 'error')
			this.fail(this.failure);
	}

	fail(failure) {
		this.failure = failure;
		this.setState('error');
		this.dispatchEvent(new CustomEvent('fail', {detail: failure}));
	}

	async play() {
		this.wants_play = true;
		try {
			await this.video.play();
		} catch {
			// not allowed without a gesture: the play button waits
			if (this.video.paused && this.video.dataset.state !== 'error')
				this.setState(this.begun ? 'paused' : 'ready');
		}
	}

	pause() {
		this.wants_play = false;
		this.video.pause();
	}

	/** Video representations, best first: [{id, width, height, bitrate}] */
	qualities() {
		const list = this.player?.getRepresentationsByType('video') ?? [];
		return list.map(r => ({id: r.id, width: r.width, height: r.height, bitrate: r.bandwidth})).sort((a, b) => b.bitrate - a.bitrate);
	}

	/** null: automatic */
	setQuality(id) {
		this.player.updateSettings({streaming: {abr: {autoSwitchBitrate: {video: id === null}}}});
		if (id !== null)
			this.player.setRepresentationForTypeById('video', id, true);
		this.quality = id;
	}

	audioTracks() {
		const tracks = this.player?.getTracksFor('audio') ?? [];
		const current = this.player?.getCurrentTrackFor('audio');
		return tracks.map(track => ({track, lang: track.lang, label: track.labels?.[0]?.text ?? null,
			channels: Number(track.audioChannelConfiguration?.[0]?.value) || null,
			current: track.index === current?.index && track.id === current?.id}));
	}

	setAudio(track) {
		this.player.setCurrentTrack(track);
	}

	textTracks() {
		const tracks = this.player?.getTracksFor('text') ?? [];
		return tracks.map((track, index) => ({index, lang: track.lang, label: track.labels?.[0]?.text ?? null}));
	}

	/** -1: none */
	setText(index) {
		this.text = index;
		this.player.setTextTrack(index);
	}

	/** The small picture of a time: {url, x, y, width, height}, a cut-out of a sheet; null where there is none. */
	async thumbnail(seconds) {
		const found = await new Promise(resolve => {
			try {
				this.player.provideThumbnail(seconds, resolve);
			} catch { // not ready, or no such track
				resolve(null);
			}
		});
		if (!found)
			return null;
		// Sheets come from edges; as blobs they are the page's own, and its policy for pictures stays strict.
		const sheet = this.sheets.get(found.url) ?? fetch(found.url).then(r => r.ok ? r.blob() : null).then(b => b && URL.createObjectURL(b)).catch(() => null);
		this.sheets.set(found.url, sheet);
		const url = await sheet;
		if (!url)
			this.sheets.delete(found.url); // asked for again another time
		return url && !this.abort.signal.aborted ? {...found, url} : null;
	}

	/** The line's speed, for the next film's first picture. */
	remember() {
		const line = this.begun && this.player ? this.player.getAverageThroughput('video') : NaN;
		if (line > 0)
			memory.set('line', `${Math.round(line)} ${Date.now()}`);
	}

	/** Everything the statistics show; bits per second, seconds, pixels. */
	stats() {
		const v = this.video, p = this.player;
		const quality = v.getVideoPlaybackQuality?.() ?? {};
		const ready = p && this.begun;
		const video = this.shown ?? (ready ? p.getCurrentRepresentationForType('video') : null);
		const audio = ready ? p.getCurrentRepresentationForType('audio') : null;
		const throughput = ready ? p.getAverageThroughput('video') : NaN;
		const places = this.pathways.report();
		return {
			state: v.dataset.state, time: v.currentTime, duration: v.duration, paused: v.paused,
			buffer: this.ahead(),
			picture: {width: v.videoWidth, height: v.videoHeight},
			video: video && {id: video.id, width: video.width, height: video.height, bitrate: video.bandwidth, codecs: video.codecs, frame_rate: video.frameRate},
			audio: audio && {id: audio.id, bitrate: audio.bandwidth, codecs: audio.codecs},
			auto: (this.quality ?? null) === null,
			throughput: Number.isFinite(throughput) && throughput > 0 ? throughput * 1000 : null,
			dropped: quality.droppedVideoFrames ?? 0, frames: quality.totalVideoFrames ?? 0,
			edge: places.find(x => x.current) ?? null, places, ...this.counts,
		};
	}

	close() {
		this.remember();
		clearInterval(this.timer);
		this.abort.abort();
		for (const sheet of this.sheets.values())
			sheet.then(url => url && URL.revokeObjectURL(url));
		this.player?.destroy();
		this.player = null;
	}
}

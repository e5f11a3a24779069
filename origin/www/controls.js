// SPDX-License-Identifier: GPL-3.0-or-later
//
// The controls under the picture: buttons, position, settings, keyboard.  Native inputs throughout, so that they
// work with a screen reader as they are; the position is a range input that speaks in times.
import {dress, el, memory} from './dom.js';
import {Preview} from './preview.js';
import {bitrate, clock, languageName, number, t} from './strings.js';

const HIDE_MS = 2800;
const STEP_S = 5;
const SEEK_PAUSE_MS = 200;
const SEEK_PATIENCE_MS = 3000;
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** "1080p · 5.8 Mb/s" */
const qualityName = q => `${Math.min(q.width, q.height) || q.height}p · ${bitrate(q.bitrate)}`;

function audioName(track, i) {
	const name = track.label ?? (track.lang && track.lang !== 'und' ? languageName(track.lang) : t('track', {n: i + 1}));
	const layout = {1: t('channels_one'), 2: t('channels_two'), 6: '5.1', 8: '7.1'};
	return track.channels ? `${name} · ${layout[track.channels] ?? t('channels', {n: track.channels})}` : name;
}

export class Controls {
	/** `stage` holds the picture and gets the controls; `extra` are buttons of the view's own. */
	constructor(film, stage, actions) {
		this.film = film;
		this.stage = stage;
		this.video = film.video;
		this.actions = actions;
		this.abort = new AbortController();
		this.build();
		this.restoreSound();
		this.watch();
		this.relabel();
	}

	build() {
		const button = (id, f) => el('button', {type: 'button', class: 'control', id, on: {click: f}});
		this.play = button('play', () => this.togglePlay());
		this.mute = button('mute', () => this.toggleMute());
		this.volume = el('input', {type: 'range', min: '0', max: '1', step: '0.05', class: 'volume', on: {input: () => this.setVolume(Number(this.volume.value))}});
		this.time = el('span', {class: 'time', 'aria-hidden': 'true'});
		this.seek = el('input', {type: 'range', min: '0', max: '0', step: '0.1', value: '0', class: 'seek', id: 'seek', on: {
			input: () => { this.scrubbing = true; this.drawTime(Number(this.seek.value)); this.preview.show(Number(this.seek.value)); },
			change: () => { this.scrubbing = false; this.preview.hide(); this.seekTo(Number(this.seek.value)); },
		}});
		this.preview = new Preview(this.film, this.seek);
		this.statistics = button('statistics', () => this.toggleStatistics());
		this.share = button('share', () => this.actions.share());
		this.keys = button('keys', () => this.help());
		this.settings = button('settings', () => this.toggleSettings());
		this.full = button('full', () => this.toggleFull());
		this.big = el('button', {type: 'button', class: 'big', id: 'big', on: {click: () => this.togglePlay()}});
		this.spinner = el('span', {class: 'spinner', 'aria-hidden': 'true'});
		this.panel = el('div', {class: 'panel', id: 'panel', hidden: true});
		this.settings.setAttribute('aria-controls', 'panel');
		this.row = el('div', {class: 'row'}, this.play, this.mute, this.volume, this.time, el('span', {class: 'gap'}),
			this.statistics, this.share, this.keys, this.settings, this.full);
		this.bar = el('div', {class: 'controls'}, this.preview.element, this.seek, this.row);
		this.dialog = el('dialog', {class: 'help', id: 'help'});
		this.stage.append(this.spinner, this.big, this.panel, this.bar, this.dialog);
	}

	watch() {
		const signal = this.abort.signal, v = this.video;
		const on = (target, types, f) => types.split(' ').forEach(type => target.addEventListener(type, f, {signal}));
		on(this.film, 'state', () => this.drawState());
		on(this.film, 'tracks', () => this.drawPanel());
		on(this.film, 'quality', () => this.drawQuality());
		on(v, 'timeupdate durationchange progress seeked', () => this.drawTime());
		on(v, 'volumechange', () => this.drawSound());
		on(v, 'click', () => this.onPicture());
		on(v, 'dblclick', () => this.toggleFull());
		on(document, 'fullscreenchange', () => this.drawFull());
		on(document, 'keydown', e => this.onKey(e));
		on(document, 'pointerdown', e => {
			if (!this.panel.hidden && !this.panel.contains(e.target) && !this.settings.contains(e.target))
				this.toggleSettings(false);
		});
		on(this.stage, 'pointermove pointerdown focusin', e => { this.touch = e.pointerType === 'touch'; this.wake(); });
	}

	/** Controls are there while something moves, nothing plays or something in them has the keyboard. */
	wake() {
		this.stage.classList.remove('idle');
		clearTimeout(this.timer);
		this.timer = setTimeout(() => {
			const busy = this.video.paused || !this.panel.hidden || this.bar.querySelector(':focus-visible') || this.scrubbing;
			this.stage.classList.toggle('idle', !busy);
		}, HIDE_MS);
	}

	onPicture() {
		if (this.touch)
			return; // a tap shows the controls; the buttons do the rest
		this.togglePlay();
	}

	togglePlay() {
		const v = this.video;
		if (v.dataset.state === 'error')
			return;
		if (this.film.atEnd())
			v.currentTime = 0;
		if (v.paused || v.ended)
			this.film.play();
		else
			this.film.pause();
	}

	restoreSound() {
		const volume = Number.parseFloat(memory.get('volume'));
		if (volume >= 0 && volume <= 1)
			this.video.volume = volume;
		this.video.muted = memory.get('muted') === '1';
	}

	setVolume(volume) {
		this.video.volume = Math.min(1, Math.max(0, volume));
		this.video.muted = this.video.volume === 0;
		memory.set('volume', this.video.volume);
		memory.set('muted', this.video.muted ? '1' : '0');
	}

	toggleMute() {
		this.video.muted = !this.video.muted;
		memory.set('muted', this.video.muted ? '1' : '0');
	}

	toggleStatistics() {
		const shown = this.actions.statistics();
		this.statistics.setAttribute('aria-pressed', shown);
	}

	toggleFull() {
		if (document.fullscreenElement)
			document.exitFullscreen();
		else if (this.stage.requestFullscreen)
			this.stage.requestFullscreen().catch(() => {});
		else
			this.video.webkitEnterFullscreen?.();
	}

	seekBy(seconds) {
		this.seekTo((this.target ?? this.video.currentTime) + seconds);
	}

	/** Presses in a row become one jump: dash.js does not like to be interrupted while it seeks. */
	seekTo(seconds) {
		const v = this.video;
		if (!Number.isFinite(v.duration))
			return;
		this.target = Math.min(Math.max(0, seconds), v.duration);
		this.drawTime(this.target);
		clearTimeout(this.jump);
		const since = performance.now();
		const go = () => {
			if (v.seeking && performance.now() - since < SEEK_PATIENCE_MS) {
				this.jump = setTimeout(go, SEEK_PAUSE_MS);
				return;
			}
			v.currentTime = this.target;
			this.target = null;
		};
		this.jump = setTimeout(go, SEEK_PAUSE_MS);
	}

	toggleText() {
		const tracks = this.film.textTracks();
		if (!tracks.length)
			return;
		this.film.setText((this.film.text ?? -1) >= 0 ? -1 : 0);
		this.drawPanel();
	}

	onKey(event) {
		const target = event.target;
		if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || this.dialog.open)
			return;
		if (event.key === 'Escape' && !this.panel.hidden) {
			this.toggleSettings(false);
			this.settings.focus();
			return;
		}
		const typing = target instanceof HTMLInputElement && !['range', 'radio', 'checkbox', 'button'].includes(target.type);
		if (typing)
			return;
		const own = target instanceof HTMLElement && target.matches('button, a, summary, input[type=radio], input[type=checkbox]');
		const arrows = target instanceof HTMLInputElement && target !== this.seek; // radios and volume keep theirs
		const act = {
			' ': own ? null : () => this.togglePlay(),
			k: () => this.togglePlay(),
			ArrowLeft: arrows ? null : () => this.seekBy(-STEP_S),
			ArrowRight: arrows ? null : () => this.seekBy(STEP_S),
			ArrowUp: arrows ? null : () => this.setVolume(this.video.volume + 0.1),
			ArrowDown: arrows ? null : () => this.setVolume(this.video.volume - 0.1),
			f: () => this.toggleFull(),
			m: () => this.toggleMute(),
			c: () => this.toggleText(),
			i: () => this.toggleStatistics(),
			n: this.actions.next() ? () => { location.hash = this.actions.next(); } : null,
			'?': () => this.help(),
		}[event.key.length === 1 ? event.key.toLowerCase() : event.key] ??
			(/^[0-9]$/.test(event.key) ? () => this.seekTo(this.video.duration * Number(event.key) / 10) : null);
		if (!act)
			return;
		event.preventDefault();
		act();
		this.wake();
	}

	help() {
		const rows = [[t('key_name_space'), 'space'], ['← →', 'arrows'], ['↑ ↓', 'updown'], ['0 … 9', 'numbers'], ['F', 'f'], ['M', 'm'], ['C', 'c'], ['I', 'i'], ...(this.actions.next() ? [['N', 'n']] : []), ['?', 'help']];
		this.dialog.replaceChildren(el('p', {class: 'title', 'aria-hidden': 'true'}, t('keys')),
			el('table', {'aria-label': t('keys')}, el('tbody', {}, ...rows.map(([key, name]) => el('tr', {}, el('th', {scope: 'row'}, el('kbd', {}, key)), el('td', {}, t('key_' + name)))))),
			el('form', {method: 'dialog'}, el('button', {class: 'button', autofocus: true}, t('close'))));
		this.dialog.setAttribute('aria-label', t('keys'));
		this.dialog.showModal();
	}

	toggleSettings(show = this.panel.hidden) {
		if (show)
			this.drawPanel();
		this.panel.hidden = !show;
		this.settings.setAttribute('aria-expanded', show);
		if (show)
			this.panel.querySelector('input:checked')?.focus({focusVisible: false});
		this.wake();
	}

	group(name, title, choices, chosen, choose) {
		return el('fieldset', {}, el('legend', {}, title), ...choices.map(([value, text], i) => {
			const input = el('input', {type: 'radio', name, value: String(value), checked: value === chosen, on: {change: () => choose(value, i)}});
			return el('label', {data: {choice: name}}, input, el('span', {}, text));
		}));
	}

	drawPanel() {
		const film = this.film, held = document.activeElement?.name, groups = [];
		const qualities = film.qualities();
		if (qualities.length) {
			groups.push(this.group('quality', t('quality'), [['auto', t('auto')], ...qualities.map(q => [q.id, qualityName(q)])],
				film.quality ?? 'auto', id => film.setQuality(id === 'auto' ? null : id)));
		}
		const audio = film.audioTracks();
		if (audio.length > 1) {
			groups.push(this.group('audio', t('audio'), audio.map((a, i) => [i, audioName(a, i)]), audio.findIndex(a => a.current),
				i => film.setAudio(audio[i].track)));
		}
		const text = film.textTracks();
		if (text.length) {
			groups.push(this.group('text', t('subtitles'), [[-1, t('off')], ...text.map((x, i) => [i, audioName(x, i)])], film.text ?? -1,
				i => film.setText(i)));
		}
		groups.push(this.group('speed', t('speed'), SPEEDS.map(s => [s, `${number(s, s % 1 ? (s * 2 % 1 ? 2 : 1) : 0)}×`]), this.video.playbackRate,
			s => { this.video.playbackRate = s; }));
		this.panel.replaceChildren(...groups);
		this.drawQuality();
		if (held && !this.panel.hidden)
			this.panel.querySelector(`input[name="${CSS.escape(held)}"]:checked`)?.focus();
	}

	/** "Auto" says what it has chosen. */
	drawQuality() {
		const auto = this.panel.querySelector('[data-choice=quality] span');
		const shown = this.film.shown;
		if (auto)
			auto.textContent = shown ? t('auto_now', {now: `${Math.min(shown.width, shown.height)}p`}) : t('auto');
	}

	drawState() {
		const state = this.video.dataset.state;
		this.stage.dataset.state = state;
		const going = ['playing', 'waiting'].includes(state) && !this.video.paused;
		const [name, label] = state === 'ended' ? ['replay', t('replay')] : going ? ['pause', t('pause')] : ['play', t('play')];
		dress(this.play, name, label);
		dress(this.big, state === 'ended' ? 'replay' : 'play', state === 'ended' ? t('replay') : t('play'));
		this.wake();
	}

	drawTime(at = null) {
		const v = this.video, d = v.duration;
		if (at === null && (this.scrubbing || (this.target ?? null) !== null))
			return;
		at ??= v.currentTime;
		if (Number.isFinite(d) && this.seek.max !== String(d))
			this.seek.max = d;
		this.seek.value = at;
		const share = x => Number.isFinite(d) && d > 0 ? `${Math.min(100, 100 * x / d).toFixed(2)}%` : '0%';
		this.seek.style.setProperty('--played', share(at));
		this.seek.style.setProperty('--loaded', share(v.currentTime + this.film.ahead()));
		this.seek.setAttribute('aria-valuetext', t('position', {at: clock(at), of: clock(d)}));
		this.time.textContent = `${clock(at)} / ${clock(d)}`;
	}

	drawSound() {
		const silent = this.video.muted || this.video.volume === 0;
		dress(this.mute, silent ? 'muted' : 'sound', silent ? t('unmute') : t('mute'));
		this.volume.value = silent ? 0 : this.video.volume;
		this.volume.style.setProperty('--played', `${100 * this.volume.value}%`);
		this.volume.setAttribute('aria-valuetext', `${Math.round(100 * this.volume.value)} %`);
	}

	drawFull() {
		const full = document.fullscreenElement === this.stage;
		dress(this.full, full ? 'unfull' : 'full', full ? t('unfullscreen') : t('fullscreen'));
	}

	relabel() {
		this.drawState();
		this.drawTime();
		this.drawSound();
		this.drawFull();
		dress(this.statistics, 'stats', t('statistics'));
		dress(this.share, 'share', t('share'));
		dress(this.keys, 'keys', t('keys'));
		dress(this.settings, 'settings', t('settings'));
		this.settings.setAttribute('aria-expanded', !this.panel.hidden);
		this.statistics.setAttribute('aria-pressed', this.statistics.getAttribute('aria-pressed') ?? 'false');
		this.seek.setAttribute('aria-label', t('seek'));
		this.volume.setAttribute('aria-label', t('volume'));
		this.panel.setAttribute('aria-label', t('settings'));
		this.panel.setAttribute('role', 'group');
		this.drawPanel();
	}

	close() {
		clearTimeout(this.jump);
		clearTimeout(this.timer);
		this.abort.abort();
	}
}

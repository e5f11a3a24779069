// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every word the page says, in each of its languages, and how it writes numbers and times.  A test holds that all
// languages have the same keys.  {x} is filled in; a key that ends in _one is used when n is 1.
import {memory} from './dom.js';

export const STRINGS = {
	en: {
		language_name: 'English',
		skip: 'Skip to content',
		search: 'Search films',
		to_language: 'Cambiar a español',
		theme_auto: 'Colours: as the system. Switch to light',
		theme_light: 'Colours: light. Switch to dark',
		theme_dark: 'Colours: dark. Switch to the system’s',
		films: 'Films',
		loading: 'Loading …',
		found: '{n} films',
		found_one: '1 film',
		nothing_found: 'No film matches “{q}”.',
		clear_search: 'Show all films',
		more_films: 'Show more films',
		search_long: 'That is too long to search for: use fewer words.',
		empty_title: 'The library is empty',
		empty_text: 'Add the first film with one command on the origin’s machine. It appears here as soon as it is ready.',
		retry: 'Try again',
		api_down: 'The list of films can’t be loaded: the server doesn’t answer.',
		api_status: 'The list of films can’t be loaded: the server answered “{status}”.',
		api_unreadable: 'The list of films can’t be read: the server’s answer makes no sense.',
		back: 'All films',
		film_missing: 'There is no film “{id}” here. It may have been withdrawn.',
		script_missing: 'The player’s script is not installed on this server. Whoever built it: run “npm ci” in the source folder, then “make” again.',
		no_mse: 'This browser can’t play adaptive streams (it has no Media Source Extensions).',
		manifest_missing: 'The film’s manifest is not there (the server answered “{status}”).',
		manifest_down: 'The film can’t be loaded: no server answers.',
		manifest_bad: 'The film’s manifest can’t be understood.',
		media_down: 'No server sends this film at the moment. Trying again by itself in {n} seconds.',
		media_down_one: 'No server sends this film at the moment. Trying again by itself in 1 second.',
		media_bad: 'The picture or sound can’t be decoded by this browser.',
		codec: 'This browser can’t play this film’s video format.',
		now_retrying: 'Trying again …',
		player: 'Video player',
		play: 'Play',
		pause: 'Pause',
		replay: 'Play again',
		seek: 'Position',
		position: '{at} of {of}',
		mute: 'Mute',
		unmute: 'Unmute',
		volume: 'Volume',
		settings: 'Settings',
		quality: 'Quality',
		auto: 'Auto',
		auto_now: 'Auto ({now})',
		audio: 'Audio',
		track: 'Track {n}',
		subtitles: 'Subtitles',
		off: 'Off',
		speed: 'Speed',
		statistics: 'Statistics',
		share: 'Share',
		share_at: 'Start at {at}',
		share_link: 'Link',
		copy: 'Copy',
		tags: 'Tags',
		popular_now: 'Popular now',
		playlist: 'Playlist',
		my_playlist: 'My playlist',
		list_mine: 'My playlist: {n} films',
		list_mine_one: 'My playlist: 1 film',
		list_name: 'Name of the list',
		list_empty: 'Nothing is in this list yet. The “+” on a film puts it here.',
		list_choose: 'Choose films',
		list_play: 'Play all',
		list_share: 'Copy link',
		list_address: 'The address of this page is the link',
		list_keep: 'Make it mine',
		list_add: '{name} in my playlist',
		list_added: '{name} is in the playlist now',
		list_taken: '{name} is no longer in the playlist',
		list_gone: 'no longer here',
		list_up: 'Move {name} up',
		list_down: 'Move {name} down',
		list_remove: 'Take {name} off the list',
		list_moved: '{name} is number {n} now',
		key_n: 'Next film of the list',
		copied: 'Link copied',
		copy_by_hand: 'Press Ctrl+C to copy the link',
		fullscreen: 'Full screen',
		unfullscreen: 'Leave full screen',
		keys: 'Keyboard shortcuts',
		close: 'Close',
		key_name_space: 'Space',
		key_space: 'Play or pause',
		key_arrows: '5 seconds back or on',
		key_updown: 'Louder or quieter',
		key_numbers: 'To 0 % … 90 % of the film',
		key_f: 'Full screen',
		key_m: 'Mute',
		key_c: 'Subtitles',
		key_i: 'Statistics',
		key_help: 'This help',
		channels: '{n} channels',
		channels_one: 'mono',
		channels_two: 'stereo',
		published: 'Published {date}',
		inside: 'What is in the package',
		file: 'File',
		size: 'Size',
		report: 'How it was made: quality, ladder, checks',
		revision: 'Revision',
		stat_picture: 'Picture',
		stat_bitrate: 'Bitrate',
		stat_audio: 'Audio',
		stat_line: 'Line',
		stat_buffer: 'Buffer',
		stat_frames: 'Frames dropped',
		stat_choice: 'Chosen',
		by_hand: 'By hand',
		stat_edge: 'Edge',
		stat_host: 'Server',
		stat_switches: 'Switches · stalls · moves',
		stat_graph: 'The last {n} seconds: line and bitrate in {unit}, buffer in seconds',
		unknown: 'not known yet',
		seconds: '{n} s',
		of: '{n} of {of}',
	},
	es: {
		language_name: 'Español',
		skip: 'Ir al contenido',
		search: 'Buscar películas',
		to_language: 'Switch to English',
		theme_auto: 'Colores: los del sistema. Cambiar a claros',
		theme_light: 'Colores: claros. Cambiar a oscuros',
		theme_dark: 'Colores: oscuros. Cambiar a los del sistema',
		films: 'Películas',
		loading: 'Cargando …',
		found: '{n} películas',
		found_one: '1 película',
		nothing_found: 'Ninguna película coincide con «{q}».',
		clear_search: 'Mostrar todas las películas',
		more_films: 'Mostrar más películas',
		search_long: 'La búsqueda es demasiado larga: usa menos palabras.',
		empty_title: 'La biblioteca está vacía',
		empty_text: 'Añada la primera película con una orden en la máquina del origen. Aparecerá aquí en cuanto esté lista.',
		retry: 'Reintentar',
		api_down: 'No se puede cargar la lista de películas: el servidor no responde.',
		api_status: 'No se puede cargar la lista de películas: el servidor respondió «{status}».',
		api_unreadable: 'No se puede leer la lista de películas: la respuesta del servidor no tiene sentido.',
		back: 'Todas las películas',
		film_missing: 'Aquí no hay ninguna película «{id}». Puede que se haya retirado.',
		script_missing: 'El programa del reproductor no está instalado en este servidor. Quien lo construyó: ejecute «npm ci» en la carpeta de las fuentes y después «make» otra vez.',
		no_mse: 'Este navegador no puede reproducir flujos adaptativos (le faltan las Media Source Extensions).',
		manifest_missing: 'El manifiesto de la película no está (el servidor respondió «{status}»).',
		manifest_down: 'No se puede cargar la película: ningún servidor responde.',
		manifest_bad: 'No se entiende el manifiesto de la película.',
		media_down: 'Ningún servidor envía esta película en este momento. Nuevo intento automático en {n} segundos.',
		media_down_one: 'Ningún servidor envía esta película en este momento. Nuevo intento automático en 1 segundo.',
		media_bad: 'Este navegador no puede descodificar la imagen o el sonido.',
		codec: 'Este navegador no puede reproducir el formato de vídeo de esta película.',
		now_retrying: 'Intentándolo de nuevo …',
		player: 'Reproductor de vídeo',
		play: 'Reproducir',
		pause: 'Pausa',
		replay: 'Volver a ver',
		seek: 'Posición',
		position: '{at} de {of}',
		mute: 'Silenciar',
		unmute: 'Activar el sonido',
		volume: 'Volumen',
		settings: 'Ajustes',
		quality: 'Calidad',
		auto: 'Automática',
		auto_now: 'Automática ({now})',
		audio: 'Sonido',
		track: 'Pista {n}',
		subtitles: 'Subtítulos',
		off: 'No',
		speed: 'Velocidad',
		statistics: 'Estadísticas',
		share: 'Compartir',
		share_at: 'Empezar en {at}',
		share_link: 'Enlace',
		copy: 'Copiar',
		tags: 'Etiquetas',
		popular_now: 'Lo más visto ahora',
		playlist: 'Lista',
		my_playlist: 'Mi lista',
		list_mine: 'Mi lista: {n} películas',
		list_mine_one: 'Mi lista: 1 película',
		list_name: 'Nombre de la lista',
		list_empty: 'Todavía no hay nada en esta lista. El «+» de una película la pone aquí.',
		list_choose: 'Elegir películas',
		list_play: 'Ver todas',
		list_share: 'Copiar enlace',
		list_address: 'La dirección de esta página es el enlace',
		list_keep: 'Hacerla mía',
		list_add: '{name} en mi lista',
		list_added: '{name} ya está en la lista',
		list_taken: '{name} ya no está en la lista',
		list_gone: 'ya no está aquí',
		list_up: 'Subir {name}',
		list_down: 'Bajar {name}',
		list_remove: 'Quitar {name} de la lista',
		list_moved: '{name} es ahora la número {n}',
		key_n: 'Siguiente película de la lista',
		copied: 'Enlace copiado',
		copy_by_hand: 'Pulse Ctrl+C para copiar el enlace',
		fullscreen: 'Pantalla completa',
		unfullscreen: 'Salir de pantalla completa',
		keys: 'Atajos de teclado',
		close: 'Cerrar',
		key_name_space: 'Espacio',
		key_space: 'Reproducir o pausar',
		key_arrows: '5 segundos atrás o adelante',
		key_updown: 'Más o menos volumen',
		key_numbers: 'Al 0 % … 90 % de la película',
		key_f: 'Pantalla completa',
		key_m: 'Silenciar',
		key_c: 'Subtítulos',
		key_i: 'Estadísticas',
		key_help: 'Esta ayuda',
		channels: '{n} canales',
		channels_one: 'mono',
		channels_two: 'estéreo',
		published: 'Publicada el {date}',
		inside: 'Qué hay en el paquete',
		file: 'Archivo',
		size: 'Tamaño',
		report: 'Cómo se hizo: calidad, escalera, comprobaciones',
		revision: 'Revisión',
		stat_picture: 'Imagen',
		stat_bitrate: 'Tasa de bits',
		stat_audio: 'Sonido',
		stat_line: 'Línea',
		stat_buffer: 'Búfer',
		stat_frames: 'Cuadros perdidos',
		stat_choice: 'Elección',
		by_hand: 'A mano',
		stat_edge: 'Nodo',
		stat_host: 'Servidor',
		stat_switches: 'Cambios · cortes · nodos',
		stat_graph: 'Los últimos {n} segundos: línea y tasa de bits en {unit}, búfer en segundos',
		unknown: 'aún no se sabe',
		seconds: '{n} s',
		of: '{n} de {of}',
	},
};

let language = [memory.get('language'), ...(globalThis.navigator?.languages ?? [])].map(l => l?.slice(0, 2)).find(l => l in STRINGS) ?? 'en';

export const currentLanguage = () => language;

/** The reader's own kind of it (en-GB), by which numbers and times are written. */
export const currentLocale = () => globalThis.navigator?.languages?.find(l => l.slice(0, 2) === language) ?? language;

export function setLanguage(code) {
	language = code;
	memory.set('language', code);
}

export const hasText = key => key in STRINGS[language];

/** The text for a key in the current language. */
export function t(key, values = {}) {
	const table = STRINGS[language];
	const plural = values.n === 1 && `${key}_one` in table ? `${key}_one` : key;
	return table[plural].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** 73 -> "1:13", 3673 -> "1:01:13" */
export function clock(seconds) {
	if (!Number.isFinite(seconds) || seconds < 0)
		return '–:––';
	const s = Math.floor(seconds);
	const two = n => String(n).padStart(2, '0');
	const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
	return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

export function number(value, digits = 0) {
	return value.toLocaleString(currentLocale(), {minimumFractionDigits: digits, maximumFractionDigits: digits});
}

/** Bits per second for people: "640 kb/s", "5.8 Mb/s" */
export function bitrate(bits) {
	if (!Number.isFinite(bits) || bits <= 0)
		return t('unknown');
	return bits < 1e6 ? `${number(bits / 1e3)} kb/s` : `${number(bits / 1e6, bits < 1e8 ? 1 : 0)} Mb/s`;
}

export function bytes(n) {
	const units = ['B', 'kB', 'MB', 'GB', 'TB'];
	let i = 0;
	for (; n >= 1000 && i < units.length - 1; i++)
		n /= 1000;
	return `${number(n, i && n < 10 ? 1 : 0)} ${units[i]}`;
}

export function date(text) {
	const d = new Date(text);
	return Number.isNaN(d.getTime()) ? text : d.toLocaleDateString(currentLocale(), {dateStyle: 'long'});
}

/** "en" -> "English" in the language of the page; the code itself where the browser knows no name. */
export function languageName(code) {
	try {
		const name = new Intl.DisplayNames([language], {type: 'language'}).of(code);
		return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
	} catch {
		return code;
	}
}

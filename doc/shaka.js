// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a page with Shaka Player wants for films that are spread over several edges; call it before load().
//
//   const player = new shaka.Player();
//   spreadOverEdges(player);
//   await player.load('https://origin.example/v/film/manifest.mpd');

/** An index has no segment in front of it: one whose first begins at byte 0 was taken for another file's. */
const misplaced = stream => stream.segmentIndex?.get(0)?.getStartByte() === 0;

/** Chromium's cache in memory (private windows) now and then gives the first part of a range for all of it, as does whatever
 * else cuts bodies and ends them well; Shaka Player itself only writes that down.  As a failure it is asked for elsewhere. */
function whole(uri, request, ...more) {
	const {Severity, Category, Code} = shaka.util.Error;
	return shaka.net.HttpFetchPlugin.parse(uri, request, ...more).chain(response => {
		const range = /^bytes (\d+)-(\d+)/.exec(response.headers['content-range'] ?? '');
		if (range && response.data.byteLength !== range[2] - range[1] + 1)
			throw new shaka.util.Error(Severity.RECOVERABLE, Category.NETWORK, Code.HTTP_ERROR, uri);
		return response;
	});
}

function spreadOverEdges(player) {
	for (const scheme of ['http', 'https'])
		shaka.net.NetworkingEngine.registerScheme(scheme, whole, shaka.net.NetworkingEngine.PluginPriority.APPLICATION, true);

	// Its own two attempts are fewer than there are places, and every place is to be asked before it gives up.
	const retryParameters = {maxAttempts: 6, baseDelay: 100, backoffFactor: 1.5};
	player.configure({manifest: {retryParameters}, streaming: {retryParameters}});

	// Shaka Player 5.0 to 5.2.12 compares the addresses an index was asked at with those of the media when it came.  Where they
	// are not the same (an edge failed meanwhile, or steering put another one first) it believes the index to be a file of its
	// own, takes every segment from the wrong byte and ends with error 3014, or waits for good.  Such an index is asked for
	// again, now that the addresses have changed.
	player.addEventListener('manifestparsed', () => {
		const streams = player.getManifest().variants.flatMap(v => [v.video, v.audio]).filter(s => s);
		for (const stream of new Set(streams)) {
			const create = stream.createSegmentIndex;
			stream.createSegmentIndex = async () => {
				await create();
				for (let i = 0; i < 5 && misplaced(stream); i++) {
					await stream.closeSegmentIndex();
					await create();
				}
			};
		}
	});
}

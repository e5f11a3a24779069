#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edge dies while a viewer watches: the picture goes on from the other one, without a stall."""
import concurrent.futures, json, os, re, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, plays, tap
from script import Script

library, revision, package = film.library(None, 'film')
# the player's own judgement is looked at here; t/mod/player_steering.py has the other
UNSTEERED = ('--steering-ttl', '0s')


def play(url, *options, background=False):
    report = os.path.join(tap.folder(), 'report.json')
    argv = [tap.program('ribera-player'), url, '--output', 'null', '--report', report, *options]
    return (tap.Process(*argv), report) if background else (tap.call(*argv, timeout=180), report)


def read(path):
    with open(path) as f:
        return json.load(f)


def video_frames():
    best = max((n for n in os.listdir(package) if n.startswith('video')), key=lambda n: os.path.getsize(os.path.join(package, n)))
    out = tap.call('ffprobe', '-v', 'error', '-count_packets', '-select_streams', 'v', '-show_entries', 'stream=nb_read_packets',
                   '-of', 'csv=p=0', os.path.join(package, best), check_exit=0).stdout
    return int(out.strip().strip(','))


@tap.test
def a_film_plays_through_an_edge_to_its_last_frame():
    system = film.System(library, edges=2, origin_options=UNSTEERED)
    system.wait_filled('film', revision)
    for _ in range(3):  # a machine with other work may hold a picture back
        done, path = play(system.edge_urls['edge-a'] + '/v/film/manifest.mpd', '--speed', '2', '--max-height', '480')
        tap.equal(done.returncode, 0, done.stderr[-1500:])
        r = read(path)
        if r['max_av_offset_ms'] <= 80 * tap.PATIENCE:
            break
    tap.equal(plays.stalls(r), [], 'stalls')
    tap.equal(r['frames']['decoded'], video_frames(), 'frames decoded')
    tap.check(r['max_av_offset_ms'] <= 80 * tap.PATIENCE, f"A/V offset {r['max_av_offset_ms']} ms")
    tap.equal({s['service_location'] for s in r['segments']}, {'edge-a'}, 'edges used')
    system.stop()


def killed(round_):
    system = film.System(library, edges=2, origin_options=UNSTEERED)
    system.wait_filled('film', revision)
    url = system.edge_urls['edge-a'] + '/v/film/manifest.mpd'
    tap.until(lambda: b'edge-b' in tap.http(url).body, 30, 'edge-b in the manifest of edge-a')
    # a small buffer, so that segments still come when the edge dies
    served = lambda: tap.metric(tap.http(system.edge_urls['edge-a'] + '/metrics').body.decode(), 'ribera_http_body_bytes_total') or 0
    before = served()  # the other edge may have filled from this one
    process, path = play(url, '--speed', '1.5', '--max-height', '480', '--buffer', '8s', background=True)
    tap.until(lambda: served() > before + 300000 * (1 + round_), 60, 'bytes from edge-a')
    system.edges['edge-a'].kill()
    tap.until(lambda: not process.alive(), 120, 'end of the film')
    tap.equal(process.p.returncode, 0, process.text()[-1500:])
    r = read(path)
    tap.equal(plays.stalls(r), [], f'stalls in round {round_}')
    tap.equal(r['frames']['decoded'], video_frames(), 'frames decoded')
    tap.equal({s['service_location'] for s in r['segments']}, {'edge-a', 'edge-b'}, 'edges used')
    tap.check(len(r['failovers']) >= 1, 'no fail-over in the report')
    system.stop()


def pictures(path):
    """(time since the first in ms, MD5 of the pixels) of each, as ffmpeg decodes them."""
    text = tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:v:0', '-c:v', 'rawvideo', '-fps_mode', 'passthrough', '-copyts', '-f', 'framemd5', '-', timeout=180, check_exit=0).stdout
    scale = int(re.search(r'#tb 0: 1/(\d+)', text).group(1))
    rows = [line.split(',') for line in text.splitlines() if not line.startswith('#')]
    return [(round((int(r[2]) - int(rows[0][2])) * 1000 / scale), r[5].strip()) for r in rows]


def recorded():
    """One rendition, recorded as it is shown while its edge is killed: each picture of the package once, in order, at its time, pixel for pixel."""
    library, revision, package = film.library(film.generated(12, '640x360'), 'small', '--max-rungs', '1')
    lowest, = (n for n in os.listdir(package) if re.fullmatch(r'video.*\.mp4', n))
    system = film.System(library, edges=2, origin_options=UNSTEERED)
    system.wait_filled('small', revision)
    url, path = system.edge_urls['edge-a'] + '/v/small/manifest.mpd', os.path.join(tap.folder(), 'played.mp4')
    tap.until(lambda: b'edge-b' in tap.http(url).body, 30, 'edge-b in the manifest of edge-a')
    report, socket = os.path.join(tap.folder(), 'report.json'), os.path.join(tap.folder(), 'socket')
    process = tap.Process(tap.program('ribera-player'), url, '--output', 'dump:' + path, '--speed', '2', '--buffer', '4s', '--report', report, '--ipc-server', socket)
    script = Script(socket, process)
    tap.until(lambda: script.get('time-pos') > 2, 60, 'two seconds of it')
    system.edges['edge-a'].kill()
    tap.until(lambda: not process.alive(), 120, 'end of the film')
    tap.equal(process.p.returncode, 0, process.text()[-1500:])
    r = read(report)
    tap.equal({s['service_location'] for s in r['segments']}, {'edge-a', 'edge-b'}, 'edges used')
    tap.equal(len({s['rendition'] for s in r['segments'] if s['track'] == 'video'}), 1, 'renditions')
    got, want = pictures(path), pictures(os.path.join(package, lowest))
    tap.equal([t for t, _ in got], [t for t, _ in want], 'times of the pictures')
    tap.equal([i for i, (a, b) in enumerate(zip(got, want)) if a[1] != b[1]], [], 'other pictures than the package has')
    system.stop()


@tap.test
def an_edge_killed_mid_play_costs_no_stall_and_no_picture():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(killed, range(3)))
    recorded()  # by itself: a lossless recording takes more of the processor than the others leave


@tap.test
def everything_dead_is_an_error_and_not_a_hang():
    system = film.System(library, edges=1)
    url = system.edge_urls['edge-a'] + '/v/film/manifest.mpd'
    system.stop()
    done, _ = play(url)
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, '/v/film/manifest.mpd')


tap.run()

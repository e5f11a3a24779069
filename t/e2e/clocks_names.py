#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks that jump by a day and names that no longer resolve, in every program of a system whose viewers play on."""
import contextlib, json, os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import clock, film, tap

DAY = 86400
library, revision, package = film.library(film.generated(12, '640x360', '25', 'noise=alls=40:allf=t'), 'film', '--ladder', 'fixed', '--max-rungs', '4', '--segment', '1s')
NAMES = os.path.join(tap.BUILD, 't/lib/names.so')


@contextlib.contextmanager
def environment(values):
    """Of what is started within."""
    before = {k: os.environ.get(k) for k in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for k, v in before.items():
            os.environ.pop(k) if v is None else os.environ.update({k: v})


def player(url, *options):
    report = os.path.join(tap.folder(), 'report.json')
    return tap.Process(tap.program('ribera-player'), url, '--output', 'null', '--report', report, '--speed', '2.5', *options), report


def judge(viewer, what):
    process, path = viewer
    tap.until(lambda: not process.alive(), 90, f'{what}: the end of the film')
    tap.equal(process.p.returncode, 0, f'{what}: {process.text()[-1500:]}')
    with open(path) as f:
        report = json.load(f)
    waited = sum(s['duration_ms'] for s in report['stalls'])
    # a moment can be the processor's that others have; a name takes five seconds
    tap.check(waited < 2000 * tap.PATIENCE, f'{what}: {report["stalls"]}')
    tap.check(report['frames']['decoded'] > 200, f'{what}: {report["frames"]}')
    return report


def served(system):
    return tap.metric(tap.http(system.edge_urls['edge-a'] + '/metrics').body.decode(), 'ribera_http_body_bytes_total')


def state(system):
    return system.api('/edges').json()['edges'][0]['state']


@tap.test
def clocks_that_jump_by_a_day_stall_nobody():
    """Origin, edges and players each with a clock of its own; all of them jump, also apart, while films play."""
    clocks = {}

    def start(name, starts, *argv):
        clocks[name] = clock.Clock(tap.folder())
        with environment(clocks[name].env):
            return starts(*argv)
    system = film.System(library, edges=0, start_edges=False)
    system.stop()
    start('origin', system.start_origin)
    for name in ('edge-a', 'edge-b'):
        start(name, system.start_edge, name)
    system.wait_filled('film', revision)
    viewers = [(f'player {i}', start(f'player {i}', player, system.edge_urls[e] + '/v/film/manifest.mpd', '--buffer', '4s')) for i, e in enumerate(('edge-a', 'edge-b', 'edge-a'))]
    jumps = 0
    while any(v[0].alive() for _, v in viewers):
        name = sorted(clocks)[jumps % len(clocks)]
        clocks[name].set((DAY, -DAY, 0)[jumps // len(clocks) % 3])
        jumps += 1
        time.sleep(0.2)  # between one jump and the next: what is waited for is the end of the films
    for name, v in viewers:
        judge(v, f'{name} after {jumps} jumps')
    tap.check(jumps > 10, f'{jumps} jumps')
    for shift in (DAY, -DAY):  # all edges a day off: they are known to be alive, and serve what they hold
        for name in ('edge-a', 'edge-b'):
            clocks[name].set(shift)
        for name, url in system.edge_urls.items():
            tap.equal(tap.http(f'{url}/v/film/{revision}/manifest.mpd').status, 200, name)
        tap.until(lambda: [e['state'] for e in system.api('/edges').json()['edges']] == ['up', 'up'], 30, 'both edges up')
    system.stop()


@tap.test
def names_that_no_longer_resolve_stall_nobody():
    """Edges know the origin, and viewers everybody, by name; the name service fails at once, and then does not answer."""
    gone = os.path.join(tap.folder(), 'gone')
    with environment({'LD_PRELOAD': NAMES, 'NAMES_GONE': gone, 'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}):
        system = film.System(library, edges=0, start_edges=False)
        system.stop()
        system.start_origin('--public-url', f'http://origin.test:{system.origin_ports["viewers"]}', '--heartbeat', '500ms')
        system.control = system.control.replace('127.0.0.1', 'origin.test')
        system.start_edge('edge-a')
        system.control = system.control.replace('origin.test', '127.0.0.1')
        system.wait_filled('film', revision)
        url = system.edge_urls['edge-a'] + '/v/film/manifest.mpd'
        tap.check(b'http://origin.test:' in tap.http(url).body, 'the origin by its name in the manifest')
        for how in ('', 'no answer'):
            viewers = [player(url, '--buffer', '4s') for _ in range(2)]
            before = served(system)
            tap.until(lambda: served(system) > before + 300_000, 60, 'bytes of the film')
            with open(gone, 'w') as f:
                f.write(how)
            viewers.append(player(url))  # and one who comes when names are gone
            for v in viewers:
                judge(v, f'names gone, {how or "refused"}')
            # an edge that starts now has never known where its origin is (who did keeps the address for a minute)
            system.edges['edge-a'].stop()
            system.control = system.control.replace('127.0.0.1', 'origin.test')
            system.start_edge('edge-a')
            system.control = system.control.replace('origin.test', '127.0.0.1')
            tap.until(lambda: state(system) != 'up', 30, 'the origin misses the edge')
            judge(player(url), f'an edge that started without names, {how or "refused"}')
            slow = max(timed(f'{system.edge_urls["edge-a"]}/v/film/{revision}/manifest.mpd') for _ in range(50))
            tap.check(slow < 2 * tap.PATIENCE, f'an edge that asks for names answers after {slow:.2f} s')
            tap.check(tap.http(f'{system.edge_urls["edge-a"]}/v/film/00000000000000000000/x.mp4').status in (404, 502, 503, 504), 'what is not here')
            os.unlink(gone)
            tap.until(lambda: state(system) == 'up', 60, 'the edge is up again')
        system.stop()


def timed(url):
    begin = time.monotonic()
    tap.equal(tap.http(url).status, 200)
    return time.monotonic() - begin


tap.run()

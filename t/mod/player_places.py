#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player and edges whose lines are narrow, lossy, dead or well again: nobody stalls while one good edge exists, and a
slow line of the viewer's own is not blamed on edges."""
import concurrent.futures, json, os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, line, rungs, tap

SECONDS, LADDER = 16, [200, 500, 1500]
GOOD = dict(rate=20000, delay=15)
_film = None


def film():
    global _film
    if not _film:
        _film = tap.folder()
        rungs.make_film(_film, SECONDS, LADDER)
    return _film


class Places:
    """A viewer and edges, each on a line of its own; an MPD with the edges in their order."""

    def __init__(self, name, viewer, *edges):
        net = line.Net(seed=5)
        self.viewer = net.host('viewer', **viewer)
        self.edges, bases = {}, ''
        for i, how in enumerate(edges):
            key = 'abcd'[i]
            host = net.host(key, **how)
            with host.inside():
                server = badserver.Server(film(), address='0.0.0.0')
            self.edges[key] = (host, server)
            bases += f'<BaseURL serviceLocation="{key}">http://{host.address}:{server.port}/</BaseURL>'
        with open(os.path.join(film(), 'film.mpd')) as f:
            text = f.read().replace('<Period', bases + '<Period', 1)
        self.mpd = os.path.join(tap.folder(), name + '.mpd')
        with open(self.mpd, 'w') as f:
            f.write(text)

    def play(self, *options):
        report = os.path.join(tap.folder(), 'report.json')
        p = self.viewer.process(tap.program('ribera-player'), self.mpd, '--output', 'null', '--quiet', '--no-state', '--report', report, *options)
        p.p.wait(90)
        tap.equal(p.p.returncode, 0, p.text()[-1500:])
        with open(report) as f:
            r = json.load(f)
        tap.check(r['finished'] and r['decode_errors'] == 0, 'not all was played')
        return r


def used(r):
    return ''.join(s['service_location'] for s in r['segments'])


def told(r):
    return f"stalls {r['stalls']}, from {used(r)}, {r['failovers']}, start-up {r['startup_ms']} ms"


@tap.test
def a_narrow_edge_is_told_from_a_slow_line():
    def narrow():
        r = Places('narrow', GOOD, dict(rate=150, delay=40, loss=2), GOOD).play()
        print('# narrow and lossy, then good: ' + told(r))
        tap.equal(r['stalls'], [], told(r))
        tap.check(used(r).endswith('bbb') and r['segments'][-1]['rendition'] == '1500', told(r))

    def two_narrow():
        r = Places('two', GOOD, dict(rate=150, delay=40), dict(rate=120, delay=40, loss=2), GOOD).play()
        print('# two narrow ones, then good: ' + told(r))
        tap.equal(r['stalls'], [], told(r))
        tap.check(used(r).endswith('ccc'), told(r))

    def slow_line():
        r = Places('line', dict(rate=700, delay=20), GOOD, GOOD).play()
        print('# the line itself: ' + told(r))
        tap.equal(r['stalls'], [], told(r))
        tap.check(len(r['failovers']) <= 2, told(r))

    def nobody_else():
        places = Places('dead', GOOD, dict(rate=450, delay=20), GOOD)
        places.edges['b'][0].cut()
        r = places.play()
        print('# slow, the other one dead: ' + told(r))
        tap.equal(r['stalls'], [], told(r))
        tap.check(used(r).endswith('aaa'), told(r))
    film()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for f in [pool.submit(test) for test in (narrow, two_narrow, slow_line, nobody_else)]:
            f.result()


tap.run()

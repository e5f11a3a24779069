#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player and edges whose lines are narrow, lossy, dead or well again: nobody stalls while one good edge exists, and a
slow line of the viewer's own is not blamed on edges."""
import concurrent.futures, json, os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, line, plays, rungs, tap

SECONDS, LADDER = 16, [200, 500, 1500]
GOOD = dict(rate=20000, delay=15)
_film = None
_runs = {}


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
        p.p.wait(90 * tap.PATIENCE)
        tap.equal(p.p.returncode, 0, p.text()[-1500:])
        with open(report) as f:
            r = json.load(f)
        tap.check(r['finished'] and r['decode_errors'] == 0, 'not all was played')
        return r


def used(r):
    return ''.join(s['service_location'] for s in r['segments'])


def told(r):
    return f"stalls {r['stalls']}, from {used(r)}, {r['failovers']}, start-up {r['startup_ms']} ms"


def media(q):
    return q.path.endswith('.mp4') and (q.first or 0) > 0


def play_from(name, servers, *options, env=None, hosts=('127.0.0.1',) * 3):
    """On loopback; whole and without a stall."""
    bases = ''.join(f'<BaseURL serviceLocation="{k}">http://{h}:{s.port}/</BaseURL>' for k, h, s in zip('abc', hosts, servers))
    with open(os.path.join(film(), 'film.mpd')) as f:
        text = f.read().replace('<Period', bases + '<Period', 1)
    mpd, report = os.path.join(tap.folder(), name + '.mpd'), os.path.join(tap.folder(), 'report.json')
    with open(mpd, 'w') as f:
        f.write(text)
    tap.call(tap.program('ribera-player'), mpd, '--output', 'null', '--quiet', '--no-state', '--report', report, *options, env=env, check_exit=0)
    with open(report) as f:
        r = json.load(f)
    tap.equal((plays.stalls(r), r['frames']['decoded'], r['decode_errors']), ([], SECONDS * rungs.FPS, 0), f'{name}: {told(r)}')
    return r


def narrow_then_good():
    r = Places('narrow', GOOD, dict(rate=150, delay=40, loss=2), GOOD).play()
    tap.equal(plays.stalls(r), [], told(r))
    tap.check(used(r).endswith('bbb') and r['segments'][-1]['rendition'] == '1500', told(r))
    return r


def two_narrow_then_good():
    r = Places('two', GOOD, dict(rate=150, delay=40), dict(rate=120, delay=40, loss=2), GOOD).play()
    tap.equal(plays.stalls(r), [], told(r))
    tap.check(used(r).endswith('ccc'), told(r))
    return r


def slow_line():
    r = Places('line', dict(rate=700, delay=20), GOOD, GOOD).play()
    tap.equal(plays.stalls(r), [], told(r))
    tap.check(len(r['failovers']) <= 2, told(r))
    return r


def nobody_else():
    places = Places('dead', GOOD, dict(rate=450, delay=20), GOOD)
    places.edges['b'][0].cut()
    r = places.play()
    tap.equal(plays.stalls(r), [], told(r))
    tap.check(used(r).endswith('aaa'), told(r))
    return r


def well_again():
    a, b = badserver.Server(film()), badserver.Server(film())
    refused = []
    a.fault = lambda q: '503' if media(q) and not refused and not refused.append(q) else None
    r = play_from('back', (a, b), '--buffer', '4s')
    tap.check(used(r)[0] == 'b' and used(r)[-1] == 'a' and len(r['failovers']) == 1, told(r))
    back = next(s for s in r['segments'] if s['service_location'] == 'a')
    tap.check(back['asked_s'] >= 10, f'before the penalty was over: {back}')
    return r


def near_cache():
    """Three segments at memory speed, then every third; the line behind the cache gives 640 kbit/s."""
    a = badserver.Server(film())

    def miss(q):
        n = len([x for x in a.requests if media(x)])
        a.rate = 80_000 if media(q) and n > 3 and n % 3 else None
    a.fault = miss
    r = play_from('cache', (a,), '--buffer', '8s')
    slow = [s['rendition'] for i, s in enumerate(r['segments']) if i >= 4 and (i + 1) % 3]
    tap.check('1500' not in slow[1:], f'fooled by the cache: {told(r)} {[s["rendition"] for s in r["segments"]]}')
    return r


def silent_then_good(fault):
    """With one segment in hand: the place that gave it falls silent, and the next one is so from the start."""
    a, b, c = (badserver.Server(film()) for _ in range(3))
    a.fault = lambda q: fault if media(q) and len([x for x in a.requests if media(x)]) > 1 else None
    b.fault = lambda q: fault if media(q) else None
    r = play_from('silent', (a, b, c))
    tap.check(used(r).startswith('ac') and used(r).endswith('cc'), told(r))
    return r


def known_rather_than_first():
    """Beside a silent place one is asked that has given something, not one of which nothing is known."""
    a, b, c = (badserver.Server(film()) for _ in range(3))
    a.fault = lambda q: 'hang' if media(q) and 3 < len([x for x in a.requests if media(x)]) else '503' if media(q) and len([x for x in a.requests if media(x)]) == 1 else None
    b.fault = lambda q: '503' if media(q) and len([x for x in b.requests if media(x)]) == 1 else 'hang' if media(q) else None
    r = play_from('known', (a, b, c), '--buffer', '4s')
    tap.check(used(r).startswith('c') and not any(f['to'] == 'b' for f in r['failovers'][2:]), told(r))
    return r


FAULTS = ['404', '500', '503', 'reset', 'cut', 'chunked-cut', 'stall', 'headers', 'portal', 'hang', 'trickle', 'wrong-range', 'short-length', 'garbage', 'other-segment']


def all_slow():
    """Three places that each take 1.2 seconds to answer: most is asked for once."""
    places = [badserver.Server(film()) for _ in range(3)]
    for s in places:
        s.fault = lambda q: time.sleep(1.2) if media(q) else None
    r = play_from('all-slow', places)
    asked = sum(len([q for q in s.requests if media(q)]) for s in places)
    tap.check(asked <= SECONDS // 2 + 5, f'{asked} requests; {told(r)}')
    return r


SILENCE = ['hang', 'headers']


def wrong(fault):
    a, b = badserver.Server(film()), badserver.Server(film())
    a.fault = lambda q: fault if media(q) and len([x for x in a.requests if media(x)]) > 3 else None
    r = play_from(fault, (a, b), '--buffer', '8s', '--speed', '1.5')
    tap.check(used(r).startswith('aa') and used(r).endswith('bbb') and r['failovers'], f'{fault}: {told(r)}')
    return r


def names_gone_with_the_place():
    """The place in use falls silent when no name can be looked up any more: the next one, which was never asked, was looked up before."""
    gone = os.path.join(tap.folder(), 'gone')
    a, b = badserver.Server(film()), badserver.Server(film())
    begun = []

    def fall_silent(q):
        if media(q):
            begun.append(q)
        if len(begun) == 2:
            with open(gone, 'w') as f:
                f.write('silent')
        return 'stall' if len(begun) > 2 else None
    a.fault = fall_silent
    env = {'LD_PRELOAD': tap.program('t/lib/names.so'), 'NAMES_GONE': gone, 'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}
    r = play_from('names', (a, b), '--buffer', '4s', env=env, hosts=('a.test', 'b.test'))
    tap.check(used(r).endswith('bbb') and b.requests, told(r))
    tap.equal({f['from'] for f in r['failovers']}, {'a'}, told(r))
    return r


def result(run, *arguments):
    """All of them play side by side, as they do it in real time."""
    if not _runs:
        film()
        pool = concurrent.futures.ThreadPoolExecutor(32)
        for f, *a in [(narrow_then_good,), (two_narrow_then_good,), (slow_line,), (nobody_else,), (well_again,), (near_cache,), (names_gone_with_the_place,), (known_rather_than_first,), (all_slow,), *((silent_then_good, x) for x in SILENCE), *((wrong, x) for x in FAULTS)]:
            _runs[(f, *a)] = pool.submit(f, *a)
    r = _runs[(run, *arguments)].result()
    print(f"# {' '.join([run.__name__, *arguments])}: {told(r)}")


@tap.test
def a_narrow_edge_is_told_from_a_slow_line():
    for run in narrow_then_good, two_narrow_then_good, slow_line, nobody_else:
        result(run)


@tap.test
def a_place_that_is_well_again_is_gone_back_to():
    result(well_again)


@tap.test
def a_cache_nearby_does_not_fool_the_estimate():
    result(near_cache)


@tap.test
def what_goes_wrong_in_the_middle_costs_no_stall():
    for fault in FAULTS:
        result(wrong, fault)


@tap.test
def a_place_that_is_silent_has_a_rival_before_the_buffer_is_spent():
    for fault in SILENCE:
        result(silent_then_good, fault)
    result(known_rather_than_first)


@tap.test
def places_that_are_all_slow_are_not_asked_twice_as_much():
    result(all_slow)


@tap.test
def names_that_are_gone_cost_no_stall():
    result(names_gone_with_the_place)


tap.run()

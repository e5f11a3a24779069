#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that fails, fills up or becomes read-only: the edge serves on, says so, and recovers by itself."""
import concurrent.futures, os, sys, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import disk, tap
from lab import Edge, Lab, Package, PIECE


class Trouble:
    """An edge whose disk fails on demand (t/lib/disk.c)."""

    def __init__(self, origin, *options):
        self.edge = Edge(origin, *options, start=False)
        self.file = os.path.join(self.edge.folder, 'fault')
        self.edge.env = disk.environment(self.edge.store, fault=self.file)
        self.edge.start()

    def begin(self, text):
        with open(self.file + '.new', 'w') as f:
            f.write(text)
        os.rename(self.file + '.new', self.file)

    def end(self):
        os.unlink(self.file)


def demanded(origin):
    with origin.lock:
        return sum(f['requests'] for b in origin.demand for h in b['hours'] for f in h['files'])


@tap.test
def a_disk_that_is_full_fails_to_sync_or_is_read_only_leaves_a_serving_edge_that_recovers():
    suffer(('ENOSPC write', 'full'), ('EIO fsync', 'does not take'), ('EROFS any', 'no writes'))


@tap.test
def so_does_one_that_makes_no_files():
    suffer(('EIO create', 'does not take'), ('ENOSPC rename create', 'full'))


def suffer(*faults):  # each relapse doubles the time to the next probe: a few an edge
    first = Package('first', PIECE + 70_000)
    origin = Lab(first)
    trouble = Trouble(origin, '--demand', '200ms')
    edge = trouble.edge
    edge.wait_filled(first)
    for number, (fault, word) in enumerate(faults):
        p = Package(f'next{number}', PIECE + 50_000)
        began = time.monotonic()
        trouble.begin(fault)
        with origin.lock:
            origin.packages[p.key] = p
            origin.rows.append(p.row())
        health = tap.until(lambda: (r := edge.get('/healthz')).status == 503 and r, 20, f'{fault}: /healthz')
        tap.has(health.body.decode(), 'read-only', fault)
        tap.has(health.body.decode(), word, fault)
        tap.until(lambda: 'read-only' in origin.heartbeats['edge-a'].get('trouble', ''), 10, f'{fault}: the heartbeat')
        tap.equal([edge.get(f'/healthz/{k}').status for k in ('live', 'ready')], [200, 200], fault)
        tap.equal(edge.metric('ribera_edge_read_only'), 1, fault)
        edge.check_all(first)
        if edge.get(f'/v/{p.title}/manifest.mpd').status == 302:  # what is not here is at the origin, or comes through memory
            tap.check(edge.file(p, 'video.mp4').status in (200, 302), fault)
        tap.check(not edge.holds(p), f'{fault}: {p.title} is said to be held')
        trouble.end()
        edge.wait_filled(p, 40)
        edge.check_all(p)
        tap.until(lambda: edge.get('/healthz').status == 200, 10, f'{fault}: recovery')
        tap.check('trouble' not in origin.heartbeats['edge-a'] or tap.until(lambda: 'trouble' not in origin.heartbeats['edge-a'], 5),
                  'the trouble is still told')
        tap.until(lambda: origin.heartbeats['edge-a']['up_seconds'] < time.monotonic() - began, 10, f'{fault}: that it began anew')
    tap.until(lambda: demanded(origin) >= 2 * len(faults), 10, 'the demand of that time')
    tap.equal(edge.process.stop(), 0)
    tap.check('wrong bytes' not in edge.process.text(), 'a source was blamed for the disk')


@tap.test
def misses_on_a_failing_disk_say_why():
    p = Package('film')
    origin = Lab(p, hold=False)
    trouble = Trouble(origin, '--window-duration', '0s')
    edge = trouble.edge
    edge.wait_prepared(p)
    trouble.begin('EIO write')
    tap.check(edge.file(p, 'video.mp4').body == p.files['video.mp4'], 'what the disk does not take passes through memory')
    tap.until(lambda: edge.metric('ribera_edge_read_only') == 1, 20, 'the end of writing')
    r = edge.file(p, 'audio.mp4')
    tap.has(r.headers['Cache-Status'], 'detail=read-only')
    tap.check(r.body == p.files['audio.mp4'], 'wrong bytes')
    tap.check(edge.metric('ribera_edge_lookups_total{result="read-only"}') >= 1)
    trouble.end()
    tap.until(lambda: edge.file(p, 'video.mp4').body == p.files['video.mp4'], 40, 'recovery')


@tap.test
def a_file_that_cannot_be_opened_yet_holds_up_nobody_else():
    p = Package('film')
    edge = Edge(Lab(p), '--threads', '1', '--scrub-rate', '0')
    edge.wait_filled(p)
    edge.process.stop()
    stall = os.path.join(edge.folder, 'stall')
    edge.env = {**disk.environment(edge.store), 'DISK_STALL': stall}
    edge.start()
    edge.file(p, 'audio.mp4')  # it is open
    for name, path in (('video.mp4', f'/v/{p.key}/video.mp4'), ('manifest.mpd', '/v/film/manifest.mpd')):
        with open(stall + '.new', 'w') as f:
            f.write(name)
        os.rename(stall + '.new', stall)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(edge.get, path) for _ in range(4)]
            for _ in range(20):
                tap.check(edge.file(p, 'audio.mp4', timeout=5).body == p.files['audio.mp4'], 'the neighbour')
            tap.check(not any(w.done() for w in waiting), f'{name} does not stall')
            os.unlink(stall)
            replies = [w.result(20) for w in waiting]
        tap.equal([(r.status, r.headers['Cache-Status']) for r in replies], [(200, 'ribera-edge;hit')] * 4, name)
        tap.check(len({r.body for r in replies}) == 1 and (name != 'video.mp4' or replies[0].body == p.files[name]), f'{name}: wrong bytes')
    edge.process.stop()


@tap.test
def an_edge_starts_and_serves_from_a_disk_that_is_full_or_read_only():
    p, q = Package('film', 2 * PIECE), Package('later', PIECE)
    origin = Lab(p)
    with tap.small_disk('6m') as folder:
        edge = Edge(origin, store=os.path.join(folder, 'store'))
        edge.wait_filled(p)
        for end in ('kill', 'stop'):
            getattr(edge.process, end)()
            ballast = tap.fill_disk(folder)
            edge.start()
            edge.check_all(p)
            tap.equal(edge.get('/healthz/ready').status, 200)
            getattr(edge.process, end)()
            os.unlink(ballast)
            tap.call('mount', '-o', 'remount,ro', folder, check_exit=0)
            edge.start()
            edge.check_all(p)
            tap.has(edge.get('/healthz').body.decode(), 'read-only')
            tap.call('mount', '-o', 'remount,rw', folder, check_exit=0)
            tap.until(lambda: edge.get('/healthz').status == 200, 40, 'recovery')
        with origin.lock:
            origin.packages[q.key] = q
            origin.rows.append(q.row())
        edge.wait_filled(q)
        edge.check_all(q)
        edge.process.kill()
        edge.start()
        edge.check_all(q)  # its rows were written by the journal that was opened anew
        edge.process.stop()


tap.run()

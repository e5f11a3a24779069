#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An origin that starts, or runs, while something is wrong: edges dead, the clock, a full disk, a catalogue that is locked or damaged.
It serves, says what is wrong (healthz, the operators' events, ribera-admin health), and is well by itself when that is over."""
import os, sqlite3, sys, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap
from clock import Clock
from origins import Origin

YEAR = 365 * 86400


def health(o):
    r = tap.http(o.control + '/healthz')
    return None if r.status == 200 else r.body.decode()


def well(o, seconds=20):
    tap.until(lambda: health(o) is None, seconds, 'recovery by itself')
    tap.equal(o.admin('health').stdout, 'the origin is well\n')


def ill(o, text):
    tap.until(lambda: text in (health(o) or ''), 20, f'"{text}" in what it says of itself')
    tap.has(o.admin('health', code=1).stderr, text)
    tap.has(o.admin('health', '--json', code=1).stdout, text)


def start_at(o, seconds):
    """Starts it with a wall clock that is wrong by so much; the clock, to be set."""
    wrong = Clock(o.folder, seconds)
    os.environ.update(wrong.env)
    try:
        o.start()
    finally:
        for name in wrong.env:
            del os.environ[name]
    return wrong


def beat(o, name, rev):
    r = o.beat(name, f'film/{rev}', now=int(time.time() * 1000))
    tap.equal(r.status, 200, r.body)


@tap.test
def a_clock_of_another_year_is_told_and_nothing_else_is_wrong():
    o = Origin(start=False, options=['--heartbeat', '1h'])
    rev, _ = package.write(o.library, 'film')
    start_at(o, 0)
    tap.equal([o.register(n).status for n in ('edge-a', 'edge-b', 'edge-c')], [201] * 3)
    tap.equal(health(o), None)
    for off in (-20 * YEAR, 20 * YEAR):
        o.p.kill()
        clock = start_at(o, off)
        for name in ('edge-a', 'edge-b', 'edge-c'):
            tap.equal(o.register(name).status, 200)
            beat(o, name, rev)
        ill(o, 'edges\' clocks')
        tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
        tap.equal(o.get('/v/film/manifest.mpd').body.count(b'<BaseURL serviceLocation="edge-'), 3, 'edges get viewers')
        tap.equal(o.api('/edges/edge-a/plan').status, 200)
        tap.equal(o.api('/titles/film/policy', 'PUT', {'policy': 'pin'}).status, 204, 'the catalogue takes what is said')
        clock.set(0)
        if off > 0:  # what it wrote meanwhile is of the future
            break
        for name in ('edge-a', 'edge-b', 'edge-c'):
            beat(o, name, rev)
        well(o)
        tap.has(o.p.text(), 'the clock can be believed again')
    o.p.kill()
    o.start()  # no edge has said anything yet: the catalogue knows that one of both was wrong
    ill(o, 'last entry')
    tap.has(o.admin('top').stdout, 'last entry')
    tap.equal(o.api('/titles/film/policy', 'PUT', {'policy': 'none'}).status, 204)
    well(o)
    o.p.stop()


@tap.test
def bytes_do_not_age_by_a_clock_in_doubt():
    o = Origin(start=False, options=['--heartbeat', '1h', '--withdraw-grace', '1h', '--rescan', '100ms'])
    rev, folder = package.write(o.library, 'film')
    clock = start_at(o, 2 * 86400)
    for name in ('edge-a', 'edge-b', 'edge-c'):
        o.register(name)
        beat(o, name, rev)
    ill(o, 'edges\' clocks')
    o.admin('title', 'withdraw', 'film')
    mark = os.path.join(o.library, 'film', f'.withdrawn-{rev}')
    tap.check(os.path.exists(mark), os.listdir(os.path.join(o.library, 'film')))
    time.sleep(0.5)  # five looks: nothing is to happen
    tap.check(os.path.isdir(folder), 'the bytes went two days too early')
    o.p.stop()


@tap.test
def one_edge_with_a_wrong_clock_is_no_witness():
    o = Origin(options=['--heartbeat', '1h'])
    rev, _ = package.write(o.library, 'film')
    for i, off in enumerate((0, 0, 90000, -90000)):
        o.register(f'edge-{i}')
        tap.equal(o.beat(f'edge-{i}', now=int((time.time() + off) * 1000)).status, 200)
    tap.equal(health(o), None)
    o.p.stop()


@tap.test
def edges_that_are_dead_at_the_start_get_nobody_and_come_back():
    o = Origin(options=['--heartbeat', '300ms'])
    rev, _ = package.write(o.library, 'film')
    tap.until(lambda: o.api('/titles').json()['total'] == 1, 20, 'the library')
    for name in ('edge-a', 'edge-b'):
        o.register(name)
        o.beat(name, f'film/{rev}')
    o.p.kill()
    o.start()
    tap.until(lambda: [e['state'] for e in o.api('/edges').json()['edges']] == ['down', 'down'], 20, 'the end of their time')
    tap.equal(health(o), None, 'it is well itself')
    tap.has(o.admin('edges').stdout, 'down')
    tap.check(b'serviceLocation="edge-' not in o.get('/v/film/manifest.mpd').body, 'viewers are sent to a dead edge')
    tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
    tap.equal(o.beat('edge-a', f'film/{rev}').status, 200)
    tap.check(b'serviceLocation="edge-a"' in o.get('/v/film/manifest.mpd').body, 'it is not taken back')
    o.p.stop()


@tap.test
def a_catalogue_that_is_locked_or_damaged_at_the_start_is_read_when_that_is_over():
    o = Origin(options=['--heartbeat', '1h'])
    rev, _ = package.write(o.library, 'film')
    o.register('edge-a')
    o.p.stop()
    db = sqlite3.connect(o.database, isolation_level=None)
    db.execute('pragma locking_mode=exclusive')
    db.execute('begin exclusive')
    o.start()
    tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
    ill(o, 'locked')
    db.execute('rollback')
    db.close()
    well(o)
    tap.equal([e['name'] for e in o.api('/edges').json()['edges']], ['edge-a'], 'and knows what it knew')
    o.p.stop()
    size = os.path.getsize(o.database)
    with open(o.database, 'r+b') as f:  # a page in the middle
        whole = f.read()
        f.seek(0)
        f.write(b'\xff' * min(size, 200))
    o.start()
    ill(o, 'restore a backup')
    tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
    with open(o.database + '.whole', 'wb') as f:
        f.write(whole)
    os.rename(o.database + '.whole', o.database)  # the operator puts a copy back, while it runs
    well(o)
    tap.equal([e['name'] for e in o.api('/edges').json()['edges']], ['edge-a'])
    o.p.stop()


@tap.test
def a_disk_that_is_full_at_the_start_is_a_state():
    o = Origin(start=False)
    rev, _ = package.write(o.library, 'film')
    with tap.small_disk('1m') as small:
        ballast = tap.fill_disk(small)
        o.database = os.path.join(small, 'catalogue.sqlite')
        o.start()
        ill(o, 'read-only')
        tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
        r = o.register('edge-a')
        tap.equal((r.status, r.headers['Retry-After']), (503, '5'))
        os.unlink(ballast)
        well(o)
        tap.equal(o.register('edge-a').status, 201)
        o.p.stop()


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every i-th change of the disk, every i-th read of it and every i-th allocation fails, one a run: in an ingest that publishes, in an edge that fills, in an
origin that writes its catalogue.  Whatever the program does then, what it acknowledged is there afterwards, nothing half
is seen, and the next run without the fault makes it good.

What small allocations do when there is no memory is to abort (base/mem.h): as a kill does, which is survived the same way.
Some i are sampled; RIBERA_FAIL=all (or t/bench/fail) takes each of them.  RIBERA_FAIL=places: of the allocations the first one of each
place (of the calls that lead there, all of them), in any order, RIBERA_FAIL_SAMPLES of them or until RIBERA_FAIL_MINUTES are over; RIBERA_FAIL_SHARE=K/N: the K-th of N who share the work of all."""
import http.client, os, random, shutil, sqlite3, sys, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import disk, film, package, tap
from lab import Edge, Lab, Package, PIECE
from origins import Origin

ALL = os.environ.get('RIBERA_FAIL') == 'all'
PLACES = os.environ.get('RIBERA_FAIL') == 'places'
END = time.monotonic() + 60 * float(os.environ.get('RIBERA_FAIL_MINUTES', 1e6))
SEED = int(os.environ.get('RIBERA_FAIL_SEED', 0))
SHARE, SHARES = map(int, os.environ.get('RIBERA_FAIL_SHARE', '1/1').split('/'))
SAMPLES = int(os.environ.get('RIBERA_FAIL_SAMPLES', 2))
MEMORY = os.path.join(tap.BUILD, 't', 'lib', 'memory.so')


def environment(kind, root, i=None, count=None):
    if kind == 'memory':
        # libraries end by SIGSEGV, and leave behind what they had: see not_a_crash
        asan = 'verify_asan_link_order=0:handle_segv=0:detect_leaks=0:allocator_may_return_null=1:' + os.environ.get('ASAN_OPTIONS', '') + ':handle_abort=0'
        return {'LD_PRELOAD': MEMORY, 'ASAN_OPTIONS': asan, **({'MEMORY_NTH': str(i)} if i else {}), **({'MEMORY_COUNT': count, 'MEMORY_PLACES': count + '.places'} if count else {})}
    env = disk.environment(root)
    code = ('EIO', 'ENOSPC')[(i or 0) % 2]
    env = {**env, **({'DISK_READS': '1'} if kind == 'reads' else {})}
    return {**env, **({'DISK_NTH': f'{i} {code}'} if i else {}), **({'DISK_COUNT': count} if count else {})}


def read_count(path):
    with open(path) as f:
        n = int(f.read())
    tap.check(n > 10, f'only {n} to fail')
    return n


def picked(kind, n, seed, count):
    """The i to fail, and how many there are to choose from."""
    chance = random.Random(seed + SEED)
    if PLACES and kind == 'memory':
        with open(count + '.places') as f:
            first = sorted(map(int, f))[SHARE - 1::SHARES]
        return until_the_end(chance.sample(first, min(SAMPLES, len(first)))), f'{len(first)} places'
    return until_the_end(range(SHARE, n + 1, SHARES) if ALL else sorted(chance.sample(range(1, n + 1), min(SAMPLES, n)))), n


def until_the_end(all_of):
    for i in all_of:
        if time.monotonic() > END:
            return
        yield i


def not_a_crash(kind, code, what):
    """Without memory libraries die, too (OpenSSL 3.0 by SIGSEGV): there the end may be any."""
    tap.check(kind == 'memory' or code >= 0, f'{what}: ended by signal {-code}')


def one_by_one(chosen, of, look):
    """Each i; in a campaign what is wrong with one does not keep the others from being looked at."""
    done, wrong = 0, []
    for done, i in enumerate(chosen, 1):
        try:
            look(i)
        except Exception as e:
            if not ALL and not PLACES:
                raise
            wrong.append(f'{i}: {e}')
            print('#', wrong[-1][:1500].replace('\n', '\n# '), flush=True)
    tap.check(done > 0, 'nothing failed')
    print(f'# {done} of {of}')
    tap.equal(wrong, [], 'what is wrong')


# --- ingest ------------------------------------------------------------------------------------------------------

def ingest(kind):
    source = film.generated(1, '128x72', '10')
    argv = [tap.program('ribera-ingest'), source, '--title', 'film', '--ladder', 'fixed', '--max-rungs', '1']

    def run(library, env):
        return tap.call(*argv, '--library', library, env=env, timeout=120)
    folder = tap.folder()
    count, good = os.path.join(folder, 'count'), os.path.join(folder, 'good')
    r = run(good, environment(kind, good, count=count))
    tap.equal(r.returncode, 0, r.stderr[-500:])
    revision = os.listdir(os.path.join(good, 'film'))
    n = read_count(count)
    chosen, of = picked(kind, n, 1, count)

    def look(i):
        library = os.path.join(folder, f'library-{i}')
        r = run(library, environment(kind, library, i))
        not_a_crash(kind, r.returncode, f'{kind} {i} of {n}: {r.stderr[-800:]}')
        tap.check(r.returncode <= 0 or r.stderr.strip(), f'{i}: failed without a word')
        seen = [x for x in (os.listdir(os.path.join(library, 'film')) if os.path.isdir(os.path.join(library, 'film')) else []) if not x.startswith('.')]
        # x264 goes on with other bits when it is refused memory once: another revision, and whole
        tap.check(seen in ([], revision) or (kind == 'memory' and len(seen) == 1 and r.returncode == 0), f'{i}: the library shows {seen}')
        for x in seen:
            tap.equal(tap.call(tap.program('ribera-ingest'), '--verify', os.path.join(library, 'film', x), timeout=60).returncode, 0, f'{i}: what was published')
        tap.check(r.returncode != 0 or seen, f'{i}: exit code 0 and nothing published')
        r = run(library, {})
        seen = [x for x in os.listdir(os.path.join(library, 'film')) if not x.startswith('.')]
        tap.check(r.returncode in (0, 1) and revision[0] in seen, f'{i}: the next run: {r.returncode} {seen} {r.stderr[-500:]}')
        r = tap.call(tap.program('ribera-ingest'), '--verify', os.path.join(library, 'film', revision[0]), timeout=60)
        tap.equal(r.returncode, 0, f'{i}: {r.stderr[-500:]}')
        shutil.rmtree(library)
    one_by_one(chosen, of, look)


@tap.test
def a_disk_that_fails_once_never_shows_half_a_package():
    ingest('disk')


@tap.test
def a_read_that_fails_once_never_shows_half_a_package():
    ingest('reads')


@tap.test
def memory_that_fails_once_never_shows_half_a_package():
    ingest('memory')


@tap.test
def an_option_that_is_lost_publishes_nothing():
    """Without "preset" an encoder's header is another one's: pictures that cannot be decoded, and nothing told of it."""
    for name in 'preset', 'profile', 'forced-idr', 'x264-params', 'movflags', 'use_editlist':
        library = os.path.join(tap.folder(), 'library')
        r = tap.call(tap.program('ribera-ingest'), film.generated(1, '128x72', '10'), '--title', 'film', '--ladder', 'fixed', '--max-rungs', '1',
                     '--library', library, env={**environment('memory', library), 'OPTION_LOST': name})
        tap.check(r.returncode != 0 and r.stderr.strip(), f'{name}: exit code {r.returncode}')
        title = os.path.join(library, 'film')
        tap.equal([x for x in (os.listdir(title) if os.path.isdir(title) else []) if not x.startswith('.')], [], f'{name}: published')


# --- edge --------------------------------------------------------------------------------------------------------

def fill(kind):
    p = Package('film', PIECE + 70_000)
    origin = Lab(p)

    def run(store, env, whole):
        edge = Edge(origin, '--max-lag', '0s', store=store, start=False)  # a busy machine sheds nobody here
        edge.env = env
        try:
            edge.start()
        except AssertionError:  # it ended before it listened
            return edge.process.p.wait(20)
        end = 30 if whole else 3
        try:
            tap.until(lambda: edge.holds(p) or not edge.process.alive(), end, 'the fill')
            if edge.process.alive():
                edge.check_all(p)
        except (AssertionError, OSError, http.client.HTTPException) as e:  # a read that fails in a body cuts it
            if whole:
                raise
            if edge.process.alive() and 'wrong bytes' in str(e):
                raise
        code = edge.process.stop() if edge.process.alive() else edge.process.p.wait(20)
        origin.heartbeats.clear()
        return code
    folder = tap.folder()
    store, count = os.path.join(folder, 'store'), os.path.join(folder, 'count')
    tap.equal(run(store, environment(kind, store, count=count), True), 0)
    n = read_count(count)
    chosen, of = picked(kind, n, 2, count)

    def look(i):
        store = os.path.join(folder, f'store-{i}')
        not_a_crash(kind, run(store, environment(kind, store, i), False), f'{kind} {i} of {n}')
        tap.equal(run(store, {}, True), 0, f'{kind} {i} of {n}: the next run')
        shutil.rmtree(store)
    one_by_one(chosen, of, look)


@tap.test
def a_disk_that_fails_once_leaves_an_edge_that_serves_right_bytes():
    fill('disk')


@tap.test
def a_read_that_fails_once_leaves_an_edge_that_serves_right_bytes():
    fill('reads')


@tap.test
def memory_that_fails_once_leaves_a_store_that_serves_right_bytes():
    fill('memory')


# --- catalogue -----------------------------------------------------------------------------------------------------

def catalogue(kind):
    def write(o, acknowledged):
        try:
            for k in range(4):
                if o.register(f'edge-{k}', capacity=k).status == 201:
                    acknowledged[f'edge-{k}'] = None
                if o.beat(f'edge-{k}', f'film/{k:020x}').status == 200:
                    acknowledged[f'edge-{k}'] = f'film/{k:020x}'
        except OSError:
            pass  # it has ended

    def run(i=None, count=None):
        o = Origin(options=['--heartbeat', '1h'], start=False)
        before, acknowledged, started = dict(os.environ), {}, True
        os.environ.update(environment(kind, os.path.dirname(o.database), i, count))
        try:
            o.start()
        except AssertionError:
            started = False
        finally:
            os.environ.clear()
            os.environ.update(before)
        if started:
            write(o, acknowledged)
        code = o.p.stop() if o.p.alive() else o.p.p.wait(20)
        not_a_crash(kind, code, f'{kind} {i}')
        o.ports = {'viewers': 0, 'control': 0}
        o.start()
        have = {e['name']: [f'{h["title"]}/{h["revision"]}' for h in e['held']] for e in o.api('/edges').json()['edges']}
        for name, held in acknowledged.items():  # a registration is refused when it cannot be written; what edges hold they say again every few seconds
            tap.check(name in have, f'{kind} {i}: {name} was acknowledged and is lost: {have}')
            tap.check(held is None or i or held in have[name], f'{name}: {held} is lost without a fault')
            tap.equal(o.beat(name, *([held] if held else [])).status, 200)
        tap.equal(o.register('edge-z').status, 201, 'it writes again')
        o.p.stop()
        tap.equal(sqlite3.connect(o.database).execute('pragma integrity_check').fetchone()[0], 'ok')
    count = os.path.join(tap.folder(), 'count')
    run(count=count)
    n = read_count(count)
    chosen, of = picked(kind, n, 3, count)
    one_by_one(chosen, of, run)


@tap.test
def a_disk_that_fails_once_loses_nothing_acknowledged():
    catalogue('disk')


@tap.test
def a_read_that_fails_once_loses_nothing_acknowledged():
    catalogue('reads')


@tap.test
def memory_that_fails_once_loses_nothing_acknowledged():
    catalogue('memory')


tap.run()

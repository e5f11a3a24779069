#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power fails at every write of an ingest, and at every write of an origin's life: what was acknowledged is there (packages
that were published or uploaded, bytes of uploads, edges, policies, what was withdrawn or removed), and what is seen is right in every byte.

All changes of the disk are written down (t/lib/disk.c).  Every prefix of the diary is a moment the power can fail at; on what
the disk may hold then the real programs are started.  Some moments are looked at; RIBERA_CUTS=all: each of them, with all three kinds of loss."""
import atexit, base64, os, random, shutil, sqlite3, sys, tempfile
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import disk, film, package, tap
from origins import Origin

ALL = os.environ.get('RIBERA_CUTS') == 'all'
KINDS = ('lost', 'torn', 'kept')
PIECE = 1 << 20
TUS = {'Tus-Resumable': '1.0.0'}
OFFSET = {**TUS, 'Content-Type': 'application/offset+octet-stream'}


def scratch():
    """A folder in memory where there is one: thousands of small disks are written."""
    folder = tempfile.mkdtemp(prefix='ribera-test-', dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def each(root, events, samples, look):
    n = 0
    model, target, marks = disk.Disk(root), os.path.join(scratch(), 'left'), []
    step = 1 if ALL else max(1, len(events) // samples)
    for i, event in enumerate(events):
        if event.op == 'mark':
            marks.append(event.path.split())
            continue
        model.take(event)
        acknowledged = events[i - 1].op == 'mark' or i == len(events) - 1  # all that was promised by then, and not a byte more
        if i % step and not acknowledged:
            continue
        for keep in KINDS if ALL else ('lost',) if acknowledged else (KINDS[i // step % 3],):
            model.write(target, keep, seed=i)
            n += 1
            try:
                look(target, marks)
            except Exception as e:
                raise AssertionError(f'after {i} ({event}), unsynced {keep}: {e}') from e
    print(f'# {n} disks after {len(events)} events')
    return n


# --- ingest ------------------------------------------------------------------------------------------------------

def ingest(library, *options, env=None):
    return tap.call(tap.program('ribera-ingest'), film.generated(1, '128x72', '10'), '--title', 'film', '--ladder', 'fixed', '--max-rungs', '1',
                    '--library', library, *options, env=env, timeout=120)


@tap.test
def the_power_fails_at_every_write_of_an_ingest():
    folder = tap.folder()
    library, diary = os.path.join(folder, 'library'), os.path.join(folder, 'diary')
    tap.equal(ingest(library, env=disk.environment(library, diary)).returncode, 0)
    revision, = (x for x in os.listdir(os.path.join(library, 'film')) if x[0] != '.')
    disk.mark(diary, f'published {revision}')
    looked = [0]

    def look(left, marks):
        title = os.path.join(left, 'film')
        seen = [x for x in (os.listdir(title) if os.path.isdir(title) else []) if x[0] != '.']
        tap.check(seen == [revision] if marks else seen in ([], [revision]), f'the library shows {seen}')
        if seen:
            r = tap.call(tap.program('ribera-ingest'), '--verify', os.path.join(title, revision), timeout=60)
            tap.equal(r.returncode, 0, r.stderr[-500:])
        looked[0] += 1
        if looked[0] % (1 if ALL else 7) == 0:  # who comes back gets it published, whatever was left behind
            r = ingest(left)
            tap.check(r.returncode == 0 and os.path.isdir(os.path.join(title, revision)), r.stderr[-500:])
            tap.equal(tap.call(tap.program('ribera-ingest'), '--verify', os.path.join(title, revision), timeout=60).returncode, 0)
    tap.check(each(library, disk.read_diary(diary), 40, look) >= 20, 'too few disks')


# --- origin ------------------------------------------------------------------------------------------------------

def put(o, diary, title, revision, name, data, step):
    meta = ','.join(f'{k} {base64.b64encode(v.encode()).decode()}' for k, v in (('title', title), ('revision', revision), ('filename', name)))
    r = o.api('/uploads', 'POST', None, **TUS, **{'Upload-Length': str(len(data)), 'Upload-Metadata': meta})
    tap.equal(r.status, 201, r.body)
    where, at = r.headers['Location'], 0
    disk.mark(diary, f'upload {where} 0 {title}')
    while at < len(data):
        r = tap.http(o.control + where, 'PATCH', data[at:at + step], {**o.headers, **OFFSET, 'Upload-Offset': str(at)})
        tap.equal(r.status, 204, r.body)
        at = int(r.headers['Upload-Offset'])
        disk.mark(diary, f'upload {where} {at} {title}')


def said(r, diary, status, mark):
    tap.equal(r.status, status, r.body)
    disk.mark(diary, mark)


def live(o, diary, packages):
    """The diary of an origin's day, with marks of what it acknowledged."""
    before = dict(os.environ)
    os.environ.update(disk.environment(o.folder, diary))
    try:
        o.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    for name in ('edge-a', 'edge-b'):
        said(o.register(name), diary, 201, f'edge {name}')
    for title, (revision, files) in packages.items():
        for name in ['package.torrent'] + sorted(n for n in files if n != 'package.torrent'):
            put(o, diary, title, revision, name, files[name], PIECE // 2 + 777)
        tap.equal([t['revision'] for t in o.get('/api/v1/titles').json()['titles'] if t['title'] == title], [revision])
        disk.mark(diary, f'title {title}')
    said(o.api('/titles/film/policy', 'PUT', {'policy': 'pin'}), diary, 204, 'pinned film')
    disk.mark(diary, 'asked-to-remove edge-b')
    said(o.api('/edges/edge-b', 'DELETE'), diary, 204, 'removed edge-b')
    disk.mark(diary, 'asked-to-withdraw other')
    said(o.api('/titles/other', 'DELETE'), diary, 204, 'withdrawn other')
    tap.equal(o.p.stop(), 0)


def check_promises(o, marks, packages):
    titles = {t['title']: t for t in o.get('/api/v1/titles').json()['titles']}
    edges = {e['name'] for e in o.api('/edges').json()['edges']}
    told = {(m[0], m[1]) for m in marks}
    for title in titles:  # what is seen is right, acknowledged or not
        revision, files = packages[title]
        for name, data in files.items():
            tap.check(o.get(f'/v/{title}/{revision}/{name}').body == data, f'{title}/{name} has other bytes')
    for what, name, *more in marks:
        if what == 'edge':
            tap.check(name in edges or ('asked-to-remove', name) in told, f'{name} is lost')
        elif what == 'removed':
            tap.check(name not in edges, f'{name} is back')
        elif what == 'title':
            tap.check(name in titles or ('asked-to-withdraw', name) in told, f'{name} is lost')
        elif what == 'withdrawn':
            tap.check(name not in titles, f'{name} is back')
        elif what == 'pinned':
            tap.equal(o.api(f'/titles/{name}/metadata').json().get('policy'), 'pin')
        elif what == 'upload' and more[1] not in titles and ('withdrawn', more[1]) not in told and ('asked-to-withdraw', more[1]) not in told:
            r = tap.http(o.control + name, 'HEAD', headers={**o.headers, **TUS})
            tap.check(r.status == 200 and int(r.headers['Upload-Offset']) >= int(more[0]), f'{name}: {more[0]} bytes were acknowledged, {r.status} {r.headers.get("Upload-Offset")}')


@tap.test
def the_power_fails_at_every_write_of_an_origin():
    o, packages = Origin(options=['--heartbeat', '1h', '--rescan', '1h'], start=False), {}
    for seed, title in enumerate(('film', 'other')):
        rng = random.Random(seed)
        revision, folder = package.write(tap.folder(), title, {'video.mp4': rng.randbytes(PIECE + 70_000), 'audio.mp4': rng.randbytes(9_000)})
        files = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), 'rb') as f:
                files[name] = f.read()
        packages[title] = revision, files
    diary = os.path.join(tap.folder(), 'diary')
    live(o, diary, packages)
    told = tuple(os.path.join(o.folder, name) for name in ('log', 'ports'))  # for the test alone
    events = [disk.Event('mkdir', 0, 0, b'', o.library), disk.Event('fsync', 0, 0, b'', o.folder), *(e for e in disk.read_diary(diary) if not e.path.startswith(told))]

    def look(left, marks):
        again = Origin(os.path.join(left, 'library'), o.options, start=False)
        again.database = os.path.join(left, 'state', 'catalogue.sqlite')
        again.start()
        check_promises(again, marks, packages)
        tap.equal(again.p.stop(), 0)
        tap.equal(sqlite3.connect(again.database).execute('pragma integrity_check').fetchone()[0], 'ok')
    tap.check(each(o.folder, events, 25, look) >= 20, 'too few disks')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""All programs with reads and writes that are cut short or interrupted (t/lib/short.c): a film is made, sent to an origin, filled into
an edge, pulled through another and played, and every byte is right.

Any other test can be run so: RIBERA_SHORT=7 t/mod/edge.py (7 is the seed)."""
import json, os, sys
os.environ.setdefault('RIBERA_SHORT', '1')
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import film, tap
from origins import Origin

MASTER = film.generated(9, '320x180', '25')
OPTIONS = ['--title', 'film', '--ladder', 'fixed', '--max-rungs', '2']


def ingest(*options):
    return tap.call(tap.program('ribera-ingest'), MASTER, *OPTIONS, *options, timeout=300)


def library():
    """As an uncut program makes it, and the package's folder."""
    kept = os.environ.pop('RIBERA_SHORT')
    try:
        folder, revision, package = film.library(MASTER, 'film', '--ladder', 'fixed', '--max-rungs', '2')
    finally:
        os.environ['RIBERA_SHORT'] = kept
    return folder, revision, film.files(package)


@tap.test
def the_shim_is_there():
    """Else nothing here would test anything."""
    p = Origin().p
    with open(f'/proc/{p.pid}/maps') as f:
        tap.has(f.read(), 't/lib/short.so')
    tap.equal(p.stop(), 0)


@tap.test
def an_ingest_makes_the_same_package():
    out, (_, revision, files) = os.path.join(tap.folder(), 'library'), library()
    r = ingest('--library', out)
    tap.equal(r.returncode, 0, r.stderr[-800:])
    tap.equal(os.listdir(os.path.join(out, 'film')), [revision])
    made = film.files(os.path.join(out, 'film', revision))
    tap.equal([n for n in files if n != 'report.html' and n != 'report.json' and made.get(n) != files[n]], [], 'files with other bytes')
    tap.equal(tap.call(tap.program('ribera-ingest'), '--verify', os.path.join(out, 'film', revision)).returncode, 0)


@tap.test
def an_upload_arrives_whole():
    o, (_, revision, files) = Origin(options=['--heartbeat', '1h']), library()
    r = ingest('--to', o.control)
    tap.equal(r.returncode, 0, r.stderr[-800:])
    for name, data in files.items():
        if name not in ('report.html', 'report.json'):
            tap.check(o.get(f'/v/film/{revision}/{name}').body == data, name)
    tap.equal(o.p.stop(), 0)


@tap.test
def edges_fill_pull_and_serve_right_bytes_and_the_film_plays():
    folder, revision, files = library()
    system = film.System(folder, edges=1)
    system.start_edge('edge-p', '--window-start', '00:00', '--window-duration', '0s')  # all is pulled
    system.wait_filled('film', revision, ['edge-a'])
    for place in (system.url, *system.edge_urls.values()):
        for name, data in files.items():
            if not name.endswith(('.torrent', '.leaves')):
                r = tap.http(f'{place}/v/film/{revision}/{name}')
                tap.check(r.body == data, f'{name} of {place}: status {r.status}, {len(r.body)} bytes for {len(data)}')
    for place in (system.url, *system.edge_urls.values()):
        report = os.path.join(tap.folder(), 'report.json')
        r = tap.call(tap.program('ribera-player'), f'{place}/v/film/{revision}/manifest.mpd', '--output', 'null', '--quiet', '--speed', '8', '--report', report, timeout=120)
        tap.equal(r.returncode, 0, r.stderr[-800:])
        with open(report) as f:
            told = json.load(f)
        tap.equal(told['frames']['presented'] + told['frames']['dropped'], 9 * 25, 'pictures')
    system.stop()


tap.run()

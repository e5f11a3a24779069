#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of a package are the same wherever a viewer gets them: origin, filled edge, edge that pulls through."""
import os, random, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, tap

library, revision, package = film.library(None, 'film')
CONTENT = film.files(package)
system = film.System(library, edges=1)
system.start_edge('edge-p', '--window-start', '00:00', '--window-duration', '0s')  # its window never opens: all is pulled
system.wait_filled('film', revision, ['edge-a'])
PLACES = {'origin': system.url, 'filled edge': system.edge_urls['edge-a'], 'pulling edge': system.edge_urls['edge-p']}


def url(place, name):
    return f'{PLACES[place]}/v/film/{revision}/{name}'


@tap.test
def random_ranges_are_right_on_a_pulling_edge_first():
    rng = random.Random(1)
    big = [n for n in CONTENT if len(CONTENT[n]) > 100000]
    wrong = []

    def viewer(seed):
        rng = random.Random(seed)
        for _ in range(12):
            name = rng.choice(big)
            size = len(CONTENT[name])
            first = rng.randrange(size)
            last = min(size - 1, first + rng.choice([1, 1000, 100000, 3000000]))
            r = tap.http(url('pulling edge', name), headers={'Range': f'bytes={first}-{last}'})
            if r.status != 206 or r.body != CONTENT[name][first:last + 1]:
                wrong.append((name, first, last, r.status, len(r.body)))
    threads = [threading.Thread(target=viewer, args=(s,)) for s in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.equal(wrong, [], 'wrong answers')


@tap.test
def every_file_is_equal_everywhere():
    for place in PLACES:
        for name, content in CONTENT.items():
            if name.endswith(('.torrent', '.leaves')) and place != 'origin':
                continue
            r = tap.http(url(place, name))
            tap.equal(r.status, 200, f'{place} {name}')
            tap.equal(film.sha256(r.body), film.sha256(content), f'{place} {name}')
            tap.has(r.headers['Cache-Control'], 'immutable')


@tap.test
def the_same_etag_everywhere_and_it_is_honoured():
    name = max(CONTENT, key=lambda n: len(CONTENT[n]))
    tags = {tap.http(url(place, name), 'HEAD').headers['ETag'] for place in PLACES}
    tap.equal(len(tags), 1, f'ETags {tags}')
    for place in PLACES:
        tap.equal(tap.http(url(place, name), headers={'If-None-Match': tags.copy().pop()}).status, 304, place)


@tap.test
def the_filled_edge_did_not_ask_again_and_the_pulling_one_fetched_once():
    total = sum(len(c) for n, c in CONTENT.items())
    tap.check(system.edges['edge-p'].alive() and system.edges['edge-a'].alive())
    text = tap.http(PLACES['pulling edge'] + '/metrics').body.decode()
    fetched = tap.metric(text, 'ribera_edge_fetched_bytes_total{by="pull"}')
    tap.check(fetched is not None, 'ribera_edge_fetched_bytes_total{by="pull"} is missing')
    tap.check(0 < fetched <= total * 1.01 + (1 << 20), f'{fetched} bytes fetched for a package of {total}')


@tap.test
def what_is_not_there_is_not_there():
    for place in PLACES:
        for path in ('/v/film/' + revision + '/nothing.mp4', '/v/nothing/manifest.mpd', '/v/film/' + '0' * 20 + '/manifest.mpd',
                     '/v/film/../../etc/passwd', '/v/film/%2e%2e/%2e%2e/etc/passwd', '/v//film/manifest.mpd', '/etc/passwd'):
            tap.check(tap.http(PLACES[place] + path).status in (400, 404), f'{place} {path}')


@tap.test
def all_end_cleanly():
    system.stop()
    for process in [*system.edges.values(), system.origin]:
        tap.equal(process.p.returncode, 0, process.p.args[0])


tap.run()

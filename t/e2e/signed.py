#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed URLs through the whole system: the origin's page gives them out, edges fill and pull with their own, players keep them."""
import os, re, sys, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, tap

library, revision, package = film.library(None, 'film')
CONTENT = film.files(package)
KEYS = os.path.join(tap.folder(), 'url-keys')
with open(os.open(KEYS, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
    f.write('k1 ' + os.urandom(32).hex() + '\n')
system = film.System(library, start_edges=False)
system.origin.stop()
system.start_origin('--url-keys', KEYS)
system.start_edge('edge-a', '--url-keys', KEYS)
system.start_edge('edge-p', '--url-keys', KEYS, '--window-duration', '0s')  # all is pulled through
VIDEO = max(CONTENT, key=lambda n: len(CONTENT[n]))


def bases(url):
    r = tap.http(url)
    tap.equal(r.status, 200, url)
    return re.findall(r'<BaseURL[^>]*>(http[^<]*)', r.body.decode())


@tap.test
def edges_fill_with_signatures_of_their_own():
    system.wait_filled('film', revision, ['edge-a'])


@tap.test
def nothing_without_a_signature():
    for place in (system.url, *system.edge_urls.values()):
        for path in ('manifest.mpd', 'main.m3u8', f'{revision}/{VIDEO}'):
            tap.equal(tap.http(f'{place}/v/film/{path}').status, 403, f'{place} {path}')
    tap.equal(tap.http(f'{system.url}/api/v1/titles').status, 200)


@tap.test
def the_page_gives_out_urls_that_work_everywhere():
    title = tap.http(f'{system.url}/api/v1/titles/film').json()
    tap.check(title['manifest'].startswith('/s/k1.'), title['manifest'])
    if title['poster']:
        tap.equal(tap.http(system.url + title['poster']).status, 200)
    for place in (system.url, *system.edge_urls.values()):
        urls = bases(place + title['manifest'])
        tap.check(len(urls) >= 2 and all('/s/k1.' in u for u in urls), str(urls))
        for url in urls:
            r = tap.http(url + VIDEO, headers={'Range': 'bytes=100-70000'})
            tap.equal((r.status, r.body), (206, CONTENT[VIDEO][100:70001]), url)
    r = tap.http(f'{system.edge_urls["edge-p"]}{title["manifest"].rpartition("/")[0]}/{revision}/{VIDEO}')
    tap.check(r.body == CONTENT[VIDEO], 'pulled through with the edge\'s own signature')


@tap.test
def playlists_keep_it():
    path = tap.http(f'{system.url}/api/v1/titles/film').json()['playlist']
    for place in (system.url, system.edge_urls['edge-a']):
        url = place + path
        r = tap.http(url)
        tap.equal(r.status, 200)
        for line in r.body.decode().splitlines():
            names = [line] if line and not line.startswith('#') else re.findall(r'URI="([^"]+)"', line) if 'STEERING' not in line else []
            for name in names:
                tap.equal(tap.http(urllib.parse.urljoin(url, name), 'HEAD').status, 200, name)


@tap.test
def our_player_plays_it():
    url = tap.call(tap.program('ribera-admin'), 'sign', f'{system.url}/v/film/manifest.mpd', '--url-keys', KEYS, '--expires', '1h',
                   check_exit=0).stdout.strip()
    tap.call(tap.program('ribera-player'), url, '--output', 'null', '--quiet', '--speed', 'max', check_exit=0)
    refused = tap.call(tap.program('ribera-player'), f'{system.url}/v/film/manifest.mpd', '--output', 'null', '--quiet')
    tap.check(refused.returncode != 0 and '403' in refused.stderr, refused.stderr)


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-origin as a real process: edges, plans, manifests, bad requests, tokens, kill -9, damaged and full catalogues."""
import concurrent.futures, hashlib, http.client, json, os, random, re, sqlite3, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap
from origins import ADMIN, JSON, Origin, PROGRAM, places, raw

shared = Origin()
REV, _ = package.write(shared.library, 'one')
KEY = f'one/{REV}'
tap.until(lambda: shared.get('/v/one/manifest.mpd').status == 200, 10, 'the package (by inotify)')


# --- edges, plans, manifests --------------------------------------------------------------------------------------

@tap.test
def an_edges_life():
    o = Origin(options=['--heartbeat', '300ms'])
    rev, folder = package.write(o.library, 'film')
    key = f'film/{rev}'
    tap.until(lambda: o.get('/api/v1/titles').json()['total'] == 1)
    tap.equal(places(o.get('/v/film/manifest.mpd').body), [('origin', f'{o.viewers}/v/{key}/')])
    tap.equal(o.beat('edge-a').status, 404, 'heartbeat before registration')
    tap.equal(o.api('/edges/edge-a/plan').status, 404)
    r = o.register('edge-a', 'http://edge-a.example/')
    tap.equal((r.status, r.headers['Location']), (201, '/api/v1/edges/edge-a'))
    tap.equal(r.json()['heartbeat_seconds'], 0.3)
    tap.equal(o.register('edge-a').status, 200, 'again')

    r = o.api('/edges/edge-a/plan')
    plan = r.json()
    with open(os.path.join(folder, 'package.torrent'), 'rb') as f:
        torrent = f.read()
    tap.equal(plan['titles'], [{'title': 'film', 'revision': rev, 'digest': hashlib.sha256(torrent).hexdigest(), 'hold': True,
                                'digest_bytes': len(torrent), 'bytes': o.get('/api/v1/titles').json()['titles'][0]['bytes']}])
    tap.equal((plan['origin'], plan['peers']), (o.viewers, []))
    tap.equal(r.headers['ETag'], f'"{plan["version"]}"')
    tap.equal(o.api('/edges/edge-a/plan', **{'If-None-Match': r.headers['ETag']}).status, 304)
    tap.equal(o.api('/edges/edge-a/plan', **{'If-None-Match': f'"x", W/{r.headers["ETag"]}'}).status, 304)

    tap.equal(o.beat('edge-a', key, filling=[{'title': 'next', 'revision': '0' * 20, 'bytes': 77}]).status, 200)
    tap.equal(places(o.get('/v/film/manifest.mpd').body),
              [('edge-a', f'http://edge-a.example/v/{key}/'), ('origin', f'{o.viewers}/v/{key}/')])
    tap.equal(o.api('/edges/edge-a').json()['held'], [{'title': 'film', 'revision': rev, 'complete': True},
                                                      {'title': 'next', 'revision': '0' * 20, 'bytes': 77, 'complete': False}])
    tap.equal(o.get('/api/v1/titles/film').json()['edges'], 1)
    o.register('edge-b')
    peers = o.api('/edges/edge-b/plan').json()['peers']
    tap.check(peers in ([], [{'name': 'edge-a', 'url': 'http://edge-a.example', 'holds': [key]}]), peers)

    # silence: down after three missed heartbeats, and up again with the next one
    tap.until(lambda: {e['state'] for e in o.api('/edges').json()['edges']} == {'down'}, 10, 'edges down')
    tap.equal(len(places(o.get('/v/film/manifest.mpd').body)), 1)
    tap.equal(o.api('/edges/edge-b/plan').json()['peers'], [])
    o.beat('edge-a', key)
    tap.equal(len(places(o.get('/v/film/manifest.mpd').body)), 2)
    tap.equal(o.api('/edges/edge-a', 'DELETE').status, 204)
    tap.equal(o.api('/edges/edge-a', 'DELETE').status, 404)
    tap.equal(len(places(o.get('/v/film/manifest.mpd').body)), 1)
    tap.equal(o.p.stop(), 0, 'exit code')


@tap.test
def hits_of_late_are_told():
    o = Origin(options=['--heartbeat', '1h'])
    o.register('edge-a')
    seen = []
    for hits, misses in ((1000, 1000), (1000, 1000), (1090, 1010), (15, 0), (15, 0)):  # the fourth: it was started anew
        tap.equal(o.beat('edge-a', hits=hits, misses=misses).status, 200)
        seen.append(o.api('/edges/edge-a').json()['hit_ratio'])
    tap.equal(seen[:2], [None, None], 'what was before is not of late')
    tap.near(seen[2], 0.9, 0.001)
    tap.near(seen[3], 105 / 115, 0.001)
    tap.near(seen[4], 105 / 115, 0.001)
    tap.has(o.admin('edges').stdout, '91%')
    tap.has(o.admin('top').stdout, '91%')
    o.p.stop()


@tap.test
def a_manifest_keeps_its_order_and_validators():
    for name in 'abcdefgh':
        shared.register('edge-' + name)
        shared.beat('edge-' + name, KEY)
    first = shared.get('/v/one/manifest.mpd')
    again = shared.get('/v/one/manifest.mpd')
    order = [name for name, _ in places(first.body)]
    tap.check(first.body == again.body and first.headers['ETag'] == again.headers['ETag'])
    tap.equal(shared.get('/v/one/manifest.mpd', If_None_Match=first.headers['ETag']).status, 304)
    tap.equal(first.headers['Content-Type'], 'application/dash+xml')
    tap.has(first.headers['Cache-Control'], 'max-age=2')
    tap.equal((len(order), order[-1]), (5, 'origin'), 'places')
    shared.beat(order[0], KEY, load=2.0)  # overloaded: behind the others
    tap.check(places(shared.get('/v/one/manifest.mpd').body)[0][0] == order[1])
    shared.beat(order[1])                 # holds it no more
    now = [name for name, _ in places(shared.get('/v/one/manifest.mpd').body)]
    tap.check(order[1] not in now and now[0] == order[2], f'{order} {now}')
    for name in 'abcdefgh':
        shared.api('/edges/edge-' + name, 'DELETE')


@tap.test
def manifests_stay_whole_while_edges_come_and_go():
    o = Origin(options=['--threads', '4', '--heartbeat', '1h'])
    keys = [f't{i}/{package.write(o.library, f"t{i}", {"video.mp4": bytes([i])})[0]}' for i in range(6)]
    tap.until(lambda: o.get('/api/v1/titles').json()['total'] == 6)
    stop, wrong, served = threading.Event(), [], [0]

    def viewer(n):
        c = http.client.HTTPConnection('127.0.0.1', o.ports['viewers'], timeout=20)
        while not stop.is_set():
            title = keys[random.randrange(6)]
            c.request('GET', f'/v/{title.split("/")[0]}/manifest.mpd')
            r = c.getresponse()
            body = r.read()
            found = places(body)
            good = (r.status == 200 and body.endswith(b'</MPD>\n') and found[-1][0] == 'origin' and
                    len({name for name, _ in found}) == len(found) <= 5 and all(url.endswith(f'/v/{title}/') for _, url in found))
            if not good:
                wrong.append((r.status, body[:600]))
                return
            served[0] += 1
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        running = [pool.submit(viewer, n) for n in range(6)]
        rng, end = random.Random(7), time.monotonic() + 3
        while time.monotonic() < end and not wrong:
            name = f'edge-{rng.randrange(8)}'
            what = rng.random()
            if what < 0.1:
                o.api('/edges/' + name, 'DELETE')
            elif what < 0.3:
                o.register(name, f'http://{name}-{rng.randrange(3)}.example')
            else:
                o.beat(name, *rng.sample(keys, rng.randrange(6)), load=rng.random() * 1.5)
        stop.set()
        for f in running:
            f.result()
    tap.equal(wrong, [])
    tap.check(served[0] > 100, f'{served[0]} manifests')
    o.p.stop()


@tap.test
def the_plan_mirrors_what_fits_newest_first():
    o = Origin()
    revs = {}
    for age, name in enumerate(['new', 'middle', 'old']):
        revs[name], folder = package.write(o.library, name, {'video.mp4': os.urandom(200_000)})
        os.utime(folder, (1_700_000_000 - age * 1000,) * 2)
    o.p.stop()
    o.start()
    o.register('edge-a', capacity=450_000)
    plan = o.api('/edges/edge-a/plan').json()
    tap.equal([(t['title'], t['hold']) for t in plan['titles']], [('new', True), ('middle', True), ('old', False)])
    # a second revision of "old" is the newest now; its first one is still listed, behind, not to be filled
    second, _ = package.write(o.library, 'old', {'video.mp4': os.urandom(200_000)})
    tap.until(lambda: o.get('/api/v1/titles/old').json()['revision'] == second)
    plan = o.api('/edges/edge-a/plan').json()
    tap.equal([(t['title'], t['revision'], t['hold']) for t in plan['titles']],
              [('old', second, True), ('new', revs['new'], True), ('middle', revs['middle'], False), ('old', revs['old'], False)])
    tap.equal(o.get(f'/v/old/{revs["old"]}/video.mp4').status, 200, 'the old revision is still served')
    has = json.loads(o.admin('--json', 'plan', 'edge-a', '--dry-run').stdout)
    tap.equal([t['move'] for t in has['titles']], ['fill', 'fill', '-', '-'])
    o.p.stop()


# --- the control API's manners ------------------------------------------------------------------------------------

@tap.test
def wrong_bodies_are_refused_with_the_field():
    good = {'name': 'edge-x', 'url': 'http://x', 'capacity': 1}
    shared.register('edge-h')
    table = [
        ('/edges', b'', ''), ('/edges', b'{', ''), ('/edges', b'[]', ''), ('/edges', b'null', ''), ('/edges', b'"x"', ''),
        ('/edges', b'{"name":"a","name":"b"}', ''), ('/edges', b'\xff', ''), ('/edges', b'[' * 100000, ''),
        ('/edges', {k: v for k, v in good.items() if k != 'name'}, 'name'), ('/edges', {**good, 'more': 1}, 'more'),
        ('/edges', {**good, 'name': ''}, 'name'), ('/edges', {**good, 'name': '../x'}, 'name'), ('/edges', {**good, 'name': 5}, 'name'),
        ('/edges', {**good, 'name': 'origin'}, 'name'), ('/edges', {**good, 'name': 'a' * 129}, 'name'),
        ('/edges', {**good, 'url': 'ftp://x'}, 'url'), ('/edges', {**good, 'url': 'http://'}, 'url'),
        ('/edges', {**good, 'url': 'http://a/?q'}, 'url'), ('/edges', {**good, 'url': 'http://u@a/'}, 'url'),
        ('/edges', {**good, 'url': 'http://a/"><script>'}, 'url'), ('/edges', {**good, 'url': 'javascript:1'}, 'url'),
        ('/edges', {**good, 'capacity': -1}, 'capacity'), ('/edges', {**good, 'capacity': 1.5}, 'capacity'),
        ('/edges', {**good, 'capacity': '1'}, 'capacity'), ('/edges', {**good, 'capacity': 2**64}, ''),
        ('/edges/edge-h/heartbeat', {}, 'free_bytes'), ('/edges/edge-h/heartbeat', {'free_bytes': 1, 'load': 0}, 'holds'),
        ('/edges/edge-h/heartbeat', {'free_bytes': 1, 'load': -1, 'holds': []}, 'load'),
        ('/edges/edge-h/heartbeat', {'free_bytes': 1, 'load': True, 'holds': []}, 'load'),
        ('/edges/edge-h/heartbeat', {'free_bytes': 1, 'load': 0, 'holds': 'x'}, 'holds'),
        ('/edges/edge-h/heartbeat', {'free_bytes': 1, 'load': 0, 'holds': [KEY, 'one']}, 'holds[1]'),
        ('/edges/edge-h/heartbeat', {'free_bytes': 1, 'load': 0, 'holds': ['one/' + 'x' * 20]}, 'holds[0]'),
        ('/edges/edge-h/heartbeat', {'free_bytes': 1, 'load': 0, 'holds': [], 'filling': [{'title': 'a'}]}, 'filling[0].revision'),
        ('/tokens', {}, 'role'), ('/tokens', {'role': 'king'}, 'role'), ('/tokens', {'role': 'admin', 'expires_seconds': 0}, 'expires_seconds'),
        ('/tokens', {'role': 'admin', 'note': 'a\nb'}, 'note'),
    ]
    for path, body, field in table:
        r = shared.api(path, 'POST', body, **JSON)
        tap.equal(r.status, 400, f'{path} {str(body)[:80]}')
        tap.equal(r.headers['Content-Type'], 'application/problem+json')
        problem = r.json()
        tap.equal((problem.get('field', ''), problem['status']), (field, 400), f'field of {str(body)[:80]}: {problem}')
        tap.check(problem['detail'])
    tap.equal(shared.api('/edges', 'POST', b'x=1', **{'Content-Type': 'application/x-www-form-urlencoded'}).status, 415)
    tap.equal(shared.api('/edges', 'PUT', {}).status, 405)
    tap.equal(shared.api('/nothing').status, 404)
    for query in ['limit=0', 'limit=1001', 'limit=x', 'limit=-1', 'after=%2e%2e', 'after=a/b']:
        tap.equal(shared.api('/titles?' + query).status, 400, query)
    tap.equal(shared.api('/edges/edge-h', 'DELETE').status, 204)
    tap.equal(shared.api('/edges').json()['edges'], [], 'nothing of this came in')


@tap.test
def the_api_and_its_description_name_the_same_things():
    with open(os.path.join(tap.SOURCE, 'doc', 'openapi.yaml')) as f:
        text = f.read()
    text = text[text.index('\npaths:'):text.index('\ncomponents:')]
    described = {m.group(1): set(re.findall(r'^    (get|post|put|patch|delete|options):', m.group(2), re.M))
                 for m in re.finditer(r'^  (/\S+):\n((?:    .*\n)+)', text + '\n', re.M)}
    tap.check(len(described) >= 8, described)
    for path, methods in described.items():
        for method in ['get', 'post', 'put', 'patch', 'delete']:
            query = '?types=none' if path.endswith('/events') else ''  # which would go on without an end
            r = tap.http(shared.control + re.sub(r'{\w+}', 'no-such', path) + query, method.upper(), b'{}' if method != 'get' else None, JSON)
            if method in methods:
                tap.check(r.status != 405 and b'nothing at this path' not in r.body, f'{method} {path}: {r.status} {r.body}')
            else:
                tap.equal(r.status, 405, f'{method} {path}')
                tap.equal({m.strip().lower() for m in r.headers['Allow'].split(',')} - {'head'}, methods, f'Allow of {path}')
    with open(os.path.join(tap.SOURCE, 'origin', 'api.c')) as f:
        served = {re.sub(r'\*', '{}', p) for p in re.findall(r'{"[A-Z]+", "(/api/v1/[^"]+)"', f.read())}
    tap.equal(served, {re.sub(r'{\w+}', '{}', p) for p in described}, 'paths')


@tap.test
def huge_bodies_are_refused():
    request = (f'POST /api/v1/edges HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n'
               f'Content-Length: {1 << 30}\r\n\r\n').encode() + b'{"name":"' + b'a' * 1000
    tap.check(b' 413 ' in raw(shared.ports['control'], request).split(b'\r\n')[0])
    tap.equal(shared.api('/edges').status, 200)


@tap.test
def lists_come_in_pages():
    o = Origin(options=['--heartbeat', '1h'])
    names = [f't{i:03}' for i in range(25)]
    for name in names:
        package.write(o.library, name, {'video.mp4': name.encode()})
        o.register('edge-' + name)
    tap.until(lambda: o.get('/api/v1/titles').json()['total'] == 25)
    for path, key, field in [('/titles', 'titles', 'title'), ('/edges', 'edges', 'name')]:
        seen, after, pages = [], '', 0
        while after is not None:
            page = o.api(f'{path}?limit=10' + (f'&after={after}' if after else '')).json()
            seen += [x[field].removeprefix('edge-') for x in page[key]]
            after, pages = page['next'], pages + 1
        tap.equal((seen, pages), (names, 3), path)
    tap.equal(o.api('/titles?limit=25').json()['next'], None)
    tap.equal(len(json.loads(o.admin('--json', 'titles').stdout)), 25)
    revs = {t['title']: t['revision'] for t in o.api('/titles').json()['titles']}
    for name in names[:5]:
        o.beat('edge-' + name, *(f'{n}/{revs[n]}' for n in names[:7]), parts=[f'{names[0]}/{revs[names[0]]}/manifest.mpd'],
               filling=[{'title': n, 'revision': revs[n], 'bytes': 5} for n in reversed(names[7:10])])
        o.api(f'/edges/edge-{name}/place', 'PUT', {'key': 'site', 'value': 'here'})
        o.api(f'/titles/{name}', 'DELETE')
        o.api('/masters', 'POST', None, **{'Upload-Length': '9', 'Tus-Resumable': '1.0.0'})
    o.headers = {'Authorization': 'Bearer ' + o.api('/tokens', 'POST', {'role': 'admin'}).json()['token']}
    for _ in range(11):
        o.api('/tokens', 'POST', {'role': 'edge'})
    for path, key, n in [('/holdings', 'holdings', 35), ('/holdings?edge=edge-t003', 'holdings', 7), ('/holdings?title=t002', 'holdings', 5),
                         ('/holdings?edge=edge-t001&title=t001', 'holdings', 1), ('/holdings?edge=none', 'holdings', 0),
                         ('/fills', 'fills', 15), ('/fills?edge=edge-t000', 'fills', 3), ('/fills?title=t008', 'fills', 5), ('/tokens', 'tokens', 12),
                         ('/withdrawn', 'withdrawn', 5), ('/uploads', 'uploads', 5), ('/placement', 'rules', 5), ('/masters', 'masters', 0)]:
        for limit in (1, 2, 4, 1000):
            seen, after, pages = [], None, 0
            while pages == 0 or after is not None:
                page = o.api(f'{path}{"&" if "?" in path else "?"}limit={limit}' + (f'&after={after}' if after else '')).json()
                tap.check(len(page[key]) <= limit)
                seen += [json.dumps(x, sort_keys=True) for x in page[key]]
                after, pages = page['next'], pages + 1
            tap.equal((len(seen), len(set(seen)), pages), (n, n, max(1, -(-n // limit))), f'{path} by {limit}')
    one = o.api('/holdings?limit=1').json()
    tap.equal((one['holdings'], one['next']), ([{'edge': 'edge-t000', 'title': 't000', 'revision': revs['t000'], 'complete': False, 'files': ['manifest.mpd']}],
                                               f'edge-t000/t000/{revs["t000"]}'))
    tap.equal(o.api('/fills?limit=1').json()['fills'][0]['total'] > 5, True)
    # what is behind a row that is gone meanwhile
    o.api('/edges/edge-t000', 'DELETE')
    tap.equal([h['edge'] for h in o.api(f'/holdings?limit=2&after={one["next"]}').json()['holdings']], ['edge-t001'] * 2)
    tap.equal([t['id'] for t in o.api('/tokens?after=10').json()['tokens']], [11, 12])
    # cursors that nobody gave
    for path in ('/holdings', '/fills', '/withdrawn', '/placement'):
        for after in ('x', '', 'edge-t000') + (('a/b',) if path in ('/holdings', '/fills') else ()):
            r = o.api(f'{path}?after={after}')
            tap.equal((r.status, r.json().get('field')), (400, 'after'), f'{path} {after}')
    tap.equal(o.api('/holdings?after=zzz/%F0%9F%8E%AC/../..&limit=7').json(), {'holdings': [], 'next': None})
    tap.equal([o.api(f'/tokens?after={a}').status for a in ('x', '-5', '99999999999999999999', '11/../1')], [200] * 4)
    o.p.stop()


@tap.test
def a_change_can_be_bound_to_what_was_seen():
    o = Origin(options=['--heartbeat', '1h'])
    revs = [package.write(o.library, 'film', {'video.mp4': bytes([i])})[0] for i in range(2)]
    o.register('edge-a')
    tap.until(lambda: len((o.get('/api/v1/titles/film').json() or {}).get('revisions', ())) == 2)
    for method, path, body, seen in [
            ('PUT', '/titles/film/metadata', {'name': 'A'}, '/titles/film/metadata'),
            ('PATCH', '/titles/film/metadata', {'name': 'B'}, '/titles/film/metadata'),
            ('PUT', '/titles/film/policy', {'policy': 'pin'}, '/titles/film/metadata'),
            ('PUT', '/titles/film/current', {'revision': revs[0]}, '/titles/film/current'),
            ('DELETE', '/titles/film/current', None, '/titles/film/current'),
            ('PUT', '/placement', {'key': 'copies', 'value': '2'}, '/placement'),
            ('PUT', '/edges/edge-a/place', {'key': 'site', 'value': 'x'}, '/placement'),
            ('DELETE', f'/titles/film/revisions/{revs[0]}', None, f'/titles/film/revisions/{revs[0]}'),
            ('DELETE', '/titles/film', None, '/titles/film')]:
        before = o.api(seen)
        r = o.api(path, method, body, **{'If-Match': '"old"'})
        tap.equal((r.status, r.headers['Content-Type']), (412, 'application/problem+json'), path)
        tap.equal(o.api(path, method, body, **{'If-None-Match': before.headers['ETag']}).status, 412, path)
        tap.equal(o.api(seen).body, before.body, f'{path}: nothing was done')
        tap.check(o.api(path, method, body, **{'If-Match': before.headers['ETag']}).status in (200, 204), path)
        tap.check(o.api(seen).headers.get('ETag') != before.headers['ETag'] or path.endswith('/current'), f'{path}: it is another one now')
    for method, path in [('PUT', '/edges/edge-a/drain'), ('DELETE', '/edges/edge-a/drain'), ('DELETE', '/edges/edge-a'), ('DELETE', '/tokens/1')]:
        tap.equal(o.api(path, method, **{'If-Match': '"old"'}).status, 412, path)
    # an edge's seconds pass, which is no change: what was seen may be changed, until somebody else did
    seen = [o.api('/edges/edge-a').headers['ETag'] for _ in range(2)]
    tap.equal(seen[0], seen[1])
    tap.equal([o.api('/edges/edge-a/drain', m, **{'If-Match': seen[0]}).status for m in ('PUT', 'DELETE')], [204, 412])
    tap.equal(o.api('/edges/edge-a/drain', 'DELETE', **{'If-Match': o.api('/edges/edge-a').headers['ETag']}).status, 204)
    tap.equal(o.api('/edges/edge-a', **{'If-None-Match': seen[0]}).status, 200, 'what passes is told')
    tap.equal(o.api('/edges/edge-a/drain', 'PUT', **{'If-Match': '*'}).status, 204)
    tap.equal(o.api('/titles/none', 'DELETE', **{'If-Match': '"x"'}).status, 404, 'what is not there cannot have changed')
    o.p.stop()


@tap.test
def sums_that_are_dear_are_kept_and_counted_anew():
    o = Origin(options=['--heartbeat', '1h'])
    hour = int(time.time()) // 3600 * 3600
    o.register('edge-a')

    def send(sequence, n):
        files = [{'title': f'title-{i}', 'revision': '0' * 20, 'file': 'v.mp4', 'requests': 1, 'bytes': 1000 + i, 'sessions': 1} for i in range(n)]
        tap.equal(o.api('/edges/edge-a/demand', 'POST', {'stream': 's', 'sequence': sequence, 'hours': [{'hour': hour, 'files': files}]}).status, 200)

    send(1, 40000)
    ask = lambda: o.api('/demand?hours=7')
    first = ask()
    tap.equal((len(first.json()['files']), first.json()['files'][0]), (1000, {'title': 'title-39999', 'revision': '0' * 20, 'file': 'v.mp4', 'requests': 1,
                                                                               'bytes': 40999, 'sessions': 1}))
    tap.equal(ask().headers['ETag'], first.headers['ETag'])
    tap.equal(tap.http(o.control + '/api/v1/demand?hours=7', headers={'If-None-Match': first.headers['ETag']}).status, 304)
    send(2, 40000)
    tap.until(lambda: ask().json()['files'][0]['requests'] == 2, 60, 'the new batch in the sums')
    tap.check(int(ask().headers['Age']) < 60)
    tap.equal(o.api('/demand?hours=7&title=title-5').json()['files'][0]['bytes'], 2010, 'what is cheap is counted at once')
    o.p.stop()


@tap.test
def a_page_of_another_site_cannot_call_the_control_api():
    def status(**headers):
        c = http.client.HTTPConnection('127.0.0.1', shared.ports['control'], timeout=10)
        c.putrequest('GET', '/api/v1/edges', skip_host=True)
        for k, v in headers.items():
            c.putheader(k, v)
        c.endheaders()
        return c.getresponse().status
    port = shared.ports['control']
    for host in [f'127.0.0.1:{port}', f'localhost:{port}', 'LOCALHOST', f'[::1]:{port}', '127.0.0.1']:
        tap.equal(status(Host=host), 200, host)
    for host in ['evil.example', f'evil.example:{port}', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '']:
        tap.check(status(Host=host) in (421, 400), host)
    tap.equal(status(Host='localhost', Origin='http://evil.example'), 403)
    tap.equal(status(Host='localhost', Origin='null'), 403)
    tap.equal(status(Host='localhost', Origin=f'http://localhost:{port}'), 403)
    tap.equal(status(Host=f'localhost:{port}', Origin=f'http://localhost:{port + 1}'), 403, 'a page of another program of this machine')
    tap.equal([status(Host=f'{name}:{port}', Origin=f'http://{name}:{port}') for name in ('localhost', '127.0.0.1', '[::1]', 'LOCALHOST')], [200] * 4)


# --- tokens ---------------------------------------------------------------------------------------------------------

@tap.test
def tokens_open_what_their_role_may():
    o = Origin()
    tap.equal(o.api('/tokens', 'POST', {'role': 'edge'}).status, 409, 'first an admin')
    admin = o.api('/tokens', 'POST', {'role': 'admin', 'note': 'mine'})
    tap.equal(admin.status, 201)
    tap.equal(o.api('/edges').status, 401, 'without a token')
    tap.has(o.api('/edges').headers['WWW-Authenticate'], 'Bearer')
    o.headers = {'Authorization': 'Bearer ' + admin.json()['token']}
    edge = o.api('/tokens', 'POST', {'role': 'edge'}).json()
    listed = o.api('/tokens')
    tap.equal([t['role'] for t in listed.json()['tokens']], ['admin', 'edge'])
    tap.check(edge['token'].encode() not in listed.body, 'a secret in the list')
    with open(o.database, 'rb') as f:
        tap.check(edge['token'].encode() not in f.read(), 'a secret on the disk')
    o.p.kill()
    o.start()
    secret, o.headers = o.headers, {'Authorization': 'Bearer ' + edge['token']}
    tap.equal(o.register('edge-a').status, 201)
    tap.equal(o.beat('edge-a').status, 200)
    tap.equal(o.api('/tokens').status, 403)
    tap.equal(o.api('/edges/edge-a', 'DELETE').status, 403)
    for wrong in ['Bearer x', 'Bearer ', 'Basic ' + edge['token'], edge['token'], 'Bearer ' + edge['token'] + 'x']:
        o.headers = {'Authorization': wrong}
        tap.equal(o.api('/titles').status, 401, wrong)
    o.headers = secret
    tap.equal(o.api('/tokens/1', 'DELETE').status, 409, 'the last admin')
    tap.equal(o.api(f'/tokens/{edge["id"]}', 'DELETE').status, 204)
    tap.equal(o.api(f'/tokens/{edge["id"]}', 'DELETE').status, 404)
    o.headers = {'Authorization': 'Bearer ' + edge['token']}
    tap.equal(o.beat('edge-a').status, 401, 'revoked')
    tap.equal(o.get('/api/v1/titles').status, 200, 'viewers need none')
    tap.equal(tap.http(o.control + '/healthz').status, 200)
    o.headers = secret
    short = o.api('/tokens', 'POST', {'role': 'edge', 'expires_seconds': 1}).json()
    o.headers = {'Authorization': 'Bearer ' + short['token']}
    tap.until(lambda: o.beat('edge-a').status == 401, 5, 'expiry')
    o.p.stop()


@tap.test
def the_token_file_decides_from_the_start():
    folder = tap.folder()
    path = os.path.join(folder, 'tokens')
    with open(path, 'w') as f:
        f.write('# ours\nadmin-token-0123456789\nedge edge-token-0123456789 # for edges\n')
    os.chmod(path, 0o600)
    o = Origin(options=['--token-file', path])
    tap.equal(o.api('/edges').status, 401)
    o.headers = {'Authorization': 'Bearer admin-token-0123456789'}
    tap.equal(o.api('/edges').status, 200)
    o.headers = {'Authorization': 'Bearer edge-token-0123456789'}
    tap.equal((o.api('/edges').status, o.register('edge-a').status), (403, 201))
    o.headers = {'Authorization': 'Bearer 0123456789'}
    tap.equal(o.api('/edges').status, 401)
    one = os.path.join(folder, 'one')
    with open(one, 'w') as f:
        f.write('admin-token-0123456789\n')
    tap.has(tap.call(ADMIN, '--control', o.control, '--token-file', one, 'edges', check_exit=0).stdout, 'edge-a')
    tap.has(o.admin('edges', code=1).stderr, '401')
    made = tap.call(ADMIN, '--control', o.control, '--token-file', one, 'token', 'new', 'edge', '--edge', 'edge-b', check_exit=0).stdout.strip()
    o.headers = {'Authorization': 'Bearer ' + made}
    tap.equal((o.register('edge-b').status, o.beat('edge-b').status, o.beat('edge-a').status), (201, 200, 403), 'a token for one edge')
    o.p.stop()


# --- survival ---------------------------------------------------------------------------------------------------------

@tap.test
def kill_loses_nothing_that_was_acknowledged():
    o = Origin(options=['--heartbeat', '1h'])
    rng, acknowledged = random.Random(4), {}
    for round_ in range(int(os.environ.get('RIBERA_KILLS', 84))):
        stop = threading.Event()

        def writer(n):
            i = 0
            while not stop.is_set():
                name = f'edge-{n}-{round_}-{i}'
                held = f'film/{i:020x}'
                try:
                    if o.register(name, capacity=i).status == 201:
                        acknowledged[name] = None
                    if o.beat(name, held).status == 200:
                        acknowledged[name] = held
                except OSError:
                    return
                except http.client.HTTPException:
                    return
                i += 1
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            running = [pool.submit(writer, n) for n in range(4)]
            before = len(acknowledged)
            tap.until(lambda: len(acknowledged) > before + rng.randrange(3, 30), 20, 'writes', every=0.001)
            o.p.kill()
            stop.set()
            for f in running:
                f.result()
        o.start()
        have, after = {}, ''
        while after is not None:
            page = o.api('/edges?limit=1000' + (f'&after={after}' if after else '')).json()
            for e in page['edges']:
                have[e['name']] = [f'{h["title"]}/{h["revision"]}' for h in e['held']]
            after = page['next']
        for name, held in acknowledged.items():
            tap.check(name in have, f'{name} was acknowledged and is lost')
            tap.check(held is None or held in have[name], f'{name}: holding {held} is lost')
    db = sqlite3.connect(o.database)
    tap.equal(db.execute('pragma integrity_check').fetchone()[0], 'ok')
    o.p.stop()


@tap.test
def viewers_are_served_whatever_the_catalogue_suffers():
    o = Origin(start=False)
    rev, _ = package.write(o.library, 'film')
    os.makedirs(os.path.dirname(o.database))
    with open(o.database, 'wb') as f:
        f.write(os.urandom(8192))
    o.start()
    tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
    tap.equal(o.get('/v/film/manifest.mpd').status, 200)
    tap.equal(o.get('/healthz').status, 200, 'viewers do not care')
    sick = tap.http(o.control + '/healthz')
    tap.equal(sick.status, 503)
    tap.has(sick.body.decode(), 'restore a backup')
    tap.has(sick.body.decode(), 'read-only')
    tap.equal(o.register('edge-a').headers['Retry-After'], '5')
    tap.equal(o.register('edge-a').status, 503)
    os.unlink(o.database)
    tap.until(lambda: tap.http(o.control + '/healthz').status == 200, 15, 'recovery by itself')
    r = o.register('edge-a')
    tap.equal(r.status, 201, str(r.body))

    # locked by another program: an error, in bounded time, and nothing half done
    db = sqlite3.connect(o.database, isolation_level=None)
    db.execute('begin immediate')
    r = o.register('edge-b')
    tap.equal(r.status, 503)
    tap.has(r.json()['detail'], 'locked')
    tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
    db.execute('rollback')
    tap.until(lambda: tap.http(o.control + '/healthz').status == 200, 15, 'recovery from the lock')
    tap.equal([e['name'] for e in o.api('/edges').json()['edges']], ['edge-a'])
    other = tap.call(PROGRAM, '--library', o.library, '--database', o.database, '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0')
    tap.equal(other.returncode, 1)
    tap.has(other.stderr, 'in use by another origin')
    o.p.stop()


@tap.test
def a_full_disk_is_a_state_not_an_end():
    o = Origin(start=False)
    rev, _ = package.write(o.library, 'film')
    with tap.small_disk('1m') as small:
        o.database = os.path.join(small, 'catalogue.sqlite')
        o.start()
        tap.equal(o.register('edge-a').status, 201)
        ballast = tap.fill_disk(small)
        statuses = [o.register(f'edge-{i}').status for i in range(300)]
        tap.check(set(statuses) == {201, 503} or set(statuses) == {503}, f'{set(statuses)}')
        tap.equal(statuses[-1], 503)
        tap.equal(tap.http(o.control + '/healthz').status, 503)
        tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
        os.unlink(ballast)
        tap.until(lambda: tap.http(o.control + '/healthz').status == 200, 15, 'recovery')
        tap.equal(o.register('edge-z').status, 201)
        tap.equal(o.api('/edges?limit=1000').json()['total'], 2 + statuses.count(201))
        o.p.stop()


tap.run()

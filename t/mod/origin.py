#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-origin as a real process: bytes, manifests, control API, tokens, damage, kill -9, new packages; ribera-admin."""
import concurrent.futures, hashlib, http.client, json, os, random, re, shutil, signal, socket, sqlite3, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap

PROGRAM, ADMIN = tap.program('ribera-origin'), tap.program('ribera-admin')
JSON = {'Content-Type': 'application/json'}


class Origin:
    def __init__(self, library=None, options=(), start=True):
        self.folder = tap.folder()
        self.library = library or os.path.join(self.folder, 'library')
        os.makedirs(self.library, exist_ok=True)
        self.options, self.ports, self.headers = list(options), {'viewers': 0, 'control': 0}, {}
        self.database = os.path.join(self.folder, 'state', 'catalogue.sqlite')
        if start:
            self.start()

    def start(self, *options):
        path = os.path.join(self.folder, 'ports')
        if os.path.exists(path):
            os.unlink(path)
        self.p = tap.Process(PROGRAM, '--library', self.library, '--database', self.database, '--listen',
                             f'127.0.0.1:{self.ports["viewers"]}', '--control', f'127.0.0.1:{self.ports["control"]}',
                             '--ports-file', path, '--grace', '1s', *self.options, *options,
                             log=os.path.join(self.folder, 'log'))
        self.ports = tap.ports(path, self.p)
        self.viewers = f'http://127.0.0.1:{self.ports["viewers"]}'
        self.control = f'http://127.0.0.1:{self.ports["control"]}'
        return self

    def get(self, path, **headers):
        return tap.http(self.viewers + path, headers={k.replace('_', '-'): v for k, v in headers.items()})

    def api(self, path, method='GET', body=None, **headers):
        return tap.http(self.control + '/api/v1' + path, method, body, {**self.headers, **headers})

    def register(self, name, url=None, capacity=10**12):
        return self.api('/edges', 'POST', {'name': name, 'url': url or f'http://{name}.example', 'capacity': capacity})

    def beat(self, name, *holds, load=0.0, **more):
        return self.api(f'/edges/{name}/heartbeat', 'POST', {'free_bytes': 1, 'load': load, 'holds': list(holds), **more})

    def admin(self, *argv, code=0):
        return tap.call(ADMIN, '--control', self.control, *argv, check_exit=code)


def raw(port, request):
    """Bytes sent as they are; everything that comes back until the end."""
    with socket.create_connection(('127.0.0.1', port), 10) as s:
        s.sendall(request)
        got = b''
        while True:
            part = s.recv(65536)
            if not part:
                return got
            got += part


shared = Origin()
REV, FOLDER = package.write(shared.library, 'one', {'video.mp4': os.urandom(3_000_000), 'poster.jpg': b'\xff\xd8jpeg',
                                                    'audio.mp4': os.urandom(1 << 20), 'empty.vtt': b''}, name='Film número uno')
KEY = f'one/{REV}'
BASE = f'/v/{KEY}/'
tap.until(lambda: shared.get('/v/one/manifest.mpd').status == 200, 10, 'the package (by inotify)')


def content(name):
    with open(os.path.join(FOLDER, name), 'rb') as f:
        return f.read()


def places(mpd):
    return re.findall(r'<BaseURL serviceLocation="([^"]+)">([^<]+)</BaseURL>', mpd.decode())


# --- bytes ------------------------------------------------------------------------------------------------------

@tap.test
def every_file_is_served_as_it_is():
    for name in sorted(os.listdir(FOLDER)):
        r = shared.get(BASE + name)
        tap.equal(r.status, 200, name)
        tap.check(r.body == content(name), f'{name}: bytes differ')
        tap.equal(r.headers['Cache-Control'], 'public, max-age=31536000, immutable')
        tap.check(re.fullmatch(r'"[0-9a-f]{64}"', r.headers['ETag']), f'{name}: ETag {r.headers["ETag"]}')
        tap.equal(r.headers['Access-Control-Allow-Origin'], '*')
        tap.equal(shared.get(BASE + name, If_None_Match=r.headers['ETag']).status, 304, name)
    tap.equal(shared.get(BASE + 'video.mp4').headers['Content-Type'], 'video/mp4')
    root = package.tree(content('video.mp4'))[0].hex()
    tap.equal(shared.get(BASE + 'video.mp4').headers['ETag'], f'"{root}"')


@tap.test
def ranges_are_exact():
    video = content('video.mp4')
    for field, want in [('bytes=0-0', video[:1]), ('bytes=1048570-1048590', video[1048570:1048591]), ('bytes=-7', video[-7:]),
                        ('bytes=2999999-', video[-1:]), ('bytes=5-99999999', video[5:])]:
        r = tap.call('curl', '-sS', '--noproxy', '*', '-w', '%{stderr}%{http_code}', '-H', f'Range: {field}',
                     '-o', os.path.join(shared.folder, 'range'), shared.viewers + BASE + 'video.mp4', check_exit=0)
        tap.equal(r.stderr, '206', field)
        with open(os.path.join(shared.folder, 'range'), 'rb') as f:
            tap.check(f.read() == want, field)
    tap.equal(shared.get(BASE + 'video.mp4', Range='bytes=3000000-').status, 416)
    tap.equal(tap.http(shared.viewers + BASE + 'video.mp4', 'HEAD').headers['Content-Length'], '3000000')


@tap.test
def unknown_and_tricky_paths_are_not_found():
    for path in ['/v/', '/v/one', '/v/one/', '/v/two/manifest.mpd', '/v/one/poster.jpg', BASE, BASE + 'none.mp4', BASE + 'video.mp',
                 BASE + 'video.mp4x', f'/v/one/{"0" * 20}/video.mp4', f'/v/one/{REV[:-1]}/video.mp4', BASE + '.hidden',
                 '/v/.ribera/catalogue.sqlite', '/v/one/..%2f..%2f..%2f..%2fetc%2fpasswd', BASE + '..%2fvideo.mp4',
                 BASE + '%2e%2e/%2e%2e/x', BASE + 'video.mp4%00', '/nothing', '/www/../settings', '/api/v1/edges', '/api/v1/tokens']:
        status = raw(shared.ports['viewers'], f'GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode()).split(b' ')[1]
        tap.check(status in (b'404', b'400'), f'{path}: {status}')
    tap.equal(tap.http(shared.viewers + BASE + 'video.mp4', 'DELETE').status, 405)
    tap.equal(tap.http(shared.viewers + '/api/v1/titles', 'POST', b'{}').status, 405)


@tap.test
def hls_goes_to_the_current_revision():
    r = shared.get('/v/one/main.m3u8')
    tap.equal((r.status, r.headers['Location']), (302, BASE + 'main.m3u8'))


@tap.test
def a_title_is_listed_with_what_a_page_needs():
    r = shared.get('/api/v1/titles')
    title = r.json()['titles'][0]
    tap.equal({k: title[k] for k in ('title', 'name', 'revision', 'duration', 'manifest', 'playlist', 'poster')},
              {'title': 'one', 'name': 'Film número uno', 'revision': REV, 'duration': 8.0, 'manifest': '/v/one/manifest.mpd',
               'playlist': '/v/one/main.m3u8', 'poster': BASE + 'poster.jpg'})
    tap.equal(title['bytes'], sum(os.path.getsize(os.path.join(FOLDER, n)) for n in os.listdir(FOLDER)), 'bytes')
    tap.equal(shared.get('/api/v1/titles', If_None_Match=r.headers['ETag']).status, 304)
    one = shared.get('/api/v1/titles/one').json()
    tap.equal(sorted(f['name'] for f in one['files']), sorted(os.listdir(FOLDER)))
    tap.equal(one['report']['duration'], 8.0)
    tap.equal([x['current'] for x in one['revisions']], [True])
    tap.equal(shared.api('/titles').json(), shared.get('/api/v1/titles').json(), 'the two listeners')
    tap.equal(shared.get('/api/v1/titles/two').status, 404)


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
    described = {m.group(1): set(re.findall(r'^    (get|post|put|patch|delete):', m.group(2), re.M))
                 for m in re.finditer(r'^  (/\S+):\n((?:    .*\n)+)', text + '\n', re.M)}
    tap.check(len(described) >= 8, described)
    for path, methods in described.items():
        for method in ['get', 'post', 'put', 'patch', 'delete']:
            r = tap.http(shared.control + re.sub(r'{\w+}', 'no-such', path), method.upper(), b'{}' if method != 'get' else None, JSON)
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
    tap.equal(status(Host='localhost', Origin=f'http://localhost:{port}'), 200)


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
    o.p.stop()


# --- survival ---------------------------------------------------------------------------------------------------------

@tap.test
def kill_loses_nothing_that_was_acknowledged():
    o = Origin(options=['--heartbeat', '1h'])
    rng, acknowledged = random.Random(4), {}
    for round_ in range(8):
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
    if os.geteuid() != 0 or tap.call('unshare', '-m', 'true').returncode != 0:
        raise tap.Skip('needs to mount a small file system')
    o = Origin(start=False)
    rev, _ = package.write(o.library, 'film')
    small = os.path.join(o.folder, 'small')
    os.makedirs(small)
    if tap.call('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small).returncode != 0:
        raise tap.Skip('mounting is not allowed here')
    try:
        o.database = os.path.join(small, 'catalogue.sqlite')
        o.start()
        tap.equal(o.register('edge-a').status, 201)
        with open(os.path.join(small, 'ballast'), 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        statuses = [o.register(f'edge-{i}').status for i in range(300)]
        tap.check(set(statuses) == {201, 503} or set(statuses) == {503}, f'{set(statuses)}')
        tap.equal(statuses[-1], 503)
        tap.equal(tap.http(o.control + '/healthz').status, 503)
        tap.equal(o.get(f'/v/film/{rev}/video.mp4').status, 200)
        os.unlink(os.path.join(small, 'ballast'))
        tap.until(lambda: tap.http(o.control + '/healthz').status == 200, 15, 'recovery')
        tap.equal(o.register('edge-z').status, 201)
        tap.equal(o.api('/edges?limit=1000').json()['total'], 2 + statuses.count(201))
        o.p.stop()
    finally:
        if o.p.alive():
            o.p.kill()
        tap.call('umount', small)


# --- the library ------------------------------------------------------------------------------------------------------

@tap.test
def damaged_packages_are_left_out_and_named():
    o = Origin(start=False)
    good, _ = package.write(o.library, 'good')

    def broken(title, damage):
        rev, folder = package.write(o.library, title, {'video.mp4': os.urandom(50000)})
        damage(folder)
        return rev
    broken('short', lambda f: os.truncate(os.path.join(f, 'video.mp4'), 49999))
    broken('missing', lambda f: os.unlink(os.path.join(f, 'video.mp4')))
    broken('bitten', lambda f: open(os.path.join(f, 'package.torrent'), 'r+b').write(b'x'))
    broken('renamed', lambda f: os.rename(f, f[:-20] + '0' * 20))
    broken('link', lambda f: (os.unlink(os.path.join(f, 'video.mp4')), os.symlink('/etc/passwd', os.path.join(f, 'video.mp4'))))
    os.makedirs(os.path.join(o.library, 'empty', '1' * 20))
    os.makedirs(os.path.join(o.library, '.work-x-1'))
    os.makedirs(os.path.join(o.library, '.hidden', good))
    open(os.path.join(o.library, 'a-file'), 'w').close()
    o.start()
    tap.equal([t['title'] for t in o.get('/api/v1/titles').json()['titles']], ['good'])
    for title in ['short', 'missing', 'bitten', 'renamed', 'link', 'empty']:
        tap.has(o.p.text(), f'/{title}/', 'log')
    tap.equal(tap.metric(o.get('/metrics').body.decode(), 'ribera_origin_packages_refused'), 6.0)
    tap.check(not os.path.exists(os.path.join(o.library, '.work-x-1')), 'a stale work folder stays')
    r = tap.call(ADMIN, 'verify', o.library)
    tap.equal(r.returncode, 1)
    tap.equal(len(re.findall('^DAMAGED', r.stdout, re.M)), 6, r.stdout)
    tap.equal(len(re.findall('^good', r.stdout, re.M)), 1)
    o.p.stop()


@tap.test
def a_work_folder_in_use_is_left_alone():
    import fcntl
    o = Origin(start=False)
    os.makedirs(os.path.join(o.library, '.work-x-1'))
    with open(os.path.join(o.library, '.work-x-1.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        o.start()
        tap.check(os.path.exists(os.path.join(o.library, '.work-x-1')))
        o.p.stop()
    o.start()
    tap.equal([n for n in os.listdir(o.library) if n.startswith('.work')], [])
    o.p.stop()


@tap.test
def packages_come_and_go_without_a_restart():
    o = Origin()
    tap.equal(o.get('/api/v1/titles').json()['total'], 0)
    first, folder = package.write(o.library, 'film', {'video.mp4': b'1' * 5000})
    tap.until(lambda: o.get(f'/v/film/{first}/video.mp4').status == 200, 5, 'first revision')
    second, _ = package.write(o.library, 'film', {'video.mp4': b'2' * 5000})
    tap.until(lambda: o.get('/api/v1/titles/film').json().get('revision') == second, 5, 'second revision')
    tap.equal(o.get(f'/v/film/{first}/video.mp4').body, b'1' * 5000, 'the first is still there')
    tap.has(places(o.get('/v/film/manifest.mpd').body)[0][1], second)

    # a viewer in the middle keeps the bytes of a revision that is taken away
    c = http.client.HTTPConnection('127.0.0.1', o.ports['viewers'], timeout=10)
    big, big_folder = package.write(o.library, 'big', {'video.mp4': os.urandom(30_000_000)})
    tap.until(lambda: o.get(f'/v/big/{big}/manifest.mpd').status == 200, 5)
    with open(os.path.join(big_folder, 'video.mp4'), 'rb') as f:
        want = hashlib.sha256(f.read()).hexdigest()
    c.request('GET', f'/v/big/{big}/video.mp4')
    r = c.getresponse()
    got = hashlib.sha256(r.read(1000))
    shutil.rmtree(os.path.join(o.library, 'big'))
    tap.until(lambda: o.get(f'/v/big/{big}/manifest.mpd').status == 404, 5, 'gone')
    got.update(r.read())
    tap.equal(got.hexdigest(), want)
    shutil.rmtree(folder)
    tap.until(lambda: o.get(f'/v/film/{first}/video.mp4').status == 404, 5, 'first revision gone')
    tap.until(lambda: sqlite3.connect(o.database).execute('select count(*) from revision where gone is null').fetchone()[0] == 1, 5)
    os.rename(os.path.join(o.library, 'film'), os.path.join(o.folder, 'aside'))
    tap.until(lambda: o.get('/api/v1/titles').json()['total'] == 0, 5, 'title moved away')
    os.rename(os.path.join(o.folder, 'aside'), os.path.join(o.library, 'film'))
    tap.until(lambda: o.get('/api/v1/titles').json()['total'] == 1, 5, 'title moved back')
    o.p.stop()


@tap.test
def few_open_files_serve_many():
    o = Origin(options=['--max-open-files', '16', '--threads', '4'], start=False)
    bodies = {}
    for t in range(20):
        files = {f'f{i}.bin': f'{t}-{i}-'.encode() * 2000 for i in range(5)}
        rev, _ = package.write(o.library, f't{t}', files)
        bodies.update({f'/v/t{t}/{rev}/{n}': b for n, b in files.items()})
    o.start()
    before = len(os.listdir(f'/proc/{o.p.pid}/fd'))

    def client(seed):
        paths = list(bodies)
        random.Random(seed).shuffle(paths)
        c = http.client.HTTPConnection('127.0.0.1', o.ports['viewers'], timeout=20)
        for path in paths * 3:
            c.request('GET', path)
            r = c.getresponse()
            body = r.read()
            if r.status != 200 or body != bodies[path]:
                return f'{path}: {r.status}, {len(body)} bytes'
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tap.equal([x for x in pool.map(client, range(8)) if x], [])
    tap.equal(tap.metric(o.get('/metrics').body.decode(), 'ribera_origin_open_files'), 16.0)
    tap.check(len(os.listdir(f'/proc/{o.p.pid}/fd')) < before + 40, 'descriptors are bounded')
    o.p.stop()


# --- the page, health, usage ------------------------------------------------------------------------------------------

@tap.test
def the_page_is_served_from_memory():
    www = os.path.join(tap.folder(), 'www')
    os.makedirs(os.path.join(www, 'sub'))
    for name, text in {'index.html': '<html>hello', 'app.js': 'x', 'sub/a.css': 'y', '.secret': 'z'}.items():
        with open(os.path.join(www, name), 'w') as f:
            f.write(text)
    o = Origin(options=['--www', www])
    shutil.rmtree(www)
    r = o.get('/')
    tap.equal((r.status, r.body, r.headers['Content-Type']), (200, b'<html>hello', 'text/html; charset=utf-8'))
    tap.has(r.headers['Content-Security-Policy'], "default-src 'none'")
    tap.equal(o.get('/', If_None_Match=r.headers['ETag']).status, 304)
    tap.equal(o.get('/www/app.js').headers['Content-Type'], 'text/javascript; charset=utf-8')
    tap.equal(o.get('/www/sub/a.css').body, b'y')
    for path in ['/www/.secret', '/www/', '/index.html', '/app.js', '/www/none']:
        tap.equal(o.get(path).status, 404, path)
    o.p.stop()


@tap.test
def health_and_metrics():
    tap.equal(shared.get('/healthz').body, b'ok\n')
    tap.equal(shared.get('/healthz').headers['Cache-Control'], 'no-store')
    text = shared.get('/metrics').body.decode()
    tap.equal(tap.metric(text, 'ribera_origin_titles'), 1.0)
    tap.has(text, 'ribera_http_')
    tap.equal(tap.http(shared.control + '/metrics').status, 200)


@tap.test
def ready_is_told_to_the_service_manager():
    path = os.path.join(tap.folder(), 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(10)
        os.environ['NOTIFY_SOCKET'] = path
        try:
            o = Origin()
        finally:
            del os.environ['NOTIFY_SOCKET']
        tap.equal(s.recv(100), b'READY=1')
        tap.has(o.p.text(), f'listening viewers=127.0.0.1:{o.ports["viewers"]} control=127.0.0.1:{o.ports["control"]}')
        tap.equal(o.p.stop(), 0)
        tap.equal(s.recv(100), b'STOPPING=1')


@tap.test
def wrong_settings_are_named():
    folder = tap.folder()
    with open(os.path.join(folder, 'empty'), 'w'):
        pass
    lib = ['--library', folder]
    for argv, part in [([], 'library'), ([*lib, '--wat'], '--wat'), ([*lib, 'x'], '"x"'), ([*lib, '--threads', '0'], 'threads'),
                       ([*lib, '--control', '0.0.0.0:0'], 'token_file'), ([*lib, '--listen', '0.0.0.0:0'], 'public_url'),
                       ([*lib, '--public-url', 'x'], 'public_url'), ([*lib, '--log-level', 'x'], 'log_level'),
                       ([*lib, '--tls-cert', 'x'], 'tls.key'), ([*lib, '--token-file', folder + '/none'], 'token_file'),
                       ([*lib, '--token-file', folder + '/empty'], 'no token')]:
        r = tap.call(PROGRAM, *argv)
        tap.equal(r.returncode, 2, f'exit code of {argv}: {r.stderr}')
        tap.has(r.stderr, part)
    tap.call(PROGRAM, *lib, '-t', check_exit=0)
    tap.equal(os.listdir(folder), ['empty'], 'what a check leaves')
    tap.has(tap.call(PROGRAM, '--help', check_exit=0).stdout, '--public-url')
    tap.has(tap.call(PROGRAM, '--version', check_exit=0).stdout, 'ribera-origin')
    with open(os.path.join(tap.SOURCE, 'etc', 'origin.yaml')) as f:
        tap.equal(f.read(), tap.call(PROGRAM, '--sample', check_exit=0).stdout, 'etc/origin.yaml')
    r = tap.call(PROGRAM, *lib, '--listen', f'127.0.0.1:{shared.ports["viewers"]}', '--control', '127.0.0.1:0', timeout=20)
    tap.equal(r.returncode, 1)
    tap.has(r.stderr, str(shared.ports['viewers']))


@tap.test
def the_admin_command_shows_and_verifies():
    shared.register('edge-q', capacity=10**10)
    shared.beat('edge-q', KEY, load=0.5)
    tap.has(shared.admin('titles').stdout, 'Film número uno')
    tap.has(shared.admin('title', 'show', 'one').stdout, 'video.mp4')
    tap.has(shared.admin('edges').stdout, '50%')
    tap.has(shared.admin('edge', 'show', 'edge-q').stdout, 'complete')
    tap.has(shared.admin('plan', 'edge-q').stdout, 'keep')
    tap.equal(json.loads(shared.admin('--json', 'title', 'show', 'one').stdout)['revision'], REV)
    tap.has(shared.admin('title', 'show', 'none', code=1).stderr, 'there is no title "none"')
    shared.admin('edge', 'remove', 'edge-q')
    for argv in [[], ['wat'], ['title'], ['titles', 'x'], ['--wat', 'titles']]:
        tap.equal(tap.call(ADMIN, *argv).returncode, 2, f'{argv}')
    dead = tap.call(ADMIN, '--control', 'http://127.0.0.1:1', 'titles')
    tap.equal(dead.returncode, 1)
    tap.has(dead.stderr, '127.0.0.1:1')

    library = os.path.join(tap.folder(), 'l')
    rev, folder = package.write(library, 'film', {'video.mp4': bytes(2_500_000), 'a.bin': b'', 'b.bin': b'x' * 16384})
    for target in [library, os.path.join(library, 'film'), folder]:
        tap.has(tap.call(ADMIN, 'verify', target, check_exit=0).stdout, 'good')
    with open(os.path.join(folder, 'video.mp4'), 'r+b') as f:
        f.seek(2_100_000)
        f.write(b'\1')
    r = tap.call(ADMIN, 'verify', library, check_exit=1)
    tap.has(r.stdout, 'video.mp4: piece 2 ')
    open(os.path.join(folder, 'stranger'), 'w').close()
    tap.has(tap.call(ADMIN, 'verify', library, check_exit=1).stdout, 'stranger: is not part')
    tap.equal(json.loads(tap.call(ADMIN, '--json', 'verify', library, check_exit=1).stdout)['damaged'], 1)
    tap.equal(tap.call(ADMIN, 'verify', tap.folder()).returncode, 1, 'an empty folder')


tap.run()

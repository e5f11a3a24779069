#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-origin as a real process: bytes, lists, the library as it changes, the page, settings; ribera-admin."""
import concurrent.futures, hashlib, http.client, json, os, random, re, shutil, sqlite3, sys, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap
from origins import ADMIN, Origin, PROGRAM, places, raw

shared = Origin()
REV, FOLDER = package.write(shared.library, 'one', {'video.mp4': os.urandom(3_000_000), 'poster.jpg': b'\xff\xd8jpeg',
                                                    'audio.mp4': os.urandom(1 << 20), 'empty.vtt': b''}, name='Film número uno')
KEY = f'one/{REV}'
BASE = f'/v/{KEY}/'
tap.until(lambda: shared.get('/v/one/manifest.mpd').status == 200, 10, 'the package (by inotify)')


def content(name):
    with open(os.path.join(FOLDER, name), 'rb') as f:
        return f.read()


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
    tap.equal((r.status, r.headers['Content-Type']), (200, 'application/vnd.apple.mpegurl'))
    tap.has(r.body.decode(), '#EXTM3U')


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
    tap.equal(one['report']['video'], [{'file': 'v.mp4', 'ssim': 0.9}], 'the report without numbers of each segment')
    tap.equal([x['current'] for x in one['revisions']], [True])
    tap.equal(shared.api('/titles').json(), shared.get('/api/v1/titles').json(), 'the two listeners')
    tap.equal(shared.get('/api/v1/titles/two').status, 404)


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

    def left(age):
        os.utime(os.path.join(o.library, '.work-x-1.lock'), (time.time() - age,) * 2)
        o.start()
        o.p.stop()
        return [n for n in os.listdir(o.library) if n.startswith('.work')]
    tap.equal(len(left(6 * 86400)), 2, 'what the same command would go on from')
    tap.equal(left(8 * 86400), [])


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
def what_is_wrong_in_a_file_is_pointed_at():
    """Line and column of whatever is wrong, what only settings together tell too; exit code 2 from every program."""
    folder = tap.folder()
    path = os.path.join(folder, 'settings.yaml')
    origin, edge = f'library: {folder}\nlisten: 127.0.0.1:0\n', f'name: e\norigin: http://x\nstore: {folder}/s\n'
    for program, begin, more, where, part in [
            ('origin', origin, 'threads: x', '3:10', 'a whole number'), ('origin', origin, 'log_level: loud', '3:12', 'expected error, warn'),
            ('origin', origin, 'tls:\n  key: /x', '4:8', 'go together'), ('origin', origin, 'control: "*:0"', '3:10', 'token_file'),
            ('origin', origin, 'geo: /none', '3:6', 'no such file'), ('origin', origin, 'public_url: x', '3:13', 'expected http'), ('origin', origin, 'wat: 1', '3:1', 'unknown'),
            ('edge', edge, 'window:\n  start: noon', '5:10', '02:00'), ('edge', edge, 'rates: 9', '4:8', 'rates'), ('edge', edge, 'token_file: /none', '4:13', 'cannot read'),
            ('edge', edge, 'window:\n  zone: Mars/North', '5:9', 'no zone'), ('edge', edge, 'capacity: [', None, 'not YAML'),
            ('ingest', '', 'rate', '1:1', 'no settings'), ('player', '', 'wat: 1', '1:1', 'unknown'), ('admin', '', 'wat: 1', '1:1', 'unknown')]:
        with open(path, 'w') as f:
            f.write(begin + more + '\n')
        r = tap.call(tap.program('ribera-' + program), '--config', path, *(['-t'] if program in ('origin', 'edge') else []))
        tap.equal(r.returncode, 2, f'exit code of {program} with {more}: {r.stderr}')
        tap.check(f'{path}:{where or ""}' in r.stderr and part in r.stderr, f'{program} with {more}: {r.stderr}')
        tap.equal(r.stderr.count('\n'), 1, r.stderr)
    with open(path, 'w') as f:
        f.write(origin + 'log_level: loud\n')
    r = tap.call(PROGRAM, '--config', path, '--log-level', 'louder', '-t')
    tap.check(path not in r.stderr and 'louder' in r.stderr, f'the file has no part in it: {r.stderr}')
    tap.has(tap.call(PROGRAM, '--config', path, '--log-level', 'info', '-t', check_exit=0).stdout, 'good')


@tap.test
def the_control_listener_speaks_tls_when_told():
    folder = tap.folder()
    cert, key, token = (os.path.join(folder, x) for x in ('cert', 'key', 'token'))
    with open(token, 'w') as f:
        f.write('admin ' + 'x' * 32 + '\n')
    os.chmod(token, 0o600)
    o = Origin(options=['--dev-cert', '--control-tls', '--tls-cert', cert, '--tls-key', key, '--token-file', token])
    secure = o.control.replace('http:', 'https:')
    admin = lambda *argv, code=0: tap.call(ADMIN, '--control', secure, '--token-file', token, *argv, check_exit=code)
    tap.equal(admin('--ca-file', cert, 'health').stdout, 'the origin is well\n')
    tap.has(admin('health', code=1).stderr, 'certificate', 'who does not know the authority')
    tap.has(o.admin('health', code=1).stderr, 'cannot ask the origin', 'plain http')
    with open(os.path.join(folder, 'edge'), 'w') as f:
        f.write(admin('--ca-file', cert, 'token', 'new', 'edge', '--edge', 'a').stdout)
    edge = tap.Process(tap.program('ribera-edge'), '--name', 'a', '--origin', secure, '--ca-file', cert, '--token-file', os.path.join(folder, 'edge'),
                       '--store', os.path.join(folder, 'store'), '--listen', '127.0.0.1:0')
    tap.until(lambda: ' up ' in admin('--ca-file', cert, 'edges').stdout, 20, 'the edge at its origin')
    edge.stop()
    o.p.stop()
    r = tap.call(PROGRAM, '--library', folder, '--control-tls', '-t', check_exit=2)
    tap.has(r.stderr, 'control_tls needs a certificate')


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
    for argv in [[], ['wat'], ['title'], ['edges', 'x'], ['--wat', 'titles']]:
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

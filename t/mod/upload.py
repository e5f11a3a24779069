#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads: tus 1.0 as its clients speak it, packages checked piece by piece and published whole, ribera-ingest --to, kill -9 of
either side at any moment."""
import base64, hashlib, http.client, json, os, random, socket, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import film, package, tap
from events import Listener
from origins import Origin

INGEST = tap.program('ribera-ingest')
TUS = {'Tus-Resumable': '1.0.0'}
OFFSET = {**TUS, 'Content-Type': 'application/offset+octet-stream'}
b64 = lambda s: base64.b64encode(s if isinstance(s, bytes) else s.encode()).decode()
PIECE = 1 << 20


def made(seed, size=3 * PIECE + 12345, title='film'):
    """A package outside any library: (revision, folder, name -> bytes)."""
    rng = random.Random(seed)
    rev, folder = package.write(tap.folder(), title, {'video.mp4': rng.randbytes(size), 'audio.mp4': rng.randbytes(70000)})
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'rb') as f:
            files[name] = f.read()
    return rev, folder, files


def create(o, rev, name, length, title='film', **headers):
    meta = f'title {b64(title)},revision {b64(rev)},filename {b64(name)}'
    return o.api('/uploads', 'POST', None, **TUS, **{'Upload-Length': str(length), 'Upload-Metadata': meta, **headers})


def patch(o, where, offset, data, **headers):
    return tap.http(o.control + where, 'PATCH', data, {**o.headers, **OFFSET, 'Upload-Offset': str(offset), **headers})


def put(o, rev, name, data, title='film', step=PIECE + 7777):
    where = create(o, rev, name, len(data), title).headers['Location']
    at = int(tap.http(o.control + where, 'HEAD', headers=TUS).headers['Upload-Offset'])
    while at < len(data):
        r = patch(o, where, at, data[at:at + step])
        tap.equal(r.status, 204, f'{name} at {at}: {r.body}')
        at = int(r.headers['Upload-Offset'])
    return where


def in_order(files):
    return ['package.torrent'] + sorted(n for n in files if n != 'package.torrent')


@tap.test
def a_stock_client_uploads_a_package():
    o = Origin(options=['--heartbeat', '1h'])
    rev, folder, files = made(1)
    r = o.api('/uploads', 'OPTIONS')
    tap.equal((r.status, r.headers['Tus-Version'], r.headers['Tus-Resumable']), (204, '1.0.0', '1.0.0'))
    for extension in ['creation', 'checksum', 'expiration', 'termination']:
        tap.check(extension in r.headers['Tus-Extension'].split(','))
    tap.check(int(r.headers['Tus-Max-Size']) > 10**9 and r.headers['Upload-Limit'] == 'max-size=' + r.headers['Tus-Max-Size'])
    tap.equal(create(o, rev, 'video.mp4', 5).status, 409, 'the digest first')
    for name in in_order(files):
        tap.equal(o.get('/api/v1/titles').json()['total'], 0, 'nothing is seen before the last byte')
        where = put(o, rev, name, files[name])
    tap.equal([t['revision'] for t in o.get('/api/v1/titles').json()['titles']], [rev], 'and with the last byte all is')
    for name, data in files.items():
        tap.check(o.get(f'/v/film/{rev}/{name}').body == data, name)
    tap.call(tap.program('ribera-admin'), 'verify', os.path.join(o.library, 'film', rev), check_exit=0)
    tap.equal(o.api(where[7:]).json()['published'], True)
    tap.equal(create(o, rev, 'video.mp4', len(files['video.mp4'])).status, 409, 'it is there')
    tap.equal([n for n in os.listdir(os.path.join(o.library, '.uploads')) if n.startswith('package-') or n.endswith('.part')], [])
    o.p.stop()


@tap.test
def the_protocol_is_kept():
    o = Origin(options=['--heartbeat', '1h', '--upload-max', '50M'])
    rev, folder, files = made(2)
    torrent = files['package.torrent']
    good = dict(title='film', revision=rev, filename='package.torrent')
    def post(length, **meta):
        field = ','.join(f'{k} {b64(v)}' for k, v in meta.items())
        return o.api('/uploads', 'POST', None, **TUS, **{'Upload-Length': str(length), 'Upload-Metadata': field}).status
    for bad in [{'title': '../x'}, {'title': ''}, {'revision': 'x'}, {'revision': rev + '0'}, {'filename': 'a/b'}, {'filename': '.x'}]:
        tap.equal(post(5, **{**good, **bad}), 400, bad)
    tap.equal([post(n, **good) for n in ('-1', 'x', '', 10**12)], [400, 400, 400, 413])
    tap.equal(post(2**64, **good), 400)
    r = o.api('/uploads', 'POST', None, **TUS, **{'Upload-Length': '5', 'Upload-Metadata': 'title ***,revision x'})
    tap.equal((r.status, r.json()['field']), (400, 'Upload-Metadata'))
    r = o.api('/uploads', 'POST', None, **{'Tus-Resumable': '0.2.2', 'Upload-Length': '5'})
    tap.equal((r.status, r.headers['Tus-Version']), (412, '1.0.0'))
    r = create(o, rev, 'package.torrent', len(torrent))
    where = r.headers['Location']
    tap.equal((r.status, r.headers['Upload-Offset']), (201, '0'))
    tap.check(r.headers['Upload-Expires'].endswith('GMT'))
    tap.equal(create(o, rev, 'package.torrent', len(torrent)).headers['Location'], where, 'the same file is the same upload')
    head = tap.http(o.control + where, 'HEAD', headers=TUS)
    tap.equal((head.status, head.headers['Upload-Offset'], head.headers['Upload-Length'], head.headers['Cache-Control']),
              (200, '0', str(len(torrent)), 'no-store'))
    tap.equal(patch(o, where, 5, torrent[5:]).status, 409)
    tap.equal(patch(o, where, 0, torrent, **{'Content-Type': 'text/plain'}).status, 415)
    tap.equal(patch(o, where, 0, torrent + b'x').status, 413)
    tap.equal(patch(o, where, 'x', torrent).status, 400)
    sha1 = lambda d: 'sha1 ' + b64(hashlib.sha1(d).digest())
    tap.equal(patch(o, where, 0, torrent[:9], **{'Upload-Checksum': sha1(b'other')}).status, 460)
    tap.equal(patch(o, where, 0, torrent[:9], **{'Upload-Checksum': 'crc32 AAAA'}).status, 400)
    tap.equal(patch(o, where, 0, torrent[:9], **{'Upload-Checksum': sha1(torrent[:9])}).status, 204)
    tap.equal(patch(o, where, 9, torrent[9:], **{'Upload-Checksum': 'sha256 ' + b64(hashlib.sha256(torrent[9:]).digest())}).status, 204)
    # a digest of another package under this name begins anew
    other = made(3)
    where = create(o, other[0], 'package.torrent', len(torrent)).headers['Location']
    tap.equal(patch(o, where, 0, torrent).status, 460)
    tap.equal(tap.http(o.control + where, 'HEAD', headers=TUS).headers['Upload-Offset'], '0')
    # a wrong byte is found where it stands, not at the end; what was good stays
    video = files['video.mp4']
    tap.equal(create(o, rev, 'video.mp4', len(video) + 1).status, 409, 'of another length')
    tap.equal(create(o, rev, 'what.mp4', 5).status, 400)
    where = create(o, rev, 'video.mp4', len(video)).headers['Location']
    wrong = bytearray(video)
    wrong[PIECE + 500000] ^= 1
    tap.equal(patch(o, where, 0, bytes(wrong[:PIECE + 600000])).status, 204, 'the second piece is not whole yet')
    r = patch(o, where, PIECE + 600000, video[PIECE + 600000:2 * PIECE + 5])
    tap.equal(r.status, 460)
    tap.has(r.json()['detail'], f'from byte {PIECE}')
    tap.equal(tap.http(o.control + where, 'HEAD', headers=TUS).headers['Upload-Offset'], str(PIECE))
    tap.equal(patch(o, where, PIECE, video[PIECE:]).status, 204)
    # ended
    where = create(o, rev, 'audio.mp4', len(files['audio.mp4'])).headers['Location']
    tap.equal(o.api(where[7:], 'DELETE', **TUS).status, 204)
    tap.equal([tap.http(o.control + where, m, headers=TUS).status for m in ('HEAD', 'GET', 'DELETE')], [404] * 3)
    tap.equal(patch(o, where, 0, b'x').status, 404)
    # bounded disk
    big = made(4, 46 * PIECE, 'big')
    put(o, big[0], 'package.torrent', big[2]['package.torrent'], 'big')
    r = create(o, big[0], 'video.mp4', 46 * PIECE, 'big')
    tap.equal(r.status, 507)
    tap.has(r.json()['detail'], 'upload.max')
    o.p.stop()


def ingest(o, folder, *more):
    return subprocess.Popen([INGEST, folder, '--to', o.control, '--json', '--quiet', *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@tap.test
def ingest_uploads_through_kill_9_of_either_side():
    o = Origin(options=['--heartbeat', '1h'])
    rev, folder, files = made(5, 60 * PIECE + 99)
    rng, kills = random.Random(6), 0
    offset = lambda: sum(u['offset'] for u in o.api('/uploads').json()['uploads'])
    client = ingest(o, folder)
    for round_ in range(8):
        before = offset()
        if client.poll() is None:
            try:
                tap.until(lambda: client.poll() is not None or offset() > before + rng.randrange(2, 6) * PIECE, 30, 'bytes', every=0.002)
            except OSError:
                pass
        if client.poll() is not None:
            break
        kills += 1
        if round_ % 2:
            o.p.kill()
            o.start()
        else:
            client.kill()
            client.wait()
            client = ingest(o, folder)
    out, err = client.communicate(timeout=60)
    tap.equal(client.returncode, 0, err)
    tap.check(kills >= 4, f'{kills} kills')
    result = json.loads(out)
    tap.equal((result['title'], result['revision'], result['existed']), ('film', rev, False))
    tap.check(result['sent'] < result['bytes'], 'it went on, and did not begin anew')
    for name, data in files.items():
        tap.check(o.get(f'/v/film/{rev}/{name}').body == data, name)
    again = json.loads(ingest(o, folder).communicate(timeout=30)[0])
    tap.equal((again['existed'], again['sent']), (True, 0))
    o.p.stop()


@tap.test
def what_was_whole_when_the_origin_died_is_taken_up():
    """The last bytes of a file are on the disk and nothing more was done, whichever file it is; wrong bytes are found then, too."""
    o, cut = Origin(options=['--heartbeat', '1h']), []
    for i, (name, wrong) in enumerate([('package.torrent', False), ('package.leaves', False), ('package.leaves', True), ('video.mp4', False), ('video.mp4', True), ('manifest.mpd', False)]):
        title = f'film-{i}'
        rev, _, files = made(title, PIECE + 999, title)
        for other in in_order(files)[:in_order(files).index(name)]:
            put(o, rev, other, files[other], title)
        where, half = create(o, rev, name, len(files[name]), title).headers['Location'], len(files[name]) // 2
        tap.equal(patch(o, where, 0, files[name][:half]).status, 204)
        cut.append((title, rev, files, name, where, half, wrong))
    o.p.kill()
    for title, rev, files, name, where, half, wrong in cut:
        with open(os.path.join(o.library, '.uploads', where.rsplit('/', 1)[1] + '.part'), 'ab') as f:
            f.write(bytes(len(files[name]) - half) if wrong else files[name][half:])
    o.start()
    for title, rev, files, name, where, _, wrong in cut:
        r = tap.http(o.control + where, 'HEAD', headers=TUS)
        tap.equal((r.status, int(r.headers['Upload-Offset']) == len(files[name])), (200, not wrong), f'{name} of {title}')
        for other in in_order(files):
            if create(o, rev, other, len(files[other]), title).status != 409:
                put(o, rev, other, files[other], title)
        for other, data in files.items():
            tap.check(o.get(f'/v/{title}/{rev}/{other}').body == data, f'{other} of {title}')
    o.p.stop()


class Sender(threading.Thread):
    """Uploads package after package, whatever becomes of the origin, and notes what was acknowledged."""

    def __init__(self, o, name):
        super().__init__(daemon=True)
        self.o, self.name, self.acks, self.end, self.wrong, self.published = o, name, 0, False, [], {}
        self.rng, self.known = random.Random(name), {}

    def run(self):
        number = 0
        while not self.end and not self.wrong:
            number += 1
            title = f'{self.name}-{number}'
            rev, _, files = made(title, PIECE + self.rng.randrange(PIECE // 2), title)
            for name in in_order(files):
                while not self.sent(title, rev, name, files[name]) and not self.end and not self.wrong:
                    time.sleep(0.005)  # the origin is away
            if not self.end and not self.wrong:
                self.published[title] = (rev, {n: hashlib.sha256(d).digest() for n, d in files.items()})

    def sent(self, title, rev, name, data):
        try:
            return self.send(title, rev, name, data)
        except (OSError, http.client.HTTPException):
            return False

    def send(self, title, rev, name, data):
        key, r = (title, name), create(self.o, rev, name, len(data), title)
        if r.status == 409:  # the last file, and the answer to its last byte was cut
            self.expect(self.o.get(f'/v/{title}/{rev}/{name}').status == 200, f'{key}: refused, and not there')
            return True
        self.expect(r.status in (200, 201), f'{key}: {r.status} {r.body}')
        where = r.headers['Location']
        at = int(tap.http(self.o.control + where, 'HEAD', headers=TUS).headers['Upload-Offset'])
        self.expect(self.known.get(key, 0) <= at <= len(data), f'{key}: {self.known.get(key)} was acknowledged, {at} is there')
        while at < len(data):
            r = patch(self.o, where, at, data[at:at + self.rng.randrange(1, PIECE // 2)])
            self.expect(r.status == 204, f'{key} at {at}: {r.status} {r.body}')
            at = self.known[key] = int(r.headers['Upload-Offset'])
            self.acks += 1
        return True

    def expect(self, truth, text):
        if not truth:
            self.wrong.append(text)
            raise OSError(text)


@tap.test
def kill_9_loses_no_byte_that_was_acknowledged():
    o, rng, senders, seen = Origin(options=['--heartbeat', '1h']), random.Random(8), [], set()
    for i in range(3):
        senders.append(Sender(o, f'film-{i}'))
        senders[-1].start()
    acks = lambda: sum(s.acks for s in senders)
    try:
        for round_ in range(int(os.environ.get('RIBERA_KILLS', 16))):
            least = acks() + rng.randrange(1, 25)
            tap.until(lambda: acks() >= least or any(s.wrong for s in senders), 60, 'bytes', every=0.001)
            was = {t: v for s in senders for t, v in list(s.published.items())}
            o.p.kill()
            o.start()
            tap.equal([s.wrong for s in senders], [[]] * 3, f'round {round_}')
            have, after = {}, ''
            while after is not None:
                page = o.api('/titles?limit=1000' + (f'&after={after}' if after else '')).json()
                have.update((t['title'], t['revision']) for t in page['titles'])
                after = page['next']
            for title, (rev, files) in was.items():
                tap.equal(have.get(title), rev, f'{title} was published, round {round_}')
                if title not in seen:
                    seen.add(title)
                    for name, digest in files.items():
                        tap.check(hashlib.sha256(o.get(f'/v/{title}/{rev}/{name}').body).digest() == digest, f'{title}: {name}')
    finally:
        for s in senders:
            s.end = True
        for s in senders:
            s.join(60)
    tap.equal([s.wrong for s in senders], [[]] * 3)
    tap.check(len(seen) > 0, 'nothing was published')
    kills = round_ + 1
    print(f'# {kills} kills, {len(seen)} titles published, {acks()} answers', flush=True)
    o.p.stop()


# Debian's module (python3-tuspy) belongs to Debian's python, which need not be the one that runs this.
OTHER = '''
import json, sys
from tusclient import client, exceptions
url, token, path, chunk, stop, meta = sys.argv[1:]
c = client.TusClient(url, headers={'Authorization': 'Bearer ' + token})
more = {'chunk_size': int(chunk)} if chunk else {}
up = c.uploader(path, metadata=json.loads(meta), upload_checksum=True, **more)
try:
    up.upload(stop_at=int(stop) if stop else None)
except exceptions.TusUploadFailed as e:
    print(e.status_code, e.response_content.decode())
    sys.exit(1)
if stop:  # as another process would: by the address alone
    up = c.uploader(path, url=up.url, metadata=json.loads(meta), upload_checksum=True, **more)
    print('goes on at', up.offset)
    up.upload()
print(up.url, up.offset)
'''


def by_tuspy(o, where, path, chunk='', stop='', **meta):
    token = o.headers['Authorization'].split()[1]
    return subprocess.run(['/usr/bin/python3', '-c', OTHER, f'{o.control}/api/v1/{where}', token, path, str(chunk), str(stop), json.dumps(meta)],
                          capture_output=True, text=True, timeout=60)


@tap.test
def a_client_that_others_wrote_uploads_packages_and_masters():
    o = Origin(options=['--heartbeat', '1h', '--masters-options', '--preset ultrafast'])
    o.headers = {'Authorization': 'Bearer ' + o.api('/tokens', 'POST', {'role': 'admin'}).json()['token']}
    o.headers = {'Authorization': 'Bearer ' + o.api('/tokens', 'POST', {'role': 'publisher'}).json()['token']}
    rev, folder, files = made(9, 17 * PIECE + 5)
    for name in in_order(files):
        chunk, stop = (5 * PIECE + 1, 8 * PIECE) if name == 'video.mp4' else ('', '')
        done = by_tuspy(o, 'uploads', os.path.join(folder, name), chunk, stop, title='film', revision=rev, filename=name)
        tap.equal((done.returncode, done.stderr), (0, ''), f'{name}: {done.stdout}')
        tap.equal(done.stdout.split()[-1], str(len(files[name])), name)
        if stop:
            tap.has(done.stdout, f'goes on at {8 * PIECE}')
    for name, data in files.items():
        tap.check(o.get(f'/v/film/{rev}/{name}').body == data, name)
    # all of it at once, as these clients do when nobody tells them otherwise, with its hash over all
    big = made(10, 20 * PIECE, 'big')
    for name in in_order(big[2]):
        done = by_tuspy(o, 'uploads', os.path.join(big[1], name), title='big', revision=big[0], filename=name)
        tap.equal((done.returncode, done.stdout.split()[-1:]), (0, [str(len(big[2][name]))]), done.stderr)
    tap.equal(o.get('/api/v1/titles/big').json()['revision'], big[0])
    master = os.path.join(folder, 'video.mp4')
    done = by_tuspy(o, 'masters', master, 4 * PIECE, filename='no ñ film.mp4', name='Über')
    tap.equal((done.returncode, done.stderr), (0, ''), done.stdout)
    mine = lambda: o.api('/masters').json()['masters'][0]
    tap.until(lambda: mine()['state'] == 'failed', 30, 'what is no film')
    tap.equal((mine()['name'], mine()['bytes']), ('Über', os.path.getsize(master)))
    o.p.stop()


def begin_patch(o, where, offset, length, **headers):
    s = socket.create_connection(('127.0.0.1', o.ports['control']), 10)
    more = ''.join(f'{k}: {v}\r\n' for k, v in {**o.headers, **OFFSET, 'Upload-Offset': offset, 'Content-Length': length, **headers}.items())
    s.sendall(f'PATCH {where} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n'.encode())
    return s


def offset_of(o, where):
    return int(tap.http(o.control + where, 'HEAD', headers={**o.headers, **TUS}).headers['Upload-Offset'])


@tap.test
def what_came_of_a_body_that_was_cut_is_kept():
    o = Origin(options=['--heartbeat', '1h', '--masters-options', '--preset ultrafast'])
    rev, folder, files = made(11, 20 * PIECE + 77)
    put(o, rev, 'package.torrent', files['package.torrent'])
    video = files['video.mp4']
    where = create(o, rev, 'video.mp4', len(video)).headers['Location']
    with begin_patch(o, where, 0, len(video)) as s:  # it leaves
        s.sendall(video[:5 * PIECE + 9])
        tap.until(lambda: offset_of(o, where) == 5 * PIECE + 9, 10, 'what was written is told while it is')
    # one that hangs is left behind by whoever goes on, and what it sends then counts for nothing
    with begin_patch(o, where, 5 * PIECE + 9, len(video) - 5 * PIECE - 9) as s, s.makefile('rb') as f:
        s.sendall(video[5 * PIECE + 9:6 * PIECE])
        tap.until(lambda: offset_of(o, where) == 6 * PIECE, 10, 'more')
        tap.equal(patch(o, where, 6 * PIECE, video[6 * PIECE:7 * PIECE]).status, 204)
        s.sendall(b'what' * 1000)
        tap.equal(f.readline().split()[1], b'409')
    # kill -9 in the middle: what HEAD told is there
    with begin_patch(o, where, 7 * PIECE, len(video) - 7 * PIECE) as s:
        s.sendall(video[7 * PIECE:15 * PIECE + 3])
        tap.until(lambda: offset_of(o, where) > 9 * PIECE, 10, 'more')
        told = offset_of(o, where)
        o.p.kill()
    o.start()
    at = offset_of(o, where)
    tap.check(told <= at <= 15 * PIECE + 3, f'{told} was told, {at} is there')
    # a wrong byte deep in a long body: the pieces before it stay
    wrong = bytearray(video[at:])
    wrong[3 * PIECE] ^= 1
    tap.equal(patch(o, where, at, bytes(wrong)).status, 460)
    tap.equal(offset_of(o, where), (at + 3 * PIECE) // PIECE * PIECE)
    tap.equal(patch(o, where, offset_of(o, where), video[offset_of(o, where):]).status, 204)
    put(o, rev, 'package.leaves', files['package.leaves'])
    for name in in_order(files):
        if name not in ('video.mp4', 'package.leaves', 'package.torrent'):
            put(o, rev, name, files[name])
    tap.check(o.get(f'/v/film/{rev}/video.mp4').body == video)
    # a body with a hash counts as a whole or not at all: cut, wrong, killed
    where = o.api('/masters', 'POST', None, **TUS, **{'Upload-Length': str(4 * PIECE), 'Upload-Metadata': 'filename ' + b64('x.mp4')}).headers['Location']
    tap.equal(patch(o, where, 0, video[:PIECE]).status, 204)
    sha1 = {'Upload-Checksum': 'sha1 ' + b64(hashlib.sha1(video[PIECE:4 * PIECE]).digest())}
    with begin_patch(o, where, PIECE, 3 * PIECE, **sha1) as s:
        s.sendall(video[PIECE:2 * PIECE])
        tap.until(lambda: any(u['offset'] == 2 * PIECE for u in o.api('/uploads').json()['uploads']), 10, 'it comes')
        tap.equal(offset_of(o, where), PIECE, 'and does not count')
    tap.until(lambda: offset_of(o, where) == PIECE, 10, 'and is dropped')
    tap.equal(patch(o, where, PIECE, video[:3 * PIECE], **sha1).status, 460)
    tap.equal(offset_of(o, where), PIECE)
    with begin_patch(o, where, PIECE, 3 * PIECE, **sha1) as s:
        s.sendall(video[PIECE:2 * PIECE])
        tap.until(lambda: any(u['offset'] == 2 * PIECE for u in o.api('/uploads').json()['uploads']), 10, 'it comes')
        o.p.kill()
    o.start()
    tap.equal(offset_of(o, where), PIECE)
    tap.equal(patch(o, where, PIECE, video[PIECE:4 * PIECE], **sha1).status, 204)
    # with the creation, of any size; ended in the middle
    r = tap.http(o.control + '/api/v1/masters', 'POST', video, {**OFFSET, 'Upload-Length': str(len(video)), 'Upload-Metadata': 'filename ' + b64('y.mp4')})
    tap.equal((r.status, r.headers['Upload-Offset']), (201, str(len(video))))
    where = o.api('/masters', 'POST', None, **TUS, **{'Upload-Length': str(9 * PIECE), 'Upload-Metadata': 'filename ' + b64('z.mp4')}).headers['Location']
    with begin_patch(o, where, 0, 9 * PIECE) as s, s.makefile('rb') as f:
        s.sendall(video[:PIECE])
        tap.until(lambda: offset_of(o, where) == PIECE, 10, 'it comes')
        tap.equal(o.api(where[7:], 'DELETE', **TUS).status, 204)
        s.sendall(video[:PIECE])
        tap.equal(f.readline().split()[1], b'409')
    tap.equal(o.p.stop(), 0)


@tap.test
def tokens_and_refusals_reach_people():
    o = Origin(options=['--heartbeat', '1h', '--upload-max', '3200000'])
    rev, folder, files = made(7)
    admin = o.api('/tokens', 'POST', {'role': 'admin'}).json()['token']
    o.headers = {'Authorization': f'Bearer {admin}'}
    publisher = o.api('/tokens', 'POST', {'role': 'publisher'}).json()['token']
    viewer = o.api('/tokens', 'POST', {'role': 'viewer-stats'}).json()['token']
    for token, code, text in [(None, 1, '401'), (viewer, 1, '403'), (publisher, 75, 'upload.max')]:
        more = []
        if token:
            path = os.path.join(o.folder, 'token')
            with open(path, 'w') as f:
                f.write(token + '\n')
            more = ['--token-file', path]
        p = ingest(o, folder, *more)
        err = p.communicate(timeout=30)[1]
        tap.equal(p.returncode, code, err)
        tap.has(err, text)
    o.p.stop()
    p = ingest(o, folder, '--patience', '0s')
    tap.equal((p.communicate(timeout=30)[1] != '', p.returncode), (True, 75), 'no origin')
    p = subprocess.run([INGEST, o.folder, '--to', 'http://127.0.0.1:1'], capture_output=True, text=True)
    tap.equal(p.returncode, 1)
    tap.has(p.stderr, 'is no package')


def send_master(o, data, name='The film', **meta):
    field = ','.join(f'{k} {b64(v)}' for k, v in {'filename': 'C/the film.mp4', 'name': name, **meta}.items())
    r = o.api('/masters', 'POST', None, **TUS, **{'Upload-Length': str(len(data)), 'Upload-Metadata': field})
    tap.equal(r.status, 201, r.body)
    where = r.headers['Location']
    for at in range(0, len(data), 8 * PIECE):
        tap.equal(patch(o, where, at, data[at:at + 8 * PIECE]).status, 204)
    return where.rsplit('/', 1)[1]


@tap.test
def an_uploaded_master_becomes_a_title():
    o = Origin(options=['--heartbeat', '1h', '--masters-options', '--preset ultrafast --ladder fixed --max-rungs 1', '--masters-again', '300ms'])
    with open(film.generated(4, '320x180'), 'rb') as f:
        data = f.read()
    l = Listener(o.ports['control'], '/api/v1/events?types=ingest.,title.')
    l.head()
    id_ = send_master(o, data, 'Ña film', title='film')
    tap.equal(l.until('ingest.queued')[2]['id'], id_)
    tap.equal(l.until('ingest.started')[2]['file'], 'the_film.mp4')
    done = l.until('ingest.done')[2]
    tap.equal((done['id'], done['title'], done['name']), (id_, 'film', 'Ña film'))
    tap.until(lambda: o.get('/api/v1/titles').json()['total'] == 1, 10, 'the title')
    title = o.get('/api/v1/titles/film').json()
    tap.equal((title['revision'], title['name']), (done['revision'], 'Ña film'))
    job = o.api(f'/masters/{id_}').json()
    tap.equal((job['sha256'], job['same_as']), (hashlib.sha256(data).hexdigest(), None))
    tap.equal((job['state'], job['revision']), ('done', title['revision']))
    tap.equal([n for n in os.listdir(os.path.join(o.library, '.uploads', f'master-{id_}'))], ['job.json'], 'the master is not kept')
    # what is no film fails with a reason, may be tried again, and taken away
    bad = send_master(o, b'this is no film' * 1000)
    said = l.until('ingest.failed')[2]
    tap.equal(said['id'], bad)
    tap.check('the_film.mp4' in said['detail'], said)
    tap.equal(o.api(f'/masters/{bad}/retry', 'POST').status, 204)
    tap.equal(l.until('ingest.failed')[2]['id'], bad)
    tap.equal(o.api(f'/masters/{id_}/retry', 'POST').status, 409)
    tap.equal([o.api(f'/masters/{bad}', 'DELETE').status for _ in range(2)], [204, 404])
    tap.equal([j['id'] for j in o.api('/masters').json()['masters']], [id_])
    # the same bytes once more are told, by the hash, of the job and before anything is sent
    sum_ = hashlib.sha256(data).hexdigest()
    again = send_master(o, data, title='again')
    tap.equal((o.api(f'/masters/{again}').json()['same_as'], l.until('ingest.queued')[2]['same_as']), (id_, id_))
    tap.equal([j['id'] for j in o.api(f'/masters?sha256={sum_}').json()['masters']], [id_, again])
    tap.equal(o.api(f'/masters?sha256={"0" * 64}').json()['total'], 0)
    tap.equal(o.api('/masters?sha256=xyz').json()['field'], 'sha256')
    tap.equal(o.api(f'/masters/{again}', 'DELETE').status, 204)
    # kill -9 in the middle: the queue is on the disk, and goes on
    ids = [send_master(o, data, f'Film {i}', title=f'film-{i}') for i in range(2)]
    tap.until(lambda: o.api(f'/masters/{ids[0]}').json()['state'] == 'running', 20, 'running')
    o.p.kill()
    o.start()
    tap.until(lambda: {j['state'] for j in o.api('/masters').json()['masters']} == {'done'}, 60, 'the queue is done')
    tap.equal({t['title'] for t in o.get('/api/v1/titles').json()['titles']}, {'film', 'film-0', 'film-1'})
    tap.equal([o.api(f'/masters/{i}').json()['same_as'] for i in ids], [id_, id_], 'kept on the disk')
    # one that runs is ended when it is taken away
    last = send_master(o, data, title='never')
    tap.until(lambda: o.api(f'/masters/{last}').json()['state'] == 'running', 20, 'running')
    tap.equal(o.api(f'/masters/{last}', 'DELETE').status, 204)
    tap.until(lambda: not os.path.exists(os.path.join(o.library, '.uploads', f'master-{last}')), 20, 'its end')
    tap.equal(o.p.stop(), 0)


@tap.test
def a_masters_bytes_are_those_that_were_told():
    o = Origin(options=['--heartbeat', '1h', '--masters-options', '--preset ultrafast'])
    data = random.Random(3).randbytes(3 * PIECE + 7)
    sum_ = hashlib.sha256(data)
    repr_ = lambda h: f'sha-256=:{b64(h.digest())}:'
    def begin(length=len(data), meta='filename ' + b64('x.mp4'), **headers):
        return o.api('/masters', 'POST', None, **TUS, **{'Upload-Length': str(length), 'Upload-Metadata': meta, **headers})
    for bad in ['sha-256=x', 'sha-256=:AAAA:', 'sha-256=:' + b64(sum_.digest()), 'sha-512=:AAAA:, sha-256=::']:
        r = begin(**{'Repr-Digest': bad})
        tap.equal((r.status, r.json().get('field')), (400, 'Repr-Digest'), bad)
    r = begin(meta='sha256 ' + b64('00'))
    tap.equal((r.status, r.json()['field']), (400, 'Upload-Metadata'))
    r = begin(meta='sha256 ' + b64('0' * 64), **{'Repr-Digest': repr_(sum_)})
    tap.equal((r.status, r.json()['field']), (400, 'Repr-Digest'))
    tap.equal(begin(**{'Repr-Digest': 'sha-512=:AAAA:'}).status, 201, 'another algorithm says nothing here')
    told = [{'Repr-Digest': 'unixsum=30637, ' + repr_(sum_)}, {'meta': f'filename {b64("x.mp4")},sha256 {b64(sum_.hexdigest().upper())}'}]
    for how in told:
        # other bytes are found with the last one, and the upload begins anew
        where = begin(**how).headers['Location']
        wrong = bytearray(data)
        wrong[17] ^= 1
        tap.equal(patch(o, where, 0, bytes(wrong[:PIECE])).status, 204)
        r = patch(o, where, PIECE, bytes(wrong[PIECE:]))
        tap.equal((r.status, sum_.hexdigest() in r.body.decode(), hashlib.sha256(wrong).hexdigest() in r.body.decode()), (460, True, True))
        tap.equal(tap.http(o.control + where, 'HEAD', headers=TUS).headers['Upload-Offset'], '0')
        # a body that did not count is not in the hash either: the worker finds it out
        tap.equal(patch(o, where, 0, data[:PIECE]).status, 204)
        tap.equal(patch(o, where, PIECE, data[PIECE:-5], **{'Upload-Checksum': 'sha256 ' + b64(bytes(32))}).status, 460)
        tap.equal(patch(o, where, PIECE, data[PIECE:]).status, 204)
        tap.until(lambda: o.api('/masters/' + where.rsplit('/', 1)[1]).json()['sha256'] == sum_.hexdigest(), 10, 'the hash')
    # what came in two lives of the origin is hashed by the worker: good ones are let through, others fail with the reason
    l = Listener(o.ports['control'], '/api/v1/events?types=ingest.')
    for bytes_, said in (data, None), (bytes(wrong), 'upload it again'):
        where = begin(**told[0]).headers['Location']
        tap.equal(patch(o, where, 0, bytes_[:2 * PIECE]).status, 204)
        o.p.kill()
        o.start()
        tap.equal(patch(o, where, 2 * PIECE, bytes_[2 * PIECE:]).status, 204)
        job = lambda: o.api('/masters/' + where.rsplit('/', 1)[1]).json()
        tap.until(lambda: job()['state'] == 'failed', 20, 'the end of the ingest, which finds no film, or of the check')
        tap.equal((job()['sha256'], said is not None and said in job()['detail']), (hashlib.sha256(bytes_).hexdigest(), said is not None))
    # an empty one has a hash as well
    where = begin(0).headers['Location']
    tap.equal(o.api('/masters/' + where.rsplit('/', 1)[1]).json()['sha256'], hashlib.sha256().hexdigest())
    tap.equal(o.p.stop(), 0)


tap.run()

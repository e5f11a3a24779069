# SPDX-License-Identifier: GPL-3.0-or-later
"""An origin for tests of the edge: speaks the control protocol and serves packages over real sockets, and can lie,
stall, cut, fail and be slow.  Packages are made here, digest included (BEP 52), independently of the C code.
"""
import hashlib, http.server, json, os, random, re, socket, socketserver, sys, threading, time
import tap

BLOCK, PIECE = 16384, 1 << 20


def _sha(data):
    return hashlib.sha256(data).digest()


def bencode(v):
    if isinstance(v, int):
        return b'i%de' % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b'%d:%s' % (len(v), v)
    if isinstance(v, list):
        return b'l' + b''.join(map(bencode, v)) + b'e'
    items = sorted((k.encode() if isinstance(k, str) else k, x) for k, x in v.items())
    return b'd' + b''.join(bencode(k) + bencode(x) for k, x in items) + b'e'


def _root(hashes, pad):
    width = 1
    while width < len(hashes):
        width *= 2
    hashes = hashes + [pad] * (width - len(hashes))
    while len(hashes) > 1:
        hashes = [_sha(hashes[i] + hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


_ZERO = b'\0' * 32
_ZERO_PIECE = _root([_ZERO] * 64, _ZERO)

MPD = '''<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static"
 mediaPresentationDuration="PT8S" minBufferTime="PT4S"><Period><AdaptationSet contentType="video" mimeType="video/mp4">
<Representation id="v" bandwidth="1000000" codecs="avc1.64001f" width="320" height="180"><BaseURL>video.mp4</BaseURL>
<SegmentBase indexRange="0-99"><Initialization range="0-99"/></SegmentBase></Representation></AdaptationSet></Period></MPD>
'''


class Package:
    """name -> bytes, with package.torrent and package.leaves made for them."""

    def __init__(self, title, size=5_000_000, seed=1, more=()):
        rng = random.Random(f'{title}/{seed}')
        self.title = title
        self.files = {'manifest.mpd': MPD.encode(), 'main.m3u8': b'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000\nvideo.m3u8\n', 'empty.vtt': b'',
                      'audio.mp4': rng.randbytes(200_000), 'video.mp4': rng.randbytes(size)}
        for name, n in more:
            self.files[name] = rng.randbytes(n)
        tree, layers, leaves = {}, {}, b''
        for name in sorted(self.files):
            data = self.files[name]
            blocks = [_sha(data[i:i + BLOCK]) for i in range(0, len(data), BLOCK)]
            leaves += b''.join(blocks)
            leaf = {'length': len(data)}
            if len(data) > PIECE:
                pieces = [_root(blocks[i:i + 64] + [_ZERO] * (64 - len(blocks[i:i + 64])), _ZERO)
                          for i in range(0, len(blocks), 64)]
                leaf['pieces root'] = _root(pieces, _ZERO_PIECE)
                layers[leaf['pieces root']] = b''.join(pieces)
            elif data:
                leaf['pieces root'] = _root(blocks, _ZERO)
            tree[name] = {'': leaf}
        info = {'file tree': tree, 'meta version': 2, 'name': title, 'piece length': PIECE}
        self.torrent = bencode({'info': info, 'piece layers': layers})
        self.revision = hashlib.sha256(bencode(info)).hexdigest()[:20]
        self.size = sum(map(len, self.files.values()))
        self.pieces = sum((len(d) + PIECE - 1) // PIECE for d in self.files.values())
        self.served = {**self.files, 'package.torrent': self.torrent, 'package.leaves': leaves}

    @property
    def key(self):
        return f'{self.title}/{self.revision}'

    def row(self, hold=True):
        return {'title': self.title, 'revision': self.revision, 'digest': hashlib.sha256(self.torrent).hexdigest(),
                'digest_bytes': len(self.torrent), 'bytes': self.size, 'hold': hold}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 0

    def setup(self):
        super().setup()
        with self.server.lab.lock:
            self.server.lab.connections.add(self.connection)

    def finish(self):
        with self.server.lab.lock:
            self.server.lab.connections.discard(self.connection)
        super().finish()

    def log_message(self, *args):
        pass

    def reply(self, status, body=b'', headers=(), type='application/json'):
        self.send_response(status)
        for name, value in [('Content-Type', type), ('Content-Length', str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        lab = self.server.lab
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        with lab.lock:
            lab.authorizations.add(self.headers.get('Authorization'))
        if lab.control_fails:
            return self.reply(lab.control_fails, b'{"detail": "told to fail"}', type='application/problem+json')
        if self.path == '/api/v1/edges':
            with lab.lock:
                lab.registered[body['name']] = body
            return self.reply(201, b'{}')
        name, what = re.fullmatch(r'/api/v1/edges/([^/]+)/(heartbeat|demand)', self.path).groups()
        if what == 'demand':
            with lab.lock:
                lab.demand.append(body)
            return self.reply(200, b'{"counted": true}')
        if name not in lab.registered:
            return self.reply(404, b'{"detail": "who?"}', type='application/problem+json')
        with lab.lock:
            lab.heartbeats[name] = body
            lab.liars.update(body.get('liars', ()))
        self.reply(200, json.dumps({'heartbeat_seconds': 0.2, 'now': int((time.time() + lab.clock) * 1000)}).encode())

    def do_GET(self):
        if self.path.startswith('/v/'):
            return self.package()
        if self.path.startswith('/pieces/'):
            return self.reply(404)
        lab = self.server.lab
        name, shelf = re.fullmatch(r'/api/v1/edges/([^/]+)/plan(?:\?shelf=([0-9a-f]{64}))?', self.path).groups()
        if lab.control_fails:
            return self.reply(lab.control_fails, b'{}')
        if name not in lab.registered:
            return self.reply(404, b'{}')
        plan = shelf and lab.short and lab.short(shelf) or lab.plan_for(name)
        etag = '"%s"' % hashlib.sha256(plan).hexdigest()[:16]
        if self.headers.get('If-None-Match') == etag:
            return self.reply(304, headers=[('ETag', etag)])
        self.reply(200, plan, [('ETag', etag)])

    def package(self):
        lab = self.server.lab
        title, revision, name = self.path.split('/')[2:]
        p = lab.packages.get(f'{title}/{revision}')
        data = p and p.served.get(name)
        if data is None:
            with lab.lock:
                lab.unknown.append(self.path)
            return self.reply(404)
        r = re.fullmatch(r'bytes=(\d+)-(\d+)', self.headers.get('Range') or '')
        first, last = (int(r.group(1)), min(int(r.group(2)), len(data) - 1)) if r else (0, len(data) - 1)
        with lab.lock:
            lab.requests.append((title, name, first, last))
            behaviour = lab.behaviour(title, name, first) if lab.behaviour else None
        self.body(data, first, last, bool(r), behaviour or {})

    def body(self, data, first, last, ranged, b):
        lab = self.server.lab
        if b.get('status'):
            return self.reply(b['status'])
        if b.get('raw'):
            self.close_connection = True
            try:
                b['raw'](self.connection, data, first, last)
            except OSError:
                pass
            return None
        part = data[first:last + 1]
        if 'wrong_at' in b and len(part) > b['wrong_at']:
            at = b['wrong_at']
            part = part[:at] + bytes([part[at] ^ 0x55]) + part[at + 1:]
        self.send_response(206 if ranged else 200)
        self.send_header('Content-Length', str(len(part)))
        if ranged:
            self.send_header('Content-Range', f'bytes {first}-{last}/{len(data)}')
        self.end_headers()
        sent, rate = 0, b.get('rate') or lab.rate
        start = time.monotonic()
        while sent < len(part):
            if sent >= b.get('cut_at', 1 << 60):
                self.close_connection = True
                return
            if sent >= b.get('stall_at', 1 << 60):
                lab.stopping.wait(b.get('stall_for', 60))
                self.close_connection = True
                return
            n = min(16384 if rate else 1 << 18, len(part) - sent, b.get('cut_at', 1 << 60) - sent,
                    max(1, b.get('stall_at', 1 << 60) - sent))
            try:
                self.wfile.write(part[sent:sent + n])
            except OSError:
                self.close_connection = True
                return
            sent += n
            with lab.lock:
                lab.sent += n
            if rate:
                wait = sent / rate - (time.monotonic() - start)
                if wait > 0:
                    lab.stopping.wait(wait)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # an edge that was killed is no error
            super().handle_error(request, client_address)


class Lab:
    """One listener that is control API and package server at once.  `behaviour(title, file, first byte)` gives a dict of:
    status, wrong_at, cut_at, stall_at, stall_for, rate, raw (a function of socket, file, first and last byte that answers); called under the lock."""

    def __init__(self, *packages, hold=True, port=0):
        self.lock = threading.Lock()
        self.packages = {p.key: p for p in packages}
        self.rows = [p.row(hold) for p in packages]
        self.peers = []
        self.steering, self.short = None, None  # short: what to say to who has a shelf (bytes, or None)
        self.registered, self.heartbeats, self.authorizations, self.liars = {}, {}, set(), set()
        self.requests, self.unknown, self.demand, self.clock = [], [], [], 0  # clock: seconds it is ahead
        self.behaviour, self.control_fails, self.rate, self.sent = None, 0, 0, 0
        self.port = port
        self.start()

    def start(self):
        self.stopping, self.connections = threading.Event(), set()
        self.server = Server(('127.0.0.1', self.port), Handler)
        self.server.lab = self
        self.port = self.server.server_address[1]
        self.url = f'http://127.0.0.1:{self.port}'
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def plan_for(self, name):
        with self.lock:
            body = {'origin': self.url, 'titles': self.rows, 'peers': [p for p in self.peers if p['name'] != name]}
            if self.steering:
                body['steering'] = self.steering
        version = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:8]
        return json.dumps({'version': version, **body}).encode()

    def asked(self, name):
        with self.lock:
            return [(first, last) for t, n, first, last in self.requests if n == name]


class Trickle(threading.Thread):
    """A server that takes whatever is asked and answers with a byte now and then."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url, self.asked = f'http://127.0.0.1:{self.listener.getsockname()[1]}', threading.Event()
        self.start()

    def run(self):
        while True:
            threading.Thread(target=self.answer, args=self.listener.accept()[:1], daemon=True).start()

    def answer(self, connection):
        try:
            connection.recv(65536)
            self.asked.set()
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
            while True:
                connection.sendall(b' ')
                time.sleep(0.5)
        except OSError:
            pass


class Edge:
    """A real ribera-edge; its store outlives the process."""

    def __init__(self, lab, *options, name='edge-a', store=None, start=True):
        self.lab, self.name, self.options = lab, name, list(options)
        self.folder = tap.folder()
        self.store = store or os.path.join(self.folder, 'store')
        self.port, self.env = 0, {}
        if start:
            self.start()

    def start(self):
        ports_file = os.path.join(self.folder, 'ports')
        if os.path.exists(ports_file):
            os.unlink(ports_file)
        self.process = tap.Process(tap.program('ribera-edge'), '--name', self.name, '--origin', self.lab.url, '--listen',
                                   f'127.0.0.1:{self.port}', '--store', self.store, '--heartbeat', '150ms', '--reserve', '0',
                                   '--ports-file', ports_file, *self.options, env=self.env, log=os.path.join(self.folder, 'log'))
        self.port = tap.ports(ports_file, self.process)['viewers']
        self.url = f'http://127.0.0.1:{self.port}'
        return self

    def get(self, path, headers=None, timeout=30, method='GET'):
        return tap.http(self.url + path, headers=headers, timeout=timeout, method=method)

    def file(self, package, name, headers=None, timeout=30):
        return self.get(f'/v/{package.key}/{name}', headers, timeout)

    def metric(self, name):
        return tap.metric(self.get('/metrics').body.decode(), name) or 0

    def holds(self, package):
        return package.key in self.lab.heartbeats.get(self.name, {}).get('holds', [])

    def wait_filled(self, package, seconds=60):
        tap.until(lambda: self.holds(package), seconds, f'fill of {package.title}')

    def wait_prepared(self, package, seconds=20):
        tap.until(lambda: self.get(f'/v/{package.title}/manifest.mpd').status == 200, seconds, 'the manifest')
        tap.until(lambda: self.get(f'/v/{package.key}/package.leaves').status == 200, seconds, 'the leaves')

    def check_all(self, package):
        for name, data in package.served.items():
            r = self.file(package, name)
            tap.equal(r.status, 200, name)
            tap.check(r.body == data, f'{name}: wrong bytes')

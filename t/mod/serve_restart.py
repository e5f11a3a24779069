#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts without a refused connection, reloads, sockets of a service manager, draining."""
import http.client, os, re, signal, socket, subprocess, sys, threading, time

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import lab, origins, package, tap

FILM = os.urandom(6_000_000)


class Load:
    """Viewers until stopped, who come anew for every request or stay as long as they may; what went wrong."""

    def __init__(self, port, path, want, n=6, stay=False):
        self.stay, self.connections = stay, 0
        self.port, self.path, self.want, self.wrong, self.good, self.end = port, path, want, [], 0, False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.one, daemon=True) for _ in range(n)]
        for t in self.threads:
            t.start()

    def one(self):
        c = None
        while not self.end:
            error = None
            try:
                if c is None:
                    c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
                    self.connections += 1
                c.request('GET', self.path, headers={'Range': f'bytes=0-{len(self.want) - 1}'})
                r = c.getresponse()
                body = r.read()
                if r.status != 206 or body != self.want:
                    error = f'{r.status}, {len(body)} bytes'
                if not self.stay or r.will_close:
                    c.close()
                    c = None
            except Exception as e:
                error, c = repr(e), None
            with self.lock:
                if error:
                    self.wrong.append(error)
                else:
                    self.good += 1

    def stop(self):
        self.end = True
        for t in self.threads:
            t.join(60)
        return self.wrong, self.good


def slow_download(port, path, seconds):
    """Takes a body over so long; its bytes, or what went wrong."""
    result = []

    def run():
        try:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            s.settimeout(30)
            s.connect(('127.0.0.1', port))
            s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
            got, end = b'', time.monotonic() + seconds
            while len(got.partition(b'\r\n\r\n')[2]) < len(FILM):
                chunk = s.recv(65536)
                if not chunk:
                    break
                got += chunk
                if time.monotonic() < end:
                    time.sleep(seconds * len(chunk) / len(FILM))
            result.append(got.partition(b'\r\n\r\n')[2])
        except Exception as e:
            result.append(repr(e))
    t = threading.Thread(target=run, daemon=True)
    t.start()
    return t, result


def starts(process):
    return len(re.findall(r'listening viewers=', process.text()))


def origin_with_film(*options):
    library = os.path.join(tap.folder(), 'library')
    os.makedirs(library)
    revision, _ = package.write(library, 'film', {'video.mp4': FILM})
    o = origins.Origin(library, options)
    path = f'/v/film/{revision}/video.mp4'
    tap.until(lambda: o.get(path, Range='bytes=0-0').status == 206)
    return o, path


@tap.test
def an_origin_is_replaced_under_load_and_nobody_notices():
    o, path = origin_with_film('--grace', '10s')
    ports = dict(o.ports)
    load = Load(ports['viewers'], path, FILM[:200_000], 3)
    staying = Load(ports['viewers'], path, FILM[:50_000], 3, stay=True)
    thread, slow = slow_download(ports['viewers'], path, 1.5)
    for n in range(2, 5):
        before = load.good
        tap.until(lambda: load.good > before + 20, what='load')
        o.p.p.send_signal(signal.SIGUSR2)
        tap.until(lambda: starts(o.p) == n, 20, f'start {n}')
    before = load.good
    tap.until(lambda: load.good > before + 50, what='load behind the last start')
    wrong, good = load.stop()
    thread.join()
    tap.equal(wrong, [], f'of {good + len(wrong)} requests')
    wrong, good = staying.stop()
    tap.equal(wrong, [], f'of {good + len(wrong)} requests on connections that stay')
    tap.check(staying.connections >= 3 * 4, f'{staying.connections} connections')
    tap.check(slow[0] == FILM, f'the slow download: {slow[0][:80]!r}')
    tap.equal(tap.ports(os.path.join(o.folder, 'ports'), o.p), ports)
    tap.equal(o.api('/titles').status, 200)
    tap.check(o.p.alive())
    tap.equal(o.p.stop(), 0)


@tap.test
def an_edge_is_replaced_under_load_and_nobody_notices():
    p = lab.Package('film')
    edge = lab.Edge(lab.Lab(p), '--control', '127.0.0.1:0')
    edge.wait_filled(p)
    video, port = p.files['video.mp4'], int(edge.url.rsplit(':', 1)[1])
    load = Load(port, f'/v/{p.key}/video.mp4', video[:200_000])
    before = load.good
    tap.until(lambda: load.good > before + 20, what='load')
    edge.process.p.send_signal(signal.SIGUSR2)
    tap.until(lambda: starts(edge.process) == 2, 20, 'the second start')
    before = load.good
    tap.until(lambda: load.good > before + 50, what='load behind it')
    wrong, good = load.stop()
    tap.equal(wrong, [], f'of {good + len(wrong)} requests')
    edge.check_all(p)
    tap.equal(edge.process.stop(), 0)


@tap.test
def what_would_not_start_does_not_replace_what_runs():
    config = os.path.join(tap.folder(), 'origin.yaml')
    with open(config, 'w') as f:
        f.write('max_connections: 1000\n')
    o, path = origin_with_film('--config', config)
    with open(config, 'w') as f:
        f.write('max_connexions: 1000\n')
    o.p.p.send_signal(signal.SIGUSR2)
    tap.until(lambda: 'no restart: ' in o.p.text(), 10, 'the refusal')
    tap.has(o.p.text(), 'max_connexions')
    tap.equal((o.get(path, Range='bytes=0-0').status, starts(o.p)), (206, 1))
    o.p.p.send_signal(signal.SIGHUP)
    tap.until(lambda: 'the settings stay as they are' in o.p.text(), 10, 'the refusal of a reload')
    tap.equal(o.p.stop(), 0)


@tap.test
def a_reload_says_what_it_took_in_and_what_it_did_not():
    config = os.path.join(tap.folder(), 'origin.yaml')
    with open(config, 'w') as f:
        f.write('max_per_client: 500\nthreads: 2\n')
    o, path = origin_with_film('--config', config)
    with open(config, 'w') as f:
        f.write('max_per_client: 1\nthreads: 3\nlog_level: debug\n')
    with socket.create_connection(('127.0.0.1', o.ports['viewers'])) as s:
        s.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        tap.check(s.recv(1000).startswith(b'HTTP/1.1 200'))
        o.p.p.send_signal(signal.SIGHUP)
        tap.until(lambda: o.get('/healthz').status == 429, 5, 'the new limit')
        s.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        tap.check(s.recv(1000).startswith(b'HTTP/1.1 200'), 'a connection that was there')
    text = o.p.text()
    for part in ('max_per_client is 1 now, was 500', 'threads stays 2: 3 takes a restart', 'log_level is debug now, was info'):
        tap.has(text, part)
    o.p.p.send_signal(signal.SIGHUP)
    tap.until(lambda: o.p.text().count('threads stays 2') == 2, 5, 'the second reload')
    tap.equal(o.p.text().count('max_per_client is 1 now'), 1)
    tap.equal(o.p.stop(), 0)


@tap.test
def the_access_log_is_opened_anew():
    log = os.path.join(tap.folder(), 'access.log')
    o, path = origin_with_film('--access-log', log)
    for sig in (signal.SIGUSR1, signal.SIGHUP):
        os.rename(log, f'{log}.{sig}')
        o.p.p.send_signal(sig)
        tap.until(lambda: os.path.exists(log), 5, 'the new file')
        tap.equal(o.get('/healthz').status, 200)
        tap.until(lambda: os.path.getsize(log) > 0, 5, 'a line in it')
    tap.equal(o.p.stop(), 0)


@tap.test
def sockets_of_a_service_manager():
    library = os.path.join(tap.folder(), 'library')
    os.makedirs(library)
    revision, _ = package.write(library, 'film', {'video.mp4': FILM})
    listeners = []
    for _ in range(3):  # viewers, control, and one nobody has asked for
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen(64)
        listeners.append(s)
    viewers, control, _ = [s.getsockname()[1] for s in listeners]
    early = socket.create_connection(('127.0.0.1', viewers))  # before there is a server at all
    early.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    keep = [os.dup(s.fileno()) for s in listeners]
    # the numbers have to be 3, 4, 5 in the child, and LISTEN_PID its own
    script = f'exec 3<&{keep[0]} 4<&{keep[1]} 5<&{keep[2]}; LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=ribera-origin.socket:ribera-origin.socket:x exec "$@"'
    said = open(os.path.join(tap.folder(), 'said'), 'w+')
    p = subprocess.Popen(['bash', '-c', script, 'sh', tap.program('ribera-origin'), '--library', library, '--listen', f'127.0.0.1:{viewers}',
                          '--control', f'127.0.0.1:{control}', '--threads', '3', '--database', os.path.join(tap.folder(), 'db')],
                         pass_fds=keep, stdout=said, stderr=subprocess.STDOUT, text=True)
    for s in listeners:
        s.close()
    for fd in keep:
        os.close(fd)
    try:
        early.settimeout(15)
        tap.check(early.recv(1000).startswith(b'HTTP/1.1 200'), 'who came before the server')
        tap.until(lambda: tap.http(f'http://127.0.0.1:{viewers}/v/film/{revision}/video.mp4').body == FILM)
        tap.equal(tap.http(f'http://127.0.0.1:{control}/api/v1/titles').status, 200)
        load = Load(viewers, f'/v/film/{revision}/video.mp4', FILM[:1000])
        before = load.good
        tap.until(lambda: load.good > before + 20, what='load')
        p.send_signal(signal.SIGUSR2)
        tap.until(lambda: load.good > before + 300, what='load')
        tap.equal(load.stop()[0], [])
        tap.until(lambda: os.pread(said.fileno(), 65536, 0).count(b'listening viewers=') == 2, what='the next program')
    finally:
        p.send_signal(signal.SIGTERM)
        code = p.wait(20)
        out = os.pread(said.fileno(), 65536, 0).decode()
        said.close()
    tap.equal(code, 0, out)
    tap.has(out, 'is not used')


tap.run()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Films and packages for tests, and a whole system of real programs on loopback.

Masters come from ../shared/masters when that is there, else ffmpeg makes one.  Packages are made once per build of
ribera-ingest and kept under the build folder.
"""
import fcntl, hashlib, json, os, shutil, time
import tap

CACHE = os.path.join(tap.BUILD, 't', 'cache')


def _locked(name, make):
    """CACHE/name, made once by make(temporary path), also when several tests ask at once."""
    os.makedirs(CACHE, exist_ok=True)
    path = os.path.join(CACHE, name)
    with open(path + '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            part = path + '.part'
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            os.rename(part, path)
    return path


def generated(seconds=16, size='1280x720', rate='25', look=''):
    """A film with a moving picture (through the filter `look`), a burnt-in counter and a beep each second."""
    def make(path):
        tap.call('ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', f'testsrc2=size={size}:rate={rate}' + (',' + look if look else ''),
                 '-f', 'lavfi', '-i', 'aevalsrc=0.4*sin(2*PI*880*t)*lt(mod(t\\,1)\\,0.1)|0.4*sin(2*PI*880*t)*lt(mod(t\\,1)\\,0.1):s=48000',
                 '-t', seconds, '-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '16', '-pix_fmt', 'yuv420p',
                 '-c:a', 'aac', '-b:a', '160k', '-f', 'mp4', path, check_exit=0)
    return _locked(f'film-{size}-{rate.replace("/", "_")}-{seconds}{"-" + sha256(look.encode())[:8] if look else ""}.mp4', make)


def master():
    """Real footage when it is there: a cartoon of 30 s in 1080p24 with 5.1 sound."""
    real = os.path.join(tap.SHARED, 'masters', 'bbb_1080p24_30s_51aac.mp4')
    return real if os.path.exists(real) else generated(30, '1920x1080', '24')


def library(film=None, title='film', *options):
    """A library with one package of the film; (library folder, revision, package folder).  Do not write to it."""
    film = film or master()
    if '--ladder' not in options:  # known renditions, and no probing
        options += ('--ladder', 'fixed') + (() if '--max-rungs' in options else ('--max-rungs', '7'))
    ingest = tap.program('ribera-ingest')
    key = hashlib.sha256()
    with open(ingest, 'rb') as f:
        key.update(f.read())
    key.update(repr((os.path.basename(film), os.path.getsize(film), title, options)).encode())
    path = _locked('library-' + key.hexdigest()[:16],
                   lambda part: tap.call(ingest, film, '--library', part, '--title', title, *options, timeout=900, check_exit=0))
    revision = [r for r in os.listdir(os.path.join(path, title)) if not r.startswith('.')][0]
    return path, revision, os.path.join(path, title, revision)


class System:
    """An origin and edges on loopback; every port is free, every folder temporary."""

    def __init__(self, library_folder, edges=2, edge_options=(), start_edges=True, origin_options=()):
        self.folder = tap.folder()
        self.token = 'token-' + os.urandom(8).hex()
        self.token_file = os.path.join(self.folder, 'token')
        with open(os.open(self.token_file, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.write(self.token)
        # what the origin keeps beside the library must not land in a shared one
        self.library = os.path.join(self.folder, 'library')
        shutil.copytree(library_folder, self.library, copy_function=os.link)
        self.edge_options = list(edge_options)
        self.edges, self.edge_urls = {}, {}
        self.origin_ports = None
        self.start_origin(*origin_options)
        if start_edges:
            for i in range(edges):
                self.start_edge('edge-' + 'abcdefgh'[i])

    def _start(self, name, *argv):
        ports_file = os.path.join(self.folder, name + '.ports')
        if os.path.exists(ports_file):
            os.unlink(ports_file)
        process = tap.Process(*argv, '--ports-file', ports_file, log=os.path.join(self.folder, name + '.log'))
        return process, tap.ports(ports_file, process)

    def start_origin(self, *options):
        listen = self.origin_ports or {'viewers': 0, 'control': 0}
        self.origin, self.origin_ports = self._start(
            'origin', tap.program('ribera-origin'), '--library', self.library, '--listen', f'127.0.0.1:{listen["viewers"]}',
            '--control', f'127.0.0.1:{listen["control"]}', '--token-file', self.token_file, *options)
        self.url = f'http://127.0.0.1:{self.origin_ports["viewers"]}'
        self.control = f'http://127.0.0.1:{self.origin_ports["control"]}'

    def start_edge(self, name, *options):
        port = self.edge_urls[name].rsplit(':', 1)[1] if name in self.edge_urls else 0
        process, ports = self._start(
            name, tap.program('ribera-edge'), '--name', name, '--origin', self.control, '--token-file', self.token_file,
            '--listen', f'127.0.0.1:{port}', '--store', os.path.join(self.folder, name), *self.edge_options, *options)
        self.edges[name] = process
        self.edge_urls[name] = f'http://127.0.0.1:{ports["viewers"]}'
        return process

    def api(self, path, method='GET', body=None):
        return tap.http(self.control + '/api/v1' + path, method, body, {'Authorization': 'Bearer ' + self.token})

    def holding(self, title, revision):
        """Names of the edges that say they hold all of it."""
        return sorted(e['name'] for e in self.api('/edges').json()['edges']
                      for h in e.get('held', []) if h['title'] == title and h['revision'] == revision and h['complete'])

    def wait_filled(self, title, revision, names=None, seconds=120):
        names = sorted(names or self.edges)
        tap.until(lambda: set(names) <= set(self.holding(title, revision)), seconds, f'fill of {title} on {names}')

    def stop(self):
        for process in [*self.edges.values(), self.origin]:
            if process.alive():
                process.stop()


def files(package):
    """name -> bytes of everything in a package that viewers and edges may ask for."""
    return {name: open(os.path.join(package, name), 'rb').read() for name in sorted(os.listdir(package))}


def sha256(data):
    return hashlib.sha256(data).hexdigest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The same film on the same lines from two systems, for t/bench/chaos: ours (an origin, two edges) and plain nginx (an
origin, two proxy_caches).  Each is a line.Net of its own with hosts origin, cache-0 (near), cache-1 (farther), viewer and
prober, known by name (NAME.test) to a name server in the core.  cache-0 is where viewers begin, and what is struck.

    system = rivals.Ours(package, revision, env={'LD_PRELOAD': ...})     # env: of cache-0's program alone
    system.url; system.hosts['cache-0'].cut(); system.names.gone = True; system.stop()
"""
import atexit, contextlib, http.client, os, random, shutil, signal, socket, struct, threading, time
import line, tap

TITLE = 'film'
LINES = {'origin': {'rate': 20000, 'delay': 20}, 'cache-0': {'rate': 20000, 'delay': 5}, 'cache-1': {'rate': 20000, 'delay': 20},
         'viewer': {'rate': 10000, 'delay': 10}, 'prober': {'rate': 10000, 'delay': 10}}  # kbit/s, ms one way


class Names(threading.Thread):
    """A name server: A of NAME.test for two seconds, nothing else; silent while it is gone."""

    def __init__(self, net):
        super().__init__(daemon=True)
        with net.hosts[0].inside():
            line._enter(f'/run/netns/{net.core}')
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('0.0.0.0', 53))
        self.known = {h.name + '.test': h.address for h in net.hosts}
        self.gone, self.asked = False, 0
        self.start()

    def run(self):
        while True:
            try:
                query, who = self.socket.recvfrom(512)
            except OSError:
                return
            self.asked += 1
            if not self.gone and len(query) > 16:
                self.socket.sendto(self.answer(query), who)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode('latin-1').lower())
            at += 1 + query[at]
        question, kind = query[12:at + 5], query[at + 1:at + 3]
        address = self.known.get('.'.join(labels))
        found = address and kind == b'\0\1'
        head = query[:2] + struct.pack('>5H', 0x8580 | (0 if address else 3), 1, 1 if found else 0, 0, 0)
        return head + question + (b'\xc0\x0c\0\1\0\1' + struct.pack('>IH', 2, 4) + socket.inet_aton(address) if found else b'')


class Rival:
    """full: cache-0's disk has no room from the beginning, so it does not hold the film; the others have it whole."""

    def __init__(self, package, revision, env, full, seed=1):
        self.package, self.revision, self.full = package, revision, full
        self.folder, self.processes = tap.folder(), {}
        self.net = line.Net(seed)
        self.hosts = {name: self.net.host(name) for name in LINES}
        self.names = Names(self.net)
        for h in self.hosts.values():  # `ip netns exec` puts these over /etc
            os.makedirs(f'/etc/netns/{h.ns}', exist_ok=True)
            atexit.register(shutil.rmtree, f'/etc/netns/{h.ns}', ignore_errors=True)
            with open(f'/etc/netns/{h.ns}/resolv.conf', 'w') as f:
                f.write(f'nameserver {h._core_address}\noptions timeout:2 attempts:2\n')
        self.store = os.path.join(self.folder, 'cache-0-store')
        os.mkdir(self.store)
        self.env = {**env, 'WORN_ROOT': self.store}
        if full:
            tap.as_root('mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', self.store)
        self.url = f'http://cache-0.test:8080/v/{TITLE}/manifest.mpd'

    def address(self, name, port=8080):
        return f'http://{self.hosts[name].address}:{port}'

    def get(self, name, path, timeout=30, **options):
        """From beside that machine: not over its line."""
        with self.hosts[name].inside():
            return tap.http(self.address(name) + path, timeout=timeout, **options)

    def narrow(self):
        """Lines as they are to be; while all was made ready they had no limit."""
        for name, values in LINES.items():
            self.hosts[name].set(**values)

    def programs(self, name):
        """The pids of its program and what that has forked."""
        first = self.processes[name].pid
        return [first, *map(int, tap.call('ps', '-o', 'pid=', '--ppid', first).stdout.split())]

    def stop(self):
        for name, p in self.processes.items():
            if p.alive():
                forked = self.programs(name)[1:]
                p.kill()
                for pid in forked:  # a killed nginx leaves its workers
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self.names.socket.close()
        self.net.end()
        if self.full:
            tap.as_root('umount', '-l', self.store)
        shutil.rmtree(self.folder, ignore_errors=True)


class Ours(Rival):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.library, self.token = os.path.join(self.folder, 'library'), os.path.join(self.folder, 'token')
        shutil.copytree(self.package, os.path.join(self.library, TITLE, self.revision), copy_function=os.link)
        with open(os.open(self.token, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.write('token-of-the-lines')
        networks = os.path.join(self.folder, 'networks')
        with open(networks, 'w') as f:
            f.write('10.99.0.0/16 cache-0 10\n10.99.0.0/16 cache-1 40\n')
        self.run('origin', tap.program('ribera-origin'), '--library', self.library, '--control', f'{self.hosts["origin"].address}:8081',
                 '--public-url', 'http://origin.test:8080', '--networks', networks, '--steering-slow-start', '0s')  # the edges have been up for long
        self.edge('cache-0', {})
        if self.full:
            tap.fill_disk(self.store)
        self.edge('cache-1', {})
        whole = ['cache-1'] if self.full else ['cache-0', 'cache-1']
        tap.until(lambda: set(whole) <= self.whole(), 200, lambda: f'the fill: {self.whole()}', every=0.3)
        if not self.full:  # nothing of the film in its memory, as weeks after the fill
            self.processes['cache-0'].stop()
            self.edge('cache-0', self.env)
        tap.until(lambda: self.get('cache-0', f'/v/{TITLE}/manifest.mpd').body.count(b'serviceLocation=') >= 3, 60, 'both edges in the manifest', every=0.3)
        self.narrow()

    def run(self, name, *argv, env=None):
        ports = os.path.join(self.folder, name + '.ports')
        if os.path.exists(ports):
            os.unlink(ports)
        p = self.hosts[name].process(*argv, '--listen', f'{self.hosts[name].address}:8080', '--token-file', self.token, '--ports-file', ports,
                                     env=env, log=os.path.join(self.folder, name + '.log'))
        self.processes[name] = p
        tap.ports(ports, p)

    def edge(self, name, env):
        store = self.store if name == 'cache-0' else os.path.join(self.folder, name + '-store')
        self.run(name, tap.program('ribera-edge'), '--name', name, '--origin', 'http://origin.test:8081', '--store', store, '--reserve', '0',
                 '--public-url', f'http://{name}.test:8080', '--scrub-rate', '0', env=env)

    def whole(self):
        with self.hosts['origin'].inside():
            r = tap.http(self.address('origin', 8081) + '/api/v1/edges', headers={'Authorization': 'Bearer token-of-the-lines'})
        return {e['name'] for e in r.json()['edges'] for h in e.get('held', []) if h['complete']}


# What those who run it in front of films commonly set: slices, one request upstream for each, what is old rather than an error
CONF = '''user root; worker_processes 2; pid FOLDER/NAME.pid; error_log FOLDER/NAME.error; daemon off;
env LD_PRELOAD; env WORN_ROOT; env WORN_FAULT; env CLOCK_SHIFT;
events { worker_connections 4096; }
http {
	access_log off; sendfile on; tcp_nopush on; aio threads; keepalive_timeout 65s; keepalive_requests 10000; send_timeout 60s;
	types { application/dash+xml mpd; video/mp4 mp4; }
	default_type application/octet-stream;
	PLACES
}
'''
ORIGIN = 'server { listen ADDRESS:8080; root LIBRARY; etag on; location ~ [.]mp4$ { expires 1y; add_header Cache-Control "public, immutable"; } location / { expires 60s; } }'
CACHE = '''proxy_cache_path FOLDER/NAME-store levels=1:2 keys_zone=films:16m max_size=10g inactive=30d use_temp_path=off;
	upstream origin { server origin.test:8080 max_fails=3 fail_timeout=5s; keepalive 32; }
	server {
		listen ADDRESS:8080;
		add_header Access-Control-Allow-Origin * always;
		add_header Access-Control-Expose-Headers "Content-Length, Content-Range" always;
		add_header Access-Control-Allow-Headers Range always;
		location / {
			if ($request_method = OPTIONS) { return 204; }
			slice 1m;
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Range $slice_range;
			proxy_cache films;
			proxy_cache_key $uri$slice_range;
			proxy_cache_valid 200 206 30d;
			proxy_cache_lock on; proxy_cache_lock_timeout 5s; proxy_cache_lock_age 5s;
			proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;
			proxy_cache_background_update on; proxy_cache_revalidate on;
			proxy_connect_timeout 2s; proxy_read_timeout 5s; proxy_send_timeout 5s;
			proxy_next_upstream error timeout http_502 http_503 http_504; proxy_next_upstream_tries 2;
		}
	}'''


class Nginx(Rival):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.library = os.path.join(self.folder, 'library')
        shutil.copytree(self.package, os.path.join(self.library, 'v', TITLE, self.revision), copy_function=os.link)
        with open(os.path.join(self.package, 'manifest.mpd')) as f:
            mpd = f.read()
        at = mpd.index('<Period')
        places = ''.join(f'<BaseURL serviceLocation="{n}">http://{n}.test:8080/v/{TITLE}/{self.revision}/</BaseURL>' for n in ('cache-0', 'cache-1'))
        with open(os.path.join(self.library, 'v', TITLE, 'manifest.mpd'), 'w') as f:
            f.write(mpd[:at] + places + mpd[at:])
        self.run('origin', ORIGIN)
        self.run('cache-0', CACHE)
        if self.full:
            tap.fill_disk(self.store)
        self.run('cache-1', CACHE)
        for name in ('cache-1',) if self.full else ('cache-0', 'cache-1'):
            self.warm(name)
        if not self.full:
            os.kill(self.processes['cache-0'].pid, signal.SIGQUIT)
            self.processes['cache-0'].p.wait(20)
            self.run('cache-0', CACHE, self.env)
        self.narrow()

    def run(self, name, places, env=None):
        path = os.path.join(self.folder, name + '.conf')
        with open(path, 'w') as f:
            f.write((CONF.replace('PLACES', places)).replace('FOLDER', self.folder).replace('NAME', name).replace('LIBRARY', self.library)
                    .replace('ADDRESS', self.hosts[name].address))
        self.processes[name] = p = self.hosts[name].process(tap.need('nginx'), '-c', path, env=env, log=os.path.join(self.folder, name + '.log'))

        def there():
            tap.check(p.alive(), f'nginx ended: {p.text()[-1000:]}')
            try:
                return self.get(name, '/nothing', timeout=5).status == 404
            except OSError:
                return False
        tap.until(there, 30, f'nginx as {name}')

    def warm(self, name):
        for path in [f'{self.revision}/{f}' for f in os.listdir(self.package) if f.endswith('.mp4')] + ['manifest.mpd']:
            r = self.get(name, f'/v/{TITLE}/{path}', timeout=120)
            tap.equal(r.status, 200, path)


class Prober(threading.Thread):
    """Asks both caches for ranges, a few a second; what comes, of cut bodies too, is right or wrong."""

    def __init__(self, system, seed):
        super().__init__(daemon=True)
        self.system, self.rng, self.done, self.right, self.wrong, self.none = system, random.Random(seed), False, 0, [], 0
        self.content = {}
        for name in os.listdir(system.package):
            if name.endswith('.mp4'):
                with open(os.path.join(system.package, name), 'rb') as f:
                    self.content[f'/v/{TITLE}/{system.revision}/{name}'] = f.read()
        self.start()

    def run(self):
        with self.system.hosts['prober'].inside():
            while not self.done:
                self.probe(self.rng.choice(list(self.content)), self.rng.choice(('cache-0', 'cache-1')))
                time.sleep(0.2)  # so that it is no load

    def probe(self, path, name):
        data = self.content[path]
        first = self.rng.randrange(len(data))
        last = min(len(data) - 1, first + self.rng.randrange(50_000))
        try:
            r = tap.http(self.system.address(name) + path, headers={'Range': f'bytes={first}-{last}'}, timeout=3)
        except http.client.IncompleteRead as e:
            self.wrong += [] if data[first:last + 1].startswith(e.partial) else [(name, path, first, 'cut')]
            self.none += 1
        except (OSError, http.client.HTTPException):
            self.none += 1
        else:
            if r.status == 206:
                self.wrong += [] if r.body == data[first:last + 1] else [(name, path, first, last)]
                self.right += r.body == data[first:last + 1]
            else:
                self.none += 1

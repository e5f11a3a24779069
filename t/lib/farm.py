# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole system on emulated lines: an origin, edges and viewers, each in a network namespace (line.py), and what can
befall it.  For t/e2e/network.py and t/bench/soak."""
import collections, hashlib, http.client, json, os, random, shutil, statistics, subprocess, sys, threading, time, urllib.parse
import film, line, plays, tap


def titles(n, seconds=12):
    """A library of n short films (of that many seconds); made once per build of ribera-ingest.  title -> (revision, folder)."""
    source = film.generated(seconds, '640x360', '25')
    found, folders = {}, []
    for i in range(n):
        library, revision, folder = film.library(source, f'film-{i:02}', '--max-rungs', '2', '--segment', '2s', '--ladder', 'fixed')
        folders.append(library)
        found[f'film-{i:02}'] = (revision, folder)
    return found, folders


LONG = 'long'  # the film of Watcher


class System:
    """long: so many seconds of a small film are a title more, LONG."""

    def __init__(self, n_titles=4, n_edges=4, seed=1, seconds=12, edge_options=(), origin_options=(), long=0):
        self.rng = random.Random(seed)
        self.titles, folders = titles(n_titles, seconds)
        self.short = list(self.titles)
        if long:
            library, revision, folder = film.library(film.generated(long, '128x72', '10'), LONG, '--max-rungs', '1', '--ladder', 'fixed')
            self.titles[LONG] = (revision, folder)
            folders.append(library)
        self.net = line.Net(seed)
        self.folder = tap.folder()
        self.library = os.path.join(self.folder, 'library')
        os.mkdir(self.library)
        put = os.link if os.stat(folders[0]).st_dev == os.stat(self.library).st_dev else shutil.copy2
        for folder in folders:
            for name in os.listdir(folder):
                if not name.startswith('.'):
                    shutil.copytree(os.path.join(folder, name), os.path.join(self.library, name), copy_function=put)
        self.token = 'token-' + os.urandom(8).hex()
        self.token_file = os.path.join(self.folder, 'token')
        with open(os.open(self.token_file, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.write(self.token)
        self.hosts = {'origin': self.net.host('origin', rate=20000, delay=20, jitter=3)}
        for i in range(n_edges):
            self.hosts[f'edge-{i}'] = self.net.host(f'edge-{i}', rate=20000, delay=5 + 45 * i / max(1, n_edges - 1), jitter=2, loss=0.2)
        self.edge_options, self.origin_options = list(edge_options), list(origin_options)
        self.processes = {}
        for name in self.hosts:
            self.start(name)

    def url(self, name):
        return f'http://{self.hosts[name].address}:8080'

    @property
    def edges(self):
        return [n for n in self.hosts if n.startswith('edge')]

    def start(self, name):
        host, options = self.hosts[name], ['--listen', f'{self.hosts[name].address}:8080', '--token-file', self.token_file]
        ports = os.path.join(self.folder, name + '.ports')
        if os.path.exists(ports):
            os.unlink(ports)
        if name == 'origin':
            argv = [tap.program('ribera-origin'), '--library', self.library, '--control', f'{host.address}:8081', *self.origin_options, *options]
        else:
            argv = [tap.program('ribera-edge'), '--name', name, '--origin', f'http://{self.hosts["origin"].address}:8081', '--store',
                    os.path.join(self.folder, name), '--heartbeat', '500ms', '--demand', '2s', '--reserve', '0', '--control', '127.0.0.1:8082', *self.edge_options, *options]
        self.processes[name] = host.process(*argv, '--ports-file', ports, log=os.path.join(self.folder, name + '.log'))
        tap.ports(ports, self.processes[name])

    def get(self, name, path, headers=None, timeout=10):
        """From beside that machine: not over its line."""
        with self.hosts[name].inside():
            return tap.http(self.url(name) + path, headers=headers, timeout=timeout)

    def api(self, path, method='GET'):
        with self.hosts['origin'].inside():
            return tap.http(f'http://{self.hosts["origin"].address}:8081/api/v1{path}', method, headers={'Authorization': 'Bearer ' + self.token})

    def metrics(self, name):
        with self.hosts[name].inside():
            return tap.http('http://127.0.0.1:8082/metrics').body.decode()

    def metric(self, name, metric):
        return tap.metric(self.metrics(name), metric) or 0

    def whole(self, name):
        """Titles of which the edge has every byte."""
        text = self.metrics(name)
        return [t for t, (r, _) in self.titles.items()
                if (tap.metric(text, f'ribera_edge_title_held_bytes{{title="{t}",revision="{r}"}}') or 0) ==
                (tap.metric(text, f'ribera_edge_title_bytes{{title="{t}",revision="{r}"}}') or -1)]

    def wait_filled(self, seconds=120):
        for name in self.edges:
            tap.until(lambda: len(self.whole(name)) == len(self.titles), seconds, f'the fill of {name}', every=0.3)

    def wrong_bytes(self):
        """Every held byte of every edge, read over HTTP beside it and compared with the library."""
        wrong = []
        for name in self.edges:
            for title, (revision, folder) in self.titles.items():
                for file in sorted(os.listdir(folder)):
                    r = self.get(name, f'/v/{title}/{revision}/{file}', timeout=30)
                    with open(os.path.join(folder, file), 'rb') as f:
                        if r.status != 200 or r.body != f.read():
                            wrong.append((name, title, file, r.status))
        return wrong

    def stop(self):
        codes = {name: p.stop() for name, p in self.processes.items() if p.alive()}
        self.net.end()
        return codes


class Stall:
    """began: by time.monotonic(); at: seconds into the film; report, log: all that the player said of that play, which began at `start`."""

    def __init__(self, viewer, title, start, stall, report, log):
        self.viewer, self.title, self.start, self.report, self.log = viewer, title, start, report, log
        self.began, self.seconds, self.at = start + stall['began_s'], stall['duration_ms'] / 1000, stall['at_s']

    def __repr__(self):
        return f'{self.viewer} {self.title}: {self.seconds:.2f} s at {self.at:.1f} s, {self.began - self.start:.2f} s after the player began'

    def story(self, names):
        """Every request of that play in order: when (s after it began), whose, from which place, how much was in hand then, and how long it took."""
        rows = [f'{x["asked_s"]:7.2f} {x["track"]} {x["index"]} {x["rendition"]} from {names.get(urllib.parse.urlsplit(x["base"]).hostname, x["base"])}: '
                f'{x["buffer_s"]:.2f} s in hand, first byte {x["first_byte_ms"]:.0f} ms, whole {x["total_ms"]:.0f} ms, {x["bytes"]} bytes, {x["retries"]} tries more'
                for x in sorted(self.report['segments'], key=lambda x: x['asked_s']) if x['asked_s'] < self.began - self.start + self.seconds + 1]
        return rows + [f'failover {f}' for f in self.report['failovers']] + [f'error {e}' for e in self.report['errors']]


class Reach:
    """Who could have been asked, and when: a third party on a line like a viewer's asks every place four times a second for a few bytes
    of a title, over a connection of its own each time.  A copy was reachable at a place from begin to end when each such
    question asked in that time, a second for its answer, was answered with the right bytes' status."""

    SECOND = 1.0

    def __init__(self, system):
        self.system, self.done, self.asked = system, False, {name: [] for name in system.hosts}  # name -> [(when, well)]
        self.host = system.net.host('witness', rate=20000, delay=5, jitter=1)
        self.threads = [threading.Thread(target=self.ask, args=(name, i), daemon=True) for i, name in enumerate(system.hosts)]
        for t in self.threads:
            t.start()

    def ask(self, name, seed):
        rng = random.Random(seed)
        paths = [f'/v/{title}/{revision}/manifest.mpd' for title, (revision, _) in self.system.titles.items()]
        with self.host.inside():
            while not self.done:
                began = time.monotonic()
                try:
                    well = tap.http(self.system.url(name) + rng.choice(paths), headers={'Range': 'bytes=0-63'}, timeout=self.SECOND).status == 206
                except (OSError, http.client.HTTPException):
                    well = False
                self.asked[name].append((began, well and time.monotonic() - began < self.SECOND))
                time.sleep(max(0, 0.25 - (time.monotonic() - began)))  # a rate, nothing is waited for

    def stop(self):
        self.done = True
        for t in self.threads:
            t.join(10)

    def places(self, begin, end):
        """The places that answered throughout."""
        during = {name: [well for at, well in rows if begin - 0.25 <= at <= end] for name, rows in self.asked.items()}
        return [name for name, rows in during.items() if rows and all(rows)]


class Lag:
    """How late this machine wakes a process that does nothing but sleep: a stall at such a moment says nothing of an edge."""

    PROGRAM = '''
import time
while True:
    before = time.monotonic()
    time.sleep(0.02)
    late = time.monotonic() - before - 0.02
    if late > 0.1:
        print(before, late, flush=True)
'''

    def __init__(self):
        self.p = subprocess.Popen([sys.executable, '-c', self.PROGRAM], stdout=subprocess.PIPE, text=True)
        self.moments = []  # (when, seconds late)

    def stop(self):
        self.p.terminate()
        self.moments = [tuple(map(float, row.split())) for row in self.p.communicate()[0].splitlines() if len(row.split()) == 2]

    def near(self, begin, end):
        """Seconds that processes waited for a processor in that time, and never less than 0."""
        return sum(late for when, late in self.moments if begin <= when <= end)


class Viewer(threading.Thread):
    """Plays one film after another with ribera-player, at its own line's end; remembers stalls and failures."""

    def __init__(self, system, number, seed):
        super().__init__(daemon=True)
        self.system, self.rng, self.done = system, random.Random(seed), False
        self.host = system.net.host(f'viewer-{number}', rate=20000, delay=5, jitter=1)
        self.plays, self.again, self.stalls, self.failed, self.started = 0, 0, [], [], time.monotonic()
        self.places = collections.Counter()  # of segments
        self.start()

    def run(self):
        while not self.done:
            self.play(self.rng.choice(self.system.short))

    def play(self, title):
        report, log = (os.path.join(self.system.folder, f'{self.host.name}.{kind}') for kind in ('json', 'log'))
        before = os.path.getsize(log) if os.path.exists(log) else 0  # of the plays before
        process = self.process = self.host.process(tap.program('ribera-player'), f'{self.entry()}/v/{title}/manifest.mpd', '--output', 'null',
                                                   '--report', report, '--log-level', 'debug', log=log)
        began = time.monotonic()
        process.p.wait()
        if process.p.returncode != 0 and '/manifest.mpd:' in process.text().splitlines()[-1]:
            self.again += 1  # the place it was sent to died before it had told of the others: asked for anew elsewhere
        elif process.p.returncode != 0:
            self.failed.append((round(time.monotonic() - self.started, 1), title, process.text()[-300:]))
        else:
            with open(report) as f:
                r = json.load(f)
            self.plays += 1
            self.places.update(urllib.parse.urlsplit(x['base']).hostname for x in r['segments'])
            with open(log, errors='replace') as f:
                f.seek(before)
                said = f.read()
            self.stalls += [Stall(self.host.name, title, began, s, r, said) for s in plays.stalls(r)]

    def entry(self):
        """A place that answers: what steering by DNS would give."""
        names = self.system.edges + ['origin']
        self.rng.shuffle(names)
        while not self.done:
            for name in names:
                try:
                    with self.host.inside():
                        if tap.http(self.system.url(name) + '/healthz', timeout=1).status == 200:
                            return self.system.url(name)
                except (OSError, http.client.HTTPException):
                    continue
            time.sleep(0.1)
        return self.system.url('origin')


class Watcher(Viewer):
    """Who watches one long film to its end."""

    def run(self):
        self.play(LONG)


class Prober(threading.Thread):
    """Asks edges for random ranges all the time; whatever comes, cut bodies too, must be right."""

    def __init__(self, system, seed):
        super().__init__(daemon=True)
        self.system, self.rng, self.done, self.right, self.wrong = system, random.Random(seed), False, 0, []
        self.host = system.net.host(f'prober-{seed}', rate=20000, delay=2)
        self.content = {}
        for title, (revision, folder) in system.titles.items():
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), 'rb') as f:
                    self.content[f'/v/{title}/{revision}/{name}'] = f.read()
        self.start()

    def run(self):
        with self.host.inside():
            while not self.done:
                path = self.rng.choice(list(self.content))
                data = self.content[path]
                first = self.rng.randrange(max(1, len(data)))
                last = min(len(data) - 1, first + self.rng.randrange(200_000))
                try:
                    r = tap.http(self.system.url(self.rng.choice(self.system.edges)) + path, headers={'Range': f'bytes={first}-{last}'},
                                 timeout=5)
                except http.client.IncompleteRead as e:
                    if not data[first:last + 1].startswith(e.partial):
                        self.wrong.append((path, first, 'cut'))
                    continue
                except (OSError, http.client.HTTPException):
                    continue
                if r.status == 206 and r.body != data[first:last + 1]:
                    self.wrong.append((path, first, last))
                elif r.status == 206:
                    self.right += 1
                elif r.status not in (302, 502, 503, 504, 429):
                    self.wrong.append((path, r.status))


class Chaos:
    """One blow after another.  At most one edge at a time is out, and now and then the origin as well: copies stay in reach.
    The programs of `steady` are never ended; their lines are struck like others'."""

    def __init__(self, system, seed, steady=()):
        self.system, self.rng, self.blows, self.times, self.steady = system, random.Random(seed), [], [], steady

    def blow(self):
        name = self.rng.choice(self.system.edges + ['origin'])
        kind = self.rng.choice(['cut', 'slow', 'lossy'] if name in self.steady else ['kill', 'cut', 'slow', 'lossy', 'stop'])
        seconds = round(self.rng.uniform(0.2, 6), 1)
        host, process = self.system.hosts[name], self.system.processes[name]
        self.blows.append((kind, name, seconds))
        self.times.append(time.monotonic())
        if kind == 'kill':
            process.kill()
        elif kind == 'stop':
            process.stop(30)
        elif kind == 'cut':
            host.cut()
        elif kind == 'slow':
            host.set(rate=300)
        else:
            host.set(loss=15)
        time.sleep(seconds)  # the blow's length is random input, nothing is waited for
        if kind in ('kill', 'stop'):
            self.system.start(name)
        elif kind == 'cut':
            host.mend()
        else:
            host.set(rate=20000, loss=0 if name == 'origin' else 0.2)

    def near(self, begin, end):
        """Blows in force or over for less than two seconds in that time, each with when it came."""
        return [(b, at) for b, at in zip(self.blows, self.times) if at <= end and at + b[2] + 2 >= begin]


class Use:
    """What a process holds: memory of its own and all that is resident (MB; files that it has mapped and others share are only
    in the latter), descriptors, threads."""

    def __init__(self, pid):
        with open(f'/proc/{pid}/status') as f:
            status = dict(row.split(':', 1) for row in f)
        self.own, self.resident = (int(status[k].split()[0]) / 1024 for k in ('RssAnon', 'VmRSS'))
        self.descriptors, self.threads = len(os.listdir(f'/proc/{pid}/fd')), int(status['Threads'])


class Holdings:
    """What a program holds that is to live throughout: the medians of the last third of all looks are compared with those of the first."""

    WHAT = {'own': ('own memory, MB', 1.15, 4), 'resident': ('resident, MB', None, None), 'descriptors': ('descriptors', 1.1, 8),
            'threads': ('threads', 1, 1)}  # flat: no more than so many times as much and so much more
    ENOUGH = 9  # looks

    def __init__(self, name, process):
        self.name, self.process, self.uses = name, process, []

    def look(self):
        if self.process.alive():
            self.uses.append(Use(self.process.pid))

    def thirds(self, what):
        values, n = [getattr(u, what) for u in self.uses], len(self.uses) // 3
        return statistics.median(values[:n]), statistics.median(values[-n:])

    def grown(self):
        """What has grown, in words; too little was seen: that."""
        if len(self.uses) < self.ENOUGH:
            return [f'{self.name}: looked at {len(self.uses)} times, not {self.ENOUGH}']
        rows = [(*self.WHAT[what], *self.thirds(what)) for what in self.WHAT]
        return [f'{self.name}: {text} from {first:.1f} to {last:.1f}' for text, times, more, first, last in rows
                if times is not None and last > first * times + more]

    def row(self):
        return f'| {self.name} | ' + ' | '.join('{:.{d}f}, {:.{d}f}'.format(*self.thirds(what), d=1 if what in ('own', 'resident') else 0) for what in self.WHAT) + ' |'

    @classmethod
    def table(cls, all_of):
        return ['| program, first and last third | ' + ' | '.join(text for text, *_ in cls.WHAT.values()) + ' |', '|---|---|---|---|---|',
                *(h.row() for h in all_of if len(h.uses) >= cls.ENOUGH)]

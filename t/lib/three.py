# SPDX-License-Identifier: GPL-3.0-or-later
"""dash.js, Shaka Player and ribera-player in network namespaces, and three edges near and far: what they did, read off
each one's own statistics.  For t/e2e/players.py and t/e2e/players_kill.py."""
import json, os, re, signal, time
import farm, tap

TTL, SLOW_START = 2, 4  # seconds


class Browser:
    """One with dash.js or Shaka Player, as t/lib/watch.mjs tells of them."""

    def __init__(self, system, url, name):
        self.system = system
        host = system.net.host('browser-' + name[:4], rate=50000, delay=2)
        self.process = host.process(tap.need('node', 'nodejs'), os.path.join(tap.SOURCE, 't/lib/watch.mjs'), url, name)

    def look(self):
        rows = [r for r in self.process.text().splitlines(True) if r.startswith('{') and r.endswith('\n')]
        tap.check(self.process.alive(), f'the browser ended: {self.process.text()[-2000:]}')
        return json.loads(rows[-1]) if rows else None

    def places(self, name):
        """Who sent it media, in order."""
        row = self.look()
        return [self.system.name_of(host) for _, host in row[name]['media']] if row else []

    def words(self, name):
        row = self.look() or {name: {}}
        return [f'{k}={v}' for k, v in row[name].items() if k != 'media']

    def other_rendition(self):
        """Shaka Player goes over to another one: asks for its index first."""
        os.kill(self.process.pid, signal.SIGUSR2)

    def time(self, name):
        row = self.look()
        return row[name]['time'] if row else 0


class Native:
    """ribera-player: where it asks while it plays is seen in its log, all else in its report."""

    def __init__(self, system, url):
        self.system, self.report = system, os.path.join(system.folder, 'player.json')
        host = system.net.host('player', rate=50000, delay=2)
        self.process = host.process(tap.program('ribera-player'), url, '--output', 'null', '--buffer', '6s', '--report', self.report,
                                    '--log-level', 'debug')

    def places(self, name):
        tap.check(self.process.alive(), f'it ended: {self.process.text()[-2000:]}')
        return [self.system.name_of(host) for host in re.findall(r'\bask url="?http://([^/]+)/', self.process.text())]

    def words(self, name):
        return self.process.text().splitlines()[-3:]

    def end(self):
        self.process.stop()
        with open(self.report) as f:
            return json.load(f)


class System(farm.System):
    def name_of(self, host):
        return next(n for n, h in self.hosts.items() if host == f'{h.address}:8080')


def started(film):
    """A film of that many seconds; edge 0 is near everybody, edge 1 farther, edge 2 far: by the operator's table, as by their lines."""
    networks = os.path.join(tap.folder(), 'networks')
    with open(networks, 'w') as f:
        f.write(''.join(f'10.99.0.0/16 edge-{i} {(5, 25, 50)[i]}\n' for i in range(3)))
    s = System(n_titles=1, n_edges=3, seed=5, seconds=film, origin_options=(
        '--networks', networks, '--steering-ttl', f'{TTL}s', '--steering-slow-start', f'{SLOW_START}s', '--heartbeat', '2s', '--probe', '5s'))
    s.wait_filled(300)
    tap.until(lambda: s.get('origin', '/v/film-00/manifest.mpd').body.count(b'serviceLocation=') == 4, 30, lambda: why(s))
    return s


def why(s):
    """How the origin would have it, for a failure's text."""
    if not s.processes['origin'].alive():
        return 'the origin is gone'
    return str([(e['name'], e['place'], e['why']) for e in s.api('/steering?ip=10.99.5.2&title=film-00').json()['edges']])


def all_at(s, players, wanted, seconds, what):
    """Waits until the next media of every player comes from there."""
    seen = {name: len(p.places(name)) for name, p in players.items()}
    def there():
        now = {name: p.places(name) for name, p in players.items()}
        return all(len(now[n]) > seen[n] + 2 and wanted(now[n][-1]) for n in now)
    tap.until(there, seconds, lambda: f'{what}: {({n: p.places(n)[seen[n]:] + p.words(n) for n, p in players.items()})}; {why(s)}')


def all_three(s):
    """They play: name -> Browser or Native."""
    url, players = s.url('origin') + '/v/film-00/manifest.mpd', {}
    for name in 'dash.js', 'shaka':
        players[name] = Browser(s, url, name)
    players['ribera-player'] = Native(s, url)
    for name in 'dash.js', 'shaka':
        tap.until(lambda: players[name].time(name) > 2, 150, lambda: f'{name} plays: {players[name].process.text()[-1000:]}')
    return players


def nothing_was_seen(s, players):
    """No stall, and no error but those that tell of somebody who is dead."""
    for name in 'dash.js', 'shaka':
        row = players[name].look()[name]
        dead = [s.hosts[n].address for n, p in s.processes.items() if n == 'edge-0' or not p.alive()]  # dash.js tells of each request that failed
        left = [e for e in row['errors'] if name == 'shaka' or not any(d in e for d in dead)]
        tap.equal((row['stalls'], left), (0, []), f'{name}: stalls and errors')
        tap.check(row['asked'] > 3, f'{name} asked the steering server {row["asked"]} times')
    r = players['ribera-player'].end()
    tap.equal(r['stalls'], [], 'ribera-player: stalls')
    tap.check(r['steering']['answers'] > 3, f'ribera-player: {r["steering"]}')
    for name in 'dash.js', 'shaka':
        players[name].process.stop()
    return r

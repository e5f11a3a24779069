#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edge killed at random instants while it fills and pulls: it resumes, and never serves a wrong byte."""
import os, random, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, tap

library, revision, package = film.library(None, 'film')
CONTENT = {n: c for n, c in film.files(package).items() if not n.endswith(('.torrent', '.leaves'))}
TOTAL = sum(len(c) for c in CONTENT.values())


class Viewers:
    """Threads that ask an edge for random ranges; whatever comes must be right, cut bodies included."""

    def __init__(self, base, n=3):
        self.base, self.wrong, self.right, self.end = base, [], 0, False
        self.threads = [threading.Thread(target=self.watch, args=(i,), daemon=True) for i in range(n)]
        for t in self.threads:
            t.start()

    def watch(self, seed):
        rng = random.Random(seed)
        while not self.end:
            name = rng.choice(list(CONTENT))
            content = CONTENT[name]
            first = rng.randrange(max(1, len(content)))
            last = min(len(content) - 1, first + rng.randrange(1 << 20))
            try:
                r = tap.http(f'{self.base}/v/film/{revision}/{name}', headers={'Range': f'bytes={first}-{last}'}, timeout=5)
            except Exception as e:
                got = getattr(e, 'partial', b'')  # IncompleteRead: what came before the cut
                if not content[first:last + 1].startswith(got):
                    self.wrong.append((name, first, last, 'cut'))
                continue
            if r.status == 206:
                if r.body != content[first:last + 1]:
                    self.wrong.append((name, first, last, len(r.body)))
                self.right += 1
            elif r.status == 302:  # a title it knows but has no digest of yet: the origin has it
                if not r.headers['Location'].endswith(f'/v/film/{revision}/{name}'):
                    self.wrong.append((name, r.headers['Location']))
            elif r.status not in (404, 502, 503, 504):
                self.wrong.append((name, r.status))

    def stop(self):
        self.end = True
        for t in self.threads:
            t.join(20)


@tap.test
def killed_ten_times_while_filling():
    rng = random.Random(7)
    # slow enough that the kills fall into the fill
    system = film.System(library, edges=0, edge_options=['--rate', str(max(200000, TOTAL // 8))])
    system.start_edge('edge-a')
    viewers = Viewers(system.edge_urls['edge-a'])
    for _ in range(10):
        tap.until(lambda: system.edges['edge-a'].alive(), 5)
        pause = threading.Event()
        pause.wait(rng.uniform(0.05, 0.6))  # the random instant is the point
        system.edges['edge-a'].kill()
        system.start_edge('edge-a')
    system.wait_filled('film', revision, seconds=120)
    tap.until(lambda: viewers.right > 20, 30, 'right answers')
    viewers.stop()
    tap.equal(viewers.wrong, [], 'wrong bytes')
    for name, content in CONTENT.items():
        tap.equal(film.sha256(tap.http(f'{system.edge_urls["edge-a"]}/v/film/{revision}/{name}').body), film.sha256(content), name)
    system.stop()


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-edge killed at random instants of a fill: it resumes from its journal and never serves a wrong byte."""
import os, random, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import tap
from lab import Edge, Lab, Package, PIECE

KILLS = int(os.environ.get('RIBERA_KILLS', 10))


class Viewer(threading.Thread):
    """Asks for random ranges all the time; whatever comes whole must be right."""

    def __init__(self, edge, package):
        super().__init__(daemon=True)
        self.edge, self.package, self.wrong, self.right, self.done = edge, package, 0, 0, False
        self.start()

    def run(self):
        rng, data = random.Random(7), self.package.files['video.mp4']
        while not self.done:
            first = rng.randrange(len(data))
            last = min(len(data) - 1, first + rng.randrange(300_000))
            try:
                r = self.edge.file(self.package, 'video.mp4', {'Range': f'bytes={first}-{last}'}, timeout=5)
            except Exception:
                continue  # killed under us
            if r.status == 206:
                if r.body == data[first:last + 1]:
                    self.right += 1
                else:
                    self.wrong += 1


def kill_while_it_fills(edge, origin, p, kills, rng):
    """Bytes that were fetched again."""
    viewer, sent = Viewer(edge, p), origin.sent
    for _ in range(kills):
        time.sleep(rng.uniform(0.05, 0.6))  # the instant of the kill is the random input of this test
        edge.process.kill()
        edge.start()
    edge.wait_filled(p, 120)
    edge.check_all(p)
    viewer.done = True
    viewer.join(10)
    tap.equal(viewer.wrong, 0, 'wrong answers')
    tap.check(viewer.right > 0, 'the viewer got nothing')
    return origin.sent - sent - p.size


@tap.test
def killed_ten_times_it_resumes_and_no_byte_is_wrong():
    rng = random.Random(os.environ.get('RIBERA_SEED', '11'))
    for round_ in range((KILLS + 9) // 10):  # a new film for each ten kills, so that all of them fall into a fill
        p = Package(f'film{round_}', 24 * PIECE + 4321)
        origin = Lab(p)
        origin.rate = 2_500_000  # a piece is under way for a while, so kills hit it
        edge = Edge(origin, '--rate', '6MB', '--parallel', '3')
        # A kill costs at most what was on its way or not yet journalled: three pieces of the fill and the viewer's.
        extra = kill_while_it_fills(edge, origin, p, min(10, KILLS), rng)
        print(f'# fetched again: {extra} bytes of {p.size} in {min(10, KILLS)} kills')
        tap.check(extra < 11 * 8 * PIECE, f'{extra} bytes fetched again')
        edge.process.stop()


@tap.test
def killed_while_it_takes_a_title_out_it_serves_nothing_else_under_its_name():
    rng = random.Random(os.environ.get('RIBERA_SEED', '12'))
    packages = [Package(f'film{i}', 3 * PIECE) for i in range(3)]
    origin = Lab(*packages)
    origin.rows[:] = [packages[0].row()]
    edge = Edge(origin, '--capacity', '6MiB')
    for round_ in range(6):
        p = packages[round_ % 3]
        with origin.lock:
            origin.rows[:] = [p.row()]
        time.sleep(rng.uniform(0.0, 0.5))
        edge.process.kill()
        edge.start()
        edge.wait_filled(p)
        edge.check_all(p)


tap.run()

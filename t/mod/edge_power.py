#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power fails at every write of an edge's life: what it had told anybody it holds is there, and nothing it would
serve is wrong.

One edge fills, pulls, evicts and takes a package out while its disk's changes are written down (t/lib/disk.c).  Every prefix of
the diary is a moment the power can fail at; what the disk may hold then is opened by the real store, which hashes all
it would serve.  RIBERA_CUTS=all looks at all three kinds of loss at each moment, else at one in turn."""
import atexit, os, shutil, subprocess, sys, tempfile
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import disk, tap
from lab import Edge, Lab, Package, PIECE

KINDS = ('lost', 'torn', 'kept')


def live(folder):
    """The diary of an edge's day, with marks of what was acknowledged and given up."""
    first, second, pulled, other = (Package('first', PIECE + 70_000), Package('second', 90_000), Package('pulled', PIECE + 9_000),
                                    Package('other', PIECE + 30_000))
    origin = Lab(first, pulled, other)
    for row in origin.rows[1:]:
        row['hold'] = False
    diary = os.path.join(folder, 'diary')
    edge = Edge(origin, '--capacity', '4MiB', '--pull-share', '45', '--demand', '300ms', start=False)
    edge.env = disk.environment(edge.store, diary)
    edge.start()

    def filled(p):
        edge.wait_filled(p)
        disk.mark(diary, f'ack {p.key} {p.size}')
    filled(first)
    for p in (pulled, other, pulled):  # the share has room for one of them
        edge.wait_prepared(p)
        tap.check(edge.file(p, 'video.mp4').body == p.files['video.mp4'], 'wrong bytes')
    with origin.lock:
        origin.packages[second.key] = second
        origin.rows.append(second.row())
    filled(second)
    disk.mark(diary, f'gone {first.key} 0')
    with origin.lock:
        origin.rows[:] = [r for r in origin.rows if r['title'] != 'first']
        more = Package('more', 2 * PIECE)
        origin.packages[more.key] = more
        origin.rows.append(more.row())
    filled(more)
    tap.check(edge.metric('ribera_edge_evicted_files_total') >= 1, 'nothing was evicted')
    tap.equal(edge.process.stop(), 0)
    return diary, edge, origin


class Checker:
    def __init__(self):
        self.p = subprocess.Popen([os.path.join(tap.BUILD, 't', 'lib', 'store-check')], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

    def check(self, folder):
        self.p.stdin.write(folder + '\n')
        self.p.stdin.flush()
        answer = self.p.stdout.readline().split()
        tap.check(answer, f'the store ended with {self.p.poll()}')
        tap.equal(answer[0], 'ok', ' '.join(answer))
        return {key: int(held.split('/')[0]) for key, held in (a.rsplit('=', 1) for a in answer[1:])}

    def stop(self):
        self.p.stdin.close()
        tap.equal(self.p.wait(20), 0, 'exit code of the checker')
        self.p.stdout.close()


@tap.test
def the_power_fails_at_every_write():
    base = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    folder = tap.folder()
    diary, edge, origin = live(folder)
    events = disk.read_diary(diary)
    target = os.path.join(tempfile.mkdtemp(prefix='ribera-test-', dir=base), 'left')
    atexit.register(shutil.rmtree, os.path.dirname(target), ignore_errors=True)
    model, checker, promised, looked = disk.Disk(edge.store), Checker(), {}, 0
    every = os.environ.get('RIBERA_CUTS') == 'all'
    for i, event in enumerate(events):
        if event.op == 'mark':
            what, key, size = event.path.split()
            promised.pop(key, None) if what == 'gone' else promised.update({key: int(size)})
            continue
        model.take(event)
        for keep in KINDS if every else (KINDS[i % 3],):
            model.write(target, keep, seed=i)
            looked += 1
            try:
                held = checker.check(target)
                for key, size in promised.items():
                    tap.check(held.get(key) == size, f'{key} was acknowledged with {size} bytes and has {held.get(key)}')
            except AssertionError as e:
                raise AssertionError(f'after {i} ({event}), unsynced {keep}: {e}') from None
    checker.stop()
    print(f'# {looked} disks after {len(events)} events')
    tap.check(len(promised) == 2 and looked > 200, f'{promised}, {looked} disks')
    # the last one is served by the whole edge
    edge.store, edge.env = target, {}
    edge.start()
    for p in origin.packages.values():
        if p.key in promised:
            edge.check_all(p)
    edge.process.stop()


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What t/bench/soak says of a program that grows, and of one that does not."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import farm, tap

PROGRAM = '''
import sys, threading
kept = []
for order in sys.stdin:
    if order == 'memory\\n':
        kept.append(bytearray(b'x' * (3 << 20)))
    elif order == 'descriptors\\n':
        kept.append([open('/dev/null') for _ in range(4)])
    elif order == 'threads\\n':
        kept.append(threading.Thread(target=threading.Event().wait, daemon=True))
        kept[-1].start()
    print('done', flush=True)
'''


class Child:
    def __init__(self):
        self.p = subprocess.Popen([sys.executable, '-c', PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.p.pid

    def alive(self):
        return self.p.poll() is None

    def do(self, order):
        self.p.stdin.write(order + '\n')
        self.p.stdin.flush()
        tap.equal(self.p.stdout.readline(), 'done\n')


def looked_at(order, looks=12):
    child = Child()
    held = farm.Holdings('it', child)
    for _ in range(looks):
        child.do(order)
        held.look()
    child.p.stdin.close()
    child.p.wait()
    held.look()  # at nothing
    tap.equal(len(held.uses), looks)
    return held


@tap.test
def who_does_not_grow_is_flat():
    held = looked_at('nothing')
    tap.equal(held.grown(), [])
    tap.check(held.uses[0].own > 1 and held.uses[0].descriptors >= 3 and held.uses[0].threads == 1, vars(held.uses[0]))
    tap.has(farm.Holdings.table([held])[2], '| it | ')


@tap.test
def memory_descriptors_and_threads_that_are_never_given_back_are_told():
    for order, word in (('memory', 'own memory'), ('descriptors', 'descriptors'), ('threads', 'threads')):
        found = looked_at(order).grown()
        tap.check(len(found) == 1 and found[0].startswith(f'it: {word}'), f'{order}: {found}')


@tap.test
def too_few_looks_prove_nothing():
    tap.check(looked_at('nothing', 5).grown(), 'taken for flat')


tap.run()

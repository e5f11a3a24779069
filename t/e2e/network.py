#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An origin and four edges in network namespaces on emulated lines (20 Mbit/s, 10 to 100 ms, loss): all is filled, then
things are killed and cut; no byte is wrong, nobody who could reach a copy stalls.  t/bench/soak does it for longer."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import farm, tap


@tap.test
def filled_over_slow_lines_then_killed_and_cut():
    system = farm.System(n_titles=2, n_edges=4, seed=3)
    system.wait_filled()
    sent = system.hosts['origin'].stats()['ab']['bytes']
    size = sum(os.path.getsize(os.path.join(folder, f)) for _, folder in system.titles.values() for f in os.listdir(folder))
    print(f'# the origin sent {sent / size:.2f} times the library to {len(system.edges)} edges')
    viewer, prober, chaos = farm.Viewer(system, 0, 5), farm.Prober(system, 6), farm.Chaos(system, 7)
    for _ in range(3):
        chaos.blow()
    prober.done = viewer.done = True
    prober.join(20)
    viewer.join(60)
    system.wait_filled()
    print(f'# {chaos.blows}, {viewer.plays} plays, {prober.right} right answers')
    tap.equal(system.wrong_bytes(), [], 'held bytes')
    tap.equal(prober.wrong, [], 'served bytes')
    tap.check(prober.right > 0 and viewer.plays > 0, 'nobody got anything')
    tap.equal(viewer.failed, [], 'failed plays')
    tap.equal(viewer.stalls, [], 'stalls')
    tap.equal(set(system.stop().values()), {0}, 'exit codes')


tap.run()

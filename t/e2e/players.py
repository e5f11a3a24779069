#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""dash.js, Shaka Player (as doc/shaka.js has it) and ribera-player in network namespaces, three edges near and far: the nearest
is chosen, killed, comes back, is drained, the control plane is gone, and then another edge is killed while Shaka Player goes over
to another rendition.  What each did is read off its own statistics.  t/e2e/players_kill.py is the beginning of this alone."""
import os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap, three
from three import SLOW_START, TTL, all_at


@tap.test
def three_players_near_an_edge_that_dies_comes_back_and_is_drained():
    s = three.started(240)
    players = three.all_three(s)
    all_at(s, players, lambda at: at == 'edge-0', 20, 'the nearest')
    for name, p in players.items():
        tap.equal(set(p.places(name)), {'edge-0'}, f'{name} at the nearest alone')

    s.processes['edge-0'].kill()
    all_at(s, players, lambda at: at == 'edge-1', 30, 'the next one when it is killed')
    s.start('edge-0')
    all_at(s, players, lambda at: at == 'edge-0', SLOW_START + 30, 'the nearest again when it is back')

    tap.equal(s.api('/edges/edge-0/drain', 'PUT').status, 204)
    drained = time.monotonic()
    all_at(s, players, lambda at: at != 'edge-0', 2 * TTL + 10, 'others when it is drained')
    print(f'# all had left the drained edge after {time.monotonic() - drained:.1f} s')

    s.processes['origin'].kill()
    # an edge that nobody tells otherwise serves again whoever still asks it, drained or not
    all_at(s, players, lambda at: at != 'origin', 30, 'they play on without the origin')
    s.processes['edge-1'].kill()
    players['shaka'].other_rendition()  # so that the first thing it asks of the dead edge is an index
    all_at(s, players, lambda at: at in ('edge-0', 'edge-2'), 30, 'another one dies, and nobody is there to tell')
    r = three.nothing_was_seen(s, players)
    places = iter(x['service_location'] for x in sorted(r['segments'], key=lambda x: x['asked_s']))
    for wanted in 'edge-0', 'edge-1', 'edge-0', 'edge-1':
        tap.check(wanted in places, f'{wanted} is missing in what ribera-player says of its segments, or not in that order')
    s.stop()


tap.run()

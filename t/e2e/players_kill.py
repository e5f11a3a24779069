#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""dash.js, Shaka Player and ribera-player in network namespaces: the nearest of three edges is chosen and killed, the next one
takes over, and nobody sees it.  Each one's own statistics say so.  t/e2e/players.py goes on from there."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap, three


@tap.test
def three_players_do_not_notice_that_their_edge_is_killed():
    s = three.started(90)
    players = three.all_three(s)
    three.all_at(s, players, lambda at: at == 'edge-0', 20, 'the nearest')
    for name, p in players.items():
        tap.equal(set(p.places(name)), {'edge-0'}, f'{name} at the nearest alone')
    s.processes['edge-0'].kill()
    three.all_at(s, players, lambda at: at == 'edge-1', 30, 'the next one when it is killed')
    three.nothing_was_seen(s, players)
    s.stop()


tap.run()

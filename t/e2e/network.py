#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An origin and four edges in network namespaces on emulated lines (20 Mbit/s, 10 to 100 ms, loss): all is filled, then
things are killed and cut; no byte is wrong, nobody who could reach a copy stalls, and round trips teach steering who is near.  t/bench/soak does it for longer."""
import json, os, re, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import farm, tap


@tap.test
def filled_over_slow_lines_then_killed_and_cut():
    system = farm.System(n_titles=2, n_edges=4, seed=3, seconds=8, origin_options=('--steering-slow-start', '0s'))
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
    learnt(system)
    tap.equal(set(system.stop().values()), {0}, 'exit codes')


def learnt(system):
    """Of a new viewer's network nobody knows anything: by the round trips that edges measure it comes to the nearest."""
    host, title = system.net.host('newcomer', rate=20000, delay=2), 'film-00'
    revision, folder = system.titles[title]
    visited = []
    explained = lambda: {e['name']: e for e in system.api(f'/steering?ip={host.address}&title={title}').json()['edges']}
    for _ in range(8):
        with host.inside():
            mpd = tap.http(system.url('origin') + f'/v/{title}/manifest.mpd').body.decode()
            name, url = re.search('<BaseURL serviceLocation="([^"]+)">(http://[^/]+)', mpd).groups()
            visited.append(name)
            for i in range(4):
                tap.http(f'{url}/v/{title}/{revision}/package.leaves', headers={'Range': f'bytes={i}-{i + 99}'})
        tap.until(lambda: explained()[name]['round_trip_ms'], 20, f'what {name} measured')
        if visited[-2:] == ['edge-0'] * 2:
            break
    trips = {n: e['round_trip_ms'] for n, e in explained().items()}
    print(f'# the newcomer was sent to {visited}; round trips {trips}')
    tap.equal(visited[-1], 'edge-0', f'where it is sent at last; {trips}')
    tap.check(14 <= trips['edge-0'] < 45, f'the round trip to edge-0: {trips}')
    report = os.path.join(tap.folder(), 'report.json')
    player = host.process(tap.program('ribera-player'), system.url('origin') + f'/v/{title}/manifest.mpd', '--output', 'null', '--speed', '4', '--report', report)
    tap.equal(player.p.wait(60), 0, player.text()[-500:])
    with open(report) as f:
        told = json.load(f)
    if told['failovers']: # a lost packet of the handshake costs a second, and another place may answer before
        tap.equal(told['failovers'][0]['from'], 'edge-0', f'where a player asks first; {told["failovers"]}')
    else:
        tap.equal({x['service_location'] for x in told['segments']}, {'edge-0'}, 'where a player has its segments from')


tap.run()

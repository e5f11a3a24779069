#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edge whose clock is wrong when it starts, jumps by days, or whose zone gets new rules."""
import os, shutil, signal, sys, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import clock, tap
from lab import Edge, Lab, Package, PIECE

DAY = 86400


def edge_at(origin, shift, *options):
    edge = Edge(origin, *options, start=False)
    edge.clock = clock.Clock(edge.folder, shift)
    edge.env = edge.clock.env
    return edge.start()


def around(hours=0):
    """A window of two hours about now, or that many hours from it."""
    return '--window-start', time.strftime('%H:%M', time.gmtime(time.time() + hours * 3600 - 3600)), '--window-duration', '2h'


@tap.test
def a_clock_that_is_wrong_at_boot_neither_opens_nor_closes_the_window():
    p = Package('film', 2 * PIECE)
    edge = edge_at(Lab(p), -20000 * DAY - 12 * 3600, *around())  # 1970 and some, as a board without a battery
    edge.wait_filled(p)
    tap.equal(edge.metric('ribera_edge_window_open'), 1)
    edge.process.stop()
    q = Package('other', 2 * PIECE)
    edge = edge_at(Lab(q), 12 * 3600, *around(12))
    edge.wait_prepared(q)
    tap.equal(edge.metric('ribera_edge_window_open'), 0)
    tap.equal(edge.metric('ribera_edge_pieces_total{by="fill"}'), 0)


@tap.test
def a_clock_that_jumps_under_way_changes_nothing_for_the_fill():
    p = Package('film', 6 * PIECE)
    origin = Lab(p)
    edge = edge_at(origin, 0, *around(), '--rate', '2MB')
    start, jumps = time.monotonic(), 0
    while not edge.holds(p):
        edge.clock.set((DAY, -DAY, 3 * 3600, -3 * 3600)[jumps % 4])
        jumps += 1
        tap.check(time.monotonic() - start < 60, 'the fill has stopped')
        seen = edge.metric('ribera_edge_fetched_bytes_total{by="fill"}')
        tap.until(lambda: edge.holds(p) or edge.metric('ribera_edge_fetched_bytes_total{by="fill"}') > seen, 20, 'more of the fill')
    took, want = time.monotonic() - start, (p.size - PIECE) / 2e6
    tap.check(took > want * 0.95, f'took {took:.2f} s, at the rate it is {want:.2f} s')
    tap.check(jumps > 3, f'{jumps} jumps')
    edge.check_all(p)


@tap.test
def demand_belongs_to_the_hour_it_was_asked_in_whatever_the_clock_shows():
    p = Package('film', PIECE)
    origin = Lab(p)
    edge = edge_at(origin, -DAY, '--demand', '200ms')
    edge.wait_filled(p)
    asked = 0
    for shift in (-DAY, DAY, -20000 * DAY, 0, 1800):
        edge.clock.set(shift)
        for _ in range(3):
            tap.equal(edge.file(p, 'audio.mp4').status, 200)
            asked += 1
        counted = lambda: sum(f['requests'] for b in origin.demand for h in b['hours'] for f in h['files'] if f['file'] == 'audio.mp4')
        tap.until(lambda: counted() == asked, 20, f'{asked} requests told')
    hours = {h['hour'] for b in origin.demand for h in b['hours']}
    tap.check(all(abs(h - time.time()) < 2 * 3600 for h in hours), f'hours {hours}')


@tap.test
def what_failed_is_forgotten_by_the_monotonic_clock():
    p = Package('film', PIECE)
    origin = Lab(p, hold=False)
    edge = edge_at(origin, 0, '--window-duration', '0s')
    edge.wait_prepared(p)
    origin.behaviour = lambda title, name, first: {'status': 503}
    tap.equal(edge.file(p, 'video.mp4').status, 502)
    origin.behaviour = None
    edge.clock.set(-DAY)  # a memory kept by the time of day would last until tomorrow
    tap.until(lambda: edge.file(p, 'video.mp4').status == 200, 20, 'the file')


@tap.test
def new_rules_of_the_zone_and_another_window_count_without_a_restart():
    zones, hour = '/usr/share/zoneinfo/Etc', time.gmtime().tm_hour
    tap.check(os.path.exists(f'{zones}/GMT-3'), 'no time zones here: ./check installs them, or apt-get install tzdata')
    folder = tap.folder()
    shutil.copy(f'{zones}/UTC', os.path.join(folder, 'Here'))
    p = Package('film', PIECE)
    start = time.strftime('%H:%M', time.gmtime(time.time() + 2 * 3600))
    settings = os.path.join(folder, 'edge.yaml')

    def write(window):
        with open(settings, 'w') as f:
            f.write(f'window: {{zone: Here, start: "{window}", duration: 2h}}\n')
    write(start)
    edge = Edge(Lab(p), '--config', settings, start=False)
    edge.env = {'TZDIR': folder}
    edge.start()
    edge.wait_prepared(p)
    tap.equal(edge.metric('ribera_edge_window_open'), 0)
    shutil.copy(f'{zones}/GMT-3', os.path.join(folder, 'new'))
    os.rename(os.path.join(folder, 'new'), os.path.join(folder, 'Here'))  # three hours ahead from today on
    edge.wait_filled(p)
    tap.has(edge.process.text(), 'the time zone has new rules zone=Here')
    write('%02d:00' % ((hour + 12) % 24))
    edge.process.p.send_signal(signal.SIGHUP)
    tap.until(lambda: edge.metric('ribera_edge_window_open') == 0, 20, 'the window of the reload')
    with open(os.path.join(folder, 'bad'), 'w') as f:
        f.write('no zone')
    os.rename(os.path.join(folder, 'bad'), os.path.join(folder, 'Here'))
    tap.until(lambda: 'new rules of the time zone are not used' in edge.process.text(), 20, 'the bad file')
    tap.equal(edge.process.stop(), 0)


tap.run()

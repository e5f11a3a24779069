#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager hears from origin and edge (sd_notify): ready, status, watchdog, stopping."""
import os, signal, socket, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import tap
from lab import Edge, Lab, Package
from origins import Origin


class Manager:
    """The socket, and all that came through it."""

    def __init__(self):
        path = os.path.join(tap.folder(), 'notify')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.heard = []
        os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC='4000000')
        os.environ.pop('WATCHDOG_PID', None)

    def started(self):
        del os.environ['NOTIFY_SOCKET'], os.environ['WATCHDOG_USEC']

    def hear(self, start):
        def one():
            try:
                while True:
                    self.heard += self.socket.recv(4096).decode().split('\n')
            except BlockingIOError:
                return any(line.startswith(start) for line in self.heard)
        tap.until(one, 20, f'{start}: heard {self.heard}')

    def forget(self):
        self.heard.clear()


def follow(start, first_status, grace):
    m = Manager()
    try:
        process = start()
    finally:
        m.started()
    m.hear('READY=1')
    m.hear(first_status)
    m.hear('WATCHDOG=1')
    m.forget()
    m.hear('WATCHDOG=1')
    process.p.send_signal(signal.SIGUSR2)  # the grace may be longer than a manager waits for a sign of life, or for the end
    m.hear('RELOADING=1')
    m.hear(f'EXTEND_TIMEOUT_USEC={grace + 30}000000')
    m.hear('READY=1')
    m.forget()
    process.stop()
    m.hear('STOPPING=1')
    m.hear(f'EXTEND_TIMEOUT_USEC={grace + 30}000000')


@tap.test
def the_origin_tells_its_manager():
    follow(lambda: Origin(options=['--grace', '77s']).p, 'STATUS=0 titles, 0 of 0 edges up', 77)


@tap.test
def the_edge_tells_its_manager():
    follow(lambda: Edge(Lab(Package('film')), '--grace', '66s').process, 'STATUS=1 titles whole', 66)


@tap.test
def a_watchdog_of_another_process_is_not_fed():
    m = Manager()
    os.environ['WATCHDOG_PID'] = '1'
    try:
        process = Origin().p
    finally:
        m.started()
        del os.environ['WATCHDOG_PID']
    m.hear('STATUS=')
    process.stop()
    m.hear('STOPPING=1')
    tap.check('WATCHDOG=1' not in m.heard, f'{m.heard}')


tap.run()

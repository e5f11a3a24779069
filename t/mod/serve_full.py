#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full machine sends new viewers away and goes on with those it has: late loops, and no descriptors left for files."""
import os, sys, threading

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import tap
from rawhttp import *

root = tap.folder('root')
body = os.urandom(3_000_000)
for name in ('film.mp4', 'big.mp4'):
    with open(os.path.join(root, name), 'wb') as f:
        f.write(body)
SHED = 'ribera_http_connections_shed_total{reason="%s"}'


class Viewer:
    """A connection that stays."""

    def __init__(self, port):
        self.s = connect(port, 60)
        self.f = self.s.makefile('rb')

    def get(self, path='/film.mp4'):
        self.s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        return read_reply(self.f)

    def close(self):
        self.f.close()
        self.s.close()


@tap.test
def a_loop_that_is_late():
    s = Server(root, '--threads', '1', '--max-lag', '60ms')
    watched, busy, stop = Viewer(s.port), [Viewer(s.port) for _ in range(10)], threading.Event()
    tap.equal(get(s.port, '/film.mp4').status, 200, 'before')

    def work(v):
        while not stop.is_set():
            v.get('/h/busy')
    threads = [threading.Thread(target=work, args=(v,)) for v in busy]  # 10 times 20 ms of work are always waiting
    for t in threads:
        t.start()
    try:
        tap.until(lambda: get(s.port, '/film.mp4').status == 503, 60, 'new ones are sent away')
        for _ in range(100):
            r = get(s.port, '/film.mp4')
            if r.status == 503:
                break
        tap.equal((r.status, r.fields['connection']), (503, 'close'))
        tap.check(1 <= int(r.fields['retry-after']) <= 10, r.fields['retry-after'])
        r = watched.get()
        tap.equal((r.status, r.body == body), (200, True), 'who was there before')
    finally:
        stop.set()
        for t in threads:
            t.join()
    tap.until(lambda: get(s.port, '/film.mp4').status == 200, 60, 'room again')
    tap.check(s.metric(SHED % 'lag') >= 1)
    tap.check(s.metric('ribera_http_loop_lag_seconds_count') > 0)
    tap.equal(s.metric(SHED % 'connections'), 0)
    for v in (watched, *busy):
        v.close()
    tap.equal(s.stop(), (0, ''))


@tap.test
def few_descriptors_left():
    s = Server(root, '--threads', '1', '--max-per-client', '10000', files=120)
    held, status = [], 200
    while status == 200 and len(held) < 200:
        held.append(Viewer(s.port))
        status = held[-1].get().status
    tap.equal(status, 503)
    tap.check(60 < len(held) < 110, f'{len(held)} connections')
    tap.check(held[0].get('/big.mp4').body == body, 'who was there before')
    r = get(s.port, '/grow/film.mp4')  # which opens a file
    tap.equal((r.status, 'retry-after' in r.fields), (503, True))
    held[1].s.sendall(b'GET /grow/film.mp4 HTTP/1.1\r\nHost: x\r\n\r\n')
    tap.check(read_reply(held[1].f).body == body, 'there is a descriptor for a file')
    for v in held:
        v.close()
    tap.until(lambda: get(s.port, '/film.mp4').status == 200, 20, 'room again')
    tap.check(s.metric(SHED % 'descriptors') >= 1)
    tap.equal(s.stop(), (0, ''))


tap.run()

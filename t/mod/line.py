#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line emulator the tests of networks stand on: rate, delay, loss, traces, cuts."""
import os, socket, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import line, tap


class Sink:
    """Counts what comes in over TCP on a host; each connection in a thread."""

    def __init__(self, host):
        self.host, self.got = host, 0
        with host.inside():
            self.server = socket.create_server((host.address, 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            threading.Thread(target=self.take, args=self.server.accept()[:1], daemon=True).start()

    def take(self, s):
        with s:
            while data := s.recv(1 << 16):
                self.got += len(data)


def connect(host, sink, timeout=20):
    with host.inside():
        return socket.create_connection((sink.host.address, sink.port), timeout=timeout)


def send(host, sink, size):
    start, before = time.monotonic(), sink.got
    with connect(host, sink) as s:
        s.sendall(bytes(size))
    tap.until(lambda: sink.got - before >= size, 30, 'the bytes', every=0.002)
    return time.monotonic() - start


@tap.test
def rate_and_delay_are_those_that_were_set():
    net = line.Net()
    a, b = net.host('a', delay=20), net.host('b', rate=8000, delay=30, queue=400000)
    sink = Sink(b)
    start = time.monotonic()
    connect(a, sink).close()
    tap.check(time.monotonic() - start >= 0.1, 'a handshake takes a round trip of 100 ms')
    took = send(a, sink, 1_000_000)  # 1 s on the line, and its headers, and the slow start
    tap.check(took >= 1.0, f'{took:.2f} s')
    stats = b.stats()
    tap.check(stats['ba']['bytes'] > 1_000_000 and stats['ba']['lost'] == 0, stats)
    net.end()


@tap.test
def loss_cut_and_trace_do_what_they_say():
    net = line.Net(seed=7)
    trace = os.path.join(tap.folder(), 'trace.csv')
    with open(trace, 'w') as f:
        f.write('duration_s,throughput_kbps,latency_ms\n0.2,800,20\n0.3,0,20\n')
    a, b = net.host('a'), net.host('b', down={'loss': 5})
    sink = Sink(b)
    send(a, sink, 2_000_000)
    lost, passed = b.stats()['ba']['lost'], b.stats()['ba']['passed']
    tap.check(0.01 < lost / (lost + passed) < 0.12, f'{lost} of {passed}')
    b.cut()
    try:
        connect(a, sink, timeout=0.5)
        raise AssertionError('something came through')
    except TimeoutError:
        pass
    b.mend()
    b.set(down={'loss': 0, 'trace': trace})
    took = send(a, sink, 100_000)  # 20 kB in each half second
    tap.check(took > 1.5, f'{took:.2f} s')
    try:
        b.set(rate='fast')
        raise AssertionError('nonsense was taken')
    except AssertionError as e:
        tap.has(str(e), 'no number')
    net.end()
    tap.equal([n for n in os.listdir('/run/netns') if n.startswith(net.prefix)] if os.path.exists('/run/netns') else [], [])


@tap.test
def packets_are_overtaken_too_large_or_of_connections_forgotten():
    net = line.Net(seed=5)
    a, b = net.host('a'), net.host('b')
    with b.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((b.address, 0))
    server.settimeout(10)
    b.set(down={'reorder': 20})
    with a.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(200):
        client.sendto(i.to_bytes(2, 'big'), server.getsockname())
        time.sleep(0.0005)  # what comes 30 ms late is behind some of these
    order = [int.from_bytes(server.recv(16), 'big') for _ in range(200)]
    tap.equal(sorted(order), list(range(200)), 'all came')
    late = sum(x > min(order[i:]) for i, x in enumerate(order))
    tap.check(late > 20, f'{late} were overtaken')
    b.set(down={'reorder': 0, 'mtu': 1000})
    client.sendto(bytes(1200), server.getsockname())
    client.sendto(bytes(900), server.getsockname())
    tap.equal(len(server.recv(2000)), 900, 'what is not too large')
    b.set(down={'mtu': 0})
    sink = Sink(b)
    with connect(a, sink) as old:
        old.sendall(b'before')
        tap.until(lambda: sink.got == 6, 10, 'the bytes before')
        b.forget()
        old.sendall(b'behind')
        send(a, sink, 1000)  # who comes now is served, one after another
        tap.check(sink.got == 1006, f'{sink.got}: the old connection goes on')
    net.end()


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an edge does not keep: streamed through memory, checked like all else, shared by all who wait."""
import os, socket, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import disk, tap
from lab import Edge, Lab, Package, PIECE


def full_edge(other):
    """An edge whose store is full of what is planned, and a title that is not."""
    planned = Package('planned', 3 * PIECE)
    origin = Lab(planned, other)
    origin.rows[1]['hold'] = False
    room = planned.size + sum(len(p.served[n]) for p in (planned, other) for n in ('package.torrent', 'package.leaves', 'manifest.mpd'))
    edge = Edge(origin, '--capacity', str(room + 1000))
    edge.wait_filled(planned)
    edge.wait_prepared(other)
    return origin, edge, planned


def files_of(edge, package):
    folder = os.path.join(edge.store, package.key)
    return {n: os.stat(os.path.join(folder, n)).st_blocks * 512 for n in os.listdir(folder)}


def in_memory(edge):
    """Bytes of its memory files."""
    fds, total = f'/proc/{edge.process.pid}/fd', 0
    for fd in os.listdir(fds):
        try:
            if 'memfd:' in os.readlink(f'{fds}/{fd}'):
                total += os.stat(f'{fds}/{fd}').st_blocks * 512
        except OSError:
            pass
    return total


@tap.test
def a_disk_full_of_planned_titles_is_no_error_for_viewers_of_others():
    other = Package('other', 3 * PIECE + 4321)
    origin, edge, planned = full_edge(other)
    data = other.files['video.mp4']
    origin.rate = 3_000_000
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(edge.file(other, 'video.mp4'))) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.equal([(r.status, r.body == data) for r in answers], [(200, True)] * 12)
    tap.equal(sum(t == 'other' and n == 'video.mp4' for t, n, *_ in origin.requests), 4, 'fetches of four pieces')
    for first, last in ((0, 0), (PIECE - 5, PIECE + 5), (PIECE + 70_000, 3 * PIECE + 1), (len(data) - 9, len(data) - 1)):
        r = edge.file(other, 'video.mp4', {'Range': f'bytes={first}-{last}'})
        tap.equal((r.status, r.headers['Content-Range']), (206, f'bytes {first}-{last}/{len(data)}'))
        tap.check(r.body == data[first:last + 1], f'{first}-{last}')
    r = edge.file(other, 'video.mp4', {'Range': 'bytes=5-9,2000000-2000009'})
    tap.check(data[5:10] in r.body and data[2000000:2000010] in r.body, 'several ranges')
    tap.equal(edge.file(other, 'main.m3u8').body, other.files['main.m3u8'])
    tap.check(edge.metric('ribera_edge_streamed_bytes_total') >= len(data))
    tap.equal(files_of(edge, other).get('video.mp4', 0), 0, 'bytes on the disk')
    edge.check_all(planned)
    tap.equal(edge.process.stop(), 0)


@tap.test
def the_same_over_http_2():
    tap.need('curl', 'curl')
    other = Package('other', 2 * PIECE + 99)
    _, edge, _ = full_edge(other)
    for _ in range(2):
        out = subprocess.run(['curl', '-sf', '--http2-prior-knowledge', f'{edge.url}/v/{other.key}/video.mp4'], capture_output=True, check=True)
        tap.check(out.stdout == other.files['video.mp4'], 'wrong bytes')


@tap.test
def what_passes_through_goes_on_at_once_and_lies_do_not():
    other = Package('other', 3 * PIECE)
    origin, edge, _ = full_edge(other)
    data = other.files['video.mp4']
    origin.rate = 200_000  # a piece takes five seconds
    start = time.monotonic()
    tap.check(edge.file(other, 'video.mp4', {'Range': 'bytes=0-999'}).body == data[:1000])
    tap.check(time.monotonic() - start < 3, 'the first block')
    origin.rate = 0
    liar = Lab(other)
    liar.behaviour = lambda title, name, first: {'wrong_at': 300_000} if name == 'video.mp4' else None
    with origin.lock:
        origin.peers = [{'name': 'liar', 'url': liar.url, 'holds': [other.key]}]
    tap.until(lambda: edge.metric('ribera_edge_plans_total') >= 2, 10, 'the plan with the liar')
    r = edge.file(other, 'video.mp4', {'Range': f'bytes={2 * PIECE}-'})
    tap.check(r.body == data[2 * PIECE:], 'wrong bytes')
    tap.check(edge.metric('ribera_edge_wrong_hash_total') >= 1)


@tap.test
def a_file_larger_than_the_memory_for_it_comes_whole():
    other = Package('other', 72 * PIECE)
    origin, edge, _ = full_edge(other)
    slow = socket.create_connection(('127.0.0.1', edge.port))  # one who stops in the middle, and then wants the rest
    slow.sendall(f'GET /v/{other.key}/video.mp4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
    got = bytearray(slow.recv(1 << 16))
    tap.check(edge.file(other, 'video.mp4').body == other.files['video.mp4'], 'wrong bytes')
    tap.check(in_memory(edge) <= (64 + 16) * PIECE, f'{in_memory(edge)} bytes of memory')
    while part := slow.recv(1 << 20):
        got += part
    tap.check(got.split(b'\r\n\r\n', 1)[1] == other.files['video.mp4'], 'wrong bytes for the slow one')


@tap.test
def a_file_larger_than_the_pull_share_passes_through_and_displaces_nothing():
    small, large = [Package(f'small{i}', 2 * PIECE) for i in range(2)], Package('large', 9 * PIECE + 77)
    origin = Lab(*small, large, hold=False)
    edge = Edge(origin, '--capacity', '40MiB', '--pull-share', '20')  # 8 MiB
    for p in (*small, large):
        edge.wait_prepared(p)
        edge.get(f'/v/{p.title}/manifest.mpd')
    watch = lambda p, **more: tap.check(edge.file(p, 'video.mp4', **more).body == p.files['video.mp4'], f'{p.title}: wrong bytes')
    fetched = lambda p: sum(t == p.title and n == 'video.mp4' for t, n, *_ in origin.requests)
    for p in small:
        watch(p)
    written = edge.metric('ribera_edge_written_bytes_total{by="pull"}')
    for round_ in range(3):  # however often it is asked for it does not outrank what is here, for it cannot fit
        threads = [threading.Thread(target=watch, args=(large,)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        tap.check(fetched(large) <= 10 * (round_ + 1), f'{fetched(large)} fetches of ten pieces in {round_ + 1} rounds')
    part = edge.file(large, 'video.mp4', {'Range': f'bytes={5 * PIECE - 9}-{5 * PIECE + 8}'})
    tap.check(part.body == large.files['video.mp4'][5 * PIECE - 9:5 * PIECE + 9], 'wrong bytes in a part')
    tap.equal((edge.metric('ribera_edge_written_bytes_total{by="pull"}'), edge.metric('ribera_edge_evicted_files_total')), (written, 0), 'written, evicted')
    tap.equal(files_of(edge, large).get('video.mp4', 0), 0, 'bytes on the disk')
    for p in small:
        tap.has(edge.file(p, 'video.mp4').headers['Cache-Status'], 'hit')
        tap.equal(fetched(p), 2, f'fetches of {p.title}')
    edge.process.stop()
    edge.options[-1] = '2'  # the share is smaller than each file that is here: they stay while nothing better comes
    edge.start()
    watch(large)
    for p in small:
        tap.has(edge.file(p, 'video.mp4').headers['Cache-Status'], 'hit')
    tap.equal(edge.metric('ribera_edge_evicted_files_total'), 0)


@tap.test
def a_disk_that_fails_in_the_middle_is_no_error_either():
    p = Package('film', 4 * PIECE)
    origin = Lab(p, hold=False)
    edge = Edge(origin, '--window-duration', '0s', start=False)
    fault = os.path.join(edge.folder, 'fault')
    edge.env = disk.environment(edge.store, fault=fault)
    edge.start()
    edge.wait_prepared(p)
    origin.rate = 2_000_000
    s = socket.create_connection(('127.0.0.1', edge.port))
    s.sendall(f'GET /v/{p.key}/video.mp4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
    got = s.recv(1 << 16)
    with open(fault + '.new', 'w') as f:
        f.write('ENOSPC write')
    os.rename(fault + '.new', fault)
    while part := s.recv(1 << 20):
        got += part
    tap.check(got.split(b'\r\n\r\n', 1)[1] == p.files['video.mp4'], 'wrong bytes')
    tap.check(edge.metric('ribera_edge_write_failures_total') >= 1)
    tap.equal(edge.metric('ribera_edge_read_only'), 1)
    r = edge.file(p, 'video.mp4')
    tap.check(r.status == 200 and r.body == p.files['video.mp4'])
    os.unlink(fault)
    origin.rate = 0
    tap.until(lambda: edge.get('/healthz').status == 200, 40, 'recovery')
    tap.check(edge.file(p, 'video.mp4').body == p.files['video.mp4'])


tap.run()

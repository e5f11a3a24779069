#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one client may take from the others: connections, time, memory."""
import os, socket, ssl, struct, sys, time

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import tap
from rawhttp import *

root = tap.folder('root')
with open(os.path.join(root, 'big.mp4'), 'wb') as f:
    f.write(os.urandom(16_000_000))
with open(os.path.join(root, 'small.mpd'), 'wb') as f:
    f.write(os.urandom(6000))
GET = b'GET /small.mpd HTTP/1.1\r\nHost: x\r\n\r\n'
S = Server(root, '--idle', '1s', '--stall', '500ms', '--min-rate', '20MB', '--max-per-client', '8')
P = S.port


def closed(s, seconds):
    """How long it takes until the server closes."""
    start = time.monotonic()
    s.settimeout(seconds)
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - start


@tap.test
def connections_of_one_client():
    held = [connect(P) for _ in range(8)]
    for s in held:
        s.sendall(b'GET /stuck/big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n')
        s.recv(100)
    with connect(P) as s, s.makefile('rb') as f:
        s.sendall(GET)
        r = read_reply(f)
        tap.equal((r.status, r.fields['connection']), (429, 'close'))
        tap.check(int(r.fields['retry-after']) >= 1)
    other = socket.create_connection(('127.0.0.1', P), 10, ('127.0.0.2', 0))
    with other, other.makefile('rb') as f:
        other.sendall(GET)
        tap.equal(read_reply(f).status, 200, 'another client')
    far = [connect(P) for _ in range(60)]
    shut = 0
    for s in far:
        s.settimeout(0.3)
        try:
            shut += s.recv(1) == b''
        except ConnectionResetError:
            shut += 1
        except TimeoutError:
            pass
        s.close()
    tap.check(shut > 20, f'closed at once: {shut}')
    for s in held:
        s.close()
    tap.until(lambda: get(P, '/small.mpd').status == 200, 5, 'room again')


@tap.test
def heads_and_bodies_that_drip():
    starts = {'head': b'GET /small.mpd HTTP/1.1\r\nHost: x\r\n', 'body': b'POST /h/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n',
              'second head': GET + b'GET /small.mpd HTTP/1.1\r\nX'}
    for name, start in starts.items():
        with connect(P) as s:
            s.sendall(start)
            begin, end = time.monotonic(), None
            s.settimeout(0.1)
            while time.monotonic() < begin + 8 and end is None:
                try:
                    s.sendall(b'a')
                    if s.recv(65536) == b'':
                        end = time.monotonic()
                except TimeoutError:
                    pass
                except OSError:
                    end = time.monotonic()
            tap.check(end is not None and end - begin < 5, f'{name}: a byte every 0.1 s for {end and end - begin}')


@tap.test
def who_asks_again_and_again_is_not_slow():
    with connect(P) as s, s.makefile('rb') as f:
        end = time.monotonic() + 2.2  # more than twice the idle timeout
        while time.monotonic() < end:
            s.sendall(GET[:20])
            time.sleep(0.05)
            s.sendall(GET[20:])
            tap.equal(read_reply(f).status, 200)


@tap.test
def a_viewer_who_reads_too_slowly():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.connect(('127.0.0.1', P))
    with s:
        s.sendall(b'GET /big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n' * 3)
        s.settimeout(0.05)
        begin, got, end = time.monotonic(), 0, None
        while time.monotonic() < begin + 10 and end is None:  # some 100 KB/s
            try:
                data = s.recv(5000)
                got += len(data)
                if not data:
                    end = True
            except TimeoutError:
                pass
            except ConnectionResetError:
                end = True
            time.sleep(0.05)
        tap.check(end and got < 40_000_000, f'{got} bytes in {time.monotonic() - begin:.1f} s')
    tap.check(S.metric('ribera_http_cut_total{reason="stalled"}') >= 1)


@tap.test
def requests_given_up_in_a_row():
    cut = 'ribera_http_connections_cut_total{reason="flood"}'
    before = S.metric(cut)
    with H2(P) as c:
        sent = 0
        try:
            for _ in range(20):
                streams = [c.request(plain('/stuck/big.mp4')) for _ in range(50)]
                c.s.sendall(frame(PING, 0, 0, b'together'))
                while next(c.frames())[0] != PING:  # they run now
                    pass
                c.s.sendall(b''.join(frame(RST, 0, s, struct.pack('>I', 8)) for s in streams))
                sent += 50
        except (OSError, StopIteration):
            pass
        tap.check(sent < 1000)
        tap.until(lambda: S.metric(cut) == before + 1, 5, f'the end of the flood ({sent} sent)')
    with H2(P) as c:  # a player that seeks gives up a few
        for _ in range(50):
            stream = c.request(plain('/stuck/big.mp4'))
            c.s.sendall(frame(RST, 0, stream, struct.pack('>I', 8)))
        tap.equal(c.answer(c.request(plain()))[0], 200)


@tap.test
def resets_that_we_are_made_to_send():
    """What is wrong in a stream makes us reset it, and costs as much as a reset of the client's own (CVE-2025-8671)."""
    cut, request = 'ribera_http_connections_cut_total{reason="flood"}', block(plain('/stuck/big.mp4'))
    for name, wrong in (('a window of nothing', lambda s: frame(WINDOW, 0, s, bytes(4))), ('a window too large', lambda s: frame(WINDOW, 0, s, struct.pack('>I', 0x7fffffff))),
                        ('a body behind the end', lambda s: frame(DATA, 1, s, b'x'))):
        before, sent = S.metric(cut), 0
        with H2(P) as c:
            try:
                for _ in range(40):
                    c.s.sendall(b''.join(frame(HEADERS, 5, s, request) + wrong(s) for s in range(c.next, c.next + 100, 2)))
                    c.s.sendall(frame(PING, 0, 0, b'together'))
                    c.next, sent = c.next + 100, sent + 50
                    while next(c.frames())[0] != PING:
                        pass
            except (OSError, StopIteration):
                pass
        tap.check(sent < 1000, f'{name}: {sent} requests')
        tap.until(lambda: S.metric(cut) == before + 1, 5, f'{name}: the end of the flood ({sent} sent)')
    for name, wrong in (('a head behind the end', frame(HEADERS, 5, 1, request)), ('on itself', frame(PRIORITY, 0, 1, struct.pack('>IB', 1, 1))), ('a frame of another size', frame(RST, 0, 1, b'abc'))):
        with H2(P) as c:
            c.request(plain('/stuck/big.mp4'))
            c.s.sendall(wrong)
            tap.check(any(kind == GOAWAY for kind, *_ in c.frames()), f'{name}: the connection ends')


@tap.test
def http2_that_drips():
    """A body that comes byte by byte, and a connection that only pings: neither is ever idle."""
    for name, drop in (('body', lambda c, stream: frame(DATA, 0, stream, b'a')), ('pings', lambda c, stream: frame(6, 0, 0, b'12345678'))):
        with H2(P) as c:
            stream = c.request(plain('/h/echo', 'POST'), end=False) if name == 'body' else 0
            begin, end = time.monotonic(), None
            c.s.settimeout(0.1)
            while end is None and time.monotonic() < begin + 20:
                try:
                    c.s.sendall(drop(c, stream))
                    if c.s.recv(65536) == b'':
                        end = time.monotonic()
                except TimeoutError:
                    pass
                except OSError:
                    end = time.monotonic()
            tap.check(end is not None, f'{name}: closed')
    tap.check(S.metric('ribera_http_connections_cut_total{reason="slow"}') >= 1)


def until_closed(s, drop, seconds=20):
    """Drops what is wanted every 0.1 s, reads what comes; whether the server closed."""
    end = time.monotonic() + seconds * tap.PATIENCE
    s.settimeout(0.1)
    while time.monotonic() < end:
        try:
            drop()
            if s.recv(1 << 16) == b'':
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
    return False


@tap.test
def what_drips_beside_a_running_request():
    """A reply that goes on for ever is no cover for bodies and heads that do not come."""
    slow = 'ribera_http_connections_cut_total{reason="slow"}'
    for name in ('body', 'head', 'neither'):
        before = S.metric(slow)
        with H2(P, struct.pack('>HI', 4, 1 << 30)) as c:
            c.s.sendall(frame(WINDOW, 0, 0, struct.pack('>I', 1 << 30)))
            running = c.request(plain('/big.mp4'))  # read all the time, asked for again and again
            if name == 'body':
                stream = c.request(plain('/h/echo', 'POST'), end=False)
            elif name == 'head':
                c.s.sendall(frame(HEADERS, 0, c.next, block(plain())))  # its CONTINUATION never comes
            state = {'at': time.monotonic()}

            def drop():
                if name == 'body':
                    c.s.sendall(frame(DATA, 0, stream, b'a'))
                if name != 'head' and time.monotonic() > state['at']:  # nothing may stand between the two halves of a head
                    state['at'] = time.monotonic() + 0.5
                    c.request(plain('/small.mpd'))
            closed_ = until_closed(c.s, drop, 20 if name != 'neither' else 3.5)
        tap.equal(closed_, name != 'neither', name)
        if name != 'head':  # that one may end as idle when what ran is done
            tap.equal(S.metric(slow) > before, closed_, name)
    with connect(P) as s:  # of HTTP/1.1: what comes behind a running request is not read before that has ended, and then as any other
        s.sendall(b'GET /grow/big.mp4 HTTP/1.1\r\nHost: x\r\n\r\nPOST /h/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n')
        tap.check(until_closed(s, lambda: s.sendall(b'a'), 40), 'HTTP/1.1')


@tap.test
def windows_that_stay_shut():
    """HTTP/2 replies that nobody makes room for end with the stall timeout, and others on the connection are served meanwhile."""
    stalled = 'ribera_http_cut_total{reason="stalled"}'
    before = S.metric(stalled)
    with H2(P, struct.pack('>HI', 4, 0)) as c:
        shut = [c.request(plain('/big.mp4')) for _ in range(5)]
        ended = set()
        for kind, flags, stream, payload in c.frames():
            tap.check(kind != DATA and kind != GOAWAY, 'bytes without a window, or the end of all')
            ended |= {stream} if kind == RST else set()
            if ended >= set(shut):
                break
        tap.equal(ended, set(shut), 'the replies that were ended')
        c.s.sendall(frame(SETTINGS, 0, 0, struct.pack('>HI', 4, 65535)))
        tap.equal(c.answer(c.request(plain()))[0], 200, 'the connection goes on')
    tap.equal(S.metric(stalled), before + 5)
    with H2(P, struct.pack('>HI', 4, 1000)) as c:  # and those who make room for a byte now and then
        one = c.request(plain('/big.mp4'))
        begin = time.monotonic()
        status = None
        for kind, flags, stream, payload in c.frames():
            if kind == DATA:
                time.sleep(0.01)
                c.s.sendall(frame(WINDOW, 0, one, struct.pack('>I', 1)))
            if kind == RST and stream == one:
                status = 'reset'
                break
        tap.equal(status, 'reset', f'a byte now and then for {time.monotonic() - begin:.1f} s')


@tap.test
def handshakes_of_tls_that_drip():
    s = Server(root, '--idle', '1s', '--tls-listen', '127.0.0.1:0', '--dev-cert')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = out.read()
    for name, bytes_ in (('a hello', iter(hello)), ('nothing', iter(())), ('half of it', iter(hello[:len(hello) // 2]))):
        with connect(s.tls) as c:
            tap.check(until_closed(c, lambda: c.sendall(bytes((b,))) if (b := next(bytes_, None)) is not None else None, 6), name)
    with context.wrap_socket(connect(s.tls)) as c:
        tap.check(until_closed(c, lambda: None, 6), 'nothing behind the handshake')
    with context.wrap_socket(connect(s.tls)) as c, c.makefile('rb') as f:
        c.sendall(GET)
        tap.equal(read_reply(f).status, 200)
    tap.equal(s.stop()[0], 0)


@tap.test
def it_ends_without_complaint():
    tap.equal(S.stop(), (0, ''))


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies that are taken as they come: both protocols, every framing, who leaves, drips, lies or is refused, and what follows on the
same connection."""
import hashlib, os, random, socket, struct, sys, time

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import tap
from rawhttp import *

S = Server(tap.folder('root'), '--idle', '1s', '--stall', '500ms', '--min-rate', '2kB', '--threads', '1')
P = S.port
rng = random.Random(5)
DATA_5M = rng.randbytes(5 << 20)
ONE = b'GET /h/echo HTTP/1.1\r\nHost: x\r\n\r\n'


def head(n=None, more='', method='PATCH', path='/take'):
    length = f'Content-Length: {n}\r\n' if n is not None else ''
    return f'{method} {path} HTTP/1.1\r\nHost: x\r\n{length}{more}\r\n'.encode()


def is_whole(reply, data, what):
    n, digest, largest = reply.body.decode().split()
    tap.equal((reply.status, int(n), digest), (200, len(data), hashlib.sha256(data).hexdigest()), what)
    return int(largest)


def cuts():
    return [int(x) for x in tap.http(f'http://127.0.0.1:{P}/h/cut').body.decode().split()]


def chunked(data):
    out, at = b'', 0
    while at < len(data):
        n = rng.choice([1, 7, 100, 4096, 70000])
        piece = data[at:at + n]
        out += b'%x%s\r\n%s\r\n' % (len(piece), rng.choice([b'', b';a=b']), piece)
        at += n
    return out + b'0\r\n' + rng.choice([b'', b'X-Trailer: 1\r\n']) + b'\r\n'


@tap.test
def every_way_to_send_and_what_follows():
    for size in [0, 1, 100, 20000, 5 << 20]:
        data = DATA_5M[:size]
        for what, raw in [('length', head(size) + data), ('chunks', head(None, 'Transfer-Encoding: chunked\r\n') + chunked(data)),
                          ('Chunks', head(None, 'TRANSFER-ENCODING: Chunked\r\n', 'POST') + chunked(data)),
                          ('expected', head(size, 'Expect: 100-continue\r\n') + data)]:
            with connect(P) as s, s.makefile('rb') as f:
                s.sendall(raw + ONE + raw[:len(raw)] + ONE)  # pipelined: where one ends the next begins
                for _ in range(2):
                    is_whole(read_reply(f), data, f'{what} {size}')
                    tap.equal(read_reply(f).status, 200)
    # in pieces of any size, cut anywhere
    raw = head(30000) + DATA_5M[:30000] + head(None, 'Transfer-Encoding: chunked\r\n') + chunked(DATA_5M[:3000]) + ONE
    with connect(P) as s, s.makefile('rb') as f:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = 0
        while at < len(raw):
            n = rng.choice([1, 2, 3, 50, 500])
            s.sendall(raw[at:at + n])
            at += n
        is_whole(read_reply(f), DATA_5M[:30000], 'pieces')
        is_whole(read_reply(f), DATA_5M[:3000], 'pieces')
        tap.equal(read_reply(f).status, 200)
    # it waits for its 100, and is told no more than once
    with connect(P) as s, s.makefile('rb') as f:
        s.sendall(head(5, 'Expect: 100-continue\r\n'))
        tap.equal(read_reply(f).status, 100)
        s.sendall(b'12345')
        is_whole(read_reply(f), b'12345', 'after the 100')
    # a key that makes it one of those that are collected
    tap.equal(is_whole(ask(P, head(9000, 'Idempotency-Key: a\r\n') + DATA_5M[:9000]), DATA_5M[:9000], 'collected'), 9000)


@tap.test
def more_than_is_collected_comes_in_pieces():
    digest, n = hashlib.sha256(), 200  # t/bench/upload measures memory
    with connect(P) as s, s.makefile('rb') as f:
        s.sendall(head(n << 20))
        for _ in range(n):
            s.sendall(DATA_5M[:1 << 20])
            digest.update(DATA_5M[:1 << 20])
        got = read_reply(f).body.decode().split()
    tap.equal(got[:2], [str(n << 20), digest.hexdigest()])
    tap.check(int(got[2]) < 64 << 20, f'{got[2]} bytes at once')
    with H2(P) as h:
        stream, sent = h.request(plain('/take', 'POST', ('content-length', str(40 << 20))), end=False), 0
        window, digest = 65535, hashlib.sha256()
        h.s.sendall(frame(SETTINGS, 1, 0))
        frames = h.frames()
        room = {0: 65535, stream: 65535}
        while sent < 40 << 20:
            while min(room.values()) < 16384:
                kind, flags, of, payload = next(frames)
                if kind == WINDOW:
                    room[of] = room.get(of, 0) + int.from_bytes(payload, 'big')
                elif kind == SETTINGS and not flags & 1:
                    for i in range(0, len(payload), 6):
                        if payload[i:i + 2] == b'\0\4':
                            room[stream] += int.from_bytes(payload[i + 2:i + 6], 'big') - 65535
                tap.check(kind != RST, 'reset')
            piece = DATA_5M[sent % (4 << 20):][:16384]
            sent += len(piece)
            digest.update(piece)
            h.s.sendall(frame(DATA, 1 if sent == 40 << 20 else 0, stream, piece))
            for k in (0, stream):
                room[k] -= len(piece)
        status, body = h.answer(stream)
        tap.equal((status, body.decode().split()[:2]), (200, [str(sent), digest.hexdigest()]), 'HTTP/2')
        tap.check(int(body.split()[2]) <= 16384)


@tap.test
def http_2_streams_side_by_side():
    with H2(P) as h:
        a = h.request(plain('/take', 'PATCH'), end=False)
        b = h.request(plain('/take', 'PATCH', ('content-length', '6')), end=False)
        c = h.request(plain('/take', 'POST'), b'whole at once')
        h.s.sendall(frame(DATA, 0, a, b'first ') + frame(DATA, 0, b, b'abc') + frame(DATA, 0, a, b'') + frame(DATA, 1, b, b'def') + frame(DATA, 1, a, b'last'))
        got = {}
        for _ in range(3):
            pass
        frames, want = h.frames(), {a: b'first last', b: b'abcdef', c: b'whole at once'}
        while len(got) < 3:
            kind, flags, of, payload = next(frames)
            if kind == DATA and payload:
                got[of] = payload.decode().split()[1]
        tap.equal(got, {k: hashlib.sha256(v).hexdigest() for k, v in want.items()})
        # a length that is not the body's (RFC 9113 8.1.1), and trailers behind it
        d = h.request(plain('/take', 'PATCH', ('content-length', '9')), end=False)
        h.s.sendall(frame(DATA, 0, d, b'abc') + frame(DATA, 1, d, b'def'))
        tap.check(h.answer(d)[0] in (400, 'reset'))
        e = h.request(plain('/take', 'PATCH'), end=False)
        h.s.sendall(frame(DATA, 0, e, b'abc') + frame(DATA, 0, e, b'def') + frame(HEADERS, 5, e, block([('x-t', '1')])))
        status, body = h.answer(e)
        tap.equal((status, body.decode().split()[1]), (200, hashlib.sha256(b'abcdef').hexdigest()))
        # refused: the answer comes with the first frame that cannot be taken, and what is still under way is dropped
        for path, frames_, want in [('/take?refuse', [b'abc'], (409, b'refused')), ('/take?most=4', [b'abc', b'def', b'ghi'], 413)]:
            f = h.request(plain(path, 'PATCH'), end=False)
            h.s.sendall(b''.join(frame(DATA, 0, f, data) for data in frames_))
            got = h.answer(f)
            tap.equal(got if isinstance(want, tuple) else got[0], want, path)
            h.s.sendall(frame(DATA, 0, f, b'x' * 9000) * 5 + frame(DATA, 1, f, b'the end'))
            g = h.request(plain('/take?refuse', 'PATCH'), end=False)
            h.s.sendall(frame(DATA, 0, g, b'abc') + frame(DATA, 1, g, b'def'))
            tap.equal(h.answer(g), (409, b'refused'), 'a short one is read to its end')
        f = h.request(plain('/take?refuse', 'PATCH'), b'whole at once')
        tap.equal(h.answer(f), (409, b'refused'))
        # given up in the middle: told, and the connection goes on
        before = cuts()[0]
        i = h.request(plain('/take', 'PATCH'), end=False)
        h.s.sendall(frame(DATA, 0, i, b'abc') + frame(DATA, 0, i, b'def') + frame(RST, 0, i, struct.pack('>I', 8)))
        tap.until(lambda: cuts()[0] == before + 1, 10, 'it is told')
        # DATA on a stream that is no more, of the length of what libh2o then writes itself
        h.s.sendall(frame(DATA, 0, i, b'x' * 13))
        tap.equal(h.answer(i)[0], 'reset')
        j = h.request(plain('/take', 'PATCH'), b'still here')
        tap.equal(h.answer(j)[0], 200)
    tap.equal(S.p.poll(), None)


@tap.test
def who_leaves_drips_or_lies():
    before = cuts()[0]
    with connect(P) as s:
        s.sendall(head(1000) + b'x' * 400)
    tap.until(lambda: cuts()[:2] == [before + 1, 400], 10, 'who left is told, with what came')
    with connect(P) as s, s.makefile('rb') as f:  # half closed: there is somebody to tell
        s.sendall(head(1000) + b'x' * 300)
        s.shutdown(socket.SHUT_WR)
        r = read_reply(f)
        tap.equal((r.status, r.fields['connection'], cuts()[1]), (400, 'close', 300))
    with connect(P) as s, s.makefile('rb') as f:  # nothing more comes
        s.sendall(head(1000) + b'x' * 200)
        start = time.monotonic()
        r = read_reply(f)
        tap.equal((r.status, r.fields['connection']), (408, 'close'))
        tap.check(time.monotonic() - start < 5)
        tap.equal(f.read(), b'')
    with connect(P) as s, s.makefile('rb') as f:  # ten bytes a second
        s.sendall(head(1000))
        try:
            for _ in range(100):
                s.sendall(b'x')
                time.sleep(0.1)
        except OSError:
            pass
        else:
            raise AssertionError('a body may drip for ever')
    with connect(P) as s, s.makefile('rb') as f:  # the 100 is never followed
        s.sendall(head(1000, 'Expect: 100-continue\r\n'))
        tap.equal([read_reply(f).status, read_reply(f).status], [100, 408])
    with H2(P) as h:
        i = h.request(plain('/take', 'PATCH'), end=False)
        h.s.sendall(frame(DATA, 0, i, b'abc'))
        tap.equal(h.answer(i)[0], 'closed')
    for lie in [b'Content-Length: 5\r\nContent-Length: 6\r\n', b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', b'Content-Length: +5\r\n',
                b'Content-Length: 5, 5\r\n', b'Content-Length: -1\r\n', b'Content-Length: 99999999999999999999999\r\n', b'Content-Length: \r\n',
                b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', b'Transfer-Encoding: gzip, chunked\r\n', b'Transfer-Encoding: x\r\n',
                b'Expect: 200-ok\r\nContent-Length: 5\r\n']:
        r = ask(P, b'PATCH /take HTTP/1.1\r\nHost: x\r\n' + lie + b'\r\n12345')
        tap.check(r is None or r.status in (400, 413, 417, 501, 411), f'{lie}: {r and r.status}')
    for bad in [b'5\r\n1234567\r\n', b'zz\r\n', b'-5\r\n12345', b'fffffffffffffffffffffff\r\n']:
        got = everything(P, head(None, 'Transfer-Encoding: chunked\r\n') + bad)
        tap.equal(got[:12], b'HTTP/1.1 400', bad)
    tap.equal(everything(P, b'PATCH /take HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')[:12], b'HTTP/1.1 400', 'RFC 9112 6.1')
    is_whole(ask(P, b'PATCH /take HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc'), b'abc', 'HTTP/1.0')


@tap.test
def who_is_refused_keeps_few_descriptors():
    """What is read past, so that a refusal arrives, is no connection of anybody's any more: nothing else would limit it."""
    def files():
        return len(os.listdir(f'/proc/{S.p.pid}/fd'))
    before, held = files(), []
    for _ in range(150):
        s = connect(P)
        s.sendall(head(40 << 20, path='/take?refuse') + b'x' * 100)
        held.append(s)
    tap.until(lambda: S.metric('ribera_http_open_connections') <= 2, 10, 'the end of their connections')
    tap.check(files() - before < 100, f'{files() - before} descriptors')
    for s in held:
        s.close()
    tap.until(lambda: files() <= before + 2, 10, 'the end of all')


@tap.test
def a_refusal_comes_through():
    # to one who sends without looking, much more than sockets hold
    for path, status in [('/take?refuse', 409), ('/take?most=100000', 413)]:
        with connect(P) as s, s.makefile('rb') as f:
            s.sendall(head(40 << 20, path=path))
            try:
                for _ in range(8):
                    s.sendall(DATA_5M)
            except OSError:
                pass
            r = read_reply(f)
            tap.equal((r.status, r.fields['connection']), (status, 'close'))
    with connect(P) as s, s.makefile('rb') as f:  # not even asked for
        s.sendall(head(40 << 20, 'Expect: 100-continue\r\n', path='/take?refuse'))
        tap.equal(read_reply(f).status, 409)
    with connect(P) as s, s.makefile('rb') as f:  # a short one is read past, and the connection stays
        s.sendall(head(9, path='/take?refuse') + b'123456789' + ONE)
        tap.equal([read_reply(f).status, read_reply(f).status], [409, 200])
    code, err = S.stop()
    tap.equal((code, err), (0, ''))


tap.run()

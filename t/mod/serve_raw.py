#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP by hand: what raw bytes get on HTTP/1.1 and raw frames on HTTP/2, by the letter of RFC 9110 to 9113."""
import json, os, random, re, signal, socket, struct, sys, time

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import tap
from rawhttp import *

# what is held is looked at: AddressSanitizer would keep what was given back
os.environ['ASAN_OPTIONS'] = 'quarantine_size_mb=1:thread_local_quarantine_size_kb=64:' + os.environ.get('ASAN_OPTIONS', '')
rnd = random.Random(11)
root = tap.folder('root')
small, big = rnd.randbytes(6000), rnd.randbytes(3_000_000)
for name, data in (('small.mpd', small), ('big.mp4', big), ('short.mp4', big)):
    with open(os.path.join(root, name), 'wb') as f:
        f.write(data)
with open(os.path.join(root, 'large.mp4'), 'wb') as f:
    f.truncate(64 << 20)  # more than a socket takes
S = Server(root, '--idle', '5s')
P = S.port
H = b'HTTP/1.1\r\nHost: x\r\n'
NEXT = b'GET /h/echo?q=next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'


def refused(name, raw, status=400):
    got = everything(P, raw + NEXT)
    tap.check(got.startswith(b'HTTP/1.1 %d ' % status), f'{name}: {got[:80]!r}')
    tap.check(b'q=next' not in got, f'{name}: the bytes behind it were taken for a request')


@tap.test
def dates_in_all_three_forms():
    # the file's date is 2023-11-14T22:13:20Z (RFC 9110 5.6.7)
    for same, older in (('Tue, 14 Nov 2023 22:13:20 GMT', 'Tue, 14 Nov 2023 22:13:19 GMT'),
                        ('Tuesday, 14-Nov-23 22:13:20 GMT', 'Tuesday, 14-Nov-23 22:13:19 GMT'),
                        ('Tue Nov 14 22:13:20 2023', 'Tue Nov 14 22:13:19 2023')):
        tap.equal(get(P, '/small.mpd', If_Modified_Since=same).status, 304, same)
        tap.equal(get(P, '/small.mpd', If_Modified_Since=older).status, 200, older)
        tap.equal(get(P, '/small.mpd', If_Unmodified_Since=same).status, 200, same)
        tap.equal(get(P, '/small.mpd', If_Unmodified_Since=older).status, 412, older)
        tap.equal(get(P, '/small.mpd', If_Range=same, Range='bytes=0-0').status, 206, same)
    for wrong in ('Mon, 14 Nov 2023 22:13:20 GMT', '2023-11-14T22:13:20Z', 'Tue, 14 Nov 2099 22:13:20', '1700000000', ''):
        tap.equal(get(P, '/small.mpd', If_Modified_Since=wrong).status, 200, f'not a date: {wrong!r}')


@tap.test
def the_order_of_preconditions():
    etag = get(P, '/small.mpd').fields['etag']
    old, new = 'Tue, 14 Nov 2000 22:13:20 GMT', 'Tue, 14 Nov 2023 22:13:20 GMT'
    for fields, want in (
            (dict(If_Match=etag, If_Unmodified_Since=old), 200),              # 13.2.2 step 1 makes step 2 void
            (dict(If_Match='"x"', If_None_Match=etag), 412),                  # 1 before 3
            (dict(If_Unmodified_Since=old, If_None_Match=etag), 412),         # 2 before 3
            (dict(If_None_Match='"x"', If_Modified_Since=new), 200),          # 3 makes 4 void
            (dict(If_None_Match=etag, If_Modified_Since=old), 304),
            (dict(If_None_Match=etag, Range='bytes=0-1', If_Range=etag), 304),  # 3 before 5
            (dict(If_None_Match='"x"', Range='bytes=0-1', If_Range='"x"'), 200),  # 5: the range does not count
            (dict(Range='bytes=0-1', If_Range=etag), 206),
            (dict(If_Match='"x"', Range='bytes=9999-'), 412),                 # 1 before 416
            (dict(If_Match='*'), 200), (dict(If_None_Match='*'), 304)):
        tap.equal(get(P, '/small.mpd', **fields).status, want, str(fields))


@tap.test
def many_ranges_never_amplify():
    def size(spec):
        r = get(P, '/big.mp4', Range=spec)
        return r.status, len(r.body)
    tap.equal(size('bytes=' + ','.join(['0-'] * 30)), (206, 3_000_000), 'thirty times everything')
    tap.equal(size('bytes=' + ','.join(f'0-{i}' for i in range(30))), (206, 30), 'thirty that overlap')
    tap.equal(size('bytes=' + ','.join(f'{i}-{i}' for i in range(2000))), (200, 3_000_000), 'two thousand: as if none')
    status, n = size('bytes=' + ','.join(f'{i * 1000}-{i * 1000}' for i in range(30)))
    tap.check(status == 206 and n < 30 * 200, f'thirty apart: {n}')
    tap.equal(get(P, '/big.mp4', Range='bytes=0-9, 50-59').fields['content-range'], 'bytes 0-59/3000000', 'near ones')
    for spec in ('bytes=', 'bytes=-', 'bytes=5-3', 'bytes=a-b', 'bytes 0-1', 'items=0-1', 'bytes=0-1,x'):
        tap.equal(get(P, '/small.mpd', Range=spec).status, 200, spec)
    for spec in ('bytes=6000-', 'bytes=-0', 'bytes=99999999999999999999-'):
        tap.equal(get(P, '/small.mpd', Range=spec).status, 416, spec)
        tap.equal(get(P, '/small.mpd', Range=spec).fields['content-range'], 'bytes */6000', spec)


@tap.test
def heads_end_in_cr_lf():
    for name, raw in (('only LF', b'GET /small.mpd HTTP/1.1\nHost: x\n\n'), ('LF in front', b'GET /small.mpd HTTP/1.1\nHost: x\r\n\r\n'),
                      ('LF at the end', b'GET /small.mpd HTTP/1.1\r\nHost: x\r\n\n'), ('LF in a field', b'GET /small.mpd HTTP/1.1\r\nHost: x\n\r\n'),
                      ('bare CR', b'GET /small.mpd ' + H + b'A: b\rC: d\r\n\r\n')):
        refused(name, raw)
    for n in (1, 2, 5, 16):  # RFC 9112 2.2: at least one
        tap.equal(ask(P, b'\r\n' * n + b'GET /small.mpd ' + H + b'\r\n').status, 200, f'{n} empty lines in front')
    got = everything(P, (b'\r\n' * 3 + b'POST /h/echo ' + H + b'Content-Length: 3\r\n\r\nabc') * 2 + b'\r\n\r\n' + NEXT)
    tap.equal((got.count(b'HTTP/1.1 200 '), got.count(b'body=abc'), b'q=next' in got), (3, 2, True), 'between requests with bodies')
    refused('a hundred empty lines', b'\r\n' * 100 + b'GET /small.mpd ' + H + b'\r\n')


@tap.test
def heads_that_come_byte_by_byte():
    for raw, status in ((b'\r\n\r\n\r\nGET http://y ' + H + b'\r\n', 404), (b'\r\n\r\nGET /small.mpd ' + H + b'\r\n', 200), (b'GET /small.mpd HTTP/2.0\r\nHost: x\r\n\r\n', 505)):
        with connect(P) as s, s.makefile('rb') as f:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(raw)):
                try:
                    s.sendall(raw[i:i + 1])
                except OSError:  # a version is refused before the end of the head
                    break
                time.sleep(0.002)
            tap.equal(read_reply(f).status, status, raw)


@tap.test
def upgrades_are_not_taken_up():
    settings = b'HTTP2-Settings: AAMAAABkAAQAAP__\r\n'
    for name, fields in (('h2c', b'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n' + settings), ('h2c without its name in Connection', b'Upgrade: h2c\r\n' + settings),
                         ('two', b'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\n' + settings), ('TLS', b'Connection: Upgrade\r\nUpgrade: TLS/1.3\r\n'),
                         ('WebSocket', b'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n')):
        for method, body in ((b'GET /small.mpd ', b''), (b'POST /h/echo ', b'Content-Length: 3\r\n')):
            for behind in (NEXT, b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(SETTINGS, 0, 0) + frame(HEADERS, 5, 1, block(plain('/h/echo?q=next')))):
                got = everything(P, method + H + fields + body + b'\r\n' + (b'abc' if body else b'') + behind)
                told = re.findall(rb'HTTP/1\.1 (\d+) [^\r]*\r\nDate: [^\r]*\r\nConnection: ([a-z-]+)\r\n', got)
                # the last of its connection, or followed by one that is read as HTTP/1.1
                want = ([(b'200', b'close')], [(b'200', b'keep-alive'), (b'200' if behind == NEXT else b'505', b'close')])
                tap.check(told in want and got.count(b'HTTP/1.1 ') == len(told), f'{name}: {told} {got[-200:]!r}')


@tap.test
def hosts_that_are_none():
    for host in (b'a b', b'a/b', b'a@b', b'a,b', b'a\\b', b'a?b', b'"a"'):
        refused(repr(host), b'GET /small.mpd HTTP/1.1\r\nHost: ' + host + b'\r\n\r\n')
    for host in (b'x', b'x:80', b'[::1]:80', b'127.0.0.1', b'a_b.example'):
        tap.equal(ask(P, b'GET /small.mpd HTTP/1.1\r\nHost: ' + host + b'\r\n\r\n').status, 200, repr(host))
    for target in (b'/small.mpd', b'*'):  # RFC 9112 3.3: a URI of http has an authority
        refused(repr(target), b'OPTIONS ' + target + b' HTTP/1.1\r\nHost: \r\n\r\n')
    for fields, status in ((b'Host: \r\n', 200), (b'Host: elsewhere\r\n', 200), (b'', 400), (b'Host: a b\r\n', 400), (b'Host: \r\nHost: \r\n', 400)):  # RFC 9112 3.2, 3.2.2
        tap.equal(ask(P, b'GET http://x/small.mpd HTTP/1.1\r\n' + fields + b'\r\n').status, status, repr(fields))
    for target, status in ((b'http://x', 404), (b'http://x?q=/small.mpd', 404), (b'http://x#/small.mpd', 400), (b'http://', 400), (b'http:///small.mpd', 400), (b'http://a@x/small.mpd', 400),
                           (b'http://:80/small.mpd', 400), (b'HTTPS://[::1]:80/small.mpd?q', 200)):
        tap.equal(ask(P, b'GET ' + target + b' ' + H + b'\r\n').status, status, repr(target))
    tap.check(b'host=y' in ask(P, b'GET http://y/h/echo ' + H + b'\r\n').body, 'the host of the target, not that of the field')


@tap.test
def lengths_that_are_doubtful():
    post = b'POST /h/echo ' + H
    for name, fields, body in (
            ('CL and TE', b'Content-Length: 3\r\nTransfer-Encoding: chunked', b'0\r\n\r\n'),
            ('CL twice the same', b'Content-Length: 3\r\nContent-Length: 3', b'abc'),
            ('CL list', b'Content-Length: 3, 3', b'abc'), ('CL hex', b'Content-Length: 0x3', b'abc'), ('CL empty', b'Content-Length: ', b''),
            ('CL too large', b'Content-Length: 99999999999999999999', b''), ('TE space', b'Transfer-Encoding : chunked', b'0\r\n\r\n'),
            ('TE VT', b'Transfer-Encoding:\x0bchunked', b'0\r\n\r\n'), ('TE list', b'Transfer-Encoding: identity, chunked', b'0\r\n\r\n'),
            ('TE gzip', b'Transfer-Encoding: gzip, chunked', b'0\r\n\r\n'), ('obs-fold', b'X: y\r\n Transfer-Encoding: chunked', b'0\r\n\r\n'),
            ('chunk too large', b'Transfer-Encoding: chunked', b'ffffffffffffffff1\r\nabc\r\n0\r\n\r\n'),
            ('junk behind a chunk', b'Transfer-Encoding: chunked', b'3\r\nabcXX0\r\n\r\n')):
        refused(name, post + fields + b'\r\n\r\n' + body)


@tap.test
def chunks_that_two_readers_take_differently():
    """RFC 9112 7.1; on the route whose bodies are collected, and on that which takes them as they come."""
    for body in (b'3\nabc\r\n0\r\n\r\n', b'3\r\nabc\n0\r\n\r\n', b'3\r\nabc\r\n0\n\r\n', b'3\r\nabc\r\n0\r\n\n', b'3;a\nabc\r\n0\r\n\r\n', b'3;a\rb\r\nabc\r\n0\r\n\r\n',
                 b'3\rabc\r\n0\r\n\r\n', b'3\r\nabc\r\r\n0\r\n\r\n', b'0x3\r\nabc\r\n0\r\n\r\n', b'+3\r\nabc\r\n0\r\n\r\n', b' 3\r\nabc\r\n0\r\n\r\n', b'3_0\r\nabc\r\n0\r\n\r\n',
                 b'3\0\r\nabc\r\n0\r\n\r\n', b'\r\nabc\r\n0\r\n\r\n', b'3\r\nabc\r\n0\r\nX: y\n\r\n', b'3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n', b'3\r\nabc\r\n0\r\nGET /small.mpd HTTP/1.1\r\nHost: x\r\n\r\n'):
        for path in (b'/h/echo', b'/take'):
            refused(f'{path} {body}', b'POST ' + path + b' ' + H + b'Transfer-Encoding: chunked\r\n\r\n' + body)
    for path, want in ((b'/h/echo', b'body=abc'), (b'/take', b'3 ')):
        got = everything(P, b'POST ' + path + b' ' + H + b'Transfer-Encoding: chunked\r\n\r\n3;a=b;c="d"\r\nabc\r\n0\r\nX-Trailer: y\r\n\r\n' + NEXT)
        tap.check(want in got and b'q=next' in got, f'{path}: {got}')


@tap.test
def metrics_in_the_format_that_is_asked_for():
    text, openmetrics = 'text/plain; version=0.0.4; charset=utf-8', 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    accepts = {None: text, '*/*': text, 'text/plain': text, 'application/openmetrics-text': openmetrics, 'application/openmetrics-text;q=0': text,
               'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2': openmetrics,
               'application/openmetrics-text;q=0.1, text/plain;q=0.5': text}
    for accept, want in accepts.items():
        r = get(P, '/metrics', **({'Accept': accept} if accept else {}))
        tap.equal((r.status, r.fields['content-type']), (200, want), accept)
        body = r.body.decode()
        tap.equal(body.endswith('\n# EOF\n'), want == openmetrics, 'the end')
        tap.equal('# TYPE ribera_http_connections counter\n' in body, want == openmetrics, 'the name of a family')
        tap.equal('# TYPE ribera_http_connections_total counter\n' in body, want == text)
        tap.has(body, '\nribera_http_connections_total ')
        tap.has(body, '\n# TYPE ribera_http_reply_seconds histogram\n')


@tap.test
def close_is_obeyed_whatever_stands_beside_it():
    for fields in (b'Connection: close', b'Connection: keep-alive, close', b'connection: CLOSE , te', b'Connection: keep-alive\r\nConnection: close'):
        for path in (b'/small.mpd', b'/big.mp4', b'/h/echo', b'/nothing'):
            with connect(P) as s, s.makefile('rb') as f:
                s.sendall(b'GET ' + path + b' ' + H + fields + b'\r\n\r\n')
                tap.equal(read_reply(f).fields['connection'], 'close', str(fields + path))
                tap.equal(f.read(), b'', str(fields + path))


@tap.test
def bodies_that_are_not_taken_get_a_whole_answer():
    huge = b'POST /h/echo ' + H + b'Content-Length: 99999999999\r\n\r\n'
    chunks = b'POST /h/echo ' + H + b'Transfer-Encoding: chunked\r\n\r\n' + (b'10000\r\n' + bytes(65536) + b'\r\n') * 40
    for raw, status in ((huge + NEXT, 413), (chunks, 413), (b'POST /h/echo ' + H + b'Content-Length: 3\r\nExpect: a miracle\r\n\r\nabc' + NEXT, 417)):
        with connect(P) as s, s.makefile('rb') as f:
            try:
                s.sendall(raw)
            except OSError:
                pass  # it need not be read to its end
            r = read_reply(f)
            tap.equal((r.status, r.fields['connection'], r.fields['cache-control'], r.fields['access-control-allow-origin']), (status, 'close', 'no-store', '*'), r.fields)
            tap.check(len(r.body) > 0 and len(r.fields['x-request-id']) == 32, r.fields)
    tap.equal(get(P, '/small.mpd').status, 200)


@tap.test
def what_is_too_long():
    tap.equal(get(P, '/' + 'a' * 9000).status, 414)
    tap.equal(get(P, '/small.mpd?' + 'a' * 9000).status, 414)
    tap.equal(get(P, '/small.mpd', X='a' * 40000).status, 431)
    tap.equal(get(P, '/' + 'a' * 100_000).status, 414)
    tap.equal(get(P, '/small.mpd', **{f'x{i}': '1' for i in range(90)}).status, 200)
    tap.equal(get(P, '/small.mpd', **{f'x{i}': '1' for i in range(120)}).status, 431)
    tap.equal(get(P, '/small.mpd?' + 'a' * 8000).status, 200)
    refused('half a megabyte of fields', b'GET / ' + H + b'X: ' + b'a' * 500_000 + b'\r\n\r\n', 431)
    refused('a head of 120 fields', b'GET / ' + H + b'X: a\r\n' * 120 + b'\r\n', 431)
    refused('half a megabyte of path', b'GET /' + b'a' * 500_000, 414)
    refused('half a megabyte of a method', b'a' * 500_000, 414)
    refused('no end, in small pieces', b'GET / ' + H + b'X: a\r\n' * 9_000, 431)


@tap.test
def heads_that_cannot_be_read_get_a_whole_answer():
    before = S.metric('ribera_http_refused_total{reason="framing"}')
    heads = (b'GET /small.mpd HTTP/1.1\r\nHost x\r\n\r\n', b'GET /small.mpd ' + H + b'A : b\r\n\r\n', b'GET /small.mpd ' + H + b': b\r\n\r\n', b'GET /small.mpd ' + H + b'A: b\0c\r\n\r\n',
             b'GET /small.mpd HTTP/2.0\r\nHost: x\r\n\r\n', b'GET /small.mpd FTP/1.1\r\nHost: x\r\n\r\n', b'GET /small.mpd\r\nHost: x\r\n\r\n', b'GET  /small.mpd HTTP/1.1\r\nHost: x\r\n\r\n',
             b' /small.mpd ' + H + b'\r\n', b'G(T /small.mpd ' + H + b'\r\n', b'GET /a\0b ' + H + b'\r\n', b'\x16\x03\x01\x02\0\1\0\1\xfc\r\n\r\n', b'GET / ' + H + b'X: a\r\n' * 120 + b'\r\n')
    for head in heads:
        with connect(P) as s, s.makefile('rb') as f:
            s.sendall(head + NEXT)
            r = read_reply(f)
            tap.equal(r.status, 431 if b'X: a' in head else 505 if b'HTTP/2.0' in head else 400, head)
            tap.check(re.fullmatch(r'\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT', r.fields['date']), r.fields)
            tap.equal((r.fields['connection'], r.fields['cache-control'], r.fields['access-control-allow-origin']), ('close', 'no-store', '*'), head)
            tap.check(len(r.body) > 0 and len(r.fields['x-request-id']) == 32, r.fields)
    tap.equal(S.metric('ribera_http_refused_total{reason="framing"}'), before + len(heads), 'they are counted')
    # an error in the middle of a pipeline: what was asked before it is answered, nothing behind it is
    got = everything(P, b'GET /small.mpd ' + H + b'\r\n' + b'HEAD /small.mpd ' + H + b'\r\n' + heads[0] + NEXT)
    tap.equal((re.findall(rb'HTTP/1.1 (\d+) ', got), b'q=next' in got), ([b'200', b'200', b'400'], False))
    # HTTP/1.0 knows no 100 (RFC 9110 10.1.1)
    got = everything(P, b'POST /h/echo HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc')
    tap.check(got.startswith(b'HTTP/1.1 200 ') and got.endswith(b'body=abc'), got[:100])


@tap.test
def methods_and_preflight():
    for method in ('POST', 'PUT', 'DELETE', 'PATCH', 'TRACE'):
        r = get(P, '/small.mpd', method, Content_Length=0)
        tap.equal((r.status, r.fields.get('allow')), (405, 'GET, HEAD, OPTIONS'), method)
    for method in ('PROPFIND', 'BREW', 'get', 'GETS'):  # RFC 9110 9.1
        r = get(P, '/small.mpd', method, Content_Length=0)
        tap.equal((r.status, r.fields.get('allow')), (501, None), method)
    tap.equal(ask(P, b'CONNECT x:80 ' + H + b'\r\n').status, 501, 'no tunnels')
    r = get(P, '/small.mpd', 'OPTIONS', Origin='http://a', Access_Control_Request_Method='GET', Access_Control_Request_Headers='range')
    tap.equal((r.status, r.fields['access-control-allow-origin'], r.fields['access-control-allow-headers']), (204, '*', 'range'))
    tap.check(int(r.fields['access-control-max-age']) > 0)
    for path, fields in (('/small.mpd', {}), ('/nope', {}), ('/small.mpd', dict(Range='bytes=9999-'))):
        exposed = get(P, path, Origin='http://a', **fields).fields['access-control-expose-headers']
        for name in ('Content-Range', 'Content-Length', 'Date', 'Age', 'ETag', 'Cache-Status', 'Server-Timing'):
            tap.has(exposed, name)


@tap.test
def fields_that_tell():
    for fields, status in (({}, 200), (dict(Range='bytes=0-1'), 206), (dict(If_None_Match='*'), 304)):
        r = get(P, '/small.mpd', **fields)
        tap.equal(r.status, status)
        tap.equal(r.fields['cache-status'], 'serve-test;hit')
        tap.check(re.fullmatch(r'cache;desc=hit;dur=\d+\.\d{3}', r.fields['server-timing']), r.fields['server-timing'])
        tap.check('date' in r.fields and 'etag' in r.fields and 'cache-control' in r.fields, str(r.fields))
    etag = get(P, '/small.mpd').fields['etag']
    for fields, status in ((dict(If_Match='"x"'), 412), (dict(Range='bytes=9999-'), 416), (dict(Range='bytes=-0'), 416)):
        r = get(P, '/small.mpd', **fields)
        tap.equal((r.status, r.fields['etag'], r.fields['cache-status'], r.fields['cache-control']), (status, etag, 'serve-test;hit', 'no-store'), fields)
    for path, fields in (('/small.mpd', {}), ('/small.mpd', dict(If_None_Match='*')), ('/small.mpd', dict(If_Match='"x"')), ('/nope', {}), ('/%zz', {}), ('/' + 'a' * 9000, {})):
        a, b = (get(P, path, method, **fields) for method in ('GET', 'HEAD'))  # RFC 9110 9.3.2
        tap.equal((a.status, sorted(a.fields), a.fields.get('content-length')), (b.status, sorted(b.fields), b.fields.get('content-length')), f'HEAD {path[:20]}')
    r = get(P, '/grow/small.mpd')
    tap.has(r.fields['server-timing'], 'cache;desc=miss;dur=')


@tap.test
def expect_100_continue():
    with connect(P) as s, s.makefile('rb') as f:
        s.sendall(b'POST /h/echo ' + H + b'Content-Length: 3\r\nExpect: 100-continue\r\n\r\n')
        tap.equal(read_reply(f).status, 100)
        s.sendall(b'abc')
        r = read_reply(f)
        tap.check(r.status == 200 and r.body.endswith(b'body=abc'), str(r.body))
        s.sendall(b'GET /small.mpd ' + H + b'Expect: 100-continue\r\n\r\n')  # no body to come: no 100
        tap.equal(read_reply(f).status, 200)


@tap.test
def pipelines_in_pieces():
    wants = [('/big.mp4', 0, 0), ('/small.mpd', 5, 99), ('/grow/small.mpd', 0, 5999), ('/big.mp4', 100, 900_000)] * 8
    raw = b''.join(b'GET %s %sRange: bytes=%d-%d\r\n\r\n' % (p.encode(), H, a, b) for p, a, b in wants)
    with connect(P) as s, s.makefile('rb') as f:
        at = 0
        while at < len(raw):
            n = rnd.randrange(1, 400)
            s.sendall(raw[at:at + n])
            at += n
        for p, a, b in wants:
            r = read_reply(f)
            tap.equal((r.status, r.body == (big if 'big' in p else small)[a:b + 1]), (206, True), p)


@tap.test
def small_replies_are_the_same_alone_and_in_a_row():
    # one that comes alone goes out in one write of ours, one with another behind it by h2o
    etag = get(P, '/small.mpd').fields['etag']
    def replies(*raw):
        got = []
        with connect(P) as s, s.makefile('rb') as f:
            for part in raw:
                s.sendall(part)
                for _ in range(part.count(b'HTTP/1.1')):
                    head = list(iter(f.readline, b'\r\n'))
                    length = 0 if part.startswith(b'HEAD') or b' 304 ' in head[0] else int(next(line for line in head if line.startswith(b'Content-Length')).split()[1])
                    got.append(([re.sub(rb'(?i)((date|timing|x-request-id): ).*', rb'\1', line) for line in head], f.read(length)))
        return got
    for method, fields in (('GET', ''), ('HEAD', ''), ('GET', 'Range: bytes=5-99\r\n'), ('GET', 'Range: bytes=1-2,5000-5001\r\n'), ('GET', f'If-None-Match: {etag}\r\n')):
        raw = f'{method} /small.mpd HTTP/1.1\r\nHost: x\r\n{fields}'.encode()
        raw += b'\r\n'
        alone, row = replies(raw, raw), replies(raw + raw)
        tap.equal(alone, row, method + fields)
        tap.check(len(alone) == 2 and b'Connection: keep-alive\r\n' in alone[0][0], str(alone[0][0]))


@tap.test
def names_of_any_letters_are_in_the_log():
    global odd_names
    odd_names = ['/' + 'n' * i + c + 'm' * 9 for i in range(18) for c in '"|~^ '.replace(' ', '')] + [f'/{"x" * i}%5C%22' for i in range(9)]
    for name in odd_names:
        tap.check(get(P, name).status in (400, 404), name)


@tap.test
def small_replies_that_do_not_fit_are_whole():
    done = 'ribera_http_replies_total{code="206"}'
    with socket.socket() as s, s.makefile('rb') as f:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.connect(('127.0.0.1', P))
        asked = []
        while len(asked) < 2000:
            before, start = S.metric(done), rnd.randrange(len(big) - 16384)
            s.sendall(b'GET /big.mp4 ' + H + b'Range: bytes=%d-%d\r\n\r\n' % (start, start + 16383))
            asked.append(start)
            end = time.monotonic() + 1
            while S.metric(done) == before and time.monotonic() < end:
                pass
            if S.metric(done) == before:
                break  # this one is on its way in part
        tap.check(2 < len(asked) < 2000, f'{len(asked)} until there was no room')
        for start in asked:
            r = read_reply(f)
            tap.equal((r.status, r.body == big[start:start + 16384]), (206, True), start)


@tap.test
def a_viewer_who_leaves_while_waiting_is_noticed():
    left = 'ribera_http_cut_total{reason="left"}'
    before = S.metric(left)
    quiet = [connect(P) for _ in range(20)]
    for s in quiet:
        s.sendall(b'GET /stuck/big.mp4 ' + H + b'\r\n')
        tap.check(s.recv(1000).startswith(b'HTTP/1.1 200'))
    for s in quiet:
        s.close()
    tap.until(lambda: S.metric(left) >= before + 20, 3, 'the end of all of them')


@tap.test
def the_log_of_a_reply_that_was_cut_tells_what_arrived():
    for i in range(2):  # by a reset, and by an end that becomes one
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1 - i, 0))
            s.settimeout(20)
            s.connect(('127.0.0.1', P))
            s.sendall(f'GET /large.mp4?CMCD=sid%3D%22cut{i}%22 '.encode() + H + b'\r\n')
            head = s.recv(2000).index(b'\r\n\r\n') + 4
            tap.until(lambda: received(s) > 20_000, 10, 'some of it')
            cut[f'cut{i}'] = received(s) - head
        tap.until(lambda: f'cut{i}' in open(S.log).read(), 10, 'its line in the log')


@tap.test
def a_file_that_is_cut_short_ends_its_reply():
    tap.equal(get(P, '/short.mp4').body, big)  # it is open now
    for n in (1_000_000, 0):
        os.truncate(os.path.join(root, 'short.mp4'), n)
        for _ in range(3):
            head, body = everything(P, b'GET /short.mp4 ' + H + b'\r\n').split(b'\r\n\r\n', 1)
            tap.check(head.startswith(b'HTTP/1.1 200 ') and body == big[:n], f'{len(body)} of {n}: {head[:80]}')
    tap.equal(get(P, '/small.mpd').body, small)


def received(s):
    return struct.unpack_from('Q', s.getsockopt(socket.IPPROTO_TCP, 11, 256), 128)[0]  # tcpi_bytes_received


cut = {}


def closed(port):
    try:
        connect(port).close()
    except OSError:
        return True


@tap.test
def h2_a_viewer_who_has_just_come_is_not_shown_the_door_before_it_asked():
    for _ in range(5):
        s, start = Server(root), time.monotonic()
        with H2(s.port) as c:
            tap.equal(next(c.frames())[0], SETTINGS)
            s.p.send_signal(signal.SIGTERM)
            tap.until(lambda: closed(s.port), 10, 'the closed door')
            stream, late = c.request(plain()), time.monotonic() - start > 0.4
            kinds = []
            for kind, flags, of, _ in c.frames():
                kinds.append(kind)
                if kind == GOAWAY or (of == stream and kind == DATA and flags & 1):
                    break
        tap.equal(s.p.wait(20), 0)
        if not late or GOAWAY not in kinds:  # a machine that took so long shows nothing: once more
            break
    tap.check(GOAWAY not in kinds and DATA in kinds, kinds)


def asked_late(s, sock, before, runs):
    """The reply that runs, if one does; is the next request answered, as the last of its connection, more than `before` seconds after the server was told to end?"""
    s.p.send_signal(signal.SIGTERM)
    told = time.monotonic()
    tap.until(lambda: closed(s.port) and time.monotonic() > told + before, 10, 'the closed door')
    with sock, sock.makefile('rb') as f:
        first = read_reply(f) if runs else None
        late = time.monotonic() - told
        try:
            sock.sendall(b'GET /small.mpd ' + H + b'\r\n')
            reply = read_reply(f)
        except OSError:
            reply = None
    tap.equal(s.p.wait(20), 0)
    tap.check(reply is None or (reply.status, reply.fields['connection']) == (200, 'close'), reply and reply.fields)
    return first, reply is not None, late


@tap.test
def a_viewer_who_still_reads_its_reply_may_ask_for_another():
    s, sock = Server(root), socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    sock.settimeout(10)
    sock.connect(('127.0.0.1', s.port))
    sock.sendall(b'GET /big.mp4 HTTP/1.1\r\nHost: x\r\nRange: bytes=0-99999\r\n\r\n')
    tap.until(lambda: s.metric('ribera_http_body_bytes_total') >= 100_000, 5, 'the end of the reply in the server')
    first, answered, _ = asked_late(s, sock, 0.8, True)
    tap.equal(first.body, big[:100_000])
    tap.check(answered, 'a connection that ended under its request')


@tap.test
def a_viewer_who_has_just_come_may_ask():
    for _ in range(5):
        s, begun = Server(root), time.monotonic()
        _, answered, late = asked_late(s, connect(s.port), 0.8, False)
        if answered or time.monotonic() - begun < 1.5:  # a machine that took so long shows nothing: once more
            break
    tap.check(answered, f'{late} s')


@tap.test
def h2_malformed_requests_are_refused():
    odd = {
        'upper case': ('X-Up', '1'), 'connection': ('connection', 'close'), 'te': ('te', 'chunked'), 'coding': ('transfer-encoding', 'chunked'),
        'upgrade': ('upgrade', 'h2c'), 'keep-alive': ('keep-alive', '1'), 'proxy': ('proxy-connection', '1'), 'CRLF': ('x', 'a\r\nb: c'),
        'LF': ('x', 'a\nb'), 'NUL': ('x', 'a\0b'), 'CRLF in a name': ('x\r\ny', 'b'), 'colon': ('x:y', 'b'), 'space': ('x y', 'b'),
        'no name': ('', 'b'), 'second path': (':path', '/x'), 'second method': (':method', 'POST'),
        'a blank in front': ('x', ' b'), 'a blank behind': ('x', 'b\t'), 'unknown pseudo': (':foo', 'x'), ':status': (':status', '200'),
    }
    requests = {name: plain('/small.mpd', 'GET', field) for name, field in odd.items()}
    for missing in range(3):
        requests[f'without {plain()[missing][0]}'] = [x for i, x in enumerate(plain()) if i != missing]
    requests['an empty authority'] = [*plain()[:3], (':authority', '')]  # RFC 9113 8.3.1
    requests['a target of another'] = plain('http://y/small.mpd')
    requests['pseudo behind'] = [plain()[0], plain()[1], ('x', 'y'), plain()[2], plain()[3]]
    for path in ('', '*', 'x', '/../x', '/a%2fb', '/%00', '/small.mpd\0', '/small.mpd HTTP/1.1\r\nA: b'):
        requests[f'path {path!r}'] = plain(path)
    requests['method'] = plain('/small.mpd', 'GET /x HTTP/1.1\r\nA: ')
    for name, fields in requests.items():
        with H2(P) as c:
            status = c.answer(c.request(fields))[0]
        tap.check(status in (400, 'reset', 'goaway'), f'{name}: {status}')
    with H2(P) as c:
        tap.check(b'host=x ' in c.answer(c.request(plain('/h/echo', 'GET', ('host', 'y'))))[1], 'the host of the authority')
    with H2(P) as c:
        tap.check(c.answer(c.request(plain('/h/echo', 'POST', ('content-length', '3'), ('content-length', '4')), b'abc'))[0] in (400, 'reset', 'goaway'), 'two lengths')
    for name, length in (('short', '10'), ('long', '1'), ('negative', '-3'), ('list', '3, 3')):
        with H2(P) as c:
            status = c.answer(c.request(plain('/h/echo', 'POST', ('content-length', length)), b'abc'))[0]
        tap.check(status in (400, 'reset', 'goaway'), f'length {name}: {status}')
    for fields in (plain(), plain('/small.mpd', 'GET', ('te', 'trailers')), plain('/small.mpd', 'GET', ('host', 'x'))):
        with H2(P) as c:
            tap.equal(c.answer(c.request(fields)), (200, small), str(fields))
    with H2(P) as c:
        tap.equal(c.answer(c.request(plain('/' + 'a' * 9000)))[0], 414)
    with H2(P) as c:
        tap.equal(c.answer(c.request(plain('/small.mpd', 'GET', *[(f'x{i}', 'a' * 4000) for i in range(10)])))[0] in (431, 'reset', 'goaway'), True)


@tap.test
def h2_what_is_too_much_gets_a_whole_answer():
    for more in ([(f'x{i}', '1') for i in range(101)], [(f'x{i}', 'a' * 4000) for i in range(9)]):
        with H2(P) as c:
            tap.equal(c.answer(c.request(plain('/small.mpd', 'GET', *more)))[0], 431, len(more))
            tap.equal(c.answer(c.request(plain('/small.mpd', 'GET', *[(f'x{i}', '1') for i in range(90)]))), (200, small), 'and the connection goes on')
    chunk = bytes(16384)
    with H2(P) as c:
        neighbour, too_large, left = c.request(plain('/h/echo?q=neighbour', 'POST'), end=False), c.request(plain('/h/echo', 'POST'), end=False), {}
        seen, rounds = [], 0
        for _ in range(70):  # more than the limit of 1 MiB, and some of it behind the answer; none of the windows is in the way
            c.s.sendall(frame(DATA, 0, too_large, chunk))
        c.s.sendall(frame(DATA, 1, neighbour, b'still here') + frame(PING, 0, 0, b'12345678'))
        for kind, flags, stream, payload in c.frames():
            if kind == PING:
                rounds += 1
                if rounds == 2:
                    tap.check(not any(kind == RST for kind, *_ in seen), 'a client has time to read the answer')
                elif rounds == 4:
                    break
                c.s.sendall(frame(DATA, 0, too_large, b'abc') * (3 if rounds == 1 else 300) + frame(PING, 0, 0, b'12345678'))
            else:
                seen.append((kind, flags, stream, payload))
        mine = [(kind, flags, payload) for kind, flags, stream, payload in seen if stream == too_large and kind in (HEADERS, DATA, RST)]
        tap.equal([kind for kind, *_ in mine], [HEADERS, DATA, RST], 'a whole answer, then the end of it')
        tap.equal((status_of(mine[0][2]), mine[1], mine[2][2]), (413, (DATA, 1, b'413 Content Too Large\n'), bytes(4)), 'NO_ERROR (RFC 9113 8.1)')
        tap.check(any(kind == DATA and stream == neighbour and b'still here' in payload for kind, _, stream, payload in seen), 'the other stream')
        tap.equal(c.answer(c.request(plain())), (200, small), 'the connection afterwards')
    for _ in range(3):  # given up at odd moments
        with H2(P) as c:
            stream = c.request(plain('/h/echo', 'POST'), end=False)
            c.s.sendall(frame(DATA, 0, stream, chunk) * 66 + (frame(RST, 0, stream, struct.pack('>I', 8)) if _ else b''))
    for _ in range(20):  # an answer that only sometimes is seen is none
        out = tap.call('curl', '-s', '--http2-prior-knowledge', '--data-binary', '@' + os.path.join(root, 'big.mp4'), '-w', '%{http_code}', f'http://127.0.0.1:{P}/h/echo?secret')
        tap.equal((out.stdout, out.returncode), ('413 Content Too Large\n413', 0), 'curl')


@tap.test
def h2_heads_that_grow_as_they_are_read():
    """A field of the table costs its sender a byte each time (RFC 7541 7.3); what is held of it here meanwhile is bounded."""
    def memory():
        with open(f'/proc/{S.p.pid}/status') as f:
            return int(next(line for line in f if line.startswith('VmRSS')).split()[1]) >> 10

    def begin(name, value):
        c = H2(P, struct.pack('>HI', 4, 0))  # no window: whatever is answered stays
        literal = block([(name, value)])
        c.s.sendall(frame(HEADERS, 5, c.next, block(plain('/none')) + b'\x40' + literal[1:]))  # into the table, at 62
        c.next += 2
        return c

    def answers(c, n):
        """The statuses of so many, or of those before the end of the connection, and whether that has come."""
        got = []
        try:
            for kind, flags, stream, payload in c.frames():
                if kind == HEADERS:
                    got.append(status_of(payload))
                if kind == GOAWAY or len(got) == n:
                    return got, kind == GOAWAY
        except OSError:
            pass
        return got, True
    before = memory()
    with begin('if-none-match', '"' + 'a' * 320 + '"') as c:
        c.s.sendall(b''.join(frame(HEADERS, 5, s, block(plain('/big.mp4')) + b'\xbe' * 94) for s in range(c.next, c.next + 190, 2)))
        tap.equal(answers(c, 96), ([404] + [200] * 95, False), 'lists of 94 lines')
        tap.check(memory() - before < 30, f'{memory() - before} MB of lists')
    with begin('x', 'y') as c:
        for s in range(c.next, c.next + 20, 2):
            try:
                c.s.sendall(frame(HEADERS, 1, s, block(plain('/big.mp4')) + b'\xbe' * 15000) + frame(CONTINUATION, 0, s, b'\xbe' * 16384) * 20 + frame(CONTINUATION, 4, s, b'\xbe' * 16384))
            except OSError:
                break
        tap.equal(answers(c, 11)[1], True, 'the connection ends')
        tap.check(memory() - before < 30, f'{memory() - before} MB of fields')
    for n, want in ((90, (200, small)), (240, 431)):
        with begin('x', 'y') as c:
            c.s.sendall(frame(SETTINGS, 0, 0, struct.pack('>HI', 4, 65535)) + frame(HEADERS, 5, c.next, block(plain()) + b'\xbe' * n))
            got = c.answer(c.next)
            tap.equal(got if n == 90 else got[0], want, f'{n} fields')


def head_of(c, stream):
    """The header block of a reply, which is read to its end."""
    head = b''
    for kind, flags, of, payload in c.frames():
        if of == stream and kind == HEADERS:
            head = payload
        if of == stream and flags & 1:
            return head


@tap.test
def h2_after_a_rest():
    """What the server forgets of its fields while nothing is asked is nothing that the viewer's decoder misses."""
    want = {k.lower(): v for k, v in get(P, '/small.mpd').fields.items() if k.lower() not in ('connection', 'date', 'server-timing', 'x-request-id')}
    want[':status'] = '200'
    with H2(P, struct.pack('>HI', 4, 1 << 30)) as c:
        c.s.sendall(frame(WINDOW, 0, 0, struct.pack('>I', 1 << 30)))
        inflater, sizes = Inflater(), []
        for rest in (0, 0, 3, 0, 3):
            time.sleep(rest)
            for i in range(40):  # more than either table holds
                head = head_of(c, c.request(plain()))
                found = dict(inflater.fields(head))
                tap.equal({k: found.get(k) for k in want}, want, f'reply {i} after {rest} s')
                if i == 0:
                    sizes.append(len(head))
            c.s.sendall(frame(PRIORITY, 0, c.next, struct.pack('>IB', 0, 15)))  # of a stream that is to come: it is in the tree meanwhile
        inflater.close()
    tap.check(sizes[1] < sizes[0] and sizes[3] < sizes[2], f'fields told before are not told again: {sizes}')
    tap.check(sizes[2] > sizes[0] - 20 and sizes[4] > sizes[0] - 20, f'a connection that rests holds none of them: {sizes}')


@tap.test
def h2_streams_take_turns():
    window = struct.pack('>HI', 4, 1 << 30)
    with H2(P, window) as c:
        c.s.sendall(frame(WINDOW, 0, 0, struct.pack('>I', 1 << 30)))
        streams = [c.request(plain('/big.mp4')) for _ in range(3)]
        got, ended = dict.fromkeys(streams, 0), []
        for kind, flags, stream, payload in c.frames():
            if kind == DATA:
                got[stream] += len(payload)
                if flags & 1:
                    ended.append(dict(got))
                    if len(ended) == 3:
                        break
        tap.equal(got, dict.fromkeys(streams, len(big)))
        tap.check(min(ended[0].values()) > len(big) // 2, f'when the first was done: {ended[0]}')


def let(c, stream, n):
    c.s.sendall(frame(WINDOW, 0, 0, struct.pack('>I', n)) + (frame(WINDOW, 0, stream, struct.pack('>I', n)) if stream else b''))


def setting(c, key, value):
    c.s.sendall(frame(SETTINGS, 0, 0, struct.pack('>HI', key, value)))


@tap.test
def h2_a_small_reply_does_not_wait_for_a_large_one():
    with H2(P, struct.pack('>HI', 4, 1 << 30)) as c:
        large, got, small_at, asked_at = c.request(plain('/big.mp4')), 0, None, None
        for kind, flags, stream, payload in c.frames():  # the connection's window is the player's: bytes come as it lets them
            if kind == DATA:
                let(c, 0, max(1, len(payload)))
                got += len(payload) if stream == large else 0
            if stream == large and got > 500_000 and asked_at is None:
                asked_at, quick = got, c.request(plain())
            if asked_at and stream == quick and flags & 1 and kind == DATA:
                small_at = got
                break
        tap.check(small_at - asked_at < 300_000, f'{small_at - asked_at} bytes of the large one first')


@tap.test
def h2_windows_as_small_as_they_come():
    with H2(P, struct.pack('>HI', 4, 7)) as c:
        tap.equal(c.answer(c.request(plain())), (200, small), 'seven bytes at a time')
    # SETTINGS change the windows of streams that run (RFC 9113 6.9.2): more, then so little that it is negative
    with H2(P, struct.pack('>HI', 4, 1000)) as c:
        stream, body, steps = c.request(plain()), b'', [(1000, lambda: setting(c, 4, 3000)), (3000, lambda: setting(c, 4, 10)), (3000, lambda: (let(c, stream, 2900), c.s.sendall(frame(PING, 0, 0, b'negative')))), (3000, lambda: let(c, stream, 91)),
                                                (3001, lambda: setting(c, 4, 100000))]
        for kind, flags, of, payload in c.frames():
            if kind == DATA and of == stream:
                body += payload
                if flags & 1:
                    break
            tap.check(not steps or len(body) <= steps[0][0], f'{len(body)} bytes, with room for {steps and steps[0][0]}')
            acked = kind in (SETTINGS, PING) and flags & 1
            if steps and len(body) == steps[0][0] and (kind == DATA or acked):
                steps.pop(0)[1]()
        tap.equal(body == small, True, 'the body')
    for bad in (struct.pack('>HI', 4, 1 << 31), b'12345'):  # RFC 9113 6.5.2, 6.5
        with H2(P) as c:
            c.s.sendall(frame(SETTINGS, 0, 0, bad))
            tap.equal(c.answer(c.request(plain()))[0] in ('goaway', 'closed'), True, bad)
    with H2(P) as c:  # 6.9.1: a window past 2^31-1 ends the stream or the connection
        stream = c.request(plain('/stuck/big.mp4'))
        let(c, stream, 0x7fffffff)
        tap.check(c.answer(stream)[0] in ('goaway', 'closed', 'reset', 200), 'no more windows')
    tap.equal(get(P, '/small.mpd').body, small)


@tap.test
def h2_weights_and_dependencies():
    def race(*priorities):
        """Bytes of each when the first has ended; the connection's window is what there is to share."""
        with H2(P, struct.pack('>HI', 4, 1 << 30)) as c:
            streams = [c.request(plain('/big.mp4'), priority=struct.pack('>IB', on, weight - 1)) for on, weight in priorities]
            got, ends = dict.fromkeys(streams, 0), set()
            for kind, flags, stream, payload in c.frames():
                if kind == DATA and stream in got:
                    got[stream] += len(payload)
                    let(c, 0, max(1, len(payload)))
                    if flags & 1:
                        return [got[s] for s in streams]
    heavy, light = race((0, 256), (0, 16))
    tap.check(heavy == len(big) and light < heavy // 2, f'256 to 16: {heavy}, {light}')
    a, b = race((0, 16), (0, 16))
    tap.check(min(a, b) > len(big) * 3 // 4, f'alike: {a}, {b}')
    parent, child = race((0, 16), (1, 256))
    tap.check(parent == len(big) and child < len(big) // 2, f'a child waits for its parent: {parent}, {child}')
    with H2(P) as c:  # RFC 7540 5.3.1: on itself; in a ring; on what never was
        c.s.sendall(b''.join(frame(PRIORITY, 0, s, struct.pack('>IB', on, 5)) for s, on in ((3, 5), (5, 3), (7, 1 << 31 | 3), (9, 1001))))
        tap.equal(c.answer(c.request(plain(), priority=struct.pack('>IB', 9, 1)))[0], 200, 'a ring')
    with H2(P) as c:
        tap.check(c.answer(c.request(plain(), priority=struct.pack('>IB', 1, 1)))[0] in ('reset', 'goaway', 'closed'), 'on itself')
    tap.equal(get(P, '/small.mpd').body, small)


def flood(c, make, reads, others):
    """Sends what make() gives until the server ends the connection; how much that was, or None when it does not."""
    c.s.setblocking(False)
    sent, rest, end, answered = 0, b'', time.monotonic() + 15 * tap.PATIENCE, 0
    while time.monotonic() < end:
        try:
            if reads:
                while chunk := c.s.recv(1 << 20):
                    pass
                if chunk == b'':
                    return sent
        except BlockingIOError:
            pass
        except OSError:
            return sent
        try:
            rest = rest or make(c)
            n = c.s.send(rest)
            sent, rest = sent + n, rest[n:]
        except BlockingIOError:
            pass
        except OSError:
            return sent
        if sent >> 19 > answered:
            answered = sent >> 19
            others()
        time.sleep(0.005)
    return None


def begun(c, head, make):
    """A stream's head first, then what make() gives."""
    if c.next > 1:
        return make()
    c.next = 3
    return head


@tap.test
def h2_floods_end_their_connection_and_hold_nobody_up():
    post, get_ = frame(HEADERS, 4, 1, block(plain('/h/echo', 'POST'))), frame(HEADERS, 1, 1, block(plain()))

    def resets(c):
        c.next, first = c.next + 400, c.next
        return b''.join(frame(HEADERS, 5, s, block(plain('/big.mp4'))) + frame(RST, 0, s, struct.pack('>I', 8)) for s in range(first, first + 400, 2))
    floods = {  # ended within a second or two
        'resets': resets, 'pings': lambda c: frame(PING, 0, 0, b'12345678') * 2000, 'answers to pings': lambda c: frame(PING, 1, 0, b'12345678') * 2000,
        'settings': lambda c: frame(SETTINGS, 0, 0) * 4000, 'settings that change windows': lambda c: frame(SETTINGS, 0, 0, struct.pack('>HI', 4, 65535) * 100) * 50,
        'answers to settings': lambda c: frame(SETTINGS, 1, 0) * 4000, 'windows': lambda c: frame(WINDOW, 0, 0, struct.pack('>I', 1)) * 2000,
        'priorities': lambda c: frame(PRIORITY, 0, 1, struct.pack('>IB', 0, 15)) * 2000,
        'frames of no known type': lambda c: frame(99, 0, 0, b'x' * 50) * 500,
        'continuations': lambda c: begun(c, get_, lambda: frame(CONTINUATION, 0, 1, block([('x', 'y' * 4000)])) * 8)}
    slow = {  # behind a request that has begun: ended as one that drips
        'continuations of nothing': lambda c: begun(c, get_, lambda: frame(CONTINUATION, 0, 1) * 4000),
        'a body of nothing': lambda c: begun(c, post, lambda: frame(DATA, 0, 1) * 4000),
        'a body of padding': lambda c: begun(c, post, lambda: frame(DATA, 8, 1, b'\xff' + bytes(255)) * 100)}

    def memory(server):
        with open(f'/proc/{server.p.pid}/status') as f:
            return int(next(line for line in f if line.startswith('VmRSS')).split()[1]) >> 10

    quick = Server(root, '--idle', '1s')
    for server, all_of in ((S, floods), (quick, slow)):
        def others():
            tap.equal(get(server.port, '/small.mpd').body, small, 'another viewer')
        before = memory(server)
        for name, make in all_of.items():
            for reads in (True, False) if name in ('pings', 'settings') else (True,):
                with H2(server.port) as c:
                    sent = flood(c, make, reads, others)
                tap.check(sent is not None, f'{name}, answers {"" if reads else "not "}read: it goes on for ever')
                tap.check(memory(server) - before < 30, f'{name}: {memory(server) - before} MB')
        others()
        tap.until(lambda: server.metric('ribera_http_open_connections') <= 2, 10, 'the end of their connections')
    tap.check(S.metric('ribera_http_connections_cut_total{reason="flood"}') >= len(floods) - 2, 'they are counted')  # libh2o ends the continuations by itself
    tap.equal(quick.stop(), (0, ''))


@tap.test
def h2_frames_of_no_known_type_are_passed_over_in_silence():
    """RFC 9113 5.5; libh2o tells the error output of each: a log that anybody could fill."""
    with H2(P) as c:
        for stream in (0, 1, 7):
            c.s.sendall(frame(16, 0, stream, bytes(4) + b'u=1') + frame(10, 0xff, stream) + frame(255, 0, stream, bytes(16384)))
        tap.equal(c.answer(c.request(plain())), (200, small), 'behind them')
        stream = c.request(plain('/h/echo', 'POST'), end=False)
        c.s.sendall(frame(DATA, 0, stream, b'a') + frame(16, 0, stream, b'x') + frame(DATA, 1, stream, b'b'))
        tap.check(c.answer(stream)[1].endswith(b'body=ab'), 'between the parts of a body')
        c.s.sendall(frame(HEADERS, 1, c.next, block(plain())) + frame(16, 0, c.next, b'x') + frame(CONTINUATION, 4, c.next))
        tap.check(c.answer(c.next)[0] in ('goaway', 'closed'), 'between the parts of a head there is no place for them (RFC 9113 6.10)')
    # that nothing was told is looked at when the server ends


@tap.test
def it_ends_without_complaint():
    refused('a signed URL in a head that is doubtful', b'GET /s/k.SECRET.1.mac/v/x ' + H + b'Host: y\r\n\r\n')
    refused('the same with its host', b'GET http://x/s/k.SECRET.1.mac/v/x ' + H + b'Host: y\r\n\r\n')
    tap.equal(S.stop(), (0, ''))
    with open(S.log) as f:
        text = f.read()
    tap.check('SECRET' not in text and 'secret' not in text, 'tokens and queries are not for the log')
    lines = [json.loads(line) for line in text.splitlines()]
    tap.equal({line['path'] for line in lines if line['status'] in (413, 417)}, {'/h/echo'}, 'where the body was too large')
    seen = {line['path'] for line in lines}
    tap.equal([name for name in odd_names if name not in seen], [], 'names that are not in the log as they were asked for')
    seen = {line['session']: line['bytes'] for line in lines if line.get('session') in cut}
    tap.equal(sorted(seen), sorted(cut), 'replies that were cut')
    for name, n in cut.items():
        tap.check(abs(n - seen[name]) <= 131072, f'{name}: {seen[name]} in the log, {n} arrived')  # some may still have come
    for line in lines:
        first, _, last = line.get('range', '')[6:].partition('-')
        if line['status'] == 206 and line['method'] == 'GET' and first.isdigit() and last.isdigit() and 'left' not in line:
            tap.equal(line['bytes'], int(last) - int(first) + 1, line)


tap.run()

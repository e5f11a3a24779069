# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP by hand: a server under test, requests as raw bytes, HTTP/2 as raw frames."""
import ctypes, os, resource, signal, socket, struct, subprocess, time

import tap


class Server:
    """serve-test over a folder; .port, .tls, .log."""

    def __init__(self, root, *args, files=None):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        self.log = os.path.join(tap.folder(), 'access.log')
        program = tap.program('t/lib/serve-test')
        self.p = subprocess.Popen([program, '--root', root, '--log', self.log, *args], env=tap.environment(program, {}),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit if files else None)
        self.port = self.tls = None
        for _ in range(2 if '--tls-listen' in args else 1):
            line = self.p.stdout.readline().split()
            if len(line) != 2:
                raise AssertionError('serve-test does not start: ' + self.p.stderr.read())
            setattr(self, line[0], int(line[1]))

    def metric(self, name):
        return tap.metric(tap.http(f'http://127.0.0.1:{self.port}/metrics').body.decode(), name)

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        try:
            code = self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            code = None
        return code, self.p.stderr.read()


def connect(port, timeout=10):
    return socket.create_connection(('127.0.0.1', port), timeout)


def certificate(folder, name='localhost', stem='', days=2):
    """A self-signed certificate; the paths of it and of its key."""
    cert, key = os.path.join(folder, stem + 'cert.pem'), os.path.join(folder, stem + 'key.pem')
    tap.call('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert,
             '-days', days, '-subj', f'/CN={name}', '-addext', f'subjectAltName=DNS:{name},IP:127.0.0.1', check_exit=0)
    return cert, key


# --- HTTP/1.1 ---------------------------------------------------------------------------

class Reply:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body


def read_reply(f, head_only=False):
    """One reply of a stream; None at its end."""
    line = f.readline()
    if not line:
        return None
    status, fields = int(line.split()[1]), {}
    while line := f.readline().decode('latin-1').rstrip('\r\n'):
        name, value = line.split(':', 1)
        fields[name.lower()] = value.strip()
    bare = head_only or status in (204, 304) or 100 <= status < 200
    return Reply(status, fields, b'' if bare else f.read(int(fields.get('content-length', 0))))


def ask(port, raw, head_only=False, timeout=10):
    with connect(port, timeout) as s, s.makefile('rb') as f:
        s.sendall(raw)
        try:
            return read_reply(f, head_only)
        except ConnectionResetError:
            return None


def get(port, path, method='GET', **fields):
    head = f'{method} {path} HTTP/1.1\r\nHost: x\r\n' + ''.join(f'{k.replace("_", "-")}: {v}\r\n' for k, v in fields.items())
    return ask(port, head.encode('latin-1') + b'\r\n', method == 'HEAD')


def everything(port, raw, timeout=10):
    """All that comes back until the server closes."""
    got = b''
    with connect(port, timeout) as s:
        s.sendall(raw)
        try:
            while chunk := s.recv(1 << 16):
                got += chunk
        except ConnectionResetError:
            pass
    return got


# --- HTTP/2 (RFC 9113), fields as literals without indexing or Huffman (RFC 7541 6.2.2) --

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
STATUS = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + bytes((kind, flags)) + struct.pack('>I', stream) + payload


def _text(s):
    s = s if isinstance(s, bytes) else s.encode('latin-1')
    if len(s) < 127:
        return bytes((len(s),)) + s
    n, out = len(s) - 127, b'\x7f'
    while n >= 128:
        out, n = out + bytes((n % 128 + 128,)), n // 128
    return out + bytes((n,)) + s


def block(fields):
    return b''.join(b'\0' + _text(k) + _text(v) for k, v in fields)


def plain(path='/small.mpd', method='GET', *more):
    return [(':method', method), (':scheme', 'http'), (':path', path), (':authority', 'x'), *more]


def status_of(header_block):
    """Of our server's replies: :status comes first, indexed, or literal with an indexed name."""
    p = header_block
    while p and 0x20 <= p[0] < 0x40:  # table size update
        p = p[1:]
    if p[0] in STATUS:
        return STATUS[p[0]]
    n = p[1] & 0x7f
    if p[1] & 0x80:  # digits in Huffman's code: 0, 1, 2 have 5 bits, 3 to 9 six (RFC 7541 B)
        bits, out = ''.join(f'{b:08b}' for b in p[2:2 + n]), ''
        while len(out) < 3:
            if int(bits[:5], 2) < 3:
                out, bits = out + str(int(bits[:5], 2)), bits[5:]
            else:
                out, bits = out + str(int(bits[:6], 2) - 0b011001 + 3), bits[6:]
        return int(out)
    return int(p[2:2 + n])


class Inflater:
    """The decoder's side of one connection (RFC 7541), curl's: nobody of ours wrote it."""

    class Pair(ctypes.Structure):
        _fields_ = [('name', ctypes.c_void_p), ('value', ctypes.c_void_p), ('name_n', ctypes.c_size_t), ('value_n', ctypes.c_size_t), ('flags', ctypes.c_uint8)]

    def __init__(self):
        self.library, self.p = ctypes.CDLL('libnghttp2.so.14'), ctypes.c_void_p()
        self.library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        if self.library.nghttp2_hd_inflate_new(ctypes.byref(self.p)) != 0:
            raise MemoryError

    def fields(self, header_block):
        """A list of (name, value)."""
        out, pair, flags, at = [], self.Pair(), ctypes.c_int(), 0
        while True:
            n = self.library.nghttp2_hd_inflate_hd2(self.p, ctypes.byref(pair), ctypes.byref(flags), header_block[at:], ctypes.c_size_t(len(header_block) - at), 1)
            if n < 0:
                raise ValueError(f'a header block that cannot be read: {n}')
            at += n
            if flags.value & 2:
                out.append((ctypes.string_at(pair.name, pair.name_n).decode(), ctypes.string_at(pair.value, pair.value_n).decode()))
            if flags.value & 1:
                self.library.nghttp2_hd_inflate_end_headers(self.p)
                return out

    def close(self):
        self.library.nghttp2_hd_inflate_del(self.p)


class H2:
    """A connection with prior knowledge; frames are (kind, flags, stream, payload)."""

    def __init__(self, port, settings=b'', timeout=10):
        self.s = connect(port, timeout)
        self.s.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(SETTINGS, 0, 0, settings))
        self.f = self.s.makefile('rb')
        self.next = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.f.close()
        self.s.close()

    def request(self, fields, body=None, end=True, priority=b''):
        """Sends a request; body None: no DATA.  The stream's number."""
        stream, self.next = self.next, self.next + 2
        head, flags = priority + block(fields), (1 if body is None and end else 0) | (0x20 if priority else 0)
        out, head = frame(HEADERS, flags | (4 if len(head) <= 16384 else 0), stream, head[:16384]), head[16384:]
        while head:
            out, head = out + frame(CONTINUATION, 4 if len(head) <= 16384 else 0, stream, head[:16384]), head[16384:]
        if body is not None:
            out += frame(DATA, 1 if end else 0, stream, body)
        self.s.sendall(out)
        return stream

    def frames(self):
        while True:
            try:
                head = self.f.read(9)
                if len(head) < 9:
                    return
                n = int.from_bytes(head[:3], 'big')
                yield head[3], head[4], int.from_bytes(head[5:9], 'big') & 0x7fffffff, self.f.read(n)
            except ConnectionResetError:
                return

    def answer(self, stream):
        """(status, body) of a stream; ('reset', code), ('goaway', code) or ('closed', None)."""
        status, body = None, b''
        for kind, flags, of, payload in self.frames():
            if kind == GOAWAY and int.from_bytes(payload[4:8], 'big') != 0:
                return 'goaway', int.from_bytes(payload[4:8], 'big')
            if of != stream:
                continue
            if kind == RST:
                return ('reset', int.from_bytes(payload, 'big')) if status is None else (status, body)
            if kind == HEADERS:
                status = status_of(payload)
            if kind == DATA:
                body += payload
                if payload:
                    self.s.sendall(frame(WINDOW, 0, 0, struct.pack('>I', len(payload))) +
                                   frame(WINDOW, 0, stream, struct.pack('>I', len(payload))))
            if kind in (DATA, HEADERS) and flags & 1:
                return status, body
        return 'closed', None

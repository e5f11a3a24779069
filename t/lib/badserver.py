# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP/1.1 server of one folder with ranges, that misbehaves on demand.

    s = badserver.Server(folder)
    s.fault = lambda request: 'cut' ...      # per request; None: serve well
    s.rate = 200_000                         # bytes per second over all its connections
    s.die_after(300_000)                     # after so many body bytes: every socket closed, the port too

Faults: cut (half the body, then close), stall (half the body, then silence), headers (those, then silence), reset, wrong-range,
no-range (206 without a Content-Range), other-total (another size of the whole, and a range beyond it), short-length, ignore-range,
garbage (right length, wrong bytes), other-segment (a whole segment of the same file, padded to the length), redirect (to itself,
for ever), trickle (4 KB a second), hang (no answer at all), portal (200 with a page to log in at), multipart (the part in MIME
wrapping), empty (206 of no byte), chunked (well, in chunks), chunked-cut (half of it in chunks, then close), noise (no HTTP), or a
status as a number ('404', '503'; 429 and 503 with `retry_after`, in seconds or any text).
"""
import os, re, socket, struct, threading, time


KINDS = {'mpd': 'application/dash+xml', 'html': 'text/html', 'js': 'text/javascript'}


class Request:
    def __init__(self, path, first, last, headers, number, at):
        self.path, self.first, self.last, self.headers, self.number, self.at = path, first, last, headers, number, at


class Server:
    def __init__(self, folder, etag=True, address='127.0.0.1', port=0):
        self.folder, self.etag = folder, etag
        self.fault = lambda request: None
        self.rate = None
        self.retry_after = 1
        self.requests, self.sent = [], 0
        self.limit = None
        self.lock = threading.Lock()
        self.sockets = set()
        self.gone = threading.Event()
        self.next_free = 0.0
        self.listener = socket.create_server((address, port))
        self.port = self.listener.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}'
        threading.Thread(target=self._accept, daemon=True).start()

    def die_after(self, n):
        self.limit = n

    def die(self):
        """As a killed process: the port refuses, open connections are reset."""
        self.gone.set()
        self.listener.close()
        # a blocked accept keeps the port; wake it
        try:
            socket.create_connection(('127.0.0.1', self.port), 0.2).close()
        except OSError:
            pass
        with self.lock:
            for s in self.sockets:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self):
        while not self.gone.is_set():
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            if self.gone.is_set():
                s.close()
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        f = s.makefile('rb')
        try:
            while self._one(s, f):
                pass
        except OSError:
            pass
        finally:
            with self.lock:
                self.sockets.discard(s)
            try:
                f.close()
                s.close()
            except OSError:
                pass

    def _send(self, s, data):
        """Body bytes, paced over all connections together."""
        for i in range(0, len(data), 8192):
            part = data[i:i + 8192]
            if self.rate:
                with self.lock:
                    now = time.monotonic()
                    self.next_free = max(self.next_free, now - 0.02) + len(part) / self.rate
                    wait = self.next_free - now
                if wait > 0 and self.gone.wait(wait):
                    raise OSError
            s.sendall(part)
            with self.lock:
                self.sent += len(part)
                over = self.limit is not None and self.sent >= self.limit
            if over:
                self.die()
                raise OSError

    def _one(self, s, f):
        line = f.readline(65536).decode('latin-1').split()
        if len(line) < 3:
            return False
        headers = {}
        while True:
            h = f.readline(65536).decode('latin-1').strip()
            if not h:
                break
            k, _, v = h.partition(':')
            headers[k.lower()] = v.strip()
        path = line[1].split('?')[0]
        name = os.path.join(self.folder, path.lstrip('/'))
        wanted = re.match(r'bytes=(\d+)-(\d*)$', headers.get('range', ''))
        if not os.path.isfile(name):
            return self._head(s, '404 Not Found', 0)
        size = os.path.getsize(name)
        first, last = (int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)) if wanted else (0, size - 1)
        with open(name, 'rb') as file:
            file.seek(first)
            part = file.read(max(0, last - first + 1))
        with self.lock:
            request = Request(line[1], first if wanted else None, last if wanted else None, headers, len(self.requests), time.monotonic())
            self.requests.append(request)
        fault = self.fault(request)
        extra = [f'ETag: "{size:x}-{self.etag}"'] if self.etag else []
        if fault and fault.isdigit():
            return self._head(s, f'{fault} No', 0, [f'Retry-After: {self.retry_after}'] if fault in ('429', '503') else [])
        if fault in ('portal', 'multipart', 'empty', 'no-range', 'noise', 'other-total'):
            return self._nonsense(s, fault, part, first, last)
        if fault in ('chunked', 'chunked-cut'):
            return self._chunks(s, part if fault == 'chunked' else part[:len(part) // 2], fault == 'chunked', extra, first, last, size)
        if fault == 'reset':
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return False
        if fault == 'ignore-range':
            self._head(s, '200 OK', size, extra)
            self._send(s, self._whole(name))
            return True
        if fault == 'wrong-range':
            self._head(s, '206 Partial Content', len(part), extra + [f'Content-Range: bytes {first + 1}-{last + 1}/{size + 1}'])
            self._send(s, part)
            return True
        if fault == 'short-length':
            self._head(s, '206 Partial Content', len(part) - 7, extra + [f'Content-Range: bytes {first}-{last}/{size}'])
            self._send(s, part[:-7])
            return True
        if fault == 'hang':
            self.gone.wait(60)
            return False
        if fault == 'garbage':
            part = os.urandom(len(part))
        if fault == 'other-segment':
            part = self._other(self._whole(name), first, last)
        if fault == 'redirect':
            return self._head(s, '302 Found', 0, [f'Location: {line[1]}'])
        if wanted:
            self._head(s, '206 Partial Content', len(part), extra + [f'Content-Range: bytes {first}-{last}/{size}'])
        else:
            kind = KINDS.get(name.rsplit('.', 1)[-1], 'video/mp4')
            self._head(s, '200 OK', len(part), extra + [f'Content-Type: {kind}'])
        if fault == 'headers':
            self.gone.wait(60)
            return False
        if fault == 'trickle':
            for i in range(0, len(part), 400):
                s.sendall(part[i:i + 400])
                if self.gone.wait(0.1):
                    return False
            return True
        if fault in ('cut', 'stall'):
            self._send(s, part[:len(part) // 2])
            if fault == 'stall':
                self.gone.wait(60)
            return False
        self._send(s, part)
        return True

    def _nonsense(self, s, fault, part, first, last):
        page = b'<!DOCTYPE html><title>Log in</title>' + b'<p>Welcome to our network.' * 40000
        if fault == 'portal':
            self._head(s, '200 OK', len(page), ['Content-Type: text/html'])
            self._send(s, page)
        elif fault == 'multipart':
            text = f'--x\r\nContent-Type: video/mp4\r\nContent-Range: bytes {first}-{last}/*\r\n\r\n'.encode() + part + b'\r\n--x--\r\n'
            self._head(s, '206 Partial Content', len(text), ['Content-Type: multipart/byteranges; boundary=x'])
            self._send(s, text)
        elif fault == 'empty':
            self._head(s, '206 Partial Content', 0, [f'Content-Range: bytes {first}-{last}/*'])
        elif fault == 'noise':
            s.sendall(b'220 ready when you are\r\n\x00\xff' + part[:5000])
            return False
        else:
            self._head(s, '206 Partial Content', len(part), [f'Content-Range: bytes {first}-{last}/{first}'] if fault == 'other-total' else [])
            self._send(s, part)
        return True

    def _chunks(self, s, part, whole, extra, first, last, size):
        s.sendall('\r\n'.join(['HTTP/1.1 206 Partial Content', 'Transfer-Encoding: chunked', f'Content-Range: bytes {first}-{last}/{size}', *extra, '', '']).encode())
        for i in range(0, len(part), 5000):
            piece = part[i:i + 5000]
            self._send(s, f'{len(piece):x}\r\n'.encode() + piece + b'\r\n')
        if whole:
            s.sendall(b'0\r\n\r\n')
        return whole

    def _whole(self, name):
        with open(name, 'rb') as file:
            return file.read()

    def _other(self, body, first, last):
        """The first fragment that fits, and a box of nothing behind it."""
        at, size = 0, last - first + 1
        while at + 8 <= len(body):
            end = at + int.from_bytes(body[at:at + 4], 'big')
            if body[at + 4:at + 8] == b'moof' and at != first:
                end += int.from_bytes(body[end:end + 4], 'big')
                room = size - (end - at)
                if room == 0 or room >= 8:
                    return body[at:end] + (room.to_bytes(4, 'big') + b'free' + bytes(room - 8) if room else b'')
            at = end
        return body[first:last + 1]

    def _head(self, s, status, length, extra=()):
        s.sendall('\r\n'.join([f'HTTP/1.1 {status}', f'Content-Length: {length}', 'Accept-Ranges: bytes', *extra, '', '']).encode())
        return True

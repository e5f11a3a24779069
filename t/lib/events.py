# SPDX-License-Identifier: GPL-3.0-or-later
"""One subscription to server-sent events over a raw socket."""
import json, socket


class Listener:
    """One subscription over a raw socket; unchunks and parses."""

    def __init__(self, port, path='/api/v1/events', last=None, room=None, **headers):
        self.s = socket.socket()
        if room:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.s.settimeout(20)
        self.s.connect(('127.0.0.1', port))
        if last:
            headers['Last-Event-ID'] = last
        self.s.sendall((f'GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in headers.items()) + '\r\n').encode())
        self.raw, self.text, self.ended = b'', '', False

    def head(self):
        while b'\r\n\r\n' not in self.raw:
            self.raw += self.s.recv(65536)
        head, _, self.raw = self.raw.partition(b'\r\n\r\n')
        return head.decode()

    def unchunk(self):
        while True:
            size, found, rest = self.raw.partition(b'\r\n')
            if not found or len(rest) < int(size, 16) + 2:
                return
            n = int(size, 16)
            self.ended = self.ended or n == 0
            self.text += rest[:n].decode()
            self.raw = rest[n + 2:]

    def more(self):
        before = len(self.text)
        self.unchunk()
        if len(self.text) == before and not self.ended:
            part = self.s.recv(65536)
            self.ended = not part
            self.raw += part
            self.unchunk()

    def event(self):
        """The next (name, id, data); comments are skipped; None at the end."""
        while True:
            while '\n\n' not in self.text:
                if self.ended:
                    return None
                self.more()
            block, _, self.text = self.text.partition('\n\n')
            fields = dict(line.split(': ', 1) for line in block.split('\n') if line[:1] != ':')
            if 'event' in fields:
                return fields['event'], fields.get('id'), json.loads(fields['data'])

    def until(self, name):
        seen = []
        while True:
            e = self.event()
            if e is None or e[0] == name:
                return e
            seen.append(e)
            if len(seen) > 10000:
                raise AssertionError(f'{name} did not come: {seen[:20]}')

# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain HTTP/1.1 server that packagers put their live titles on: what is still coming in is given as it comes, in chunks."""
import http.server, threading, time


class Body:
    def __init__(self):
        self.bytes, self.whole = bytearray(), False


class Server:
    def __init__(self):
        self.files, self.changed = {}, threading.Condition()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_PUT(self):
                server.take(self)

            def do_DELETE(self):
                with server.changed:
                    server.files.pop(self.path, None)
                self.reply(200, 0)

            def do_GET(self):
                server.give(self)

            do_HEAD = do_GET

            def reply(self, status, length):
                self.send_response(status)
                self.send_header('Content-Length', str(length))
                self.end_headers()

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # whoever goes away
        self.listener = Listener(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.listener.server_port}'
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def add(self, body, data):
        with self.changed:
            body.bytes += data
            self.changed.notify_all()

    def take(self, h):
        body = Body()
        with self.changed:
            self.files[h.path] = body
        if h.headers.get('Transfer-Encoding') == 'chunked':
            while (n := int(h.rfile.readline().split(b';')[0], 16)) > 0:
                self.add(body, h.rfile.read(n))
                h.rfile.readline()
            h.rfile.readline()
        else:
            self.add(body, h.rfile.read(int(h.headers.get('Content-Length', 0))))
        with self.changed:
            body.whole = True
            self.changed.notify_all()
        h.reply(200, 0)

    def give(self, h):
        path = h.path.split('?')[0]
        if path == '/time':
            now = (time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(t := time.time())) + f'.{int(t % 1 * 1000):03}Z').encode()
            h.reply(200, len(now))
            return h.wfile.write(now)
        with self.changed:
            body = self.files.get(path)
        if body is None:
            return h.reply(404, 0)
        if body.whole or h.command == 'HEAD':
            h.reply(200, len(body.bytes))
            return h.command == 'HEAD' or h.wfile.write(bytes(body.bytes))
        h.send_response(200)
        h.send_header('Transfer-Encoding', 'chunked')
        h.end_headers()
        at = 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: len(body.bytes) > at or body.whole, 30)
                part = bytes(body.bytes[at:])
            h.wfile.write(b'%x\r\n%b\r\n' % (len(part), part))
            at += len(part)
            if not part:
                return None

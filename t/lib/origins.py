# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ribera-origin on free ports, with its own library and catalogue."""
import os, re, socket
import tap

PROGRAM, ADMIN = tap.program('ribera-origin'), tap.program('ribera-admin')
JSON = {'Content-Type': 'application/json'}


class Origin:
    def __init__(self, library=None, options=(), start=True, env=None):
        self.env = env
        self.folder = tap.folder()
        self.library = library or os.path.join(self.folder, 'library')
        os.makedirs(self.library, exist_ok=True)
        self.options = [*([] if '--probe' in options else ['--probe', '0s']), *options]  # most edges of tests are names alone
        self.ports, self.headers = {'viewers': 0, 'control': 0}, {}
        self.database = os.path.join(self.folder, 'state', 'catalogue.sqlite')
        if start:
            self.start()

    def start(self, *options):
        path = os.path.join(self.folder, 'ports')
        if os.path.exists(path):
            os.unlink(path)
        self.p = tap.Process(PROGRAM, '--library', self.library, '--database', self.database, '--listen',
                             f'127.0.0.1:{self.ports["viewers"]}', '--control', f'127.0.0.1:{self.ports["control"]}',
                             '--ports-file', path, '--grace', '1s', *self.options, *options,
                             env=self.env, log=os.path.join(self.folder, 'log'))
        self.ports = tap.ports(path, self.p)
        self.viewers = f'http://127.0.0.1:{self.ports["viewers"]}'
        self.control = f'http://127.0.0.1:{self.ports["control"]}'
        return self

    @property
    def url(self):
        """Where an edge (lab.Edge) finds it."""
        return self.control

    def get(self, path, **headers):
        return tap.http(self.viewers + path, headers={k.replace('_', '-'): v for k, v in headers.items()})

    def api(self, path, method='GET', body=None, **headers):
        return tap.http(self.control + '/api/v1' + path, method, body, {**self.headers, **headers})

    def register(self, name, url=None, capacity=10**12):
        return self.api('/edges', 'POST', {'name': name, 'url': url or f'http://{name}.example', 'capacity': capacity})

    def beat(self, name, *holds, load=0.0, **more):
        return self.api(f'/edges/{name}/heartbeat', 'POST', {'free_bytes': 1, 'load': load, 'holds': list(holds), **more})

    def admin(self, *argv, code=0):
        return tap.call(ADMIN, '--control', self.control, *argv, check_exit=code)


def raw(port, request):
    """Bytes sent as they are; everything that comes back until the end."""
    with socket.create_connection(('127.0.0.1', port), 10) as s:
        s.sendall(request)
        got = b''
        while True:
            part = s.recv(65536)
            if not part:
                return got
            got += part


def places(mpd):
    return re.findall(r'<BaseURL serviceLocation="([^"]+)">([^<]+)</BaseURL>', mpd.decode())

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""fetch/ against a real server that misbehaves on demand."""
import hashlib, http.server, json, os, signal, socket, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap

BODY = os.urandom(1 << 20)
gate = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def head(self, status, length, **fields):
        self.send_response(status)
        self.send_header('Content-Length', str(length))
        for name, value in fields.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()

    def do_GET(self):
        kind = self.path.strip('/')
        if kind == 'whole':
            wanted = self.headers.get('Range')
            if wanted:
                first, last = (int(x) for x in wanted.split('=')[1].split('-'))
                self.head(206, last - first + 1, Content_Range=f'bytes {first}-{last}/{len(BODY)}')
                self.wfile.write(BODY[first:last + 1])
            else:
                self.head(200, len(BODY))
                self.wfile.write(BODY)
        elif kind == 'empty':
            self.head(204, 0)
        elif kind == 'cut':
            self.head(200, len(BODY))
            self.wfile.write(BODY[:5000])
            self.close_connection = True
        elif kind == 'stall':
            self.head(200, len(BODY))
            self.wfile.write(BODY[:5000])
            self.wfile.flush()
            gate.wait(20)
            self.close_connection = True
        elif kind == 'far':  # a round trip before the first bytes, and before the others
            self.head(200, len(BODY))
            gate.wait(0.5)
            self.wfile.write(BODY[:5000])
            self.wfile.flush()
            gate.wait(0.5)
            self.wfile.write(BODY[5000:])
        elif kind == 'busy':
            self.head(503, 2, Retry_After='9')
            self.wfile.write(b'no')
        elif kind == 'moved':
            self.head(302, 0, Location='/whole')
        elif kind == 'loop':
            self.head(302, 0, Location='/loop')
        elif kind == 'garbage':
            self.wfile.write(b'\x00\x01nonsense\r\n\r\n')
            self.close_connection = True


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f'http://127.0.0.1:{server.server_port}'


class Driver:
    def __init__(self, env=None):
        self.p = subprocess.Popen([tap.program('t/lib/fetch-test')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                  env={**os.environ, **(env or {})})

    def say(self, line):
        self.p.stdin.write(line + '\n')
        self.p.stdin.flush()

    def answer(self):
        return json.loads(self.p.stdout.readline())

    def get(self, line):
        self.say('get 1 ' + line)
        return self.answer()

    def known(self, url):
        """Whether its server's name has been looked up for the time to come."""
        self.say('known ' + url)
        return self.answer()['known']

    def quit(self):
        self.p.stdin.close()
        rest = [json.loads(l) for l in self.p.stdout]
        tap.equal(self.p.wait(), 0, 'exit code')
        return rest


def one(line):
    d = Driver()
    r = d.get(line)
    tap.equal(d.quit(), [], 'further answers')
    return r


ERR = dict(LIMIT=-1003, TRUNCATED=-1005, HASH=-1006, HTTP=-1010, NETWORK=-1011, TIMEOUT=-1012, CANCELLED=-1013, SYNTAX=-1001)


@tap.test
def whole_and_ranges_on_one_connection():
    d = Driver()
    a = d.get(f'{URL}/whole')
    b = d.get(f'{URL}/whole first=1000 last=1999')
    tap.equal((a['error'], a['status'], a['sha256']), (0, 200, hashlib.sha256(BODY).hexdigest()))
    tap.equal((b['error'], b['status'], b['sha256']), (0, 206, hashlib.sha256(BODY[1000:2000]).hexdigest()))
    tap.equal((a['reused'], b['reused']), (False, True))
    tap.check(0 < b['first_byte'] <= b['total'])
    d.quit()


@tap.test
def many_at_once_each_answered_once():
    d = Driver()
    for i in range(200):
        d.say(f'get {i} {URL}/whole first={i} last={i + 5000}')
    got = {}
    for _ in range(200):
        r = d.answer()
        got[r['id']] = r
    tap.equal(len(got), 200)
    for i, r in got.items():
        tap.equal(r['sha256'], hashlib.sha256(BODY[i:i + 5001]).hexdigest(), f'body {i}')
    tap.equal(d.quit(), [])


@tap.test
def statuses_are_no_errors():
    r = one(f'{URL}/busy')
    tap.equal((r['error'], r['status'], r['retry_after']), (0, 503, 9000000))
    tap.equal(one(f'{URL}/empty')['status'], 204)
    tap.equal(one(f'{URL}/moved')['sha256'], hashlib.sha256(BODY).hexdigest())


@tap.test
def failures_have_their_own_codes():
    tap.equal(one(f'{URL}/cut')['error'], ERR['TRUNCATED'])
    tap.equal(one(f'{URL}/loop')['error'], ERR['HTTP'])
    tap.check(one(f'{URL}/garbage')['error'] in (ERR['HTTP'], ERR['NETWORK']))
    tap.equal(one(f'{URL}/whole max=1000')['error'], ERR['LIMIT'])
    tap.equal(one(f'{URL}/whole abort=3000')['error'], ERR['HASH'])
    tap.equal(one('ftp://127.0.0.1/x')['error'], ERR['SYNTAX'])
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        tap.equal(one(f'http://127.0.0.1:{s.getsockname()[1]}/')['error'], ERR['NETWORK'])


@tap.test
def a_stall_ends_after_the_stall_timeout_and_not_later():
    start = time.monotonic()
    r = one(f'{URL}/stall stall=400')
    tap.equal((r['error'], r['bytes']), (ERR['TIMEOUT'], 5000))
    tap.check(0.35 < time.monotonic() - start < 3, 'time to give up')


@tap.test
def a_body_that_stops_ends_after_the_pause_timeout_unless_it_comes_from_afar():
    start = time.monotonic()
    r = one(f'{URL}/stall stall=15000 pause=300')
    tap.equal((r['error'], r['bytes']), (ERR['TIMEOUT'], 5000))
    tap.check(0.25 < time.monotonic() - start < 8, 'time to give up')
    r = one(f'{URL}/far stall=15000 pause=300')
    tap.equal((r['error'], r['bytes']), (0, len(BODY)))
    r = one(f'{URL}/far stall=400 pause=300')
    tap.equal(r['error'], ERR['TIMEOUT'])


@tap.test
def a_silent_host_ends_after_the_stall_timeout():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen(1)
        tap.equal(one(f'http://127.0.0.1:{s.getsockname()[1]}/ stall=300')['error'], ERR['TIMEOUT'])


@tap.test
def waiting_for_a_connection_is_no_stall():
    d = Driver()
    for i in range(4):  # all the connections the driver may have
        d.say(f'get {i} {URL}/stall stall=1500')
    d.say(f'get 9 {URL}/whole stall=500')
    answers = {r['id']: r['error'] for r in (d.answer() for _ in range(5))}
    tap.equal(answers, {0: ERR['TIMEOUT'], 1: ERR['TIMEOUT'], 2: ERR['TIMEOUT'], 3: ERR['TIMEOUT'], 9: 0})
    d.quit()


@tap.test
def cancel_and_quit_answer_what_runs():
    d = Driver()
    d.say(f'get 1 {URL}/stall')
    d.say(f'get 2 {URL}/stall')
    d.say('cancel 1')
    r = d.answer()
    tap.equal((r['id'], r['error']), (1, ERR['CANCELLED']))
    tap.equal([(r['id'], r['error']) for r in d.quit()], [(2, ERR['CANCELLED'])])
    gate.set()


def without_names():
    """The environment of a driver, and the file with which names go."""
    gone = os.path.join(tap.folder(), 'gone')
    return {'LD_PRELOAD': tap.program('t/lib/names.so'), 'NAMES_GONE': gone,
            'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}, gone


def write(path, text):
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.rename(path + '.new', path)


@tap.test
def a_silent_name_service_keeps_nobody_else_waiting():
    env, gone = without_names()
    d = Driver(env)
    write(gone, 'silent')
    d.say(f'get 1 http://a.test:{server.server_port}/whole connect=200')
    d.say('get 2 http://b.test/whole')
    d.say('cancel 2')
    r = sorted((d.answer() for _ in range(2)), key=lambda r: r['id'])  # names come back only when these have been told
    tap.equal([x['error'] for x in r], [ERR['TIMEOUT'], ERR['CANCELLED']])
    tap.equal(d.get(f'{URL}/whole')['error'], 0)
    tap.equal(d.quit(), [])
    os.unlink(gone)


@tap.test
def what_was_looked_up_before_is_known_when_names_are_gone():
    for how in ('', 'silent'):
        env, gone = without_names()
        d = Driver(env)
        url = f'http://a.test:{server.server_port}/whole'
        d.say(f'know {url}')
        d.say(f'know http://127.0.0.1/')
        d.say(f'know no-url')
        tap.until(lambda: d.known(url), 20, 'the address of a.test')
        write(gone, how)
        r = d.get(url + ' connect=3000')
        tap.equal((r['error'], r['sha256']), (0, hashlib.sha256(BODY).hexdigest()), f'names gone, {how or "refused"}')
        tap.equal(d.get(f'http://b.test:{server.server_port}/whole connect=300')['error'], ERR['TIMEOUT'] if how else ERR['NETWORK'], 'who was not')
        tap.equal(d.quit(), [])


@tap.test
def who_was_reached_stays_known():
    env, gone = without_names()
    d = Driver(env)
    url = f'http://a.test:{server.server_port}/whole'
    tap.equal(d.get(url)['error'], 0)
    tap.until(lambda: d.known(url), 20, 'the address of a.test')
    write(gone, '')
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = s.getsockname()[1]
    tap.equal(d.get(f'http://a.test:{port}/')['error'], ERR['NETWORK'], 'nobody listens')
    other = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)  # for curl another name, which it never asked for
    other.daemon_threads = True
    threading.Thread(target=other.serve_forever, daemon=True).start()
    tap.equal(d.get(f'http://a.test:{other.server_port}/whole')['error'], 0, 'an address for which there is no other')
    tap.equal(d.quit(), [])


@tap.test
def who_has_moved_is_looked_up_again():
    env, gone = without_names()
    write(gone, '127.0.0.9')
    d = Driver(env)
    url = f'http://a.test:{server.server_port}/whole'
    d.say(f'know {url}')
    tap.until(lambda: d.known(url), 20, 'the address of a.test')
    os.unlink(gone)
    tap.equal(d.get(url)['error'], ERR['NETWORK'], 'at the old address')
    tap.until(lambda: d.get(url)['error'] == 0, 20, 'the new address')
    tap.equal(d.quit(), [])


@tap.test
def an_option_that_is_lost_asks_for_nothing():
    """Without its range a request is one for the whole, without its protocols it may lead anywhere."""
    for name, number in (('range', 10007), ('agent', 10018), ('fields', 10023), ('protocols', 10318), ('protocols of redirects', 10319)):
        d = Driver({'LD_PRELOAD': tap.program('t/lib/memory.so'), 'SETOPT_LOST': str(number),
                    'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '') + ':handle_abort=0'})
        d.say(f'get 1 {URL}/whole first=0 last=99')
        answer = d.p.stdout.readline()
        d.p.stdin.close()
        tap.equal((answer, d.p.wait()), ('', -signal.SIGABRT), name)


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-admin: every command that speaks with a running origin, for people and for machines; exit codes; completion."""
import http.server, json, os, pty, select, socket, sqlite3, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap
from origins import ADMIN, Origin

o = Origin(options=['--heartbeat', '1h'])
REVS = []
for i in range(2):
    rev, folder = package.write(o.library, 'film', {'video.mp4': bytes([i]) * 5000}, name='A film')
    os.utime(folder, (1_700_000_000 + i * 1000,) * 2)
    REVS.append(rev)
o.p.stop()
o.start()
o.register('edge-a')
o.beat('edge-a', f'film/{REVS[1]}', filling=[{'title': 'next', 'revision': '0' * 20, 'bytes': 77}])
run = lambda *argv, code=0: o.admin(*argv, code=code).stdout
as_json = lambda *argv: json.loads(run('--json', *argv))


@tap.test
def titles_are_described_withdrawn_and_rolled_back():
    for key, value in [('name', 'Der Film'), ('year', '1927'), ('tags', 'silent,city'), ('description', 'Von einer Stadt.'), ('policy', 'pin')]:
        run('title', 'set', 'film', key, value)
    t = as_json('title', 'show', 'film')
    tap.equal((t['name'], t['year'], t['tags'], t['description']), ('Der Film', 1927, ['silent', 'city'], 'Von einer Stadt.'))
    shown = run('title', 'show', 'film')
    for said in ('Der Film', '1927', 'silent, city', 'Von einer Stadt.', 'pin'):
        tap.has(shown, said)
    for key in ('name', 'year', 'tags', 'policy'):
        run('title', 'set', 'film', key, 'none')
    tap.equal((as_json('title', 'show', 'film')['name'], as_json('title', 'show', 'film')['tags']), ('A film', []))
    tap.equal(as_json('title', 'show', 'film')['revision'], REVS[1])
    tap.has(run('title', 'rollback', 'film'), REVS[0])
    tap.equal(as_json('title', 'show', 'film')['revision'], REVS[0])
    tap.has(o.admin('title', 'rollback', 'film', code=1).stderr, 'no revision older')
    run('title', 'rollback', 'film', REVS[1])
    tap.equal(as_json('title', 'show', 'film')['revision'], REVS[1])
    run('title', 'rollback', 'film', REVS[0])
    run('title', 'newest', 'film')
    tap.equal(as_json('title', 'show', 'film')['revision'], REVS[1])
    run('title', 'withdraw', f'film/{REVS[1]}')
    tap.equal([w['revision'] for w in as_json('withdrawn')], [REVS[1]])
    run('title', 'withdraw', 'film')
    tap.equal(as_json('titles'), [])
    run('title', 'restore', f'film/{REVS[0]}')
    run('title', 'restore', 'film')
    tap.equal([t['revision'] for t in as_json('titles')], [REVS[1]])
    tap.has(run('log'), 'title withdrawn')


@tap.test
def people_and_machines_see_the_same():
    for words, part in [(['titles'], 'film'), (['edges'], 'edge-a'), (['edge', 'show', 'edge-a'], 'film'), (['fills'], 'next'), (['tokens'], 'ID'),
                        (['plan', 'edge-a'], 'film'), (['withdrawn'], 'TITLE'), (['masters'], 'STATE'), (['log'], 'edge registered'), (['top'], 'edge-a'), (['holdings'], 'edge-a'), (['holdings', 'film'], 'yes')]:
        tap.has(run(*words), part, ' '.join(words))
        tap.check(as_json(*words) is not None)
    tap.equal(as_json('fills'), [{'title': 'next', 'revision': '0' * 20, 'bytes': 77, 'total': None, 'edge': 'edge-a'}])
    tap.check('\033' not in run('top'), 'plain where there is no terminal')


def on_terminal(*words, **env):
    master, slave = pty.openpty()
    p = subprocess.Popen([ADMIN, '--control', o.control, *words], stdin=slave, stdout=slave, stderr=slave, env={**os.environ, 'TERM': 'xterm', 'NO_COLOR': '', **env})
    os.close(slave)
    got = b''
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        got += part
    os.close(master)
    tap.equal(p.wait(20), 0)
    return got.decode()


@tap.test
def colours_are_for_terminals_that_want_them():
    tap.has(on_terminal('edges'), '\033[32mup\033[0m')
    for env in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
        tap.check('\033' not in on_terminal('edges', **env), env)
    tap.check('\033' not in run('edges'), 'in a pipe')


@tap.test
def wrong_use_and_failure_have_their_codes():
    for words in [[], ['nothing'], ['title'], ['title', 'show'], ['title', 'show', 'a', 'b'], ['title', 'rollback'], ['title', 'rollback', 'a', 'b', 'c'],
                  ['title', 'set', 'film', 'colour', 'red'], ['title', 'set', 'film', 'year', 'old'], ['backup'],
                  ['title', 'show', '../tokens'], ['title', 'withdraw', 'film/../../edges/edge-a'], ['title', 'withdraw', 'film/'], ['edge', 'remove', 'a b'],
                  ['edge', 'drain', ''], ['plan', 'a?why=1'], ['token', 'revoke', '1/../2'], ['holdings', 'film&x=1']]:
        tap.equal(tap.call(ADMIN, '--control', o.control, *words).returncode, 2, words)
    for words, part in [(['title', 'withdraw', 'none'], '404'), (['title', 'set', 'film', 'policy', 'burn'], 'policy'), (['title', 'set', 'film', 'year', '5'], 'year'),
                        (['edge', 'drain', 'none'], '404'),
                        (['edge', 'set', 'edge-a', 'zone', 'Mars/Base'], 'IANA')]:
        tap.has(o.admin(*words, code=1).stderr, part)
    r = tap.call(ADMIN, '--control', 'http://127.0.0.1:1', 'events')
    tap.equal(r.returncode, 1)
    tap.has(r.stderr, 'cannot listen')
    tap.has(tap.call(ADMIN, '--control', 'http://127.0.0.1:1', 'top').stderr, 'cannot ask')


@tap.test
def a_backup_of_a_running_origin_is_whole():
    path = os.path.join(o.folder, 'copy.sqlite')
    tap.has(run('backup', path), 'copy.sqlite')
    db = sqlite3.connect(path)
    tap.equal(db.execute('pragma integrity_check').fetchone()[0], 'ok')
    tap.equal([r[0] for r in db.execute('select name from edge')], ['edge-a'])
    db.close()
    tap.equal(os.stat(path).st_mode & 0o777, 0o600)
    tap.has(o.admin('backup', path, code=1).stderr, 'already')
    other = Origin(start=False)
    os.makedirs(os.path.dirname(other.database))
    os.rename(path, other.database)
    other.start('--heartbeat', '1h')
    tap.equal([e['name'] for e in other.api('/edges').json()['edges']], ['edge-a'], 'an origin starts from it')
    tap.equal([n for n in os.listdir(os.path.dirname(o.database)) if 'copy' in n], [])
    other.p.stop()


@tap.test
def a_large_backup_ends_while_others_write():
    other = Origin(options=['--heartbeat', '1h'])
    other.register('edge-a')
    db = sqlite3.connect(other.database, timeout=30)
    with db:
        db.executemany('insert into audit(at, who, what, subject, detail) values(1, ?, ?, ?, ?)', [('w', 'x', 's', 'd' * 20000)] * 1500)
    db.close()
    stop, written = threading.Event(), []
    def write():
        while not stop.is_set():
            written.append(other.api('/titles/none/policy', 'PUT', {'policy': 'pin'}).status)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        path = os.path.join(other.folder, 'copy.sqlite')
        other.admin('backup', path)
        with socket.create_connection(('127.0.0.1', other.ports['control'])) as s:  # somebody who asks and does not read
            s.sendall(b'GET /api/v1/backup HTTP/1.1\r\nHost: localhost\r\n\r\n')
            s.recv(100)
            tap.equal(other.api('/backup').status, 503, 'a second one at the same time')
            r = other.api('/backup', 'HEAD')
            tap.equal((r.status, r.headers['Content-Type'], r.body), (200, 'application/vnd.sqlite3', b''), 'asking what it would be makes none')
        tap.until(lambda: other.api('/backup').status == 200, 20, 'the end of the one who left')
    finally:
        stop.set()
        writer.join()
    tap.equal(set(written), {204})
    copy = sqlite3.connect(path)
    tap.equal(copy.execute('pragma integrity_check').fetchone()[0], 'ok')
    tap.check(copy.execute('select count(*) from audit').fetchone()[0] > 1500 and os.path.getsize(path) > 30e6, 'rows are missing')
    copy.close()
    tap.until(lambda: not [n for n in os.listdir(os.path.dirname(other.database)) if 'copy' in n], 20, 'nothing left')
    tap.equal([n for n in os.listdir(other.folder) if 'part' in n], [])
    other.p.stop()


@tap.test
def events_come_as_they_happen():
    p = tap.Process(ADMIN, '--control', o.control, '--json', 'events', log=os.path.join(o.folder, 'events'))
    tap.until(lambda: 'hello' in p.text(), 10, 'hello')
    o.register('edge-b')
    tap.until(lambda: 'edge.registered' in p.text(), 10, 'the event')
    tap.equal([json.loads(line)['edge'] for line in p.text().splitlines() if 'edge.registered' in line], ['edge-b'])
    o.p.kill()
    o.start()
    tap.until(lambda: 'reset' in p.text(), 15, 'it comes back by itself')
    o.api('/edges/edge-b', 'DELETE')
    tap.until(lambda: 'edge.removed' in p.text(), 10, 'and goes on')
    p.kill()


@tap.test
def top_draws_on_a_terminal():
    master, slave = pty.openpty()
    p = subprocess.Popen([ADMIN, '--control', o.control, 'top'], stdout=slave, stderr=slave)
    seen, end = b'', time.monotonic() + 15
    while seen.count(b'\033[2J') < 2 and time.monotonic() < end:
        if select.select([master], [], [], 1)[0]:
            seen += os.read(master, 65536)
    p.kill()
    p.wait()
    tap.check(seen.count(b'\033[2J') >= 2 and b'edge-a' in seen, seen)


@tap.test
def completion_knows_every_command():
    script = f'''. {tap.SOURCE}/etc/completion/ribera-admin
complete_words() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _ribera {ADMIN} "${{@: -1}}" "${{@: -2:1}}"; echo "${{COMPREPLY[*]}}"; }}
complete_words ribera-admin ""; complete_words ribera-admin title ""'''
    first, second = subprocess.run(['bash', '-c', script], capture_output=True, text=True).stdout.splitlines()
    for word in 'titles title edges edge plan fills tokens backup verify top events'.split():
        tap.check(word in first.split(), f'{word}: {first}')
    tap.equal(set(second.split()) >= {'show', 'set', 'pin', 'withdraw', 'rollback'}, True, second)


# --- an origin that is somebody else's -------------------------------------------------------------------------

EVIL = 'a\x1b]0;owned\x07b\x9b31mc\x7f<script>&d\u009d'
ROW = {k: EVIL for k in ('title', 'name', 'edge', 'revision', 'published', 'file', 'type', 'url', 'trouble', 'tag', 'at', 'who', 'what', 'subject', 'detail', 'id', 'queued',
                         'note', 'role', 'created', 'expires', 'place', 'key', 'value', 'why', 'site', 'version', 'description', 'policy', 'withdrawn', 'removed_after')} | {'state': EVIL, 'complete': 'x'}


class Stranger(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    status, body, type, next = 200, None, 'application/json', None

    def do_GET(self):
        if self.body is not None:
            text = self.body
        else:
            lists = {k: [ROW, {}] for k in ('titles', 'edges', 'tags', 'tokens', 'fills', 'holdings', 'withdrawn', 'masters', 'entries', 'rules', 'revisions', 'files', 'held')}
            text = json.dumps({**ROW, **lists, 'located': [EVIL], 'report': {'warnings': [EVIL]}, 'total': 1, 'next': self.next}, ensure_ascii=False).encode()
        self.send_response(self.status)
        self.send_header('Content-Type', self.type)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_GET

    def log_message(self, *args):
        pass


def stranger(**how):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), type('S', (Stranger,), how))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f'http://127.0.0.1:{server.server_port}'


@tap.test
def no_origin_speaks_to_the_terminal():
    def is_plain(r, words):
        for text in (r.stdout, r.stderr):
            tap.equal([c for c in text if (c < ' ' and c != '\n') or '\x7f' <= c < '\xa0'], [], f'{words}: {text!r}')
    server, url = stranger()
    drawing = os.path.join(tap.folder(), 'plan.svg')
    for words in ('titles', 'tags', 'title show film', 'edges', 'edge show a', 'fills', 'holdings', 'withdrawn', 'masters', 'log', 'top', 'tokens', 'places', 'title rollback film',
                  f'plan a --svg {drawing}', 'plan a --history', 'steering explain --ip 192.0.2.1 --title film'):
        r = tap.call(ADMIN, '--control', url, *words.split())
        tap.check(r.returncode in (0, 1), f'{words}: {r.returncode} {r.stderr}')
        is_plain(r, words)
    tap.check('<script>' not in open(drawing).read(), 'the drawing')
    server.shutdown()
    for how, words in (({'status': 500, 'body': json.dumps({'detail': EVIL, 'field': EVIL}).encode()}, 'edges'), ({'status': 503, 'body': EVIL.encode(), 'type': 'text/plain'}, 'health'),
                       ({'body': ('id: 1\ndata: ' + EVIL + '\n\ndata: ' + json.dumps({EVIL: EVIL, 'event': EVIL}, ensure_ascii=False) + '\n\n').encode(), 'type': 'text/event-stream'}, 'events')):
        server, url = stranger(**how)
        r = tap.call(ADMIN, '--control', url, words)
        tap.check(r.returncode in (0, 1), f'{words}: {r.returncode} {r.stderr}')
        is_plain(r, how)
        server.shutdown()


@tap.test
def a_list_without_an_end_is_told_as_one():
    for how in ({'next': 'a'}, {'body': b'{"edges":[],"next":"b"}'}):
        server, url = stranger(**how)
        r = tap.call(ADMIN, '--control', url, 'edges')
        tap.equal(r.returncode, 1)
        tap.has(r.stderr, 'has no end')
        server.shutdown()


@tap.test
def the_current_revision_is_told_in_every_language():
    for language, word in (('', 'current'), ('es', 'actual')):
        shown = tap.call(ADMIN, '--control', o.control, 'title', 'show', 'film', env={**os.environ, 'LANGUAGE': language}, check_exit=0).stdout
        tap.equal([line.split()[-1] for line in shown.split('\n') if REVS[1] in line and line.startswith(REVS[1])], [word])


tap.run()

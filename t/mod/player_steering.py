#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player and a content steering server (ETSI TS 103 998): it follows, tells where it was, and does without."""
import concurrent.futures, http.server, json, os, re, socket, sys, threading, time, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, film, plays, tap

ROOT, _, PACKAGE = film.library(film.generated(20, '320x180'), 'steered', '--max-rungs', '1', '--preset', 'ultrafast')


class Steering:
    """Answers with what `answer` (a function of the number of the question and the query) gives: (status, headers, body)."""

    def __init__(self, answer):
        steering = self
        self.answer, self.questions = answer, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                steering.questions.append((url.path, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))))
                status, headers, body = steering.answer(len(steering.questions), self.path)
                body = json.dumps(body).encode() if not isinstance(body, bytes) else body
                self.send_response(status)
                for k, v in {'Content-Length': str(len(body)), **headers}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}'
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()


def document(*order, ttl=1, **more):
    return 200, {}, {'VERSION': 1, 'TTL': ttl, 'PATHWAY-PRIORITY': list(order), **more}


def place(url, *attributes, inside=False):
    steering = f'<ContentSteering {" ".join(attributes)}>{url}</ContentSteering>'
    return f'<ServiceDescription id="1">{steering}</ServiceDescription>' if inside else steering


def play(steering, *options, names=('a', 'b')):
    """Plays the film from servers a and b with this element in the MPD; the report, and who served the segments."""
    servers = {n: badserver.Server(PACKAGE) for n in names}
    with open(os.path.join(PACKAGE, 'manifest.mpd')) as f:
        mpd = f.read()
    bases = ''.join(f'<BaseURL serviceLocation="{n}">{s.url}/</BaseURL>' for n, s in servers.items())
    at_end = steering if 'ServiceDescription' in steering else ''
    mpd = mpd.replace('<Period', bases + ('' if at_end else steering) + at_end + '<Period', 1)
    folder = tap.folder()
    with open(os.path.join(folder, 'm.mpd'), 'w') as f:
        f.write(mpd)
    front = badserver.Server(folder)
    report = os.path.join(tap.folder(), 'report.json')
    done = tap.call(tap.program('ribera-player'), front.url + '/m.mpd', '--output', 'null', '--report', report, '--buffer', '4s', *options, timeout=90)
    tap.equal(done.returncode, 0, done.stderr[-1500:])
    with open(report) as f:
        r = json.load(f)
    tap.check(r['finished'] and r['decode_errors'] == 0, 'not all was played')
    return r, [s['service_location'] for s in r['segments']]


CASES = (((410, {}, b''), 1), ((429, {'Retry-After': '600'}, b''), 1), ((200, {}, b'{'), 1), ((200, {}, {'VERSION': 2, 'TTL': 1, 'PATHWAY-PRIORITY': ['b']}), 1),
         ((200, {}, {'VERSION': 1, 'PATHWAY-PRIORITY': 'b'}), 1), ((200, {}, b'[' * 100000), 1),
         ((200, {}, {'VERSION': 1, 'TTL': 600, 'PATHWAY-PRIORITY': [7, None, 'x' * 5000, 'nobody']}), 1))


ODD_TIMES = (0, -5, 1e300, '1')
# where the second question goes to: none where nothing can be asked there
ODD_URIS = {'next': ['/at/next'], '?only=query': ['/at/steer'], 'http://127.0.0.1:9/': [], 'gopher://x/': []}


def side_by_side(*cases):
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(lambda case: case[0](case[1]), cases))


@tap.test
def it_goes_where_the_server_says_and_tells_where_it_was():
    s = Steering(lambda n, path: document('b', 'a') if n < 4 else document('a', 'b', **{'RELOAD-URI': '/next?x=1'}))
    r, used = play(place(s.url + '/steer?t=1', 'defaultServiceLocation="a"'), '--speed', '2')
    tap.check('b' in used and used[-1] == 'a', used)
    tap.check(r['steering']['answers'] >= 4 and not r['failovers'] and plays.stalled_ms(r) < 500 * tap.PATIENCE, (r['steering'], r['failovers'], r['stalls']))
    tap.equal(s.questions[0], ('/steer', {'t': '1'}), 'the first question, before anything was played')
    later = [q for path, q in s.questions if '_DASH_pathway' in q]
    tap.check(later and all(re.fullmatch('"[ab](,[ab])?"', q['_DASH_pathway']) for q in later), later)
    tap.check(all(len(q['_DASH_throughput'].split(',')) == len(q['_DASH_pathway'].split(',')) for q in later), later)
    tap.check(any(q['_DASH_throughput'].split(',')[0].isdigit() for q in later), later)
    tap.equal((s.questions[-1][0], s.questions[-1][1]['x']), ('/next', '1'), 'RELOAD-URI')


@tap.test
def the_default_place_and_a_question_before_the_start():
    dead = 'http://127.0.0.1:9/steer'

    def by_default(inside):
        _, used = play(place(dead, 'defaultServiceLocation="b a"', inside=inside), '--speed', 'max')
        tap.equal(set(used), {'b'}, 'defaultServiceLocation of a server that is dead')

    def before(inside):
        s = Steering(lambda n, path: document('b', ttl=600))
        r, used = play(place(s.url, 'queryBeforeStart="true"', inside=inside), '--speed', 'max')
        tap.equal((set(used), len(s.questions), r['steering']), ({'b'}, 1, {'asked': 1, 'answers': 1}), 'queryBeforeStart')

    def failing(_):
        s = Steering(lambda n, path: (500, {}, b''))
        tap.equal(set(play(place(s.url, 'queryBeforeStart="true"'), '--speed', 'max')[1]), {'a'}, 'a server that fails')
    side_by_side((by_default, False), (by_default, True), (before, False), (before, True), (failing, None))


@tap.test
def a_clone_is_a_place_the_mpd_does_not_list():
    c = badserver.Server(PACKAGE)
    clones = [{'BASE-ID': 'b', 'ID': 'c', 'URI-REPLACEMENT': {'HOST': f'127.0.0.1:{c.port}', 'PARAMS': {'from': 'c'}}}]
    s = Steering(lambda n, path: document('c', 'a', ttl=600, **{'PATHWAY-CLONES': clones}))
    _, used = play(place(s.url, 'queryBeforeStart="true"'), '--speed', 'max')
    tap.equal(set(used), {'c'})
    c = badserver.Server(PACKAGE)
    clones[0]['URI-REPLACEMENT']['HOST'] = f'127.0.0.1:{c.port}'
    c.die_after(200_000)
    r, used = play(place(s.url, 'queryBeforeStart="true"'), '--speed', 'max')
    tap.equal((used[0], used[-1]), ('c', 'a'), 'a clone that dies')


@tap.test
def what_a_server_may_not_say_changes_nothing():
    def ignored(case):
        answer, asked = case
        s = Steering(lambda n, path: answer)
        _, used = play(place(s.url, 'queryBeforeStart="true"'), '--speed', 'max')
        tap.equal((set(used), len(s.questions)), ({'a'}, asked), str(answer)[:80])

    def ended(_):
        s = Steering(lambda n, path: document('b', ttl=1) if n == 1 else (410, {}, b'') if n == 2 else document('a'))
        _, used = play(place(s.url), '--speed', '2')
        tap.equal((len(s.questions), used[-1]), (2, 'b'), '410 ends the asking')

    def put_off(_):
        s = Steering(lambda n, path: (429, {'Retry-After': '2'}, b'') if n == 1 else document('b', ttl=600))
        _, used = play(place(s.url), '--speed', '2')
        tap.equal((len(s.questions), used[0], used[-1]), (2, 'a', 'b'), '429 puts it off')

    def slow(_):
        def answer(n, path):
            time.sleep(20)
            return document('b')
        r, used = play(place(Steering(answer).url), '--speed', '2')
        tap.equal((set(used), r['steering']['answers']), ({'a'}, 0), 'one that takes its time')

    def silent(_):
        s = socket.create_server(('127.0.0.1', 0))
        r, used = play(place(f'http://127.0.0.1:{s.getsockname()[1]}/', 'queryBeforeStart="true"'), '--speed', 'max')
        tap.equal((set(used), r['startup_ms'] < 10000), ({'a'}, True), 'one that takes connections and says nothing, asked before the start')

    def odd_time(ttl):
        s = Steering(lambda n, path: document('b', ttl=ttl))
        _, used = play(place(s.url), '--speed', '2')
        tap.check('b' in used and len(s.questions) <= 2 + time.monotonic() - began, f'TTL {ttl}: {len(s.questions)} questions, {used}')

    def odd_reload(uri):
        s = Steering(lambda n, path: document('b' if n > 1 else 'a', **{'RELOAD-URI': uri}))
        play(place(s.url + '/at/steer?k=1'), '--speed', '2')
        tap.equal([path for path, _ in s.questions[1:2]], ODD_URIS[uri], f'RELOAD-URI {uri}')
    began = time.monotonic()
    side_by_side((slow, None), (silent, None), *((odd_time, t) for t in ODD_TIMES), *((odd_reload, u) for u in ODD_URIS), (ended, None), (put_off, None), *((ignored, case) for case in CASES))


tap.run()

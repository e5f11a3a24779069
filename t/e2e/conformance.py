#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Origin and edge against a model of RFC 9110, 9111, 9211 and 8941 that is written here from the standards alone.

Conditions and ranges are asked in all their combinations (a sample in ./check; RIBERA_CONFORMANCE=all: every one), in pipelines; some of them
by HTTP/2 as well, of an edge that has to fetch what it is asked for, and of what is made for one answer (manifests, lists).
"""
import email.utils, functools, itertools, os, random, re, struct, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, package, sfv, tap
from rawhttp import DATA, H2, HEADERS, Inflater, RST, Reply, WINDOW, ask, connect, frame, plain, read_reply

ALL = os.environ.get('RIBERA_CONFORMANCE') == 'all'
RNG = random.Random(os.environ.get('RIBERA_SEED', '5'))
SIZE = 20_011
VIDEO = RNG.randbytes(SIZE)
library = tap.folder('library')
revision, folder = package.write(library, 'film', {'video.mp4': VIDEO})
os.utime(os.path.join(folder, 'video.mp4'), (1_700_000_000, 1_700_000_000))  # a date is a strong validator when it is past (RFC 9110 8.8.2.2)
NEW = {f'new{i}': {'video.mp4': RNG.randbytes(SIZE)} for i in range(40)}  # of which an edge holds nothing
NEW_REVISIONS = {title: package.write(library, title, files)[0] for title, files in NEW.items()}
future_revision, folder = package.write(library, 'future', {'video.mp4': VIDEO})
os.utime(os.path.join(folder, 'video.mp4'), (2_500_000_000, 2_500_000_000))
system = film.System(library, edges=1)
system.start_edge('edge-through', '--window-duration', '0s')
system.wait_filled('film', revision, ['edge-a'])
PORTS = {name: int(url.rsplit(':', 1)[1]) for name, url in (('origin', system.url), ('edge', system.edge_urls['edge-a']))}
PATH = f'/v/film/{revision}/video.mp4'
PLAIN = {name: ask(port, f'GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n'.encode()) for name, port in PORTS.items()}
ETAG = PLAIN['origin'].fields['etag']
MODIFIED = PLAIN['origin'].fields.get('last-modified')


def request(method='GET', path=PATH, fields=(), version='1.1'):
    return f'{method} {path} HTTP/{version}\r\n{"Host: x" if version == "1.1" else "A: b"}\r\n'.encode() + b''.join(f'{k}: {v}\r\n'.encode('latin-1') for k, v in fields) + b'\r\n'


def in_a_row(port, cases, each, batch=100):
    """cases: (method, fields, ...), asked in pipelines; each(case, reply) judges."""
    with connect(port, 30) as s, s.makefile('rb') as f:
        for part in (cases[i:i + batch] for i in range(0, len(cases), batch)):
            s.sendall(b''.join(request(c[0], PATH, c[1]) for c in part))
            for c in part:
                each(c, read_reply(f, c[0] == 'HEAD'))


def over_h2(port, cases, each, batch=50):
    """The same as streams beside each other of one connection (RFC 9113)."""
    with H2(port, struct.pack('>HI', 4, 1 << 30), 30) as c:
        inflater = Inflater()
        c.s.sendall(frame(WINDOW, 0, 0, struct.pack('>I', 1 << 30)))
        for part in (cases[i:i + batch] for i in range(0, len(cases), batch)):
            asked = {c.request(plain(PATH, case[0], *((k.lower(), v.strip(' \t')) for k, v in case[1]))): case for case in part}
            got = {stream: Reply(None, {}, b'') for stream in asked}
            for kind, flags, stream, payload in c.frames():
                if kind == HEADERS:
                    fields = inflater.fields(payload)
                    tap.equal(len(fields), len(dict(fields)), f'{asked[stream]}: a field twice')
                    got[stream].fields = dict(fields)
                    got[stream].status = int(got[stream].fields.pop(':status'))
                elif kind == DATA:
                    got[stream].body += payload
                    c.s.sendall(frame(WINDOW, 0, 0, struct.pack('>I', len(payload))) if payload else b'')
                tap.check(kind != RST, f'{asked.get(stream)}: reset')
                if kind in (HEADERS, DATA) and flags & 1:
                    each(asked.pop(stream), got[stream])
                if not asked:
                    break
            tap.equal(asked, {}, 'those without an answer')
        inflater.close()


# --- conditions: RFC 9110 13.1, 13.2.2 ------------------------------------------------------------

LATER, BEFORE = 'Sat, 01 Jan 2050 00:00:00 GMT', 'Sun, 06 Nov 1994 08:49:37 GMT'
TAGS = [None, ETAG, 'W/' + ETAG, '"other"', '*', f'"other", {ETAG}', f'"a,b" ,, W/{ETAG} ,"c"', ETAG.strip('"')]
DATES = [None, MODIFIED or LATER, LATER, BEFORE, 'yesterday']
RANGES = [None, 'bytes=1-5', f'bytes={SIZE}-', 'bytes=5-1', 'bytes=0-0,-1']


def tags(text):
    """(weak, tag) of a list; "*" alone is any."""
    return [(bool(w), t) for w, t in re.findall(r'(W/)?("[^"]*")', text)]


def date(text):
    t = email.utils.parsedate_to_datetime(text) if text.endswith('GMT') else None
    return t and t.timestamp()


def expected(c, modified):
    """The status that RFC 9110 wants of what has this Last-Modified, or none."""
    method, if_match, unmodified, none_match, since, range_, if_range = c
    if if_match is not None:
        if if_match != '*' and (False, ETAG) not in tags(if_match):
            return 412
    elif unmodified is not None and modified and date(unmodified) is not None and date(modified) > date(unmodified):
        return 412
    if none_match is not None:
        if none_match == '*' or ETAG in [t for _, t in tags(none_match)]:
            return 304
    elif since is not None and modified and date(since) is not None and date(modified) <= date(since):
        return 304
    if range_ is None or method != 'GET' or range_ == 'bytes=5-1':
        return 200
    if if_range is not None and if_range not in (ETAG, modified or ETAG):
        return 200
    return 416 if range_ == f'bytes={SIZE}-' else 206


@tap.test
def conditions_in_all_combinations():
    names = ('If-Match', 'If-Unmodified-Since', 'If-None-Match', 'If-Modified-Since', 'Range', 'If-Range')
    cases = list(itertools.product(('GET', 'HEAD'), TAGS, DATES, TAGS, DATES, RANGES, (None, ETAG, 'W/' + ETAG, '"other"', *DATES[1:4])))
    if not ALL:
        cases = RNG.sample(cases, 4000)
    asked = []
    for c in cases:
        fields = [(n, v) for n, v in zip(names, c[1:]) if v is not None]
        RNG.shuffle(fields)
        asked.append((c[0], fields, {place: expected(c, PLAIN[place].fields.get('last-modified')) for place in PORTS}))
    seen = {}

    def judge(place, case, r):
        tap.equal(r.status, case[2][place.split(',')[0]], f'{place} {case[:2]}')
        seen[r.status] = seen.get(r.status, 0) + 1
        if r.status == 304:  # RFC 9110 15.4.5
            for name in ('etag', 'cache-control', 'date'):
                tap.check(name in r.fields, f'304 without {name}')
        if r.status == 416:
            tap.equal(r.fields['content-range'], f'bytes */{SIZE}')
        if r.status in (200, 304) and 'content-range' in r.fields:
            raise AssertionError(f'{r.status} with Content-Range')
    for place, port in PORTS.items():
        in_a_row(port, asked, functools.partial(judge, place))
    print(f'# {len(asked)} combinations, twice: {seen}')
    for place, port in PORTS.items():
        over_h2(port, RNG.sample(asked, 10000 if ALL else 500), functools.partial(judge, place + ', HTTP/2'))
    tap.equal(sorted(seen), [200, 206, 304, 412, 416], 'all of them came')


@tap.test
def list_fields_over_several_lines_are_one():
    for name, port in PORTS.items():
        for fields, status in (((('If-None-Match', '"x"'), ('If-None-Match', ETAG)), 304), ((('If-Match', '"x"'), ('If-Match', ETAG)), 200),
                               ((('Range', 'bytes=0-1'), ('Range', 'bytes=5-6')), 200), ((('Range', 'bytes=0-1'), ('If-Range', ETAG), ('If-Range', '"x"')), 200)):
            tap.equal(ask(port, request(fields=fields)).status, status, f'{name} {fields}')


# --- ranges: RFC 9110 14.1.1, 14.2, 14.6 ----------------------------------------------------------

def any_number(rng):
    n = rng.choice([0, 1, 5, SIZE - 2, SIZE - 1, SIZE, SIZE + 1, 2**31, 2**32 + 3, 2**63, 2**64, 10**20 - 1, 10**40, rng.randrange(SIZE), rng.randrange(SIZE), rng.randrange(SIZE)])
    return '0' * rng.choice([0, 0, 0, 3]) + str(n)


def any_spec(rng):
    kind = rng.randrange(12)
    if kind < 7:
        a, b = rng.randrange(SIZE), rng.randrange(SIZE + 50)
        return f'{min(a, b)}-{max(a, b)}'
    return [f'{any_number(rng)}-', f'-{any_number(rng)}', f'{any_number(rng)}-{any_number(rng)}', rng.choice(['', '-', 'x', '1-2-3', '--1', '+1-2', '0x1-2', '1 -2', '1- 2', '1-2;']), ''][kind - 7]


def any_range(rng):
    unit = rng.choice(['bytes='] * 20 + ['Bytes=', 'BYTES=', 'bytes =', 'bytes', 'items=', '', 'bytes==', ' bytes='])
    return unit + rng.choice([',', ', ', ' ,', ',,', '\t,\t']).join(any_spec(rng) for _ in range(rng.choice([1, 1, 1, 2, 3, 8])))


def wanted(field):
    """None: the field is not a range that can be read; else [(first, last)] of what can be had."""
    field = field.strip(' \t')
    if not re.match('bytes=', field, re.I):
        return None
    out, n = [], 0
    for spec in field[6:].split(','):
        spec = spec.strip(' \t')
        if spec == '':
            continue
        n += 1
        m = re.fullmatch(r'([0-9]*)-([0-9]*)', spec)
        if not m or m.groups() == ('', ''):
            return None
        if m[1] == '':
            if int(m[2]) > 0:
                out.append((max(0, SIZE - int(m[2])), SIZE - 1))
            continue
        first, last = (min(int(n or 0), 2**64 - 1) for n in m.groups())  # what is larger is all one
        if m[2] != '' and last < first:
            return None
        if int(m[1]) < SIZE:
            out.append((int(m[1]), min(int(m[2]), SIZE - 1) if m[2] else SIZE - 1))
    return out if n else None


def parts_of(r):
    """[(first, bytes)] of a 206."""
    def one(text, data):
        m = re.fullmatch(r'bytes (\d+)-(\d+)/(\d+)', text)
        tap.check(m and int(m[3]) == SIZE and int(m[2]) - int(m[1]) + 1 == len(data), f'Content-Range {text!r} over {len(data)} bytes')
        return int(m[1]), data
    if 'content-range' in r.fields:
        return [one(r.fields['content-range'], r.body)]
    boundary = re.fullmatch(r'multipart/byteranges; boundary=([\w\'()+,./:=?-]{1,70})', r.fields['content-type'])[1].encode()
    tap.check(r.body.startswith(b'--' + boundary + b'\r\n') and r.body.endswith(b'\r\n--' + boundary + b'--\r\n'), 'the frame of the parts')
    out = []
    for part in r.body[len(boundary) + 4:-len(boundary) - 8].split(b'\r\n--' + boundary + b'\r\n'):
        head, data = part.split(b'\r\n\r\n', 1)
        fields = dict(line.decode().lower().split(': ', 1) for line in head.split(b'\r\n'))
        tap.equal(fields['content-type'], PLAIN['origin'].fields['content-type'], 'type of a part')
        out.append(one(fields['content-range'], data))
    return out


def judge_range(case, r):
    field, want = case[1][0][1], wanted(case[1][0][1])
    if want is None:
        tap.equal((r.status, r.body == VIDEO), (200, True), field)
    elif not want:
        tap.equal((r.status, r.fields['content-range']), (416, f'bytes */{SIZE}'), field)
    elif r.status == 200:  # RFC 9110 14.2: many or odd ranges may be passed over, but one may not be here
        tap.check(len(want) > 1 and r.body == VIDEO, field)
    else:
        tap.equal(r.status, 206, field)
        got, sent = parts_of(r), bytearray(SIZE)
        for first, data in got:
            tap.check(data == VIDEO[first:first + len(data)], f'{field}: wrong bytes from {first}')
            tap.check(not any(sent[first:first + len(data)]), f'{field}: parts overlap')
            sent[first:first + len(data)] = b'\1' * len(data)
        tap.check(all(all(sent[a:b + 1]) for a, b in want), f'{field}: bytes are missing')
        if len(want) == 1:
            tap.equal([(first, first + len(data) - 1) for first, data in got], want, field)
        tap.check(len(r.body) <= SIZE + 200 * len(want), f'{field}: {len(r.body)} bytes')


@tap.test
def ranges_of_every_kind():
    cases = [('GET', [('Range', any_range(RNG))]) for _ in range(20000 if ALL else 1500)]
    cases += [('GET', [('Range', f)]) for f in ('bytes=0-,-1', 'bytes=500-600,0-100', 'bytes=100-200,150-250,9000-9001', 'bytes=-1,0-0', 'bytes=0-0, 9000-9000 ,-1', 'bytes=18446744073709551616-',
                                                'bytes=-99999999999999999999', 'bytes=0-18446744073709551615', 'bytes=0-99999999999999999999', 'bytes= 0-1', 'bytes=0-1 ', 'bytes=,,0-1,,')]
    for port in PORTS.values():
        in_a_row(port, cases, judge_range)
        over_h2(port, RNG.sample(cases, 3000 if ALL else 300), judge_range)


@tap.test
def both_versions_say_the_same():
    """RFC 9113 8: the semantics are those of RFC 9110, but for fields of one connection."""
    own = {'connection', 'keep-alive', 'transfer-encoding', 'x-request-id', 'server-timing', 'date', 'age'}
    cases = [('GET', []), ('HEAD', []), *(('GET', [f]) for f in (('Range', 'bytes=5-99'), ('Range', 'bytes=0-0,9000-9001,-1'), ('Range', f'bytes={SIZE}-'), ('If-None-Match', ETAG), ('If-Match', '"x"'))),
             ('OPTIONS', []), ('DELETE', []), ('BREW', [])]
    for place, port in PORTS.items():
        one, two = [], []
        in_a_row(port, cases, lambda case, r: one.append((case, r)))
        over_h2(port, cases, lambda case, r: two.append((case, r)))
        for case, r in one:
            (other,) = [x for c, x in two if c == case]
            tap.equal((other.status, other.body, {k: v for k, v in other.fields.items() if k not in own}), (r.status, r.body, {k: v for k, v in r.fields.items() if k not in own}), f'{place} {case}')
            tap.check(not {'connection', 'keep-alive', 'transfer-encoding'} & set(other.fields), f'{place} {case}: {other.fields}')


@tap.test
def what_has_to_be_fetched_first_is_answered_alike():
    port = int(system.edge_urls['edge-through'].rsplit(':', 1)[1])
    asks = [('GET', f) for f in ({}, {'Range': 'bytes=0-0'}, {'Range': 'bytes=-7'}, {'Range': 'bytes=20000-'}, {'Range': 'bytes=3-9,8000-8001'}, {'Range': f'bytes={SIZE}-'}, {'Range': 'bytes=5-3'},
                                 {'If-None-Match': 'ETAG'}, {'If-None-Match': 'W/ETAG'}, {'If-None-Match': '*'}, {'If-None-Match': '"x"', 'Range': 'bytes=1-2'}, {'If-Match': '"x"'}, {'If-Match': 'ETAG', 'Range': 'bytes=1-2'},
                                 {'Range': 'bytes=1-2', 'If-Range': 'ETAG'}, {'Range': 'bytes=1-2', 'If-Range': 'W/ETAG'}, {'Range': 'bytes=1-2', 'If-Range': '"x"'})]
    asks += [('HEAD', fields) for _, fields in asks]
    for title, (method, fields) in zip(NEW, asks, strict=False):
        path, data = f'/v/{title}/{NEW_REVISIONS[title]}/video.mp4', NEW[title]['video.mp4']
        etag = ask(PORTS['origin'], request('HEAD', path), True).fields['etag']
        raw = request(method, path, [(k, v.replace('ETAG', etag)) for k, v in fields.items()])
        tap.until(lambda: ask(port, request('HEAD', f'/v/{title}/manifest.mpd'), True).status == 200, 20, f'{title} at the edge')
        first, again, home = (ask(p, raw, method == 'HEAD', 30) for p in (port, port, PORTS['origin']))
        facts = lambda r: (r.status, r.body, *(r.fields.get(k) for k in ('etag', 'content-length', 'content-range', 'content-type', 'cache-control', 'accept-ranges')))
        tap.equal(facts(first), facts(home), f'{method} {fields}, not held: {first.fields}')
        tap.equal(facts(again), facts(home), f'{method} {fields}, asked again')
        if (method, fields) == ('GET', {}):
            tap.equal(first.body == data and 'hit' not in first.fields['cache-status'], True, f'fetched: {first.fields}')


@tap.test
def what_is_made_for_an_answer_has_conditions_too():
    """Manifests that an origin or an edge makes, and the lists of the API: with an ETag, without a date (RFC 9110 13.1)."""
    control = int(system.control.rsplit(':', 1)[1])
    token = ('Authorization', 'Bearer ' + system.token)
    for place, port, path in (('origin', PORTS['origin'], '/v/film/manifest.mpd'), ('edge', PORTS['edge'], '/v/film/manifest.mpd'), ('origin', PORTS['origin'], '/v/film/main.m3u8'),
                              ('origin', PORTS['origin'], '/api/v1/titles'), ('control', control, '/api/v1/titles'), ('control', control, '/api/v1/titles/film')):
        def status(*fields, method='GET'):
            return ask(port, request(method, path, [token, *fields]), method == 'HEAD').status
        plain_ = ask(port, request(path=path, fields=[token]))
        etag, what = plain_.fields['etag'], f'{place} {path}'
        tap.check(plain_.status == 200 and 'last-modified' not in plain_.fields, what)
        for method in ('GET', 'HEAD'):
            for fields, want in (([('If-None-Match', etag)], 304), ([('If-None-Match', 'W/' + etag)], 304), ([('If-None-Match', '*')], 304), ([('If-None-Match', '"x"')], 200), ([('If-None-Match', f'"a,b" ,, W/{etag}')], 304),
                                 ([('If-None-Match', '"x"'), ('If-None-Match', etag)], 304), ([('If-None-Match', f'"x,{etag[1:]}')], 200), ([('If-None-Match', etag.strip('"'))], 200),
                                 ([('If-Match', etag)], 200), ([('If-Match', '*')], 200), ([('If-Match', '"x"')], 412), ([('If-Match', 'W/' + etag)], 412), ([('If-Match', '"x"'), ('If-Match', etag)], 200),
                                 ([('If-Match', '"x"'), ('If-None-Match', etag)], 412), ([('If-Unmodified-Since', BEFORE)], 200), ([('If-Modified-Since', LATER)], 200)):
                tap.equal(status(*fields, method=method), want, f'{what} {method} {fields}')
        not_modified = ask(port, request(path=path, fields=[token, ('If-None-Match', etag)]))
        for name in ('etag', 'cache-control', 'date', 'vary'):
            tap.check(name in not_modified.fields or name not in plain_.fields, f'{what}: 304 without {name}')
        tap.equal([not_modified.fields[k] for k in ('etag', 'cache-control')], [plain_.fields[k] for k in ('etag', 'cache-control')], what)


@tap.test
def no_last_modified_lies_in_the_future():
    """RFC 9110 8.8.2.1: of a file whose own date does, as when a clock was set back."""
    r = ask(PORTS['origin'], request(path=f'/v/future/{future_revision}/video.mp4'))
    tap.equal(r.status, 200)
    tap.check('last-modified' not in r.fields or date(r.fields['last-modified']) <= date(r.fields['date']), r.fields)


# --- what is said of caching: RFC 9110 8.8, 6.6.1, RFC 9111 5.1, RFC 9211 ---------------------------

@tap.test
def fields_that_caches_read():
    places = {'origin': (PATH, '/v/film/manifest.mpd', '/v/film/main.m3u8', '/nope', f'/v/film/{revision}/nope'), 'edge': (PATH, '/v/film/manifest.mpd', '/nope', f'/v/film/{revision}/nope', '/v/nope/manifest.mpd', '/%zz')}
    for place, paths in places.items():
        for path in paths:
            for method, fields in (('GET', ()), ('HEAD', ()), ('GET', (('Range', 'bytes=0-1'),)), ('GET', (('If-None-Match', '*'),))):
                r = ask(PORTS[place], request(method, path, fields), method == 'HEAD')
                what = f'{place} {method} {path} {fields}: {r.status} {r.fields}'
                tap.check(re.fullmatch(r'(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT', r.fields['date']), f'{what}')
                tap.check(abs(date(r.fields['date']) - time.time()) < 60, what)
                tap.check('cache-control' in r.fields and sfv.dictionary(r.fields['cache-control']), what)
                if 'age' in r.fields:
                    tap.check(re.fullmatch(r'\d+', r.fields['age']), what)
                if 'etag' in r.fields:
                    tap.check(re.fullmatch(r'"[\x21\x23-\x7e]+"', r.fields['etag']), what)
                if 'server-timing' in r.fields:
                    tap.check(re.fullmatch(r'[\w-]+(;(desc=[\w-]+|dur=\d+(\.\d+)?))*', r.fields['server-timing']), r.fields['server-timing'])
                if place == 'edge' and path.startswith('/v/'):
                    tap.check('cache-status' in r.fields, what)
                    judge_cache_status(r.fields['cache-status'], r.status, what)
                if r.status >= 400:
                    tap.equal(r.fields['cache-control'], 'no-store', what)


def judge_cache_status(text, status, what):
    """RFC 9211 2: a list of strings or tokens, each with these parameters alone, hit or fwd and not both."""
    members = sfv.list_(text)
    tap.check(members, what)
    for name, parameters in members:
        tap.check(isinstance(name, (str, sfv.Token)) and set(parameters) <= {'hit', 'fwd', 'fwd-status', 'ttl', 'stored', 'collapsed', 'key', 'detail'}, f'{what}: {text}')
        tap.check(('hit' in parameters) != ('fwd' in parameters), f'{what}: {text}')
        tap.check(parameters.get('hit', True) is True and parameters.get('collapsed', True) in (True, False), f'{what}: {text}')
        if 'fwd' in parameters:
            tap.check(parameters['fwd'] in ('bypass', 'method', 'uri-miss', 'vary-miss', 'miss', 'request', 'stale', 'partial'), f'{what}: {text}')
    tap.check(status < 400 or 'hit' not in members[-1][1] or status in (412, 416), f'{what}: {text}')


@tap.test
def head_says_what_get_says():
    for place, port in PORTS.items():
        for path in (PATH, '/v/film/manifest.mpd', '/nope', '/healthz'):
            for fields in ((), (('If-None-Match', '*'),), (('If-Match', '"x"'),)):
                a, b = (ask(port, request(m, path, fields), m == 'HEAD') for m in ('GET', 'HEAD'))
                tap.equal((b.status, sorted(b.fields), b.fields.get('content-length')), (a.status, sorted(a.fields), a.fields.get('content-length')), f'{place} {path} {fields}')


@tap.test
def age_counts_from_the_origin_on():
    first = ask(PORTS['edge'], request()).fields
    tap.until(lambda: int(ask(PORTS['edge'], request()).fields['age']) > int(first['age']), 10, 'an older answer')
    tap.check('age' not in PLAIN['origin'].fields, 'the origin made it: no Age')
    not_modified = ask(PORTS['edge'], request(fields=[('If-None-Match', ETAG)]))
    tap.check(int(not_modified.fields['age']) >= int(first['age']), 'Age of a 304')


# --- connections: RFC 9112 -----------------------------------------------------------------------

def talk(port, *raw):
    """(replies, whether the server closed then) of one connection that asks all this in turn."""
    with connect(port, 10) as s, s.makefile('rb') as f:
        out = []
        try:
            for part in (*raw, request('HEAD')):
                s.sendall(part)
                out.append(read_reply(f, part.startswith(b'HEAD')))
        except OSError:
            out += [None] * (len(raw) + 1 - len(out))
        return out[:-1], out[-1] is None


@tap.test
def versions_and_persistence():
    for place, port in PORTS.items():
        for name, raw, closes in (('1.1', request(), False), ('1.1 close', request(fields=[('Connection', 'close')]), True), ('1.1 list', request(fields=[('Connection', 'x, Close')]), True),
                                  ('1.0', request(version='1.0'), True), ('1.0 keep-alive', request(version='1.0', fields=[('Connection', 'keep-alive')]), False)):
            (r,), closed = talk(port, raw)
            tap.equal((r.status, len(r.body), closed), (200, SIZE, closes), f'{place} {name}: {r.fields.get("connection")}')
            tap.equal(r.fields.get('connection') == 'close', closes, f'{place} {name} says so')
        # an empty line between requests, HEAD amid, an odd method amid: all answered in order (RFC 9112 2.2, 9.3.2)
        raw = [request(), b'\r\n' + request(fields=[('Range', 'bytes=1-2')]), request('HEAD'), request('OPTIONS'), request('DELETE'), request('HEAD', fields=[('If-None-Match', '*')]), request(fields=[('If-None-Match', '*')]), request()]
        got, _ = talk(port, *raw)
        tap.equal([r and r.status for r in got], [200, 206, 200, 204, 405, 304, 304, 200], place)
        with connect(port, 5) as s, s.makefile('rb') as f:
            s.sendall(b''.join(raw))
            tap.equal([read_reply(f, part.startswith(b'HEAD')).status for part in raw], [200, 206, 200, 204, 405, 304, 304, 200], f'{place}, in one write')


@tap.test
def targets_and_methods():
    for place, port in PORTS.items():
        for target in (f'http://x{PATH}', f'HTTP://elsewhere.example:80{PATH}', PATH + '?', PATH + '?a=b&CMCD=br%3D1', PATH.replace('film', 'f%69lm')):
            r = ask(port, request(path=target))
            tap.equal((r.status, r.body == VIDEO), (200, True), f'{place} {target}')
        for path, status in ((f'http://x{PATH}', 200), (f'http://x?a=b{PATH}', 404), ('http://x', 404), ('http://', 400), (f'http://{PATH}', 400), (f'http://a@x{PATH}', 400), (PATH, 400), ('*', 400)):
            tap.equal(ask(port, f'GET {path} HTTP/1.1\r\nHost: \r\n\r\n'.encode()).status, status, f'{place} {path}, Host empty')  # RFC 9112 3.2, 3.2.2, 3.3
        for version in ('0.9', '2.0', '3.0', '9.9'):  # RFC 9110 15.6.6
            r = ask(port, f'GET {PATH} HTTP/{version}\r\nHost: x\r\n\r\n'.encode())
            tap.equal((r.status, r.fields['connection'], r.fields['cache-control']), (505, 'close', 'no-store'), f'{place} HTTP/{version}')
        tap.equal(ask(port, f'GET {PATH} HTTP/1.9\r\nHost: x\r\n\r\n'.encode()).status, 200, 'a minor version to come is 1.1')
        tap.equal(ask(port, b'\r\n' * 3 + request()).status, 200, 'empty lines in front (RFC 9112 2.2)')
        for method, path, status in (('OPTIONS', '*', 204), ('OPTIONS', PATH, 204), ('TRACE', PATH, 405), ('CONNECT', 'x:80', 501), ('BREW', PATH, 501), ('get', PATH, 501), ('GET', '*', 400), ('GET', '', 400), ('GET', PATH + '#f', 400)):
            r = ask(port, request(method, path))
            tap.equal(r and r.status, status, f'{place} {method} {path}')
            if status in (204, 405):
                tap.equal(sorted(r.fields['allow'].split(', ')), ['GET', 'HEAD', 'OPTIONS'], f'{place} {method} {path}')
                tap.check('transfer-encoding' not in r.fields and (status != 204 or 'content-length' not in r.fields), str(r.fields))  # RFC 9110 8.6
        secret = request('TRACE', fields=[('Cookie', 'secret=1')])
        tap.check(b'secret' not in ask(port, secret).body, 'TRACE tells nothing')


@tap.test
def a_body_with_a_get_is_read_and_passed_over():
    for place, port in PORTS.items():
        got, closed = talk(port, request(fields=[('Content-Length', '5')]) + b'hello', request('HEAD'))
        tap.equal([r and r.status for r in got], [200, 200], place)
        got, closed = talk(port, request(fields=[('Transfer-Encoding', 'chunked')]) + b'5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n', request('HEAD'))
        tap.equal([r and r.status for r in got], [200, 200], f'{place}, in chunks')
        for fields in ([('Content-Length', '0'), ('Content-Length', '0')], [('Content-Length', '0'), ('Transfer-Encoding', 'chunked')], [('Content-Length', '0'), ('Content-Length', '5')]):
            (r, *_), closed = talk(port, request(fields=fields) + b'0\r\n\r\n')
            tap.equal((r.status, closed), (400, True), f'{place} {fields}')


@tap.test
def what_a_page_of_another_origin_may_ask():
    for place, port in PORTS.items():
        r = ask(port, request('OPTIONS', fields=[('Origin', 'https://tv.example'), ('Access-Control-Request-Method', 'GET'), ('Access-Control-Request-Headers', 'range,cmcd-request'),
                                                 ('Access-Control-Request-Private-Network', 'true')]))
        allowed = {h.strip().lower() for h in r.fields['access-control-allow-headers'].split(',')}
        tap.equal((r.status, r.fields['access-control-allow-origin'], {'range', 'cmcd-request'} <= allowed, 'GET' in r.fields['access-control-allow-methods']), (204, '*', True, True), place)
        tap.equal(r.fields.get('access-control-allow-private-network'), 'true', f'{place}: an edge stands in the network of the house')
        for path, fields in ((PATH, ()), (PATH, (('Range', 'bytes=0-1'),)), (PATH, (('Range', f'bytes={SIZE}-'),)), ('/nope', ()), ('/%zz', ())):
            r = ask(port, request(path=path, fields=[('Origin', 'https://tv.example'), *fields]))
            tap.equal(r.fields.get('access-control-allow-origin'), '*', f'{place} {path}: scripts see the status')
            tap.check('content-range' in r.fields['access-control-expose-headers'].lower() and 'vary' not in r.fields, f'{place} {path}')


tap.run()

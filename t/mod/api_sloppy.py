#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sloppy client or an attacker sends, made from doc/openapi.yaml: each operation with each field, parameter and path
name wrong in every way its schema forbids, bodies that are no JSON, methods that nobody has.  Each is answered with 4xx that
names the field, none with 5xx, and the origin is as well at the end as at the beginning."""
import http.client, json, os, re, sys, threading, time, urllib.parse
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, plainyaml, tap
from origins import JSON, Origin, raw

with open(os.path.join(tap.SOURCE, 'doc', 'openapi.yaml')) as f:
    DOC = plainyaml.load(f.read())
METHODS = ('get', 'put', 'post', 'patch', 'delete', 'options')
API_MAX_BODY = 16 << 20


def resolve(part):
    while '$ref' in part:
        at = DOC
        for step in part['$ref'].split('/')[1:]:
            at = at[step]
        part = at
    return part


def operations():
    """id -> (method, path, parameters, schema of the JSON body or None)"""
    found = {}
    for path, item in DOC['paths'].items():
        for m in METHODS:
            if m in item:
                body = item[m].get('requestBody', {}).get('content', {}).get('application/json', {}).get('schema')
                found[item[m]['operationId']] = (m.upper(), path, [resolve(p) for p in item.get('parameters', []) + item[m].get('parameters', [])],
                                                 resolve(body) if body else None)
    return found


OPERATIONS = operations()


class Raw:
    """A number as it shall stand in the JSON, which Python would not write."""

    def __init__(self, text):
        self.text = text


def dump(value):
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return '{' + ','.join(f'{json.dumps(k)}:{dump(v)}' for k, v in value.items()) + '}'
    if isinstance(value, list):
        return '[' + ','.join(map(dump, value)) + ']'
    return json.dumps(value)


OTHERS = {'string': [5, 1.5, True, [], {}], 'integer': ['5', 1.5, True, [], {}, Raw('1e2'), Raw('-0.5')], 'number': ['5', True, [], {}],
          'boolean': ['true', 0, []], 'array': ['x', 5, {}, True], 'object': ['x', 5, [], True]}


def bad_values(schema):
    """(where below the value, a value that the schema does not allow)"""
    schema = resolve(schema)
    kind = schema['type']
    for v in OTHERS[kind] + ([] if schema.get('nullable') else [None]):
        yield '', v
    if kind == 'string':
        if 'pattern' in schema or 'enum' in schema:
            yield from (('', v) for v in ('', 'no such', '../x', 'á', 'x' * 5000, 'a\nb', 'a\x7f'))
        elif 'maxLength' in schema:
            yield from (('', v) for v in ('x' * (schema['maxLength'] + 1), 'é' * (schema['maxLength'] // 2 + 1), 'a\x01b', 'a\x7f'))
    if kind in ('integer', 'number'):
        if 'minimum' in schema:
            yield '', schema['minimum'] - 1
            yield '', -2**63
        if 'maximum' in schema:
            yield '', schema['maximum'] + 1
        if 'multipleOf' in schema:
            yield '', schema['multipleOf'] + 1
    if kind == 'array':
        if schema.get('maxItems', 10**9) <= 1000:
            yield '', [good(schema['items'])] * (schema['maxItems'] + 1)
        for where, v in bad_values(schema['items']):
            yield '[0]' + where, [v]
    if kind == 'object':
        yield from bad_objects(schema, '.')


def bad_objects(schema, dot=''):
    base = good(schema)
    for name in schema.get('required', ()):
        yield f'{dot}{name}', {k: v for k, v in base.items() if k != name}
    yield f'{dot}no_such', {**base, 'no_such': 1}
    for name, s in schema['properties'].items():
        for where, v in bad_values(s):
            if v is not None or name in schema.get('required', ()) or not NULL_IS_ABSENT:
                yield f'{dot}{name}{where}', {**base, name: v}


NULL_IS_ABSENT = False
REVISION = None
GOOD = {'url': 'http://edge-a.example', 'holds': [], 'liars': [], 'parts': [], 'filling': [], 'hours': [], 'key': 'site', 'value': 'x',
        'title': 'film', 'name': 'edge-a', 'edge': 'edge-a', 'file': 'video.mp4', 'role': 'edge', 'policy': 'none', 'tags': []}


def good(schema, name=None):
    schema = resolve(schema)
    if name in GOOD:
        return GOOD[name]
    kind = schema['type']
    if kind == 'object':
        return {n: good(s, n) for n, s in schema['properties'].items() if n in schema.get('required', ())}
    if kind == 'string':
        return REVISION if '20}' in schema.get('pattern', '') else 'film' if 'pattern' in schema else f'film/{REVISION}'
    return schema.get('minimum', 0) if kind in ('integer', 'number') else []


class Client:
    """One connection that is kept, so that a thousand requests cost a second."""

    def __init__(self, origin):
        self.o, self.c, self.n = origin, None, 0

    def ask(self, method, path, body=None, headers=()):
        self.n += 1
        for again in (False, True):
            if self.c is None:
                self.c = http.client.HTTPConnection('127.0.0.1', self.o.ports['control'], timeout=20)
            try:
                self.c.request(method, path, body, dict(headers))
                r = self.c.getresponse()
                data = b'' if 'event-stream' in r.headers.get('content-type', '') else r.read()
                if r.will_close or 'event-stream' in r.headers.get('content-type', ''):
                    self.close()
                return tap.Reply(r.status, r.headers, data)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if again or not self.o.p.alive():
                    raise AssertionError(f'{method} {path[:200]}: cut off; the origin is {"alive" if self.o.p.alive() else "dead"}') from None

    def close(self):
        self.c.close()
        self.c = None


def problem(r, what, statuses=(400,), field=None):
    if r.status not in statuses:
        raise AssertionError(f'{what}: {r.status} {r.body[:300]!r}, want {statuses}')
    tap.check('problem+json' in r.headers.get('content-type', ''), f'{what}: {r.status} is no problem+json')
    p = r.json()
    tap.equal(p['status'], r.status, what)
    tap.check(p['title'] != 'Error' and p['detail'], f'{what}: {p}')
    if field is not None and p.get('field') != field:
        raise AssertionError(f'{what}: names {p.get("field")!r} ({p["detail"]}), want {field!r}')


class World:
    def __init__(self):
        global REVISION
        self.o = Origin(options=['--heartbeat', '1h'])
        REVISION = package.write(self.o.library, 'film', {'video.mp4': b'x'})[0]
        tap.until(lambda: self.o.get('/api/v1/titles/film').status == 200)
        self.o.register('edge-a')
        self.c = Client(self.o)

    def path(self, pattern, **names):
        known = {'title': 'film', 'revision': REVISION, 'edge': 'edge-a', 'id': '0' * 32, **names}
        return re.sub(r'{(\w+)}', lambda m: known[m[1]], pattern)

    def json_operations(self):
        for id_, (method, path, _, schema) in OPERATIONS.items():
            if schema is not None:
                yield id_, method, self.path(path), schema

    def end(self):
        tap.equal(self.c.ask('GET', '/healthz').status, 200, 'healthz')
        tap.equal(self.c.ask('GET', '/api/v1/titles/film').json()['revision'], REVISION)
        tap.equal(self.o.p.stop(), 0, 'the exit code')


@tap.test
def every_field_of_every_body():
    global NULL_IS_ABSENT
    w = World()
    seen = 0
    for id_, method, path, schema in w.json_operations():
        NULL_IS_ABSENT = 'etadata' in id_  # there null unsets (RFC 7396)
        for field, body in bad_objects(schema):
            text = dump(body).encode()
            problem(w.c.ask(method, path, text, JSON), f'{id_} {text[:200]}', field=field)
            seen += 1
    tap.check(seen > 500, f'{seen} bodies only')
    w.end()


LONG = 'é' * 100
BODIES = [b'', b'null', b'5', b'"x"', b'[]', b'{', b'{}x', b'{"a":NaN}', b'{"a":1e999}', b'{"a":-Infinity}', b'{"a":1,"a":2}', b'{"a":"\xff"}', b'{"\xc3\x28":1}',
          b'\xef\xbb\xbf{}', b'{"a":"\\u0000"}', b'{"a":"\\ud800"}', b'{\'a\':1}', b'\x00' * 100, b'{"a":' * 100000, b'[' * 100000,
          b'{"a":99999999999999999999999}', '{"%s":1}' % LONG, '{"x%s":1}' % LONG]


@tap.test
def bodies_that_are_none():
    w = World()
    for id_, method, path, schema in w.json_operations():
        for body in BODIES:
            body = body if isinstance(body, bytes) else body.encode()
            if body == b'' and not schema.get('required'):
                continue
            r = w.c.ask(method, path, body, JSON)
            problem(r, f'{id_} {body[:60]!r}')
            if LONG.encode()[:9] in body:
                tap.check(r.json().get('field', '').strip('x').startswith('ééé'), f'{id_}: a long name is not named: {r.body!r}')
        if method == 'POST':
            problem(w.c.ask(method, path, b'{}', {'Content-Type': 'text/plain'}), id_, (415,))
            problem(w.c.ask(method, path, b'{}'), id_, (415,))
    huge = raw(w.o.ports['control'], b'PUT /api/v1/placement HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
                                     b'Connection: close\r\nContent-Length: %d\r\n\r\n{' % (API_MAX_BODY + 1))
    tap.equal(huge.split(b' ')[1], b'413', 'a huge body')
    tap.check(b'content-type: application/problem+json' in huge and json.loads(huge.split(b'\r\n\r\n')[-1])['status'] == 413, huge)
    for target in (b'/api/v1/titles/%00', b'/api/v1/titles/%zz', b'/api/../x'):
        r = raw(w.o.ports['control'], b'GET ' + target + b' HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        tap.check(b' 400 ' in r and b'content-type: application/problem+json' in r, r)
    w.end()


@tap.test
def every_parameter_and_path_name():
    w = World()
    texts = ['', '-1', '0', 'NaN', '1.5', '1e3', '99999999999999999999', ' 5', '5 ', '+5', '%ff%fe', '%00', 'a%0ab', '..', '%2e%2e%2f', "'", '*', 'x' * 3000, 'film', LONG]
    for id_, (method, path, parameters, schema) in OPERATIONS.items():
        for p in parameters:
            s = resolve(p['schema'])
            for text in texts:
                text = urllib.parse.quote(text, safe="%+*'")
                if p['in'] == 'query':
                    r = w.c.ask(method, f'{w.path(path)}?{p["name"]}={text}')
                    value = urllib.parse.unquote_to_bytes(text.replace('+', ' ')).decode(errors='replace')
                    if allowed(value, s):
                        tap.check(r.status < 500, f'{id_} {p["name"]}={text}: {r.status}')
                    else:
                        problem(r, f'{id_} {p["name"]}={text[:60]}', field=p['name'])
                elif p['in'] == 'path' and text != 'film':
                    r = w.c.ask(method, w.path(path, **{p['name']: text}), b'{}' if schema else None, JSON if schema else {})
                    tap.check(400 <= r.status < 500 or text == '', f'{id_} {{{p["name"]}}}={text[:60]}: {r.status} {r.body[:200]}')
                elif p['in'] == 'header' and '%' not in text and method != 'GET' and (method, text) != ('DELETE', '*'):
                    r = w.c.ask(method, w.path(path), b'{}', {**JSON, p['name']: text.replace('%', '')})
                    tap.check(r.status < 500, f'{id_} {p["name"]}: {text[:60]}: {r.status} {r.body[:200]}')
    w.end()


def allowed(value, schema):
    if schema['type'] == 'integer':
        return re.fullmatch(r'\d{1,18}', value) is not None and schema.get('minimum', 0) <= int(value) <= schema.get('maximum', 2**63 - 1)
    if 'enum' in schema:
        return value in schema['enum']
    if schema.get('format') == 'date':
        return False
    return 'pattern' not in schema or re.search(schema['pattern'] + r'(?!\n)', value) is not None


@tap.test
def parameters_that_are_unknown_or_given_twice():
    """A name that is mistaken is told, not passed over."""
    w = World()
    for id_, (method, path, parameters, schema) in OPERATIONS.items():
        body, fields = (b'{}', JSON) if method in ('POST', 'PUT', 'PATCH') else (None, {})
        known = [p['name'] for p in parameters if p['in'] == 'query']
        problem(w.c.ask(method, w.path(path) + '?no-such=1', body, fields), id_, field='no-such')
        for name in known:
            problem(w.c.ask(method, f'{w.path(path)}?{name}=1&{name}=1'), f'{id_} {name} twice', field=name)
            if id_ != 'listenToEvents' and '/events' not in path:
                tap.check(b'unknown parameter' not in w.c.ask(method, f'{w.path(path)}?{name}=1').body, f'{id_} {name}')
    w.end()


@tap.test
def every_method_that_a_path_has_not():
    w = World()
    paths = {}
    for method, path, _, _ in OPERATIONS.values():
        paths.setdefault(path, set()).add(method)
    for path, has in paths.items():
        for method in ('GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'):
            if method not in has:
                r = w.c.ask(method, w.path(path), b'{}', JSON)
                problem(r, f'{method} {path}', (405,))
                allow = set(r.headers['allow'].split(', '))
                tap.equal(allow - {'HEAD'}, has, f'{method} {path}: Allow')
        problem(w.c.ask('BREW', w.path(path), b'{}', JSON), f'BREW {path}', (501,))
    tap.equal(w.c.ask('GET', '/api/v1/titles//metadata').status, 400)
    for path in ('/api/v1', '/api/v1/', '/api/v2/titles', '/api/v1/titles/', '/api/v1/Titles', '/api/v1/titles/film/metadata/'):
        problem(w.c.ask('GET', path), path, (404,))
    w.end()


@tap.test
def counts_without_measure_add_up():
    w = World()
    hour, most = int(time.time()) // 3600 * 3600, resolve(DOC['components']['schemas']['DemandFile'])['properties']['bytes']['maximum']
    files = [{'title': 'film', 'revision': REVISION, 'file': f'{i}.mp4', 'requests': most, 'bytes': most, 'sessions': most} for i in range(1100)]
    for sequence in (1, 2):
        batch = {'stream': 's', 'sequence': sequence, 'hours': [{'hour': hour, 'files': files}]}
        tap.equal(w.c.ask('POST', '/api/v1/edges/edge-a/demand', json.dumps(batch), JSON).json(), {'counted': True})
    tap.equal(w.c.ask('GET', '/api/v1/demand?by=hour').json()['hours'][-1]['bytes'], 2**62)  # where sums stop
    tap.equal(w.c.ask('GET', '/api/v1/demand').json()['files'][0]['bytes'], 2 * most)
    w.end()


@tap.test
def of_many_that_read_the_same_one_may_write():
    w = World()
    path = '/api/v1/titles/film/metadata'
    for turn in range(5):
        etag, statuses = w.c.ask('GET', path).headers['etag'], []
        def write(i):
            statuses.append(Client(w.o).ask('PATCH', path, json.dumps({'name': f'{turn}-{i}'}), {**JSON, 'If-Match': etag}).status)
        threads = [threading.Thread(target=write, args=[i]) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        tap.equal(sorted(statuses), [200] + [412] * 7)
    for match in ('"no"', 'W/' + etag, '"', ',,,', 'x' * 4000):
        problem(w.c.ask('PUT', path, '{}', {**JSON, 'If-Match': match}), match[:50], (412,))
    w.end()


@tap.test
def a_key_is_for_one_request():
    w = World()
    for id_, method, path, schema in w.json_operations():
        if method != 'POST':
            continue
        key = {**JSON, 'Idempotency-Key': f'key of {id_}'}
        first = w.c.ask(method, path, dump(good(schema)), key)
        again = w.c.ask(method, path, dump(good(schema)), key)
        other = w.c.ask(method, path, dump({**good(schema), 'more': 1}), key)
        tap.equal((again.status, again.body), (first.status, first.body if b'"token"' not in first.body else again.body), f'{id_} again')
        if first.status < 400:
            problem(other, f'{id_} with another body', (422,))
        if b'"token"' in first.body:  # from now on one is needed
            w.c.ask('DELETE', f'/api/v1/tokens/{first.json()["id"]}', headers={'Authorization': f'Bearer {first.json()["token"]}'})
        problem(w.c.ask(method, path, '{}', {**JSON, 'Idempotency-Key': 'x' * 201}), id_, (400, 401))
    w.o.p.stop()


tap.run()

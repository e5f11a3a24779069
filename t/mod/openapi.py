#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""doc/openapi.yaml and the origin name the same things, in both directions: every path and method, every field of requests and
of replies.  Real requests are made for every operation; a field that one side has and the other has not fails."""
import base64, http.client, json, os, re, sys, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, plainyaml, tap
from origins import JSON, Origin

with open(os.path.join(tap.SOURCE, 'doc', 'openapi.yaml')) as f:
    DOC = plainyaml.load(f.read())
METHODS = ('get', 'put', 'post', 'patch', 'delete', 'options')
SCHEMAS = DOC['components']['schemas']
OPERATIONS = {item[m]['operationId']: (m.upper(), path, item[m]) for path, item in DOC['paths'].items() for m in METHODS if m in item}
# fields that need a state of the world which other tests bring about (t/mod/demand.py, placement.py, steering.py, the player's)
ELSEWHERE = {'Event'}
b64 = lambda s: base64.b64encode(s.encode()).decode()


def resolve(schema):
    while '$ref' in schema:
        schema = SCHEMAS[schema['$ref'].rsplit('/', 1)[1]]
    return schema


def properties(schema):
    """name -> schema of an object's fields, and those that must be there; None: any fields."""
    schema = resolve(schema)
    if 'allOf' in schema:
        found, required = {}, set()
        for part in schema['allOf']:
            p, r = properties(part)
            found.update(p)
            required |= r
        return found, required
    if 'properties' not in schema:
        return None, set()
    return schema['properties'], set(schema.get('required', ()))


def choose(value, schema):
    """Of the schemas that a value may have, the one that it looks like."""
    for s in map(resolve, schema.get('oneOf', ())):
        if isinstance(value, TYPES[s['type']]) and (not isinstance(value, dict) or set(s.get('required', ())) <= set(value)):
            return s
    return schema


TYPES = {'string': str, 'integer': int, 'number': (int, float), 'boolean': bool, 'array': list, 'object': dict}
seen, wrong = set(), []


def hold(value, schema, where):
    """Complains about what of the value the schema does not say; notes what it does."""
    schema = choose(value, resolve(schema))
    if value is None:
        if not schema.get('nullable'):
            wrong.append(f'{where}: null is not said')
        return
    kind = schema.get('type', 'object' if 'allOf' in schema else None)
    if kind and (not isinstance(value, TYPES[kind]) or (kind in ('integer', 'number') and isinstance(value, bool))):
        wrong.append(f'{where}: {value!r} is no {kind}')
        return
    if 'enum' in schema and value not in schema['enum']:
        wrong.append(f'{where}: {value!r} is not one of {schema["enum"]}')
    if 'pattern' in schema and not re.search(schema['pattern'], value):
        wrong.append(f'{where}: {value!r} does not look like {schema["pattern"]}')
    if isinstance(value, list):
        for v in value:
            hold(v, schema['items'], where + '[]')
    if isinstance(value, dict):
        fields, required = properties(schema)
        for name in required - set(value):
            wrong.append(f'{where}.{name}: is required, and not there')
        for name, v in value.items():
            if fields is None:
                continue
            if name not in fields:
                wrong.append(f'{where}.{name}: not described')
            else:
                seen.add(f'{where}.{name}')
                hold(v, fields[name], f'{where}.{name}')


def all_fields(schema, where, found):
    resolved = resolve(schema)
    fields, _ = properties(resolved)
    for name, s in (fields or {}).items():
        found.add(f'{where}.{name}')
        all_fields(s, f'{where}.{name}', found)
    for s in resolved.get('oneOf', ()):
        all_fields(s, where, found)
    if 'items' in resolved:
        all_fields(resolved['items'], where + '[]', found)


def json_schema(operation, status):
    response = operation['responses'].get(str(status)) or operation['responses'].get('default', {})
    if '$ref' in response:
        response = DOC['components']['responses'][response['$ref'].rsplit('/', 1)[1]]
    for kind, content in response.get('content', {}).items():
        if 'json' in kind:
            return content['schema']
    return None


class World:
    """An origin with something of everything in it."""

    def __init__(self):
        self.o = Origin(options=['--heartbeat', '1h', '--steering-ttl', '1s'])
        o = self.o
        self.revs = [package.write(o.library, 'film', {'video.mp4': bytes([i]) * 99, 'poster.jpg': b'x'})[0] for i in range(2)]
        package.write(o.library, 'gone')
        tap.until(lambda: len((o.get('/api/v1/titles/film').json() or {}).get('revisions', ())) == 2 and o.get('/api/v1/titles/gone').status == 200)
        self.asked = {}

    def ask(self, id_, want, body=None, path=None, headers=None, **names):
        method, pattern, operation = OPERATIONS[id_]
        where = re.sub(r'{(\w+)}', lambda m: names[m[1]], pattern) + (path or '')
        if body is not None and not isinstance(body, bytes) and want < 300:
            extra = tap.http(self.o.control + where, method, json.dumps({**body, 'no_such_field': 1}).encode(), {**JSON, **(headers or {})})
            tap.equal((extra.status, extra.json()['field']), (400, 'no_such_field'), f'{id_} takes a field that it does not know')
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        r = tap.http(self.o.control + where, method, data, {**(JSON if body is not None and not isinstance(body, bytes) else {}), **(headers or {})})
        tap.equal(r.status, want, f'{id_}: {r.body[:300]}')
        tap.check(str(want) in operation['responses'], f'{id_}: the status {want} is not described')
        schema = json_schema(operation, r.status)
        if schema is not None:
            hold(r.json(), schema, id_ if r.status < 400 else 'Problem')
        if body is not None and not isinstance(body, bytes):
            described = operation.get('requestBody', {}).get('content', {}).get('application/json', {}).get('schema')
            tap.check(described is not None, f'{id_}: its body is not described')
            hold(body, described, id_ + ' request')
        self.asked[id_] = True
        return r


def fill(w):
    o, rev = w.o, w.revs[1]
    w.ask('registerEdge', 201, {'name': 'edge-a', 'url': 'http://edge-a.example', 'capacity': 10**9})
    beat = {'free_bytes': 5, 'load': 0.5, 'holds': [f'film/{rev}'], 'filling': [{'title': 'film', 'revision': w.revs[0], 'bytes': 7}]}
    return beat


@tap.test
def every_operation_answers_as_described():
    w = World()
    ask, rev = w.ask, w.revs[1]
    beat = fill(w)
    request = resolve(OPERATIONS['heartbeat'][2]['requestBody']['content']['application/json']['schema'])['properties']
    more = {'parts': [f'film/{w.revs[0]}/video.mp4'], 'liars': ['edge-b'], 'trouble': 'a disk', 'store_errors': 1, 'clock_ms': 1}
    ask('heartbeat', 200, {**beat, **{k: v for k, v in more.items() if k in request and request[k].get('type') == {list: 'array', str: 'string', int: 'integer'}[type(v)]}}, edge='edge-a')
    ask('listEdges', 200)
    ask('listHoldings', 200)
    ask('listHoldings', 400, path='?after=x')
    ask('listFills', 200)
    ask('getEdge', 200, edge='edge-a')
    ask('getEdge', 404, edge='none')
    ask('explainSteering', 200, path='?ip=192.0.2.1&title=film&current=edge-a')
    ask('explainSteering', 400, path='?ip=192.0.2&title=film')
    ask('explainSteering', 404, path='?ip=2001:db8::1&title=none')
    ask('drainEdge', 204, edge='edge-a')
    tap.until(lambda: ask('heartbeat', 200, beat, edge='edge-a').json().get('send_away'), 20, 'the order to send viewers away')
    ask('undrainEdge', 204, edge='edge-a')
    ask('registerEdge', 201, {'name': 'edge-b', 'url': 'http://edge-b.example', 'capacity': 10**9})
    ask('heartbeat', 200, {**beat, 'holds': [f'film/{rev}']}, edge='edge-b')
    ask('setPolicy', 204, {'policy': 'urgent'}, title='film')
    ask('getPlan', 200, edge='edge-a')
    ask('getPlan', 200, path='?why', edge='edge-a')
    shelf = package.shelf(w.o.api('/edges/edge-a/plan').json())
    ask('getPlan', 200, path=f'?shelf={shelf}', edge='edge-a')
    package.write(w.o.library, 'later')
    tap.until(lambda: w.o.get('/api/v1/titles/later').status == 200)
    ask('getPlan', 200, path=f'?shelf={shelf}', edge='edge-a')
    ask('setPlace', 204, {'key': 'site', 'value': 'madrid'}, edge='edge-a')
    ask('setPlace', 400, {'key': 'share', 'value': '101'}, edge='edge-a')
    ask('setEverywhere', 204, {'key': 'copies', 'value': '2'})
    ask('listRules', 200)
    ask('listPlans', 200, edge='edge-a')
    today = w.o.api('/edges/edge-a/plans').json()['plans'][-1]['day']
    ask('listPlans', 200, path=f'?from={today}&to={today}', edge='edge-a')
    for _ in range(2):  # the first changes what the edge holds, and so its plan
        ask('heartbeat', 200, beat, edge='edge-a')
        ask('getPlan', 200, edge='edge-a')
    ask('heartbeat', 200, beat, edge='edge-a')
    ask('putDemand', 200, {'stream': 's', 'sequence': 1, 'hours': [{'hour': 3600 * 400000, 'files': [
        {'title': 'film', 'revision': rev, 'file': 'video.mp4', 'requests': 1, 'bytes': 5, 'sessions': 1}]}]}, edge='edge-a')
    ask('putDemand', 200, {'stream': 's', 'sequence': 2, 'hours': [{'hour': int(time.time()) // 3600 * 3600, 'files': [
        {'title': 'film', 'revision': rev, 'file': 'video.mp4', 'requests': 1, 'bytes': 5, 'sessions': 1}]}]}, edge='edge-a')
    ask('getDemand', 200)
    ask('getDemand', 200, path='?by=hour')
    ask('setPolicy', 204, {'policy': 'pin'}, title='film')
    ask('putMetadata', 200, {'name': 'A', 'description': 'B', 'year': 1999, 'tags': ['c'], 'policy': 'none'}, title='film')
    ask('patchMetadata', 200, {'name': 'A', 'description': 'B', 'year': 1999, 'tags': ['c'], 'policy': 'none'}, title='film')
    ask('getMetadata', 200, title='film')
    ask('listTitles', 200)
    ask('listTitles', 200, path='?q=a%20b&tag=C')
    ask('listTags', 200)
    ask('getTitle', 200, title='film')
    ask('getTitle', 404, title='none')
    ask('getCurrent', 200, title='film')
    ask('getRevision', 200, title='film', revision=w.revs[0])
    ask('getRevision', 404, title='film', revision='0' * 20)
    ask('chooseRevision', 204, {'revision': w.revs[0]}, title='film')
    ask('chooseNewest', 204, title='film')
    ask('withdrawRevision', 204, title='film', revision=w.revs[0])
    ask('withdrawTitle', 204, title='gone')
    ask('listWithdrawn', 200)
    ask('restoreTitle', 204, {'revision': w.revs[0]}, title='film')
    ask('readLog', 200)
    ask('backup', 200)
    tus = {'Tus-Resumable': '1.0.0'}
    meta = {**tus, 'Upload-Length': '5', 'Upload-Metadata': f'title {b64("up")},revision {b64("0" * 20)},filename {b64("package.torrent")}'}
    ask('uploadOptions', 204)
    up = ask('createUpload', 201, headers=meta).json()['id']
    ask('getUpload', 200, id=up)
    ask('listUploads', 200)
    ask('writeUpload', 204, b'abc', headers={**tus, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream'}, id=up)
    ask('writeUpload', 409, b'abc', headers={**tus, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream'}, id=up)
    ask('endUpload', 204, id=up)
    ask('masterOptions', 204)
    master = ask('createMaster', 201, b'hello', headers={**tus, 'Upload-Length': '5', 'Content-Type': 'application/offset+octet-stream',
                                                          'Upload-Metadata': f'filename {b64("x.mp4")},title {b64("m")},name {b64("M")}'}).json()['id']
    tap.until(lambda: w.o.api(f'/masters/{master}').json()['state'] == 'failed', 30, 'no film')
    ask('getMaster', 200, id=master)
    ask('listMasters', 200)
    ask('retryMaster', 204, id=master)
    tap.until(lambda: w.o.api(f'/masters/{master}').json()['state'] == 'failed', 30, 'no film')
    ask('removeMaster', 204, id=master)
    ask('listTokens', 200)
    admin = ask('createToken', 201, {'role': 'admin', 'note': 'x', 'expires_seconds': 1000}).json()
    key = {'Authorization': f'Bearer {admin["token"]}'}
    ask('createToken', 201, {'role': 'edge', 'edge': 'edge-a'}, headers=key)
    ask('listTokens', 200, headers=key)
    ask('revokeToken', 204, headers=key, id='2')
    ask('listenToEvents', 400, path='?types=none', headers=key)
    for id_, (method, path, operation) in OPERATIONS.items():  # those of other parts of the origin: as far as they answer without a body
        if id_ not in w.asked and method == 'GET':
            r = tap.http(w.o.control + re.sub(r'{(\w+)}', 'edge-a', path), headers=key)
            if r.status == 200:
                hold(r.json(), json_schema(operation, 200), id_)
                w.asked[id_] = True
    ask('removeEdge', 204, headers=key, edge='edge-a')
    tap.equal(wrong, [], 'what the server says and the description does not, or otherwise')
    mine = set(w.asked)
    unasked = [i for i in OPERATIONS if i not in mine]
    tap.equal(unasked, [], 'operations without a request here')
    # the other direction: what is described has been seen
    for id_ in mine:
        operation, described = OPERATIONS[id_][2], set()
        for status in operation['responses']:
            schema = json_schema(operation, status) if status.startswith('2') else None
            if schema is not None and not ELSEWHERE & {schema.get('$ref', '').rsplit('/', 1)[-1]}:
                all_fields(schema, id_, described)
        body = operation.get('requestBody', {}).get('content', {}).get('application/json', {}).get('schema')
        if body is not None and id_ != 'heartbeat':
            all_fields(body, id_ + ' request', described)
        missing = sorted(d for d in described - seen if not re.search(r'\.report\.|\.(files|hours)(\[\]|$)|trouble|listPlans\.(in|out)\[\]', d))
        tap.equal(missing, [], f'{id_}: described, and never said')
    w.o.p.stop()


def status(o, method, where, body, headers):
    """Of an answer that need not end."""
    c = http.client.HTTPConnection('127.0.0.1', o.ports['control'], timeout=30)
    c.request(method, where, body, headers)
    got = c.getresponse().status
    c.close()
    return got


@tap.test
def every_role_may_what_is_described_and_nothing_else():
    o = Origin(options=['--heartbeat', '1h'])
    roles = ('admin', 'publisher', 'edge', 'viewer-stats')
    tokens = {}
    for role in roles:
        made = o.api('/tokens', 'POST', {'role': role}).json()
        tokens[role] = {'Authorization': f'Bearer {made["token"]}'}
        o.headers = tokens['admin']
    for id_, (method, path, operation) in OPERATIONS.items():
        where = re.sub(r'{(\w+)}', lambda m: {'id': '999'}.get(m[1], 'none'), path)
        tap.check(set(operation['x-roles']) <= set(roles), f'{id_} says which roles may call it')
        body = (b'{}', JSON) if method in ('POST', 'PUT', 'PATCH') else (None, {})
        tap.equal(status(o, method, where, *body), 401, f'{id_} without a token')
        for role in roles:
            got = status(o, method, where, body[0], {**body[1], **tokens[role]})
            tap.equal(got not in (401, 403), role in operation['x-roles'], f'{id_} as {role}: {got}')
    o.p.stop()


@tap.test
def the_routes_are_those_described():
    with open(os.path.join(tap.SOURCE, 'origin', 'api.c')) as f:
        table = re.findall(r'{"([A-Z]+)", "(/api/v1/[^"]+)"', f.read())
    served = {(m, re.sub(r'\*', '{}', p)) for m, p in table}
    described = {(m, re.sub(r'{\w+}', '{}', p)) for m, p, _ in OPERATIONS.values()}
    tap.equal(sorted(served - described), [], 'served, and not described')
    tap.equal(sorted(described - served), [], 'described, and not served')


tap.run()

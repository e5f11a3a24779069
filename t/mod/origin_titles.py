#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Titles through the control API: metadata, withdrawing, choosing a revision, the log, repeated requests, tokens of one edge,
guessers, and a catalogue of an older program."""
import http.client, json, os, shutil, sqlite3, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap
from origins import JSON, Origin, places

shared = Origin(options=['--heartbeat', '1h', '--steering-ttl', '0s'])
REV, _ = package.write(shared.library, 'one', name='Number one')
tap.until(lambda: shared.get('/v/one/manifest.mpd').status == 200, 10, 'the package')


def log(o, **query):
    r = o.api('/audit?' + '&'.join(f'{k}={v}' for k, v in query.items())).json()
    return [(e['what'], e['subject']) for e in r['entries']]


@tap.test
def people_say_what_a_title_is():
    empty = {'name': None, 'description': None, 'year': None, 'tags': [], 'policy': 'none'}
    r = shared.api('/titles/one/metadata')
    tap.equal(r.json(), empty)
    first = r.headers['ETag']
    about = {'name': 'Una película', 'description': 'Of a cat.\nAnd a dog.', 'year': 1942, 'tags': ['cats', 'noir'], 'policy': 'pin'}
    r = shared.api('/titles/one/metadata', 'PUT', about, **{'If-Match': first})
    tap.equal((r.status, r.json()), (200, about))
    second = r.headers['ETag']
    tap.equal(shared.api('/titles/one/metadata').headers['ETag'], second)
    tap.equal(shared.api('/titles/one/metadata', **{'If-None-Match': second}).status, 304)
    # a lost update is none
    r = shared.api('/titles/one/metadata', 'PUT', {'name': 'another'}, **{'If-Match': first})
    tap.equal((r.status, r.headers['Content-Type']), (412, 'application/problem+json'))
    tap.equal(shared.api('/titles/one/metadata', 'PATCH', {}, **{'If-Match': f'W/{second}'}).status, 412, 'a weak one (RFC 9110 13.1.1)')
    r = shared.api('/titles/one/metadata', 'PATCH', {'year': 1943, 'description': None}, **{'If-Match': f'"x", {second}'})
    tap.equal(r.json(), {**about, 'year': 1943, 'description': None})
    tap.equal(shared.api('/titles/one/metadata', 'PATCH', {'policy': 'none'}, **{'If-Match': '*'}).json()['policy'], 'none')
    for where in (shared.get('/api/v1/titles').json()['titles'][0], shared.get('/api/v1/titles/one').json()):
        tap.equal((where['name'], where['year'], where['tags'], where['description']), ('Una película', 1943, ['cats', 'noir'], None))
    for body, field in [({'nome': 'x'}, 'nome'), ({'name': ''}, 'name'), ({'name': 'a\nb'}, 'name'), ({'name': 'x' * 201}, 'name'),
                        ({'year': 12}, 'year'), ({'year': '1942'}, 'year'), ({'year': 3000}, 'year'), ({'tags': 'x'}, 'tags'), ({'tags': ['a', 5]}, 'tags[1]'),
                        ({'tags': ['a', 'a']}, 'tags[1]'), ({'tags': ['']}, 'tags[0]'), ({'tags': ['x'] * 33}, 'tags'), ({'policy': 'burn'}, 'policy'),
                        ({'description': 5}, 'description'), ([], ''), ('x', '')]:
        for method in ('PUT', 'PATCH'):
            r = shared.api('/titles/one/metadata', method, body)
            tap.equal((r.status, r.json().get('field', '')), (400, field), f'{method} {body}')
    tap.equal(shared.api('/titles/none/metadata').status, 404)
    tap.equal(shared.api('/titles/none/metadata', 'PUT', {}).status, 404)
    shared.p.kill()
    shared.start()
    tap.equal(shared.api('/titles/one/metadata').json()['year'], 1943, 'after kill -9')
    tap.equal(shared.get('/api/v1/titles').json()['titles'][0]['name'], 'Una película')
    tap.has(log(shared, subject='one'), ('title described', 'one'))


@tap.test
def what_is_withdrawn_is_gone_at_once_and_its_bytes_after_the_grace():
    o = Origin(options=['--heartbeat', '1h', '--withdraw-grace', '1h', '--rescan', '200ms'])
    first, folder = package.write(o.library, 'film', {'video.mp4': b'1' * 70000})
    os.utime(folder, (1_700_000_000,) * 2)
    second, _ = package.write(o.library, 'film', {'video.mp4': b'2' * 70000})
    other, _ = package.write(o.library, 'other')
    o.p.stop()
    o.start()
    o.register('edge-a')
    o.beat('edge-a', f'film/{second}')
    tap.equal(o.api('/titles/film', 'DELETE').status, 204)
    # the very next answers know nothing of it
    tap.equal([t['title'] for t in o.get('/api/v1/titles').json()['titles']], ['other'])
    tap.equal(o.get('/api/v1/titles/film').status, 404)
    tap.equal(o.get('/v/film/manifest.mpd').status, 404)
    tap.equal({t['title'] for t in o.api('/edges/edge-a/plan').json()['titles']}, {'other'}, 'and the plan lists it no more')
    tap.equal(o.get(f'/v/film/{second}/video.mp4').body, b'2' * 70000, 'a viewer in the middle goes on')
    tap.equal(o.api('/titles/film', 'DELETE').status, 404)
    gone = o.api('/withdrawn').json()['withdrawn']
    tap.equal(sorted(g['revision'] for g in gone), sorted([first, second]))
    # it stays so through a crash, and with another catalogue
    o.p.kill()
    o.start()
    tap.equal([t['title'] for t in o.get('/api/v1/titles').json()['titles']], ['other'])
    tap.equal(o.get(f'/v/film/{first}/video.mp4').status, 200)
    # one of them back
    tap.equal(o.api('/titles/film/restore', 'POST', {'revision': 'f' * 20}).status, 404)
    tap.equal(o.api('/titles/film/restore', 'POST', {'revision': first}).status, 204)
    tap.equal(o.get('/api/v1/titles/film').json()['revision'], first)
    tap.equal(o.api('/titles/film/restore', 'POST', {}).status, 204)
    tap.equal(o.get('/api/v1/titles/film').json()['revision'], second)
    tap.equal(o.api('/titles/film/restore', 'POST', {}).status, 404)
    # one revision alone
    tap.equal(o.api(f'/titles/film/revisions/{second}', 'DELETE').status, 204)
    tap.equal(o.get('/api/v1/titles/film').json()['revision'], first)
    tap.equal(o.api(f'/titles/film/revisions/{second}', 'DELETE').status, 404)
    tap.equal([w for w, _ in log(o, limit=9) if w != 'revision found' and w != 'revision gone'][0], 'revision withdrawn')
    # the grace is over
    mark = os.path.join(o.library, 'film', f'.withdrawn-{second}')
    os.utime(mark, (1_700_000_000,) * 2)
    tap.until(lambda: not os.path.exists(mark), 10, 'the end of the bytes')
    tap.check(not os.path.exists(os.path.join(o.library, 'film', second)))
    tap.until(lambda: o.get(f'/v/film/{second}/video.mp4').status == 404, 10)
    tap.equal(o.get(f'/v/film/{first}/video.mp4').status, 200, 'the other revision')
    tap.equal(sorted(n for n in os.listdir(o.library) if n.startswith('.removed')), [])
    o.p.stop()


@tap.test
def a_bad_revision_is_rolled_back():
    o = Origin(options=['--heartbeat', '1h'])
    revs = []
    for i in range(3):
        r, folder = package.write(o.library, 'film', {'video.mp4': bytes([i]) * 1000})
        os.utime(folder, (1_700_000_000 + i * 1000,) * 2)
        revs.append(r)
    o.p.stop()
    o.start()
    current = lambda: o.get('/api/v1/titles/film').json()['revision']
    tap.equal((current(), o.api('/titles/film/current').json()), (revs[2], {'revision': revs[2]}))
    etag = o.api('/titles/film/current').headers['ETag']
    tap.equal(o.api('/titles/film/current', 'PUT', {'revision': revs[0]}, **{'If-Match': '"old"'}).status, 412)
    tap.equal(o.api('/titles/film/current', 'PUT', {'revision': revs[0]}, **{'If-Match': etag}).status, 204)
    tap.equal(current(), revs[0])
    tap.has(o.get('/v/film/manifest.mpd').body.decode(), revs[0])
    tap.equal([r['revision'] for r in o.get('/api/v1/titles/film').json()['revisions']], [revs[0], revs[2], revs[1]])
    o.p.kill()
    o.start()
    tap.equal(current(), revs[0], 'after kill -9')
    tap.equal(o.api('/titles/film/current', 'PUT', {'revision': 'f' * 20}).status, 404)
    tap.equal(o.api('/titles/film/current', 'PUT', {}).json()['field'], 'revision')
    # what is published later is the current one again
    newest, _ = package.write(o.library, 'film', {'video.mp4': b'new'})
    os.utime(os.path.join(o.library, 'film', newest))
    tap.until(lambda: current() == newest, 10, 'the new revision')
    tap.equal(o.api('/titles/film/current', 'PUT', {'revision': revs[1]}).status, 204)
    tap.equal(current(), revs[1])
    tap.equal(o.api('/titles/film/current', 'DELETE').status, 204)
    tap.equal(current(), newest)
    o.p.stop()


@tap.test
def a_request_that_is_sent_again_is_done_once():
    o = Origin(options=['--heartbeat', '1h'])
    admin = o.api('/tokens', 'POST', {'role': 'admin'}).json()['token']
    o.headers = {'Authorization': f'Bearer {admin}'}
    key = {'Idempotency-Key': 'k-1'}
    body = {'role': 'edge', 'edge': 'edge-a', 'note': 'x'}
    one = o.api('/tokens', 'POST', body, **key)
    again = o.api('/tokens', 'POST', body, **key)
    tap.equal((one.status, again.status, again.headers['Idempotency-Replayed']), (201, 201, 'true'))
    tap.equal(again.json(), {**one.json(), 'token': None}, 'the secret is not kept')
    tap.equal(len(o.api('/tokens').json()['tokens']), 2)
    tap.equal(o.api('/tokens', 'POST', {**body, 'note': 'y'}, **key).status, 422)
    o.p.kill()
    o.start()
    tap.equal(o.api('/tokens', 'POST', body, **key).json()['id'], one.json()['id'], 'after kill -9')
    tap.equal(o.api('/tokens', 'POST', {'role': 'king'}, **{'Idempotency-Key': 'k-2'}).status, 400)
    tap.equal(o.api('/tokens', 'POST', {'role': 'edge'}, **{'Idempotency-Key': 'k-2'}).status, 201, 'what failed may be tried again')
    tus = {'Tus-Resumable': '1.0.0', 'Upload-Length': '9', 'Idempotency-Key': 'k-3'}
    made = o.api('/masters', 'POST', None, **tus)
    tap.equal(o.api('/masters', 'POST', None, **tus).headers['Location'], made.headers['Location'], 'a master that is sent again is one')
    tap.equal(o.api('/masters', 'POST', None, **{**tus, 'Upload-Length': '10'}).status, 422, 'what is to be made stands in fields')
    tap.equal(len(o.api('/uploads').json()['uploads']), 1)
    tap.equal(o.api('/tokens', 'POST', {'role': 'edge'}, **{'Idempotency-Key': 'x' * 201}).json()['field'], 'Idempotency-Key')
    # a token of one edge is for that edge alone
    o.headers = {'Authorization': f'Bearer {one.json()["token"]}'}
    tap.equal(o.register('edge-b').status, 403)
    tap.equal(o.register('edge-a').status, 201)
    tap.equal((o.beat('edge-a').status, o.beat('edge-b').status, o.api('/edges/edge-b/plan').status), (200, 403, 403))
    tap.equal([o.api(p, m).status for p, m in [('/audit', 'GET'), ('/titles/x', 'DELETE'), ('/withdrawn', 'GET')]], [403] * 3)
    # who guesses is slowed down, and has to be right then, too
    o.headers = {'Authorization': 'Bearer wrong-wrong-wrong-wrong'}
    got = [o.api('/titles') for _ in range(25)]
    tap.equal([r.status for r in got], [401] * 20 + [429] * 5)
    tap.check(1 <= int(got[-1].headers['Retry-After']) <= 3, got[-1].headers['Retry-After'])
    o.headers = {'Authorization': f'Bearer {admin}'}
    tap.until(lambda: o.api('/titles').status == 200, 10, 'forgiveness')
    tap.equal(tap.http(o.control + '/healthz').status, 200)
    o.p.stop()


@tap.test
def the_log_comes_in_pages():
    o = Origin(options=['--heartbeat', '1h'])
    for i in range(7):
        o.register(f'edge-{i}')
    seen, before = [], None
    while True:
        r = o.api('/audit?limit=3' + (f'&before={before}' if before else '')).json()
        seen += [e['subject'] for e in r['entries'] if e['what'] == 'edge registered']
        before = r['next']
        if before is None:
            break
    tap.equal(seen, [f'edge-{i}' for i in range(6, -1, -1)])
    tap.equal(log(o, subject='edge-3'), [('edge registered', 'edge-3')])
    for query in ['limit=0', 'limit=x', 'before=0', 'before=-1']:
        tap.equal(o.api('/audit?' + query).status, 400, query)
    o.p.stop()


@tap.test
def a_catalogue_of_an_older_program_is_brought_forward():
    o = Origin(start=False)
    os.makedirs(os.path.dirname(o.database))
    db = sqlite3.connect(o.database)
    with open(os.path.join(tap.SOURCE, 't', 'data', 'catalogue-4.sql')) as f:
        db.executescript(f.read())
    secret = '1' * 32
    import hashlib
    db.execute('update token set hash = ? where id = 1', (hashlib.sha256(secret.encode()).digest(),))
    db.commit()
    tap.equal(db.execute('pragma user_version').fetchone()[0], 4)
    before = {t: db.execute(f'select count(*) from {t}').fetchone()[0] for t in ('title', 'revision', 'file', 'edge', 'holding', 'token', 'demand', 'policy')}
    db.close()
    o.headers = {'Authorization': f'Bearer {secret}'}
    o.start('--heartbeat', '1h')
    tap.equal([e['name'] for e in o.api('/edges').json()['edges']], ['bilbao-1', 'madrid-1'])
    tap.equal([e['draining'] for e in o.api('/edges').json()['edges']], [True, False])
    tap.equal([(t['role'], t['edge']) for t in o.api('/tokens').json()['tokens']], [('admin', None), ('edge', None)])
    tap.equal(o.api('/tokens', 'POST', {'role': 'edge', 'edge': 'x'}).status, 201)
    tap.check(len(log(o)) >= 9)
    o.p.stop()
    db = sqlite3.connect(o.database)
    tap.check(db.execute('pragma user_version').fetchone()[0] >= 5)
    after = {t: db.execute(f'select count(*) from {t}').fetchone()[0] for t in before}
    tap.equal(after, {**before, 'token': before['token'] + 1})
    tap.equal(db.execute('pragma integrity_check').fetchone()[0], 'ok')
    tap.equal(db.execute('pragma foreign_key_check').fetchall(), [])


tap.run()

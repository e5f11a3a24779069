#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans on the wire: an edge that says which library it knows gets what has changed, and what it makes of it is the origin's
whole plan to the byte; where that cannot be, the whole plan comes."""
import glob, json, os, re, shutil, socket, struct, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import lab, package, tap
from origins import Origin

TITLES = 60


class Edge(lab.Edge):
    def path(self):
        return glob.glob(os.path.join(self.store, '.*', 'plan.json'))[0]

    def plan(self):
        try:
            with open(self.path(), 'rb') as f:
                return f.read()
        except (IndexError, FileNotFoundError):
            return b''

    def received(self):
        """Bytes of each plan that came, in this life and those before."""
        return [int(x) for x in re.findall(r'new plan version=\S+ titles=\d+ peers=\d+ received=(\d+)', self.process.text())]

    def wait(self, what):
        """Until its plan is the origin's, to the byte; the origin's."""
        whole = lambda: self.lab.api('/edges/edge-a/plan').body
        tap.until(lambda: self.plan() == whole(), 20, what)
        return json.loads(whole())


def names(plan):
    return {t['title'] for t in plan['titles']}


def library():
    o = Origin(options=['--heartbeat', '100ms'])
    for i in range(TITLES):
        package.write(o.library, f'film-{i:02}', {'video.mp4': b'%d' % i * 500})
    o.p.stop()
    o.start()
    return o


@tap.test
def what_changed_makes_the_same_plan_to_the_byte():
    o = library()
    e = Edge(o)
    whole = len(json.dumps(e.wait('the first plan'))) * 9 // 10
    tap.check(e.received()[0] > whole / 2, 'the first one came whole')
    first = len(e.received())
    package.write(o.library, 'new', {'video.mp4': b'n' * 500})
    tap.until(lambda: 'new' in names(e.wait('a title is new')), 20, 'the new title')
    package.write(o.library, 'film-07', {'video.mp4': b'another' * 70})
    tap.until(lambda: sum(t['title'] == 'film-07' for t in e.wait('a revision is new')['titles']) == 2, 20, 'the new revision')
    tap.equal(o.api('/titles/film-30', 'DELETE').status, 204)
    tap.check('film-30' not in names(e.wait('a title is gone')))
    tap.equal(o.register('edge-b').status, 201)
    o.beat('edge-b', *[f'{t["title"]}/{t["revision"]}' for t in e.wait('a peer')['titles'][3:40]], 'no-such-film/' + '0' * 20)
    tap.until(lambda: [len(p['holds']) for p in e.wait('what the peer holds')['peers']] == [37], 20, 'the peer')
    later = e.received()[first:]
    tap.check(len(later) >= 4 and max(later) < whole / 4, f'short ones: {later}, whole {whole}')
    e.process.kill()
    package.write(o.library, 'while-it-was-away', {'video.mp4': b'w' * 500})
    count = len(e.received())
    e.start()
    tap.until(lambda: 'while-it-was-away' in names(e.wait('after a restart')), 20, 'the title')
    tap.check(max(e.received()[count:]) < whole / 4, f'by what was on the disk: {e.received()[count:]}')


@tap.test
def a_base_that_the_origin_does_not_know_gets_the_whole_plan():
    o = library()
    e = Edge(o)
    e.wait('the first plan')
    count = len(e.received())
    o.p.kill()
    package.write(o.library, 'new', {'video.mp4': b'n' * 500})
    o.start()  # and knows of no library before
    tap.until(lambda: 'new' in names(e.wait('a new origin')), 20, 'the new title')
    tap.until(lambda: len(e.received()) > count, 20, 'a plan')
    tap.check(e.received()[count] > 8000, f'whole: {e.received()[count:]}')
    for harm in (lambda plan: plan[:len(plan) // 2], lambda plan: re.sub(rb'"bytes":(\d)', lambda m: b'"bytes":%d' % ((int(m[1]) + 1) % 9 + 1), plan, count=1)):
        e.process.kill()
        count, plan = len(e.received()), e.plan()
        with open(e.path(), 'wb') as f:
            f.write(harm(plan))
        e.start()
        tap.until(lambda: len(e.received()) > count, 20, 'a plan')
        e.wait('after harm on the disk')
        tap.check(e.received()[count] > 8000, f'whole: {e.received()[count:]}')


@tap.test
def the_api_gives_short_plans_to_who_asks_for_them():
    o = library()
    o.register('edge-a')
    tap.until(lambda: o.api('/edges/edge-a/plan').status == 200, 10, 'a plan')
    whole = o.api('/edges/edge-a/plan').json()
    shelf = package.shelf(whole)
    r = o.api(f'/edges/edge-a/plan?shelf={shelf}')
    short = r.json()
    tap.equal((short['shelf'], short['version']), (shelf, whole['version']))
    tap.equal([h if isinstance(h, str) else h['title'] for h in short['hold']], [t['title'] for t in whole['titles'] if t['hold']])
    tap.equal(o.api(f'/edges/edge-a/plan?shelf={shelf}', **{'If-None-Match': r.headers['ETag']}).status, 304)
    package.write(o.library, 'new', {'video.mp4': b'n' * 500})
    shutil.rmtree(os.path.join(o.library, 'film-20'))
    tap.until(lambda: o.api(f'/edges/edge-a/plan?shelf={shelf}').json().get('changes', {}).get('gone') == ['film-20'], 20, 'the changes')
    changes = o.api(f'/edges/edge-a/plan?shelf={shelf}').json()['changes']
    tap.equal((changes['since'], [t['title'] for t in changes['titles']]), (shelf, ['new']))
    for unknown in ('0' * 64, 'x', ''):
        tap.check('titles' in o.api(f'/edges/edge-a/plan?shelf={unknown}').json(), 'the whole one')


@tap.test
def many_who_ask_at_once_all_get_their_plans_and_those_who_leave_hold_up_nobody():
    o = library()
    for i in range(40):
        o.register(f'edge-{i}')
    lines = [socket.create_connection(('127.0.0.1', o.ports['control']), 20) for _ in range(40)]
    for i, line in enumerate(lines):
        line.sendall(f'GET /api/v1/edges/edge-{i}/plan HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'.encode())
    for line in lines[::3]:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        line.close()
    tap.equal(o.beat('edge-0').status, 200)
    for i, line in enumerate(lines):
        if i % 3:
            got = b''
            while part := line.recv(1 << 20):
                got += part
            tap.equal(len(json.loads(got.split(b'\r\n\r\n', 1)[1])['titles']), TITLES, f'edge-{i}')
    tap.equal(o.api('/edges/edge-0/plan').status, 200)
    tap.equal(o.api('/edges/nobody/plan').status, 404)
    line = socket.create_connection(('127.0.0.1', o.ports['control']), 20)
    line.sendall(b''.join(f'GET /api/v1/edges/edge-{i}/plan HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.encode() for i in range(30)))
    o.p.stop()  # whatever waits for its turn is answered or cut


@tap.test
def an_origin_that_lies_is_asked_for_all_of_it():
    p = lab.Package('film')
    origin = lab.Lab(p)
    lies = [{'shelf': '1' * 64, 'changes': {'titles': [], 'gone': []}}, {'shelf': None, 'hold': ['other']}, {'shelf': None, 'peers': [{'holds': [0, 99]}]},
            {'shelf': None, 'changes': {'since': None, 'titles': [], 'gone': ['film']}}]
    told = []

    def short(shelf):
        if not lies:
            return None
        told.append(lies.pop())
        o = {'origin': origin.url, 'hold': [], 'peers': [], 'version': f'lie-{len(lies)}', **told[-1]}
        o['shelf'] = o['shelf'] or shelf
        if 'changes' in o:
            o['changes'].setdefault('since', shelf)
            o['changes']['since'] = o['changes']['since'] or shelf
        return json.dumps(o).encode()
    e = lab.Edge(origin)
    e.wait_filled(p)
    with origin.lock:
        origin.short = short
        origin.steering = origin.url + '/steer'
    for i in range(4):
        with origin.lock:
            origin.steering = f'{origin.url}/steer-{i}'
        tap.until(lambda: e.metric('ribera_edge_bad_plans_total') > i and e.metric('ribera_edge_plans_total') > 1 + i, 20, f'refused and asked for whole: {told}')
    e.check_all(p)


tap.run()

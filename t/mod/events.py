#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-sent events of ribera-origin: what is told, going on after a break, those who do not read, many at once."""
import http.client, json, os, shutil, sys, threading
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap
from events import Listener
from origins import JSON, Origin


def listen(o, **more):
    l = Listener(o.ports['control'], **more)
    head = l.head()
    tap.has(head, ' 200 ')
    tap.has(head.lower(), 'content-type: text/event-stream')
    return l


@tap.test
def what_happens_is_told():
    o = Origin(options=['--heartbeat', '400ms'])
    l, viewer = listen(o), Listener(o.ports['viewers'])
    viewer.head()
    tap.equal(l.event()[0], 'hello')
    tap.equal(viewer.event()[0], 'hello')
    rev, folder = package.write(o.library, 'film', name='A film')
    name, id_, data = l.event()
    tap.equal((name, data['title'], data['revision'], data['name'], data['event']), ('title.published', 'film', rev, 'A film', name))
    tap.equal(viewer.event()[2]['title'], 'film')
    o.register('edge-a', capacity=10**9)
    tap.equal(l.event()[2]['edge'], 'edge-a')
    o.api('/edges/edge-a/plan')
    tap.equal(l.until('plan.changed')[2]['edge'], 'edge-a')
    o.beat('edge-a', filling=[{'title': 'film', 'revision': rev, 'bytes': 77}])
    name, passing, data = l.until('fill.progress')
    tap.equal((passing, data['edge'], data['filling'][0]['bytes'], data['filling'][0]['title']), (None, 'edge-a', 77, 'film'))
    tap.check(data['filling'][0]['total'] > 100000)
    o.beat('edge-a', f'film/{rev}')
    tap.equal(l.until('edge.holds')[2]['added'], {'count': 1, 'first': [f'film/{rev}']})
    tap.equal(l.until('edge.down')[2]['edge'], 'edge-a')
    o.beat('edge-a', f'film/{rev}')
    tap.equal(l.until('edge.up')[2]['edge'], 'edge-a')
    o.api('/edges/edge-a/drain', 'PUT')
    tap.equal(l.until('edge.draining')[2]['draining'], True)
    o.api('/edges/edge-a', 'DELETE')
    tap.equal(l.until('edge.removed')[2]['edge'], 'edge-a')
    shutil.rmtree(os.path.dirname(folder))
    tap.equal(l.until('title.withdrawn')[2]['title'], 'film')
    tap.equal(viewer.event()[0], 'title.withdrawn', 'a viewer hears of titles alone')
    text = tap.http(f'http://127.0.0.1:{o.ports["viewers"]}/metrics').body.decode()
    tap.equal(tap.metric(text, 'ribera_origin_event_subscribers'), 2)
    l.s.close()
    viewer.s.close()
    tap.until(lambda: tap.metric(tap.http(o.control + '/metrics').body.decode(), 'ribera_origin_event_subscribers') == 0, 10, 'their leaving')
    o.p.stop()


@tap.test
def a_listener_goes_on_where_it_was():
    o = Origin(options=['--heartbeat', '1h'])
    l = listen(o)
    start = l.event()[1]
    l.s.close()
    for i in range(50):
        o.register(f'edge-{i}')
    l = listen(o, last=start)
    tap.equal(l.event()[0], 'hello')
    got = [l.event() for _ in range(50)]
    tap.equal([d['edge'] for _, _, d in got], [f'edge-{i}' for i in range(50)])
    l = listen(o, last=got[29][1])
    l.event()
    tap.equal(l.event()[2]['edge'], 'edge-30')
    l = listen(o, path='/api/v1/events?last-event-id=' + got[48][1])
    l.event()
    tap.equal(l.event()[2]['edge'], 'edge-49')
    # an id of nobody, another process: "reset", and on from now
    for id_ in ['x', '00000000-1', '-', '0', got[0][1].split('-')[0] + '-99999999']:
        tap.equal(listen(o, last=id_).event()[0], 'reset', id_)
    last = got[49][1]
    o.p.kill()
    o.start()
    l = listen(o, last=last)
    name, id_, data = l.event()
    tap.equal(name, 'reset')
    tap.check(data['reason'] and id_ != last)
    o.register('edge-new')
    tap.equal(l.event()[2]['edge'], 'edge-new')
    tap.equal(o.p.stop(), 0, 'a listener does not hold up the end')
    tap.equal(l.event(), None)


@tap.test
def only_what_is_asked_for():
    o = Origin(options=['--heartbeat', '1h'])
    l = listen(o, path='/api/v1/events?types=edge.removed,title.')
    l.event()
    o.register('edge-a')
    o.api('/edges/edge-a', 'DELETE')
    tap.equal(l.event()[0], 'edge.removed')
    for types in ['edge', 'x', '', 'edge.,nothing', '.']:
        r = o.api('/events?types=' + types)
        tap.equal((r.status, r.json()['field']), (400, 'types'), types)
    tap.equal(o.get('/api/v1/events?types=edge.').status, 400, 'not for viewers')
    tap.equal(o.get('/api/v1/events/x').status, 404)
    tap.equal(o.api('/events', 'POST', {}).status, 405)
    o.p.stop()


@tap.test
def who_does_not_read_is_dropped_and_holds_up_nobody():
    o = Origin(options=['--heartbeat', '1h', '--events-kept', '64'])
    lazy = Listener(o.ports['control'], room=2048)
    start = Listener(o.ports['control'])
    start.head()
    start = start.event()[1]
    many = [listen(o) for _ in range(300)]
    for l in many:
        tap.equal(l.event()[0], 'hello')
    # more events than are kept, on more connections than one turn looks at: the lazy one falls behind the ring, the others hear all they read
    holds = [f'{"x" * 120}{i:02}/{i:020x}' for i in range(250)]
    o.register('edge-a')
    c = http.client.HTTPConnection('127.0.0.1', o.ports['control'])
    heard = [0, 0]

    def read(i):
        while heard[i] < 200:
            heard[i] += many[i].event()[0] == 'edge.holds'
    readers = [threading.Thread(target=read, args=(i,), daemon=True) for i in range(2)]
    for r in readers:
        r.start()
    for l in many[2:]:
        l.s.close()
    for i in range(200):
        c.request('POST', '/api/v1/edges/edge-a/heartbeat', json.dumps({'free_bytes': 1, 'load': 0, 'holds': holds if i % 2 else holds[1:2]}), JSON)
        tap.equal(c.getresponse().read()[:1], b'{')
        tap.until(lambda: min(heard) > i - 30, 30, 'the readers')
    for r in readers:
        r.join(30)
    tap.equal(heard, [200, 200])
    lazy.head()
    while lazy.event():
        pass
    tap.check(lazy.ended, 'the end')
    tap.equal(tap.metric(tap.http(o.control + '/metrics').body.decode(), 'ribera_origin_event_subscribers_dropped_total'), 1)
    tap.equal(listen(o, last=start).event()[0], 'reset', 'what it missed is not kept')
    o.p.stop()


tap.run()

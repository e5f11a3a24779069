#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What viewers ask for reaches the catalogue once, however often origin and edge die; and the plan follows it."""
import glob, json, os, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import lab, package, tap
from origins import Origin

REV = '0' * 19 + '1'


def row(title='film', file='v.mp4', requests=1, bytes=100, sessions=1, revision=REV):
    return {'title': title, 'revision': revision, 'file': file, 'requests': requests, 'bytes': bytes, 'sessions': sessions}


def hour(ago=0):
    return (int(time.time()) // 3600 - ago) * 3600


def batch(o, sequence, *rows, edge='edge-a', stream='s1', at=None):
    return o.api(f'/edges/{edge}/demand', 'POST', {'stream': stream, 'sequence': sequence,
                                                   'hours': [{'hour': hour() if at is None else at, 'files': list(rows)}]})


def total(o, query=''):
    files = o.api('/demand?hours=48' + query).json()['files']
    return {f['file']: (f['requests'], f['bytes'], f['sessions']) for f in files}


class Edge(lab.Edge):
    def start(self):
        super().start()
        tap.until(lambda: tap.http(self.url + '/v/film/manifest.mpd').status == 200, 20, 'the manifest')
        return self

    def waiting(self):
        """Requests in the batches on the disk."""
        paths, n = glob.glob(os.path.join(self.store, '.*', 'demand', '*.json')), 0
        for path in paths:
            with open(path) as f:
                n += sum(x['requests'] for h in json.load(f)['hours'] for x in h['files'])
        return n


@tap.test
def a_batch_counts_once_in_any_number_of_tries():
    o = Origin()
    tap.equal(batch(o, 1, row()).status, 404, 'before registration')
    o.register('edge-a')
    o.register('edge-b')
    tap.equal(batch(o, 1, row(), row(file='a.mp4', bytes=7)).json(), {'counted': True})
    for _ in range(3):
        tap.equal(batch(o, 1, row()).json(), {'counted': False})
    tap.equal(batch(o, 2, row(bytes=50)).json(), {'counted': True})
    tap.equal(batch(o, 1, row()).json(), {'counted': False})
    tap.equal(batch(o, 1, row(), stream='s2').json(), {'counted': True}, 'a new disk')
    tap.equal(batch(o, 1, row(title='other', file='o.mp4'), edge='edge-b').json(), {'counted': True})
    tap.equal(total(o, '&title=film'), {'v.mp4': (3, 250, 3), 'a.mp4': (1, 7, 1)})
    tap.equal(total(o, '&edge=edge-b'), {'o.mp4': (1, 100, 1)})
    o.p.kill()
    o.start()
    tap.until(lambda: batch(o, 2, row()).status == 200, 10, 'the catalogue')
    tap.equal(batch(o, 2, row()).json(), {'counted': False}, 'after kill -9')
    tap.equal(total(o, '&title=film')['v.mp4'], (3, 250, 3))
    batch(o, 3, row(), at=hour(5))
    by_hour = o.api('/demand?hours=48&by=hour').json()['hours']
    tap.equal([(h['requests'], h['bytes']) for h in by_hour], [(1, 100), (5, 357)])


@tap.test
def a_bad_batch_is_refused_with_the_place():
    o = Origin()
    o.register('edge-a')
    good = {'stream': 's', 'sequence': 1, 'hours': []}
    for change, part in (({'sequence': 0}, 'sequence'), ({'stream': '../x'}, 'stream'), ({'hours': [{'hour': 17, 'files': []}]}, 'hours[0]'),
                         ({'hours': [{'hour': 3600, 'files': [row(bytes=-1)]}]}, 'hours[0].files[0]'),
                         ({'hours': [{'hour': 3600, 'files': [row(title='a/b')]}]}, 'hours[0].files[0]')):
        r = o.api('/edges/edge-a/demand', 'POST', {**good, **change})
        tap.check(r.status in (400, 422), r.status)
        tap.has(r.body.decode(), part)
    for query in 'hours=0', 'hours=x', 'by=day':
        tap.equal(o.api('/demand?' + query).status, 400, query)
    tap.equal(total(o), {})


@tap.test
def an_edge_counts_files_bytes_and_viewers_and_nothing_is_lost_while_the_origin_is_away():
    o = Origin(options=['--heartbeat', '200ms'])
    rev, _ = package.write(o.library, 'film')
    e = Edge(o, '--demand', '100ms')
    video = f'{e.url}/v/film/{rev}/video.mp4'
    size = len(tap.http(video).body)
    for viewer in range(4):
        for k in range(2):
            tap.equal(tap.http(video, headers={'Range': 'bytes=0-99', 'CMCD-Session': f'sid="viewer-{viewer}"'}).status, 206)
    tap.http(video, method='HEAD')
    tap.http(video, headers={'Cache-Control': 'only-if-cached'})
    want = (9, size + 800)
    tap.until(lambda: total(o).get('video.mp4', (0, 0, 0))[:2] == want, 20, f'counts {want}')
    tap.near(total(o)['video.mp4'][2], 5, 1, 'sessions')  # an estimate: two may share a bit

    o.p.kill()
    for k in range(5):
        tap.equal(tap.http(video, headers={'Range': 'bytes=0-9'}).status, 206)
        tap.until(lambda: e.waiting() == k + 1, 10, 'batches on the disk')
    e.process.kill()  # what was written lives on
    o.start()
    e.start()
    want = (want[0] + 5, want[1] + 50)
    tap.until(lambda: total(o).get('video.mp4', (0, 0, 0))[:2] == want and e.waiting() == 0, 20, f'counts {want}, none left')
    tap.http(f'{e.url}/v/film/{rev}/video.mp4', headers={'Range': 'bytes=0-0'})
    e.process.stop()  # an orderly end writes what is left
    e.start()
    tap.until(lambda: total(o)['video.mp4'][:2] == (want[0] + 1, want[1] + 1), 20, 'the last count')


@tap.test
def an_edge_fills_evicts_and_reports_the_files_of_a_title_that_the_plan_names():
    p = lab.Package('film', size=3_000_000, more=[('low.mp4', 700_000)])
    o = lab.Lab(p)
    small = ['manifest.mpd', 'main.m3u8', 'audio.mp4', 'low.mp4']
    o.rows[0]['files'] = small
    e = lab.Edge(o, '--capacity', '3750k')
    parts = lambda: sorted(o.heartbeats.get('edge-a', {}).get('parts', []))
    tap.until(lambda: parts() == sorted(f'{p.key}/{name}' for name in small), 30, 'the report of the parts')
    tap.check(not e.holds(p), 'it does not hold it whole')
    tap.equal(o.asked('video.mp4'), [], 'the file nobody planned')
    tap.has(e.file(p, 'low.mp4').headers['Cache-Status'], 'hit')
    with o.lock:  # another night: the small one goes, the large one comes
        o.rows[0]['files'] = ['manifest.mpd', 'video.mp4']
    tap.until(lambda: parts() == sorted(f'{p.key}/{name}' for name in ('manifest.mpd', 'video.mp4')), 30, 'the new parts')
    tap.check(e.metric('ribera_edge_evicted_files_total') >= 1, 'the small one made room')
    gone = next(n for n in ('audio.mp4', 'low.mp4') if e.file(p, n, {'Cache-Control': 'only-if-cached'}).status == 504)
    r = e.file(p, gone, {'Range': 'bytes=0-99'})
    tap.equal((r.status, r.body), (206, p.files[gone][:100]), 'is pulled through')
    for bad in ([], ['x', 1], 'video.mp4', ['']):
        before = e.metric('ribera_edge_bad_plans_total')
        with o.lock:
            o.rows[0]['files'] = bad
        tap.until(lambda: e.metric('ribera_edge_bad_plans_total') > before, 10, f'the refusal of {bad}')
    e.check_all(p)


@tap.test
def the_plan_follows_demand_and_gives_the_new_a_share():
    o = Origin()
    revs = {}
    for i, title in enumerate(('old-loved', 'old-idle', 'mid', 'fresh')):
        revs[title], folder = package.write(o.library, title, files={'manifest.mpd': package.MPD.encode(), 'video.mp4': bytes(200_000)}, name=title)
        os.utime(folder, (time.time() - 86400 * (10 - i),) * 2)
    tap.until(lambda: o.api('/titles').json()['total'] == 4, 10, 'titles')
    size = max(t['bytes'] for t in o.api('/titles').json()['titles'])
    o.register('edge-a', capacity=size * 2 + size // 2)
    held = lambda: [t['title'] for t in o.api('/edges/edge-a/plan').json()['titles'] if t['hold']]
    before = held()
    tap.equal(len(before), 2)
    loved = next(t for t in ('old-loved', 'old-idle', 'mid', 'fresh') if t not in before)
    batch(o, 1, row(title=loved, file='video.mp4', bytes=40 * size, revision=revs[loved]))
    now = held()
    tap.equal(now[0], loved, 'first in the plan')
    version = o.api('/edges/edge-a/plan').json()['version']
    batch(o, 2, row(title=before[0], file='video.mp4', bytes=99 * size))
    tap.equal(o.api('/edges/edge-a/plan').json()['version'], version, 'the version on the same day')


@tap.test
def pins_and_bans_and_the_reasons_of_a_plan():
    o = Origin()
    for title in 'abc':
        package.write(o.library, title, files={'video.mp4': bytes(200_000)})
    tap.until(lambda: o.api('/titles').json()['total'] == 3, 10, 'titles')
    size = max(t['bytes'] for t in o.api('/titles').json()['titles'])
    o.register('edge-a', capacity=size + size // 2)
    held = lambda: [t['title'] for t in o.api('/edges/edge-a/plan').json()['titles'] if t['hold']]
    first = held()
    other = next(t for t in 'abc' if t not in first)
    o.admin('title', 'pin', other)
    tap.equal(held(), [other])
    why = {t['title']: t for t in o.api('/edges/edge-a/plan?why=yes').json()['titles']}
    tap.equal((why[other]['why'], why[other]['held'], why[first[0]]['why']), ('pinned', False, 'no room'))
    o.admin('title', 'ban', other)
    tap.check(other not in held(), 'a banned title is held')
    o.p.kill()
    o.start()
    tap.until(lambda: o.api('/edges/edge-a/plan').status == 200, 10, 'the catalogue')
    tap.check(other not in held(), 'a banned title is held after a restart')
    svg = os.path.join(tap.folder(), 'plan.svg')
    out = o.admin('plan', 'edge-a', '--dry-run', '--rate', '1B', '--svg', svg).stdout
    dry = json.loads(o.admin('plan', 'edge-a', '--dry-run', '--rate', '1B', '--json').stdout)
    tap.equal(dry['window_seconds'], dry['bytes_to_fill'], 'at a byte a second')
    hours, rest = divmod(dry['bytes_to_fill'], 3600)
    tap.has(out, f'takes      {hours}:{rest // 60:02}:{rest % 60:02} at ')
    tap.has(out, 'banned')
    tap.has(out, 'fill')
    import xml.dom.minidom
    tap.equal(xml.dom.minidom.parse(svg).documentElement.tagName, 'svg')
    o.admin('title', 'free', other)
    tap.equal(held(), first)
    o.admin('title', 'urgent', other)
    tap.equal([t['title'] for t in o.api('/edges/edge-a/plan').json()['titles'] if t.get('urgent')], [other])
    tap.check(other in held(), 'an urgent title is not held')
    o.admin('title', 'free', other)
    tap.equal([t for t in o.api('/edges/edge-a/plan').json()['titles'] if t.get('urgent')], [])
    tap.equal(o.api('/titles/a/policy', 'PUT', {'policy': 'maybe'}).status, 400)
    batch(o, 1, row(title=first[0], file='video.mp4', bytes=30 * size), row(title=other, file='video.mp4', bytes=10 * size))
    plan = json.loads(o.admin('--json', 'plan', 'edge-a').stdout)
    tap.near(plan['offload'], 0.75, 0.01, 'expected offload')


def planned(o, edge):
    """What the edge shall hold: {title: its tracks}."""
    return {t['title']: sorted(f['file'] for f in t['tracks'] if f['hold'])
            for t in o.api(f'/edges/{edge}/plan?why=yes').json()['titles'] if t['hold']}


TRACKS = {'audio.mp4': 20_000, 'high.mp4': 300_000, 'low.mp4': 60_000}


def network(titles, edges, capacity, tracks=TRACKS):
    o = Origin()
    o.revisions = {t: package.write(o.library, t, files={'manifest.mpd': package.MPD.encode(), **{f: os.urandom(n) for f, n in tracks.items()}})[0]
                   for t in titles}
    tap.until(lambda: o.api('/titles').json()['total'] == len(titles), 20, 'titles')
    for e in edges:
        o.register(e, capacity=capacity)
    return o


@tap.test
def a_plan_takes_the_renditions_that_are_watched_and_says_which():
    o = network(['film', 'other'], ['edge-a'], 150_000)
    plays = lambda title, file, n: row(title=title, file=file, bytes=n * TRACKS[file], revision=o.revisions[title])
    batch(o, 1, plays('film', 'low.mp4', 50), plays('film', 'audio.mp4', 60), plays('film', 'high.mp4', 1), plays('other', 'low.mp4', 2))
    tap.equal(planned(o, 'edge-a').get('film'), ['audio.mp4', 'low.mp4'])
    t = o.api('/edges/edge-a/plan').json()['titles'][0]
    tap.check(t['title'] == 'film' and t['hold'] and 'manifest.mpd' in t['files'] and 'high.mp4' not in t['files'], t)
    key = f"film/{o.revisions['film']}"
    tap.equal(o.beat('edge-a', parts=[f'{key}/{f}' for f in t['files']]).status, 200)
    held = o.api('/edges/edge-a').json()['held']
    tap.equal([(h['title'], h['complete'], sorted(h['files'])) for h in held], [('film', False, sorted(t['files']))])
    import re
    tap.equal(re.findall('serviceLocation="([^"]+)"', o.get('/v/film/manifest.mpd').body.decode())[:2], ['edge-a', 'origin'], 'a place for viewers')
    why = o.api('/edges/edge-a/plan?why=yes').json()
    tap.equal([f['held'] for f in why['titles'][0]['tracks']], [True, False, True])
    tap.equal(why['bytes_to_fill'], sum(f['bytes'] for x in why['titles'] for f in x['tracks'] if f['hold'] and not f['held']))
    for bad in (['film'], [key], [key + '/'], [key + '/../x'], [7], 'x'):
        tap.check(o.beat('edge-a', parts=bad).status in (400, 422), bad)


@tap.test
def edges_of_a_site_share_titles_and_only_the_loved_have_copies():
    titles, edges = [f't{i:02}' for i in range(40)], [f'e{i}' for i in range(4)]
    o = network(titles, edges, 9_000_000, {'video.mp4': 200_000})
    for e in edges:
        tap.equal(o.api(f'/edges/{e}/place', 'PUT', {'key': 'site', 'value': 'town'}).status, 204)
    for k, e in enumerate(edges):
        batch(o, 1, *(row(title=t, file='video.mp4', bytes=200_000 * (400 if t == 't07' else 5), revision=o.revisions[t]) for t in titles), edge=e)
    plans = {e: planned(o, e) for e in edges}
    copies = {t: sum(t in p for p in plans.values()) for t in titles}
    tap.equal(copies.pop('t07'), 4, 'the one everybody wants')
    tap.equal(set(copies.values()), {1}, copies)
    tap.check(all(len(p) > 2 for p in plans.values()), plans)
    o.admin('copies', '2')
    for e in edges:
        o.admin('edge', 'set', e, 'region', 'north')
    o.admin('edge', 'set', 'e3', 'mirror', 'yes')
    o.admin('edge', 'set', 'e0', 'share', '10')
    plans = {e: planned(o, e) for e in edges}
    tap.check(len(plans['e0']) <= 4, plans['e0'])
    tap.equal(len(plans['e3']), 40, 'a mirror')
    tap.check(all(sum(t in p for p in plans.values()) >= 2 for t in titles), plans)
    tap.has(o.admin('places').stdout, 'everywhere')
    for place, key, value in (('e0', 'share', '0'), ('e0', 'mirror', 'maybe'), ('e0', 'colour', 'red'), ('e0', 'zone', '../x')):
        tap.equal(o.api(f'/edges/{place}/place', 'PUT', {'key': key, 'value': value}).status, 400, f'{key}={value}')
    o.admin('edge', 'set', 'e3', 'mirror', 'none')


@tap.test
def a_day_has_one_plan_that_is_kept_and_days_can_be_compared():
    o = network([f't{i}' for i in range(6)], ['edge-a'], 650_000, {'video.mp4': 200_000})
    play = lambda k, n, ago=0: row(title=f't{k}', file='video.mp4', bytes=200_000 * n, revision=o.revisions[f't{k}'])
    o.admin('edge', 'set', 'edge-a', 'zone', 'Etc/GMT+12')  # the last place where a day begins
    batch(o, 1, play(0, 9), play(1, 8), play(2, 7), at=hour(40))
    first = planned(o, 'edge-a')
    tap.equal(sorted(first), ['t0', 't1', 't2'])
    version = o.api('/edges/edge-a/plan').json()['version']
    batch(o, 2, play(4, 90), at=hour(1))
    o.p.kill()
    o.start()
    tap.until(lambda: o.api('/titles').json()['total'] == 6, 20, 'titles')
    tap.equal(o.api('/edges/edge-a/plan').json()['version'], version, 'after a restart')
    o.admin('edge', 'set', 'edge-a', 'zone', 'Etc/GMT-14')  # a day or two later
    tap.equal(planned(o, 'edge-a'), first, 'one night can not pay for another title yet')
    days = json.loads(o.admin('--json', 'plan', 'edge-a', '--history').stdout)['plans']
    tap.equal(len(days), 2)
    tap.equal([(d['files'], d['bytes_in'] > 0, d['bytes_out']) for d in days], [(3, True, 0), (3, False, 0)])
    tap.has(o.admin('plan', 'edge-a', '--history').stdout, days[0]['day'])
    between = o.api(f"/edges/edge-a/plans?from={days[0]['day']}&to={days[1]['day']}").json()
    tap.equal((between['in'], between['out'], between['bytes_kept']), ([], [], days[0]['bytes']))
    o.admin('title', 'pin', 't5')
    o.api('/edges/edge-a/plan')
    between = o.api(f"/edges/edge-a/plans?from={days[0]['day']}&to={days[1]['day']}").json()
    tap.equal([x['name'].split('/')[0] for x in between['in']], ['t5'])
    tap.equal(len(between['out']), 1)
    tap.has(o.admin('plan', 'edge-a', '--compare', f"{days[0]['day']},{days[1]['day']}").stdout, 'video.mp4')
    for query, status in (('from=2026-02-30x&to=2026-01-01', 400), ('from=x', 400), ('from=2001-01-01&to=2001-01-02', 404)):
        tap.equal(o.api('/edges/edge-a/plans?' + query).status, status, query)
    tap.equal(o.api('/edges/nobody/plans').status, 404)


@tap.test
def what_most_viewers_asked_for_is_popular():
    o = Origin()
    o.register('edge-a')
    revisions = {t: package.write(o.library, t)[0] for t in ('loved', 'long', 'liked', 'unseen')}
    tap.until(lambda: o.api('/titles').json()['total'] == 4, 20, 'the library')
    o_rows = [row(title=t, revision=revisions.get(t, REV), sessions=n, bytes=b) for t, n, b in (('long', 2, 10**12), ('loved', 9, 1), ('liked', 5, 1), ('gone', 99, 1))]
    tap.equal(batch(o, 1, *o_rows).status, 200)
    popular = lambda query='': [t['title'] for t in o.get('/api/v1/titles?order=popular' + query).json()['titles']]
    tap.until(lambda: popular() == ['loved', 'liked', 'long'], 40, 'the popular ones, of those that are there')
    tap.equal(popular('&limit=1'), ['loved'])
    tap.equal(popular('&q=lo'), ['loved', 'long'], 'of those that are found')
    tap.equal(popular('&tag=quiet'), [])
    tap.equal(o.api('/titles/liked/metadata', 'PUT', {'name': 'Long ago', 'tags': ['quiet']}).status, 200)
    tap.equal([popular('&q=lo'), popular('&q=lo&limit=1'), popular('&q=ago&tag=Quiet'), popular('&q=unseen')], [['loved', 'liked', 'long'], ['loved'], ['liked'], []])
    tap.equal(o.get('/api/v1/titles?order=loud').status, 400)


tap.run()

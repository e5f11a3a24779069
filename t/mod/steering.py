#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content steering as players ask for it, draining, near networks, and names through the real pdns_server."""
import glob, http.client, http.server, os, re, socket, sys, threading, urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, mmdb, package, tap
from origins import Origin, places


def system(*edges, options=()):
    """An origin with one title that all edges hold; a heartbeat is good for the whole test."""
    o = Origin(options=['--heartbeat', '1h', *options])
    o.revision, _ = package.write(o.library, 'film')
    o.key = f'film/{o.revision}'
    tap.until(lambda: o.get('/v/film/manifest.mpd').status == 200, 10, 'the title')
    for name in edges:
        o.register(name)
        o.beat(name, o.key)
    return o


def mpd(o):
    return o.get('/v/film/manifest.mpd').body


def question(o):
    """The steering URL of a fresh manifest, from "/steer" on."""
    return re.search(rb'<ContentSteering [^>]*>([^<]+)<', mpd(o)).group(1).decode().replace('&amp;', '&')[len(o.viewers):]


def steer(o, path, **player):
    path = path.removeprefix(o.viewers)
    r = o.get(path + ('&' + urllib.parse.urlencode(player) if player else ''))
    tap.equal(r.status, 200, r.body)
    tap.equal((r.headers['Content-Type'], r.headers['Access-Control-Allow-Origin']), ('application/json', '*'))
    return r.json()


@tap.test
def the_manifest_names_the_steering_server_at_mpd_level_behind_its_places():
    o = system('a', 'b')
    text = mpd(o)
    tap.equal(len(places(text)), 3)
    tap.has(text.decode(), f'<ContentSteering defaultServiceLocation="{" ".join(name for name, _ in places(text))}">')
    import xml.etree.ElementTree as ET
    root = ET.fromstring(text)
    tags = [re.sub('{.*}', '', e.tag) for e in root]
    tap.equal(tags[:4], ['BaseURL'] * 3 + ['ContentSteering'])
    tap.equal(o.api('/edges/a/plan').json()['steering'], o.viewers + '/steer')
    off = system('a', options=['--steering-ttl', '0s'])
    tap.check(b'ContentSteering' not in mpd(off))
    tap.check('steering' not in off.api('/edges/a/plan').json())
    tap.equal(off.get('/steer?title=film').status, 410, 'when it is off')


@tap.test
def the_document_is_what_the_standard_says():
    o = system('a', 'b', 'c', options=['--steering-ttl', '7s'])
    q = question(o)
    d = steer(o, q)
    tap.equal((d['VERSION'], d['TTL']), (1, 7))
    tap.equal([n for n, _ in places(mpd(o))], d['PATHWAY-PRIORITY'], 'the same order as the manifest')
    tap.equal(d['PATHWAY-PRIORITY'][-1], 'origin')
    tap.check('PATHWAY-CLONES' not in d)
    tap.check(d['RELOAD-URI'].startswith(o.viewers + '/steer?title=film&revision='), d)
    again = steer(o, d['RELOAD-URI'])
    tap.equal((again['PATHWAY-PRIORITY'], again['VERSION']), (d['PATHWAY-PRIORITY'], 1))
    tap.equal(o.get('/steer?title=no-such').status, 410, 'an unknown title')
    tap.equal(o.get('/steer').status, 400)
    tap.equal(o.get('/steer?title=../x').status, 400)
    tap.equal(o.get('/steering?title=film').status, 404)
    statuses = [o.get(d['RELOAD-URI'].removeprefix(o.viewers)) for _ in range(40)]
    tap.equal(statuses[0].status, 200)
    tap.equal((statuses[-1].status, statuses[-1].headers['Retry-After']), (429, '7'), 'a session that asks all the time')
    tap.equal(o.get(q).status, 200, 'others')


@tap.test
def a_player_stays_where_it_is_in_every_spelling():
    o = system('a', 'b', 'c', 'd')
    q = question(o)
    for name in 'abcd':
        for key, value in (('_DASH_pathway', f'"{name}"'), ('_DASH_pathway', name), ('_DASH_pathway', f'"{name},origin"'),
                           ('_DASH_pathway', f'"{name}","origin"'), ('_HLS_pathway', f'"{name}"'), ('_dash_pathway', name)):
            d = steer(o, q, **{key: value, key.replace('pathway', 'throughput'): '5140000,'})
            tap.equal(d['PATHWAY-PRIORITY'][0], name, f'{key}={value}')
            tap.equal(sorted(d['PATHWAY-PRIORITY']), ['a', 'b', 'c', 'd', 'origin'])
    for value in ('', '"', '%', '"nobody"', ',,,', 'x' * 5000, '"../.."', '\0'):
        tap.equal(len(steer(o, q, _DASH_pathway=value)['PATHWAY-PRIORITY']), 5, value[:20])


@tap.test
def a_player_to_whom_another_place_gave_three_times_as_much_is_sent_back_there():
    o = system('a', 'b', 'c')
    q = question(o)
    first = lambda names, rates, kind='DASH': steer(o, q, **{f'_{kind}_pathway': names, f'_{kind}_throughput': rates})['PATHWAY-PRIORITY'][0]
    for here, other in 'ab', 'ba', 'ca':
        for names, rates in ((f'{here},{other}', '1000,3100'), (f'"{here},{other}"', '"1000,3100"'), (f'"{here}","{other}"', '"1000","3100"'),
                             (f'{here},{other}', ' 1000 , 3100.5'), (f'{here},origin,{other}', '1000,,9000')):
            tap.equal(first(names, rates), other, f'{names} {rates}')
            tap.equal(first(names, rates, 'HLS'), other)
        for rates in '1000,2900', '0,9000', ',9000', 'x,9000', '-5,9000', '1000', '1000,', '', '1000,99999999999999999999999', '1e3,NaN', '"', ',' * 900:
            tap.equal(first(f'{here},{other}', rates), here, rates[:20])
        o.api(f'/edges/{other}/drain', 'PUT')
        tap.equal(first(f'{here},{other}', '1000,9000') != other, True, 'where nobody may go')
        o.api(f'/edges/{other}/drain', 'DELETE')


@tap.test
def an_edge_the_manifest_does_not_list_comes_as_a_clone():
    o = system('a')
    q = question(o)
    o.register('new', 'http://new.example:8090')
    o.beat('new', o.key)
    o.beat('a', o.key, load=2)
    d = steer(o, q, _DASH_pathway='"a"')
    tap.equal(d['PATHWAY-PRIORITY'], ['new', 'a', 'origin'])
    tap.equal(d['PATHWAY-CLONES'], [{'BASE-ID': 'origin', 'ID': 'new', 'URI-REPLACEMENT': {'HOST': 'new.example:8090'}}])


MASTER = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac, two",NAME="Señal, URI=x",DEFAULT=YES,URI="a.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.64001E,mp4a.40.2",AUDIO="aac, two",CLOSED-CAPTIONS=NONE
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1600000,AUDIO="aac, two"\r
# a remark
http://elsewhere.example/high.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1000,URI="i.m3u8"
"""


@tap.test
def an_hls_playlist_has_a_pathway_for_every_place_and_the_steering_server():
    o = Origin(options=['--heartbeat', '1h'])
    revision, _ = package.write(o.library, 'film', files={'main.m3u8': MASTER.encode(), 'video.mp4': b'x' * 99})
    tap.until(lambda: o.get('/v/film/main.m3u8').status == 200, 10, 'the playlist')
    for name in 'ab':
        o.register(name)
        o.beat(name, f'film/{revision}')
    r = o.get('/v/film/main.m3u8')
    tap.equal((r.headers['Content-Type'], r.headers['Cache-Control']), ('application/vnd.apple.mpegurl', 'public, max-age=2, stale-if-error=86400'))
    lines = r.body.decode().splitlines()
    order = [n for n, _ in places(mpd(o))]
    tap.equal(lines[:3], MASTER.splitlines()[:3])
    server, first = re.fullmatch('#EXT-X-CONTENT-STEERING:SERVER-URI="([^"]+)",PATHWAY-ID="([^"]+)"', next(l for l in lines if 'STEERING' in l)).groups()
    tap.equal((first, server), (order[0], f'{o.viewers}/steer?title=film&revision={revision}&in={",".join(order)}'))
    tap.equal(steer(o, server, _HLS_pathway=f'"{order[1]}"', _HLS_throughput='1000')['PATHWAY-PRIORITY'][0], order[1])
    for name, base in places(mpd(o)):
        at = lines.index(f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac, two-at-{name}",NAME="Señal, URI=x",DEFAULT=YES,URI="{base}a.m3u8"')
        tap.equal(lines[at + 1:at + 6], [
            f'#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.64001E,mp4a.40.2",AUDIO="aac, two-at-{name}",CLOSED-CAPTIONS=NONE,PATHWAY-ID="{name}"',
            f'{base}low.m3u8',
            f'#EXT-X-STREAM-INF:BANDWIDTH=1600000,AUDIO="aac, two-at-{name}",PATHWAY-ID="{name}"',
            'http://elsewhere.example/high.m3u8',
            f'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1000,URI="{base}i.m3u8",PATHWAY-ID="{name}"'])
    o.admin('edge', 'drain', order[0])
    tap.has(o.get('/v/film/main.m3u8').body.decode(), f'PATHWAY-ID="{order[1]}"\n#EXT-X-MEDIA')
    for text in (b'#EXTM3U\n#EXTINF:4,\nx.mp4\n', b'no playlist', b'#EXTM3U\n#EXT-X-STREAM-INF:PATHWAY-ID="x"\nv.m3u8\n', b''):
        title = f't{len(text)}'
        rev, _ = package.write(o.library, title, files={'main.m3u8': text, 'video.mp4': b'y'})
        tap.until(lambda: o.get(f'/v/{title}/main.m3u8').status == 302, 10, f'{text} as it is')
        tap.equal(o.get(f'/v/{title}/main.m3u8').headers['Location'], f'/v/{title}/{rev}/main.m3u8')


@tap.test
def draining_sends_everybody_away_and_survives_a_restart():
    o = system('a', 'b')
    q = question(o)
    tap.equal(o.api('/edges/nobody/drain', 'PUT').status, 404)
    o.admin('edge', 'drain', 'a')
    tap.equal(steer(o, q, _DASH_pathway='"a"')['PATHWAY-PRIORITY'], ['b', 'origin'])
    tap.equal([n for n, _ in places(mpd(o))], ['b', 'origin'])
    tap.equal((o.api('/edges/a').json()['draining'], o.api('/edges/b').json()['draining']), (True, False))
    tap.has(o.admin('edges').stdout, 'up, draining')
    tap.check(any(p['name'] == 'a' for p in o.api('/edges/b/plan').json()['peers']), 'it is still a peer')
    o.p.kill()
    o.start()
    tap.until(lambda: o.get('/v/film/manifest.mpd').status == 200, 10, 'the title')
    tap.equal([n for n, _ in places(mpd(o))], ['b', 'origin'], 'after a restart')
    o.admin('edge', 'undrain', 'a')
    tap.equal(sorted(steer(o, q)['PATHWAY-PRIORITY']), ['a', 'b', 'origin'])


@tap.test
def the_nearest_edge_comes_first():
    table = os.path.join(tap.folder(), 'networks')
    for near in 'abc':
        with open(table, 'w') as f:
            f.write(f'# who is near\n0.0.0.0/0 a 50\n0.0.0.0/0 b 50\n0.0.0.0/0 c 50\n127.0.0.0/8 {near} 2\n')
        o = system('a', 'b', 'c', options=['--networks', table])
        tap.equal(places(mpd(o))[0][0], near)
        tap.equal(steer(o, question(o))['PATHWAY-PRIORITY'][0], near)
        o.beat(near, o.key, load=1.5)
        tap.check(places(mpd(o))[0][0] != near, 'an overloaded one is not first')
    with open(table, 'w') as f:
        f.write('10.0.0.0/8 a\nnonsense\n')
    p = tap.call(tap.program('ribera-origin'), '--library', o.library, '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0',
                 '--database', os.path.join(tap.folder(), 'x.sqlite'), '--networks', table, timeout=20)
    tap.equal(p.returncode, 1)
    tap.has(p.stderr, 'line 2')


@tap.test
def what_edges_measured_of_a_network_decides_where_nothing_was_written():
    table = os.path.join(tap.folder(), 'networks')
    with open(table, 'w') as f:
        f.write('198.51.100.0/24 c 3\n')
    o = system('a', 'b', 'c', options=['--networks', table, '--steering-ttl', '1s'])
    def tell(edge, network, ms):
        return o.beat(edge, o.key, round_trips=[{'network': network, 'ms': ms}])
    def order(ip):
        return sorted((e for e in explain(o, ip)), key=lambda name: explain(o, ip)[name]['place'])
    for edge, ms in (('a', 90), ('b', 8), ('c', 35)):
        for network in '192.0.2.0/24', '198.51.100.0/24', '2001:db8:1::/48':
            tap.equal(tell(edge, network, ms).status, 200)
    for ip in '192.0.2.77', '2001:db8:1:ffff::1':
        tap.equal(order(ip), ['b', 'c', 'a'], ip)
    first = explain(o, '192.0.2.77')['b']
    tap.equal((first['round_trip_ms'], first['distance_ms'], first['why']), (8, 10, '8 ms away, as it measured'))
    tap.equal(order('198.51.100.7')[0], 'c', "the operator's word")
    tap.equal(explain(o, '203.0.113.1')['a']['why'], 'nothing says how near it is')
    tell('b', '192.0.2.0/24', 300)  # its line has become worse
    tap.equal(order('192.0.2.1'), ['c', 'a', 'b'])
    tell('a', '203.0.113.0/24', 120)
    tap.equal(order('203.0.113.9')[2], 'a', 'others may be nearer than one that is that far')
    for wrong in '192.0.2.1/24', '192.0.0.0/16', 'x', '2001:db8::/32':
        r = tell('a', wrong, 5)
        tap.equal(r.status, 400, wrong)
        tap.has(r.body.decode(), 'round_trips[0].network')
    o = system('a', 'b', options=['--no-steering-learn'])
    o.beat('a', o.key, round_trips=[{'network': '192.0.2.0/24', 'ms': 5}])
    tap.equal(explain(o, '192.0.2.7')['a']['round_trip_ms'], None, 'nothing is learnt')


@tap.test
def players_who_could_not_use_an_edge_bear_witness():
    o = system('a', 'b')
    q = question(o)
    first = steer(o, q)['PATHWAY-PRIORITY'][0]
    other = 'ab'.replace(first, '')
    for _ in range(5):  # never told to stay: no witness
        steer(o, steer(o, q)['RELOAD-URI'], _DASH_pathway=f'"{other}"')
    tap.equal(steer(o, q)['PATHWAY-PRIORITY'][0], first)
    def witness(address):
        again = steer(o, q, _DASH_pathway=first)['RELOAD-URI'].removeprefix(o.viewers)
        c = http.client.HTTPConnection('127.0.0.1', o.ports['viewers'], timeout=20, source_address=(address, 0))
        c.request('GET', again + f'&_DASH_pathway=%22{other}%22')
        tap.equal(c.getresponse().status, 200)
        c.close()
    for _ in range(5):
        witness('127.0.0.1')
    tap.equal(steer(o, q)['PATHWAY-PRIORITY'][0], first, 'one viewer says it again and again')
    for i in range(2, 4):
        witness(f'127.0.0.{i}')
    tap.equal(steer(o, q)['PATHWAY-PRIORITY'], [other, first, 'origin'], 'for a newcomer')
    tap.equal(steer(o, q, _DASH_pathway=f'"{first}"')['PATHWAY-PRIORITY'][0], other, 'for one who is there')


class Listening:
    """What an edge is to the origin's probe: something that answers at an address, or does not."""

    def __init__(self, port=0):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.0'

            def do_GET(self):
                self.send_response(404)
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        return self.port


def explain(o, ip='127.0.0.1', **more):
    r = o.api('/steering?' + urllib.parse.urlencode({'ip': ip, 'title': 'film', **more}))
    tap.equal(r.status, 200, r.body)
    return {e['name']: e for e in r.json()['edges']}


def probed(names):
    """A system whose edges answer the origin's probe, and what listens for each."""
    o, there = system(options=['--probe', '100ms']), {name: Listening() for name in names}
    for name, x in there.items():
        o.register(name, f'http://127.0.0.1:{x.port}')
        o.beat(name, o.key)
    return o, there


@tap.test
def an_edge_that_says_it_lives_and_cannot_be_reached_gets_no_viewers():
    o = system(options=['--probe', '100ms'])
    there = {name: Listening() for name in 'ab'}
    o.register('never', f'http://127.0.0.1:{free_port()}')
    o.beat('never', o.key)
    for name, x in there.items():
        o.register(name, f'http://127.0.0.1:{x.port}')
        o.beat(name, o.key)
    reached = lambda: {e['name']: e['reachable'] for e in o.api('/edges').json()['edges']}
    tap.until(lambda: reached() == {'a': True, 'b': True, 'never': False}, 20, 'every edge was asked')
    tap.until(lambda: [n for n, _ in places(mpd(o))][2:] == ['never', 'origin'], 20, 'one that never answered comes last')
    tap.has(explain(o)['never']['why'], 'never reached')
    port = there['a'].stop()
    tap.until(lambda: [n for n, _ in places(mpd(o))] == ['b', 'never', 'origin'], 20, 'nobody is sent to a')
    tap.equal((explain(o)['a']['place'], o.api('/edges/a').json()['state']), (None, 'up'))
    tap.has(explain(o)['a']['why'], 'cannot reach it')
    tap.has(o.admin('edges').stdout, 'up, not reached')
    there['a'] = Listening(port)
    tap.until(lambda: sorted(n for n, _ in places(mpd(o))) == ['a', 'b', 'never', 'origin'], 20, 'it is back')
    port = there['a'].stop()
    tap.until(lambda: not reached()['a'], 20, 'it fell again')
    there['a'] = Listening(port)
    tap.until(lambda: reached()['a'], 20, 'it answers again')
    tap.check(10 < o.api('/edges/a').json()['held_out_seconds'] <= 15, 'an edge that comes and goes is held out')
    tap.check('a' not in [n for n, _ in places(mpd(o))])
    tap.has(explain(o)['a']['why'], 'came and went')
    tap.has(o.admin('edges').stdout, 'up, held out')


@tap.test
def edges_that_all_came_and_went_are_not_all_held_out():
    """Where that is said of all of them it may be the origin's own line; and the origin alone is the worst of all places."""
    o, there = probed('ab')
    reached = lambda name: o.api('/edges/' + name).json()['reachable']
    named = lambda: sorted(n for n, _ in places(mpd(o)))
    for name in 'ab':
        tap.until(lambda: reached(name), 20, 'it was asked')
        for _ in range(2):
            port = there[name].stop()
            tap.until(lambda: not reached(name), 20, 'it fell')
            there[name] = Listening(port)
            tap.until(lambda: reached(name), 20, 'it answers again')
        tap.check(o.api('/edges/' + name).json()['held_out_seconds'] > 5, 'held out')
        tap.equal(named(), {'a': ['b', 'origin'], 'b': ['a', 'b', 'origin']}[name])
    tap.has(explain(o)['b']['why'], 'as all others')
    there['a'].stop()
    tap.until(lambda: named() == ['b', 'origin'], 20, 'one that cannot be reached is left out all the same')


@tap.test
def an_edge_that_began_anew_between_two_heartbeats_is_started_slowly():
    o = system()
    for name in 'ab':
        o.register(name)
        o.beat(name, o.key, up_seconds=1000)
        tap.check('slow start' not in explain(o)[name]['why'], 'new to us is not new')
    o.beat('a', o.key, up_seconds=1005)
    tap.check('slow start' not in explain(o)['a']['why'])
    o.beat('a', o.key, up_seconds=2)
    tap.has(explain(o)['a']['why'], 'slow start')
    first = [min((e['place'], n) for n, e in explain(o, f'192.0.2.{i}').items())[1] for i in range(200)]
    tap.check(1 <= first.count('a') <= 50, f'{first.count("a")} of 200 viewers at the one that began anew')
    o.beat('a', o.key, up_seconds=7)
    tap.has(explain(o)['a']['why'], 'slow start')
    o.beat('b', o.key, up_seconds=900)  # it began anew, and that is over
    tap.check('slow start' not in explain(o)['b']['why'])


@tap.test
def when_most_edges_are_silent_at_once_it_is_the_origins_own_line():
    o, there = probed('abc')
    reached = lambda: sum(bool(e['reachable']) for e in o.api('/edges').json()['edges'])
    tap.until(lambda: reached() == 3, 20, 'every edge answered')
    for x in there.values():
        x.stop()
    tap.until(lambda: reached() == 0, 20, 'none answers')
    tap.equal(len(places(mpd(o))), 4, 'all are named still')


@tap.test
def a_country_or_an_operators_network_can_say_who_is_near():
    folder = tap.folder()
    table, geo = os.path.join(folder, 'networks'), os.path.join(folder, 'world.mmdb')
    austria = {'continent': {'code': 'EU'}, 'country': {'iso_code': 'AT', 'names': {'en': 'Austria'}}}
    mmdb.write(geo, {'192.0.2.0/24': {**austria, 'autonomous_system_number': 64500}, '198.51.100.0/24': austria,
                     '203.0.113.0/25': {'continent': {'code': 'EU'}, 'country': {'iso_code': 'at?'}}, '2001:db8::/32': austria,
                     '203.0.113.128/25': {'country': 'AT'}})
    with open(table, 'w') as f:
        f.write('as:64500 a 4\ncountry:AT b 8\ncountry:AT a 30\ncontinent:EU c 20\n192.0.2.128/25 c 2\n')
    o = system('a', 'b', 'c', options=['--networks', table, '--geo', geo])
    first = lambda ip: next(iter(explain(o, ip)))
    tap.equal({ip: first(ip) for ip in ('192.0.2.1', '198.51.100.1', '2001:db8::7', '203.0.113.1', '192.0.2.200')},
              {'192.0.2.1': 'a', '198.51.100.1': 'b', '2001:db8::7': 'b', '203.0.113.1': 'c', '192.0.2.200': 'c'})
    tap.equal(list(explain(o, '198.51.100.1'))[:2], ['b', 'a'], 'all lines of a country count')
    said = o.api('/steering?ip=192.0.2.1&title=film').json()
    tap.equal((said['located'], said['network_known']), (['as:64500', 'country:AT', 'continent:EU'], True))
    for ip in '203.0.113.200', '8.8.8.8', '::1':
        tap.check(not o.api(f'/steering?ip={ip}&title=film').json()['network_known'], ip)
    tap.has(o.admin('steering', 'explain', '--ip', '198.51.100.1', '--title', 'film').stdout, 'the viewer is in country:AT, continent:EU')
    for name, text, code, part in (('none', None, 2, 'no such file'), ('no', b'x' * 4000, 1, 'no MaxMind DB'),
                                   ('short', open(geo, 'rb').read()[:90], 1, 'no MaxMind DB')):
        path = os.path.join(folder, name)
        if text is not None:
            with open(path, 'wb') as f:
                f.write(text)
        p = tap.call(tap.program('ribera-origin'), '--library', o.library, '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0',
                     '--database', os.path.join(folder, f'{name}.sqlite'), '--geo', path, timeout=20)
        tap.equal(p.returncode, code, name)
        tap.has(p.stderr, part)
    for line in 'as:x a', 'as:4294967296 a', 'country:at a', 'continent:EUR a', 'planet:EA a', 'country:AT a 1000', 'country:AT':
        with open(table, 'w') as f:
            f.write(line + '\n')
        p = tap.call(tap.program('ribera-origin'), '--library', o.library, '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0',
                     '--database', os.path.join(folder, 'x.sqlite'), '--networks', table, timeout=20)
        tap.equal(p.returncode, 1)
        tap.has(p.stderr, 'line 1')


@tap.test
def why_a_viewer_gets_this_order_can_be_asked():
    table = os.path.join(tap.folder(), 'networks')
    with open(table, 'w') as f:
        f.write('192.0.2.0/24 b 3\n192.0.2.0/24 a 9\n')
    o = system('a', 'b', 'c', options=['--networks', table])
    o.register('empty')
    o.beat('empty')
    o.admin('edge', 'drain', 'c')
    why = explain(o, '192.0.2.7')
    tap.equal(list(why), ['b', 'a', 'c', 'empty'])
    tap.equal([e['place'] for e in why.values()], [1, 2, None, None])
    tap.equal([e['why'] for e in why.values()], ['3 ms away', '9 ms away', 'being drained', 'does not hold it'])
    tap.has(explain(o, '203.0.113.1', current='a')['a']['why'], 'the viewer is there already')
    o.beat('b', o.key, load=1.2)
    tap.equal(explain(o, '192.0.2.7')['b']['why'], 'behind the others: no room')
    text = o.admin('steering', 'explain', '--ip', '2001:db8::1', '--title', 'film').stdout
    for part in 'PLACE', 'being drained', 'no line of the networks file':
        tap.has(text, part)
    o.admin('steering', 'explain', '--ip', '192.0.2', '--title', 'film', code=2)
    tap.equal(o.api('/steering?ip=192.0.2.1').status, 400)


@tap.test
def a_drained_edge_sends_on_whom_steering_does_not_move():
    library, revision, _ = film.library(film.generated(20, '320x180'), 'steered', '--max-rungs', '1', '--preset', 'ultrafast')
    system = film.System(library, edges=2, edge_options=('--heartbeat', '100ms'), origin_options=('--steering-ttl', '1s'))
    system.wait_filled('steered', revision)
    a, b = system.edge_urls['edge-a'], system.edge_urls['edge-b']
    path = f'/v/steered/{revision}/manifest.mpd'
    get = lambda url, **fields: tap.http(url, headers={k.replace('_', '-'): v for k, v in fields.items()})
    tap.until(lambda: b'edge-b' in get(a + '/v/steered/manifest.mpd').body, 30, 'edge-b in the manifest of edge-a')
    tap.equal(get(a + path).status, 200)
    tap.equal(system.api('/edges/edge-a/drain', 'PUT').status, 204)
    tap.until(lambda: get(a + path).status == 302, 20, 'a redirect')
    r = get(a + path + '?CMCD=sid%3D%221%22')
    tap.equal((r.status, r.headers['Location']), (302, b + path + '?sent-away=1&CMCD=sid%3D%221%22'))
    tap.equal(get(r.headers['Location']).status, 200, 'there')
    tap.equal(get(a + path + '?sent-away=1').status, 200, 'who was sent here stays, as when both are drained')
    tap.equal(get(a + path, Cache_Control='only-if-cached').status, 200, 'another edge')
    tap.equal((lambda r: (r.status, r.headers['Location']))(get(a + '/v/steered/manifest.mpd')), (302, system.url + '/v/steered/manifest.mpd'))
    tap.equal(get(a + f'/v/steered/{revision}/no-such').status, 302, 'a name is not judged before it is sent on')
    tap.equal(get(a + '/v/no-such/manifest.mpd').status, 404)
    tap.equal(get(a + f'/v/no-such/{revision}/manifest.mpd').status, 404)
    tap.check((tap.metric(get(a + '/metrics').body.decode(), 'ribera_edge_sent_away_total') or 0) >= 2, 'it is counted')
    system.origin.kill()  # nobody knows any more who is well: bytes that are here are served
    tap.until(lambda: get(a + path).status == 200, 30, 'an answer without the origin')
    system.stop()


# --- DNS ------------------------------------------------------------------------------------------

def free_port():
    """For UDP and TCP, as this is tried; somebody else may still have it before the name server does."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            s.bind(('127.0.0.1', 0))
            try:
                stream.bind(s.getsockname())
            except OSError:
                continue
            return s.getsockname()[1]


@tap.test
def names_lead_to_edges_through_the_real_name_server():
    pdns = tap.need('pdns_server', 'pdns-server')
    tap.need('dig', 'bind9-dnsutils')
    tap.check(glob.glob('/usr/lib/*/pdns/libremotebackend.so') + glob.glob('/usr/lib/pdns/libremotebackend.so'),
              'PowerDNS has no remote backend: ./check installs it, or apt-get install pdns-backend-remote')
    table = os.path.join(tap.folder(), 'networks')
    with open(table, 'w') as f:
        f.write('192.0.2.0/24 a 1\n198.51.100.0/24 b 1\n2001:db8:b::/48 b 1\n127.0.0.0/8 b 1\n')
    o = Origin(options=['--heartbeat', '1h', '--networks', table, '--dns-zone', 'cdn.example', '--dns-ttl', '5s'])
    revision, _ = package.write(o.library, 'film')
    package.write(o.library, 'other')
    tap.until(lambda: o.api('/titles').json()['total'] == 2, 10, 'titles')
    folder, port = tap.folder(), None

    def name_server():
        nonlocal port
        port = free_port()
        return tap.Process(pdns, f'--socket-dir={folder}', f'--config-dir={folder}', '--launch=remote', '--local-address=127.0.0.1',
                           f'--local-port={port}', f'--remote-connection-string=http:url={o.control}/pdns,timeout=5000', '--daemon=no',
                           '--guardian=no', '--edns-subnet-processing=yes', '--cache-ttl=0', '--query-cache-ttl=0', '--negquery-cache-ttl=0',
                           '--zone-cache-refresh-interval=0', '--disable-syslog=yes', '--webserver=no', log=os.path.join(folder, 'log'))

    def ask(name, type='A', subnet=None):
        """(status, the answers' texts, what else dig shows)"""
        r = tap.call('dig', '@127.0.0.1', '-p', str(port), '+noall', '+comments', '+answer', '+authority', '+tries=1', '+time=3', name, type,
                     *([f'+subnet={subnet}'] if subnet else []))
        rows = [row.split(None, 4) for row in r.stdout.split('AUTHORITY SECTION')[0].splitlines() if row and row[0] != ';']
        return (re.search(r'status: (\w+)', r.stdout) or [0, 'none'])[1], [row[4] for row in rows], r.stdout

    def dig(*a, **more):
        return ask(*a, **more)[1]
    for _ in range(3):
        p = name_server()
        tap.until(lambda: not p.alive() or dig('cdn.example', 'SOA'), 20, lambda: f'the name server ({p.text()[-2000:]})')
        if p.alive():
            break
    tap.check(p.alive(), p.text()[-2000:])
    tap.equal(ask('film.cdn.example')[:2], ('NOERROR', ['127.0.0.1']), 'the origin while no edge is up')
    o.register('a', 'http://203.0.113.1:8090')
    o.register('b', 'http://203.0.113.2:8090')
    o.register('six', 'http://[2001:db8::6]:8090')
    for name in 'a', 'b', 'six':
        o.beat(name, f'film/{revision}')
    tap.equal(dig('film.cdn.example', subnet='192.0.2.0/24')[0], '203.0.113.1', 'near a')
    tap.equal(dig('film.cdn.example', subnet='198.51.100.7/32')[0], '203.0.113.2', 'near b')
    tap.equal(dig('FILM.cdn.example', 'AAAA'), ['2001:db8::6'])
    tap.equal(dig('edges.cdn.example'), ['203.0.113.2'], 'near this resolver')
    tap.equal(set(dig('edges.cdn.example', subnet='233.252.0.0/24')), {'203.0.113.1', '203.0.113.2'}, 'any, where nothing is known')
    tap.check(dig('other.cdn.example'), 'a title that nobody holds goes to some edge')
    tap.equal(dig('cdn.example', 'NS'), ['ns.cdn.example.'])
    tap.equal(dig('ns.cdn.example'), ['127.0.0.1'], 'the name server by its own name')
    tap.equal(set(dig('film.cdn.example', 'ANY', '192.0.2.0/24')), {'203.0.113.1', '2001:db8::6'})
    tap.equal(dig('film.cdn.example', subnet='2001:db8:b::/56'), ['203.0.113.2'], 'a network of IPv6 near b')
    # a resolver keeps the answer for this network alone (RFC 7871 7.3.1)
    for subnet in '192.0.2.0/24', '198.51.100.7/32', '2001:db8:b::/56':
        tap.has(ask('film.cdn.example', subnet=subnet)[2], f'CLIENT-SUBNET: {subnet}/{subnet.split("/")[1]}\n')
    for nothing in '0.0.0.0/0', '::/0':  # who does not want to be told apart is where the resolver is
        status, found, text = ask('film.cdn.example', subnet=nothing)
        tap.equal((status, found), ('NOERROR', ['203.0.113.2']), nothing)
        tap.has(text, f'CLIENT-SUBNET: {nothing}/0\n')
    for name, type, status in (('no-such.cdn.example', 'A', 'NXDOMAIN'), ('no-such.cdn.example', 'TXT', 'NXDOMAIN'), ('a.film.cdn.example', 'A', 'NXDOMAIN'),
                               ('film.cdn.example', 'TXT', 'NOERROR'), ('film.cdn.example', 'CNAME', 'NOERROR'), ('cdn.example', 'MX', 'NOERROR'),
                               ('ns.cdn.example', 'AAAA', 'NOERROR')):
        got, found, text = ask(name, type)
        tap.equal((got, found), (status, []), f'{name} {type}')
        tap.check(re.search(r'cdn\.example\.\s+30\s+IN\s+SOA', text), f'{name} {type} is refused without an SOA: {text}')
    tap.equal(ask('film.elsewhere.example')[1], [], 'a name of somebody else')
    o.admin('edge', 'drain', 'a')
    tap.equal(dig('film.cdn.example', subnet='192.0.2.0/24'), ['203.0.113.2'], 'while a is being drained')
    p.stop()


tap.run()

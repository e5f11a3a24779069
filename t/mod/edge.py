#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-edge against an origin that can lie, stall, cut and fail: fill, pull-through, window, rate, space."""
import glob, json, os, re, signal, socket, sys, threading, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import lab, tap
from lab import Edge, Lab, Package, PIECE, Trickle

NEVER = ('--window-duration', '0s')


def in_threads(n, function):
    results, threads = [None] * n, []

    def one(i):
        try:
            results[i] = function(i)
        except Exception as e:
            results[i] = e
    for i in range(n):
        threads.append(threading.Thread(target=one, args=(i,)))
        threads[-1].start()
    for t in threads:
        t.join(120)
    return results


@tap.test
def a_title_is_filled_and_every_byte_is_right():
    p = Package('film')
    origin = Lab(p)
    edge = Edge(origin)
    edge.wait_filled(p)
    edge.check_all(p)
    tap.equal(edge.metric(f'ribera_edge_title_held_bytes{{title="film",revision="{p.revision}"}}'), p.size)
    r = edge.file(p, 'video.mp4', {'Range': 'bytes=1000000-1100000'})
    tap.equal((r.status, r.headers['Content-Range']), (206, f'bytes 1000000-1100000/{len(p.files["video.mp4"])}'))
    tap.check(r.body == p.files['video.mp4'][1000000:1100001])
    tap.has(r.headers['Cache-Status'], 'hit')
    tap.equal(len(origin.asked('video.mp4')), 5, 'requests for five pieces')
    tap.equal(edge.process.stop(), 0)


@tap.test
def the_manifest_names_this_edge_first_then_peers_then_the_origin():
    p = Package('film')
    origin = Lab(p)
    origin.peers = [{'name': 'edge-x', 'url': 'http://127.0.0.1:1', 'holds': [p.key]},
                    {'name': 'edge-y', 'url': 'http://127.0.0.1:2', 'holds': []}]
    edge = Edge(origin)
    edge.wait_prepared(p)
    r = edge.get('/v/film/manifest.mpd')
    tap.equal(r.headers['Content-Type'], 'application/dash+xml')
    urls = re.findall(r'<BaseURL[^>]*>(http[^<]*)', r.body.decode())
    tap.equal(urls, [f'{u}/v/{p.key}/' for u in (edge.url, 'http://127.0.0.1:1', origin.url)])


@tap.test
def the_playlist_has_a_pathway_for_each_of_these_places_and_the_steering_server():
    p = Package('film')
    origin = Lab(p)
    origin.rows[0]['hold'] = False
    origin.steering = 'http://origin.example/steer'
    origin.peers = [{'name': 'edge-x', 'url': 'http://127.0.0.1:1', 'holds': [p.key]}]
    edge = Edge(origin)
    edge.wait_prepared(p)
    r = edge.get('/v/film/main.m3u8')
    tap.equal((r.status, r.headers['Location']), (302, f'{origin.url}/v/film/main.m3u8'), 'the playlist is not here yet')
    origin.rows[0]['hold'] = True
    edge.wait_filled(p)
    r = edge.get('/v/film/main.m3u8')
    tap.equal((r.status, r.headers['Content-Type'], r.headers['Cache-Control']), (200, 'application/vnd.apple.mpegurl', 'public, max-age=2, stale-if-error=86400'))
    question = f'http://origin.example/steer?title=film&revision={p.revision}&in=edge-a,edge-x,origin'
    want = ['#EXTM3U', f'#EXT-X-CONTENT-STEERING:SERVER-URI="{question}",PATHWAY-ID="edge-a"']
    for name, url in (('edge-a', edge.url), ('edge-x', 'http://127.0.0.1:1'), ('origin', origin.url)):
        want += [f'#EXT-X-STREAM-INF:BANDWIDTH=900000,PATHWAY-ID="{name}"', f'{url}/v/{p.key}/video.m3u8']
    tap.equal(r.body.decode().splitlines(), want)
    tap.equal(edge.get('/v/film/main.m3u8', {'If-None-Match': r.headers['ETag']}).status, 304)


@tap.test
def names_that_are_not_in_the_plan_never_reach_the_origin():
    p = Package('film')
    origin = Lab(p)
    edge = Edge(origin)
    edge.wait_filled(p)
    before = len(origin.requests)
    for path in ['/v/nothing/manifest.mpd', '/v/nothing/0123456789abcdef0123/video.mp4', f'/v/{p.key}/nothing.mp4',
                 '/v/film/0123456789abcdef0123/video.mp4', '/v/film/nothing', '/v/', '/v/film', '/x']:
        tap.equal(edge.get(path).status, 404, path)
    tap.equal((len(origin.requests), origin.unknown), (before, []))
    tap.check(edge.metric('ribera_edge_lookups_total{result="unknown"}') >= 5)


@tap.test
def a_liar_never_gets_a_wrong_byte_to_a_viewer():
    p = Package('film')
    origin, liar, honest = Lab(p), Lab(p), Lab(p)
    liar.behaviour = lambda title, name, first: {'wrong_at': 100_000} if name == 'video.mp4' else None
    origin.peers = [{'name': n, 'url': x.url, 'holds': [p.key]} for n, x in (('liar', liar), ('honest', honest))]
    edge = Edge(origin)
    wrong = []

    def look(i):
        end = time.monotonic() + 60
        while not edge.holds(p) and time.monotonic() < end:
            r = edge.file(p, 'video.mp4')
            if r.status == 200 and r.body != p.files['video.mp4']:
                wrong.append(i)
    in_threads(3, look)
    tap.equal(wrong, [], 'viewers with wrong bytes')
    edge.wait_filled(p)
    edge.check_all(p)
    tap.check(edge.metric('ribera_edge_wrong_hash_total') >= 1)
    tap.has(edge.process.text(), 'wrong bytes were sent, the source is avoided source=liar')
    tap.check(len(liar.requests) <= 8, f'the liar was asked {len(liar.requests)} times')
    tap.until(lambda: origin.liars == {'liar'}, 10, 'the origin knowing of the liar')


@tap.test
def a_lying_origin_is_a_bad_gateway_and_forgiven_later():
    p = Package('film')
    origin = Lab(p, hold=False)
    edge = Edge(origin, *NEVER)
    edge.wait_prepared(p)
    origin.behaviour = lambda title, name, first: {'wrong_at': 0}
    start = time.monotonic()
    tap.equal(edge.file(p, 'video.mp4', {'Range': 'bytes=0-99'}).status, 502)
    tap.check(time.monotonic() - start < 3, 'quickly')


@tap.test
def cut_stalled_slow_and_failing_answers_are_survived():
    p = Package('film')
    origin = Lab(p)
    seen = {}

    def bad_at_first(title, name, first):
        seen[name, first // PIECE] = n = seen.get((name, first // PIECE), 0) + 1
        kinds = [{'cut_at': 300_000}, {'status': 500}, {'stall_at': 500_000, 'stall_for': 30}, {'rate': 2_000_000}, {'status': 404}]
        return kinds[(first // PIECE) % 5] if n == 1 else None
    origin.behaviour = bad_at_first
    edge = Edge(origin)
    edge.wait_filled(p, 90)
    edge.check_all(p)
    tap.check(edge.metric('ribera_edge_source_failures_total') >= 3)
    starts = [first for first, last in origin.asked('video.mp4')]
    tap.check(any(s % PIECE != 0 for s in starts), 'a cut piece goes on from its last good block')


@tap.test
def thirty_viewers_of_a_missing_file_cost_one_fetch_a_piece():
    p = Package('film', 4 * PIECE + 12345)
    origin = Lab(p, hold=False)
    edge = Edge(origin, *NEVER)
    edge.wait_prepared(p)
    origin.rate = 2_000_000
    results = in_threads(30, lambda i: edge.file(p, 'video.mp4', timeout=60))
    for r in results:
        tap.check(not isinstance(r, Exception), repr(r))
        tap.equal(r.status, 200)
        tap.check(r.body == p.files['video.mp4'], 'wrong bytes')
    tap.equal(sorted(origin.asked('video.mp4')),
              [(i * PIECE, min((i + 1) * PIECE, len(p.files['video.mp4'])) - 1) for i in range(5)], 'upstream requests')
    tap.check(edge.metric('ribera_edge_lookups_total{result="not-planned"}') >= 1)


@tap.test
def the_first_byte_goes_on_as_soon_as_its_block_is_here():
    p = Package('film')
    origin = Lab(p, hold=False)
    edge = Edge(origin, *NEVER)
    edge.wait_prepared(p)
    origin.rate = 200_000  # a piece takes five seconds
    start = time.monotonic()
    r = edge.file(p, 'video.mp4', {'Range': 'bytes=0-999'})
    took = time.monotonic() - start
    tap.equal(r.status, 206)
    tap.check(r.body == p.files['video.mp4'][:1000])
    tap.check(took < 2, f'took {took:.2f} s')


@tap.test
def the_next_segment_is_on_its_way_before_it_is_asked_for():
    p = Package('film', 12 * PIECE, more=[('other.mp4', 3 * PIECE)])
    origin = Lab(p, hold=False)
    edge = Edge(origin, *NEVER)
    edge.wait_prepared(p)
    pulled = lambda name: sorted({first // PIECE for first, last in origin.asked(name)})

    def ask(first, last, query='', name='video.mp4', headers=None):
        r = edge.file(p, name + query, {'Range': f'bytes={first}-{last}', **(headers or {})})
        tap.check(r.body == p.files[name][first:last + 1], 'wrong bytes')
    ask(100, PIECE - 1)  # a piece: the one behind it is next
    tap.until(lambda: pulled('video.mp4') == [0, 1], 10, 'the piece behind')
    ask(100, 200, f'?CMCD=nrr%3D%22{6 * PIECE}-{8 * PIECE - 1}%22')
    tap.until(lambda: pulled('video.mp4') == [0, 1, 6, 7], 10, 'the range of nrr')
    ask(100, 200, headers={'CMCD-Request': f'nor="other.mp4",nrr="{PIECE}-{PIECE + 5}"'})
    tap.until(lambda: pulled('other.mp4') == [1], 10, 'the file of nor')
    for query in ('nrr%3D%22x-%22', 'nrr%3D%2299999999999-%22', f'nrr%3D%22{8 * PIECE}-7%22', 'nor%3D%22%252e%252e%252fetc%252fpasswd%22'):
        ask(100, 200, '?CMCD=' + query)
    ask(100, 200, '?CMCD=nrr%3D%220-%22')  # all of it: only a few pieces are taken
    tap.until(lambda: 2 in pulled('video.mp4') and 3 in pulled('video.mp4'), 10, 'a few pieces')
    tap.check(not {5, 8, 9, 10, 11} & set(pulled('video.mp4')), pulled('video.mp4'))
    tap.equal(origin.unknown, [])


@tap.test
def a_viewer_who_leaves_does_not_stop_the_others():
    p = Package('film', 2 * PIECE)
    origin = Lab(p, hold=False)
    edge = Edge(origin, *NEVER)
    edge.wait_prepared(p)
    origin.rate = 1_000_000
    path = f'/v/{p.key}/video.mp4'
    s = socket.create_connection(('127.0.0.1', edge.port))
    s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
    s.recv(1000)
    s.close()
    tap.check(edge.get(path).body == p.files['video.mp4'], 'wrong bytes')
    tap.equal(len(origin.asked('video.mp4')), 2, 'upstream requests')


@tap.test
def a_dead_origin_is_a_quick_gateway_error_and_what_is_here_is_served():
    p, q = Package('film'), Package('other')
    origin = Lab(p, q)
    origin.rows[1]['hold'] = False
    origin.peers = [{'name': 'edge-x', 'url': 'http://127.0.0.1:1', 'holds': [p.key]}]
    edge = Edge(origin)
    edge.wait_filled(p)
    edge.wait_prepared(q)
    origin.stop()
    start = time.monotonic()
    for _ in range(5):
        r = edge.file(q, 'video.mp4')
        tap.check(r.status in (502, 504))
        tap.check(1 <= int(r.headers['Retry-After']) <= 10, r.headers['Retry-After'])
    tap.check(time.monotonic() - start < 5, 'quickly')
    edge.check_all(p)
    tap.equal(edge.get('/healthz').status, 200)
    edge.process.stop()
    edge.start()  # the plan is on disk, the origin still dead
    tap.equal(edge.get('/healthz').status, 200)
    edge.check_all(p)
    r = edge.get('/v/film/manifest.mpd')  # a new viewer's, by the last plan and its list of peers
    tap.equal(r.status, 200)
    tap.equal(re.findall(r'serviceLocation="([^"]*)"', r.body.decode()), ['edge-a', 'edge-x', 'origin'])
    tap.has(r.headers['Cache-Control'], 'stale-if-error')
    tap.equal(re.findall(r'PATHWAY-ID="([^"]*)"', edge.get('/v/film/main.m3u8').body.decode()), ['edge-a', 'edge-x', 'origin'])
    origin.start()
    tap.until(lambda: edge.file(q, 'video.mp4').body == q.files['video.mp4'], 30, 'the origin being back')


@tap.test
def an_edge_starts_while_the_origin_is_dead():
    p = Package('film')
    origin = Lab(p)
    origin.stop()
    edge = Edge(origin)
    r = edge.get('/healthz')
    tap.equal(r.status, 503)
    tap.has(r.body.decode(), 'no plan')
    origin.start()
    edge.wait_filled(p)
    tap.equal(edge.get('/healthz').status, 200)


@tap.test
def an_edge_ends_at_once_while_its_origin_answers_byte_by_byte():
    origin = Trickle()
    edge = Edge(origin)
    tap.check(origin.asked.wait(20), 'it asks')
    start = time.monotonic()
    tap.equal(edge.process.stop(20), 0)
    tap.check(time.monotonic() - start < 5, f'it took {time.monotonic() - start:.1f} s') # the answer as a whole may take 10 s, a plan 5 min


@tap.test
def a_stalled_origin_is_a_gateway_timeout():
    p = Package('film')
    origin = Lab(p, hold=False)
    edge = Edge(origin, *NEVER)
    edge.wait_prepared(p)
    origin.behaviour = lambda title, name, first: {'stall_at': 0, 'stall_for': 60}
    start = time.monotonic()
    tap.equal(edge.file(p, 'video.mp4', {'Range': 'bytes=0-99'}).status, 504)
    tap.check(time.monotonic() - start < 15)


@tap.test
def a_closed_window_fills_nothing_but_pulls():
    p = Package('film')
    origin = Lab(p)
    edge = Edge(origin, *NEVER)
    edge.wait_prepared(p)
    tap.equal(edge.metric('ribera_edge_pieces_total{by="fill"}'), 0)
    tap.equal(edge.metric('ribera_edge_window_open'), 0)
    r = edge.file(p, 'video.mp4', {'Range': 'bytes=5-1000'})
    tap.check(r.body == p.files['video.mp4'][5:1001])
    tap.has(r.headers['Cache-Status'], 'planned-not-filled')
    tap.equal(edge.metric('ribera_edge_pieces_total{by="fill"}'), 0)


@tap.test
def the_rate_cap_holds():
    p = Package('film', 8 * PIECE)
    origin = Lab(p)
    edge = Edge(origin, '--rate', '2MB', start=False)
    start = time.monotonic()
    edge.start()
    edge.wait_filled(p)
    took = time.monotonic() - start
    want = (p.size - PIECE) / 2e6  # the bucket is full at first
    tap.check(want * 0.95 < took < want * 1.15 + 1, f'took {took:.2f} s, want {want:.2f} s')


@tap.test
def an_urgent_title_is_filled_outside_the_window_and_no_other():
    p, q = Package('urgent', 2 * PIECE), Package('other', PIECE)
    origin = Lab(q, p)
    origin.rows[1]['urgent'] = True
    edge = Edge(origin, *NEVER)
    edge.wait_filled(p)
    edge.wait_prepared(q)
    tap.check(not edge.holds(q))
    tap.check(edge.metric('ribera_edge_pieces_total{by="fill"}') >= 3)


@tap.test
def the_rate_changes_at_once_with_a_reload():
    p = Package('film', 40 * PIECE)
    origin = Lab(p)
    settings = os.path.join(tap.folder(), 'edge.yaml')

    def write(text):
        with open(settings, 'w') as f:
            f.write(text)
    write('rate: 100kB\nrates: "00:00-12:00 50kB, 12:00-00:00 50kB"\n')
    edge = Edge(origin, '--config', settings)
    edge.wait_prepared(p)
    tap.until(lambda: 'rate is 50000 bytes' in edge.process.text(), 10, 'the rate of the hour')
    tap.check(not edge.holds(p))
    write('rate: 0\n')
    edge.process.p.send_signal(signal.SIGHUP)
    edge.wait_filled(p, 20)  # at 50 kB/s it would take ten minutes
    tap.has(edge.process.text(), 'the fill\'s rate is 0 bytes per second (no cap)')


@tap.test
def a_fill_that_a_viewer_overtakes_fetches_no_piece_twice():
    p = Package('film', 6 * PIECE)
    origin = Lab(p)
    origin.rate = 1_500_000
    edge = Edge(origin, '--parallel', '2')
    edge.wait_prepared(p)
    tap.check(edge.file(p, 'video.mp4').body == p.files['video.mp4'])
    edge.wait_filled(p)
    asked = origin.asked('video.mp4')
    tap.equal(len(asked), len(set(asked)), 'different requests')


@tap.test
def pieces_come_from_a_peer_before_the_origin():
    p = Package('film')
    origin, peer = Lab(p), Lab(p)
    origin.peers = [{'name': 'edge-b', 'url': peer.url, 'holds': [p.key]}]
    edge = Edge(origin)
    edge.wait_filled(p)
    edge.check_all(p)
    tap.equal(origin.asked('video.mp4'), [])
    tap.check(edge.metric('ribera_edge_fetched_from_bytes_total{source="peer"}') >= p.size)


@tap.test
def edges_that_fill_together_take_each_piece_from_the_origin_about_once():
    p = Package('film', 24 * PIECE)
    origin = Lab(p)
    origin.rows[0]['hold'] = False
    edges = [Edge(origin, '--parallel', '3', name=f'edge-{i}') for i in range(5)]
    with origin.lock:
        origin.peers = [{'name': e.name, 'url': e.url, 'holds': []} for e in edges]
    for e in edges:
        e.wait_prepared(p)
    with origin.lock:
        origin.sent, origin.rate = 0, 2_000_000
        origin.rows[0]['hold'] = True
    for e in edges:
        e.wait_filled(p)
    for e in edges:
        e.check_all(p)
    factor = origin.sent / p.size
    print(f'# {factor:.2f} times the title left the origin for {len(edges)} edges')
    tap.check(factor < 3, f'{factor:.2f}')
    tap.equal(edges[0].get(f'/pieces/{p.key}').body, bytes([255] * 3 + [7]))  # 27 pieces
    tap.equal(edges[0].get('/pieces/nothing/0123456789abcdef0123').status, 404)


@tap.test
def a_real_peer_that_lacks_it_asks_nobody():
    p = Package('film')
    origin = Lab(p)
    far = Edge(origin, *NEVER, name='edge-b')
    far.wait_prepared(p)
    origin.peers = [{'name': 'edge-b', 'url': far.url, 'holds': [p.key]}]  # the plan is wrong
    edge = Edge(origin)
    edge.wait_filled(p)
    edge.check_all(p)
    tap.equal(far.metric('ribera_edge_pieces_total{by="fill"}'), 0)
    tap.check(far.metric('ribera_edge_lookups_total{result="only-if-cached"}') >= 1)


@tap.test
def what_is_played_stays_and_a_scan_of_cold_titles_passes_through():
    planned, hot, new = (Package(n, 3 * PIECE) for n in ('planned', 'hot', 'new'))
    cold = [Package(f'cold{i}', 3 * PIECE) for i in range(5)]
    origin = Lab(planned, hot, new, *cold)
    for row in origin.rows[1:]:
        row['hold'] = False
    edge = Edge(origin, '--capacity', '18MiB', '--pull-share', '55')
    edge.wait_filled(planned)
    for p in (hot, new, *cold):
        edge.wait_prepared(p)
    fetched = lambda p: sum(t == p.title and n == 'video.mp4' for t, n, *_ in origin.requests)
    written = lambda: edge.metric('ribera_edge_written_bytes_total{by="pull"}')
    watch = lambda p: tap.check(edge.file(p, 'video.mp4').body == p.files['video.mp4'], 'wrong bytes')
    for p in (hot, hot, cold[0], cold[1]):  # there is room for three
        watch(p)
    before = written()
    tap.check(before >= 9 * PIECE, before)
    for p in cold[2:]:
        watch(p)
    tap.equal(written(), before, 'a scan writes nothing')
    watch(hot)
    tap.has(edge.file(hot, 'video.mp4').headers['Cache-Status'], 'hit')
    tap.equal(fetched(hot), 3)
    tap.equal(edge.metric('ribera_edge_evicted_files_total'), 0)
    part = lambda p, piece: tap.check(edge.file(p, 'video.mp4', {'Range': f'bytes={piece * PIECE}-{(piece + 1) * PIECE - 1}'}).body ==
                                      p.files['video.mp4'][piece * PIECE:(piece + 1) * PIECE], 'wrong bytes')
    for _ in range(9):  # three plays' worth of its beginning, and then it outranks the coldest of what is here
        part(new, 0)
    tap.equal((written(), edge.metric('ribera_edge_evicted_files_total')), (before, 0))
    part(new, 2)
    tap.equal(edge.metric('ribera_edge_evicted_files_total'), 1)
    tap.equal(written(), before + PIECE)
    tap.check(edge.metric('ribera_edge_store_used_bytes') <= 18 * PIECE)
    tap.has(edge.file(hot, 'video.mp4').headers['Cache-Status'], 'hit')
    gone = [p for p in cold[:2] if 'evicted' in edge.file(p, 'video.mp4', {'Range': 'bytes=0-9'}).headers['Cache-Status']]
    tap.equal(len(gone), 1, 'one had to go')
    edge.process.stop()
    edge.start()  # what is here counts as played: a scan changes nothing after a restart either
    for p in cold:
        part(p, 0)
    tap.has(edge.file(hot, 'video.mp4').headers['Cache-Status'], 'hit')
    held = lambda p: edge.metric(f'ribera_edge_title_held_bytes{{title="{p.title}",revision="{p.revision}"}}')
    here = [p for p in cold if held(p) >= 3 * PIECE]
    tap.equal(len(here), 1, 'cold titles that are held')
    one = next(p for p in cold if p not in here)
    for _ in range(4):  # what had three plays before the restart still has: what had one goes
        part(one, 0)
    part(one, 2)
    tap.has(edge.file(new, 'video.mp4', {'Range': f'bytes={2 * PIECE}-'}).headers['Cache-Status'], 'hit')
    tap.equal(edge.metric('ribera_edge_evicted_files_total'), 1)
    edge.check_all(planned)
    tap.check(edge.holds(planned))


@tap.test
def a_store_too_small_for_the_plan_says_so_and_serves_on():
    small, large = Package('small', PIECE), Package('large', 20 * PIECE)
    origin = Lab(large, small)
    edge = Edge(origin, '--capacity', '8MiB')
    edge.wait_filled(small)
    edge.check_all(small)
    tap.until(lambda: 'no room for a title of the plan' in edge.process.text(), 10, 'the warning')
    tap.check(edge.metric('ribera_edge_store_used_bytes') <= 8 * PIECE)
    tap.equal(edge.get('/healthz').status, 200)


@tap.test
def a_package_that_left_the_plan_makes_room_for_the_next():
    old, new = Package('old', 5 * PIECE), Package('new', 5 * PIECE)
    origin = Lab(old)
    edge = Edge(origin, '--capacity', '9MiB')
    edge.wait_filled(old)
    with origin.lock:
        origin.packages[new.key] = new
        origin.rows[:] = [new.row()]
    edge.wait_filled(new)
    edge.check_all(new)
    tap.equal(edge.file(old, 'video.mp4').status, 404)
    tap.check(not os.path.exists(os.path.join(edge.store, 'old')))


@tap.test
def a_new_revision_is_taken_in_and_the_old_one_is_served_while_it_is_here():
    old, new = Package('film', 2 * PIECE, seed=1), Package('film', 2 * PIECE, seed=2)
    origin = Lab(old)
    edge = Edge(origin)
    edge.wait_filled(old)
    with origin.lock:
        origin.packages[new.key] = new
        origin.rows[:] = [new.row()]
    edge.wait_filled(new)
    edge.check_all(new)
    edge.check_all(old)
    tap.has(edge.get('/v/film/manifest.mpd').body.decode(), new.key)


@tap.test
def a_full_disk_leaves_a_serving_edge():
    small, large = Package('small', 2 * PIECE), Package('large', 30 * PIECE)
    origin = Lab(small)
    with tap.small_disk('12m') as disk:
        edge = Edge(origin, store=disk)
        edge.wait_filled(small)
        ballast = tap.fill_disk(disk)  # somebody else does
        with origin.lock:
            origin.packages[large.key] = large
            origin.rows.append(large.row())
        tap.until(lambda: 'new' in edge.process.text() and edge.metric('ribera_edge_plans_total') >= 2, 10, 'the new plan')
        tap.until(lambda: edge.metric('ribera_edge_no_space_total') >= 1 or 'No space' in edge.process.text(), 20, 'the full disk')
        edge.check_all(small)
        tap.check(edge.file(large, 'video.mp4', {'Range': 'bytes=0-99'}).status in (302, 502, 503, 504))
        tap.check(edge.process.alive())
        os.unlink(ballast)
        r = tap.until(lambda: edge.file(large, 'video.mp4', {'Range': 'bytes=0-99'}).status == 206, 40, 'room again')
        edge.check_all(small)
        edge.process.stop()


@tap.test
def two_edges_on_one_store_are_refused():
    p = Package('film')
    edge = Edge(Lab(p))
    r = tap.call(tap.program('ribera-edge'), '--name', 'edge-b', '--origin', edge.lab.url, '--listen', '127.0.0.1:0',
                 '--store', edge.store)
    tap.equal(r.returncode, 1)
    tap.has(r.stderr, 'in use by another ribera-edge')


@tap.test
def a_changed_byte_on_the_disk_is_found_and_fetched_again():
    p = Package('film', 3 * PIECE)
    origin = Lab(p)
    edge = Edge(origin, '--scrub-every', '1s', '--scrub-rate', '100MiB')
    edge.wait_filled(p)
    with open(os.path.join(edge.store, p.key, 'video.mp4'), 'r+b') as f:
        f.seek(PIECE + 777)
        byte = f.read(1)
        f.seek(PIECE + 777)
        f.write(bytes([byte[0] ^ 1]))
    tap.until(lambda: edge.metric('ribera_edge_scrub_bad_pieces_total') >= 1, 20, 'the scrub')
    tap.until(lambda: edge.file(p, 'video.mp4').body == p.files['video.mp4'], 20, 'the right bytes')
    tap.equal(len(origin.asked('video.mp4')), 4)


@tap.test
def a_small_file_that_changed_on_the_disk_comes_anew():
    p = Package('film', PIECE)
    edge = Edge(Lab(p), '--scrub-every', '1s', '--scrub-rate', '100MiB')
    edge.wait_filled(p)
    with open(os.path.join(edge.store, p.key, 'main.m3u8'), 'r+b') as f:
        f.write(b'?')
    tap.until(lambda: edge.metric('ribera_edge_scrub_bad_pieces_total') >= 1, 20, 'the scrub')
    tap.until(lambda: edge.file(p, 'main.m3u8').body == p.files['main.m3u8'], 20, 'the right bytes')
    tap.until(lambda: edge.holds(p), 20, 'all being here again')


@tap.test
def digests_that_changed_on_the_disk_come_anew():
    p = Package('film', PIECE)
    edge = Edge(Lab(p), '--scrub-every', '1s', '--scrub-rate', '100MiB')
    edge.wait_filled(p)
    names = ('package.torrent', 'package.leaves')
    for name in names:
        with open(os.path.join(edge.store, p.key, name), 'r+b') as f:
            f.seek(40)
            byte = f.read(1)
            f.seek(40)
            f.write(bytes([byte[0] ^ 4]))
    tap.until(lambda: edge.metric('ribera_edge_scrub_bad_pieces_total') >= 2, 20, 'the scrub')
    for name in names:
        tap.until(lambda: open(os.path.join(edge.store, p.key, name), 'rb').read() == p.served[name], 20, name)
        tap.until(lambda: edge.file(p, name).body == p.served[name], 20, f'{name} being served')
    tap.until(lambda: edge.holds(p), 20, 'all being here again')


@tap.test
def operators_have_a_listener_of_their_own():
    p = Package('film', PIECE)
    edge = Edge(Lab(p), '--control', '127.0.0.1:0')
    edge.wait_filled(p)
    with open(os.path.join(edge.folder, 'ports')) as f:
        control = f'http://127.0.0.1:{json.load(f)["control"]}'
    tap.equal(tap.http(control + '/healthz').status, 200)
    text = tap.http(control + '/metrics').body.decode()
    tap.check(tap.metric(text, 'ribera_edge_pieces_total{by="fill"}') > 0)
    tap.has(text, 'ribera_http_')
    tap.equal(tap.http(control + f'/v/{p.key}/video.mp4').status, 404)


@tap.test
def demand_is_counted_by_file():
    p = Package('film', PIECE)
    edge = Edge(Lab(p))
    edge.wait_filled(p)
    for _ in range(3):
        edge.file(p, 'video.mp4', {'Range': 'bytes=0-99'})
    labels = f'{{title="film",revision="{p.revision}",file="video.mp4"}}'
    tap.equal(edge.metric('ribera_edge_demand_requests_total' + labels), 3)
    tap.equal(edge.metric('ribera_edge_demand_bytes_total' + labels), 300)


@tap.test
def demand_that_nobody_takes_is_bounded_on_the_disk_and_the_oldest_goes():
    p = Package('film', PIECE)
    origin = Lab(p)
    edge = Edge(origin)
    edge.wait_filled(p)
    edge.process.stop()
    origin.control_fails = 503
    folder = os.path.join(edge.store, '.ribera', 'demand')
    waiting = lambda: sorted(os.listdir(folder))
    for older, size, most in ((1003, 10, 1000), (4, 100_000_000, 3)):  # by number, and by bytes
        for name in waiting():
            os.unlink(os.path.join(folder, name))
        for i in range(older):
            with open(os.path.join(folder, f'{i + 1:020}.json'), 'w') as f:
                f.truncate(size)
        edge.start()
        tap.equal(edge.file(p, 'audio.mp4').status, 200)
        edge.process.stop()  # what was counted is written down
        here = waiting()
        tap.equal(here[-1], f'{older + 1:020}.json', 'the newest stays')
        tap.check(len(here) <= most, f'{len(here)} batches of {size} bytes')
        tap.check(sum(os.path.getsize(os.path.join(folder, n)) for n in here) <= 256 << 20)
    with open(os.path.join(folder, here[-1])) as f:
        tap.equal([r['file'] for r in json.load(f)['hours'][0]['files']], ['audio.mp4'])


@tap.test
def the_token_is_sent_and_a_refusal_is_told():
    p = Package('film')
    origin = Lab(p)
    token = os.path.join(tap.folder(), 'token')
    with open(token, 'w') as f:
        f.write('secret-1\n')
    origin.control_fails = 401
    edge = Edge(origin, '--token-file', token)
    tap.until(lambda: 'answered 401' in edge.process.text(), 10, 'the refusal in the log')
    tap.equal(origin.authorizations, {'Bearer secret-1'})
    origin.control_fails = 0
    edge.wait_filled(p)
    tap.equal(origin.registered['edge-a']['url'], edge.url)
    tap.check(origin.registered['edge-a']['capacity'] > 0)
    tap.check('secret-1' not in edge.process.text(), 'the token is in the log')


@tap.test
def a_clock_that_is_wrong_is_told():
    origin = Lab(Package('film', PIECE))
    edge = Edge(origin)
    tap.until(lambda: 'edge-a' in origin.heartbeats, 10, 'a heartbeat')
    tap.check(abs(edge.metric('ribera_edge_clock_offset_seconds')) < 1)
    tap.check('trouble' not in origin.heartbeats['edge-a'])
    tap.near(origin.heartbeats['edge-a']['now'] / 1000, time.time(), 10)
    origin.clock = 60
    tap.until(lambda: 'behind the origin' in origin.heartbeats['edge-a'].get('trouble', ''), 10, 'the trouble')
    tap.near(edge.metric('ribera_edge_clock_offset_seconds'), -60, 1)
    origin.clock = 0
    tap.until(lambda: 'trouble' not in origin.heartbeats['edge-a'], 10, 'the end of it')


@tap.test
def an_origin_that_forgot_the_edge_gets_to_know_it_again():
    p = Package('film')
    origin = Lab(p)
    edge = Edge(origin)
    edge.wait_filled(p)
    with origin.lock:
        origin.registered.clear()
    tap.until(lambda: 'edge-a' in origin.registered, 10, 'registration')


@tap.test
def a_plan_that_makes_no_sense_is_refused_and_the_last_one_stays():
    p = Package('film')
    origin = Lab(p)
    edge = Edge(origin)
    edge.wait_filled(p)
    with origin.lock:
        origin.rows[:] = [{**p.row(), 'title': '../../etc'}]
    tap.until(lambda: edge.metric('ribera_edge_bad_plans_total') >= 1, 10, 'the refusal')
    edge.check_all(p)


@tap.test
def restart_serves_at_once_without_fetching():
    p = Package('film')
    origin = Lab(p)
    edge = Edge(origin)
    edge.wait_filled(p)
    tap.until(lambda: edge.metric('ribera_edge_journal_lag_pieces') == 0, 10, 'the journal')
    edge.process.kill()
    origin.stop()
    start = time.monotonic()
    edge.start()
    edge.check_all(p)
    tap.check(time.monotonic() - start < 2, f'{time.monotonic() - start:.2f} s')


@tap.test
def wrong_usage_says_what_to_do():
    edge = tap.program('ribera-edge')
    for argv, part in [([], 'name is not set'), (['--name', 'a b'], 'expected letters'),
                       (['--name', 'a', '--origin', 'ftp://x'], 'expected an http'),
                       (['--name', 'a', '--origin', 'http://x'], 'store is not set'), (['--nonsense'], 'unknown option'),
                       (['--name', 'a', '--origin', 'http://x', '--store', 's', '--window-zone', 'Mars/Base'], 'no zone'),
                       (['--name', 'a', '--origin', 'http://x', '--store', 's', '--window-start', '25:00'], 'window.start'),
                       (['--name', 'a', '--origin', 'http://x', '--store', 's', '--window-zone', '../../etc/passwd'], 'IANA')]:
        r = tap.call(edge, *argv)
        tap.equal(r.returncode, 2, f'exit code of {argv}: {r.stderr}')
        tap.has(r.stderr, part)
    r = tap.call(edge, '--name', 'a', '--origin', 'http://x', '--store', 's', '--window-zone', 'UTC', '-t', check_exit=0)
    tap.check(not os.path.exists('s'))
    tap.has(tap.call(edge, '--help', check_exit=0).stdout, '--window-duration')
    tap.has(tap.call(edge, '--version', check_exit=0).stdout, 'ribera-edge')


tap.run()

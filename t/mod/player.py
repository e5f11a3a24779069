#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player against servers that die, stall, lie and crawl: every frame comes, and the report says what happened."""
import concurrent.futures, functools, html.parser, itertools, json, os, re, signal, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, cmcd, plays, rungs, tap

os.environ['XDG_STATE_HOME'] = tap.folder()  # nothing of this machine's own

SECONDS, FPS, SEGMENT = 12, 25, 2
LADDER = [('low', 160, 90, 100), ('mid', 320, 180, 400), ('high', 480, 270, 1200)]
_package, _real_time, _numbers = None, [], itertools.count()


def encode(name, *options):
    path = os.path.join(_package, name + '.mp4')
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-y', *options, '-f', 'mp4', '-movflags',
             '+cmaf+dash+global_sidx+frag_keyframe+negative_cts_offsets+skip_trailer', '-use_editlist', '0', path, check_exit=0)
    return path


def package():
    """A small on-demand package, made with ffmpeg: three video renditions and one of sound."""
    global _package
    if _package:
        return _package
    tap.need('ffmpeg')
    _package = tap.folder()
    for name, width, height, rate in LADDER:
        encode(name, '-f', 'lavfi', '-i', f'testsrc2=s={width}x{height}:r={FPS}:d={SECONDS}', '-c:v', 'libx264', '-preset', 'veryfast',
               '-g', str(FPS * SEGMENT), '-keyint_min', str(FPS * SEGMENT), '-sc_threshold', '0', '-pix_fmt', 'yuv420p',
               '-b:v', f'{rate}k', '-minrate', f'{rate}k', '-maxrate', f'{rate}k', '-bufsize', f'{rate}k', '-x264-params', 'nal-hrd=cbr')
    encode('sound', '-f', 'lavfi', '-i', f'sine=f=440:r=48000:d={SECONDS}', '-c:a', 'aac', '-b:a', '64k', '-frag_duration', '2000000')
    return _package


@functools.lru_cache(None)
def representation(name, attributes):
    path = os.path.join(package(), name + '.mp4')
    moov_end, first, last, _ = rungs.sidx(path)
    # this muxer leaves the first picture at its decoding delay; the Period begins with it
    times = tap.call('ffprobe', '-v', 'error', '-show_entries', 'packet=pts', '-of', 'csv=p=0', path, check_exit=0).stdout.split()
    scale = tap.call('ffprobe', '-v', 'error', '-show_entries', 'stream=time_base', '-of', 'csv=p=0', path, check_exit=0).stdout.strip()
    offset = min(int(t.strip(',')) for t in times)
    return (f'<Representation id="{name}" {attributes}><BaseURL>{name}.mp4</BaseURL><SegmentBase timescale="{scale[2:]}" '
            f'presentationTimeOffset="{offset}" indexRange="{first}-{last}">'
            f'<Initialization range="0-{moov_end - 1}"/></SegmentBase></Representation>')


def mpd(servers, video=True, sound=True, renditions=None):
    """Writes an MPD with one BaseURL per server; returns its path under the servers."""
    name = f'manifest{next(_numbers)}.mpd'
    bases = ''.join(f'<BaseURL serviceLocation="{chr(97 + i)}">{s.url}/</BaseURL>' for i, s in enumerate(servers))
    sets = ''
    package()
    if video:
        sets += '<AdaptationSet contentType="video" mimeType="video/mp4" codecs="avc1.64001F" subsegmentAlignment="true">' + ''.join(
            representation(n, f'bandwidth="{r * 1150}" width="{w}" height="{h}"')
            for n, w, h, r in LADDER if not renditions or n in renditions) + '</AdaptationSet>'
    if sound:
        sets += ('<AdaptationSet contentType="audio" mimeType="audio/mp4" codecs="mp4a.40.2">' +
                 representation('sound', 'bandwidth="70000" audioSamplingRate="48000"') + '</AdaptationSet>')
    with open(os.path.join(package(), name), 'w') as f:
        f.write('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" '
                f'type="static" mediaPresentationDuration="PT{SECONDS}S" minBufferTime="PT2S">{bases}<Period>{sets}</Period></MPD>')
    return '/' + name


def servers(n=2):
    return [badserver.Server(package()) for _ in range(n)]


def argv(url, report, *options):
    return [tap.program('ribera-player'), url, '--output', 'null', '--quiet', '--report', report, *options]


def play(url, *options, want=0, timeout=90):
    """Plays to the end; the report, and what was said on standard error."""
    report = os.path.join(tap.folder(), 'report.json')
    done = tap.call(*argv(url, report, *options), timeout=timeout)
    tap.equal(done.returncode, want, 'exit code with: ' + done.stderr[-1500:])
    with open(report) as f:
        return json.load(f), done.stderr


def in_real_time(*cases):
    """Tests that play as fast as a viewer would, one for each case: all of them play at once, from when the first is wanted on."""
    def declare(test):
        parts = [functools.partial(test, *([case] if cases else [])) for case in cases or (None,)]
        _real_time.extend(parts)

        @functools.wraps(test)
        def wait():
            for part in parts:
                all_at_once()[part].result()
        return tap.test(wait)
    return declare


@functools.lru_cache(None)
def all_at_once():
    for name in [n for n, *_ in LADDER]:
        representation(name, '')  # the package and what is asked of it often, once
    pool = concurrent.futures.ThreadPoolExecutor(len(_real_time))
    return {part: pool.submit(part) for part in _real_time}


def unbroken(r, what='stalls'):
    """No waiting for the line.  A processor that is busy elsewhere makes stalls of its own, none as long as a server's."""
    tap.check(plays.stalled_ms(r) < 500 * tap.PATIENCE, f"{what}: {r['stalls']}")


def whole(r, frames=SECONDS * FPS):
    """Every picture decoded and shown, once."""
    tap.equal(r['frames']['decoded'], frames, 'frames decoded')
    tap.equal(r['frames']['presented'] + r['frames']['dropped'], frames, 'frames shown')
    tap.equal(r['decode_errors'], 0, 'decoder errors')
    tap.check(r['finished'], 'not finished')


def segments(r, track='video'):
    return [s for s in r['segments'] if s['track'] == track]


def media(request):
    """A segment's request, as opposed to the MPD, indexes and headers."""
    return request.path.endswith('.mp4') and request.first is not None and request.first > 0


@tap.test
def every_frame_comes_once_and_sound_stays_with_the_picture():
    a, b = servers()
    r, _ = play(a.url + mpd([a, b]), '--speed', 'max')
    whole(r)
    tap.equal(int(tap.call('ffprobe', '-v', 'error', '-count_frames', '-select_streams', 'v', '-show_entries', 'stream=nb_read_frames',
                           '-of', 'csv=p=0', os.path.join(package(), 'high.mp4'), check_exit=0).stdout.strip(' ,\n')), SECONDS * FPS)
    tap.near(r['played_s'], SECONDS, 0.1, 'played')
    tap.check(r['max_av_offset_ms'] <= 10, f"A/V offset {r['max_av_offset_ms']}")
    tap.equal({s['service_location'] for s in r['segments']}, {'a'})
    tap.equal([s['index'] for s in segments(r)], list(range(SECONDS // SEGMENT)), 'segments')
    tap.equal((len(b.requests), r['failovers'], r['stalls'], r['errors']), (0, [], [], []))


@tap.test
def real_time_is_real_and_start_is_quick():
    a, b = servers()
    begin = time.monotonic()
    r, _ = play(a.url + mpd([a, b]), '--duration', '3s')
    tap.check(2.9 < time.monotonic() - begin < 8 * tap.PATIENCE, 'wall time of 3 s')
    tap.near(r['played_s'], 3, 0.1, 'played')
    tap.equal(r['frames']['presented'] + r['frames']['dropped'], 3 * FPS, 'frames shown')
    tap.check(r['startup_ms'] < 1000 * tap.PATIENCE, f"start-up {r['startup_ms']} ms")
    tap.check(r['max_av_offset_ms'] <= 40 * tap.PATIENCE ** 2, f"A/V offset {r['max_av_offset_ms']}")
    unbroken(r)


@in_real_time(30_000, 150_000, 400_000)
def an_edge_killed_in_the_middle_of_a_body_costs_no_stall_and_no_frame(n):
    a, b = servers()
    a.die_after(n)
    r, _ = play(badserver_mpd(b, a, b), '--buffer', '6s')
    whole(r)
    unbroken(r, f'stalls after {n} bytes')
    tap.check(len(r['failovers']) >= 1, 'no fail-over in the report')
    tap.equal({s['service_location'] for s in segments(r)} | {'a'}, {'a', 'b'})


def badserver_mpd(host, *bases, **how):
    """The MPD comes from `host`, the segments from `bases`."""
    return host.url + mpd(bases, **how)


@tap.test
def missing_bytes_are_asked_for_and_not_the_whole_again():
    a, b = servers()
    cut = []
    a.fault = lambda q: 'cut' if media(q) and q.path == '/high.mp4' and not cut and not cut.append(q) else None
    r, _ = play(badserver_mpd(b, a, b, renditions=['high']), '--speed', 'max')
    whole(r)
    rest = next(q for q in b.requests if q.last == cut[0].last)
    tap.equal(rest.first, cut[0].first + (cut[0].last - cut[0].first + 1) // 2, 'first byte of the rest')


@tap.test
def every_bad_answer_is_survived():
    for fault in ('404', '410', '500', '503', 'reset', 'cut', 'wrong-range', 'short-length', 'garbage', 'redirect'):
        a, b = servers()
        a.fault = lambda q: fault if media(q) else None
        r, _ = play(badserver_mpd(b, a, b), '--speed', 'max')
        whole(r)
        tap.check(len(r['failovers']) >= 1, f'{fault}: no fail-over')
        tap.equal({s['service_location'] for s in r['segments']}, {'b'}, fault)
        asked = len([q for q in a.requests if media(q)])
        tap.check(asked <= (24 if fault == 'redirect' else 8), f'{fault}: the bad base was asked {asked} times')  # a reused connection that dies is tried anew by the client


@tap.test
def a_page_in_place_of_an_index_costs_no_rendition():
    for fault in ('404', 'garbage', 'portal', 'cut'):
        a, b = servers()
        a.fault = lambda q: fault if q.path.endswith('.mp4') and q.first == 0 else None
        r, _ = play(badserver_mpd(b, a, b), '--speed', 'max')
        whole(r)
        tap.equal(r['errors'], [], fault)
        tap.equal({s['service_location'] for s in r['segments']}, {'b'}, f'{fault}: where segments came from')
    a, = servers(1)
    once = []
    a.fault = lambda q: 'garbage' if q.path == '/high.mp4' and q.first == 0 and not once and not once.append(q) else None
    r, _ = play(a.url + mpd([a], renditions=['high']), '--speed', 'max')
    whole(r)


@tap.test
def an_mpd_that_cannot_be_had_once_is_asked_for_again():
    for fault in ('reset', 'cut', '503', '429'):
        a, = servers(1)
        once = []
        a.fault = lambda q: fault if q.path.endswith('.mpd') and not once and not once.append(q) else None
        r, _ = play(a.url + mpd([a], renditions=['low'], sound=False), '--speed', 'max')
        whole(r)


@tap.test
def a_segment_of_another_time_is_not_believed():
    a, b = servers()
    a.fault = lambda q: 'other-segment' if media(q) and q.path == '/high.mp4' and q.first > 800_000 else None
    r, err = play(badserver_mpd(b, a, b, renditions=['high']), '--speed', 'max')
    whole(r)
    tap.equal([(f['reason'], f['from']) for f in r['failovers']], [('the bytes are another segment', 'a')])
    tap.equal(segments(r)[-1]['service_location'], 'b')


@in_real_time()
def a_stalled_connection_is_left_in_time():
    a, b = servers()
    a.fault = lambda q: 'stall' if media(q) and q.first > 100_000 else None
    r, _ = play(badserver_mpd(b, a, b), '--buffer', '8s')
    whole(r)
    unbroken(r)
    tap.check(len(r['failovers']) >= 1)


@in_real_time('trickle', 'hang')
def a_slow_base_and_a_silent_one_are_left_in_time(fault):
    a, b = servers()
    a.fault = lambda q: fault if media(q) and q.first > 200_000 else None
    r, _ = play(badserver_mpd(b, a, b, renditions=['high']), '--buffer', '10s', '--duration', '6s')
    unbroken(r, f'{fault}: stalls')
    tap.check(1 <= len(r['failovers']) <= 3, f"{fault}: {r['failovers']}")  # sticky: no way back to it at once
    tap.equal(segments(r)[-1]['service_location'], 'b', fault)
    tap.check(all(s['bandwidth'] == 1380000 for s in segments(r)), fault)


@in_real_time()
def a_lone_server_is_asked_again_when_it_wants_to_be():
    a, = servers(1)
    a.retry_after = 2
    refused = []
    a.fault = lambda q: '503' if media(q) and q.path == '/high.mp4' and q.first > 800_000 and (not refused or refused[0] is q) and not refused.append(q) else None  # once
    r, _ = play(a.url + mpd([a], renditions=['high'], sound=False), '--buffer', '10s', '--duration', '8s', '--speed', '1.5')
    unbroken(r)
    again = next(q for q in a.requests if q.number > refused[0].number and q.first == refused[0].first)
    tap.check(again.at - refused[0].at >= 1.9, f'asked again after {again.at - refused[0].at:.2f} s')


def is_mpd(q):
    return q.path.endswith('.mpd')


@in_real_time('hang', 'headers', 'stall')
def an_mpd_that_does_not_come_is_asked_for_at_the_other_address(fault):
    a, = servers(1)
    b = badserver.Server(package(), address='127.0.0.2', port=a.port)
    a.fault = lambda q: fault if is_mpd(q) else None
    env = {**os.environ, 'LD_PRELOAD': tap.program('t/lib/names.so'), 'NAMES_GONE': os.path.join(package(), 'never'),
           'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}
    began = time.monotonic()
    done = tap.call(*argv(f'http://two.test:{a.port}{mpd([a])}', '/dev/null', '--speed', 'max'), timeout=90, env=env)
    tap.equal(done.returncode, 0, f'{fault}: exit code with: {done.stderr[-500:]}')
    tap.equal([len([q for q in s.requests if is_mpd(q)]) for s in (a, b)], [1, 1], fault)
    tap.check(3.5 < next(q.at for q in b.requests if is_mpd(q)) - began < 8, f'{fault}: asked elsewhere too late')


@in_real_time('2', '3600')
def an_mpd_is_asked_for_again_when_its_server_wants_it_but_not_after_an_hour(later):
    a, = servers(1)
    a.retry_after = int(later)
    a.fault = lambda q: '503' if is_mpd(q) and len([x for x in a.requests if is_mpd(x)]) == 1 else None
    done = tap.call(*argv(a.url + mpd([a]), '/dev/null', '--speed', 'max'), timeout=90)
    tap.equal(done.returncode, 0, f'{later}: exit code with: {done.stderr[-500:]}')
    first, second = (q.at for q in a.requests if is_mpd(q))
    tap.check(min(int(later), 10) <= second - first < 13, f'{later}: asked again after {second - first:.2f} s')


@tap.test
def who_waits_for_a_server_that_is_busy_may_leave():
    a, = servers(1)
    a.retry_after = 9
    a.fault = lambda q: '503' if is_mpd(q) else None
    p = tap.Process(*argv(a.url + mpd([a]), '/dev/null'))
    tap.until(lambda: a.requests, 20, 'the MPD to be asked for')
    p.p.send_signal(signal.SIGINT)
    p.p.wait(5)
    tap.equal(len(a.requests), 1, 'asked again by somebody who wants to leave')


@tap.test
def a_server_that_ignores_ranges_still_plays():
    a, = servers(1)
    a.fault = lambda q: 'ignore-range' if q.path.endswith('.mp4') else None
    r, _ = play(a.url + mpd([a]), '--speed', 'max')
    whole(r)


@tap.test
def a_single_server_that_fails_for_a_while_is_asked_again():
    a, = servers(1)
    seen = []
    a.fault = lambda q: '503' if media(q) and (seen.append(q) or 2 < len(seen) < 6) else None
    r, _ = play(a.url + mpd([a]), '--speed', 'max')
    whole(r)
    tap.check(sum(s['retries'] for s in r['segments']) >= 3, 'no retries in the report')


@tap.test
def a_segment_missing_in_one_rendition_is_taken_from_a_lower_one():
    a, b = servers()
    for s in (a, b):
        s.fault = lambda q: '404' if q.path in ('/high.mp4', '/mid.mp4') and media(q) and q.first > 100_000 else None
    r, err = play(a.url + mpd([a, b]), '--speed', 'max')
    whole(r)
    tap.check('low' in {s['rendition'] for s in segments(r)})
    tap.has(err, 'lower rendition')


@in_real_time()
def a_segment_missing_everywhere_is_left_out_with_a_line():
    a, = servers(1)
    lost = []

    def fault(q):
        if media(q) and q.path != '/sound.mp4' and q.first > 60_000 and (not lost or lost[0] == (q.path, q.first)):
            lost[:] = [(q.path, q.first)]
            return '404'
    a.fault = fault
    r, err = play(a.url + mpd([a], renditions=['low']), '--speed', '4')
    tap.check(r['finished'])
    tap.equal(len([s for s in segments(r) if s['skipped']]), 1, 'segments left out')
    tap.equal(r['frames']['presented'] + r['frames']['dropped'], (SECONDS - SEGMENT) * FPS, 'frames shown')
    tap.near(r['played_s'], SECONDS, 0.1, 'played')
    tap.has(err, 'left out')


@functools.lru_cache(None)
def packaged(name):
    """(time from the first picture in s, MD5 of its pixels) of a rendition's pictures, by another program."""
    text = tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', os.path.join(package(), name + '.mp4'), '-map', '0:v', '-c:v', 'rawvideo',
                    '-fps_mode', 'passthrough', '-copyts', '-f', 'framemd5', '-', check_exit=0).stdout
    scale = int(re.search(r'#tb 0: 1/(\d+)', text).group(1))
    rows = [line.split(',') for line in text.splitlines() if not line.startswith('#')]
    first = min(int(r[2]) for r in rows)
    return [((int(r[2]) - first) / scale, r[5].strip()) for r in rows]


def shown(path):
    with open(path) as f:
        rows = [line.split(', ') for line in f if not line.startswith('#')]
    return [(int(r[0]) / 1e6, r[3]) for r in rows]


def check_shown(r, path):
    """Every picture of the renditions that were played, once, in order, at its time."""
    want = []
    for s in segments(r):
        first = s['index'] * SEGMENT * FPS
        want += packaged(s['rendition'])[first:first + SEGMENT * FPS]
    got = shown(path)
    tap.equal(len(got), SECONDS * FPS, 'pictures shown')
    for (t, md5), (want_t, want_md5) in zip(got, want):
        tap.near(t, want_t, 0.0005, 'time of a picture')
        tap.equal(md5, want_md5, f'pixels at {t}')


@tap.test
def what_is_shown_is_what_was_packaged():
    path = os.path.join(tap.folder(), 'frames')
    a, b = servers()
    r, _ = play(a.url + mpd([a, b]), '--speed', 'max', '--frames-hash', path)
    check_shown(r, path)

    def line(q):
        if media(q) and q.path == '/high.mp4' and q.first > 400_000:
            a.rate = 150_000
    a.fault = line  # it has to come down
    r, _ = play(a.url + mpd([a]), '--speed', 'max', '--frames-hash', path)
    tap.check(len({s['rendition'] for s in segments(r)}) > 1, 'no switch')
    check_shown(r, path)
    for n in (100_000, 300_000):
        a, b = servers()
        a.die_after(n)
        r, _ = play(badserver_mpd(b, a, b), '--speed', 'max', '--frames-hash', path)
        tap.check(len(r['failovers']) >= 1, 'no fail-over')
        check_shown(r, path)


@tap.test
def a_recording_has_what_was_played():
    path = os.path.join(tap.folder(), 'played.mp4')
    a, = servers(1)
    play(a.url + mpd([a], renditions=['low']), '--speed', 'max', '--output', 'dump:' + path)
    text = tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:v', '-fps_mode', 'passthrough', '-copyts', '-f', 'framemd5', '-', check_exit=0).stdout
    scale = int(re.search(r'#tb 0: 1/(\d+)', text).group(1))
    got = [(int(c[2]) / scale, c[5].strip()) for c in (line.split(',') for line in text.splitlines() if not line.startswith('#'))]
    tap.equal(len(got), SECONDS * FPS, 'pictures of the recording')
    for mine, theirs in zip(got, packaged('low')):
        tap.equal((round(mine[0] * 1000), mine[1]), (round(theirs[0] * 1000), theirs[1]), 'picture of the recording')
    sound = tap.call('ffprobe', '-v', 'error', '-select_streams', 'a', '-show_entries', 'stream=start_time,duration,codec_name', '-of', 'json', path, check_exit=0)
    s = json.loads(sound.stdout)['streams'][0]
    tap.equal(s['codec_name'], 'alac')
    tap.near(float(s['duration']), SECONDS, 0.1, 'length of the sound')
    done = tap.call(tap.program('ribera-player'), a.url + mpd([a]), '--output', 'dump:/no/such/folder/x.mp4', '--speed', 'max', '--quiet', '--duration', '1s')
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, '/no/such/folder/x.mp4')


@in_real_time()
def a_slow_line_has_the_lowest_rendition():
    a, = servers(1)
    a.rate = 27_000  # 216 kbit/s
    r, _ = play(a.url + mpd([a]), '--duration', '8s', '--buffer', '6s')
    tap.equal({s['rendition'] for s in segments(r)[1:]}, {'low'}, 'renditions on a slow line')
    tap.check(r['startup_ms'] < 4000 * tap.PATIENCE, f"start-up {r['startup_ms']} ms")
    unbroken(r)


@tap.test
def a_fast_line_has_the_highest():
    a, = servers(1)
    r, _ = play(a.url + mpd([a]), '--speed', 'max')
    tap.equal(segments(r)[-1]['rendition'], 'high', 'last rendition on a fast line')


@in_real_time()
def the_rendition_follows_a_line_that_gets_slower():
    a, = servers(1)

    def slow_down(q):
        if media(q) and q.path == '/high.mp4' and q.first > 400_000:
            a.rate = 40_000
    a.fault = slow_down
    r, _ = play(a.url + mpd([a]), '--speed', '1.5', '--buffer', '6s')
    whole(r)
    names = [s['rendition'] for s in segments(r)]
    tap.check('high' in names and names[-1] in ('low', 'mid'), f'renditions {names}')
    tap.check(any(s['from'] == 'high' for s in r['switches']), 'switches')


@in_real_time()
def a_stall_is_told_and_ends():
    a, = servers(1)
    a.rate = 60_000
    r, _ = play(a.url + mpd([a], renditions=['high']), '--duration', '4s')
    tap.check(len(r['stalls']) >= 1, 'no stall on a line that is too slow')
    tap.check(all(s['duration_ms'] > 0 for s in r['stalls']))
    # behind the last picture of what came, give or take one, not two or more before, where the decoder's threads would hold back the last ones
    tap.check(all(min(s['at_s'] % SEGMENT, SEGMENT - s['at_s'] % SEGMENT) < 1.5 / FPS for s in r['stalls']), f"stalls: {r['stalls']}")
    starved = [t for t in map(cmcd.read, a.requests) if 'bs' in t]
    tap.check(len(starved) >= len(r['stalls']) - 1 and all('su' in t for t in starved if t['ot'] == 'v'), f'servers are told: {starved}')
    tap.check(r['qoe'] < 1, f"QoE {r['qoe']}")
    tap.equal(r['frames']['presented'] + r['frames']['dropped'], 4 * FPS, 'frames shown')


@tap.test
def one_kind_of_media_is_enough():
    a, = servers(1)
    r, _ = play(a.url + mpd([a], sound=False), '--speed', 'max')
    whole(r)
    r, _ = play(a.url + mpd([a], video=False), '--speed', 'max')
    tap.equal(r['frames']['decoded'], 0)
    tap.near(r['played_s'], SECONDS, 0.1, 'played')


@tap.test
def start_and_duration_are_exact():
    a, = servers(1)
    r, _ = play(a.url + mpd([a]), '--speed', 'max', '--start', '5s', '--duration', '4s')
    tap.equal(r['frames']['presented'], 4 * FPS, 'frames shown')
    tap.near(r['played_s'], 4, 0.05, 'played')
    tap.equal(segments(r)[0]['index'], 2, 'first segment')


@tap.test
def servers_are_told_about_requests():
    both = []
    for mode in 'headers', 'query':
        a, = servers(1)
        play(a.url + mpd([a]), '--speed', '4', '--cmcd', mode)
        tap.check(all(('CMCD=' in q.path) == (mode == 'query') and any(k.startswith('cmcd-') for k in q.headers) == (mode == 'headers') for q in a.requests), mode)
        both.append([(q, cmcd.read(q)) for q in a.requests])
    for told in both:
        tap.equal(len({t['sid'] for _, t in told}), 1, 'sessions')
        tap.check(all(re.fullmatch('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', t['sid']) and t['sf'] == 'd' for _, t in told), 'sid and sf')
        tap.equal([t['ot'] for q, t in told if q.path.split('?')[0].endswith('.mpd')], ['m'])
        tap.equal({t['ot'] for q, t in told if '.mp4' in q.path and not q.first}, {'i'}, 'index and initialisation together')
        pictures = [(q, t) for q, t in told if t['ot'] == 'v']
        for q, t in pictures + [(q, t) for q, t in told if t['ot'] == 'a']:
            tap.check({'br', 'd', 'tb', 'bl', 'dl', 'rtp', 'cid', 'st'} <= set(t) and t['st'] == 'v', t)
            tap.check(abs(t['dl'] - t['bl'] / 4) <= 100, f'{t}: what is in hand lasts a quarter as long')
        tap.check(all(t['d'] == SEGMENT * 1000 and t['tb'] == 1380 for _, t in pictures), pictures[0][1])
        tap.check(pictures[0][1]['su'] and 'su' not in pictures[-1][1] and pictures[-1][1]['mtp'] > 0 and pictures[-1][1]['pr'] == 4, pictures[-1][1])
        high = [(q, t) for q, t in pictures if '/high.mp4' in q.path]
        following = {q.first: q.last for q, _ in high}
        nexts = [(q, *map(int, t['nrr'].split('-'))) for q, t in high if 'nrr' in t]
        tap.check(len(nexts) >= 2 and all(x == q.last + 1 and following.get(x, y) == y for q, x, y in nexts), nexts)
    tap.equal(*[sorted(set().union(*(t for _, t in told))) for told in both], 'keys in fields and in queries')
    c, = servers(1)
    play(c.url + mpd([c]), '--speed', 'max', '--cmcd', 'none')
    tap.check(not any('CMCD' in q.path or any(k.startswith('cmcd-') for k in q.headers) for q in c.requests))


@tap.test
def what_cannot_be_played_is_said_and_ends():
    a, = servers(1)
    mpd([a])

    def file(name, text):
        with open(os.path.join(package(), name), 'w') as f:
            f.write(text)
        return a.url + '/' + name
    one = ('<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x" minBufferTime="PT2S" type="static" mediaPresentationDuration="PT5S"><Period>'
           '<AdaptationSet mimeType="video/mp4" codecs="avc1.64000C">{}<SegmentTemplate duration="1" media="$Number$"/>'
           '<Representation id="v" bandwidth="1">{}</Representation></AdaptationSet></Period></MPD>')
    gone = badserver.Server(package())
    gone.die()
    cases = [(a.url + '/none.mpd', '404'), (gone.url + '/manifest.mpd', gone.url), ('http://no-such-host.invalid/x.mpd', 'no-such-host.invalid'),
             (file('page.mpd', '<html><body>hello</body></html>'), 'page.mpd:1'), (file('empty.mpd', ''), 'empty.mpd'),
             (file('cut.mpd', '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Per'), 'cut.mpd:1'),
             (file('bare.mpd', '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x" minBufferTime="PT2S" type="static" '
                               'mediaPresentationDuration="PT5S"><Period/></MPD>'), 'bare.mpd'),
             (os.path.join(package(), 'nothing-here.mpd'), 'nothing-here.mpd'),
             (file('drm.mpd', one.format('', '<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc"/>')), 'line 1: this Representation has ContentProtection'),
             (file('essential.mpd', one.format('<EssentialProperty schemeIdUri="urn:x:1"/>', '')), 'line 1: this AdaptationSet needs EssentialProperty "urn:x:1"'),
             (file('codec.mpd', one.replace('avc1', 'xxxx').format('', '')), 'no decoder here for its codecs "xxxx')]
    for url, words in cases:
        r, err = play(url, want=1)
        tap.has(err, words, url)
        tap.equal(err.count('\n'), 1, f'lines for {url}: {err}')
        tap.check(r['errors'], f'{url}: no error in the report')


@tap.test
def what_is_not_fit_is_left_out_of_the_choice():
    a, = servers(1)
    with open(os.path.join(package(), mpd([a]).lstrip('/'))) as f:
        text = f.read()
    high = re.search(r'<Representation id="high"[^>]*>', text).group(0)
    for name, element in (('unknown', high + '<EssentialProperty schemeIdUri="urn:x:1"/>'), ('half', high.replace('id=', 'dependencyId="low" id='))):
        with open(os.path.join(package(), name + '.mpd'), 'w') as f:
            f.write(text.replace(high, element))
        r, _ = play(f'{a.url}/{name}.mpd', '--speed', 'max', '--duration', '4s')
        tap.check('high' not in {s['rendition'] for s in segments(r)}, f'{name}: was played')
        o = json.loads(tap.call(tap.program('ribera-player'), '--inspect', f'{a.url}/{name}.mpd', '--json', check_exit=0).stdout)
        tap.equal([r['id'] for r in o['periods'][0]['tracks'][0]['renditions'] if 'unfit' in r], ['high'], f'{name}: unfit')


@tap.test
def nobody_answering_ends_with_an_error_after_what_was_there():
    a, = servers(1)
    a.fault = lambda q: '404' if media(q) and q.first > 30_000 else None
    r, err = play(a.url + mpd([a]), '--speed', 'max', want=1)
    tap.has(err, 'cannot be had')
    tap.check(r['frames']['presented'] > 0, 'what had come was not played')


@tap.test
def wrong_usage_is_exit_2():
    for options in ([], ['--nonsense'], ['a', 'b'], ['x', '--speed', 'fast'], ['x', '--abr', 'magic'], ['x', '--cmcd', 'smoke'],
                    ['x', '--output', 'paper'], ['x', '--log-level', 'loud'], ['x', '--buffer', '1ms']):
        done = tap.call(tap.program('ribera-player'), *options)
        tap.equal(done.returncode, 2, f'{options}: {done.stderr}')
        tap.check(done.stderr.startswith('ribera-player: '), done.stderr)
    tap.has(tap.call(tap.program('ribera-player'), '--help', check_exit=0).stdout, '--report')
    tap.has(tap.call(tap.program('ribera-player'), '--version', check_exit=0).stdout, 'ribera-player 0')


@tap.test
def a_signal_ends_it_with_its_report():
    a, = servers(1)
    report = os.path.join(tap.folder(), 'report.json')
    p = tap.Process(*argv(a.url + mpd([a]), report))
    tap.until(lambda: len([q for q in a.requests if media(q)]) > 3, 20, 'requests')
    p.p.send_signal(signal.SIGINT)
    tap.until(lambda: not p.alive(), 10, 'end')
    tap.equal(p.p.returncode, 0, p.text())
    with open(report) as f:
        tap.check(not json.load(f)['finished'])


@tap.test
def the_timeline_can_be_looked_at():
    a, b = servers()
    url = a.url + mpd([a, b])
    o = json.loads(tap.call(tap.program('ribera-player'), '--inspect', url, '--json', check_exit=0).stdout)
    video = o['periods'][0]['tracks'][0]
    tap.equal([r['id'] for r in video['renditions']], ['low', 'mid', 'high'])
    tap.equal([len(r['segments']) for r in video['renditions']], [SECONDS // SEGMENT] * 3)
    tap.equal([x['service_location'] for x in video['renditions'][0]['bases']], ['a', 'b'])
    text = tap.call(tap.program('ribera-player'), '--inspect', url, check_exit=0).stdout
    tap.has(text, 'avc1.64001F')


@tap.test
def the_inspection_follows_links_and_says_what_is_left_out():
    a, = servers(1)
    mpd([a])

    def file(name, text):
        with open(os.path.join(package(), name), 'w') as f:
            f.write(text)
    part = ('<AdaptationSet mimeType="video/mp4"><SegmentTemplate duration="2" media="$Number$.m4s"/>'
            '<Representation id="{}" bandwidth="1"/><Representation id="odd" bandwidth="2"><SegmentTemplate timescale="0"/></Representation></AdaptationSet>')
    head = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:xlink="http://www.w3.org/1999/xlink" minBufferTime="PT2S" profiles="x" '
    file('two.xml', f'<Period id="b" duration="PT4S">{part.format("x")}</Period><Period id="c" duration="PT2S">{part.format("y")}</Period>')
    file('linked.mpd', head + f'><Period id="a" duration="PT2S">{part.format("w")}</Period><Period xlink:href="two.xml"/>'
         '<Period xlink:href="none.xml" xlink:actuate="onLoad"/></MPD>')
    done = tap.call(tap.program('ribera-player'), '--inspect', a.url + '/linked.mpd', '--json', check_exit=0)
    o = json.loads(done.stdout)
    tap.equal([(p['id'], p['start_s']) for p in o['periods']], [('a', 0), ('b', 2), ('c', 6)])
    r = o['periods'][1]['tracks'][0]['renditions']
    tap.equal([(s['number'], s['address']) for s in r[0]['segments']], [(1, a.url + '/1.m4s'), (2, a.url + '/2.m4s')])
    tap.has(r[1]['error'], '@timescale is 0')
    tap.has(done.stderr, 'none.xml')
    file('live.mpd', head + 'type="dynamic" availabilityStartTime="2026-01-01T00:00:00Z" timeShiftBufferDepth="PT6S"><Period start="PT0S">' + part.format('v') + '</Period></MPD>')
    done = tap.call(tap.program('ribera-player'), '--inspect', os.path.join(package(), 'live.mpd'), '--now', '2026-01-01T00:01:00Z', '--json', check_exit=0)
    tap.equal([s['number'] for s in json.loads(done.stdout)['periods'][0]['tracks'][0]['renditions'][0]['segments']], [28, 29, 30])
    done = tap.call(tap.program('ribera-player'), '--inspect', os.path.join(package(), 'live.mpd'), '--now', 'soon')
    tap.equal(done.returncode, 2)


@tap.test
def the_adaptation_answers_by_lines():
    script = 'V 3 10 2000 20000\nB 100 400 1200\n' + ''.join(f'S {i} 25000 100000 300000\n' for i in range(10)) + 'G\n'
    script += ''.join(f'R {i} 0 25000 20 30 -1\nD {i + 1} 0 8000 {i * 1000}\n' for i in range(4)) + 'P 4 2 300000 20000 30000 50 500\n'
    done = subprocess.run([tap.program('ribera-player'), '--abr-serve'], input=script, stdout=subprocess.PIPE, text=True, timeout=20 * tap.PATIENCE)
    lines = done.stdout.split('\n')
    tap.equal(done.returncode, 0)
    tap.check(re.fullmatch(r'[0-2] [01]', lines[0]), lines[0])
    tap.equal(lines[4].split()[0], '2', 'quality on a fast line')
    tap.check(lines[5] in ('0', '1'), f'does not abandon a segment that would come too late: {lines[5]}')
    tap.equal(subprocess.run([tap.program('ribera-player'), '--abr-serve'], input='X 1\n', stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20 * tap.PATIENCE).returncode, 1)


@tap.test
def the_report_is_a_page_too():
    a, b = servers()
    a.fault = lambda q: '404' if media(q) and q.first > 100_000 else None
    page = os.path.join(tap.folder(), 'report.html')
    tap.call(tap.program('ribera-player'), a.url + mpd([a, b]) + '?a=<b>&"c"', '--output', 'null', '--speed', 'max', '--quiet', '--report', page, check_exit=0)
    with open(page) as f:
        text = f.read()
    html.parser.HTMLParser().feed(text)
    for words in ('<svg', 'class="line"', 'class="pick"', 'class="hand"', 'QoE', 'first picture', 'HTTP status 404', 'a=&lt;b&gt;&amp;&quot;c&quot;'):
        tap.has(text, words)
    tap.check('<script' not in text and '<b>&' not in text)
    r, _ = play(a.url + mpd([a, b]), '--speed', 'max')
    q, rates = r['quality'], [s['bandwidth'] / 1e6 for s in segments(r)]
    jumps = [abs(y - x) for x, y in zip(rates, rates[1:])]
    tap.near(q['qoe'], (sum(rates[1:]) - sum(jumps) - 1.38 * q['stall_s']) / (len(rates) - 1), 0.001, 'QoE')
    tap.equal((q['segments'], q['switches'], q['stalls']), (len(rates), sum(j > 0 for j in jumps), len(r['stalls'])))
    tap.near(q['bitrate_kbps'], 1000 * sum(rates) / len(rates), 0.01, 'bitrate')


@tap.test
def a_session_tells_the_next_what_the_line_can():
    a, = servers(1)
    a.rate = 300_000
    state = tap.folder()
    env = {**os.environ, 'XDG_STATE_HOME': state}

    def first(*options):
        report = os.path.join(tap.folder(), 'report.json')
        subprocess.run(argv(a.url + mpd([a]), report, '--speed', 'max', '--duration', '2s', *options), check=True, env=env, timeout=60 * tap.PATIENCE)
        with open(report) as f:
            return segments(json.load(f))[0]['rendition']
    tap.equal(first('--no-state'), 'mid', 'first rendition on an unknown line')
    tap.equal(os.listdir(state), [], 'kept in spite of --no-state')
    subprocess.run(argv(a.url + mpd([a]), '/dev/null', '--speed', 'max', '--duration', '8s'), check=True, env=env, timeout=60 * tap.PATIENCE)
    with open(os.path.join(state, 'ribera', 'networks.json')) as f:
        known = json.load(f)['networks']
    tap.check(len(known) == 1 and 1_500_000 < known[0]['bps'] < 3_000_000, known)
    known[0]['bps'] = 200_000
    with open(os.path.join(state, 'ribera', 'networks.json'), 'w') as f:
        json.dump({'networks': known}, f)
    tap.equal(first(), 'low', 'first rendition on a line known to be slow')
    with open(os.path.join(state, 'ribera', 'networks.json'), 'w') as f:
        f.write('torn')
    tap.equal(first(), 'mid', 'first rendition with a torn file')


@tap.test
def a_window_without_a_display_is_a_clear_error():
    env = {k: '' for k in ('DISPLAY', 'WAYLAND_DISPLAY', 'XDG_RUNTIME_DIR')}
    a, = servers(1)
    done = subprocess.run([tap.program('ribera-player'), a.url + mpd([a]), '--output', 'sdl'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=20 * tap.PATIENCE, env={k: v for k, v in os.environ.items() if k not in env and not k.startswith('SDL_')})
    tap.equal(done.returncode, 1, done.stderr)
    tap.has(done.stderr, '--output null')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player at dynamic MPDs of every kind: nothing is asked for too early, no picture is lost, the edge is near."""
import json, os, re, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import livesim, tap
from script import Script

KINDS = ('number', 'timeline', 'patch', 'patch+brief', 'number+chunked', 'timeline+periods', 'periods', 'number+ahead', 'number+ahead+ntp', 'timeline+ahead+head', 'timeline+end')
SECONDS = 8
_server = None


def server():
    global _server
    if _server is None:
        _server = livesim.Server(livesim.film())
    return _server


def start(kind):
    folder = tap.folder()
    report, frames = os.path.join(folder, 'report'), os.path.join(folder, 'frames')
    p = tap.Process(tap.program('ribera-player'), f'{server().url}/{kind}/live.mpd', '--output', 'null', '--quiet', '--report', report,
                    '--frames-hash', frames, '--duration', f'{SECONDS}s', '--log-level', 'verbose', log=os.path.join(folder, 'log'))
    return kind, p, report, frames


def check(kind, p, report, frames):
    with open(report) as f:
        r = json.load(f)
    with open(frames) as f:
        times = [int(line.split(',')[0]) for line in f if not line.startswith('#')]
    step = 1_000_000 // livesim.FPS
    steps = [b - a for a, b in zip(times, times[1:])]
    dropped = r['frames']['dropped']
    want = 3 if 'end' in kind else SECONDS - 1
    tap.check(len(times) + dropped >= want * livesim.FPS, f'{kind}: {len(times)} pictures, {dropped} dropped')
    tap.check(all(s > 0 and abs(s / step - round(s / step)) < 0.02 for s in steps), f'{kind}: steps {sorted(set(steps))}')
    tap.equal(sum(round(s / step) - 1 for s in steps), dropped, f'{kind}: pictures missing between the first and the last')
    tap.equal(r['errors'], [], f'{kind}: errors')
    tap.equal([s for s in r['segments'] if s['skipped']], [], f'{kind}: segments left out')
    tap.equal(r['decode_errors'], 0, f'{kind}: decode errors')
    tap.check(r['finished'], f'{kind}: not finished')


@tap.test
def every_kind_of_live_title_plays():
    server()
    begin = time.time() - _server.epoch
    running = [start(kind) for kind in KINDS]
    for kind, p, report, frames in running:
        tap.until(lambda: not p.alive(), 60, f'the end of {kind}')
        tap.equal(p.p.returncode, 0, f'{kind}: {p.text()[-1500:]}')
        check(kind, p, report, frames)
        if 'ntp' in kind:
            tap.check(re.search(r'ntp:2014.*:1 answered=0', p.text()) and re.search(r'ntp:2014.*answered=1', p.text()) and
                      re.search(r'clock offset_ms=(35999|36000)', p.text()), f'{kind}: {p.text()[-1500:]}')
        with open(frames) as f:
            first = next(int(line.split(',')[0]) for line in f if not line.startswith('#'))
        tap.check(begin - 8 < first / 1e6 < begin + 20, f'{kind}: begins at {first / 1e6}, the edge was at {begin}')
    early = [path for status, path in _server.requests if status == 404 and '/none' not in path]
    tap.check(len(early) <= 2, f'asked too early: {early}')
    tap.check(any('live.mpp' in path for _, path in _server.requests), 'no patch was asked for')
    brief = [path for _, path in _server.requests if path.startswith('/patch+brief/')]
    tap.check(len([p for p in brief if 'live.mpd' in p]) > 3 and not any('live.mpp' in p for p in brief), f'a patch was asked for when its @ttl was over, or no MPD: {brief}')
    whole = [path for _, path in _server.requests if path.startswith('/patch/live.mpd')]
    tap.equal(len(whole), 1, 'the whole MPD in spite of patches')
    tap.equal(len([path for _, path in _server.requests if path == '/number/live.mpd']), 1, 'an MPD that never changes was asked for')


@tap.test
def what_a_stall_cost_is_caught_up():
    s, path = server(), os.path.join(tap.folder(), 'socket')
    p = tap.Process(tap.program('ribera-player'), s.url + '/number+service/live.mpd', '--output', 'null', '--quiet', '--ipc-server', path,
                    log=os.path.join(tap.folder(), 'log'))
    script = Script(path, p)
    tap.until(lambda: script.get('time-pos') and not script.get('core-idle') and abs(script.get('latency') - 2.5) < 0.6, 30, 'playing at the latency it was told')
    s.hold()
    try:
        tap.until(lambda: script.get('paused-for-cache') and script.get('latency') > 4, 30, 'a stall')
    finally:
        s.release()
    tap.until(lambda: script.get('speed') == 1.5, 20, 'playing faster')
    tap.until(lambda: script.get('speed') == 1 and script.get('latency') < 2.7, 40, 'the latency it was told, again')
    script.say('quit')
    tap.until(lambda: not p.alive(), 20, 'the end')


@tap.test
def chunks_are_played_as_they_come():
    """Nearer to the edge than a segment is long: 0.7 s with segments of 1 s in five chunks."""
    s, path, folder = server(), os.path.join(tap.folder(), 'socket'), tap.folder()
    report = os.path.join(folder, 'report')
    p = tap.Process(tap.program('ribera-player'), s.url + '/number+chunked+near/live.mpd', '--output', 'null', '--quiet', '--ipc-server', path,
                    '--report', report, log=os.path.join(folder, 'log'))
    script = Script(path, p)
    tap.until(lambda: script.get('time-pos') and not script.get('core-idle') and script.get('latency') < 0.9 and script.get('speed') == 1, 30, 'playing near the edge')
    pictures, begin = script.get('frame-count'), script.get('time-pos')
    tap.until(lambda: script.get('time-pos') > begin + 4, 30, 'four seconds on')
    tap.check(script.get('latency') < 0.95, f'latency {script.get("latency")}')
    tap.check(script.get('frame-count') + script.get('frame-drop-count') - pictures >= 4 * livesim.FPS - 2, 'pictures')
    script.say('seek', -5)
    tap.until(lambda: script.get('latency') > 4 and not script.get('core-idle'), 20, 'a seek back')
    script.say('quit')
    tap.until(lambda: not p.alive(), 20, 'the end')
    with open(report) as f:
        r = json.load(f)
    tap.equal((r['errors'], r['decode_errors'], [x for x in r['segments'] if x['skipped']]), ([], 0, []), 'errors')


@tap.test
def a_live_title_has_subtitles():
    """wvtt, then stpp: what is said is of the second that is shown, also when a new Period has begun."""
    s, path = server(), os.path.join(tap.folder(), 'socket')
    p = tap.Process(tap.program('ribera-player'), s.url + '/number+periods+text/live.mpd', '--output', 'null', '--quiet', '--ipc-server', path, '--sub', 'en',
                    log=os.path.join(tap.folder(), 'log'))
    script = Script(path, p)

    def said():
        before, text, after = script.get('time-pos'), script.get('sub-text'), script.get('time-pos')
        return int(before) == int(after) and text == f'second {int(after)}'
    tap.equal(script.get('sub'), 'en', 'the track')
    tap.until(said, 30, 'wvtt')
    first = script.get('time-pos')
    tap.until(lambda: script.get('time-pos') > first + livesim.PERIOD, 30, 'a Period on')
    tap.until(said, 20, 'wvtt of the next Period')
    script.say('cycle', 'sub')
    tap.until(lambda: script.get('sub') == 'de' and said(), 20, 'stpp')
    script.say('quit')
    tap.until(lambda: not p.alive(), 20, 'the end')
    tap.equal(p.p.returncode, 0, p.text()[-1500:])


@tap.test
def a_live_title_is_inspected():
    s = server()
    o = json.loads(tap.call(tap.program('ribera-player'), '--inspect', s.url + '/timeline/live.mpd', '--json', check_exit=0).stdout)
    tap.check(o['dynamic'])
    tap.equal(o['live']['minimum_update_s'], 1)
    tap.check(len(o['periods'][0]['tracks'][0]['renditions'][0]['segments']) >= s.back)


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands on ribera-player: the socket for scripts, the terminal's keys, resuming."""
import json, os, pty, socket, stat, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, livesim, tap
from script import Script


def film():
    """An on-demand title of 8 s, two renditions and two sound tracks, as segments with a template."""
    folder = livesim.film()
    if not os.path.exists(os.path.join(folder, 'vod.mpd')):
        sound = '<AdaptationSet id="{}" lang="{}" contentType="audio" mimeType="audio/mp4" codecs="mp4a.40.2"><SegmentTemplate timescale="48000" duration="48000" media="chunk-stream2-$Number%05d$.m4s" initialization="init-stream2.m4s"/><Representation id="{}" bandwidth="48000"/></AdaptationSet>'
        with open(os.path.join(folder, 'vod.mpd'), 'w') as f:
            f.write('<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" minBufferTime="PT1S" profiles="x" mediaPresentationDuration="PT8S"><Period>'
                    '<AdaptationSet id="0" contentType="video" mimeType="video/mp4" codecs="avc1.64000C"><SegmentTemplate timescale="1" duration="1" '
                    'media="chunk-stream$RepresentationID$-$Number%05d$.m4s" initialization="init-stream$RepresentationID$.m4s"/>'
                    '<Representation id="0" bandwidth="100000"/><Representation id="1" bandwidth="300000"/></AdaptationSet>'
                    + sound.format(1, 'en', 'en') + sound.format(2, 'de', 'de') + '</Period></MPD>')
    return badserver.Server(folder)


def start(server, *options, url='/vod.mpd'):
    path = os.path.join(tap.folder(), 'socket')
    report = os.path.join(tap.folder(), 'report')
    p = tap.Process(tap.program('ribera-player'), server.url + url, '--output', 'null', '--quiet', '--ipc-server', path, '--report', report, *options,
                    log=os.path.join(tap.folder(), 'log'))
    return p, Script(path, p), path, report


@tap.test
def scripts_play_pause_seek_and_read():
    a = film()
    p, s, path, report = start(a)
    tap.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, 'mode of the socket')
    tap.until(lambda: s.get('time-pos') > 0.3, 20, 'playing')
    tap.equal(s.say('set_property', 'pause', True)['error'], 'success')
    tap.check(s.get('pause'))
    tap.equal(len({s.get('time-pos') for _ in range(8)}), 1, 'times while paused')
    tap.equal(s.say('observe_property', 3, 'time-pos')['error'], 'success')
    tap.until(lambda: s.get('demuxer-cache-duration') > 5, 20, 'a full buffer')
    for want in (3.4, 5.2):  # to what is in the buffer: the picture changes at once, also while paused
        frames = s.get('frame-count')
        s.say('seek', want, 'absolute')
        tap.until(lambda: s.get('frame-count') > frames, 20, 'a picture after the seek')
        tap.near(s.get('time-pos'), want, 0.041, 'time after a seek')
    s.say('frame-step')
    tap.until(lambda: abs(s.get('time-pos') - 5.24) < 0.021, 20, 'one picture on')
    tap.check([e for e in s.events if e['event'] == 'property-change' and e['id'] == 3 and e['name'] == 'time-pos'], f'events {s.events}')
    s.say('seek', 25, 'absolute-percent')
    tap.until(lambda: 1.95 < s.get('time-pos') < 2.05, 20, 'a quarter')
    s.say('set_property', 'rung', 1)
    s.say('cycle', 'audio')
    s.say('set_property', 'pause', False)
    tap.until(lambda: s.get('audio')['rendition'] == 'de' and s.get('video')['rendition'] == '0', 20, 'the other sound and the lowest rung')
    s.say('set_property', 'speed', 2)
    tap.equal(s.get('speed'), 2)
    s.say('set', 'speed', '1.5')
    s.say('add', 'speed', 0.25)
    tap.near(s.get('speed'), 1.75, 0.001, 'speed')
    s.say('multiply', 'speed', 0.5)
    tap.near(s.get('speed'), 0.875, 0.001, 'speed')
    tap.equal(s.say('set', 'speed', 'fast')['error'], 'unsupported format for accessing property')
    tap.equal(s.say('add', 'rung', 1)['error'], 'property not found')
    s.say('set', 'pause', 'yes')
    tap.check(s.get('pause'))
    tap.equal(s.say('get_property', 'nonsense')['error'], 'property not found')
    tap.equal(s.say('dance')['error'], 'invalid parameter')
    s.socket.sendall(b'{"command": 5}\n[]\nnot json\n')
    answers = []
    while len(answers) < 3:
        line = json.loads(s.file.readline())
        answers += [line['error']] if 'error' in line else []
    tap.equal(answers, ['invalid parameter'] * 3)
    s.say('quit')
    tap.until(lambda: not p.alive(), 20, 'the end')
    tap.equal(p.p.returncode, 0, p.text())
    tap.check(not os.path.exists(path), 'the socket is left')
    with open(report) as f:
        r = json.load(f)
    tap.equal((r['decode_errors'], r['errors']), (0, []))


@tap.test
def scripts_written_for_mpv_work():
    """Flags of seek, versions, text forms, plain lines, events and errors, as mpv 0.35 has them."""
    a = film()
    p, s, path, _ = start(a)
    tap.equal(s.say('observe_property_string', 9, 'pause')['error'], 'success')
    s.say('set_property', 'pause', True)
    tap.until(lambda: s.get('demuxer-cache-duration') > 7, 20, 'a full buffer')

    def to(want, *command):
        tap.equal(s.say('seek', *command)['error'], 'success', str(command))
        tap.until(lambda: not s.get('seeking'), 20, f'the picture of {command}', every=0.005)
        tap.near(s.get('time-pos'), want, 0.041, str(command))
    to(3, 3, 'absolute+exact')
    to(4.4, 1.4)
    to(3.4, -1, 'relative+keyframes')
    to(4.2, '0.8', 'relative', 'exact')
    to(2, 25, 'absolute-percent')
    to(2.8, 10, 'relative-percent+exact')
    for wrong in (('far', 'absolute'), (3, 'absolut'), (3, 'absolute+precise'), (True,), ()):
        tap.equal(s.say('seek', *wrong)['error'], 'invalid parameter', str(wrong))
    tap.check({'seek', 'playback-restart'} <= {e['event'] for e in s.events}, str(s.events))
    tap.check([e for e in s.events if e.get('id') == 9 and e['data'] is False], 'the value at first')
    tap.equal(s.say('get_version')['data'] >> 16, 2)
    tap.equal(s.say('client_name')['data'], 'ribera')
    tap.equal((s.say('get_property_string', 'pause')['data'], s.say('get_property_string', 'speed')['data']), ('yes', '1.0'))
    before = s.say('get_time_us')['data']
    tap.check(before < s.say('get_time_us')['data'])
    for name in ('loadfile', 'get_property_', 'seek_', ''):
        tap.equal(s.say(name)['error'], 'invalid parameter', name)
    tap.equal(s.say('set_property', 'volumes', 3)['error'], 'property not found')
    s.socket.sendall(b'{"command": ["client_name"], "request_id": "x"}\n{"command": ["client_name"]}\nset speed "1.5"\n  \ncycle pause\r\n')
    ids = []
    while len(ids) < 2:
        o = json.loads(s.file.readline())
        ids += [o['request_id']] if 'error' in o else []
    tap.equal(ids, ['x', 0])
    tap.until(lambda: s.get('speed') == 1.5 and not s.get('pause'), 20, 'plain lines')
    for name in ('time-remaining', 'playtime-remaining', 'percent-pos', 'filename', 'dwidth', 'dheight', 'mpv-version', 'pid', 'demuxer-cache-time', 'eof-reached', 'idle-active', 'fullscreen', 'media-title'):
        tap.equal(s.say('get_property', name)['error'], 'success', name)
    began = time.monotonic()
    for _ in range(50):
        s.get('time-pos')
    print(f'# 50 answers in {(time.monotonic() - began) * 1000:.0f} ms')
    s.say('stop')
    tap.until(lambda: not p.alive(), 20, 'the end')
    tap.equal(p.p.returncode, 0, p.text())


@tap.test
def steps_back_and_key_pictures_come_from_what_is_here():
    a = film()
    hashes = os.path.join(tap.folder(), 'frames')
    p, s, _, _ = start(a, '--frames-hash', hashes)
    s.say('set_property', 'pause', True)
    tap.until(lambda: s.get('demuxer-cache-duration') > 7, 20, 'a full buffer')
    asked = len(a.requests)

    def to(where, *how):
        frames = s.get('frame-count')
        s.say('seek', where, *how)
        tap.until(lambda: s.get('frame-count') > frames, 20, f'a picture at {where}', every=0.01)
    to(6.2, 'absolute')
    for want in (4.12, 2.6, 5.2, 0.4):
        to(want, 'absolute')
        tap.near(s.get('time-pos'), want, 0.041, 'time after a seek')
    first = s.get('frame-count')
    s.say('set_property', 'scan', 8)
    tap.until(lambda: s.get('time-pos') > 4, 20, 'key pictures, forward', every=0.02)
    s.say('keypress', '<')
    tap.equal(s.get('scan'), -8)
    tap.until(lambda: s.get('scan') == 0 and s.get('time-pos') == 0, 20, 'the beginning, back through key pictures', every=0.02)
    last = s.get('frame-count')
    tap.equal(len(a.requests), asked, 'requests for what is here')
    s.say('set_property', 'pause', False)
    tap.until(lambda: s.get('time-pos') > 0.3, 20, 'playing')
    s.say('keypress', '>')
    s.say('keypress', '>')
    tap.equal(s.get('scan'), 16)
    tap.until(lambda: s.get('time-pos') >= 3, 20, 'forward', every=0.02)
    s.say('keypress', ' ')
    tap.equal((s.get('scan'), s.get('pause')), (0, False))
    at = s.get('time-pos')
    tap.until(lambda: at + 0.3 < s.get('time-pos') < at + 3, 20, 'going on from there', every=0.05)
    s.say('quit')
    tap.until(lambda: not p.alive(), 20, 'the end')
    tap.equal(p.p.returncode, 0, p.text())
    with open(hashes) as f:
        seen = [int(line.split(',')[0]) for line in f if not line.startswith('#')][first:last]
    tap.check(len(seen) >= 6 and all(t % 1_000_000 == 0 for t in seen), f'other pictures than key pictures, one a second in this film: {seen}')


def with_b_pictures(encoder, parameters):
    """6 s with one key picture in 3 s, and pictures that are made of later ones; times in us and MD5 of all of them, as ffmpeg decodes them."""
    folder = tap.folder()
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', 'testsrc2=s=192x108:r=25:d=6', '-c:v', encoder, '-preset', 'ultrafast' if encoder == 'libx265' else 'medium', '-g', '75', '-keyint_min', '75',
             '-sc_threshold', '0', '-bf', '3', *parameters, '-pix_fmt', 'yuv420p', '-f', 'dash', '-seg_duration', '3', os.path.join(folder, 'film.mpd'), check_exit=0)
    whole = b''
    for name in ['init-stream0.m4s'] + sorted(n for n in os.listdir(folder) if n.startswith('chunk')):
        with open(os.path.join(folder, name), 'rb') as f:
            whole += f.read()
    with open(os.path.join(folder, 'whole.mp4'), 'wb') as f:
        f.write(whole)
    rows = tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', os.path.join(folder, 'whole.mp4'), '-c:v', 'rawvideo', '-fps_mode', 'passthrough', '-f', 'framemd5', '-', check_exit=0).stdout
    sums = [row.split(',')[5].strip() for row in rows.splitlines() if not row.startswith('#')]
    tap.equal(len(sums), 150)
    return badserver.Server(folder), sums


@tap.test
def the_picture_sought_is_the_right_one():
    """Passing over what no other picture is made of changes nothing, whatever the pictures are made of and wherever one goes."""
    for encoder, parameters in (('libx264', ['-x264-params', 'b-pyramid=normal:b-adapt=0']), ('libx264', ['-x264-params', 'b-pyramid=none:b-adapt=0:slices=2']),
                                ('libx265', ['-x265-params', 'log-level=none:b-adapt=0:keyint=75:min-keyint=75:open-gop=0:temporal-layers=1'])):
        server, sums = with_b_pictures(encoder, parameters)
        hashes = os.path.join(tap.folder(), 'frames')
        p, s, _, _ = start(server, '--frames-hash', hashes, url='/film.mpd')
        s.say('set_property', 'pause', True)
        tap.until(lambda: s.get('demuxer-cache-duration') > 5, 20, 'a full buffer')
        first, want = s.get('frame-count'), [(i * 37 + 11) % 120 for i in range(20)] + [74, 73, 1]
        for n in want:
            frames = s.get('frame-count')
            s.say('seek', n / 25, 'absolute')
            tap.until(lambda: s.get('frame-count') > frames, 20, f'picture {n}', every=0.005)
        s.say('quit')
        tap.until(lambda: not p.alive(), 20, 'the end')
        with open(hashes) as f:
            seen = [line.strip().split(',') for line in f if not line.startswith('#')][first:]
        got = [(round(int(row[0]) / 40000), row[3].strip()) for row in seen]
        tap.equal([n for n, _ in got], want, f'{encoder} {parameters}: pictures')
        tap.equal([n for n, md5 in got if md5 != sums[n]], [], f'{encoder} {parameters}: other pixels')


@tap.test
def a_socket_in_use_is_not_taken():
    a = film()
    p, s, path, _ = start(a)
    done = tap.call(tap.program('ribera-player'), a.url + '/vod.mpd', '--output', 'null', '--quiet', '--ipc-server', path)
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, 'another program listens there')
    s.say('quit')
    tap.until(lambda: not p.alive(), 20, 'the end')
    with open(path, 'w') as f:
        f.write('mine')
    done = tap.call(tap.program('ribera-player'), a.url + '/vod.mpd', '--output', 'null', '--quiet', '--ipc-server', path)
    tap.equal(done.returncode, 1)
    with open(path) as f:
        tap.equal(f.read(), 'mine')


def in_a_terminal():
    """A player of the film: (its process, its terminal, its script)"""
    path, url = os.path.join(tap.folder(), 'socket'), film().url + '/vod.mpd'
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(tap.program('ribera-player'), ['ribera-player', url, '--output', 'null', '--ipc-server', path])
    tap.until(lambda: os.path.exists(path), 20, 'the socket')

    class Alive:
        alive, text = staticmethod(lambda: True), staticmethod(str)
    return pid, fd, Script(path, Alive)


@tap.test
def the_terminal_has_the_same_keys():
    pid, fd, s = in_a_terminal()
    try:
        os.write(fd, b' ')
        tap.until(lambda: s.get('pause'), 20, 'pause by the space bar')
        os.write(fd, b'\x1b[C')
        tap.until(lambda: 4.9 < s.get('time-pos') < 8, 20, '5 s on by the right arrow')
        os.write(fd, b'\x1b[D]')
        tap.until(lambda: s.get('time-pos') < 4 and abs(s.get('speed') - 1.1) < 0.01, 20, 'left and ]')
        for key, name, check in ((b'[', 'slower', lambda: abs(s.get('speed') - 1) < 0.01), (b'][[', 'slower', lambda: abs(s.get('speed') - 0.909) < 0.01),
                                 (b'=', 'as it was made', lambda: s.get('speed') == 1), (b'7', 'the rung', lambda: s.get('rung') == 7),
                                 (b'0', 'no rung', lambda: s.get('rung') == 0), (b'\x1b[A', '60 s on', lambda: s.get('time-pos') > 6.9),
                                 (b'\x1b[B', '60 s back', lambda: s.get('time-pos') < 0.1), (b'a', 'the other sound', lambda: s.get('audio')['rendition'] == 'de'),
                                 (b' ', 'going on', lambda: not s.get('pause')), (b'.', 'one picture on', lambda: s.get('pause')), (b'sf', 'nothing here', lambda: True)):
            os.write(fd, key)
            tap.until(check, 20, f'{name} by {key}')
        said = b''

        def statistics():
            nonlocal said
            said += os.read(fd, 65536)
            return b'dropped' in said
        os.write(fd, b'i')
        tap.until(statistics, 20, 'statistics by i')
        os.write(fd, b'q')
        _, status = os.waitpid(pid, 0)
        tap.equal(status, 0)
    finally:
        os.close(fd)


@tap.test
def a_title_goes_on_where_it_was_left():
    a = film()
    env = {'XDG_STATE_HOME': tap.folder()}
    # the film is short: what lies in its last 10 s is begun anew, so the file is looked at, and one is written
    p = tap.call(tap.program('ribera-player'), a.url + '/vod.mpd', '--output', 'null', '--quiet', '--speed', 'max', '--duration', '3s', '--resume', 'yes', env=env, check_exit=0)
    path = os.path.join(env['XDG_STATE_HOME'], 'ribera', 'positions.json')
    tap.check(not os.path.exists(path) or json.load(open(path)) == {}, 'played to the end: nothing to remember')
    os.environ.update(env)
    q, s, _, _ = start(a, '--resume', 'yes')
    tap.until(lambda: s.get('time-pos') > 0.5, 20, 'playing')
    tap.equal(q.stop(), 0)
    with open(path) as f:
        at = json.load(f)[a.url + '/vod.mpd']['at']
    tap.check(0 < at < 5, f'left at {at}')
    tap.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)


def wakes(pid):
    """How often threads of it have been woken from a wait so far."""
    n = 0
    for thread in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{thread}/status') as f:
            n += next(int(line.split()[1]) for line in f if line.startswith('voluntary_ctxt_switches'))
    return n


def sleeps(pid, seconds=3):
    before = wakes(pid)
    time.sleep(seconds)
    return wakes(pid) == before


def rests(pid, script, what):
    """Paused, with all in hand, nothing wakes it but who asks; and then all is there at once."""
    script.say('set_property', 'pause', True)
    tap.until(lambda: script.get('demuxer-cache-time') > 7.9, 20, f'{what}: all in hand')
    tap.until(lambda: sleeps(pid), 40, f'{what}: three seconds in which no thread wakes')
    frames = script.get('frame-count')
    script.say('frame-step')
    tap.until(lambda: script.get('frame-count') == frames + 1, 5, f'{what}: one picture on')
    script.say('set_property', 'pause', False)
    tap.until(lambda: script.get('frame-count') > frames + 5, 10, f'{what}: going on')


@tap.test
def paused_it_sleeps():
    """No thread of it wakes: counted, not timed.  Without a window, with one, and in a terminal."""
    import window
    p, s, _, _ = start(film())
    rests(p.pid, s, 'no window')
    s.say('quit')
    w = window.Window(film())
    rests(w.p.pid, Script(w.path, w.p), 'a window')
    w.say('quit')
    pid, fd, s = in_a_terminal()
    try:
        rests(pid, s, 'a terminal')
        s.say('quit')
        os.waitpid(pid, 0)
    finally:
        os.close(fd)


if __name__ == '__main__':
    tap.run()

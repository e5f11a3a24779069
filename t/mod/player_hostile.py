#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player and servers that mean harm: segments that are something else, pictures of any size, subtitles and numbers that
cost more than they weigh, bytes that drip.  It ends in time, by itself or when it is told to, and says why; attack.py has MPDs and HTTP."""
import glob, http.server, json, os, signal, socket, struct, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap

os.environ['XDG_STATE_HOME'] = tap.folder()
PLAYER = tap.program('ribera-player')
WORK = tap.folder('hostile')
SECONDS = 6
FPS = 25


def ffmpeg(*arguments):
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-y', *arguments, check_exit=0)


def made(name):
    with open(os.path.join(WORK, name), 'rb') as f:
        return f.read()


ffmpeg('-f', 'lavfi', '-i', f'testsrc2=size=160x96:rate=25:duration={SECONDS}', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-f', 'dash', '-seg_duration', '1',
       '-init_seg_name', 'init.mp4', '-media_seg_name', 'seg-$Number$.m4s', os.path.join(WORK, 'film.mpd'))
ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=160x96:rate=25:duration=2', '-c:v', 'libx264', '-preset', 'ultrafast', os.path.join(WORK, 'local.ts'))
INIT, SEGMENTS = made('init.mp4'), [made(f'seg-{i}.m4s') for i in range(1, SECONDS + 1)]


class Server:
    """Answers with files[path]: bytes, or a function of the socket's file."""

    def __init__(self, **files):
        self.files, self.asked, me = {}, [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                me.asked.append(self.path)
                body = me.files.get(self.path)
                if callable(body):
                    try:
                        body(self.wfile)
                    except OSError:
                        pass
                    self.close_connection = True
                    return
                first, last = 0, None
                if 'Range' in self.headers and body is not None:
                    first, last = (int(x) for x in self.headers['Range'][6:].split('-'))
                    last = min(last, len(body) - 1)
                self.send_response(404 if body is None else 206 if last is not None else 200)
                if last is not None:
                    self.send_header('Content-Range', f'bytes {first}-{last}/{len(body)}')
                    body = body[first:last + 1]
                self.send_header('Content-Length', str(len(body or b'')))
                self.end_headers()
                self.wfile.write(body or b'')

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f'http://127.0.0.1:{self.http.server_port}'

    def film(self, init=INIT, segments=None, more='', mime='video/mp4', extension='m4s'):
        """The URL of an MPD with these bytes as its segments."""
        segments = SEGMENTS if segments is None else segments
        self.files['/init.mp4'] = init
        for i, s in enumerate(segments, 1):
            self.files[f'/{i}.{extension}'] = s
        start = ' initialization="init.mp4"' if init is not None else ''
        self.files['/film.mpd'] = mpd(f'<AdaptationSet mimeType="{mime}" contentType="video"><Representation id="v" bandwidth="1000">'
                                      f'<SegmentTemplate timescale="1" duration="1" media="$Number$.{extension}"{start}/></Representation></AdaptationSet>' + more, len(segments))
        return self.url + '/film.mpd'


def mpd(sets, seconds=SECONDS, attributes='type="static"', more=''):
    length = f' mediaPresentationDuration="PT{seconds}S"' if seconds else ''
    return f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x" minBufferTime="PT2S" {attributes}{length}>{more}<Period start="PT0S">{sets}</Period></MPD>'.encode()


def text(mime, url, more='', codecs=None):
    return f'<AdaptationSet mimeType="{mime}"{" codecs=" + chr(34) + codecs + chr(34) if codecs else ""} lang="en">{more}<Representation id="t" bandwidth="1">{url}</Representation></AdaptationSet>'


def play(url, *options, timeout=60, **how):
    return tap.call(PLAYER, url, '--output', 'null', '--no-state', *options, timeout=timeout, **how)


def drip(body, head=b'HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n'):
    def answer(out):
        out.write(head + body)
        while True:
            out.write(b' ')
            time.sleep(0.5)
    return answer


def silent(out):
    time.sleep(600)


# --- segments ------------------------------------------------------------------------------------------------

@tap.test
def a_segment_that_is_a_list_of_files_opens_none():
    """FFmpeg would follow it, relative to the folder the player was started in, or listen for a stream that never comes."""
    lists = {'files': b'ffconcat version 1.0\nfile local.ts\n', 'playlist': b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nlocal.ts\n#EXT-X-ENDLIST\n',
             'session': b'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n'}
    here = os.getcwd()
    os.chdir(WORK)
    try:
        for name, body in lists.items():
            r = play(Server().film(None, [body] * 2, mime='video/mp2t', extension='ts'), '--speed', 'max')
            tap.equal(r.returncode, 1, f'{name}: {r.stderr}')
            tap.has(r.stderr, 'nothing could be decoded')
            tap.check('timed out' not in r.stderr, f'{name}: it listened: {r.stderr}')
    finally:
        os.chdir(here)
    r = play(Server().film(None, [made('local.ts')], mime='video/mp2t', extension='ts'), '--speed', 'max')
    tap.equal(r.returncode, 0, f'a transport stream itself: {r.stderr}')


@tap.test
def pictures_of_any_size_are_not_made():
    """A few bytes can ask for gigabytes, in the container or in the stream alone."""
    ffmpeg('-f', 'lavfi', '-i', 'color=size=8192x8192:rate=1:duration=1', '-c:v', 'libx264', '-preset', 'ultrafast', '-threads', '1', os.path.join(WORK, 'huge.mp4'))
    huge = made('huge.mp4')
    at = huge.index(b'avc1', huge.index(b'stsd')) + 4 + 24
    tap.equal(huge[at:at + 4], struct.pack('>HH', 8192, 8192))
    r = play(Server().film(None, [huge]), '--speed', 'max')
    tap.equal(r.returncode, 1, r.stderr)
    tap.has(r.stderr, 'larger than 8192x4352')
    r = play(Server().film(None, [huge[:at] + struct.pack('>HH', 160, 96) + huge[at + 4:]]), '--speed', 'max')
    tap.equal(r.returncode, 1, r.stderr)
    tap.has(r.stderr, 'nothing could be decoded')


@tap.test
def segments_that_weigh_more_than_they_say_are_not_hoarded():
    """An MPD says a kilobit a second, and each second weighs 20 MB: what is in hand is counted as it came."""
    s, n = Server(), 40
    ffmpeg('-f', 'lavfi', '-i', f'testsrc2=size=160x96:rate=25:duration={n}', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-f', 'dash', '-seg_duration', '1',
           '-init_seg_name', 'init.mp4', '-media_seg_name', 'long-$Number$.m4s', os.path.join(WORK, 'long.mpd'))
    rest = box(b'free', bytes(20_000_000))

    def heavy(segment):
        def answer(out):
            out.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % (len(segment) + len(rest)))
            out.write(segment + rest)
        return answer
    url = s.film(segments=[heavy(made(f'long-{i}.m4s')) for i in range(1, n + 1)])
    p = tap.Process(PLAYER, url, '--output', 'null', '--no-state', '--quiet')
    counts = []

    def rests():
        counts.append(len(s.asked) - 2)
        return len(counts) > 10 and counts[-1] == counts[-10] >= 4 or not p.alive()
    tap.until(rests, 30, 'a player that has enough', every=0.05)
    tap.check(p.alive(), p.text())
    tap.check(counts[-1] <= 16, f'it holds 192 MiB, and asked for {counts[-1]} segments of 20 MB')
    p.p.send_signal(signal.SIGTERM)
    tap.equal(p.p.wait(20), 0, p.text())


def patched(data, box, offset, value):
    """With `value` at so many bytes behind the name of the box."""
    at = data.index(box) + 4 + offset
    return data[:at] + value + data[at + len(value):]


@tap.test
def numbers_of_any_size_end():
    inits = {f'timescale {v}': patched(INIT, b'mdhd', 12, struct.pack('>I', v)) for v in (0, 1, 2**31, 2**32 - 1)}
    inits |= {f'movie timescale {v}': patched(INIT, b'mvhd', 12, struct.pack('>I', v)) for v in (0, 1, 2**32 - 1)}
    inits |= {f'sample entries {v}': patched(INIT, b'stsd', 4, struct.pack('>I', v)) for v in (0, 2**32 - 1)}
    segments = {f'decode time {v}': patched(SEGMENTS[0], b'tfdt', 4, struct.pack('>q', v)) for v in (2**63 - 1, -2**63, -1, 2**62, 2**40)}
    segments |= {f'{v} samples': patched(SEGMENTS[0], b'trun', 4, struct.pack('>I', v)) for v in (0, 1, 2**20, 2**31, 2**32 - 1)}
    segments |= {f'data offset {v}': patched(SEGMENTS[0], b'trun', 8, struct.pack('>i', v)) for v in (-2**31, -1, 0, 2**31 - 1)}
    segments |= {f'samples of {v}': patched(SEGMENTS[0], b'trun', 16, struct.pack('>I', v) * 8) for v in (0, 2**31, 2**32 - 1)}
    cases = {n: (i, SEGMENTS[:2]) for n, i in inits.items()} | {n: (INIT, [s, *SEGMENTS[1:2]]) for n, s in segments.items()}
    cases |= {f'{n}, timescale 1': (inits['timescale 1'], [s, *SEGMENTS[1:2]]) for n, s in segments.items() if n.startswith('decode time')}
    for name, (init, media) in cases.items():
        for start in ((), ('--start', '1.5s')):
            r = play(Server().film(init, media), '--speed', 'max', *start)
            tap.check(r.returncode in (0, 1), f'{name} {start}: {r.returncode} {r.stderr[-1500:]}')
            tap.check(r.returncode == 0 or 'ribera-player: ' in r.stderr, f'{name}: no reason: {r.stderr}')
            tap.check('runtime error' not in r.stderr, f'{name} {start}: {r.stderr[-1500:]}')


def sound_segments(name, *coder):
    """(init, segment) of a second of sound."""
    ffmpeg('-f', 'lavfi', '-i', 'sine=440:duration=60', *coder, '-strict', '-2', '-f', 'dash', '-seg_duration', '100', '-init_seg_name', f'{name}-init.mp4', '-media_seg_name', f'{name}.m4s',
           os.path.join(WORK, f'{name}.mpd'))
    return made(f'{name}-init.mp4'), made(f'{name}.m4s')


@tap.test
def sound_from_any_time_at_any_rate_ends():
    """Silence up to the time of a sound was laid in pieces of five seconds, for as many years as that took; and at a hundred samples
    a second there was none so short as was wanted."""
    init, segment = sound_segments('aac', '-c:a', 'aac')
    slow_init, slow = sound_segments('slow', '-ar', '100', '-c:a', 'flac', '-frame_size', '1024')
    slow_init = patched(slow_init, b'mdhd', 12, struct.pack('>I', 99))
    at = segment.index(b'trun') + 4
    flags, count = struct.unpack('>II', segment[at:at + 8])
    flags, count, size = flags & 0xffffff, count, 4 * bin(flags & 0xf00).count('1')
    row = at + 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    far = bytearray(segment)
    if flags & 0x100:
        for i in range(5, count):
            far[row + i * size:row + i * size + 4] = b'\xff' * 4
    else:
        far = bytearray(patched(segment, b'tfhd', 8, b'\xff' * 4))
    seconds = patched(init, b'mdhd', 12, struct.pack('>I', 1))
    for name, start, media in (('years apart', seconds, bytes(far)), ('days apart', init, bytes(far)), ('a second a sample', seconds, segment), ('100 Hz', slow_init, slow)):
        s = Server()
        s.files |= {'/a.mp4': start, '/a.m4s': media}
        url = s.film(more='<AdaptationSet mimeType="audio/mp4" contentType="audio"><Representation id="a" bandwidth="1000"><SegmentTemplate timescale="1" duration="60" media="a.m4s" '
                          'initialization="a.mp4"/></Representation></AdaptationSet>')
        for output in ('null', 'dump:' + os.path.join(tap.folder(), 'film.mp4')):
            r = tap.call(PLAYER, url, '--output', output, '--no-state', '--speed', 'max' if output == 'null' else '3', timeout=60)
            tap.check(r.returncode == 0 or 'ribera-player: ' in r.stderr, f'{name}, {output}: {r.returncode} {r.stderr[-800:]}')
            tap.check('runtime error' not in r.stderr, f'{name}, {output}: {r.stderr[-800:]}')


# --- subtitles -------------------------------------------------------------------------------------------------

def box(kind, *parts):
    body = b''.join(parts)
    return struct.pack('>I', 8 + len(body)) + kind + body


def full(kind, version, flags, *parts):
    return box(kind, struct.pack('>I', version << 24 | flags), *parts)


def text_init(entry):
    handler = b'subt' if entry == b'stpp' else b'text'
    sample = box(entry, bytes(6), b'\0\1', b'x\0\0\0' if entry == b'stpp' else box(b'vttC', b'WEBVTT'))
    media = full(b'mdhd', 0, 0, struct.pack('>IIIIHH', 0, 0, 1000, 0, 0x55c4, 0)) + full(b'hdlr', 0, 0, bytes(4), handler, bytes(13))
    table = box(b'stbl', full(b'stsd', 0, 0, struct.pack('>I', 1), sample))
    track = box(b'trak', full(b'tkhd', 0, 0, struct.pack('>IIIII', 0, 0, 1, 0, 0), bytes(60)), box(b'mdia', media, box(b'minf', table)))
    return box(b'ftyp', b'iso6\0\0\0\0') + box(b'moov', full(b'mvhd', 0, 0, struct.pack('>IIII', 0, 0, 1000, 0), bytes(80)), track, box(b'mvex', full(b'trex', 0, 0, struct.pack('>IIIII', 1, 1, 1000, 0, 0))))


def fragment(runs, size, track=1, mdat=b''):
    head = full(b'tfhd', 0, 0x20018, struct.pack('>III', track, 1000, size))
    return box(b'moof', full(b'mfhd', 0, 0, struct.pack('>I', 1)), box(b'traf', head, full(b'tfdt', 0, 0, struct.pack('>I', 0)), runs)) + box(b'mdat', mdat)


def bombs():
    words = ' '.join(['s'] * 500_000)
    yield 'styles by name', 'application/ttml+xml', None, (f'<tt xmlns="http://www.w3.org/ns/ttml"><head><styling>{"<x/>" * 300_000}<style xml:id="s"/></styling><layout>'
                                                          f'<region xml:id="r" style="{words}"/></layout></head><body/></tt>').encode()
    yield 'styles of styles', 'application/ttml+xml', None, (f'<tt xmlns="http://www.w3.org/ns/ttml"><head><styling><style xml:id="s" style="{words}"/></styling><layout>'
                                                             + f'<region xml:id="r" style="{words}"/>' * 3 + '</layout></head><body/></tt>').encode()
    xml = b'<tt>' + b'<x/>' * 250_000 + b'</tt>'
    again = b''.join(full(b'trun', 0, 1, struct.pack('>Ii', 1, 100_000 * 20 + 200)) for _ in range(100_000))
    yield 'one text in many samples', 'application/mp4', b'stpp', fragment(again, len(xml), mdat=bytes(1000) + xml)
    yield 'samples of nothing', 'application/mp4', b'wvtt', fragment(full(b'trun', 0, 0, struct.pack('>I', 1 << 20)), 0) * 20_000
    yield 'samples of another track', 'application/mp4', b'wvtt', fragment(full(b'trun', 0, 0, struct.pack('>I', 1 << 20)) * 100_000, 0, track=2)
    yield 'samples without end', 'application/mp4', b'wvtt', fragment(full(b'trun', 0, 0, struct.pack('>I', 1 << 20)), 1) * 20_000
    cues = ''.join(f'{90_000 - i}:00.000 --> 99999:59.000\n{i}\n\n' for i in range(60_000))
    yield 'cues from the last to the first', 'text/vtt', None, ('WEBVTT\n\n' + cues).encode()


@tap.test
def subtitles_that_cost_more_than_they_weigh_keep_nobody():
    for name, mime, entry, body in bombs():
        s = Server()
        s.files['/t'] = body
        s.files['/t.init'] = text_init(entry) if entry else b''
        template = '<SegmentTemplate timescale="1" duration="2" media="t" initialization="t.init"/>' if entry else '<BaseURL>t</BaseURL>'
        r = play(s.film(more=text(mime, template, codecs=entry and entry.decode())), '--sub', 'en', '--speed', '4')
        tap.equal(r.returncode, 0, f'{name}: {r.stderr[-500:]}')
        tap.check('/t' in s.asked, f'{name}: it was not asked for')


@tap.test
def silent_servers_of_subtitles_keep_nobody():
    """Each place has 10 s, and there are many: who has seen the film does not wait for them."""
    s, bases = Server(), ''.join(f'<BaseURL>{i}/t</BaseURL>' for i in range(16))
    s.files |= {f'/{i}/t': silent for i in range(16)}
    r = play(s.film(more=text('text/vtt', '', bases)), '--sub', 'en', '--speed', '4', timeout=60)
    tap.equal(r.returncode, 0, r.stderr)
    tap.check('/0/t' in s.asked, f'{s.asked}')
    s.files |= {f'/{i}/t': drip(b'WEBVTT\n') for i in range(16)}
    tap.equal(play(s.url + '/film.mpd', '--sub', 'en', '--speed', '4', timeout=60).returncode, 0)


# --- drips ----------------------------------------------------------------------------------------------------

def ends_when_told(s, url, ready):
    p = tap.Process(PLAYER, url, '--output', 'null', '--no-state', '--quiet')
    tap.until(lambda: ready() or not p.alive(), 20, 'the request')
    tap.check(p.alive(), p.text())
    p.p.send_signal(signal.SIGTERM)
    tap.until(lambda: not p.alive(), 8, 'the end of who was told to end')
    tap.equal(p.p.returncode, 0, p.text())


@tap.test
def who_waits_for_an_mpd_that_drips_may_leave():
    s = Server()
    s.files['/drip.mpd'] = drip(b'<MPD')
    ends_when_told(s, s.url + '/drip.mpd', lambda: '/drip.mpd' in s.asked)
    link = mpd('', more='<Period xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="drip.mpd" xlink:actuate="onLoad"/>')
    s.files['/link.mpd'] = link
    s.asked.clear()
    ends_when_told(s, s.url + '/link.mpd', lambda: '/drip.mpd' in s.asked)


@tap.test
def who_watches_a_live_title_whose_mpd_drips_may_leave():
    s, n = Server(), 0
    s.film()
    whole = mpd('<AdaptationSet mimeType="video/mp4" contentType="video"><Representation id="v" bandwidth="1000"><SegmentTemplate timescale="1" duration="1" '
                'media="1.m4s" initialization="init.mp4"/></Representation></AdaptationSet>', None,
                'type="dynamic" availabilityStartTime="2020-01-01T00:00:00Z" minimumUpdatePeriod="PT1S" timeShiftBufferDepth="PT20S"')

    def answer(out):
        nonlocal n
        n += 1
        drip(b'<MPD')(out) if n > 1 else out.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' % (len(whole), whole))
    s.files['/live.mpd'] = answer
    ends_when_told(s, s.url + '/live.mpd', lambda: s.asked.count('/live.mpd') >= 2)


# --- words ---------------------------------------------------------------------------------------------------------

@tap.test
def what_others_write_moves_no_terminal():
    """XML takes line feeds and U+009B, which begins commands of terminals: neither makes a line of ours look like another."""
    s, evil = Server(), '&#10;ribera-player: all is well&#x9b;2J&#x7f;'
    s.film()
    good = s.files['/film.mpd'].decode()
    cases = {'a wrong MPD': good.replace('timescale="1"', 'timescale="0"').replace('id="v"', f'id="v{evil}"'), 'an unknown codec': good.replace('id="v"', f'id="v" codecs="{evil}"'),
             'one that plays': good.replace('id="v"', f'id="v{evil}"'), 'no such place': good.replace('<SegmentTemplate', f'<BaseURL serviceLocation="a{evil}">b{evil}/</BaseURL><SegmentTemplate')}
    for name, body in cases.items():
        s.files['/film.mpd'] = body.encode()
        for how in (('--output', 'null', '--speed', '2'), ('--inspect',)):
            r = tap.call(PLAYER, s.url + '/film.mpd', '--no-state', '--log-level', 'verbose', *how)
            said = r.stdout + r.stderr
            tap.check('\x9b' not in said and '\x7f' not in said, f'{name} {how}: {said!r}')
            tap.check('\nribera-player: all is well' not in said, f'{name} {how}: {said!r}')
            tap.check(name == 'one that plays' or 'all is well' in said or r.returncode == 1, f'{name} {how}: {said!r}')


# --- recordings and clients ----------------------------------------------------------------------------------------

@tap.test
def a_recording_has_its_name_when_it_is_whole():
    s, path = Server(), os.path.join(tap.folder(), 'film.mp4')
    p = tap.Process(PLAYER, s.film(), '--output', 'dump:' + path, '--no-state', '--speed', '4')
    tap.until(lambda: os.path.exists(os.path.join(os.path.dirname(path), '.film.mp4.part')), 20, 'the beginning of a recording')
    tap.check(not os.path.exists(path), 'half a recording has the name of a whole one')
    tap.equal(p.p.wait(60), 0, p.text())
    tap.equal(os.listdir(os.path.dirname(path)), ['film.mp4'])
    # what was played until nobody gave more stays; the end says that it is not all
    url = s.film(segments=[*SEGMENTS, *[b''] * 4])
    for i in range(SECONDS + 1, SECONDS + 5):
        del s.files[f'/{i}.m4s']
    r = tap.call(PLAYER, url, '--output', 'dump:' + path, '--no-state', '--speed', 'max', timeout=90)
    tap.equal(r.returncode, 1, r.stderr)
    tap.equal(os.listdir(os.path.dirname(path)), ['film.mp4'])
    frames = tap.call('ffprobe', '-v', 'error', '-count_packets', '-show_entries', 'stream=nb_read_packets', '-of', 'csv=p=0', path, check_exit=0).stdout
    tap.equal(frames.strip().strip(','), str(SECONDS * FPS))
    # and a recording that cannot go on leaves nothing
    with tap.small_disk('64k') as small:
        r = tap.call(PLAYER, s.film(), '--output', f'dump:{small}/film.mp4', '--no-state', '--speed', 'max')
        tap.equal((r.returncode, os.listdir(small)), (1, []), r.stderr)
        tap.has(r.stderr, 'film.mp4')


@tap.test
def clients_may_say_any_number():
    s, path = Server(), os.path.join(tap.folder(), 'player')
    p = tap.Process(PLAYER, s.film(), '--output', 'null', '--no-state', '--ipc-server', path)
    tap.until(lambda: os.path.exists(path), 20, 'the socket')
    c = socket.socket(socket.AF_UNIX)
    c.connect(path)
    lines = c.makefile('rw')

    def say(*command):
        lines.write(json.dumps({'command': command, 'request_id': 7}) + '\n')
        lines.flush()
        for line in lines:
            if json.loads(line).get('request_id') == 7:
                return json.loads(line)

    tap.equal(say('set_property', 'pause', True)['error'], 'success')
    for number in ('nan', '-nan', 'inf', '-inf', 'nan(1)'):
        for command in (('seek', number), ('seek', number, 'absolute'), ('seek', number, 'absolute-percent'), ('seek', number, 'relative-percent'), ('set', 'speed', number),
                        ('set', 'time-pos', number), ('set', 'percent-pos', number), ('set', 'scan', number), ('multiply', 'speed', number), ('add', 'speed', number), ('set', 'rung', number)):
            tap.check(say(*command)['error'] != 'success', command)
    for number in (1e300, 9.3e12, 9223372036854, 1e18):
        for mode in ('absolute', 'relative'):
            say('seek', 0, 'absolute')
            say('seek', number, mode)
            tap.until(lambda: say('get_property', 'time-pos')['data'] >= SECONDS - 1.1, 10, f'the end, by {number} {mode}')
            say('seek', -number, mode)
            tap.until(lambda: say('get_property', 'time-pos')['data'] <= 0.1, 10, f'the beginning, by {number} {mode}')
    say('quit')
    tap.equal(p.p.wait(30), 0, p.text())


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ribera-player presents, as its recording has it: every picture once, in order, at its time, and sound without a gap
or a click, on a clean line, through switches of both, and through a server's death; and sound with more than two channels."""
import array, functools, math, os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, tap

os.environ['XDG_STATE_HOME'] = tap.folder()  # nothing of this machine's own

SECONDS, FPS, SEGMENT, RATE, TONE = 8, 25, 1, 48000, 440
SIZE = '320x180'


@functools.lru_cache(None)
def film():
    """Two renditions of the picture, of one size so that a recording keeps both as they are, and two of the sound."""
    folder = tap.folder()
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', f'testsrc2=s={SIZE}:r={FPS}:d={SECONDS}', '-f', 'lavfi', '-i', f'sine=f={TONE}:r={RATE}:d={SECONDS}', '-map', '0:v', '-map', '0:v',
             '-map', '1:a', '-map', '1:a', '-c:v', 'libx264', '-preset', 'veryfast', '-g', str(FPS * SEGMENT), '-keyint_min', str(FPS * SEGMENT), '-sc_threshold', '0', '-pix_fmt', 'yuv420p',
             '-b:v:0', '200k', '-b:v:1', '900k', '-c:a', 'aac', '-b:a:0', '48k', '-b:a:1', '160k', '-f', 'dash', '-seg_duration', str(SEGMENT), '-use_timeline', '1',
             '-adaptation_sets', 'id=0,streams=0,1 id=1,streams=2,3', os.path.join(folder, 'film.mpd'), check_exit=0)
    return folder


def served(n=1):
    return [badserver.Server(film()) for _ in range(n)]


def written(name, *bases, edit=lambda text: text):
    """The film's MPD with BaseURLs, as another file; its name."""
    with open(os.path.join(film(), 'film.mpd')) as f:
        text = f.read()
    urls = ''.join(f'<BaseURL serviceLocation="{chr(97 + i)}">{s.url}/</BaseURL>' for i, s in enumerate(bases))
    with open(os.path.join(film(), name), 'w') as f:
        f.write(edit(text.replace('<Period', urls + '<Period', 1)))
    return '/' + name


def record(url, *options):
    path = os.path.join(tap.folder(), 'played.mp4')
    done = tap.call(tap.program('ribera-player'), url, '--output', 'dump:' + path, '--speed', 'max', '--quiet', '--no-state', *options, timeout=90)
    tap.equal(done.returncode, 0, done.stderr[-1500:])
    return path, done.stderr


def pictures(path):
    """(time in ms, MD5 of the pixels) of each, as another program decodes them."""
    text = tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:v:0', '-c:v', 'rawvideo', '-fps_mode', 'passthrough', '-copyts', '-f', 'framemd5', '-', check_exit=0).stdout
    scale = int(re.search(r'#tb 0: 1/(\d+)', text).group(1))
    rows = [line.split(',') for line in text.splitlines() if not line.startswith('#')]
    return [(round(int(r[2]) * 1000 / scale), r[5].strip()) for r in rows]


@functools.lru_cache(None)
def packaged(stream):
    path = os.path.join(tap.folder(), f'{stream}.mp4')
    with open(path, 'wb') as out:
        for name in [f'init-stream{stream}.m4s'] + [f'chunk-stream{stream}-{i:05d}.m4s' for i in range(1, SECONDS // SEGMENT + 1)]:
            with open(os.path.join(film(), name), 'rb') as f:
                out.write(f.read())
    return pictures(path)


def check_pictures(path, name, least=1):
    """Each is that of one of the renditions, at its time; so many renditions are seen, and change at segments only."""
    got, choices = pictures(path), [packaged(0), packaged(1)]
    first = choices[0][0][0]
    tap.equal([t for t, _ in got], [t - first for t, _ in choices[0]], f'{name}: times of the pictures')
    of = [next((i for i, c in enumerate(choices) if c[n][1] == md5), None) for n, (_, md5) in enumerate(got)]
    tap.check(None not in of, f'{name}: picture {of.index(None) if None in of else 0} is of no rendition')
    changes = [n for n in range(1, len(of)) if of[n] != of[n - 1]]
    tap.check(all(n % (FPS * SEGMENT) == 0 for n in changes) and len(set(of)) >= least, f'{name}: renditions change at pictures {changes}, {set(of)} are seen')


def sound(path, channels=1):
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:a:0', '-f', 'f32le', '-'], stdout=subprocess.PIPE, check=True).stdout
    a = array.array('f', raw)
    return [a[c::channels] for c in range(channels)]


def check_tone(path, name):
    """An even sine: no click (what differs from the sine through the two samples before), no dip, no gap."""
    x = sound(path)[0]
    tap.near(len(x) / RATE, SECONDS, 0.05, f'{name}: length of the sound')
    x = x[RATE // 10:-RATE // 4]
    k, size = 2 * math.cos(2 * math.pi * TONE / RATE), max(x)
    click = max(abs(a - k * b + c) for a, b, c in zip(x[2:], x[1:], x)) / size
    period = RATE // TONE + 1
    dips = [max(map(abs, x[i:i + period])) for i in range(0, len(x) - period, period)]
    tap.check(click < 0.02, f'{name}: a click of {click:.3f} of the tone')
    tap.check(min(dips) > 0.9 * size and size < 1.1 * sorted(dips)[len(dips) // 2], f'{name}: from {min(dips):.3f} to {size:.3f} loud')


@tap.test
def a_clean_line():
    a, = served()
    path, _ = record(a.url + '/film.mpd')
    check_pictures(path, 'clean')
    check_tone(path, 'clean')


@tap.test
def switches_of_picture_and_sound():
    a, = served()

    def line(q):
        a.rate = 60_000 if 'stream1-00003' in q.path else None if 'stream0-00005' in q.path else a.rate
    a.fault = line
    path, _ = record(a.url + '/film.mpd')
    check_pictures(path, 'switches', 2)
    check_tone(path, 'switches')

    def halves(text):
        """Two Periods; each has one of the sounds."""
        period = re.search(r'<Period.*</Period>', text, re.S).group(0)
        ids = re.findall(r'<Representation id="([23])".*?</Representation>', period, re.S)
        tap.equal(ids, ['2', '3'])
        without = lambda i, p: re.sub(rf'<Representation id="{i}".*?</Representation>', '', p, flags=re.S)
        half = SECONDS // 2
        one = re.sub(r'<Period[^>]*>', f'<Period id="0" start="PT0S" duration="PT{half}S">', without(3, period))
        two = re.sub(r'<Period[^>]*>', f'<Period id="1" start="PT{half}S">', without(2, period))
        two = re.sub(r'<SegmentTemplate timescale="(\d+)"', lambda m: f'<SegmentTemplate timescale="{m.group(1)}" presentationTimeOffset="{half * int(m.group(1))}"', two)
        return text.replace(period, one + two)
    path, _ = record(a.url + written('halves.mpd', a, edit=halves))
    check_pictures(path, 'two Periods')
    check_tone(path, 'two sounds')


@tap.test
def a_server_that_dies():
    for n in (40_000, 250_000):
        a, b = served(2)
        a.die_after(n)
        path, said = record(b.url + written('two.mpd', a, b))
        check_pictures(path, f'dead after {n} bytes')
        check_tone(path, f'dead after {n} bytes')
        tap.check(b.requests and a.sent >= n, 'nothing died')


TONES = (300, 500, 700, 60, 900, 1100)  # front left, right, centre, low, back left, right


@functools.lru_cache(None)
def surround():
    folder = tap.folder()
    each = '|'.join(f'0.3*sin(2*PI*{f}*t)' for f in TONES)
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', f'testsrc2=s=160x90:r={FPS}:d=3', '-f', 'lavfi', '-i', f'aevalsrc={each}:c=5.1:s={RATE}:d=3', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25',
             '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-b:a', '512k', '-f', 'dash', '-seg_duration', '1', os.path.join(folder, 'film.mpd'), check_exit=0)
    return badserver.Server(folder)


def strength(x, f):
    """Of a tone in the samples (Goertzel)."""
    k, a, b = 2 * math.cos(2 * math.pi * f / RATE), 0.0, 0.0
    for v in x:
        a, b = v + k * a - b, a
    return 2 * math.sqrt(max(0, a * a + b * b - k * a * b)) / len(x)


def tones(channels):
    """Of each channel, how loud each of the tones is, in the middle."""
    return [[strength(c[RATE:RATE + RATE // 2], f) for f in TONES] for c in channels]


def check_six(channels, name):
    for c, row in enumerate(tones(channels)):
        tap.near(row[c], 0.3, 0.03, f'{name}: the tone of channel {c}')
        tap.check(sum(row) - row[c] < 0.02, f'{name}: other tones in channel {c}: {row}')


def shown(url, *options):
    """{time in us: hash} of what is presented, and the log."""
    path = os.path.join(tap.folder(), 'hashes')
    done = tap.call(tap.program('ribera-player'), url, '--output', 'null', '--speed', 'max', '--quiet', '--no-state', '--frames-hash', path, '--log-level', 'debug', *options, timeout=90)
    tap.equal(done.returncode, 0, done.stderr[-1500:])
    with open(path) as f:
        rows = [line.split(',') for line in f if not line.startswith('#')]
    return {int(r[0]): r[3].strip() for r in rows}, done.stderr


LEFT_OUT = {  # how a film is coded, and whether pictures that others are made of can be left out on the way to a place
    'B pyramid, one reference': ('bframes=3:b-pyramid=normal:ref=1', True),
    'strict pyramid, four slices': ('bframes=3:b-pyramid=strict:ref=1:slices=4', True),
    'no CABAC': ('bframes=3:b-pyramid=normal:ref=1:cabac=0', False),
    'weighted, temporal direct': ('bframes=5:b-adapt=0:b-pyramid=normal:ref=1:weightp=2:weightb=1:direct=temporal', True),
    'many references': ('bframes=3:b-pyramid=normal:ref=5:weightp=2:me=umh:b-adapt=2', None),
    'no pyramid': ('bframes=2:b-pyramid=none:ref=3', False),
    'fields': ('bframes=3:b-pyramid=normal:ref=1:tff=1', False),
}


@tap.test
def a_place_shows_the_same_picture_from_wherever_one_comes():
    for name, (coding, expected) in LEFT_OUT.items():
        folder = tap.folder()
        tap.call('ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', 'testsrc2=s=192x112:r=50:d=6,noise=alls=20:allf=t,fade=in:0:100', '-c:v', 'libx264', '-g', '150', '-keyint_min', '150', '-sc_threshold', '0',
                 '-pix_fmt', 'yuv420p', '-b:v', '500k', '-x264-params', coding, '-f', 'dash', '-seg_duration', '3', os.path.join(folder, 'film.mpd'), check_exit=0)
        url = badserver.Server(folder).url + '/film.mpd'
        whole, _ = shown(url)
        tap.equal(len(whole), 300, f'{name}: pictures')
        left_out = 0
        for start in '0.9s', '2.02s', '2.9s', '5.5s':
            some, log = shown(url, '--start', start, '--duration', '300ms')
            tap.check(len(some) >= 14 and all(whole.get(t) == h for t, h in some.items()), f'{name} from {start}: {[t for t, h in some.items() if whole.get(t) != h]} of {len(some)} are others')
            left_out += sum(int(n) for n in re.findall(r'not_decoded=(\d+)', log))
        if expected is not None:
            tap.equal(left_out > 20, expected, f'{name}: {left_out} pictures were left out')


@tap.test
def six_channels_stay_six_and_two_have_all_that_is_heard():
    a = surround()
    path, _ = record(a.url + '/film.mpd')
    check_six(sound(path, 6), 'recorded')
    path, _ = record(a.url + '/film.mpd', '--channels', '2')
    left, right = tones(sound(path, 2))
    third = 0.3 / (1 + 2 * math.sqrt(0.5))  # ITU-R BS.775-3: front + centre and back 3 dB softer, and all so that nothing is cut off
    for name, got, want in (('left', left, (1, 0, 0.707, None, 0.707, 0)), ('right', right, (0, 1, 0.707, None, 0, 0.707))):
        for c, part in enumerate(want):
            if part is not None:
                tap.near(got[c], part * third, 0.01, f'{name}: what is heard of channel {c}')


@tap.test
def six_channels_come_out_of_the_device():
    """By SDL's driver that writes to a file: the order of a device's loudspeakers is its own."""
    a, raw = surround(), os.path.join(tap.folder(), 'raw')
    env = {**os.environ, 'SDL_VIDEODRIVER': 'dummy', 'SDL_AUDIODRIVER': 'disk', 'SDL_DISKAUDIOFILE': raw}
    done = subprocess.run([tap.program('ribera-player'), a.url + '/film.mpd', '--output', 'sdl', '--quiet', '--no-state', '--resume', 'no'], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60)
    tap.equal(done.returncode, 0, done.stderr)
    with open(raw, 'rb') as f:
        data = array.array('f', f.read())
    check_six([data[c::6] for c in range(6)], 'device')


tap.run()

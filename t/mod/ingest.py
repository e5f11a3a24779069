#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-ingest: what a package must be, and every kind of bad input."""
import array, glob, json, os, random, re, shutil, signal, subprocess, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, mpd_schema, tap

WORK = tap.folder('ingest')
FILM = film.generated(12, '640x360', '25')
count = 0


def ingest(master, *options, library=None, **keywords):
    """A fresh library by default; (CompletedProcess, library)."""
    global count
    count += 1
    library = library or os.path.join(WORK, f'library-{count}')
    return tap.call(tap.program('ribera-ingest'), master, '--library', library, '--title', 't', '--preset', 'ultrafast',
                    *(() if '--ladder' in options else ('--ladder', 'fixed')), *options, **keywords), library


def package(master, *options):
    done, library = ingest(master, '--max-rungs', '2', *options)
    tap.equal(done.returncode, 0, done.stderr[-1500:])
    return glob.glob(library + '/t/*/')[0]


def ffmpeg(*arguments):
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-y', *arguments, check_exit=0)


def make(name, *arguments):
    path = os.path.join(WORK, name)
    ffmpeg(*arguments, path)
    return path


def probe(path, entries, *options):
    return json.loads(tap.call('ffprobe', '-v', 'error', *options, '-show_entries', entries, '-of', 'json', path, check_exit=0).stdout)


def frames(path):
    return int(probe(path, 'stream=nb_read_packets', '-count_packets', '-select_streams', 'v:0')['streams'][0]['nb_read_packets'])


def videos(folder):
    return sorted(glob.glob(folder + 'video-*.mp4'))


def beeps(path, *seek):
    """Times of the beeps' starts, in seconds of the presentation."""
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:a:0', '-af', 'aresample=48000:async=1:first_pts=0',
                          '-ac', '1', '-f', 's16le', '-'], capture_output=True, check=True).stdout
    samples = array.array('h', raw)
    found, quiet = [], 10000
    for i in range(0, len(samples) - 48, 48):
        loud = max(abs(x) for x in samples[i:i + 48]) > 2000
        if loud and quiet > 200:
            found.append(i / 48000)
        quiet = 0 if loud else quiet + 1
    return found


@tap.test
def every_rendition_decodes_and_has_all_frames():
    folder = package(FILM)
    tap.equal(len(videos(folder)), 2)
    for path in glob.glob(folder + '*.mp4'):
        tap.equal(tap.call('ffmpeg', '-v', 'error', '-i', path, '-f', 'null', '-').stderr, '', path)
    for path in videos(folder):
        tap.equal(frames(path), frames(FILM), path)
        tap.near(float(probe(path, 'stream=start_time')['streams'][0]['start_time']), 0, 0.0005, 'start of ' + path)


@tap.test
def all_renditions_are_cut_at_the_same_times():
    folder = package(FILM)
    cuts = []
    for path in glob.glob(folder + '*.m3u8'):
        with open(path) as f:
            cuts.append((os.path.basename(path), [float(d) for d in re.findall(r'#EXTINF:([\d.]+)', f.read())]))
    video = [c for n, c in cuts if n.startswith('video')]
    audio = [c for n, c in cuts if n.startswith('audio')][0]
    tap.equal(video[0], video[1], 'segment durations')
    tap.equal([round(d, 6) for d in video[0]], [4, 4, 4])
    for i in range(len(audio)):
        tap.near(sum(audio[:i]), sum(video[0][:i]), 1024 / 48000, f'sound of segment {i}')
    tap.near(sum(audio), 12, 0.001, 'sound in all')


@tap.test
def sound_keeps_its_place():
    for name, options in (('plain', []), ('late', ['-itsoffset', '0.7']), ('shifted', [])):
        master = make(f'{name}.mp4', '-i', FILM, *options, '-i', FILM, '-map', '0:v', '-map', '1:a', '-c', 'copy',
                      *(['-output_ts_offset', '5'] if name == 'shifted' else []))
        folder = package(master)
        want = [i + (0.7 if name == 'late' else 0) for i in range(11)]
        got = beeps(glob.glob(folder + 'audio-*.mp4')[0])[:11]
        tap.equal(len(got), 11, f'beeps of {name}')
        for w, g in zip(want, got):
            tap.near(g, w, 0.022, f'beep of {name}')


@tap.test
def the_manifest_is_valid():
    mpd_schema.check(package(FILM))


@tap.test
def odd_masters_become_right_packages():
    v = ['-f', 'lavfi', '-i', 'testsrc2=size=322x182:rate={}', '-t', '5', '-c:v', 'libx264', '-preset', 'ultrafast']
    cases = {
        'ntsc.mp4': ([a.format('30000/1001') for a in v] + ['-pix_fmt', 'yuv420p'], 150, (322, 182)),
        'slow.mp4': ([a.format('25/2') for a in v] + ['-pix_fmt', 'yuv420p'], 63, (322, 182)),
        'ten-bit.mkv': ([a.format('25') for a in v] + ['-pix_fmt', 'yuv422p10'], 125, (322, 182)),
        'full-chroma-odd.mkv': ([a.format('25').replace('322x182', '321x181') for a in v] + ['-pix_fmt', 'yuv444p'], 125, (320, 180)),
        'gap.mkv': ([a.format('25') for a in v] + ['-vf', "select='not(between(n,1,3))'", '-vsync', 'passthrough', '-pix_fmt', 'yuv420p'], 125, (322, 182)),
        'anamorphic.mp4': ([a.format('25') for a in v] + ['-vf', 'setsar=2/1', '-pix_fmt', 'yuv420p'], 125, (322, 90)),
    }
    for name, (arguments, n, size) in cases.items():
        master = make(name, *arguments)
        path = videos(package(master))[-1]
        stream = probe(path, 'stream=width,height,sample_aspect_ratio,pix_fmt')['streams'][0]
        tap.equal(frames(path), n, f'frames of {name}')
        tap.equal((stream['width'], stream['height'], stream['sample_aspect_ratio'], stream['pix_fmt']), (*size, '1:1', 'yuv420p'), name)
    turned = os.path.join(WORK, 'turned.mp4')

    ffmpeg('-i', os.path.join(WORK, 'ntsc.mp4'), '-c', 'copy', '-metadata:s:v', 'rotate=90', turned)
    stream = probe(videos(package(turned))[-1], 'stream=width,height')['streams'][0]
    tap.equal((stream['width'], stream['height']), (182, 322), 'a picture turned upright')


@tap.test
def sound_of_many_kinds():
    picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25']
    for name, source, channels, rate in (('mono', 'sine=r=44100', [1], 44100), ('high', 'aevalsrc=0.1*sin(500*t)|0.1*sin(600*t):s=96000', [2], 48000),
                                         ('surround', 'aevalsrc=0.1|0.1|0.1|0.1|0.1|0.1:s=48000:c=5.1', [2, 6], 48000)):
        master = make(f'{name}.mkv', *picture, '-f', 'lavfi', '-i', source, '-t', '5', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'pcm_s16le')
        found = [probe(p, 'stream=channels,sample_rate')['streams'][0] for p in glob.glob(package(master) + 'audio-*.mp4')]
        tap.equal(sorted((s['channels'], int(s['sample_rate'])) for s in found), [(c, rate) for c in channels], name)
    silent = make('silent.mp4', *picture, '-t', '5', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p')
    tap.equal(glob.glob(package(silent) + 'audio-*'), [], 'sound of a silent master')


@tap.test
def playlists_do_not_drift_and_have_one_default_a_group():
    master = make('tongues.mkv', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30000/1001', '-f', 'lavfi', '-i', 'sine=r=44100', '-f', 'lavfi', '-i', 'sine=500:r=44100',
                  '-f', 'lavfi', '-i', 'sine=600', '-map', '0', '-map', '1', '-map', '2', '-map', '3', '-t', '13', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac', '-ac', '2',
                  '-metadata:s:a:0', 'language=spa', '-metadata:s:a:1', 'language=eng', '-metadata:s:a:2', 'language=spa')
    folder = package(master, '--segment', '1s')
    with open(folder + 'main.m3u8') as f:
        lines = [l for l in f if l.startswith('#EXT-X-MEDIA')]
    tap.equal([re.search('DEFAULT=(\\w+)', l)[1] for l in lines], ['YES', 'NO', 'NO'])
    names = [re.search('NAME="([^"]*)"', l)[1] for l in lines]
    tap.equal(len(set(names)), 3, f'{names}')
    for path in glob.glob(folder + '*-*.m3u8'):
        with open(path) as f:
            text = f.read()
        seconds = sum(int(a) * 1000000 + int(b) for a, b in re.findall(r'#EXTINF:(\d+)\.(\d{6}),', text))
        want = float(probe(path.replace('.m3u8', '.mp4'), 'format=duration')['format']['duration'])
        tap.near(seconds / 1e6, want, 0.00002 if 'audio' not in path else 0.03, path)


@tap.test
def a_title_gets_a_ladder_of_its_own():
    def ladder(master):
        done, library = ingest(master, '--ladder', 'title', '--json')
        tap.equal(done.returncode, 0, done.stderr[-1500:])
        again, _ = ingest(master, '--ladder', 'title', '--json', library=library)
        tap.check(json.loads(again.stdout)['existed'], 'the same master got another ladder')
        folder = glob.glob(library + '/t/*/')[0]
        with open(folder + 'report.html') as f:
            tap.has(f.read(), 'class="rung"', 'the page')
        with open(folder + 'report.json') as f:
            return sorted((v['width'], v['average_bitrate']) for v in json.load(f)['video'])
    moving = ladder(FILM)
    still = ladder(make('still.mp4', '-f', 'lavfi', '-i', 'color=c=gray:size=640x360:rate=25', '-t', '6', '-c:v', 'libx264'))
    tap.check(1 <= len(still) < len(moving) <= 6, f'still {still}, moving {moving}')
    tap.equal(still[-1][0], 640)
    tap.check(still[-1][1] < 60000, f'{still}')


@tap.test
def a_ladder_file_is_obeyed_and_its_mistakes_are_located():
    path = os.path.join(WORK, 'my.ladder')
    with open(path, 'w') as f:
        f.write('# two\n320x180 200k\n640x360 crf 28 max 2M\n1920x1080 8M\n')
    folder = glob.glob(ingest(FILM, '--ladder', path)[1] + '/t/*/')[0]
    tap.equal(sorted(os.path.basename(p) for p in videos(folder)), ['video-180p-200k.mp4', 'video-360p-1000k.mp4'])
    with open(path, 'a') as f:
        f.write('640 by 360\n')
    refused(FILM, 'my.ladder:5:', options=('--ladder', path))
    refused(FILM, 'nowhere.ladder', options=('--ladder', 'nowhere.ladder'))


@tap.test
def the_same_master_is_there_already():
    first, library = ingest(FILM, '--json')
    second, _ = ingest(FILM, '--json', library=library)
    a, b = json.loads(first.stdout), json.loads(second.stdout)
    tap.equal((a['existed'], b['existed'], a['revision']), (False, True, b['revision']))


def refused(master, *parts, options=(), library=None, keeps=False, **keywords):
    done, library = ingest(master, *options, library=library, **keywords)
    tap.equal(done.returncode, 75 if keeps else 1, f'exit code for {master}: {done.stderr}')
    for part in parts:
        tap.has(done.stderr, part, f'message for {master}')
    tap.check('.work-' not in done.stderr, f'the message names the work folder: {done.stderr}')
    left = [n for n in os.listdir(library) if not (keeps and n.startswith('.work'))] if os.path.isdir(library) else []
    tap.equal(left, [], f'what {master} left in the library')


@tap.test
def bad_masters_are_refused_with_the_reason():
    path = lambda name: os.path.join(WORK, name)
    with open(path('text.mp4'), 'w') as f:
        f.write('this is no film\n' * 100)
    open(path('zero.mp4'), 'w').close()
    make('sound.m4a', '-f', 'lavfi', '-i', 'sine', '-t', '3')
    make('fast.mp4', '-i', FILM, '-c', 'copy', '-movflags', '+faststart')
    make('film.mkv', '-i', FILM, '-c', 'copy')
    for whole, cut in (('fast.mp4', 'cut-fast.mp4'), ('film.mkv', 'cut.mkv')):
        with open(path(whole), 'rb') as f, open(path(cut), 'wb') as g:
            g.write(f.read()[:os.path.getsize(path(whole)) // 2])
    with open(FILM, 'rb') as f, open(path('cut-end.mp4'), 'wb') as g:
        g.write(f.read()[:os.path.getsize(FILM) // 2])
    refused(path('none.mp4'), 'none.mp4', 'No such file')
    refused(path('text.mp4'), 'text.mp4', 'not a media file')
    refused(path('zero.mp4'), 'zero.mp4', 'empty')
    refused(path('sound.m4a'), 'sound.m4a', 'no picture')
    refused(WORK, 'folder')
    refused(path('cut-end.mp4'), 'cut-end.mp4')
    refused(path('cut-fast.mp4'), 'cut-fast.mp4', 'cut short', '--accept-truncated')
    refused(path('cut.mkv'), 'cut.mkv', 'cut short')
    done, _ = ingest(path('cut.mkv'), '--accept-truncated')
    tap.equal(done.returncode, 0, 'exit code with --accept-truncated')


@tap.test
def bad_libraries_are_refused_with_the_reason():
    refused(FILM, 'parent folder', library=os.path.join(WORK, 'no', 'where'))
    done, _ = ingest(FILM, library=FILM)
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, 'no folder')


@tap.test
def no_space_leaves_nothing():
    with tap.small_disk('300k') as small:
        refused(FILM, 'No space left', 'free space', library=os.path.join(small, 'library'), keeps=True)


@tap.test
def an_unreadable_master_is_refused():
    locked = make('locked.mp4', '-i', FILM, '-c', 'copy')
    os.chmod(locked, 0)
    for folder in (WORK, os.path.dirname(WORK)):
        os.chmod(folder, 0o755)
    done = tap.call(*(['setpriv', '--reuid', '65534', '--clear-groups'] if os.geteuid() == 0 else []), tap.program('ribera-ingest'), locked, '--library', '/tmp/x')
    tap.equal(done.returncode, 1, done.stderr)
    tap.has(done.stderr, 'locked.mp4: Permission denied')


@tap.test
def wrong_usage_is_two():
    for argv in ([], [FILM], [FILM, FILM, '--library', 'x'], [FILM, '--library', 'x', '--wat'], [FILM, '--library', 'x', '--title', '../x'],
                 [FILM, '--library', 'x', '--segment', 'long']):
        tap.equal(tap.call(tap.program('ribera-ingest'), *argv).returncode, 2, f'exit code of {argv}')


@tap.test
def killed_or_stopped_nothing_is_visible():
    rng = random.Random(3)
    library = os.path.join(WORK, 'killed')
    argv = [tap.program('ribera-ingest'), FILM, '--library', library, '--title', 't', '--quiet', '--preset', 'veryfast', '--ladder', 'fixed']
    for signal_ in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        threading.Event().wait(rng.uniform(0.05, 0.7))  # the random instant is the point
        p.send_signal(signal_)
        code = p.wait(30)
        tap.check(code in (0, 1) or signal_ == signal.SIGKILL, f'exit code {code}')
        shown = [n for n in os.listdir(library) if not n.startswith('.')] if os.path.isdir(library) else []
        for package in glob.glob(library + '/t/*/') if shown else []:  # it was done before the signal came: a whole one or none
            tap.call(tap.program('ribera-ingest'), '--verify', package, '--quick', check_exit=0)
        tap.check(shown in ([], ['t']) and (code != 0 or shown), f'{shown} after exit code {code}')
        shutil.rmtree(os.path.join(library, 't'), ignore_errors=True)
    done, _ = ingest(FILM, '--max-rungs', '1', library=library)
    tap.equal(done.returncode, 0, done.stderr)
    tap.equal([n for n in os.listdir(library) if not n.startswith('.')], ['t'], 'what is in the library')


tap.run()

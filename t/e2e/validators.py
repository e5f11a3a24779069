#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody here wrote must agree that a package is right: schemas, FFmpeg, GStreamer, Shaka Packager, libtorrent; and a CMCD validator
that what the player tells servers is.

What is missing fails with the cure.  SHAKA_PACKAGER may name the packager's program; RIBERA_PACKAGE a finished package
to judge instead of a small one made here.
"""
import glob, json, os, platform, re, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, film, harm, mpd_schema, tap

if os.environ.get('RIBERA_PACKAGE'):
    PACKAGE = os.path.abspath(os.environ['RIBERA_PACKAGE'])
    LIBRARY, TITLE, REVISION = PACKAGE.rsplit('/', 2)
else:
    TITLE = 'outside'
    LIBRARY, REVISION, PACKAGE = film.library(film.generated(9, '640x360', '25'), TITLE, '--max-rungs', '2')
with open(PACKAGE + '/report.json') as f:
    REPORT = json.load(f)
TRACKS = [t for kind in ('video', 'audio') for t in REPORT[kind]]
_system = None


def url(file):
    """Of the package, from our own origin."""
    global _system
    if _system is None:
        _system = film.System(LIBRARY, start_edges=False)
    return f'{_system.url}/v/{TITLE}/{REVISION}/{file}'


@tap.test
def the_mpd_is_valid_to_the_schemas():
    mpd_schema.check(PACKAGE)


@tap.test
def our_schema_lets_no_mistake_pass():
    """Every attribute gone or misspelt, every element misspelt, one too many: what the check of every manifest rests on."""
    with open(PACKAGE + '/manifest.mpd') as f:
        text = f.read()
    out, wrong = tap.folder(), {}
    for m in re.finditer(r' ([a-zA-Z]+)="[^"]*"', text[text.index('<MPD'):]):
        at = text.index('<MPD') + m.start()
        wrong[f'{m[1]} at {at} gone'] = text[:at] + text[at + len(m[0]):]
        wrong[f'{m[1]} at {at} misspelt'] = text[:at + 1] + 'x' + text[at + 1:]
        wrong[f'{m[1]} at {at} with another value'] = text[:at] + f' {m[1]}="-1 x"' + text[at + len(m[0]):]
    for name in sorted(set(re.findall(r'<([A-Z]\w+)', text)) - {'MPD'}):
        wrong[f'{name} misspelt'] = text.replace(f'<{name}', f'<X{name}').replace(f'</{name}', f'</X{name}')
        wrong[f'{name} with an attribute too many'] = text.replace(f'<{name}', f'<{name} extra="1"', 1)
    for i, (what, mpd) in enumerate(wrong.items()):
        with open(os.path.join(out, f'{i}.mpd'), 'w') as f:
            f.write(mpd)
    said = mpd_schema.complaint(*(os.path.join(out, f'{i}.mpd') for i in range(len(wrong))))
    for i, what in enumerate(wrong):
        tap.has(said, f'/{i}.mpd fails to validate', what)


@tap.test
def ffmpeg_decodes_every_track_without_a_word():
    tap.need('ffmpeg')
    for t in TRACKS:
        done = tap.call('ffmpeg', '-v', 'warning', '-nostdin', '-xerror', '-err_detect', 'explode', '-i', os.path.join(PACKAGE, t['file']), '-f', 'null', '-')
        tap.equal((done.returncode, done.stderr), (0, ''), f"ffmpeg on {t['file']}")


@tap.test
def ffprobe_counts_the_pictures_that_we_count():
    tap.need('ffprobe')
    for t in REPORT['video']:
        done = tap.call('ffprobe', '-v', 'error', '-count_frames', '-select_streams', 'v', '-show_entries', 'stream=nb_read_frames,start_time,width,height',
                        '-of', 'json', os.path.join(PACKAGE, t['file']), check_exit=0)
        s = json.loads(done.stdout)['streams'][0]
        tap.equal((int(s['nb_read_frames']), float(s['start_time']), s['width'], s['height']), (REPORT['frames'], 0, t['width'], t['height']), t['file'])


@tap.test
def ffmpeg_reads_the_mpd_and_the_playlist_over_http():
    tap.need('ffprobe')
    for file, streams in (('manifest.mpd', len(TRACKS)), ('main.m3u8', len(TRACKS))):
        done = tap.call('ffprobe', '-v', 'error', '-show_entries', 'stream=codec_type', '-of', 'json', url(file), check_exit=0)
        tap.check(len(json.loads(done.stdout)['streams']) >= streams, f'{file}: {done.stdout}')
    # every segment of the first rendition through HLS's byte ranges
    done = tap.call('ffmpeg', '-v', 'error', '-nostdin', '-xerror', '-i', url(REPORT['video'][0]['file'][:-4] + '.m3u8'), '-f', 'framemd5', '-', check_exit=0)
    tap.equal(len([x for x in done.stdout.splitlines() if not x.startswith('#')]), REPORT['frames'], 'pictures through HLS')


def elements(*names):
    for name in names:
        tap.check(tap.call('gst-inspect-1.0', '--exists', name).returncode == 0,
                  f'GStreamer has no {name}: ./check installs it, or apt-get install gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad')


@tap.test
def gstreamer_demuxes_every_track():
    tap.need('gst-launch-1.0', 'gstreamer1.0-tools')
    tap.need('gst-inspect-1.0', 'gstreamer1.0-tools')
    for t in TRACKS:
        picture = t in REPORT['video']
        parser = 'h264parse' if t['codecs'].startswith('avc1') else 'aacparse' if t['codecs'].startswith('mp4a') else None
        if parser is None:
            continue
        elements('qtdemux', parser)
        done = tap.call('gst-launch-1.0', '-v', 'filesrc', f"location={os.path.join(PACKAGE, t['file'])}", '!', 'qtdemux', '!', parser, '!', 'identity', 'silent=false',
                        '!', 'fakesink', 'sync=false')
        tap.equal(done.returncode, 0, done.stderr[-500:])
        if picture:
            tap.equal(len(re.findall(r'last-message = chain', done.stdout)), REPORT['frames'], f"pictures that GStreamer finds in {t['file']}")


@tap.test
def gstreamer_plays_the_mpd_to_its_end():
    tap.need('gst-launch-1.0', 'gstreamer1.0-tools')
    elements('dashdemux')
    done = tap.call('gst-launch-1.0', 'playbin3', f'uri={url("manifest.mpd")}', 'video-sink=fakesink sync=false', 'audio-sink=fakesink sync=false', timeout=60)
    tap.equal(done.returncode, 0, done.stderr[-500:])
    tap.has(done.stdout, 'EOS')
    tap.check('WARNING' not in done.stdout + done.stderr, done.stdout + done.stderr)


def shaka_packager():
    """Of npm, which has one for these processors alone."""
    if os.environ.get('SHAKA_PACKAGER'):
        return os.environ['SHAKA_PACKAGER']
    machine = {'x86_64': 'x64', 'aarch64': 'arm64'}.get(platform.machine())
    tap.check(machine, f'npm has no Shaka Packager for {platform.machine()}: build it from its source and name the program in SHAKA_PACKAGER')
    program = os.path.join(tap.SOURCE, 'node_modules', 'shaka-packager', 'bin', f'packager-linux-{machine}')
    tap.check(os.path.exists(program), f'{program} is not there: npm ci --ignore-scripts in {tap.SOURCE}')
    return program


@tap.test
def shaka_packager_takes_the_tracks_and_makes_the_same_cuts():
    program = shaka_packager()
    out = tap.folder()
    streams = [f"in={os.path.join(PACKAGE, t['file'])},stream={'video' if t in REPORT['video'] else 'audio'},output={out}/{t['file']}" for t in TRACKS]
    tap.call(program, *streams, '--segment_duration', REPORT['segment_duration'], '--mpd_output', out + '/m.mpd', '--quiet', check_exit=0)
    with open(out + '/m.mpd') as f:
        theirs = f.read()
    tap.near(float(re.search(r'mediaPresentationDuration="PT([\d.]+)S"', theirs)[1]), REPORT['duration'], 0.001, 'duration that Shaka Packager sees')
    for t in TRACKS:
        tap.has(theirs.lower(), f"codecs=\"{t['codecs']}\"".lower()) # RFC 6381 lets hexadecimal digits be of either case
    for t in REPORT['video']:
        with open(f"{out}/{t['file']}", 'rb') as f:
            kinds = [kind for kind, _, _ in harm.boxes(f.read())]
        tap.equal(kinds.count('moof'), t['segments'], f"segments that Shaka Packager cuts {t['file']} into")


@tap.test
def libtorrent_reads_the_digest():
    read = ('import json, libtorrent, sys; i = libtorrent.torrent_info(sys.argv[1]); f = i.files();'
            'print(json.dumps({f.file_name(k): f.file_size(k) for k in range(f.num_files()) if not f.file_flags(k) & libtorrent.file_flags_t.flag_pad_file}))')
    names = json.loads(tap.call('/usr/bin/python3', '-c', read, PACKAGE + '/package.torrent', check_exit=0).stdout)  # Debian's Python has Debian's libtorrent
    there = {n: os.path.getsize(os.path.join(PACKAGE, n)) for n in os.listdir(PACKAGE) if n not in ('package.torrent', 'package.leaves')}
    tap.equal(names, there, 'files of the digest')


def complaints(requests):
    """Of (url, fields) pairs."""
    told = os.path.join(tap.folder(), 'told.json')
    with open(told, 'w') as f:
        json.dump([{'url': url, 'fields': fields} for url, fields in requests], f)
    return tap.call(tap.need('node', 'nodejs'), os.path.join(tap.SOURCE, 't/lib/cmcd-judge.mjs'), told, check_exit=0).stdout.splitlines()


@tap.test
def a_cmcd_validator_takes_what_the_player_tells():
    for mode in 'headers', 'query':
        server = badserver.Server(PACKAGE)
        tap.call(tap.program('ribera-player'), server.url + '/manifest.mpd', '--output', 'null', '--quiet', '--speed', '8', '--cmcd', mode, check_exit=0)
        asked = [(server.url + q.path, dict(q.headers)) for q in server.requests]
        tap.check(len(asked) > 5, asked)
        tap.equal(complaints(asked), [], mode)
        url, fields = asked[-1]
        wrong = [(url.replace('st%3Dv', 'st%3Dq'), {k: v.replace('st=v', 'st=q') for k, v in fields.items()}), (server.url + '/x', {'host': 'h'})]
        tap.equal([c.split()[0] for c in complaints(wrong)], ['invalid-value', 'no-CMCD-request'], 'what is wrong it finds')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-ingest: masters at the edge of sense and beyond.  Each becomes a package that holds, or is refused with the reason and
leaves nothing."""
import glob, json, os, random, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import mpd_schema, tap

WORK = tap.folder('hostile')
CODER = ('-c:v', 'libx264', '-preset', 'ultrafast')
count = 0


def make(name, *arguments):
    path = os.path.join(WORK, name)
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-y', *arguments, path, check_exit=0)
    return path


def write(name, data):
    path = os.path.join(WORK, name)
    with open(path, 'wb') as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


def look(seconds=1, size='160x96', rate=25):
    return '-f', 'lavfi', '-i', f'testsrc2=size={size}:rate={rate}:duration={seconds}'


FILM = make('film.mp4', *look(), '-f', 'lavfi', '-i', 'sine=440:duration=1', *CODER, '-c:a', 'aac')
with open(FILM, 'rb') as film:
    BYTES = film.read()


def ingest(master):
    global count
    count += 1
    library = os.path.join(WORK, f'library-{count}')
    done = tap.call(tap.program('ribera-ingest'), master, '--library', library, '--title', 't', '--preset', 'ultrafast', '--ladder', 'fixed', '--max-rungs', '1')
    return done, library


def taken(master):
    """(report, notes): the package stands, its manifest is valid, and a second look finds nothing."""
    done, library = ingest(master)
    tap.equal(done.returncode, 0, f'{master}: {done.stderr[-800:]}')
    folder = glob.glob(library + '/t/*/')[0]
    tap.equal(os.listdir(library), ['t'], 'the library')
    tap.call(tap.program('ribera-ingest'), '--verify', folder, check_exit=0)
    tap.equal(mpd_schema.complaint(folder + 'manifest.mpd'), '', master)
    with open(folder + 'report.json') as f:
        return json.load(f), done.stderr


def refused(master, *parts):
    done, library = ingest(master)
    tap.equal(done.returncode, 1, f'{master}: exit code; {done.stderr[-800:]}')
    for part in parts:
        tap.has(done.stderr, part)
    tap.equal(os.listdir(library) if os.path.isdir(library) else [], [], f'what {master} left')


@tap.test
def one_picture_is_a_film():
    report, _ = taken(make('one.mp4', '-i', FILM, '-an', '-frames:v', '1', *CODER))
    tap.equal(report['frames'], 1)


@tap.test
def sizes_from_the_least_to_the_largest():
    raw = ('-c:v', 'ffv1')
    for size in ('16x16', '16384x32', '32x4096'):
        report, _ = taken(make(f'size-{size}.mkv', '-f', 'lavfi', '-i', f'color=size={size}:rate=5:duration=0.4', *raw))
        tap.equal(report['frames'], 2, size)
    refused(make('dot.mkv', '-f', 'lavfi', '-i', 'color=size=2x2:rate=5:duration=0.4', *raw, '-pix_fmt', 'yuv444p'), '2x2', 'too small', '16x16')
    refused(make('wide.mkv', '-f', 'lavfi', '-i', 'color=size=16400x32:rate=5:duration=0.4', *raw), '16400x32', '16384')


@tap.test
def rates_beyond_sense():
    """A thousand pictures a second, and one a minute: the last of these stands its minute too."""
    report, _ = taken(make('fast.mkv', *look(0.5, rate=1000), '-c:v', 'ffv1'))
    tap.near(report['duration'], 0.5, 0.03)
    report, _ = taken(make('slides.mp4', *look(180, rate='1/60'), *CODER))
    tap.near(report['duration'], 180, 0.001)


@tap.test
def time_bases_that_cannot_be():
    """The pictures' timescale (ISO/IEC 14496-12 8.4.2) is nothing, one, and all ones: whatever that means, what comes out holds."""
    at = BYTES.index(b'mdhd') + 16
    for scale in (0, 1, 0xffffffff):
        taken(write(f'scale-{scale}.mp4', BYTES[:at] + scale.to_bytes(4, 'big') + BYTES[at + 4:]))


@tap.test
def streams_without_number():
    """600 sounds: as many as a package takes, and the others told."""
    maps = [m for _ in range(600) for m in ('-map', '0:a')]
    report, notes = taken(make('many.mp4', '-i', FILM, '-map', '0:v', *maps, '-c', 'copy'))
    tap.equal(len(report['audio']), 16)
    tap.has(notes, '584 sounds beyond the first 16 are left out')


@tap.test
def covers_are_no_film():
    cover = make('cover.png', '-i', FILM, '-frames:v', '1')
    attach = ('-c:a', 'copy', '-disposition:v:{}', 'attached_pic')
    refused(make('song.m4a', '-i', FILM, '-i', cover, '-map', '0:a', '-map', '1', *(a.format(0) for a in attach), '-c:v', 'png'), 'no picture', 'sound only')
    for name, maps in (('behind.mp4', ('-map', '0:v', '-map', '1', '-map', '0:a', '-c:v', 'copy', *(a.format(1) for a in attach))),
                       ('before.mp4', ('-map', '1', '-map', '0:v', '-map', '0:a', '-c:v', 'copy', *(a.format(0) for a in attach)))):
        report, _ = taken(make(name, '-i', FILM, '-i', cover, *maps))
        tap.equal(report['frames'], 25, name)


@tap.test
def metadata_without_end():
    """A title of a megabyte and a thousand chapters of a millisecond, with what XML, WebVTT and JSON must not see raw."""
    text = ''.join(f'[CHAPTER]\nTIMEBASE=1/1000\nSTART={i}\nEND={i + 1}\ntitle=<{i}> & --> "x" \x01\n' for i in range(1000))
    meta = write('meta.txt', f';FFMETADATA1\ntitle={"<&x" * 333333}\n' + text)
    taken(make('meta.mkv', '-i', FILM, '-i', meta, '-map', '0', '-map_metadata', '1', '-map_chapters', '1', '-c', 'copy', '-metadata:s:a:0', 'title=' + 'ñ&<' * 2000))


@tap.test
def subtitles_that_cost_more_than_they_weigh():
    """A million braces that nothing closes, and as many cues at one time that say no end: each was looked at with all behind it."""
    head = '[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n'
    line = 'Dialogue: 0,0:00:00.10,0:00:00.90,Default,,0,0,0,,'
    braces = write('braces.ass', f'{head}{line}one\n{line}{"{" * 5_000_000}\n{line}{{\\i1}}two{{\n')
    open_ones = write('open.srt', ''.join(f'{i}\n00:00:00,100 --> 00:00:00,100\nx{i}\n\n' for i in range(199_000)))
    report, notes = taken(make('braces.mkv', '-i', FILM, '-i', braces, '-map', '0', '-map', '1', '-c', 'copy'))
    tap.equal([t['cues'] for t in report['subtitles']], [2])
    tap.has(notes, '1 entries could not be read')
    report, _ = taken(make('open.mkv', '-i', FILM, '-i', open_ones, '-map', '0', '-map', '1', '-c', 'copy'))
    tap.equal([t['cues'] for t in report['subtitles']], [199_000])


@tap.test
def times_beyond_reckoning():
    """Fragments whose decode times are at the ends of 64 bits, counted in ticks, seconds and less."""
    frag = make('frag.mp4', '-i', FILM, '-c', 'copy', '-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-min_frag_duration', '200000')
    with open(frag, 'rb') as f:
        data = f.read()
    times = [i for i in range(len(data)) if data.startswith(b'tfdt', i)]
    for value in (2**40, 2**62, 2**63 - 1, -1, -2**63):
        for scale in (None, 1, 2**32 - 1):
            for these in (times[:1], times[1:2], times):
                new = bytearray(data)
                for at in these:
                    new[at + 8:at + 16] = (value % 2**64).to_bytes(8, 'big')
                if scale is not None:
                    at = data.index(b'mdhd') + 16
                    new[at:at + 4] = scale.to_bytes(4, 'big')
                done, library = ingest(write('times.mp4', bytes(new)))
                where = f'{value}, scale {scale}, {len(these)} of {len(times)}: {done.stderr[-800:]}'
                tap.check(done.returncode in (0, 1) and 'runtime error' not in done.stderr, where)
                tap.check(done.returncode == 0 or 'ribera-ingest: ' in done.stderr, where)
                tap.equal(os.listdir(library) if os.path.isdir(library) else [], ['t'] if done.returncode == 0 else [], where)


@tap.test
def lists_do_not_lead_to_other_files():
    """FFmpeg would open what a playlist, a list to join or a manifest names; whoever may upload a master must not read files by that."""
    other = make('other.ts', '-i', FILM, '-c', 'copy')
    for text in (f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n', 'ffconcat version 1.0\nfile film.mp4\n',
                 '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>'):
        for name in ('list.m3u8', 'list.mp4'):
            refused(write(name, text), 'a list that names other files', 'join them first')
    done = tap.call('sh', '-c', f'{tap.program("ribera-ingest")} - --library {WORK}/piped --title t < {write("list.m3u8", chr(10) + "#EXTM3U" + chr(10) + other)}')
    tap.check(done.returncode != 0 and not glob.glob(WORK + '/piped/t/*'), 'a list on a pipe was followed')


@tap.test
def wrong_bytes_anywhere():
    """Cut and changed in header, index and pictures: a package that holds or a reason, never a crash or half a package."""
    dice, codes = random.Random(5), []
    for i in range(15):
        data = bytearray(BYTES)
        if i % 3 == 0:
            del data[dice.randrange(len(data)):]
        else:
            first = data.index(b'moov') if i % 3 == 1 else data.index(b'mdat')
            for _ in range(8):
                data[dice.randrange(first, min(len(data), first + 3000))] = dice.randrange(256)
        done, library = ingest(write('wrong.mp4', bytes(data)))
        codes.append(done.returncode)
        tap.check(done.returncode in (0, 1), f'{i}: exit code {done.returncode}: {done.stderr[-800:]}')
        shown = [n for n in os.listdir(library)] if os.path.isdir(library) else []
        tap.equal(shown, ['t'] if done.returncode == 0 else [], f'the library after {i}')
        tap.check(done.returncode == 0 or 'ribera-ingest: ' in done.stderr, f'{i} without a reason: {done.stderr}')
    tap.check(0 in codes and 1 in codes, f'{codes}')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-ingest: any master.  A test for each promise about what a master may be; small films made on the spot, and
players' own test files from ../shared/media when they are there."""
import glob, json, os, random, re, struct, subprocess, sys, xml.etree.ElementTree as xml
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import harm as harms, mpd_schema, tap

WORK = tap.folder('media')
MPD = '{urn:mpeg:dash:schema:mpd:2011}'
count = 0


def ingest(master, *options, **keywords):
    """A fresh library; (CompletedProcess, library)."""
    global count
    count += 1
    library = os.path.join(WORK, f'library-{count}')
    return tap.call(tap.program('ribera-ingest'), master, '--library', library, '--title', 't', '--preset', 'ultrafast',
                    *(() if '--ladder' in options else ('--ladder', 'fixed', '--max-rungs', '1')), *options, **keywords), library


def package(master, *options, **keywords):
    done, library = ingest(master, *options, **keywords)
    tap.equal(done.returncode, 0, f'{master}: {done.stderr[-1500:]}')
    return glob.glob(library + '/t/*/')[0]


def refused(master, *parts, options=()):
    done, library = ingest(master, *options)
    tap.check(done.returncode in (1, 2), f'{master}: exit code {done.returncode}: {done.stderr}')
    for part in parts:
        tap.has(done.stderr, part)
    tap.equal(glob.glob(library + '/t/*'), [], 'published')


def make(name, *arguments):
    path = os.path.join(WORK, name)
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-y', *arguments, path, check_exit=0)
    return path


def picture(seconds=2, size='320x180', rate='25', look='testsrc2'):
    return '-f', 'lavfi', '-i', f'{look}=size={size}:rate={rate}:duration={seconds}'


def shared(name):
    """[path] of one of other players' test files, [] where these are not."""
    path = os.path.join(tap.SHARED, 'media', name)
    return [path] if os.path.exists(path) else []


def write(name, text):
    path = os.path.join(WORK, name)
    with open(path, 'wb') as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder, name):
    with open(os.path.join(folder, name)) as f:
        return f.read()


def report(folder):
    return json.loads(read(folder, 'report.json'))


def sets(folder, kind):
    return [s for s in xml.parse(folder + '/manifest.mpd').iter(MPD + 'AdaptationSet') if s.get('contentType') == kind]


# --- subtitles ------------------------------------------------------------------------------------

SRT = '1\n00:00:00,500 --> 00:00:01,000\n<i>Hola</i> & adiós\n\n2\n00:00:01,200 --> 00:00:01,700\ndos\nlíneas\n'
ASS = '''[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.25,0:00:00.75,Default,,0,0,0,,{\\an8\\fad(100,100)}Cartel
Dialogue: 0,0:00:01.00,0:00:01.50,Default,,0,0,0,,{\\b1}fuerte{\\b0}, con coma
'''


def cues(folder, name):
    """(start, end, settings, text) of a WebVTT file."""
    text = read(folder, name)
    head, _, rest = text.partition('\n\n')
    tap.equal(head, 'WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0', 'head')
    found = []
    for block in rest.rstrip('\n').split('\n\n'):
        _, times, *lines = block.split('\n')
        at = re.fullmatch(r'(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})(?: (.*))?', times)
        seconds = [int(at[i]) * 3600 + int(at[i + 1]) * 60 + float(at[i + 2]) for i in (1, 4)]
        found.append((*seconds, at[7] or '', '\n'.join(lines)))
    return found


def near_cues(got, want, tolerance=0.0015):
    tap.equal([c[2:] for c in got], [c[2:] for c in want], 'cues')
    for g, w in zip(got, want):
        tap.near(g[0], w[0], tolerance, 'start')
        tap.near(g[1], w[1], tolerance, 'end')


HOLA = [(0.5, 1.0, '', '<i>Hola</i> &amp; adiós'), (1.2, 1.7, '', 'dos\nlíneas')]
CARTEL = [(0.25, 0.75, 'line:0', 'Cartel'), (1.0, 1.5, '', '<b>fuerte</b>, con coma')]


def film_with_texts():
    srt, ass = write('a.srt', SRT), write('a.ass', ASS)
    return make('texts.mkv', *picture(), '-i', srt, '-i', ass, '-map', '0', '-map', '1', '-map', '2', '-c:v', 'libx264', '-preset', 'ultrafast',
                '-c:s:0', 'srt', '-c:s:1', 'ass', '-metadata:s:s:0', 'language=spa', '-metadata:s:s:0', 'title=Español "completo"',
                '-metadata:s:s:1', 'language=spa', '-disposition:s:1', 'forced')


@tap.test
def subtitles_in_the_master_become_webvtt():
    folder = package(film_with_texts())
    near_cues(cues(folder, 'text-es.vtt'), HOLA)
    near_cues(cues(folder, 'text-es-forced.vtt'), CARTEL)
    tap.equal([(t['file'], t['language'], t['label'], t['kind'], t['cues']) for t in report(folder)['subtitles']],
              [('text-es.vtt', 'es', 'Español "completo"', 'subtitles', 2), ('text-es-forced.vtt', 'es', '', 'forced', 2)])
    texts = sets(folder, 'text')
    tap.equal([(s.get('lang'), s.get('mimeType'), s.find(MPD + 'Role').get('value'), s.find(f'{MPD}Representation/{MPD}BaseURL').text) for s in texts],
              [('es', 'text/vtt', 'subtitle', 'text-es.vtt'), ('es', 'text/vtt', 'forced-subtitle', 'text-es-forced.vtt')])
    tap.equal(texts[0].find(MPD + 'Label').text, 'Español "completo"')
    main = read(folder, 'main.m3u8')
    tap.has(main, 'TYPE=SUBTITLES,GROUP-ID="text",NAME="Español  completo ",LANGUAGE="es",DEFAULT=NO,AUTOSELECT=YES,URI="text-es.m3u8"')
    tap.has(main, 'NAME="Español (forced)",LANGUAGE="es",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI="text-es-forced.m3u8"')
    tap.check(all('SUBTITLES="text"' in line for line in main.splitlines() if line.startswith('#EXT-X-STREAM-INF')), 'a variant without subtitles')
    tap.has(read(folder, 'text-es.m3u8'), '#EXTINF:2.000000,\ntext-es.vtt\n#EXT-X-ENDLIST')
    mpd_schema.check(folder)


@tap.test
def outside_readers_find_the_subtitles():
    """FFmpeg reads no .vtt beside a local MPD unless it is told that it may (over HTTP it does)."""
    folder = package(film_with_texts())
    for options in (('-allowed_extensions', 'ALL', '-i', folder + 'manifest.mpd'), ('-i', folder + 'text-es.vtt')):
        done = tap.call('ffmpeg', '-v', 'error', '-nostdin', *options, '-map', '0:s:0', '-f', 'srt', '-', check_exit=0)
        tap.has(done.stdout, '00:00:00,500 --> 00:00:01,000\n<i>Hola</i> & adiós\n\n2\n00:00:01,200 --> 00:00:01,700\ndos\nlíneas')


@tap.test
def cues_keep_their_distance_to_the_picture():
    """A film that begins late in its container, as mov_text and in Matroska; what lies outside is cut or left out."""
    srt = write('b.srt', SRT + '\n3\n00:00:01,900 --> 00:00:09,000\nlast\n\n4\n00:01:00,000 --> 00:01:01,000\nbehind\n')
    for name, codec in (('late.mkv', 'srt'), ('late.mp4', 'mov_text')):
        master = make(name, *picture(), '-i', srt, '-map', '0', '-map', '1', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:s', codec,
                      '-metadata:s:s:0', 'language=ger', '-output_ts_offset', '5')
        done, library = ingest(master)
        tap.equal(done.returncode, 0, done.stderr)
        folder = glob.glob(library + '/t/*/')[0]
        near_cues(cues(folder, 'text-de.vtt'), HOLA + [(1.9, 2.0, '', 'last')], 0.025)
        tap.has(done.stderr, '1 cues lie outside the film')


@tap.test
def subtitles_in_files():
    master = make('plain.mp4', *picture(), '-c:v', 'libx264', '-preset', 'ultrafast')
    wide = write('with, comma.srt', b'\xff\xfe' + SRT.encode('utf-16-le'))
    vtt = write('a.vtt', '\ufeffWEBVTT\n\nNOTE x\n\nid\n00:01.000 --> 00:01.500 line:10% region:x\n<v Ann>[door & hall]</v>\n')
    folder = package(master, '--subtitles', f'es={wide}', '--subtitles', f'en:sdh={vtt}', '--subtitles', f'es={write("a.ass", ASS)}')
    near_cues(cues(folder, 'text-es.vtt'), HOLA)
    near_cues(cues(folder, 'text-es-2.vtt'), CARTEL)
    near_cues(cues(folder, 'text-en-sdh.vtt'), [(1.0, 1.5, 'line:10%', '<v Ann>[door & hall]</v>')])
    main = read(folder, 'main.m3u8')
    tap.has(main, 'NAME="Español"')
    tap.has(main, 'NAME="Español 2"')
    tap.has(main, 'NAME="English (SDH)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog')
    tap.equal([s.find(MPD + 'Role').get('value') for s in sets(folder, 'text')], ['subtitle', 'caption', 'subtitle'])
    mpd_schema.check(folder)


@tap.test
def wrong_subtitle_files_are_refused_before_anything_is_encoded():
    master = make('plain.mp4', *picture(), '-c:v', 'libx264', '-preset', 'ultrafast')
    refused(master, 'is not UTF-8', 'iconv', options=('--subtitles', 'es=' + write('latin.srt', SRT.encode('latin-1'))))
    refused(master, '/nowhere.srt', 'check the path', options=('--subtitles', 'es=/nowhere.srt'))
    refused(master, 'SRT, WebVTT and ASS', options=('--subtitles', 'es=' + write('no.srt', 'Dear Sir,\n\nno.\n')))
    refused(master, options=('--subtitles', 'es=' + master))
    for setting in ('film.srt', '=x.srt', 'es=', 'e=x.srt', 'es:loud=x.srt', '../x=y'):
        refused(master, 'LANGUAGE=FILE', options=('--subtitles', setting))


@tap.test
def what_is_wrong_in_subtitles_is_found():
    whole = package(film_with_texts())
    text = 'text-es.vtt'
    for harm, *parts in (
            (harms.rewritten(text, lambda b: b.replace(b'WEBVTT', b'WEBVTX')), text + ':1', 'WEBVTT'),
            (harms.rewritten(text, lambda b: b.replace(b'--> 00:00:01.000', b'--> 00:00:00.100')), text + ':5', 'end behind its start'),
            (harms.rewritten(text, lambda b: b.replace(b'00:00:01.200', b'00:00:00.200')), text, 'before the one in front'),
            (harms.rewritten(text, lambda b: b.replace(b'01.700', b'03.700')), text, 'longer than the film'),
            (harms.rewritten(text, lambda b: b.replace(b'01.200 -->', b'1.200 -->')), text, 'times'),
            (harms.rewritten(text, lambda b: b[:b.index(b'\n\n')] + b'\n'), text, 'no cue'),
            (harms.mpd('<BaseURL>text-es.vtt', '<BaseURL>text-es-forced.vtt'), 'manifest.mpd', 'text-es-forced.vtt 2 times'),
            (harms.rewritten('text-es.m3u8', lambda b: b.replace(b'2.000000', b'1.000000')), 'text-es.m3u8', 'whole film'),
            (harms.rewritten('main.m3u8', lambda b: b.replace(b'URI="text-es.m3u8"', b'URI="text-es-forced.m3u8"')), 'main.m3u8', 'text-es-forced.vtt')):
        done = tap.call(tap.program('ribera-ingest'), '--verify', harms.consistent(whole, harm))
        tap.equal(done.returncode, 1, f'exit code for {parts}')
        for part in parts:
            tap.has(done.stderr, part)


def picture_subtitle(ms):
    """A display set as on a Blu-ray disc: composition, window, palette, an object of 8x2 in one colour, end."""
    line = b'\0\x88\1\0\0'  # eight of colour 1, end of line
    parts = ((0x16, struct.pack('>HHBHBBBBHBBHH', 320, 180, 0x10, 0, 0x80, 0, 0, 1, 0, 0, 0, 100, 150)),
             (0x17, struct.pack('>BBHHHH', 1, 0, 100, 150, 8, 2)), (0x14, bytes((0, 0, 1, 235, 128, 128, 255))),
             (0x15, struct.pack('>HBBHBHH', 0, 0, 0xc0, 0, 4 + 2 * len(line), 8, 2) + 2 * line), (0x80, b''))
    return b''.join(struct.pack('>2sIIBH', b'PG', 90 * ms, 0, kind, len(data)) + data for kind, data in parts)


@tap.test
def subtitles_that_are_pictures_are_left_out_and_told():
    masters = [make('pgs.mkv', *picture(), '-i', write('a.sup', picture_subtitle(500) + picture_subtitle(1500)), '-map', '0', '-map', '1',
                    '-c:v', 'libx264', '-preset', 'ultrafast', '-c:s', 'copy')]
    for master in masters + shared('media3__sample_with_pgs_subtitles.mkv'):
        done, _ = ingest(master, '--accept-truncated')
        tap.equal(done.returncode, 0, done.stderr)
        tap.has(done.stderr, 'hdmv_pgs_subtitle')
        tap.has(done.stderr, 'left out')


def with_parity(b):
    return b | 128 * (bin(b).count('1') % 2 == 0)


def captioned(name, script, seconds=4):
    """A film of 25/s whose pictures carry CEA-608 pairs as broadcasts do (ATSC A/53 in an SEI message): `script` has (picture, pairs),
    a pair a picture from there on; filling between."""
    raw = make('plain.h264', *picture(seconds, '160x96'), '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-x264-params', 'slices=1')
    pairs = {at + i: pair for at, these in script for i, pair in enumerate(these)}
    with open(raw, 'rb') as f:
        nals = re.split(b'\0\0\0?\1', f.read())[1:]
    out, number = b'', 0
    for nal in nals:
        if nal[0] & 31 in (1, 5):
            pair = bytes(with_parity(b) for b in pairs.get(number, (0, 0)))
            data = b'\xb5\0\x31GA94\3' + bytes((0xc2, 0xff, 0xfc)) + pair + b'\xfd\x80\x80\xff'
            # 7.3.1.1: no start code within
            body = re.sub(b'\0\0(?=[\0-\3])', b'\0\0\3', bytes((6, 4, len(data))) + data + b'\x80')
            out += b'\0\0\0\1' + body
            number += 1
        out += b'\0\0\0\1' + nal
    return make(name, '-r', '25', '-i', write('captioned.h264', out), '-f', 'lavfi', '-i', f'sine=440:duration={seconds}', '-map', '0', '-map', '1', '-c:v', 'copy',
                '-c:a', 'aac', '-metadata:s:a:0', 'language=eng')


def pop_on(text):
    """Resume caption loading, erase what is not shown, text into row 15, end of caption: which shows it (CEA-608)."""
    letters = text + '\0' * (len(text) % 2)
    return [(0x14, 0x20), (0x14, 0x2e), (0x14, 0x70), *((ord(a), ord(b)) for a, b in zip(letters[::2], letters[1::2])), (0x14, 0x2f)]


@tap.test
def closed_captions_in_the_pictures_become_webvtt():
    first, second = pop_on('GOOD EVENING.'), pop_on('ALL')
    for name in ('captions.ts', 'captions.mp4'):
        master = captioned(name, [(25 - len(first) + 1, first), (50, [(0x14, 0x2c)]), (75 - len(second) + 1, second)])
        done, library = ingest(master)
        tap.equal(done.returncode, 0, done.stderr)
        folder = glob.glob(library + '/t/*/')[0]
        got = cues(folder, 'text-en-sdh.vtt')
        tap.equal([c[3] for c in got], ['GOOD EVENING.', 'ALL'], 'text')
        for c, (start, end) in zip(got, ((1, 2), (3, 4))):
            tap.near(c[0], start, 0.045, 'start')
            tap.near(c[1], end, 0.045, 'end')
        tap.equal([(s.get('lang'), s.find(MPD + 'Role').get('value')) for s in sets(folder, 'text')], [('en', 'caption')])
        tap.has(read(folder, 'main.m3u8'), 'NAME="English (SDH)"')
        tap.call(tap.program('ribera-ingest'), '--verify', folder, check_exit=0)
    done, library = ingest(captioned('filling.mp4', []))
    tap.check(done.returncode == 0 and 'aption' not in done.stderr and not glob.glob(library + '/t/*/*.vtt'), 'filling alone made captions')


# --- colours --------------------------------------------------------------------------------------

def colours(path):
    """primaries, transfer, matrix, range of a track, and its pixel format."""
    done = tap.call('ffprobe', '-v', 'error', '-select_streams', 'v:0', '-show_entries',
                    'stream=color_primaries,color_transfer,color_space,color_range,pix_fmt', '-of', 'json', path, check_exit=0)
    s = json.loads(done.stdout)['streams'][0]
    return tuple(s.get(k, '') for k in ('color_primaries', 'color_transfer', 'color_space', 'color_range', 'pix_fmt'))


def mean_rgb(path):
    """Mean red, green, blue of the first picture, 0 to 255, through the matrix the file tells."""
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-frames:v', '1', '-vf', 'scale=flags=accurate_rnd+full_chroma_int,format=rgb24',
                          '-f', 'rawvideo', '-'], capture_output=True, check=True).stdout
    return tuple(sum(raw[i::3]) / (len(raw) / 3) for i in range(3))


def near_rgb(got, want, tolerance=4):
    for g, w in zip(got, want):
        tap.near(g, w, tolerance, f'colour {got} of {want}')


def top(folder):
    return max(glob.glob(folder + 'video-*p-*.mp4'), key=lambda p: int(re.search(r'(\d+)p-', p)[1]))


def hdr_film(name, transfer, colour, size='160x96', coder=('-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '4')):
    """One colour, 10 bit; `colour` in the master's own R'G'B' (0 to 1)."""
    geq = ':'.join(f"{k}='{round(v * 1023)}'" for k, v in zip('rgb', colour))
    return make(name, '-f', 'lavfi', '-i', f'color=size={size}:rate=10:duration=0.6,format=gbrp10,geq={geq},scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le',
                *coder, '-color_primaries', 'bt2020', '-color_trc', transfer, '-colorspace', 'bt2020nc', '-color_range', 'tv')


@tap.test
def hdr_becomes_sdr_for_h264():
    """Graphics white (203 cd/m2: 58 % of PQ, 75 % of HLG) stays a bright white, 20 cd/m2 stays as dark as it was, hue stays."""
    for transfer, white, dark in (('smpte2084', 0.5807, 0.357), ('arib-std-b67', 0.75, 0.3)):
        folder = package(hdr_film(f'white-{transfer}.mp4', transfer, (white,) * 3))
        tap.equal(colours(top(folder)), ('bt709', 'bt709', 'bt709', 'tv', 'yuv420p'))
        near_rgb(mean_rgb(top(folder)), (231,) * 3, 6)
        tap.equal(report(folder)['source']['transfer'], transfer)
        got = mean_rgb(top(package(hdr_film(f'orange-{transfer}.mp4', transfer, (white, white * 0.85, white * 0.5)))))
        tap.check(got[0] > got[1] + 20 > got[2] + 60, f'orange became {got}')
    near_rgb(mean_rgb(top(package(hdr_film('dark.mp4', 'smpte2084', (0.357,) * 3)))), (255 * (20 / 203) ** (1 / 2.4),) * 3)


@tap.test
def colours_are_told_and_kept():
    """What the master says is said in every rendition; what it does not say, as its size has it; RGB and full range are converted."""
    for name, look, size, options, want in (
            ('hd.mp4', 'color=red', '1280x720', (), ('bt709', 'bt709', 'bt709', 'tv', 'yuv420p')),
            ('pal.mp4', 'color=red', '720x576', (), ('bt470bg', 'bt709', 'bt470bg', 'tv', 'yuv420p')),
            ('ntsc.mp4', 'color=red', '720x480', (), ('smpte170m', 'bt709', 'smpte170m', 'tv', 'yuv420p')),
            ('said.mp4', 'color=red', '320x180', ('-color_primaries', 'smpte170m', '-color_trc', 'smpte170m', '-colorspace', 'smpte170m'),
             ('smpte170m', 'smpte170m', 'smpte170m', 'tv', 'yuv420p'))):
        master = make(name, '-f', 'lavfi', '-i', f'{look}:size={size}:rate=5:duration=1', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '4',
                      '-pix_fmt', 'yuv420p', *options)
        folder = package(master, '--ladder', 'fixed', '--max-rungs', '2')
        for path in glob.glob(folder + 'video-*.mp4'):
            tap.equal(colours(path), want, name)
    for name, options in (('rgb.mkv', ('-c:v', 'ffv1', '-pix_fmt', 'gbrp')), ('444.mkv', ('-c:v', 'ffv1', '-pix_fmt', 'yuv444p12le')),
                          ('422.mkv', ('-c:v', 'ffv1', '-pix_fmt', 'yuv422p10le')), ('png.mov', ('-c:v', 'png', '-pix_fmt', 'rgba')),
                          ('mjpeg.avi', ('-c:v', 'mjpeg', '-q:v', '1', '-pix_fmt', 'yuvj422p'))):
        master = make(name, '-f', 'lavfi', '-i', 'color=0x4080c0:size=160x96:rate=5:duration=1', *options)
        path = top(package(master))
        tap.equal(colours(path)[3:], ('tv', 'yuv420p'), name)
        near_rgb(mean_rgb(path), (0x40, 0x80, 0xc0))


def renditions(folder):
    """Files of the pictures, the small ones first."""
    return sorted(glob.glob(folder + 'video-*.mp4'), key=lambda path: int(stream(path)['height']))


def samples(path):
    """Hash of the decoded pictures."""
    return tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-map', '0:v', '-f', 'md5', '-', check_exit=0).stdout


@tap.test
def words_about_pictures_do_not_change_them_when_scaled():
    """Fields that are to be left alone, and colours that contradict each other or are unheard of."""
    ladder, film = write('three', '80x48 crf 20 max 1M\n120x72 crf 20 max 2M\n160x96 crf 20 max 3M\n'), picture(1, '160x96')
    lossless = ('-c:v', 'ffv1', '-pix_fmt', 'yuv420p')
    plain = [samples(path) for path in renditions(package(make('unflagged.mkv', *film, *lossless), '--ladder', ladder))]
    tap.equal(len(plain), 3)
    flagged = package(make('flagged.mkv', *film, '-vf', 'setfield=bff', *lossless), '--ladder', ladder, '--deinterlace', 'off')
    tap.equal(report(flagged)['source']['interlaced'], True)
    tap.equal([samples(path) for path in renditions(flagged)], plain, 'flags of fields')
    for name, said in (('matrix.mkv', ('-colorspace', 'rgb')), ('mixed.mkv', ('-color_primaries', 'film', '-color_trc', 'log316', '-colorspace', 'bt2020c')),
                       ('ycgco.mkv', ('-colorspace', 'ycgco', '-color_trc', 'linear'))):
        folder = package(make(name, *film, *said, *lossless), '--ladder', ladder)
        tap.equal([samples(path) for path in renditions(folder)], plain, name)


# --- AV1 and Opus ---------------------------------------------------------------------------------

def film_with_sound(name='sound.mp4', seconds=6):
    return make(name, *picture(seconds), '-f', 'lavfi', '-i', f'sine=440:duration={seconds}:sample_rate=44100', '-c:v', 'libx264', '-preset', 'ultrafast',
                '-c:a', 'aac', '-ac', '2', '-metadata:s:a:0', 'language=eng')


def lengths(folder, name):
    return [float(x) for x in re.findall(r'#EXTINF:([0-9.]+)', read(folder, name))]


@tap.test
def av1_and_opus_stand_beside_h264_and_aac():
    folder = package(film_with_sound(), '--segment', '2s', '--codecs', 'h264,av1,opus', '--av1-preset', '12', '--decode')
    found = {s.find(MPD + 'Representation').get('codecs'): s for s in sets(folder, 'video') + sets(folder, 'audio')}
    kinds = sorted(re.sub(r'^avc1\.[0-9A-F]{6}$', 'avc1', c) for c in found)
    tap.equal(kinds, ['av01.0.00M.08.0.110.06.01.06.0', 'avc1', 'mp4a.40.2', 'opus'])
    for codec, s in found.items():
        name = s.find(f'{MPD}Representation/{MPD}BaseURL').text
        tap.equal(tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', folder + name, '-f', 'null', '-').stderr, '', name)
        if s.get('contentType') == 'video':
            tap.equal(lengths(folder, name.replace('.mp4', '.m3u8')), [2, 2, 2], name)
        with open(folder + name, 'rb') as f:
            head = f.read(1200)
        for box in {'av01': (b'av1C', b'colr', b'pasp'), 'avc1': (b'avcC', b'colr', b'pasp'), 'opus': (b'Opus', b'dOps', b'sgpd', b'roll')}.get(codec[:4], ()):
            tap.check(box in head, f'{name} has no {box}')
    with open(glob.glob(folder + 'audio-*-opus-*.mp4')[0], 'rb') as f:
        head = f.read(1200)
    at = head.index(b'sgpd') + 8  # version 1: grouping type, length, count, roll distance
    tap.equal((head[at:at + 4], int.from_bytes(head[at + 12:at + 14], 'big', signed=True)), (b'roll', -4), '80 ms of pre-roll')
    av1 = next(v for v in report(folder)['video'] if 'av1' in v['file'])
    tap.equal([v is not None for v in av1['segment_ssim'] + av1['segment_psnr']], [True] * 6, 'quality of AV1')
    seen = subprocess.run(['ffmpeg', '-nostdin', '-i', folder + av1['file'], '-i', os.path.join(WORK, 'sound.mp4'), '-filter_complex',
                           f'[0:v]settb=AVTB,setpts=N[a];[1:v]scale={av1["width"]}:{av1["height"]},settb=AVTB,setpts=N[b];[a][b]ssim', '-f', 'null', '-'],
                          capture_output=True, text=True, check=True).stderr
    tap.near(av1['ssim'], float(re.search(r'SSIM Y:([0-9.]+)', seen)[1]), 0.01, 'SSIM as another tool sees it')
    for sound in report(folder)['audio']:
        tap.near(sound['av_offset_start_ms'], 0, 0.1)
        tap.near(sound['av_offset_end_ms'], 0, 0.1)
    main = read(folder, 'main.m3u8')
    tap.has(main, 'CODECS="av01.0.00M.08.0.110.06.01.06.0,opus"')
    tap.has(main, 'AUDIO="opus-2"')
    tap.check(re.search(r'CODECS="avc1[^"]*,mp4a.40.2".*AUDIO="audio-2"', main), 'no H.264 with AAC')
    tap.equal(tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', folder + 'manifest.mpd', '-map', '0', '-f', 'null', '-').stderr, '')
    mpd_schema.check(folder)


@tap.test
def presets_of_av1_at_which_two_sizes_stand_still_are_refused():
    r = tap.call(tap.program('ribera-ingest'), film_with_sound(), '--library', tap.folder(), '--codecs', 'h264,av1', '--av1-preset', '2')
    tap.check(r.returncode != 0 and 'av1-preset' in r.stderr and '3' in r.stderr, r.stderr)


@tap.test
def hdr_is_kept_in_av1():
    for transfer, name, number in (('smpte2084', 'PQ', '16'), ('arib-std-b67', 'HLG', '18')):
        folder = package(hdr_film(f'white-{transfer}.mp4', transfer, (0.58,) * 3), '--codecs', 'av1', '--av1-preset', '12')
        tap.equal(colours(glob.glob(folder + 'video-av1-*.mp4')[0]), ('bt2020', transfer, 'bt2020nc', 'tv', 'yuv420p10le'))
        avc, av1 = sets(folder, 'video')
        tap.equal([(e.get('schemeIdUri').rsplit(':', 1)[1], e.get('value')) for e in av1.iter(MPD + 'EssentialProperty')],
                  [('ColourPrimaries', '9'), ('TransferCharacteristics', number), ('MatrixCoefficients', '9')])
        tap.equal(list(avc.iter(MPD + 'EssentialProperty')), [])
        tap.check(re.fullmatch(rf'av01\.0\.\d\dM\.10\.0\.110\.09\.{number}\.09\.0', av1.find(MPD + 'Representation').get('codecs')), 'codecs')
        main = read(folder, 'main.m3u8')
        tap.check(re.search(rf'CODECS="av01[^"]*".*VIDEO-RANGE={name}', main) and re.search(r'CODECS="avc1[^"]*".*VIDEO-RANGE=SDR', main), 'VIDEO-RANGE')
        mpd_schema.check(folder)
    luma = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', glob.glob(folder + 'video-av1-*.mp4')[0], '-frames:v', '1', '-pix_fmt', 'gray10le',
                           '-f', 'rawvideo', '-'], capture_output=True, check=True).stdout
    tap.near(int.from_bytes(luma[:2], 'little'), 0.58 * 1023, 8, 'the luma of 58 %')


@tap.test
def what_a_master_says_of_its_light_is_kept_in_av1():
    """Mastering display (SMPTE ST 2086) and content light (CTA-861.3), in the boxes and in the bitstream of each segment."""
    master = hdr_film('light.mp4', 'smpte2084', (0.58,) * 3, size='64x64', coder=('-c:v', 'libx265', '-x265-params',
                      'log-level=0:pools=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1100,180'))
    folder = package(master, '--codecs', 'av1', '--av1-preset', '12', '--segment', '0.5s', '--decode')
    done = tap.call('ffprobe', '-v', 'error', '-show_frames', '-show_streams', '-of', 'json', glob.glob(folder + 'video-av1-*.mp4')[0], check_exit=0)
    found = json.loads(done.stdout)
    keys = [f for f in found['frames'] if f['key_frame']]
    tap.equal(len(keys), 2, 'segments')
    for at in (found['streams'][0], *keys):
        said = {k: v for side in at['side_data_list'] for k, v in side.items()}
        tap.equal((said['max_content'], said['max_average']), (1100, 180))
        for key, want in (('red_x', 0.68), ('green_y', 0.69), ('blue_x', 0.15), ('white_point_y', 0.329), ('max_luminance', 1000), ('min_luminance', 0.005)):
            tap.near(eval(said[key]), want, 0.0001, key)
    with open(top(folder), 'rb') as f:
        head = f.read(1500)
    tap.check(b'mdcv' not in head and b'clli' not in head, 'the SDR rendition speaks of HDR')


@tap.test
def an_interrupted_av1_ingest_gives_the_same_bits():
    options = ('--segment', '1s', '--codecs', 'av1,opus', '--av1-preset', '8')
    master = film_with_sound(seconds=4)
    whole = os.path.basename(package(master, *options).rstrip('/'))
    library = os.path.join(WORK, 'killed')
    command = (tap.program('ribera-ingest'), master, '--library', library, '--title', 't', '--preset', 'ultrafast', '--ladder', 'fixed', '--max-rungs', '1', *options)
    process = tap.Process(*command)
    tap.until(lambda: glob.glob(library + '/.work-*/chunks/video-av1-*.000000') or not process.alive(), 60, 'the first chunk')
    process.kill()
    tap.call(*command, check_exit=0)
    tap.equal(os.listdir(library + '/t'), [whole])


@tap.test
def codecs_that_cannot_be_made_are_told():
    refused(film_with_sound(), 'h264, aac, av1, opus', options=('--codecs', 'h264,vp9'))
    done, library = ingest(make('tiny.mp4', *picture(1, '48x48'), '-c:v', 'libx264', '-preset', 'ultrafast'), '--codecs', 'av1')
    tap.equal(done.returncode, 0, done.stderr)
    tap.has(done.stderr, 'AV1 is left out')


# --- time -----------------------------------------------------------------------------------------

def stream(path, kind='v:0'):
    done = tap.call('ffprobe', '-v', 'error', '-count_packets', '-select_streams', kind, '-show_entries',
                    'stream=nb_read_packets,avg_frame_rate,width,height,sample_aspect_ratio,channels,sample_rate,start_time', '-of', 'json', path, check_exit=0)
    return json.loads(done.stdout)['streams'][0]


def beeps(path):
    """Starts of the tones of a track, in seconds."""
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-copyts', '-i', path, '-af', 'aresample=8000:async=1:first_pts=0', '-ac', '1', '-f', 's16le', '-'],
                         capture_output=True, check=True).stdout
    loud = [abs(int.from_bytes(raw[i:i + 2], 'little', signed=True)) > 2000 for i in range(0, len(raw), 2)]
    found, last = [], -8000
    for i, on in enumerate(loud):
        if on and i - last > 1600:
            found.append(i / 8000)
        last = i if on else last
    return found


BEEPS = 'aevalsrc=0.4*sin(2*PI*880*t)*lt(mod(t\\,1)\\,0.1):s={rate}:d={seconds}'


@tap.test
def odd_rates_do_not_drift():
    for rate, frames in (('24000/1001', 72), ('30000/1001', 90), ('60000/1001', 180), ('25/2', 38)):
        folder = package(make('rate.mp4', '-f', 'lavfi', '-i', f'testsrc2=size=160x96:rate={rate}', '-f', 'lavfi', '-i', BEEPS.format(rate=48000, seconds=3),
                              '-frames:v', frames, '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac'))
        got = stream(top(folder))
        tap.equal((int(got['nb_read_packets']), got['avg_frame_rate']), (frames, rate), rate)
        tap.near(sum(lengths(folder, os.path.basename(top(folder)).replace('.mp4', '.m3u8'))), frames / eval(rate), 0.00001, rate)
        for got, want in zip(beeps(glob.glob(folder + 'audio-*.mp4')[0]), (0, 1, 2)):
            tap.near(got, want, 0.005, f'a beep at {rate}')


@tap.test
def a_variable_rate_keeps_its_times():
    """Pictures at 0, 1/25, ... with every third missing and a hole of a second: a white one at 2.0 s stays at 2.0 s."""
    master = make('vfr.mkv', '-f', 'lavfi', '-i', 'color=black:size=160x96:rate=25:duration=4,geq=lum=\'if(between(T,1.99,2.19),235,16)\':cb=128:cr=128,'
                  'select=\'not(eq(mod(n,3),1))*not(between(t,2.5,3.4))+between(t,1.99,2.01)\'', '-fps_mode', 'vfr', '-c:v', 'libx264', '-preset', 'ultrafast')
    folder = package(master)
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', top(folder), '-vf', 'scale=1:1,format=gray', '-f', 'rawvideo', '-'], capture_output=True, check=True).stdout
    rate = eval(stream(top(folder))['avg_frame_rate'])
    white = [i / rate for i, v in enumerate(raw) if v > 128]
    tap.near(len(raw) / rate, 4, 0.09, 'length')
    tap.near(white[0], 2, 0.041, 'the white picture')
    tap.near(white[-1], 2.2, 0.1, 'the last white picture')


@tap.test
def interlaced_masters_give_frames_or_fields():
    master = make('fields.ts', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=50:duration=2,interlace', '-c:v', 'mpeg2video', '-flags', '+ilme+ildct', '-q:v', '2')
    for mode, frames, rate in ((None, 50, '25/1'), ('frame', 50, '25/1'), ('field', 100, '50/1'), ('off', 50, '25/1')):
        folder = package(master, *(('--deinterlace', mode) if mode else ()))
        got = stream(top(folder))
        tap.equal((int(got['nb_read_packets']), got['avg_frame_rate']), (frames, rate), mode)
        tap.equal(report(folder)['source']['interlaced'], True)
    refused(master, 'frame, field, off', options=('--deinterlace', 'weave'))


@tap.test
def fields_that_only_the_pictures_tell_of_are_found():
    """Headers say progressive or nothing; the second film begins with whole pictures, and its fields come later."""
    fields = ('-f', 'lavfi', '-i', 'testsrc2=size=160x96:rate=50:duration=1,scroll=horizontal=0.03,interlace', '-flags', '+ilme+ildct')
    for name, coder, mode, frames in (('fields.mkv', ('-c:v', 'libx264', '-preset', 'ultrafast'), 'field', 50), ('fields.avi', ('-c:v', 'mpeg4', '-q:v', '2'), 'frame', 25)):
        folder = package(make(name, *fields, *coder), '--deinterlace', mode)
        tap.equal((int(stream(top(folder))['nb_read_packets']), report(folder)['source']['interlaced']), (frames, True), f'{name} {mode}')
    parts = [make('a.ts', *picture(2, '160x96'), '-c:v', 'libx264', '-preset', 'ultrafast'), make('b.ts', *fields, '-c:v', 'libx264', '-preset', 'ultrafast')]
    with open(parts[0], 'rb') as a, open(parts[1], 'rb') as b:
        both = write('both.ts', a.read() + b.read())
    master = make('both.mkv', '-i', both, '-c', 'copy')
    woven, mended = (top(package(master, '--deinterlace', mode)) for mode in ('off', 'frame'))
    tap.equal(int(stream(mended)['nb_read_packets']), 75)
    combs = [lines_apart(path) for path in (woven, mended)]
    tap.check(combs[0] > 2 and combs[1] < combs[0] / 2, f'combs: {combs}')
    smooth = top(package(master, '--deinterlace', 'field'))
    tap.equal((int(stream(smooth)['nb_read_packets']), stream(smooth)['avg_frame_rate']), (150, '50/1'), 'both halves at full rate')
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', smooth, '-pix_fmt', 'gray', '-f', 'rawvideo', '-'], capture_output=True, check=True).stdout
    moves = [sum(abs(a - b) for a, b in zip(raw[at:at + 15360:7], raw[at + 15360:at + 30720:7])) / 2194 for at in range(0, len(raw) - 15360, 15360)]
    tap.check(sum(moves[1:99:2]) > 5 * sum(moves[0:99:2]), f'whole pictures are not shown twice: {moves[:99]}')
    tap.check(min(moves[101:148]) > 1, f'a field is shown twice: {moves[100:]}')


def lines_apart(path):
    """How much more a line of luma differs from the next than from the one behind that, over the last second: combs."""
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-ss', '2', '-i', path, '-pix_fmt', 'gray', '-f', 'rawvideo', '-'], capture_output=True, check=True).stdout
    return sum(abs(a - b) - abs(a - c) for a, b, c in zip(raw, raw[160:], raw[320:])) / len(raw)


@tap.test
def shapes_come_out_upright_and_square():
    for name, options, size in (('sar.mp4', ('-vf', 'scale=176:144,setsar=16/11'), (176, 98)), ('odd.mkv', ('-vf', 'scale=161:97,setsar=1', '-pix_fmt', 'yuv444p'), (160, 96))):
        got = stream(top(package(make(name, *picture(1), *options, '-c:v', 'libx264', '-preset', 'ultrafast'))))
        tap.near(got['width'], size[0], 2, name)
        tap.near(got['height'], size[1], 2, name)
        tap.equal(got['sample_aspect_ratio'], '1:1', name)
    plain = make('plain.mp4', *picture(1), '-c:v', 'libx264', '-preset', 'ultrafast')
    turned = make('turned.mp4', '-i', plain, '-c', 'copy', '-metadata:s:v:0', 'rotate=90')
    got = stream(top(package(turned)))
    tap.equal((got['width'], got['height']), (180, 320))


# --- sound ----------------------------------------------------------------------------------------

@tap.test
def sound_of_every_kind():
    for channels, rate, want in (('mono', 44100, ['mono']), ('stereo', 96000, ['stereo']), ('5.1', 48000, ['5.1', 'stereo']), ('7.1', 48000, ['5.1', 'stereo'])):
        master = make('sound.mkv', *picture(1, '160x96', 10), '-f', 'lavfi', '-i', f'sine=440:duration=1:sample_rate={rate}', '-af', f'aformat=channel_layouts={channels}',
                      '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'flac' if channels != '7.1' else 'pcm_s24le')
        folder = package(master)
        tap.equal(sorted(os.path.basename(p).split('-')[2] for p in glob.glob(folder + 'audio-*.mp4')), want, channels)
        for path in glob.glob(folder + 'audio-*.mp4'):
            got = stream(path, 'a:0')
            tap.equal((got['channels'], got['sample_rate']), ({'mono': 1, 'stereo': 2, '5.1': 6}[path.split('-')[-2]], str(44100 if rate == 44100 else 48000)), path)


@tap.test
def sound_that_begins_late_or_ends_early_keeps_its_place():
    """In Matroska, MP4 and a transport stream that begins at 1.4 s and more."""
    for name in ('late.mkv', 'late.mp4', 'late.ts'):
        master = make(name, *picture(4, '160x96', 10), '-itsoffset', '1.5', '-f', 'lavfi', '-i', BEEPS.format(rate=48000, seconds=1.6), '-map', '0', '-map', '1', '-c:v', 'libx264',
                      '-preset', 'ultrafast', '-c:a', 'aac', '-metadata:s:a:0', 'language=fra')
        folder = package(master)
        path = glob.glob(folder + 'audio-fr-*.mp4')[0]
        got = beeps(path)
        tap.equal(len(got), 2, name)
        tap.near(got[0], 1.5, 0.025, name)
        tap.near(got[1], 2.5, 0.025, name)
        tap.near(report(folder)['audio'][0]['duration'], 4, 0.03, 'length of ' + name)


@tap.test
def sound_may_change_its_kind_on_its_way():
    """As broadcasts do, from mono at 44.1 kHz to stereo at 48 and back: one rendition, as long as the film, and every beep in its place."""
    parts = b''
    for at, (channels, rate) in enumerate(((1, 44100), (2, 48000), (1, 44100))):
        with open(make('part.ts', *picture(2, '160x96'), '-f', 'lavfi', '-i', BEEPS.format(rate=rate, seconds=2), '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac',
                       '-ac', channels, '-muxdelay', '0', '-output_ts_offset', 2 * at), 'rb') as f:
            parts += f.read()
    folder = package(write('kinds.ts', parts))
    tap.near(report(folder)['audio'][0]['duration'], 6, 0.1)
    got = beeps(glob.glob(folder + 'audio-*.mp4')[0])
    tap.equal(len(got), 6, f'beeps: {got}')
    for have, want in zip(got, range(6)):
        tap.near(have, want, 0.06, 'a beep')


@tap.test
def each_sound_keeps_its_language_name_and_part():
    """The default is what the master says, not what stands first; a commentary is chosen by nobody."""
    sound = ('-f', 'lavfi', '-i', 'sine=440:duration=1')
    said = (('eng', "Director's notes", 'comment'), ('eng', '', '0'), ('spa', 'Castellano', 'default'), ('spa', '', 'visual_impaired'), ('fra', '', 'dub'))
    options = [x for i, (language, name, part) in enumerate(said)
               for x in ('-map', 1, f'-metadata:s:a:{i}', 'language=' + language, f'-metadata:s:a:{i}', 'title=' + name, f'-disposition:a:{i}', part)]
    folder = package(make('tongues.mp4', *picture(1, '160x96', 10), *sound, '-map', 0, *options, '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac'))
    tap.equal([(s.get('lang'), getattr(s.find(MPD + 'Label'), 'text', None), s.find(MPD + 'Role').get('value')) for s in sets(folder, 'audio')],
              [('en', None, 'commentary'), ('en', None, 'alternate'), ('es', None, 'main'), ('es', None, 'description'), ('fr', None, 'dub')])
    tap.equal([s.find(MPD + 'Accessibility').get('value') for s in sets(folder, 'audio') if s.find(MPD + 'Accessibility') is not None], ['1'])
    tap.equal([a['default'] for a in report(folder)['audio']], [False, False, True, False, False])
    lines = [line for line in read(folder, 'main.m3u8').splitlines() if 'TYPE=AUDIO' in line]
    tap.equal([('DEFAULT=YES' in line, 'AUTOSELECT=YES' in line, 'describes-video' in line) for line in lines],
              [(False, False, False), (False, True, False), (True, True, False), (False, True, True), (False, True, False)])
    tap.equal(len({re.search('NAME="([^"]*)"', line)[1] for line in lines}), 5, 'names')
    mpd_schema.check(folder)


# --- what is broken -------------------------------------------------------------------------------

def white_beeps(name, *options):
    """A film of 2 s whose pictures are white and whose sound beeps at 1 s, as a transport stream."""
    path = make(name, '-f', 'lavfi', '-i', "color=black:size=160x96:rate=25:duration=2,geq=lum='if(between(T,0.99,1.1),235,16)':cb=128:cr=128", '-f', 'lavfi', '-i',
                'aevalsrc=0.4*sin(2*PI*880*t)*between(t\\,1\\,1.1):s=48000:d=2', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac', '-muxdelay', '0', *options)
    with open(path, 'rb') as f:
        return f.read()


def whites(path):
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-vf', 'scale=1:1,format=gray', '-f', 'rawvideo', '-'], capture_output=True, check=True).stdout
    return [i / 25 for i, v in enumerate(raw) if v > 128 and raw[i - 1] <= 128], len(raw)


@tap.test
def clocks_that_go_back_or_wrap_are_mended():
    """Recordings one behind the other whose clocks begin anew or go back, and one whose 33 bits run over: no picture is lost, sound stays with it."""
    film = white_beeps('clock.ts')
    for name, data, times in (('anew.ts', film + film + film, 3), ('back.ts', white_beeps('far.ts', '-output_ts_offset', '3000') + film, 2),
                              ('wrap.ts', white_beeps('wrapped.ts', '-output_ts_offset', '95442.2'), 1)):
        done, library = ingest(write(name, data))
        tap.equal(done.returncode, 0, f'{name}: {done.stderr}')
        tap.equal('time stamps jump' in done.stderr, times > 1, name + ': ' + done.stderr)
        folder = glob.glob(library + '/t/*/')[0]
        seen, frames = whites(top(folder))
        heard = beeps(glob.glob(folder + 'audio-*.mp4')[0])
        tap.near(frames, 50 * times, 2 * times, f'pictures of {name}')
        tap.check(len(seen) == len(heard) == times, f'{name}: {seen} {heard}')
        for a, b in zip(seen, heard):
            tap.near(a, b, 0.07, f'{name}: {seen} {heard}')


@tap.test
def pictures_without_time_stamps_get_some():
    master = make('bare.h264', *picture(2, '160x96'), '-c:v', 'libx264', '-preset', 'medium', '-bf', '3')
    tap.equal(int(stream(top(package(master)))['nb_read_packets']), 50)


@tap.test
def broken_time_stamps_are_mended_or_refused():
    """A transport stream's clock may begin anew, far ahead; in a file that has one clock nobody knows what it means.  Standard input takes the same film."""
    part = make('part.ts', *picture(2), '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0')
    again = make('again.ts', *picture(2), '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-output_ts_offset', '2000')
    with open(part, 'rb') as a, open(again, 'rb') as b:
        done, library = ingest(write('jump.ts', a.read() + b.read()))
    tap.equal(done.returncode, 0, done.stderr)
    tap.has(done.stderr, 'time stamps jump (1 in all)')
    tap.equal(int(stream(top(glob.glob(library + '/t/*/')[0]))['nb_read_packets']), 100)
    refused(make('jump.mkv', '-i', part, '-c', 'copy', '-bsf:v', "setts=ts='if(gte(N,25),TS+2000*1000,TS)'"), 'time stamps jump', 'remux')
    with open(part, 'rb') as f:
        done, library = ingest('-', stdin=f)
    tap.equal(done.returncode, 0, done.stderr)
    tap.equal(int(stream(top(glob.glob(library + '/t/*/')[0]))['nb_read_packets']), 50)


def stray_in_ts(data, number, seconds):
    """The transport stream with the time stamp of its picture `number` (which has no other) so far ahead."""
    out, seen = bytearray(data), 0
    for at in range(0, len(out), 188):
        if out[at + 1] & 0x40 and (out[at + 1] & 0x1f) << 8 | out[at + 2] == 256:
            pes = at + 4 + (1 + out[at + 4] if out[at + 3] & 0x20 else 0)
            if seen == number:
                tap.equal((out[pes:pes + 4], out[pes + 7] & 0xc0), (b'\0\0\1\xe0', 0x80), 'a picture with PTS alone')
                p = out[pes + 9:pes + 14]
                t = ((p[0] >> 1 & 7) << 30 | p[1] << 22 | p[2] >> 1 << 15 | p[3] << 7 | p[4] >> 1) + 90000 * seconds
                out[pes + 9:pes + 14] = bytes((0x21 | t >> 29 & 14, t >> 22 & 255, 1 | t >> 14 & 254, t >> 7 & 255, 1 | t << 1 & 254))
            seen += 1
    tap.check(seen > number, f'{seen} pictures')
    return bytes(out)


@tap.test
def a_lone_time_stamp_far_ahead_leaves_no_hole():
    """Of a picture without B pictures, where all of it is wrong; of one among them, which is decoded in time and shown too late."""
    film = white_beeps('stray.ts', '-bf', '0')
    for name, master in (('in a transport stream', write('stray-5.ts', stray_in_ts(film, 25, 300))), ('an hour', write('stray-h.ts', stray_in_ts(film, 10, 3600))),
                         ('in Matroska', make('stray.mkv', '-i', write('film.ts', film), '-c', 'copy', '-bsf:v', "setts=pts='if(eq(N,30),TS+300*1000,TS)'")),
                         ('shown late', make('late.mkv', '-i', write('film.ts', white_beeps('b.ts', '-bf', '2')), '-c', 'copy', '-bsf:v', "setts=pts='if(eq(N,30),PTS+300*1000,PTS)'"))):
        done, library = ingest(master)
        tap.equal(done.returncode, 0, f'{name}: {done.stderr}')
        folder = glob.glob(library + '/t/*/')[0]
        seen, frames = whites(top(folder))
        heard = beeps(glob.glob(folder + 'audio-*.mp4')[0])
        tap.near(frames, 50, 1, f'pictures of {name}: {done.stderr}')
        tap.check(len(seen) == len(heard) == 1, f'{name}: {seen} {heard}')
        tap.near(seen[0], heard[0], 0.07, name)
        tap.has(done.stderr, 'time stamps far ahead of all around (1 in all), the first where')


@tap.test
def what_is_no_master_is_told_why():
    coders = ('-f', 'lavfi', '-i', 'sine=440:duration=1', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac')
    plain = make('plain.mp4', *picture(1), *coders)
    lock = ('-encryption_scheme', 'cenc-aes-ctr', '-encryption_key', '00112233445566778899aabbccddeeff', '-encryption_kid', '0' * 31 + '1')
    fragmented = make('fragmented.mp4', '-i', plain, '-c', 'copy', '-movflags', '+frag_keyframe+empty_moov')
    locked = make('locked.mp4', '-i', plain, '-c', 'copy', '-movflags', '+faststart', *lock)
    with open(plain, 'rb') as f, open(fragmented, 'rb') as g, open(locked, 'rb') as h:
        film, init, locked_init = f.read(), g.read(), h.read()
    media = next((start, end) for kind, start, end in harms.boxes(film) if kind == 'mdat')
    noise = film[:media[0] + 8] + random.Random(1).randbytes(media[1] - media[0] - 8) + film[media[1]:]
    init = init[:init.index(b'moof') - 4]
    _, start, end = next(b for b in harms.boxes(locked_init) if b[0] == 'moov')
    system = struct.pack('>I4sI16sI', 32, b'pssh', 0, bytes(range(16)), 0)  # ISO/IEC 23001-7 8.1: what a licence server is asked with
    locked_init = locked_init[:start] + struct.pack('>I', end - start + 32) + locked_init[start + 4:end] + system
    for master, other, *parts in (
            (locked, 'media3__sample_fragmented_sgpd_v2.mp4', 'encrypted'),
            (write('locked-init.mp4', locked_init), 'shaka__encrypted-sintel-video-init.mp4', 'encrypted'),
            (write('init.mp4', init), 'shaka__cea-init.mp4', 'holds none', 'initialization segment'),
            (write('vvc.mp4', film.replace(b'avc1\0\0\0\0\0\0', b'vvc1\0\0\0\0\0\0')), 'media3__sample_vvc.mp4', 'no decoder', 'vvc1'),
            (write('fpcm.mp4', film.replace(b'mp4a\0\0\0\0\0\0', b'fpcm\0\0\0\0\0\0').replace(b'esds', b'skip')), 'media3__sample_fpcm_32le.mp4', 'stream 1 (sound)', 'no decoder', 'fpcm'),
            (make('sound.m4a', '-i', plain, '-vn', '-c', 'copy'), 'bento4__audio-aac-002.mp4', 'no picture'),
            (write('noise.mp4', noise), 'dashif-isov__Adapt0rep0.mp4', 'could be decoded')):
        for path in [master, *shared(other)]:
            refused(path, *parts)
            tap.equal(tap.call(tap.program('ribera-ingest'), '--dry-run', '--ladder', 'fixed', path).returncode, 1, f'a plan for {os.path.basename(path)}')


@tap.test
def fragments_that_do_not_say_how_long_they_are():
    """A length of all ones is "unknown" (ISO/IEC 14496-12 8.2.2), not 143165 s."""
    film = make('unknown.mp4', *picture(1), '-c:v', 'libx264', '-preset', 'ultrafast', '-movflags', '+frag_keyframe+empty_moov')
    with open(film, 'rb') as f:
        data = bytearray(f.read())
    at = data.index(b'mvhd')
    data[at + 20:at + 24] = b'\xff' * 4
    for path in [write('unknown.mp4', bytes(data)), *shared('media3__sample_fragmented.mp4')]:
        package(path)


# --- chapters -------------------------------------------------------------------------------------

@tap.test
def chapters_are_kept():
    meta = write('meta.txt', ';FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=700\ntitle=Uno & <dos>\n'
                 '[CHAPTER]\nTIMEBASE=1/1000\nSTART=700\nEND=5000\n')
    for name in ('chapters.mkv', 'chapters.mp4'):
        folder = package(make(name, *picture(2), '-i', meta, '-map_chapters', '1', '-c:v', 'libx264', '-preset', 'ultrafast'))
        tap.equal(json.loads(read(folder, 'chapters.json')),
                  [{'chapter': 1, 'start-time': 0.0, 'duration': 0.7, 'titles': [{'language': 'und', 'title': 'Uno & <dos>'}]},
                   {'chapter': 2, 'start-time': 0.7, 'duration': 1.3, 'titles': [{'language': 'und', 'title': '2'}]}])
        tap.equal(report(folder)['chapters'], json.loads(read(folder, 'chapters.json')))
        tap.equal([(e.get('presentationTime'), e.get('duration'), e.text) for e in xml.parse(folder + '/manifest.mpd').iter(MPD + 'Event')],
                  [('0', '700', 'Uno & <dos>'), ('700', '1300', '2')])
        mpd_schema.check(folder)
        near_cues(cues(folder, 'chapters.vtt'), [(0, 0.7, '', 'Uno &amp; &lt;dos&gt;'), (0.7, 2, '', '2')])
        tap.has(read(folder, 'main.m3u8'), '#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="chapters.json"')
        tap.call(tap.program('ribera-ingest'), '--verify', folder, check_exit=0)


tap.run()

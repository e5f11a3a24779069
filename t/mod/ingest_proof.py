#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a look into the pictures and the sound can find: each harm is done with right hashes and right boxes."""
import glob, html.parser, json, math, os, re, struct, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, harm, tap

FILM = film.generated(9, '640x360', '25', "negate=enable='between(t,4,8)'")
_, _, PACKAGE = film.library(FILM, 'p', '--preset', 'superfast', '--max-rungs', '2')
VIDEO = os.path.basename(sorted(glob.glob(PACKAGE + '/video-*.mp4'))[-1])
OTHER = os.path.basename(sorted(glob.glob(PACKAGE + '/video-*.mp4'))[0])
AUDIO = os.path.basename(glob.glob(PACKAGE + '/audio-*.mp4')[0])


def verify(folder, *options):
    return tap.call(tap.program('ribera-ingest'), '--verify', folder, *options)


def found(change, *parts, options=['--quick'], name=VIDEO):
    """The harm must be found, and named with file and segment; `change` works on the track."""
    done = verify(harm.consistent(PACKAGE, harm.track(name, change) if callable(change) else change[0]), *options)
    tap.equal(done.returncode, 1, f'exit code for {parts}')
    for part in (name, *parts, 'ribera-ingest'):
        tap.has(done.stderr, part)


def in_sample(segment, sample, change):
    def apply(t):
        s = t.segments[segment].samples[sample]
        s['bytes'] = change(s['bytes'])
    return apply


def scrambled(data):
    """A slice's data overwritten from its first third on, its header left."""
    at = max(40, len(data) // 3)
    return data[:at] + bytes((7 * i * i + 13 * i + 255) & 255 | 4 for i in range(len(data) - at))


def slices(data):
    """(offset, type) of each NAL."""
    at = 0
    while at < len(data):
        yield at + 4, data[at + 4] & 31
        at += 4 + struct.unpack_from('>I', data, at)[0]


def as_type(data, was, becomes):
    out = bytearray(data)
    for at, kind in slices(data):
        if kind == was:
            out[at] = out[at] & 0xe0 | becomes
    return bytes(out)


@tap.test
def a_right_package_is_right_to_the_last_picture():
    done = verify(PACKAGE, '--json')
    tap.equal(done.returncode, 0, done.stderr)
    k = json.loads(done.stdout)
    tap.equal((k['pictures'], k['pictures_decoded'], k['segments_decoded'], k['starts_decoded']), (450, 450, 9, 6))
    tap.near(k['samples_decoded'], 9 * 48000, 2048, 'samples of sound')
    tap.equal((k['audio'][0]['av_offset_start_ms'], k['audio'][0]['av_offset_end_ms'], k['audio'][0]['silent']), (0, 0, False))
    quick = json.loads(verify(PACKAGE, '--json', '--quick').stdout)
    tap.equal((quick['pictures'], quick['starts_decoded']), (450, 6))
    tap.check(quick['pictures_decoded'] < 300, f'a sample decodes {quick["pictures_decoded"]} pictures')


@tap.test
def a_first_picture_that_cannot_be_decoded_is_found_at_once():
    found(in_sample(1, 0, scrambled), 'segment 1 (4.000 s)', 'decoded')


@tap.test
def any_picture_that_cannot_be_decoded_is_found():
    found(in_sample(1, 1, scrambled), 'segment 1 (4.000 s)', 'decoded', options=[])


@tap.test
def sound_that_cannot_be_decoded_is_found():
    found(in_sample(2, 3, lambda d: bytes([0xff] * len(d))), 'segment 2 (8.0', 'decoded', options=[], name=AUDIO)


@tap.test
def a_segment_that_does_not_stand_alone_is_found():
    found(in_sample(1, 0, lambda d: as_type(d, 5, 1)), 'segment 1 (4.000 s)', 'IDR')
    found(in_sample(1, 5, lambda d: as_type(d, 1, 5)), 'segment 1 (4.000 s)', 'picture 5')


@tap.test
def segments_that_changed_places_are_found():
    def swap(t):
        a, b = t.segments[0], t.segments[1]
        t.segments[0], t.segments[1] = b, a
        a.tfdt, b.tfdt = b.tfdt, a.tfdt
    found(swap, 'segment 1 (4.000 s)', 'changed places')

    def swap_all(t):
        swap(t)
        a, b = t.segments[0], t.segments[1]
        a.sequence, b.sequence = b.sequence, a.sequence
    found(swap_all, 'shows another picture than ' + OTHER)


@tap.test
def a_missing_picture_is_found():
    def drop(t):
        s = t.segments[1]
        s.samples[3]['bytes'] = s.samples[4]['bytes']
    found(drop, 'segment 1 (4.000 s)', 'picture 3')

    def empty(t):
        t.segments[1].samples[3]['bytes'] = b''
    found(empty, 'segment 1 (4.000 s)', 'no picture')

    def two(t):
        s = t.segments[1]
        s.samples[3]['bytes'] += s.samples[4]['bytes']
    found(two, 'segment 1 (4.000 s)', 'picture')


@tap.test
def composition_offsets_that_are_wrong_are_found():
    def exchange(t):
        s = t.segments[0].samples
        i = next(i for i in range(1, len(s) - 1) if s[i]['composition'] != s[i + 1]['composition'])
        one = s[i]['composition'], s[i + 1]['composition']
        s[i]['composition'], s[i + 1]['composition'] = one[1] + 512, one[0] - 512
    found(exchange, 'segment 0 (0.000 s)', 'picture')

    def off(t):
        t.segments[1].samples[7]['composition'] += 1
    found(off, 'segment 1 (4.000 s)', 'place')


@tap.test
def sound_beside_the_picture_is_found():
    def later(t):
        for s in t.segments:
            s.tfdt += 480
    found(later, 'segment 0', 'tfdt', name=AUDIO)

    def delayed(t): # the edit list's start moved: the priming is heard
        at = t.header.index(b'elst') + 16
        media_time = struct.unpack_from('>i', t.header, at)[0]
        t.header = t.header[:at] + struct.pack('>i', media_time - 480) + t.header[at + 4:]
    found(delayed, 'segment', name=AUDIO)


@tap.test
def playlists_and_report_are_held_to_the_tracks():
    list_name = VIDEO[:-4] + '.m3u8'
    text = lambda name, a, b: (harm.rewritten(name, lambda old: re.sub(a, b, old.decode(), count=1).encode()),)
    found(text(list_name, r'BYTERANGE:(\d)', r'BYTERANGE:9\1'), list_name, 'segment 0', 'BYTERANGE')
    found(text(list_name, r'EXTINF:4.000000', 'EXTINF:4.000200'), list_name, 'EXTINF')
    found(text(list_name, r'TARGETDURATION:4', 'TARGETDURATION:3'), list_name, 'TARGETDURATION')
    found(text(list_name, '#EXT-X-ENDLIST', '#'), list_name, 'ENDLIST')
    found(text('main.m3u8', re.escape(list_name), 'video-none.m3u8'), 'main.m3u8', 'video-none.m3u8', name='main.m3u8')
    found(text('report.json', '"frames": 225', '"frames": 226'), '225 pictures', '226', name=OTHER)


@tap.test
def quality_is_what_ffmpeg_measures():
    """Of the rendition that has the master's size, against the master itself."""
    track = next(v for v in json.load(open(PACKAGE + '/report.json'))['video'] if v['file'] == VIDEO)
    work = tap.folder()
    graph = f'[0:v]split[a][b];[1:v]split[c][d];[a][c]ssim={work}/ssim[x];[b][d]psnr={work}/psnr[y]'
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-i', os.path.join(PACKAGE, VIDEO), '-i', FILM, '-filter_complex', graph, '-map', '[x]', '-map', '[y]',
             '-f', 'null', '-', check_exit=0)
    ssim = [float(x) for x in re.findall(r'Y:([\d.]+)', open(work + '/ssim').read())]
    error = [float(x) for x in re.findall(r'mse_y:([\d.]+)', open(work + '/psnr').read())]
    tap.equal(len(track['segment_ssim']), 3, 'segments')
    for i in range(3):
        part = slice(100 * i, min(100 * i + 100, 225))
        tap.near(track['segment_ssim'][i], sum(ssim[part]) / len(ssim[part]), 0.003, f'SSIM of segment {i}')
        tap.near(track['segment_psnr'][i], 10 * math.log10(255 ** 2 / (sum(error[part]) / len(error[part]))), 0.1, f'PSNR of segment {i}')


@tap.test
def an_mpd_is_held_against_a_schema():
    def schema(attributes):
        path = os.path.join(tap.folder(), 'mpd.xsd')
        with open(path, 'w') as f:
            f.write('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:mpeg:dash:schema:mpd:2011" elementFormDefault="qualified">'
                    '<xs:element name="MPD"><xs:complexType><xs:sequence><xs:any maxOccurs="unbounded" processContents="skip"/></xs:sequence>'
                    f'{attributes}</xs:complexType></xs:element></xs:schema>')
        return path
    tap.equal(verify(PACKAGE, '--quick', '--schema', schema('<xs:anyAttribute processContents="skip"/>')).returncode, 0)
    for file, *parts in ((schema(''), 'manifest.mpd:', 'not valid', 'mpd.xsd'), ('/etc/passwd', '/etc/passwd', 'schema'), ('/none', '/none', 'schema')):
        done = verify(PACKAGE, '--quick', '--schema', file)
        tap.equal(done.returncode, 1)
        for part in parts:
            tap.has(done.stderr, part)
        tap.equal(len(done.stderr.splitlines()), 1, 'lines of the message')


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text, self.open = [], [], '', []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ('href', 'src')]
        if tag not in ('meta', 'img', 'br', 'path', 'link'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ('path',):
            tap.equal(tag, self.open.pop() if self.open else None, 'closed element')

    def handle_data(self, data):
        self.text += data


@tap.test
def the_page_stands_alone_and_says_what_the_report_says():
    with open(PACKAGE + '/report.html') as f:
        written = f.read()
    page, report = Page(written), json.load(open(PACKAGE + '/report.json'))
    tap.equal(page.open, [], 'elements left open')
    tap.check('script' not in page.tags and not re.search(r'url\(|@import|https?:|\son\w+=', written), 'scripts or foreign things in the page')
    for link in page.links:
        tap.check(os.path.exists(os.path.join(PACKAGE, link)), f'{link} is not in the package')
    tap.equal(page.tags.count('svg'), 3, 'charts')
    for v in report['video']:
        tap.has(page.text, f"{v['width']}×{v['height']}")
        tap.has(page.text, f"{v['ssim']:.4f}")
    tap.equal((report['version'], report['frames'], report['proof']['pictures'], len(report['video'][0]['segment_ssim'])), (1, 225, 450, 3))
    tap.equal((report['audio'][0]['av_offset_start_ms'], report['audio'][0]['av_offset_end_ms']), (0, 0))
    again = tap.call(tap.program('ribera-ingest'), '--report', PACKAGE, check_exit=0)
    tap.equal(again.stdout, written, 'the page made again')


@tap.test
def a_film_of_hours_has_a_page_of_bearable_size():
    folder, report = tap.folder(), json.load(open(PACKAGE + '/report.json'))
    n = 2700
    rung = {**report['video'][0], 'segment_bytes': [10 ** 6 + i for i in range(n)], 'segment_ssim': [0.95 + i % 50 / 1000 for i in range(n)],
            'segment_psnr': [40 + i % 50 / 10 for i in range(n)]}
    with open(folder + '/report.json', 'w') as f:
        json.dump({**report, 'duration': 4.0 * n, 'video': [rung] * 10}, f)
    page = tap.call(tap.program('ribera-ingest'), '--report', folder, check_exit=0).stdout
    tap.check(len(page) < 700000, f'the page has {len(page)} bytes')
    tap.equal(Page(page).tags.count('svg'), 3, 'charts')


@tap.test
def names_are_kept_as_they_are():
    """Also where they look like the arrays that are written on one line."""
    name = 'Ñandú "[1, 2,\\ 3]" \\'
    library = tap.folder()
    tap.call(tap.program('ribera-ingest'), FILM, '--library', library, '--title', 'n', '--name', name, '--preset', 'ultrafast', '--max-rungs', '1', check_exit=0)
    path = glob.glob(library + '/n/*/report.json')[0]
    with open(path) as f:
        written = f.read()
    tap.equal(json.loads(written)['name'], name)
    tap.check(re.search(r'"segment_bytes": \[\d+,\d+,\d+\]', written), 'arrays of numbers stand on one line')


@tap.test
def an_ingest_may_decode_everything():
    library = tap.folder()
    tap.call(tap.program('ribera-ingest'), FILM, '--library', library, '--title', 'd', '--preset', 'ultrafast', '--max-rungs', '1', '--decode', check_exit=0)
    proof = json.load(open(glob.glob(library + '/d/*/report.json')[0]))['proof']
    tap.equal((proof['decoded'], proof['pictures_decoded'], proof['segments_decoded']), ('all', 225, 6))


@tap.test
def a_report_of_any_content_makes_a_page():
    """Names are shown as text; what is missing or of another kind is left out."""
    folder, report = tap.folder(), json.load(open(PACKAGE + '/report.json'))
    evil = {**report, 'name': '<script>"&\'', 'warnings': ['<b>'], 'video': [{}, 7, {**report['video'][0], 'segment_ssim': 'none', 'file': '</svg>'}], 'audio': {},
            'subtitles': [{'file': 'a.vtt', 'language': 'en', 'label': '<i>'}], 'thumbnails': {'files': ['t-1.jpg', 3]}}
    for content in (evil, {}, {'video': [], 'duration': -1e300, 'proof': []},
                    {**report, 'duration': 1e300, 'segment_duration': 1e-300, 'video': [{'segment_bytes': [1e308, -1e308, 0], 'segment_psnr': [1e18, 2, {}]}]}):
        with open(folder + '/report.json', 'w') as f:
            json.dump(content, f)
        done = tap.call(tap.program('ribera-ingest'), '--report', folder, check_exit=0)
        page = Page(done.stdout)
        tap.equal(page.open, [], 'elements left open')
        tap.check('script' not in page.tags, 'a script')
    with open(folder + '/report.json', 'w') as f:
        f.write('[')
    done = tap.call(tap.program('ribera-ingest'), '--report', folder)
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, 'report.json:1')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The window of ribera-player under Xvfb: the picture is there, in shape, with subtitles, statistics and words for trouble over it."""
import json, os, re, signal, socket, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, livesim, tap, textmp4

WIDTH, HEIGHT = 800, 600
VTT = 'WEBVTT\n\n00:00.000 --> 00:30.000\nHello <i>subtitles</i>\n'
TTML = ('<tt xmlns="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling"><body><div><p begin="0s" end="30s" tts:color="red">'
        'RED RED RED</p></div></body></tt>')
_display = None


def display():
    """An X server of our own."""
    global _display
    if _display is None:
        tap.need('Xvfb', 'xvfb')
        tap.need('ffmpeg')
        r, w = os.pipe()
        p = subprocess.Popen(['Xvfb', '-displayfd', str(w), '-screen', '0', f'{WIDTH}x{HEIGHT}x24', '-nolisten', 'tcp', '-noreset'], pass_fds=[w],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(w)
        import atexit
        atexit.register(p.terminate)
        number = os.read(r, 20).decode().strip()
        tap.check(number != '', 'Xvfb does not start')
        _display = ':' + number
    return _display


COLOURS = ((220, 30, 30), (30, 200, 30), (40, 40, 230), (230, 220, 30), (220, 30, 220), (30, 220, 220), (240, 140, 20), (130, 130, 130))


def sheet(folder):
    """4 x 2 pictures of 160 x 90, each of one colour, one for each second."""
    rows = b''.join(b''.join(bytes(COLOURS[r * 4 + c]) * 160 for c in range(4)) * 90 for r in range(2))
    ppm = os.path.join(folder, 'sheet.ppm')
    with open(ppm, 'wb') as f:
        f.write(b'P6 640 180 255\n' + rows)
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-y', '-i', ppm, '-q:v', '2', os.path.join(folder, 'sheet-1.jpg')], check=True)


def film():
    folder = livesim.film()
    sheet(folder)
    for name, text in (('t.vtt', VTT), ('t.ttml', TTML)):
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
    with open(os.path.join(folder, 'vod.mpd'), 'w') as f:
        f.write('<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" minBufferTime="PT1S" profiles="x" mediaPresentationDuration="PT8S"><Period>'
                '<AdaptationSet contentType="video" mimeType="video/mp4" codecs="avc1.64000C"><SegmentTemplate timescale="1" duration="1" '
                'media="chunk-stream0-$Number%05d$.m4s" initialization="init-stream0.m4s"/><Representation id="0" bandwidth="100000"/></AdaptationSet>'
                '<AdaptationSet contentType="text" mimeType="text/vtt" lang="en"><Representation id="t1" bandwidth="100"><BaseURL>t.vtt</BaseURL></Representation></AdaptationSet>'
                '<AdaptationSet contentType="text" mimeType="application/ttml+xml" lang="de"><Representation id="t2" bandwidth="100"><BaseURL>t.ttml</BaseURL></Representation></AdaptationSet>'
                '<AdaptationSet contentType="image" mimeType="image/jpeg"><EssentialProperty schemeIdUri="http://dashif.org/guidelines/thumbnail_tile" value="4x2"/>'
                '<SegmentTemplate duration="8" media="sheet-$Number$.jpg"/><Representation id="i" bandwidth="100" width="640" height="180"/></AdaptationSet>'
                '</Period></MPD>')
    return badserver.Server(folder)


class Window:
    def __init__(self, server, *options, env={}):
        path = self.path = os.path.join(tap.folder(), 'socket')
        env = {'DISPLAY': display(), 'SDL_VIDEODRIVER': 'x11', 'SDL_AUDIODRIVER': 'dummy', 'XDG_STATE_HOME': tap.folder(), **env}
        self.p = tap.Process(tap.program('ribera-player'), server.url + '/vod.mpd', '--output', 'sdl', '--ipc-server', path, *options, env=env,
                             log=os.path.join(tap.folder(), 'log'))
        tap.until(lambda: os.path.exists(path) or not self.p.alive(), 30, 'the socket')
        tap.check(self.p.alive(), self.p.text())
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile('r')
        tap.until(lambda: self.get('frame-count') > 3, 30, 'pictures')

    def say(self, *command):
        self.socket.sendall(json.dumps({'command': command}).encode() + b'\n')
        while True:
            line = json.loads(self.file.readline())
            if 'event' not in line:
                tap.equal(line['error'], 'success', f'{command}')
                return line['data']

    def get(self, name):
        return self.say('get_property', name)

    def shot(self):
        """Rows of (r, g, b) of the screen."""
        raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'x11grab', '-draw_mouse', '0', '-video_size', f'{WIDTH}x{HEIGHT}', '-i', display(),
                              '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'], stdout=subprocess.PIPE, check=True).stdout
        keep = os.environ.get('RIBERA_SHOTS')
        if keep:
            n = len(os.listdir(keep))
            subprocess.run(['ffmpeg', '-v', 'error', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{WIDTH}x{HEIGHT}', '-i', '-', os.path.join(keep, f'{n}.png')],
                           input=raw, check=True)
        return [[tuple(raw[(y * WIDTH + x) * 3:(y * WIDTH + x) * 3 + 3]) for x in range(WIDTH)] for y in range(HEIGHT)]


def box(shot):
    """Where something other than black is: left, top, right, bottom."""
    rows = [y for y in range(HEIGHT) if any(sum(p) > 60 for p in shot[y])]
    columns = [x for x in range(WIDTH) if any(sum(shot[y][x]) > 60 for y in rows[::4])]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def changed(a, b, x0, y0, x1, y1):
    return sum(a[y][x] != b[y][x] for y in range(y0, y1) for x in range(x0, x1))


def pretended_card(pid):
    """How often the threads of Mesa's llvmpipe were woken: SDL's own renderer needs none of them."""
    n = 0
    for thread in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{thread}/status') as f:
            text = f.read()
        n += int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', text, re.M).group(1)) if 'llvmpipe' in text.split('\n', 1)[0] else 0
    return n


@tap.test
def the_picture_is_there_in_shape_and_text_stands_over_it():
    w = Window(film())
    before, frames = pretended_card(w.p.pid), w.get('frame-count')
    tap.until(lambda: w.get('frame-count') > frames + 5, 20, 'more pictures')
    tap.equal(pretended_card(w.p.pid), before, 'wakes of the threads of a graphics card that is none')
    w.say('set_property', 'pause', True)
    w.say('seek', 2, 'absolute')
    tap.until(lambda: abs(w.get('time-pos') - 2) < 0.05, 20, 'the seek')
    plain = w.shot()
    left, top, right, bottom = box(plain)
    tap.near((right - left) / (bottom - top), 16 / 9, 0.06, 'shape of the picture')
    width, height = right - left, bottom - top
    lower = (left + width // 5, top + height * 7 // 10, right - width // 5, bottom - 2)
    w.say('keypress', 's')
    tap.until(lambda: w.get('sub') == 'en' and 'subtitles' in w.get('sub-text'), 20, 'WebVTT')
    tap.until(lambda: changed(plain, w.shot(), *lower) > 200, 20, 'subtitles in the picture', every=0.2)
    w.say('keypress', 's')
    tap.until(lambda: w.get('sub') == 'de' and 'RED' in w.get('sub-text'), 20, 'TTML')
    tap.until(lambda: (lambda s: sum(s[y][x][0] > 200 and s[y][x][1] < 70 and s[y][x][2] < 70 and plain[y][x] != s[y][x]
                                           for y in range(lower[1], lower[3]) for x in range(lower[0], lower[2])))(w.shot()) > 100, 20, 'red subtitles', every=0.2)
    w.say('keypress', 's')
    tap.until(lambda: w.get('sub') == '', 20, 'no subtitles')
    w.say('keypress', 'i')
    tap.until(lambda: changed(plain, w.shot(), left, top, left + width // 2, top + height // 2) > 2000, 20, 'statistics', every=0.2)
    w.say('keypress', 'i')
    low = (left, bottom - height // 12, right, bottom)
    w.say('keypress', 'LEFT')
    tap.until(lambda: w.get('time-pos') < 0.05 and not w.get('seeking'), 20, 'a step back by a key')
    with_bar = w.shot()
    tap.until(lambda: changed(with_bar, w.shot(), *low) > 500, 20, 'the bar, which goes', every=0.2)
    w.say('quit')
    tap.until(lambda: not w.p.alive(), 20, 'the end')
    tap.equal(w.p.p.returncode, 0, w.p.text())


def subtitled(*sets):
    """A grey film of 8 s with text; each set is its AdaptationSet, without the end."""
    folder = tap.folder()
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', 'color=gray:s=640x360:r=25:d=8', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-pix_fmt', 'yuv420p',
                    '-f', 'dash', '-seg_duration', '8', os.path.join(folder, 'vod.mpd')], check=True)
    with open(os.path.join(folder, 'vod.mpd')) as f:
        text = f.read()
    with open(os.path.join(folder, 'vod.mpd'), 'w') as f:
        f.write(text.replace('</Period>', ''.join(sets) + '</Period>'))
    return folder


def named(colour, p):
    """Is it of the colour, or near: edges are blended."""
    high, low = {'red': ((0,), (1, 2)), 'lime': ((1,), (0, 2)), 'white': ((0, 1, 2), ()), 'blue': ((2,), (0, 1))}[colour]
    return all(p[i] > 190 for i in high) and all(p[i] < 60 for i in low)


def where(shot, picture, colour):
    """The box of a colour, in percent of the picture: left, top, right, bottom; None: it is not there."""
    left, top, right, bottom = picture
    seen = [(x, y) for y in range(top, bottom) for x in range(left, right) if named(colour, shot[y][x])]
    if len(seen) < 20:
        return None
    xs, ys = [x for x, _ in seen], [y for _, y in seen]
    return tuple(round(100 * v) for v in ((min(xs) - left) / (right - left), (min(ys) - top) / (bottom - top), (max(xs) + 1 - left) / (right - left), (max(ys) + 1 - top) / (bottom - top)))


def stands(w, picture, colour, left, top, right, bottom):
    """Text of the colour stands within these percents, and fills a part of them."""
    def there():
        nonlocal at
        at = where(w.shot(), picture, colour)
        return at and left <= at[0] and top <= at[1] and at[2] <= right and at[3] <= bottom
    at = None
    tap.until(there, 15, lambda: f'{colour} within {left, top, right, bottom}, not {at},', every=0.2)
    return at


def still(folder, at=2):
    w = Window(badserver.Server(folder), '--sub', 'en')
    w.say('set_property', 'pause', True)
    w.say('seek', at, 'absolute')
    tap.until(lambda: abs(w.get('time-pos') - at) < 0.05 and w.get('sub-text'), 20, 'the text')
    return w, box(w.shot())


def end(w):
    w.say('quit')
    tap.until(lambda: not w.p.alive(), 20, 'the end')
    tap.equal(w.p.p.returncode, 0, w.p.text())


def text_set(mime, name):
    return f'<AdaptationSet contentType="text" mimeType="{mime}" lang="en"><Representation id="t" bandwidth="100"><BaseURL>{name}</BaseURL></Representation></AdaptationSet>'


@tap.test
def webvtt_stands_where_its_settings_say():
    cases = (('line:0', (20, 0, 80, 14)), ('line:0 align:start', (0, 0, 50, 14)), ('line:50%,center align:end', (50, 40, 101, 60)),
             ('line:-1 position:0% align:left', (0, 85, 50, 101)), ('position:100% size:50% align:right', (50, 70, 101, 101)), ('line:25% position:50% size:30%', (30, 24, 70, 60)))
    vtt = 'WEBVTT\n\n' + ''.join(f'00:0{i}.000 --> 00:0{i + 1}.000 {settings}\nMMMMM MMMMM MMMMM\n\n' for i, (settings, _) in enumerate(cases))
    folder = subtitled(text_set('text/vtt', 't.vtt'))
    with open(os.path.join(folder, 't.vtt'), 'w') as f:
        f.write(vtt)
    w, picture = still(folder, 0.5)
    for i, (settings, place) in enumerate(cases):
        w.say('seek', i + 0.5, 'absolute')
        tap.until(lambda: abs(w.get('time-pos') - i - 0.5) < 0.05, 20, 'the seek')
        at = stands(w, picture, 'white', *place)
        if 'size:30%' in settings:
            tap.check(at[3] - at[1] > 8, f'it does not wrap in its box: {at}')
    end(w)


@tap.test
def several_cues_of_one_sample_are_shown_together():
    """And one that goes on over samples is shown once."""
    folder = subtitled('<AdaptationSet contentType="text" mimeType="application/mp4" codecs="wvtt" lang="en"><SegmentTemplate timescale="1000" duration="1000" media="t-$Number$.m4s" '
                       'initialization="t.mp4"/><Representation id="t" bandwidth="100"/></AdaptationSet>')
    with open(os.path.join(folder, 't.mp4'), 'wb') as f:
        f.write(textmp4.init('wvtt', 1000))
    for n in range(8):
        sample = textmp4.vttc('one') + textmp4.vttc('two' if n < 4 else 'three') + textmp4.vttc('above', 'line:0')
        with open(os.path.join(folder, f't-{n + 1}.m4s'), 'wb') as f:
            f.write(textmp4.segment('wvtt', n + 1, n * 1000, 1000, sample, 1000))
    w, picture = still(folder, 2.5)
    tap.equal(w.get('sub-text'), 'one\\N{\\r}two\\N{\\r}above')
    at = stands(w, picture, 'white', 20, 0, 80, 101)
    tap.check(at[1] < 12 and at[3] > 85, f'text above and below: {at}')
    w.say('seek', 4.5, 'absolute')
    tap.until(lambda: w.get('sub-text') == 'one\\N{\\r}three\\N{\\r}above' or w.get('sub-text') == 'one\\N{\\r}above\\N{\\r}three', 20, lambda: f"{w.get('sub-text')}")
    end(w)


@tap.test
def regions_of_ttml_stand_where_they_are():
    """Two at once, each in its colour; lines broken by br."""
    folder = subtitled(text_set('application/ttml+xml', 't.ttml'))
    with open(os.path.join(folder, 't.ttml'), 'w') as f:
        f.write('<tt xmlns="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling"><head><layout>'
                '<region xml:id="a" tts:origin="5% 10%" tts:extent="40% 30%"/>'
                '<region xml:id="b" tts:origin="50% 60%" tts:extent="45% 30%" tts:displayAlign="after" tts:textAlign="end"/></layout></head>'
                '<body><div><p begin="0s" end="8s" region="a" tts:color="red">MM<br/>MM</p><p begin="0s" end="8s" region="b" tts:color="lime">MMMM <span tts:color="blue">MM</span></p></div></body></tt>')
    w, picture = still(folder)
    at = stands(w, picture, 'red', 5, 10, 45, 40)
    tap.check(at[3] - at[1] > 8 and at[0] < 10, f'two lines at the left: {at}')
    lime, blue = stands(w, picture, 'lime', 50, 60, 95, 90), stands(w, picture, 'blue', 50, 60, 95, 90)
    tap.check(lime[2] <= blue[0] + 1 and blue[2] > 90 and blue[3] > 84, f'at the right, at the bottom: {lime} {blue}')
    end(w)


@tap.test
def webvtt_goes_down_and_stands_in_regions():
    cases = (('vertical:rl line:0', (88, 5, 101, 101)), ('vertical:rl', (0, 5, 12, 101)), ('vertical:lr line:0 align:start', (0, 0, 12, 101)), ('vertical:lr', (88, 5, 101, 101)),
             ('vertical:rl line:30%,center position:0% align:left', (20, 0, 40, 101)), ('region:r', (40, 10, 80, 36)))
    vtt = ('WEBVTT\n\nREGION\nid:r\nwidth:40%\nlines:4\nregionanchor:0%,0%\nviewportanchor:40%,10%\nscroll:up\n\n' +
           ''.join(f'00:0{i}.000 --> 00:0{i + 1}.000 {settings}\nMMMMM MMM\n\n' for i, (settings, _) in enumerate(cases)))
    # two lines: the second stands on the other side of the first
    vtt += '00:06.000 --> 00:06.400 vertical:rl line:0\n<b>MM</b>\nMMMMMMMM\n\n'
    # five lines of a region of four: the first has gone out of it
    vtt += ''.join(f'00:06.{500 + 80 * i} --> 00:08.000 region:r\n{"MMMMMM" if i == 0 else "MNHBE"[i]}\n\n' for i in range(5))
    folder = subtitled(text_set('text/vtt', 't.vtt'))
    with open(os.path.join(folder, 't.vtt'), 'w') as f:
        f.write(vtt)
    w, picture = still(folder, 0.5)

    def look(at, place):
        w.say('seek', at, 'absolute')
        tap.until(lambda: abs(w.get('time-pos') - at) < 0.05, 20, 'the seek')
        return stands(w, picture, 'white', *place)
    for i, (settings, place) in enumerate(cases):
        at = look(i + 0.5, place)
        if 'vertical' in settings:
            tap.check(at[3] - at[1] > 30, f'{settings}: it does not go down: {at}')
        else:
            tap.check(at[3] > 28, f'it does not stand at the bottom of its region: {at}')
    at = look(6.2, (80, 0, 101, 101))
    shot = w.shot()
    left, top, right, bottom = picture
    half = (left + (right - left) * (at[0] + at[2]) // 200, right)  # between the two lines
    first, second = ([y for y in range(top, bottom) for x in band if named('white', shot[y][x])] for band in (range(*half), range(left + (right - left) * at[0] // 100, half[0])))
    first, second = max(first) - min(first), max(second) - min(second)
    tap.check(second > 2 * first > 0, f'the second line is not to the left of the first: {first}, {second}')
    wide = look(6.52, (40, 10, 80, 36))
    narrow = look(6.92, (40, 10, 80, 36))

    def scrolled():
        nonlocal narrow
        narrow = where(w.shot(), picture, 'white')
        return narrow and narrow[2] - narrow[0] < (wide[2] - wide[0]) / 3 and narrow[3] - narrow[1] > 15
    tap.until(scrolled, 15, lambda: f'{wide}, and after four more lines not {narrow}, but one letter wide', every=0.2)
    end(w)


@tap.test
def ttml_has_backgrounds_and_directions():
    hebrew = '\u05d0\u05d1\u05d2'
    folder = subtitled(text_set('application/ttml+xml', 't.ttml'))
    with open(os.path.join(folder, 't.ttml'), 'w') as f:
        f.write('<tt xmlns="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling"><head><layout>'
                '<region xml:id="a" tts:origin="5% 10%" tts:extent="40% 30%" tts:backgroundColor="#ff0000ff"/>'
                '<region xml:id="b" tts:origin="50% 60%" tts:extent="45% 30%" tts:textAlign="start"/>'
                '<region xml:id="c" tts:origin="70% 10%" tts:extent="20% 70%" tts:writingMode="tbrl"/></layout></head><body><div>'
                '<p begin="0s" end="1s" region="a">M</p>'
                '<p begin="1s" end="2s" region="b"><span tts:backgroundColor="blue" tts:color="lime">MM</span></p>'
                '<p begin="2s" end="3s" region="b" tts:backgroundColor="rgba(0,0,255,255)" tts:color="red">MM</p>'
                f'<p begin="3s" end="4s" region="b" tts:direction="rtl"><span tts:color="red">{hebrew}</span><span tts:color="lime">{hebrew}</span></p>'
                '<p begin="4s" end="5s" region="b" tts:direction="rtl" tts:unicodeBidi="bidiOverride"><span tts:color="red">MM</span><span tts:color="lime">MM</span></p>'
                '<p begin="5s" end="6s" region="b" tts:direction="rtl" tts:textAlign="end"><span tts:color="red">MM</span><span tts:color="lime">MM</span></p>'
                '<p begin="6s" end="7s" region="c" tts:color="red">MMMM MM</p></div></body></tt>')
    w, picture = still(folder, 0.5)

    def go(at):
        w.say('seek', at, 'absolute')
        tap.until(lambda: abs(w.get('time-pos') - at) < 0.05, 20, 'the seek')
    frame = stands(w, picture, 'red', 4, 9, 46, 41)
    tap.check(frame[0] <= 5 and frame[1] <= 10 and frame[2] >= 45 and frame[3] >= 40, f'the whole region is red: {frame}')
    for at, colour in ((1.5, 'lime'), (2.5, 'red')):
        go(at)
        blue, text = stands(w, picture, 'blue', 48, 58, 95, 90), stands(w, picture, colour, 50, 60, 95, 90)
        tap.check(blue[0] <= text[0] and blue[2] >= text[2] and blue[1] <= text[1] and blue[3] >= text[3] and blue[2] < 80, f'at {at}: {text} on {blue}')
    for at, why in ((3.5, 'Hebrew'), (4.5, 'overridden')):
        go(at)
        red, lime = stands(w, picture, 'red', 50, 60, 96, 90), stands(w, picture, 'lime', 50, 60, 96, 90)
        tap.check(lime[2] <= red[0] + 1 and red[2] > 90, f'{why}: the first, {red}, is not to the right of the second, {lime}, at the right')
    go(5.5)
    red, lime = stands(w, picture, 'red', 50, 60, 95, 90), stands(w, picture, 'lime', 50, 60, 95, 90)
    tap.check(red[2] <= lime[0] + 1 and red[0] < 55, f'letters keep their order, and the end is at the left: {red} {lime}')
    go(6.5)
    red = stands(w, picture, 'red', 80, 10, 91, 81)
    tap.check(red[3] - red[1] > 15 and red[1] < 14 and red[2] > 88, f'downwards from the top, at the right: {red}')
    end(w)


@tap.test
def small_text_grows_with_the_desktop():
    """X11: Xft.dpi says how large."""
    tap.need('xrdb', 'x11-xserver-utils')
    a, seen = film(), {}

    def resource(*what, text=''):
        subprocess.run(['xrdb', *what], input=text.encode(), env={**os.environ, 'DISPLAY': display()}, check=True)
    try:
        for dpi in (96, 192):
            resource('-load', text=f'Xft.dpi:\t{dpi}\n')
            w = Window(a, '--resume', 'no')
            w.say('set_property', 'pause', True)
            w.say('seek', 2, 'absolute')
            tap.until(lambda: abs(w.get('time-pos') - 2) < 0.05, 20, 'the seek')
            tap.equal((w.get('display-hidpi-scale'), w.get('osd-width'), w.get('osd-height')), (dpi / 96, 640, 360))
            left, top, right, bottom = box(w.shot())
            tap.until(lambda: not changed(s := w.shot(), s2 := w.shot(), left, top, right, bottom), 20, 'a still picture')
            plain = w.shot()
            w.say('keypress', 'i')
            tap.until(lambda: changed(plain, w.shot(), left, top, left + (right - left) // 2, bottom) > 2000, 20, 'statistics', every=0.2)
            seen[dpi] = changed(plain, w.shot(), left, top, left + (right - left) // 2, bottom)
            end(w)
    finally:
        resource('-remove')
    tap.check(seen[192] > 1.5 * seen[96], f'pixels with statistics over them: {seen}')


def dense():
    """A Wayland compositor with two pixels to a point, the whole of our screen; its socket's environment."""
    tap.need('weston')
    run = tap.folder()
    os.chmod(run, 0o700)
    p = subprocess.Popen(['weston', '--backend=x11-backend.so', '--shell=kiosk-shell.so', '--scale=2', f'--width={WIDTH // 2}', f'--height={HEIGHT // 2}', '--use-pixman', '--socket=dense', '--idle-time=0', '--no-config'],
                         env={**os.environ, 'DISPLAY': display(), 'XDG_RUNTIME_DIR': run}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tap.until(lambda: os.path.exists(os.path.join(run, 'dense')), 20, 'weston')
    # LeakSanitizer: what EGL and xkbcommon keep is theirs, and they are unloaded by then, so that no suppression can name them
    return p, {'XDG_RUNTIME_DIR': run, 'WAYLAND_DISPLAY': 'dense', 'SDL_VIDEODRIVER': 'wayland',
               'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}


@tap.test
def each_pixel_of_a_dense_screen_is_used():
    """Wayland at scale 2: stripes one pixel wide are seen as they are, text is drawn in the screen's pixels, the mouse counts in points."""
    tap.need('xdotool')
    folder = tap.folder()
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', f"nullsrc=s={WIDTH}x{WIDTH * 9 // 16}:r=5:d=8,format=yuv420p,geq=lum='if(mod(X,2),235,16)':cb=128:cr=128", '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '4',
                    '-g', '5', '-pix_fmt', 'yuv420p', '-f', 'dash', '-seg_duration', '1', os.path.join(folder, 'vod.mpd')], check=True)
    weston, env = dense()
    try:
        w = Window(badserver.Server(folder), env=env)
        w.say('set_property', 'pause', True)
        tap.until(lambda: (w.get('osd-width'), w.get('osd-height'), w.get('display-hidpi-scale')) == (WIDTH, HEIGHT, 2), 20, lambda: f"{w.get('osd-width')} x {w.get('osd-height')} at {w.get('display-hidpi-scale')}")

        def stripes():
            row = [p[0] for p in w.shot()[HEIGHT // 2]]
            return sum(abs(a - b) > 100 for a, b in zip(row, row[1:]))
        tap.until(lambda: stripes() > WIDTH * 0.9, 20, lambda: f'stripes: {stripes()} of {WIDTH}', every=0.2)
        mouse = lambda *what: subprocess.run(['xdotool', *map(str, what)], env={**os.environ, 'DISPLAY': display()}, check=True)
        mouse('mousemove', WIDTH // 2 - 2, HEIGHT - 12, 'mousemove', WIDTH // 2, HEIGHT - 12, 'click', 1)
        tap.until(lambda: abs(w.get('time-pos') - 4) < 0.3, 20, lambda: f"a click in the middle of the bar: {w.get('time-pos')}")
        end(w)
    finally:
        weston.terminate()
        weston.wait()


@tap.test
def the_seek_bar_shows_what_is_there():
    """The picture of the place under the mouse, its time, and a click goes there."""
    tap.need('xdotool')
    w = Window(film())
    w.say('set_property', 'pause', True)
    left, top, right, bottom = box(w.shot())
    mouse = lambda *what: subprocess.run(['xdotool', *map(str, what)], env={**os.environ, 'DISPLAY': display()}, check=True)
    y, at = bottom - (bottom - top) // 24, lambda second: int(left + (right - left) * (1 / 40 + 38 / 40 * (second + 0.5) / 8))
    for second in (2, 6):
        want = COLOURS[second]

        def seen():
            mouse('mousemove', at(second) - 2, y, 'mousemove', at(second), y)
            s = w.shot()
            return sum(all(abs(a - b) < 24 for a, b in zip(s[j][i], want)) for j in range(bottom - 220, bottom - 30, 3) for i in range(left, right, 3)) > 300
        tap.until(seen, 20, f'the picture of second {second}', every=0.1)
    low = (left, bottom - (bottom - top) // 12, right, bottom)
    with_bar = w.shot()
    time.sleep(3)
    tap.check(changed(with_bar, w.shot(), *low) < 50, 'the bar goes while the mouse rests on it')
    mouse('mousemove', at(5), (top + bottom) // 2)
    tap.until(lambda: changed(with_bar, w.shot(), *low) > 500, 20, 'the bar, which goes when the mouse has left it', every=0.2)
    mouse('mousemove', at(5), y, 'click', 1)
    tap.until(lambda: abs(w.get('time-pos') - 5.5) < 0.3, 20, 'a click on the bar')
    exact = lambda second: second + 0.5
    mouse('mousemove', at(1), y, 'mousedown', 1)
    for second in (2, 4, 3):  # held, it shows key pictures, one a second in this film
        mouse('mousemove', at(second), top + (bottom - top) // 2)
        tap.until(lambda: w.get('time-pos') == exact(second) // 1, 20, f'the key picture at {exact(second)}')
    mouse('mouseup', 1)
    tap.until(lambda: abs(w.get('time-pos') - exact(3)) < 0.041, 20, 'the exact picture at the release')
    w.say('quit')
    tap.until(lambda: not w.p.alive(), 20, 'the end')
    tap.equal(w.p.p.returncode, 0, w.p.text())


@tap.test
def full_screen_by_key_by_double_click_and_by_script():
    tap.need('xdotool')
    tap.need('openbox')  # full screen is a thing of window managers
    manager = subprocess.Popen(['openbox', '--sm-disable'], env={**os.environ, 'DISPLAY': display(), 'XDG_CONFIG_HOME': tap.folder()}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        full_screen(Window(film()))
    finally:
        manager.terminate()
        manager.wait()


@tap.test
def full_screen_where_no_window_manager_is():
    tap.need('xdotool')
    full_screen(Window(film()))


def picture(shot):
    """The same of the picture alone: words and bar stand neither at its sides nor in its leftmost columns."""
    left, _, right, _ = box(shot)
    rows = [y for y in range(HEIGHT) if sum(shot[y][left + 6]) > 60]
    return left, rows[0], right, rows[-1] + 1


def full_screen(w):
    w.say('set_property', 'pause', True)
    w.say('seek', 2, 'absolute')
    tap.until(lambda: not w.get('seeking'), 20, 'the seek')
    small = picture(w.shot())
    tap.check(small[2] - small[0] < WIDTH, f'the window has the whole screen already: {small}')
    mouse = lambda *what: subprocess.run(['xdotool', *map(str, what)], env={**os.environ, 'DISPLAY': display()}, check=True)
    high = round(WIDTH * 9 / 16)
    whole = (0, (HEIGHT - high) // 2, WIDTH, (HEIGHT + high) // 2)

    def stands(full, what):
        tap.until(lambda: w.get('fullscreen') == full, 20, what)
        tap.until(lambda: all(abs(a - b) <= 2 for a, b in zip(picture(w.shot()), whole if full else small)), 20, f'{what}: the picture at {whole if full else small}, not {picture(w.shot())}', every=0.2)
    middle = ('mousemove', WIDTH // 2, HEIGHT // 2)
    stands(False, 'a window')
    mouse(*middle, 'key', 'f')
    stands(True, 'full screen by f')
    mouse('key', 'f')
    stands(False, 'a window by f')
    mouse(*middle, 'click', '--repeat', 2, '--delay', 60, 1)
    stands(True, 'full screen by a double click')
    mouse('mousemove', WIDTH // 2, HEIGHT - 12, 'click', 1)
    tap.until(lambda: abs(w.get('time-pos') - 4) < 0.2, 20, 'a click on the bar in full screen')
    w.say('set_property', 'fullscreen', False)
    stands(False, 'a window by a script')
    w.say('quit')
    tap.until(lambda: not w.p.alive(), 20, 'the end')
    tap.equal(w.p.p.returncode, 0, w.p.text())


def turn(path):
    """Writes a quarter turn clockwise into the track header of an initialisation segment."""
    with open(path, 'rb') as f:
        data = bytearray(f.read())
    at = data.index(b'tkhd') + 4
    at += 52 if data[at] == 1 else 40
    for i, v in enumerate((0, 0x10000, 0, -0x10000, 0, 0, 180 << 16, 0, 0x40000000)):
        data[at + 4 * i:at + 4 * i + 4] = v.to_bytes(4, 'big', signed=True)
    with open(path, 'wb') as f:
        f.write(data)


@tap.test
def a_turned_picture_is_turned():
    a = film()
    turn(os.path.join(a.folder, 'init-stream0.m4s'))
    w = Window(a)
    w.say('set_property', 'pause', True)
    shot = w.shot()
    left, top, right, bottom = box(shot)
    tap.near((right - left) / (bottom - top), 9 / 16, 0.06, 'shape of the turned picture')
    # what was on the left (red) is at the top now
    x, y = left + (right - left) // 4, top + (bottom - top) // 12
    tap.check(shot[y][x][0] > 150 and shot[y][x][2] < 100, f'at the top: {shot[y][x]}')
    w.say('quit')
    tap.until(lambda: not w.p.alive(), 20, 'the end')

def patched(path, make):
    with open(path, 'rb') as f:
        data = bytearray(f.read())
    make(data)
    with open(path, 'wb') as f:
        f.write(data)


def by_bitstream_alone(data):
    """Takes the shape of a pixel out of the container: what is left is the bitstream's (VUI)."""
    at = data.index(b'pasp')
    data[at:at + 4] = b'free'
    at = data.index(b'tkhd') + 4
    at += 76 if data[at] == 0 else 88
    data[at:at + 8] = (320 << 16).to_bytes(4, 'big') + (180 << 16).to_bytes(4, 'big')


@tap.test
def pixels_that_are_not_square():
    """4:3 said by the bitstream, and 4:3 said by the container alone: 64:27 on the screen."""
    for name, encode, make in (('VUI', ['-vf', 'setsar=4/3'], by_bitstream_alone), ('pasp', ['-aspect', '64:27'], None)):
        folder = tap.folder()
        subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=8', *(encode if make else []), '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-pix_fmt', 'yuv420p',
                        os.path.join(folder, 'plain.mp4')], check=True)
        subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', os.path.join(folder, 'plain.mp4'), '-c', 'copy', *([] if make else encode), '-f', 'dash', '-seg_duration', '1', os.path.join(folder, 'vod.mpd')], check=True)
        if make:
            patched(os.path.join(folder, 'init-stream0.m4s'), make)
        w = Window(badserver.Server(folder))
        w.say('set_property', 'pause', True)
        left, top, right, bottom = box(w.shot())
        tap.near((right - left) / (bottom - top), 64 / 27, 0.06, f'{name}: shape of the picture')
        w.say('quit')
        tap.until(lambda: not w.p.alive(), 20, 'the end')
        tap.equal(w.p.p.returncode, 0, w.p.text())


@tap.test
def pixels_whose_shape_the_mpd_alone_knows():
    """@sar counts where neither bitstream nor container says anything, and only there."""
    for name, setsar, ratio in (('nobody else', '0', 64 / 27), ('the stream knows better', '1', 16 / 9)):
        folder = tap.folder()
        subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', f'testsrc2=s=320x180:r=25:d=8,setsar={setsar}', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-pix_fmt', 'yuv420p',
                        '-f', 'dash', '-seg_duration', '1', os.path.join(folder, 'vod.mpd')], check=True)
        with open(os.path.join(folder, 'init-stream0.m4s'), 'rb') as f:
            tap.equal(b'pasp' in f.read(), setsar == '1', f'{name}: pasp')
        with open(os.path.join(folder, 'vod.mpd')) as f:
            text = re.sub(r' sar="[^"]*"', '', f.read())
        with open(os.path.join(folder, 'vod.mpd'), 'w') as f:
            f.write(text.replace('<Representation ', '<Representation sar="4:3" '))
        w = Window(badserver.Server(folder))
        w.say('set_property', 'pause', True)
        left, top, right, bottom = box(w.shot())
        tap.near((right - left) / (bottom - top), ratio, 0.06, f'{name}: shape of the picture')
        w.say('quit')
        tap.until(lambda: not w.p.alive(), 20, 'the end')
        tap.equal(w.p.p.returncode, 0, w.p.text())


@tap.test
def the_window_says_what_is_wrong_and_goes_on():
    a = film()
    lost = []
    a.fault = lambda q: '503' if 'chunk-stream0-00003' in q.path and len(lost) < 400 and not lost.append(q) else None
    w = Window(a)
    tap.until(lambda: w.get('paused-for-cache'), 20, 'the stall')
    # by their colour: on a busy machine they may stand there before any picture without them can be taken
    words = lambda shot: sum(p[0] > 235 and p[1] > 235 and 100 < p[2] < 160 for row in shot[:HEIGHT // 2] for p in row)
    tap.until(lambda: words(w.shot()) > 200, 20, 'words in the window', every=0.2)
    lost.extend([None] * 400)
    tap.until(lambda: not w.p.alive() or w.get('time-pos') > 3.2, 40, 'going on')
    if w.p.alive():
        w.say('quit')


if __name__ == '__main__':
    tap.run()

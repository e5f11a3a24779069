# SPDX-License-Identifier: GPL-3.0-or-later
"""A live DASH service for tests: a short film, looped without end from an epoch, as dynamic MPDs of many kinds.

    s = livesim.Server(livesim.film())
    url = s.url + '/number/live.mpd'

Kinds, joined by '+': number (@duration, never updated), timeline (SegmentTimeline, updated), patch (with MPD patches), brief (patches are gone after 0.1 s),
chunked (availabilityTimeOffset, bodies that come as they are made), periods (a new one every 6 s), ahead (the service's
clock is an hour ahead; UTCTiming says so), head (UTCTiming by Date), ntp (UTCTiming by SNTP), end (becomes static 6 s after the server's start),
service (ServiceDescription: 2.5 s behind the edge, at most 1.5 times as fast), near (0.7 s: less than a segment), text (subtitles: wvtt in English, stpp in German, the second as text). With hold() media waits until release().
"""
import contextlib, email.utils, http.server, os, re, socket, socketserver, struct, subprocess, threading, time, urllib.parse
import tap, textmp4

LOOP, SEGMENT, FPS, RATE = 8, 1, 25, 48000
VIDEO_SCALE = 12800
PERIOD = 6


_film = None


def film():
    """A folder with eight seconds of picture and sound in segments of one, made once; the sound loops without a seam (375 x 1024 samples)."""
    global _film
    if _film is None:
        tap.need('ffmpeg')
        _film = tap.folder()
        encode(_film)
    return _film


def encode(folder):
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-y', '-f', 'lavfi', '-i', f'testsrc2=s=320x180:r={FPS}:d={LOOP}', '-f', 'lavfi', '-i',
                    f'sine=f=440:r={RATE}:d={LOOP}', '-map', '0:v', '-map', '0:v', '-map', '1:a', '-c:v', 'libx264', '-preset', 'veryfast', '-bf', '0',
                    '-g', str(FPS * SEGMENT), '-keyint_min', str(FPS * SEGMENT), '-sc_threshold', '0', '-pix_fmt', 'yuv420p', '-b:v:0', '100k',
                    '-b:v:1', '300k', '-video_track_timescale', str(VIDEO_SCALE), '-c:a', 'aac', '-b:a', '48k', '-f', 'dash', '-seg_duration', str(SEGMENT),
                    '-frag_type', 'duration', '-frag_duration', '0.2', '-use_timeline', '1', '-use_template', '1', '-adaptation_sets', 'id=0,streams=v id=1,streams=a', os.path.join(folder, 'film.mpd')], check=True)


def boxes(data, at=0, end=None):
    end = len(data) if end is None else end
    while at + 8 <= end:
        size = int.from_bytes(data[at:at + 4], 'big')
        yield data[at + 4:at + 8], at, at + size
        at += size


def tfdts(data):
    """Where the 64-bit baseMediaDecodeTime of each chunk stands."""
    out = [t + 12 for kind, at, end in boxes(data) if kind == b'moof' for kind, at, end in boxes(data, at + 8, end) if kind == b'traf'
           for kind, t, _ in boxes(data, at + 8, end) if kind == b'tfdt' and data[t + 8] == 1]
    assert out, 'no tfdt'
    return out


def chunks(data):
    """A segment's CMAF chunks: what stands before a moof goes with it."""
    ends = [end for kind, _, end in boxes(data) if kind == b'mdat']
    return [data[a:b] for a, b in zip([0] + ends[:-1], ends)]


class Track:
    def __init__(self, folder, index, scale):
        self.scale = scale
        with open(os.path.join(folder, f'init-stream{index}.m4s'), 'rb') as f:
            self.init = f.read()
        self.segments, self.starts = [], []
        for n in range(1, LOOP // SEGMENT + 3):
            path = os.path.join(folder, f'chunk-stream{index}-{n:05d}.m4s')
            if not os.path.exists(path):
                break
            with open(path, 'rb') as f:
                data = f.read()
            at = tfdts(data)[0]
            self.starts.append(int.from_bytes(data[at:at + 8], 'big'))
            self.segments.append(data)
        self.starts = [s - self.starts[0] for s in self.starts[:LOOP // SEGMENT]] + [LOOP * scale]
        if len(self.segments) > LOOP // SEGMENT:  # a rest that makes no segment of its own
            self.segments = self.segments[:LOOP // SEGMENT]

    def time(self, number):
        """Start of segment `number` (from 0) since the epoch, in the timescale."""
        n = LOOP // SEGMENT
        return number // n * LOOP * self.scale + self.starts[number % n]

    def duration(self, number):
        return self.time(number + 1) - self.time(number)

    def data(self, number):
        out = bytearray(self.segments[number % (LOOP // SEGMENT)])
        places = tfdts(out)
        by = self.time(number) - int.from_bytes(out[places[0]:places[0] + 8], 'big')
        for at in places:
            out[at:at + 8] = (int.from_bytes(out[at:at + 8], 'big') + by).to_bytes(8, 'big')
        return bytes(out)


class Server:
    def __init__(self, folder, back=12):
        self.tracks = {'v0': Track(folder, 0, VIDEO_SCALE), 'v1': Track(folder, 1, VIDEO_SCALE), 'a': Track(folder, 2, RATE)}
        self.born = time.time()
        self.epoch = int(self.born) - 60
        self.back = back
        self.requests = []  # (status, path), without HEAD
        self.ntp = None
        self.flow = threading.Event()
        self.release()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                server.answer(self)
            do_HEAD = do_GET

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(server.now(self.path), usegmt=True)

        class Pool(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 64
        self.server = Pool(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}'

    def hold(self):
        self.flow.clear()

    def release(self):
        self.flow.set()

    def now(self, path):
        return time.time() + (3600 if 'ahead' in path else 0)

    # --- MPDs ---

    def mpd(self, kinds, now):
        iso = lambda t: time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(t))
        epoch = self.epoch + (3600 if 'ahead' in kinds else 0)
        last = int((now - epoch) / SEGMENT) - 1  # the newest whole segment
        ended = 'end' in kinds and now > self.born + 6
        last = min(last, int(self.born + 6 - epoch) // SEGMENT - 1) if ended else last
        first = max(0, last - self.back)
        publish = last if {'timeline', 'patch'} & set(kinds) else 0
        attributes = f'type="{"static" if ended else "dynamic"}" id="live" publishTime="{iso(epoch + publish)}" minBufferTime="PT1S" '
        if not ended:
            attributes += f'availabilityStartTime="{iso(epoch)}" timeShiftBufferDepth="PT{self.back}S" suggestedPresentationDelay="PT3S" '
            if {'timeline', 'patch', 'periods', 'end'} & set(kinds):
                attributes += 'minimumUpdatePeriod="PT1S" '
        else:
            attributes += f'mediaPresentationDuration="PT{(last + 1) * SEGMENT}S" '
        head = f'<PatchLocation ttl="{0.1 if "brief" in kinds else 60}">live.mpp?from={publish}</PatchLocation>' if 'patch' in kinds else ''
        return ('<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" ' + attributes + '>' +
                head + self.service(kinds) + self.periods(kinds, first, last) + self.timing(kinds) + '</MPD>')

    def service(self, kinds):
        if 'near' in kinds:
            return '<ServiceDescription id="0"><Latency target="700"/><PlaybackRate max="1.5"/></ServiceDescription>'
        return '<ServiceDescription id="0"><Latency target="2500"/><PlaybackRate max="1.5"/></ServiceDescription>' if 'service' in kinds else ''

    def timing(self, kinds):
        if 'head' in kinds:
            return '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-head:2014" value="/ahead/now"/>'
        if 'ntp' in kinds:
            return f'<UTCTiming schemeIdUri="urn:mpeg:dash:utc:ntp:2014" value="127.0.0.1:1 127.0.0.1:{self.time_server()}"/>'
        if 'ahead' in kinds:
            return '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-ntp:2014" value="/none"/><UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="/ahead/now"/>'
        return ''

    def time_server(self):
        """The port of an SNTP server an hour ahead, whose first answer is to somebody else's question."""
        if self.ntp is None:
            self.ntp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.ntp.bind(('127.0.0.1', 0))
            threading.Thread(target=self.tell_time, daemon=True).start()
        return self.ntp.getsockname()[1]

    def tell_time(self):
        while True:
            question, to = self.ntp.recvfrom(512)
            stamp = lambda t: struct.pack('!II', int(t) + 2208988800 & 0xffffffff, int(t % 1 * 2**32))
            received = time.time() + 3600
            for origin, ahead in ((b'12345678', 7200), (question[40:48], 0)):
                self.ntp.sendto(struct.pack('!BBBb12x', 0x24, 2, 0, -20) + stamp(received) + origin + stamp(received + ahead) +
                                stamp(time.time() + 3600 + ahead), to)

    def periods(self, kinds, first, last):
        if 'periods' not in kinds:
            return self.period(kinds, 0, None, first, last)
        out, n = '', PERIOD // SEGMENT
        for p in range(first // n, last // n + 1):
            out += self.period(kinds, p * n, n, max(first, p * n), min(last, p * n + n - 1))
        return out

    def period(self, kinds, begin, length, first, last):
        out = f'<Period id="p{begin}" start="PT{begin * SEGMENT}S">'
        for name, kind, mime, codecs, reps in (('v', 'video', 'video/mp4', 'avc1.64000C', (('v0', 100000, 'width="320" height="180"'), ('v1', 300000, 'width="320" height="180"'))),
                                               ('a', 'audio', 'audio/mp4', 'mp4a.40.2', (('a', 48000, f'audioSamplingRate="{RATE}"'),))):
            track = self.tracks[reps[0][0]]
            offset = track.time(begin)
            common = f'timescale="{track.scale}" presentationTimeOffset="{offset}" initialization="$RepresentationID$/init.mp4" '
            if 'chunked' in kinds:
                common += 'availabilityTimeOffset="0.8" availabilityTimeComplete="false" '
            if {'timeline', 'patch', 'end'} & set(kinds):
                template = f'<SegmentTemplate {common} startNumber="{first}" media="$RepresentationID$/t$Time$.m4s"><SegmentTimeline>' + self.lines(track, first, last) + '</SegmentTimeline></SegmentTemplate>'
            else:
                template = f'<SegmentTemplate {common} startNumber="{begin}" duration="{SEGMENT * track.scale}" media="$RepresentationID$/$Number%06d$.m4s"/>'
            out += (f'<AdaptationSet id="{0 if name == "v" else 1}" contentType="{kind}" mimeType="{mime}" codecs="{codecs}">{template}' +
                    ''.join(f'<Representation id="{i}" bandwidth="{b}" {more}/>' for i, b, more in reps) + '</AdaptationSet>')
        if 'text' in kinds:
            for lang, i in (('en', 'wvtt'), ('de', 'stpp')):
                out += (f'<AdaptationSet contentType="text" mimeType="application/mp4" codecs="{i}" lang="{lang}"><SegmentTemplate timescale="1000" duration="{SEGMENT * 1000}" startNumber="{begin}" '
                        f'presentationTimeOffset="{begin * SEGMENT * 1000}" initialization="{i}/init.mp4" media="{i}/$Number$.m4s"/><Representation id="{i}" bandwidth="1000"/></AdaptationSet>')
        return out + '</Period>'

    def text(self, h, kind, name, now):
        if name == 'init.mp4':
            return self.send(h, 200, 'application/mp4', textmp4.init(kind, 1000))
        n = int(name.split('.')[0])
        if n < 0 or now - self.epoch < (n + 1) * SEGMENT:
            return self.send(h, 404, 'text/plain', b'')
        self.send(h, 200, 'application/mp4', textmp4.segment(kind, n + 1, n * SEGMENT * 1000, SEGMENT * 1000, f'second {n}', 1000))

    def lines(self, track, first, last):
        return ''.join(f'<S t="{track.time(n)}" d="{track.duration(n)}"/>' for n in range(first, last + 1))

    def patch(self, kinds, now, since):
        epoch = self.epoch
        last = int((now - epoch) / SEGMENT) - 1
        iso = lambda t: time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(t))
        out = (f'<Patch xmlns="urn:mpeg:dash:schema:mpd-patch:2020" mpdId="live" originalPublishTime="{iso(epoch + since)}" publishTime="{iso(epoch + last)}">'
               f'<replace sel="/MPD/@publishTime">{iso(epoch + last)}</replace>'
               f'<replace sel="/MPD/PatchLocation[1]"><PatchLocation ttl="60">live.mpp?from={last}</PatchLocation></replace>')
        for i, name in ((0, 'v0'), (1, 'a')):
            line = f"/MPD/Period[@id='p0']/AdaptationSet[@id='{i}']/SegmentTemplate/SegmentTimeline"
            if last > since:
                out += f'<add sel="{line}">{self.lines(self.tracks[name], since + 1, last)}</add>'
            out += f'<remove sel="{line}/S[1]"/>' * (max(0, last - self.back) - max(0, since - self.back))
            if max(0, last - self.back) > max(0, since - self.back):
                out += f'<replace sel="{line[:-len("/SegmentTimeline")]}/@startNumber">{max(0, last - self.back)}</replace>'
        return out + '</Patch>'

    # --- answers ---

    def answer(self, h):
        path = urllib.parse.urlsplit(h.path)
        parts = path.path.strip('/').split('/')
        kinds, now = parts[0].split('+'), self.now(h.path)
        if parts[-1] == 'now':
            return self.send(h, 200, 'text/plain', time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now)).encode() + b'.%03dZ' % (now % 1 * 1000))
        if parts[-1] == 'live.mpd':
            return self.send(h, 200, 'application/dash+xml', self.mpd(kinds, now).encode())
        if parts[-1] == 'live.mpp':
            return self.send(h, 200, 'application/dash-patch+xml', self.patch(kinds, now, int(re.search(r'from=(\d+)', path.query).group(1))).encode())
        if len(parts) == 3 and parts[1] in ('wvtt', 'stpp'):
            return self.text(h, parts[1], parts[2], now)
        track = self.tracks.get(parts[1]) if len(parts) == 3 else None
        if track is None:
            return self.send(h, 404, 'text/plain', b'')
        if parts[2] == 'init.mp4':
            return self.send(h, 200, 'video/mp4', track.init)
        self.flow.wait()
        found = re.fullmatch(r'(t?)(\d+)\.m4s', parts[2])
        number = int(found.group(2))
        if found.group(1):
            guess = number // (SEGMENT * track.scale)
            number = next((n for n in range(max(0, guess - 1), guess + 3) if track.time(n) == number), -1)
        age = now - self.epoch - (3600 if 'ahead' in kinds else 0) - (number + 1) * SEGMENT
        if number < 0 or age < (-0.8 if 'chunked' in kinds else 0):
            return self.send(h, 404, 'text/plain', b'')
        if age < 0:
            return self.drip(h, track.data(number), time.time() - age)
        self.send(h, 200, 'video/mp4', track.data(number))

    def send(self, h, status, kind, body):
        if h.command != 'HEAD':
            self.requests.append((status, h.path))
        h.send_response(status)
        h.send_header('Content-Type', kind)
        h.send_header('Content-Length', str(len(body)))
        h.end_headers()
        if h.command != 'HEAD':
            h.wfile.write(body)

    def drip(self, h, body, end):
        """The rest of the segment, chunk by chunk as they are made; `end`: when the last one is."""
        self.requests.append((200, h.path))
        h.send_response(200)
        h.send_header('Content-Type', 'video/mp4')
        h.send_header('Transfer-Encoding', 'chunked')
        h.end_headers()
        parts = chunks(body)
        with contextlib.suppress(ConnectionError):  # a viewer may leave
            for i, part in enumerate(parts):
                time.sleep(max(0, end - SEGMENT * (len(parts) - 1 - i) / len(parts) - time.time()))
                h.wfile.write(b'%x\r\n%s\r\n' % (len(part), part))
                h.wfile.flush()
            h.wfile.write(b'0\r\n\r\n')

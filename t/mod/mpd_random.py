#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random legal MPDs against a second calculation of their timelines, written from ISO/IEC 23009-1 and not from dash/.

What meets by chance is what nobody thought of: addressing inherited from three levels, timelines with gaps, runs without
a count and numbers of their own, offsets, BaseURL trees, forms of durations and dates, prefixes, codings.
RIBERA_SEEDS=FIRST:COUNT tries others than the hundred and twenty it always tries.
"""
import json, math, os, random, re, sys, urllib.parse
from fractions import Fraction as F
from xml.sax.saxutils import escape
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap

_first, _, _count = os.environ.get('RIBERA_SEEDS', '0:120').partition(':')
SEEDS = range(int(_first), int(_first) + int(_count))
PATH = os.path.join(tap.folder(), 'case.mpd')
NOW = 1767225700  # 100 s after the start of the live ones
COARSE = F(1, 1000)  # what reaches less than this into a Period is a rounding of its length


def attribute(v):
    return escape(str(v), {'"': '&quot;'})


class Case:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.live = self.r.random() < .3
        self.shift = self.r.choice([None, None, 20, 45]) if self.live else None
        self.want = []  # for each Period: (start, duration, address) of its segments, or None where that is not looked at
        self.text = self.write()

    def duration(self, s):
        """One of the forms of xs:duration."""
        ms = int(s * 1000)
        whole, part = divmod(ms, 1000)
        hours, minutes = divmod(whole // 60, 60)
        second = f'{whole % 60}.{part:03d}'.rstrip('0').rstrip('.')
        forms = [f'PT{hours}H{minutes}M{second}S', f'PT{whole}.{part:03d}S', f'P0Y0M0DT{hours}H{minutes}M{second}S', f'P0DT{hours * 60 + minutes}M{second}S', f'PT{whole}.{part:03d}000S']
        if part == 0:
            forms += [f'PT{whole}S', f'PT0{whole}S']
        return self.r.choice(forms)

    # --- SegmentTimeline

    def entries(self, scale, offset):
        out, at = [], offset if offset else self.r.choice([0, 0, scale // 2])
        n = self.r.randint(1, 6)
        for i in range(n):
            gap = self.r.choice([0] * 6 + [scale // 3, scale * 5]) if i else 0
            at += gap
            s = {'t': at if gap or (i == 0 and at) or self.r.random() < .3 else None, 'd': self.r.choice([scale, 2 * scale, scale * 3 // 2 + 1, max(1, scale * 1001 // 1000), 4 * scale]),
                 'r': self.r.choice([0, 0, 1, 2, 5, -1] if i == n - 1 else [0, 0, 1, 2, 3]), 'n': 100 * (i + 1) if self.r.random() < .1 else None}
            out.append(s)
            if s['r'] >= 0 and i < n - 1 and self.r.random() < .1:  # as long as it takes to the next one
                begin, at = at, at + s['d'] * self.r.randint(1, 4) + self.r.choice([0, 0, -(s['d'] // 3)])
                s['r'] = -self.r.randint(1, 3)
                if s['t'] is None and i == 0:
                    s['t'] = begin
                out.append({'t': at, 'd': scale, 'r': 0, 'n': None})
                at += scale
            elif s['r'] >= 0:
                at += s['d'] * (s['r'] + 1)
        return out

    def timeline_xml(self, entries):
        out = ''
        for s in entries:
            given = [(k, v) for k, v in s.items() if v is not None and (k != 'r' or v != 0 or self.r.random() < .2)]
            self.r.shuffle(given)
            out += '<S ' + ' '.join(f'{k}="{v}"' for k, v in given) + self.r.choice(['/>', ' />', '></S>', '><!-- --></S>']) + self.r.choice(['', '\n', '<!-- <S d="1"/> -->'])
        return f'<SegmentTimeline>{out}</SegmentTimeline>'

    @staticmethod
    def expand(entries, end, first, slack):
        """[time, duration, number] of each (5.3.9.6); `end` of the Period in ticks of the track."""
        out, at, number = [], 0, first
        for i, s in enumerate(entries):
            at, number = at if s['t'] is None else s['t'], number if s['n'] is None else s['n']
            if out and at < end - slack and sum(out[-1][:2]) > at:  # behind the end nothing is cut, nor matters it
                out[-1][1] = at - out[-1][0]
            count = s['r'] + 1 if s['r'] >= 0 else math.ceil(F((entries[i + 1]['t'] if i + 1 < len(entries) else end) - at, s['d']))
            for _ in range(count):
                out.append([at, s['d'], number])
                at, number = at + s['d'], number + 1
        return out

    # --- one Period

    def media(self, timeline):
        parts = [self.r.choice(['$Number$', '$Number%01d$', '$Number%05d$'] + (['$Time$', '$Time%09d$', '$Time$-$Number%04d$'] if timeline else []))]
        if self.r.random() < .4:
            parts.insert(0, '$RepresentationID$/')
        if self.r.random() < .3:
            parts.insert(0, self.r.choice(['$Bandwidth$_', '$Bandwidth%08d$_']))
        parts += ['$$'] * (self.r.random() < .1) + ['?a=b&c=$Number$'] * (self.r.random() < .1)
        return ''.join(parts) + self.r.choice(['', '.m4s', '.mp4'])

    @staticmethod
    def name(media, values):
        def put(m):
            return '$' if m.group(1) == '' else str(values[m.group(1)]).zfill(int(m.group(2) or 1))
        return urllib.parse.quote(re.sub(r'\$(RepresentationID|Number|Time|Bandwidth|)(?:%0(\d+)d)?\$', put, media), safe="/:?#[]@!$&'()*+,;=-._~%")

    def segments(self, kind, a, length, left, entries, n_urls):
        """(start, duration, time, number) in ticks of the Period; `left`: what of time is up in it when it has no end, else None."""
        scale, offset, first = a['timescale'], a.get('presentationTimeOffset', 0), a.get('startNumber', 1)
        end = (length if left is None else left) * scale
        if entries:
            listed = self.expand(entries, end + offset, first, scale * COARSE)
            if kind == 'list':
                listed = [x for x in listed if x[2] - first < n_urls]
            rows = [(t - offset, d, t, n) for t, d, n in listed if t + d > offset and t - offset < end - scale * COARSE]
        else:
            count = math.ceil((end - scale * COARSE) / a['duration']) if left is None else int(end // a['duration'])
            if kind == 'list':
                count = min(count, n_urls) if left is None else n_urls
            rows = [(i * a['duration'], min(a['duration'], end - i * a['duration']) if left is None else a['duration'], offset + i * a['duration'], first + i) for i in range(count)]
        return [x for x in rows if 'endNumber' not in a or x[3] <= a['endNumber']]

    def there(self, rows, kind, a, start, entries, open_end):
        """What of a live Period is there (A.3.2)."""
        scale = a['timescale']
        ends = lambda x: start + F(x[0] + (a['duration'] if not entries else x[1])) / scale
        if kind == 'list':
            return None if not entries or self.shift else rows if open_end or start + F(rows[-1][0] if rows else 0) / scale < 100 else None
        if entries:
            return None if self.shift else [x for x in rows if not open_end or ends(x) <= 100]
        rows = [x for x in rows if ends(x) <= 100]
        return rows if self.shift is None else None if not rows or ends(rows[-1]) <= 100 - self.shift or 'endNumber' in a else [x for x in rows if ends(x) > 100 - self.shift]

    def period(self, i, start, length, root, given, open_end):
        r, noise = self.r, lambda: self.r.choice(['', '', '<!-- c -->', '\n\t', '<?pi x?>'])
        kind, timed = r.choice(['template', 'template', 'list']), r.random() < .5
        a = {'timescale': r.choice([1, 1000, 90000, 48000, 12800, 30000, 10**7])}
        scale = a['timescale']
        for key, value, odds in (('presentationTimeOffset', r.choice([7 * scale, 100000 * scale + 1, 2**40]), .5), ('startNumber', r.choice([0, 1, 5, 10**6]), .5), ('endNumber', a.get('startNumber', 1) + 2, .1)):
            if r.random() < odds:
                a[key] = value
        if kind == 'list':
            a.pop('endNumber', None)
        identity, bandwidth = r.choice(['v', 'a b', 'é', 'x/y', 'v%20', '<&>']), r.randint(1, 10**6)
        urls = [f'f{k}.mp4' for k in range(r.randint(1, 25))] if kind == 'list' else []
        entries = self.entries(scale, a.get('presentationTimeOffset', 0)) if timed else None
        if entries and kind == 'list':
            for s in entries:
                s['n'] = None
        if not timed:
            a['duration'] = r.choice([scale, 2 * scale, 4 * scale, scale * 3 // 2 + 1, scale * 1001 // 1000 + 1])
        if kind == 'template':
            a['media'] = self.media(timed)
        rows = self.segments(kind, a, length, 100 - start if open_end else None, entries, len(urls))
        bases = [r.choice(['', f'p{i}/']), r.choice(['', 's/?x=y&z']), r.choice(['', 'r/', './', '..'])]
        for b in bases:
            root = urllib.parse.urljoin(root, b) if b else root
        if self.live:
            rows = self.there(rows, kind, a, start, entries, open_end)
        name = lambda t, n: urls[n - a.get('startNumber', 1)] if kind == 'list' else self.name(a['media'], {'RepresentationID': identity, 'Number': n, 'Time': t, 'Bandwidth': bandwidth})
        self.want.append(None if rows is None else [(F(s) / scale, F(d) / scale, urllib.parse.urljoin(root, name(t, n))) for s, d, t, n in rows])
        levels = [dict(), dict(), dict()]
        for k, v in a.items():  # each attribute on any level (5.3.9.1)
            r.choice(levels)[k] = v
        inside = ['', '', '']
        if entries:
            inside[r.randrange(3)] += self.timeline_xml(entries)
        inside[r.randrange(3)] += ''.join(f'<SegmentURL media="{u}"/>' for u in urls)
        tag = 'SegmentTemplate' if kind == 'template' else 'SegmentList'
        own = [f'<{tag} ' + ' '.join(f'{k}="{attribute(v)}"' for k, v in levels[k_].items()) + f'>{inside[k_]}</{tag}>' if levels[k_] or inside[k_] or k_ == 2 else '' for k_ in range(3)]
        base = [f'<BaseURL>{escape(b)}</BaseURL>' if b else '' for b in bases]
        event = r.choice(['', '<EventStream schemeIdUri="urn:x" timescale="1"><Event presentationTime="0" duration="1" id="1">x</Event></EventStream>'])
        more = r.choice(['', '<InbandEventStream schemeIdUri="urn:e" value="1"/>', '<SupplementalProperty schemeIdUri="urn:mpeg:dash:adaptation-set-switching:2016" value="2"/>'])
        return (f'<Period id="p{i}" {" ".join(f"{k}={chr(34)}{v}{chr(34)}" for k, v in given.items())}>{noise()}{base[0]}{event}{own[0]}{noise()}<AdaptationSet mimeType="video/mp4">{more}{base[1]}{noise()}{own[1]}'
                f'<Representation id="{attribute(identity)}" bandwidth="{bandwidth}">{noise()}{base[2]}{own[2]}<SubRepresentation level="1" bandwidth="5"/></Representation></AdaptationSet></Period>')

    # --- the MPD

    def write(self):
        r, start, body, before = self.r, F(0), '', {'duration': ''}
        root = urllib.parse.urljoin('http://h/d/', r.choice(['', 'a/', '../e/', '/abs/', 'http://k:81/z/?tok=1', '//m/']))
        n = r.randint(1, 4)
        for i in range(n):
            length, open_end = r.choice([F(10), F(7), F(25, 2), F(4), F(20), F(1001, 1000)]), self.live and i == n - 1 and r.random() < .7
            given = {'duration': self.duration(length)} if not open_end and (i == n - 1 or r.random() < .6) else {}
            if i == 0 or r.random() < .5 or 'duration' not in before:
                given['start'] = self.duration(start)
            body += self.period(i, start, length, root, given, open_end)
            start, before = start + length, given
        kind = f'type="static" mediaPresentationDuration="{self.duration(start)}"'
        if self.live:
            zero = r.choice(['2026-01-01T00:00:00Z', '2026-01-01T00:00:00', '2026-01-01T02:30:00.000+02:30', '2025-12-31T19:00:00-05:00', '2026-01-01T00:00:00.0000000Z'])
            kind = f'type="dynamic" availabilityStartTime="{zero}" minimumUpdatePeriod="PT2S"' + (f' timeShiftBufferDepth="{self.duration(self.shift)}"' if self.shift else '')
        return f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="x" minBufferTime="PT1S" {kind}><BaseURL>{escape(root)}</BaseURL>{body}</MPD>'

    def coded(self):
        text = self.text
        if self.r.random() < .2:
            text = text.replace('\n', '\r\n')
        if self.r.random() < .1:
            text = re.sub(r'<(/?)(?=[A-Z])', r'<\1m:', text).replace('xmlns=', 'xmlns:m=')
        return text.encode('utf-16' if self.r.random() < .1 else 'utf-8')


def difference(case):
    """None, or what differs."""
    with open(PATH, 'wb') as f:
        f.write(case.coded())
    done = tap.call(os.path.join(tap.BUILD, 't/lib/mpd-dump'), '--now', str(NOW), '--url', 'file://' + PATH, PATH)
    if done.returncode != 0:
        return done.stderr
    periods = json.loads(done.stdout)['periods']
    for i, want in enumerate(case.want):
        if want is None:
            continue
        r = periods[i]['tracks'][0]['renditions'][0]
        got, tick = [(F(s['start'], r['timescale']), F(s['duration'], r['timescale']), s['url']) for s in r['segments']], F(1, r['timescale'])
        if len(got) != len(want):
            return f'Period {i} has {len(got)} segments, expected {len(want)}: {[(float(a), float(b), c) for a, b, c in got[-2:]]}, {[(float(a), float(b), c) for a, b, c in want[-2:]]}'
        for g, w in zip(got, want):
            if g[2] != w[2] or abs(g[0] - w[0]) > tick or abs(g[1] - w[1]) > tick:
                return f'Period {i}: {float(g[0]), float(g[1]), g[2]}, expected {float(w[0]), float(w[1]), w[2]}'
    return None


@tap.test
def random_timelines_are_as_calculated_a_second_time():
    wrong, segments = [], 0
    for seed in SEEDS:
        case = Case(seed)
        segments += sum(len(w) for w in case.want if w)
        d = difference(case)
        if d:
            wrong.append(f'seed {seed}: {d}\n{case.text}')
    tap.check(not wrong, f'{len(wrong)} of {len(SEEDS)} differ\n' + '\n'.join(wrong[:3]))
    tap.check(segments > 5 * len(SEEDS), f'only {segments} segments were compared')
    print(f'# {len(SEEDS)} MPDs, {segments} segments')


tap.run()

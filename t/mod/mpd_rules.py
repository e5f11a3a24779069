#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of MPDs against ISO/IEC 23009-1, rule by rule: small MPDs whose timelines were worked out by hand.

Where only the timeline matters it is t/lib/mpd-dump that is asked, which starts ten times as fast as `ribera-player --inspect`.
"""
import json, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap

FOLDER = tap.folder()
NS = 'xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:xlink="http://www.w3.org/1999/xlink"'
NOW, NOW_S = '2026-01-01T00:01:40Z', '1767225700'  # 100 s after the start of the live ones


def vod(inside, attributes='mediaPresentationDuration="PT10S"', base='<BaseURL>http://h/d/</BaseURL>'):
    return f'<MPD {NS} profiles="x" minBufferTime="PT1S" type="static" {attributes}>{base}{inside}</MPD>'


def live(inside, attributes=''):
    return (f'<MPD {NS} profiles="x" minBufferTime="PT1S" type="dynamic" availabilityStartTime="2026-01-01T00:00:00Z" {attributes}>'
            f'<BaseURL>http://h/d/</BaseURL>{inside}</MPD>')


def one(addressing, period='', own='', at_set=''):
    """A Period with a set with a Representation."""
    return f'<Period {period}><AdaptationSet mimeType="video/mp4">{at_set}<Representation id="v" bandwidth="5">{own}{addressing}</Representation></AdaptationSet></Period>'


def template(attributes='', inside='', media='$Number$', **where):
    return one(f'<SegmentTemplate media="{media}" {attributes}>{inside}</SegmentTemplate>', **where)


def line(s, attributes='', media='$Number$-$Time$', **where):
    return template(attributes, f'<SegmentTimeline>{s}</SegmentTimeline>', media, **where)


def write(text):
    path = os.path.join(FOLDER, 'case.mpd')
    with open(path, 'wb') as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def inspect(text):
    return tap.call(tap.program('ribera-player'), '--inspect', write(text), '--json', '--now', NOW, timeout=60)


def dump(text):
    path = write(text)
    return tap.call(os.path.join(tap.BUILD, 't/lib/mpd-dump'), '--now', NOW_S, '--url', 'file://' + path, path, timeout=60)


def laid_out(text):
    done = inspect(text)
    tap.equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def rendition(o, period=0):
    return o['periods'][period]['tracks'][0]['renditions'][0]


def segments(text, period=0):
    """(start, duration, address behind http://h/d/) of each segment."""
    done = dump(text)
    tap.equal(done.returncode, 0, done.stderr)
    r = rendition(json.loads(done.stdout), period)
    return [(round(s['start'] / r['timescale'], 6), round(s['duration'] / r['timescale'], 6), s['url'].replace('http://h/d/', '')) for s in r['segments']]


def table(*rows):
    """Each row: what it shows, an MPD, its segments; all that differ are told."""
    wrong = []
    for name, text, want in rows:
        try:
            got = segments(text)
        except Exception as e:
            got = str(e)
        if got != want:
            wrong.append(f'{name}: {got}, expected {want}')
    tap.check(not wrong, '\n'.join(wrong))


@tap.test
def numbers_and_durations():
    table(
        ('@duration, the last one cut at the Period (5.3.9.5.3)', vod(template('duration="4"')), [(0, 4, '1'), (4, 4, '2'), (8, 2, '3')]),
        ('@startNumber 0', vod(template('duration="5" startNumber="0"')), [(0, 5, '0'), (5, 5, '1')]),
        ('@endNumber', vod(template('duration="2" startNumber="3" endNumber="5"')), [(0, 2, '3'), (2, 2, '4'), (4, 2, '5')]),
        ('@endNumber before @startNumber', vod(template('duration="2" startNumber="3" endNumber="2"')), []),
        ('@timescale that does not divide', vod(template('duration="10010" timescale="3000"', period='duration="PT10.01S"'), ''),
         [(0, 3.336667, '1'), (3.336667, 3.336667, '2'), (6.673333, 3.336667, '3')]),
        ('@presentationTimeOffset moves no number, only $Time$', vod(template('duration="5" presentationTimeOffset="100"', media='$Number$-$Time$')),
         [(0, 5, '1-100'), (5, 5, '2-105')]),
        ('@eptDelta below 0 (5.3.9.2)', vod(template('duration="4" eptDelta="-2"')), [(-2, 4, '1'), (2, 4, '2'), (6, 4, '3')]),
        ('@eptDelta above 0', vod(template('duration="4" eptDelta="1"')), [(1, 4, '1'), (5, 4, '2'), (9, 1, '3')]),
        ('a rest of less than a tick is a segment too', vod(template('duration="1"', period='duration="PT3.968S"'), ''), [(0, 1, '1'), (1, 1, '2'), (2, 1, '3'), (3, 1, '4')]),
        ('a Period of no length', vod(template('duration="4"', period='duration="PT0S"')), []),
        ('fractions, exponents of duration', vod(template('duration="25" timescale="10"'), 'mediaPresentationDuration="P0Y0M0DT0H0M5.000S"'), [(0, 2.5, '1'), (2.5, 2.5, '2')]),
        ('P1Y2M3DT4H5M6.7S', vod(template('duration="100000000"'), 'mediaPresentationDuration="P1Y2M3DT4H5M6.7S"'), [(0, 36993907, '1')]),
    )


@tap.test
def templates():
    table(
        ('widths', vod(template('duration="5"', media='$Number%05d$.m4s')), [(0, 5, '00001.m4s'), (5, 5, '00002.m4s')]),
        ('a width that is too small', vod(template('duration="5" startNumber="99"', media='$Number%02d$')), [(0, 5, '99'), (5, 5, '100')]),
        ('all of them', vod(template('duration="10"', media='$RepresentationID$/$Bandwidth%03d$/$Number$$$.x')), [(0, 10, 'v/005/1$.x')]),
        ('what is no identifier stays', vod(template('duration="10"', media='$Numbers$-$Number$')), [(0, 10, '$Numbers$-1')]),
        ('a lone dollar', vod(template('duration="10"', media='a$b-$Number$')), [(0, 10, 'a$b-1')]),
        ('spaces and accents in an id', vod(template('duration="10"', media='$RepresentationID$').replace('id="v"', 'id="ä b"')), [(0, 10, '%C3%A4%20b')]),
        ('$SubNumber$ (5.3.9.6.4)', vod(template('duration="4" k="2"', media='$Number$-$SubNumber$'), 'mediaPresentationDuration="PT8S"'),
         [(0, 2, '1-1'), (2, 2, '1-2'), (4, 2, '2-1'), (6, 2, '2-2')]),
        ('neither @duration nor SegmentTimeline: one segment', vod(template('', media='all.mp4')), [(0, 10, 'all.mp4')]),
    )


@tap.test
def segment_timelines():
    table(
        ('@r', vod(line('<S t="0" d="2" r="2"/><S d="4"/>')), [(0, 2, '1-0'), (2, 2, '2-2'), (4, 2, '3-4'), (6, 4, '4-6')]),
        ('@r="-1" up to the next @t', vod(line('<S t="0" d="2" r="-1"/><S t="6" d="4"/>')), [(0, 2, '1-0'), (2, 2, '2-2'), (4, 2, '3-4'), (6, 4, '4-6')]),
        ('@r="-1" in the middle, then again', vod(line('<S d="1" r="-1"/><S t="2" d="3" r="-1"/><S t="8" d="2"/>')),
         [(0, 1, '1-0'), (1, 1, '2-1'), (2, 3, '3-2'), (5, 3, '4-5'), (8, 2, '5-8')]),
        ('@r="-1" up to the end of the Period', vod(line('<S t="0" d="4" r="-1"/>')), [(0, 4, '1-0'), (4, 4, '2-4'), (8, 4, '3-8')]),
        ('@r below -1 is as -1', vod(line('<S t="0" d="5" r="-7"/>')), [(0, 5, '1-0'), (5, 5, '2-5')]),
        ('@n', vod(line('<S t="0" d="5" n="7"/><S d="5"/>')), [(0, 5, '7-0'), (5, 5, '8-5')]),
        ('@n in the middle, with @startNumber', vod(line('<S t="0" d="2" r="1"/><S d="3" n="20" r="1"/>', 'startNumber="5"')),
         [(0, 2, '5-0'), (2, 2, '6-2'), (4, 3, '20-4'), (7, 3, '21-7')]),
        ('a gap keeps its numbers', vod(line('<S t="0" d="2"/><S t="6" d="4"/>')), [(0, 2, '1-0'), (6, 4, '2-6')]),
        ('an overlap is cut', vod(line('<S t="0" d="6"/><S t="4" d="6"/>')), [(0, 4, '1-0'), (4, 6, '2-4')]),
        ('PTO', vod(line('<S t="90000" d="450000" r="1"/>', 'timescale="90000" presentationTimeOffset="90000"')), [(0, 5, '1-90000'), (5, 5, '2-540000')]),
        ('the first S without @t is at time 0 of the track', vod(line('<S d="5" r="1"/>')), [(0, 5, '1-0'), (5, 5, '2-5')]),
        ('PTO in the middle of a segment', vod(line('<S t="0" d="4" r="3"/>', 'presentationTimeOffset="2"')), [(-2, 4, '1-0'), (2, 4, '2-4'), (6, 4, '3-8')]),
        ('what ends before the Period is not played', vod(line('<S t="0" d="4" r="3"/>', 'presentationTimeOffset="8"')), [(0, 4, '3-8'), (4, 4, '4-12')]),
        ('S@k (5.3.9.6.4)', vod(line('<S t="0" d="4" k="4" r="1"/>', media='$Number$.$SubNumber$'), 'mediaPresentationDuration="PT8S"'),
         [(float(i), 1, f'{1 + i // 4}.{1 + i % 4}') for i in range(8)]),
        ('@endNumber', vod(line('<S t="0" d="2" r="9"/>', 'endNumber="2"')), [(0, 2, '1-0'), (2, 2, '2-2')]),
        ('63 bits', vod(line(f'<S t="{2**63 - 20}" d="5" r="1"/>', f'presentationTimeOffset="{2**63 - 20}"', media='$Time$')),
         [(0, 5, str(2**63 - 20)), (5, 5, str(2**63 - 15))]),
    )


@tap.test
def lists_and_files():
    urls = ''.join(f'<SegmentURL media="{i}.m4s"/>' for i in (1, 2, 3))
    table(
        ('@duration', vod(one(f'<SegmentList duration="4">{urls}</SegmentList>')), [(0, 4, '1.m4s'), (4, 4, '2.m4s'), (8, 2, '3.m4s')]),
        ('SegmentTimeline', vod(one(f'<SegmentList timescale="10"><SegmentTimeline><S t="0" d="30" r="1"/><S d="40"/></SegmentTimeline>{urls}</SegmentList>')),
         [(0, 3, '1.m4s'), (3, 3, '2.m4s'), (6, 4, '3.m4s')]),
        ('neither durations nor times: equal ones', vod(one('<SegmentList>' + urls + '<SegmentURL media="4.m4s"/></SegmentList>')), [(0, 2.5, '1.m4s'), (2.5, 2.5, '2.m4s'), (5, 2.5, '3.m4s'), (7.5, 2.5, '4.m4s')]),
        ('fewer SegmentURLs than S', vod(one(f'<SegmentList><SegmentTimeline><S t="0" d="2" r="4"/></SegmentTimeline>{urls}</SegmentList>')),
         [(0, 2, '1.m4s'), (2, 2, '2.m4s'), (4, 2, '3.m4s')]),
        ('SegmentURLs from the set, durations from the Representation', vod(one('<SegmentList duration="4"/>', at_set=f'<SegmentList>{urls}</SegmentList>')),
         [(0, 4, '1.m4s'), (4, 4, '2.m4s'), (8, 2, '3.m4s')]),
        ('a text file is one segment', vod('<Period><AdaptationSet mimeType="text/vtt"><Representation id="t" bandwidth="1"><BaseURL>t.vtt</BaseURL></Representation></AdaptationSet></Period>'),
         [(0, 10, 't.vtt')]),
    )
    o = rendition(laid_out(vod(one('<SegmentList duration="5"><Initialization sourceURL="i.mp4" range="0-99"/><SegmentURL media="f.mp4" mediaRange="100-199" indexRange="100-120"/>'
                                   '<SegmentURL mediaRange="200-"/></SegmentList>', own='<BaseURL>whole.mp4</BaseURL>'))))
    tap.equal(o['initialization'], {'address': 'http://h/d/i.mp4', 'range': [0, 99]})
    tap.equal([(s['address'], s['range'][0]) for s in o['segments']], [('http://h/d/f.mp4', 100), ('http://h/d/whole.mp4', 200)])
    tap.equal(o['segments'][0]['range'], [100, 199])


@tap.test
def inheritance():
    inherited = ('<Period>{0}<AdaptationSet mimeType="video/mp4">{1}<Representation id="v" bandwidth="1">{2}</Representation></AdaptationSet></Period>')
    t = lambda a: f'<SegmentTemplate {a}/>'
    table(
        ('from the Period', vod(inherited.format(t('media="$Number$" duration="5"'), '', '')), [(0, 5, '1'), (5, 5, '2')]),
        ('attribute by attribute (5.3.9.1)', vod(inherited.format(t('duration="50" timescale="10"'), t('media="s$Number$" startNumber="4"'), t('media="r$Number$"'))),
         [(0, 5, 'r4'), (5, 5, 'r5')]),
        ('a timeline below against @duration above', vod(inherited.format(t('media="$Number$" duration="1"'), '', '<SegmentTemplate><SegmentTimeline><S t="0" d="10"/></SegmentTimeline></SegmentTemplate>')),
         [(0, 10, '1')]),
        ('@duration below against a timeline above', vod(inherited.format('<SegmentTemplate media="$Number$"><SegmentTimeline><S t="0" d="10"/></SegmentTimeline></SegmentTemplate>', '', t('duration="5"'))),
         [(0, 5, '1'), (5, 5, '2')]),
        ('an empty Representation SegmentTemplate', vod(inherited.format('', t('media="$Number$" duration="5"'), '<SegmentTemplate/>')), [(0, 5, '1'), (5, 5, '2')]),
        ('another kind below does not inherit', vod(inherited.format(t('media="$Number$" duration="5" timescale="1"'), '', '<SegmentList duration="10"><SegmentURL media="x"/></SegmentList>')),
         [(0, 10, 'x')]),
        ('$Bandwidth$ and $RepresentationID$ of each', vod(inherited.format(t('media="$RepresentationID$$Bandwidth$" duration="10"'), '', '')), [(0, 10, 'v1')]),
    )
    o = rendition(laid_out(vod(inherited.format('', t('media="$Number$" duration="5" initialization="$RepresentationID$.mp4"'), ''))))
    tap.equal(o['initialization']['address'], 'http://h/d/v.mp4')


@tap.test
def base_urls():
    t = '<SegmentTemplate media="$Number$" duration="10"/>'

    def addresses(mpd, period='', at_set='', own=''):
        done = dump(vod(f'<Period>{period}<AdaptationSet mimeType="video/mp4">{at_set}<Representation id="v" bandwidth="1">{own}{t}</Representation></AdaptationSet></Period>', base=mpd))
        tap.equal(done.returncode, 0, done.stderr)
        r = rendition(json.loads(done.stdout))
        return r['segments'][0]['url'], [b[0] for b in r['bases']]
    b = lambda *urls: ''.join(f'<BaseURL>{u}</BaseURL>' for u in urls)
    for args, want in (((b('http://h/a/'), b('b/'), b('c/'), b('d/')), 'http://h/a/b/c/d/1'),
                       ((b('http://h/a/'), b('/b/'), '', b('../c/')), 'http://h/c/1'),
                       ((b('http://h/a/'), b('https://k/x/'), b('y/')), 'https://k/x/y/1'),
                       ((b('http://h/a/'), b('//k:81/x')), 'http://k:81/1'),
                       ((b('http://h/a/?q=1'), b('b/')), 'http://h/a/b/1'),
                       ((b('http://h/a/b/'), b('../../../../c/')), 'http://h/c/1'),
                       ((b(' http://h/a/\n'),), 'http://h/a/1'),
                       ((b('<![CDATA[http://h/a&b/]]>'),), 'http://h/a&b/1'),
                       ((b('http://h/a&amp;&#x62;/'),), 'http://h/a&b/1')):
        tap.equal(addresses(*args)[0], want, str(args))
    tap.equal(addresses(b('http://h/', 'http://k/'), b('a/', 'b/'))[1], ['http://h/a/', 'http://k/a/', 'http://h/b/', 'http://k/b/'])
    tap.equal(addresses(b('http://h/'), '', '', b('http://k/x/'))[1], ['http://k/x/'], 'an absolute one alone')
    o = laid_out(vod(template('duration="10"'), base=b('m/')))  # relative to the MPD itself
    tap.equal(rendition(o)['segments'][0]['address'], 'file://' + FOLDER + '/m/1')


@tap.test
def periods():
    def placed(*periods, attributes='mediaPresentationDuration="PT30S"', make=vod):
        done = dump(make(''.join(periods), attributes))
        tap.equal(done.returncode, 0, done.stderr)
        return [(p['start'] / 1e6, p['duration'] / 1e6, len(p['tracks'][0]['renditions'][0]['segments']) if p['tracks'] else None) for p in json.loads(done.stdout)['periods']]
    t = lambda period: template('duration="5"', period=period)
    tap.equal(placed(t('start="PT0S"'), t('start="PT10S"'), t('start="PT20S"')), [(0, 10, 2), (10, 10, 2), (20, 10, 2)])
    tap.equal(placed(t('duration="PT5S"'), t('duration="PT10S"'), t('')), [(0, 5, 1), (5, 10, 2), (15, 15, 3)])
    tap.equal(placed(t('duration="PT5S"'), t('start="PT10S"')), [(0, 5, 1), (10, 20, 4)], 'a gap between Periods')
    tap.equal(placed(t('duration="PT20S"'), t('start="PT10S"')), [(0, 10, 2), (10, 20, 4)], 'the next @start is stronger than @duration')
    tap.equal(placed(t('duration="PT5S"'), t('duration="PT5S"'), attributes=''), [(0, 5, 1), (5, 5, 1)], 'no length of the whole')
    tap.equal(placed(t('duration="PT5S"'), t('duration="PT0S"'), t('duration="PT5S"'), attributes=''), [(0, 5, 1), (5, 0, 0), (5, 5, 1)], 'a Period of no length')
    tap.equal(placed(t('start="PT0S" duration="PT10S"'), t(''), t('start="PT50S"'), attributes='', make=live)[:2], [(0, 10, 2), (10, 40, 8)])
    tap.equal(len(placed(t('start="PT0S"'), t('id="soon"'), attributes='', make=live)), 1, 'a Period announced without a start (5.3.2.1)')
    timescales = vod(template('duration="90000" timescale="18000" presentationTimeOffset="7"', period='duration="PT10S"') +
                     line('<S t="48000" d="240240" r="1"/>', 'timescale="48000" presentationTimeOffset="48000"', period='duration="PT10.01S"'), '')
    tap.equal(segments(timescales), [(0, 5, '1'), (5, 5, '2')])
    tap.equal(segments(timescales, 1), [(0, 5.005, '1-48000'), (5.005, 5.005, '2-288240')])


@tap.test
def what_is_there_of_a_live_title():
    """100 s after availabilityStartTime."""
    names = lambda inside, attributes='': [s[2] for s in segments(live(inside, attributes))]
    numbers = lambda a, b: [str(i) for i in range(a, b + 1)]
    t = lambda more='', **where: template('duration="10" ' + more, period='start="PT0S"', **where)
    for name, got, want in (
            ('whole segments alone (A.3.2)', names(t()), numbers(1, 10)),
            ('time shift', names(t(), 'timeShiftBufferDepth="PT20S"'), numbers(9, 10)),
            ('time shift of less than a segment: the newest', names(t(), 'timeShiftBufferDepth="PT1S"'), numbers(10, 10)),
            ('availabilityTimeOffset', names(t('availabilityTimeOffset="7"'), 'timeShiftBufferDepth="PT20S"'), numbers(9, 10)),
            ('availabilityTimeOffset of a whole segment', names(t('availabilityTimeOffset="10"'), 'timeShiftBufferDepth="PT20S"'), numbers(10, 11)),
            ('availabilityTimeOffset of BaseURL and SegmentTemplate add up (5.3.9.5.3)',
             names(template('duration="10" availabilityTimeOffset="4"', period='start="PT0S"', own='<BaseURL availabilityTimeOffset="6">./</BaseURL>'))[-1:], ['11']),
            ('availabilityTimeOffset INF with an end', names(template('duration="10" availabilityTimeOffset="INF"', period='start="PT0S" duration="PT200S"')), numbers(1, 20)),
            ('a part of a segment', names(t('availabilityTimeOffset="8" availabilityTimeComplete="false"'))[-1:], ['10']),
            ('a Period that started later', names(template('duration="10"', period='start="PT45S"')), numbers(1, 5)),
            ('an old Period within the time shift', names(template('duration="10"', period='start="PT0S"') + template('duration="10"', period='start="PT85S"'), 'timeShiftBufferDepth="PT20S"'), ['9']),
            ('an old Period without it: nothing, the newest is the next one\'s', names(template('duration="10"', period='start="PT0S"') + template('duration="10"', period='start="PT50S"'), 'timeShiftBufferDepth="PT20S"'), []),
            ('what is announced and has not begun', names(template('duration="10"', period='start="PT200S"')), []),
            ('SegmentTimeline: what it lists', names(line('<S t="60" d="10" r="3"/>', period='start="PT0S"', media='$Time$')), ['60', '70', '80', '90']),
            ('SegmentTimeline with @r="-1": up to now', names(line('<S t="60" d="10" r="-1"/>', period='start="PT0S"', media='$Time$')), ['60', '70', '80', '90']),
            ('SegmentTimeline and time shift', names(line('<S t="0" d="10" r="9"/>', period='start="PT0S"', media='$Time$'), 'timeShiftBufferDepth="PT30S"'), ['70', '80', '90'])):
        tap.equal(got, want, name)
    o = laid_out(live(t(), 'minimumUpdatePeriod="PT2S" suggestedPresentationDelay="PT6.5S" timeShiftBufferDepth="PT1M" publishTime="2026-01-01T01:00:00.5+01:00"'))['live']
    tap.equal((o['minimum_update_s'], o['suggested_delay_s'], o['time_shift_s']), (2, 6.5, 60))
    tap.check(o['publish_time'].startswith('2026-01-01T00:00:00.5'), o['publish_time'])


def file(name, text):
    with open(os.path.join(FOLDER, name), 'w') as f:
        f.write(text)


@tap.test
def remote_elements():
    part = '<AdaptationSet mimeType="video/mp4"><Representation id="{0}" bandwidth="1"><SegmentTemplate media="{0}$Number$" duration="5"/></Representation></AdaptationSet>'
    file('sets.xml', part.format('b') + part.format('c'))
    file('periods.xml', f'<Period {NS} duration="PT5S">{part.format("p")}</Period><Period duration="PT5S">{part.format("q")}</Period>')
    file('prefixed.xml', f'<d:Period xmlns:d="urn:mpeg:dash:schema:mpd:2011" duration="PT10S">{part.format("x").replace("<", "<d:").replace("<d:/", "</d:")}</d:Period>')
    file('list.xml', '<SegmentList duration="5"><SegmentURL media="l1"/><SegmentURL media="l2"/></SegmentList>')
    file('round.xml', f'<Period xlink:href="round.xml" {NS}/>')
    for i in range(12):
        file(f'deep{i}.xml', f'<Period xlink:href="deep{i + 1}.xml" {NS}/>')

    def ids(inside, said=None):
        done = inspect(vod(inside, 'mediaPresentationDuration="PT10S"'))
        tap.equal(done.returncode, 0, done.stderr)
        if said:
            tap.has(done.stderr, said)
        return [[r['id'] for t in p['tracks'] for r in t['renditions']] for p in json.loads(done.stdout)['periods']]
    a = part.format('a')
    tap.equal(ids(f'<Period>{a}<AdaptationSet xlink:href="sets.xml" xlink:actuate="onLoad"/></Period>'), [['a', 'b', 'c']])
    tap.equal(ids(f'<Period>{a}<AdaptationSet xlink:href="sets.xml" xlink:actuate="onRequest"/></Period>'), [['a', 'b', 'c']])
    tap.equal(ids('<Period xlink:href="periods.xml" xlink:actuate="onLoad"/>'), [['p'], ['q']])
    tap.equal(ids('<Period xlink:href="prefixed.xml" xlink:actuate="onLoad"/>'), [['x']])
    tap.equal(ids(f'<Period duration="PT5S">{a}</Period><Period xlink:href="urn:mpeg:dash:resolve-to-zero:2013"/>'), [['a']])
    tap.equal(ids(f'<Period>{a}<AdaptationSet xlink:href="urn:mpeg:dash:resolve-to-zero:2013"/></Period>'), [['a']])
    tap.equal(ids(f'<Period start="PT0S">{a}</Period><Period xlink:href="round.xml"/>', 'circular'), [['a']])
    tap.equal(ids(f'<Period start="PT0S">{a}</Period><Period xlink:href="deep0.xml"/>', 'deep'), [['a']])
    tap.equal(ids(f'<Period start="PT0S">{a}</Period><Period xlink:href="gone.xml"/>', 'gone.xml'), [['a']])
    listed = rendition(laid_out(vod(one('<SegmentList xlink:href="list.xml" xlink:actuate="onLoad"/>'))))
    tap.equal([s['url'] for s in listed['segments']], ['l1', 'l2'])


@tap.test
def codings_and_namespaces():
    text = vod(template('duration="10"', media='é$Number$'))
    want = [(0, 10, '%C3%A91')]
    for name, data in (('UTF-8', text.encode()), ('BOM', b'\xef\xbb\xbf' + text.encode()), ('UTF-16LE', text.encode('utf-16')), ('UTF-16BE', b'\xfe\xff' + text.encode('utf-16-be')),
                       ('Latin-1', b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.encode('latin-1')),
                       ('declared UTF-8', b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<!-- x -->\n' + text.encode()),
                       ('a prefix for all', text.replace('xmlns=', 'xmlns:m=').replace('<', '<m:').replace('<m:/', '</m:').encode())):
        tap.equal(segments(data), want, name)
    strange = text.replace('<Period', '<x:Period xmlns:x="urn:other"><x:AdaptationSet/></x:Period><Period').replace('mimeType', 'x:mimeType="no" xmlns:x="urn:other" mimeType')
    tap.equal(segments(strange), want, 'elements of others are passed over')


@tap.test
def what_is_wrong_is_said_with_its_place():
    bomb = '<!DOCTYPE MPD [<!ENTITY a "aaaaaaaaaa">' + ''.join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)) + ']>'
    many = ''.join(f'<S t="{i * 2}" d="1"/>' for i in range(100_000))
    for name, text, words in (
            ('a bomb', bomb + vod(template('duration="1" id="&j;"')), ':1:'),
            ('S@d 0', vod(line('<S t="0" d="0"/>')), 'S@d'),
            ('S backwards', vod(line('<S t="9" d="1"/><S t="5" d="1"/>')), 'S@t'),
            ('@timescale 0', vod(template('timescale="0" duration="1"')), '@timescale is 0'),
            ('@duration 0', vod(template('duration="0"')), '@duration is 0'),
            ('a number with letters', vod(template('duration="1s"')), 'duration'),
            ('a number past 64 bits', vod(template('duration="99999999999999999999"')), 'duration'),
            ('a negative duration', vod(template('duration="1"'), 'mediaPresentationDuration="-PT5S"'), 'mediaPresentationDuration'),
            ('fractions of minutes', vod(template('duration="1"'), 'mediaPresentationDuration="PT1.5M"'), 'mediaPresentationDuration'),
            ('February 30', vod('', 'publishTime="2026-13-30T00:00:00Z"'), 'publishTime'),
            ('a thousand million segments', vod(template('duration="1" timescale="1000000000"')), 'segments'),
            ('a run without end', vod(line('<S t="0" d="1" r="-1"/>'), ''), 'S@r'),
            ('no end at all', vod(template('duration="1"'), ''), 'duration'),
            ('no @media', vod(one('<SegmentTemplate duration="1"/>')), '@media'),
            ('no SegmentURL', vod(one('<SegmentList duration="1"/>')), 'SegmentURL'),
            ('nothing at all', vod(one('')), 'nothing says where its segments are'),
            ('Periods in no order', vod(template('duration="1"', period='start="PT9S"') + template('duration="1"', period='start="PT1S"')), 'before the Period in front'),
            ('no start', vod(template('duration="1"', period='start="PT0S"') + template('duration="1"')), 'nothing says when it starts'),
            ('no Period', vod(''), 'no Period'),
            ('cut', vod(template('duration="1"'))[:200], ':1:'),
            ('two roots', vod(template('duration="1"')) * 2, ':1:'),
            ('another document', '<html/>', 'MPD'),
            ('another namespace', '<MPD xmlns="urn:x"><Period/></MPD>', 'MPD'),
            ('NUL bytes', vod(template('duration="1"')).replace('Period', 'Per\0iod'), ':1:')):
        done = dump(text)
        tap.equal(done.returncode, 1, f'{name}: exit code with {done.stdout[:300]} {done.stderr}')
        tap.has(done.stderr, words, name)
        tap.equal(done.stderr.count('\n'), 1, f'{name}: {done.stderr}')
    done = inspect(vod(line('<S t="0" d="0"/>')))
    tap.equal((done.returncode, done.stdout), (1, ''), 'by the player')
    tap.has(done.stderr, 'case.mpd')
    tap.has(done.stderr, 'line 1')
    tap.equal(len(segments(vod(line(many), 'mediaPresentationDuration="PT200000S"'))), 100_000, 'many S')
    tap.equal(len(segments(live(template('duration="10"', period='start="PT0S"'), 'publishTime="2016-12-31T23:59:60Z"'))), 10, 'a leap second')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a viewer's HTTP client gets from the real programs: statuses and fields on origin and edge, raw and through curl."""
import json, os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import lab, origins, package, tap
from rawhttp import ask, get

FILM = os.urandom(3_000_000)
LIBRARY = os.path.join(tap.folder(), 'library')
os.makedirs(LIBRARY)
REVISION, _ = package.write(LIBRARY, 'film', {'video.mp4': FILM})
LOG = os.path.join(tap.folder(), 'access.log')
origin = origins.Origin(LIBRARY, ('--access-log', LOG))
packaged = lab.Package('film')
source = lab.Lab(packaged)
edge = lab.Edge(source, '--control', '127.0.0.1:0')
edge.wait_filled(packaged)
pulling = lab.Edge(source, '--window-duration', '0s', name='edge-p')
pulling.wait_prepared(packaged)
O, E, P = origin.ports['viewers'], int(edge.url.rsplit(':', 1)[1]), int(pulling.url.rsplit(':', 1)[1])
VIDEO = {O: (f'/v/film/{REVISION}/video.mp4', FILM), E: (f'/v/{packaged.key}/video.mp4', packaged.files['video.mp4'])}
VIDEO[P] = VIDEO[E]
tap.until(lambda: get(O, VIDEO[O][0], Range='bytes=0-0').status == 206)


@tap.test
def fields_of_package_bytes():
    for port in (O, E):
        path, film = VIDEO[port]
        r = get(port, path, Range='bytes=10-99', Origin='http://page.example')
        f = r.fields
        tap.equal((r.status, r.body, f['content-range']), (206, film[10:100], f'bytes 10-99/{len(film)}'))
        tap.equal((f['cache-control'], f['accept-ranges'], f['content-type'], f['access-control-allow-origin']),
                  ('public, max-age=31536000, immutable', 'bytes', 'video/mp4', '*'))
        tap.check(re.fullmatch(r'"[0-9a-f]{64}"', f['etag']), f['etag'])
        tap.check(re.fullmatch(r'\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT', f['date']), f['date'])
        tap.has(f['server-timing'], 'dur=')
        tap.equal('age' in f, port == E, 'Age')
        tap.equal(get(port, path, If_None_Match=f['etag']).status, 304)
        tap.equal(get(port, path, If_None_Match=f'W/{f["etag"]}, "x"').status, 304)
        tap.equal(get(port, path, If_Match='"x"').status, 412)
        tap.equal(get(port, path, Range=f'bytes={len(film)}-').status, 416)
        tap.equal(get(port, path, Range='bytes=0-1', If_Range=f['etag']).status, 206)
        tap.equal(get(port, path, 'HEAD').fields['content-length'], str(len(film)))


@tap.test
def why_it_was_no_hit():
    r = get(E, VIDEO[E][0], Range='bytes=0-99')
    tap.equal(r.fields['cache-status'], 'ribera-edge;hit')
    tap.check(int(r.fields['age']) < 600)
    r = get(P, VIDEO[P][0], Range='bytes=2000000-2000099')
    tap.equal(r.body, packaged.files['video.mp4'][2000000:2000100])
    tap.check(re.fullmatch('ribera-edge;fwd=uri-miss;detail=[a-z-]+', r.fields['cache-status']), r.fields['cache-status'])
    tap.has(r.fields['server-timing'], 'cache;desc=miss')
    tap.has(get(E, '/v/nothing/manifest.mpd').fields['cache-status'], 'detail=unknown')


@tap.test
def manifests_are_short_lived_and_revalidated():
    for name, kind in ('manifest.mpd', 'application/dash+xml'), ('main.m3u8', 'application/vnd.apple.mpegurl'):
        for port in (O, E):
            r = get(port, f'/v/film/{name}')
            tap.equal((r.status, r.fields['content-type']), (200, kind), f'{name} of {port}')
            age = re.search(r'max-age=(\d+)', r.fields['cache-control'])
            tap.check('immutable' not in r.fields['cache-control'] and (age is None or int(age.group(1)) <= 60), r.fields['cache-control'])
            tap.equal(get(port, f'/v/film/{name}', If_None_Match=r.fields['etag']).status, 304, name)


@tap.test
def methods_everywhere():
    paths = ['/v/film/manifest.mpd', '/healthz', '/metrics', '/v/nothing']
    for port in (O, E):
        for path in paths + (['/', '/api/v1/titles'] if port == O else []):
            for method in ('POST', 'PUT', 'DELETE', 'PATCH', 'TRACE'):
                r = get(port, path, method, Content_Length=0)
                tap.equal((r.status, r.fields.get('allow')), (405, 'GET, HEAD, OPTIONS'), f'{method} {path}')
            tap.equal(get(port, path, 'FOO', Content_Length=0).status, 501, f'FOO {path}')
            r = get(port, path, 'OPTIONS', Origin='http://a', Access_Control_Request_Method='GET', Access_Control_Request_Headers='range, cmcd-object')
            tap.equal((r.status, r.fields.get('access-control-allow-headers')), (204, 'range, cmcd-object'), f'preflight {path}')


@tap.test
def paths_that_are_refused():
    for port in (O, E):
        for path in ('/v/../etc/passwd', '/v/film/%2e%2e/x', '/v//film/manifest.mpd', '/v/film/%00', '/v/film%2fmanifest.mpd', '/v/film/\\x',
                     '/v/film/%c0%ae', '/v/film/%', '/./v/film/manifest.mpd'):
            tap.equal(ask(port, f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode()).status, 400, path)
        tap.equal(get(port, '/v/' + 'a' * 9000).status, 414)
        tap.equal(get(port, '/v/film/manifest.mpd', X='a' * 40000).status, 431)
        tap.equal(ask(port, b'GET /v/film/manifest.mpd HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n').status, 400)
        r = ask(port, b'POST /v/film/manifest.mpd HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
        tap.equal(r.status, 400)
        r = ask(port, b'POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
        tap.equal(r.status, 413, 'viewers have nothing to send')


@tap.test
def cmcd_is_counted_and_no_part_of_a_name():
    path, film = VIDEO[E]
    before = len(source.requests)
    for sid in ('a', 'b'):
        r = get(E, path + f'?CMCD=bl%3D2900%2Cbs%2Csid%3D%22{sid}%22', Range='bytes=0-9')
        tap.equal((r.body, r.fields['cache-status']), (film[:10], 'ribera-edge;hit'))
    tap.equal(len(source.requests), before)
    tap.check(edge.metric('ribera_http_cmcd_requests_total') >= 2 and edge.metric('ribera_http_cmcd_starved_total') >= 2)


@tap.test
def the_access_log_tells_all():
    get(O, VIDEO[O][0] + '?CMCD=sid%3D%22me%22', Range='bytes=5-14')

    def line():
        for text in open(LOG):
            x = json.loads(text)
            if x.get('session') == 'me':
                return x
    x = tap.until(line, 5, 'the line')
    tap.equal((x['client'], x['method'], x['path'], x['range'], x['status'], x['bytes']), ('127.0.0.1', 'GET', VIDEO[O][0], 'bytes=5-14', 206, 10))
    tap.check(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', x['time']) and re.fullmatch('[0-9a-f]{16}', x['id']), str(x))
    tap.check(0 <= x['first_ms'] <= x['total_ms'] < 10_000, str(x))
    ids = [json.loads(text)['id'] for text in open(LOG)]
    tap.equal(len(ids), len(set(ids)), 'request ids')


def series(text):
    """Samples of Prometheus text by name; families stand together, with HELP and TYPE in front."""
    family, seen, out = None, set(), {}
    for text_line in text.splitlines():
        m = re.fullmatch(r'# (HELP|TYPE) (\w+) .+', text_line)
        if m:
            if m.group(2) != family:
                tap.check(m.group(2) not in seen, f'{m.group(2)} twice')
                family = m.group(2)
                seen.add(family)
            continue
        m = re.fullmatch(r'(\w+)(\{[^}]*\})? (\S+)', text_line)
        tap.check(m and m.group(1).startswith(family), text_line)
        out.setdefault(m.group(1), []).append((m.group(2) or '', float(m.group(3))))
    return out


@tap.test
def metrics_are_well_formed():
    for port in (O, E):
        r = get(port, '/metrics')
        tap.equal(r.status, 200)
        s = series(r.body.decode())
        for name in ('ribera_http_first_byte_seconds', 'ribera_http_reply_seconds'):
            counts = [v for _, v in s[name + '_bucket']]
            tap.check(counts == sorted(counts) and counts[-1] == s[name + '_count'][0][1] > 0, str(counts))
            tap.check('le="+Inf"' in s[name + '_bucket'][-1][0] and s[name + '_sum'][0][1] > 0)
        p = subprocess.run([tap.need('promtool', 'prometheus'), 'check', 'metrics'], input=r.body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        tap.equal((p.returncode, p.stdout), (0, b''))


@tap.test
def curl_resumes_and_revalidates():
    path, film = VIDEO[E]
    out = os.path.join(tap.folder(), 'film')
    with open(out, 'wb') as f:
        f.write(film[:1_000_000])
    tap.call('curl', '-sf', '-C', '-', '-o', out, edge.url + path, check_exit=0)
    with open(out, 'rb') as f:
        tap.check(f.read() == film)
    tag = os.path.join(tap.folder(), 'etag')
    for want in ('200', '304'):
        p = tap.call('curl', '-s', '--etag-save', tag, '--etag-compare', tag, '-o', '/dev/null', '-w', '%{http_code}', edge.url + path)
        tap.equal(p.stdout, want)


tap.run()

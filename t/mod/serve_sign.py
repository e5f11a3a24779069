#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed URLs at the server: who gets in, who does not and why, and keys that follow one another."""
import json, os, sys

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import tap
from rawhttp import *

root, keys = tap.folder('root'), os.path.join(tap.folder('keys'), 'urls')
os.makedirs(os.path.join(root, 'v/bbb/rev'))
os.makedirs(os.path.join(root, 'v/other'))
film = os.urandom(200_000)
for name in ('v/bbb/rev/video.mp4', 'v/bbb/manifest.mpd', 'v/other/manifest.mpd'):
    with open(os.path.join(root, name), 'wb') as f:
        f.write(film)
OLD, NEW = 'k1 ' + '01' * 32, 'k2 ' + '02' * 16


def write(*lines):
    with open(keys + '.new', 'w') as f:
        f.write('# keys of signed URLs\n' + '\n'.join(lines) + '\n')
    os.rename(keys + '.new', keys)


def sign(path, *options, file=keys):
    return tap.call(tap.program('ribera-admin'), 'sign', path, '--url-keys', file, *options, check_exit=0).stdout.strip()


def base(url):
    return url[:url.index('/v/')]


write(OLD)
S = Server(root, '--url-keys', keys)
P = S.port


@tap.test
def without_a_signature_nothing_is_served():
    for path in ('/v/bbb/manifest.mpd', '/v/bbb/rev/video.mp4', '/v/nothing'):
        r = get(P, path)
        tap.equal((r.status, r.fields['content-type'], r.fields['cache-control']), (403, 'application/problem+json', 'no-store'), path)
        tap.has(json.loads(r.body)['detail'], 'signed')
        tap.equal(r.fields['access-control-allow-origin'], '*')
    tap.equal(get(P, '/v/bbb/manifest.mpd', 'HEAD').status, 403)
    tap.equal(get(P, '/v/bbb/manifest.mpd', 'OPTIONS', Access_Control_Request_Method='GET').status, 204)
    tap.equal(get(P, '/h/echo').status, 200, 'what is no object')


@tap.test
def a_signed_url_opens_its_title_and_no_other():
    url = sign('/v/bbb/manifest.mpd')
    here = base(url)
    tap.check(url.startswith('/s/k1.') and url.endswith('/v/bbb/manifest.mpd'), url)
    for path in (url, here + '/v/bbb/rev/video.mp4', here + '/v/bbb/rev/video.mp4?CMCD=bl%3D1'):
        tap.equal(get(P, path).body, film, path)
    tap.equal(get(P, here + '/v/bbb/rev/video.mp4', Range='bytes=5-9').body, film[5:10])
    with H2(P) as c:
        tap.equal(c.answer(c.request(plain(url))), (200, film))
    for path in ('/v/other/manifest.mpd', '/v/bbb', '/v/', '/'):
        tap.equal(get(P, here + path).status, 403, path)
    tap.equal(get(P, here + '/v/bbb/nothing').status, 404)
    for path in (here + '/h/echo', here + '/metrics', here, here + url):
        tap.check(get(P, path).status in (403, 404), path)
    for path in (here + '/v/bbb/../other/manifest.mpd', here + '/v/bbb/%2e%2e/other/manifest.mpd', here + '//v/bbb/manifest.mpd',
                 url.replace('k1', '%6b1')):
        tap.equal(get(P, path).status, 400, path)


@tap.test
def what_is_wrong_is_said():
    url = sign('/v/bbb/manifest.mpd')
    key, expires, depth, mac = url.split('/')[2].split('.')

    def detail(token):
        r = get(P, f'/s/{token}/v/bbb/manifest.mpd')
        tap.equal(r.status, 403, token)
        return json.loads(r.body)['detail']
    tap.has(detail(f'{key}.{int(expires) + 9999}.{depth}.{mac}'), 'changed')
    tap.has(detail(f'{key}.{expires}.1.{mac}'), 'changed')
    tap.has(detail(f'{key}.{expires}.{depth}.4-0.{mac}'), 'changed')
    for last in 'ABCDQ_':  # also such as a careless reader takes for the same bytes
        if last != mac[-1]:
            tap.has(detail(f'{key}.{expires}.{depth}.{mac[:-1]}{last}'), 'changed')
    tap.has(detail(f'k7.{expires}.{depth}.{mac}'), 'not in use')
    for odd in ('x', f'{key}.{expires}.{depth}', f'{key}.{expires}.{depth}.{mac}A', f'{key}.-1.{depth}.{mac}', '.' * 50, 'a' * 3000,
                f'{key}.99999999999999999999999.{depth}.{mac}'):
        tap.has(detail(odd), 'cannot be read')


@tap.test
def it_ends_when_it_says():
    url = sign('/v/bbb/manifest.mpd', '--expires', '2s')
    with connect(P) as s, s.makefile('rb') as f:  # one player, in the middle of play
        ask = f'GET {url} HTTP/1.1\r\nHost: x\r\n\r\n'.encode()
        s.sendall(ask)
        tap.equal(read_reply(f).status, 200)

        def refused():
            s.sendall(ask)
            r = read_reply(f)
            return r if r.status == 403 else None
        r = tap.until(refused, 6, 'the end')
        tap.has(json.loads(r.body)['detail'], 'expired')
        tap.equal(r.fields['cache-control'], 'no-store')


@tap.test
def only_for_a_network():
    tap.equal(get(P, sign('/v/bbb/manifest.mpd', '--client', '127.0.0.0/8')).status, 200)
    tap.equal(get(P, sign('/v/bbb/manifest.mpd', '--client', '127.0.0.1')).status, 200)
    for net in ('127.0.0.2', '192.0.2.0/24', '::1', '2001:db8::/32'):
        tap.equal(get(P, sign('/v/bbb/manifest.mpd', '--client', net)).status, 403, net)


@tap.test
def keys_follow_one_another():
    before = sign('/v/bbb/manifest.mpd')
    write(NEW, OLD)
    after = sign('/v/bbb/manifest.mpd')
    tap.check(after.startswith('/s/k2.'), after)
    tap.until(lambda: get(P, after).status == 200, 5, 'the new key')
    tap.equal(get(P, before).status, 200, 'the old key, still in the file')
    write('nonsense')
    S.p.send_signal(1)
    tap.equal((get(P, before).status, get(P, after).status), (200, 200), 'with a broken file')
    write(NEW)
    tap.until(lambda: get(P, before).status == 403, 5, 'the end of the old key')
    tap.equal(get(P, after).status, 200)


@tap.test
def the_log_has_the_key_and_not_the_token():
    url = sign('/v/bbb/manifest.mpd')
    get(P, url + '?CMCD=sid%3D%22me%22')
    refused = S.metric('ribera_http_refused_total{reason="signature"}')
    tap.check(refused > 20, str(refused))
    code, said = S.stop()
    tap.equal(code, 0)
    tap.has(said, keys + ':2: the secret')
    with open(S.log) as f:
        text = f.read()
    tap.check(url.split('/')[2].split('.')[-1] not in text, 'the token is in the log')
    line = [x for x in map(json.loads, text.splitlines()) if x.get('session') == 'me'][0]
    tap.equal((line['path'], line['key'], line['session'], line['status']), ('/v/bbb/manifest.mpd', 'k2', 'me', 200))


@tap.test
def where_urls_are_not_signed_a_token_is_passed_over():
    s = Server(root)
    tap.equal(get(s.port, '/v/bbb/manifest.mpd').body, film)
    tap.equal(get(s.port, sign('/v/bbb/manifest.mpd')).body, film)
    tap.equal(get(s.port, '/s/whatever/metrics').status, 404)
    tap.equal(s.stop()[0], 0)


@tap.test
def wrong_usage_is_told():
    admin = tap.program('ribera-admin')
    for argv, part in ((('/v/bbb/x',), 'url_keys'), (('bbb', '--url-keys', keys), 'expected http'), (('/v/bbb', '--url-keys', keys), 'expected http'),
                       (('/v/bbb/x', '--url-keys', keys, '--client', 'me'), 'network'), (('/v/bbb/x?a', '--url-keys', keys), 'no query'),
                       (('/v/bbb/x', '--url-keys', '/nonexistent'), '/nonexistent')):
        p = tap.call(admin, 'sign', *argv)
        tap.check(p.returncode in (1, 2), str(argv))
        tap.has(p.stderr, part)
    j = json.loads(sign('http://h.example:8080/v/bbb/manifest.mpd', '--json'))
    tap.check(j['url'].startswith('http://h.example:8080/s/k2.') and j['expires'].endswith('Z'), str(j))


tap.run()

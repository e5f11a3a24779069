#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of serve/: versions, ALPN, tickets, certificates that change while bytes flow, OCSP, --dev-cert."""
import os, shutil, ssl, subprocess, sys

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import tap
from rawhttp import *

root, keys = tap.folder('root'), tap.folder('keys')
big = os.urandom(8_000_000)
with open(os.path.join(root, 'big.mp4'), 'wb') as f:
    f.write(big)
with open(os.path.join(root, 'small.mpd'), 'wb') as f:
    f.write(big[:6000])
CERT, KEY = certificate(keys)
S = Server(root, '--tls-listen', '127.0.0.1:0', '--cert', CERT, '--key', KEY, '--threads', '3')


def client(*argv, text=''):
    """openssl s_client's output."""
    p = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{S.tls}', '-servername', 'localhost', *argv], input=text.encode(),
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    return p.stdout.decode('latin-1')


def context(version=None, alpn=None):
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if version:
        c.minimum_version = c.maximum_version = version
    if alpn:
        c.set_alpn_protocols(alpn)
    return c


def peer_name(c=None):
    with (c or context()).wrap_socket(connect(S.tls)) as t:
        der = t.getpeercert(True)
    return [name for name in ('localhost', 'second.example') if name.encode() in der][0]


@tap.test
def versions_and_ciphers():
    tap.has(client('-tls1_3'), 'TLSv1.3, Cipher is TLS_')
    tap.has(client('-tls1_2'), 'TLSv1.2, Cipher is ECDHE-ECDSA-')
    for old in (('-tls1_1',), ('-tls1',), ('-tls1_2', '-cipher', 'AES128-SHA:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA')):
        tap.has(client(*old, '-cipher', old[-1] + ':@SECLEVEL=0') if len(old) > 1 else client(*old), 'Cipher is (NONE)', str(old))


@tap.test
def nobody_renegotiates():
    """Each time costs the server ten times as much as its client (CVE-2011-1473)."""
    said = client('-tls1_2', text='R\n')
    tap.has(said, 'RENEGOTIATING')
    tap.has(said.split('RENEGOTIATING')[1], ':error:')


@tap.test
def protocols_by_alpn():
    for offered, want in ((['h2', 'http/1.1'], 'h2'), (['http/1.1'], 'http/1.1'), (['http/1.1', 'h2'], 'h2'), (None, None)):
        with context(alpn=offered).wrap_socket(connect(S.tls)) as t:
            tap.equal(t.selected_alpn_protocol(), want, str(offered))
    for option in ('--http2', '--http1.1'):
        p = tap.call('curl', '-sk', option, '-o', '/dev/null', '-w', '%{http_version} %{size_download}', f'https://127.0.0.1:{S.tls}/big.mp4')
        tap.equal(p.stdout, ('2' if option == '--http2' else '1.1') + f' {len(big)}')


def again(c, port, session):
    """Did the session go on, and which is the next?"""
    with c.wrap_socket(connect(port), session=session) as t:
        t.sendall(b'GET /small.mpd HTTP/1.1\r\nHost: x\r\n\r\n')
        t.recv(10)  # with TLS 1.3 the ticket comes behind the handshake
        return t.session_reused, t.session


@tap.test
def tickets_go_on_from_thread_to_thread():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        c = context(version)
        first = again(c, S.tls, None)[1]
        for _ in range(12):  # the kernel spreads them over three threads
            tap.check(again(c, S.tls, first)[0], f'{version}: a session did not go on')


@tap.test
def tickets_run_out_and_their_keys_change():
    s = Server(root, '--tls-listen', '127.0.0.1:0', '--cert', CERT, '--key', KEY, '--ticket-life', '1s', '--threads', '3')
    c = context(ssl.TLSVersion.TLSv1_3)
    first = again(c, s.tls, None)[1]
    tap.until(lambda: not again(c, s.tls, first)[0], 12, 'the end of an old ticket')
    tap.until(lambda: again(c, s.tls, again(c, s.tls, None)[1])[0], 12, 'one that goes on after the keys changed')
    tap.equal(s.stop()[0], 0)


@tap.test
def a_new_certificate_does_not_cut_anyone():
    slow = connect(S.tls)
    with context().wrap_socket(slow) as t, t.makefile('rb') as f:
        t.sendall(b'GET /big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n')
        t.recv(1)
        tap.equal(peer_name(), 'localhost')
        certificate(keys, 'second.example', 'new-')
        os.rename(os.path.join(keys, 'new-cert.pem'), CERT)  # the pair does not fit yet
        S.p.send_signal(1)
        for _ in range(10):
            tap.equal(peer_name(), 'localhost', 'with half of the pair replaced')
        os.rename(os.path.join(keys, 'new-key.pem'), KEY)
        tap.until(lambda: peer_name() == 'second.example', 5, 'the new certificate')
        for _ in range(30):  # every loop has it from then on
            tap.equal(peer_name(), 'second.example', 'once it was seen')
        f.readline()
        while f.readline().strip():
            pass
        tap.check(f.read(len(big)) == big, 'the reply that ran')
        t.sendall(b'GET /small.mpd HTTP/1.1\r\nHost: x\r\n\r\n')
        tap.equal(read_reply(f).body, big[:6000], 'the next one on the old connection')


@tap.test
def a_broken_certificate_leaves_the_old_one():
    with open(CERT + '.tmp', 'w') as f:
        f.write('nonsense')
    shutil.copy(CERT, CERT + '.good')
    os.rename(CERT + '.tmp', CERT)
    S.p.send_signal(1)
    for _ in range(20):
        tap.equal(peer_name(), 'second.example')
    os.rename(CERT + '.good', CERT)
    S.p.send_signal(1)
    tap.equal(peer_name(), 'second.example')


@tap.test
def ocsp_answers_are_stapled():
    tap.has(client('-status'), 'OCSP response: no response sent')
    # an authority of our own, whose answer is made offline
    index = os.path.join(keys, 'index.txt')
    serial = tap.call('openssl', 'x509', '-in', CERT, '-noout', '-serial', check_exit=0).stdout.strip().split('=')[1]
    with open(index, 'w') as f:
        f.write(f'V\t350101000000Z\t\t{serial}\tunknown\t/CN=second.example\n')
    request, answer = os.path.join(keys, 'request'), CERT + '.ocsp'
    tap.call('openssl', 'ocsp', '-issuer', CERT, '-cert', CERT, '-reqout', request, '-no_nonce', check_exit=0)
    tap.call('openssl', 'ocsp', '-index', index, '-CA', CERT, '-rsigner', CERT, '-rkey', KEY, '-reqin', request, '-respout', answer + '.tmp',
             '-ndays', '1', check_exit=0)
    os.rename(answer + '.tmp', answer)
    tap.until(lambda: 'OCSP Response Status: successful' in client('-status'), 5, 'the stapled answer')
    tap.has(client('-status', '-tls1_2'), 'OCSP Response Status: successful')
    with open(answer, 'wb') as f:
        f.write(b'nonsense')
    tap.until(lambda: 'no response sent' in client('-status'), 5, 'the end of a broken answer')


@tap.test
def handshakes_that_stop_half_way():
    quiet = [connect(S.tls) for _ in range(20)]
    for i, s in enumerate(quiet):
        s.sendall((b'\x16\x03\x01\x02\x00\x01', b'GET / HTTP/1.1\r\n\r\n', b'')[i % 3])
    tap.equal(peer_name(), 'second.example')
    for s in quiet:
        s.close()


@tap.test
def it_ends():
    code, said = S.stop()
    tap.equal(code, 0)
    tap.has(said, 'does not belong to the private key')
    tap.has(said, 'cert.pem')


@tap.test
def a_certificate_to_try_things_out():
    folder = tap.folder('dev')
    cert, key = os.path.join(folder, 'c.pem'), os.path.join(folder, 'k.pem')
    for extra in ((), ('--cert', cert, '--key', key), ('--cert', cert, '--key', key)):
        before = open(cert).read() if os.path.exists(cert) else None
        s = Server(root, '--tls-listen', '127.0.0.1:0', '--dev-cert', *extra)
        if extra:  # it is its own authority, for this name and this address
            for host in ('127.0.0.1', 'localhost'):
                p = tap.call('curl', '-s', '--cacert', cert, '--resolve', f'localhost:{s.tls}:127.0.0.1', f'https://{host}:{s.tls}/h/echo')
                tap.has(p.stdout, 'tls=1')
            tap.equal(os.stat(key).st_mode & 0o777, 0o600)
            tap.check(before in (None, open(cert).read()), 'it was made anew')
        else:
            tap.has(tap.call('curl', '-sk', f'https://127.0.0.1:{s.tls}/h/echo').stdout, 'tls=1')
        code, said = s.stop()
        tap.equal(code, 0)
        tap.check(before is not None or 'trying out' in said, said)


@tap.test
def errors_name_the_file():
    other = certificate(keys, 'other', 'other-')
    locked = os.path.join(keys, 'locked.pem')
    tap.call('openssl', 'pkey', '-in', other[1], '-aes256', '-passout', 'pass:x', '-out', locked, check_exit=0)
    for cert, key, part in ((CERT, other[1], 'other-key.pem'), ('/nonexistent', KEY, '/nonexistent'), (CERT, '/nonexistent', '/nonexistent'),
                            (other[0], locked, 'locked.pem')):
        p = tap.call(tap.program('t/lib/serve-test'), '--root', root, '--tls-listen', '127.0.0.1:0', '--cert', cert, '--key', key, check_exit=1)
        tap.has(p.stderr, part)


tap.run()

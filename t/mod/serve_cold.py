#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that have to be read from a disk: whoever asks for them waits, the others of the same loop do not.  The disk is one whose
reads come back when the test says so (t/lib/slowfs.py): as long as they do not, a server that waits for them does nothing else."""
import os, subprocess, sys

sys.path.insert(0, os.path.join(os.environ['RIBERA_SOURCE'], 't/lib'))
import slowfs, tap
from rawhttp import *

keys, real = tap.folder('keys'), tap.folder('real')
CERT, KEY = certificate(keys)
rng = os.urandom(2_500_000)
FILES = {'hot.mp4': rng[:200_000], 'hot.mpd': rng[:6000], **{f'{n}.mp4': rng for n in ('plain', 'tls', 'h2', 'parts', 'range', 'left', 'stall', 'opened')}, 'small.mpd': rng[5:6000], 'bad.mp4': rng, 'bad.mpd': rng[:99]}
for name in ('gone.mp4', 'loop.mp4'):
    with open(os.path.join(real, name), 'wb') as f:
        f.write(rng[:999])
mounted = tap.folder('mounted')
FS = slowfs.mount(mounted, FILES)
S = Server(mounted, '--threads', '1', '--tls-listen', '127.0.0.1:0', '--cert', CERT, '--key', KEY, '--stall', '1500ms')
for hot in ('hot.mp4', 'hot.mpd'):
    get(S.port, '/' + hot)


def neighbours():
    """Others get theirs, over all protocols."""
    for _ in range(20):
        tap.equal(get(S.port, '/hot.mp4').body, FILES['hot.mp4'])
        tap.equal(get(S.port, '/hot.mpd').body, FILES['hot.mpd'])
    r = subprocess.run(['curl', '-sfk', '-m', '10', '--http2', f'https://127.0.0.1:{S.tls}/hot.mp4', '-o', '-'], capture_output=True)
    tap.check(r.stdout == FILES['hot.mp4'], 'over TLS')


def cold(name, command):
    """The command asks for a cold file; neighbours go on while its reads are held; its output."""
    FS.held.add(name)
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    tap.until(lambda: FS.asked(name) > 0, 20, 'a read of ' + name)
    neighbours()
    tap.check(p.poll() is None, 'it waits')
    FS.release(name)
    out, errors = p.communicate(timeout=30)
    tap.equal(p.returncode, 0, errors)
    return out


@tap.test
def plain():
    before = S.metric('ribera_http_disk_waits_total')
    tap.check(cold('plain.mp4', ['curl', '-sf', f'http://127.0.0.1:{S.port}/plain.mp4']) == rng)
    tap.check(S.metric('ribera_http_disk_waits_total') > before)
    asked = FS.asked('plain.mp4')
    tap.check(get(S.port, '/plain.mp4').body == rng)
    tap.equal(FS.asked('plain.mp4'), asked, 'reads once it is in the page cache')


@tap.test
def over_tls():
    tap.check(cold('tls.mp4', ['curl', '-sfk', '--http1.1', f'https://127.0.0.1:{S.tls}/tls.mp4']) == rng)


@tap.test
def over_http2():
    tap.check(cold('h2.mp4', ['curl', '-sf', '--http2-prior-knowledge', f'http://127.0.0.1:{S.port}/h2.mp4']) == rng)


@tap.test
def several_ranges():
    out = cold('parts.mp4', ['curl', '-sf', '-r', '10-99,2000000-2300000', f'http://127.0.0.1:{S.port}/parts.mp4'])
    tap.check(rng[10:100] in out and rng[2000000:2300001] in out, 'both ranges')


@tap.test
def a_small_range_and_a_small_file():
    tap.check(cold('range.mp4', ['curl', '-sf', '-r', '700000-700999', f'http://127.0.0.1:{S.port}/range.mp4']) == rng[700000:701000])
    tap.check(cold('small.mpd', ['curl', '-sf', f'http://127.0.0.1:{S.port}/small.mpd']) == FILES['small.mpd'])


@tap.test
def opening_is_waited_for_beside_the_loop_too():
    FS.held.add('open opened.mp4')
    p = subprocess.Popen(['curl', '-sf', f'http://127.0.0.1:{S.port}/opened.mp4'], stdout=subprocess.PIPE)
    head = subprocess.Popen(['curl', '-sfI', f'http://127.0.0.1:{S.port}/opened.mp4'], stdout=subprocess.PIPE)
    tap.until(lambda: FS.waits('open opened.mp4'), 20, 'that it is opened')
    neighbours()
    tap.equal((p.poll(), head.poll()), (None, None), 'both wait')
    FS.release('open opened.mp4')
    tap.check(p.communicate(timeout=30)[0] == rng)
    tap.has(head.communicate(timeout=30)[0].decode(), 'Content-Length: %d\r\n' % len(rng))


@tap.test
def what_cannot_be_opened():
    gone = Server(real, '--threads', '1')
    os.unlink(os.path.join(real, 'gone.mp4'))
    for method in ('GET', 'HEAD', 'GET'):
        tap.equal(get(gone.port, '/gone.mp4', method).status, 404, method)
    os.unlink(os.path.join(real, 'loop.mp4'))
    os.symlink('loop.mp4', os.path.join(real, 'loop.mp4'))
    r = get(gone.port, '/loop.mp4')
    tap.equal((r.status, r.fields['cache-control']), (503, 'no-store'))
    tap.check('retry-after' in r.fields)
    tap.equal(gone.stop(), (0, ''))


@tap.test
def a_disk_that_fails():
    FS.failing.update(('bad.mp4', 'bad.mpd'))
    tap.equal(get(S.port, '/bad.mp4').status, 502)
    tap.equal(get(S.port, '/bad.mpd').status, 502)
    FS.failing.clear()
    tap.check(get(S.port, '/bad.mp4').body == rng, 'once it works again')


@tap.test
def who_leaves_meanwhile():
    FS.held.add('left.mp4')
    with connect(S.port) as s:
        s.sendall(b'GET /left.mp4 HTTP/1.1\r\nHost: x\r\n\r\n')
        tap.until(lambda: FS.asked('left.mp4') > 0, 20, 'a read')
    tap.until(lambda: S.metric('ribera_http_cut_total{reason="left"}') > 0, 20, 'the viewer is missed')
    FS.release('left.mp4')
    tap.check(get(S.port, '/left.mp4').body == rng)


@tap.test
def a_disk_that_never_answers():
    FS.held.add('stall.mp4')
    tap.equal(get(S.port, '/stall.mp4').status, 504)
    neighbours()
    FS.release('stall.mp4')
    tap.check(get(S.port, '/stall.mp4').body == rng)


@tap.test
def what_left_the_page_cache_is_read_beside_the_loop():
    with open(os.path.join(real, 'f.mp4'), 'wb') as f:
        f.write(rng)
        f.flush()
        os.fsync(f.fileno())
    fd = os.open(os.path.join(real, 'f.mp4'), os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        if os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT) == 1:
            print('# this file system keeps its files in memory: nothing to see')
            return
    except BlockingIOError:
        pass
    except OSError as e:
        print(f'# this file system cannot say what is in the page cache: {e}')
        return
    other = Server(real, '--threads', '1')
    tap.check(get(other.port, '/f.mp4').body == rng)
    waits = other.metric('ribera_http_disk_waits_total')
    tap.check(waits >= 1, 'it waited')
    tap.check(get(other.port, '/f.mp4').body == rng)
    tap.equal(other.metric('ribera_http_disk_waits_total'), waits, 'waits when it is in the page cache')
    tap.equal(other.stop(), (0, ''))


@tap.test
def it_ends_well():
    tap.equal(S.stop(), (0, ''))


tap.run()

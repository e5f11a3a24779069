#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player and titles on a disk: they play as they are, missing files are said at once, and nothing from the network leads to a file."""
import functools, json, os, re, shutil, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, rungs, tap

os.environ['XDG_STATE_HOME'] = tap.folder()  # nothing of this machine's own
PLAYER, SECONDS, FPS = tap.program('ribera-player'), 4, 25


@functools.lru_cache(None)
def film(single=False):
    """Segments in files of their own, or one file for each rendition, in a folder whose name has to be escaped in a URL."""
    folder = os.path.join(tap.folder(), 'a film, 100% ünïque')
    os.mkdir(folder)
    tap.call('ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', f'testsrc2=s=160x90:r={FPS}:d={SECONDS}', '-f', 'lavfi', '-i', f'sine=f=440:r=48000:d={SECONDS}',
             '-c:v', 'libx264', '-preset', 'ultrafast', '-g', str(FPS), '-keyint_min', str(FPS), '-sc_threshold', '0', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-f', 'dash', '-seg_duration', '1',
             *(['-single_file', '1'] if single else []), '-adaptation_sets', 'id=0,streams=v id=1,streams=a', os.path.join(folder, 'film.mpd'), check_exit=0)
    return folder


def play(where, *options, want=0, timeout=30):
    """The report, what was said, and how long it took."""
    report, began = os.path.join(tap.folder(), 'report.json'), time.monotonic()
    done = tap.call(PLAYER, where, '--output', 'null', '--speed', 'max', '--quiet', '--report', report, *options, timeout=timeout)
    tap.equal(done.returncode, want, 'exit code with: ' + done.stderr[-1500:])
    with open(report) as f:
        return json.load(f), done.stderr, time.monotonic() - began


def whole(r, what):
    tap.equal((r['frames']['presented'] + r['frames']['dropped'], r['decode_errors'], r['finished'], r['errors']), (SECONDS * FPS, 0, True, []), what)


def url(path):
    import urllib.parse
    return 'file://' + urllib.parse.quote(path)


@tap.test
def a_package_on_a_disk_plays():
    for single in (False, True):
        path = os.path.join(film(single), 'film.mpd')
        for where in (path, url(path), url(path).replace('file:///', 'file://localhost/'), os.path.relpath(path)):
            whole(play(where)[0], where)
    done = tap.call(PLAYER, '--inspect', path, '--json', check_exit=0)
    tap.check(all(r['segments'] and 'error' not in r for t in json.loads(done.stdout)['periods'][0]['tracks'] for r in t['renditions']), done.stdout[:2000])


@tap.test
def an_index_in_a_file_is_found():
    """On-demand packages: byte ranges of one file, its index one of them."""
    folder = tap.folder()
    rungs.make_film(folder, SECONDS, [200])
    mpd = os.path.join(folder, 'film.mpd')
    r, _, _ = play(mpd)
    tap.check(r['finished'] and r['frames']['presented'] + r['frames']['dropped'] > 0 and not r['errors'], str(r)[:500])
    done = tap.call(PLAYER, '--inspect', mpd, '--json', check_exit=0)
    tap.check(all(r['segments'] for t in json.loads(done.stdout)['periods'][0]['tracks'] for r in t['renditions']), done.stdout[:2000])


def copied(name, edit=lambda text: text):
    folder = os.path.join(tap.folder(), name)
    shutil.copytree(film(), folder)
    path = os.path.join(folder, 'film.mpd')
    with open(path) as f:
        text = f.read()
    with open(path, 'w') as f:
        f.write(edit(text))
    return folder


@tap.test
def what_is_missing_is_said_at_once():
    r, err, took = play(os.path.join(tap.folder(), 'none.mpd'), want=1)
    tap.has(err, 'none.mpd')
    empty = copied('empty')
    for name in os.listdir(empty):
        if name.endswith('.m4s'):
            os.remove(os.path.join(empty, name))
    r, err, took = play(os.path.join(empty, 'film.mpd'), want=1)
    tap.has(err, 'init-stream')
    tap.check(took < 5, f'{took:.1f} s for what is not there')
    tap.check('HTTP' not in err, err)
    shut = copied('cut')
    with open(os.path.join(shut, 'chunk-stream0-00002.m4s'), 'r+b') as f:
        f.truncate(0)
    os.remove(os.path.join(shut, 'chunk-stream0-00003.m4s'))
    os.mkdir(os.path.join(shut, 'chunk-stream0-00003.m4s'))
    r, err, took = play(os.path.join(shut, 'film.mpd'))
    tap.equal(r['frames']['presented'] + r['frames']['dropped'], (SECONDS - 2) * FPS, 'pictures of the other segments')
    tap.check(took < 8, f'{took:.1f} s for two that are not there')


@tap.test
def a_pipe_is_no_file():
    """Nor is a device: it would never end."""
    folder = copied('pipe')
    for name in ('init-stream0.m4s', 'init-stream1.m4s'):
        os.remove(os.path.join(folder, name))
    os.mkfifo(os.path.join(folder, 'init-stream0.m4s'))
    os.symlink('/dev/zero', os.path.join(folder, 'init-stream1.m4s'))
    _, err, took = play(os.path.join(folder, 'film.mpd'), want=1)
    tap.check(took < 5, f'{took:.1f} s')


@tap.test
def nothing_from_the_network_leads_to_a_file():
    """BaseURL, template, list, index, image and redirect, of an MPD from a server, and of a part from one."""
    folder = film()
    base = url(folder) + '/'
    edits = {'base': lambda t: t.replace('<Period', f'<BaseURL>{base}</BaseURL><Period', 1), 'upper': lambda t: t.replace('<Period', f'<BaseURL>{base.replace("file", "FILE")}</BaseURL><Period', 1),
             'template': lambda t: t.replace('initialization="', f'initialization="{base}').replace('media="', f'media="{base}')}
    for name, edit in edits.items():
        there = copied(name, edit)
        for f in os.listdir(there):
            if f.endswith('.m4s'):
                os.remove(os.path.join(there, f))
        s = badserver.Server(there)
        r, err, took = play(s.url + '/film.mpd', want=1)  # there is no segment on the server: what plays came from the disk
        tap.equal((r['frames']['presented'], took < 5), (0, True), f'{name}: {err}')
        # the same from a disk plays
        whole(play(os.path.join(there, 'film.mpd'))[0], f'{name} from a disk')


@tap.test
def a_local_title_may_have_its_segments_on_servers():
    s = badserver.Server(film())
    folder = copied('remote', lambda t: t.replace('<Period', f'<BaseURL>{s.url}/</BaseURL><Period', 1))
    for f in os.listdir(folder):
        if f.endswith('.m4s'):
            os.remove(os.path.join(folder, f))
    whole(play(os.path.join(folder, 'film.mpd'))[0], 'segments on a server')


@tap.test
def a_part_from_the_network_leads_to_no_file():
    """A local MPD may take a Period from a server; what stands in that is no reason to read files."""
    folder = copied('linked')
    with open(os.path.join(folder, 'film.mpd')) as f:
        text = f.read()
    period = re.search(r'<Period.*</Period>', text, re.S).group(0)
    there = tap.folder()
    with open(os.path.join(there, 'part.xml'), 'w') as f:
        f.write(period.replace('>', f'><BaseURL>{url(folder)}/</BaseURL>', 1))
    s = badserver.Server(there)
    text = text.replace(period, f'<Period xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="{s.url}/part.xml" xlink:actuate="onLoad"/>')
    with open(os.path.join(folder, 'linked.mpd'), 'w') as f:
        f.write(text)
    _, err, took = play(os.path.join(folder, 'linked.mpd'), want=1)
    tap.has(err, 'network')
    tap.check(took < 5, f'{took:.1f} s')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-ingest --verify: a right package is right, and each kind of damage is found and named."""
import glob, json, os, re, shutil, struct, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, harm as harms, tap
from harm import mpd, rewritten

_, _, PACKAGE = film.library(film.generated(9, '640x360', '25'), 'v', '--preset', 'ultrafast', '--max-rungs', '2')
VIDEO = os.path.basename(sorted(glob.glob(PACKAGE + '/video-*.mp4'))[-1])
AUDIO = os.path.basename(glob.glob(PACKAGE + '/audio-*.mp4')[0])


def verify(folder, *options):
    return tap.call(tap.program('ribera-ingest'), '--verify', folder, *options)


def damaged(name, harm, *parts):
    """A copy of the package with one file harmed must be refused, and the file named."""
    copy = os.path.join(tap.folder(), 'copy')
    shutil.copytree(PACKAGE, copy)
    path = os.path.join(copy, name)
    harm(path)
    done = verify(copy)
    tap.equal(done.returncode, 1, f'exit code for a damaged {name}')
    for part in (name, *parts):
        tap.has(done.stderr, part)


def flip(at):
    def harm(path):
        with open(path, 'r+b') as f:
            f.seek(at if at >= 0 else os.path.getsize(path) + at)
            byte = f.read(1)
            f.seek(-1, 1)
            f.write(bytes([byte[0] ^ 1]))
    return harm


@tap.test
def a_right_package_is_right():
    done = verify(PACKAGE, '--json')
    tap.equal(done.returncode, 0, done.stderr)
    found = json.loads(done.stdout)
    tap.equal((found['ok'], found['tracks'], found['segments']), (True, len(glob.glob(PACKAGE + '/*.mp4')), 3 * len(glob.glob(PACKAGE + '/*.mp4'))))


@tap.test
def damage_is_found_and_named():
    for at in (60, 900, -100):
        damaged(VIDEO, flip(at), 'hash')
    damaged(VIDEO, lambda p: os.truncate(p, os.path.getsize(p) - 1), 'bytes')
    damaged(VIDEO, os.unlink, 'not in the folder')
    damaged('extra.txt', lambda p: open(p, 'w').close(), 'not in the digest')
    damaged('manifest.mpd', flip(300))
    damaged('package.leaves', flip(5))
    damaged('package.torrent', flip(2))
    damaged('package.torrent', flip(-30))


def consistent(harm, name, *parts):
    """As damaged(), but with a digest made anew: the hashes are right and the content is not."""
    done = verify(harms.consistent(PACKAGE, harm))
    if name is None:
        tap.equal(done.returncode, 0, done.stderr)
        return
    tap.equal(done.returncode, 1, f'exit code for {name}: {parts}')
    for part in (name, *parts):
        tap.has(done.stderr, part)


def index(at, change, name=VIDEO):
    """Changes the 32-bit number at this byte of the sidx (version 0)."""
    def field(old):
        where = old.index(b'sidx') - 4 + at
        return old[:where] + struct.pack('>I', change(struct.unpack_from('>I', old, where)[0])) + old[where + 4:]
    return rewritten(name, field)


def shorter(name):
    """Takes the last segment away, from the index and the MPD's range too."""
    def cut(old):
        at = old.index(b'sidx') - 4
        size, n = struct.unpack_from('>I', old, at)[0], struct.unpack_from('>H', old, at + 30)[0]
        last = struct.unpack_from('>I', old, at + size - 12)[0]
        return (old[:at] + struct.pack('>I', size - 12) + old[at + 4:at + 30] + struct.pack('>H', n - 1) + old[at + 32:at + size - 12] +
                old[at + size:-last])

    def harm(folder):
        rewritten(name, cut)(folder)
        mpd('(>' + re.escape(name) + r'<.*?indexRange="\d+-)(\d+)', lambda m: m[1] + str(int(m[2]) - 12))(folder)
    return harm


@tap.test
def wrong_content_with_right_hashes_is_found():
    consistent(lambda folder: None, None)
    consistent(index(16, lambda v: v * 2), VIDEO, 'timescale')
    consistent(index(20, lambda v: v + 512), VIDEO, 'segment 0', 'another time')
    consistent(index(24, lambda v: 0xfffffff0), VIDEO, 'behind the end')
    consistent(index(32, lambda v: v + 1), VIDEO, 'does not fall on')
    consistent(index(36, lambda v: v + 1), VIDEO, 'lasts otherwise')
    consistent(index(40, lambda v: 0), VIDEO, 'access point')
    consistent(rewritten(VIDEO, lambda old: old + b'\0\0\0\x08free'), VIDEO, 'end of the file')
    consistent(shorter(VIDEO), VIDEO, '2 segments', '3')
    consistent(shorter(AUDIO), AUDIO, 'ends at')


@tap.test
def an_mpd_that_is_wrong_of_its_tracks_is_found():
    consistent(mpd(r'range="0-(\d+)"', lambda m: f'range="0-{int(m[1]) + 1}"'), 'manifest.mpd', 'ranges')
    consistent(mpd(r' height="\d+"', ' height="111"'), 'manifest.mpd', 'size')
    consistent(mpd(r'codecs="avc1[^"]*"', 'codecs="avc1.640033"'), 'manifest.mpd', 'avc1.640033')
    consistent(mpd(r'bandwidth="(\d+)"', lambda m: f'bandwidth="{int(m[1]) * 9 // 10}"'), 'manifest.mpd', 'comes late')
    consistent(mpd('mediaPresentationDuration="[^"]*"', 'mediaPresentationDuration="PT99S"'), 'manifest.mpd', '99.000 s')
    consistent(mpd('<AdaptationSet[^>]*audio/mp4.*?</AdaptationSet>', ''), 'manifest.mpd', AUDIO, '0 times')


@tap.test
def a_digest_of_another_package_is_found():
    other = os.path.join(tap.folder(), 'f' * 20)
    shutil.copytree(PACKAGE, other)
    done = verify(other + '/')
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, 'another revision')
    _, _, twin = film.library(film.generated(9, '640x360', '25'), 'twin', '--preset', 'superfast', '--max-rungs', '1')
    swapped = os.path.join(tap.folder(), 'swapped')
    shutil.copytree(PACKAGE, swapped)
    shutil.copy(os.path.join(twin, 'package.torrent'), swapped)
    done = verify(swapped)
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, 'digest')


@tap.test
def what_is_no_package_is_said():
    done = verify(tap.folder())
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, 'package.torrent')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-ingest --verify: a right package is right, and each kind of damage is found and named."""
import glob, json, os, shutil, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, tap

_, _, PACKAGE = film.library(film.generated(9, '320x180', '25'), 'v', '--preset', 'ultrafast', '--max-rungs', '2')
VIDEO = os.path.basename(sorted(glob.glob(PACKAGE + '/video-*.mp4'))[-1])


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


@tap.test
def what_is_no_package_is_said():
    done = verify(tap.folder())
    tap.equal(done.returncode, 1)
    tap.has(done.stderr, 'package.torrent')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails: the right picture at the right time, as many sheets as a player expects, and every harm found."""
import functools, glob, json, os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, harm, mpd_schema, tap

# one grey a second, 31.7 s at 29.97: two sheets, the second filled in part
FILM = film.generated(31.7, '320x180', '30000/1001', "format=gray,geq=lum='40+6*floor(T)',format=yuv420p")
_, _, PACKAGE = film.library(FILM, 'tiles', '--preset', 'ultrafast', '--max-rungs', '1')


def image_set(folder):
    with open(folder + '/manifest.mpd') as f:
        return re.search(r'<AdaptationSet[^>]*contentType="image".*?</AdaptationSet>', f.read(), re.S)[0]


def attribute(text, name):
    return re.search(rf'\b{name}="([^"]*)"', text)[1]


@functools.cache
def grey(path, width, height):
    """The file's luma, full range."""
    data = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-f', 'rawvideo', '-pix_fmt', 'yuvj420p', '-'], capture_output=True, check=True).stdout
    tap.equal(len(data), width * height * 3 // 2, 'bytes of ' + path)
    return data[:width * height]


@tap.test
def each_tile_is_the_picture_of_its_time():
    of = image_set(PACKAGE)
    width, height, seconds = (int(attribute(of, a)) for a in ('width', 'height', 'duration'))
    columns, rows = (int(v) for v in attribute(of, 'value').split('x'))
    sheets = sorted(glob.glob(PACKAGE + '/thumbnails-*.jpg'))
    tap.equal(len(sheets), -(-317 // (10 * seconds)), 'sheets')
    each = seconds // (columns * rows)
    for at in range(0, 32, each):
        sheet, tile = divmod(at, seconds)
        luma = grey(f'{PACKAGE}/thumbnails-{1 + sheet}.jpg', width, height)
        x = (tile // each % columns) * (width // columns) + width // columns // 2
        y = (tile // each // columns) * (height // rows) + height // rows // 2
        # the picture that stands at that time began up to a picture before it
        want = [40 + 6 * s for s in (at, at - 1)]
        tap.check(min(abs(luma[y * width + x] - w) for w in want) < 3.5, f'tile at {at} s is {luma[y * width + x]}, expected {want[0]}')


@tap.test
def the_report_names_them():
    with open(PACKAGE + '/report.json') as f:
        k = json.load(f)['thumbnails']
    tap.equal((k['sheets'], k['tiles'], len(k['files'])), (2, 32, 2), 'thumbnails of the report')


@tap.test
def the_manifest_with_them_is_valid():
    mpd_schema.check(PACKAGE)


def refused(change, *parts):
    done = tap.call(tap.program('ribera-ingest'), '--verify', harm.consistent(PACKAGE, change), '--quick')
    tap.equal(done.returncode, 1, f'exit code for {parts}')
    for part in parts:
        tap.has(done.stderr, part)


@tap.test
def harm_to_them_is_found():
    refused(lambda folder: os.unlink(folder + '/thumbnails-2.jpg'), 'thumbnails-2.jpg')
    refused(lambda folder: os.link(folder + '/thumbnails-2.jpg', folder + '/thumbnails-3.jpg'), 'thumbnails-3.jpg', 'behind the last')
    refused(harm.rewritten('thumbnails-1.jpg', lambda old: old[:200]), 'thumbnails-1.jpg', 'JPEG')
    refused(harm.mpd(r'value="5x5"', 'value="7x5"'), 'manifest.mpd', '7x5')
    refused(harm.mpd(r'(image/jpeg">.*? width=")\d+', r'\g<1>800'), 'thumbnails-1.jpg', 'MPD says')
    refused(harm.mpd(r'duration="25"', 'duration="12"'), 'thumbnails-3.jpg')


tap.run()

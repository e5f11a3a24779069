# SPDX-License-Identifier: GPL-3.0-or-later
"""Small title packages written by hand: an independent writer of the digest (BEP 52) beside dash/digest_build.c."""
import hashlib, json, os

BLOCK, PIECE = 16384, 1 << 20
MPD = '''<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static" mediaPresentationDuration="PT8S" minBufferTime="PT4S">
  <Period id="1">
    <AdaptationSet contentType="video" mimeType="video/mp4">
      <Representation id="v" bandwidth="100000" codecs="avc1.64000C">
        <BaseURL>video.mp4</BaseURL>
        <SegmentBase indexRange="100-199"><Initialization range="0-99"/></SegmentBase>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
'''


def bencode(v):
    if isinstance(v, int):
        return b'i%de' % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b'%d:%s' % (len(v), v)
    if isinstance(v, list):
        return b'l' + b''.join(map(bencode, v)) + b'e'
    items = sorted((k.encode() if isinstance(k, str) else k, x) for k, x in v.items())
    return b'd' + b''.join(bencode(k) + bencode(x) for k, x in items) + b'e'


def sha(data):
    return hashlib.sha256(data).digest()


def up(hashes, width, pad):
    """The root over the hashes padded with `pad` to `width` (a power of two)."""
    level = hashes + [pad] * (width - len(hashes))
    while len(level) > 1:
        level = [sha(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def power(n):
    return 1 << max(0, n - 1).bit_length()


def tree(data):
    """(root, piece hashes, block hashes) of one file."""
    zero = bytes(32)
    leaves = [sha(data[i:i + BLOCK]) for i in range(0, len(data), BLOCK)]
    if not leaves:
        return None, [], []
    if len(data) <= PIECE:
        return up(leaves, power(len(leaves)), zero), [], leaves
    pieces = [up(leaves[i:i + 64], 64, zero) for i in range(0, len(leaves), 64)]
    return up(pieces, power(len(pieces)), up([], 64, zero)), pieces, leaves


def digest(title, files):
    """(metainfo, leaves file, revision) for name -> bytes."""
    names, layers, all_leaves = {}, {}, b''
    for name in sorted(files, key=str.encode):
        root, pieces, leaves = tree(files[name])
        entry = {'length': len(files[name])}
        if root is not None:
            entry['pieces root'] = root
        names[name] = {'': entry}
        if pieces:
            layers[root] = b''.join(pieces)
        all_leaves += b''.join(leaves)
    info = {'file tree': names, 'meta version': 2, 'name': title, 'piece length': PIECE}
    revision = hashlib.sha256(bencode(info)).hexdigest()[:20]
    return bencode({'info': info, 'piece layers': layers}), all_leaves, revision


def write(library, title, files=None, name=None, **report):
    """Publishes a package by rename, as the ingest does; (revision, folder)."""
    files = dict(files or {'video.mp4': b'v' * 100000})
    files.setdefault('manifest.mpd', MPD.encode())
    files.setdefault('main.m3u8', b'#EXTM3U\n')
    files.setdefault('report.json', json.dumps({'title': title, 'name': name or title, 'duration': 8.0, 'video': [{'file': 'v.mp4', 'segment_bytes': [1, 2], 'ssim': 0.9}], **report}).encode())
    metainfo, leaves, revision = digest(title, files)
    work = os.path.join(library, f'.work-{title}-{os.getpid()}')
    os.makedirs(work)
    for file, data in {**files, 'package.torrent': metainfo, 'package.leaves': leaves}.items():
        with open(os.path.join(work, file), 'wb') as f:
            f.write(data)
    os.makedirs(os.path.join(library, title), exist_ok=True)
    folder = os.path.join(library, title, revision)
    os.rename(work, folder)
    return revision, folder


def shelf(plan):
    """The hash of the library that a whole plan is of, as doc/openapi.yaml has it (getPlan)."""
    line = lambda t: {**{k: t[k] for k in ('title', 'revision', 'digest', 'digest_bytes', 'bytes')}, 'hold': False}
    text = ''.join(json.dumps(line(t), separators=(',', ':')) + ',' for t in sorted(plan['titles'], key=lambda t: t['title']))
    return hashlib.sha256(text.encode()).hexdigest()

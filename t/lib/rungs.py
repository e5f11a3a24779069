# SPDX-License-Identifier: GPL-3.0-or-later
"""A film whose renditions have the exact rates of a ladder, each in one file with an index."""
import json, os, subprocess

SEGMENT, FPS = 2, 25


def sidx(path):
    """End of the moov, first and last byte of the sidx, sizes of the segments."""
    with open(path, 'rb') as f:
        data = f.read()
    at, moov_end = 0, 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at:at + 4], 'big'), data[at + 4:at + 8]
        if kind == b'moov':
            moov_end = at + size
        if kind == b'sidx':
            head = at + (32 if data[at + 8] == 0 else 40)
            n = int.from_bytes(data[head - 2:head], 'big')
            return moov_end, at, at + size - 1, [int.from_bytes(data[head + 12 * i:head + 12 * i + 4], 'big') & 0x7fffffff for i in range(n)]
        at += size
    raise AssertionError(f'{path} has no sidx')


def make_film(folder, seconds, ladder):
    """Renditions of a small picture, filled up to their rates; film.mpd, and ladder.json for the simulation."""
    sets, sizes = '', []
    for rate in ladder:
        name = os.path.join(folder, f'{rate}.mp4')
        subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-y', '-f', 'lavfi', '-i', f'testsrc2=s=192x108:r={FPS}:d={seconds}', '-c:v', 'libx264',
                        '-preset', 'veryfast', '-g', str(FPS * SEGMENT), '-keyint_min', str(FPS * SEGMENT), '-sc_threshold', '0', '-bf', '0',
                        '-pix_fmt', 'yuv420p', '-b:v', f'{rate}k', '-minrate', f'{rate}k', '-maxrate', f'{rate}k', '-bufsize', f'{rate}k',
                        '-x264-params', 'nal-hrd=cbr', '-f', 'mp4', '-movflags', '+cmaf+dash+global_sidx+frag_keyframe+skip_trailer',
                        '-use_editlist', '0', name], check=True)
        moov, first, last, own = sidx(name)
        sizes.append(own)
        sets += (f'<Representation id="{rate}" bandwidth="{rate * 1000}" width="192" height="108"><BaseURL>{rate}.mp4</BaseURL>'
                 f'<SegmentBase timescale="12800" indexRange="{first}-{last}"><Initialization range="0-{moov - 1}"/></SegmentBase></Representation>')
    with open(os.path.join(folder, 'film.mpd'), 'w') as f:
        f.write('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static" '
                f'mediaPresentationDuration="PT{seconds}S" minBufferTime="PT2S"><Period><AdaptationSet contentType="video" mimeType="video/mp4" '
                f'codecs="avc1.64000C" subsegmentAlignment="true">{sets}</AdaptationSet></Period></MPD>')
    with open(os.path.join(folder, 'ladder.json'), 'w') as f:
        json.dump(dict(segment_duration_ms=1000 * SEGMENT, bitrates_kbps=ladder, segment_sizes_bytes=[list(row) for row in zip(*sizes)]), f)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Subtitles in CMAF (ISO/IEC 14496-30): initialisation and media segments of wvtt and stpp tracks, one cue a segment."""
import struct


def box(kind, *parts):
    body = b''.join(parts)
    return struct.pack('>I4s', 8 + len(body), kind.encode()) + body


def full(kind, version, flags, *parts):
    return box(kind, struct.pack('>I', version << 24 | flags), *parts)


MATRIX = struct.pack('>9I', 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
STPP = b'http://www.w3.org/ns/ttml\0\0\0'


def init(kind, scale):
    """`kind`: wvtt or stpp."""
    entry = (box('wvtt', bytes(6), struct.pack('>H', 1), box('vttC', b'WEBVTT')) if kind == 'wvtt'
             else box('stpp', bytes(6), struct.pack('>H', 1), STPP))
    table = box('stbl', full('stsd', 0, 0, struct.pack('>I', 1), entry), *(full(k, 0, 0, bytes(4)) for k in ('stts', 'stsc', 'stco')), full('stsz', 0, 0, bytes(8)))
    media = box('mdia', full('mdhd', 0, 0, struct.pack('>IIIIHH', 0, 0, scale, 0, 0x55c4, 0)), full('hdlr', 0, 0, bytes(4), b'text' if kind == 'wvtt' else b'subt', bytes(13)),
                box('minf', full('nmhd' if kind == 'wvtt' else 'sthd', 0, 0), box('dinf', full('dref', 0, 0, struct.pack('>I', 1), full('url ', 0, 1))), table))
    track = box('trak', full('tkhd', 0, 3, struct.pack('>IIIII', 0, 0, 1, 0, 0), bytes(8), bytes(8), MATRIX, bytes(8)), media)
    return (box('ftyp', b'cmfc', bytes(4), b'cmfc') +
            box('moov', full('mvhd', 0, 0, struct.pack('>IIII', 0, 0, scale, 0), struct.pack('>IH', 0x10000, 0x100), bytes(10), MATRIX, bytes(24), struct.pack('>I', 2)),
                track, box('mvex', full('trex', 0, 0, struct.pack('>5I', 1, 1, 0, 0, 0)))))


def vttc(text, settings=''):
    return box('vttc', *([box('sttg', settings.encode())] if settings else []), box('payl', text.encode()))


def segment(kind, number, start, duration, text, scale):
    """One cue, as long as the segment; or `text` is a sample as it is."""
    if isinstance(text, bytes):
        sample = text
    elif kind == 'wvtt':
        sample = vttc(text)
    else:
        sample = (f'<tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="{start / scale:.3f}s" end="{(start + duration) / scale:.3f}s">{text}</p></div></body></tt>').encode()
    def moof(offset):
        return box('moof', full('mfhd', 0, 0, struct.pack('>I', number)),
                   box('traf', full('tfhd', 0, 0x20000, struct.pack('>I', 1)), full('tfdt', 1, 0, struct.pack('>Q', start)),
                       full('trun', 0, 0x301, struct.pack('>IiII', 1, offset, duration, len(sample)))))
    return moof(len(moof(0)) + 8) + box('mdat', sample)

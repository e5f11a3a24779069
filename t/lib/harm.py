# SPDX-License-Identifier: GPL-3.0-or-later
"""Harm to finished packages, for tests of what looks at them.

A harm is a function of the package's folder.  consistent() makes hashes anew, so that only the content is wrong.
"""
import os, re, shutil, struct
import tap


def rewritten(name, change):
    """The file's bytes through change()."""
    def harm(folder):
        path = os.path.join(folder, name)
        with open(path, 'rb') as f:
            old = f.read()
        new = change(old)
        assert new != old, f'{name} was not changed'
        with open(path, 'wb') as f:
            f.write(new)
    return harm


def mpd(pattern, new):
    return rewritten('manifest.mpd', lambda old: re.sub(pattern, new, old.decode(), count=1, flags=re.S).encode())


def consistent(package, harm):
    """A copy of the package, harmed, with a digest made anew: the hashes are right and the content is not."""
    copy, out = os.path.join(tap.folder(), 'copy'), os.path.join(tap.folder(), 'out')
    shutil.copytree(package, copy)
    harm(copy)
    for made in ('package.torrent', 'package.leaves'):
        os.unlink(os.path.join(copy, made))
    tap.call(tap.program('t/lib/digest-make'), 'v', copy, out, check_exit=0)
    shutil.move(out, os.path.join(copy, 'package.torrent'))
    shutil.move(out + '.leaves', os.path.join(copy, 'package.leaves'))
    return copy


def boxes(data, start=0, end=None):
    """(type, start, end) of each box."""
    end = len(data) if end is None else end
    while start < end:
        size = struct.unpack_from('>I', data, start)[0]
        yield data[start + 4:start + 8].decode('latin1'), start, start + size
        start += size


def _box(kind, payload):
    return struct.pack('>I4s', 8 + len(payload), kind) + payload


class Segment:
    """One moof and mdat as ribera-ingest writes them, taken apart and put together again."""

    def __init__(self, data):
        (_, _, moof_end), _ = list(boxes(data))
        inner = {k: (s, e) for k, s, e in boxes(data, 8, moof_end)}
        self.sequence = struct.unpack_from('>I', data, inner['mfhd'][0] + 12)[0]
        self.parts = [[k, data[s + 8:e]] for k, s, e in boxes(data, inner['traf'][0] + 8, inner['traf'][1])]
        trun = dict(self.parts)['trun']
        self.version, self.flags = trun[0], struct.unpack('>I', b'\0' + trun[1:4])[0]
        count = struct.unpack_from('>I', trun, 4)[0]
        at = 8 + (4 if self.flags & 1 else 0)
        self.first_flags = None
        if self.flags & 4:
            self.first_flags = struct.unpack_from('>I', trun, at)[0]
            at += 4
        fields = [name for bit, name in ((0x100, 'duration'), (0x200, 'size'), (0x400, 'flags'), (0x800, 'composition')) if self.flags & bit]
        tfhd = dict(self.parts)['tfhd']
        tfhd_flags = struct.unpack('>I', b'\0' + tfhd[1:4])[0]
        self.default_size = struct.unpack_from('>I', tfhd, 8 + 4 * bin(tfhd_flags & 0xb).count('1') + (4 if tfhd_flags & 1 else 0))[0] if tfhd_flags & 0x10 else 0
        self.samples, data_at = [], moof_end + 8
        for _ in range(count):
            sample = {}
            for name in fields:
                sample[name] = struct.unpack_from('>i' if name == 'composition' else '>I', trun, at)[0]
                at += 4
            size = sample.get('size', self.default_size)
            sample['bytes'] = data[data_at:data_at + size]
            data_at += size
            self.samples.append(sample)

    @property
    def tfdt(self):
        payload = dict(self.parts)['tfdt']
        return struct.unpack_from('>Q' if payload[0] else '>I', payload, 4)[0]

    @tfdt.setter
    def tfdt(self, value):
        for part in self.parts:
            if part[0] == 'tfdt':
                part[1] = part[1][:4] + struct.pack('>Q' if part[1][0] else '>I', value)

    def _traf(self, offset):
        out = b''
        for kind, payload in self.parts:
            if kind == 'trun':
                payload = bytes([self.version]) + struct.pack('>I', self.flags)[1:] + struct.pack('>I', len(self.samples)) + struct.pack('>i', offset)
                if self.first_flags is not None:
                    payload += struct.pack('>I', self.first_flags)
                for s in self.samples:
                    for name in ('duration', 'size', 'flags', 'composition'):
                        if name in s:
                            payload += struct.pack('>i' if name == 'composition' else '>I', len(s['bytes']) if name == 'size' else s[name])
            out += _box(kind.encode(), payload)
        return _box(b'traf', out)

    def bytes(self):
        head = _box(b'mfhd', struct.pack('>II', 0, self.sequence))
        size = 8 + len(head) + len(self._traf(0))
        data = b''.join(s['bytes'] for s in self.samples)
        return _box(b'moof', head + self._traf(size + 8)) + _box(b'mdat', data)


class Track:
    """A track file: header, index, segments.  bytes() makes the index's sizes anew; its durations stay."""

    def __init__(self, data):
        sidx = next((s, e) for k, s, e in boxes(data) if k == 'sidx')
        self.header, self.index, at = data[:sidx[0]], bytearray(data[sidx[0]:sidx[1]]), sidx[1]
        self.segments = []
        for i in range(struct.unpack_from('>H', self.index, 30)[0]):
            size = struct.unpack_from('>I', self.index, 32 + 12 * i)[0]
            self.segments.append(Segment(data[at:at + size]))
            at += size

    def bytes(self):
        parts = [s.bytes() for s in self.segments]
        for i, part in enumerate(parts):
            struct.pack_into('>I', self.index, 32 + 12 * i, len(part))
        return self.header + bytes(self.index) + b''.join(parts)

    def playlist(self, name):
        """The byte ranges as HLS says them."""
        at, lines = len(self.header) + len(self.index), []
        for s in self.segments:
            lines.append(f'#EXT-X-BYTERANGE:{len(s.bytes())}@{at}')
            at += len(s.bytes())
        return lines


def track(name, change):
    """change() gets the Track; playlist and file follow."""
    def harm(folder):
        def file(old):
            t = Track(old)
            assert t.bytes() == old, 'the track is not put together as it was taken apart'
            change(t)
            lines.extend(t.playlist(name))
            return t.bytes()
        lines = []
        rewritten(name, file)(folder)
        path = os.path.join(folder, name[:-4] + '.m3u8')
        with open(path) as f:
            old = f.read()
        ranges = iter(lines)
        with open(path, 'w') as f:
            f.write(re.sub(r'(?m)^#EXT-X-BYTERANGE:.*$', lambda m: next(ranges), old))
    return harm

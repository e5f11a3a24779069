# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that can be wrong, and be set while a program runs (clock.c).

    clock = clock.Clock(folder, -86400)      # a day behind
    program with env=clock.env; clock.set(3600)
"""
import mmap, os, struct
import tap


class Clock:
    def __init__(self, folder, seconds=0):
        path = os.path.join(folder, 'shift')
        with open(path, 'wb') as f:
            f.write(struct.pack('q', 0))
        with open(path, 'r+b') as f:
            self._map = mmap.mmap(f.fileno(), 8)
        self.set(seconds)
        library = os.path.join(tap.BUILD, 't', 'lib', 'clock.so')
        tap.check(os.path.exists(library), f'{library} is not built: make check builds it')
        self.env = {'LD_PRELOAD': library, 'CLOCK_SHIFT': path,
                    'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}

    def set(self, seconds):
        self._map[:8] = struct.pack('q', int(seconds * 1_000_000))

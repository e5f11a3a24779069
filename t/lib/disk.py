# SPDX-License-Identifier: GPL-3.0-or-later
"""What a disk may hold after a power cut, from the diary of disk.c.

A disk keeps what was synced.  Of the rest it keeps any part: each write wholly, not at all, or some sectors of it;
each change of a folder's names or not, until that folder is synced.  Real file systems promise more; what stands on
these promises stands on theirs.
"""
import os, random, shutil
import tap

SECTOR = 512


def environment(root, diary=None, fault=None):
    """For a program whose changes below `root` are to be written down, or to fail."""
    env = {'LD_PRELOAD': os.path.join(tap.BUILD, 't', 'lib', 'disk.so'), 'DISK_ROOT': root,
           'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}
    tap.check(os.path.exists(env['LD_PRELOAD']), f'{env["LD_PRELOAD"]} is not built: make check builds it')
    return {**env, **({'DISK_DIARY': diary} if diary else {}), **({'DISK_FAULT': fault} if fault else {})}


class Event:
    __slots__ = ('op', 'inode', 'offset', 'data', 'path')

    def __init__(self, op, inode, offset, data, path):
        self.op, self.inode, self.offset, self.data, self.path = op, inode, offset, data, path

    def __repr__(self):
        return f'{self.op} {self.path} {self.offset}+{len(self.data)}'


def mark(diary, text):
    """A remark of the test's own, between the events."""
    fd = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f'mark 0 0 0 {text}\n'.encode())
    os.close(fd)


def read_diary(path):
    events = []
    with open(path, 'rb') as f:
        while line := f.readline():
            op, inode, offset, size, name = line.decode().rstrip('\n').split(' ', 4)
            data = f.read(int(size)) if op == 'write' else b''
            events.append(Event(op, int(inode), int(offset), data, name))
    return events


class _File:
    def __init__(self):
        self.kept, self.pending = bytearray(), []  # on the disk for certain; since then

    def apply(self, data, event, rng=None):
        if event.op == 'truncate':
            del data[event.offset:]
            data.extend(bytes(event.offset - len(data)))
            return
        first, new = event.offset, event.data
        if rng is not None:  # torn: some sectors of it
            last = rng.randrange(0, len(new) // SECTOR + 1) * SECTOR
            new = new[:last]
        data.extend(bytes(max(0, first + len(new) - len(data))))
        data[first:first + len(new)] = new

    def sync(self):
        for event in self.pending:
            self.apply(self.kept, event)
        self.pending = []

    def after(self, keep, rng):
        data = bytearray(self.kept)
        for event in self.pending:
            fate = {'lost': 0, 'kept': 1}.get(keep, rng.randrange(3))
            if fate == 1 or (fate == 2 and event.op == 'truncate'):
                self.apply(data, event)
            elif fate == 2:
                self.apply(data, event, rng)
        return data


class _Folder:
    def __init__(self):
        self.kept, self.pending = {}, []  # name -> _File or _Folder; (name to drop, name to set, what)

    @staticmethod
    def apply(names, change):
        gone, name, what = change
        if gone is not None:
            names.pop(gone, None)
        if name is not None:
            names[name] = what

    def now(self):
        names = dict(self.kept)
        for change in self.pending:
            self.apply(names, change)
        return names

    def sync(self):
        self.kept, self.pending = self.now(), []

    def after(self, keep, rng):
        names = dict(self.kept)
        for change in self.pending:
            if keep == 'kept' or (keep == 'torn' and rng.randrange(2)):
                self.apply(names, change)
        return names


class Disk:
    """Takes the events one by one; `write` makes a folder of what may be left of them."""

    def __init__(self, root):
        self.root, self.top, self.inodes = root, _Folder(), {}

    def _folder(self, path):
        folder = self.top
        for part in os.path.relpath(path, self.root).split('/'):
            folder = folder.now()[part] if part != '.' else folder
        return folder

    def _change(self, path, what, gone=None):
        folder, name = os.path.split(path)
        self._folder(folder).pending.append((gone, name if what is not None else None, what))

    def take(self, e):
        if e.op == 'create':
            self.inodes[e.inode] = _File()
            self._change(e.path, self.inodes[e.inode])
        elif e.op == 'mkdir':
            if e.path != self.root:
                self._change(e.path, _Folder())
        elif e.op == 'unlink':
            self._change(e.path, None, gone=os.path.basename(e.path))
        elif e.op == 'rename':
            old, new = e.path.split('\t')
            self._change(new, self._folder(os.path.dirname(old)).now()[os.path.basename(old)], gone=os.path.basename(old))
        elif e.op in ('write', 'truncate'):
            if not e.path.endswith('-shm'):
                self.inodes[e.inode].pending.append(e)
        elif e.op == 'fsync':
            (self.inodes[e.inode] if e.inode in self.inodes and not self._is_folder(e.path) else self._folder(e.path)).sync()

    def _is_folder(self, path):
        try:
            return isinstance(self._folder(path), _Folder)
        except KeyError:
            return False

    def write(self, target, keep, seed=0):
        """keep: 'lost' (nothing that was not synced), 'kept' (all), 'torn' (some, by the seed)."""
        rng = random.Random(seed)
        shutil.rmtree(target, ignore_errors=True)
        self._write(self.top, target, keep, rng)

    def _write(self, folder, target, keep, rng):
        os.mkdir(target)
        for name, what in sorted(folder.after(keep, rng).items()):
            path = os.path.join(target, name)
            if name.endswith('-shm'):
                continue  # SQLite makes it anew
            if isinstance(what, _Folder):
                self._write(what, path, keep, rng)
            else:
                with open(path, 'wb') as f:
                    f.write(what.after(keep, rng))

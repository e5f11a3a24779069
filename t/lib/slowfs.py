# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that waits: a read-only FUSE file system in a thread, without any library, whose reads can be held, delayed or failed.

    fs = slowfs.mount(folder, {'a.mp4': b'...'})     # as root: importing this module makes that so
    fs.held.add('a.mp4')                             # reads of it wait ...
    fs.release('a.mp4')                              # ... until now
    fs.asked('a.mp4')                                # how many reads have come
    fs.held.add('open a.mp4')                        # the same for opening it; fs.waits('open a.mp4')

Bytes that were read once stay in the page cache like those of any disk.  The mount is in a mount namespace of this process's own,
so import and mount before threads are started.
"""
import ctypes, errno, os, stat, struct, threading
import tap

tap.become_root()
LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, REC_PRIVATE = 0x20000, 0x4000 | 0x40000
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = 1, 2, 3, 14, 15, 17, 18, 25, 26, 27, 28, 29, 36, 38, 42
FOREVER, ROOT = 3600, 1


class Fs:
    def __init__(self, fd, files):
        self.fd, self.names, self.files = fd, sorted(files), files
        self.lock, self.held, self.failing, self.waiting, self.reads, self.delay = threading.Lock(), set(), set(), [], {}, 0.0
        threading.Thread(target=self.run, daemon=True).start()

    def asked(self, name):
        with self.lock:
            return self.reads.get(name, 0)

    def waits(self, name):
        with self.lock:
            return any(w[0] == name for w in self.waiting)

    def release(self, name):
        with self.lock:
            self.held.discard(name)
            ready = [w for w in self.waiting if w[0] == name]
            self.waiting = [w for w in self.waiting if w[0] != name]
        for _, unique, data in ready:
            self.answer(unique, data)

    def run(self):
        try:
            while True:
                self.take(os.read(self.fd, 1 << 20))
        except OSError:
            pass  # unmounted

    def answer(self, unique, data=b'', error=0):
        try:
            os.write(self.fd, struct.pack('<IiQ', 16 + len(data), -error, unique) + data)
        except OSError as e:
            if e.errno != errno.ENOENT:  # whoever asked has gone
                raise

    def attributes(self, node):
        folder = node == ROOT
        size = 0 if folder else len(self.files[self.names[node - 2]])
        mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o644
        return struct.pack('<6Q10I', node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def take(self, request):
        _, op, unique, node = struct.unpack_from('<IIQQ', request)
        body = request[40:]
        if op in (FORGET, BATCH_FORGET, INTERRUPT):
            return
        if op == INIT:
            major, minor, ahead, _ = struct.unpack_from('<IIII', body)
            self.answer(unique, struct.pack('<IIIIHHIIHHI7I', 7, min(minor, 31), ahead, 1, 64, 48, 131072, 1, 0, 0, 0, *[0] * 7))
        elif op == LOOKUP:
            name = body.rstrip(b'\0').decode()
            if name not in self.files:
                return self.answer(unique, error=errno.ENOENT)
            found = self.names.index(name) + 2
            self.answer(unique, struct.pack('<QQQQII', found, 0, FOREVER, FOREVER, 0, 0) + self.attributes(found))
        elif op == GETATTR:
            self.answer(unique, struct.pack('<QII', FOREVER, 0, 0) + self.attributes(node))
        elif op in (OPEN, OPENDIR):
            data = struct.pack('<QII', node, 2, 0)  # FOPEN_KEEP_CACHE
            with self.lock:
                held = op == OPEN and 'open ' + self.names[node - 2] in self.held
                if held:
                    self.waiting.append(('open ' + self.names[node - 2], unique, data))
            if not held:
                self.answer(unique, data)
        elif op == READDIR:
            self.list(unique, *struct.unpack_from('<QI', body, 8))
        elif op == READ:
            self.read(unique, self.names[node - 2], *struct.unpack_from('<QI', body, 8))
        elif op == STATFS:
            self.answer(unique, bytes(80))
        elif op in (RELEASE, RELEASEDIR, FLUSH, DESTROY):
            self.answer(unique)
        else:
            self.answer(unique, error=errno.ENOSYS)

    def list(self, unique, offset, size):
        out = b''
        for i, name in list(enumerate(self.names))[offset:]:
            entry = struct.pack('<QQII', i + 2, i + 1, len(name), 8) + name.encode()
            entry += bytes(-len(entry) % 8)
            if len(out) + len(entry) > size:
                break
            out += entry
        self.answer(unique, out)

    def read(self, unique, name, offset, size):
        data = self.files[name][offset:offset + size]
        with self.lock:
            self.reads[name] = self.reads.get(name, 0) + 1
            held = name in self.held
            if held:
                self.waiting.append((name, unique, data))
        if name in self.failing:
            self.answer(unique, error=errno.EIO)
        elif not held and self.delay > 0:
            threading.Timer(self.delay, self.answer, (unique, data)).start()
        elif not held:
            self.answer(unique, data)


def mount(folder, files):
    fd = tap.device('/dev/fuse', 'fuse', 10, 229)
    if LIBC.unshare(NEWNS) != 0 or LIBC.mount(b'none', b'/', None, REC_PRIVATE, None) != 0 or \
            LIBC.mount(b'slowfs', folder.encode(), b'fuse', 0, f'fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()) != 0:
        raise AssertionError(f'a FUSE file system cannot be mounted on {folder}: {os.strerror(ctypes.get_errno())}')
    return Fs(fd, files)

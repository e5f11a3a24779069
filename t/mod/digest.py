#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest against another implementation of BEP 52 (libtorrent, Debian's python3-libtorrent)."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap

MIB, BLOCK = 1 << 20, 16384
SIZES = {'a': 1, 'b': BLOCK, 'c': BLOCK + 1, 'd': 5 * BLOCK + 7, 'e': MIB - 1, 'f': MIB, 'g': MIB + 1, 'h': 2 * MIB, 'i': 5 * MIB + 3 * BLOCK,
         'j': 9 * MIB + 1, 'k': 0}

# Debian's module belongs to Debian's python, which need not be the one that runs this.
OTHER = r'''
import json, sys
import libtorrent as lt
title, folder, out = sys.argv[1:]
info = lt.torrent_info(out)
fs = lt.file_storage()
lt.add_files(fs, folder)
t = lt.create_torrent(fs, piece_size=1 << 20, flags=lt.create_torrent.v2_only)
lt.set_piece_hashes(t, folder.rsplit('/', 1)[0])
theirs = t.generate()
ours = lt.bdecode(open(out, 'rb').read())
def tree(d):
    return {k.decode('latin-1'): (v[b''][b'length'], v[b''].get(b'pieces root', b'').hex()) for k, v in d[b'info'][b'file tree'].items()}
print(json.dumps({
    'hash': str(info.info_hashes().v2), 'name': info.name(), 'seeds': [s['url'] for s in info.web_seeds()],
    'valid': info.is_valid(), 'ours': tree(ours), 'theirs': tree(theirs),
    'our_layers': {k.hex(): v.hex() for k, v in ours[b'piece layers'].items()},
    'their_layers': {k.hex(): v.hex() for k, v in theirs[b'piece layers'].items()}}))
'''


def make():
    folder = os.path.join(tap.folder(), 'film')
    os.mkdir(folder)
    for name, size in SIZES.items():
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(os.urandom(size))
    out = folder + '.torrent'
    done = subprocess.run([os.path.join(tap.BUILD, 't/lib/digest-make'), 'film', folder, out, 'http://127.0.0.1:1/v/'],
                          capture_output=True, text=True)
    tap.equal((done.returncode, done.stderr), (0, ''), 'digest-make')
    return folder, out, done.stdout.strip()


@tap.test
def another_implementation_reads_the_same():
    import json
    folder, out, ours = make()
    done = subprocess.run(['/usr/bin/python3', '-c', OTHER, 'film', folder, out], capture_output=True, text=True)
    tap.equal((done.returncode, done.stderr), (0, ''), 'libtorrent')
    r = json.loads(done.stdout)
    tap.check(r['valid'])
    tap.equal(r['hash'], ours, 'info hash')
    tap.equal(r['name'], 'film')
    tap.equal(r['seeds'], ['http://127.0.0.1:1/v/'])
    tap.equal(sorted(r['ours']), sorted(SIZES))
    theirs = {k: v for k, v in r['theirs'].items() if k in SIZES}
    tap.equal({k: v for k, v in r['ours'].items() if SIZES[k]}, {k: v for k, v in theirs.items() if SIZES[k]}, 'roots')
    tap.equal(r['our_layers'], r['their_layers'], 'piece layers')


@tap.test
def one_wrong_byte_changes_the_name():
    folder, out, before = make()
    with open(os.path.join(folder, 'j'), 'r+b') as f:
        f.seek(9 * MIB)
        byte = f.read(1)
        f.seek(9 * MIB)
        f.write(bytes([byte[0] ^ 1]))
    after = subprocess.run([os.path.join(tap.BUILD, 't/lib/digest-make'), 'film', folder, out], capture_output=True, text=True).stdout.strip()
    tap.equal(len(after), 64)
    tap.check(after != before)


tap.run()

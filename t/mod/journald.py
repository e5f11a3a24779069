#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs under a service manager: entries with fields to the journal's socket; plain lines for everybody else."""
import os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap

EDGE = [tap.program('ribera-edge'), '--name', 'e', '--origin', 'http://127.0.0.1:9', '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0']
PRIVATE = 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && exec "$@"'


def run(environment, stderr, journal=True):
    """The edge until it has spoken of its origin; what came to the journal's socket, in a namespace where /run is our own."""
    folder = tap.folder()
    code = f'''
import os, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if {journal}:
    s.bind('/run/systemd/journal/socket')
    s.settimeout(0.05)
err = open({stderr!r}, 'ab')
st = os.fstat(err.fileno())
env = dict(os.environ, **{environment!r})
if env.get('JOURNAL_STREAM') == 'ours':
    env['JOURNAL_STREAM'] = f'{{st.st_dev}}:{{st.st_ino}}'
p = subprocess.Popen({EDGE + ["--store", folder]!r}, stderr=err, stdout=subprocess.DEVNULL, env=env)
said = False
import time
end = time.monotonic() + 30
while not said and time.monotonic() < end:
    try:
        if not {journal}:
            time.sleep(0.02)
            raise TimeoutError
        entry = s.recv(65536)
        sys.stdout.buffer.write(entry + b'\\0')
        said = b'origin' in entry
    except TimeoutError:
        said = b'origin' in open({stderr!r}, 'rb').read()
p.terminate()
p.wait()
'''
    p = subprocess.run(['unshare', '-m', *([] if os.geteuid() == 0 else ['-r']), 'sh', '-c', PRIVATE, 'sh', sys.executable, '-c', code], capture_output=True, timeout=60)
    tap.equal((p.returncode, p.stderr), (0, b''))
    with open(stderr) as f:
        return [dict(line.split('=', 1) for line in e.splitlines()) for e in p.stdout.decode().split('\0')[:-1]], f.read()


@tap.test
def entries_with_fields_where_standard_error_is_the_journal():
    entries, plain = run({'JOURNAL_STREAM': 'ours'}, os.path.join(tap.folder(), 'stderr'))
    tap.equal(plain, '')
    for e in entries:
        tap.check(e['PRIORITY'] in '34567' and e['SYSLOG_IDENTIFIER'] == 'ribera-edge' and e['MESSAGE'].startswith(e['RIBERA_PART'] + ': '), str(e))
    tap.check(any(len(e) > 5 for e in entries), 'values are fields of their own')


@tap.test
def plain_lines_for_everybody_else():
    for stream in ('', '1:1', 'x'):
        entries, plain = run({'JOURNAL_STREAM': stream} if stream else {}, os.path.join(tap.folder(), 'stderr'))
        tap.equal(entries, [])
        tap.check(re.search('origin', plain), plain)


@tap.test
def lines_with_a_priority_when_the_journal_has_no_socket():
    entries, plain = run({'JOURNAL_STREAM': 'ours'}, os.path.join(tap.folder(), 'stderr'), journal=False)
    tap.check(re.match(r'<[3-7]>edge', plain), plain)


tap.run()

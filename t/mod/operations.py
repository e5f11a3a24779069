#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""doc/OPERATIONS.md says what the programs take: each command in it is run against a real origin with a real edge, or, where it
would take a machine of its own (t/host/systemd.sh has that), its options are held against --help."""
import os, re, shlex, shutil, subprocess, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import film, package, tap
from origins import Origin

with open(os.path.join(tap.SOURCE, 'doc', 'OPERATIONS.md')) as f:
    MANUAL = f.read()
PROGRAMS = r'ribera-(?:admin|edge|ingest|origin|player)'


def commands():
    """In the order of the text: the lines of its blocks, and what stands between backticks."""
    blocks = [line for b in re.findall(r'```sh\n(.*?)```', MANUAL, re.S) for line in b.splitlines()]
    inline = re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', MANUAL, flags=re.S))
    for line in blocks + inline:
        for part in re.split(r'&&|;', line):
            m = re.match(rf'\s*(?:sudo -u \w+ )?({PROGRAMS} .*)', re.sub(r'\s+#.*|</dev/null', '', part))
            if m and not part.strip().startswith('alias'):
                yield shlex.split(m[1])


COMMANDS = list(commands())


@tap.test
def there_are_many():
    tap.check(len(COMMANDS) > 45, f'only {len(COMMANDS)} commands were found')


@tap.test
def every_option_is_one():
    known = {}
    for argv in COMMANDS:
        if argv[0] not in known:
            known[argv[0]] = set(re.findall(r'(?<![\w-])--?[a-z][a-z-]*', tap.call(tap.program(argv[0]), '--help', check_exit=0).stdout))
        for word in argv[1:]:
            if word.startswith('-'):
                tap.check(word.split('=')[0] in known[argv[0]], f'{argv[0]} has no {word}: {argv}')


@tap.test
def what_a_figure_was_measured_with_is_there():
    named = set(re.findall(r'`(t/bench/[^`]+)`', MANUAL))
    tap.check(len(named) >= 6, named)
    for command in named:
        name, *words = shlex.split(command)
        path = next((p for p in (os.path.join(tap.SOURCE, name), os.path.join(tap.SOURCE, name + '.c')) if os.path.exists(p)), None)
        tap.check(path, f'{name} is not there')
        with open(path) as f:
            text = f.read()
        tap.equal([w for w in words if w.startswith('--') and w not in text], [], f'{name} has no such options')


def world():
    """An origin with tokens, a film of two revisions, an edge that holds it, and what stands for the manual's names."""
    folder = tap.folder()
    keys, log, token, library = (os.path.join(folder, x) for x in ('keys', 'log', 'token', 'library'))
    shutil.copytree(film.library(film.generated(4, '320x180'))[0], library)
    first = os.path.dirname(film.library(film.generated(4, '320x180'))[2] + '/')
    for name in ('film', 'other'):
        os.utime(package.write(library, name, {'video.mp4': name.encode() * 5000})[1], (1_700_000_000,) * 2)
    with open(keys, 'w') as f:
        f.write('k1 ' + '0123456789abcdef' * 4 + '\n')
    with open(log, 'w') as f:
        f.write('1,7,1000\n2,8,3000\n3,7,1000\n90000,7,1000\n')
    o = Origin(library)
    with open(token, 'w') as f:
        f.write(o.api('/tokens', 'POST', {'role': 'admin'}).json()['token'] + '\n')
    with open(token) as f:
        o.headers = {'Authorization': 'Bearer ' + f.read().strip()}
    edge = tap.Process(tap.program('ribera-edge'), '--name', 'madrid-1', '--origin', o.control, '--token-file', token, '--store', folder + '/store',
                       '--listen', '127.0.0.1:0', '--heartbeat', '200ms')
    tap.until(lambda: [e for e in o.api('/edges').json()['edges'] if e['holds'] >= 2], 30, 'the edge is filled')
    spare = str(o.api('/tokens', 'POST', {'role': 'edge'}).json()['id'])
    names = {'NAME': 'madrid-1', 'TITLE': 'film', 'PLACE': 'madrid', 'REGION': 'spain', 'KEYS': keys, 'LOG': log, 'PACKAGE': first, 'ID': spare,
             '~/token': token, '~/publisher': token, '/var/lib/ribera/library': o.library,
             'https://origin.example:8081': o.control, '/backup/catalogue.sqlite': folder + '/backup.sqlite'}
    return o, edge, token, names


def said_in(names, argv):
    words = [names.get(w, w) for w in argv[1:]]
    return [re.sub(r'\bTITLE\b', names['TITLE'], w) for w in words]


@tap.test
def what_the_operators_command_is_told_it_does():
    o, edge, token, names = world()
    ran = 0
    for argv in COMMANDS:
        if argv[0] != 'ribera-admin':
            continue
        words = said_in(names, argv)
        tap.until(lambda: o.api('/edges').json()['edges'], 20, 'the edge, which registers again when it was forgotten')
        if words == ['events']:
            p = subprocess.Popen([tap.program('ribera-admin'), '--control', o.control, '--token-file', token, 'events'], stdout=subprocess.PIPE)
            o.api('/edges/madrid-1/drain', 'PUT')
            tap.check(p.stdout.readline(), 'no event came')
            p.terminate()
            p.communicate()
            o.api('/edges/madrid-1/drain', 'DELETE')
        elif '--compare' in words:  # of days before this origin was
            tap.has(o.admin('--token-file', token, *words, code=1).stderr, 'there is no plan of 2026-11-20')
        else:
            r = o.admin('--token-file', token, *words, code=None)
            tap.equal(r.returncode, 0, f'ribera-admin {" ".join(words)}: {r.stdout}{r.stderr}')
        ran += 1
    tap.check(ran > 35, f'only {ran} were run')
    edge.stop()


@tap.test
def what_ingest_is_told_it_does():
    o = Origin()
    token = tap.folder() + '/token'
    with open(token, 'w') as f:
        f.write(o.api('/tokens', 'POST', {'role': 'admin'}).json()['token'] + '\n')
    master = film.generated(4, '320x180')
    names = {'film.mp4': master, '~/publisher': token, 'https://origin.example:8081': o.control, 'PACKAGE': film.library(master)[2],
             '/var/lib/ribera/library': tap.folder(), 'TITLE': 'film'}
    done = set()
    for argv in COMMANDS:
        words = said_in(names, argv)
        if argv[0] == 'ribera-ingest' and words and tuple(words) not in done:
            done.add(tuple(words))
            tap.call(tap.program('ribera-ingest'), *words, '--quiet', check_exit=0)
    tap.check(len(done) >= 4, f'{done}')


tap.run()

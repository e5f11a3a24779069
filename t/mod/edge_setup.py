#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-edge --setup: by options and by a person at a terminal; what is wrong is said at once, and nothing is left behind."""
import contextlib, os, pty, select, stat, subprocess, sys, tempfile, termios, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import film, tap
from origins import Origin

EDGE = tap.program('ribera-edge')
DISK = contextlib.ExitStack()  # a small one is measured in no time
SMALL = DISK.enter_context(tap.small_disk('320m'))
SECRET = 'secret-' + 'x' * 30


def new_folder():
    return tempfile.mkdtemp(dir=SMALL)


def with_token():
    o, folder = Origin(film.library(film.generated(8, '640x360'))[0]), new_folder()
    admin = o.api('/tokens', 'POST', {'role': 'admin'}).json()['token']
    o.headers = {'Authorization': 'Bearer ' + admin}
    return o, o.api('/tokens', 'POST', {'role': 'edge'}).json()['token'], folder


def setup(folder, *options, exit=0):
    return tap.call(EDGE, '--setup', '--config', f'{folder}/edge.yaml', *options, stdin=subprocess.DEVNULL, check_exit=exit)


@tap.test
def options_alone_make_an_edge_that_works():
    o, token, folder = with_token()
    with open(f'{folder}/my.token', 'w') as f:
        f.write(token + '\n')
    r = setup(folder, '--name', 'madrid-1', '--origin', o.control + '/', '--token-file', f'{folder}/my.token', '--store', f'{folder}/new/store',
              '--listen', '127.0.0.1:0', '--rate', '5MiB', '--window-zone', 'Europe/Madrid', '--window-start', '01:30', '--window-duration', '4h')
    for words in ('it answers', 'free; writes', 'the origin sends', 'has its plan and answers', f'ribera-edge --config {folder}/edge.yaml'):
        tap.has(r.stdout, words, 'what is said')
    text = open(f'{folder}/edge.yaml').read()
    for line in ('name: "madrid-1"', f'origin: "{o.control}"', '  zone: "Europe/Madrid"', '  start: "01:30"', '  duration: 14400s', 'rate: 5242880'):
        tap.has(text.split('\n'), line, 'the file')
    tap.check(token not in text + r.stdout + r.stderr, 'the token is told')
    tap.equal(os.listdir(folder + '/new'), [], 'what is left of the trial')
    tap.equal(stat.S_IMODE(os.stat(folder + '/new').st_mode), 0o755, "the service's user gets through")
    tap.equal(tap.call(EDGE, '--config', f'{folder}/edge.yaml', '--check', check_exit=0).stdout, 'the settings are good\n')
    process = tap.Process(EDGE, '--config', f'{folder}/edge.yaml', '--ports-file', f'{folder}/ports')
    tap.ports(f'{folder}/ports', process)
    tap.until(lambda: o.api('/edges/madrid-1').json()['state'] == 'up', 20, 'the edge at its origin')
    process.stop()


@tap.test
def a_file_that_is_there_is_not_lost():
    o, _, folder = with_token()
    o.p.stop()
    o = Origin()
    options = ('--name', 'a', '--origin', o.control, '--store', f'{folder}/s', '--listen', '127.0.0.1:0')
    with open(f'{folder}/edge.yaml', 'w') as f:
        f.write('# made by hand\nname: "a"\n')
    first = open(f'{folder}/edge.yaml').read()
    r = setup(folder, '--rate', '1MiB', exit=1)
    tap.has(r.stderr, '--replace')
    tap.check('free; writes' not in r.stdout, 'nothing is measured for nothing')
    tap.equal(open(f'{folder}/edge.yaml').read(), first)
    p = Person(folder, '--setup', '--config', 'edge.yaml')
    p.answer('Name of this edge', '')
    p.answer('Replace it', 'n')
    p.read('give --replace')
    tap.equal(p.end(), 1, 'exit')
    setup(folder, *options, '--rate', '1MiB', '--replace')
    tap.equal(open(f'{folder}/edge.yaml.before').read(), first, 'the old file')
    second = open(f'{folder}/edge.yaml').read()
    tap.has(second, 'rate: 1048576')
    tap.has(second, 'name: "a"', 'what the file said before')


@tap.test
def what_is_wrong_is_said_and_nothing_is_written():
    o, token, folder = with_token()
    bad = f'{folder}/bad.token'
    with open(bad, 'w') as f:
        f.write('wrong\n')
    base = ['--name', 'a', '--store', f'{folder}/s', '--listen', '127.0.0.1:0']
    for options, words in (
            (['--origin', 'http://127.0.0.1:9'], 'does not answer'),
            (['--origin', o.viewers, '--token-file', bad], 'no control listener'),
            (['--origin', o.control, '--token-file', bad], 'does not take this token'),
            (['--origin', o.control], 'the origin wants a token'),
            (['--origin', o.control, '--token-file', f'{folder}/none'], 'cannot read'),
            (['--origin', 'ftp://x'], 'expected an http or https URL'),
            ([], 'origin is not set')):
        r = setup(folder, *base, *options, exit=None)
        tap.check(r.returncode in (1, 2), f'{options}: exit {r.returncode}')
        tap.has(r.stderr, words, f'{options}')
        tap.check(not os.path.exists(f'{folder}/edge.yaml'), f'{options}: a file was written')
    good = f'{folder}/good.token'
    with open(good, 'w') as f:
        f.write(token)
    base = ['--name', 'a', '--origin', o.control, '--token-file', good, '--listen', '127.0.0.1:0']
    tap.has(setup(folder, *base, '--store', '/proc/none', exit=1).stderr, 'store')
    tap.has(setup(folder, *base, '--store', f'{folder}/s', '--window-zone', 'Mars/Base', exit=2).stderr, 'there is no zone "Mars/Base"')


@tap.test
def a_port_that_is_taken_is_found_by_the_trial():
    o, token, folder = with_token()
    with open(f'{folder}/t', 'w') as f:
        f.write(token)
    r = setup(folder, '--name', 'a', '--origin', o.control, '--token-file', f'{folder}/t', '--store', f'{folder}/s', '--listen', f'127.0.0.1:{o.ports["viewers"]}', exit=1)
    tap.has(r.stderr, 'edge.yaml is written, but does not work yet', 'what is said')
    tap.check(not os.path.exists(f'{folder}/s'), 'what is left of the trial')


class Person:
    """Somebody at a terminal."""

    def __init__(self, folder, *argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execv(EDGE, [EDGE, *argv])
        self.text = ''

    def read(self, words, seconds=60):
        """Waits for words behind what was read before."""
        end = time.monotonic() + seconds
        while words not in self.text:
            tap.check(time.monotonic() < end, f'{words!r} did not come: {self.text!r}')
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode()
                except OSError:
                    tap.check(words in self.text, f'ended without {words!r}: {self.text!r}')
        before, self.text = self.text.split(words, 1)
        return before

    def answer(self, question, text):
        seen = self.read(question)
        os.write(self.fd, text.encode() + b'\n')
        return seen

    def end(self):
        try:
            while True:
                self.text += os.read(self.fd, 4096).decode()
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@tap.test
def a_person_is_asked_and_may_be_wrong():
    o, token, folder = with_token()
    p = Person(folder, '--setup', '--config', 'mine.yaml')
    p.answer('Name of this edge', 'no spaces please')
    p.read('expected letters')
    p.answer('Name of this edge', 'oslo')
    p.answer('control listener', 'http://127.0.0.1:9')
    p.read('does not answer')
    p.answer('control listener', o.control)
    p.answer('(not shown): ', SECRET)
    p.read('does not take this token')
    p.answer('(not shown): ', token)
    p.answer('Folder for the films', 'films')
    p.answer('Address and port for viewers', '127.0.0.1:0')
    p.answer('Certificate chain', '')
    p.answer('How viewers and other edges reach it', 'http://127.0.0.1:9')
    p.answer('Time zone', 'Europe/Oslo')
    p.answer('They begin at', '26:00')
    p.answer('And last', '')
    p.read('expected a time such as')
    p.answer('Time zone', 'Europe/Oslo')
    p.answer('They begin at', '')
    p.answer('And last', '')
    seen = p.answer('Most bytes per second', '20MiB')
    tap.has(seen, 'the origin sends')
    p.read('does not lead to it from here')
    p.read('All of it works')
    tap.equal(p.end(), 0, 'exit')
    text = open(f'{folder}/mine.yaml').read()
    for words in ('name: "oslo"', 'start: "02:00"', 'duration: 18000s', 'rate: 20971520', f'token_file: "{folder}/mine.token"', f'store: "{folder}/films"'):
        tap.has(text, words, 'the file')
    tap.equal(open(f'{folder}/mine.token').read(), token + '\n')
    tap.equal(stat.S_IMODE(os.stat(f'{folder}/mine.token').st_mode), 0o600, 'mode of the token')
    tap.equal(stat.S_IMODE(os.stat(f'{folder}/mine.yaml').st_mode), 0o644, 'mode of the file')


def ends_cleanly(p, folder, left=()):
    tap.equal(p.end(), 1, 'exit')
    tap.equal(sorted(os.listdir(folder)), sorted(left), 'what is left')


@tap.test
def ctrl_c_ends_it_at_every_question():
    o, token, _ = with_token()
    told = (('Name of this edge', 'oslo'), ('control listener', o.control), ('(not shown): ', token), ('Folder for the films', 'films'), ('Address and port', '127.0.0.1:0'),
            ('Certificate chain', ''), ('How viewers', ''), ('Time zone', ''))
    for stop in (0, 2, 7):
        folder = new_folder()
        p = Person(folder, '--setup', '--config', 'mine.yaml')
        for question, text in told[:stop]:
            p.answer(question, text)
        p.read(told[stop][0])
        if stop == 2:
            tap.until(lambda: not termios.tcgetattr(p.fd)[3] & termios.ECHO, 5, 'nothing typed is shown')
        os.write(p.fd, b'\x03')
        p.read('stopped; nothing was written')
        tap.check(termios.tcgetattr(p.fd)[3] & termios.ECHO, 'the terminal shows what is typed again')
        ends_cleanly(p, folder)


@tap.test
def ctrl_c_ends_the_trial_too():
    o, token, folder = with_token()
    p = Person(folder, '--setup', '--config', 'mine.yaml', '--name', 'oslo', '--origin', o.control)
    p.answer('Name of this edge', '')
    p.answer('control listener', '')
    p.answer('(not shown): ', token)
    p.answer('Folder for the films', 'films')
    p.answer('Address and port', '127.0.0.1:0')
    p.answer('Certificate chain', '')
    p.answer('How viewers', '')
    p.answer('Time zone', '')
    p.answer('They begin at', '')
    p.answer('And last', '')
    p.read('Most bytes per second')
    o.p.stop()  # the edge gets no plan, so it is not well
    os.write(p.fd, b'\n')
    p.read('wrote')
    p.read('mine.yaml')
    tap.until(lambda: os.path.isdir(f'{folder}/films'), 10, 'the trial has begun')
    os.write(p.fd, b'\x03')
    p.read('stopped before the edge was seen to work', 30)
    ends_cleanly(p, folder, ['mine.token', 'mine.yaml'])


@tap.test
def a_full_disk_is_said():
    o, token, folder = with_token()
    with open(f'{folder}/t', 'w') as f:
        f.write(token)
    with tap.small_disk('1m') as small:
        tap.fill_disk(small)
        r = setup(folder, '--name', 'a', '--origin', o.control, '--token-file', f'{folder}/t', '--store', f'{small}/s', '--listen', '127.0.0.1:0', exit=1)
        tap.has(r.stderr.lower(), 'no space left', 'what is said')
        tap.check(not os.path.exists(f'{small}/s'), 'what is left')


@tap.test
def a_person_may_stop():
    folder = new_folder()
    p = Person(folder, '--setup')
    p.answer('Name of this edge', 'x')
    p.read('control listener')
    os.write(p.fd, b'\x04')
    tap.equal(p.end(), 1, 'exit')
    tap.has(p.text, 'stopped; nothing was written')
    tap.equal(os.listdir(folder), [], 'the folder')


with DISK:
    tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ingest that is killed, stopped or out of space goes on with the same command, and makes the same bits."""
import glob, json, os, random, shutil, signal, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, tap

WORK = tap.folder('resume')
FILM = film.generated(12, '640x360', '25')
LADDER = os.path.join(WORK, 'ladder')  # by quality: of each segment a chunk
with open(LADDER, 'w') as f:
    f.write('416x234 crf 26 max 1M\n640x360 crf 26 max 3M\n')
OPTIONS = ('--title', 't', '--ladder', LADDER, '--segment', '1s', '--preset', 'veryfast')


def argv(library, *options):
    return [tap.program('ribera-ingest'), FILM, '--library', library, *OPTIONS, '--json', '--quiet', *options]


def finish(library, *options, code=0):
    done = tap.call(*argv(library, *options), timeout=300)
    tap.equal(done.returncode, code, done.stderr[-1500:])
    return json.loads(done.stdout) if code == 0 else done.stderr


def chunks(library):
    return glob.glob(library + '/.work-*/chunks/*[0-9]')


def start(library, wait_for=1):
    """Running, with so many chunks finished."""
    p = subprocess.Popen(argv(library), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    tap.until(lambda: len(chunks(library)) >= wait_for or p.poll() is not None, 120, 'a finished chunk')
    tap.check(p.poll() is None, 'it ended before it could be killed')
    return p


def visible(library):
    return [name for name in os.listdir(library) if not name.startswith('.')]


WHOLE = finish(os.path.join(WORK, 'whole'))['revision']


@tap.test
def killed_anywhere_the_same_command_goes_on_and_the_bits_are_the_same():
    library = os.path.join(WORK, 'killed')
    for n in (1, 2):
        p = start(library, n)
        time.sleep(random.Random(n).uniform(0, 0.1))
        p.kill()
        p.wait()
        tap.equal(visible(library), [], 'titles after a kill')
    kept = {path: os.stat(path).st_mtime_ns for path in chunks(library)}
    tap.check(len(kept) >= 2, f'{kept}')
    r = finish(library)
    tap.equal(r['revision'], WHOLE)
    tap.check(r['kept'] > 0, f'nothing was kept: {r}')
    tap.equal(os.listdir(library), ['t'], 'the library afterwards')


@tap.test
def a_damaged_chunk_is_made_again():
    library = os.path.join(WORK, 'damaged')
    p = start(library, 2)
    p.kill()
    p.wait()
    for i, path in enumerate(sorted(chunks(library))[:2]):
        with open(path, 'r+b') as f:
            f.seek(os.path.getsize(path) // 2) if i == 0 else f.truncate(100)
            f.write(b'\0wrong')
    tap.equal(finish(library)['revision'], WHOLE)


@tap.test
def a_signal_stops_it_and_keeps_what_is_finished():
    library = os.path.join(WORK, 'stopped')
    p = start(library)
    p.send_signal(signal.SIGTERM)
    said = p.communicate(timeout=60)[1].decode()
    tap.equal(p.returncode, 1)
    tap.has(said, 'the same command goes on')
    tap.check(chunks(library), 'no chunk was kept')
    r = finish(library)
    tap.equal(r['revision'], WHOLE)
    tap.check(r['kept'] > 0)


@tap.test
def two_at_once_do_not_disturb_each_other():
    library = os.path.join(WORK, 'two')
    p = start(library)
    tap.has(finish(library, code=75), 'another ribera-ingest')
    p.wait(300)
    tap.equal(p.returncode, 0)
    tap.equal(visible(library), ['t'])


@tap.test
def other_settings_are_other_work():
    library = os.path.join(WORK, 'other')
    p = start(library)
    p.kill()
    p.wait()
    r = finish(library, '--max-height', '200')
    tap.equal(r['kept'], 0)
    tap.check(chunks(library), 'the interrupted work of the other command is gone')
    tap.equal(finish(library)['revision'], WHOLE)


@tap.test
def a_full_disk_is_said_and_gone_on_from():
    with tap.small_disk('1300k') as library:
        said = finish(os.path.join(library, 'lib'), code=75)
        tap.has(said, 'No space left')
        tap.has(said, 'run the same command again')
        tap.equal(visible(os.path.join(library, 'lib')), [])
        tap.check(chunks(os.path.join(library, 'lib')), 'no chunk was kept')
        tap.call('mount', '-o', 'remount,size=200m', library, check_exit=0)
        r = finish(os.path.join(library, 'lib'))
        tap.equal(r['revision'], WHOLE)
        tap.check(r['kept'] > 0, f'{r}')


@tap.test
def standard_input_cannot_be_gone_on_with_and_leaves_nothing():
    library = os.path.join(WORK, 'stdin')
    with open(FILM, 'rb') as f:
        p = subprocess.Popen([tap.program('ribera-ingest'), '-', '--library', library, *OPTIONS, '--quiet'], stdin=f, stderr=subprocess.PIPE)
        tap.until(lambda: chunks(library) or p.poll() is not None, 120, 'a chunk')
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=60)
    tap.equal(os.listdir(library), [], 'the library afterwards')


tap.run()

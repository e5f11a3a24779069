#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""--dry-run says what an ingest of the same command then makes, and writes nothing."""
import json, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, tap

FILM = film.generated(9, '640x360', '25', "negate=enable='between(t,4,8)'")
OPTIONS = ['--preset', 'superfast', '--max-rungs', '3', '--title', 'dry', '--ladder', 'title']


def dry(*options, **keywords):
    return tap.call(tap.program('ribera-ingest'), '--dry-run', *options, **keywords)


@tap.test
def it_says_what_is_then_made():
    done = dry(FILM, '--json', '--quiet', *OPTIONS, check_exit=0)
    tap.equal(done.stderr, '', 'notes')
    plan = json.loads(done.stdout)
    _, _, folder = film.library(FILM, 'dry', *[o for o in OPTIONS if o not in ('--title', 'dry')])
    with open(folder + '/report.json') as f:
        made = json.load(f)
    tap.equal([v['name'] + '.mp4' for v in plan['video']], [v['file'] for v in made['video']], 'names')
    tap.equal([a['name'] + '.mp4' for a in plan['audio']], [a['file'] for a in made['audio']], 'names of sound')
    tap.equal(plan['segments'], made['video'][0]['segments'], 'segments')
    tap.equal(plan['boundaries'], [0, 4, 8, 9], 'boundaries')
    tap.equal(plan['frames'], made['frames'], 'frames')
    whole = sum(v['bytes'] for v in made['video'] + made['audio'])
    tap.check(0.5 < plan['bytes'] / whole < 2, f'{plan["bytes"]} bytes planned, {whole} made')
    tap.check(0 < plan['encode_cpu_seconds'] < 1000 and 0 < plan['encode_seconds'] <= plan['encode_cpu_seconds'], f'{plan}')
    tap.check(plan['cores'] >= 1, f'{plan["cores"]} cores')


@tap.test
def it_writes_nothing():
    library = os.path.join(tap.folder(), 'library')
    done = dry(FILM, '--library', library, *OPTIONS, '--ladder', 'fixed', check_exit=0)
    tap.check(not os.path.exists(library), 'a library was made')
    os.mkdir(library)
    dry(FILM, '--library', library, *OPTIONS, '--ladder', 'fixed', check_exit=0)
    tap.equal(os.listdir(library), [], 'the library')
    for part in ('360p', 'cut at 0, 4.000, 8.000', 'in all', 'CPU seconds'):
        tap.has(done.stdout, part)


@tap.test
def what_cannot_be_told_is_left_out():
    done = tap.call('sh', '-c', f'{tap.program("ribera-ingest")} --dry-run --json --ladder fixed - < {FILM}', check_exit=0)
    tap.has(done.stderr, 'cannot be told')
    tap.check('encode_seconds' not in json.loads(done.stdout), 'a time')
    done = dry('/nothing/here.mp4')
    tap.equal(done.returncode, 1, done.stderr)
    tap.has(done.stderr, '/nothing/here.mp4')


tap.run()

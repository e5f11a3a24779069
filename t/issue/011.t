#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each find of issue 11 (the table in doc/PROOF.md) has a test that it was found by, or that was made of it, where the tests of its subject are.
RIBERA_FINDS=all runs each of them by its name."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')), 't', 'lib'))
import tap
from proof import named, rows


def command(path, words):
    source = os.path.join(tap.SOURCE, path)
    if path.startswith('t/unit/'):
        return [os.path.join(tap.SOURCE, 't/lib/run-unit'), os.path.join(tap.BUILD, path[:-2] + '.test')]
    if path.startswith('t/fuzz/corpus/'):
        return [os.path.join(tap.BUILD, 't/fuzz', path.split('/')[3]), source]
    return [source, *([words] if words else [])]


@tap.test
def every_find_has_its_test():
    table, last, wrong = rows('What was found and mended'), None, []
    tap.check(len(table) > 45, f'{len(table)} finds')
    for by, what, tests in table:
        try:
            last = named(tests, last)
            for path, words in last if os.environ.get('RIBERA_FINDS') == 'all' else []:
                p = subprocess.run(command(path, words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env={**os.environ, 'RIBERA_SOURCE': tap.SOURCE, 'RIBERA_BUILD': tap.BUILD})
                print(f'# {path} {words}: {p.returncode}', flush=True)
                tap.check(p.returncode == 0 and '\nnot ok' not in p.stdout, p.stdout[-800:])  # run-unit tells by its text alone
        except AssertionError as e:
            wrong.append(f'{what[:80]}: {e}')
    tap.equal(wrong, [], 'finds')


tap.run()

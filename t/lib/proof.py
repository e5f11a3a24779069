# SPDX-License-Identifier: GPL-3.0-or-later
"""doc/PROOF.md as its tests read it: tables, and the tests that their cells name."""
import glob, os, re
import tap

with open(os.path.join(tap.SOURCE, 'doc', 'PROOF.md')) as f:
    TEXT = f.read()
TARGETS = sorted(os.path.basename(f)[:-2] for f in glob.glob(os.path.join(tap.SOURCE, 't', 'fuzz', '*.c')) if not f.endswith('/plain.c'))


def rows(section):
    """The cells of each row of a section's first table, without its head."""
    text = re.search(rf'^## {re.escape(section)}\n(.*?)(?=^## |\Z)', TEXT, re.M | re.S)[1]
    lines = [line for line in text.splitlines() if line.startswith('|')]
    return [[c.strip() for c in line.strip('|').split(' | ')] for line in lines[2:]]


def tests_of(path):
    """Names of the tests in a file, in words."""
    kinds = {'.py': r'^@tap\.test\ndef (\w+)\(', '.c': r'^Test\(\w+, (\w+)'}
    kind = kinds.get(os.path.splitext(path)[1])
    if kind is None:
        return []
    with open(os.path.join(tap.SOURCE, path)) as f:
        return [n.replace('_', ' ') for n in re.findall(kind, f.read(), re.M)]


def path_of(name):
    for path in (name, f't/mod/{name}', f't/e2e/{name}'):
        if os.path.exists(os.path.join(tap.SOURCE, path)):
            return path
    raise AssertionError(f'there is no {name}')


def named(cell, last=None):
    """[(path, words)] of "`file.py` words of a test, words of another; unit `name` words; fuzz `a`, `b`; t/fuzz/corpus/...", all of which there must
    be; `last`: what "the same" means."""
    found = []
    for part in re.split(r'[,;] ', cell):
        m = re.fullmatch(r'(?:(unit|fuzz) )?`([^`]+)`(?: (.*))?', part)
        before = found[-1][0] if found else ''
        if part == 'the same':
            tap.check(last, 'the same as what?')
            found += last
        elif m and m[1] == 'unit':
            found.append((path_of(f't/unit/{m[2]}.c'), ''))
            words = (m[3] or '').replace('`', '')
            tap.check(not words or any(words.lower() in name.lower() for name in tests_of(found[-1][0])), f'{found[-1][0]} has no test "{words}"')
        elif m and (m[1] == 'fuzz' or (before.startswith('t/fuzz/') and m[2] in TARGETS)):
            tap.check(m[2] in TARGETS, f'there is no fuzz target {m[2]}')
            found.append((path_of(f't/fuzz/corpus/{m[2]}'), ''))
        else:
            path, words = (path_of(m[2]), m[3] or '') if m else (before, part)
            words = words.replace("'", '')
            tap.check(path.startswith('t/'), f'"{part}": of which file?')
            tap.check(not words or any(words.lower() in name.lower() for name in tests_of(path)), f'{path} has no test "{words}"')
            found.append((path, words))
    tap.check(found, 'no test')
    return found

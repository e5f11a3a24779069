#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents speak of files and tests that there are: each attack of doc/PROOF.md names a file and words of a test in it, each command a program
and options that it knows; each fuzz target has a dictionary and inputs that are replayed.  (Finds: t/issue/011.t.)"""
import glob, os, re, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import tap
from proof import TARGETS, TEXT, named, rows, tests_of

DOCUMENTS = {}
for path in [os.path.join(tap.SOURCE, 'README.md'), *sorted(glob.glob(os.path.join(tap.SOURCE, 'doc', '*.md')))]:
    with open(path) as f:
        DOCUMENTS[os.path.basename(path)] = f.read()


@tap.test
def every_attack_has_its_test():
    table = rows('Attacks')
    tap.check(len(table) > 30, f'{len(table)} attacks')
    for attack, answer, tests in table:
        try:
            named(tests)
        except AssertionError as e:
            raise AssertionError(f'{attack}: {e}') from None


@tap.test
def what_documents_name_is_there():
    for document, text in DOCUMENTS.items():
        for path in set(re.findall(r'`(?:[A-Z_]+=\S+ )*(?:\./)?((?:t|doc|base|dash|cdn|fetch|serve|ingest|origin|edge|player|build-aux)/[\w./*-]+\w)', text)):
            name = os.path.join(tap.SOURCE, re.sub("NAME|NNN", "*", path))
            tap.check(any(glob.glob(name + end) for end in ('', '.c', '.h')), f'{document}: there is no {path}')
        for name in set(re.findall(r'`(\w+\.(?:py|mjs))`', text)):
            tap.check(glob.glob(os.path.join(tap.SOURCE, 't', '*', name)), f'{document}: there is no {name}')
        for name, words in re.findall(r'`(t/(?:mod|e2e)/\w+\.py) ([a-z_ ]+)`', text):
            tap.check(any(words.replace('_', ' ') in n for n in tests_of(name)), f'{document}: {name} has no test "{words}"')


@tap.test
def commands_know_their_options():
    n = 0
    for document, text in DOCUMENTS.items():
        for command in set(re.findall(r'`((?:[A-Z_]+=\S+ )*(?:\./)?(?:t/(?:bench|fuzz|e2e|mod|host)/|check|quickstart)[^`]*)`', text)):
            program = os.path.join(tap.SOURCE, next(w for w in command.split() if '=' not in w))
            options = re.findall(r'(?<!\S)(--[a-z-]+)', command)
            if not options:
                continue
            with open(program if os.path.exists(program) else program + '.c') as f:
                known = f.read()
            for option in options:
                n += 1
                tap.check(option in known, f'{document}: {command}: {option} is nothing that it knows')
    tap.check(n > 40, f'only {n} options')


@tap.test
def every_fuzz_target_has_a_dictionary_inputs_and_a_line():
    for target in TARGETS:
        dictionary = os.path.join(tap.SOURCE, 't', 'fuzz', 'dict', target + '.dict')
        tap.check(os.path.exists(dictionary) and os.path.getsize(dictionary) > 20, f'{target} has no dictionary')
        kept = os.path.join(tap.SOURCE, 't', 'fuzz', 'corpus', target)
        tap.check(os.path.isdir(kept) and len(os.listdir(kept)) > 3, f'{target} has no inputs')
        tap.check(re.search(rf'^\| {target} \|', TEXT, re.M), f'{target} is not in the table')


tap.run()

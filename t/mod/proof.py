#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""doc/PROOF.md speaks of tests that there are: each attack names a file and words of a test in it, each command a program and options that
it knows, each fuzz target has a dictionary and inputs that are replayed.  (Its finds: t/issue/011.t.)"""
import glob, os, re, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import tap
from proof import TARGETS, TEXT, named, path_of, rows, tests_of


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
def what_is_named_is_there():
    for path in re.findall(r'`(?:[A-Z_]+=\S+ )*\.?/?((?:t|doc|po|base|serve|etc)/[\w./*-]+\w)', TEXT):
        tap.check(glob.glob(os.path.join(tap.SOURCE, path)), f'there is no {path}')
    for name in re.findall(r'`(\w+\.py)`', TEXT):
        path_of(name)
    for name, words in re.findall(r'`(t/(?:mod|e2e)/\w+\.py) ([a-z_ ]+)`', TEXT):
        tap.check(any(words.replace('_', ' ') in n for n in tests_of(name)), f'{name} has no test "{words}"')


@tap.test
def commands_know_their_options():
    commands = [c for c in re.findall(r'`((?:[A-Z_]+=\S+ )*(?:\./)?(?:t/bench|t/fuzz|t/e2e|t/mod|check)[\w./]*(?: [^`]*)?)`', TEXT) if '--' in c]
    tap.check(len(commands) > 8, commands)
    for command in commands:
        program = next(w for w in command.split() if '=' not in w)
        with open(os.path.join(tap.SOURCE, program)) as f:
            text = f.read()
        for option in re.findall(r'(--[a-z-]+)', command):
            tap.check(option in text, f'{command}: {option} is nothing that {program} knows')


@tap.test
def every_fuzz_target_has_a_dictionary_inputs_and_a_line():
    for target in TARGETS:
        dictionary = os.path.join(tap.SOURCE, 't', 'fuzz', 'dict', target + '.dict')
        tap.check(os.path.exists(dictionary) and os.path.getsize(dictionary) > 20, f'{target} has no dictionary')
        kept = os.path.join(tap.SOURCE, 't', 'fuzz', 'corpus', target)
        tap.check(os.path.isdir(kept) and len(os.listdir(kept)) > 3, f'{target} has no inputs')
        tap.check(re.search(rf'^\| {target} \|', TEXT, re.M), f'{target} is not in the table')


tap.run()

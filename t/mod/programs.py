#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all five programs have in common: version and features, exit codes as they are documented, completion, no colours where no
person looks."""
import os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import tap

NAMES = ('admin', 'edge', 'ingest', 'origin', 'player')
PATHS = {n: tap.program(f'ribera-{n}') for n in NAMES}
HELP = {n: tap.call(PATHS[n], '--help', check_exit=0).stdout for n in NAMES}
SECTION = {'edge': 8, 'origin': 8}


def options(name):
    return {o for line in HELP[name].splitlines() for o in re.findall(r'(?<![\w-])--[a-z][a-z-]*', line) if re.match(r' +-', line)}


@tap.test
def a_version_says_what_was_built():
    for n in NAMES:
        said = tap.call(PATHS[n], '--version', check_exit=0).stdout
        tap.check(re.fullmatch(rf'ribera-{n} \d+\.\d+\.\d+ \((\w+=[\w,]+ ?)+\)\n', said), said)


@tap.test
def exit_codes_are_those_of_the_manual():
    folder = tap.folder()
    fails = {'admin': ['--control', 'http://127.0.0.1:9', 'health'], 'edge': ['--name', 'a', '--origin', 'http://127.0.0.1:9', '--store', '/proc/none'],
             'ingest': [folder + '/none.mp4', '--library', folder], 'origin': ['--library', '/proc/none'],
             'player': ['http://127.0.0.1:9/manifest.mpd', '--output', 'null']}
    for n in NAMES:
        with open(os.path.join(tap.BUILD, 'doc', 'man', f'ribera-{n}.{SECTION.get(n, 1)}')) as f:
            page = f.read().split('.SH EXIT STATUS\n')[1].split('.SH')[0]
        line = HELP[n].split('Exit codes: ')[1]
        for argv, code in ((['--help'], 0), (['--version'], 0), (['--no-such-option'], 2), (fails[n], 1)):
            r = tap.call(PATHS[n], *argv, timeout=60)
            tap.equal(r.returncode, code, f'ribera-{n} {argv}: {r.stderr}')
            for text in (line, page):
                tap.check(re.search(rf'(^|[\s,]){code} \w', text), f'ribera-{n}: code {code} is not told: {text!r}')
            if code:
                tap.check(r.stderr.startswith(f'ribera-{n}: ') or f'\nribera-{n}: ' in r.stderr, f'ribera-{n} {argv}: {r.stderr!r}')
                tap.equal(r.stdout, '', f'ribera-{n} {argv}')


@tap.test
def completion_offers_every_option_and_files():
    for n in NAMES:
        script = f'''. {tap.SOURCE}/etc/completion/ribera-{n}
complete -p ribera-{n} >/dev/null || exit 1
COMP_WORDS=(ribera-{n} --); COMP_CWORD=1; COMPREPLY=(); _ribera {PATHS[n]} -- ribera-{n}; echo "${{COMPREPLY[*]}}"'''
        r = subprocess.run(['bash', '-c', script], capture_output=True, text=True)
        tap.equal((r.returncode, r.stderr), (0, ''), n)
        tap.equal(sorted(options(n) - set(r.stdout.split())), [], f'ribera-{n}: what is not offered')


@tap.test
def no_colours_without_a_terminal():
    for n in NAMES:
        for argv in (['--help'], ['--no-such-option']):
            r = tap.call(PATHS[n], *argv)
            tap.check('\033' not in r.stdout + r.stderr, f'ribera-{n} {argv}')


tap.run()

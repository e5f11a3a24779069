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
def samples_are_those_in_etc():
    for n in NAMES:
        sample = tap.call(PATHS[n], '--sample', check_exit=0).stdout
        with open(os.path.join(tap.SOURCE, 'etc', n + '.yaml')) as f:
            tap.equal(f.read(), sample, f'etc/{n}.yaml')
        for key in ('help', 'version', 'sample', 'dry-run', 'watch', 'to', 'inspect'):
            tap.check(f'#{key}:' not in sample, f'ribera-{n}: {key} is no setting')


@tap.test
def settings_are_looked_for_where_people_put_them():
    home, at = tap.folder(), {'ingest': ('max-rungs: 3', 'max-rungs: 300'), 'admin': ('control: http://127.0.0.1:9', 'json: [1]'), 'player': ('channels: 2', 'channels: 9')}
    for n, (good, bad) in at.items():
        folder = os.path.join(home, 'ribera')
        os.makedirs(os.path.join(folder, n + '.yaml.d'), exist_ok=True)

        def said(text, *argv, later='', **places):
            for name, content in ((n + '.yaml', text), (n + '.yaml.d/1.yaml', later)):
                with open(os.path.join(folder, name), 'w') as f:
                    f.write(content)
            environment = {k: v for k, v in os.environ.items() if k not in ('XDG_CONFIG_HOME', 'HOME')}
            return tap.call(PATHS[n], *argv, env={**environment, **(places or {'XDG_CONFIG_HOME': home})})
        path = os.path.join(folder, n + '.yaml')
        tap.equal(said(good + '\n', '-t').returncode, 0, n)
        r = said('# mine\n' + bad + '\n', '-t')
        tap.equal(r.returncode, 2, f'{n}: {r.stderr}')
        tap.has(r.stderr, path + ':2:')
        tap.has(said('help: yes\n', '-t').stderr, path + ':1:1: "help" is no setting')
        tap.has(said('', '-t', later='no-such: 1\n').stderr, path + '.d/1.yaml:1:1: unknown setting "no-such"')
        tap.equal(said(bad + '\n', '-t', '--config', '/dev/null').returncode, 0, f'{n}: --config is read instead')
        os.makedirs(os.path.join(home, '.config'), exist_ok=True)
        if not os.path.exists(os.path.join(home, '.config', 'ribera')):
            os.symlink('../ribera', os.path.join(home, '.config', 'ribera'))
        tap.equal(said(bad + '\n', '-t', HOME=home).returncode, 2, f'{n}: ~/.config')
        tap.equal(said(bad + '\n', '-t', HOME=home, XDG_CONFIG_HOME='/none').returncode, 0, f'{n}: XDG_CONFIG_HOME is meant')
    r = tap.call(PATHS['admin'], 'health', env={**os.environ, 'XDG_CONFIG_HOME': home})
    tap.equal(r.returncode, 2, r.stderr)  # what stands there is taken by commands too


@tap.test
def no_colours_without_a_terminal():
    for n in NAMES:
        for argv in (['--help'], ['--no-such-option']):
            r = tap.call(PATHS[n], *argv)
            tap.check('\033' not in r.stdout + r.stderr, f'ribera-{n} {argv}')


tap.run()

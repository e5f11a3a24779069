#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""doc/OPERATIONS.md says what the programs take: each command in it is run against a real origin with a real edge, or, where it
would take a machine of its own (t/host/systemd.sh has that), its options are held against --help."""
import os, re, shlex, shutil, subprocess, sys, time
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import film, lab, package, tap
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


SYMPTOMS = re.findall(r'^\| (.+?) \| .+ \|$', MANUAL.split('## From symptom to cause')[1], re.M)[1:]

# What is dearer to bring about is so elsewhere: part of the symptom -> the test that does.
ELSEWHERE = {
    'no viewer comes to it': ('steering', 'an_edge_that_says_it_lives_and_cannot_be_reached_gets_no_viewers'),
    '(302)': ('edge', 'the_playlist_has_a_pathway_for_each_of_these_places_and_the_steering_server'),
    'a setting was changed': ('serve_restart', 'a_reload_says_what_it_took_in_and_what_it_did_not'),
    'speaks of the clock': ('edge', 'a_clock_that_is_wrong_is_told'),
    'the clock is in doubt': ('origin_states', 'a_clock_of_another_year_is_told_and_nothing_else_is_wrong'),
    '"read-only: ..."': ('origin_states', 'a_catalogue_that_is_locked_or_damaged_at_the_start_is_read_when_that_is_over'),
    '403: "this URL': ('serve_sign', 'what_is_wrong_is_said'),
    '429': ('serve_limits', 'connections_of_one_client'),
    'stays in `incoming`': ('ingest_watch', 'a_file_that_still_grows_is_waited_for'),
    '"its time stamps jump"': ('ingest_media', 'broken_time_stamps_are_mended_or_refused'),
    'ends with code 75': ('ingest', 'no_space_leaves_nothing'),
}


def edges_that_do_not_start(folder, there):
    """Part of the symptom -> what is said."""
    two, cert, key = (os.path.join(folder, x) for x in ('two', 'cert', 'key'))
    with open(two, 'w') as f:
        f.write('a token\nand more\n')
    tap.call('openssl', 'req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=x', check_exit=0)
    os.chmod(key, 0)
    plain = [tap.program('ribera-edge'), '--name', 'b', '--origin', there.lab.url, '--store', folder + '/b', '--listen', '127.0.0.1:0']
    nobody = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] if os.geteuid() == 0 else []  # root without its privileges
    return {'does not start': tap.call(*plain, '--store', there.store).stderr,
            'is not one token': tap.call(*plain, '-t', '--token-file', two).stderr,
            'cannot use the private key': tap.call(*nobody, *plain, '--tls-cert', cert, '--tls-key', key).stderr,
            'cannot listen on': tap.call(*plain, '--listen', f'127.0.0.1:{there.port}').stderr}


def edges_that_the_origin_does_not_want(folder):
    secret = 'y' * 40
    for name, text in (('tokens', f'admin {secret}\n'), ('wrong', 'x' * 40 + '\n')):
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
        os.chmod(os.path.join(folder, name), 0o600)
    o = Origin(options=['--token-file', folder + '/tokens', '--dev-cert', '--control-tls', '--tls-cert', folder + '/dev.pem', '--tls-key', folder + '/dev.key'])
    url, said = o.control.replace('http:', 'https:'), {}
    for symptom, name, options, word in (('certificate', 'c', (), 'certificate'), ('401', 'd', ('--ca-file', folder + '/dev.pem', '--token-file', folder + '/wrong'), '401')):
        edge = tap.Process(tap.program('ribera-edge'), '--name', name, '--origin', url, '--store', f'{folder}/{name}', '--listen', '127.0.0.1:0', '--ports-file',
                           f'{folder}/{name}.ports', *options)
        tap.until(lambda: word in edge.text(), 20, edge.text)
        port = tap.ports(f'{folder}/{name}.ports', edge)['viewers']
        tap.equal(tap.metric(tap.http(f'http://127.0.0.1:{port}/metrics').body.decode(), 'ribera_edge_origin_reached'), 0)
        said[symptom] = edge.text()
        edge.stop()
    return said


def an_edge_whose_window_is_closed():
    film_ = lab.Package('later', 20000)
    start = time.strftime('%H:%M', time.gmtime(time.time() + 7200))
    edge = lab.Edge(lab.Lab(film_), '--window-zone', 'UTC', '--window-start', start, '--window-duration', '1h')
    tap.until(lambda: edge.metric('ribera_edge_fill_left_bytes') > 0, 20, 'the plan')
    tap.equal((edge.metric('ribera_edge_window_open'), edge.holds(film_)), (0, False))
    edge.process.stop()
    return 'edge shows 0 titles'


def an_origin_with_trouble_of_others():
    library = os.path.join(tap.folder(), 'library')
    os.makedirs(library + '/odd/0123456789abcdef0123')
    with open(library + '/odd/0123456789abcdef0123/manifest.mpd', 'w') as f:
        f.write('<MPD/>')
    o = Origin(library)
    for name in ('accused', 'accuser'):
        o.register(name)
    o.beat('accuser', liars=['accused'])
    tap.equal(o.api('/edges/accused').json()['wrong_bytes_reported'], 1)
    tap.until(lambda: 'odd' in o.p.text(), 20, o.p.text)
    return {"`wrong_bytes_reported`": 'an edge\'s wrong_bytes_reported', 'shows no films': o.p.text()}


@tap.test
def every_symptom_is_brought_about():
    """Here or in another test; what the manual quotes of it is what is said."""
    for file, test in ELSEWHERE.values():
        with open(os.path.join(tap.SOURCE, 't', 'mod', file + '.py')) as f:
            tap.check(f'\ndef {test}(' in f.read(), f'{file}.py has no {test}')
    there = lab.Edge(lab.Lab(lab.Package('film', 20000)))
    tap.until(lambda: there.metric('ribera_edge_origin_reached') == 1, 20, 'contact')
    said = {**edges_that_do_not_start(tap.folder(), there), **edges_that_the_origin_does_not_want(tap.folder()), **an_origin_with_trouble_of_others(),
            an_edge_whose_window_is_closed(): ''}
    for symptom in SYMPTOMS:
        keys = [k for k in (*said, *ELSEWHERE) if k in symptom]
        tap.check(keys, f'nothing brings about: {symptom}')
        for quoted in re.findall(r'"([^"]+)"', symptom):
            for part in quoted.split('...') if keys[0] in said else ():
                tap.has(said[keys[0]], part.strip(), symptom)
    tap.equal([k for k in (*said, *ELSEWHERE) if not any(k in s for s in SYMPTOMS)], [], 'of no symptom')


tap.run()

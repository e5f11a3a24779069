#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at random instants of a whole run: of an ingest, from its start until it has published, and of a player that keeps state files.

RIBERA_KILLS says how many of each (t/bench/kill takes it); the instants are spread over the whole run."""
import json, os, random, shutil, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import badserver, film, tap

KILLS = int(os.environ.get('RIBERA_KILLS', 6))
RNG = random.Random(os.environ.get('RIBERA_SEED', '3'))


def kill_within(argv, seconds, env=None):
    """Starts it and kills it at a random instant; True when it had ended by itself, which must be with 0."""
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
    try:
        _, err = p.communicate(timeout=RNG.uniform(0, seconds))
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        return False
    tap.equal(p.returncode, 0, err.decode(errors='replace')[-800:])
    return True


def published(library):
    title = os.path.join(library, 't')
    return [r for r in (os.listdir(title) if os.path.isdir(title) else []) if not r.startswith('.')]


@tap.test
def an_ingest_that_is_killed_shows_nothing_or_the_whole():
    source, folder = film.generated(2, '128x72', '10'), tap.folder()
    argv = [tap.program('ribera-ingest'), source, '--title', 't', '--ladder', 'fixed', '--max-rungs', '2', '--segment', '1s', '--quiet', '--library']
    begin = time.monotonic()
    tap.call(*argv, os.path.join(folder, 'whole'), check_exit=0, timeout=120)
    seconds, revision = time.monotonic() - begin, published(os.path.join(folder, 'whole'))
    kills = rounds = 0
    library = os.path.join(folder, 'killed')
    while kills < KILLS:
        ended = kill_within([*argv, library], 1.3 * seconds)
        seen = published(library)
        tap.check(seen in ([], revision) and (seen or not ended), f'the library shows {seen}, ended {ended}')
        kills += not ended
        if seen:  # published, perhaps an instant before the kill
            tap.call(tap.program('ribera-ingest'), '--verify', os.path.join(library, 't', seen[0]), check_exit=0, timeout=60)
            shutil.rmtree(library)
            rounds += 1
    tap.call(*argv, library, check_exit=0, timeout=120)
    tap.equal(published(library), revision, 'the last run')
    print(f'# {kills} kills, {rounds + 1} packages')


@tap.test
def a_player_that_is_killed_leaves_state_files_that_the_next_one_reads():
    _, _, package = film.library(film.generated(12, '640x360', '25', 'noise=alls=40:allf=t'), 'film', '--ladder', 'fixed', '--max-rungs', '4', '--segment', '1s')
    server, state = badserver.Server(package), tap.folder()
    server.rate = 2_000_000  # a line that is told of: one at memory's speed is not
    argv = [tap.program('ribera-player'), '--output', 'null', f'{server.url}/manifest.mpd']
    env = {'XDG_STATE_HOME': state}
    for _ in range(KILLS):
        kill_within([*argv, '--speed', 'max'], 1, env)
        for name in os.listdir(os.path.join(state, 'ribera')) if os.path.isdir(os.path.join(state, 'ribera')) else []:
            if name.endswith('.json'):
                with open(os.path.join(state, 'ribera', name)) as f:
                    json.load(f)
    tap.call(*argv, '--speed', 'max', env=env, check_exit=0, timeout=60)
    left = os.listdir(os.path.join(state, 'ribera'))
    tap.equal(sorted(left), ['networks.json', 'networks.json.lock'], 'the folder afterwards')


tap.run()

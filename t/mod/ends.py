#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Told to end: every program does, in the time it says, whatever it waits for at that moment."""
import base64, ctypes, http.client, os, shutil, signal, socket, sqlite3, subprocess, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import disk, film, package, tap
from lab import Edge, Lab, Package, Trickle
from origins import Origin

INGEST, EDGE, PLAYER = map(tap.program, ('ribera-ingest', 'ribera-edge', 'ribera-player'))


def told(process, number=signal.SIGTERM, seconds=10):
    """The exit code of who is told to end, which has to come soon."""
    process.send_signal(number)
    try:
        return process.wait(seconds * tap.PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f'{process.args[0]} did not end within {seconds} s of {signal.Signals(number).name}') from None


def start(*argv, **pipes):
    return subprocess.Popen([str(a) for a in argv], **{'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, 'stderr': subprocess.PIPE, **pipes})


def waits_in(process, *calls, threads=False):
    """The main thread (or any) is in one of these system calls."""
    numbers = [{'read': 0, 'poll': 7, 'nanosleep': 230}[call] for call in calls]

    def number(thread):
        try:
            with open(f'/proc/{process.pid}/task/{thread}/syscall') as f:
                return f.read().split()[0]
        except OSError:
            return 'gone'

    def does():
        return any(number(t) in map(str, numbers) for t in (os.listdir(f'/proc/{process.pid}/task') if threads else [process.pid]))
    tap.until(does, 20, f'{calls} of {process.args[0]}')


# --- ingest --------------------------------------------------------------------------------------------------------

@tap.test
def an_ingest_ends_while_its_standard_input_says_nothing():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        library = tap.folder()
        with open(film.generated(2, '128x72', '10'), 'rb') as f:
            head = f.read(2000)
        p = start(INGEST, '-', '--library', library, '--quiet', stdin=subprocess.PIPE)
        p.stdin.write(head)
        p.stdin.flush()
        waits_in(p, 'read', 'poll')
        tap.equal(told(p, number), 1)
        tap.has(p.stderr.read().decode(), 'stopped; nothing was published')
        tap.equal(os.listdir(library), [])


@tap.test
def an_upload_ends_while_the_origin_answers_byte_by_byte():
    origin = Trickle()
    _, folder = package.write(tap.folder(), 'film', {'video.mp4': os.urandom(100_000)})
    p = start(INGEST, folder, '--to', origin.url, '--quiet')
    tap.check(origin.asked.wait(20), 'it asks')
    tap.equal(told(p), 1)
    tap.has(p.stderr.read().decode(), 'stopped; give the same command again to go on')


def descriptors(process):
    folder = f'/proc/{process.pid}/fd'
    for fd in os.listdir(folder):
        try:
            yield os.readlink(f'{folder}/{fd}')
        except OSError:
            pass


def worked(process):
    """Seconds it has had the processor."""
    with open(f'/proc/{process.pid}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def works(process, seconds):
    tap.until(lambda: worked(process) >= seconds, 120, f'{seconds} s of work')


@tap.test
def an_ingest_ends_in_the_middle_of_what_encoders_take_long_for():
    """While it probes, and when all of the film is read and waits for encoders."""
    slow = (('--ladder', 'title', '--preset', 'placebo'), ('--ladder', 'fixed', '--preset', 'placebo'),
            ('--ladder', 'fixed', '--preset', 'ultrafast', '--max-rungs', '2', '--codecs', 'h264,aac,av1', '--av1-preset', '3'))
    for options in slow:
        library = tap.folder()
        p = start(INGEST, film.generated(2), '--library', library, *options, '--title', 't', '--quiet')
        works(p, 3)
        before = worked(p)
        p.send_signal(signal.SIGTERM)
        said = p.stderr.read().decode()  # to its end
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        tap.equal(p.returncode, 1)
        # of the processor's time, which a busy machine does not change: all of it takes thirty and more
        tap.check(used.ru_utime + used.ru_stime - before < 8, f'{used.ru_utime + used.ru_stime - before:.1f} s of work after it was told')
        tap.has(said, 'stopped; nothing was published')
        tap.equal([n for n in os.listdir(library) if not n.startswith('.')], [])


@tap.test
def an_ingest_that_hangs_ends_by_the_second_ctrl_c():
    folder, stall = tap.folder(), os.path.join(tap.folder(), 'stall')
    with open(stall, 'w') as f:
        f.write('/package/')
    p = start(INGEST, film.generated(2, '128x72', '10'), '--library', folder, '--ladder', 'fixed', '--title', 't', '--quiet',
              env={**os.environ, **disk.environment(folder), 'DISK_STALL': stall})
    waits_in(p, 'nanosleep')
    p.send_signal(signal.SIGINT)
    time.sleep(0.5)  # the same signal twice at once is one
    tap.equal(told(p, signal.SIGINT), -signal.SIGINT)


class Traced:
    """ptrace(2): stops a process's next child at its birth."""
    SEIZE, DETACH, MESSAGE, FORKS, WALL = 0x4206, 17, 0x4201, 2, 0x40000000

    def __init__(self, pid):
        self.call = ctypes.CDLL(None, use_errno=True).ptrace
        self.call.argtypes, self.call.restype = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p], ctypes.c_long
        self.pid = pid
        self.does(self.SEIZE, pid, None, self.FORKS)

    def does(self, what, pid, *more):
        tap.check(self.call(what, pid, *more) == 0, f'ptrace {what:#x}: {os.strerror(ctypes.get_errno())}')

    def birth(self):
        """The child's id; both are stopped."""
        os.waitpid(self.pid, self.WALL)
        child = ctypes.c_ulong()
        self.does(self.MESSAGE, self.pid, None, ctypes.addressof(child))
        os.waitpid(child.value, self.WALL)
        return child.value

    def leave(self, pid):
        self.does(self.DETACH, pid, None, None)


@tap.test
def a_watcher_that_is_told_to_end_as_its_ingest_is_born_ends():
    incoming, library = tap.folder(), tap.folder()
    shutil.copy(film.generated(16), f'{incoming}/a.mp4')
    w = start(INGEST, '--watch', incoming, '--library', library, '--ladder', 'fixed', '--preset', 'placebo', '--quiet')
    t = Traced(w.pid)
    child = t.birth()
    w.send_signal(signal.SIGTERM)
    t.leave(w.pid)

    def handed_on():
        with open(f'/proc/{child}/status') as f:
            return any(line.startswith('ShdPnd:') and int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1 for line in f)
    tap.until(handed_on, 20, 'the signal at the ingest')
    t.leave(child)
    tap.equal(w.wait(8 * tap.PATIENCE), 0)


@tap.test
def who_was_started_by_nohup_outlives_the_terminal():
    server = Trickle()
    for argv in ([INGEST, film.generated(2), '--library', tap.folder(), '--ladder', 'fixed', '--preset', 'placebo', '--quiet'],
                 [PLAYER, server.url + '/a.mpd', '--output', 'null', '--no-state', '--quiet']):
        p = start(*argv, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        works(p, 1) if argv[0] == INGEST else tap.check(server.asked.wait(20), 'it asks')
        p.send_signal(signal.SIGHUP)
        works(p, 4) if argv[0] == INGEST else time.sleep(1)
        tap.check(p.poll() is None, f'{argv[0]} ended')
        told(p)


# --- the origin ----------------------------------------------------------------------------------------------------

def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        found = f.read().split()
    for thread in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{thread}/children') as f:
            found += f.read().split()
    return sorted({int(p) for p in found})


def send_master(o, path):
    with open(path, 'rb') as f:
        body = f.read()
    meta = 'filename ' + base64.b64encode(b'a.mp4').decode()
    tus = {'Tus-Resumable': '1.0.0', 'Upload-Length': str(len(body)), 'Upload-Metadata': meta, 'Content-Type': 'application/offset+octet-stream'}
    r = tap.http(o.control + '/api/v1/masters', 'POST', body, tus)
    tap.equal(r.status, 201, f'{r.body}')


@tap.test
def an_origin_ends_though_its_ingest_hangs_and_leaves_no_child():
    library, stall = tap.folder(), os.path.join(tap.folder(), 'stall')
    with open(stall, 'w') as f:
        f.write('/package/')
    o = Origin(library, ['--masters-options', '--ladder fixed --preset ultrafast'], env={**disk.environment(library), 'DISK_STALL': stall})
    send_master(o, film.generated(2, '128x72', '10'))
    child = tap.until(lambda: children(o.p.pid), 20, 'the ingest')[0]
    tap.until(lambda: [n for n in os.listdir(library) if n.startswith('.work-') and os.path.isdir(f'{library}/{n}/package')], 20, 'its work')
    tap.equal(told(o.p.p, seconds=30), 0)
    tap.check(not os.path.exists(f'/proc/{child}'), 'the ingest is left behind')
    os.unlink(stall)
    o.start()
    tap.until(lambda: o.api('/masters').json()['masters'][0]['state'] == 'done', 60, 'the title')


@tap.test
def an_origin_that_ends_takes_the_copy_of_a_backup_along():
    o = Origin()
    o.p.stop()
    db = sqlite3.connect(o.database, isolation_level=None)
    for line in ('PRAGMA journal_mode=DELETE', 'PRAGMA synchronous=OFF', 'PRAGMA page_size=512', 'VACUUM', 'CREATE TABLE filler (x BLOB)'):
        db.execute(line)  # small pages: it pauses between so many of them
    for _ in range(150):
        db.execute('INSERT INTO filler VALUES (?)', (bytes(1 << 20),))
    db.close()
    o.start()
    folder = os.path.dirname(o.database)
    c = http.client.HTTPConnection('127.0.0.1', o.ports['control'])
    c.request('GET', '/api/v1/backup')
    tap.until(lambda: [n for n in os.listdir(folder) if '.copy' in n], 20, 'the copy', every=0.001)
    c.close()
    tap.equal(told(o.p.p), 0)
    tap.equal([n for n in os.listdir(folder) if '.copy' in n], [])


@tap.test
def an_origin_ends_though_listeners_stay_and_bodies_drip():
    o = Origin(options=['--grace', '30s'])
    listeners = [ask(port, '/api/v1/events') for port in o.ports.values()]
    for s in listeners:
        tap.check(s.recv(4096).startswith(b'HTTP/1.1 200'), 'a listener')
    meta = base64.b64encode(b'a.mp4').decode()
    r = tap.http(o.control + '/api/v1/masters', 'POST', b'', {'Tus-Resumable': '1.0.0', 'Upload-Length': '1000000', 'Upload-Metadata': f'filename {meta}'})
    path = r.headers['Location']
    s = socket.create_connection(('127.0.0.1', o.ports['control']))
    s.sendall(f'PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n'
              'Content-Length: 1000000\r\n\r\n'.encode() + bytes(5000))
    part = os.path.join(o.library, '.uploads', path.rsplit('/', 1)[1] + '.part')
    tap.until(lambda: os.path.getsize(part) == 5000, 20, 'the bytes')
    end = threading.Event()

    def drip():
        try:
            while not end.wait(0.1):
                s.sendall(b'x')
        except OSError:
            pass
    threading.Thread(target=drip, daemon=True).start()
    tap.equal(told(o.p.p), 0)
    end.set()
    o.start()
    got = tap.http(o.control + path, 'HEAD', headers={'Tus-Resumable': '1.0.0'})
    tap.check(int(got.headers['Upload-Offset']) >= 5000, 'what came is lost')


@tap.test
def an_edge_ends_though_what_it_fills_prepares_and_pulls_stalls():
    def ends(stalls):
        p, other = Package('film'), Package('other', seed=2)
        origin = Lab(p, other)
        origin.behaviour = lambda title, name, first: {'stall_at': 1000} if name == stalls else None
        edge = Edge(origin, '--grace', '1s')
        tap.until(lambda: origin.asked(stalls), 20, f'a request for {stalls}')
        viewers = [ask(edge.port, f'/v/{q.key}/video.mp4') for q in (p, other)]
        code = told(edge.process.p)
        for s in viewers:
            s.close()
        return code
    tap.equal(all_at_once(ends, [(name,) for name in ('package.torrent', 'package.leaves', 'video.mp4')]), [0] * 3)


@tap.test
def a_backup_that_is_ended_leaves_nothing():
    server, folder = Trickle(), tap.folder()
    p = start(tap.program('ribera-admin'), '--control', server.url, 'backup', f'{folder}/catalogue')
    tap.check(server.asked.wait(20), 'it asks')
    time.sleep(0.2)
    tap.equal(told(p), -signal.SIGTERM)
    tap.equal(os.listdir(folder), [])


# --- services ------------------------------------------------------------------------------------------------------

class Stall:
    """A disk that does not give the files with this text in their paths, from when it is told to."""

    def __init__(self, root, text):
        self.file = os.path.join(tap.folder(), 'stall')
        self.text, self.env = text, {**disk.environment(root), 'DISK_STALL': self.file}

    def begin(self):
        with open(self.file + '.new', 'w') as f:
            f.write(self.text)
        os.rename(self.file + '.new', self.file)
        return self


def services(stall):
    """An origin and an edge whose disks may stall; how to ask each for a file of a title."""
    library, p, name = tap.folder(), Package('film'), 'video.mp4'
    revision, _ = package.write(library, 'film', {name: os.urandom(3_000_000)})
    s = Stall(library, stall)
    o = Origin(library, env=s.env)
    yield o.p, s, o.ports['viewers'], f'/v/film/{revision}/{name}'
    edge = Edge(Lab(p), '--scrub-rate', '0', '--grace', '1s')
    edge.wait_filled(p)
    edge.process.stop()
    s = Stall(edge.store, stall)
    edge.env = s.env
    edge.start()
    yield edge.process, s, edge.port, f'/v/{p.key}/{name}'


def ask(port, path):
    """A viewer who does not read."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(('127.0.0.1', port))
    s.sendall(f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
    return s


def all_at_once(function, items):
    """What came of it for each, or what went wrong."""
    results = []

    def one(item):
        try:
            results.append(function(*item))
        except BaseException as e:
            results.append(e)
    threads = [threading.Thread(target=one, args=(item,)) for item in items]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


@tap.test
def a_service_ends_though_its_disk_does_not_answer():
    def ends(service, stall, port, path):
        process = service.p
        stall.begin()
        viewer = ask(port, path)
        waits_in(process, 'nanosleep', threads=True)
        begin = time.monotonic()
        code = told(process, seconds=45)
        viewer.close()
        return code, time.monotonic() - begin > 1  # its grace it gave

    def of_the_main_thread(process, stall):
        stall.begin()
        process.send_signal(signal.SIGHUP)
        waits_in(process, 'nanosleep')
        return told(process, seconds=45), True
    folder = tap.folder()
    s, config = Stall(folder, 'origin.yaml'), os.path.join(folder, 'origin.yaml')
    with open(config, 'w') as f:
        f.write('heartbeat: 1s\n')
    o = Origin(options=['--config', config], env=s.env)
    jobs = [lambda a=a: ends(*a) for a in services('video.mp4')] + [lambda: of_the_main_thread(o.p.p, s)]

    def restarts(service, stall, port, path):
        starts = service.text().count('listening viewers=')
        stall.begin()
        viewer = ask(port, path)
        waits_in(service.p, 'nanosleep', threads=True)
        service.p.send_signal(signal.SIGUSR2)
        tap.until(lambda: service.text().count('listening viewers=') > starts, 40, 'the next program')
        viewer.close()
        return told(service.p), True
    jobs += [lambda a=a: restarts(*a) for a in services('video.mp4')]

    def player():
        made, _, path = film.library(film.generated(2, '128x72', '10'), 'small', '--ladder', 'fixed', '--max-rungs', '1')
        s = Stall(made, 'video-').begin()
        p = start(PLAYER, f'{path}/manifest.mpd', '--output', 'null', '--no-state', '--quiet', env={**os.environ, **s.env})
        waits_in(p, 'nanosleep', threads=True)
        code = told(p, seconds=45)
        return 0 if code == 1 and b'does not end' in p.stderr.read() else code, True
    tap.equal(all_at_once(lambda job: job(), [(job,) for job in [*jobs, player]]), [(0, True)] * 6)


@tap.test
def a_service_that_is_told_again_ends_at_once():
    def ends(service, stall, port, path):
        process = service.p
        stall.begin()
        viewer = ask(port, path)
        waits_in(process, 'nanosleep', threads=True)
        process.send_signal(signal.SIGTERM)
        time.sleep(2)
        alive = process.poll() is None
        code = told(process, signal.SIGINT, 10)
        viewer.close()
        return alive, code
    tap.equal(all_at_once(ends, services('video.mp4')), [(True, 0)] * 2)


@tap.test
def a_service_that_is_starting_ends_at_once():
    def ends(argv, stall):
        p = start(*argv, '--listen', '127.0.0.1:0', env={**os.environ, **stall.begin().env})
        waits_in(p, 'nanosleep')
        return told(p)
    library, store = tap.folder(), tap.folder()
    package.write(library, 'film', {'video.mp4': os.urandom(1000)})
    tap.equal(all_at_once(ends, [
        ([tap.program('ribera-origin'), '--library', library, '--control', '127.0.0.1:0'], Stall(library, 'package.torrent')),
        ([EDGE, '--name', 'a', '--origin', 'http://127.0.0.1:9', '--store', store], Stall(store, 'journal')),
    ]), [0, 0])


@tap.test
def a_service_ends_though_the_program_that_would_replace_it_hangs():
    folder = tap.folder()
    config, stall = os.path.join(folder, 'origin.yaml'), Stall(folder, 'origin.yaml')
    with open(config, 'w') as f:
        f.write('heartbeat: 1s\n')
    o = Origin(options=['--config', config], env=stall.env)
    stall.begin()
    o.p.p.send_signal(signal.SIGUSR2)
    tap.until(lambda: 'no restart' in o.p.text(), 20, 'the end of its patience')
    tap.equal(children(o.p.pid), [])
    tap.equal(o.get('/healthz').status, 200)
    o.p.p.send_signal(signal.SIGUSR2)
    child = tap.until(lambda: children(o.p.pid), 20, 'the trial')[0]
    tap.equal(told(o.p.p), 0)
    tap.check(not os.path.exists(f'/proc/{child}'), 'the trial is left behind')


# --- names ---------------------------------------------------------------------------------------------------------

@tap.test
def who_waits_for_a_name_server_ends():
    folder, gone = tap.folder(), os.path.join(tap.folder(), 'gone')
    with open(gone, 'w') as f:
        f.write('silent')
    env = {**os.environ, 'LD_PRELOAD': os.path.join(tap.BUILD, 't', 'lib', 'names.so'), 'NAMES_GONE': gone,
           'ASAN_OPTIONS': 'verify_asan_link_order=0:' + os.environ.get('ASAN_OPTIONS', '')}
    _, film_folder = package.write(tap.folder(), 'film', {'video.mp4': os.urandom(1000)})
    there = 'http://there.test:81'

    def ends(code, *argv):
        p = start(*argv, env=env)
        waits_in(p, 'nanosleep', threads=True)
        return argv[0], told(p) == code
    jobs = [(0, EDGE, '--name', 'a', '--origin', there, '--store', f'{folder}/a', '--listen', '127.0.0.1:0'),
            (1, EDGE, '--setup', '--config', f'{folder}/edge.yaml', '--name', 'b', '--origin', there, '--store', f'{folder}/b'),
            (1, INGEST, film_folder, '--to', there, '--quiet'),
            (0, PLAYER, there + '/a.mpd', '--output', 'null', '--no-state', '--quiet'),
            (-signal.SIGTERM, PLAYER, there + '/a.mpd', '--inspect'),
            (-signal.SIGTERM, tap.program('ribera-admin'), '--control', there, 'titles')]
    results = all_at_once(ends, jobs)
    tap.equal([r for r in results if not (isinstance(r, tuple) and r[1])], [])


# --- an edge's setup -----------------------------------------------------------------------------------------------

@tap.test
def setup_ends_while_the_origin_answers_byte_by_byte():
    origin, folder = Trickle(), tap.folder()
    p = start(EDGE, '--setup', '--config', f'{folder}/edge.yaml', '--name', 'a', '--origin', origin.url, '--store', f'{folder}/store')
    tap.check(origin.asked.wait(20), 'it asks')
    tap.equal(told(p), 1)
    tap.has(p.stderr.read().decode(), 'stopped; nothing was written')
    tap.equal(os.listdir(folder), [])


@tap.test
def setup_that_is_killed_leaves_no_file_in_the_store():
    server, folder = Origin(), tap.folder()
    p = start(EDGE, '--setup', '--config', f'{folder}/edge.yaml', '--name', 'a', '--origin', server.control, '--store', f'{folder}/store')
    tap.until(lambda: os.path.isdir(f'{folder}/store') and any(f'{folder}/store/' in link for link in descriptors(p)), 20, 'measuring')
    p.kill()
    p.wait()
    tap.equal(os.listdir(f'{folder}/store'), [])
    os.makedirs(f'{folder}/store/.setup-{p.pid}/.ribera')  # and where it tried the edge
    Edge(Lab(), store=f'{folder}/store').process.stop()


# --- the player ----------------------------------------------------------------------------------------------------

@tap.test
def a_player_that_plays_nothing_ends_by_the_first_signal():
    server = Trickle()
    p = start(PLAYER, '--inspect', server.url + '/a.mpd')
    tap.check(server.asked.wait(20), 'it asks')
    tap.equal(told(p), -signal.SIGTERM)
    p = start(PLAYER, '--abr-serve', stdin=subprocess.PIPE)
    waits_in(p, 'read')
    tap.equal(told(p, signal.SIGINT), -signal.SIGINT)


@tap.test
def a_player_that_is_told_to_end_before_it_plays_has_not_failed():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        server = Trickle()
        p = start(PLAYER, server.url + '/a.mpd', '--output', 'null', '--no-state', '--quiet')
        tap.check(server.asked.wait(20), 'it asks')
        tap.equal(told(p, number), 0)
        tap.equal(p.stderr.read().decode(), '')


@tap.test
def a_player_ends_while_it_asks_what_time_it_is():
    time_server, folder = Trickle(), tap.folder()
    with open(f'{folder}/live.mpd', 'w') as f:
        f.write(f'''<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="dynamic" availabilityStartTime="2026-01-01T00:00:00Z"
 minimumUpdatePeriod="PT2S" minBufferTime="PT2S"><Period id="1" start="PT0S"><AdaptationSet mimeType="video/mp4" contentType="video"><SegmentTemplate
 timescale="1" duration="2" media="$Number$.m4s" initialization="init.mp4"/><Representation id="v" bandwidth="1000" codecs="avc1.64001f"/></AdaptationSet></Period>
<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="{time_server.url}/1 {time_server.url}/2 {time_server.url}/3"/></MPD>''')
    p = start(PLAYER, f'{folder}/live.mpd', '--output', 'null', '--no-state', '--quiet')
    tap.check(time_server.asked.wait(20), 'it asks')
    tap.equal(told(p), 0)


tap.run()

# SPDX-License-Identifier: GPL-3.0-or-later
"""TAP for Python tests, temporary folders, waiting for events, and running our programs.

    import tap
    @tap.test
    def it_does_this():
        tap.equal(got, want)
    tap.run()
"""
import atexit, contextlib, json, os, re, shutil, signal, stat, subprocess, sys, tempfile, time, traceback, urllib.error, urllib.request

BUILD = os.environ.get('RIBERA_BUILD', os.getcwd())
SOURCE = os.environ.get('RIBERA_SOURCE', os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SHARED = os.path.join(SOURCE, '..', 'shared')
# what programs say is looked for in English, whoever runs the tests
os.environ['LC_ALL'] = 'C.UTF-8'
os.environ.pop('LANGUAGE', None)
# how much longer than usual all may take: under valgrind and sanitizers
PATIENCE = float(os.environ.get('RIBERA_PATIENCE', 1))
_tests = []


def need(program, package=None):
    """Where a program is.  One that ./check installs is not skipped over when it is missing: that would prove nothing."""
    found = shutil.which(program) or shutil.which(program, path='/usr/sbin:/sbin')
    check(found, f'{program} is not here: ./check installs it, or apt-get install {package or program}')
    return found


def as_root(*argv):
    """Runs it as root, by sudo for others (as ./check installs packages)."""
    p = call(*([] if os.geteuid() == 0 else ['sudo', '-n']), *argv)
    check(p.returncode == 0, f'{" ".join(argv)}: {p.stderr.strip()}: tests mount small file systems as root, or by sudo without a password')


def become_root():
    """Runs this test program once more, as root, if it is not: namespaces and mounts of its own need that."""
    if os.geteuid() == 0:
        return
    kept = [f'{k}={v}' for k, v in os.environ.items() if k.startswith('RIBERA_') or k in ('PATH', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'PYTHONDONTWRITEBYTECODE')]
    os.execv(need('sudo'), ['sudo', '-n', 'env', *kept, sys.executable, *sys.argv])


def device(path, module, major, minor):
    """A character device of the kernel's, its module loaded and its node made where a machine has not done that yet."""
    if not os.path.exists(path):
        subprocess.run(['modprobe', module], stderr=subprocess.DEVNULL)
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(major, minor))
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        raise AssertionError(f'{path}: {e.strerror}: the tests of lines and disks need a kernel with the module {module} '
                             f'(in a container: its device node, and CAP_NET_ADMIN, CAP_SYS_ADMIN)') from None


@contextlib.contextmanager
def small_disk(size):
    """The folder of a file system of so many bytes (as mount writes them) in memory, ours to write to."""
    path = folder()
    as_root('mount', '-t', 'tmpfs', '-o', f'size={size},uid={os.geteuid()}', 'tmpfs', path)
    try:
        yield path
    finally:
        as_root('umount', '-l', path)


def fill_disk(folder):
    """Takes the last byte of the folder's file system; the file to be removed to give it back."""
    path = os.path.join(folder, '.ballast')
    with open(path, 'wb', buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            return path


def test(function):
    _tests.append(function)
    return function


def check(condition, text='condition is false'):
    if not condition:
        raise AssertionError(text)


def equal(got, want, what='value'):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, want {want!r}')


def near(got, want, tolerance, what='value'):
    if abs(got - want) > tolerance:
        raise AssertionError(f'{what}: got {got!r}, want {want!r} within {tolerance!r}')


def has(text, part, what='text'):
    if part not in text:
        raise AssertionError(f'{what}: {text!r} has no {part!r}')


def until(function, seconds=30, what='condition', every=0.02):
    """Waits for an event: calls function until it gives something true; returns that.  `what` is a text, or makes one."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = function()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'{what() if callable(what) else what} did not come within {seconds} s')
        time.sleep(every)


def run(only=None):
    only = only or (sys.argv[1] if len(sys.argv) > 1 else None)
    tests = [t for t in _tests if not only or only.replace(' ', '_') in t.__name__]
    if not tests:
        sys.exit(f'no test here has "{only}" in its name' if only else 'there is no test here')
    print(f'1..{len(tests)}', flush=True)
    failed = 0
    for number, function in enumerate(tests, 1):
        name = function.__name__.replace('_', ' ')
        start = time.monotonic()
        try:
            function()
            print(f'ok {number} - {name} ({time.monotonic() - start:.2f}s)', flush=True)
        except BaseException:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f'# {line}')
            print(f'not ok {number} - {name}', flush=True)
    sys.exit(1 if failed else 0)


_folder = None


def folder(name=None):
    """A temporary folder of this test program, removed at its end."""
    global _folder
    if _folder is None:
        _folder = tempfile.mkdtemp(prefix='ribera-test-')
        if not os.environ.get('RIBERA_KEEP'):
            atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    if name is None:
        return tempfile.mkdtemp(dir=_folder)
    path = os.path.join(_folder, name)
    os.makedirs(path, exist_ok=True)
    return path


def program(name):
    path = os.path.join(BUILD, name)
    if not os.access(path, os.X_OK):
        raise AssertionError(f'{path} is not built')
    return path


def environment(program, more):
    """What a program is given.  RIBERA_SHORT=SEED: ours have their reads and writes cut short (lib/short.c), in any test."""
    env = {**os.environ, **(more or {})}
    if os.environ.get('RIBERA_SHORT') and str(program).startswith((os.path.join(BUILD, 'ribera-'), os.path.join(BUILD, 't', 'lib', 'serve-test'))):
        preload = [env.get('LD_PRELOAD', ''), os.path.join(BUILD, 't', 'lib', 'short.so')]  # faults of a test's own first
        env.update(LD_PRELOAD=':'.join(filter(None, preload)), SHORT_SEED=os.environ['RIBERA_SHORT'],
                   ASAN_OPTIONS='verify_asan_link_order=0:' + env.get('ASAN_OPTIONS', ''))
    return env


def call(*argv, timeout=120, env=None, stdin=None, check_exit=None):
    """Runs a program to its end; returns CompletedProcess with text output."""
    p = subprocess.run([str(a) for a in argv], stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=timeout * PATIENCE, env=environment(argv[0], env), text=True,
                       errors='replace')
    if check_exit is not None and p.returncode != check_exit:
        raise AssertionError(f'{argv[0]} ended with {p.returncode}, want {check_exit}: {p.stderr[-2000:]}{p.stdout[-500:]}')
    return p


_running = []


class Process:
    """A program of ours in the background; its output goes to a file; ended (with a report) at exit."""

    def __init__(self, *argv, env=None, log=None):
        self.log_path = log or os.path.join(folder(), os.path.basename(str(argv[0])) + '.log')
        self.log = open(self.log_path, 'ab')
        self.p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=self.log,
                                  stderr=subprocess.STDOUT, env=environment(argv[0], env))
        _running.append(self)

    @property
    def pid(self):
        return self.p.pid

    def text(self):
        with open(self.log_path, errors='replace') as f:
            return f.read()

    def alive(self):
        return self.p.poll() is None

    def kill(self):
        self.p.kill()
        return self.p.wait()

    def stop(self, seconds=15):
        """SIGTERM; the exit code."""
        if self.alive():
            self.p.send_signal(signal.SIGTERM)
        try:
            return self.p.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            raise AssertionError(f'{self.p.args[0]} did not end within {seconds} s of SIGTERM')


@atexit.register
def _end_all():
    for process in _running:
        if process.alive():
            process.p.kill()
            process.p.wait()


def ports(path, process, seconds=20):
    """The JSON of --ports-file, once the program has written it."""
    def there():
        if not process.alive():
            raise AssertionError(f'the program ended with {process.p.returncode}: {process.text()[-2000:]}')
        return os.path.exists(path)
    until(there, seconds, f'{path}')
    with open(path) as f:
        return json.load(f)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def http(url, method='GET', body=None, headers=None, timeout=30 * PATIENCE):
    """One request; error statuses and redirects are replies, not exceptions."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers = {'Content-Type': 'application/json', **(headers or {})}
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with _opener.open(request, timeout=timeout) as r:
            return Reply(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        return Reply(e.code, e.headers, e.read())


def metric(text, name):
    """The value of one series in Prometheus text; None when it is not there."""
    found = re.search(r'^' + re.escape(name) + r' (\S+)$', text, re.M)
    return float(found.group(1)) if found else None

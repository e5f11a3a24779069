# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts (network namespaces) around one core, each on an emulated line of its own (line.c).

    net = line.Net(seed=1)                       # as root: importing this module makes that so
    edge = net.host('edge', rate=20000, delay=15, loss=0.1)   # both ways; kbit/s, ms one way, percent
    viewer = net.host('viewer', down={'trace': 'x.csv'}, up={'rate': 5000})
    process = edge.process(program, '--listen', edge.address + ':8090')
    with viewer.inside():                        # this thread's new sockets belong to the viewer
        tap.http(f'http://{edge.address}:8090/')
    edge.cut(); edge.mend(); edge.set(rate=500); edge.set(down={'loss': 3})

`down` is from the core to the host.  Everything goes when the test ends.
"""
import atexit, contextlib, ctypes, json, os, subprocess, threading
import tap

tap.become_root()
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_nets = []


def _ip(*argv):
    r = subprocess.run(['ip', *argv], capture_output=True, text=True)
    if r.returncode != 0:
        raise AssertionError(f'ip {" ".join(argv)}: {r.stderr.strip()}')


def _enter(path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f'setns {path}')
    finally:
        os.close(fd)


class Host:
    def __init__(self, net, name, number, both, up, down):
        self.net, self.name, self.ns = net, name, f'{net.prefix}-{name}'
        net16 = f'10.{99 + number // 250}.{number % 250}'
        self.address, self._core_address = f'{net16}.2', f'{net16}.1'
        self._lock = threading.Lock()
        net.add_namespace(self.ns)
        self._line = subprocess.Popen([net.program, str(net.seed * 1000 + number), self.ns, 'up0', net.core, f'h{number}'],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line.stdout.readline() != 'ready\n':
            raise AssertionError(f'{net.program} could not make its TUN devices')
        for ns, device, address, peer in ((self.ns, 'up0', self.address, self._core_address),
                                          (net.core, f'h{number}', self._core_address, self.address)):
            _ip('-n', ns, 'addr', 'add', address, 'peer', peer, 'dev', device)
            _ip('-n', ns, 'link', 'set', device, 'up', 'mtu', '1500', 'txqueuelen', '1000')
        _ip('-n', self.ns, 'route', 'add', 'default', 'via', self._core_address)
        self.set(up=up, down=down, **both)

    def order(self, text):
        with self._lock:
            self._line.stdin.write(text + '\n')
            self._line.stdin.flush()
            answer = self._line.stdout.readline().strip()
        if not answer or answer.startswith('error'):
            raise AssertionError(f'line of {self.name}: {text}: {answer}')
        return answer

    def set(self, up=None, down=None, **both):
        """rate (kbit/s), delay, jitter (ms), loss, reorder (percent), mtu, queue (bytes), trace (file)."""
        for direction, own in (('ab', up), ('ba', down)):
            values = {**both, **(own or {})}
            if values:
                self.order(direction + ''.join(f' {k}={v}' for k, v in values.items()))

    def cut(self):
        self.order('cut')

    def mend(self):
        self.order('mend')

    def forget(self):
        """Connections that are there are dead from now on, without a word to either end; new ones are not."""
        self.order('forget')

    def stats(self):
        return json.loads(self.order('stats'))

    @contextlib.contextmanager
    def inside(self):
        _enter(f'/run/netns/{self.ns}')
        try:
            yield self
        finally:
            _enter(f'/proc/{os.getpid()}/ns/net')  # the first thread's, which never goes anywhere

    def process(self, *argv, **options):
        """A tap.Process in there: `ip netns exec` becomes it, so pid and signals are its own."""
        return tap.Process('ip', 'netns', 'exec', self.ns, *argv, **options)

    def end(self):
        self._line.stdin.close()
        self._line.wait(10)
        self._line.stdout.close()


class Net:
    def __init__(self, seed=1):
        self.program = os.path.join(tap.BUILD, 't', 'lib', 'line')
        os.close(tap.device('/dev/net/tun', 'tun', 10, 200))
        tap.check(os.access(self.program, os.X_OK), f'{self.program} is not built: make builds it')
        tap.need('ip', 'iproute2')
        self.seed, self.hosts, self._namespaces = seed, [], []
        self.prefix = f'rb{os.getpid()}n{len(_nets)}'
        self.core = f'{self.prefix}-core'
        _nets.append(self)
        self.add_namespace(self.core)

    def add_namespace(self, name):
        _ip('netns', 'add', name)
        self._namespaces.append(name)
        _ip('-n', name, 'link', 'set', 'lo', 'up')
        for key, value in (('ip_forward', 1), ('tcp_congestion_control', 'cubic')):
            subprocess.run(['ip', 'netns', 'exec', name, 'sh', '-c', f'echo {value} >/proc/sys/net/ipv4/{key}'],
                           stderr=subprocess.DEVNULL)  # cubic may not be allowed here: the machine's own then

    def host(self, name, up=None, down=None, **both):
        self.hosts.append(Host(self, name, len(self.hosts) + 1, both, up, down))
        return self.hosts[-1]

    def end(self):
        for host in self.hosts:
            host.end()
        for name in self._namespaces:
            subprocess.run(['ip', 'netns', 'del', name], stderr=subprocess.DEVNULL)
        self.hosts, self._namespaces = [], []


@atexit.register
def _end_all():
    for net in _nets:
        net.end()

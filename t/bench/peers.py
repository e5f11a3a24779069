# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers that t/bench/serve compares, ours among them: how each is started with one worker on core 0.

A server has up to three ports: `plain` (HTTP/1.1), `h2c` (HTTP/2 with prior knowledge) and `tls`.
Web servers serve the files below LIBRARY as /v/...; caches have the origin at ORIGIN behind them.
"""
import os, shutil, subprocess, sys, tempfile, time
SOURCE = os.environ.get('RIBERA_SOURCE', os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get('RIBERA_BUILD', os.getcwd())
TICK = os.sysconf('SC_CLK_TCK')


def family(pid):
    """The process and all that came of it."""
    found = [pid]
    for p in found:
        try:
            for task in os.listdir(f'/proc/{p}/task'):
                with open(f'/proc/{p}/task/{task}/children') as f:
                    found += map(int, f.read().split())
        except FileNotFoundError:
            pass
    return found


class Server:
    core = '0'
    running = []

    def __init__(self, setting, name, number):
        self.setting, self.name = setting, name
        self.plain, self.h2c, self.tls = (21000 + number * 10 + i for i in range(3))
        self.work = tempfile.mkdtemp(prefix=name, dir=setting.work)
        os.chmod(self.work, 0o755)
        self.log = os.path.join(self.work, 'output')
        with open(self.log, 'wb') as log:
            self.p = subprocess.Popen(['taskset', '-c', self.core, *map(str, self.start())], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running.append(self)

    def write(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, 'w') as f:
            f.write(text)
        return path

    def family(self):
        return family(self.p.pid)

    def cpu(self):
        """Seconds used so far, threads and children included."""
        total = 0
        for p in self.family():
            with open(f'/proc/{p}/stat') as f:
                fields = f.read().rsplit(') ', 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def wait(self, path, seconds=60):
        """Until it answers `path` with 200."""
        end = time.monotonic() + seconds
        while subprocess.run(['curl', '-sf', '-o', '/dev/null', '-m', '10', f'http://127.0.0.1:{self.plain}{path}']).returncode != 0:
            if self.p.poll() is not None or time.monotonic() > end:
                with open(self.log) as f:
                    sys.exit(f'{self.name} does not serve {path}: {f.read()[-2000:]}')
            time.sleep(0.1)

    def stop(self):
        self.running.remove(self)
        self.p.terminate()
        try:
            self.p.wait(15)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()


class Ribera(Server):
    def start(self):
        s, log = self.setting, os.path.join(self.work, 'access')
        return [os.path.join(BUILD, 'ribera-origin'), '--library', s.library, '--database', f'{self.work}/catalogue', '--threads', '1', '--listen', f'127.0.0.1:{self.plain}',
                '--control', f'127.0.0.1:{self.plain + 6}', '--access-log', log, '--log-level', 'error', '--heartbeat', '500ms', *self.more()]

    def more(self):
        self.h2c = self.plain
        return []


class RiberaTls(Ribera):
    def more(self):
        self.tls, self.h2c = self.plain, None
        return ['--tls-cert', self.setting.cert, '--tls-key', self.setting.key]

    def wait(self, path, seconds=60):
        pass  # its clients retry


class Source(Ribera):
    """The origin behind the caches, out of their way."""
    core = '1'

    def more(self):
        return ['--public-url', self.setting.origin]


class Nginx(Server):
    cache = 'open_file_cache max=4096; open_file_cache_valid 60s;'

    def start(self):
        s, w = self.setting, self.work
        tls = f'ssl_certificate {s.cert}; ssl_certificate_key {s.key}; ssl_protocols TLSv1.3;'
        return ['nginx', '-c', self.write('nginx.conf', f'''user root; worker_processes 1; daemon off; pid {w}/pid; error_log {w}/errors;
events {{ worker_connections 4096; }}
http {{ types {{ application/dash+xml mpd; video/mp4 mp4; }} sendfile on; tcp_nopush on; keepalive_requests 1000000000; http2_max_requests 1000000000;
{self.cache} access_log {w}/access;
server {{ listen 127.0.0.1:{self.plain}; listen 127.0.0.1:{self.h2c} http2; listen 127.0.0.1:{self.tls} ssl http2; {tls} location /v/ {{ alias {s.library}/; }} }} }}
''')]


class Floor(Server):
    """The kernel alone: t/bench/floor.c."""
    how = 'sendfile'

    def start(self):
        s, program = self.setting, os.path.join(self.work, 'floor')
        subprocess.run(['cc', '-O2', '-D_GNU_SOURCE', '-o', program, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'floor.c')], check=True)
        return [program, self.plain, s.folder, s.base[:-1], self.how]


class FloorPipe(Floor):
    how = 'pipe'


class FloorCopy(Floor):
    how = 'copy'


class NginxPlain(Nginx):
    """As it is without being told to keep files open."""
    cache = ''


class Slow(Server):
    """An origin's line of 512 KB/s a connection, its requests in a log."""
    core = '1'

    def start(self):
        w = self.work
        return ['nginx', '-c', self.write('nginx.conf', f'''user root; worker_processes 1; daemon off; pid {w}/pid; error_log {w}/errors;
events {{ worker_connections 4096; }}
http {{ log_format bytes '$uri|$http_range|$body_bytes_sent'; access_log {w}/access bytes; sendfile on; limit_rate 512k;
server {{ listen 127.0.0.1:{self.plain}; location /v/ {{ alias {self.setting.library}/; add_header Cache-Control 'public, max-age=3600'; }} }} }}
''')]

    def fetches(self):
        with open(os.path.join(self.work, 'access')) as f:
            return [line.strip().split('|') for line in f]


class NginxCache(Server):
    def start(self):
        w = self.work
        return ['nginx', '-c', self.write('nginx.conf', f'''user root; worker_processes 1; daemon off; pid {w}/pid; error_log {w}/errors;
events {{ worker_connections 4096; }}
http {{ sendfile on; keepalive_requests 1000000000; access_log {w}/access; proxy_cache_path {w}/cache keys_zone=c:10m;
server {{ listen 127.0.0.1:{self.plain}; location / {{ proxy_pass {self.setting.origin}; proxy_cache c; proxy_cache_lock on; proxy_cache_valid 1h; }} }} }}
''')]


class Lighttpd(Server):
    def start(self):
        s, w = self.setting, self.work
        os.mkdir(f'{w}/www')
        os.symlink(s.library, f'{w}/www/v')
        self.h2c = self.plain
        return ['lighttpd', '-D', '-f', self.write('lighttpd.conf', f'''server.port = {self.plain}
server.bind = "127.0.0.1"
server.document-root = "{w}/www"
server.modules = ( "mod_accesslog", "mod_openssl" )
accesslog.filename = "{w}/access"
server.max-keep-alive-requests = 1000000000
server.network-backend = "sendfile"
mimetype.assign = ( ".mpd" => "application/dash+xml", ".mp4" => "video/mp4" )
$SERVER["socket"] == "127.0.0.1:{self.tls}" {{ ssl.engine = "enable" ssl.pemfile = "{s.cert}" ssl.privkey = "{s.key}" }}
''')]


class H2o(Server):
    def start(self):
        s, w = self.setting, self.work
        self.h2c = self.plain
        return ['h2o', '-m', 'worker', '-c', self.write('h2o.conf', f'''user: root
num-threads: 1
pid-file: {w}/pid
error-log: {w}/errors
access-log: {w}/access
file.mime.settypes: {{application/dash+xml: .mpd, video/mp4: .mp4}}
listen: {{host: 127.0.0.1, port: {self.plain}}}
listen: {{host: 127.0.0.1, port: {self.tls}, ssl: {{certificate-file: {s.cert}, key-file: {s.key}}}}}
hosts: {{default: {{paths: {{/v: {{file.dir: {s.library}}}}}}}}}
''')]


class RiberaEdge(Server):
    pull = False

    def start(self):
        s, w = self.setting, self.work
        return [os.path.join(BUILD, 'ribera-edge'), '--name', 'edge', '--origin', s.control, '--store', f'{w}/store', '--threads', '1', '--listen', f'127.0.0.1:{self.plain}',
                '--access-log', f'{w}/access', '--log-level', 'warn', '--scrub-rate', '0', *(['--window-duration', '0s', '--pull-share', '100'] if self.pull else [])]


class RiberaPull(RiberaEdge):
    pull = True


class Varnish(Server):
    """With varnishncsa beside it, for that is how it has an access log.  Set up at its best for one core: all in memory, one pool of threads."""
    logger, storage, more = None, 'malloc', ['-p', 'thread_pools=1']

    def wait(self, path, seconds=60):
        super().wait(path, seconds)
        self.logger = subprocess.Popen(['taskset', '-c', self.core, 'varnishncsa', '-n', f'{self.work}/n', '-w', f'{self.work}/access'])

    def family(self):
        return super().family() + (family(self.logger.pid) if self.logger else [])

    def stop(self):
        if self.logger:
            self.logger.terminate()
            self.logger.wait()
        super().stop()

    def start(self):
        host, port = self.setting.origin[7:].split(':')
        vcl = self.write('bench.vcl', f'vcl 4.1;\nbackend default {{ .host = "{host}"; .port = "{port}"; }}\n')
        storage = f'{self.storage},{self.work}/storage' if self.storage == 'file' else self.storage
        return ['varnishd', '-F', '-j', 'none', '-n', f'{self.work}/n', '-a', f'127.0.0.1:{self.plain}', '-f', vcl, '-s', f'{storage},{self.setting.set_mb + 500}M', *self.more]


class VarnishAsItIs(Varnish):
    """With as many threads as it has by itself."""
    more = []


class VarnishFile(VarnishAsItIs):
    """The same, with a file for storage: for more than memory holds."""
    storage = 'file'


class TrafficServer(Server):
    """Set up at its best for one core: all in memory, one thread."""
    records = '''CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.exec_thread.affinity INT 0
CONFIG proxy.config.admin.user_id STRING nobody
CONFIG proxy.config.cache.ram_cache.size INT 6000000000
CONFIG proxy.config.cache.ram_cache_cutoff INT 100000000
CONFIG proxy.config.cache.enable_read_while_writer INT 1
CONFIG proxy.config.http.background_fill_active_timeout INT 0
CONFIG proxy.config.http.background_fill_completed_threshold FLOAT 0.0
CONFIG proxy.config.http.cache.open_read_retry_time INT 10
CONFIG proxy.config.http.cache.max_open_read_retries INT 400
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600
CONFIG proxy.config.http.server_ports STRING '''
    logging = '''logging:
  formats:
    - {name: common, format: '%<chi> - %<caun> [%<cqtn>] "%<cqtx>" %<pssc> %<pscl>'}
  logs:
    - {filename: access, format: common}
'''

    def start(self):
        w, s = self.work, self.setting
        shutil.copytree('/etc/trafficserver', f'{w}/etc')
        for folder in ('cache', 'run', 'log', 'data'):
            os.mkdir(f'{w}/{folder}')
        for name, text in (('records.config', f'{self.records}127.0.0.1:{self.plain}\n'), ('remap.config', f'map / {s.origin}/\n'),
                           ('logging.yaml', self.logging), ('storage.config', f'{w}/cache {s.set_mb + 1000}M\n'), ('ip_allow.yaml', 'ip_allow: [{apply: in, ip_addrs: 0/0, action: allow, methods: ALL}]\n')):
            with open(f'{w}/etc/{name}', 'w') as f:
                f.write(text)
        if os.geteuid() == 0: # it will not run as root
            subprocess.run(['chown', '-R', 'nobody', w], check=True)
        root = self.write('runroot.yaml', f'''prefix: /usr
exec_prefix: /usr
bindir: /usr/bin
sbindir: /usr/sbin
libdir: /usr/lib/trafficserver
libexecdir: /usr/lib/trafficserver/modules
includedir: /usr/include
sysconfdir: {w}/etc
datadir: {w}/data
localstatedir: {w}/run
runtimedir: {w}/run
logdir: {w}/log
cachedir: {w}/cache
''')
        return ['traffic_server', f'--run-root={root}']


PROGRAMS = {Nginx: 'nginx', NginxPlain: 'nginx', Slow: 'nginx', NginxCache: 'nginx', Lighttpd: 'lighttpd', H2o: 'h2o', Varnish: 'varnishd', VarnishAsItIs: 'varnishd', VarnishFile: 'varnishd',
            TrafficServer: 'traffic_server'}


def installed(kind):
    if kind is Lighttpd and not os.path.exists('/usr/lib/lighttpd/mod_openssl.so'):
        return False  # Debian's package lighttpd-mod-openssl
    return kind not in PROGRAMS or shutil.which(PROGRAMS[kind]) is not None


def certificate(folder):
    cert, key = os.path.join(folder, 'cert.pem'), os.path.join(folder, 'key.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', key,
                    '-out', cert], check=True, capture_output=True)
    return cert, key

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""serve/ over real sockets: statuses and fields, bodies, attacks, leaving viewers, stopping."""
import hashlib, json, os, random, re, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, time

BUILD = os.environ["RIBERA_BUILD"]
tests = failed = 0


def ok(good, name, *notes):
    global tests, failed
    tests += 1
    failed += not good
    print(("ok" if good else "not ok"), tests, "-", name, flush=True)
    if not good:
        for n in notes:
            for line in str(n).splitlines():
                print("#   " + line[:300])


class Server:
    def __init__(self, root, *args):
        self.log = os.path.join(root + ".log")
        self.p = subprocess.Popen([f"{BUILD}/t/lib/serve-test", "--root", root, "--log", self.log, *args],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = self.tls = None
        for _ in range(2 if "--tls-listen" in args else 1):
            line = self.p.stdout.readline().split()
            if len(line) != 2:
                raise SystemExit("Bail out! serve-test does not start: " + self.p.stderr.read())
            setattr(self, line[0], int(line[1]))

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        try:
            return self.p.wait(20), self.p.stderr.read()
        except subprocess.TimeoutExpired:
            self.p.kill()
            return None, self.p.stderr.read()


def connect(port, timeout=10):
    return socket.create_connection(("127.0.0.1", port), timeout)


class Reply:
    pass


def read_reply(f, head_only=False):
    r = Reply()
    line = f.readline()
    if not line:
        return None
    r.status = int(line.split()[1])
    r.fields = {}
    while True:
        line = f.readline().decode().rstrip("\r\n")
        if not line:
            break
        k, v = line.split(":", 1)
        r.fields[k.lower()] = v.strip()
    n = int(r.fields.get("content-length", 0))
    r.body = b"" if head_only or r.status in (204, 304) else f.read(n)
    return r


def ask(port, raw, head_only=False):
    with connect(port) as s:
        s.sendall(raw)
        with s.makefile("rb") as f:
            try:
                return read_reply(f, head_only)
            except ConnectionResetError:
                return None


def get(port, path, method="GET", **fields):
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n" + "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return ask(port, head.encode() + b"\r\n", method == "HEAD")


def sha(b):
    return hashlib.sha256(b).hexdigest()[:16]


def wait_for(what, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def metric(port, name):
    body = get(port, "/metrics").body.decode()
    m = re.search("^" + re.escape(name) + r" (\d+)$", body, re.M)
    return int(m.group(1)) if m else None


tmp = tempfile.mkdtemp(prefix="ribera-serve-")
root = os.path.join(tmp, "root")
os.mkdir(root)
rnd = random.Random(7)
small, big = rnd.randbytes(6000), rnd.randbytes(3_000_000)
for name, data in (("small.mpd", small), ("big.mp4", big), ("empty", b""), ("a b", b"space")):
    with open(os.path.join(root, name), "wb") as f:
        f.write(data)
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{tmp}/key.pem",
                "-out", f"{tmp}/cert.pem", "-days", "30", "-subj", "/CN=localhost"], check=True, stderr=subprocess.DEVNULL)
S = Server(root, "--tls-listen", "127.0.0.1:0", "--cert", f"{tmp}/cert.pem", "--key", f"{tmp}/key.pem")
P = S.port

# --- one request, one reply ----------------------------------------------------------
plain = get(P, "/small.mpd")
etag, modified = plain.fields["etag"], plain.fields["last-modified"]
ok(plain.status == 200 and plain.body == small and plain.fields["content-type"] == "application/dash+xml", "a whole file")
ok(all(k in plain.fields for k in ("date", "server", "accept-ranges", "cache-control", "access-control-allow-origin",
                                   "access-control-expose-headers")), "the fields of a 200", plain.fields)
ok(plain.fields["cache-status"] == "serve-test;hit", "Cache-Status names server and hit", plain.fields)
OLD, NEW = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2033 08:49:37 GMT"
table = [
    # path, fields, status, fields expected (None: absent), body
    ("/small.mpd", dict(Range="bytes=0-9"), 206, {"content-range": "bytes 0-9/6000", "etag": etag}, small[:10]),
    ("/small.mpd", dict(Range="bytes=-5"), 206, {"content-range": "bytes 5995-5999/6000"}, small[-5:]),
    ("/small.mpd", dict(Range="bytes=5990-"), 206, {"content-range": "bytes 5990-5999/6000"}, small[5990:]),
    ("/small.mpd", dict(Range="bytes=0-99999"), 206, {"content-range": "bytes 0-5999/6000"}, small),
    ("/small.mpd", dict(Range="bytes=6000-"), 416, {"content-range": "bytes */6000", "cache-control": "no-store"}, None),
    ("/small.mpd", dict(Range="bytes=-0"), 416, {"content-range": "bytes */6000"}, None),
    ("/small.mpd", dict(Range="bytes=9-1"), 200, {"content-range": None}, small),
    ("/small.mpd", dict(Range="lines=0-9"), 200, {}, small),
    ("/small.mpd", dict(Range="bytes=" + ",".join(f"{i * 100}-{i * 100}" for i in range(40))), 200, {}, small),
    ("/small.mpd", dict(Range="bytes=0-9,5-19"), 206, {"content-range": "bytes 0-19/6000"}, small[:20]),
    ("/empty", {}, 200, {"content-length": "0"}, b""),
    ("/empty", dict(Range="bytes=0-"), 416, {"content-range": "bytes */0"}, None),
    ("/big.mp4", dict(Range="bytes=1000000-1999999"), 206, {"content-range": "bytes 1000000-1999999/3000000"}, big[1000000:2000000]),
    ("/small.mpd", dict(If_None_Match=etag), 304, {"etag": etag, "content-length": None, "cache-control": plain.fields["cache-control"]}, b""),
    ("/small.mpd", dict(If_None_Match="W/" + etag), 304, {}, b""),
    ("/small.mpd", dict(If_None_Match='"x"', If_Modified_Since=NEW), 200, {}, small),
    ("/small.mpd", dict(If_Modified_Since=modified), 304, {}, b""),
    ("/small.mpd", dict(If_Modified_Since=OLD), 200, {}, small),
    ("/small.mpd", dict(If_Modified_Since="nonsense"), 200, {}, small),
    ("/small.mpd", dict(If_Match='"x"'), 412, {}, None),
    ("/small.mpd", dict(If_Match=etag), 200, {}, small),
    ("/small.mpd", dict(If_Unmodified_Since=OLD), 412, {}, None),
    ("/small.mpd", dict(If_Match='"x"', If_None_Match=etag), 412, {}, None),
    ("/small.mpd", dict(If_None_Match=etag, Range="bytes=0-1"), 304, {}, b""),
    ("/small.mpd", dict(Range="bytes=0-1", If_Range=etag), 206, {}, small[:2]),
    ("/small.mpd", dict(Range="bytes=0-1", If_Range='"x"'), 200, {}, small),
    ("/small.mpd", dict(Range="bytes=0-1", If_Range="W/" + etag), 200, {}, small),
    ("/small.mpd", dict(Range="bytes=0-1", If_Range=modified), 206, {}, small[:2]),
    ("/small.mpd", dict(Range="bytes=0-1", If_Range=OLD), 200, {}, small),
    ("/small.mpd", dict(Range="bytes=9999-", If_Range='"x"'), 200, {}, small),
    ("/small.mpd?CMCD=sid%3D%22s1%22&x=../..", {}, 200, {}, small),
    ("/a%20b", {}, 200, {}, b"space"),
    ("http://other.example/a%20b", {}, 200, {}, b"space"),
    ("/nope", {}, 404, {"cache-control": "no-store", "cache-status": "serve-test;fwd=uri-miss;detail=unknown"}, None),
    ("/moved/x", {}, 302, {"location": "/small.mpd"}, None),
    ("/fail/502", {}, 502, {"cache-control": "no-store"}, None),
    ("/fail/504", {}, 504, {}, None),
]
for path, fields, status, want, body in table:
    r = get(P, path, **fields)
    good = r is not None and r.status == status and all(r.fields.get(k) == v for k, v in want.items()) and (body is None or r.body == body)
    ok(good, f"{path[:40]} {str(fields)[:60]} -> {status}", r and (r.status, r.fields))
for fields in ({}, dict(Range="bytes=0-9")):
    r = get(P, "/big.mp4", "HEAD", **fields)
    ok(r.status == 200 and r.fields["content-length"] == "3000000" and "content-range" not in r.fields, f"HEAD {fields}", r.fields)
for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
    r = get(P, "/small.mpd", method, Content_Length=0)
    ok(r.status == 405 and r.fields.get("allow") == "GET, HEAD, OPTIONS", f"{method} -> 405", r.status)
r = get(P, "/small.mpd", "OPTIONS", Origin="http://a", Access_Control_Request_Method="GET", Access_Control_Request_Headers="range, cmcd-object")
ok(r.status == 204 and r.fields["access-control-allow-headers"] == "range, cmcd-object" and "GET" in r.fields["access-control-allow-methods"]
   and "content-length" not in r.fields, "preflight", r.fields)
r = get(P, "/big.mp4", Range="bytes=0-9,1000-1999,-10")
m = re.match("multipart/byteranges; boundary=(.+)$", r.fields.get("content-type", ""))
parts = r.body.split(b"--" + m.group(1).encode()) if m else []
ok(r.status == 206 and len(parts) == 5 and parts[2].endswith(b"\r\nContent-Range: bytes 1000-1999/3000000\r\n\r\n" + big[1000:2000] + b"\r\n")
   and parts[3].endswith(big[-10:] + b"\r\n") and parts[4] == b"--\r\n", "three ranges in one reply", r.fields)
r = get(P, "/h/echo?q=a%20b")
ok(r.status == 200 and b"q=a b" in r.body and r.fields["x-test"] == "1", "a handler sees its parameter", r.body)
r = ask(P, b"POST /h/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
ok(r.status == 200 and r.body.endswith(b"body=hello"), "a handler sees a chunked body", r.body)
with connect(P) as s:
    s.sendall(b"POST /h/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    first = s.recv(200)
    s.sendall(b"abc")
    ok(first.startswith(b"HTTP/1.1 100 ") and s.recv(2000).endswith(b"body=abc"), "100-continue", first)
r = ask(P, b"POST /h/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
ok(r.status == 413, "a body over the limit -> 413", r.status)

# --- refused before any look-up -------------------------------------------------------
attacks = {
    "..": b"/../etc/passwd", "%2e%2e": b"/%2e%2e/x", "..%2f": b"/..%2f..%2fetc", "%2f": b"/a%2fb", "//": b"//small.mpd", "/./": b"/./small.mpd",
    "%00": b"/small.mpd%00", "overlong": b"/%c0%ae%c0%ae/x", "backslash": b"/..\\x", "%5c": b"/..%5cx", "bad escape": b"/%g1", "cut escape": b"/a%",
    "raw bytes": b"/\xc3\xa9", "%0a": b"/a%0ab", "no slash": b"small.mpd", "no authority": b"http:///small.mpd", "user": b"http://a@x/small.mpd", "port alone": b"http://:80/small.mpd",
}
for name, path in attacks.items():
    r = ask(P, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    ok(r is not None and r.status == 400, f"path with {name} -> 400", r and r.status)
r = get(P, "/" + "a" * 9000)
ok(r.status == 414, "a path of 9000 -> 414", r.status)
r = get(P, "/small.mpd", X_Long="a" * 40000)
ok(r.status == 431, "40 KB of fields -> 431", r.status)
H = b"HTTP/1.1\r\nHost: x\r\n"
smuggles = {
    "CL and TE": b"POST /h/echo " + H + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": b"POST /h/echo " + H + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two CL": b"POST /h/echo " + H + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "CL list": b"POST /h/echo " + H + b"Content-Length: 1, 2\r\n\r\nab",
    "CL sign": b"POST /h/echo " + H + b"Content-Length: +1\r\n\r\na",
    "CL negative": b"POST /h/echo " + H + b"Content-Length: -1\r\n\r\na",
    "two TE": b"POST /h/echo " + H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "TE unknown": b"POST /h/echo " + H + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE in 1.0": b"POST /h/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": b"POST /h/echo " + H + b"Content-Length : 1\r\n\r\na",
    "obs-fold": b"GET /small.mpd " + H + b"X: a\r\n b\r\n\r\n",
    "fold of CL": b"POST /h/echo " + H + b"Content-Length: 1\r\n 0\r\n\r\n0123456789",
    "bare CR": b"GET /small.mpd " + H + b"X: a\rb: c\r\n\r\n",
    "NUL in a field": b"GET /small.mpd " + H + b"X: a\0b\r\n\r\n",
    "chunk size": b"POST /h/echo " + H + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    "no Host": b"GET /small.mpd HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /small.mpd " + H + b"Host: y\r\n\r\n",
    "nonsense": b"\x16\x03\x01 nonsense\r\n\r\n",
}
for name, raw in smuggles.items():
    with connect(P) as s:
        s.sendall(raw + b"GET /h/echo?q=smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        try:
            while chunk := s.recv(65536):
                got += chunk
        except OSError:
            pass
    ok(got.startswith(b"HTTP/1.1 400 ") and b"smuggled" not in got, f"{name} -> 400 and closed", got[:200])

# --- bodies ---------------------------------------------------------------------------
with connect(P) as s, s.makefile("rb") as f:
    good = True
    for i in range(20):
        a = rnd.randrange(len(big))
        b = rnd.randrange(a, len(big))
        s.sendall(f"GET /big.mp4 HTTP/1.1\r\nHost: x\r\nRange: bytes={a}-{b}\r\n\r\n".encode())
        good = good and read_reply(f).body == big[a:b + 1]
    ok(good, "20 random ranges on one connection")
with connect(P) as s, s.makefile("rb") as f:
    wants = [("/big.mp4", big), ("/small.mpd", small), ("/empty", b""), ("/grow/small.mpd", small), ("/nope", None), ("/big.mp4", big)] * 5
    sender = threading.Thread(target=s.sendall, args=(b"".join(f"GET {p} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for p, _ in wants),))
    sender.start()
    got = [read_reply(f) for _ in wants]
    sender.join()
    ok(all(w is None or g.body == w for g, (_, w) in zip(got, wants)), "30 pipelined requests")
r = ask(P, b"GET /small.mpd HTTP/1.0\r\n\r\n")
ok(r.status == 200 and r.body == small and r.fields["connection"] == "close", "HTTP/1.0", r.fields)
curl = ["curl", "-sk", "--max-time", "30"]
for how, opts, base in (("http/1.1", [], f"http://127.0.0.1:{P}"), ("h2c", ["--http2-prior-knowledge"], f"http://127.0.0.1:{P}"),
                        ("h2c upgrade declined", ["--http2"], f"http://127.0.0.1:{P}"), ("tls 1.3 h2", [], f"https://127.0.0.1:{S.tls}"),
                        ("tls 1.3 http/1.1", ["--http1.1"], f"https://127.0.0.1:{S.tls}"),
                        ("tls 1.2 h2", ["--tls-max", "1.2"], f"https://127.0.0.1:{S.tls}")):
    for path, want in (("/big.mp4", big), ("/small.mpd", small), ("/grow/big.mp4", big), ("/empty", b"")):
        out = subprocess.run(curl + opts + [base + path], stdout=subprocess.PIPE).stdout
        ok(out == want, f"{how} {path}", len(out))
    out = subprocess.run(curl + opts + ["-r", "70000-2999990", base + "/grow/big.mp4"], stdout=subprocess.PIPE).stdout
    ok(out == big[70000:2999991], f"{how} range of a growing object", len(out))
    out = subprocess.run(curl + opts + [base + "/h/big"], stdout=subprocess.PIPE).stdout
    ok(len(out) > 3 << 20 and out.startswith(b"0,2,4,"), f"{how} a handler's 3 MiB", len(out))
    p = subprocess.run(curl + opts + ["-w", "%{http_code}", "-o", "/dev/null", base + "/fail/cut"], stdout=subprocess.PIPE)
    ok(p.returncode != 0, f"{how} a failing body is cut, not ended", p.returncode)
with connect(S.tls) as s:
    ctx = ssl.create_default_context()
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    with ctx.wrap_socket(s) as t:
        session = t.session
with ctx.wrap_socket(connect(S.tls), session=session) as t:
    ok(t.session_reused, "a TLS session goes on by its ticket")


def fetch_all(n, results, i, path):
    try:
        with connect(P, 60) as s, s.makefile("rb") as f:
            good = True
            for _ in range(n):
                a = rnd.randrange(len(big) - 200000)
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes={a}-{a + 199999}\r\n\r\n".encode())
                r = read_reply(f)
                good = good and r is not None and r.body == big[a:a + 200000]
            results[i] = good
    except OSError as e:
        results[i] = e


def many(n, path):
    results = [None] * n
    threads = [threading.Thread(target=fetch_all, args=(3, results, i, path)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return [r for r in results if r is not True]


bad = many(200, "/big.mp4")
ok(not bad, "200 viewers at once", bad[:3])
bad = many(20, "/grow/big.mp4")
ok(not bad, "20 viewers of growing objects", bad[:3])

# --- viewers who leave or dawdle --------------------------------------------------------
for i in range(60):
    with connect(P) as s:
        s.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"big.mp4", b"grow/big.mp4", b"stuck/big.mp4")[i % 3])
        s.recv(rnd.choice((1, 5000, 100000)))
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
h2 = [subprocess.Popen(curl + ["--http2-prior-knowledge", "-o", "/dev/null", f"http://127.0.0.1:{P}/stuck/big.mp4"]) for _ in range(5)]
ok(wait_for(lambda: metric(P, "ribera_http_open_connections") >= 6), "h2 viewers wait for a stuck object")
for p in h2:
    p.kill()
    p.wait()
r = get(P, "/big.mp4")
ok(r.status == 200 and sha(r.body) == sha(big), "the server lives on", r.status)
get(P, "/small.mpd", CMCD_Status="bs", CMCD_Session='sid="s2"')
starved = metric(P, "ribera_http_cmcd_starved_total")
status, err = S.stop()
ok(status == 0, "SIGTERM ends it within its limit, with replies waiting", status, err)
ok(err == "", "nothing was complained about", err)
lines = [json.loads(line) for line in open(S.log)]
ok(len(lines) > 500 and all({"time", "id", "client", "path", "status", "bytes"} <= set(x) for x in lines), "the access log is JSON lines")
ok(starved == 1, "CMCD in fields is read", starved)
ok(any(x.get("session") == "s1" for x in lines), "the CMCD session is logged")

# --- limits of time and number ------------------------------------------------------------
S = Server(root, "--idle", "500ms", "--stall", "1500ms", "--max-connections", "4", "--threads", "1", "--stop", "10s")
P = S.port
with connect(P) as s:
    s.sendall(b"GET /small.mpd HT")
    start = time.monotonic()
    ok(s.recv(100) == b"" and time.monotonic() - start < 5, "a request that never ends is closed")
with connect(P) as s:
    s.sendall(b"GET /stuck/big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n")
    got = 0
    while chunk := s.recv(65536):
        got += len(chunk)
    ok(16384 <= got < 20000, "an object that is stuck is cut after the stall timeout", got)
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("127.0.0.1", P))
s.sendall(b"GET /big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
ok(wait_for(lambda: metric(P, 'ribera_http_cut_total{reason="stalled"}') >= 2), "a viewer who does not read is cut")
s.close()
ok(wait_for(lambda: metric(P, "ribera_http_open_connections") == 1), "those who left are no longer counted")
held = []
while len(held) < 4:  # an earlier connection may still be counted: then it is 503
    c = connect(P)
    c.sendall(b"GET /stuck/big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n")
    if c.recv(12) == b"HTTP/1.1 200":
        held.append(c)
    else:
        c.close()
r = get(P, "/small.mpd")
ok(r is not None and r.status == 503 and "retry-after" in r.fields, "over the limit -> 503 with Retry-After", r and r.status)
for c in held:
    c.close()
ok(wait_for(lambda: getattr(get(P, "/small.mpd"), "status", 0) == 200), "and it recovers")
second = subprocess.run([f"{BUILD}/t/lib/serve-test", "--root", root, "--listen", f"127.0.0.1:{P}"], capture_output=True, text=True)
ok(second.returncode == 1 and f'cannot listen on "127.0.0.1:{P}"' in second.stderr and "another program" in second.stderr, "a taken port is told of",
   second.stderr)
with connect(P) as s, s.makefile("rb") as f:
    s.sendall(b"GET /grow/big.mp4 HTTP/1.1\r\nHost: x\r\n\r\n")
    first = s.recv(1, socket.MSG_PEEK)
    S.p.send_signal(signal.SIGTERM)
    ok(read_reply(f).body == big, "a reply that runs at the stop is finished")
ok(S.stop()[0] == 0, "and then it ends")
for address, text in (("127.0.0.1", "no address"), ("127.0.0.1:99999", "no address"), ("192.0.2.77:0", "no network interface")):
    p = subprocess.run([f"{BUILD}/t/lib/serve-test", "--root", root, "--listen", address], capture_output=True, text=True)
    ok(p.returncode == 1 and text in p.stderr, f"--listen {address}", p.stderr)

print(f"1..{tests}")
shutil.rmtree(tmp)
sys.exit(failed > 0)

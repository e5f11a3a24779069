#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every MPD of the corpus (and of the seeds here) parses into a timeline or is
# refused with a place, in bounded time; another reader's results agree; what we
# write of a valid MPD is valid.
import json
import os
import re
import subprocess
import sys
import tempfile

DUMP = os.path.join(os.environ["RIBERA_BUILD"], "t/lib/mpd-dump")
SOURCE = os.environ["RIBERA_SOURCE"]
SHARED = os.path.join(SOURCE, "../shared")
SEEDS = os.path.join(SOURCE, "t/data/mpd")
NOW = "1767225600"  # 2026-01-01T00:00:00Z
SCHEMAS = ("ed5-amd1", "ed6-fdis2")
n_tests = 0


def report(ok, name, why=""):
    global n_tests
    n_tests += 1
    print("%s %d - %s" % ("ok" if ok else "not ok", n_tests, name))
    for line in str(why).splitlines() if not ok else []:
        print("# " + line)
    return ok


def dump(path, *options):
    return subprocess.run([DUMP, "--now", NOW, *options, path], capture_output=True, timeout=60)


def renditions(timeline):
    for period in timeline["periods"]:
        for track in period["tracks"]:
            for rendition in track["renditions"]:
                yield period, rendition


def impossible(timeline):
    """What no timeline may contain."""
    for period, r in renditions(timeline):
        last = None
        for s in r["segments"]:
            if s["url"] is None or s["duration"] < 0 or (last is not None and s["start"] < last):
                return "%s: %s behind %s" % (r["id"], s, last)
            last = s["start"] + s["duration"]
        if r["timescale"] <= 0 or not r["bases"]:
            return "%s: no timescale or no base" % r["id"]
    return None


def check_parses(path):
    name = os.path.basename(path)
    p = dump(path)
    text = p.stderr.decode(errors="replace")
    if p.returncode == 0:
        return report(impossible(json.loads(p.stdout)) is None, name, impossible(json.loads(p.stdout)))
    located = re.search(r":\d+:\d+: |\(line \d+\)|no Period|is empty", text)
    return report(p.returncode == 1 and located is not None and p.stdout == b"", name + " (refused)",
                  "exit %d: %s" % (p.returncode, text))


def agrees(theirs, r, period):
    ours = r["segments"]
    if not ours:
        return "no segments, the other reader has %d" % theirs["n"]
    for key, s in (("first", ours[0]), ("last", ours[min(len(ours), theirs["n"]) - 1])):
        if key == "last" and len(ours) < theirs["n"]:
            continue
        if theirs[key]["u"] != s["url"]:
            return "%s is %s, the other reader has %s" % (key, s["url"], theirs[key]["u"])
        if abs(theirs[key]["d"] - s["duration"] / r["timescale"]) > 0.001:
            return "%s lasts %s" % (key, s["duration"] / r["timescale"])
    if theirs["first"].get("map") != r["init_url"]:
        return "initialisation %s" % r["init_url"]
    if len(ours) != theirs["n"]:
        # We leave out what starts behind the Period's end.
        end = (ours[-1]["start"] + ours[-1]["duration"]) / r["timescale"]
        if period["duration"] < 0 or len(ours) > theirs["n"] or end < period["duration"] / 1e6:
            return "%d segments, the other reader has %d" % (len(ours), theirs["n"])
    return None


def check_agrees(path, expected):
    timeline = json.loads(dump(path).stdout)
    by_id = {}
    for period, r in renditions(timeline):
        by_id.setdefault(r["id"], []).append((period, r))
    base = {b[0].split("/")[2] for _, r in renditions(timeline) for b in r["bases"][:1]}
    seen = 0
    for theirs in expected["playlists"]:
        # It lists every alternative base and every Period on its own; we compare the first base of single Periods.
        ours = by_id.get(theirs["id"], [])
        if len(ours) != 1 or "first" not in theirs or theirs["first"]["u"].split("/")[2] not in base:
            continue
        if ours[0][1]["needs_index"]:
            continue
        seen += 1
        why = agrees(theirs, ours[0][1], ours[0][0])
        if why is not None:
            return report(False, "agrees: " + os.path.basename(path), "%s: %s" % (theirs["id"], why))
    if seen:
        report(True, "agrees: %s (%d renditions)" % (os.path.basename(path), seen))
    return seen > 0


def valid(paths, schema):
    """Those of the files that the schema finds valid, and what xmllint says."""
    env = dict(os.environ, XML_CATALOG_FILES=os.path.join(SHARED, "xsd/catalog.xml"))
    xsd = os.path.join(SHARED, "xsd", schema, "DASH-MPD.xsd")
    if not os.path.exists(xsd):
        return None, ""
    p = subprocess.run(["xmllint", "--nonet", "--noout", "--schema", xsd, *paths], capture_output=True, env=env)
    text = p.stderr.decode(errors="replace")
    return {path for path in paths if path + " validates\n" in text}, text


def check_written(paths, folder):
    """What we write of a file says the same, and is valid when the file was."""
    written = {path: os.path.join(folder, "%d.mpd" % i) for i, path in enumerate(paths)}
    for path, out in written.items():
        with open(out, "wb") as f:
            f.write(dump(path, "--write").stdout)
        a, b = dump(path), dump(out)
        report(a.returncode == b.returncode and a.stdout == b.stdout, "same as written: " + os.path.basename(path),
               b.stderr.decode(errors="replace"))
    for schema in SCHEMAS:
        before, _ = valid(paths, schema)
        if before is None:
            print("# ISO's schema is not beside the checkout: held to the seeds' own expectations only")
            continue
        after, text = valid(list(written.values()), schema)
        worse = [path for path in before if written[path] not in after]
        why = "\n".join("%s became invalid:\n%s" % (path, "\n".join(
            line for line in text.splitlines() if line.startswith(written[path] + ":"))) for path in worse)
        report(not worse and before, "%d MPDs valid against %s are valid as written" % (len(before), schema), why)


def corpus():
    folder = os.path.join(SHARED, "mpd")
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if not n.endswith(".tsv")]


def main():
    seeds = [os.path.join(SEEDS, n) for n in sorted(os.listdir(SEEDS))]
    files = corpus()
    for path in seeds + files:
        check_parses(path)
    if not files:
        print("# the corpus (../shared/mpd) is not here: only the seeds of t/data/mpd were read")
    agreed = 0
    for path in files:
        expected = os.path.join(SHARED, "mpd-expected", os.path.basename(path) + ".json")
        if os.path.exists(expected) and dump(path).returncode == 0:
            with open(expected) as f:
                agreed += check_agrees(path, json.load(f))
    if os.path.isdir(os.path.join(SHARED, "mpd-expected")):
        report(agreed >= 6, "another reader's results were compared", "only %d" % agreed)
    with tempfile.TemporaryDirectory() as folder:
        check_written([path for path in seeds + files if dump(path, "--write").returncode == 0], folder)
    print("1..%d" % n_tests)


main()

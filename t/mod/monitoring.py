#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules and dashboard speak of metrics that the programs have; the rules fire on what they are for."""
import json, os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import tap
from lab import Edge, Lab, Package
from origins import Origin

ETC = os.path.join(tap.SOURCE, 'etc')
RULES = os.path.join(ETC, 'prometheus', 'ribera-alerts.yaml')


TEXTS = {}  # of origin and edge, as Prometheus text and as OpenMetrics


def shown():
    """Every series that an origin and an edge show: name -> set of label pairs."""
    found = {}
    film = Package('film')
    origin, edge = Origin(), Edge(Lab(film))
    edge.wait_filled(film)
    edge.check_all(film)
    origin.get('/api/v1/titles')
    for name, port in (('origin', origin.ports['viewers']), ('edge', edge.port)):
        for kind, accept in (('text', '*/*'), ('open', 'application/openmetrics-text')):
            TEXTS[name, kind] = tap.http(f'http://127.0.0.1:{port}/metrics', headers={'Accept': accept}).body.decode()
    folder = tap.folder()
    watch = tap.Process(tap.program('ribera-ingest'), '--watch', folder, '--library', folder + '/library', '--metrics', folder + '/metrics.prom')
    tap.until(lambda: os.path.exists(folder + '/metrics.prom'), 20, watch.text)
    watch.stop()
    with open(folder + '/metrics.prom') as f:
        TEXTS['ingest', 'text'] = f.read()
    for line in (TEXTS['origin', 'text'] + TEXTS['edge', 'text'] + TEXTS['ingest', 'text']).splitlines():
        m = re.match(r'((?:ribera|process)_\w+)(?:\{(.*)\})? ', line)
        if m:
            found.setdefault(m[1], set()).update(re.findall(r'(\w+)="([^"]*)"', m[2] or ''))
    return found


SHOWN = shown()


def used(text):
    return re.findall(r'\b((?:ribera|process)_\w+)(?:\{([^}]*)\})?', text)


def unknown(text):
    bad = []
    for name, labels in used(text):
        if name not in SHOWN:
            bad.append(name)
            continue
        for key, op, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', labels):
            if op != '=~' and key != 'job' and (key, value) not in SHOWN[name]:
                bad.append(f'{name}{{{key}="{value}"}}')
    return bad


@tap.test
def every_metric_of_the_alerts_exists():
    with open(RULES) as f:
        text = f.read()
    tap.check(len(used(text)) > 10, 'no metrics found in the rules')
    tap.equal(unknown(text), [])


@tap.test
def every_metric_of_the_dashboard_exists():
    with open(os.path.join(ETC, 'grafana', 'ribera.json')) as f:
        panels = json.load(f)['panels']
    expressions = '\n'.join(t['expr'] for p in panels for t in p['targets'])
    tap.check(len(used(expressions)) > 10, 'no metrics found in the dashboard')
    tap.equal(unknown(expressions), [])


@tap.test
def every_alert_has_a_place_in_the_manual():
    with open(RULES) as f:
        alerts = re.findall(r'- alert: (\w+)', f.read())
    with open(os.path.join(tap.SOURCE, 'doc', 'OPERATIONS.md')) as f:
        manual = f.read()
    tap.equal([a for a in alerts if a not in manual], [])


@tap.test
def every_metric_has_its_place_in_the_manual_and_no_other():
    families = {m[1] for text in (TEXTS[p, 'text'] for p in ('origin', 'edge', 'ingest')) for m in re.finditer(r'^# TYPE (\w+) ', text, re.M)}
    with open(os.path.join(tap.SOURCE, 'doc', 'man', 'ribera-metrics.7')) as f:
        page = set(re.findall(r'^\.B ((?:ribera|process)_\w*[a-z])$', f.read(), re.M))
    tap.equal(sorted(n for n in families if not n.startswith('ribera_control_')), sorted(page))
    tap.equal(sorted(n.replace('control', 'http', 1) for n in families if n.startswith('ribera_control_')), sorted(n for n in page if n.startswith('ribera_http_')))
    with open(os.path.join(tap.SOURCE, 'doc', 'OPERATIONS.md')) as f:
        told = set(re.findall(r'`((?:ribera|process)_[a-z_]+)`', f.read()))
    tap.check(len(told) > 25, 'no metrics found in OPERATIONS')
    tap.equal(sorted(n for n in told if n not in SHOWN and n not in families), [])


def samples(text):
    """(family, kind, sample, labels, value), after the grammar: families one after the other, each with its TYPE before its samples."""
    kinds, now = {}, None
    for line in text.split('\n')[:-1]:
        m = re.fullmatch(r'# (TYPE|HELP) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)', line)
        if m and m[1] == 'TYPE':
            tap.check(m[2] not in kinds, f'{m[2]} comes twice')
            now, kinds[m[2]] = m[2], m[3]
        elif line != '# EOF' and not m:
            m = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+]+)', line)
            tap.check(m and now and m[1].startswith(now), f'not a sample of {now}: {line!r}')
            yield now, kinds[now], m[1], m[2] or '', float(m[3])


@tap.test
def both_formats_keep_to_their_grammar():
    tap.need('promtool', 'prometheus')
    for (program, kind), text in TEXTS.items():
        seen, buckets = set(), {}
        for family, what, name, labels, value in samples(text):
            tap.check((name, labels) not in seen, f'{program}: {name}{{{labels}}} comes twice')
            seen.add((name, labels))
            endings = {'counter': ['_total'] if kind == 'open' else [''], 'gauge': [''], 'histogram': ['_bucket', '_sum', '_count']}[what]
            tap.check(name[len(family):] in endings, f'{program}: {name} is no sample of the {what} {family}')
            tap.check(what != 'counter' or (value >= 0 and name.endswith('_total')), f'{name}: a counter that is {value}')
            if what == 'histogram':
                buckets.setdefault((family, re.sub(r',?le="[^"]*"', '', labels)), []).append((name[len(family):], labels, value))
        for key, rows in buckets.items():
            counts = [v for ending, _, v in rows if ending == '_bucket']
            tap.check(counts == sorted(counts) and 'le="+Inf"' in rows[len(counts) - 1][1], f'{key}: buckets')
            tap.equal(counts[-1], next(v for ending, _, v in rows if ending == '_count'), f'{key}: the count')
        tap.equal(text.count('# EOF'), 1 if kind == 'open' else 0, f'{program}: the end')
        if kind == 'text':
            tap.equal(subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, text=True).stderr, '', f'promtool about {program}')


ANOTHER = """import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
families = list(parse(sys.stdin.read()))
for f in families:
    print(f.name, f.type, len(f.samples))
"""


@tap.test
def another_reader_of_openmetrics_agrees():
    """Debian's python3-prometheus-client, whose parser holds every rule of OpenMetrics 1.0 that it knows."""
    for program in ('origin', 'edge'):
        text = TEXTS[program, 'open']
        r = subprocess.run(['/usr/bin/python3', '-c', ANOTHER], input=text, capture_output=True, text=True)
        tap.equal(r.returncode, 0, f'{program}: {r.stderr[-500:]} (No module named prometheus_client? apt-get install python3-prometheus-client)')
        read = {line.split()[0]: line.split()[1:] for line in r.stdout.splitlines()}
        ours = {}
        for family, kind, *_ in samples(text):
            ours.setdefault(family, [kind, 0])[1] += 1
        tap.equal({k: [v[0], int(v[1])] for k, v in read.items() if int(v[1])}, ours, program)
        wrong = text.replace('# EOF\n', '')
        tap.check(subprocess.run(['/usr/bin/python3', '-c', ANOTHER], input=wrong, capture_output=True, text=True).returncode != 0, 'it reads all')


@tap.test
def every_alert_has_a_test():
    with open(RULES) as f, open(os.path.join(ETC, 'prometheus', 'ribera-alerts-test.yaml')) as g:
        tap.equal(sorted(re.findall(r'- alert: (\w+)', f.read())), sorted(re.findall(r'alertname: (\w+)', g.read())))


@tap.test
def the_rules_fire_on_what_they_are_for():
    tap.need('promtool', 'prometheus')
    tap.call('promtool', 'check', 'rules', RULES, check_exit=0)
    tap.call('promtool', 'test', 'rules', os.path.join(ETC, 'prometheus', 'ribera-alerts-test.yaml'), check_exit=0)


tap.run()

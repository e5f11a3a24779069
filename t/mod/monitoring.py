#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules and dashboard speak of metrics that the programs have; the rules fire on what they are for."""
import json, os, re, sys
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import tap
from lab import Edge, Lab, Package
from origins import Origin

ETC = os.path.join(tap.SOURCE, 'etc')
RULES = os.path.join(ETC, 'prometheus', 'ribera-alerts.yaml')


def shown():
    """Every series that an origin and an edge show: name -> set of label pairs."""
    found = {}
    film = Package('film')
    origin, edge = Origin(), Edge(Lab(film))
    edge.wait_filled(film)
    edge.check_all(film)
    texts = [tap.http(f'http://127.0.0.1:{p}/metrics').body.decode() for p in (origin.ports['viewers'], edge.port)]
    for line in '\n'.join(texts).splitlines():
        m = re.match(r'(ribera_\w+)(?:\{(.*)\})? ', line)
        if m:
            found.setdefault(m[1], set()).update(re.findall(r'(\w+)="([^"]*)"', m[2] or ''))
    return found


SHOWN = shown()


def used(text):
    return re.findall(r'(ribera_\w+)(?:\{([^}]*)\})?', text)


def unknown(text):
    bad = []
    for name, labels in used(text):
        if name not in SHOWN:
            bad.append(name)
            continue
        for key, op, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', labels):
            if op != '=~' and (key, value) not in SHOWN[name]:
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
def the_rules_fire_on_what_they_are_for():
    tap.need('promtool', 'prometheus')
    tap.call('promtool', 'check', 'rules', RULES, check_exit=0)
    tap.call('promtool', 'test', 'rules', os.path.join(ETC, 'prometheus', 'ribera-alerts-test.yaml'), check_exit=0)


tap.run()

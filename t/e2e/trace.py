#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request through player, edge and origin: its id stands in all three logs (W3C Trace Context)."""
import json, os, re, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, lab, origins, tap
from rawhttp import get

TRACE, SPAN = '4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'
GOOD = f'00-{TRACE}-{SPAN}-01'
LIBRARY, REVISION, FOLDER = film.library(film.generated(6, '320x180', '25'), 'film', '--max-rungs', '1', '--ladder', 'fixed')
LOGS = {n: os.path.join(tap.folder(), n + '.log') for n in ('origin', 'edge')}
VIDEO = next(n for n in sorted(os.listdir(FOLDER)) if n.startswith('video') and n.endswith('.mp4'))
origin = origins.Origin(LIBRARY, ('--access-log', LOGS['origin']))


class Source:
    """What lab.Edge wants to know of its origin."""
    url = f'http://127.0.0.1:{origin.ports["control"]}'


edge = lab.Edge(Source, '--window-duration', '0s', '--access-log', LOGS['edge'])
PORT = int(edge.url.rsplit(':', 1)[1])
PATH = f'/v/film/{REVISION}/{VIDEO}'
tap.until(lambda: get(PORT, '/v/film/manifest.mpd').status == 200, 30, 'the title on the edge')


def lines(name, **want):
    """Lines of an access log with these members, once there are some."""
    def found():
        with open(LOGS[name]) as f:
            rows = [json.loads(t) for t in f.read().split('\n')[:-1]]
        return [r for r in rows if all(r.get(k) == v for k, v in want.items())]
    return tap.until(found, 10, f'{want} in the log of the {name}')


@tap.test
def a_miss_is_one_trace_through_edge_and_origin():
    r = get(PORT, PATH, Range='bytes=0-99', traceparent=GOOD, tracestate='vendor=1', X_Request_Id='call-7')
    tap.equal((r.status, r.fields['x-request-id']), (206, 'call-7'))
    at_edge = lines('edge', trace=TRACE)[0]
    tap.equal((at_edge['parent'], at_edge['request']), (SPAN, 'call-7'))
    for row in lines('origin', trace=TRACE):
        tap.equal((row['parent'], row['request'], row['path']), (at_edge['id'], 'call-7', PATH))


@tap.test
def what_is_no_traceparent_is_replaced():
    ids = []
    for bad in ('', 'x', GOOD + '-x', GOOD.upper(), f'00-{"0" * 32}-{SPAN}-01', f'ff-{TRACE}-{SPAN}-01'):
        r = get(PORT, PATH, Range='bytes=0-9', traceparent=bad)
        tap.check(re.fullmatch('[0-9a-f]{32}', r.fields['x-request-id']) and r.fields['x-request-id'] != TRACE, r.fields['x-request-id'])
        ids.append(r.fields['x-request-id'])
    for i in reversed(ids):
        tap.check('parent' not in lines('edge', trace=i)[0])
    for bad in ('a b', '"', 'x' * 65):
        tap.check(re.fullmatch('[0-9a-f]{32}', get(PORT, PATH, Range='bytes=0-9', X_Request_Id=bad).fields['x-request-id']))


@tap.test
def every_answer_has_an_id_that_its_log_line_has():
    for port, name, path in ((PORT, 'edge', '/v/nothing/x'), (PORT, 'edge', '/healthz'), (origin.ports['viewers'], 'origin', '/api/v1/titles')):
        r = get(port, path, traceparent=f'00-{TRACE[::-1]}-{SPAN}-00')
        tap.equal(r.fields['x-request-id'], TRACE[::-1], path)
    lines('edge', trace=TRACE[::-1], path='/healthz')
    lines('origin', trace=TRACE[::-1], path='/api/v1/titles')


@tap.test
def a_player_s_segment_is_found_in_all_three_logs():
    report = os.path.join(tap.folder(), 'report.json')
    fresh = lab.Edge(Source, '--window-duration', '0s', '--access-log', LOGS['edge'], name='edge-q')
    tap.until(lambda: get(int(fresh.url.rsplit(':', 1)[1]), '/v/film/manifest.mpd').status == 200, 30, 'the title on the other edge')
    p = subprocess.run([tap.program('ribera-player'), f'{fresh.url}/v/film/manifest.mpd', '--output', 'null', '--speed', 'max', '--report', report,
                        '--log-level', 'debug'], capture_output=True, text=True, timeout=120)
    tap.equal(p.returncode, 0, p.stderr[-500:])
    said = dict(re.findall('ask .* trace=([0-9a-f]{32}) id=([0-9a-f]{16})', p.stderr))
    with open(report) as f:
        segments = [s for s in json.load(f)['segments'] if not s['skipped']]
    tap.check(segments and len({s['trace'] for s in segments}) == len(segments), 'a trace a segment')
    for s in segments:
        at = 'origin' if s['service_location'] == 'origin' else 'edge'
        tap.equal(lines(at, trace=s['trace'])[0]['parent'], said[s['trace']])

    def everywhere():
        texts = [open(path).read() for path in LOGS.values()]
        return [t for t in said if all(f'"trace":"{t}"' in text for text in texts)]
    tap.until(everywhere, 10, 'a request that the player, the edge and the origin logged under one id')


tap.run()

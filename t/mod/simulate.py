#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-player --simulate: the figures of an independent simulator on lines made here, and clear words about wrong input."""
import json, os, random, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import tap

PLAYER = tap.program('ribera-player')
RATES = [300, 800, 1500, 3000, 6000]
# line, model, rule: QoE, kbit/s, stall ratio, switches, start-up; the first three rules by the simulator that t/bench/abr
# --check is about, RobustMPC by this one, which that command holds against the other's on hundreds of lines
WANT = {('slow', 'std', 'rate'): (0.6458, 696.67, 0, 5, 0.4676), ('slow', 'std', 'bola-e'): (0.6034, 655.0, 0, 5, 0.4676),
        ('slow', 'std', 'dynamic'): (-0.8072, 601.67, 0.06899, 5, 0.4676), ('slow', 'std', 'robustmpc'): (0.2000, 805.0, 0.02474, 10, 0.4676),
        ('slow', 'pensieve', 'rate'): (0.7077, 757.5, 0, 3, 1.0883), ('slow', 'pensieve', 'bola-e'): (0.6821, 732.5, 0, 2, 1.0883),
        ('slow', 'pensieve', 'dynamic'): (0.6769, 727.5, 0, 3, 1.0883), ('slow', 'pensieve', 'robustmpc'): (0.8077, 922.5, 0, 6, 1.0883),
        ('wild', 'std', 'rate'): (1.4542, 1505.0, 0, 3, 0.5387), ('wild', 'std', 'bola-e'): (1.4797, 1480.0, 0, 1, 0.5387),
        ('wild', 'std', 'dynamic'): (1.3702, 1436.67, 0.00005, 6, 0.5387), ('wild', 'std', 'robustmpc'): (1.9881, 2230.0, 0, 9, 0.5387),
        ('wild', 'pensieve', 'rate'): (1.4436, 1520.0, 0, 3, 1.1803), ('wild', 'pensieve', 'bola-e'): (1.4821, 1482.5, 0, 1, 1.1803),
        ('wild', 'pensieve', 'dynamic'): (1.4103, 1447.5, 0, 3, 1.1803), ('wild', 'pensieve', 'robustmpc'): (2.0436, 2402.5, 0, 9, 1.1803)}
BEST = {line: max(v[0] for k, v in WANT.items() if k[:2] == (line, 'std')) for line in ('slow', 'wild')}
_made = {}


def write(name, text):
    path = os.path.join(tap.folder(), name)
    with open(path, 'w') as f:
        f.write(text)
    return path


def material(line):
    """A line and a ladder, the same every time; 'slow' sinks and stops now and then, 'wild' swings about 2.5 Mbit/s."""
    if line in _made:
        return _made[line]
    rnd, kbps, rows = random.Random(8), 3000.0, []
    for i in range(200):
        if line == 'slow':
            kbps = min(9000.0, max(200.0, kbps * (0.6 + 0.85 * rnd.random())))
        else:
            kbps = (kbps * 2500) ** 0.5 * (0.5 + 1.1 * rnd.random())
        rows.append(f'{1 + i % 3},{0 if i % 50 == 30 else round(kbps)},{20 + i % 7 * 10}\n')
    sizes = [[round(r * 3 * 125 * (0.7 + 0.6 * rnd.random())) for r in RATES] for _ in range(40)]
    ladder = dict(segment_duration_ms=3000, bitrates_kbps=RATES, segment_sizes_bytes=sizes)
    _made[line] = (write(line + '.csv', 'duration_s,throughput_kbps,latency_ms\n' + ''.join(rows)), write(line + '.json', json.dumps(ladder)))
    return _made[line]


def simulate(trace, ladder, *options, want=0):
    done = subprocess.run([PLAYER, '--simulate', trace, '--sizes', ladder, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    tap.equal(done.returncode, want, done.stderr)
    return [json.loads(x) for x in done.stdout.splitlines()] if want == 0 else done.stderr


@tap.test
def published_rules_have_the_figures_of_the_other_simulator():
    for (line, model, rule), want in WANT.items():
        r, = simulate(*material(line), '--abr', rule, '--model', model, *(['--duration', '180s'] if model == 'std' else []))
        got = [r[k] for k in ('qoe', 'bitrate_kbps', 'rebuf_ratio', 'switches', 'startup_s')]
        for g, w in zip(got, want):
            tap.check(abs(g - w) <= 0.01 * abs(w) + 1e-5, f'{line} {model} {rule}: got {got}, want {want}')
        tap.equal(r['segments'], 60 if model == 'std' else 40)


@tap.test
def the_players_own_rule_is_as_good_on_a_line_it_never_saw():
    r, = simulate(*material('wild'), '--duration', '180s')
    tap.equal(r['abr'], 'ribera')
    tap.check(r['qoe'] >= BEST['wild'], f"QoE {r['qoe']}, the best published {BEST['wild']}")


@tap.test
def several_lines_are_told_in_their_order():
    a, ladder = material('slow')
    b, _ = material('wild')
    both = simulate(a, ladder, '--abr', 'rate', b)
    tap.equal([x['trace'] for x in both], [a, b])
    tap.equal(both[1]['qoe'], simulate(b, ladder, '--abr', 'rate')[0]['qoe'])


@tap.test
def a_steady_line_is_used_and_three_dead_seconds_are_no_long_stall():
    sizes = [[r * 375 for r in RATES]] * 30
    ladder = write('flat.json', json.dumps(dict(segment_duration_ms=3000, bitrates_kbps=RATES, segment_sizes_bytes=sizes)))
    r, = simulate(write('flat.csv', 'h\n10,5000,20\n'), ladder)
    tap.equal((r['stalls'], r['stall_s']), (0, 0))
    tap.check(2500 < r['bitrate_kbps'] < 5000, r['bitrate_kbps'])
    tap.equal(r['startup_s'], 0.2, 'start-up: 20 ms and 112500 bytes')
    r, = simulate(write('hole.csv', 'h\n15,5000,20\n3,0,20\n15,5000,20\n'), ladder)
    tap.check(r['stall_s'] < 1, f"stalled for {r['stall_s']} s")


@tap.test
def wrong_input_is_said():
    trace, ladder = material('slow')
    for text, words in (('h\n', 'no byte'), ('h\n1,0,5\n', 'no byte'), ('h\n1,2\n', 'dead.csv:2'), ('h\n1,-5,2\n', 'dead.csv:2'), ('h\n1,nan,2\n', 'dead.csv:2'),
                        ('', 'no byte')):
        tap.has(simulate(write('dead.csv', text), ladder, want=1), words, repr(text))
    for text in ('', '[]', '{"segment_duration_ms": 0}', '{"segment_duration_ms": 2000, "bitrates_kbps": [2, 1]}',
                 '{"segment_duration_ms": 2000, "bitrates_kbps": [100, 200], "segment_sizes_bytes": [[1]]}',
                 '{"segment_duration_ms": 2000, "bitrates_kbps": [100], "segment_sizes_bytes": []}'):
        tap.has(simulate(trace, write('bad.json', text), want=1), 'bad.json', text)
    tap.has(simulate('/nowhere.csv', ladder, want=1), '/nowhere.csv')
    tap.has(simulate(trace, ladder, '--model', 'clay', want=2), '--model')
    tap.has(simulate(trace, ladder, '--abr', 'magic', want=2), '--abr')
    done = tap.call(PLAYER, '--simulate', trace)
    tap.equal(done.returncode, 2)
    tap.has(done.stderr, '--sizes')


tap.run()

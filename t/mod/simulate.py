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


def serve(lines):
    return subprocess.run([PLAYER, '--abr-serve'], input=lines, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


@tap.test
def published_rules_have_the_figures_of_the_other_simulator():
    for (line, model, rule), want in WANT.items():
        r, = simulate(*material(line), '--abr', rule, '--model', model, *(['--duration', '180s'] if model == 'std' else []))
        got = [r[k] for k in ('qoe', 'bitrate_kbps', 'rebuf_ratio', 'switches', 'startup_s')]
        for g, w in zip(got, want):
            tap.check(abs(g - w) <= 0.01 * abs(w) + 1e-5, f'{line} {model} {rule}: got {got}, want {want}')
        tap.equal(r['segments'], 60 if model == 'std' else 40)


if os.path.isdir(os.path.join(tap.SHARED, 'net-traces')):
    @tap.test
    def and_on_a_thousand_recorded_lines():
        done = tap.call(os.path.join(tap.SOURCE, 't/bench/abr'), '--data', tap.SHARED, '--check', timeout=600)
        tap.equal(done.returncode, 0, done.stdout + done.stderr)


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
def over_tcp_a_line_is_full_once_the_window_is():
    sizes = [[r * 375 for r in RATES]] * 30  # the first body: 78 packets
    ladder = write('flat.json', json.dumps(dict(segment_duration_ms=3000, bitrates_kbps=RATES, segment_sizes_bytes=sizes)))
    r, = simulate(write('slow.csv', 'h\n10,1500,40\n'), ladder, '--model', 'tcp')
    tap.check(abs(r['startup_s'] - 0.64) < 0.001, f"a round trip and 112500 bytes at 1500 kbit/s: {r['startup_s']} s")
    r, = simulate(write('fast.csv', 'h\n10,1000000,100\n'), ladder, '--model', 'tcp')
    tap.check(0.4 <= r['startup_s'] < 0.402, f"windows of 10, 20, 40 and the rest, a round trip each: {r['startup_s']} s")


@tap.test
def over_tcp_what_a_server_has_sent_comes_before_what_is_asked_anew():
    sizes = [[r * 375 for r in RATES]] * 15
    ladder = write('short.json', json.dumps(dict(segment_duration_ms=3000, bitrates_kbps=RATES, segment_sizes_bytes=sizes)))
    trace = write('falls.csv', 'h\n25,6000,50\n60,250,50\n')
    std, tcp = (simulate(trace, ladder, '--model', model)[0] for model in ('std', 'tcp'))
    tap.check(std['abandoned'] > 0 and tcp['abandoned'] > 0, f'{std} {tcp}')
    tap.check(tcp['stall_s'] > std['stall_s'] + 2, f'up to 200 kB at 250 kbit/s come first: stalled {std["stall_s"]} s without, {tcp["stall_s"]} s with')


@tap.test
def odd_ladders_and_odd_lines_are_played_to_the_end():
    rnd = random.Random(3)
    lines = {'zeros': '1,0,20\n5,3000,20\n0.5,0,20\n' * 20, 'a long outage': '30,4000,20\n1800,0,20\n60,4000,20\n', 'huge': '10,1000000000,0\n', 'a trickle': '100,5,900\n',
             'short rows': '0.001,9000,1\n0.001,0,1\n' * 500, 'one row': '0.2,2500,50\n'}
    traces = [write(f'line{i}.csv', 'h\n' + text) for i, text in enumerate(lines.values())]
    for rates in ([800], [300, 6000], [100 + 150 * i for i in range(20)], [100 * 1.1 ** i for i in range(64)], [500] * 4):
        sizes = [[max(1, round(r * 250 * 4 ** rnd.uniform(-1, 1))) for r in rates] for _ in range(30)]  # larger rungs may be smaller
        ladder = write('odd.json', json.dumps(dict(segment_duration_ms=2000, bitrates_kbps=rates, segment_sizes_bytes=sizes)))
        for r, name in zip(simulate(traces[0], ladder, '--model', 'tcp', *traces[1:]), lines):
            tap.check(r['segments'] == 30 and all(abs(r[k]) < 1e9 for k in ('qoe', 'stall_s')) and (name != 'huge' or r['stall_s'] < 0.1), f'{len(rates)} rungs over TCP, {name}: {r}')
        for rule in ('ribera', 'rate', 'bola-e', 'dynamic') + (('robustmpc',) if len(rates) < 64 else ()):
            for r, name in zip(simulate(traces[0], ladder, '--abr', rule, *traces[1:]), lines):
                tap.check(r['segments'] == 30 and all(abs(r[k]) < 1e9 for k in ('qoe', 'stall_s', 'bitrate_kbps')) and 0 <= r['rebuf_ratio'] < 1, f'{len(rates)} rungs, {name}: {r}')
                if name == 'huge':
                    tap.check(r['stall_s'] < 0.1 and r['bitrate_kbps'] > 0.5 * rates[-1], f'{len(rates)} rungs, {rule}: {r}')
                if name == 'a long outage' and rule == 'ribera' and len(rates) > 1:
                    tap.check(r['stall_s'] < 1800, f'{r}')


@tap.test
def a_line_that_stands_still_for_years_ends():
    trace = write('years.csv', 'h\n1000000000,0.000000001,1\n1,1000000000,1\n')
    ladder = write('years.json', json.dumps(dict(segment_duration_ms=4000, bitrates_kbps=[300, 1000, 3000], segment_sizes_bytes=[[150_000, 500_000, 1_500_000]] * 20)))
    for model in ('std', 'tcp', 'pensieve'):
        for rule in ('ribera', 'rate', 'bola-e', 'dynamic', 'robustmpc'):
            r, = simulate(trace, ladder, '--model', model, '--abr', rule)
            tap.check(r['segments'] == 20 and r['stall_s'] >= 0, f'{model} {rule}: {r}')


@tap.test
def a_peer_that_talks_nonsense_is_told_where():
    hello = 'V 2 3 2000 25000\nB 300 800\n' + ''.join(f'S {i} 75000 200000\n' for i in range(3)) + 'G\n'
    for bad in ('', 'X 1\n', 'V\n', 'V 0 3 2000 25000\n', 'V 65 3 2000 25000\n', 'V 2 1e9 2000 25000\n', 'V 2 3 -1 25000\n', 'V 2 3 nan 25000\n', 'G\n', 'R 0 0 1 1 1\n', 'D 0 0 0 0\n', 'V ' + '9' * 100000 + '\n',
                'V 2 3 2000 25000\nB 300\n', 'V 2 3 2000 25000\nB 800 300\n', 'V 2 3 2000 25000\nB 0 1e300\n', 'V 2 3 2000 25000\nS 3 1 1\n', 'V 2 3 2000 25000\nS -1 1 1\n', 'V 2 3 2000 25000\nS 0 1e12 1\n',
                *(hello + x for x in ('R 0 2 1 1 1\n', 'R 0 -1 1 1 1\n', 'R 0 0 1e30 1 1\n', 'R 0 0 -5 1 1\n', 'D 0 2 0 0\n', 'D -1 0 0 0\n', 'D 1 0 -3 0\n', 'D 1 0 1e300 0\n', 'P 1 1 5 9 1 1 1\n', 'P 1 1 9 5 1 1\n', '\0\0\n', '\n'))):
        done = serve(bad)
        if bad:
            tap.equal(done.returncode, 1, f'{bad[-60:]!r}: {done.stderr}')
            tap.has(done.stderr, f'standard input:{bad.count(chr(10))}:', bad[-60:])
        else:
            tap.equal(done.returncode, 0)
    done = serve(hello + 'R 0 0 75000 0 0 -1\nD 1 0 0 0\nR 1 0 0 0 0 -1\nD 99 1 4e9 4e9\nP 1 1 200000 100 4e9 0 0\n')
    tap.equal(done.returncode, 0, done.stderr)
    tap.check(all(float(x) >= -1 for x in done.stdout.split()), done.stdout)


@tap.test
def wrong_input_is_said():
    trace, ladder = material('slow')
    for text, words in (('h\n', 'no byte'), ('h\n1,0,5\n', 'no byte'), ('h\n1,2\n', 'dead.csv:2'), ('h\n1,-5,2\n', 'dead.csv:2'), ('h\n1,nan,2\n', 'dead.csv:2'),
                        ('', 'no byte'), ('h\n1;2;3\n', 'dead.csv:2'), ('h\n1,1e300,3\n', 'dead.csv:2'), ('\0\1\2\n\xff\n', 'dead.csv: has bytes')):
        tap.has(simulate(write('dead.csv', text), ladder, want=1), words, repr(text))
    for text in ('', '[]', 'null', '{', '[' * 100000, '{"segment_duration_ms": "2000"}', '{"segment_duration_ms": 2000, "bitrates_kbps": [100], "segment_sizes_bytes": [[-1]]}',
                 '{"segment_duration_ms": 2000, "bitrates_kbps": [100, "x"], "segment_sizes_bytes": [[1, 2]]}', '{"segment_duration_ms": 2000, "bitrates_kbps": ' + str(list(range(1, 66))) + '}',
                 '{"segment_duration_ms": 0}', '{"segment_duration_ms": 2000, "bitrates_kbps": [2, 1]}',
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

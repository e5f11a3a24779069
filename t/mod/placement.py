#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-admin placement and simulate: the protocol is kept, the rule beats pulling, errors are told."""
import json, os, random, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
import tap

ADMIN = os.path.join(tap.BUILD, 'ribera-admin')
DAY = 86400


def trace(days=24, items=900, per_day=1100, seed=5):
    """Films: skewed, slowly changing, evenings fuller than mornings; new ones every day."""
    random.seed(seed)
    size = [random.randrange(1, 9) * 10**8 for _ in range(items + days * 6)]
    weight = [1 / (random.randrange(1, items) ** 0.9) for _ in size]
    out = []
    for day in range(days):
        known = items + day * 6
        w = [weight[i] * (2 ** (-(day - (i - items) // 6) / 9) * 12 if i >= items else 1) for i in range(known)]
        for item in random.choices(range(known), w, k=per_day):
            hour = min(23, max(0, int(random.gauss(19, 4))))
            out.append((day * DAY + hour * 3600 + random.randrange(3600), item + 1000, size[item]))
    return sorted(out)


def converse(log, capacity, budget, mode, window=6):
    """Plays the store's part: refuses nothing itself, checks everything. Gives the byte hit of the last 40 %."""
    p = subprocess.Popen([ADMIN, 'placement', '--stdin'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    here, used, seen, size = {}, 0, set(), {}
    judged = log[0][0] + 0.6 * (log[-1][0] - log[0][0])
    night, asked, hits, pushed = 3 * 3600, 0, 0, 0

    def answer(servable, only=None):
        nonlocal used
        p.stdin.flush()
        came = 0
        while True:
            line = p.stdout.readline()
            tap.check(line, 'it ended early')
            if line == '.\n':
                return came
            sign, item = line.split()
            item = int(item)
            if sign == '-':
                used -= size[item]
                del here[item]
                continue
            tap.check(item in seen and item not in here and only in (None, item), f'{line!r}: only={only}')
            here[item] = servable
            used += size[item]
            came += size[item]
            tap.check(used <= capacity, 'more than the capacity')

    p.stdin.write(f'C {capacity} 3 {window} {budget} {mode}\n')
    for second, item, size_ in log:
        while second >= night:
            p.stdin.write(f'P {night}\n')
            came = answer(night + window * 3600)
            tap.check(budget == 0 or came <= budget, f'a night of {came}, budget {budget}')
            pushed += came
            night += DAY
        seen.add(item)
        size[item] = size_
        hit = here.get(item, second + 1) <= second
        if second >= judged:
            asked += size_
            hits += size_ if hit else 0
        p.stdin.write(f'R {second} {item} {size_} {"H" if hit else "M"}\n')
        if mode == 'admit' and not hit:
            answer(second, item)
    p.stdin.close()
    tap.equal(p.wait(), 0, 'exit code')
    return hits / asked, pushed


LOG = trace()
CATALOGUE = sum({i: b for _, i, b in LOG}.values())


def write_trace():
    path = os.path.join(tap.folder('placement'), 'log.csv')
    with open(path, 'w') as f:
        f.write('time_s,item,bytes\n')
        f.writelines(f'{t},{i},{b}\n' for t, i, b in LOG)
    return path


@tap.test
def it_keeps_to_capacity_budget_and_what_it_has_seen():
    for mode in 'admit', 'push':
        for budget in 0, CATALOGUE // 200:
            hit, pushed = converse(LOG, CATALOGUE // 20, budget, mode)
            tap.check(hit > 0.2, f'{mode} {budget}: byte hit {hit}')
            if mode == 'push':
                tap.check(pushed > 0, 'nothing was pushed')


@tap.test
def it_beats_every_pull_cache_and_says_the_same_as_the_protocol():
    out = subprocess.run([ADMIN, 'simulate', write_trace(), '--capacity', '5%,20%', '--json'], capture_output=True, text=True)
    tap.equal(out.returncode, 0, out.stderr)
    said = json.loads(out.stdout)
    tap.equal((said['requests'], said['catalogue']), (len(LOG), CATALOGUE))
    cases = said['cases']
    for capacity in {c['capacity'] for c in cases}:
        rules = {c['rule']: c for c in cases if c['capacity'] == capacity}
        plan, push = rules.pop('plan, kept by day'), rules.pop('plan, pushed only')
        best = max(rules.values(), key=lambda c: c['byte_hit'])
        tap.equal(len(rules), 5, 'pull rules')
        tap.check(plan['byte_hit'] > best['byte_hit'], f'{plan} is no better than {best}')
        tap.check(plan['writes_per_day'] < best['writes_per_day'] / 2, f'{plan} writes as much as {best}')
        tap.check(push['worst_night'] <= 0.16 and 0 < push['fill'] < 0.1, f'{push} moves too much')


@tap.test
def tables_and_a_drawing_for_people():
    svg = os.path.join(tap.folder('drawing'), 'x.svg')
    out = subprocess.run([ADMIN, 'simulate', write_trace(), '--capacity', '10%,100G', '--svg', svg], capture_output=True, text=True)
    tap.equal(out.returncode, 0, out.stderr)
    tap.has(out.stdout, 'W-TinyLFU')
    tap.equal(len(out.stdout.splitlines()), 15, 'lines')
    import xml.dom.minidom
    tap.equal(xml.dom.minidom.parse(svg).documentElement.tagName, 'svg')


@tap.test
def a_site_that_shares_asks_the_origin_for_less_than_edges_on_their_own():
    out = subprocess.run([ADMIN, 'simulate', write_trace(), '--capacity', '5%', '--edges', '4', '--json'], capture_output=True, text=True)
    tap.equal(out.returncode, 0, out.stderr)
    said = json.loads(out.stdout)
    case = said['cases'][0]
    tap.equal(said['edges'], 4)
    tap.check(0.3 < case['ratio'] < 0.8, case)
    tap.check(1 <= case['site']['most_load'] < 1.3, case)


@tap.test
def a_store_that_is_little_used_is_not_filled_for_more_than_it_spares():
    """Few plays on a large store: after the first weeks fill stays a small part of what is played."""
    log = trace(days=80, items=1500, per_day=60, seed=9)
    catalogue = sum({i: b for _, i, b in log}.values())
    path = os.path.join(tap.folder('little'), 'log.csv')
    with open(path, 'w') as f:
        f.writelines(f'{t},{i},{b}\n' for t, i, b in log)
    out = subprocess.run([ADMIN, 'simulate', path, '--capacity', '25%', '--budget', '7', '--json'], capture_output=True, text=True)
    push = next(c for c in json.loads(out.stdout)['cases'] if c['rule'] == 'plan, pushed only')
    tap.check(0 < push['fill'] <= 0.06, push)
    tap.check(push['worst_night'] <= 0.0701, push)


@tap.test
def whatever_comes_on_the_line_is_answered_or_refused():
    def talk(text, code):
        out = subprocess.run([ADMIN, 'placement', '--stdin'], input=text, capture_output=True, timeout=60)
        tap.equal(out.returncode, code, f'{text[:60]!r} {out.stderr}')
        return out.stdout
    tap.equal(talk(b'', 0), b'')
    tap.equal(talk(b'C 100 0 6 0 admit\nR 1 7 40 M', 0), b'+ 7\n.\n', 'the last line without its end')
    tap.equal(talk(b'C 100 0 6 0 admit\nR 1 7 0 M\nR 1 8 101 M\nR 1 9 18446744073709551615 M\nP 5\n', 0), b'.\n' * 4, 'too large, or nothing')
    tap.equal(talk(b'C 0 0 6 0 push\nR 1 7 40 M\nP 100000\n', 0), b'.\n', 'no room at all')
    tap.equal(talk(b'C 100 0 6 0 admit\nR 9 7 40 M\nR 1 8 40 M\nP 0\n', 0)[:6], b'+ 7\n.\n', 'time that goes back')
    for bad in (b'\0', b'\n', b'C', b'C 1 2 3 4 push 6', b'C -1 0 6 0 push', b'C 18446744073709551616 0 6 0 push', b'C 1 0 6 0 pushx',
                b'C 9 0 6 0 push\nR 1 2 3 HM', b'C 9 0 6 0 push\nR 1e3 2 3 H', b'C 9 0 6 0 push\nR 9223372036854775807 2 3 H',
                b'C 9 0 6 0 push\nP', b'C 9 0 6 0 push\n\xff\xfe', b'C 9 0 6 0 push\nR 1 2 3 ' + b'H' * 100000, random.randbytes(4000)):
        tap.equal(talk(bad + b'\n', 1), b'')
    p = subprocess.Popen([ADMIN, 'placement', '--stdin'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.close()  # who listens has gone
    p.stdin.write(b'C 100 0 6 0 admit\n' + b''.join(b'R 1 %d 4 M\n' % i for i in range(9)))
    try:
        p.stdin.close()
    except BrokenPipeError:
        pass
    tap.equal(p.wait(20), 1)


@tap.test
def what_is_wrong_is_told_with_its_line():
    def told(code, part, *args, text=''):
        out = subprocess.run([ADMIN, *args], input=text, capture_output=True, text=True)
        tap.equal(out.returncode, code, out.stderr)
        tap.has(out.stderr, part)
    bad = os.path.join(tap.folder('bad'), 'x.csv')
    told(2, '--stdin', 'placement')
    told(1, 'line 1', 'placement', '--stdin', text='R 1 2 3 H\n')
    told(1, 'line 2', 'placement', '--stdin', text='C 100 0 6 0 push\nR 1 2 3 X\n')
    told(1, 'admit|push', 'placement', '--stdin', text='C 100 0 6 0 maybe\n')
    told(1, 'No such file', 'simulate', bad)
    for text, part in (('a,b,c\n1,2,3\nx\n', 'line 3'), ('5,1,9\n4,1,9\n', 'goes back'), ('5,1,9\n9223372036854775807,1,9\n', 'a century'), ('-9223372036854775808,1,9\n5,1,9\n', 'a century'), ('5,1,9\n4000000000,1,9\n', 'a century'), ('', 'no requests'), ('1,1,0\n', '0 bytes')):
        with open(bad, 'w') as f:
            f.write(text)
        told(1, part, 'simulate', bad)
    with open(bad, 'w') as f:
        f.write('1,1,10\n2,1,10\n')
    for capacity in 'x', '-5%', '5x', '1%,,2%':
        told(2, '--capacity', 'simulate', bad, '--capacity', capacity)
    told(0, '', 'simulate', bad)


tap.run()

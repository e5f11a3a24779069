# SPDX-License-Identifier: GPL-3.0-or-later
"""Common Media Client Data, version 1, as CTA-5004 has it: reads what a request says, and refuses what is not of its grammar."""
import re, urllib.parse
import tap

KEYS = {'object': {'br', 'd', 'ot', 'tb'}, 'request': {'bl', 'dl', 'mtp', 'nor', 'nrr', 'su'}, 'session': {'cid', 'pr', 'sf', 'sid', 'st', 'v'},
        'status': {'bs', 'rtp'}}
INTEGERS, HUNDREDS = {'br', 'd', 'tb', 'bl', 'dl', 'mtp', 'rtp', 'v'}, {'bl', 'dl', 'mtp', 'rtp'}
STRINGS, TOKENS = {'cid', 'nor', 'nrr', 'sid'}, {'ot': {'m', 'a', 'v', 'av', 'i', 'c', 'tt', 'k', 'o'}, 'sf': {'d', 'h', 's', 'o'}, 'st': {'v', 'l'}}
PAIR = re.compile(r'([a-z]+)(?:=("(?:[^"\\\x00-\x1f\x7f]|\\["\\])*"|[0-9.]+|[a-z]+))?(?:,|$)')


def _value(key, text):
    if key in STRINGS:
        tap.check(text and text[0] == '"' and len(text) <= 66 * 2, f'{key}={text}: want a string')
        value = re.sub(r'\\(.)', r'\1', text[1:-1])
        if key == 'nrr':
            tap.check(re.fullmatch(r'\d+-\d*|-\d+', value), f'nrr={text}')
        if key == 'nor':
            tap.check(re.fullmatch(r"[\w.~%!$&'()*+;=@/?-]+", value) and '://' not in value, f'nor={text}')
        return value
    if key in INTEGERS:
        tap.check(text and text.isdigit() and (key not in HUNDREDS or int(text) % 100 == 0), f'{key}={text}')
        tap.check(key != 'v', 'v is left out in version 1')
        return int(text)
    if key in TOKENS:
        tap.check(text in TOKENS[key], f'{key}={text}')
        return text
    if key == 'pr':
        tap.check(text and re.fullmatch(r'\d+(\.\d+)?', text) and float(text) != 1, f'pr={text}')
        return float(text)
    tap.check(text is None, f'{key}={text}: true is the key alone')
    return True


def _pairs(text, allowed):
    out, at = {}, 0
    while at < len(text):
        m = PAIR.match(text, at)
        tap.check(m and m[1] in allowed and m[1] not in out, f'"{text}" at {at}')
        out[m[1]] = _value(m[1], m[2])
        at = m.end()
    tap.check(text and not text.endswith(','), f'"{text}"')
    tap.equal(list(out), sorted(out), f'the order of "{text}"')
    return out


def read(request):
    """Everything a badserver.Request says, {} where it says nothing."""
    out = {}
    for name, keys in KEYS.items():
        if 'cmcd-' + name in request.headers:
            out.update(_pairs(request.headers['cmcd-' + name], keys))
    raw = re.findall(r'[?&]CMCD=([^&]*)', request.path)
    if raw:
        tap.check(len(raw) == 1 and not out and re.fullmatch(r"(?:[\w.~-]|%[0-9A-F]{2})+", raw[0]), request.path)
        out = _pairs(urllib.parse.unquote(raw[0]), set().union(*KEYS.values()))
    return out

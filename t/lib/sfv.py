# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of structured fields (RFC 8941 4.2): lists and dictionaries, for what our servers say.

A list is [(item, parameters)], a dictionary {key: item}.  Text that the grammar does not have is an AssertionError.
"""
import re


class Token(str):
    pass


_KEY, _TOKEN = re.compile(r'[a-z*][a-z0-9_.*-]*'), re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")
_NUMBER, _STRING, _BYTES = re.compile(r'-?(\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])'), re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'), re.compile(r':([A-Za-z0-9+/=]*):')


class _Reader:
    def __init__(self, text):
        self.text, self.at = text.strip(' '), 0

    def fail(self, what):
        raise AssertionError(f'{what} wanted at {self.at} of {self.text!r}')

    def take(self, pattern, what):
        m = pattern.match(self.text, self.at)
        if not m:
            self.fail(what)
        self.at = m.end()
        return m

    def here(self, c):
        return self.text[self.at:self.at + 1] == c

    def item(self):
        if self.here('"'):
            return re.sub(r'\\(.)', r'\1', self.take(_STRING, 'a string')[1])
        if self.here(':'):
            return self.take(_BYTES, 'bytes')[1].encode()
        if self.here('?'):
            return self.take(re.compile(r'\?([01])'), 'a boolean')[1] == '1'
        if _TOKEN.match(self.text, self.at):
            return Token(self.take(_TOKEN, 'a token')[0])
        n = self.take(_NUMBER, 'an item')[0]
        return float(n) if '.' in n else int(n)

    def parameters(self):
        out = {}
        while self.here(';'):
            self.at += 1
            self.take(re.compile(' *'), 'blanks')
            key = self.take(_KEY, 'a key')[0]
            out[key] = True
            if self.here('='):
                self.at += 1
                out[key] = self.item()
        return out

    def comma(self):
        """False at the end; a comma must have something behind it."""
        if self.at == len(self.text):
            return False
        self.take(re.compile(r'[ \t]*,[ \t]*(?=.)'), 'a comma and what follows it')
        return True


def list_(text):
    r, out = _Reader(text), []
    while True:
        item = r.item()
        out.append((item, r.parameters()))
        if not r.comma():
            return out


def dictionary(text):
    r, out = _Reader(text), {}
    while True:
        key = r.take(_KEY, 'a key')[0]
        out[key] = True
        if r.here('='):
            r.at += 1
            out[key] = r.item()
        r.parameters()
        if not r.comma():
            return out

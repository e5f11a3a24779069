# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of YAML that doc/openapi.yaml is written in: block mappings and lists, flow ones, quoted and plain scalars, texts
behind | and >-.  Anything else is an error, so nothing is misread in silence."""
import re


def scalar(s):
    if s[:1] == "'" and s[-1:] == "'":
        return s[1:-1].replace("''", "'")
    if s[:1] == '"' and s[-1:] == '"':
        return s[1:-1]
    if re.fullmatch(r'-?\d+', s):
        return int(s)
    return {'true': True, 'false': False, 'null': None, '~': None}.get(s, s)


class Flow:
    """{a: b, c: [d, e]}"""

    def __init__(self, text):
        self.text, self.at = text, 0

    def space(self):
        while self.at < len(self.text) and self.text[self.at] in ' \n':
            self.at += 1

    def word(self, stops):
        self.space()
        if self.text[self.at] in '\'"':
            m = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"").match(self.text, self.at)
        else:
            m = re.compile(r'(?:(?!' + stops + r').)*', re.S).match(self.text, self.at)
        self.at = m.end()
        return ' '.join(m.group().split()) if m.group()[:1] not in '\'"' else m.group()

    def value(self):
        self.space()
        c = self.text[self.at]
        if c == '{':
            self.at += 1
            out = {}
            while True:
                self.space()
                if self.text[self.at] == '}':
                    self.at += 1
                    return out
                key = scalar(self.word(r':(?:\s|$)|[,{}]'))
                assert self.text[self.at] == ':', f'no value for {key!r} in {self.text[:80]!r}'
                self.at += 1
                assert key not in out, f'{key!r} twice'
                out[key] = self.value()
                self.comma('}')
        if c == '[':
            self.at += 1
            out = []
            while True:
                self.space()
                if self.text[self.at] == ']':
                    self.at += 1
                    return out
                out.append(self.value())
                self.comma(']')
        return scalar(self.word(r'[,\]}]'))

    def comma(self, end):
        self.space()
        assert self.text[self.at] in ',' + end, f'expected , or {end}: {self.text[self.at:self.at + 40]!r}'
        if self.text[self.at] == ',':
            self.at += 1


def balance(s):
    s = re.sub(r"'(?:[^']|'')*'|\"[^\"]*\"", '', s)
    return sum(s.count(c) for c in '{[') - sum(s.count(c) for c in '}]')


class Block:
    def __init__(self, text):
        self.lines = [(len(l) - len(l.lstrip()), l.strip()) for l in text.split('\n') if not l.lstrip().startswith('#')]
        self.at = 0

    def peek(self):
        while self.at < len(self.lines) and self.lines[self.at][1] == '':
            self.at += 1
        return self.lines[self.at] if self.at < len(self.lines) else (-1, '')

    def value(self, rest, indent):
        """What stands behind "key:" or "-"."""
        if rest == '|':
            text = []
            while self.at < len(self.lines) and (self.lines[self.at][0] > indent or self.lines[self.at][1] == ''):
                text.append(self.lines[self.at][1])
                self.at += 1
            return '\n'.join(text).strip() + '\n'
        if rest == '>-':
            rest = ''
            while self.peek()[0] > indent:
                rest += ' ' + self.peek()[1]
                self.at += 1
            return rest.strip()
        if rest == '':
            inner, line = self.peek()
            return self.node(inner) if inner > indent or (inner == indent and line.startswith('- ')) else None
        if rest[0] in '{[':
            while balance(rest) > 0:
                rest += ' ' + self.lines[self.at][1]
                self.at += 1
            flow = Flow(rest)
            value = flow.value()
            assert flow.text[flow.at:].strip() == '', f'more behind {rest!r}'
            return value
        while self.peek()[0] > indent:  # a scalar that goes on in the next line
            rest += ' ' + self.peek()[1]
            self.at += 1
        return scalar(rest)

    def node(self, indent):
        out = [] if self.peek()[1].startswith('- ') else {}
        while self.peek()[0] == indent:
            line = self.lines[self.at][1]
            if isinstance(out, list):
                if not line.startswith('- '):
                    break
                rest = line[2:].strip()
                if re.match(r"[\w$'\"-]+:(\s|$)", rest):
                    self.lines[self.at] = (indent + 2, rest)
                    out.append(self.node(indent + 2))
                else:
                    self.at += 1
                    out.append(self.value(rest, indent))
                continue
            m = re.match(r"('[^']*'|[^\s'\"][^:]*?):(?:\s+(.*))?$", line)
            assert m, f'not understood: {line!r}'
            self.at += 1
            key = scalar(m[1])
            assert key not in out, f'{key!r} stands twice'
            out[key] = self.value(m[2] or '', indent)
        return out


def load(text):
    block = Block(text)
    out = block.node(0)
    assert block.peek()[0] == -1, f'not understood: {block.peek()[1]!r}'
    return out

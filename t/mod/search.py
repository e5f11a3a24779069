#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching titles: every answer is what a plain look through all of them gives, page by page, while titles are published,
described and withdrawn, and after a restart."""
import http.client, json, os, random, re, sys, unicodedata, urllib.parse
sys.path.insert(0, os.path.join(os.environ.get('RIBERA_SOURCE', '.'), 't', 'lib'))
import package, tap
from origins import Origin

WORDS = ['Canción', 'cantar', 'río', 'Ríos', 'ÁRBOL', 'straße', 'Øre', 'œuvre', 'Война', 'мир', 'Ελλάδα', 'don\'t', 'x-ray', '2001', 'Tiệm', 'ﬁ', '東京', '物語', 'a', 'ab', 'abc']
TAGS = ['Drama', 'drama', 'Ciencia ficción', 'sci-fi', '!!!', 'Ñandú']
R = random.Random(5)


def fold(text):
    out = []
    for c in unicodedata.normalize('NFD', text.lower().replace('ß', 'ss').replace('ø', 'o').replace('œ', 'oe')):
        if unicodedata.category(c) != 'Mn':
            out.append(f' {c} ' if '\u2e80' <= c <= '\u9fff' else c if c.isalnum() else ' ')
    return ''.join(out).replace('ς', 'σ').split()


def tag_key(tag):
    return ' '.join(fold(tag)) or tag


class Films:
    def __init__(self, n):
        self.o, self.all, self.c = Origin(), {}, None
        for i in range(n):
            self.publish(f'film-{i:03}')
        tap.until(lambda: self.o.get('/api/v1/titles?limit=1').json()['total'] == n)

    def get(self, path):
        if self.c is None:
            self.c = http.client.HTTPConnection('127.0.0.1', self.o.ports['viewers'], timeout=30)
        self.c.request('GET', path)
        return json.loads(self.c.getresponse().read())

    def publish(self, title):
        package.write(self.o.library, title)
        self.all[title] = {'name': title, 'description': None, 'year': None, 'tags': []}

    def describe(self, title, description=None):
        about = {'name': ' '.join(R.sample(WORDS, 2)), 'description': description or ' '.join(R.sample(WORDS, 4)), 'year': R.choice([1927, 2001]),
                 'tags': R.sample(TAGS, R.randint(0, 2))}
        if len({tag_key(t) for t in about['tags']}) < len(about['tags']):
            about['tags'] = about['tags'][:1]
        tap.equal(self.o.api(f'/titles/{title}/metadata', 'PUT', about).status, 200)
        self.all[title] = about

    def want(self, q, tag):
        words = fold(q)
        for title in sorted(self.all):
            a = self.all[title]
            have = a.setdefault('words', fold(' '.join([title, a['name'], a['description'] or '', str(a['year'] or ''), *a['tags']])))
            if all(any(h.startswith(w) for h in have) for w in words) and (not tag or tag_key(tag) in map(tag_key, a['tags'])):
                yield title

    def check(self, q='', tag='', limit=7):
        want, got, after = list(self.want(q, tag)), [], ''
        while after is not None:
            page = self.get('/api/v1/titles?' + urllib.parse.urlencode({'q': q, 'tag': tag, 'limit': limit, **({'after': after} if after else {})}))
            tap.equal(page['total'], len(want), f'total of {q!r} {tag!r}')
            tap.check(len(page['titles']) == limit or page['next'] is None, 'a page in the middle is not full')
            got += [t['title'] for t in page['titles']]
            after = page['next']
        tap.equal(got, want, f'{q!r} {tag!r}')
        return len(want)

    def check_all(self):
        found = 0
        for word in R.sample(WORDS, 12):
            found += self.check(word, limit=30) + self.check(f'{word[:2].upper()} {R.choice(WORDS)[:3]}', R.choice(TAGS + ['']), 20)
        for tag in TAGS:
            self.check('', tag.swapcase(), 100)
        self.check('film-00')
        self.check('192')
        self.check('no such word')
        counts = {}
        for a in self.all.values():
            for tag in a['tags']:
                counts[tag_key(tag)] = counts.get(tag_key(tag), 0) + 1
        tags = self.get('/api/v1/tags')['tags']
        tap.equal({tag_key(t['tag']): t['titles'] for t in tags}, counts)
        tap.equal([t['titles'] for t in tags], sorted(counts.values(), reverse=True))
        tap.equal(self.get('/api/v1/tags?limit=1')['tags'], tags[:1])
        return found


@tap.test
def what_is_found_is_what_is_there():
    f = Films(80)
    f.check_all()
    for title in sorted(f.all)[::3]:
        f.describe(title)
    tap.check(f.check_all() > 100, 'little is found')
    f.publish('film-005-b')
    tap.until(lambda: f.o.get('/api/v1/titles/film-005-b').status == 200)
    for title in ('film-000', 'film-031'):
        tap.equal(f.o.api(f'/titles/{title}', 'DELETE').status, 204)
        gone = f.all.pop(title)
    f.check_all()
    tap.equal(f.o.api('/titles/film-031/restore', 'POST', {}).status, 204)
    f.all['film-031'] = gone
    f.check_all()
    f.o.p.stop()
    f.o.start()
    f.c = None
    f.check_all()
    for i, title in enumerate(sorted(f.all)[:20]):  # so much that the index of all is built anew
        f.describe(title, ' '.join(f'{i:03}w{k:06}' for k in range(350)))
    tap.equal(f.check('017w0003'), 1)
    f.check_all()
    f.o.p.stop()


@tap.test
def the_operators_command_searches():
    f = Films(3)
    tap.equal(f.o.api('/titles/film-001/metadata', 'PUT', {'name': 'A & B = ñ?', 'tags': ['Sci-Fi, "best"', 'x']}).status, 200)
    titles = lambda *argv: [t['title'] for t in json.loads(f.o.admin('titles', '--json', *argv).stdout)]
    tap.equal(titles(), ['film-000', 'film-001', 'film-002'])
    tap.equal([titles('b Ñ'), titles('b', '--tag', 'x'), titles('--tag', 'SCI-FI, "BEST"'), titles('film', '--tag', 'y'), titles('&')], [['film-001']] * 3 + [[], []])
    tap.has(f.o.admin('tags').stdout, 'Sci-Fi, "best"')
    tap.equal(len(json.loads(f.o.admin('tags', '--json').stdout)), 2)
    tap.has(f.o.admin('titles', 'x' * 300, code=1).stderr, 'at most 200 bytes')
    f.o.p.stop()


@tap.test
def it_says_what_it_cannot_search():
    f = Films(2)
    for get in (f.o.get, lambda path: f.o.api(path[len('/api/v1'):])):
        for query, field in (('q=' + 'x' * 201, 'q'), ('q=' + '+'.join(f'w{i}' for i in range(13)), 'q'), ('tag=' + 'x' * 65, 'tag'), ('q=a&order=loud', 'order'),
                             ('q=%zz', 'q'), ('tag=%ff', 'tag'), ('limit=5&q=a%00', 'q'), ('q=a&limit=0', 'limit')):
            r = get(f'/api/v1/titles?{query}')
            tap.equal((r.status, r.json().get('field')), (400, field), query)
        tap.equal(get('/api/v1/titles?q=+!?').json()['total'], 0, 'no letter')
        tap.equal(get('/api/v1/titles?q=++').json()['total'], 2, 'only spaces')
    tap.equal(f.o.get('/api/v1/titles?q=film&q=x').json()['total'], 2, 'the first one counts')
    tap.equal(f.o.api('/titles?q=film&q=x').status, 400, 'what operators write twice is a mistake')
    f.o.p.stop()


tap.run()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole system of real programs for the browser tests, which are written in JavaScript.

Says one JSON line when all edges hold the film, then obeys one command a line on standard input, each answered by
one JSON line: "kill NAME", "start NAME", "stop NAME", "continue NAME" (an edge, or "origin"),
"drain NAME", "undrain NAME".  Ends everything at the end of
standard input.
Usage: browser_system.py full|empty|many   (many: more films than a page takes whole, without pictures or edges)
"""
import json, os, shutil, signal, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import film, package, tap

FILMS = (  # folder, name, seconds, size
    ('film', 'The moving test picture', 60, '1280x720'),
    ('rio', 'El río que no duerme', 8, '640x360'),
    ('short', 'A short one', 8, '640x360'),
)


class System(film.System):
    def start_origin(self, *options):
        super().start_origin('--www', os.path.join(tap.BUILD, 'www'), '--steering-ttl', '2s', *options)


def library():
    folder = tap.folder()
    for title, name, seconds, size in FILMS:
        path, revision, package = film.library(film.generated(seconds, size), title, '--name', name, '--preset', 'ultrafast')
        shutil.copytree(os.path.join(path, title), os.path.join(folder, title), copy_function=os.link)
    return folder


def many():
    folder = tap.folder()
    for i in range(450):
        package.write(folder, f'film-{i:03}', name=f'Number {i} {"río" if i % 150 == 7 else "film"}')
    return folder


def listed(system, title):
    """Whether viewers are sent to every edge and the origin."""
    answer = tap.http(f'{system.url}/v/{title}/manifest.mpd')
    return answer.body.count(b'serviceLocation=') == len(system.edges) + 1


def main():
    full = sys.argv[1] == 'full'
    system = System(library() if full else many() if sys.argv[1] == 'many' else tap.folder(), edges=2 if full else 0, edge_options=('--demand', '500ms'))
    if full:
        for title, *_ in FILMS:
            tap.until(lambda: listed(system, title), 120, f'the edges in the manifest of {title}')
    say = lambda value: print(json.dumps(value), flush=True)
    say({'url': system.url, 'control': system.control, 'token': system.token, 'edges': system.edge_urls, 'library': system.library})
    for line in sys.stdin:
        verb, name = line.split()
        if verb in ('drain', 'undrain'):
            tap.equal(system.api(f'/edges/{name}/drain', 'PUT' if verb == 'drain' else 'DELETE').status, 204)
            say({'done': line.strip()})
            continue
        process = system.origin if name == 'origin' else system.edges[name]
        if verb == 'kill':
            process.kill()
        elif verb != 'start':
            os.kill(process.pid, {'stop': signal.SIGSTOP, 'continue': signal.SIGCONT}[verb])
        elif name == 'origin':
            system.start_origin()
        else:
            system.start_edge(name)
        say({'done': line.strip()})


main()

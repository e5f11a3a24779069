#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ribera-ingest --watch: what lands is ingested once, whatever happens to the watcher."""
import os, shutil, signal, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import film, tap

FILM = film.generated(6, '640x360', '25')


class Watch:
    def __init__(self, *options):
        self.folder, self.library = tap.folder(), os.path.join(tap.folder(), 'library')
        self.options = options
        self.start()

    def start(self):
        self.p = tap.Process(tap.program('ribera-ingest'), '--watch', self.folder, '--library', self.library, '--preset', 'ultrafast',
                             '--ladder', 'fixed', '--max-rungs', '1', *self.options)
        tap.until(lambda: 'watching' in self.p.text(), 20, 'the watcher')

    def land(self, film_, name):
        """As a copying program would: under another name, then moved in."""
        part = os.path.join(self.folder, name + '.part')
        shutil.copy(film_, part)
        os.rename(part, os.path.join(self.folder, name))

    def there(self, *path):
        return os.path.exists(os.path.join(self.folder, *path))

    def titles(self):
        return sorted(n for n in os.listdir(self.library) if not n.startswith('.')) if os.path.isdir(self.library) else []


@tap.test
def masters_are_ingested_and_the_bad_ones_set_aside_with_the_reason():
    metrics = os.path.join(tap.folder(), 'metrics.prom')
    w = Watch('--metrics', metrics)

    def told():
        with open(metrics) as f:
            return {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1]) for line in f if not line.startswith('#')}
    tap.until(lambda: os.path.exists(metrics), 30, w.p.text)
    tap.equal([told()[f'ribera_ingest_{x}'] for x in ('busy', 'waiting', 'waiting_seconds', 'busy_seconds_total')], [0, 0, 0, 0], 'before anything came')
    tap.equal(os.stat(metrics).st_mode & 0o777, 0o644, 'another user reads it')
    os.makedirs(os.path.join(w.folder, 'folder.mp4'))
    w.land(FILM, 'My film (2026).mp4')
    with open(os.path.join(w.folder, 'bad.mp4'), 'wb') as f:
        f.write(b'no film at all')
    tap.until(lambda: w.there('done', 'My film (2026).mp4') and w.there('failed', 'bad.mp4.txt'), 60, w.p.text)
    tap.equal(w.titles(), ['my-film-2026'])
    with open(os.path.join(w.folder, 'failed', 'bad.mp4.txt')) as f:
        tap.has(f.read(), 'bad.mp4')
    tap.check(w.there('failed', 'bad.mp4'))
    w.land(FILM, 'My film (2026).mp4')
    tap.until(lambda: w.there('done', 'My film (2026)-2.mp4'), 60, w.p.text)
    result = lambda r: told()[f'ribera_ingest_masters_total{{result="{r}"}}']
    tap.until(lambda: (result('published'), result('failed'), result('again'), told()['ribera_ingest_waiting'], told()['ribera_ingest_busy']) == (2, 1, 0, 0, 0), 20, told)
    tap.equal(w.p.stop(), 0)
    tap.equal(w.p.text().count('published'), 2)
    tap.equal(tap.call(tap.program('ribera-ingest'), FILM, '--library', w.library, '--metrics', metrics).returncode, 2, 'without --watch')


@tap.test
def a_file_that_still_grows_is_waited_for():
    w = Watch()
    with open(FILM, 'rb') as f:
        data = f.read()
    with open(os.path.join(w.folder, 'slow.mp4'), 'wb', buffering=0) as f:
        for i in range(6):
            f.write(data[len(data) * i // 6:len(data) * (i + 1) // 6])
            tap.check('begin' not in w.p.text(), 'it was taken half-way')
            w.p.p.poll()
            try:
                w.p.p.wait(0.6)
            except Exception:
                pass
    tap.until(lambda: w.there('done', 'slow.mp4'), 60, w.p.text)
    w.p.stop()


@tap.test
def killed_in_the_middle_it_goes_on_and_ingests_once():
    w = Watch('--preset', 'slow')
    w.land(FILM, 'long.mp4')
    tap.until(lambda: 'begin' in w.p.text(), 30, w.p.text)
    w.p.kill()
    w.start()
    tap.until(lambda: w.there('done', 'long.mp4'), 120, w.p.text)
    tap.equal(w.titles(), ['long'])
    tap.equal(len(os.listdir(os.path.join(w.library, 'long'))), 1)
    w.p.stop()


@tap.test
def a_stop_ends_the_work_and_the_next_start_takes_it_up():
    w = Watch('--preset', 'slow')
    w.land(FILM, 'long.mp4')
    tap.until(lambda: os.path.isdir(w.library) and os.listdir(w.library), 60, w.p.text)
    tap.equal(w.p.stop(), 0)
    tap.check(w.there('long.mp4') and not w.titles(), 'the master is not where it was')
    w.start()
    tap.until(lambda: w.there('done', 'long.mp4'), 120, w.p.text)
    w.p.stop()


@tap.test
def names_and_kinds_of_any_sort_do_no_harm():
    w = Watch()
    outside = os.path.join(tap.folder(), 'outside.mp4')
    shutil.copy(FILM, outside)
    at = lambda name: os.path.join(os.fsencode(w.folder), name)
    os.mkfifo(at(b'pipe.mp4'))
    os.symlink(outside, at(b'link.mp4'))
    os.symlink('/dev/zero', at(b'device.mp4'))
    os.makedirs(at(b'folder.mp4'))
    odd = [b'--library=x.mp4', b'-', b'a\nb.mp4', b'\x1b[31m\x9b.mp4', b'\xff\xfe.mp4', b'concat:x.mp4', b'http:.mp4', b'%d%s%n.mp4', b'x' * 240 + b'.mp4', b'y' * 251 + b'.mp4', b'" quote=1.mp4', b'pipe:0', b'a.mp4.txt']
    for name in odd:
        with open(at(name), 'wb') as f:
            f.write(b'no film at all')
    growing = open(at(b'growing.mp4'), 'wb', buffering=0)

    def grow():
        growing.write(b'x' * 1000)
        return all(os.path.exists(at(b'failed/' + name)) for name in odd[:-1])
    tap.until(grow, 60, w.p.text)
    tap.check(os.path.exists(at(b'growing.mp4')), 'what grows has not landed')
    tap.check(all(os.path.exists(at(b'failed/' + name + b'.txt')) for name in odd[:-1] if len(name) < 250), 'the reasons')
    tap.check(os.path.exists(at(b'a.mp4.txt')), 'a reason is no master')
    tap.equal([os.path.lexists(at(name)) for name in (b'pipe.mp4', b'link.mp4', b'device.mp4', b'folder.mp4')], [True] * 4, 'what is no file stays')
    tap.check(os.path.exists(outside) and w.titles() == [], 'nothing outside was touched')
    for name in sorted(os.listdir(at(b'failed'))):
        if name.endswith(b'.txt'):
            text = open(at(b'failed/' + name), 'rb').read()
            tap.check(not [c for c in text if c < 32 and c != 10] and b'\xc2\x9b' not in text, text)
    tap.check('\x1b' not in w.p.text() and 'quote=1' in w.p.text(), w.p.text())
    tap.equal([line for line in w.p.text().split('\n') if line and ' ingest/' not in line], [], 'each line of the log is one')
    growing.close()
    tap.until(lambda: os.path.exists(at(b'failed/growing.mp4')), 30, w.p.text)
    w.land(FILM, 'good.mp4')
    tap.until(lambda: w.there('done', 'good.mp4'), 60, w.p.text)
    tap.equal((w.titles(), w.p.stop()), (['good'], 0))


@tap.test
def wrong_usage_is_said():
    ingest = tap.program('ribera-ingest')
    tap.equal(tap.call(ingest, '--watch', '/nowhere/at/all', '--library', '/tmp/x').returncode, 1)
    tap.equal(tap.call(ingest, '--watch', '/tmp').returncode, 2)
    tap.equal(tap.call(ingest, '--watch', '/tmp', '--library', '/tmp/x', 'film.mp4').returncode, 2)


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The box reader over files that others made: no crash on any, and the same samples as other readers see."""
import functools, glob, json, os, random, re, struct, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import harm, tap

DUMP = os.path.join(tap.BUILD, 't/lib/bmff-dump')
MEDIA = os.path.join(tap.SHARED, 'media')


def dump(path):
    done = subprocess.run([DUMP, path], capture_output=True, text=True, timeout=60)
    tap.check(done.returncode in (0, 1), f'{path}: exit status {done.returncode}: {done.stderr[-2000:]}')
    return done.returncode, [line.split() for line in done.stdout.splitlines()]


def samples(lines):
    got = {}
    for line in lines:
        if line[0] == 'sample':
            got.setdefault(int(line[1]), []).append((int(line[2]), int(line[3]), int(line[4])))
    return got


def generate(folder, name, *options):
    path = os.path.join(folder, name)
    subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30000/1001', '-f', 'lavfi', '-i',
                    'sine=f=440:r=48000', '-t', '3', *options, path], check=True)
    return path


def packets(path, stream):
    done = subprocess.run(['ffprobe', '-v', 'error', '-select_streams', stream, '-show_packets', '-of', 'json', path],
                          check=True, capture_output=True, text=True)
    return [(round(float(p['pts_time']) * 1e6), int(p['size']), int('K' in p['flags'])) for p in json.loads(done.stdout)['packets']]


def compare(got, want, what):
    tap.equal(len(got), len(want), f'{what}: samples')
    for i, (g, w) in enumerate(zip(got, want)):
        tap.near(g[0], w[0], 1, f'{what}: time of sample {i}')
        tap.equal(g[1:], w[1:], f'{what}: size and sync of sample {i}')


KINDS = {
    'avc-aac.mp4': ('-c:v', 'libx264', '-g', '30', '-c:a', 'aac', '-movflags', '+frag_keyframe+empty_moov+default_base_moof'),
    'no-default-base.mp4': ('-c:v', 'libx264', '-g', '30', '-c:a', 'aac', '-movflags', '+frag_keyframe+empty_moov'),
    'omit-offset.mp4': ('-c:v', 'libx264', '-g', '15', '-c:a', 'libopus', '-movflags', '+frag_keyframe+empty_moov+omit_tfhd_offset'),
    'negative.mp4': ('-an', '-c:v', 'libx264', '-bf', '3', '-movflags', '+cmaf+negative_cts_offsets+frag_keyframe', '-use_editlist', '0'),
    'av1.mp4': ('-an', '-c:v', 'libsvtav1', '-preset', '12', '-g', '30', '-movflags', '+cmaf+frag_keyframe'),
    'hevc-flac.mp4': ('-c:v', 'libx265', '-x265-params', 'log-level=none', '-c:a', 'flac', '-strict', '-2', '-movflags', '+frag_keyframe+empty_moov'),
    'vp9-eac3.mp4': ('-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'eac3', '-ac', '6', '-movflags',
                     '+frag_keyframe+empty_moov+delay_moov'),
}


@functools.cache
def generated():
    """name -> path: a film in fragments in each of the ways in which coders and muxers differ."""
    folder = tap.folder()
    return {name: generate(folder, name, *options) for name, options in KINDS.items()}


@tap.test
def same_packets_as_ffprobe():
    for name, path in generated().items():
        status, lines = dump(path)
        tap.equal(status, 0, name)
        got = samples(lines)
        tracks = [line for line in lines if line[0] == 'track']
        for i, track in enumerate(tracks):
            mine, theirs = got[int(track[1])], packets(path, str(i))
            if name == 'negative.mp4':  # libavformat shows such pictures late by the reordering delay
                late = min(p[0] for p in theirs)
                theirs = [(p[0] - late, p[1], p[2]) for p in theirs]
                tap.equal(min(p[0] for p in mine), 0, 'first presentation time')
            compare(mine, theirs, f'{name} track {track[1]}')


@tap.test
def codecs_and_facts():
    folder = tap.folder()
    _, lines = dump(generate(folder, 'a.mp4', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-profile:v', 'high', '-level', '3.1', '-c:a', 'aac', '-ac', '2'))
    tap.has(' '.join(lines[0]), 'vide avc1 avc1.64001F timescale=30000 size=320x180')
    tap.has(' '.join(lines[1]), 'soun mp4a mp4a.40.2 timescale=48000 size=0x0 channels=2 rate=48000 shift=1024')
    _, lines = dump(generate(folder, 'b.mp4', '-c:v', 'libx265', '-x265-params', 'log-level=none', '-pix_fmt', 'yuv420p10le', '-tag:v', 'hvc1', '-c:a', 'libopus'))
    tap.check(re.match(r'hvc1\.2\.4\.L\d+\.90$', lines[0][4]), lines[0][4])
    tap.has(' '.join(lines[1]), 'soun Opus opus timescale=48000')
    tap.has(' '.join(lines[1]), 'shift=312')


@tap.test
def no_file_of_others_breaks_it():
    """What fuzzing found, films with their ends cut off, films with wrong bytes, and other players' test files where these are."""
    corpus = glob.glob(os.path.join(tap.SOURCE, 't', 'fuzz', 'corpus', 'bmff', '*'))
    tap.check(len(corpus) >= 5, f'only {corpus} in the corpus')
    others = [f for f in glob.glob(os.path.join(MEDIA, '**'), recursive=True) if os.path.isfile(f) and os.path.getsize(f) < 64 << 20]
    files, read = [*generated().values(), *corpus, *harmed(generated()), *sorted(others)], 0
    for path in files:
        status, lines = dump(path)
        read += status == 0
        tap.check(status == 0 or lines[-1][0] == 'fault' or any(line[0] == 'fault' for line in lines), path)
    print(f'# {len(files)} files, {read} read without a fault')
    tap.check(read >= len(KINDS) + (50 if others else 0), f'only {read} files could be read')


def harmed(films):
    """Paths of copies: cut anywhere, and with wrong bytes in their boxes' heads."""
    folder, dice, paths = tap.folder(), random.Random(3), []
    for name, path in films.items():
        with open(path, 'rb') as f:
            data = f.read()
        heads = [m.start() for m in re.finditer(rb'moov|trak|mdhd|stbl|stsd|trex|moof|tfhd|tfdt|trun|sidx', data)]
        for i in range(24):
            wrong = bytearray(data)
            if i < 8:
                del wrong[dice.randrange(len(data)):]
            else:
                for _ in range(3):
                    wrong[dice.choice(heads) - 4 + dice.randrange(24)] = dice.choice((0, 1, 0x7f, 0x80, 0xff))
            paths.append(os.path.join(folder, f'{i}-{name}'))
            with open(paths[-1], 'wb') as f:
                f.write(wrong)
    return paths


def expected(path):
    """track number -> [(time, size, sync)] and the format lines"""
    tracks, number = {}, None
    sample = {}
    with open(path) as f:
        for line in f:
            m = re.match(r'track (\d+):', line)
            if m:
                number = int(m[1])
                tracks[number] = []
            m = re.match(r'\s+time = (-?\d+)', line)
            if m:
                sample['time'] = int(m[1])
            m = re.match(r'\s+flags = (\d+)', line)
            if m:
                sample['sync'] = int(m[1]) & 1
            m = re.match(r'\s+data = length (\d+)', line)
            if m and 'time' in sample:
                tracks[number].append((sample['time'], int(m[1]), sample['sync']))
                sample = {}
    return tracks


def runs(moof):
    """Samples in a moof's truns."""
    return sum(struct.unpack_from('>I', moof, start + 12)[0] for kind, at, end in harm.boxes(moof, 8) if kind == 'traf'
               for inner, start, _ in harm.boxes(moof, at + 8, end) if inner == 'trun')


@tap.test
def same_samples_as_other_readers():
    """Sums that a second reader of boxes, this one in Python, finds; where they are, dumps that another player's extractor gave."""
    for name, path in generated().items():
        with open(path, 'rb') as f:
            data = f.read()
        want = sum(runs(data[start:end]) for kind, start, end in harm.boxes(data) if kind == 'moof')
        tap.equal(sum(map(len, samples(dump(path)[1]).values())), want, f'samples of {name}')
    names = ['sample_fragmented', 'sample_fragmented_seekable', 'sample_fragmented_uuid', 'sample_eac3_fragmented',
             'sample_eac3joc_fragmented', 'sample_fragmented_dts_hd_ma', 'fragmented_captions',
             'sample_fragmented_seekable_multiple_sidx']
    checked = 0
    for name in names:
        want = os.path.join(tap.SHARED, 'media-expected', name + '.mp4.0.dump')
        path = os.path.join(MEDIA, 'media3__' + name + '.mp4')
        if not os.path.exists(want) or not os.path.exists(path):
            continue
        _, lines = dump(path)
        got, theirs = samples(lines), expected(want)
        for number, track in enumerate(sorted(got)):
            if theirs.get(number):
                compare(got[track], theirs[number], f'{name} track {track}')
                checked += 1
    print(f'# {len(KINDS)} films, and {checked} tracks that others dumped')


tap.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another packager, live: FFmpeg makes a title in real time and puts it on a plain server; ribera-player plays it, whole segments and chunk by chunk."""
import json, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import putserver, tap
from script import Script

os.environ['XDG_STATE_HOME'] = tap.folder()  # nothing of this machine's own
SECONDS, FPS = 12, 25
LOW = ['-streaming', '1', '-ldash', '1', '-frag_type', 'duration', '-frag_duration', '0.2', '-use_template', '1', '-use_timeline', '0', '-target_latency', '2', '-write_prft', '1']


def packager(server, *more):
    return tap.Process(tap.need('ffmpeg'), '-v', 'error', '-nostdin', '-re', '-f', 'lavfi', '-i', f'testsrc2=s=320x180:r={FPS}', '-re', '-f', 'lavfi', '-i', 'sine=f=440:r=48000',
                       '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', FPS, '-keyint_min', FPS, '-sc_threshold', '0', '-pix_fmt', 'yuv420p', '-c:a', 'aac',
                       '-f', 'dash', '-window_size', '8', '-extra_window_size', '5', '-seg_duration', '1', '-adaptation_sets', 'id=0,streams=v id=1,streams=a', *more,
                       '-utc_timing_url', server.url + '/time', '-method', 'PUT', '-http_persistent', '1', server.url + '/live.mpd', log=os.path.join(tap.folder(), 'ffmpeg.log'))


def play(*more):
    """The report, and how far behind the edge it was at the last look."""
    server = putserver.Server()
    ffmpeg = packager(server, *more)
    tap.until(lambda: '/chunk-stream0-00004.m4s' in server.files or not ffmpeg.alive(), 30, 'three segments')
    tap.check(ffmpeg.alive(), ffmpeg.text())
    report, path, behind = os.path.join(tap.folder(), 'report'), os.path.join(tap.folder(), 'socket'), []
    p = tap.Process(tap.program('ribera-player'), server.url + '/live.mpd', '--output', 'null', '--quiet', '--no-state', '--duration', f'{SECONDS}s', '--report', report, '--ipc-server', path,
                    log=os.path.join(tap.folder(), 'player.log'))
    script = Script(path, p)

    def over():
        try:
            behind.append(script.get('latency'))
        except (OSError, ValueError, KeyError):  # it has ended
            pass
        return not p.alive()
    tap.until(over, SECONDS + 30, 'the end', every=0.2)
    tap.equal(p.p.returncode, 0, p.text())
    tap.check(ffmpeg.alive(), ffmpeg.text())
    ffmpeg.kill()
    with open(report) as f:
        r = json.load(f)
    tap.equal((r['finished'], r['errors'], r['decode_errors']), (True, [], 0), 'the report')
    tap.near(r['frames']['presented'] + r['frames']['dropped'], SECONDS * FPS, 2, 'pictures')
    # a busy machine makes stalls of its own, of both programs
    tap.check(sum(s['duration_ms'] for s in r['stalls']) < 1500, f"{r['stalls']}")
    return r, [b for b in behind if b]


@tap.test
def whole_segments_of_ffmpeg():
    _, behind = play()
    tap.check(behind and behind[-1] < 8, f'{behind[-5:]}')


@tap.test
def chunks_of_ffmpeg_as_they_are_made():
    """2 s behind the edge are wanted: whole segments of a second could not be had so near on a line with any delay, and each is asked for while it is made."""
    r, behind = play(*LOW)
    tap.check(sorted(behind)[len(behind) // 2] < 3.2, f'{behind}')


tap.run()

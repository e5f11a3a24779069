# SPDX-License-Identifier: GPL-3.0-or-later
"""What reports of ribera-player say of waiting."""
import tap


def waited_for_bytes(stall, segments):
    """Not so when what was to be shown had come: then a busy machine kept the pictures."""
    return any(x['start_s'] <= stall['at_s'] + 0.1 < x['start_s'] + x['duration_s'] and x['asked_s'] + x['total_ms'] / 1000 > stall['began_s'] for x in segments)


def stalls(report):
    """All of them; of a program that is slow by itself (tap.PATIENCE) those with nothing in hand."""
    return [s for s in report['stalls'] if tap.PATIENCE == 1 or waited_for_bytes(s, report['segments'])]


def stalled_ms(report):
    return sum(s['duration_ms'] for s in stalls(report))

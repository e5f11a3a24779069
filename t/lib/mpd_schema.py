# SPDX-License-Identifier: GPL-3.0-or-later
"""A package's MPD against schemas: ours (t/lib/mpd.rng) always, both of ISO/IEC 23009-1 as well where they are
(../shared/xsd; they are not ours to give)."""
import os
import tap

OURS = os.path.join(tap.SOURCE, 't', 'lib', 'mpd.rng')
ISO = [p for p in (os.path.join(tap.SHARED, 'xsd', edition, 'DASH-MPD.xsd') for edition in ('ed5-amd1', 'ed6-fdis2')) if os.path.exists(p)]
CATALOG = {'XML_CATALOG_FILES': os.path.join(tap.SHARED, 'xsd', 'catalog.xml')}


def complaint(*mpds):
    """What our schema has against these files; '' when they are valid."""
    tap.need('xmllint', 'libxml2-utils')
    done = tap.call('xmllint', '--nonet', '--noout', '--relaxng', OURS, *mpds)
    tap.check(done.returncode in (0, 3), f'xmllint ended with {done.returncode}: {done.stderr}')
    return done.stderr if done.returncode else ''


def check(folder):
    """The package's manifest is valid to every schema here, for xmllint and for ribera-ingest --schema alike."""
    mpd = os.path.join(folder, 'manifest.mpd')
    tap.equal(complaint(mpd), '', 'what t/lib/mpd.rng finds')
    for schema in ISO:
        done = tap.call('xmllint', '--nonet', '--noout', '--schema', schema, mpd, env=CATALOG)
        tap.equal(done.returncode, 0, done.stderr)
        tap.call(tap.program('ribera-ingest'), '--verify', folder, '--quick', '--schema', schema, env=CATALOG, check_exit=0)

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The catalogs are whole: every marked word has its translation and no other stands there; programs use them, and
# numbers keep their point.
set -u
cd "$RIBERA_SOURCE" || exit 1
n=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' <<<"${3-}"; fi; }

for room in edge player; do
	catalog=po/ribera-$room.es.po
	said=$(msgfmt -c --check-accelerators -o /dev/null "$catalog" 2>&1)
	ok $? "$catalog is well-formed, and its formats take the same values" "$said"
	xgettext --from-code=UTF-8 -L C -k_ -kngettext:1,2 -o "$work/now.pot" "$room"/*.c
	msgmerge -q -N -o "$work/merged.po" "$catalog" "$work/now.pot"
	said=$(msgattrib --untranslated "$work/merged.po"; msgattrib --only-fuzzy "$work/merged.po")
	[ -z "$said" ]; ok $? "every marked word of $room/ is translated" "$said"
	said=$(msgattrib --only-obsolete "$work/merged.po")
	[ -z "$said" ]; ok $? "no word of $catalog is one that $room/ does not use" "$said"
done

said=$(printf '\n' | LC_ALL=C.UTF-8 LANGUAGE=es "$RIBERA_BUILD/ribera-edge" --setup --name a --origin ftp://x --config "$work/e.yaml" 2>&1)
grep -q 'se esperaba una URL' <<<"$said"; ok $? "setup speaks Spanish" "$said"
said=$(printf '\n' | LC_ALL=C.UTF-8 "$RIBERA_BUILD/ribera-edge" --setup --name a --origin ftp://x --config "$work/e.yaml" 2>&1)
grep -q 'expected an http or https URL' <<<"$said"; ok $? "and English where nothing else was asked for" "$said"
echo "1..$n"

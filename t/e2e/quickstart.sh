#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ./quickstart --once from a clone, as a newcomer would, twice; and its bad inputs.
set -u
source_=${RIBERA_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n=0
echo 1..6
outcome() { # NAME STATUS LOG
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else tail -n 25 "$3" | sed 's/^/# /'; echo "not ok $n - $1"; fi
}
if git -C "$source_" rev-parse >/dev/null 2>&1; then
	git clone -q "$source_" "$work/ribera" && git -C "$source_" diff HEAD --binary >"$work/diff" &&
		{ [ ! -s "$work/diff" ] || git -C "$work/ribera" apply "$work/diff"; }
else
	cp -r "$source_" "$work/ribera"
fi
cd "$work/ribera" || exit 1
[ -d "$source_/node_modules" ] && cp -r "$source_/node_modules" . # what npm ci gave once need not be fetched again
ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i 'sine=frequency=880' -t 10 \
	-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac "$work/My film (2026).mp4"
./quickstart "$work/My film (2026).mp4" --once --port 18080 >"$work/log" 2>&1
outcome "a first run works, every step" $? "$work/log"
start=$(date +%s)
./quickstart "$work/My film (2026).mp4" --once --port 18080 >"$work/log" 2>&1
outcome "a second run works" $? "$work/log"
[ $(($(date +%s) - start)) -le 30 ]
outcome "a second run is quick" $? "$work/log"
! ./quickstart "$work/none.mp4" --once >"$work/log" 2>&1 && grep -q 'none.mp4' "$work/log"
outcome "no such master is said" $? "$work/log"
./quickstart --wat >"$work/log" 2>&1
[ $? = 2 ] && grep -q 'unknown option' "$work/log"
outcome "wrong usage is exit code 2" $? "$work/log"
[ -z "$(git status --porcelain 2>/dev/null | grep -v '^ M')" ]
outcome "the clone stays clean" $? "$work/log"

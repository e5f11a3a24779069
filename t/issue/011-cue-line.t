#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A WebVTT file that ends with a cue's setting: the player looked for more digits behind it.  A line that is too large, behind one
# that is not: the player counted with the large one.
: "${RIBERA_BUILD:=.}"
f=$(mktemp)
trap 'rm -f "$f"' EXIT
n=0
echo 1..4
for setting in 'line:-0' 'position:50' 'size:1' "line:0 line:$(printf '3%.0s' {1..39})"$'\nx'; do
	n=$((n + 1))
	printf 'vWEBVTT\n\n00:01.000 --> 00:02.500 %s' "$setting" >"$f"
	"$RIBERA_BUILD/t/fuzz/cues" "$f" >/dev/null 2>&1 && echo "ok $n - ${setting:0:12}" || echo "not ok $n - ${setting:0:12}"
done

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A WebVTT file that ends with a cue's setting: the player looked for more digits behind it.
: "${RIBERA_BUILD:=.}"
f=$(mktemp)
trap 'rm -f "$f"' EXIT
n=0
echo 1..3
for setting in 'line:-0' 'position:50' 'size:1'; do
	n=$((n + 1))
	printf 'vWEBVTT\n\n00:01.000 --> 00:02.500 %s' "$setting" >"$f"
	"$RIBERA_BUILD/t/fuzz/cues" "$f" >/dev/null 2>&1 && echo "ok $n - $setting" || echo "not ok $n - $setting"
done

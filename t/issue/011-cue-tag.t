#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A WebVTT file that ends within a tag: the player read on behind it for the tag's end.
: "${RIBERA_BUILD:=.}"
f=$(mktemp)
trap 'rm -f "$f"' EXIT
n=0
echo 1..3
for tag in '<b' '</b' '<'; do
	n=$((n + 1))
	printf 'vWEBVTT\n\n00:03.000 --> 00:05.000\ntext %s' "$tag" >"$f"
	"$RIBERA_BUILD/t/fuzz/cues" "$f" >/dev/null 2>&1 && echo "ok $n - $tag" || echo "not ok $n - $tag"
done

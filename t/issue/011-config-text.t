#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Settings printed as YAML are read again as they were: line ends that only YAML 1.1 knows, bytes
# that it forbids, durations below a millisecond.
: "${RIBERA_BUILD:=.}"
f=$(mktemp)
trap 'rm -f "$f"' EXIT
n=0
echo 1..5
for text in 'listen: "a\Lb"' 'listen: "a\Nb\x7f"' 'tags: ["\uFEFFa", "b\Pc"]' 'listen: "\uFFFE\x81"' 'idle: 1500us'; do
	n=$((n + 1))
	printf '%s\n' "$text" >"$f"
	"$RIBERA_BUILD/t/fuzz/config" "$f" >/dev/null 2>&1 && echo "ok $n - $text" || echo "not ok $n - $text"
done

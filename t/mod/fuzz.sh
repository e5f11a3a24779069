#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every fuzz target over its corpus, in the build as it is.
: "${RIBERA_BUILD:=.}" "${RIBERA_SOURCE:=.}"
n=0 targets=()
for source in "$RIBERA_SOURCE"/t/fuzz/*.c; do
	name=${source##*/} name=${name%.c}
	[ "$name" = plain ] || targets+=("$name")
done
echo "1..${#targets[@]}"
for t in "${targets[@]}"; do
	n=$((n + 1))
	corpus=$RIBERA_SOURCE/t/fuzz/corpus/$t
	out=$(mktemp)
	if [ -d "$corpus" ] && "$RIBERA_BUILD/t/fuzz/$t" "$corpus" >"$out" 2>&1 && ! grep -q '^0 inputs' "$out"; then
		echo "ok $n - $t: $(tail -n 1 "$out")"
	else
		sed 's/^/# /' "$out" | tail -n 25
		echo "not ok $n - $t"
	fi
	rm -f "$out"
done

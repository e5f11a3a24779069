#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# With the settings of ./check --sanitizers each kind of report is a file, whatever the program's exit code is taken for. (Beside libasan, GCC's
# libubsan wrote to none and ended with 1, which tests of hostile input expect.)
: "${RIBERA_SOURCE:=$(dirname "$0")/../..}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sanitizers=$work
eval "$(grep -E '^[[:space:]]*export (ASAN|UBSAN)_OPTIONS=' "$RIBERA_SOURCE/check")" # of those two lines alone
cat >"$work/wrong.c" <<'C'
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void *volatile kept;

int main(int argc, char **argv)
{
	int x = INT_MAX;

	kept = malloc(3);
	if (strcmp(argv[1], "overflow") == 0)
		x += argc;
	if (strcmp(argv[1], "byte") == 0)
		((char *)kept)[argc + 1] = 1; /* one argument: the fourth byte */
	if (strcmp(argv[1], "assertion") == 0)
		abort();
	if (strcmp(argv[1], "leak") != 0)
		free(kept);
	kept = NULL;
	return x == 5;
}
C
n=0
echo 1..5
outcome() { n=$((n + 1)); [ "$1" = "$2" ] && echo "ok $n - $3" || { sed 's/^/# /' "$work"/*.txt; echo "not ok $n - $3: $1 reports"; }; }
${CC:-gcc} -g -fsanitize=address,undefined -fno-sanitize-recover=all -o "$work/wrong" "$work/wrong.c" >"$work/cc.txt" 2>&1
for what in overflow byte leak assertion nothing; do
	rm -f "$work"/report.*
	"$work/wrong" $what >"$work/out.txt" 2>&1
	outcome "$(find "$work" -name 'report.*' -size +0 | wc -l)" "$([ $what = nothing ]; echo $?)" "$what"
done

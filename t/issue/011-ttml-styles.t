#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# TTML whose regions name styles by the hundred thousand: the player looked for each in the whole document, which took hours of processor time for a few megabytes.
: "${RIBERA_BUILD:=.}"
f=$(mktemp)
trap 'rm -f "$f"' EXIT
many() { printf "%$1s" '' | sed "s| |$2|g"; }
document() { # STYLES-OF-THE-REGION STYLES-OF-THE-STYLE
	printf 't<tt xmlns="http://www.w3.org/ns/ttml"><head><styling><style xml:id="s" %s/></styling><layout><region xml:id="r" style="%s"/></layout></head><body><div>' "$2" "$1"
	many 50000 '<p begin="1s" end="2s">x</p>'
	printf '</div></body></tt>'
}
judge() {
	document "$2" "$3" >"$f"
	(ulimit -t 60 && exec "$RIBERA_BUILD/t/fuzz/cues" "$f") >/dev/null 2>&1 && echo "ok $1 - $4" || echo "not ok $1 - $4"
}
echo 1..2
judge 1 "$(many 500000 'a ')" '' 'styles that are not there'
judge 2 "$(many 500000 's ')" "style=\"$(many 500000 's ')\"" 'styles that name styles'

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The manual pages: all options and settings are in them, and mandoc has nothing to say against them.
set -u
build=${RIBERA_BUILD:?} n=0
pages=$(cd "$build" && ls doc/man/*.[158]; cd "${RIBERA_SOURCE:?}" && ls doc/man/*.[1-9])

result() { # CODE NAME
	n=$((n + 1))
	[ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

text_of() { mandoc -T ascii "$build/$1" | col -b; }

for page in $pages; do
	at=$build/$page
	[ -e "$at" ] || at=$RIBERA_SOURCE/$page
	if command -v mandoc >/dev/null; then
		said=$(mandoc -T lint -W warning "$at" 2>&1)
		[ -z "$said" ]
		result $? "${page##*/} is sound roff"
		[ -z "$said" ] || echo "# $said"
	else
		false
		result $? "${page##*/} is sound roff"
		echo "# mandoc is not here: ./check installs it, or apt-get install mandoc"
	fi
	! grep -q '^@' "$at"
	result $? "${page##*/} is filled in"
done
for program in admin edge ingest origin player; do
	page=$(cd "$build" && ls doc/man/ribera-$program.[18])
	absent=
	for option in $("$build/ribera-$program" --help | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
		grep -q -- "^\.B.*${option//-/\\\\-}" "$build/$page" || absent="$absent $option"
	done
	[ -z "$absent" ]
	result $? "${page##*/} has every option"
	[ -z "$absent" ] || echo "# absent:$absent"
done
for program in edge origin; do
	left=
	for key in $("$build/ribera-$program" --sample | sed -nE 's/^#(  )?([a-z_]+):( .*)?$/\2/p' | sort -u); do
		grep -qE "^\.B ([a-z_]+\.)?$key(\.[a-z_]+)?\$" "$build/doc/man/ribera-$program.yaml.5" || left="$left $key"
	done
	[ -z "$left" ]
	result $? "ribera-$program.yaml.5 has every setting"
	[ -z "$left" ] || echo "# absent:$left"
done
echo "1..$n"

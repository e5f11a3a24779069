#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The arrows of doc/ARCHITECTURE.md: which room may include which, and where foreign libraries may stand.
cd "${RIBERA_SOURCE:-$(dirname "$0")/../..}" || exit 1
n=0
echo 1..13

# holds NAME OUTPUT: ok when OUTPUT is empty
holds() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "$2" | sed 's/^/# /'
		echo "not ok $n - $1"
	fi
}

# includes ROOM...: the #include lines of a room's files
includes() { grep -nE '^#[[:space:]]*include' "${@/%//}" -r --include='*.c' --include='*.h' 2>/dev/null; }
only() { # ROOM ALLOWED: includes of our rooms in ROOM that are not in the ALLOWED alternation
	includes "$1" | grep -E '"(base|dash|cdn|fetch|serve|ingest|origin|edge|player)/' | grep -vE "\"($2)/"
}

holds "base stands alone" "$(only base 'base')"
holds "dash knows base only" "$(only dash 'base|dash')"
holds "cdn knows base only" "$(only cdn 'base|cdn')"
holds "fetch knows base and dash" "$(only fetch 'base|dash|fetch')"
holds "serve knows base and dash" "$(only serve 'base|dash|serve')"
holds "ingest does not know servers" "$(only ingest 'base|dash|fetch|ingest')"
holds "origin does not know ingest, edge, player" "$(only origin 'base|dash|cdn|fetch|serve|origin')"
holds "edge does not know ingest, origin, player" "$(only edge 'base|dash|cdn|fetch|serve|edge')"
holds "player does not know servers" "$(only player 'base|dash|fetch|player')"
holds "FFmpeg only in ingest and player" "$(includes base dash cdn fetch serve origin edge | grep -E '<lib(av|sw)')"
holds "SQLite only in catalogue and store" "$(includes base dash cdn fetch serve ingest origin edge player | grep '<sqlite3' | grep -vE '^(origin/catalogue|edge/store)')"
holds "h2o only in serve, curl only in fetch" "$(includes base dash cdn fetch ingest origin edge player | grep '<h2o'; includes base dash cdn serve ingest origin edge player | grep '<curl/')"
unlisted() {
	for f in t/mod/*.py t/mod/*.sh t/e2e/*.py t/e2e/*.sh t/browser/*.mjs t/issue/*.t t/unit/*.c; do
		grep -qs -- "${f%.c}" ./*/*.inc ./*/*/*.inc Makefile.am || echo "$f is in no list of tests: nothing runs it"
	done
}
holds "every test is run" "$(unlisted)"

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The Debian packages are the same bytes whoever builds them: two fresh clones of what is committed, in folders of other names and
# lengths, under another time zone, language, umask and number of jobs, one after the other; then every .deb is compared.
# Needs git, and dash.js in node_modules as `make deb` does; two whole builds, so not a part of ./check.
# Usage: t/host/reproducible.sh [FOLDER]     (FOLDER is made, and keeps the second build's packages in FOLDER/deb)
set -u
source=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
folder=${1:-$(mktemp -d /var/tmp/ribera-reproducible.XXXXXX)}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 2
n=0 failed=0

need() { echo "Bail out! $1"; exit 2; } # THE CURE
result() { # CODE NAME [WHY]
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=1; [ -z "${3-}" ] || sed 's/^/# /' <<<"$3"; fi
}
[ -d "$source/node_modules/dashjs/dist" ] || need "dash.js is not here: npm ci --ignore-scripts in $source"
git -C "$source" rev-parse -q --verify HEAD >/dev/null || need "$source is no git repository: the clones are of what is committed"

unset CC CXX CFLAGS LDFLAGS MAKEFLAGS
export CCACHE_DISABLE=1 # else the second build is the first one's objects
build() { # PLACE JOBS
	rm -rf "$1" && mkdir -p "$1" && git clone -q "$source" "$1/source" && mkdir "$1/source/node_modules" &&
		cp -R "$source/node_modules/dashjs" "$1/source/node_modules/" && cd "$1/source" &&
		./autogen.sh && mkdir build && cd build && ../configure && DEB_BUILD_OPTIONS="parallel=$2" make deb
}
(umask 022; export TZ=UTC LC_ALL=C.UTF-8; build "$folder/one" 2) >"$folder/one.log" 2>&1
result $? "the packages build from a fresh clone" "$(tail -n 5 "$folder/one.log")"
rm -rf "$folder/first" && mv "$folder/one/source/build/deb" "$folder/first" && rm -rf "$folder/one"
(umask 027; export TZ=Asia/Kathmandu LC_ALL=es_ES.UTF-8 LANGUAGE=es; build "$folder/a-second-one/in-a-folder/of-another-name" 3) >"$folder/two.log" 2>&1
code=$?
result $code "and from another, elsewhere, a while later" "$(tail -n 5 "$folder/two.log")"
rm -rf "$folder/deb" && mv "$folder/a-second-one/in-a-folder/of-another-name/source/build/deb" "$folder/deb" && rm -rf "$folder/a-second-one"
if [ $failed = 0 ]; then
	for deb in "$folder"/first/*.deb; do
		said=$(cmp "$deb" "$folder/deb/${deb##*/}" 2>&1)
		result $? "${deb##*/} is the same to the byte: $(sha256sum <"$deb" | cut -c 1-16)" "$said"
	done
	[ $n -ge 7 ]; result $? "five packages at least were compared"
fi
echo "1..$n"
exit $failed

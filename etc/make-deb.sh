#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the Debian packages into BUILD/deb from a clean copy of what is distributed.
# Usage: make-deb.sh SOURCE BUILD NAME-VERSION MAKE
set -eu
source=$1 build=$2 name=$3 make=$4
dashjs=$source/node_modules/dashjs

[ -d "$dashjs/dist" ] || {
	echo "make deb: dash.js is not here, and the page needs it: run 'npm ci --ignore-scripts' in $source first" >&2
	exit 1
}
cd "$build"
rm -rf deb "$name"
"$make" distdir
mkdir deb
mv "$name" "deb/$name"
cd "deb/$name"
cp -R "$source/debian" .
mkdir -p node_modules/dashjs/dist/modern/umd
cp "$dashjs/LICENSE.md" node_modules/dashjs/
cp "$dashjs"/dist/modern/umd/dash.mediaplayer.min.js* node_modules/dashjs/dist/modern/umd/
dpkg-buildpackage -b -us -uc
cd ..
rm -rf "$name"
ls -l ./*.deb

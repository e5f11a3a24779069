#!/bin/sh
# Lays the page's files and the player's script side by side in a folder that ribera-origin serves.
# Usage: assemble.sh FOLDER NODE_MODULES FILE...
# Files that are the same already are left alone; what does not belong there goes.
set -eu
folder=$1 modules=$2
shift 2
dashjs=$modules/dashjs

mkdir -p "$folder"
lay() { # FROM NAME
	cmp -s "$1" "$folder/$2" && return
	cp "$1" "$folder/$2.part"
	chmod 644 "$folder/$2.part"
	mv "$folder/$2.part" "$folder/$2"
	echo "  WWW      $2"
}

wanted=' '
for file; do
	lay "$file" "${file##*/}"
	wanted="$wanted${file##*/} "
done
if [ -f "$dashjs/dist/modern/umd/dash.mediaplayer.min.js" ]; then
	for name in dash.mediaplayer.min.js dash.mediaplayer.min.js.LICENSE.txt; do
		# without the pointer to a source map that is not served
		sed '/^\/\/# sourceMappingURL=/d' "$dashjs/dist/modern/umd/$name" >"$folder/.lay"
		lay "$folder/.lay" "$name"
		rm -f "$folder/.lay"
		wanted="$wanted$name "
	done
	lay "$dashjs/LICENSE.md" dash.js-LICENSE.md
	wanted="${wanted}dash.js-LICENSE.md "
else
	echo "  WWW      no dash.js: films will not play on the page. Run 'npm ci --ignore-scripts' in the source folder, then make."
fi
for path in "$folder"/* "$folder"/.[!.]*; do
	[ -e "$path" ] || continue
	case $wanted in *" ${path##*/} "*) ;; *) rm -rf "$path" ;; esac
done

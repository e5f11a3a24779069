#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Fills a manual page in from what the program itself says, so that the two cannot differ.
# Usage: fill-in.sh PAGE.in VERSION [PROGRAM] >PAGE
#   @OPTIONS@   the options of PROGRAM --help
#   @COMMANDS@  its commands (ribera-admin)
#   @SETTINGS@  the keys of PROGRAM --sample
set -eu
page=$1 version=$2 program=${3-}

# roff would take these for its own
escape='s/\\/\\e/g; s/-/\\-/g; s/^\([.'"'"']\)/\\\&\1/'

options() {
	LC_ALL=C "$program" --help | awk '
		/^Commands$/ { commands = 1; next }
		/^Options$/ { commands = 0; next }
		commands { next }
		/^ +-/ { sub(/^ +/, ""); print ".TP\n.B " $0; text = 1; next }
		/^        / && text { sub(/^ +/, ""); print toupper(substr($0, 1, 1)) substr($0, 2) "."; next }
		{ text = 0 }'
}

commands() {
	LC_ALL=C "$program" --help | awk '
		/^Commands$/ { commands = 1; next }
		/^Options$/ { exit }
		commands && /^        / { sub(/^ +/, ""); print toupper(substr($0, 1, 1)) substr($0, 2) "."; next }
		commands && /^  / { sub(/^ +/, ""); print ".TP\n.B " $0 }'
}

settings() {
	LC_ALL=C "$program" --sample | awk '
		/^#[a-z_]+:$/ { group = substr($0, 2, length($0) - 2) "."; next }
		/^#(  )?[a-z_]+:( |$)/ {
			if ($0 !~ /^#  /) group = ""
			line = substr($0, 2); sub(/^ +/, "", line)
			key = line; sub(/:.*/, "", key); value = line; sub(/^[^:]*: */, "", value)
			type = kind; sub(/: .*/, "", type); text = kind; sub(/^[^:]*: /, "", text)
			print ".TP\n.B " group key
			print toupper(substr(text, 1, 1)) substr(text, 2) ". " toupper(substr(type, 1, 1)) substr(type, 2) \
				(value != "" ? "; default: " value "." : "; no default.")
			next
		}
		/^ *# / { kind = $0; sub(/^ *# /, "", kind) }'
}

roff() { sed -e 's/^\.TP$/\x01TP/; s/^\.B /\x01B /' -e "$escape" -e 's/^\x01/./'; }

while IFS= read -r line; do
	case $line in
	@OPTIONS@) options | roff ;;
	@COMMANDS@) commands | roff ;;
	@SETTINGS@) settings | roff ;;
	*) printf '%s\n' "$line" | sed "s/@VERSION@/$version/" ;;
	esac
done <"$page"

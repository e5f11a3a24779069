#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The catalogs are whole: every marked word has its translation and no other stands there; every program speaks the
# reader's language in its help, of what is wrong and of what it has done; logs and JSON stay as they are, and numbers
# keep their point where people write a comma.
set -u
cd "$RIBERA_SOURCE" || exit 1
n=0
work=$(mktemp -d) || exit 1
trap '[ -z "${origin-}" ] || kill "$origin"; rm -rf "$work"' EXIT
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' <<<"${3-}"; fi; }
has() { grep -qF -- "$2" <<<"$3"; ok $? "$1" "$3"; } # NAME WORDS TEXT
in_c() { env -u LANGUAGE LC_ALL=C.UTF-8 "$@"; }
in_spanish() { LC_ALL=C.UTF-8 LANGUAGE=es "$@"; }
# (glibc forgets some bytes of LOCPATH, which a build with sanitizers would count as ours)
in_locale() { local of=$1; shift; env -u LANGUAGE ASAN_OPTIONS=detect_leaks=0 LOCPATH="$work" LC_ALL="$of.UTF-8" "$@"; }
in_german() { env -u LANGUAGE ASAN_OPTIONS=detect_leaks=0 LOCPATH="$work" LC_ALL=de_DE.UTF-8 "$@"; }

# --- catalogs ---
base=$(ls base/config.c base/progress.c base/err.h fetch/*.c serve/*.c cdn/*.c)
for catalog in base dash ribera-admin ribera-edge ribera-ingest ribera-origin ribera-player; do
	more= file=po/$catalog.es.po
	case $catalog in
	base) more=-kX:4 sources=$base ;;
	dash) sources=$(ls dash/*.c) ;;
	ribera-admin) more='-kfield:1 -kfield_bytes:1 -kfield_percent:1' sources=$(ls origin/admin*.c origin/trace.c) ;;
	ribera-origin) sources=$(ls origin/*.c | grep -vE 'origin/(admin|trace)') ;;
	*) sources=$(ls "${catalog#ribera-}"/*.[ch]) ;;
	esac
	said=$(msgfmt -c --check-accelerators -o /dev/null "$file" 2>&1)
	ok $? "$file is well-formed, and its formats take the same values" "$said"
	# shellcheck disable=SC2086
	xgettext --from-code=UTF-8 -L C -k_ -kN_ -kngettext:1,2 -kROW:8 -kONCE:8 $more -o "$work/now.pot" $sources
	msgmerge -q -N -o "$work/merged.po" "$file" "$work/now.pot"
	said=$(msgattrib --untranslated "$work/merged.po"; msgattrib --only-fuzzy "$work/merged.po")
	[ -z "$said" ]; ok $? "$file has every marked word" "$said"
	said=$(msgattrib --only-obsolete "$work/merged.po")
	[ -z "$said" ]; ok $? "no word of $file is one that nobody says" "$said"
done

# --- what nobody marked ---
# A sentence in a call that speaks to people is marked, so that the checks above know of it.  Not looked at: what a service logs or answers by
# its API (origin, edge, and the rooms below them that only they use).
unmarked() { # FILES
	python3 - "$@" <<'PY'
import re, sys
CALL = re.compile(r'\b(?:fault_set|fault_prefix|fault_at|fail|bencode_fail|mpd_xml_stop|verify_wrong|verify_bad|fprintf|fputs|puts|printf|progress_new|admin_table_cell|report_add_error)\(')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
SENTENCE = re.compile(r'[A-Za-z]{2,} [a-z]{2,}|^[a-z]{3,}$')
for path in sys.argv[1:]:
    text = open(path).read()
    for m in CALL.finditer(text):
        depth, at, marks, quiet = 1, m.end(), [], 0
        while depth:
            s = STRING.match(text, at)
            if s:
                words = re.sub(r'%[-+0-9.*]*(?:ll|z)?[a-zA-Z]|\\.', ' ', s[1])
                if not marks and SENTENCE.search(words):
                    print(f'{path}:{text.count(chr(10), 0, at) + 1}: {s[0][:90]}')
                at = s.end()
                continue
            c = text[at]
            if c == '(':
                depth += 1
                before = re.search(r'\w*$', text[:at])[0]
                if before in ('_', 'N_', 'ngettext') or (before not in ('', 'if', 'fault_text') and 'put' not in before and 'print' not in before):
                    marks.append(depth)  # marked, or an argument of something else that is no sentence (json_object_get(o, "name"))
            elif c == ')':
                if marks and marks[-1] == depth:
                    marks.pop()
                depth -= 1
            at += 1
    for m in re.finditer(r'(?:return|\b(?:why|what) =|[?:]) ("[^"\n]*[a-z]{2,} [a-z]{2,}[^"\n]*")', text if path.startswith(('dash/', 'fetch/')) else ''):
        print(f'{path}:{text.count(chr(10), 0, m.start()) + 1}: {m[1][:90]}')  # a reason that is handed on to such a call
PY
}
# shellcheck disable=SC2046
said=$(unmarked base/config.c base/progress.c dash/*.c fetch/*.c $(ls ingest/*.c player/*.c | grep -vE 'report_page|report_hull|/ipc|player/report') edge/setup*.c edge/settings.c edge/main.c origin/admin*.c origin/trace.c origin/settings.c origin/main.c |
	grep -vE '<svg|<text|<rect|# Settings of|"(true|false|everywhere)"|listening viewers=')
[ -z "$said" ]; ok $? "every sentence for people is marked for translation" "$said"
printf 'int f(void) {\n\treturn fault_set(f, 1, "%%s: a new sentence", g(x, "title"));\n}\n' >"$work/new.c"
has "and one that is not is found" 'new.c:2: "%s: a new sentence"' "$(unmarked "$work/new.c")"

# --- help ---
for program in admin edge ingest origin player; do
	in_c "$RIBERA_BUILD/ribera-$program" --help >"$work/english"
	in_spanish "$RIBERA_BUILD/ribera-$program" --help >"$work/spanish"
	said=$(grep -xFf "$work/english" "$work/spanish" | grep -vE '^( {2,6}(-|[a-z])|$)') # names of options and commands are the same
	[ -z "$said" ] && [ "$(wc -l <"$work/english")" = "$(wc -l <"$work/spanish")" ]
	ok $? "ribera-$program --help is Spanish in every sentence" "$said"
	said=$(in_c "$RIBERA_BUILD/ribera-$program" --wat 2>&1) && said=passed
	has "ribera-$program speaks English where nothing else was asked for" 'unknown option "--wat"' "$said"
	said=$(in_spanish "$RIBERA_BUILD/ribera-$program" --wat 2>&1) && said=pasado
	has "ribera-$program says in Spanish what is wrong" 'opción desconocida «--wat»' "$said"
done

# --- what is wrong ---
printf 'listen: 1\nthreads: mil\n' >"$work/bad.yaml"
has "a wrong setting of the origin" "bad.yaml:2:10: threads: se encontró «mil», se esperaba un número entero" "$(in_spanish "$RIBERA_BUILD/ribera-origin" -t --config "$work/bad.yaml" 2>&1)"
has "one of the edge" "window.zone: no existe la zona «Mars/Base»" "$(in_spanish "$RIBERA_BUILD/ribera-edge" -t --name a --origin http://x --store "$work/s" --window-zone Mars/Base 2>&1)"
has "a good one" "los ajustes son correctos" "$(in_spanish "$RIBERA_BUILD/ribera-edge" -t --name a --origin http://x --store "$work/s" 2>&1)"
has "setup" "se esperaba una URL" "$(printf '\n' | in_spanish "$RIBERA_BUILD/ribera-edge" --setup --name a --origin ftp://x --config "$work/e.yaml" 2>&1)"
: >"$work/empty.mp4"
has "an empty master" "está vacío (0 bytes); copie el máster de nuevo" "$(in_spanish "$RIBERA_BUILD/ribera-ingest" "$work/empty.mp4" --library "$work" 2>&1)"
has "no master" "no se ha indicado MASTER; véase --help" "$(in_spanish "$RIBERA_BUILD/ribera-ingest" 2>&1)"
printf '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"\n mediaPresentationDuration="PT1H2"/>' >"$work/bad.mpd"
has "a wrong MPD, and where" "bad.mpd:2:29: MPD@mediaPresentationDuration «PT1H2» no se puede interpretar, se esperaba una duración como PT1H2M3.5S" \
	"$(in_spanish "$RIBERA_BUILD/ribera-player" --inspect "$work/bad.mpd" 2>&1)"
has "one that is no XML" "bad.xml:1:6: XML mal formado: " "$(printf '<MPD ' >"$work/bad.xml"; in_spanish "$RIBERA_BUILD/ribera-player" --inspect "$work/bad.xml" 2>&1)"
has "and one that is not there" "none.mpd: No existe el fichero o el directorio" "$(in_spanish "$RIBERA_BUILD/ribera-player" --inspect "$work/none.mpd" 2>&1)"
has "nothing to play" "¿qué hay que reproducir?" "$(in_spanish "$RIBERA_BUILD/ribera-player" 2>&1)"

# --- what was done, and numbers ---
ffmpeg -loglevel error -f lavfi -i testsrc2=s=320x180:r=25:d=3 -c:v libx264 -preset ultrafast "$work/film.mp4"
mkdir "$work/library"
said=$(in_spanish "$RIBERA_BUILD/ribera-ingest" "$work/film.mp4" --library "$work/library" --ladder fixed 2>&1)
has "an ingest's result" "publicado $work/library/film/" "$said"
has "and its notes" "nota: el máster no tiene sonido" "$said"
said=$(grep -rlE 'publicado|versiones|imágenes' "$work/library/film" --include='*.json' --include='*.html' --include='*.mpd')
[ -z "$said" ]; ok $? "the package is the same in every language" "$said"
package=$(dirname "$work"/library/film/*/manifest.mpd)
said=$(ffmpeg -loglevel error -i "$work/film.mp4" -c copy -f matroska - | in_spanish "$RIBERA_BUILD/ribera-ingest" - --library "$work/library" --title short 2>&1)
has "a note is Spanish on the terminal" "nota: se usa la escalera fija: en la entrada estándar" "$said"
said=$(python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); assert [n["text"] for n in r["notes"]] == r["warnings"]; print(*(n["code"] + ": " + n["text"] for n in r["notes"]), sep="\n")' \
	"$work"/library/short/*/report.json 2>&1)
has "a note in the report has a code that stays, and is English" "fixed-ladder: the fixed ladder is used: standard input" "$said"
codes=$(grep -ohE '(warn\((j|t->ctx)|add_note\(j), "[a-z0-9-]+"' "$RIBERA_SOURCE"/ingest/*.c | grep -oE '"[a-z0-9-]+"' | tr -d '"' | sort -u)
said=$(for code in $codes silent; do grep -q "\`$code\`" "$RIBERA_SOURCE/doc/REPORT.md" || echo "$code"; done)
[ -z "$said" ] && [ "$(wc -w <<<"$codes")" -gt 12 ]; ok $? "doc/REPORT.md has every code" "$said"
cp -r "$package" "$work/harmed"
printf x | dd of="$(ls "$work"/harmed/video-*.mp4 | head -n 1)" bs=1 seek=3000 conv=notrunc status=none
said=$(in_spanish "$RIBERA_BUILD/ribera-ingest" --verify "$work/harmed" 2>&1)
has "the judge of packages speaks Spanish" "no concuerda con su resumen: el fichero está dañado; haga el paquete de nuevo" "$said"
said=$(in_spanish "$RIBERA_BUILD/ribera-ingest" --verify "$work/harmed" --json 2>&1)
has "and English to programs" "does not match its hash: the file is damaged" "$said"
index=$(grep -o 'indexRange="[0-9]*' "$work/harmed/manifest.mpd" | head -n 1)
printf '\0\0\0\0' | dd of="$(ls "$work"/harmed/video-*.mp4 | head -n 1)" bs=1 seek=$((${index#*\"} + 16)) conv=notrunc status=none
has "a damaged box, and where" "su índice en el byte ${index#*\"}: no se puede interpretar" "$(in_spanish "$RIBERA_BUILD/ribera-player" --inspect "$work/harmed/manifest.mpd" 2>&1)"
printf 'i-0e' | dd of="$work/harmed/package.torrent" conv=notrunc status=none
has "a damaged digest" "metainfo: byte 0: se esperaba un diccionario" "$(in_spanish "$RIBERA_BUILD/ribera-admin" verify "$work/harmed" 2>&1)"
rm -rf "$work/library/short"
mkdir "$work/library/harmed" && mv "$work/harmed" "$work/library/harmed/${package##*/}"
said=$(localedef -i de_DE -f UTF-8 "$work/de_DE.UTF-8" 2>&1) && [ "$(in_german printf %.1f 1,5)" = 1,5 ]
ok $? "here is a locale with decimal commas (apt-get install locales, if not)" "$said"
printf '1,7,1000\n2,8,3000\n3,7,1000\n90000,7,1000\n' >"$work/trace"
same() { # NAME COMMAND...
	local name=$1 german plain
	shift
	german=$(in_german "$@" 2>&1) plain=$(in_c "$@" 2>&1)
	[ "$german" = "$plain" ] && grep -q '[0-9][.][0-9]' <<<"$german"
	ok $? "$name" "$german"
}
same "a table keeps its points" "$RIBERA_BUILD/ribera-admin" simulate --capacity 50% "$work/trace"
same "JSON of ribera-player" "$RIBERA_BUILD/ribera-player" --inspect --json "$(ls "$work"/library/film/*/manifest.mpd)"
in_german "$RIBERA_BUILD/ribera-ingest" --verify "$(dirname "$work"/library/film/*/manifest.mpd)" --json >"$work/verify.json" 2>&1
said=$(python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["ok"] and isinstance(d["seconds"], float)' "$work/verify.json" 2>&1)
ok $? "JSON of ribera-ingest" "$said"
said=$(in_german "$RIBERA_BUILD/ribera-edge" -t --name a --origin http://x --store "$work/s" --window-duration 1.5h --rate 2.5MB 2>&1)
ok $? "settings are read the same" "$said"

for of in es_ES tr_TR; do # commas and Spanish; an i that is no I
	said=$(localedef -i $of -f UTF-8 "$work/$of.UTF-8" 2>&1) && [ "$(in_locale $of printf %.1f 1,5)" = 1,5 ]
	ok $? "here is $of" "$said"
	mkdir "$work/$of" "$work/$of.plain"
	said=$(in_locale $of "$RIBERA_BUILD/ribera-ingest" "$work/film.mp4" --library "$work/$of" --name "TITLE I" --ladder fixed --quiet 2>&1)
	in_c "$RIBERA_BUILD/ribera-ingest" "$work/film.mp4" --library "$work/$of.plain" --name "TITLE I" --ladder fixed --quiet
	[ -d "$work/$of/title-i" ] && said=$(diff -r "$work/$of" "$work/$of.plain" 2>&1); ok $? "a package of $of is the same to the byte" "$said"
	said=$(diff <(in_locale $of "$RIBERA_BUILD/ribera-player" --inspect --json "$package/manifest.mpd") <(in_c "$RIBERA_BUILD/ribera-player" --inspect --json "$package/manifest.mpd"))
	ok $? "so is JSON of ribera-player" "$said"
	said=$(diff <(in_locale $of "$RIBERA_BUILD/ribera-admin" --json simulate --capacity 50% "$work/trace") <(in_c "$RIBERA_BUILD/ribera-admin" --json simulate --capacity 50% "$work/trace"))
	ok $? "and of ribera-admin" "$said"
	said=$(diff <(in_locale $of "$RIBERA_BUILD/ribera-ingest" "$work/film.mp4" --dry-run --json --ladder fixed 2>&1 | grep -vE 'seconds|about') <(in_c "$RIBERA_BUILD/ribera-ingest" "$work/film.mp4" --dry-run --json --ladder fixed 2>&1 | grep -vE 'seconds|about'))
	ok $? "and of ribera-ingest" "$said"
	in_locale $of "$RIBERA_BUILD/ribera-player" "$package/manifest.mpd" --output null --speed 2 --report "$work/$of.HTML" >/dev/null 2>&1
	grep -q '<!DOCTYPE html>' "$work/$of.HTML" && ! grep -qE '[a-z]="[0-9]+,[0-9]' "$work/$of.HTML"
	ok $? "a report named .HTML is a page, with points in its numbers"
	said=$(diff <(in_locale $of "$RIBERA_BUILD/ribera-edge" --sample) <(in_c "$RIBERA_BUILD/ribera-edge" --sample) | grep -E '[0-9],[0-9]'; in_locale $of "$RIBERA_BUILD/ribera-edge" -t --name a --origin http://x --store "$work/s" --window-duration 1.5h --rate 2.5MB 2>&1 | grep -E 'error|2,5')
	[ -z "$said" ]; ok $? "settings keep their points" "$said"
done

# --- a service ---
echo "grace: 1s" >"$work/o.yaml"
LOCPATH="$work" LC_ALL=es_ES.UTF-8 LANGUAGE=es ASAN_OPTIONS=detect_leaks=0 "$RIBERA_BUILD/ribera-origin" --library "$work/library" --www "$RIBERA_SOURCE/origin/www" --listen 127.0.0.1:0 --control 127.0.0.1:0 \
	--ports-file "$work/ports" --config "$work/o.yaml" >"$work/log" 2>&1 &
origin=$!
for _ in $(seq 300); do [ -s "$work/ports" ] && break; kill -0 "$origin" || break; read -rt 0.1 <> <(:); done
control=$(sed -n 's/.*"control": \([0-9]*\).*/\1/p' "$work/ports")
said=$(curl -sf "http://127.0.0.1:$control/metrics")
grep -q '^[^#].* [0-9]*[.][0-9]' <<<"$said" && ! grep -E '^[^#].* [0-9]+,[0-9]' <<<"$said"; ok $? "metrics keep their points" "$said"
has "tables have Spanish heads" "TÍTULO" "$(in_spanish "$RIBERA_BUILD/ribera-admin" --control "http://127.0.0.1:$control" titles 2>&1)"
has "and say that all is well" "el origen está bien" "$(in_spanish "$RIBERA_BUILD/ribera-admin" --control "http://127.0.0.1:$control" health 2>&1)"
has "an origin that is there already" "otro programa escucha ahí" "$(in_spanish "$RIBERA_BUILD/ribera-origin" --library "$work/library" --www "$RIBERA_SOURCE/origin/www" --listen 127.0.0.1:0 --control "127.0.0.1:$control" 2>&1)"
echo "grace: mucho" >"$work/o.yaml"
kill -HUP "$origin"
for _ in $(seq 100); do grep -q 'reload' "$work/log" && break; read -rt 0.1 <> <(:); done
kill "$origin" && wait "$origin" 2>/dev/null
origin=
has "a service speaks English of a package" 'metainfo: byte 0: expected a dictionary' "$(cat "$work/log")"
has "the log stays English" 'grace: found "mucho", expected a duration' "$(cat "$work/log")"
echo "1..$n"

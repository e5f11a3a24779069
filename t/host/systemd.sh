#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The Debian packages under a real systemd, in a root of its own, deployed by the commands of doc/OPERATIONS.md: install,
# boot, fill, serve, reload, crash, hang, sockets of systemd, backup and restore, upgrade while serving, remove, purge.
# What is upgraded from is the same packages under a lower version, with shorter files in /etc.
# Needs root, debootstrap, and the packages of `make deb`; three minutes, so not a part of ./check.
# Usage: t/host/systemd.sh FOLDER-WITH-DEBS [ROOT]     (ROOT is kept for the next run)
set -u
debs=$(cd "${1:?usage: t/host/systemd.sh FOLDER-WITH-DEBS [ROOT]}" && pwd) || exit 2
root=${2:-/var/tmp/ribera-systemd-root}
n=0 failed=0 init=

need() { echo "Bail out! $1"; exit 2; } # THE CURE: without it nothing is known, so nothing has passed
[ "$(id -u)" = 0 ] || need "it makes a root and namespaces: run it as root"
manual=$(dirname "$0")/../../doc/OPERATIONS.md
for tool in debootstrap:debootstrap openssl:openssl ffmpeg:ffmpeg nsenter:util-linux unshare:util-linux ip:iproute2; do
	command -v "${tool%:*}" >/dev/null || need "${tool%:*} is not here: apt-get install ${tool#*:}"
done
ls "$debs"/ribera-origin_*.deb >/dev/null 2>&1 || need "no packages in $debs: make deb, which puts them into BUILD/deb"

result() { # CODE NAME [WHY]
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=$((failed + 1)); [ -z "${3-}" ] || sed 's/^/# /' <<<"$3"; fi
}
# block HEADING LANGUAGE NUMBER: what stands in the manual there
block() { awk -v head="## $1" -v fence="\`\`\`$2" -v want="$3" '/^##/ { on = ($0 == head) } on && $0 == fence { n++; show = (n == want); next } /^```$/ { show = 0 } show' "$manual"; }
inside() { nsenter -t "$init" -a -r -w -- "$@"; }
is() { # NAME WANT COMMAND...: its output
	local name=$1 want=$2 got
	shift 2
	got=$(inside "$@" 2>&1)
	[ "$got" = "$want" ]
	result $? "$name" "got \"$got\", want \"$want\""
}
until_true() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
end() {
	[ -z "$init" ] || kill -9 "$init" 2>/dev/null
	[ -z "${film-}" ] || rm -f "$film"
}
trap end EXIT

# --- a machine ---
if [ ! -x "$root/lib/systemd/systemd" ]; then
	echo "# making $root"
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,curl,ca-certificates,lsb-base bookworm "$root" >"$root.log" 2>&1 ||
		{ tail -n 5 "$root.log"; need "debootstrap failed, the log is $root.log: is the mirror reachable? Then rm -rf $root, and again"; }
fi
mkdir -p "$root/debs"
rm -rf "$root"/debs/* "$root/older"
cp "$debs"/*.deb "$root/debs/"
older() { # DEB: the same under version 0.0.9
	local to=$root/older/${1##*/}
	dpkg-deb -R "$1" "$to.d" && sed -i -E -e "s/$version/0.0.9/g" "$to.d/DEBIAN/control" || return 1
	for file in "$to.d"/etc/ribera/*.yaml; do [ ! -e "$file" ] || sed -i '$d' "$file"; done
	(cd "$to.d" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
	dpkg-deb -Zgzip -z1 --root-owner-group -b "$to.d" "$root/older/" >/dev/null && rm -r "$to.d"
}
mkdir "$root/older"
version=$(dpkg-deb -f "$(ls "$debs"/ribera-origin_*.deb)" Version)
code=0
for deb in "$debs"/ribera-*.deb; do case $deb in *dbgsym*) ;; *) older "$deb" || code=1 ;; esac; done
result $code "packages of an older version are made" "$(ls "$root/older")"
cp /etc/resolv.conf "$root/etc/resolv.conf"
chroot "$root" sh -c 'dpkg --purge ribera-edge ribera-origin ribera-ingest ribera-player ribera-admin; rm -rf /var/lib/ribera /var/lib/private/ribera-edge /var/lib/ribera-edge /etc/ribera /backup /etc/systemd/system/ribera-* /etc/systemd/system/*/ribera-*' >/dev/null 2>&1
said=$(chroot "$root" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq sudo rsync openssl /older/*.deb' 2>&1)
result $? "the packages install in a fresh root" "$(tail -n 5 <<<"$said")"

unshare --pid --fork --mount --uts --ipc --net --kill-child -- sh -c "
	mount --make-rprivate / && mount --bind '$root' '$root' &&
	mount -t proc proc '$root/proc' && mount -t sysfs sys '$root/sys' && mount -t tmpfs run '$root/run' && mount -t tmpfs tmp '$root/tmp' &&
	mount -t cgroup2 cgroup '$root/sys/fs/cgroup' && mount -t devtmpfs dev '$root/dev' && mount --make-rshared / && export container=other &&
	exec chroot '$root' /lib/systemd/systemd --system systemd.unit=multi-user.target" >"$root.boot.log" 2>&1 &
unshare_pid=$!
until_true 10 pgrep -P $unshare_pid
init=$(pgrep -P $unshare_pid)
until_true 60 nsenter -t "$init" -a -r -w -- systemctl is-system-running --wait
inside ip link set lo up 2>/dev/null || nsenter -t "$init" -n -- ip link set lo up

# --- origin, as "First deployment" says ---
is "the origin runs after the boot" active systemctl is-active ribera-origin
[ $failed = 0 ] || { inside journalctl -u ribera-origin -n 10 --no-pager | sed 's/^/# /'; echo "1..$n"; exit 1; }
until_true 20 inside curl -sf http://127.0.0.1:8080/healthz
result $? "the origin answers"
is "its tokens are for root only" "600 root" stat -c '%a %U' /etc/ribera/origin.tokens
is "the control API wants a token" 401 curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/api/v1/titles
# an authority of our own, which the machine trusts, and the names of the manual
(cd "$root/root" && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority 2>/dev/null
for name in origin madrid-2; do
	openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name.example 2>/dev/null
	openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -days 2 -out $name.pem -extfile <(echo "subjectAltName=DNS:$name.example") 2>/dev/null
done)
install -D -m 644 "$root/root/ca.pem" "$root/usr/local/share/ca-certificates/ribera-test.crt"
inside update-ca-certificates >/dev/null 2>&1
printf '127.0.0.1 localhost origin.example madrid-1.example madrid-2.example\n' >"$root/etc/hosts"
inside install -m 600 /root/origin.key /root/origin.pem /etc/ribera/
inside chmod 644 /etc/ribera/origin.pem
block "First deployment" yaml 1 >"$root/etc/ribera/origin.yaml"
said=$(block "First deployment" sh 2 | inside sh -e 2>&1)
result $? "the manual's settings are good, and the origin starts with them" "$said"
until_true 20 inside curl -sf https://origin.example/healthz
result $? "it answers with TLS" "$(inside curl -s https://origin.example/healthz 2>&1; inside journalctl -u ribera-origin -n 5 --no-pager 2>&1)"
said=$(block "First deployment" sh 3 | inside sh -e 2>&1)
[ "$said" = "the origin is well" ]
result $? "the operator's command reaches it over TLS" "$said"
admin() { inside ribera-admin --control https://origin.example:8081 --token-file /root/token "$@"; }

# --- a film ---
film=$(mktemp --suffix=.mp4)
ffmpeg -loglevel error -y -f lavfi -i testsrc2=s=640x360:r=25:d=20 -f lavfi -i sine=f=440:d=20 -shortest -c:v libx264 -preset ultrafast -c:a aac "$film"
for name in film second; do install -m 644 "$film" "$root/root/$name.mp4"; done
chmod 711 "$root/root"
block "First deployment" sh 4 >"$root/root/titles.sh"
said=$(inside sh -ec 'cd /root; eval "$(sed -n 1p titles.sh)"; sed "1d; s/film.mp4/second.mp4/" titles.sh | sh -e' 2>&1)
result $? "titles are made by hand and by the folder" "$said"
until_true 90 inside curl -sf https://origin.example/v/second/manifest.mpd
result $? "a master that lands in the watch folder becomes a title" "$(inside journalctl -u ribera-ingest -n 5 --no-pager 2>&1)"
inside journalctl -u ribera-origin -o json --no-pager | grep -q '"RIBERA_TITLE":'
result $? "the origin's log has fields in the journal"

# --- edges, as "Adding an edge" says ---
token_for() { admin --json token new edge --edge "$1" | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p'; }
token_for madrid-1 >"$root/root/edge"
block "Adding an edge" sh 3 | sed 's|~/token|/root/edge|; s/--window-duration 5h/--window-duration 24h/' >"$root/root/setup.sh"
said=$(inside sh -e /root/setup.sh 2>&1)
result $? "the script's setup works" "$said"
is "and leaves the store to the service" 0 sh -c 'test ! -e /var/lib/ribera-edge/madrid-1; echo $?'
# the second one by hand: https, its key read by the group, systemd holding the address
token_for madrid-2 >"$root/etc/ribera/edge-madrid-2.token"
chmod 600 "$root/etc/ribera/edge-madrid-2.token"
inside install -m 600 /root/madrid-2.key /etc/ribera/madrid-2.key
inside install -m 644 /root/madrid-2.pem /etc/ribera/madrid-2.pem
printf 'origin: https://origin.example:8081\nlisten: 127.0.0.1:8091\npublic_url: https://madrid-2.example:8091\ntls:\n  cert: /etc/ribera/madrid-2.pem\n  key: /etc/ribera/madrid-2.key\n' >"$root/etc/ribera/edge-madrid-2.yaml"
said=$(block "Adding an edge" sh 4 | sed 's/madrid-1/madrid-2/g' | inside sh -e 2>&1)
result $? "the key is for the edges' group" "$said"
sed 's/^ListenStream=.*/ListenStream=127.0.0.1:8091/' "$root/usr/share/doc/ribera-edge/examples/ribera-edge@.socket" >"$root/etc/systemd/system/ribera-edge@.socket"
inside systemctl daemon-reload
inside systemctl enable --now -q ribera-edge@madrid-1
is "edge madrid-1 runs" active systemctl is-active ribera-edge@madrid-1
inside systemctl enable --now -q ribera-edge@madrid-2.socket
is "edge madrid-2 waits for its first viewer" inactive systemctl is-active ribera-edge@madrid-2
until_true 20 inside curl -sf -m 10 https://madrid-2.example:8091/healthz
result $? "who comes starts it, and is served" "$(inside journalctl -u ribera-edge@madrid-2 -n 5 --no-pager 2>&1)"
is "edge madrid-2 runs" active systemctl is-active ribera-edge@madrid-2
until_true 60 inside sh -c "systemctl status ribera-edge@madrid-1 | grep -q '2 titles whole'"
result $? "the edge is filled, and says so in its status" "$(inside systemctl status ribera-edge@madrid-1 --no-pager 2>&1 | head -8)"
is "it serves the manifest" 200 curl -s -o /dev/null -w '%{http_code}' http://madrid-1.example:8090/v/film/manifest.mpd
until_true 60 inside sh -c "systemctl status ribera-edge@madrid-2 | grep -q '2 titles whole'"
result $? "so does the other, with https" "$(inside systemctl status ribera-edge@madrid-2 --no-pager 2>&1 | head -8)"
inside sh -c 'for i in $(seq 40); do curl -sS -o /dev/null -w "%{http_code} " https://madrid-2.example:8091/v/film/manifest.mpd; done' >"$root/codes" 2>"$root/reasons" &
asking=$!
sleep 0.3
inside systemctl restart ribera-edge@madrid-2
wait $asking
said=$(tr ' ' '\n' <"$root/codes" | grep -v '^200$' | grep -v '^30.$' | sort | uniq -c)
[ -z "$(tr -d '\n ' <<<"$said")" ]
result $? "nobody is refused while it restarts" "$said$(cat "$root/reasons")"

# --- reload and limits ---
printf 'rate: 5MB\nparallel: 2\n' >>"$root/etc/ribera/edge-madrid-1.yaml"
inside systemctl reload ribera-edge@madrid-1
until_true 10 inside sh -c 'journalctl -u ribera-edge@madrid-1 --no-pager | grep -q "rate.*5MB"'
said=$(inside journalctl -u ribera-edge@madrid-1 --no-pager -n 6 2>&1)
grep -q 'rate' <<<"$said" && grep -q 'parallel.*restart' <<<"$said"
result $? "a reload says what is taken in and what waits for a restart" "$said"
for unit in ribera-origin.service ribera-edge@madrid-1.service ribera-ingest.service; do
	said=$(inside systemctl show -p MemoryMax -p MemoryHigh -p TasksMax -p IOWeight "$unit")
	! grep -qE '=(infinity|\[not set\])' <<<"$said"
	result $? "$unit has limits of memory, tasks and IO" "$said"
done

# --- the sandbox ---
for unit in ribera-origin.service ribera-edge@madrid-1.service ribera-ingest.service ribera-backup.service; do
	exposure=$(inside systemd-analyze security --no-pager "$unit" 2>&1 | sed -n 's/.*level for [^:]*: \([0-9.]*\).*/\1/p')
	awk -v e="${exposure:-10}" 'BEGIN { exit !(e < 2.0) }'
	result $? "$unit: exposure ${exposure:-unknown} is below 2.0"
done
said=$(inside systemd-analyze verify /lib/systemd/system/ribera-origin.service /lib/systemd/system/ribera-edge@.service /lib/systemd/system/ribera-ingest.service /lib/systemd/system/ribera-backup.service /lib/systemd/system/ribera-backup.timer 2>&1 | grep -i ribera | grep -v "Command 'man")
[ -z "$said" ]
result $? "systemd-analyze verify has nothing to say" "$said"

# --- crash and hang ---
main_pid() { inside systemctl show -p MainPID --value "$1"; }
for unit in ribera-origin ribera-edge@madrid-1; do
	before=$(main_pid $unit)
	[ "${before:-0}" -gt 1 ] && inside kill -9 "$before"
	until_true 30 sh -c "p=\$(nsenter -t $init -a -r -w -- systemctl show -p MainPID --value $unit); [ \"\$p\" != 0 ] && [ \"\$p\" != $before ]" && until_true 20 inside systemctl is-active $unit
	result $? "$unit is back after kill -9"
done
inside mkdir -p /run/systemd/system/ribera-edge@madrid-2.service.d
printf '[Service]\nWatchdogSec=2\n' >"$root/tmp.conf"
inside sh -c 'cp /tmp.conf /run/systemd/system/ribera-edge@madrid-2.service.d/fast.conf; systemctl daemon-reload; systemctl restart ribera-edge@madrid-2'
before=$(main_pid ribera-edge@madrid-2)
[ "${before:-0}" -gt 1 ] && inside kill -STOP "$before"
until_true 30 sh -c "p=\$(nsenter -t $init -a -r -w -- systemctl show -p MainPID --value ribera-edge@madrid-2); [ \"\$p\" != 0 ] && [ \"\$p\" != $before ]" && until_true 20 inside systemctl is-active ribera-edge@madrid-2
result $? "an edge that hangs is ended by the watchdog and started again"

# --- backup and restore, as the manual says ---
setup="alias ribera-admin='ribera-admin --control https://origin.example:8081 --token-file /root/token'"
before=$(admin --json titles | grep -c '"revision"')
said=$({ echo "$setup; mkdir -p /backup"; block "Backup and restore" sh 1; } | inside sh -e 2>&1)
result $? "the backup is made while it runs" "$said"
mkdir -p "$root/etc/systemd/system/ribera-backup.service.d"
block "Backup and restore" ini 1 >"$root/etc/systemd/system/ribera-backup.service.d/control.conf"
inside systemctl daemon-reload
said=$(inside systemctl start ribera-backup 2>&1)
code=$?
[ "$(ls "$root"/var/lib/ribera/backup/catalogue-*.sqlite 2>/dev/null | wc -l)" = 1 ] && [ $code = 0 ]
result $? "the nightly backup makes a copy too" "$said $(inside journalctl -u ribera-backup -n 6 --no-pager 2>&1)"
inside systemctl stop ribera-origin
inside sh -c 'rm -rf /var/lib/ribera/library/* /var/lib/ribera/library/.ribera'
said=$({ echo "$setup"; block "Backup and restore" sh 2; } | inside sh -e 2>&1)
code=$?
until_true 20 inside curl -sf https://origin.example/healthz
result $code "and put back, with every byte right" "$said"
until_true 20 inside sh -c "ribera-admin --control https://origin.example:8081 --token-file /root/token edges | grep -c ' up ' | grep -q 2"
[ "$(admin --json titles | grep -c '"revision"')" = "$before" ] && [ "$before" -gt 0 ] && [ "$(admin --json edges | grep -c '"name"')" = 2 ]
result $? "titles and edges are as before" "$(admin titles; admin edges)"

# --- upgrade while serving ---
inside sh -c 'f=$(curl -s http://madrid-1.example:8090/v/film/manifest.mpd | sed -n "s/.*<BaseURL>\(video[^<]*\).*/\1/p" | tail -n 1); r=$(ls /var/lib/ribera/library/film | head -n 1); echo "/v/film/$r/$f"' >"$root/url"
url=$(cat "$root/url")
want=$(inside sh -c "sha256sum </var/lib/ribera/library/film/${url#/v/film/}")
inside sh -c "curl -s --limit-rate 200k http://madrid-1.example:8090$url | sha256sum >/root/got" &
slow=$!
sleep 1
said=$(inside sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i --force-confdef --force-confold $(ls /debs/ribera-*.deb | grep -v dbgsym)' 2>&1)
result $? "an upgrade installs over running services" "$(tail -n 5 <<<"$said")"
is "all packages are of the new version" "$version" sh -c "dpkg-query -W -f '\${Version}\n' 'ribera-*' | sort -u"
cmp <(dpkg-deb --fsys-tarfile "$debs"/ribera-ingest_*.deb | tar -xO ./etc/ribera/ingest.yaml) "$root/etc/ribera/ingest.yaml"
result $? "a file in /etc that nobody changed is the new one"
wait $slow
[ "$(cat "$root/root/got")" = "$want" ]
result $? "a viewer in the middle of a file got all of it across the upgrade"
for unit in ribera-edge@madrid-1 ribera-origin; do
	until_true 30 sh -c "nsenter -t $init -a -r -w -- sh -c 'p=\$(systemctl show -p MainPID --value $unit); ! readlink /proc/\$p/exe | grep -q deleted && systemctl is-active -q $unit'"
	result $? "$unit runs the new program" "$(inside systemctl status $unit --no-pager 2>&1 | tail -n 8)"
done
until_true 20 inside curl -sf http://madrid-1.example:8090/v/film/manifest.mpd
result $? "the edge serves after the upgrade"
echo '# mine' >>"$root/etc/ribera/origin.yaml"
inside sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i --force-confdef --force-confold /debs/ribera-origin_*.deb' >/dev/null 2>&1
is "the operator's settings are kept" "# mine" tail -n 1 /etc/ribera/origin.yaml

# --- away ---
inside systemctl disable -q ribera-edge@madrid-1 ribera-edge@madrid-2.socket
said=$(inside sh -c 'dpkg --remove ribera-edge ribera-origin ribera-ingest ribera-player ribera-admin' 2>&1)
result $? "remove" "$said"
is "settings stay after remove" 0 sh -c 'test -e /etc/ribera/origin.yaml; echo $?'
said=$(inside sh -c 'dpkg --purge ribera-edge ribera-origin ribera-ingest ribera-player ribera-admin' 2>&1)
result $? "purge" "$said"
is "the origin's settings are gone after purge, the library is not" "1 0" sh -c 'test -e /etc/ribera/origin.yaml; a=$?; test -d /var/lib/ribera/library/film; echo $a $?'
is "nothing of ours is running" "" pgrep -a ribera
echo "1..$n"
[ $failed = 0 ]

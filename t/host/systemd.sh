#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The Debian packages under a real systemd, in a root of its own: install, boot, fill, serve, crash, hang, upgrade
# while serving, remove, purge.  Needs root, debootstrap, and the packages of `make deb`; two minutes, so not a part of
# ./check.  Usage: t/host/systemd.sh FOLDER-WITH-DEBS [ROOT]     (ROOT is kept for the next run)
set -u
debs=$(cd "${1:?usage: t/host/systemd.sh FOLDER-WITH-DEBS [ROOT]}" && pwd) || exit 2
root=${2:-/var/tmp/ribera-systemd-root}
n=0 failed=0 init=

[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
command -v debootstrap >/dev/null || { echo "1..0 # SKIP debootstrap is not installed"; exit 0; }

result() { # CODE NAME [WHY]
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=$((failed + 1)); [ -z "${3-}" ] || sed 's/^/# /' <<<"$3"; fi
}
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
		{ tail -n 5 "$root.log"; echo "1..0 # SKIP debootstrap failed"; exit 0; }
fi
mkdir -p "$root/debs"
rm -f "$root"/debs/*
cp "$debs"/*.deb "$root/debs/"
cp /etc/resolv.conf "$root/etc/resolv.conf"
chroot "$root" sh -c 'dpkg --purge ribera-edge ribera-origin ribera-ingest ribera-player ribera-admin; rm -rf /var/lib/ribera /var/lib/private/ribera-edge /etc/ribera' >/dev/null 2>&1
said=$(chroot "$root" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq $(ls /debs/*.deb | grep -v dbgsym)' 2>&1)
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

# --- origin ---
is "the origin runs after the boot" active systemctl is-active ribera-origin
[ $failed = 0 ] || { inside journalctl -u ribera-origin -n 10 --no-pager | sed 's/^/# /'; echo "1..$n"; exit 1; }
until_true 20 inside curl -sf http://127.0.0.1:8080/healthz
result $? "the origin answers"
is "its tokens are for root only" "600 root" stat -c '%a %U' /etc/ribera/origin.tokens
is "the control API wants a token" 401 curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/api/v1/titles
inside sh -c "sed 's/^admin //' /etc/ribera/origin.tokens >/root/token; chmod 600 /root/token"
admin() { inside ribera-admin --token-file /root/token "$@"; }

# --- a film ---
film=$(mktemp --suffix=.mp4)
ffmpeg -loglevel error -y -f lavfi -i testsrc2=s=640x360:r=25:d=20 -f lavfi -i sine=f=440:d=20 -shortest -c:v libx264 -preset ultrafast -c:a aac "$film"
install -m 644 "$film" "$root/root/film.mp4"
inside systemctl start ribera-ingest
until_true 10 inside systemctl is-active ribera-ingest
inside install -o ribera -g ribera -m 644 /root/film.mp4 /var/lib/ribera/incoming/film.mp4
until_true 90 inside curl -sf http://127.0.0.1:8080/v/film/manifest.mpd
result $? "a master that lands in the watch folder becomes a title" "$(inside journalctl -u ribera-ingest -n 5 --no-pager 2>&1)"
inside journalctl -u ribera-origin -o json --no-pager | grep -q '"RIBERA_TITLE":'
result $? "the origin's log has fields in the journal"

# --- edges ---
for edge in one two; do
	admin --json token new edge | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' >"$root/etc/ribera/edge-$edge.token"
	chmod 600 "$root/etc/ribera/edge-$edge.token"
	port=$([ $edge = one ] && echo 8090 || echo 8091)
	printf 'origin: http://127.0.0.1:8081\nlisten: 127.0.0.1:%s\n' "$port" >"$root/etc/ribera/edge-$edge.yaml"
	inside systemctl enable --now -q "ribera-edge@$edge"
	is "edge $edge runs" active systemctl is-active "ribera-edge@$edge"
done
until_true 60 inside sh -c "systemctl status ribera-edge@one | grep -q '1 titles whole'"
result $? "the edge is filled, and says so in its status" "$(inside systemctl status ribera-edge@one --no-pager 2>&1 | head -8)"
is "it serves the manifest" 200 curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8090/v/film/manifest.mpd

# --- the sandbox ---
for unit in ribera-origin.service ribera-edge@one.service ribera-ingest.service; do
	exposure=$(inside systemd-analyze security --no-pager "$unit" 2>&1 | sed -n 's/.*level for [^:]*: \([0-9.]*\).*/\1/p')
	awk -v e="${exposure:-10}" 'BEGIN { exit !(e < 2.0) }'
	result $? "$unit: exposure ${exposure:-unknown} is below 2.0"
done
said=$(inside systemd-analyze verify /lib/systemd/system/ribera-origin.service /lib/systemd/system/ribera-edge@.service /lib/systemd/system/ribera-ingest.service 2>&1 | grep -i ribera | grep -v "Command 'man")
[ -z "$said" ]
result $? "systemd-analyze verify has nothing to say" "$said"

# --- crash and hang ---
main_pid() { inside systemctl show -p MainPID --value "$1"; }
for unit in ribera-origin ribera-edge@one; do
	before=$(main_pid $unit)
	[ "${before:-0}" -gt 1 ] && inside kill -9 "$before"
	until_true 30 sh -c "p=\$(nsenter -t $init -a -r -w -- systemctl show -p MainPID --value $unit); [ \"\$p\" != 0 ] && [ \"\$p\" != $before ]" && until_true 20 inside systemctl is-active $unit
	result $? "$unit is back after kill -9"
done
inside mkdir -p /run/systemd/system/ribera-edge@two.service.d
printf '[Service]\nWatchdogSec=2\n' >"$root/tmp.conf"
inside sh -c 'cp /tmp.conf /run/systemd/system/ribera-edge@two.service.d/fast.conf; systemctl daemon-reload; systemctl restart ribera-edge@two'
before=$(main_pid ribera-edge@two)
[ "${before:-0}" -gt 1 ] && inside kill -STOP "$before"
until_true 30 sh -c "p=\$(nsenter -t $init -a -r -w -- systemctl show -p MainPID --value ribera-edge@two); [ \"\$p\" != 0 ] && [ \"\$p\" != $before ]" && until_true 20 inside systemctl is-active ribera-edge@two
result $? "an edge that hangs is ended by the watchdog and started again"

# --- upgrade while serving ---
inside sh -c 'f=$(curl -s http://127.0.0.1:8090/v/film/manifest.mpd | sed -n "s/.*<BaseURL>\(video[^<]*\).*/\1/p" | tail -n 1); r=$(ls /var/lib/ribera/library/film | head -n 1); echo "/v/film/$r/$f"' >"$root/url"
url=$(cat "$root/url")
want=$(inside sh -c "sha256sum </var/lib/ribera/library/film/${url#/v/film/}")
inside sh -c "curl -s --limit-rate 200k http://127.0.0.1:8090$url | sha256sum >/root/got" &
slow=$!
sleep 1
said=$(inside sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i /debs/ribera-edge_*.deb /debs/ribera-origin_*.deb' 2>&1)
result $? "an upgrade installs over running services" "$(tail -n 5 <<<"$said")"
wait $slow
[ "$(cat "$root/root/got")" = "$want" ]
result $? "a viewer in the middle of a file got all of it across the upgrade"
for unit in ribera-edge@one ribera-origin; do
	until_true 30 sh -c "nsenter -t $init -a -r -w -- sh -c 'p=\$(systemctl show -p MainPID --value $unit); ! readlink /proc/\$p/exe | grep -q deleted && systemctl is-active -q $unit'"
	result $? "$unit runs the new program" "$(inside systemctl status $unit --no-pager 2>&1 | tail -n 8)"
done
until_true 20 inside curl -sf http://127.0.0.1:8090/v/film/manifest.mpd
result $? "the edge serves after the upgrade"
echo '# mine' >>"$root/etc/ribera/origin.yaml"
inside sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i --force-confdef --force-confold /debs/ribera-origin_*.deb' >/dev/null 2>&1
is "the operator's settings are kept" "# mine" tail -n 1 /etc/ribera/origin.yaml

# --- away ---
inside systemctl disable -q ribera-edge@one ribera-edge@two
said=$(inside sh -c 'dpkg --remove ribera-edge ribera-origin ribera-ingest ribera-player ribera-admin' 2>&1)
result $? "remove" "$said"
is "settings stay after remove" 0 sh -c 'test -e /etc/ribera/origin.yaml; echo $?'
said=$(inside sh -c 'dpkg --purge ribera-edge ribera-origin ribera-ingest ribera-player ribera-admin' 2>&1)
result $? "purge" "$said"
is "the origin's settings are gone after purge, the library is not" "1 0" sh -c 'test -e /etc/ribera/origin.yaml; a=$?; test -d /var/lib/ribera/library/film; echo $a $?'
is "nothing of ours is running" "" pgrep -l ribera
echo "1..$n"
[ $failed = 0 ]

# SPDX-License-Identifier: GPL-3.0-or-later
# Shared by ./quickstart and ./check: what a Debian machine needs, and the build.
# Sourced by bash; `root` is the checkout.

BUILD_PACKAGES="build-essential autoconf automake pkg-config libtool ca-certificates curl
 libavformat-dev libavcodec-dev libavutil-dev libavfilter-dev libswscale-dev libswresample-dev
 libsqlite3-dev libcurl4-openssl-dev libxml2-dev libjansson-dev libyaml-dev libssl-dev libzstd-dev
 libh2o-evloop-dev libmaxminddb-dev libsdl2-dev libass-dev ffmpeg gettext tzdata"
TEST_PACKAGES="libcriterion-dev clang libxml2-utils sqlite3 chromium python3 git procps xvfb xdotool openbox weston x11-xserver-utils fonts-dejavu-core xz-utils openssl python3-libtorrent python3-tuspy python3-prometheus-client util-linux iproute2 mandoc prometheus pdns-server pdns-backend-remote bind9-dnsutils locales
 gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav"

# Prints the words of $@ that are no installed packages.
missing_packages() {
	local p
	for p in "$@"; do
		dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || printf '%s ' "$p"
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "this needs root: run it as root, or install sudo" >&2
		return 1
	fi
}

# install_packages PACKAGE...: only what is missing; quiet; the log is shown when it fails.
install_packages() {
	local missing log
	missing=$(missing_packages "$@")
	# npm may have come with a Node.js that is not Debian's
	command -v npm >/dev/null || missing="$missing npm"
	command -v node >/dev/null || missing="$missing nodejs"
	missing=$(echo $missing)
	[ -n "$missing" ] || return 0
	echo "    installing: $missing"
	log=$(mktemp)
	if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "apt-get could not install: $missing" >&2
		echo "Check the network and /etc/apt/sources.list, then run this again." >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
	quieten $missing
}

# Servers that the tests start themselves, and that came just now, shall not run by themselves.
quieten() {
	local p unit
	[ -d /run/systemd/system ] || return 0
	for p in "$@"; do
		case $p in pdns-server) unit=pdns ;; prometheus | nginx-light) unit=${p%-light} ;; *) continue ;; esac
		as_root systemctl disable --now --quiet "$unit" || true
	done
}

# The page's player and the browser tests; exact versions from package-lock.json.
install_node_modules() {
	local stamp=$root/node_modules/.package-lock.json
	[ "$stamp" -nt "$root/package-lock.json" ] && return 0
	(cd "$root" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || return 1
	touch "$stamp"
}

# build FOLDER [CONFIGURE OPTION...]: out of the tree, only what changed.
build() {
	local folder=$1 log
	shift
	mkdir -p "$folder"
	log=$folder/build.log
	if ! {
		{ [ -x "$root/configure" ] && [ "$root/configure" -nt "$root/configure.ac" ] || "$root/autogen.sh"; } &&
			cd "$folder" &&
			{ [ -f config.status ] && [ "$(cat .configured 2>/dev/null)" = "$*" ] ||
				{ "$root/configure" "$@" && echo "$*" >.configured; }; } &&
			make -j"$(nproc)"
	} >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		echo "the build failed; the whole log is in $log" >&2
		return 1
	fi
}

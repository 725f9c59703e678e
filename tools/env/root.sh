# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The build root: Debian 13 with every tool that the project uses.

# The two packages that the host itself needs.
host_tools() {
	command -v mmdebstrap >/dev/null && [ -s /usr/share/keyrings/debian-archive-keyring.gpg ] && return
	command -v apt-get >/dev/null ||
		die "needs mmdebstrap and debian-archive-keyring; this host has no apt-get to install them"
	retry apt-get update
	DEBIAN_FRONTEND=noninteractive retry apt-get install -y --no-install-recommends \
		mmdebstrap debian-archive-keyring
}

# default_mirror NAME: where mmdebstrap has the archive NAME from, unless told otherwise.
default_mirror() {
	grep -oE "https?://[a-z.]+/$1\b" "$(command -v mmdebstrap)" | sed -n 1p
}

# apt sources of a Debian system made here.
apt_sources() {
	local suite
	for suite in "$DEBIAN" "$DEBIAN-updates" "$@"; do
		echo "deb ${DEBIAN_MIRROR:-$(default_mirror debian)} $suite main"
	done
	echo "deb ${DEBIAN_SECURITY_MIRROR:-$(default_mirror debian-security)} $DEBIAN-security main"
}

# The host's apt proxy, for the apt of a system made here.
apt_proxy() {
	apt-config dump 2>/dev/null |
		grep -E '^Acquire::(http|https)::Proxy(::[^ ]+)? "[^"]' || :
}

# bootstrap TARGET PACKAGE-LIST [EXTRA-SUITE] [MMDEBSTRAP-OPTION...]
bootstrap() {
	local target=$1 packages=$2 suites=$3 opts=() line
	shift 3
	while IFS= read -r line; do
		opts+=("--aptopt=${line%;}")
	done < <(apt_proxy)
	# shellcheck disable=SC2086 # no suite is no argument
	apt_sources $suites | mmdebstrap --mode=root --variant=minbase --format=directory \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		--aptopt='Acquire::Retries "5"' --aptopt='Acquire::Languages "none"' \
		--dpkgopt='force-unsafe-io' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include="$(list "$packages" | paste -sd,)" \
		"${opts[@]}" "$@" "$DEBIAN" "$target" -
}

make_root() {
	host_tools
	unshare --mount true || die "this machine does not allow mount namespaces (an unprivileged container?)"
	rm -rf --one-file-system "$ROOT" "$ROOT.new"
	bootstrap "$ROOT.new" "$ENV_DIR/root.packages" "$DEBIAN-backports"
	# What a kernel tree is prepared with: others of the root's packages may change.
	chroot "$ROOT.new" dpkg-query -W bindgen dwarves gcc-14 rust-src rustc >"$CACHE/root.compilers"
	mv "$ROOT.new" "$ROOT"
}

step_root() {
	ensure root "$(hash_of "$DEBIAN" "$DEBIAN_MIRROR" "$ENV_DIR/root.packages" "$(declare -f make_root bootstrap)")" \
		"build root, Debian $DEBIAN (about 2 min)" make_root
}

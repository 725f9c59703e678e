# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced by the scripts of tools/env: where things are, the cache and its
# stamps, progress lines, and how to get into the build root.

set -euo pipefail
umask 022

ENV_DIR=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
SRC=$(realpath "$ENV_DIR/../..")

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Mounts, chroot and packages need root. A plain user goes through sudo and keeps
# the cache in that user's home.
need_root() {
	[ "$(id -u)" = 0 ] && return
	command -v sudo >/dev/null || die "needs root (mounts, chroot): run it as root"
	echo "${0##*/}: needs root for mounts and chroot, going on through sudo" >&2
	exec sudo --preserve-env=TLS_HS_CACHE,XDG_CACHE_HOME,KREL,KDIR,DEBUG_KERNEL,HS_SLOW,HS_STORM,VM_CPUS,VM_MEM,VM_APPEND,T,FUZZ_S,KEEP,V,CI,QEMU_ACCEL,DEBIAN_MIRROR,DEBIAN_SECURITY_MIRROR,http_proxy,https_proxy,no_proxy,INSTALL_MOD_PATH,DESTDIR,PREFIX,TESTS_DIR,DEMO_PORT \
		-- "$0" "$@"
}

cache_home() {
	local home=$HOME
	if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
		home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
	fi
	echo "${XDG_CACHE_HOME:-$home/.cache}/tls_hs"
}

CACHE=$(realpath -m "${TLS_HS_CACHE:-$(cache_home)}")
ROOT=$CACHE/root
LOGS=$CACHE/log
DEBIAN=trixie

# host_mirror NAME: where the host's apt has the archive NAME from, if it has it.
host_mirror() {
	cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed '/^[[:space:]]*#/d' |
		grep -oE "https?://[^[:space:]]+/$1/?([[:space:]]|\$)" | tr -d '[:blank:]' | sed 's,/$,,' |
		sed -n 1p || :
}

DEBIAN_MIRROR=${DEBIAN_MIRROR:-$(host_mirror debian)}
DEBIAN_SECURITY_MIRROR=${DEBIAN_SECURITY_MIRROR:-$(host_mirror debian-security)}

case "$SRC$CACHE" in
*[[:space:]:]*) die "kbuild cannot work with blanks or colons in a path: $SRC, $CACHE" ;;
esac
[ "$(uname -m)" = x86_64 ] || die "only x86_64 machines are supported"

# What belongs to this checkout only: objects, programs, VM runs.
CHECKOUT=$(printf '%s' "$SRC" | sha256sum | cut -c1-12)

# The lines of a list file without comments.
list() {
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$@"
}

# Hash of strings and of the contents of files (arguments that begin with /).
hash_of() {
	local a
	for a; do
		case $a in
		/*) sha256sum <"$a" ;;
		*) printf '%s\n' "$a" ;;
		esac
	done | sha256sum | cut -c1-16
}

# retry CMD...: the network may hiccup.
retry() {
	local n
	for n in 1 2 3; do
		"$@" && return 0
		echo "attempt $n of 3 failed: $*" >&2
		sleep $((n * 5))
	done
	return 1
}

# in_root CMD...: run a command in the build root, in the current directory.
in_root() {
	"$ENV_DIR/in-root" "$@"
}

STEP=0
STEPS=1

# Shows seconds while a step runs, on a terminal only.
ticker() {
	local start=$SECONDS
	while sleep 1; do
		printf '\r%s %d s ' "$1" $((SECONDS - start))
	done
}

# run_logged LOG CMD...: one step with its output in a log. Prints the title
# before and the time after it, or the end of the log if it fails.
run_logged() {
	local log=$1 head start=$SECONDS rc tick=
	head="[$STEP/$STEPS] $TITLE ..."
	shift
	printf '%s ' "$head"
	if [ -t 1 ]; then
		ticker "$head" &
		tick=$!
	fi
	set +e
	(set -e && "$@") >"$log" 2>&1 </dev/null
	rc=$?
	set -e
	if [ -n "$tick" ]; then
		kill "$tick" 2>/dev/null || :
		wait "$tick" 2>/dev/null || :
		printf '\r%s ' "$head"
	fi
	if [ "$rc" != 0 ]; then
		echo "FAILED (status $rc) after $((SECONDS - start)) s"
		tail -n 25 "$log" | sed 's/^/    /'
		echo
		die "$TITLE failed; the whole log is $log"
	fi
	echo "$((SECONDS - start)) s"
}

# ensure NAME HASH TITLE FUNC...: make an artefact of the cache unless its stamp
# says that it was completed from the same inputs. The stamp goes first and comes
# back last, so that an interrupted run leaves nothing that is believed. What takes long
# and that others can do without has a LOCK of its own.
ensure() {
	local name=$1 hash=$2 stamp=$CACHE/stamp/$1 lock
	TITLE=$3
	shift 3
	STEP=$((STEP + 1))
	mkdir -p "$CACHE/stamp" "$LOGS"
	if [ "$(cat "$stamp" 2>/dev/null)" != "$hash" ]; then
		exec {lock}>"$CACHE/lock${LOCK:+-$LOCK}"
		if ! flock -n "$lock"; then
			echo "[$STEP/$STEPS] $TITLE: waiting for another run"
			flock "$lock"
		fi
		if [ "$(cat "$stamp" 2>/dev/null)" != "$hash" ]; then
			rm -f "$stamp"
			run_logged "$LOGS/$name.log" "$@"
			echo "$hash" >"$stamp.new"
			mv "$stamp.new" "$stamp"
			exec {lock}>&-
			return
		fi
		exec {lock}>&-
	fi
	echo "[$STEP/$STEPS] ${TITLE% (about*}: ready"
}

# step TITLE LOG FUNC...: a step that decides itself what there is to do.
step() {
	TITLE=$1
	local log=$LOGS/$2.log
	shift 2
	STEP=$((STEP + 1))
	mkdir -p "$LOGS"
	run_logged "$log" "$@"
}

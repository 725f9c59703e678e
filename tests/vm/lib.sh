# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Helpers for shell tests in the VM: `. ./lib.sh`, then checks, then
# `done_testing`. Results are TAP points on standard output.

set -u

HS_POINTS=0
HS_FAILED=0
HS_PLANNED=
HS_DONE=

plan() {
	HS_PLANNED=$1
	echo "1..$1"
}

pass() {
	HS_POINTS=$((HS_POINTS + 1))
	echo "ok $HS_POINTS - $1"
}

# fail NAME [WHY]
fail() {
	HS_POINTS=$((HS_POINTS + 1))
	HS_FAILED=$((HS_FAILED + 1))
	echo "not ok $HS_POINTS - $1${2:+ # $2}"
}

# skip NAME WHY
skip() {
	HS_POINTS=$((HS_POINTS + 1))
	echo "ok $HS_POINTS - $1 # SKIP $2"
}

# skip_all WHY: the machine lacks what the test needs
skip_all() {
	HS_DONE=1
	echo "1..0 # SKIP $1"
	exit 4
}

# check NAME CMD...: a point that holds if the command succeeds
check() {
	local name=$1 rc=0
	shift
	# No subshell: the command may set variables or wait for a child.
	"$@" >"$HS_TMP/.check" 2>&1 || rc=$?
	if [ "$rc" = 0 ]; then
		pass "$name"
	else
		fail "$name" "status $rc"
		tail -n 20 "$HS_TMP/.check" | sed 's/^/# /'
	fi
	return "$rc"
}

# check_eq NAME GOT WANTED
check_eq() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got '$2', want '$3'"
	fi
}

done_testing() {
	[ -n "$HS_PLANNED" ] || echo "1..$HS_POINTS"
	HS_DONE=1
	[ "$HS_FAILED" = 0 ] && [ "$HS_POINTS" -gt 0 ]
	exit
}

hs_at_exit() {
	local rc=$? pid
	for pid in "${!HS_PIDS[@]}"; do
		kill "$pid" 2>/dev/null
	done
	if [ -z "$HS_DONE" ]; then
		fail "the test ran to its end" "status $rc"
		echo "1..$HS_POINTS"
		exit 1
	fi
	exit "$rc"
}
declare -A HS_PIDS=()
trap hs_at_exit EXIT

# wait_for SECONDS CMD...: poll until the command succeeds
wait_for() {
	local end=$((SECONDS + $1 * ${HS_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# wait_port PORT: until somebody listens there
hs_listening() {
	ss -Hltn "sport = :$1" | grep -q .
}
wait_port() {
	wait_for "${2:-20}" hs_listening "$1"
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

# start NAME CMD...: in the background, output in $HS_TMP/NAME.log
start() {
	local name=$1
	shift
	"$@" >"$HS_TMP/$name.log" 2>&1 &
	HS_PIDS[$!]=$name
}

# stop NAME: ends it and waits; fails if it did not end well
stop() {
	local pid rc=0
	for pid in "${!HS_PIDS[@]}"; do
		[ "${HS_PIDS[$pid]}" = "$1" ] || continue
		kill "$pid" 2>/dev/null
		wait "$pid" || rc=$?
		unset "HS_PIDS[$pid]"
	done
	return "$rc"
}

hs_loaded() {
	[ -d /sys/module/tls_hs ]
}

# hs_load [PARAM=VALUE...]
hs_load() {
	hs_loaded && return
	if ! insmod "$HS_KO" "$@"; then
		fail "the module loads"
		exit 1
	fi
}

hs_rmmod() {
	! hs_loaded || rmmod tls_hs
}

# hs_unload: waits for the last user to go
hs_unload() {
	if ! wait_for 10 hs_rmmod; then
		fail "the module unloads" "use count $(cat /sys/module/tls_hs/refcnt)"
		return 1
	fi
}

# hs_stat NAME: a counter of this network namespace, 0 if there is none
hs_stat() {
	awk -v name="$1" '$1 == name { value = $2 } END { print value + 0 }' /proc/net/tls_hs_stat
}

# add_keyring NAME CERT KEY: prints the serial of a new keyring in the session's
add_keyring() {
	local ring
	ring=$(keyctl newring "$1" @s) &&
		keyctl padd tls_cert tlscrt: "$ring" <"$2" >/dev/null &&
		keyctl padd tls_priv tlspk: "$ring" <"$3" >/dev/null &&
		echo "$ring"
}

# What a connection may leave behind, one "name value" a line. The caches named here
# and on the VM's command line are in debug mode, in which their counts are exact.
hs_counters() {
	awk '$1 ~ /^(TCP|TCPv6|request_sock_TCP|request_sock_TCPv6|key_jar)$/ { print "slab:" $1, $2 }' /proc/slabinfo
	awk '$1 == "TCP:" { for (i = 2; i < NF; i += 2) if ($i ~ /inuse|orphan|alloc/) print "tcp:" $i, $(i + 1) }' \
		/proc/net/sockstat
	awk '$1 ~ /^TlsCurr/ { print $1, $2 }' /proc/net/tls_stat
	hs_loaded && echo "module:refcnt $(cat /sys/module/tls_hs/refcnt)"
}

leak_begin() {
	hs_counters >"$HS_TMP/leak.begin"
}

# Counters that are now higher than at leak_begin; fails if none is.
hs_leaks() {
	hs_counters | awk 'NR == FNR { begin[$1] = $2; next }
		($1 in begin) && $2 > begin[$1] { print $1, begin[$1], "->", $2; leak = 1 }
		END { exit !leak }' "$HS_TMP/leak.begin" -
}
hs_no_leaks() {
	! hs_leaks
}

# leak_end NAME: a point that holds when every counter has come back
leak_end() {
	wait_for 15 hs_no_leaks
	check "$1: nothing left behind" hs_no_leaks
}

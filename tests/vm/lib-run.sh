# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The runner inside the VM, sourced by lib-init.sh. Every test gets a session
# keyring, a cgroup, a folder and a time limit of its own, and three questions
# afterwards: does the module unload, is the kernel log clean, did it keep its plan?
#
# To the host go the lines
#   BEGIN name limit
#   FAIL name: why                         (any number)
#   SKIP name: why
#   END name passed failed skipped seconds
#   DONE

. ./lib-splat.sh

HS_CGROUP=/sys/fs/cgroup/test
KCSAN=/sys/kernel/debug/kcsan

# The TAP points at the start of a line, as "passed failed skipped", then a line for
# every failure and skip. Without any point the exit status is the result.
tap_result() {
	awk -v rc="$2" '
		/^1\.\.[0-9]+/ { plan = substr($0, 4) + 0; planned = 1; if (plan == 0) { skip_all = $0 } }
		/^not ok([ \t]|$)/ { seen++; failed++; sub(/^not ok */, ""); why[++n] = "FAIL " $0; next }
		/^ok([ \t]|$)/ {
			seen++
			if (tolower($0) ~ /# *skip/) { skipped++; sub(/^ok */, ""); why[++n] = "SKIP " $0 } else { passed++ }
			next
		}
		/^Bail out!/ { failed++; why[++n] = "FAIL " $0 }
		END {
			if (rc == 124 || rc == 137) { failed++; why[++n] = "FAIL time limit" }
			else if (skip_all || (!seen && rc == 4)) { skipped++; why[++n] = "SKIP " (skip_all ? skip_all : "exit status 4") }
			else if (!seen && rc == 0 && !planned) { passed++ }
			else if (rc != 0 && rc != 4 && !failed) { failed++; why[++n] = "FAIL exit status " rc }
			else if (planned && seen != plan) { failed++; why[++n] = "FAIL planned " plan " points, made " seen + 0 }
			print passed + 0, failed + 0, skipped + 0
			for (i = 1; i <= n; i++) print why[i]
		}' "$1"
}

# Unload what the test left, kill what it started.
clean_up() {
	[ ! -d "$HS_CGROUP" ] || echo 1 >"$HS_CGROUP/cgroup.kill"
	for _ in $(seq 10); do
		rmdir "$HS_CGROUP" 2>/dev/null && break
		sleep 0.2
	done
	remove tls_hs && remove tls_hs_nic
}

remove() {
	[ -d "/sys/module/$1" ] || return 0
	for _ in $(seq 50); do
		timeout 30 rmmod "$1" 2>/dev/null && return 0
		sleep 0.2
	done
	rmmod "$1" 2>&1
	return 1
}

# run_test NAME LIMIT ALLOWED-REGEX
run_test() {
	local name=$1 limit=$2 allow=$3 log=/hs-out/$1.log start=$SECONDS rc passed failed skipped why

	send "BEGIN $name $limit"
	echo "<5>tls_hs-test: begin $name" >/dev/kmsg
	export HS_TMP=/tmp/$name
	rm -rf "$HS_TMP"
	mkdir -p "$HS_TMP" "$HS_CGROUP"
	(
		echo "$BASHPID" >"$HS_CGROUP/cgroup.procs"
		exec 9>&-
		TMPDIR=$HS_TMP exec setsid -w timeout -k 5 "$limit" \
			keyctl session "$name" bash -c 'exec "$@" 2>&1' - "./$name"
	) >"$log" 2>"$HS_TMP/.joined" </dev/null
	rc=$?
	{
		read -r passed failed skipped
		while read -r why; do
			send "${why%% *} $name: ${why#* }"
		done
	} < <(tap_result "$log" "$rc")
	if ! why=$(clean_up); then
		failed=$((failed + 1))
		send "FAIL $name: the module does not unload: $why"
	fi
	dmesg | sed "1,/tls_hs-test: begin ${name}\$/d" >"/hs-out/$name.dmesg"
	if [ -e /proc/lockdep_stats ] && ! grep -q 'debug_locks: *1' /proc/lockdep_stats; then
		echo "BUG: lockdep has switched itself off" >>"/hs-out/$name.dmesg"
	fi
	if [ -e "$KCSAN" ]; then
		cp "$KCSAN" /hs-out/kcsan
		grep -q 'enabled: *1' "$KCSAN" || echo "BUG: KCSAN is switched off" >>"/hs-out/$name.dmesg"
	fi
	if why=$(splats "$allow" <"/hs-out/$name.dmesg"); then
		failed=$((failed + 1))
		send "FAIL $name: kernel log: ${why%%$'\n'*}"
	fi
	rm -rf "$HS_TMP"
	send "END $name $passed $failed $skipped $((SECONDS - start))"
}

# What all tests left behind that nobody has a pointer to, where the kernel has kmemleak.
# One scan takes half a minute, so there is one for all of them.
KMEMLEAK=/sys/kernel/debug/kmemleak
find_leaks() {
	local log=/hs-out/kmemleak.log start=$SECONDS
	[ -e "$KMEMLEAK" ] || return 0
	send "BEGIN kmemleak 600"
	# What is younger than this is no leak yet.
	sleep 6
	echo scan >"$KMEMLEAK"
	cat "$KMEMLEAK" >"$log"
	if [ -s "$log" ]; then
		send "FAIL kmemleak: $(grep -c '^unreferenced object' "$log") objects"
		send "END kmemleak 0 1 0 $((SECONDS - start))"
	else
		send "END kmemleak 1 0 0 $((SECONDS - start))"
	fi
}

# run_list FILE: lines of name, limit and a regex of allowed log lines
run_list() {
	local name limit allow
	# What booting left.
	[ ! -e "$KMEMLEAK" ] || echo clear >"$KMEMLEAK"
	while read -r name limit allow <&8; do
		run_test "$name" "$limit" "$allow"
	done 8<"$1"
	find_leaks
	echo "<5>tls_hs-test: done" >/dev/kmsg
	send DONE
}

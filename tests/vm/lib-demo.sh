# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The VM's part of `make demo`, sourced by lib-init.sh: inserts the module, starts
# the server, runs the clients inside the VM, then waits. To the host go
#   STEP what            as it goes
#   ROW|...              one line for each client, see tests/demo/clients
#   READY | FAIL why

run_demo() {
	local port=443 log=/hs-out/serve.log start=$SECONDS rc=0
	if ! insmod "$HS_KO" 2>/hs-out/insmod.log; then
		send "FAIL insmod: $(cat /hs-out/insmod.log)"
		return
	fi
	send "STEP insmod of tls_hs.ko into the unmodified $(uname -r)"
	keyctl session demo ../demo/serve "$HS_CERTS" $port >$log 2>&1 9>&- &
	until grep -q '^ready ' $log; do
		if ! kill -0 $! 2>/dev/null || [ $((SECONDS - start)) -gt 60 ]; then
			send "FAIL the server did not start: $(tail -n 3 $log | tr '\n' ' ')"
			return
		fi
		sleep 0.1
	done
	send "STEP certificate and key in keyrings, server listens"
	CONNLOG=$log ../demo/clients vm localhost $port "$HS_CERTS/ca.pem" 2>/hs-out/clients.log >&9 9>&- || rc=$?
	send "READY $rc"
	# The host ends the machine.
	while :; do
		sleep 3600
	done
}

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The VM's part of `make test-interop SERVER=kernel`, sourced by lib-init.sh: inserts the
# module, starts tls_hs_httpd on port 443 with the run's certificates, and waits. Its lines
# go to serve.log. To the host go
#   READY | FAIL why

run_serve() {
	local log=/hs-out/serve.log start=$SECONDS
	if ! insmod "$HS_KO" 2>/hs-out/insmod.log; then
		send "FAIL insmod: $(cat /hs-out/insmod.log)"
		return
	fi
	# The page that the clients look for.
	head -c 1024 /dev/zero | tr '\0' x >/tmp/page
	keyctl session serve tls_hs_httpd --verbose --port 443 --cert "$HS_CERTS/localhost.pem" \
		--key "$HS_CERTS/localhost.key" --file /tmp/page >$log 2>&1 9>&- &
	until grep -q '^ready ' $log; do
		if ! kill -0 $! 2>/dev/null || [ $((SECONDS - start)) -gt 60 ]; then
			send "FAIL the server did not start: $(tail -n 3 $log | tr '\n' ' ')"
			return
		fi
		sleep 0.1
	done
	send "READY 0"
	# The host ends the machine.
	while :; do
		sleep 3600
	done
}

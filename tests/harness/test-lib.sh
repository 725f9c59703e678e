#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every helper of lib.sh does what it says, with a real server and a real client.
. ./lib.sh

hs_load
check "keys go into a keyring" add_keyring test "$HS_CERTS/localhost.pem" "$HS_CERTS/localhost.key"
leak_begin
port=$(free_port)
before=$(hs_stat completed)
start server tls_hs_httpd --cert "$HS_CERTS/localhost.pem" --key "$HS_CERTS/localhost.key" --port "$port"
check "the server listens" wait_port "$port"
check "a page comes" curl -sS --cacert "$HS_CERTS/ca.pem" -o /dev/null "https://localhost:$port/"
check_eq "a handshake was counted" "$(hs_stat completed)" $((before + 1))
check_eq "a counter that is not there is 0" "$(hs_stat no_such_counter)" 0
check "the server stops" stop server
leak_end "one connection"

# A socket that is still there is seen.
start sleeper python3 -c 'import socket, time; s = socket.socket(); s.bind(("", 0)); s.listen(); time.sleep(1000)'
wait_for 10 hs_leaks
check "a leak is seen" hs_leaks
stop sleeper
hs_unload
check_eq "the module is gone" "$(hs_loaded || echo gone)" gone
done_testing

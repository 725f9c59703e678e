#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the keys and certificates beside it anew, with OpenSSL 3. None of them
# is or has been in use anywhere.

set -euo pipefail
cd "$(dirname "$0")"
umask 077

# Private keys, P-256, in every form that OpenSSL writes.
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out pkcs8.pem
openssl pkcs8 -topk8 -nocrypt -in pkcs8.pem -outform DER -out pkcs8.der
openssl pkey -in pkcs8.pem -text -out pkcs8-with-text.pem
openssl ecparam -name prime256v1 -genkey -out ecparam.pem
openssl pkey -in pkcs8.pem -traditional -out sec1.pem
openssl ec -in pkcs8.pem -outform DER -out sec1.der 2>/dev/null
openssl ec -in pkcs8.pem -no_public -out sec1-no-public.pem 2>/dev/null
openssl ec -in pkcs8.pem -conv_form compressed -out sec1-compressed.pem 2>/dev/null
openssl pkcs8 -topk8 -nocrypt -in ecparam.pem -out topk8.pem
sed 's/$/\r/' pkcs8.pem >pkcs8-crlf.pem

# Private keys that are refused, each for a reason of its own.
openssl pkey -in pkcs8.pem -ec_param_enc explicit -out explicit.pem
openssl ec -in pkcs8.pem -param_enc explicit -out explicit-sec1.pem 2>/dev/null
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem
openssl pkey -in p384.pem -traditional -out p384-sec1.pem
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out secp256k1.pem
openssl genpkey -quiet -algorithm ED25519 -out ed25519.pem
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl pkcs8 -topk8 -nocrypt -in rsa.pem -outform DER -out rsa.der
openssl pkey -in rsa.pem -traditional -out rsa-pkcs1.pem
openssl rsa -in rsa.pem -traditional -outform DER -out rsa-pkcs1.der 2>/dev/null
openssl pkcs8 -topk8 -in pkcs8.pem -passout pass:secret -out encrypted.pem
openssl pkcs8 -topk8 -in pkcs8.pem -passout pass:secret -outform DER -out encrypted.der
openssl ec -in pkcs8.pem -aes128 -passout pass:secret -out encrypted-sec1.pem 2>/dev/null
openssl pkey -in pkcs8.pem -pubout -out public.pem
openssl pkey -in pkcs8.pem -pubout -outform DER -out public.der

# A chain of three: leaf (the key of pkcs8.pem), intermediate, root.
certificate() {	# name key subject issuer-options...
	local name=$1 key=$2 subject=$3
	shift 3
	openssl req -new -x509 -key "$key" -subj "/CN=$subject" -days 36500 \
		-sha256 "$@" -out "$name.pem" 2>/dev/null
}
ca=(-addext "basicConstraints=critical,CA:TRUE")
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key
certificate root ca.key root "${ca[@]}"
certificate intermediate ecparam.pem intermediate -CA root.pem -CAkey ca.key "${ca[@]}"
certificate leaf pkcs8.pem example.com -CA intermediate.pem -CAkey ecparam.pem \
	-addext subjectAltName=DNS:example.com,DNS:*.example.com
certificate rsa-leaf rsa.pem rsa.example.com -CA root.pem -CAkey ca.key
certificate p384-leaf p384.pem p384.example.com -CA root.pem -CAkey ca.key
certificate ed25519-leaf ed25519.pem ed25519.example.com -CA root.pem -CAkey ca.key
cat leaf.pem intermediate.pem root.pem >chain.pem
for name in leaf intermediate root rsa-leaf; do
	openssl x509 -in "$name.pem" -outform DER -out "$name.der"
done
cat leaf.der intermediate.der root.der >chain.der
{ openssl x509 -in leaf.pem -text; openssl x509 -in intermediate.pem -text; } |
	sed 's/$/\r/' >chain-with-text-crlf.pem
rm ca.key
chmod 644 -- *.pem *.der

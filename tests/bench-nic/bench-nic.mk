# SPDX-License-Identifier: GPL-2.0
#
# make bench-nic [BYTES=...]: CPU time per byte of TCP, kTLS in software and kTLS
# on tls_hs_nic.ko, in the VM.

.PHONY: bench-nic
bench-nic:
	@TESTS_DIR=$(CURDIR)/tests/bench-nic VM_APPEND="bench.bytes=$(or $(BYTES),8000000)" T=nic-cost $(ENV)/test vm
	@cat "$$(ls -td $${TLS_HS_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/tls_hs}/run/test-*/out/test-nic-cost.py.log | head -n 1)"

# SPDX-License-Identifier: GPL-2.0
#
# Memory of half-open handshakes, and what other clients see of them: the VM test of
# that name, with so many that it needs a larger VM.

.PHONY: bench-half-open
bench-half-open:
	@T=half-open VM_MEM=4096 VM_APPEND='half_open=$(or $(N),50000) slab_debug=-' $(ENV)/test vm
	@sed -n 's/^# //p' "$$(ls -td "$${TLS_HS_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/tls_hs}"/run/test-*/out/test-half-open.py.log | head -n 1)"

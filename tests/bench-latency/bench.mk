# SPDX-License-Identifier: GPL-2.0
#
# Latency of the rest of the system during a flood of handshakes, by net.tls_hs.mode.

.PHONY: bench-latency
bench-latency:
	@tests/bench-latency/run

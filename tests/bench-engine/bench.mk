# SPDX-License-Identifier: GPL-2.0
#
# CPU time and memory of a handshake in user space, against OpenSSL and rustls.

.PHONY: bench-engine
bench-engine: env
	@$(IN_ROOT) cargo run --release --locked --manifest-path tests/bench-engine/Cargo.toml -- \
		--rounds $(or $(ROUNDS),2000)

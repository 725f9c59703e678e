# SPDX-License-Identifier: GPL-2.0
#
# CPU time and memory of a handshake in user space, against OpenSSL and rustls.

.PHONY: bench-engine
bench-engine: env
	@$(IN_ROOT) cargo run --release --locked --manifest-path tests/bench-engine/Cargo.toml -- \
		--rounds $(or $(ROUNDS),2000) --client $(or $(CLIENT),ring)

.PHONY: profile-engine
profile-engine: env
	@$(IN_ROOT) sh -c 'command -v perf >/dev/null || apt-get install -y -qq --no-install-recommends linux-perf'
	@$(IN_ROOT) cargo build --quiet --release --locked --manifest-path tests/bench-engine/Cargo.toml
	@$(IN_ROOT) sh -c 'tests/bench-engine/profile $$CARGO_TARGET_DIR/release/bench-engine $(or $(CASE),tls13_full)'

# SPDX-License-Identifier: GPL-2.0
#
# Verbs of crypto_p256. All of them run in the build root.

CRYPTO_CYCLES = $(IN_ROOT) env CARGO_PROFILE_RELEASE_OPT_LEVEL=2 \
	CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
	cargo test --release -p crypto_p256 $(1) -- --ignored --nocapture --test-threads 1

.PHONY: test-ct bench-crypto bench-crypto-cycles bench-crypto-dudect check-comb fuzz-crypto

.PHONY: valgrind
valgrind: env
	@$(IN_ROOT) sh -c 'command -v valgrind >/dev/null || \
		apt-get install -y -qq --no-install-recommends valgrind >/dev/null'

# No branch and no address of crypto_p256 depends on a secret (valgrind).
test-ct: env valgrind
	@$(IN_ROOT) env CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind -q --suppressions=$(CURDIR)/tools/ct/declassified.supp" \
		cargo run --release --manifest-path tools/ct/Cargo.toml --bin ct

# The same by timing statistics: a report, not a gate.
bench-crypto-dudect: env valgrind
	@$(IN_ROOT) cargo run --release --manifest-path tools/ct/Cargo.toml --bin dudect

# Cycles of each primitive, and of the comb by its size, with a plot.
bench-crypto-cycles: env
	@mkdir -p target
	@$(call CRYPTO_CYCLES,cycles::cycles) | tee target/crypto-cycles.txt
	@$(IN_ROOT) tools/bench-crypto-plot.py target/crypto-cycles.txt > Documentation/performance-crypto-comb.svg

# crypto_p256 beside OpenSSL, AWS-LC, ring, graviola and RustCrypto, with a plot.
bench-crypto: bench-crypto-cycles
	@$(IN_ROOT) cargo run --release --manifest-path tools/bench-crypto/Cargo.toml -- \
		$(or $(ROUNDS),301) $(CURDIR)/Documentation/performance-crypto.svg

# The tables that are checked in are what their generator prints.
check-comb: env
	@$(IN_ROOT) tools/gen-comb.py --width 6 --tables 43 | cmp - crypto_p256/src/comb/table.rs
	@$(IN_ROOT) tools/gen-comb.py --curve x25519 --width 5 --tables 26 | \
		cmp - crypto_p256/src/x25519/comb/table.rs

# Both paths against each other and AWS-LC, each target for S seconds.
fuzz-crypto: env
	@$(IN_ROOT) env FUZZ_DIR=$(CURDIR)/crypto_p256/fuzz tests/fuzz/run \
		$(if $(INPUT),--input "$(abspath $(INPUT))",$(or $(S),60)) $(or $(F),p256 x25519 ecdsa)

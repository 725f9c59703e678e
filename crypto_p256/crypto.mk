# SPDX-License-Identifier: GPL-2.0
# Verbs of crypto_p256, for the top Makefile. They need cargo 1.85 and, in Debian's names: valgrind and
# libclang-19-dev for test-ct; libssl-dev, cmake, gcc and pkg-config for bench-crypto.

CARGO ?= cargo
CRYPTO_CYCLES = CARGO_PROFILE_RELEASE_OPT_LEVEL=2 CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
	$(CARGO) test --release -p crypto_p256 $(1) -- --ignored --nocapture --test-threads 1

.PHONY: test-ct bench-crypto bench-crypto-cycles bench-crypto-dudect check-comb fuzz-crypto

## test-ct: no branch and no address of crypto_p256 depends on a secret (valgrind)
test-ct:
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind -q --suppressions=$(CURDIR)/tools/ct/declassified.supp" \
		$(CARGO) run --release --manifest-path tools/ct/Cargo.toml --bin ct

## bench-crypto-dudect: the same by timing statistics: a report, not a gate
bench-crypto-dudect:
	$(CARGO) run --release --manifest-path tools/ct/Cargo.toml --bin dudect

## bench-crypto-cycles: cycles of each primitive, and of the comb by its size, with a plot
bench-crypto-cycles:
	mkdir -p target
	$(call CRYPTO_CYCLES,cycles::cycles) | tee target/crypto-cycles.txt
	tools/bench-crypto-plot.py target/crypto-cycles.txt > Documentation/performance-crypto-comb.svg

## bench-crypto: crypto_p256 beside OpenSSL, AWS-LC, ring, graviola and RustCrypto, with a plot
bench-crypto: bench-crypto-cycles
	$(CARGO) run --release --manifest-path tools/bench-crypto/Cargo.toml -- \
		301 $(CURDIR)/Documentation/performance-crypto.svg

## check-comb: the tables that are checked in are what their generator prints
check-comb:
	tools/gen-comb.py --width 6 --tables 43 | cmp - crypto_p256/src/comb/table.rs
	tools/gen-comb.py --curve x25519 --width 5 --tables 26 | cmp - crypto_p256/src/x25519/comb/table.rs

## fuzz-crypto: both paths against each other and AWS-LC, FUZZ_SECONDS for each target (cargo-fuzz)
FUZZ_SECONDS ?= 60
fuzz-crypto:
	cd crypto_p256 && for target in p256 x25519 ecdsa; do \
		$(CARGO) +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

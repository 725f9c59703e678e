# SPDX-License-Identifier: GPL-2.0
#
# offload_ndo's map of records beside the kernel's list.

.PHONY: bench-offload
bench-offload: env
	@$(IN_ROOT) cargo run --release --locked --manifest-path tests/bench-offload/Cargo.toml

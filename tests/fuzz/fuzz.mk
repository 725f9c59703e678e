# SPDX-License-Identifier: GPL-2.0
#
# make fuzz [S=60] [F="client_hello record ..."]: each fuzz target for S seconds.
# make fuzz F=server INPUT=FILE: one input, such as a finding, once more.
#
# libFuzzer's coverage comes from flags that every rustc has; no nightly compiler is
# needed. What is found stays in the cache, the corpus too, and is tried first next time.
# `make test` does the same for a shorter time.

.PHONY: fuzz fuzz-offload
fuzz: env
	@$(IN_ROOT) tests/fuzz/run $(if $(INPUT),--input "$(abspath $(INPUT))",$(or $(S),60)) $(F)

# Those of offload_ndo.
fuzz-offload:
	@$(MAKE) --no-print-directory fuzz F="offload_map offload_tx offload_rx"

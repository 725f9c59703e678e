# SPDX-License-Identifier: GPL-2.0
#
# make fuzz [S=60] [F="client_hello record ..."]: each fuzz target for S seconds.
#
# libFuzzer's coverage comes from flags that every rustc has; no nightly compiler is
# needed. What is found stays in the cache, the corpus too, and is tried first next time.
# Not part of `make test`.

.PHONY: fuzz
fuzz: env
	@$(IN_ROOT) tests/fuzz/run $(or $(S),60) $(F)

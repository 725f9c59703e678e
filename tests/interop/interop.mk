# SPDX-License-Identifier: GPL-2.0
#
# make test-interop [CLIENTS="curl go ..."]: other TLS implementations as clients of the
# user-space server. Not part of `make test`: the clients are a gigabyte of packages.

.PHONY: test-interop
test-interop: env
	@$(IN_ROOT) tests/interop/run $(CLIENTS)

# SPDX-License-Identifier: GPL-2.0
#
# make test-interop [SERVER=kernel] [CLIENTS="curl go ..."]: other TLS implementations as
# clients of the user-space server, or of the kernel in a VM. Not part of `make test`: the
# clients are a gigabyte of packages.

.PHONY: test-interop
test-interop: env
	@$(if $(filter kernel,$(SERVER)),$(ENV)/interop,$(IN_ROOT) tests/interop/run) $(CLIENTS)

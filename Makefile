# SPDX-License-Identifier: GPL-2.0
#
# What a person types. Everything is built and run with the tools of a Debian build
# root that the scripts of tools/env make and keep in a cache; see `make help`.

export KREL KDIR DEBUG_KERNEL HS_STORM HS_SLOW VM_CPUS VM_MEM VM_APPEND TLS_HS_CACHE T FUZZ_S V KEEP QEMU_ACCEL INSTALL_MOD_PATH DESTDIR PREFIX

ENV := tools/env
# For the fragments below: run something in the build root.
IN_ROOT := $(ENV)/in-root

.PHONY: all help env modules tools install demo test test-host test-fuzz test-vm test-debug test-harness check vm clean clean-cache

all: modules tools

help:
	@echo 'tls_hs: TLS handshakes in the Linux kernel'
	@echo
	@echo '  make demo          boot a VM with the module, fetch a page from it (KEEP=1: let it run)'
	@echo '  make test          all tests, ends with "N passed, M failed"'
	@echo '  make test-host     formatting, lints, the crates'\'' own tests'
	@echo '  make test-fuzz     each fuzz target for FUZZ_S=5 seconds'
	@echo '  make test-vm       tests on the real kernel in a VM (T="NAME ..." chooses)'
	@echo '  make test-debug    the same under KASAN, with 100,000 clients (hours in all; DEBUG_KERNEL=kcsan)'
	@echo '  make test-interop  other TLS implementations as clients (SERVER=kernel: of a VM)'
	@echo '  make fuzz S=60     fuzz targets, S seconds each'
	@echo '  make fuzz-crypto, fuzz-offload   the curves, the record map (S=60)'
	@echo '  make test-ct       the curves under valgrind: no branch on a secret'
	@echo '  make check-comb    the tables of the comb are what tools/gen-comb.py prints'
	@echo '  make test-harness  does the VM harness see failures, splats and hangs?'
	@echo '  make bench-crypto  the curves beside other libraries (also -cycles, -dudect)'
	@echo '  make bench-nic     CPU time for a byte through tls_hs_nic.ko'
	@echo '  make bench-engine  CPU time and memory of a handshake'
	@echo '  make profile-engine CASE=tls13_full   where that time goes'
	@echo '  make bench-half-open  memory of 50,000 handshakes that do not go on'
	@echo '  make bench-latency latency of everything else while handshakes flood the VM'
	@echo '  make bench-offload record map of the offload, against the kernel'\''s list'
	@echo '  make check         formatting, lints, panics, copies of keys, headers'
	@echo '  make modules       tls_hs.ko for the newest Debian 13 backports kernel'
	@echo '  make tools         tls_hs_httpd, an HTTPS server over the API'
	@echo '  make install       module, header, manual page and tools on this machine'
	@echo '  make vm            a shell in the VM'
	@echo '  make env           only prepare build root, kernel and VM'
	@echo '  make clean         remove what was built from this checkout'
	@echo '  make clean-cache   remove everything, downloads too'
	@echo
	@echo '  KREL=RELEASE       another kernel release (KREL=$$(uname -r))'
	@echo '  KDIR=DIR           a kernel tree that is already prepared'
	@echo '  QEMU_ACCEL=kvm     where it works; default is emulation'
	@echo '  TLS_HS_CACHE=DIR   instead of ~/.cache/tls_hs (10 GB)'
	@echo '  V=1                show commands'

env:
	@$(ENV)/prepare

modules:
	@$(ENV)/modules module

tools:
	@$(ENV)/modules tools

install:
	@$(ENV)/install

demo:
	@$(ENV)/demo

vm:
	@$(ENV)/vm-shell

test:
	@$(ENV)/test host fuzz vm debug

test-host:
	@$(ENV)/test host

test-fuzz:
	@$(ENV)/test fuzz

test-vm:
	@$(ENV)/test vm

# On a kernel with KASAN, lockdep and so on, or with KCSAN.
test-debug:
	@$(ENV)/test-debug

# Does the harness see a failing test, a splat, a panic, a hang?
test-harness:
	@$(ENV)/test-harness

check:
	@$(ENV)/check

clean:
	@$(ENV)/clean

clean-cache:
	@$(ENV)/clean --all

-include $(wildcard crypto_p256/*.mk tls_hs/*.mk tests/*/*.mk)

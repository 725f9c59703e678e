#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Leaves the module loaded: the runner unloads it.
. ./lib.sh
hs_load
check "the module is there" hs_loaded
check "nobody uses it" test "$(cat /sys/module/tls_hs/refcnt)" = 0
done_testing

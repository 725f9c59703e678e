#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# One of two points fails.
. ./lib.sh
pass "fine"
check "a command that fails" false
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Passes twice and skips once.
. ./lib.sh
plan 3
check "a command that works" true
check_eq "equal strings" "$(hs_loaded || echo no)" no
skip "a point that is skipped" "to see it counted"
done_testing

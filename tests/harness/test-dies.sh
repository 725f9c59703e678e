#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Ends before done_testing.
. ./lib.sh
pass "fine so far"
exit 0

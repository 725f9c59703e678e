#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 3
# Ignores the polite signal, too; what it starts must not outlive it.
trap '' TERM
setsid sleep 1000 &
sleep 1000

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Passes, but the kernel log holds a warning.
echo '<4>WARNING: not a real one' >/dev/kmsg

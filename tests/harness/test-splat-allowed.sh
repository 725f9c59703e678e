#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# allow-log: WARNING: expected here
echo '<4>WARNING: expected here' >/dev/kmsg

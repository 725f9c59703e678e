#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
. ./lib.sh
skip_all "nothing to do here"

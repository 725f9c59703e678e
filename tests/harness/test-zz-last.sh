#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in a second boot; nothing of the killed test is left there, either.
! pgrep -x sleep

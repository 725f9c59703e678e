# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# All libraries of tools/env, and the order of the steps.

. "${BASH_SOURCE[0]%/*}/common.sh"
. "$ENV_DIR/root.sh"
. "$ENV_DIR/kernel.sh"
. "$ENV_DIR/debug.sh"
. "$ENV_DIR/vm.sh"
. "$ENV_DIR/build.sh"
. "$ENV_DIR/qemu.sh"

# What compiling needs, and what running a VM needs on top.
BUILD_STEPS=$((3 + (${#DEBUG_KERNEL} > 0)))
VM_STEPS=6

prepare_build() {
	step_root
	step_release
	step_tree
	[ -z "$DEBUG_KERNEL" ] || step_debug_kernel
}

prepare_vm() {
	prepare_build
	[ -n "$DEBUG_KERNEL" ] || step_image
	step_disk
	step_initramfs
}

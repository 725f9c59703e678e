# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Kernels that look for bugs: DEBUG_KERNEL=kasan or kcsan, see tests/debug. Small ones,
# made from the sources of the stock release; the VM is the same.

DEBUG_KERNEL=${DEBUG_KERNEL:-}
# Nobody needs to wait for what runs in the background.
DEBUG_NICE=10

# What the module's Rust code is compiled with, beyond what the kernel does by itself. KCSAN is
# for C there; rustc has the same instrumentation, but the kernel's target must allow it.
DEBUG_RUSTFLAGS=
if [ "$DEBUG_KERNEL" = kcsan ]; then
	DEBUG_RUSTFLAGS='-Zsanitizer=thread -Cllvm-args=-tsan-distinguish-volatile=1'
	DEBUG_RUSTFLAGS+=' -Cllvm-args=-tsan-compound-read-before-write=1'
	DEBUG_RUSTFLAGS+=' -Cllvm-args=-tsan-instrument-func-entry-exit=0'
fi

# Where the debug kernel is; KREL, KTREE and so on are the stock release's before.
debug_names() {
	DEBUG_SOURCE=$KTREE
	DEBUG_CONFIGS=("$SRC/tests/debug/vm.config" "$SRC/tests/debug/$DEBUG_KERNEL.config")
	[ -s "${DEBUG_CONFIGS[1]}" ] || die "there is no tests/debug/$DEBUG_KERNEL.config"
	[ -z "${KDIR:-}" ] || die "a debug kernel has a tree of its own: no KDIR="
	DEBUG_STAMP=$CACHE/stamp/linux-$KREL
	KREL=${KREL%%[+-]*}-$DEBUG_KERNEL
	kernel_names
	KTREE=$CACHE/linux-debug-$DEBUG_KERNEL
}

debug_make() {
	nice -n "$DEBUG_NICE" "$ENV_DIR/in-root" "$ENV_DIR/with-rust-src" make -C "$KTREE" CC="$(kernel_cc)" \
		HOSTCC=gcc-14 "KERNELRELEASE=$KREL" -j"$(nproc)" "$@"
}

# Every line of the fragments must have come out as it went in.
debug_config() {
	local line missing=0
	list "${DEBUG_CONFIGS[@]}" >"$KTREE/debug.config"
	debug_make KCONFIG_ALLCONFIG=debug.config allnoconfig
	while IFS= read -r line; do
		if ! grep -qxF "$line" "$KTREE/.config"; then
			echo "not in .config: $line"
			missing=1
		fi
	done <"$KTREE/debug.config"
	return "$missing"
}

# Hard links to the stock release's tree, without what was built there.
make_debug_kernel() {
	local new=$KIMAGE.new
	rm -rf "$KTREE" "$KIMAGE" "$new"
	cp -al "$DEBUG_SOURCE" "$KTREE"
	debug_make mrproper
	# sed makes a file of its own: the other tree keeps its one.
	sed -i 's/"supported-sanitizers", \["kcfi"/&, "thread"/' "$KTREE/scripts/generate_rust_target.rs"
	debug_config
	debug_make bzImage modules
	mkdir -p "$new/lib/modules"
	debug_make INSTALL_MOD_PATH="$new" DEPMOD=true modules_install
	rm -f "$new/lib/modules/$KREL/build"
	in_root /sbin/depmod -b "$new" "$KREL"
	cp "$KTREE/arch/x86/boot/bzImage" "$new/vmlinuz"
	mv "$new" "$KIMAGE"
}

# More memory and time than the stock kernel gets.
step_debug_kernel() {
	debug_names
	VM_MEM=${VM_MEM:-3072}
	HS_SLOW=${HS_SLOW:-5}
	VM_CMDLINE+=' kasan_multi_shot kcsan.skip_watch=1000 rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60'
	LOCK=$DEBUG_KERNEL ensure "image-$KREL" \
		"$(hash_of "$KREL" "$(cat "$DEBUG_STAMP")" "${DEBUG_CONFIGS[@]}" "$(declare -f make_debug_kernel debug_config debug_make)")" \
		"debug kernel $KREL (about 15 min)" make_debug_kernel
}

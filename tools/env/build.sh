# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What is built from this checkout: the module ($BUILD/obj), the programs, and the
# folder that a VM gets to see.

# One build of a checkout at a time, and none while a part of the cache is replaced.
build_locked() {
	mkdir -p "$BUILD"
	(
		flock -s 6
		flock 7
		"$@"
	) 6>>"$CACHE/lock" 7>"$BUILD/lock"
}

# kbuild DIR ARGUMENT...: objects go to DIR and stay out of the source tree
kbuild() {
	local dir=$1
	shift
	mkdir -p "$dir"
	in_root "$ENV_DIR/with-rust-src" make --no-print-directory -C "$KTREE" "M=$SRC" "MO=$dir" \
		CC="$(kernel_cc)" HOSTCC=gcc-14 "KERNELRELEASE=$KREL" -j"$(nproc)" \
		${V:+"V=$V"} ${DEBUG_RUSTFLAGS:+"KRUSTFLAGS=$DEBUG_RUSTFLAGS"} "$@"
}

make_module() {
	[ -f "$SRC/Kbuild" ] || die "no Kbuild file in $SRC"
	kbuild "$BUILD/obj" modules
	# What is installed and loaded has no debug information; obj/ has it.
	local name
	for name in tls_hs tls_hs_nic; do
		in_root strip --strip-debug -o "$BUILD/$name.ko" "$BUILD/obj/$name.ko"
	done
}

make_programs() {
	in_root make --no-print-directory -C "$SRC" -f tools/env/programs.mk "O=$BUILD" -j"$(nproc)" "$@"
}

step_build() {
	step "module tls_hs.ko" "module-$CHECKOUT" build_locked make_module
	step "tools and test programs" "programs-$CHECKOUT" build_locked make_programs
}

# stage DIR: the read-only share of a VM. TESTS_DIR holds other tests than tests/vm.
stage() {
	local dir=$1 file
	mkdir -p "$dir/bin" "$dir/tests" "$dir/src/uapi"
	cp "$BUILD/tls_hs.ko" "$BUILD/tls_hs_nic.ko" "$dir/"
	cp "$SRC/src/uapi/tls_hs.h" "$dir/src/uapi/"
	cp -r "$SRC/tests/vm" "$dir/tests/"
	[ ! -d "$SRC/tests/demo" ] || cp -r "$SRC/tests/demo" "$dir/tests/"
	# Only what has a source still, of what was ever built.
	for file in "$BUILD"/tests/*; do
		[ ! -f "$SRC/tests/vm/${file##*/}.c" ] || cp "$file" "$dir/tests/vm/"
	done
	for file in "$BUILD"/bin/*; do
		[ ! -x "$file" ] || cp "$file" "$dir/bin/"
	done
	for file in "$SRC"/tools/tls*; do
		[ ! -x "$file" ] || [ -d "$file" ] || cp "$file" "$dir/bin/"
	done
	[ -z "${TESTS_DIR:-}" ] || cp "$TESTS_DIR"/* "$dir/tests/vm/"
	if [ -x "$SRC/tests/certs/make-certs" ]; then
		in_root "$SRC/tests/certs/make-certs" "$dir/certs"
	fi
}

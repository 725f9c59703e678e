# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel: which release, its prepared tree, its image and modules.
# Sets KREL (release), KVER (package version), KTREE (prepared tree), KIMAGE.

RELEASE_DAYS=7

# Asks the archive, at most once a week; KREL= names a release, KDIR= a tree.
find_release() {
	local file=$CACHE/release${KREL:+-$KREL}
	if [ -n "${KREL:-}" ]; then
		in_root "$ENV_DIR/archive" version "$KREL" >"$file.new"
		sed -i "s/^/$KREL /" "$file.new"
	elif ! in_root "$ENV_DIR/archive" newest >"$file.new"; then
		[ -s "$file" ] || return 1
		echo "keeping the release found earlier" >&2
		touch "$file"
		return
	fi
	mv "$file.new" "$file"
}

kernel_names() {
	KTREE=${KDIR:+$(realpath "$KDIR")}
	KTREE=${KTREE:-$CACHE/linux-$KREL}
	KIMAGE=$CACHE/image-$KREL
	BUILD=$CACHE/build/$CHECKOUT-$KREL
}

# The compiler of the tree, which what is built against it needs, too.
kernel_cc() {
	if [ -n "$DEBUG_KERNEL" ] || grep -qsx CONFIG_CC_IS_CLANG=y "$KTREE/include/config/auto.conf"; then
		echo clang-19
	else
		echo x86_64-linux-gnu-gcc-14
	fi
}

step_release() {
	local file
	if [ -n "${KDIR:-}" ]; then
		[ -s "$KDIR/include/config/kernel.release" ] ||
			die "KDIR=$KDIR is no prepared kernel tree (make modules_prepare)"
		KREL=$(cat "$KDIR/include/config/kernel.release")
		STEP=$((STEP + 1))
		echo "[$STEP/$STEPS] kernel release: $KREL, that of KDIR="
	else
		file=$CACHE/release${KREL:+-$KREL}
		if [ -z "$(find "$file" -mtime "-$RELEASE_DAYS" -size +0 2>/dev/null)" ]; then
			step "kernel release${KREL:+ $KREL}" release find_release
			read -r KREL KVER <"$file"
			echo "      $KREL, Debian package $KVER"
		else
			STEP=$((STEP + 1))
			read -r KREL KVER <"$file"
			echo "[$STEP/$STEPS] kernel release: $KREL, Debian package $KVER"
		fi
	fi
	kernel_names
}

# Unpacks packages, never installs them: they would want an initramfs and a boot loader.
make_tree() {
	local deb=$KTREE.deb headers=./usr/src/linux-headers-$KREL
	local make=("$ENV_DIR/with-rust-src" make -C "$KTREE" CC=x86_64-linux-gnu-gcc-14 HOSTCC=gcc-14 "KERNELRELEASE=$KREL")
	rm -rf "$KTREE" "$deb"
	mkdir -p "$KTREE" "$deb"
	in_root "$ENV_DIR/archive" fetch source "$KREL" "$KVER" "$deb"
	in_root bash -euo pipefail -c '
		dpkg-deb --fsys-tarfile "$1"/linux-source-*.deb | tar -xO --wildcards "./usr/src/linux-source-*.tar.xz" |
			xz -dc -T0 | tar -x -C "$2" --strip-components=1
		dpkg-deb --fsys-tarfile "$1"/linux-headers-*.deb |
			tar -x -C "$2" --strip-components=4 "$3/.config" "$3/Module.symvers"
	' - "$deb" "$KTREE" "$headers"
	rm -rf "$deb"
	cp "$KTREE/.config" "$KTREE/.config.debian"
	in_root "${make[@]}" olddefconfig
	# The module loads only if it is built with the compilers of the kernel.
	if ! diff "$KTREE/.config.debian" "$KTREE/.config"; then
		echo "the build root's tools differ from those that Debian built $KREL with" >&2
		return 1
	fi
	in_root "${make[@]}" -j"$(nproc)" modules_prepare
}

step_tree() {
	if [ -n "${KDIR:-}" ]; then
		STEP=$((STEP + 1))
		echo "[$STEP/$STEPS] kernel tree: $KTREE, as KDIR= says"
		return
	fi
	ensure "linux-$KREL" "$(hash_of "$KREL" "$KVER" "$CACHE/root.compilers" "$(declare -f make_tree)")" \
		"kernel tree $KREL (about 2 min)" make_tree
}

make_image() {
	local new=$KIMAGE.new dir
	rm -rf "$KIMAGE" "$new"
	mkdir -p "$new/deb" "$new/lib/modules"
	in_root "$ENV_DIR/archive" fetch image "$KREL" "$KVER" "$new/deb"
	in_root bash -euo pipefail -c 'for deb in "$1"/deb/*.deb; do dpkg-deb -x "$deb" "$1/unpacked"; done' - "$new"
	# vmlinuz, vmlinuz.unsigned or vmlinuz-RELEASE, in /boot or beside the modules
	find "$new/unpacked" -type f -name 'vmlinuz*' -exec mv {} "$new/vmlinuz" \;
	for dir in "$new"/unpacked/{usr/,}lib/modules/"$KREL"; do
		[ ! -d "$dir/kernel" ] || mv "$dir" "$new/lib/modules/"
	done
	[ -s "$new/vmlinuz" ] && [ -d "$new/lib/modules/$KREL/kernel" ]
	rm -rf "$new/deb" "$new/unpacked"
	in_root /sbin/depmod -b "$new" "$KREL"
	mv "$new" "$KIMAGE"
}

step_image() {
	# With KDIR= only a VM has to know which package the image is in.
	[ -n "${KVER:-}" ] || KVER=$(in_root "$ENV_DIR/archive" version "$KREL" 2>"$LOGS/release.log") ||
		die "the archive has no image of $KREL, see $LOGS/release.log"
	ensure "image-$KREL" "$(hash_of "$KREL" "$KVER" "$(declare -f make_image)")" "stock kernel image $KREL" make_image
}

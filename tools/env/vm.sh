# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The VM's disk (Debian user space, the same for every kernel) and its initramfs
# (one for each kernel). Neither holds anything of this repository's: the module,
# the tests and the tools come through a share at each boot.

VM=$CACHE/vm
VM_PACKAGES=$SRC/tests/vm/packages.config
VM_MODULES=$SRC/tests/vm/modules.config

# Runs in a mount namespace of its own because mmdebstrap mounts /proc in the target.
make_disk() {
	local dir=$VM/disk.new
	mkdir -p "$VM"
	rm -rf --one-file-system "$dir" "$VM/disk.img"
	bootstrap "$dir" "$VM_PACKAGES" "" \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/zoneinfo/*'
	rm -rf "$dir"/var/lib/apt/lists/* "$dir"/var/cache/* "$dir"/var/log/*
	mkdir -p "$dir/hs" "$dir/hs-out" "$dir/lib/modules"
	echo vm >"$dir/etc/hostname"
	printf '127.0.0.1 localhost vm example.com\n::1 localhost vm example.com\n' >"$dir/etc/hosts"
	rm -f "$dir/etc/resolv.conf"
	in_root mkfs.erofs -x-1 -T0 "$VM/disk.img" "$dir"
	rm -rf --one-file-system "$dir"
}

step_disk() {
	ensure vm-disk "$(hash_of "$DEBIAN" "$DEBIAN_MIRROR" "$VM_PACKAGES" "$(declare -f make_disk bootstrap)")" \
		"VM disk, Debian $DEBIAN (about 30 s)" make_disk
}

make_initramfs() {
	local dir=$VM/initramfs-$KREL.new module ko
	rm -rf "$dir"
	mkdir -p "$dir"/bin "$dir"/dev "$dir"/proc "$dir"/sys "$dir/lib/modules/$KREL"
	cp "$ROOT/usr/bin/busybox" "$dir/bin/"
	in_root chroot "$dir" /bin/busybox --install -s /bin
	install -m 755 "$ENV_DIR/vm-init" "$dir/init"
	list "$VM_MODULES" >"$dir/modules"
	cp "$KIMAGE/lib/modules/$KREL/"modules.{order,builtin,builtin.modinfo} "$dir/lib/modules/$KREL/" || :
	while read -r module; do
		in_root /sbin/modprobe -d "$KIMAGE" -S "$KREL" --show-depends "$module" |
			sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done <"$dir/modules" | sort -u | while read -r ko; do
		case $ko in
		*.xz) in_root xz -dc "$ko" >"$dir/lib/modules/$KREL/$(basename "$ko" .xz)" ;;
		*) cp "$ko" "$dir/lib/modules/$KREL/" ;;
		esac
	done
	in_root /sbin/depmod -b "$dir" "$KREL"
	in_root bash -c 'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 >"$2"' - "$dir" "$VM/initramfs-$KREL.cpio"
	rm -rf "$dir"
}

step_initramfs() {
	ensure "initramfs-$KREL" \
		"$(hash_of "$KREL" "$(cat "$CACHE/stamp/image-$KREL")" "$VM_MODULES" "$ENV_DIR/vm-init" "$(declare -f make_initramfs)")" \
		"VM initramfs for $KREL" make_initramfs
}

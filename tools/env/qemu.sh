# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Starting a VM. A run has a folder: share/ (read-only in the VM), out/ (writable),
# serial.log (kernel console), results (lines of the runner).

# new_run NAME: sets RUN to a new folder, keeps the five newest
new_run() {
	local old
	mkdir -p "$CACHE/run"
	find "$CACHE/run" -mindepth 1 -maxdepth 1 -name "$1-*" -printf '%T@ %p\n' |
		sort -rn | tail -n +5 | cut -d' ' -f2 | while read -r old; do
		if ! kill -0 "$(cat "$old/qemu.pid" 2>/dev/null)" 2>/dev/null; then
			rm -rf "$old"
		fi
	done
	RUN=$(mktemp -d "$CACHE/run/$1-XXXXXX")
	chmod 755 "$RUN"
	mkdir "$RUN/out"
}

# Slab caches whose use tests compare are in debug mode: exact counts, red zones.
VM_CMDLINE='console=ttyS0 panic=-1 oops=panic loglevel=7 log_buf_len=8M'
VM_CMDLINE+=' slab_debug=FZ,TCP,TCPv6,request_sock_TCP,request_sock_TCPv6,key_jar,kmalloc-*'
VM_CMDLINE+=' rcupdate.rcu_cpu_stall_timeout=60 watchdog_thresh=30'

# vm_command MODE [QEMU-ARGUMENT...]: sets VM_COMMAND. The share is made by stage() before.
vm_command() {
	local mode=$1 accel=${QEMU_ACCEL:-tcg} cpu=max
	shift
	case $accel in
	tcg) accel=tcg,thread=multi ;;
	kvm) cpu=host ;;
	esac
	VM_COMMAND=("$ENV_DIR/in-root" qemu-system-x86_64 -M q35 -accel "$accel" -cpu "$cpu"
		-smp "${VM_CPUS:-2}" -m "${VM_MEM:-1536}"
		-nodefaults -no-user-config -display none -no-reboot
		-kernel "$KIMAGE/vmlinuz" -initrd "$VM/initramfs-$KREL.cpio"
		-append "$VM_CMDLINE hs.mode=$mode ${HS_SLOW:+hs.slow=$HS_SLOW} ${HS_STORM:+hs.storm=$HS_STORM} ${VM_APPEND:-}"
		-drive "if=none,id=disk,file=$VM/disk.img,format=raw,readonly=on" -device "virtio-blk-pci,drive=disk"
		-virtfs "local,path=$RUN/share,mount_tag=hs,security_model=none,readonly=on"
		-virtfs "local,path=$RUN/out,mount_tag=hs-out,security_model=none"
		-virtfs "local,path=$KIMAGE/lib/modules/$KREL,mount_tag=hs-modules,security_model=none,readonly=on"
		-device virtio-serial-pci -chardev "file,id=results,path=$RUN/results"
		-device "virtserialport,chardev=results,name=hs.result"
		-device virtio-rng-pci -device "virtio-net-pci,netdev=net,romfile=" "$@")
}

# start_vm MODE [QEMU-ARGUMENT...]: in the background with its console in a file; sets
# VM_PID and leaves it in qemu.pid
start_vm() {
	vm_command "$@" -serial "file:$RUN/serial.log"
	: >"$RUN/results"
	"${VM_COMMAND[@]}" </dev/null >"$RUN/qemu.log" 2>&1 &
	VM_PID=$!
	echo "$VM_PID" >"$RUN/qemu.pid"
}

# vm_net [PORT]: no way out of the VM, and one in from a port of this machine's loopback
vm_net() {
	echo "user,id=net,restrict=on${1:+,hostfwd=tcp:127.0.0.1:$1-:443}"
}

# A free port of this machine's loopback for the way into the VM.
free_port() {
	in_root python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Ends the run's VM if it is still there; it need not be a child of this shell.
stop_vm() {
	local pid
	pid=$(cat "$RUN/qemu.pid" 2>/dev/null) || return 0
	kill "$pid" 2>/dev/null || :
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.1
	done
	rm -f "$RUN/qemu.pid"
}

# follow SECONDS: the VM's lines on standard output as they come, until it ends or
# says nothing for that long. What follows a BEGIN may take that test's limit longer.
follow() {
	local quiet=$1 limit=0 line rc
	while :; do
		rc=0
		IFS= read -r -t $((quiet + limit)) line || rc=$?
		if [ "$rc" != 0 ]; then
			[ "$rc" -le 128 ] || echo "QUIET $((quiet + limit))"
			break
		fi
		printf '%s\n' "$line"
		case $line in
		BEGIN*) limit=${line##* } ;;
		DONE* | READY* | STOP*) break ;;
		esac
	done < <(tail -n +1 -s 0.2 -f --pid="$VM_PID" "$RUN/results")
}

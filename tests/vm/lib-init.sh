#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# First program of the VM after the initramfs: sets up the machine and does what
# hs.mode= on the kernel command line says:
#
#   test   run the tests that /hs/list names (lib-run.sh), power off
#   demo   insert the module, run tests/demo/serve, report, stay up
#   serve  insert the module, serve for clients on the host (lib-serve.sh), stay up
#   shell  a shell on the console, power off when it ends

export PATH=/hs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=${TERM:-dumb}
export HS_KO=/hs/tls_hs.ko HS_BIN=/hs/bin HS_CERTS=/hs/certs TLS_HS_UAPI=/hs/src/uapi/tls_hs.h

power_off() {
	sync
	echo o >/proc/sysrq-trigger
	# Nothing from the disk any more: it goes first.
	while :; do :; done
}
trap power_off EXIT

mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Tests are charged for their memory, as servers everywhere are.
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
ln -sfn /proc/self/fd /dev/fd

hostname vm
modprobe virtio_net
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
sysctl -qw kernel.hung_task_timeout_secs=60

# The line protocol to the host: a virtio serial port of that name.
for port in /sys/class/virtio-ports/*; do
	if [ "$(cat "$port/name")" = hs.result ]; then
		exec 9>"/dev/${port##*/}"
	fi
done
send() {
	printf '%s\n' "$*" >&9
}

mode=$(sed -n 's/.*\bhs\.mode=\([a-z]*\).*/\1/p' /proc/cmdline)
# What insmod does not load by itself: everything that the module links to or asks for.
modprobe -a tls tcp_diag inet_diag 2>/dev/null
for dep in $(modinfo -F depends "$HS_KO" | tr , ' '); do
	modprobe "$dep"
done

# Watches from here on, not while the kernel boots.
[ ! -e /sys/kernel/debug/kcsan ] || echo on >/sys/kernel/debug/kcsan

# A kernel that looks for bugs takes its time.
for name in slow storm; do
	value=$(sed -n "s/.*\bhs\.$name=\([0-9]*\).*/\1/p" /proc/cmdline)
	[ -z "$value" ] || export "HS_${name^^}=$value"
done

cd /hs/tests/vm || exit
send "UP $(uname -r) $(cut -d' ' -f1 /proc/uptime)"
case $mode in
test)
	. ./lib-run.sh
	run_list /hs/list
	;;
demo)
	. ./lib-demo.sh
	run_demo
	;;
serve)
	. ./lib-serve.sh
	run_serve
	;;
*)
	echo "The console of the VM; 'insmod $HS_KO' inserts the module, 'exit' powers off."
	setsid -c bash -l <>/dev/ttyS0 >&0 2>&1
	;;
esac

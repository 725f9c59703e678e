# SPDX-License-Identifier: GPL-2.0
#
# The pair of network devices that offload kTLS, tls_hs_nic.ko: one end here, the
# other in a network namespace of its own, and what listens on the wire between them.

import contextlib
import os
import socket
import subprocess

from tap import *

NIC_KO = f"{os.path.dirname(os.environ['HS_KO'])}/tls_hs_nic.ko"
NEAR, FAR, WIRE = "hsnic0", "hsnic1", "hswire0"
NEAR_ADDRESS, FAR_ADDRESS = "10.9.0.1", "10.9.0.2"
NEAR_ADDRESS6, FAR_ADDRESS6 = "fd09::1", "fd09::2"


def command(line, **options):
    return subprocess.run(line.split(), check=True, capture_output=True, text=True, **options).stdout


class Namespace:
    """A network namespace that is this thread's inside of a with block."""

    def __init__(self):
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        os.unshare(os.CLONE_NEWNET)
        self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        command("ip link set lo up")
        os.setns(self._home, os.CLONE_NEWNET)

    def take(self, device):
        subprocess.run(
            ["ip", "link", "set", device, "netns", f"/proc/{os.getpid()}/fd/{self._fd}"], check=True, pass_fds=[self._fd]
        )

    def __enter__(self):
        os.setns(self._fd, os.CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        os.setns(self._home, os.CLONE_NEWNET)

    def close(self):
        os.close(self._fd)
        os.close(self._home)


class Pair:
    """The module, and both devices with addresses. near and far are the two places to be."""

    def __init__(self, mtu=1500, **parameters):
        subprocess.run(["modprobe", "tls"], check=True)
        subprocess.run(["insmod", NIC_KO, *(f"{name}={value}" for name, value in parameters.items())], check=True)
        self.far = Namespace()
        self.near = contextlib.nullcontext()
        self.far.take(FAR)
        self._up(NEAR, NEAR_ADDRESS, NEAR_ADDRESS6, mtu)
        with self.far:
            self._up(FAR, FAR_ADDRESS, FAR_ADDRESS6, mtu)

    @staticmethod
    def _up(device, address, address6, mtu):
        command(f"ip addr add {address}/24 dev {device}")
        command(f"ip -6 addr add {address6}/64 dev {device} nodad")
        command(f"ip link set {device} up mtu {mtu}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.far.close()
        unload_nic()

    def statistics(self, device=NEAR):
        with self.far if device == FAR else self.near:
            lines = command(f"ethtool -S {device}").splitlines()[1:]
        return {name.strip(): int(value) for name, value in (line.split(":") for line in lines)}

    def connect(self, address=FAR_ADDRESS, options=()):
        """A connection from here to there: both its ends, ours first."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.far:
            server = socket.socket(family)
            server.bind((address, 0))
            server.listen()
        client = socket.socket(family)
        for level, option, value in options:
            client.setsockopt(level, option, value)
        client.settimeout(60)
        client.connect(server.getsockname()[:2])
        conn, _ = server.accept()
        conn.settimeout(60)
        server.close()
        return client, conn


def unload_nic():
    def removed():
        return subprocess.run(["rmmod", "tls_hs_nic"], stderr=subprocess.DEVNULL).returncode == 0

    wait_until(removed, 10, "rmmod tls_hs_nic")


def set_knob(name, value):
    with open(f"/sys/module/tls_hs_nic/parameters/{name}", "w") as file:
        file.write(str(value))


@contextlib.contextmanager
def knobs(**values):
    """What the wire does to packets while the block runs."""
    for name, value in values.items():
        set_knob(name, value)
    try:
        yield
    finally:
        for name in values:
            set_knob(name, 0)


class Pattern:
    """Bytes that are known at every offset, and found nowhere else by accident."""

    PERIOD = 65521

    def __init__(self):
        self.block = os.urandom(self.PERIOD)
        self._long = self.block * 34

    def at(self, offset, size):
        offset %= self.PERIOD
        return self._long[offset : offset + size]


def send_pattern(sock, pattern, total, size=65536):
    sent = 0
    while sent < total:
        sock.sendall(pattern.at(sent, min(size, total - sent)))
        sent += min(size, total - sent)


def receive_pattern(sock, pattern, total):
    got = 0
    buffer = memoryview(bytearray(1 << 20))
    while got < total:
        size = sock.recv_into(buffer, min(len(buffer), total - got))
        if size == 0:
            raise Failure(f"end of stream after {got} of {total} bytes")
        if buffer[:size] != pattern.at(got, size):
            raise Failure(f"wrong data in the {size} bytes from {got} on")
        got += size


def transfer(source, sink, total, pattern=None, size=65536, seconds=100):
    """Sends total bytes in writes of a size; all of them have to arrive as they were."""
    pattern = pattern or Pattern()
    sender = Background(send_pattern, source, pattern, total, size)
    receive_pattern(sink, pattern, total)
    sender.result(seconds)

# SPDX-License-Identifier: GPL-2.0
#
# The pair of network devices that offload kTLS, tls_hs_nic.ko: two ends in network
# namespaces, near and far, and what listens on the wire between them.

import contextlib
import os
import socket
import struct
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
    """The module, and both devices with addresses. near and far are the places to be."""

    def __init__(self, mtu=1500, **parameters):
        subprocess.run(["modprobe", "tls"], check=True)
        subprocess.run(["insmod", NIC_KO, *(f"{name}={value}" for name, value in parameters.items())], check=True)
        # Both ends in namespaces, where no other route leads to them.
        self.near, self.far = Namespace(), Namespace()
        for device, place, address, address6 in (
            (NEAR, self.near, NEAR_ADDRESS, NEAR_ADDRESS6),
            (FAR, self.far, FAR_ADDRESS, FAR_ADDRESS6),
        ):
            place.take(device)
            with place:
                self._up(device, address, address6, mtu)

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
        for place in (self.near, self.far):
            place.close()
        unload_nic()

    def statistics(self, device=NEAR):
        with self.far if device == FAR else self.near:
            lines = command(f"ethtool -S {device}").splitlines()[1:]
        return {name.strip(): int(value) for name, value in (line.split(":") for line in lines)}

    def listen(self, address=FAR_ADDRESS):
        with self.far:
            server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            server.bind((address, 0))
            server.listen()
        return server

    def connect(self, address=FAR_ADDRESS, options=(), server=None):
        """A connection from here to there: both its ends, ours first."""
        server = server or self.listen(address)
        with self.near:
            client = socket.socket(server.family)
        for level, option, value in options:
            client.setsockopt(level, option, value)
        client.settimeout(60)
        client.connect(server.getsockname()[:2])
        conn, _ = server.accept()
        conn.settimeout(60)
        server.close()
        return client, conn


def unload_nic():
    if not os.path.exists("/sys/module/tls_hs_nic"):
        return

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


class Shifted:
    """A pattern from an offset on."""

    def __init__(self, pattern, offset):
        self._pattern, self._offset = pattern, offset

    def at(self, offset, size):
        return self._pattern.at(self._offset + offset, size)


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


# --- kTLS ---------------------------------------------------------------------

SOL_TLS = 282
TCP_ULP = 31
TLS_TX, TLS_RX, TLS_TX_ZEROCOPY_RO = 1, 2, 3
TLS_1_2_VERSION = 0x0303
TLS_CIPHER_AES_GCM_128, TLS_CIPHER_AES_GCM_256 = 51, 52
# Of a record: header, explicit nonce, tag.
OVERHEAD = 5 + 8 + 16


class Keys:
    """Keys of one direction of a connection under TLS 1.2."""

    def __init__(self, cipher=TLS_CIPHER_AES_GCM_128, version=TLS_1_2_VERSION):
        self.key = os.urandom(16 if cipher == TLS_CIPHER_AES_GCM_128 else 32)
        self.salt = os.urandom(4)
        self._head = struct.pack("=HH", version, cipher)

    def info(self, number=0):
        number = number.to_bytes(8, "big")
        return self._head + number + self.key + self.salt + number

    def transmit(self, sock):
        sock.setsockopt(SOL_TLS, TLS_TX, self.info())

    def receive(self, sock):
        sock.setsockopt(SOL_TLS, TLS_RX, self.info())


def features(device, place, **switches):
    names = {"tx": "tls-hw-tx-offload", "rx": "tls-hw-rx-offload"}
    with place:
        command(f"ethtool -K {device} " + " ".join(f"{names[name]} {'on' if on else 'off'}" for name, on in switches.items()))


def offloaded(pair, tx=True, rx=True):
    """From now on sessions are offloaded by the near device when they send, by the far one when they receive."""
    features(NEAR, pair.near, tx=tx, rx=False)
    features(FAR, pair.far, tx=False, rx=rx)


def session(pair, keys=None, **options):
    """A connection whose data from here to there is protected, and the keys."""
    near, far = pair.connect(**options)
    keys = keys or Keys()
    for sock in (near, far):
        sock.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_TCP, TCP_ULP, b"tls")
    keys.receive(far)
    keys.transmit(near)
    return near, far, keys


class Wire:
    """Hears what is sent to a port of the far end, until check(), which says whether it was records."""

    def __init__(self, port, keys, pattern, device=WIRE):
        command(f"ip link set {device} up")
        path = f"{os.environ['HS_TMP']}/pattern"
        with open(path, "wb") as file:
            file.write(pattern.block)
        arguments = [device, str(port), keys.key.hex(), keys.salt.hex(), path]
        # It has to keep up with who sends.
        self._process = subprocess.Popen(
            ["nice", "-n", "-10", "./offload_wire", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        expect(self._process.stdout.readline(), "listening\n")

    def check(self, records=None):
        """What was heard: segments, octets, octets sent again, records, octets of the longest segment."""
        output, error = self._process.communicate("", timeout=60)
        expect(self._process.returncode, 0, f"on the wire: {error.strip()}")
        heard = dict(zip(("segments", "octets", "again", "records", "longest"), map(int, output.split())))
        if records is not None:
            expect(heard["records"], records, "records on the wire")
        return heard


@contextlib.contextmanager
def connection(pair, pattern, tx=True, rx=True, records=None, keys=None, device=WIRE, buffer=None, **options):
    """A session whose wire is verified when the block has ended well: near end, far end, and
    what was heard, once the block has ended."""
    offloaded(pair, tx, rx)
    server = pair.listen()
    if buffer:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    keys = keys or Keys()
    wire = Wire(server.getsockname()[1], keys, pattern, device)
    near, far, _ = session(pair, keys, server=server, **options)
    heard = {}
    yield near, far, heard
    near.close()
    expect(far.recv(1), b"", "end of stream")
    far.close()
    heard.update(wire.check(records))


def transfer_until(seen, near, far, total, pattern, size):
    """Chance decides what is lost: goes on until that is seen which it shall lead to. Returns how
    much was sent."""
    for sent in range(0, 30 * total, total):
        transfer(near, far, total, Shifted(pattern, sent), size)
        if seen():
            return sent + total
    raise Failure("what was lost did not lead to it")


class Growth:
    """How statistics of a device have grown."""

    def __init__(self, pair, device):
        self._pair, self._device = pair, device
        self._before = pair.statistics(device)

    def __getitem__(self, name):
        return self._pair.statistics(self._device)[name] - self._before[name]

    def all(self):
        now = self._pair.statistics(self._device)
        return {name: value - self._before[name] for name, value in now.items()}

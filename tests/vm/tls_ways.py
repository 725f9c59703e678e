# SPDX-License-Identifier: GPL-2.0
#
# More than one way between the two ends of the pair, and somebody who looks for
# plaintext on each of them while a session is under way.

import threading
import time

from tls_nic import *

OTHER_NEAR, OTHER_FAR = "other0", "other1"
SO_RCVBUFFORCE = 33
MARK = b"this is plaintext"


class Marked:
    """A pattern whose every few bytes can be recognised."""

    PERIOD = 8000

    def __init__(self):
        block = b"".join(MARK + b"%08d" % number for number in range(320))
        self.block = block[: self.PERIOD]
        self._long = self.block * 300

    def at(self, offset, size):
        offset %= self.PERIOD
        return self._long[offset : offset + size]


class Sniffer:
    """Looks for plaintext in all packets of a device."""

    def __init__(self, device, place=None):
        with place or contextlib.nullcontext():
            command(f"ip link set {device} up")
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            self._sock.bind((device, 3))
        self._sock.settimeout(0.5)
        self._device, self._end, self.packets, self.found = device, False, 0, 0
        self._thread = Background(self._listen)

    def _listen(self):
        while True:
            try:
                packet = self._sock.recv(70000)
            except TimeoutError:
                if self._end:
                    return
                continue
            except OSError:
                return
            if len(packet) > 500:
                self.packets += 1
            if MARK in packet:
                self.found += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Plaintext is worse than what the block failed with.
        self.check()

    def check(self):
        """Number of packets with data."""
        self._end = True
        self._thread.result()
        self._sock.close()
        expect(self.found, 0, f"packets with plaintext on {self._device}")
        return self.packets


def other_way(pair):
    command(f"ip link add {OTHER_NEAR} type veth peer name {OTHER_FAR}")
    for device, place in ((OTHER_NEAR, pair.near), (OTHER_FAR, pair.far)):
        place.take(device)
        with place:
            command(f"ip link set {device} up")
            for name in ("all", device):
                with open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w") as file:
                    file.write("0")


def route(pair, near_device, far_device):
    with pair.near:
        command(f"ip route replace {FAR_ADDRESS}/32 dev {near_device} src {NEAR_ADDRESS}")
    with pair.far:
        command(f"ip route replace {NEAR_ADDRESS}/32 dev {far_device} src {FAR_ADDRESS}")


def send_until(sock, pattern, stop):
    sent = 0
    while not stop.is_set():
        sock.sendall(pattern.at(sent, 16384))
        sent += 16384
    sock.close()
    return sent


def receive_all(sock, pattern):
    got = 0
    while True:
        data = sock.recv(1 << 16)
        if not data:
            return got
        if data != pattern.at(got, len(data)):
            raise Failure(f"wrong data in the {len(data)} bytes from {got} on")
        got += len(data)


@contextlib.contextmanager
def traffic(pair, rx=True):
    """Data goes over a session during the block, and a little longer, and arrives."""
    offloaded(pair, True, rx)
    near, far, _ = session(pair)
    pattern, stop = Marked(), threading.Event()
    sender = Background(send_until, near, pattern, stop)
    receiver = Background(receive_all, far, pattern)
    try:
        time.sleep(0.3)
        yield
        time.sleep(0.3)
    finally:
        stop.set()
    expect(receiver.result(60), sender.result(60), "bytes")
    far.close()

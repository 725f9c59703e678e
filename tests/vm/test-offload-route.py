#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# Sessions of a device that goes down, goes away, or is no longer on the way: the
# connection goes on, and no packet on any way carries plaintext.

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


@case("the sniffer finds plaintext")
def _():
    with Pair() as pair:
        sniffer = Sniffer(WIRE)
        near, far = pair.connect()
        transfer(near, far, 100_000, Marked())
        try:
            sniffer.check()
        except Failure:
            return
        raise Failure("it does not")


@case("the route leads to another device, and back", limit=100)
def _():
    with Pair() as pair:
        other_way(pair)
        wire, other = Sniffer(WIRE), Sniffer(OTHER_FAR, pair.far)
        # A packet that the stack has encrypted for another device keeps the mark of plaintext,
        # and veth the marks of packets: a receive side on a device would believe it.
        with traffic(pair, rx=False):
            for _ in range(3):
                route(pair, OTHER_NEAR, OTHER_FAR)
                seen = other.packets
                wait_until(lambda: other.packets > seen + 20, 30, "nothing goes the other way")
                route(pair, NEAR, FAR)
                seen = wire.packets
                wait_until(lambda: wire.packets > seen + 20, 30, "nothing comes back")
        expect_true(wire.check() > 0 and other.check() > 0, "packets on both ways")


@case("the sender's device goes down with sessions, and comes back", limit=100)
def _():
    with Pair() as pair:
        wire = Sniffer(WIRE)
        with traffic(pair), pair.near:
            command(f"ip link set {NEAR} down")
            command(f"ip link set {NEAR} up")
        wire.check()
        statistics = pair.statistics()
        expect(statistics["tx_tls_del"], statistics["tx_tls_ctx"])


@case("the receiver's device goes down with sessions, and comes back", limit=100)
def _():
    with Pair() as pair:
        wire = Sniffer(WIRE)
        with traffic(pair), pair.far:
            command(f"ip link set {FAR} down")
            command(f"ip link set {FAR} up")
        wire.check()
        statistics = pair.statistics(FAR)
        expect(statistics["rx_tls_del"], statistics["rx_tls_ctx"])


@case("the module is removed with sessions: they go another way", limit=100)
def _():
    with Pair() as pair:
        other_way(pair)
        wire, other = Sniffer(WIRE), Sniffer(OTHER_FAR, pair.far)
        with traffic(pair, rx=False):
            for place, device, address in ((pair.near, OTHER_NEAR, NEAR_ADDRESS), (pair.far, OTHER_FAR, FAR_ADDRESS)):
                with place:
                    command(f"ip addr add {address}/32 dev {device}")
            route(pair, OTHER_NEAR, OTHER_FAR)
            unload_nic()
        wire.check()
        expect_true(other.check() > 0, "packets on the other way")


@case("offload is switched off: sessions stay, new ones are software's", limit=60)
def _():
    with Pair() as pair:
        wire = Sniffer(WIRE)
        with traffic(pair):
            features(NEAR, pair.near, tx=False)
            features(FAR, pair.far, rx=False)
        before = pair.statistics()["tx_tls_session"]
        near, far, _ = session(pair)
        transfer(near, far, 100_000, Marked())
        expect(pair.statistics()["tx_tls_session"], before)
        wire.check()
        near.close()
        far.close()


@case("sessions with data in flight are killed when both namespaces end", limit=60)
def _():
    for _ in range(3):
        pair = Pair()
        offloaded(pair)
        sessions = [session(pair)[:2] for _ in range(5)]
        for near, _ in sessions:
            near.setblocking(False)
            try:
                while True:
                    near.send(bytes(16384))
            except BlockingIOError:
                pass
        for near, far in sessions:
            near.close()
            far.close()
        pair.close()


if __name__ == "__main__":
    run_cases()

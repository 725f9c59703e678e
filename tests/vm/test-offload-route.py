#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# Sessions of a device that goes down, goes away, or is no longer on the way: the
# connection goes on, and no packet on any way carries plaintext.

from tls_ways import *


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

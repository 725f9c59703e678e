#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# Packets of the stack that the device makes many segments of: it encrypts them first,
# and the wire carries segments of the connection's size, whose records OpenSSL verifies.

from tls_nic import *

# What an MTU of 1500 leaves, with time stamps.
MSS = 1448
# Segments in a packet at least, of many: TCP makes small ones where acknowledgements come late.
PACKET = 2 if SLOW == 1 else 1
WRITE = 100_000


def switch_tso(pair, on):
    with pair.near:
        command(f"ethtool -K {NEAR} tso {'on' if on else 'off'}")


def expect_segments(heard):
    expect(heard["longest"], MSS, "the longest segment on the wire")


@case("plain TCP, IPv4 and IPv6: no packet on the wire is longer than the MTU", limit=60)
def _():
    with Pair() as pair:
        command(f"ip link set {WIRE} up")
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind((WIRE, 3))
        tap.setblocking(False)
        for address in (FAR_ADDRESS, FAR_ADDRESS6):
            near, far = pair.connect(address)
            transfer(near, far, 500_000, size=WRITE)
            lengths = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    lengths.append(len(tap.recv(70_000)))
            expect(max(lengths), 1514, "the longest packet")
            near.close()
            far.close()
        tap.close()


for _on in (True, False):

    @case(f"records in one packet of the stack, tso {'on' if _on else 'off'}", limit=60)
    def _(on=_on):
        pattern = Pattern()
        with Pair() as pair:
            switch_tso(pair, on)
            grows = Growth(pair, NEAR)
            with connection(pair, pattern) as (near, far, heard):
                transfer(near, far, 2_000_000, pattern, WRITE)
            sent = grows.all()
            expect_segments(heard)
            expect(sent["tx_tls_software_packets"], 0)
            if on:
                expect_true(heard["segments"] > PACKET * sent["tx_tls_encrypted_packets"], f"{heard} {sent}")
            else:
                expect(heard["segments"], sent["tx_tls_encrypted_packets"])


for _knob, _rate in (("drop", 10), ("drop", 200), ("drop", 500), ("reorder", 500), ("duplicate", 500)):

    @case(f"{_knob} {_rate / 100} %", limit=100)
    def _(knob=_knob, rate=_rate):
        pattern = Pattern()
        with Pair() as pair:
            for size, total in ((1457, 400_000), (WRITE, 1_000_000)):
                grows = Growth(pair, NEAR)
                with connection(pair, pattern) as (near, far, heard):
                    with knobs(**{knob: rate}):
                        transfer(near, far, total, pattern, size)
                sent = grows.all()
                print(f"# writes of {size}: {heard}", {name: value for name, value in sent.items() if "tx" in name and value}, flush=True)
                expect_segments(heard)
                expect(sent["tx_tls_drop_plaintext"], 0)
                expect_true(sent["tx_tls_encrypted_packets"] > sent["tx_tls_software_packets"], "the device encrypts most")


@case("a segment in the middle of a large packet is lost: the device goes back into its record", limit=100)
def _():
    pattern = Pattern()
    size = 4 * 16384
    with Pair() as pair:
        for lost in (2, 7, 12, 13, 20, 30, 40):
            grows = Growth(pair, NEAR)
            with connection(pair, pattern, rx=False) as (near, far, heard):
                # Opens the window for one packet of all that comes next.
                transfer(near, far, 600_000, pattern, WRITE)
                before = grows.all()
                with knobs(drop_nth=lost):
                    transfer(near, far, size, Shifted(pattern, 600_000), size)
                after = grows.all()
                transfer(near, far, 600_000, Shifted(pattern, 600_000 + size), WRITE)
            sent = grows.all()
            expect(sent["wire_dropped"], 1)
            expect_segments(heard)
            expect_true(after["tx_tls_ooo"] > before["tx_tls_ooo"], f"segment {lost}: the device did not rebuild its state")
            expect_true(after["tx_tls_encrypted_packets"] - before["tx_tls_encrypted_packets"] < 40, "packets are large")
            expect(sent["tx_tls_software_packets"], 0)


@case("the device loses its state: software encrypts a large packet, and the device cuts it", limit=60)
def _():
    pattern = Pattern()
    with Pair() as pair:
        grows = Growth(pair, NEAR)
        with connection(pair, pattern) as (near, far, heard):
            transfer(near, far, 600_000, pattern, WRITE)
            for number in range(5):
                set_knob("forget", number + 1)
                transfer(near, far, 200_000, Shifted(pattern, 600_000 + number * 200_000), WRITE)
        sent = grows.all()
        expect_segments(heard)
        expect(sent["tx_tls_failed"], 5)
        expect(sent["tx_tls_resync_res"], 5)
        expect_true(heard["segments"] > PACKET * (sent["tx_tls_encrypted_packets"] + sent["tx_tls_software_packets"]), f"{heard} {sent}")


if __name__ == "__main__":
    run_cases()

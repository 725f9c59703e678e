#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# tls_hs_nic.ko as a pair of network devices, without any TLS: packets pass, the
# knobs do what they say, the devices come and go.

import json
import socket
import subprocess

from tls_nic import *


@case("ping, IPv4 and IPv6")
def _():
    with Pair() as pair, pair.near:
        for address in (FAR_ADDRESS, FAR_ADDRESS6):
            command(f"ping -q -c 3 -i 0.2 {address}")


@case("TCP both ways")
def _():
    with Pair() as pair:
        for address in (FAR_ADDRESS, FAR_ADDRESS6):
            near, far = pair.connect(address)
            transfer(near, far, 2_000_000)
            transfer(far, near, 2_000_000)
            near.close()
            far.close()


@case("a device counts what it sends and receives")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        transfer(near, far, 500_000)
        for direction in ("tx", "rx"):
            with pair.near:
                link = json.loads(command(f"ip -s -j link show dev {NEAR}"))[0]
            expect_true(link["stats64"][direction]["packets"] > 10, direction)


@case("the wire loses, doubles, reorders; TCP gets over it", limit=60)
def _():
    with Pair() as pair:
        for knob, statistic in (("drop", "wire_dropped"), ("duplicate", "wire_duplicated"), ("reorder", "wire_reordered")):
            near, far = pair.connect()
            with knobs(**{knob: 200}):
                transfer(near, far, 1_000_000)
                transfer(far, near, 1_000_000)
            for device in (NEAR, FAR):
                expect_true(pair.statistics(device)[statistic] > 0, f"{statistic} of {device}")


@case("the wire changes bytes: TCP does not notice, which is what the knob is for")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        with knobs(corrupt=10000):
            near.sendall(bytes(1000))
            got = far.recv(1000, socket.MSG_WAITALL)
        expect(len(got), 1000)
        expect(sum(byte != 0 for byte in got), 1)
        expect(pair.statistics()["wire_corrupted"], 1)


@case("who listens on the wire hears both directions")
def _():
    with Pair() as pair:
        command(f"ip link set {WIRE} up")
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind((WIRE, 3))
        tap.settimeout(10)
        near, far = pair.connect()
        near.sendall(b"there and")
        far.sendall(b"back again")
        wanted = [b"there and", b"back again"]
        while wanted:
            packet = tap.recv(2000)
            wanted = [data for data in wanted if data not in packet]
        tap.close()


@case("a device goes down, with traffic, and comes back", limit=120)
def _():
    with Pair() as pair:
        near, far = pair.connect()
        for device, place in ((NEAR, pair.near), (FAR, pair.far)):
            sender = Background(transfer, near, far, 20_000_000)
            with place:
                command(f"ip link set {device} down")
                command(f"ip link set {device} up")
            sender.result(60)


@case("rmmod with traffic", limit=60)
def _():
    for _ in range(5):
        pair = Pair()
        near, far = pair.connect()
        near.settimeout(1)
        far.settimeout(1)
        sender = Background(transfer, near, far, 1 << 30)
        wait_until(lambda: pair.statistics() and far.recv(1, socket.MSG_PEEK), 10, "no traffic")
        pair.close()
        # Nothing comes through any more, and nobody is in the way of the module.
        try:
            sender.result(40)
        except (OSError, Failure):
            pass
        near.close()
        far.close()


@case("the namespace of a device ends: the device comes home")
def _():
    subprocess.run(["modprobe", "tls"], check=True)
    subprocess.run(["insmod", NIC_KO], check=True)
    far = Namespace()
    far.take(FAR)
    far.close()
    wait_until(lambda: FAR in command("ip -o link"), 20, f"{FAR} in the first namespace")
    unload_nic()


if __name__ == "__main__":
    run_cases()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 400
#
# VLANs and bonds above the devices: what the kernel offloads of their sessions, and that
# nothing is sent as plaintext, or encrypted twice, whichever device a packet comes by.

from tls_ways import *

VLAN = 5
BOND = "bond9"


def add_vlan(pair, address=True):
    """A VLAN's device at both ends; their names."""
    names = []
    for device, place, own in ((NEAR, pair.near, NEAR_ADDRESS), (FAR, pair.far, FAR_ADDRESS)):
        name = f"{device}.{VLAN}"
        with place:
            command(f"ip link add link {device} name {name} type vlan id {VLAN}")
            if address:
                command(f"ip addr del {own}/24 dev {device}")
                command(f"ip addr add {own}/24 dev {name}")
            command(f"ip link set {name} up")
            for each in ("all", device, name):
                with open(f"/proc/sys/net/ipv4/conf/{each}/rp_filter", "w") as file:
                    file.write("0")
        names.append(name)
    return names


def add_bond(pair, mode):
    """Both devices become the first ports of bonds, which get their addresses."""
    for device, place, own in ((NEAR, pair.near, NEAR_ADDRESS), (FAR, pair.far, FAR_ADDRESS)):
        with place:
            command(f"ip addr del {own}/24 dev {device}")
            command(f"ip link set {device} down")
            command(f"ip link add {BOND} type bond miimon 50 {mode}")
            command(f"ip link set {device} master {BOND}")
            command(f"ip link set {BOND} up")
            command(f"ip addr add {own}/24 dev {BOND}")


def join_bond(pair):
    """A second way becomes a port of both bonds."""
    for device, place in ((OTHER_NEAR, pair.near), (OTHER_FAR, pair.far)):
        with place:
            command(f"ip link set {device} down")
            command(f"ip link set {device} master {BOND}")


def grown(grows, name, more=0):
    wait_until(lambda: grows[name] > more, 30, name)


@case("a VLAN's sessions are software's", limit=60)
def _():
    with Pair() as pair:
        subprocess.run(["modprobe", "8021q"], check=False)
        add_vlan(pair)
        wire = Sniffer(WIRE)
        with traffic(pair):
            pass
        expect_true(wire.check() > 0, "packets on the wire")
        expect(pair.statistics()["tx_tls_session"], 0)
        expect(pair.statistics(FAR)["rx_tls_session"], 0)


@case("the route of a session leads to a VLAN above its own device, and back", limit=100)
def _():
    with Pair() as pair:
        subprocess.run(["modprobe", "8021q"], check=False)
        near_vlan, far_vlan = add_vlan(pair, address=False)
        grows = Growth(pair, NEAR)
        with Sniffer(WIRE) as wire, traffic(pair):
            for _ in range(3):
                route(pair, near_vlan, far_vlan)
                seen = wire.packets
                wait_until(lambda: wire.packets > seen + 20, 30, "nothing goes the other way")
                route(pair, NEAR, FAR)
                seen = grows["tx_tls_encrypted_packets"]
                grown(grows, "tx_tls_encrypted_packets", seen + 5)
        sent = grows.all()
        expect_true(sent["tx_tls_passed_packets"] > 5, f"{sent}")
        expect(sent["tx_tls_drop_plaintext"], 0)


@case("a bond with one port in use, active-backup: sessions are software's", limit=60)
def _():
    with Pair() as pair:
        subprocess.run(["modprobe", "bonding", "max_bonds=0"], check=False)
        add_bond(pair, "mode active-backup")
        wire = Sniffer(WIRE)
        with traffic(pair):
            pass
        expect_true(wire.check() > 0, "packets on the wire")
        expect(pair.statistics()["tx_tls_session"], 0)


def add_xor_bond(pair):
    add_bond(pair, "mode balance-xor xmit_hash_policy layer3+4")


@case("a bond that chooses by ports, balance-xor: the port's device decrypts, software encrypts", limit=100)
def _():
    # The kernel offers the port's device both.
    with Pair() as pair:
        subprocess.run(["modprobe", "bonding", "max_bonds=0"], check=False)
        add_xor_bond(pair)
        grows = Growth(pair, FAR)
        with Sniffer(WIRE) as wire, traffic(pair):
            grown(grows, "rx_tls_decrypted_packets", 20)
        expect(pair.statistics()["tx_tls_session"], 0)
        expect_true(wire.packets > 20, "packets on the wire")


@case("a bond's port fails with a session on it: software goes on over the other port", limit=100)
def _():
    with Pair() as pair:
        subprocess.run(["modprobe", "bonding", "max_bonds=0"], check=False)
        other_way(pair)
        add_xor_bond(pair)
        with contextlib.ExitStack() as ways, traffic(pair):
            wire = ways.enter_context(Sniffer(WIRE))
            wait_until(lambda: wire.packets > 20, 30, "nothing goes over the port")
            # Goes down on its way there, which ends who listens.
            join_bond(pair)
            other = ways.enter_context(Sniffer(OTHER_FAR, pair.far))
            for device, place in ((NEAR, pair.near), (FAR, pair.far)):
                with place:
                    command(f"ip link set {device} down")
            wait_until(lambda: other.packets > 20, 30, "nothing goes over the other port")


if __name__ == "__main__":
    run_cases()

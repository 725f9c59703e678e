#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 3000
#
# What a byte costs the machine that sends and receives it: CPU time of all CPUs while
# a stream goes through the pair of devices, less the time in what would be silicon.

import time

from tls_nic import *

RECORD = 16384
ROUNDS = 5


def argument(name, default):
    with open("/proc/cmdline") as file:
        words = dict(word.split("=", 1) for word in file.read().split() if "=" in word)
    return int(words.get(name, default))


BYTES = argument("bench.bytes", 8_000_000)


def busy_ns():
    """CPU time of the machine."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def hardware_ns(pair):
    return sum(pair.statistics(device)[f"{way}_hardware_ns"] for device in (NEAR, FAR) for way in ("tx", "rx"))


def drain(sock, total):
    buffer = bytearray(1 << 18)
    while total:
        total -= sock.recv_into(buffer, min(total, len(buffer)))


def push(sock, total):
    data = os.urandom(RECORD)
    for _ in range(total // RECORD):
        sock.sendall(data)


def measure(pair, near, far):
    """The cheapest of some rounds: other work on the host only ever adds to it."""
    size = BYTES // RECORD * RECORD
    rounds = []
    for _ in range(ROUNDS):
        hardware, busy, start = hardware_ns(pair), busy_ns(), time.monotonic()
        sender = Background(push, near, size)
        drain(far, size)
        sender.result(1000)
        busy, wall = busy_ns() - busy, time.monotonic() - start
        hardware = hardware_ns(pair) - hardware
        rounds.append((busy / size, hardware / size, size / wall))
    near.close()
    far.close()
    return min(rounds)


@case("cost of a byte", limit=2900)
def _():
    rows = []
    with Pair() as pair:
        near, far = pair.connect()
        rows.append(("TCP", *measure(pair, near, far)))
        for name, tx, rx in (
            ("kTLS in software", False, False),
            ("device sends", True, False),
            ("device receives", False, True),
            ("device at both ends", True, True),
        ):
            offloaded(pair, tx, rx)
            near, far, _ = session(pair)
            rows.append((name, *measure(pair, near, far)))
    print(f"# {BYTES} bytes in records of {RECORD}, the cheapest of {ROUNDS} rounds, both ends on this machine")
    print(f"# {'':<20} {'CPU ns/byte':>12} {'device':>8} {'without it':>11} {'MB/s':>7}")
    for name, busy, hardware, rate in rows:
        print(f"# {name:<20} {busy:12.1f} {hardware:8.1f} {busy - hardware:11.1f} {rate / 1e6:7.1f}")


if __name__ == "__main__":
    run_cases()

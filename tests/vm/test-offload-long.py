#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 36000
#
# Much data through sessions of the device, several at a time, at changing rates of
# everything that can go wrong: VM_APPEND="offload.megabytes=4000 offload.minutes=60"
# make test-vm T=offload-long. Without that a few megabytes. After so many minutes no
# session begins any more.
#
# offload_stream compares every octet that arrives. The octets of one kind of session
# are also heard on the wire, where each is to be part of a record that OpenSSL
# verifies.

import collections
import random
import threading
import time

from tls_nic import *

PERIOD = 2

# name, octets of a write, octets of a session (0: an eighth of all, once), and what else
Kind = collections.namedtuple("Kind", "name size octets wire buffer address", defaults=(False, None, FAR_ADDRESS))
KINDS = (
    Kind("one long session", 16384, 0),
    Kind("records of 1457", 1457, 20_000_000),
    Kind("large writes", 100_000, 40_000_000, address=FAR_ADDRESS6),
    Kind("tiny windows", 16384, 1_000_000, buffer=2048),
    Kind("tiny windows and records", 1457, 1_000_000, buffer=2048, address=FAR_ADDRESS6),
    Kind("heard, records of 1457", 1457, 8_000_000, wire=True),
    Kind("heard, records of 16384", 16384, 16_000_000, wire=True),
)


def argument(name, default):
    with open("/proc/cmdline") as file:
        words = dict(word.split("=", 1) for word in file.read().split() if "=" in word)
    return int(words.get(f"offload.{name}", default))


class Work:
    """What is left to be sent, and what was done."""

    def __init__(self, octets, seconds):
        self.octets, self._left, self._lock = octets, octets, threading.Lock()
        self._end = time.monotonic() + seconds
        self.done = collections.Counter()
        self.sessions = collections.Counter()
        # Only one listens on the wire at a time: it needs much memory.
        self.wire = threading.Lock()

    def late(self):
        return time.monotonic() > self._end

    def take(self, kind):
        with self._lock:
            size = min(kind.octets, self.octets // len(KINDS), self._left)
            if kind.octets == 0 and not self.sessions[kind.name]:
                size = self.octets // 8
            if self.late():
                size = 0
            self._left -= min(size, self._left)
            self.sessions[kind.name] += size > 0
            return size


def pattern_file():
    return f"{os.environ['HS_TMP']}/stream"


def stream(pair, kind, size, pattern):
    server = pair.listen(kind.address)
    if kind.buffer:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kind.buffer)
    cipher = TLS_CIPHER_AES_GCM_128 if kind.wire else random.choice((TLS_CIPHER_AES_GCM_128, TLS_CIPHER_AES_GCM_256))
    keys, back = Keys(cipher), Keys(cipher)
    wire = Wire(server.getsockname()[1], keys, pattern) if kind.wire else None
    near, far, _ = session(pair, keys, server=server)
    back.receive(near)
    back.transmit(far)
    ends = [near.fileno(), far.fileno()]
    run = subprocess.run(
        ["./offload_stream", *map(str, ends), str(size), str(size // 8), str(kind.size), pattern_file()],
        pass_fds=ends,
        stderr=subprocess.PIPE,
        text=True,
    )
    expect(run.returncode, 0, f"{kind.name}: {run.stderr.strip()}")
    near.close()
    far.close()
    if wire:
        wire.check()


def lane(pair, work, kind, pattern):
    while size := work.take(kind):
        with work.wire if kind.wire else contextlib.nullcontext():
            stream(pair, kind, size, pattern)
        work.done[kind.name] += size + size // 8


def moved(pair):
    """Octets that the devices have encrypted, and packets on the wire that they lost."""
    statistics = [pair.statistics(device) for device in (NEAR, FAR)]
    return tuple(sum(each[name] for each in statistics) for name in ("tx_tls_encrypted_bytes", "wire_dropped"))


def disturb(pair, lanes, generator):
    """Changes what goes wrong every few seconds while there is work; how much moved at which rate of loss."""
    forgets, octets_at = 0, collections.Counter()
    octets, _ = moved(pair)
    begin = time.monotonic()
    while any(each.running() for each in lanes):
        rates = {
            "drop": generator.choice((0, 10, 100, 500)),
            "reorder": generator.choice((0, 50, 300)),
            "duplicate": generator.choice((0, 100)),
        }
        if generator.randrange(4) == 0:
            forgets += 1
            set_knob("forget", forgets)
        device, place = generator.choice(((NEAR, pair.near), (FAR, pair.far)))
        with place:
            command(f"ethtool -K {device} tso {generator.choice(('on', 'on', 'off'))}")
        with knobs(**rates):
            end = time.monotonic() + PERIOD
            while time.monotonic() < end and any(each.running() for each in lanes):
                time.sleep(0.1)
            before, (octets, dropped) = octets, moved(pair)
        octets_at[rates["drop"]] += octets - before
        if time.monotonic() - begin > 60:
            begin = time.monotonic()
            print(f"# {octets // 1_000_000} MB, {dropped} packets lost", flush=True)
    return octets_at


@case("every byte arrives, whatever happens on the way", limit=36000)
def _():
    generator, pattern, work = random.Random(20), Pattern(), Work(argument("megabytes", 6) * 1_000_000, argument("minutes", 600) * 60)
    with open(pattern_file(), "wb") as file:
        file.write(pattern.block)
    with Pair(credit=200_000, backoff=500_000) as pair:
        for device, place in ((NEAR, pair.near), (FAR, pair.far)):
            features(device, place, tx=True, rx=True)
            with place, open("/proc/sys/net/ipv4/tcp_rto_min_us", "w") as file:
                # Time that is spent waiting moves nothing.
                file.write("20000")
        start = time.monotonic()
        lanes = [Background(lane, pair, work, kind, pattern) for kind in KINDS]
        octets_at = disturb(pair, lanes, generator)
        for each in lanes:
            each.result()
        seconds = time.monotonic() - start
        for kind in KINDS:
            print(f"# {kind.name}: {work.sessions[kind.name]} sessions, {work.done[kind.name]} octets")
        for rate, octets in sorted(octets_at.items()):
            print(f"# loss of {rate / 100} %: {octets} octets")
        print(f"# {sum(work.done.values()) / 1e6:.1f} MB in {seconds:.0f} s", flush=True)
        expect_true(work.late() or sum(work.done.values()) >= work.octets, "all was sent")
        for device in (NEAR, FAR):
            statistics = pair.statistics(device)
            print(f"# {device}", {name: value for name, value in statistics.items() if value}, flush=True)
            expect(statistics["rx_tls_err"], 0)
            expect_true(statistics["tx_tls_encrypted_packets"] > 0, f"{device} encrypts")
            expect_true(statistics["rx_tls_decrypted_packets"] > 0, f"{device} decrypts")


if __name__ == "__main__":
    run_cases()

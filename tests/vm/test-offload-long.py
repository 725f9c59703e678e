#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 36000
#
# Much data through sessions of the device, at changing rates of everything that can go
# wrong: VM_APPEND=offload.megabytes=4000 make test-vm T=offload-long. Without that a
# few megabytes.

import random

from tls_nic import *

CHUNK = 1_000_000


def megabytes():
    with open("/proc/cmdline") as file:
        words = dict(word.split("=", 1) for word in file.read().split() if "=" in word)
    return int(words.get("offload.megabytes", 6))


@case("every byte arrives, whatever happens on the way", limit=36000)
def _():
    generator = random.Random(20)
    pattern = Pattern()
    forgets = 0
    with Pair(credit=200_000, backoff=500_000) as pair:
        for device, place in ((NEAR, pair.near), (FAR, pair.far)):
            features(device, place, tx=True, rx=True)
        near, far, _ = session(pair)
        back = Keys()
        back.receive(near)
        back.transmit(far)
        for number in range(megabytes()):
            rates = {
                "drop": generator.choice((0, 10, 100, 500)),
                "reorder": generator.choice((0, 50, 300)),
                "duplicate": generator.choice((0, 100)),
            }
            if generator.randrange(4) == 0:
                forgets += 1
                set_knob("forget", forgets)
            size = generator.choice((1457, 5000, 16384, 100_000))
            with knobs(**rates):
                shifted = Shifted(pattern, number * CHUNK)
                other = Background(transfer, far, near, CHUNK // 10, shifted, size)
                transfer(near, far, CHUNK, shifted, size, seconds=300)
                other.result(300)
            if number % 100 == 5:
                print(f"# {number + 1} MB", {name: value for name, value in pair.statistics().items() if value}, flush=True)
        near.close()
        far.close()
        for device in (NEAR, FAR):
            statistics = pair.statistics(device)
            expect(statistics["tx_tls_drop_plaintext"], 0)
            expect_true(statistics["tx_tls_encrypted_packets"] > 0, f"{device} encrypts")
            expect_true(statistics["rx_tls_decrypted_packets"] > 0, f"{device} decrypts")


if __name__ == "__main__":
    run_cases()

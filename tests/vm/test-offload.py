#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 400
#
# kTLS sessions on a device: what one end encrypts the other decrypts, with the
# device at either end or both, and on the wire between them are records that OpenSSL
# verifies, whatever is lost, doubled or out of order.

import errno

from tls_nic import *


def kinds(tx, rx):
    return f"{'device' if tx else 'software'} to {'device' if rx else 'software'}"


for _tx, _rx in ((False, False), (True, False), (False, True), (True, True)):

    @case(f"a megabyte, {kinds(_tx, _rx)}", limit=60)
    def _(tx=_tx, rx=_rx):
        pattern = Pattern()
        with Pair() as pair:
            near_grows, far_grows = Growth(pair, NEAR), Growth(pair, FAR)
            with connection(pair, pattern, tx, rx, records=64) as (near, far, _):
                transfer(near, far, 1 << 20, pattern, 16384)
            sent, received = near_grows.all(), far_grows.all()
            payload = (1 << 20) + 64 * OVERHEAD
            # More, and some out of order, if TCP thought that something was lost.
            again = sent["tx_tls_encrypted_bytes"] - (payload if tx else 0)
            expect_true(again >= 0 if tx else again == 0, f"{sent}")
            expect_true(again > 0 or sent["tx_tls_ooo"] == 0, f"{sent}")
            expect(sent["tx_tls_ctx"], int(tx))
            expect(received["rx_tls_ctx"], int(rx))
            if rx:
                expect(received["rx_tls_decrypted_bytes"], payload)
            expect(sent["tx_tls_del"], sent["tx_tls_ctx"])
            expect(received["rx_tls_del"], received["rx_tls_ctx"])
            for name in ("tx_tls_software_packets", "tx_tls_drop_plaintext", "rx_tls_err"):
                expect(sent[name] + received[name], 0, name)


@case("IPv6, AES-256, both directions at the same time", limit=60)
def _():
    pattern = Pattern()
    with Pair() as pair:
        features(NEAR, pair.near, tx=True, rx=True)
        features(FAR, pair.far, tx=True, rx=True)
        near, far, _ = session(pair, Keys(TLS_CIPHER_AES_GCM_256), address=FAR_ADDRESS6)
        back = Keys(TLS_CIPHER_AES_GCM_256)
        back.receive(near)
        back.transmit(far)
        up = Background(transfer, near, far, 500_000, pattern)
        down = Background(transfer, far, near, 500_000, pattern)
        up.result(50)
        down.result(50)
        for device in (NEAR, FAR):
            statistics = pair.statistics(device)
            expect_true(statistics["tx_tls_encrypted_bytes"] > 500_000, f"{device} encrypts")
            expect_true(statistics["rx_tls_decrypted_bytes"] > 500_000, f"{device} decrypts")
        near.close()
        far.close()


@case("what the kernel does not offload stays with software: TLS 1.3")
def _():
    pattern = Pattern()
    with Pair() as pair:
        near, far, _ = session(pair, Keys(version=0x0304))
        transfer(near, far, 100_000, pattern)
        expect(pair.statistics()["tx_tls_session"], 0)
        near.close()
        far.close()


@case("sessions that the device refuses are software's", limit=60)
def _():
    pattern = Pattern()
    with Pair() as pair:
        for refuse in (1, 2, 3):
            near_grows, far_grows = Growth(pair, NEAR), Growth(pair, FAR)
            with knobs(refuse=refuse), connection(pair, pattern) as (near, far, _):
                transfer(near, far, 200_000, pattern)
            expect(near_grows["tx_tls_ctx_refused"], refuse & 1)
            expect(far_grows["rx_tls_ctx_refused"], refuse >> 1)
            expect(near_grows["tx_tls_encrypted_packets"] > 0, not refuse & 1)
            expect(far_grows["rx_tls_decrypted_packets"] > 0, not refuse >> 1)


# The paper's record size, the largest, and one that leaves pieces of every kind in packets.
SIZES = {1457: 400_000, 16384: 800_000, 100: 60_000}

for _knob, _rates in (("drop", (10, 100, 500)), ("reorder", (100, 1000)), ("duplicate", (1000,))):
    for _rate in _rates:

        @case(f"{_knob} {_rate / 100} %: every byte arrives, only records are sent", limit=100)
        def _(knob=_knob, rate=_rate):
            pattern = Pattern()
            with Pair() as pair:
                for size, total in SIZES.items():
                    near_grows, far_grows = Growth(pair, NEAR), Growth(pair, FAR)
                    with connection(pair, pattern) as (near, far, heard):
                        with knobs(**{knob: rate}):
                            transfer(near, far, total, pattern, size)
                    sent, received = near_grows.all(), far_grows.all()
                    print(
                        f"# records of {size}: {heard}",
                        {name: value for name, value in sent.items() if "tx" in name and value},
                        {name: value for name, value in received.items() if "rx" in name and value},
                        flush=True,
                    )
                    expect(sent["tx_tls_drop_plaintext"], 0)
                    expect(received["rx_tls_err"], 0)
                    expect_true(sent["tx_tls_encrypted_packets"] > sent["tx_tls_software_packets"], "the device encrypts most")
                    expect_true(received["rx_tls_decrypted_packets"] > 0, "the device decrypts")


@case("loss in front of the device: it sees later packets first", limit=60)
def _():
    # No delay: netem takes the socket off packets that it delays, and the stack then drops
    # those with plaintext.
    pattern = Pattern()
    with Pair() as pair:
        for size in (1457, 16384):
            grows = Growth(pair, NEAR)
            with connection(pair, pattern) as (near, far, heard):
                with pair.near:
                    command(f"tc qdisc add dev {NEAR} root netem loss 3%")
                transfer_until(lambda: grows["tx_tls_ooo"], near, far, 300_000, pattern, size)
                with pair.near:
                    command(f"tc qdisc del dev {NEAR} root")
            expect(grows["tx_tls_drop_plaintext"], 0)


@case("tiny windows", limit=60)
def _():
    pattern = Pattern()
    with Pair() as pair:
        with connection(pair, pattern, buffer=2048) as (near, far, heard):
            with knobs(drop=50):
                transfer(near, far, 100_000, pattern, 16384)
        expect_true(heard["segments"] > 100, f"{heard}")


@case("retransmission in the middle of a record whose first segments are acknowledged", limit=60)
def _():
    # A record is twelve segments; each of them is lost once. What TCP sends again begins at
    # that segment, and the device needs all of the record before it, acknowledged or not.
    pattern = Pattern()
    with Pair() as pair:
        for lost in range(1, 13):
            near_grows = Growth(pair, NEAR)
            with connection(pair, pattern, rx=False) as (near, far, heard):
                transfer(near, far, 5 * 16384, pattern, 16384)
                with knobs(drop_nth=lost):
                    near.sendall(pattern.at(5 * 16384, 16384))
                    expect(far.recv(16384, socket.MSG_WAITALL) == pattern.at(5 * 16384, 16384), True, "data")
                transfer(near, far, 5 * 16384, Shifted(pattern, 6 * 16384), 16384)
            sent = near_grows.all()
            expect(sent["wire_dropped"], 1)
            expect(heard["records"], 11)
            expect_true(heard["again"] > 0, "nothing was sent again")
            expect_true(sent["tx_tls_ooo"] > 0, f"segment {lost}: the device did not rebuild its state")
            if lost > 1:
                expect_true(sent["tx_tls_ooo_prefix_bytes"] >= (lost - 1) * 1000, f"segment {lost}: {sent}")
            expect(sent["tx_tls_software_packets"], 0)


@case("the transmit side's device loses its state: the stack says where to go on", limit=60)
def _():
    pattern = Pattern()
    with Pair() as pair:
        grows = Growth(pair, NEAR)
        with connection(pair, pattern) as (near, far, _):
            for number in range(10):
                transfer(near, far, 100_000, Shifted(pattern, number * 100_000), 10_000)
                set_knob("forget", number + 1)
        sent = grows.all()
        expect(sent["tx_tls_failed"], 9)
        expect(sent["tx_tls_resync_req"], 9)
        expect(sent["tx_tls_resync_res"], 9)
        expect_true(sent["tx_tls_encrypted_packets"] > 5 * sent["tx_tls_software_packets"], f"{sent}")


@case("the receive side's device loses its state: it finds a record, and asks", limit=60)
def _():
    pattern = Pattern()
    with Pair() as pair:
        grows = Growth(pair, FAR)
        with connection(pair, pattern, tx=False) as (near, far, _):
            for number in range(10):
                transfer(near, far, 200_000, Shifted(pattern, number * 200_000), 5_000)
                set_knob("forget", number + 1)
        received = grows.all()
        expect_true(received["rx_tls_resync_req_pkt"] >= 9, f"{received}")
        expect_true(received["rx_tls_resync_res_ok"] >= 9, f"{received}")
        expect_true(received["rx_tls_decrypted_bytes"] > 1_000_000, f"{received}")


@case("a forged record: the receiver gets EBADMSG and no wrong byte", limit=60)
def _():
    pattern = Pattern()
    with Pair() as pair:
        for tx, rx in ((True, True), (True, False), (False, True)):
            grows = Growth(pair, FAR)
            offloaded(pair, tx, rx)
            near, far, _ = session(pair)
            transfer(near, far, 100_000, pattern, 16384)
            with knobs(corrupt=10000):
                near.sendall(pattern.at(100_000, 16384))
                try:
                    # Nothing of the record may reach the program.
                    data = far.recv(16384)
                    raise Failure(f"{len(data)} bytes were received")
                except OSError as error:
                    expect(error.errno, errno.EBADMSG)
            if rx:
                expect_true(grows["rx_tls_err"] > 0, "the device has seen the wrong tag")
            near.close()
            far.close()


@case("what a hostile peer sends: no byte of it gets through, and nothing breaks", limit=60)
def _():
    def header(length, kind=23, version=0x0303):
        return struct.pack(">BHH", kind, version, length)

    garbage = [
        os.urandom(5000),
        header(0),
        header(23) + bytes(23),
        header(24) + bytes(24),
        header(16384 + 25) + bytes(20000),
        header(65535) + os.urandom(66000),
        header(1000, version=0x0304) + os.urandom(1000),
        header(1000, kind=99) + os.urandom(1000),
        header(16384) + header(100) * 3276 + bytes(4),
        (header(24) + os.urandom(24)) * 500,
    ]
    with Pair() as pair:
        offloaded(pair)
        for data in garbage:
            for step in (len(data), 7):
                near, far = pair.connect()
                near.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
                far.setsockopt(socket.SOL_TCP, TCP_ULP, b"tls")
                Keys().receive(far)
                for at in range(0, min(len(data), 100 * step), step):
                    near.send(data[at : at + step])
                near.shutdown(socket.SHUT_WR)
                try:
                    expect(far.recv(65536), b"", f"{data[:10]}")
                except OSError as error:
                    expect_true(error.errno in (errno.EBADMSG, errno.EMSGSIZE, errno.EINVAL), f"{error}")
                near.close()
                far.close()
        expect(pair.statistics(FAR)["rx_tls_ctx"], 2 * len(garbage))


@case("the device takes a session after it has moved some bytes", limit=60)
def _():
    pattern = Pattern()
    with Pair(delay=200_000, rx_delay=200_000) as pair:
        near_grows, far_grows = Growth(pair, NEAR), Growth(pair, FAR)
        with connection(pair, pattern) as (near, far, _):
            transfer(near, far, 100_000, pattern, 5000)
            expect(near_grows["tx_tls_session"], 1)
            expect(far_grows["rx_tls_session"], 1)
            expect(near_grows["tx_tls_ctx"], 0)
            expect(far_grows["rx_tls_ctx"], 0)
            transfer(near, far, 900_000, Shifted(pattern, 100_000), 5000)
            expect(near_grows["tx_tls_ctx"], 1)
            expect(far_grows["rx_tls_ctx"], 1)
        sent, received = near_grows.all(), far_grows.all()
        expect_true(600_000 < sent["tx_tls_encrypted_bytes"] < 830_000, f"{sent}")
        expect_true(300_000 < received["rx_tls_decrypted_bytes"] < 830_000, f"{received}")


@case("a session that costs the device too much goes back to software, and returns", limit=60)
def _():
    pattern = Pattern()
    with Pair(credit=30_000, backoff=300_000) as pair:
        grows = Growth(pair, NEAR)
        with connection(pair, pattern) as (near, far, _):
            with knobs(drop=1000):
                sent = transfer_until(lambda: grows["tx_tls_demoted"], near, far, 600_000, pattern, 16384)
            transfer(near, far, 1_000_000, Shifted(pattern, sent), 16384)
        sent = grows.all()
        expect_true(sent["tx_tls_ctx"] > 1, f"{sent}")
        expect(sent["tx_tls_del"], sent["tx_tls_ctx"])
        expect_true(sent["tx_tls_software_packets"] > 100, f"{sent}")


@case("few records are known at a time: software encrypts the rest", limit=60)
def _():
    pattern = Pattern()
    with Pair(records=8) as pair:
        with connection(pair, pattern) as (near, far, _):
            with knobs(drop=100):
                grows = Growth(pair, NEAR)
                transfer_until(lambda: grows["tx_tls_software_packets"], near, far, 300_000, pattern, 1457)


def file_changed_under_way(pair, zerocopy):
    """A program sends a file and then changes it, before what was lost on the way is sent again.
    Returns which of the two contents arrives."""
    before, after = os.urandom(16384), os.urandom(16384)
    near, far, _ = session(pair)
    if zerocopy:
        near.setsockopt(SOL_TLS, TLS_TX_ZEROCOPY_RO, struct.pack("=I", 1))
    expect(near.getsockopt(SOL_TLS, TLS_TX_ZEROCOPY_RO), int(zerocopy))
    with open(f"{os.environ['HS_TMP']}/file", "w+b", buffering=0) as file:
        file.write(before)
        with knobs(drop=10000):
            expect(os.sendfile(near.fileno(), file.fileno(), 0, 16384), 16384)
            os.pwrite(file.fileno(), after, 0)
        data = far.recv(16384, socket.MSG_WAITALL)
    near.close()
    far.close()
    return {before: "before", after: "after"}.get(data, "neither")


@case("changed data under sendfile: what arrives is what was sent, unless zero-copy was asked for", limit=60)
def _():
    with Pair() as pair:
        offloaded(pair)
        expect(file_changed_under_way(pair, False), "before")
        # The danger, and why nothing here ever sets the option.
        expect(file_changed_under_way(pair, True), "after")


@case("many sessions come and go", limit=60)
def _():
    with Pair() as pair:
        offloaded(pair)
        for _ in range(20):
            sessions = [session(pair)[:2] for _ in range(5)]
            for near, far in sessions:
                near.sendall(b"x" * 3000)
            for near, far in sessions:
                expect(len(far.recv(3000, socket.MSG_WAITALL)), 3000)
            for near, far in sessions:
                far.close()
                near.close()

        def gone():
            sent, received = pair.statistics(), pair.statistics(FAR)
            return sent["tx_tls_del"] == 100 and received["rx_tls_del"] == 100

        wait_until(gone, 20, "contexts are left")


if __name__ == "__main__":
    run_cases()

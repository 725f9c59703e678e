#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Sessions of the handshake in the kernel on a device with offload.

import ssl

from tls_hs import *
from tls_nic import FAR, FAR_ADDRESS, NEAR, Growth, Pair, features

SIZE = 300_000


def handshake(pair, **options):
    with pair.far:
        server = listener(socket.AF_INET, FAR_ADDRESS)
    with pair.near:
        client = Client(server.getsockname(), **options).handshake()
    conn, family = accept(server)
    expect(family, PF_TLS)
    server.close()
    return conn, client


def exchange(conn, client):
    data = os.urandom(SIZE)
    up = Background(client.send, data)
    expect(receive_exactly(conn, SIZE) == data, True, "client to server")
    up.result()
    down = Background(conn.sendall, data)
    expect(client.receive_exactly(SIZE) == data, True, "server to client")
    down.result()


@case("TLS 1.2: the device has it in both directions", limit=60)
def _():
    with Pair() as pair:
        features(FAR, pair.far, tx=True, rx=True)
        grows = Growth(pair, FAR)
        conn, client = handshake(pair, maximum=ssl.TLSVersion.TLSv1_2)
        expect(client.tls.version(), "TLSv1.2")
        exchange(conn, client)
        seen = grows.all()
        expect((seen["tx_tls_ctx"], seen["rx_tls_ctx"]), (1, 1))
        expect_true(seen["tx_tls_encrypted_bytes"] > SIZE, f"{seen}")
        expect_true(seen["rx_tls_decrypted_bytes"] > SIZE, f"{seen}")
        send_close_notify(conn)
        expect(client.receive(), b"", "close_notify")
        conn.close()
        client.close()
        wait_until(lambda: grows["tx_tls_del"] == 1 and grows["rx_tls_del"] == 1, 20, "contexts are left")


@case("TLS 1.3: the kernel keeps it in software", limit=60)
def _():
    with Pair() as pair:
        features(FAR, pair.far, tx=True, rx=True)
        conn, client = handshake(pair)
        expect(client.tls.version(), "TLSv1.3")
        exchange(conn, client)
        seen = pair.statistics(FAR)
        expect((seen["tx_tls_session"], seen["rx_tls_session"]), (0, 0))
        conn.close()
        client.close()


@case("no session of ours gives up copies: zero-copy sendfile is off", limit=60)
def _():
    with Pair() as pair:
        features(FAR, pair.far, tx=True, rx=True)
        conn, client = handshake(pair, maximum=ssl.TLSVersion.TLSv1_2)
        expect(conn.getsockopt(SOL_TLS, 3), 0, "TLS_TX_ZEROCOPY_RO")
        conn.close()
        client.close()


if __name__ == "__main__":
    run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# The client's messages in other pieces than OpenSSL sends: split over segments and
# over records at every place, with everything else that a client may put between.

import random
import socket
import struct
import subprocess
import time

from tls_hs import *

CONTEXT = client_context()
CCS = record(b"\1", kind=20, version=0x0303)


def new_client(server, context=CONTEXT):
    return Client(server.getsockname(), context=context)


def completes(server, client, flight):
    """The handshake goes through with this last flight."""
    client.sock.sendall(flight)
    conn, family = accept(server)
    expect(family, PF_TLS)
    echo_check(conn, client)
    conn.close()
    client.close()


def send_in_pieces(sock, data, size, pause=0.0):
    """Each piece is a segment of its own: TCP_NODELAY is set."""
    for start in range(0, len(data), size):
        sock.send(data[start : start + size])
        if pause:
            time.sleep(pause)


def fragmented(data, size):
    """The handshake message of a record, spread over records of that size."""
    ((kind, content),) = records(data)
    return b"".join(
        record(content[start : start + size], kind) for start in range(0, len(content), size)
    )


def answer(client):
    """After the ClientHello was sent: the client's last flight."""
    client.take()
    return client.last_flight()


@case("ClientHello byte by byte", limit=60)
def _():
    server = listener()
    with counted(admitted=1, completed=1):
        client = new_client(server)
        send_in_pieces(client.sock, client.produce(), 1, 0.001)
        completes(server, client, answer(client))


@case("ClientHello in two segments, split at each place", limit=100)
def _():
    server = listener()
    size = len(client_hello(context=CONTEXT))
    places = [*range(1, 60), *range(60, size - 10, 37), *range(size - 10, size)]
    with counted(admitted=len(places), completed=len(places)):
        for place in places:
            client = new_client(server)
            hello = client.produce()
            expect(len(hello), size)
            client.sock.send(hello[:place])
            time.sleep(0.002)
            client.sock.send(hello[place:])
            completes(server, client, answer(client))


@case("ClientHello of a browser's size, over several segments")
def _():
    # With X25519MLKEM768's share it is about 1.6 KB; small segments by the client's MSS.
    server = listener()
    sock = tcp_connect(server.getsockname(), options=[(socket.SOL_TCP, socket.TCP_MAXSEG, 200)])
    client = Client(None, context=client_context(groups=None), sock=sock)
    hello = client.produce()
    expect_true(len(hello) > 1400, f"{len(hello)} bytes")
    client.sock.sendall(hello)
    completes(server, client, answer(client))


@case("ClientHello over records, of each size", limit=60)
def _():
    server = listener()
    for size in (1, 2, 3, 4, 5, 10, 50, 100, 200, 1000):
        client = new_client(server)
        client.sock.sendall(fragmented(client.produce(), size))
        completes(server, client, answer(client))


@case("ClientHello over records and segments that do not agree")
def _():
    server = listener()
    generator = random.Random(1)
    for _ in range(10):
        client = new_client(server)
        data = fragmented(client.produce(), generator.randrange(1, 60))
        while data:
            size = generator.randrange(1, 80)
            client.sock.send(data[:size])
            data = data[size:]
            time.sleep(0.001)
        completes(server, client, answer(client))


@case("last flight byte by byte", limit=60)
def _():
    server = listener()
    client = new_client(server)
    flight = client.last_flight()
    send_in_pieces(client.sock, flight[:-1], 1, 0.001)
    time.sleep(0.05)
    expect(ready(server), False, "ready before the last byte")
    completes(server, client, flight[-1:])


@case("last flight split at each place", limit=60)
def _():
    server = listener()
    size = len(new_client(server).last_flight())
    for place in range(1, size):
        client = new_client(server)
        flight = client.last_flight()
        client.sock.send(flight[:place])
        time.sleep(0.001)
        completes(server, client, flight[place:])


@case("the second ClientHello byte by byte and over records", limit=60)
def _():
    server = listener(**P256_ONLY)
    for pieces in (lambda data: data, lambda data: CCS + fragmented(data[len(CCS) :], 7)):
        client = new_client(server, client_context(groups=None))
        client.sock.sendall(client.produce())
        expect_true(RETRY in client.take(), "no HelloRetryRequest")
        second = client.produce()
        expect(second[: len(CCS)], CCS, "change_cipher_spec first")
        send_in_pieces(client.sock, pieces(second), 1)
        completes(server, client, answer(client))


@case("with and without change_cipher_spec")
def _():
    server = listener()
    for ccs in (b"", CCS, CCS * 2, CCS * 10):
        client = new_client(server)
        flight = client.last_flight()
        expect(flight[: len(CCS)], CCS)
        completes(server, client, ccs + flight[len(CCS) :])


@case("a record header's legacy version does not matter in a ClientHello")
def _():
    server = listener()
    for version in (0x0300, 0x0301, 0x0303, 0x03FF):
        client = new_client(server)
        hello = bytearray(client.produce())
        hello[1:3] = struct.pack(">H", version)
        client.sock.sendall(hello)
        completes(server, client, answer(client))


def traffic_control(*arguments):
    return subprocess.run(["tc", "qdisc", *arguments], capture_output=True).returncode == 0


@case("segments lost, doubled and out of order", limit=60)
def _():
    rules = "netem delay 5ms 4ms reorder 30% duplicate 20% loss 5%".split()
    if not traffic_control("add", "dev", "lo", "root", *rules):
        raise Failure("no netem in this kernel")
    try:
        server = listener()
        for _ in range(10):
            client = new_client(server)
            send_in_pieces(client.sock, client.produce(), 40)
            completes(server, client, answer(client))
    finally:
        traffic_control("del", "dev", "lo", "root")


if __name__ == "__main__":
    run()

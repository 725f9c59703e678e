#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Application data behind the client's Finished, queued before accept() is called:
# none of it is lost, whatever the client does meanwhile.

import errno
import os
import socket
import time

from tls_hs import *

CONTEXT = client_context()


def pieces(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def queued(after=b"", split=None, then=None, wait=0.1):
    """A connection that is accepted after the client sent its last flight and this."""
    server = listener()
    client = Client(server.getsockname(), context=CONTEXT)
    flight = client.last_flight()
    data = flight + (client.seal(after) if after else b"")
    if split is None:
        client.sock.sendall(data)
    else:
        for piece in pieces(data, split):
            client.sock.send(piece)
    if then:
        then(client)
    time.sleep(wait)
    conn, family = accept(server)
    expect(family, PF_TLS)
    return conn, client


@case("data in the same segment as Finished")
def _():
    conn, client = queued(b"GET / HTTP/1.0\r\n\r\n")
    expect(ready(conn), True, "poll sees it")
    expect(conn.recv(100), b"GET / HTTP/1.0\r\n\r\n")
    echo_check(conn, client)


@case("data in segments of its own, of every size")
def _():
    data = os.urandom(300)
    for size in (1, 2, 3, 5, 21, 22, 23, 100, 317, 1000):
        conn, client = queued(data, split=size)
        expect(receive_exactly(conn, len(data)), data, f"segments of {size}")
        echo_check(conn, client)


@case("a record of which the rest comes after accept()")
def _():
    server = listener()
    for cut in (1, 4, 5, 6, 100, 1000):
        client = Client(server.getsockname(), context=CONTEXT)
        flight = client.last_flight()
        sealed = client.seal(b"x" * 1000)
        client.sock.sendall(flight + sealed[:-cut])
        conn, family = accept(server)
        expect(family, PF_TLS)
        expect(ready(conn, 0.05), False, "ready before the record is complete")
        client.sock.sendall(sealed[-cut:])
        expect(receive_exactly(conn, 1000), b"x" * 1000)
        echo_check(conn, client)


@case("many records")
def _():
    def send(client):
        for number in range(200):
            client.send(b"record %3d;" % number)

    conn, client = queued(b"first;", then=send)
    wanted = b"first;" + b"".join(b"record %3d;" % number for number in range(200))
    expect(receive_exactly(conn, len(wanted)), wanted)
    echo_check(conn, client)


@case("as much as the receive buffer takes")
def _():
    data = os.urandom(300000)
    server = listener()
    client = Client(server.getsockname(), context=CONTEXT)
    sender = Background(client.sock.sendall, client.last_flight() + client.seal(data))
    time.sleep(0.3)
    conn, _ = accept(server)
    expect(receive_exactly(conn, len(data)) == data, True, "all of it")
    sender.result()
    echo_check(conn, client)


@case("records of the full size")
def _():
    data = os.urandom(3 * 16384)
    conn, client = queued(data)
    expect(receive_exactly(conn, len(data)) == data, True, "all of it")
    echo_check(conn, client)


@case("the client has shut down its side: data, end of stream, and the answer arrives")
def _():
    conn, client = queued(b"request", then=lambda client: client.sock.shutdown(socket.SHUT_WR))
    expect(conn.recv(100), b"request")
    expect(conn.recv(100), b"", "end of stream")
    conn.sendall(b"response")
    expect(client.receive(), b"response")


@case("the client has shut down its side without data")
def _():
    conn, client = queued(then=lambda client: client.sock.shutdown(socket.SHUT_WR))
    expect(conn.recv(100), b"")
    conn.sendall(b"response")
    expect(client.receive(), b"response")


@case("data, close_notify and end of stream")
def _():
    def close(client):
        client.sock.sendall(client.close_notify())
        client.sock.shutdown(socket.SHUT_WR)

    conn, client = queued(b"request", then=close)
    expect(receive(conn), (DATA, b"request"))
    expect(receive(conn), (ALERT, bytes([1, CLOSE_NOTIFY])))
    expect(conn.recv(100), b"")
    conn.sendall(b"response")


@case("close_notify right behind Finished")
def _():
    conn, client = queued(then=lambda client: client.sock.sendall(client.close_notify()))
    expect(receive(conn), (ALERT, bytes([1, CLOSE_NOTIFY])))


@case("the client has closed: what it sent can be read")
def _():
    conn, _client = queued(b"last words", then=lambda client: client.close())
    expect(receive_exactly(conn, 10), b"last words")
    expect(conn.recv(1), b"")


@case("reset between the handshake and accept()")
def _():
    server = listener()
    client = Client(server.getsockname(), context=CONTEXT).handshake()
    expect(ready(server, 5), True)
    reset(client.sock)
    time.sleep(0.1)
    server.settimeout(1)
    try:
        conn, family = accept(server)
    except (ConnectionAbortedError, TimeoutError):
        conn = None
    if conn:
        # Accepted all the same, as TCP does it: then reading says so.
        with raises(errno.ECONNRESET):
            conn.recv(1)
    server.settimeout(None)
    connected(server, context=CONTEXT)


@case("a record that was changed on the way is not taken")
def _():
    server = listener()
    client = Client(server.getsockname(), context=CONTEXT)
    flight = client.last_flight()
    sealed = bytearray(client.seal(b"data"))
    sealed[-1] ^= 1
    client.sock.sendall(flight + sealed)
    conn, family = accept(server)
    expect(family, PF_TLS)
    with raises(errno.EBADMSG):
        conn.recv(10)


if __name__ == "__main__":
    run()

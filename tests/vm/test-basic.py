#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Handshakes with a well-behaved client: what accept() returns, and that it is a
# connection like any other afterwards.

import socket

from tls_hs import *


def full(family, address=None, to=None):
    server = listener(family, address)
    port = server.getsockname()[1]
    target = (to, port) if to else server.getsockname()
    with counted(admitted=1, completed=1, accepted=1):
        client = Client(target).handshake()
        conn, got = accept(server)
    expect(got, PF_TLS, "family from accept()")
    expect(client.tls.version(), "TLSv1.3")
    expect(client.tls.cipher()[0], "TLS_AES_128_GCM_SHA256")
    expect(tls_info(conn, TLS_TX), (TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128), "TLS_TX")
    expect(tls_info(conn, TLS_RX), (TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128), "TLS_RX")
    expect(get_ulp(conn), b"tls", "TCP_ULP")
    # PF_TLS is in accept() only: getpeername() and getsockname() are as ever.
    expect(conn.family, family)
    expect(conn.getpeername()[:2], client_address(conn, client), "getpeername()")
    expect(conn.getsockname()[1], port, "getsockname()")
    echo_check(conn, client)
    client.sock.sendall(client.close_notify())
    expect(receive(conn), (ALERT, bytes([1, CLOSE_NOTIFY])), "close_notify of the client")
    send_close_notify(conn)
    conn.close()
    expect(client.receive(), b"", "close_notify of the server")
    expect(client.sock.recv(1), b"", "end of stream")
    client.close()
    server.close()


def client_address(conn, client):
    host, port = client.sock.getsockname()[:2]
    if conn.family == socket.AF_INET6 and ":" not in host:
        host = "::ffff:" + host
    return host, port


@case("IPv4")
def _():
    full(socket.AF_INET)


@case("IPv6")
def _():
    full(socket.AF_INET6)


@case("IPv4 on an IPv6 listener")
def _():
    full(socket.AF_INET6, "::", "127.0.0.1")


@case("IPv6 on a listener for both")
def _():
    full(socket.AF_INET6, "::", "::1")


@case("raw bytes of the address that accept() stores")
def _():
    # Port and address are in their usual places behind the family.
    server = listener()
    client = Client(server.getsockname()).handshake()
    conn, address = server.accept()
    family, data = address
    expect(family, PF_TLS)
    host, port = client.sock.getsockname()
    expect(data[:6], port.to_bytes(2, "big") + socket.inet_aton(host))


@case("a client that asks for no server name")
def _():
    connected(name=None)


@case("a client without a share for P-256 gets a HelloRetryRequest")
def _():
    server = listener(**P256_ONLY)
    client = Client(server.getsockname(), groups=None)
    client.sock.sendall(client.produce())
    expect_true(RETRY in client.take(), "no HelloRetryRequest")
    client.handshake()
    conn, family = accept(server)
    expect(family, PF_TLS)
    echo_check(conn, client)


@case("a megabyte each way")
def _():
    _server, conn, client = connected()
    data = bytes(range(256)) * 4096
    up = Background(client.send, data)
    expect(receive_exactly(conn, len(data)) == data, True, "client to server")
    up.result()
    down = Background(conn.sendall, data)
    expect(client.receive_exactly(len(data)) == data, True, "server to client")
    down.result()


@case("two hundred connections, one after another", limit=60)
def _():
    server = listener()
    with counted(admitted=200, completed=200, accepted=200):
        for _ in range(200):
            client = Client(server.getsockname(), context=CONTEXT).handshake()
            conn, family = accept(server)
            expect(family, PF_TLS)
            client.send(b"x")
            expect(conn.recv(16), b"x")
            conn.close()
            client.close()


CONTEXT = client_context()


@case("connections that were made before the first is accepted")
def _():
    server = listener()
    clients = [Client(server.getsockname(), context=CONTEXT).handshake() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(b"client %d" % number)
    names = set()
    for _ in clients:
        conn, family = accept(server)
        expect(family, PF_TLS)
        names.add(conn.recv(64))
        conn.close()
    expect(names, {b"client %d" % number for number in range(20)})


@case("handshakes that go on at the same time")
def _():
    server = listener()
    clients = [Client(server.getsockname(), context=CONTEXT) for _ in range(20)]
    for client in clients:
        client.sock.sendall(client.produce())
    flights = [client.last_flight() for client in clients]
    expect(ready(server, 0.2), False, "nobody is done")
    for client, flight in zip(clients, flights):
        client.sock.sendall(flight)
    for _ in clients:
        expect(accept(server)[1], PF_TLS)
    expect(ready(server), False, "nobody is left")


@case("the server writes first")
def _():
    _server, conn, client = connected()
    conn.sendall(b"220 hello\r\n")
    expect(client.receive(), b"220 hello\r\n")


@case("a write of up to 16384 bytes is one record")
def _():
    _server, conn, client = connected()
    for size in (1, 1000, 16384):
        conn.send(bytes(size))
        data = b""
        while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
            data += client.sock.recv(65536)
        client.incoming.write(data)
        expect([kind for kind, _ in records(data)], [DATA], f"{size} bytes")
        expect(len(client.receive()), size)


if __name__ == "__main__":
    run()

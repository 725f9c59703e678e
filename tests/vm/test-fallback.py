#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Clients that the kernel can't serve: accept() gives them back with every byte
# unread, a counter says why, and a TLS library goes on.

import errno
import re
import socket
import ssl
import struct
import subprocess
import time

from tls_hs import *
from tls_tun import *


def fall_back(server, client, reason, hello=None, family=socket.AF_INET):
    """Sends a ClientHello, which falls back; returns the connection."""
    hello = client.produce() if hello is None else hello
    with counted(fell_back=1, **{reason: 1}):
        client.sock.sendall(hello)
        expect(ready(server, 5), True, "the listener is ready")
        conn, got = accept(server)
    expect(got, family, "family")
    expect(get_ulp(conn), b"", "no ULP")
    expect(conn.recv(65536, socket.MSG_PEEK | socket.MSG_DONTWAIT), hello, "unread")
    return conn


def library_serves(conn, client, version):
    """OpenSSL does the handshake on the connection, and data flows."""

    def serve():
        conn.settimeout(10)
        tls = library_context().wrap_socket(conn, server_side=True)
        data = tls.recv(64)
        tls.sendall(data.upper())
        return tls.version()

    server = Background(serve)
    client.handshake()
    client.send(b"hello library")
    expect(client.receive(), b"HELLO LIBRARY")
    expect(server.result(), version)


def case_for(name, reason, version, family=socket.AF_INET, info=None, **options):
    @case(name)
    def _():
        server = listener(family, **(info or {}))
        client = Client(server.getsockname(), **options)
        conn = fall_back(server, client, reason, family=family)
        library_serves(conn, client, version)


TLS12 = ssl.TLSVersion.TLSv1_2

case_for("TLS 1.2 only, IPv4", "unsupported_version", "TLSv1.2", maximum=TLS12,
         info={"versions": HEADER["TLS_HS_VERSION_1_3"]})
case_for("TLS 1.2 only, IPv6", "unsupported_version", "TLSv1.2", socket.AF_INET6, maximum=TLS12,
         info={"versions": HEADER["TLS_HS_VERSION_1_3"]})
case_for("a group that no kernel has", "no_common_group", "TLSv1.3", groups="X448")
case_for("a group that the listener does not allow", "no_common_group", "TLSv1.3", groups="X25519",
         info={"groups": HEADER["TLS_HS_SECP256R1"]})


@case("a suite that the listener does not allow")
def _():
    server = listener()
    # OpenSSL offers three suites of TLS 1.3; their order and number is known.
    client = Client(server.getsockname())
    hello = bytearray(client.produce())
    place = hello.index(bytes.fromhex("130213031301"))
    hello[place : place + 6] = bytes.fromhex("130413051304")
    fall_back(server, client, "no_common_cipher_suite", bytes(hello))


@case("no signature algorithm for the certificate")
def _():
    server = listener()
    client = Client(server.getsockname())
    hello = bytearray(client.produce())
    # ecdsa_secp256r1_sha256 in signature_algorithms becomes one that nobody has.
    place = hello.index(struct.pack(">HH", 13, len_of_extension(hello, 13)))
    size = len_of_extension(hello, 13)
    listed = hello[place + 4 : place + 4 + size]
    changed = listed.replace(b"\x04\x03", b"\xfe\xfe")
    expect_true(changed != listed, "the client offers it")
    hello[place + 4 : place + 4 + size] = changed
    fall_back(server, client, "no_common_signature_algorithm", bytes(hello))


def len_of_extension(hello, kind):
    """Length of an extension in a ClientHello record (RFC 8446, 4.1.2)."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    at += 2
    while at < len(hello):
        found, size = struct.unpack(">HH", hello[at : at + 4])
        if found == kind:
            return size
        at += 4 + size
    raise Failure(f"no extension {kind}")


@case("a server name that nobody has, and then the library serves it")
def _():
    ring = keyring()
    host("one", keyring("one.example.com", ring))
    server = listener(ring=ring)
    client = Client(server.getsockname())
    conn = fall_back(server, client, "unrecognized_name")
    library_serves(conn, client, "TLSv1.3")


@case("a ClientHello in many segments is whole and unread")
def _():
    server = listener()
    client = Client(server.getsockname(), groups="X448")
    hello = client.produce()
    with counted(fell_back=1, no_common_group=1):
        for place in range(0, len(hello), 10):
            client.sock.send(hello[place : place + 10])
            time.sleep(0.002)
            if place + 10 < len(hello):
                expect(ready(server), False, "ready before the end of the ClientHello")
        conn, family = accept(server)
    expect(family, socket.AF_INET)
    expect(receive_exactly(conn, len(hello)), hello)


@case("a ClientHello over many records is whole and unread, and the library reads it")
def _():
    server = listener()
    client = Client(server.getsockname(), groups="X448")
    ((kind, content),) = records(client.produce())
    hello = b"".join(record(content[at : at + 50], kind) for at in range(0, len(content), 50))
    conn = fall_back(server, client, "no_common_group", hello)
    library_serves(conn, client, "TLSv1.3")


@case("bytes behind the ClientHello are there as well")
def _():
    server = listener()
    client = Client(server.getsockname(), groups="X448")
    hello = client.produce()
    more = record(b"\1", kind=20) + bytes(3000)
    fall_back(server, client, "no_common_group", hello + more)


@case("the first read does not block and returns everything")
def _():
    server = listener()
    client = Client(server.getsockname(), groups="X448")
    hello = client.produce()
    client.sock.sendall(hello)
    conn, _ = accept(server)
    conn.setblocking(False)
    expect(conn.recv(65536), hello)
    with raises(errno.EAGAIN):
        conn.recv(1)


@case("the fallback connection is an ordinary one: kTLS by the user, options, addresses")
def _():
    server = listener()
    client = Client(server.getsockname(), groups="X448")
    conn = fall_back(server, client, "no_common_group")
    expect(conn.getpeername(), client.sock.getsockname())
    conn.recv(65536)
    set_ulp(conn)
    expect(get_ulp(conn)[:3], b"tls")
    conn.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
    # Without keys the ULP passes everything on.
    conn.sendall(b"plain")
    expect(client.sock.recv(16), b"plain")


@case("the client has gone before accept(): its bytes are there, then the end")
def _():
    server = listener()
    client = Client(server.getsockname(), groups="X448")
    hello = client.produce()
    client.sock.sendall(hello)
    client.close()
    time.sleep(0.1)
    conn, family = accept(server)
    expect(family, socket.AF_INET)
    expect(receive_exactly(conn, 65536), hello)


@case("kernel and library take turns on one listener", limit=60)
def _():
    server = listener()
    with counted(admitted=20, completed=10, fell_back=10, no_common_group=10):
        for number in range(20):
            client = Client(server.getsockname(), groups=("prime256v1", "X448")[number % 2])
            client.sock.sendall(client.produce())
            if number % 2:
                conn, family = accept(server)
                expect(family, socket.AF_INET)
                library_serves(conn, client, "TLSv1.3")
            else:
                client.handshake()
                conn, family = accept(server)
                expect(family, PF_TLS)
                echo_check(conn, client)


def receive_buffer(port):
    """Bytes that a connection of this port may keep unread."""
    shown = subprocess.run(
        ["ss", "-tmnOH", "state", "established", "sport", "=", f":{port}"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return int(re.search(r",rb(\d+),", shown)[1])


@case("segments behind a hole, before accept(): the receive buffer does not grow", limit=60)
def _():
    tun = Tun()
    hello = client_hello(groups="X448")
    sizes = []
    plain = bound(address=tun.there)
    plain.listen()
    for server in (plain, listener(address=tun.there)):
        port = server.getsockname()[1]
        client = tun.client(port).connect()
        client.sendall(hello)
        expect(ready(server, 5), True, "the listener is ready")
        sizes.append(receive_buffer(port))
        client.seq += 1
        client.sendall(bytes(62000))
        sizes.append(receive_buffer(port))
        conn, family = accept(server)
        expect(family, socket.AF_INET)
        expect(conn.recv(65536), hello)
        client.seq -= 1 + 62000
        client.sendall(bytes(1))
        expect(receive_exactly(conn, 1 + 62000), bytes(1 + 62000), "the hole is filled")
        conn.close()
        client.reset()
    expect(sizes, sizes[:1] * 4, "receive buffers")
    tun.close()


if __name__ == "__main__":
    run()

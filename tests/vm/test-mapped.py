#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
#
# Clients of IPv4 at an IPv6 listener: TCP changes the operations of such a connection when it is
# made, in the middle of what TLS_HS does with it.

import ctypes
import errno
import os
import socket
import ssl
import struct

from tls_life import *

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CONTEXT = client_context()
OTHER = client_context(groups="X448")
MAPPED = bytes(10) + b"\xff\xff" + bytes((127, 0, 0, 1))
IPV6_ADDRFORM = 1
REUSEPORT = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
libc = ctypes.CDLL(None, use_errno=True)


def mapped_listener(**options):
    server = listener(socket.AF_INET6, "::", **options)
    return server, ("127.0.0.1", server.getsockname()[1])


def accept_raw(server):
    """The connection, and the address that accept() stores."""
    buffer = ctypes.create_string_buffer(128)
    size = ctypes.c_uint(len(buffer))
    fd = libc.accept(server.fileno(), buffer, ctypes.byref(size))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "accept")
    return socket.socket(fileno=fd), buffer.raw[: size.value]


def in6(family, address, port):
    """struct sockaddr_in6, whose scope is 0."""
    return struct.pack("=H", family) + struct.pack(">HI", port, 0) + address + bytes(4)


@case("every version; addresses of accept(), getpeername() and getsockname()", limit=60)
def _():
    with nothing_left():
        server, address = mapped_listener()
        for version in (V12, V13):
            client = Client(address, minimum=version, maximum=version).handshake()
            peer = client.sock.getsockname()
            conn, stored = accept_raw(server)
            expect(stored, in6(PF_TLS, MAPPED, peer[1]))
            expect(conn.getpeername(), ("::ffff:127.0.0.1", peer[1], 0, 0))
            expect(conn.getsockname(), ("::ffff:127.0.0.1", address[1], 0, 0))
            expect(conn.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN), socket.AF_INET6)
            echo_check(conn, client, bytes(100000), bytes(100000))
            conn.close()
            client.close()
        # Beside one of IPv6.
        client = Client(("::1", address[1]), context=CONTEXT).handshake()
        conn, stored = accept_raw(server)
        expect(stored, in6(PF_TLS, bytes(15) + b"\1", client.sock.getsockname()[1]))
        echo_check(conn, client)
        for sock in (conn, client, server):
            sock.close()


@case("fallback: family, address, data", limit=60)
def _():
    with nothing_left():
        server, address = mapped_listener()
        client = Client(address, context=OTHER)
        hello = client.produce()
        client.sock.sendall(hello)
        conn, stored = accept_raw(server)
        expect(stored, in6(socket.AF_INET6, MAPPED, client.sock.getsockname()[1]))
        expect(receive_exactly(conn, len(hello)), hello)
        conn.sendall(b"plain")
        expect(client.sock.recv(16), b"plain")
        for sock in (conn, client, server):
            sock.close()


@case("SYN cookies, TCP_DEFER_ACCEPT and options of IPv4", limit=60)
def _():
    with nothing_left(), sysctl_set("net.ipv4.tcp_syncookies", 2):
        defer = [(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 5)]
        for options in ((), defer):
            server, address = mapped_listener(options=options)
            for _ in range(5):
                sock = socket.socket()
                # NOP and end of list.
                sock.setsockopt(socket.SOL_IP, socket.IP_OPTIONS, b"\1\1\1\0")
                sock.connect(address)
                sock.settimeout(20)
                _, conn, client = connected(server, sock=sock, context=CONTEXT)
                echo_check(conn, client)
                conn.close()
                client.close()
            server.close()


@case("IPV6_ADDRFORM: not of a connection with TLS, of a fallback as ever, not of a listener", limit=60)
def _():
    with nothing_left():
        server, address = mapped_listener()
        with raises(errno.EOPNOTSUPP):
            server.setsockopt(socket.IPPROTO_IPV6, IPV6_ADDRFORM, socket.AF_INET)
        client = Client(address, context=CONTEXT).handshake()
        conn, family = accept(server)
        expect(family, PF_TLS)
        with raises(errno.EBUSY):
            conn.setsockopt(socket.IPPROTO_IPV6, IPV6_ADDRFORM, socket.AF_INET)
        echo_check(conn, client)
        other = Client(address, context=OTHER)
        other.sock.sendall(other.produce())
        plain, _ = accept_raw(server)
        plain.setsockopt(socket.IPPROTO_IPV6, IPV6_ADDRFORM, socket.AF_INET)
        expect(plain.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN), socket.AF_INET)
        plain.sendall(b"plain")
        expect(other.sock.recv(16), b"plain")
        for sock in (conn, client, other, plain, server):
            sock.close()


def at_every_stage(address):
    clients = [Client(address, context=CONTEXT) for _ in range(4)]
    clients[1].sock.sendall(clients[1].produce()[:100])
    clients[2].flight = clients[2].last_flight()
    clients[3].handshake()
    other = Client(address, context=OTHER)
    other.sock.sendall(other.produce())
    wait_until(lambda: in_use()["pending"] == 5)
    return clients + [other]


@case("the listener is closed, shut down or disconnected with clients at every stage", limit=60)
def _():
    stops = (
        lambda server: server.close(),
        lambda server: server.shutdown(socket.SHUT_RD),
        lambda server: expect(libc.connect(server.fileno(), bytes(128), 28), 0),
    )
    with nothing_left():
        for stop in stops:
            server, address = mapped_listener()
            clients = at_every_stage(address)
            wait_until(lambda: counters()["fell_back"] > 0)
            with counted(failed=3, listener_closed=5):
                stop(server)
            for client in clients:
                ends(client.sock)
            server.close()


@case("they go on at another listener, whatever that listens to", limit=60)
def _():
    with nothing_left(), sysctl_set("net.ipv4.tcp_migrate_req", 1):
        for plain in (False, True):
            server, address = mapped_listener(options=REUSEPORT)
            clients = at_every_stage(address)
            if plain:
                second = bound(socket.AF_INET6, "::", address[1], REUSEPORT)
                second.listen()
            else:
                second, _ = mapped_listener(port=address[1], options=REUSEPORT)
            with counted(migrated=1 if plain else 5, failed=3 if plain else 0, listener_closed=4 if plain else 0):
                server.close()
            if not plain:
                clients[2].sock.sendall(clients[2].flight)
                clients[0].handshake()
                families = sorted(accept_raw(second)[1][0] for _ in range(4))
                expect(families, sorted([PF_TLS] * 3 + [socket.AF_INET6]))
            else:
                conn, stored = accept_raw(second)
                expect(stored[0], socket.AF_INET6)
                conn.close()
            second.close()
            for client in clients:
                client.close()


@case("IPV6_V6ONLY, and a listener of IPv4 at the same port", limit=60)
def _():
    with nothing_left():
        only = [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)]
        six = listener(socket.AF_INET6, "::", options=only)
        port = six.getsockname()[1]
        with raises(errno.ECONNREFUSED):
            tcp_connect(("127.0.0.1", port))
        four = listener(socket.AF_INET, "0.0.0.0", port=port)
        for server, to in ((six, "::1"), (four, "127.0.0.1")):
            _, conn, client = connected(server, sock=tcp_connect((to, port)), context=CONTEXT)
            echo_check(conn, client)
            conn.close()
            client.close()
            server.close()


if __name__ == "__main__":
    load(handshake_timeout_ms=60000, idle_timeout_ms=0)
    run(load_module=False)

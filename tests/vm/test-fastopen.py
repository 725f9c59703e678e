#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
#
# Connections that begin in another way: with data in the SYN (TCP fast open), with and without a
# cookie, and out of a SYN cookie, forged and repeated ones, too.

import contextlib
import errno
import os
import socket
import time

from tls_life import *
from tls_tun import ACK, PSH, RST, SYN, Tun

CONTEXT = client_context()
OTHER = client_context(groups="X448")
FASTOPEN = "net.ipv4.tcp_fastopen"
COOKIES = "net.ipv4.tcp_syncookies"
FAMILIES = (socket.AF_INET, socket.AF_INET6)
TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE = 30, 34
# A SYN's segment size.
MSS = b"\2\4\5\xb4"


def fast_listener(family, *options):
    """Has fast open before it gets the ULP."""
    return listener(family, options=[(socket.SOL_TCP, option, value) for option, value in options])


KINDS = {
    "with cookies": (3, ((socket.TCP_FASTOPEN, 16),)),
    "without cookies": (3, ((socket.TCP_FASTOPEN, 16), (TCP_FASTOPEN_NO_COOKIE, 1))),
    "without cookies, for all": (0x203, ((socket.TCP_FASTOPEN, 16),)),
    "for all who do not ask": (0x603, ()),
}


def with_data(server, context, connect):
    """A client that sends its ClientHello with the SYN if it can."""
    sock = socket.socket(server.family)
    client = Client(None, context=context, sock=sock)
    client.hello = client.produce()
    if connect:
        sock.setsockopt(socket.SOL_TCP, TCP_FASTOPEN_CONNECT, 1)
        sock.connect(server.getsockname())
        sock.sendall(client.hello)
    else:
        sock.sendto(client.hello, socket.MSG_FASTOPEN, server.getsockname())
    sock.settimeout(20)
    return client


@case("data with the SYN, fast open set before the ULP: served, without it", limit=60)
def _():
    with nothing_left():
        for name, (value, options) in KINDS.items():
            with sysctl_set(FASTOPEN, value):
                for family in FAMILIES:
                    server = fast_listener(family, *options)
                    for connect in (False, True, False):
                        with counted(admitted=1, completed=1, accepted=1):
                            client = with_data(server, CONTEXT, connect)
                            client.take()
                            client.sock.sendall(client.last_flight())
                            conn, kind = accept(server)
                            expect(kind, PF_TLS, name)
                        echo_check(conn, client)
                        conn.close()
                        client.close()
                        other = with_data(server, OTHER, connect)
                        conn, kind = accept(server)
                        expect(kind, family, name)
                        expect(receive_exactly(conn, len(other.hello)), other.hello)
                        conn.close()
                        other.close()
                    half = with_data(server, CONTEXT, False)
                    half.take()
                    server.close()
                    ends(half.sock)


@case("connections of before: those that began with data in the SYN stay plain", limit=60)
def _():
    with nothing_left(), sysctl_set(FASTOPEN, 0x603):
        for family in FAMILIES:
            sock = bound(family)
            sock.listen()
            before = [with_data(sock, CONTEXT, False) for _ in range(2)]
            wait_until(lambda: ready(sock))
            set_ulp(sock)
            sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
            conn, kind = accept(sock)
            expect(kind, family)
            expect(receive_exactly(conn, len(before[0].hello)), before[0].hello)
            conn.close()
            client = with_data(sock, CONTEXT, False)
            client.take()
            sock.close()
            for each in (before[1], client):
                ends(each.sock)
            before[0].close()


@case("such a connection whose three-way handshake is never over", limit=60)
def _():
    tun = Tun()
    with nothing_left(), sysctl_set(FASTOPEN, 0x603):
        sock = bound(address=tun.there)
        sock.listen()
        port = sock.getsockname()[1]
        hello = client_hello()
        for _ in range(3):
            client = tun.client(port)
            tun.send(client, SYN, hello, options=MSS)
            client.seq += 1 + len(hello)
            client.wait(lambda: client.next is not None)
        wait_until(lambda: ready(sock))
        set_ulp(sock)
        sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
        conn, kind = accept(sock)
        expect(kind, socket.AF_INET)
        expect(conn.recv(65536), hello)
        conn.close()
        # To a listener with TLS_HS the data of a SYN have not come.
        client = tun.client(port)
        tun.send(client, SYN, hello, options=MSS)
        client.seq += 1
        client.wait(lambda: client.next is not None)
        with counted(admitted=1):
            client.acknowledge()
            client.sendall(hello)
            client.recv(5)
        sock.close()
        for client in list(tun.clients.values()):
            client.reset()
    tun.close()


@case("SYN cookies: handshakes at every stage, then the listener is closed", limit=60)
def _():
    with nothing_left(), sysctl_set(COOKIES, 2):
        for family in FAMILIES:
            for way in ("close", "shutdown"):
                server = listener(family)
                address = server.getsockname()
                clients = [Client(address, context=CONTEXT) for _ in range(4)]
                clients[1].sock.sendall(clients[1].produce()[:100])
                clients[2].last_flight()
                clients[3].handshake()
                other = Client(address, context=OTHER)
                other.sock.sendall(other.produce())
                wait_until(lambda: in_use()["pending"] == 5)
                time.sleep(0.1)
                with counted(failed=3, listener_closed=5):
                    if way == "close":
                        server.close()
                    else:
                        server.shutdown(socket.SHUT_RDWR)
                for client in clients + [other]:
                    ends(client.sock)
                server.close()


@case("SYN cookies: the ACK has data, is repeated, comes after the end, is forged", limit=60)
def _():
    tun = Tun()
    hello = client_hello()
    with nothing_left(), sysctl_set(COOKIES, 2):
        server = listener(address=tun.there)
        port = server.getsockname()[1]

        def answered():
            """A client that has a cookie."""
            client = tun.client(port)
            tun.send(client, SYN, options=MSS)
            client.seq += 1
            client.wait(lambda: client.next is not None)
            client.ack = client.next
            return client

        first = answered()
        with counted(admitted=1):
            first.sendall(hello)
            first.recv(5)
        repeated = answered()
        with counted(admitted=1):
            for _ in range(5):
                tun.send(repeated, ACK)
        # It is the same connection that the cookie is for, again.
        with counted(admitted=1, failed=1, peer_reset=1):
            repeated.reset()
            tun.send(repeated, ACK)
        with counted(failed=1, peer_reset=1):
            repeated.reset()
        forged = answered()
        with counted():
            for wrong in (1, 1 << 16, 1 << 31):
                forged.ack = (forged.next + wrong) & 0xFFFFFFFF
                tun.send(forged, ACK | PSH, hello)
            time.sleep(0.2)
            tun.pump()
        expect(forged.ended, RST)
        late = answered()
        with counted(failed=1, listener_closed=1):
            server.close()
        with counted():
            tun.send(late, ACK | PSH, hello)
            late.wait(lambda: late.ended)
        expect(late.ended, RST)
        first.reset()
    tun.close()


@case("SYN cookies under a crowd, while listeners come and go", limit=60)
def _():
    with nothing_left(), sysctl_set(COOKIES, 2), sysctl_set("net.ipv4.tcp_migrate_req", 1):
        option = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
        anchor = listener(options=option, backlog=256)
        address = anchor.getsockname()
        end = time.monotonic() + 6

        def come():
            while time.monotonic() < end:
                with contextlib.suppress(OSError, Failure):
                    client = Client(address, context=CONTEXT)
                    client.sock.settimeout(1)
                    flight = client.last_flight()
                    if os.urandom(1)[0] & 1:
                        client.sock.sendall(flight)
                    client.close()

        visitors = [Background(come) for _ in range(4)]
        while time.monotonic() < end:
            other = listener(port=address[1], options=option, backlog=256)
            time.sleep(0.1)
            other.close()
            anchor.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                while True:
                    accept(anchor)[0].close()
        for visitor in visitors:
            visitor.result()
        anchor.close()


if __name__ == "__main__":
    load(handshake_timeout_ms=60000, idle_timeout_ms=0)
    run(load_module=False)

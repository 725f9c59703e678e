#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# MPTCP: its sockets can't have TLS_HS, and its clients are served as those of TCP.

import errno
import socket

from tls_life import *

IPPROTO_MPTCP = 262
FAMILIES = (socket.AF_INET, socket.AF_INET6)
CONTEXT = client_context()
OTHER = client_context(groups="X448")


def mptcp(family=socket.AF_INET):
    return socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP)


def mptcp_listener(family):
    sock = mptcp(family)
    sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    sock.listen()
    return sock


def refused(sock):
    with raises(errno.ENOPROTOOPT):
        set_ulp(sock)
    with raises(errno.ENOPROTOOPT):
        sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))


@case("MPTCP sockets are refused, before and after bind() and listen()")
def _():
    with nothing_left():
        for family in FAMILIES:
            sock = mptcp(family)
            refused(sock)
            sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
            refused(sock)
            sock.listen()
            refused(sock)
            sock.close()


@case("an MPTCP listener goes on after that: clients of MPTCP and TCP")
def _():
    with nothing_left():
        for family in FAMILIES:
            server = mptcp_listener(family)
            refused(server)
            for make in (mptcp, lambda family: socket.socket(family)):
                client = make(family)
                client.connect(server.getsockname())
                conn, kind = accept(server)
                expect(kind, family)
                client.sendall(b"plain")
                expect(conn.recv(16), b"plain")
                with raises(errno.ENOPROTOOPT):
                    conn.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
                conn.close()
                client.close()
            server.close()


@case("clients of MPTCP are served by a listener with TLS_HS, without MPTCP")
def _():
    with nothing_left():
        for cookies in (1, 2):
            with sysctl_set("net.ipv4.tcp_syncookies", cookies):
                for family in FAMILIES:
                    server = listener(family)
                    sock = mptcp(family)
                    sock.settimeout(20)
                    sock.connect(server.getsockname())
                    with counted(completed=1, accepted=1):
                        _, conn, client = connected(server, sock=sock, context=CONTEXT)
                    echo_check(conn, client, bytes(50000), bytes(50000))
                    sock = mptcp(family)
                    sock.settimeout(20)
                    sock.connect(server.getsockname())
                    other = Client(None, context=OTHER, sock=sock)
                    hello = other.produce()
                    sock.sendall(hello)
                    plain, kind = accept(server)
                    expect(kind, family)
                    expect(receive_exactly(plain, len(hello)), hello)
                    for each in (conn, client, plain, other):
                        each.close()
                    # In the middle of it.
                    half = mptcp(family)
                    half.connect(server.getsockname())
                    half.sendall(hello[:100])
                    server.close()
                    ends(half)


@case("a group of listeners of both kinds")
def _():
    option = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
    with nothing_left(), sysctl_set("net.ipv4.tcp_migrate_req", 1):
        server = listener(options=option)
        address = server.getsockname()
        clients = [Client(address, context=CONTEXT) for _ in range(3)]
        clients[1].last_flight()
        other = Client(address, context=OTHER)
        hello = other.produce()
        other.sock.sendall(hello)
        wait_until(lambda: ready(server))
        both = mptcp()
        both.setsockopt(*option[0])
        both.bind(address)
        both.listen()
        server.close()
        for client in clients:
            ends(client.sock)
        # What nothing was read of may go there, as from a listener of TCP.
        both.settimeout(5)
        try:
            conn, _ = accept(both)
            expect(receive_exactly(conn, len(hello)), hello)
            conn.close()
        except TimeoutError:
            ends(other.sock)
        both.close()
        other.close()


if __name__ == "__main__":
    load(handshake_timeout_ms=60000, idle_timeout_ms=0)
    run(load_module=False)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Limits of handshakes that go on: how long they may take, how many there may be.

import contextlib
import errno
import select
import socket
import time

from tls_hs import *

LONG = 60000


def limits(**sysctls):
    """Sets sysctls of the module for a block."""
    stack = contextlib.ExitStack()
    for name, value in sysctls.items():
        stack.enter_context(sysctl_set(f"net.tls_hs.{name}", value))
    return stack


def closed(sock, seconds=20):
    """Waits until the server has closed the connection."""
    sock.settimeout(seconds)
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass


def alive(sock):
    sock.setblocking(False)
    try:
        data = sock.recv(65536)
        raise Failure(f"got {data!r}" if data else "the connection is closed")
    except BlockingIOError:
        sock.settimeout(20)


# --- time ------------------------------------------------------------------------


@case("standing still: nothing sent, half a ClientHello, no answer to the server's flight")
def _():
    server = listener()
    with limits(idle_timeout_ms=700, handshake_timeout_ms=LONG), counted(admitted=3, failed=3, idle_timeout=3):
        silent = tcp_connect(server.getsockname())
        half = Client(server.getsockname())
        half.sock.sendall(half.produce()[:100])
        mute = Client(server.getsockname())
        mute.sock.sendall(mute.produce())
        for sock in (silent, half.sock, mute.sock):
            closed(sock)


@case("a ClientHello byte by byte stands still: nothing of it is used before it is whole")
def _():
    server = listener()
    with limits(idle_timeout_ms=1000, handshake_timeout_ms=LONG), counted(admitted=1, failed=1, idle_timeout=1):
        client = Client(server.getsockname())
        hello = client.produce()
        # Data on a closed socket draws a reset.
        with raises(errno.EPIPE, errno.ECONNRESET):
            for at in range(len(hello) - 1):
                client.sock.sendall(hello[at : at + 1])
                time.sleep(0.1)


@case("every step gives new time to stand still")
def _():
    server = listener()
    with limits(idle_timeout_ms=6000, handshake_timeout_ms=LONG), counted(admitted=1, completed=1):
        client = Client(server.getsockname())
        time.sleep(3.5)
        flight = client.last_flight()
        time.sleep(3.5)
        client.sock.sendall(flight)
        expect(accept(server)[1], PF_TLS)


@case("the whole handshake has a limit of its own, whatever progress there is")
def _():
    server = listener()
    with limits(idle_timeout_ms=LONG, handshake_timeout_ms=1500), counted(admitted=1, failed=1, timeout=1):
        client = Client(server.getsockname())
        client.last_flight()
        closed(client.sock)


@case("a shorter limit counts for handshakes that go on, and those are ended in batches")
def _():
    server = listener(backlog=1024)
    with limits(idle_timeout_ms=0, handshake_timeout_ms=LONG), counted(admitted=300, failed=300, timeout=300):
        socks = [tcp_connect(server.getsockname()) for _ in range(300)]
        time.sleep(1.2)
        alive(socks[0])
        sysctl("net.tls_hs.handshake_timeout_ms", 100)
        for sock in socks:
            closed(sock, 5)


@case("a longer limit counts, too; clients of before and after are ended in order")
def _():
    server = listener()
    with limits(idle_timeout_ms=0, handshake_timeout_ms=3000), counted(admitted=2, failed=2, timeout=2):
        first = tcp_connect(server.getsockname())
        sysctl("net.tls_hs.handshake_timeout_ms", LONG)
        second = tcp_connect(server.getsockname())
        time.sleep(4)
        alive(first)
        alive(second)
        sysctl("net.tls_hs.handshake_timeout_ms", 3500)
        closed(first, 5)
        closed(second, 5)


@case("fallbacks and established connections have no limit")
def _():
    server = listener()
    with limits(idle_timeout_ms=300, handshake_timeout_ms=500):
        _, conn, client = connected(server)
        other = Client(server.getsockname(), context=client_context(groups="X448"))
        hello = other.produce()
        other.sock.sendall(hello)
        wait_until(lambda: select.select([server], [], [], 0)[0], what="the fallback")
        time.sleep(2)
        fallback, family = accept(server)
        expect(family, socket.AF_INET)
        expect(receive_exactly(fallback, len(hello)), hello)
        echo_check(conn, client)


if __name__ == "__main__":
    run()

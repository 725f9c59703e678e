#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
#
# Slow clients: many connections that send nothing, or half a ClientHello. What each
# takes beyond a TCP connection that waits in a plain accept queue, what a client that
# means it sees meanwhile, and that all of it is gone when time is.
#
# "half_open=50000" on the kernel's command line (make bench-half-open) says how many.

import contextlib
import gc
import os
import re
import resource
import select
import socket
import time

from tls_hs import *

# Beyond the TCP socket.
BYTES_MAX = 5 * 1024
SOURCES = 5
IP_BIND_ADDRESS_NO_PORT = 24


def number():
    with open("/proc/cmdline") as file:
        found = re.search(r"\bhalf_open=(\d+)", file.read())
    return int(found[1]) if found else 3000


N = number()
LIMIT = 60 + N // 100


def used():
    """Bytes in slab objects: where sockets, requests, buffers and handshakes are."""
    gc.collect()
    time.sleep(1)
    total = 0
    with open("/proc/slabinfo") as file:
        for line in file:
            field = line.split()
            if field[1].isdigit():
                total += int(field[1]) * int(field[3])
    return total


def sockets():
    """TCP sockets that are neither closed nor waiting to be."""
    with open("/proc/net/sockstat") as file:
        return int(re.search(r"^TCP: inuse (\d+)", file.read(), re.M)[1])


def crowd(address, part, count):
    """Connections in a process of their own, from several addresses."""
    ready, tell = os.pipe()
    wait, go = os.pipe()

    def child():
        os.close(go)
        socks = []
        for each in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((f"127.0.9.{each % SOURCES + 1}", 0))
            sock.connect(address)
            if part:
                sock.sendall(part)
            socks.append(sock)
        os.write(tell, b"r")
        os.read(wait, 1)

    pid = forked(child)
    os.close(tell)
    os.close(wait)
    expect(os.read(ready, 1), b"r", "all connections")
    os.close(ready)

    def leave():
        os.close(go)
        os.waitpid(pid, 0)

    return leave


def plain():
    sock = bound()
    sock.listen(65535)
    return sock


@contextlib.contextmanager
def room():
    """As much of everything as N clients may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, N + 1000), max(hard, N + 1000)))
    with contextlib.ExitStack() as stack:
        for name, value in (
            ("net.core.somaxconn", 65535),
            ("net.tls_hs.max_memory_kb", 2 << 20),
            ("net.tls_hs.max_memory_ns_kb", 2 << 20),
            ("net.tls_hs.handshake_timeout_ms", 3600000),
            ("net.tls_hs.idle_timeout_ms", 0),
        ):
            stack.enter_context(sysctl_set(name, value))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def beyond_tcp(part):
    """Bytes of one connection in a plain accept queue, and of one in handshake."""
    figures = []
    few = sockets() + 50
    # A round of both first fills what stays.
    for make in 2 * (plain, lambda: listener(backlog=65535)):
        server = make()
        before = used()
        leave = crowd(server.getsockname(), part, N)
        figures.append((used() - before) / N)
        server.close()
        leave()
        wait_until(lambda: sockets() < few, 60, "all sockets are closed")
        wait_until(lambda: slab("tls_hs_child").get("tls_hs_child", 0) < 100, 60, "all children are freed")
    return figures[2:]


def measure(what, part):
    with room():
        before = counters()
        without, with_tls = beyond_tcp(part)
        got = counters()
    expect(got["admitted"] - before["admitted"], 2 * N, "admitted")
    print(
        f"# {N} connections, {what}: {with_tls:.0f} bytes each with TLS_HS, {without:.0f} without "
        f"(both ends): {with_tls - without:.0f} beyond TCP's"
    )
    if SLOW > 1:
        print("# A debug kernel's objects are larger: no limit")
        return
    expect_true(1000 < with_tls - without <= BYTES_MAX, f"{with_tls - without:.0f} bytes beyond the TCP socket")


@case(f"{N} connections that send nothing take at most {BYTES_MAX} bytes each beyond TCP's", limit=2 * LIMIT)
def _():
    measure("nothing sent", b"")


@case(f"{N} connections with half a ClientHello take at most {BYTES_MAX} bytes each beyond TCP's", limit=2 * LIMIT)
def _():
    hello = client_hello()
    measure("half a ClientHello", hello[: len(hello) // 2])


@case("others are served meanwhile, and all is freed when time has run out", limit=2 * LIMIT)
def _():
    server = listener(backlog=65535)
    context = client_context()

    def visit():
        start = time.monotonic()
        _, conn, client = connected(server, context=context)
        echo_check(conn, client)
        client.close()
        conn.close()
        return time.monotonic() - start

    alone = sorted(visit() for _ in range(20))
    objects = slab("tls_hs_child")["tls_hs_child"]
    with room():
        before = counters()
        leave = crowd(server.getsockname(), client_hello()[:200], N)
        beside = sorted(visit() for _ in range(20))
        print(f"# a connection with handshake, ms, median: {1e3 * alone[10]:.1f} alone, {1e3 * beside[10]:.1f} beside {N}")
        expect_true(slab("tls_hs_child")["tls_hs_child"] >= N, "the others are there")
        start = time.monotonic()
        sysctl("net.tls_hs.handshake_timeout_ms", 1000)
        wait_until(lambda: counters()["timeout"] - before["timeout"] == N, LIMIT, "all are closed")
        print(f"# {N} closed in {time.monotonic() - start:.1f} s")
        # While they are closed, too.
        visit()
        wait_until(lambda: slab("tls_hs_child")["tls_hs_child"] <= objects + 20, 30, "all children are freed")
        got = counters()
        expect(got["failed"] - before["failed"], N, "failed")
        leave()
    visit()


if __name__ == "__main__":
    run()

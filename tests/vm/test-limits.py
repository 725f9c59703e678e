#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Limits of handshakes that go on: how long they may take, how many there may be.

import contextlib
import ctypes
import errno
import os
import select
import socket
import subprocess
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


# --- sources -----------------------------------------------------------------------


def silent(server, source):
    """A connection that nothing is sent on."""
    return tcp_connect(server.getsockname(), source=(source, 0))


def from_source(server, source, **options):
    return Client(None, sock=silent(server, source), **options)


def overflows():
    """Connections that TCP has dropped because an accept queue was full."""
    with open("/proc/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index("ListenOverflows")])


def refused(name, number=1):
    """In the block, at least so many connections are refused for this reason."""

    @contextlib.contextmanager
    def block():
        before = counters()[name]
        yield
        wait_until(lambda: counters()[name] >= before + number, what=name)

    return block()


def served(server, client):
    client.sock.settimeout(30)
    client.handshake()
    conn, family = accept(server)
    expect(family, PF_TLS)
    echo_check(conn, client)


@case("a source may have so many handshakes going on; another is served", limit=60)
def _():
    server = listener()
    with limits(max_pending_source=3, idle_timeout_ms=0, handshake_timeout_ms=LONG):
        held = [silent(server, "127.0.0.2") for _ in range(3)]
        before = counters()["admitted"]
        with refused("source_pending_full"):
            fourth = from_source(server, "127.0.0.2")
            fourth.sock.sendall(fourth.produce())
        expect(counters()["admitted"], before)
        for _ in range(3):
            served(server, from_source(server, "127.0.0.3"))
        # There is room again when one is gone.
        reset(held.pop())
        served(server, fourth)
        expect(counters()["admitted"], before + 4)


@case("completed handshakes, fallbacks and failures give their room back", limit=60)
def _():
    server = listener()
    other = client_context(groups="X448")
    with limits(max_pending_source=1, idle_timeout_ms=500):
        for _ in range(5):
            served(server, from_source(server, "127.0.0.4"))
            client = from_source(server, "127.0.0.4", context=other)
            client.sock.sendall(client.produce())
            expect(accept(server)[1], socket.AF_INET)
            client = from_source(server, "127.0.0.4")
            client.sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            closed(client.sock)
        closed(silent(server, "127.0.0.4"))
        silent(server, "127.0.0.4")
        server.close()
        server = listener()
        served(server, from_source(server, "127.0.0.4"))


@case("IPv6: a source is a prefix, of a length that can be set", limit=60)
def _():
    for address in ("fd00:0:0:1::1", "fd00:0:0:1::2", "fd00:0:0:2::1"):
        subprocess.run(["ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
    server = listener(socket.AF_INET6)
    with limits(max_pending_source=1, idle_timeout_ms=0):
        held = silent(server, "fd00:0:0:1::1")
        with refused("source_pending_full"):
            same = from_source(server, "fd00:0:0:1::2")
            same.sock.sendall(same.produce())
        served(server, from_source(server, "fd00:0:0:2::1"))
        with limits(source_prefix_ipv6=128):
            served(server, same)
        with limits(source_prefix_ipv6=48), refused("source_pending_full"):
            first = silent(server, "fd00:0:0:1::1")
            second = from_source(server, "fd00:0:0:2::1")
            second.sock.sendall(second.produce())
        first.close()
        held.close()


@case("IPv4 through an IPv6 socket is the same source", limit=60)
def _():
    server, both = listener(), listener(socket.AF_INET6, address="::")
    port = both.getsockname()[1]
    with limits(max_pending_source=1, idle_timeout_ms=0):
        held = silent(server, "127.0.0.6")
        with refused("source_pending_full"):
            client = Client(None, sock=tcp_connect(("127.0.0.1", port), source=("127.0.0.6", 0)))
            client.sock.sendall(client.produce())
        with limits(source_prefix_ipv4=24), refused("source_pending_full"):
            first = silent(server, "127.0.1.6")
            silent(server, "127.0.1.7")
        reset(held)
        reset(first)
        served(both, client)


@case("a source may begin so many handshakes at once, and so many a second", limit=60)
def _():
    server = listener(backlog=1024)
    with limits(source_rate=1, source_burst=5):
        before, start = counters()["admitted"], time.monotonic()
        socks = [silent(server, "127.0.0.7") for _ in range(40)]
        took, got = time.monotonic() - start, counters()
        expect_true(5 <= got["admitted"] - before <= 5 + took + 1, f"{got['admitted'] - before} in {took:.1f} s")
        expect_true(got["source_rate_exceeded"] > 0, "not counted")
        served(server, from_source(server, "127.0.0.8"))
        for sock in socks:
            reset(sock)
        # Its turn comes: the client sends again what was dropped.
        served(server, from_source(server, "127.0.0.7"))


@case("what TCP refuses by itself costs a source nothing", limit=60)
def _():
    # A connection is made when its first data come.
    server = listener(backlog=0, options=[(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 20)])
    with limits(source_rate=1, source_burst=3):
        late = from_source(server, "127.0.0.9")
        from_source(server, "127.0.0.9").handshake()
        wait_until(lambda: select.select([server], [], [], 0)[0], what="one on the accept queue")
        before, dropped = counters()["admitted"], overflows()
        late.sock.sendall(late.produce())
        # Dropped time and again while the queue is full.
        wait_until(lambda: overflows() >= dropped + 4, what="drops")
        expect(counters()["admitted"], before)
        expect(accept(server)[1], PF_TLS)
        served(server, late)


@case("fallbacks of a source are limited; it is served still", limit=60)
def _():
    server, other = listener(), client_context(groups="X448")
    with limits(source_fallback_rate=1, source_fallback_burst=2):
        start, before = time.monotonic(), counters()
        fell_back = 0
        for _ in range(12):
            client = from_source(server, "127.0.0.10", context=other)
            client.sock.sendall(client.produce())
            wait_until(lambda: counters()["no_common_group"] > before["no_common_group"] + fell_back, what="a ClientHello")
            fell_back += 1
        took, got = time.monotonic() - start, counters()
        count = got["fell_back"] - before["fell_back"]
        expect_true(2 <= count <= 2 + took + 1, f"{count} fell back in {took:.1f} s")
        expect(got["fallback_limited"] - before["fallback_limited"], 12 - count)
        for _ in range(count):
            accept(server)[0].close()
        served(server, from_source(server, "127.0.0.10"))
        client = from_source(server, "127.0.0.11", context=other)
        client.sock.sendall(client.produce())
        expect(accept(server)[1], socket.AF_INET)


@case("2,000 sources one after another: nobody is turned away, nothing is left", limit=100)
def _():
    before, start = slab("tls_hs_child"), counters()
    server = listener(backlog=4096)
    with limits(max_pending_source=1, idle_timeout_ms=2000):
        for third in range(1, 9):
            socks = [silent(server, f"127.1.{third}.{last}") for last in range(1, 251)]
            for sock in socks[::2]:
                reset(sock)
            for sock in socks[1::2]:
                sock.close()
        served(server, from_source(server, "127.0.0.12"))
    server.close()
    got = counters()
    expect(got["admitted"] - start["admitted"], 2001)
    expect(got["source_pending_full"], start["source_pending_full"])
    wait_until(lambda: slab("tls_hs_child")["tls_hs_child"] <= before["tls_hs_child"], 20, "all children are freed")


# --- memory --------------------------------------------------------------------------


@case("memory of all handshakes has a bound, and all of it comes back", limit=60)
def _():
    server = listener(backlog=1024)
    with limits(max_memory_kb=64, max_memory_ns_kb=64, idle_timeout_ms=0, handshake_timeout_ms=LONG):
        before = counters()
        with refused("memory_full"):
            socks = [tcp_connect(server.getsockname()) for _ in range(40)]
        admitted = counters()["admitted"] - before["admitted"]
        expect_true(8 <= admitted <= 18, f"{admitted} handshakes in 64 KiB")
        late = Client(server.getsockname())
        late.sock.sendall(late.produce())
        for sock in socks:
            reset(sock)
        served(server, late)
        # Not enough for two.
        with limits(max_memory_kb=7, max_memory_ns_kb=7):
            served(server, Client(server.getsockname()))


@case("what clients have sent counts, too", limit=60)
def _():
    server = listener(backlog=1024)
    # The first 8 KB of a ClientHello of 16,000.
    part = b"".join(record((b"\x01\x00\x3e\x80" + bytes(8192))[at : at + 4096]) for at in (0, 4096))
    with limits(max_memory_kb=100, max_memory_ns_kb=100, idle_timeout_ms=0, handshake_timeout_ms=LONG):
        with refused("memory_full"):
            clients = [tcp_connect(server.getsockname()) for _ in range(12)]
            for sock in clients:
                with contextlib.suppress(OSError):
                    sock.sendall(part)
        for sock in clients:
            reset(sock)
        served(server, Client(server.getsockname()))


@case("the bound of a namespace is not its own to set", limit=60)
def _():
    def child():
        libc = ctypes.CDLL(None, use_errno=True)
        expect(libc.unshare(0x40000000), 0)  # CLONE_NEWNET
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for name in ("max_memory_kb", "max_memory_ns_kb"):
            expect_true(not os.path.exists(f"/proc/sys/net/tls_hs/{name}"), f"{name} is there")
        server = listener()
        held = [tcp_connect(server.getsockname()) for _ in range(8)]
        expect_true(counters()["memory_full"] > 0, "no bound")
        expect_true(0 < counters()["admitted"] < 8, f"{counters()['admitted']} admitted")
        for sock in held:
            sock.close()

    # The parent's handshakes count for the whole machine, but not for the child's namespace.
    server = listener()
    held = [tcp_connect(server.getsockname()) for _ in range(8)]
    with limits(max_memory_ns_kb=16):
        joined(forked(child))
    for sock in held:
        reset(sock)
    connected(server)


# --- log -------------------------------------------------------------------------------


def lines(text):
    log = subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    return sum("tls_hs: port" in line and text in line for line in log.splitlines())


@case("a limit that is reached gives one line in the log, however often", limit=60)
def _():
    server = listener(backlog=1024)
    start = time.monotonic()
    # In cases above there was none yet of this kind.
    before = lines("max_pending handshakes")
    with limits(max_pending=0):
        for log, wanted in ((0, 0), (1, 1), (2, 1)):
            with limits(log=log), refused("pending_full", 30):
                socks = [tcp_connect(server.getsockname()) for _ in range(30)]
            got = lines("max_pending handshakes") - before
            most = wanted + (time.monotonic() - start) // 10
            expect_true(wanted <= got <= most, f"log={log}: {got} lines")
            for sock in socks:
                reset(sock)


@case("namespaces of others write to the log only if they are let", limit=60)
def _():
    def child():
        libc = ctypes.CDLL(None, use_errno=True)
        expect(libc.unshare(0x40000000), 0)  # CLONE_NEWNET
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        server = listener()
        sysctl("net.tls_hs.source_rate", 1)
        sysctl("net.tls_hs.source_burst", 1)
        with refused("source_rate_exceeded", 5):
            for _ in range(10):
                tcp_connect(server.getsockname()).close()

    before = lines("above source_rate")
    joined(forked(child))
    expect(lines("above source_rate"), before)
    # The last line of this kind, if there was one, is that old.
    time.sleep(10)
    with limits(log=2):
        joined(forked(child))
    expect(lines("above source_rate"), before + 1)


if __name__ == "__main__":
    run()

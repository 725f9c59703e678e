#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# What becomes of connections that accept() has not returned when their listening
# socket stops: in an SO_REUSEPORT group with net.ipv4.tcp_migrate_req they go on at
# another one, wherever the kernel can do that; otherwise they are closed.

import ctypes
import errno
import os
import select
import socket
import threading
import time

from tls_life import *

CONTEXT = client_context()
REUSEPORT = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
MIGRATE = "net.ipv4.tcp_migrate_req"
FAMILIES = (socket.AF_INET, socket.AF_INET6)
libc = ctypes.CDLL(None, use_errno=True)


def group_listener(port=0, family=socket.AF_INET, options=(), **info):
    return listener(family, port=port, options=[*REUSEPORT, *options], **info)


def plain_listener(port, family=socket.AF_INET, options=()):
    sock = bound(family, port=port, options=[*REUSEPORT, *options])
    sock.listen()
    return sock


def half(server):
    """A client whose last flight is not sent; and the flight."""
    client = Client(server.getsockname(), context=CONTEXT)
    return client, client.last_flight()


def silent(server):
    """A client that has sent nothing."""
    return Client(server.getsockname(), context=CONTEXT)


def in_part(server):
    client = Client(server.getsockname(), context=CONTEXT)
    client.rest = client.produce()
    client.sock.sendall(client.rest[:70])
    client.rest = client.rest[70:]
    return client


def complete(server):
    return Client(server.getsockname(), context=CONTEXT).handshake()


def fallback(server):
    client = Client(server.getsockname(), groups="X448")
    client.hello = client.produce()
    client.sock.sendall(client.hello)
    return client


def here_pending():
    with open("/proc/net/tls_hs_sockets") as file:
        return int(dict(line.split() for line in file)["pending"])


def stop_close(server):
    server.close()


def stop_shutdown(server):
    server.shutdown(socket.SHUT_RD)


def stop_disconnect(server):
    address = bytes(128)
    expect(libc.connect(server.fileno(), address, 16), 0)


STOPS = (stop_close, stop_shutdown, stop_disconnect)


@case("handshakes and accept queue go on at another listener", limit=90)
def _():
    with sysctl_set(MIGRATE, 1):
        for stop in STOPS:
            for family in FAMILIES:
                first = group_listener(family=family)
                # Everybody comes to the first: there is no other yet.
                quiet, part, (waiting, flight) = silent(first), in_part(first), half(first)
                done = [complete(first) for _ in range(3)]
                refused = fallback(first)
                wait_until(lambda: ready(first))
                second = group_listener(first.getsockname()[1], family)
                epoll = select.epoll()
                epoll.register(second, select.EPOLLIN | select.EPOLLET)
                time.sleep(0.1)
                with counted(migrated=7):
                    stop(first)
                expect(epoll.poll(5), [(second.fileno(), select.EPOLLIN)], "the other one is woken")
                # In the order in which they were.
                for client in done:
                    conn, kind = accept(second)
                    expect(kind, PF_TLS)
                    echo_check(conn, client)
                conn, kind = accept(second)
                expect(kind, family)
                expect(conn.recv(65536), refused.hello)
                expect(ready(second), False, "pending ones are pending")
                with counted(completed=3, accepted=3):
                    waiting.sock.sendall(flight)
                    part.sock.sendall(part.rest)
                    for client in (quiet, part):
                        client.handshake()
                    served = [accept(second) for _ in range(3)]
                expect({kind for _, kind in served}, {PF_TLS})
                for client in (waiting, quiet, part):
                    client.send(b"x")
                for conn, _ in served:
                    expect(conn.recv(1), b"x")
                first.close()


@case("without tcp_migrate_req they are closed", limit=60)
def _():
    for stop in STOPS:
        first = group_listener()
        clients = [silent(first), in_part(first), half(first)[0], complete(first), fallback(first)]
        wait_until(lambda: ready(first))
        time.sleep(0.1)
        second = group_listener(first.getsockname()[1])
        with counted(failed=3, listener_closed=5):
            stop(first)
        for client in clients:
            ends(client.sock)
        expect(ready(second), False)
        connected(second, context=CONTEXT)
        first.close()


@case("deadlines go on at the other listener", limit=60)
def _():
    with sysctl_set(MIGRATE, 1):
        first = group_listener()
        clients = [silent(first), in_part(first)]
        second = group_listener(first.getsockname()[1])
        with counted(migrated=2):
            first.close()
        clients.append(silent(second))
        with counted(failed=3, timeout=3):
            for client in clients:
                client.sock.settimeout(20)
                read_to_end(client.sock)


@case("from listener to listener to listener, in mid handshake", limit=60)
def _():
    with sysctl_set(MIGRATE, 1):
        server = group_listener()
        client = Client(server.getsockname(), context=CONTEXT)
        hello = client.produce()
        for at in range(0, len(hello), len(hello) // 5 + 1):
            client.sock.sendall(hello[at : at + len(hello) // 5 + 1])
            successor = group_listener(server.getsockname()[1])
            with counted(migrated=1):
                server.close()
            server = successor
        client.take()
        flight = client.last_flight()
        successor = group_listener(server.getsockname()[1])
        with counted(migrated=1):
            server.close()
        with counted(completed=1, accepted=1):
            client.sock.sendall(flight)
            conn, family = accept(successor)
        expect(family, PF_TLS)
        echo_check(conn, client)


@case("a connection keeps the keys that it began with", limit=60)
def _():
    with sysctl_set(MIGRATE, 1):
        first = group_listener(ring=host("one"))
        client = Client(first.getsockname(), name="one.example.com", verify=False)
        flight = client.last_flight()
        second = group_listener(first.getsockname()[1], ring=host("two"))
        first.close()
        client.sock.sendall(flight)
        conn, family = accept(second)
        expect(family, PF_TLS)
        echo_check(conn, client)
        # Before its ClientHello it began with nothing, but was admitted with the first's.
        connected(second, name="two.example.com", verify=False)


@case("to a plain listener goes what nothing was read of, the rest is closed", limit=60)
def _():
    with sysctl_set(MIGRATE, 1):
        for stop in STOPS:
            for family in FAMILIES:
                first = group_listener(family=family)
                lost = [silent(first), in_part(first), half(first)[0], complete(first)]
                refused = [fallback(first) for _ in range(2)]
                wait_until(lambda: here_pending() == 6)
                time.sleep(0.2)
                plain = plain_listener(first.getsockname()[1], family)
                with counted(migrated=2, failed=3, listener_closed=4):
                    stop(first)
                for client in lost:
                    ends(client.sock)
                for client in refused:
                    conn, kind = accept(plain)
                    expect(kind, family)
                    expect(get_ulp(conn), b"")
                    expect(conn.recv(65536), client.hello)
                    conn.sendall(b"plain")
                    expect(client.sock.recv(16), b"plain")
                    conn.close()
                expect(ready(plain), False)
                first.close()


@case("from a plain listener to one with TLS_HS: as they are", limit=60)
def _():
    with sysctl_set(MIGRATE, 1):
        plain = plain_listener(0)
        client = tcp_connect(plain.getsockname())
        client.sendall(b"plain")
        wait_until(lambda: ready(plain))
        second = group_listener(plain.getsockname()[1])
        with counted():
            plain.close()
        conn, family = accept(second)
        expect(family, socket.AF_INET)
        expect(conn.recv(16), b"plain")
        conn.sendall(b"text")
        expect(client.recv(16), b"text")
        connected(second, context=CONTEXT)


@case("connections whose TCP handshake is not over begin at the other listener", limit=60)
def _():
    # With TCP_DEFER_ACCEPT the client's ACK alone does not end it.
    defer = [(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 10)]
    with sysctl_set(MIGRATE, 1):
        for other in (group_listener, plain_listener):
            first = group_listener(options=defer)
            clients = [silent(first) for _ in range(3)]
            second = other(first.getsockname()[1], options=defer)
            with counted():
                first.close()
            for client in clients:
                if other is group_listener:
                    client.handshake()
                    conn, family = accept(second)
                    expect(family, PF_TLS)
                    echo_check(conn, client)
                else:
                    hello = client.produce()
                    client.sock.sendall(hello)
                    conn, family = accept(second)
                    expect(family, socket.AF_INET)
                    expect(conn.recv(65536), hello)


@case("an administrator ends the listener (ss --kill)", limit=60)
def _():
    def kill(server):
        ss_kill("-l", "sport", "=", f":{server.getsockname()[1]}")

    server = group_listener()
    queued, (pending, flight) = complete(server), half(server)
    wait_until(lambda: ready(server))
    kill(server)
    ends(queued.sock)
    with counted(failed=0, completed=1, listener_closed=1):
        pending.sock.sendall(flight)
        ends(pending.sock)
    with raises(errno.EINVAL):
        server.accept()
    server.close()
    with sysctl_set(MIGRATE, 1):
        server = group_listener()
        queued, (pending, flight) = complete(server), half(server)
        wait_until(lambda: ready(server))
        second = group_listener(server.getsockname()[1])
        # Only the first: ss would take both.
        abort_listener(server)
        conn, family = accept(second)
        expect(family, PF_TLS)
        echo_check(conn, queued)
        with counted(completed=1, migrated=1, accepted=1):
            pending.sock.sendall(flight)
            conn, family = accept(second)
        expect(family, PF_TLS)
        echo_check(conn, pending)
        server.close()


@case("listeners of a group come and go: no client loses its connection", limit=120)
def _():
    seconds = 15
    with sysctl_set(MIGRATE, 1):
        anchor = group_listener()
        address = anchor.getsockname()
        stop = threading.Event()
        served = [0]
        lost = []

        def serve(server):
            # Other threads may be at it, too.
            while True:
                if not ready(server, 0.2):
                    if stop.is_set():
                        return
                    continue
                answer(server)

        def answer(server):
            server.setblocking(False)
            try:
                conn, family = accept(server)
            except BlockingIOError:
                return
            conn.setblocking(True)
            conn.settimeout(10)
            expect(family, PF_TLS)
            conn.sendall(conn.recv(16).upper())
            conn.close()

        def come():
            while not stop.is_set():
                try:
                    client = Client(address, context=CONTEXT)
                    client.handshake()
                    client.send(b"hello")
                    expect(client.receive(5), b"HELLO")
                    client.close()
                    served[0] += 1
                except (OSError, Failure) as error:
                    lost.append(repr(error))

        with_anchor = Background(serve, anchor)
        clients = [Background(come) for _ in range(4)]
        end = time.monotonic() + seconds
        rounds = 0
        before = counters()
        while time.monotonic() < end:
            others = [group_listener(address[1]) for _ in range(2)]
            time.sleep(0.15)
            for other in others:
                if ready(other) and rounds % 2:
                    answer(other)
                other.close()
            rounds += 1
        stop.set()
        for client in clients:
            client.result()
        with_anchor.result()
        now = counters()
        growth = {name: now[name] - before[name] for name in now if now[name] != before[name]}
        expect(lost, [], f"{served[0]} served, {rounds} rounds, {growth}")
        expect_true(served[0] > 10 and growth.get("migrated", 0) > 3, f"{served[0]} served, {rounds} rounds, {growth}")
        print(f"# {served[0]} served, {rounds} rounds, {growth}")


if __name__ == "__main__":
    load(handshake_timeout_ms=8000, idle_timeout_ms=0)
    run(load_module=False)

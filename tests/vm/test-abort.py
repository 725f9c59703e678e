#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# Handshakes that end in the middle: clients that stop, close or reset at every
# stage, listeners that are closed with handshakes pending. A counter says what
# happened and nothing is left behind.

import os
import socket
import ssl
import subprocess
import time

from tls_hs import *

CONTEXT = client_context()
TIMEOUT_MS = 1000

# What a client has done when it stops, and what it would do next.
STAGES = (
    "connected",
    "part of a record header",
    "part of the ClientHello",
    "ClientHello",
    "part of the last flight",
)


def at_stage(server, stage):
    """A connection in which the client has got this far."""
    client = Client(server.getsockname(), context=CONTEXT)
    if stage == "connected":
        return client
    hello = client.produce()
    if stage == "part of a record header":
        client.sock.sendall(hello[:3])
    elif stage == "part of the ClientHello":
        client.sock.sendall(hello[:100])
    else:
        client.sock.sendall(hello)
        client.take()
        flight = client.last_flight()
        if stage == "part of the last flight":
            client.sock.sendall(flight[:-1])
    return client


def ends(sock, seconds=5.0):
    """The server ends the connection within this time."""
    sock.settimeout(seconds)
    try:
        read_to_end(sock)
    except TimeoutError:
        raise Failure("the connection goes on") from None


@case("a client that stops: the deadline ends it, from the beginning of the connection on", limit=60)
def _():
    server = listener()
    for stage in STAGES:
        with counted(admitted=1, failed=1, timeout=1):
            start = time.monotonic()
            client = at_stage(server, stage)
            ends(client.sock)
            took = time.monotonic() - start
        expect_true(TIMEOUT_MS / 1000 - 0.1 < took < TIMEOUT_MS / 1000 + 2, f"{stage}: {took:.2f} s")
        client.close()
    expect(ready(server), False)


@case("a client that trickles does not move its deadline", limit=60)
def _():
    server = listener()
    client = Client(server.getsockname(), context=CONTEXT)
    hello = client.produce()
    start = time.monotonic()
    with counted(failed=1, timeout=1):
        try:
            for octet in hello:
                client.sock.send(bytes([octet]))
                time.sleep(0.05)
                if time.monotonic() - start > 8:
                    raise Failure("still going on after 8 s")
        except (BrokenPipeError, ConnectionResetError):
            pass
    expect_true(time.monotonic() - start < 4, f"{time.monotonic() - start:.1f} s")


@case("a connection that waits in the accept queue has no deadline", limit=60)
def _():
    server = listener()
    client = Client(server.getsockname(), context=CONTEXT).handshake()
    fallback = Client(server.getsockname(), groups="X448")
    fallback.sock.sendall(fallback.produce())
    time.sleep(2.5 * TIMEOUT_MS / 1000)
    conn, family = accept(server)
    expect(family, PF_TLS)
    echo_check(conn, client)
    expect(accept(server)[1], socket.AF_INET)


@case("a client that closes at each stage", limit=60)
def _():
    server = listener()
    for stage in STAGES:
        with counted(admitted=1, failed=1, peer_closed=1):
            at_stage(server, stage).close()
    expect(ready(server), False)


@case("a client that shuts down its side at each stage is told nothing but the end", limit=60)
def _():
    server = listener()
    for stage in STAGES:
        with counted(admitted=1, failed=1, peer_closed=1):
            client = at_stage(server, stage)
            client.sock.shutdown(socket.SHUT_WR)
            ends(client.sock)
    expect(ready(server), False)


@case("a client that resets at each stage", limit=60)
def _():
    server = listener()
    for stage in STAGES:
        with counted(admitted=1, failed=1, peer_reset=1):
            reset(at_stage(server, stage).sock)
    expect(ready(server), False)


@case("a listener that is closed with handshakes at each stage", limit=60)
def _():
    for family in (socket.AF_INET, socket.AF_INET6):
        server = listener(family)
        clients = [at_stage(server, stage) for stage in STAGES for _ in range(3)]
        with counted(failed=len(clients), listener_closed=len(clients)):
            server.close()
        for client in clients:
            ends(client.sock)
            client.close()


@case("a listener that is closed with connections in its accept queue", limit=60)
def _():
    server = listener()
    done = [Client(server.getsockname(), context=CONTEXT).handshake() for _ in range(5)]
    fallback = Client(server.getsockname(), groups="X448")
    fallback.sock.sendall(fallback.produce())
    expect(ready(server, 5), True)
    time.sleep(0.2)
    server.close()
    for client in (*done, fallback):
        ends(client.sock)


@case("a listener that is closed while clients come, again and again", limit=110)
def _():
    port = bound().getsockname()[1]
    stop = time.monotonic() + 20
    served = [0]

    def come():
        while time.monotonic() < stop:
            try:
                client = Client(("127.0.0.1", port), context=CONTEXT)
                client.sock.settimeout(2)
                client.handshake()
                client.send(b"x")
                if client.sock.recv(1):
                    served[0] += 1
                client.close()
            except (OSError, Failure, ssl.SSLError):
                time.sleep(0.005)

    clients = [Background(come) for _ in range(4)]
    rounds = 0
    while time.monotonic() < stop:
        try:
            server = listener(port=port)
        except OSError:
            time.sleep(0.05)
            continue
        rounds += 1
        server.settimeout(0.2)
        for _ in range(rounds % 7):
            try:
                conn, _family = accept(server)
                conn.settimeout(0.2)
                conn.sendall(conn.recv(1))
                conn.close()
            except OSError:
                break
        server.close()
    for client in clients:
        client.result()
    expect_true(rounds > 10 and served[0] > 5, f"{rounds} listeners served {served[0]}")


@case("the process that listens is killed with handshakes pending", limit=60)
def _():
    reader, writer = os.pipe()

    def child():
        server = listener()
        os.write(writer, b"%d" % server.getsockname()[1])
        time.sleep(60)

    pid = forked(child)
    address = ("127.0.0.1", int(os.read(reader, 16)))
    probe = socket.create_connection(address)
    clients = [at_stage(FakeServer(address), stage) for stage in STAGES]
    with counted(failed=len(clients) + 1, listener_closed=len(clients) + 1):
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    for sock in (probe, *(client.sock for client in clients)):
        ends(sock)


class FakeServer:
    """The address of a listener of another process."""

    def __init__(self, address):
        self.address = address

    def getsockname(self):
        return self.address


@case("an administrator ends pending handshakes (ss --kill)", limit=60)
def _():
    server = listener()
    port = server.getsockname()[1]
    clients = [at_stage(server, stage) for stage in STAGES]
    with counted(failed=len(clients), peer_reset=len(clients)):
        subprocess.run(["ss", "-K", "-t", "state", "established", "sport", "=", f":{port}"], check=True, stdout=subprocess.DEVNULL)
    for client in clients:
        ends(client.sock)
    connected(server, context=CONTEXT)


@case("tcp_diag sees handshakes, listeners and connections", limit=60)
def _():
    server, conn, client = connected(context=CONTEXT)
    for _ in range(20):
        at_stage(server, "ClientHello").close()
        subprocess.run(["ss", "-tnaieOH"], check=True, stdout=subprocess.DEVNULL)
    pending = at_stage(server, "ClientHello")
    shown = subprocess.run(
        ["ss", "-tniOH", "state", "established", "sport", "=", f":{server.getsockname()[1]}"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    expect(len(shown.splitlines()), 2, shown)
    echo_check(conn, client)
    pending.close()


CACHES = ("TCP", "TCPv6", "request_sock_TCP", "request_sock_TCPv6", "tls_hs_child")


@case("nothing is left: sockets, requests, children", limit=60)
def _():
    with open("/proc/net/sockstat") as file:
        before = next(line for line in file if line.startswith("TCP:"))
    start = slab(*CACHES)
    expect_true("TCP" in start and "tls_hs_child" in start, f"caches: {start}")
    server = listener()
    for _ in range(10):
        for stage in STAGES:
            reset(at_stage(server, stage).sock)
            at_stage(server, stage).close()
    for stage in STAGES * 4:
        at_stage(server, stage)
    server.close()

    def settled():
        now = slab(*CACHES)
        # Sockets in TIME_WAIT are in caches of their own.
        return all(now[name] <= start[name] for name in start)

    try:
        wait_until(settled, 20)
    except Failure:
        raise Failure(f"was {start}, is {slab(*CACHES)}, sockstat was {before}") from None


if __name__ == "__main__":
    load(handshake_timeout_ms=TIMEOUT_MS)
    run(load_module=False)

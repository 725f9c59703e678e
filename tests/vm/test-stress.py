#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# Many clients of every kind at a time, several processes that accept, listeners
# that come and go, dumps of all sockets meanwhile. Afterwards each handshake is
# accounted for and nothing is left.

import os
import random
import socket
import ssl
import subprocess
import time

from balance import *
from tls_hs import *

SECONDS = 12
CONTEXT = client_context()
LIBRARY_CONTEXT = client_context(groups="X448")


def serve(server):
    """Accepts for ever: echoes in capitals; tells what it can't serve so."""
    while True:
        try:
            conn, family = accept(server)
        except OSError:
            # The client was gone before accept(), or the listener is.
            time.sleep(0.001)
            continue
        try:
            conn.settimeout(2)
            if family == PF_TLS:
                conn.sendall(conn.recv(64).upper())
            else:
                hello = conn.recv(65536)
                conn.sendall(b"k" if hello[:1] == b"\x16" else b"?")
        except OSError:
            pass
        conn.close()


class Visitor:
    """A client process's work: connections of every kind until the time is over."""

    def __init__(self, address, seed):
        self.address = address
        self.random = random.Random(seed)
        self.served = 0
        self.wrong = []

    def run(self, seconds):
        end = time.monotonic() + seconds
        kinds = (self.full, self.full, self.full, self.fallback, self.garbage, self.stop)
        while time.monotonic() < end:
            kind = self.random.choice(kinds)
            try:
                kind()
            except (OSError, ssl.SSLError):
                # Listeners go away under the client's feet.
                pass
            except Failure as failure:
                if "closed the connection" not in str(failure) and "EOF" not in str(failure):
                    self.wrong.append(str(failure))
        return self.served, self.wrong

    def client(self, context=CONTEXT):
        client = Client(self.address, context=context)
        client.sock.settimeout(5)
        return client

    def full(self):
        client = self.client().handshake()
        client.send(b"hello")
        answer = client.receive(5)
        expect_true(answer in (b"HELLO", b""), f"answer {answer!r}")
        self.served += answer == b"HELLO"
        client.close()

    def fallback(self):
        client = self.client(LIBRARY_CONTEXT)
        client.sock.sendall(client.produce())
        answer = client.sock.recv(1)
        expect_true(answer in (b"k", b""), f"fallback answered {answer!r}")
        client.close()

    def garbage(self):
        sock = tcp_connect(self.address)
        sock.sendall(self.random.randbytes(self.random.randrange(1, 2000)))
        sock.settimeout(2)
        sock.recv(64)
        sock.close()

    def stop(self):
        client = self.client()
        hello = client.produce()
        client.sock.sendall(hello[: self.random.randrange(len(hello) + 1)])
        if self.random.randrange(2):
            reset(client.sock)
        else:
            client.close()


def visit(address, seed, seconds=SECONDS):
    """A visitor in a process of its own; returns a function that waits for what it says."""
    reader, writer = os.pipe()

    def child():
        served, wrong = Visitor(address, seed).run(seconds)
        os.write(writer, f"{served} {'; '.join(wrong)[:2000]}".encode())

    pid = forked(child)
    os.close(writer)

    def result():
        joined(pid)
        served, wrong = os.read(reader, 4096).decode().split(" ", 1)
        os.close(reader)
        expect(wrong, "")
        return int(served)

    return result


def stress(backlog, meanwhile=None, family=socket.AF_INET):
    start, before = connection_slabs(), counters()
    server = listener(family, ring=RING, backlog=backlog)
    servers = [forked(lambda: serve(server)) for _ in range(2)]
    visits = [visit(server.getsockname(), seed) for seed in range(4)]
    if meanwhile:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            meanwhile()
    served = sum(result() for result in visits)
    for pid in servers:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    server.close()
    growth = account(before)
    expect_true(served > 30, f"served {served}: {growth}")
    for name in ("completed", "fell_back", "failed", "not_tls", "peer_closed", "peer_reset"):
        expect_true(growth[name] > 0, f"{name} did not happen: {growth}")
    print(f"# {served} served, {growth['admitted']} handshakes")
    nothing_left(start)


@case("clients of every kind", limit=90)
def _():
    stress(128)


@case("clients of every kind, over IPv6 and with a short accept queue", limit=90)
def _():
    stress(2, family=socket.AF_INET6)


@case("with dumps of all sockets meanwhile", limit=90)
def _():
    stress(128, lambda: subprocess.run(["ss", "-tnaieOH"], check=True, stdout=subprocess.DEVNULL))


@case("with new keys and a new TLS_HS meanwhile", limit=90)
def _():
    def change():
        time.sleep(0.02)
        add_key(CERT, read_cert("localhost.pem"), RING)
        add_key(PRIV, read_cert("localhost.key"), RING)

    stress(128, change)


@case("with sockets destroyed by the administrator meanwhile", limit=90)
def _():
    def destroy():
        time.sleep(0.3)
        subprocess.run(
            ["ss", "-K", "-t", "state", "established", "dst", "127.0.0.1"], stdout=subprocess.DEVNULL, check=True
        )

    stress(128, destroy)


RING = None

if __name__ == "__main__":
    load(handshake_timeout_ms=3000)
    RING = host()
    run(load_module=False)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# The OOM killer tells where it was called.
# allow-log: Call Trace:
#
# Whose memory it is: what connections and listeners take is charged to the server's memory
# cgroup as without TLS_HS, and all of it is given back, whatever clients do; a server at its
# limit fails, and nothing else.

import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import time

from tls_life import *
from tls_tun import Tun

ROOT = "/sys/fs/cgroup"
PAGE = 4096
CONTEXT = client_context()


def write(path, text):
    with open(path, "w") as file:
        file.write(str(text))


@contextlib.contextmanager
def cgroup(name="hs-server"):
    write(f"{ROOT}/cgroup.subtree_control", "+memory")
    path = f"{ROOT}/{name}"
    os.mkdir(path)
    try:
        yield path
    finally:
        write(f"{path}/cgroup.kill", 1)
        wait_until(lambda: "populated 0" in open(f"{path}/cgroup.events").read(), 10, "the cgroup is empty")
        wait_until(lambda: removed(path), 10, "the cgroup is removed")


def removed(path):
    with contextlib.suppress(OSError):
        os.rmdir(path)
        return True
    return False


def memory(path, name):
    with open(f"{path}/memory.stat") as file:
        return int(re.search(rf"^{name} (\d+)", file.read(), re.M)[1])


def sock_memory(path):
    return memory(path, "sock")


def settled(path):
    """The same once small changes are in it, too: those are added up every two seconds."""
    time.sleep(2.5 * SLOW)
    return sock_memory(path)


def server(path, make):
    """A process in a cgroup that accepts as many connections as it is told."""

    def serve(command):
        write(f"{path}/cgroup.procs", os.getpid())
        listening = make()
        held = []
        text = command()
        while text:
            if text == "address":
                answer = listening.getsockname()
            elif text == "close":
                while held:
                    held.pop().close()
                answer = True
            elif text == "fill":
                # As much as goes into the send buffers.
                for conn in held:
                    conn.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            conn.send(bytes(65536))
                answer = True
            else:
                families = set()
                for _ in range(int(text)):
                    conn, family = accept(listening)
                    families.add(int(family))
                    held.append(conn)
                answer = sorted(families)
            text = command(answer)

    return child_process(serve)


def plain():
    sock = bound()
    sock.listen(128)
    return sock


def with_tls():
    return listener(backlog=128)


def fill(client, data=bytes(200000)):
    """Sends as much as the server's window takes."""
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(data)
    client.settimeout(20)


def dummy_record(size=1400):
    return b"\x17\x03\x03" + struct.pack(">H", size) + bytes(size)


@case("data that nobody reads is charged to who accepts, before or after accept()", limit=100)
def _():
    number = 20
    charged = {}
    for make in (plain, with_tls):
        for early in (True, False):
            with cgroup() as path, server(path, make) as ask:
                address = ask("address")
                clients = []
                for _ in range(number):
                    if make is plain:
                        client = tcp_connect(address)
                    else:
                        client = Client(address, context=CONTEXT).handshake().sock
                    clients.append(client)
                    if early:
                        fill(client, dummy_record() * 100)
                expect(ask(str(number)), [int(PF_TLS if make is with_tls else socket.AF_INET)])
                if not early:
                    for client in clients:
                        fill(client, dummy_record() * 100)
                charged[make, early] = settled(path)
                ask("close")
                wait_until(lambda: sock_memory(path) <= 2 * PAGE, 10, f"sock {sock_memory(path)}")
                for client in clients:
                    client.close()
    print(f"# {[(make.__name__, early, size // number) for (make, early), size in charged.items()]} bytes each")
    for early in (True, False):
        expect_true(charged[plain, early] > number * 50000, "nothing is charged")
        expect_true(charged[with_tls, early] > charged[plain, early] / 2, f"{charged}")


@case("what is in the send buffers is charged, and given back", limit=60)
def _():
    for make in (plain, with_tls):
        with cgroup() as path, server(path, make) as ask:
            address = ask("address")
            if make is plain:
                clients = [tcp_connect(address) for _ in range(10)]
            else:
                clients = [Client(address, context=CONTEXT).handshake() for _ in range(10)]
            ask("10")
            ask("fill")
            full = settled(path)
            expect_true(full > 10 * 100000, f"{make.__name__}: {full}")
            ask("close")
            for client in clients:
                client.close()
            wait_until(lambda: sock_memory(path) <= 2 * PAGE, 20, f"sock {sock_memory(path)}")


def large_host():
    """Certificates that take some 10 KB: the server's flight is that large."""
    path = f"{os.environ['HS_TMP']}/large"
    names = ",".join(f"DNS:a-long-name-of-this-server-{number:03}.example.com" for number in range(30))
    if not os.path.exists(f"{path}.pem"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                *("-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,{names}"),
                *("-keyout", f"{path}.key", "-out", f"{path}.pem"),
            ],
            check=True,
            capture_output=True,
        )
    ring = keyring()
    with open(f"{path}.pem", "rb") as file:
        add_key(CERT, file.read() * 6, ring)
    with open(f"{path}.key", "rb") as file:
        add_key(PRIV, file.read(), ring)
    return ring


@case("a client that has acknowledged nothing when accept() returns it: no more is given back than was taken", limit=150)
def _():
    hostile = 80
    context = client_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tun = Tun()

    def make():
        return listener(address=tun.there, ring=large_host(), backlog=128)

    with cgroup() as path, server(path, make) as ask:
        port = ask("address")[1]
        # An honest one, with data that stay.
        honest = Client((tun.there, port), context=context).handshake()
        fill(honest.sock, dummy_record() * 100)
        ask("1")
        before = settled(path)
        expect_true(before > 50000, f"sock {before}")
        unacknowledged = []
        for _ in range(hostile):
            client = Client(None, context=context, sock=tun.client(port).connect(), verify=False)
            flight = client.last_flight()
            unacknowledged.append((client.sock.next - client.sock.ack) & 0xFFFFFFFF)
            client.sock.sendall(flight)
            expect(ask("1"), [int(PF_TLS)])
            tun.pump()
            client.sock.acknowledge()
            time.sleep(0.02)
            client.sock.reset()
        expect_true(min(unacknowledged) > 8000, f"{unacknowledged}")
        after = settled(path)
        print(f"# sock: {before} before, {after} after {hostile} such clients")
        # Their sockets are there still, but hold nothing.
        expect_true(after >= before - 8 * PAGE, f"{before} before, {after} after")
        ask("close")
        wait_until(lambda: sock_memory(path) <= 2 * PAGE, 20, f"sock {sock_memory(path)}")
        honest.close()
    tun.close()


@case("listeners with many virtual hosts are charged to who makes them", limit=100)
def _():
    hosts, number = 100, 100
    ring = keyring()
    host(ring=ring)

    def grow(count):
        grow.number = getattr(grow, "number", 0)
        for _ in range(count):
            grow.number += 1
            host(ring=keyring(f"host{grow.number}.example.com", ring))

    grow(hosts)

    def make_many(tls):
        def serve(command):
            command()
            write(f"{path}/cgroup.procs", os.getpid())
            socks = [bound() for _ in range(number)]
            if tls:
                for sock in socks:
                    set_ulp(sock)
                    sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(ring))
            socks[0].listen()
            command(socks[0].getsockname())

        return serve

    charged = {}
    for tls in (False, True):
        with cgroup() as path, child_process(make_many(tls)) as ask:
            address = ask()
            time.sleep(2.5 * SLOW)
            charged[tls] = memory(path, "slab_unreclaimable")
            if tls:
                # Read again by a thread of the kernel: charged to the same.
                grow(10 * hosts)
                client = Client(address, name=f"host{grow.number}.example.com", verify=False)
                client.last_flight()
                wait_until(lambda: memory(path, "slab_unreclaimable") > charged[tls] + 1000 * hosts, 15, "growth")
                client.close()
    more = (charged[True] - charged[False]) // number
    print(f"# {charged[False] // number} bytes for a plain one, {more} more with {hosts} virtual hosts")
    expect_true(more > hosts * 100, f"{more} bytes are charged for a listener with {hosts} virtual hosts")


@case("a server at its limit fails, and nothing is left of it", limit=120)
def _():
    for make in (plain, with_tls):
        with nothing_left(), cgroup() as path, server(path, make) as ask:
            address = ask("address")
            if os.path.exists(f"{path}/memory.swap.max"):
                write(f"{path}/memory.swap.max", 0)
            with open(f"{path}/memory.current") as file:
                limit = int(file.read()) + (1 << 20)
            write(f"{path}/memory.max", limit)
            clients = []
            outcome = "goes on"
            try:
                for _ in range(150):
                    if make is plain:
                        client = tcp_connect(address)
                    else:
                        client = Client(address, context=CONTEXT).handshake().sock
                    clients.append(client)
                    fill(client, dummy_record() * 20)
                    ask("1")
                ask("fill")
            except (Failure, OSError) as error:
                outcome = repr(error)
            print(f"# {make.__name__}: {outcome} after {len(clients)} connections, sock {sock_memory(path)}")
            for client in clients:
                client.close()


if __name__ == "__main__":
    run()

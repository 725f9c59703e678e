#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# The module comes and goes: with traffic between, with connections of its making
# still alive, refused while a listener lives; parameters; network namespaces.

import ctypes
import errno
import os
import socket
import subprocess
import time

from tls_hs import *

CONTEXT = client_context()


def refcount():
    with open("/sys/module/tls_hs/refcnt") as file:
        return int(file.read())


def rmmod():
    return subprocess.run(["rmmod", "tls_hs"], capture_output=True, text=True)


def stock_tls():
    """TCP_ULP "tls" on an established connection, as with or without the module."""
    server = bound()
    server.listen()
    client = tcp_connect(server.getsockname())
    conn, _ = server.accept()
    set_ulp(conn)
    set_ulp(client)
    client.sendall(b"x")
    expect(conn.recv(1), b"x")


def fresh_ring():
    # Key types come and go with the module, and with them what their keys held.
    return host()


@case("a new module: everything is there, nobody holds it")
def _():
    load()
    expect(refcount(), 0)
    expect(set(counters().values()), {0})
    server = listener(ring=fresh_ring())
    expect_true(refcount() > 0, "a listener holds the module")
    connected(server, context=CONTEXT)
    server.close()
    wait_until(lambda: refcount() == 0, 10, f"use count {refcount()}")
    unload()


@case("without the module: no key types, no file, stock ULP")
def _():
    expect(os.path.exists("/proc/net/tls_hs_stat"), False)
    for kind in (CERT, PRIV):
        with raises(errno.ENODEV):
            add_key(kind, b"x", SESSION_KEYRING)
    with raises(errno.ENOTCONN):
        set_ulp(bound())
    stock_tls()


@case("twenty times in and out, with traffic between", limit=200)
def _():
    for number in range(20):
        load()
        ring = fresh_ring()
        server = listener(ring=ring)
        alone = refcount()
        for _ in range(3):
            _, conn, client = connected(server, context=CONTEXT)
            echo_check(conn, client)
            conn.close()
            client.close()
        expect(refcount(), alone, "references besides the listener's")
        pending = Client(server.getsockname(), context=CONTEXT)
        pending.sock.sendall(pending.produce()[: 100 * (number % 6)])
        stock_tls()
        server.close()
        pending.close()
        unload()
        stock_tls()


@case("connections outlive the listener, and hold the module")
def _():
    load()
    server, conn, client = connected(listener(ring=fresh_ring()), context=CONTEXT)
    server.close()
    time.sleep(0.5)
    expect_true(refcount() > 0, "nothing holds the module")
    expect_true(rmmod().returncode != 0, "removed under a connection")
    echo_check(conn, client)
    client.sock.sendall(client.close_notify())
    expect(conn.recv(1), b"")
    conn.close()
    unload()


@case("fallback connections outlive listener and module")
def _():
    load()
    server = listener(ring=fresh_ring())
    client = Client(server.getsockname(), groups="X448")
    hello = client.produce()
    client.sock.sendall(hello)
    conn, family = accept(server)
    expect(family, socket.AF_INET)
    server.close()
    wait_until(lambda: refcount() == 0, 10, "a fallback connection holds the module")
    unload()
    expect(conn.recv(65536), hello)


@case("rmmod is refused while there is a listener, or a handshake")
def _():
    load()
    server = listener(ring=fresh_ring())
    client = Client(server.getsockname(), context=CONTEXT)
    client.sock.sendall(client.produce())
    expect_true(rmmod().returncode != 0, "removed")
    client.handshake()
    expect(accept(server)[1], PF_TLS)
    server.close()
    unload()


@case("rmmod right after a listener with pending handshakes is closed", limit=60)
def _():
    for _ in range(5):
        load()
        server = listener(ring=fresh_ring())
        clients = [Client(server.getsockname(), context=CONTEXT) for _ in range(10)]
        for client in clients[::2]:
            client.sock.sendall(client.produce())
        for client in clients[::3]:
            client.sock.sendall(b"x")
        server.close()
        unload()
        for client in clients:
            read_to_end(client.sock)


@case("keys outlive the module as dead ones")
def _():
    load()
    ring = fresh_ring()
    unload()
    load()
    with raises(126):  # ENOKEY
        listener(ring=ring)
    connected(listener(ring=fresh_ring()), context=CONTEXT)


@case("a second insmod")
def _():
    expect_true(subprocess.run(["insmod", KO], stderr=subprocess.DEVNULL).returncode != 0, "loaded twice")
    connected(listener(ring=fresh_ring()), context=CONTEXT)
    unload()


@case("max_pending bounds the handshakes of a listener", limit=60)
def _():
    load(max_pending=3, handshake_timeout_ms=60000, idle_timeout_ms=0)
    server = listener(ring=fresh_ring())
    clients = [Client(server.getsockname(), context=CONTEXT) for _ in range(3)]
    before = counters()
    # TCP's handshake seems complete to the fourth client, but nobody answers it.
    fourth = Client(server.getsockname(), context=CONTEXT)
    fourth.sock.sendall(fourth.produce())
    fourth.sock.settimeout(1)
    try:
        fourth.sock.recv(1)
        raise Failure("the fourth is served")
    except TimeoutError:
        pass
    expect_true(counters()["pending_full"] > before["pending_full"], "not counted")
    expect(counters()["admitted"], before["admitted"])
    # There is room again: its ACK or its data come once more.
    clients[0].handshake()
    fourth.sock.settimeout(20)
    fourth.take()
    fourth.sock.sendall(fourth.last_flight())
    for _ in range(2):
        expect(accept(server)[1], PF_TLS)
    server.close()
    unload()


CLONE_NEWNET = 0x40000000


@case("network namespaces: counters of their own, and they end with handshakes pending", limit=60)
def _():
    load()
    before = counters()
    libc = ctypes.CDLL(None, use_errno=True)

    def child():
        expect(libc.unshare(CLONE_NEWNET), 0)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # /proc/net is this thread's namespace.
        expect(set(counters().values()), {0})
        server = listener(ring=fresh_ring())
        with counted(admitted=1, completed=1, accepted=1):
            _, conn, client = connected(server, context=CONTEXT)
        echo_check(conn, client)
        for number in range(5):
            pending = Client(server.getsockname(), context=CONTEXT)
            pending.sock.sendall(pending.produce()[: 200 * number])
            time.sleep(0.05)

    for _ in range(3):
        joined(forked(child))
    expect(counters(), before)
    unload()


if __name__ == "__main__":
    run(load_module=False)

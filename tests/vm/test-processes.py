#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
#
# Processes that share listeners and connections: the parent closes or dies at every stage while
# its children accept, and processes are killed in the middle of every call.

import os
import select
import signal
import socket
import time

from tls_life import *

CONTEXT = client_context()
OTHER = client_context(groups="X448")


def killed(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


# --- who has the listener -------------------------------------------------------


STAGES = ("before", "connected", "half a ClientHello", "answered", "complete", "fallback")


def begin(address, stage):
    """A client at this stage, and what it has to send then."""
    if stage == "fallback":
        client = Client(address, context=OTHER)
        client.rest = b""
        client.sock.sendall(client.produce())
        return client
    client = Client(address, context=CONTEXT)
    if stage == "half a ClientHello":
        client.rest = client.produce()
        client.sock.sendall(client.rest[:70])
        client.rest = client.rest[70:]
    elif stage == "answered":
        client.rest = client.last_flight()
    elif stage == "complete":
        client.handshake()
    return client


def finish(client, stage):
    if stage in ("half a ClientHello", "answered"):
        client.sock.sendall(client.rest)
    if stage != "answered":
        client.handshake()


def worker(server):
    """Accepts one connection and answers."""
    conn, family = accept(server)
    conn.sendall(b"%d" % family if family == PF_TLS else b"plain")
    conn.close()


@case("the parent closes the listener at every stage, a child accepts", limit=60)
def _():
    with nothing_left():
        for stage in STAGES:
            server = listener()
            address = server.getsockname()
            client = None if stage == "before" else begin(address, stage)
            pid = forked(lambda: worker(server))
            server.close()
            check(client or begin(address, "connected"), stage)
            joined(pid)


def check(client, stage):
    if stage == "fallback":
        expect(client.sock.recv(16), b"plain")
    else:
        finish(client, stage)
        expect(client.receive(16), b"%d" % PF_TLS)
    client.close()


@case("the parent is killed at every stage, its child accepts", limit=60)
def _():
    with nothing_left():
        for stage in STAGES:
            here, there = socket.socketpair()

            def parent():
                server = listener()
                there.sendall(b"%d" % server.getsockname()[1])
                # Not before the client is there.
                expect(there.recv(1), b"f")
                pid = forked(lambda: worker(server))
                there.sendall(b"%d" % pid)
                time.sleep(60)

            pid = forked(parent)
            address = ("127.0.0.1", int(here.recv(16)))
            client = None if stage == "before" else begin(address, stage)
            here.sendall(b"f")
            child = int(here.recv(16))
            killed(pid)
            check(client or begin(address, "connected"), stage)
            wait_until(lambda: not os.path.exists(f"/proc/{child}") or "State:\tZ" in status(child), 10)
            here.close()
            there.close()


def status(pid):
    try:
        with open(f"/proc/{pid}/status") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return "State:\tZ"


@case("of many who wait in accept() some are killed: no connection is lost", limit=60)
def _():
    with nothing_left():
        server = listener()
        address = server.getsockname()
        pids = [forked(lambda: worker(server)) for _ in range(12)]
        server.close()
        time.sleep(0.3)
        clients = [begin(address, "answered") for _ in range(6)]
        for pid in pids[:6]:
            killed(pid)
        for client in clients:
            client.sock.sendall(client.rest)
        for client in clients:
            expect(client.receive(16), b"%d" % PF_TLS)
            client.close()
        for pid in pids[6:]:
            joined(pid)


@case("the only one is killed in accept(), with clients at every stage", limit=60)
def _():
    for _ in range(3):
        with nothing_left():
            server = listener()
            address = server.getsockname()

            def serve():
                while True:
                    accept(server)

            clients = [begin(address, stage) for stage in STAGES[1:4]]
            pid = forked(serve)
            server.close()
            clients += [begin(address, stage) for stage in STAGES[1:]]
            killed(pid)
            for client in clients:
                ends(client.sock)


# --- who has a connection --------------------------------------------------------


def in_call(conn, call):
    """A process in a call on the connection, which nobody else has any more."""
    pid = forked(lambda: call(conn))
    conn.close()
    # It sleeps there.
    wait_until(lambda: "State:\tS" in status(pid), 10)
    time.sleep(0.2)
    return pid


def splice(conn):
    reader, writer = os.pipe()
    os.splice(conn.fileno(), writer, 100)
    os.read(reader, 1)


def sendfile(conn):
    with open("/proc/self/exe", "rb") as file:
        while True:
            os.sendfile(conn.fileno(), file.fileno(), 0, 1 << 20)


CALLS = {
    "recv": lambda conn: conn.recv(1),
    "recvmsg": lambda conn: conn.recvmsg(1, 64),
    "MSG_WAITALL": lambda conn: conn.recv(100, socket.MSG_WAITALL),
    "splice": splice,
    "send": lambda conn: conn.sendall(bytes(1 << 24)),
    "an open record": lambda conn: (conn.send(b"more", socket.MSG_MORE), conn.recv(1)),
    "sendfile": sendfile,
    "poll": lambda conn: select.select([conn], [], []),
}


@case("killed in the middle of every call: the client sees the end, nothing is left", limit=100)
def _():
    with nothing_left():
        server = listener()
        for name, call in CALLS.items():
            _, conn, client = connected(server, context=CONTEXT)
            if name == "MSG_WAITALL":
                client.send(b"some")
            pid = in_call(conn, call)
            killed(pid)
            ends(client.sock)
        server.close()


@case("two in calls on one connection, one of them is killed", limit=60)
def _():
    with nothing_left():
        server = listener()
        for name in ("recv", "send", "sendfile"):
            _, conn, client = connected(server, context=CONTEXT)
            pid = forked(lambda: CALLS[name](conn))
            wait_until(lambda: "State:\tS" in status(pid), 10)
            time.sleep(0.2)
            killed(pid)
            if name == "recv":
                echo_check(conn, client)
            else:
                # What was written, and one record more: in order, or cut where it was killed.
                writer = Background(conn.sendall, b"end")
                while not client.receive(65536).endswith(b"end"):
                    pass
                writer.result()
            conn.close()
            client.close()
        server.close()


@case("fork() with connections: each side closes at any time", limit=60)
def _():
    with nothing_left():
        server = listener()
        for parent_first in (True, False):
            _, conn, client = connected(server, context=CONTEXT)
            here, there = socket.socketpair()

            def child():
                there.recv(1)
                expect(conn.recv(4), b"ping")
                conn.sendall(b"pong")

            pid = forked(child)
            if parent_first:
                conn.close()
            client.send(b"ping")
            here.send(b"x")
            expect(client.receive(4), b"pong")
            joined(pid)
            if not parent_first:
                # The child's end did not end the connection.
                echo_check(conn, client)
                conn.close()
            expect(client.receive(1), b"")
            client.close()
        server.close()


@case("a shutdown() in one process is one for all", limit=60)
def _():
    with nothing_left():
        server = listener()
        _, conn, client = connected(server, context=CONTEXT)
        joined(forked(lambda: conn.shutdown(socket.SHUT_WR)))
        expect(client.receive(1), b"")
        client.send(b"still")
        expect(conn.recv(5), b"still")
        conn.close()
        client.close()
        waiter = Background(lambda: server.accept())
        time.sleep(0.2)
        joined(forked(lambda: server.shutdown(socket.SHUT_RDWR)))
        with raises(22):
            waiter.result()
        server.close()


if __name__ == "__main__":
    run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# Network namespaces come to their end: with everything that a server can have, with a file
# descriptor in a process elsewhere that keeps them, with their devices taken away.

import contextlib
import os
import socket
import subprocess
import time

from tls_life import *

CONTEXT = client_context()
OTHER = client_context(groups="X448")
LONG = 60000


def enter():
    """This process goes into a new namespace."""
    os.unshare(os.CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def stuff(sock):
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))
    sock.setblocking(True)


def everything(server):
    """A connection of every kind; the clients', and the accepted ones."""
    address = server.getsockname()
    clients = [Client(address, context=CONTEXT) for _ in range(9)]
    for client in clients[:2]:
        client.handshake()
    conns = [accept(server)[0] for _ in range(2)]
    # An orphan, with data that it can't get rid of.
    stuff(conns.pop())
    clients[3].sock.sendall(clients[3].produce()[:100])
    clients[4].last_flight()
    # On the accept queue.
    clients[5].handshake()
    clients[6].handshake()
    clients[6].send(b"unread")
    other = Client(address, context=OTHER)
    other.sock.sendall(other.produce())
    # In TIME_WAIT, and half closed.
    clients[7].handshake()
    clients[8].handshake()
    clients[8].sock.shutdown(socket.SHUT_WR)
    wait_until(lambda: in_use()["pending"] >= 8, 10, "all are there")
    return clients + [other], conns


@case("with listeners and connections of every kind, the last process exits", limit=100)
def _():
    for family in (socket.AF_INET, socket.AF_INET6):
        with nothing_left():

            def child():
                enter()
                kept = everything(listener(family, ring=host()))
                expect(len(kept), 2)

            for _ in range(3):
                joined(forked(child))


@case("that, and the module is removed right afterwards", limit=60)
def _():
    for _ in range(3):

        def child():
            enter()
            everything(listener(ring=host()))

        joined(forked(child))
        unload()
        start()


@case("the last process is killed while handshakes wait for the thread", limit=60)
def _():
    with nothing_left(), sysctl_set("net.tls_hs.mode", 1):
        for _ in range(3):
            reader, writer = os.pipe()

            def child():
                enter()
                server = listener(ring=host(), backlog=128)
                clients = [Client(server.getsockname(), context=CONTEXT) for _ in range(40)]
                hellos = [client.produce() for client in clients]
                os.write(writer, b"x")
                for client, hello in zip(clients, hellos):
                    client.sock.sendall(hello)
                time.sleep(60)

            pid = forked(child)
            os.read(reader, 1)
            time.sleep(0.05)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(reader)
            os.close(writer)


def sent_from_a_namespace(make):
    """File descriptors of sockets that a process has made in a namespace of its own, which has no
    process any more."""
    here, there = socket.socketpair()

    def child():
        enter()
        made = make()
        socket.send_fds(there, [b"x"], [sock.fileno() for sock in made])

    pid = forked(child)
    _, fds, _, _ = socket.recv_fds(here, 1, 16)
    joined(pid)
    here.close()
    there.close()
    return [socket.socket(fileno=fd) for fd in fds]


@case("a listener that is left over: it goes on, and the namespace with it", limit=60)
def _():
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with nothing_left():
            # Sockets that are not connected yet are the only way to come there.
            server, *socks = sent_from_a_namespace(
                lambda: [listener(family, ring=host())] + [socket.socket(family) for _ in range(6)]
            )
            before = counters()
            clients = []
            for sock in socks:
                sock.settimeout(20)
                sock.connect((address, server.getsockname()[1]))
                clients.append(Client(None, context=CONTEXT, sock=sock))
            clients[0].handshake()
            conn, kind = accept(server)
            expect(kind, PF_TLS)
            echo_check(conn, clients[0])
            clients[1].handshake()
            clients[2].last_flight()
            clients[3].sock.sendall(clients[3].produce()[:50])
            expect(counters(), before, "counters of this namespace")
            expect(in_use(), {"listeners": 1, "pending": 5, "connections": 1})
            server.close()
            for client in clients[1:]:
                ends(client.sock)
            # Now the connection alone keeps it.
            echo_check(conn, clients[0])
            stuff(conn)
            conn.close()
            clients[0].close()


@case("a connection is left over, with an open record", limit=60)
def _():
    with nothing_left():

        def make():
            _, conn, client = connected(listener(ring=host()), context=CONTEXT)
            conn.send(b"an open ", socket.MSG_MORE)
            make.kept = client
            return [conn, client.sock]

        conn, peer = sent_from_a_namespace(make)
        conn.sendall(b"record")
        expect_true(peer.recv(65536)[:1] == b"\x17", "a record")
        conn.shutdown(socket.SHUT_WR)
        expect_true(len(peer.recv(65536)) > 5, "close_notify")
        conn.close()
        peer.close()


# --- devices ---------------------------------------------------------------------


@contextlib.contextmanager
def wire():
    """This process is in a namespace with a wire to another, which is that of a file descriptor."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter()
    near = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter()
    far = os.open("/proc/self/ns/net", os.O_RDONLY)
    subprocess.run(["ip", "link", "add", "hs0", "type", "veth", "peer", "name", "hs1"], check=True)
    subprocess.run(["ip", "link", "set", "hs0", "netns", f"/proc/self/fd/{near}"], check=True, pass_fds=[near])
    for fd, device, end in ((far, "hs1", 2), (near, "hs0", 1)):
        os.setns(fd, os.CLONE_NEWNET)
        for address in (f"10.8.0.{end}/24", f"fd08::{end}/64"):
            option = ["nodad"] if ":" in address else []
            subprocess.run(["ip", "address", "add", address, "dev", device, *option], check=True)
        subprocess.run(["ip", "link", "set", device, "up"], check=True)
        # Nobody will answer.
        sysctl("net.ipv4.tcp_orphan_retries", 1)
        sysctl("net.ipv4.tcp_retries2", 2)
    try:
        yield near, far
    finally:
        os.setns(home, os.CLONE_NEWNET)
        for fd in (home, near, far):
            with contextlib.suppress(OSError):
                os.close(fd)


@case("the device is taken away in the middle of handshakes and connections", limit=100)
def _():
    ring = host()
    for family, address in ((socket.AF_INET, "10.8.0.1"), (socket.AF_INET6, "fd08::1")):
        with nothing_left():
            with wire() as (near, far):
                sysctl("net.tls_hs.handshake_timeout_ms", 2000)
                server = listener(family, address, ring=ring, backlog=64)
                to = server.getsockname()
                os.setns(far, os.CLONE_NEWNET)
                clients = [Client(to, context=CONTEXT) for _ in range(8)]
                clients[0].handshake()
                conn, kind = accept(server)
                expect(kind, PF_TLS)
                clients[1].last_flight()
                clients[2].sock.sendall(clients[2].produce()[:100])
                # On the accept queue.
                clients[3].handshake()
                # The server's flight has nowhere to go.
                hellos = [client.produce() for client in clients]
                os.setns(near, os.CLONE_NEWNET)
                before = counters()
                subprocess.run(["ip", "link", "delete", "hs0"], check=True)
                with contextlib.suppress(OSError):
                    stuff(conn)
                for client, hello in zip(clients[4:], hellos[4:]):
                    with contextlib.suppress(OSError):
                        client.sock.sendall(hello)
                waiting = wait_until(lambda: counters()["timeout"] - before["timeout"] == 6, 20, "timeouts")
                expect(waiting, True)
                # What was complete is there still, and can't be reached.
                second, kind = accept(server)
                expect(kind, PF_TLS)
                with contextlib.suppress(OSError):
                    second.sendall(b"into the void")
                for each in (conn, second, server, *(client.sock for client in clients)):
                    each.close()


@case("the peer's namespace ends in the middle of handshakes and connections", limit=100)
def _():
    ring = host()
    for family, address in ((socket.AF_INET, "10.8.0.1"), (socket.AF_INET6, "fd08::1")):
        with nothing_left(), wire() as (near, far):
            sysctl("net.tls_hs.handshake_timeout_ms", 2000)
            server = listener(family, address, ring=ring, backlog=64)
            to = server.getsockname()

            def peer():
                os.setns(far, os.CLONE_NEWNET)
                clients = [Client(to, context=CONTEXT) for _ in range(6)]
                clients[0].handshake()
                clients[1].handshake()
                clients[2].last_flight()
                clients[3].sock.sendall(clients[3].produce()[:100])
                # Dies without a word.
                subprocess.run(["ip", "link", "set", "hs1", "down"], check=True)

            before = counters()
            joined(forked(peer))
            os.close(far)
            conn, kind = accept(server)
            expect(kind, PF_TLS)
            stuff(conn)
            wait_until(lambda: counters()["timeout"] - before["timeout"] == 4, 20, "timeouts")
            conn.close()
            server.close()


def start():
    load(handshake_timeout_ms=LONG, idle_timeout_ms=0)


if __name__ == "__main__":
    start()
    run(load_module=False)

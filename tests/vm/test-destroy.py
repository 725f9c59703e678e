#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# An administrator ends sockets (SOCK_DESTROY, ss --kill) in whatever state they are: listeners,
# handshakes, connections before and after accept(), of IPv4, IPv6, and IPv4 at an IPv6 socket.

import contextlib
import errno
import select
import socket
import struct
import subprocess
import threading
import time

from tls_life import *

CONTEXT = client_context()
OTHER = client_context(groups="X448")
MIGRATE = "net.ipv4.tcp_migrate_req"
LONG = 60000

# Family of the listener, its address, that which clients connect to.
ENDS = (
    (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
    (socket.AF_INET6, "::1", "::1"),
    (socket.AF_INET6, "::", "127.0.0.1"),
)


def each_end(**options):
    for family, address, to in ENDS:
        server = listener(family, address, **options)
        yield server, (to, server.getsockname()[1])


def kill(address, *what):
    """Ends the server's sockets at this port."""
    ss_kill(*what, "sport", "=", f":{address[1]}")


def kill_one(client):
    """Ends the server's side of one connection."""
    port = client.sock.getpeername()[1]
    ss_kill("sport", "=", f":{port}", "and", "dport", "=", f":{client.sock.getsockname()[1]}")


def silent(address):
    return Client(address, context=CONTEXT)


def in_part(address):
    client = Client(address, context=CONTEXT)
    client.sock.sendall(client.produce()[:100])
    return client


def answered(address):
    """A client that has the server's flight; and its own, unsent."""
    client = Client(address, context=CONTEXT)
    client.flight = client.last_flight()
    return client


def complete(address):
    return Client(address, context=CONTEXT).handshake()


def fallback(address):
    client = Client(address, context=OTHER)
    client.hello = client.produce()
    client.sock.sendall(client.hello)
    return client


def queued(server, client):
    wait_until(lambda: ready(server))
    return client


STAGES = (silent, in_part, answered)


@case("handshakes, one after another", limit=60)
def _():
    with nothing_left():
        for server, address in each_end():
            for stage in STAGES:
                client, other = stage(address), stage(address)
                with counted(failed=1, peer_reset=1):
                    kill_one(client)
                ends(client.sock)
                # The others go on.
                other.close()
                connected(server, sock=tcp_connect(address), context=CONTEXT)
            server.close()


@case("requests whose three-way handshake is not over", limit=60)
def _():
    with nothing_left():
        for server, address in each_end(options=[(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 20)]):
            client = silent(address)
            kill(address, "state", "syn-recv")
            # Nobody knows the client any more.
            with counted():
                client.sock.sendall(client.produce())
                ends(client.sock)
            connected(server, sock=tcp_connect(address), context=CONTEXT)
            server.close()


@case("complete ones on the accept queue: accept() says ECONNABORTED", limit=60)
def _():
    with nothing_left():
        for server, address in each_end():
            client = queued(server, complete(address))
            client.send(b"before")
            kill_one(client)
            ends(client.sock)
            with raises(errno.ECONNABORTED):
                server.accept()
            expect(ready(server), False)
            connected(server, sock=tcp_connect(address), context=CONTEXT)
            server.close()


@case("fallbacks on the accept queue: as without TLS_HS", limit=60)
def _():
    with nothing_left():
        for server, address in each_end():
            plain = bound(server.family, "127.0.0.1" if server.family == socket.AF_INET else "::")
            plain.listen()
            outcomes = []
            for sock, client in (
                (server, fallback(address)),
                (plain, fallback((address[0], plain.getsockname()[1]))),
            ):
                kill_one(queued(sock, client))
                ends(client.sock)
                conn, family = accept(sock)
                expect(family, server.family)
                try:
                    outcomes.append(len(conn.recv(65536)))
                except OSError as error:
                    outcomes.append(error.errno)
                conn.close()
            expect(outcomes[0], outcomes[1])
            server.close()
            plain.close()


def accepted(server, address):
    client = complete(address)
    conn, family = accept(server)
    expect(family, PF_TLS)
    return conn, client


def stuffed(conn):
    """Writes until the client's window and the send buffer are full."""
    conn.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            conn.send(bytes(65536))
    conn.setblocking(True)


@case("accepted ones: idle, with data to read, with data to send, half closed by either side", limit=60)
def _():
    def unread(conn, client):
        client.send(b"unread")
        wait_until(lambda: ready(conn))

    def peer_shut(conn, client):
        client.sock.sendall(client.close_notify())
        client.sock.shutdown(socket.SHUT_WR)
        expect(conn.recv(1), b"")

    ways = {
        "idle": lambda conn, client: None,
        "unread": unread,
        "stuffed": lambda conn, client: stuffed(conn),
        "SHUT_WR": lambda conn, client: conn.shutdown(socket.SHUT_WR),
        "SHUT_RD": lambda conn, client: conn.shutdown(socket.SHUT_RD),
        "stuffed, then SHUT_WR": lambda conn, client: (stuffed(conn), conn.settimeout(1), quietly(conn.shutdown, socket.SHUT_WR)),
        "an open record": lambda conn, client: conn.send(b"more", socket.MSG_MORE),
        "corked": lambda conn, client: (conn.setsockopt(socket.SOL_TCP, socket.TCP_CORK, 1), conn.send(b"corked")),
        "shut by the peer": peer_shut,
    }
    with nothing_left():
        for server, address in each_end():
            for name, way in ways.items():
                conn, client = accepted(server, address)
                way(conn, client)
                kill_one(client)
                conn.settimeout(5)
                outcomes = [quietly(conn.recv, 65536), quietly(conn.recv, 65536), quietly(conn.send, b"x")]
                expect_true(outcomes[2] in (errno.EPIPE, errno.ECONNABORTED), f"{name}: {outcomes}")
                ends(client.sock)
                conn.close()
            server.close()


def quietly(function, *arguments):
    """What a call returns, or its error number."""
    try:
        return function(*arguments)
    except OSError as error:
        return error.errno


@case("accepted ones in which a process waits", limit=60)
def _():
    waits = {
        "read": lambda conn: quietly(conn.recv, 1),
        "write": lambda conn: quietly(conn.sendall, bytes(1 << 24)),
        "poll": lambda conn: bool(select.select([conn], [], [], 10)[0]),
    }
    with nothing_left():
        for server, address in each_end():
            for name, wait in waits.items():
                conn, client = accepted(server, address)
                conn.settimeout(None)
                waiter = Background(wait, conn)
                time.sleep(0.2)
                kill_one(client)
                outcome = waiter.result()
                expect_true(outcome in (errno.ECONNABORTED, errno.EPIPE, True), f"{name}: {outcome}")
                ends(client.sock)
                conn.close()
            server.close()


@case("a listener: its accept queue ends, handshakes when they are over; it can listen again", limit=60)
def _():
    with nothing_left():
        for server, address in each_end():
            done, refused = queued(server, complete(address)), fallback(address)
            pending = [stage(address) for stage in STAGES]
            last = answered(address)
            wait_until(lambda: in_use()["pending"] == 6)
            time.sleep(0.1)
            kill(address, "-l")
            for client in (done, refused):
                ends(client.sock)
            with raises(errno.EINVAL):
                server.accept()
            # One more meets a socket that does not listen.
            with counted(completed=1, listener_closed=1):
                last.sock.sendall(last.flight)
                ends(last.sock)
            # The rest meets one that does.
            server.listen()
            with counted(completed=1, accepted=1):
                pending[2].sock.sendall(pending[2].flight)
                expect(accept(server)[1], PF_TLS)
            with counted(failed=2, listener_closed=2):
                server.close()
            for client in pending:
                ends(client.sock)


@case("a listener in whose accept() and poll() processes wait", limit=60)
def _():
    with nothing_left():
        for server, address in each_end():
            waiters = [Background(quietly, server.accept) for _ in range(2)]
            poller = Background(select.select, [server], [], [], 10)
            time.sleep(0.2)
            kill(address, "-l")
            for waiter in waiters:
                expect(waiter.result(), errno.EINVAL)
            poller.result()
            server.close()


@case("a listener whose group has one without TLS_HS: what stock gives to that does no harm", limit=60)
def _():
    option = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
    with nothing_left(), sysctl_set(MIGRATE, 1):
        server = listener(options=option)
        address = server.getsockname()
        done, refused = queued(server, complete(address)), fallback(address)
        done.send(b"encrypted")
        time.sleep(0.1)
        plain = bound(port=address[1], options=option)
        plain.listen()
        abort_listener(server)
        for _ in range(2):
            conn, family = accept(plain)
            # Stock's: TLS is the program's affair.
            expect(family, socket.AF_INET)
            expect_true(len(conn.recv(65536)) > 0, "no data")
            quietly(set_ulp, conn)
            quietly(conn.setsockopt, SOL_TLS, TLS_TX, bytes(40))
            subprocess.run(["ss", "-tnaieOH"], check=True, stdout=subprocess.DEVNULL)
            conn.close()
        for client in (done, refused):
            ends(client.sock)
        server.close()
        plain.close()


@case("everything is ended all the time while listeners come and go", limit=150)
def _():
    seconds = 12
    for family, address, to in ENDS:
        option = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
        with nothing_left(), sysctl_set(MIGRATE, 1), sysctl_set("net.ipv4.tcp_max_tw_buckets", 0):
            anchor = listener(family, address, options=option)
            port = anchor.getsockname()[1]
            stop = threading.Event()
            served = [0]

            def come(context):
                while not stop.is_set():
                    try:
                        client = Client((to, port), context=context)
                        client.sock.settimeout(0.5)
                        client.handshake()
                        client.send(b"hello")
                        client.receive(5)
                        served[0] += 1
                    except (OSError, Failure):
                        pass
                    client.close()

            def serve():
                sock = anchor
                while not stop.is_set():
                    try:
                        sock.settimeout(0.1)
                        conn, _ = accept(sock)
                        conn.settimeout(0.2)
                        quietly(conn.sendall, b"hello")
                        conn.close()
                    except OSError as error:
                        if error.errno == errno.EINVAL:
                            sock.close()
                            sock = listener(family, address, port=port, options=option)
                sock.close()

            def end():
                while not stop.is_set():
                    kill((to, port))
                    time.sleep(0.02)

            def come_and_go():
                while not stop.is_set():
                    other = listener(family, address, port=port, options=option)
                    time.sleep(0.03)
                    other.close()

            before = counters()
            threads = [Background(come, CONTEXT) for _ in range(3)] + [Background(come, OTHER)]
            threads += [Background(serve), Background(end), Background(come_and_go)]
            time.sleep(seconds)
            stop.set()
            for thread in threads:
                thread.result()
            print(f"# {to} at {address}: {served[0]} served, {growth(before)}")
            expect_true(growth(before).get("admitted", 0) > 20, growth(before))


if __name__ == "__main__":
    load(handshake_timeout_ms=LONG, idle_timeout_ms=0)
    run(load_module=False)

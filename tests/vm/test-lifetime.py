#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# How sockets end, and whose they are meanwhile: listeners that are shut down, accept()
# that fails in the middle, connections that TCP goes on with after close(), sockets in
# flight. Nothing may be left.

import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

from tls_life import *

CONTEXT = client_context()
libc = ctypes.CDLL(None, use_errno=True)
E = errno


def complete(server):
    client = Client(server.getsockname(), context=CONTEXT).handshake()
    wait_until(lambda: ready(server))
    return client


# --- the listener ---


@case("shutdown() of a listener ends its connections, and it can listen again")
def _():
    for family in (socket.AF_INET, socket.AF_INET6):
        server = listener(family)
        for how in (socket.SHUT_RD, socket.SHUT_RDWR):
            half = Client(server.getsockname(), context=CONTEXT)
            half.last_flight()
            done = complete(server)
            with counted(failed=1, listener_closed=2):
                server.shutdown(how)
            ends(half.sock)
            ends(done.sock)
            expect(in_use()["pending"], 0)
            with raises(E.EINVAL):
                server.accept()
            server.listen()
            connected(server, context=CONTEXT)
        server.shutdown(socket.SHUT_WR)
        connected(server, context=CONTEXT)
        with raises(E.EINVAL):
            server.shutdown(3)
        # Another address for the same socket.
        expect(libc.connect(server.fileno(), bytes(128), 16), 0)
        with raises(E.EINVAL):
            server.accept()
        server.listen()
        connected(server, context=CONTEXT)
        server.close()
    unused()


@case("close() of a listener in whose accept() another thread waits")
def _():
    server = listener()
    waiter = Background(accept, server)
    time.sleep(0.2)
    address = server.getsockname()
    fd = server.detach()
    os.close(fd)
    # accept() has a reference of its own: the listener goes on for one connection.
    client = Client(address, context=CONTEXT).handshake()
    conn, family = waiter.result()
    expect(family, PF_TLS)
    echo_check(conn, client)
    wait_until(lambda: in_use()["listeners"] == 0)
    conn.close()
    unused()


@case("shutdown() and listen() of one socket by several threads, in a group that migrates", limit=60)
def _():
    with sysctl_set("net.ipv4.tcp_migrate_req", 1):
        server = bound(options=[(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)])
        set_ulp(server)
        server.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
        address, stop = server.getsockname(), threading.Event()

        def until_stopped(call):
            while not stop.is_set():
                try:
                    call()
                except OSError:
                    pass

        def client():
            with socket.create_connection(address, 5) as sock:
                sock.settimeout(0.05)
                sock.sendall(b"\x16")
                sock.recv(1)

        calls = [lambda: server.shutdown(socket.SHUT_RD)] * 3 + [lambda: server.listen(50)] * 2 + [client] * 3
        threads = [Background(until_stopped, call) for call in calls]
        time.sleep(5)
        stop.set()
        for thread in threads:
            thread.result()
        server.listen()
        connected(server, context=CONTEXT)
        server.close()
    unused()


@case("a connect() that was under way when the socket got TLS_HS", limit=60)
def _():
    # To an IPv4 address: TCP then takes other operations for the socket.
    target = bound()
    target.listen(1000)
    address = ("::ffff:127.0.0.1", target.getsockname()[1])
    made, ring = 0, host()
    for _ in range(300):
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.settimeout(5)
        there = Background(sock.connect, address)
        try:
            set_ulp(sock)
            sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(ring))
            made += 1
        except OSError as error:
            expect_true(error.errno in (E.EISCONN, E.ENOTCONN, E.ENOPROTOOPT, E.EINPROGRESS), str(error))
        try:
            there.result()
        except (OSError, Failure):
            pass
        sock.close()
    print(f"# {made} of them got it")
    target.close()
    unused()


# --- accept() that fails ---


@case("accept() without a free descriptor: EMFILE, and nothing is lost")
def _():
    server = listener()
    client = complete(server)

    def child():
        resource.setrlimit(resource.RLIMIT_NOFILE, (server.fileno() + 1, server.fileno() + 1))
        taken = []
        with raises(E.EMFILE):
            while True:
                taken.append(os.dup(0))
        with raises(E.EMFILE):
            server.accept()

    joined(forked(child))
    conn, family = accept(server)
    expect(family, PF_TLS)
    echo_check(conn, client)
    conn.close()
    server.close()
    unused()


@case("accept() with an address that can't be written: EFAULT, the connection is closed")
def _():
    server = listener()
    for groups in (None, "X448"):
        client = Client(server.getsockname(), groups=groups or "prime256v1")
        if groups:
            client.sock.sendall(client.produce())
        else:
            client.handshake()
        wait_until(lambda: ready(server))
        size = ctypes.c_uint(16)
        expect(libc.accept(server.fileno(), ctypes.c_void_p(8), ctypes.byref(size)), -1)
        expect(ctypes.get_errno(), E.EFAULT)
        ends(client.sock)
        expect(in_use(), {"listeners": 1, "pending": 0, "connections": 0})
    # A length that can't be read, or is none.
    complete(server)
    buffer = ctypes.create_string_buffer(16)
    expect(libc.accept(server.fileno(), buffer, ctypes.c_void_p(8)), -1)
    expect(ctypes.get_errno(), E.EFAULT)
    complete(server)
    expect(libc.accept(server.fileno(), buffer, ctypes.byref(ctypes.c_int(-1))), -1)
    expect(ctypes.get_errno(), E.EINVAL)
    server.close()
    unused()


class Interrupted(Exception):
    pass


@case("accept() that a signal interrupts")
def _():
    server = listener()

    def handler(_signal, _frame):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for _ in range(3):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            try:
                server.accept()
                raise Failure("accepted nothing")
            except Interrupted:
                pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    connected(server, context=CONTEXT)
    server.close()
    unused()


# --- after close() ---


@case("TIME_WAIT and orphans do not need the module")
def _():
    server, conn, client = connected(context=CONTEXT)
    address = server.getsockname()
    # More than the client's window takes: an orphan with data, and close_notify behind it.
    size = 0
    conn.setblocking(False)
    try:
        while True:
            size += conn.send(bytes(65536))
    except BlockingIOError:
        pass
    conn.close()
    # This one ends in TIME_WAIT, since the server closes first.
    _, second, other = connected(server, context=CONTEXT)
    second.close()
    expect(other.receive(), b"")
    other.close()
    # FIN_WAIT2: the client does not close.
    _, third, silent = connected(server, context=CONTEXT)
    third.close()
    server.close()
    unused()
    unload()
    port = f":{address[1]}"
    states = subprocess.run(["ss", "-tanOH", "sport", "=", port], capture_output=True, text=True, check=True).stdout
    for state in ("FIN-WAIT-1", "TIME-WAIT", "FIN-WAIT-2"):
        expect_true(state in states, f"{state}: {states}")
    got = len(client.receive_exactly(size))
    expect(got, size, "data of the orphan")
    ss_kill("state", "time-wait", "sport", "=", port)
    ss_kill("state", "fin-wait-2", "sport", "=", port)
    silent.close()
    load()


# --- sockets on the way ---


@case("sockets in flight to nobody: what was in the message is closed")
def _():
    for _ in range(3):
        server, conn, client = connected(listener(ring=host()), context=CONTEXT)
        half = Client(server.getsockname(), context=CONTEXT)
        half.sock.sendall(half.produce())
        here, there = socket.socketpair()
        # Each end is in flight through itself: only the garbage collector finds that.
        socket.send_fds(here, [b"x"], [server.fileno(), conn.fileno(), there.fileno(), here.fileno()])
        socket.send_fds(there, [b"x"], [server.fileno(), here.fileno(), there.fileno()])
        server.close()
        conn.close()
        echo = in_use()
        expect((echo["listeners"], echo["connections"]), (1, 1))
        here.close()
        there.close()
        # The collector runs when UNIX sockets are made or closed.
        socket.socketpair()[0].close()
        unused()
        ends(client.sock)
        ends(half.sock)


@case("nothing of all this is left")
def _():
    unused()
    unload()
    load()


if __name__ == "__main__":
    run()

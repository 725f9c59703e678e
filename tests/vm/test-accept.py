#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Every way to wait for a connection and to accept it, and what listening sockets
# can do besides.

import array
import ctypes
import errno
import os
import select
import socket
import struct
import subprocess
import time

from tls_hs import *

CONTEXT = client_context()


def started(server):
    """A client that has sent its ClientHello, and its last flight, unsent."""
    client = Client(server.getsockname(), context=CONTEXT)
    return client, client.last_flight()


# --- waiting ---


@case("poll, select and epoll: silent until the handshake is complete")
def _():
    server = listener()
    poll = select.poll()
    poll.register(server, select.POLLIN)
    level, edge = select.epoll(), select.epoll()
    level.register(server, select.EPOLLIN)
    edge.register(server, select.EPOLLIN | select.EPOLLET)

    def events():
        return (
            bool(poll.poll(0)),
            bool(select.select([server], [], [], 0)[0]),
            bool(level.poll(0)),
            bool(edge.poll(0)),
        )

    nothing = (False,) * 4
    expect(events(), nothing, "before")
    sock = tcp_connect(server.getsockname())
    time.sleep(0.1)
    expect(events(), nothing, "after TCP's handshake")
    client = Client(None, context=CONTEXT, sock=sock)
    flight = client.last_flight()
    time.sleep(0.1)
    expect(events(), nothing, "after the server's flight")
    client.sock.sendall(flight[:-1])
    time.sleep(0.1)
    expect(events(), nothing, "before the last byte")
    client.sock.sendall(flight[-1:])
    wait_until(lambda: ready(server))
    expect(events(), (True,) * 4, "complete")
    expect(events(), (True, True, True, False), "the edge has been")
    expect(accept(server)[1], PF_TLS)
    expect(events(), nothing, "accepted")


@case("edge-triggered epoll: an event for each connection")
def _():
    server = listener()
    epoll = select.epoll()
    epoll.register(server, select.EPOLLIN | select.EPOLLET)
    event = [(server.fileno(), select.EPOLLIN)]
    for _ in range(3):
        client, flight = started(server)
        expect(epoll.poll(0.05), [], "mid handshake")
        client.sock.sendall(flight)
        expect(epoll.poll(5), event)
        expect(epoll.poll(0.05), [], "a second event")
        expect(accept(server)[1], PF_TLS)
    # The same with the first one still in the queue.
    clients = []
    for _ in range(3):
        client, flight = started(server)
        epoll.poll(0.05)
        client.sock.sendall(flight)
        expect(epoll.poll(5), event, "with others in the queue")
        clients.append(client)
    for _ in clients:
        expect(accept(server)[1], PF_TLS)
    expect(epoll.poll(0.05), [])


@case("epoll_wait() in progress is woken")
def _():
    server = listener()
    epoll = select.epoll()
    epoll.register(server, select.EPOLLIN)
    waiter = Background(epoll.poll, 10)
    client = Client(server.getsockname(), context=CONTEXT).handshake()
    expect(waiter.result(), [(server.fileno(), select.EPOLLIN)])
    client.close()


@case("accept() in progress is woken by the end of the handshake, not before")
def _():
    server = listener()
    waiter = Background(accept, server)
    client, flight = started(server)
    time.sleep(0.2)
    expect_true(waiter._thread.is_alive(), "accept() returned in mid handshake")
    client.sock.sendall(flight)
    conn, family = waiter.result()
    expect(family, PF_TLS)
    echo_check(conn, client)


@case("several threads in accept(): each gets one connection")
def _():
    server = listener()
    waiters = [Background(accept, server) for _ in range(5)]
    clients = [Client(server.getsockname(), context=CONTEXT).handshake() for _ in waiters]
    for waiter in waiters:
        expect(waiter.result()[1], PF_TLS)
    expect(ready(server), False)
    expect(len(clients), 5)


@case("a non-blocking accept(): EAGAIN until the handshake is complete")
def _():
    server = listener()
    server.setblocking(False)
    with raises(errno.EAGAIN):
        server.accept()
    client, flight = started(server)
    with raises(errno.EAGAIN):
        server.accept()
    client.sock.sendall(flight)
    wait_until(lambda: ready(server))
    expect(accept(server)[1], PF_TLS)
    with raises(errno.EAGAIN):
        server.accept()


@case("SO_RCVTIMEO ends accept()")
def _():
    server = listener()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 200000))
    started(server)
    with raises(errno.EAGAIN):
        server.accept()


# --- accept() itself ---


@case("flags of accept4(), and accept() without an address")
def _():
    libc = ctypes.CDLL(None, use_errno=True)
    server = listener()
    for flags in (0, socket.SOCK_NONBLOCK, socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC):
        client = Client(server.getsockname(), context=CONTEXT).handshake()
        fd = libc.accept4(server.fileno(), None, None, flags)
        expect_true(fd >= 0, os.strerror(ctypes.get_errno()))
        expect(os.get_blocking(fd), not flags & socket.SOCK_NONBLOCK)
        expect(os.get_inheritable(fd), not flags & socket.SOCK_CLOEXEC)
        conn = socket.socket(fileno=fd)
        conn.setblocking(True)
        echo_check(conn, client)
    expect(libc.accept4(server.fileno(), None, None, 1), -1)
    expect(ctypes.get_errno(), errno.EINVAL)


@case("a short address buffer gets as much as it holds")
def _():
    libc = ctypes.CDLL(None, use_errno=True)
    server = listener()
    client = Client(server.getsockname(), context=CONTEXT).handshake()
    buffer = (ctypes.c_ubyte * 16)(*[0xAA] * 16)
    size = ctypes.c_uint(2)
    fd = libc.accept(server.fileno(), buffer, ctypes.byref(size))
    expect_true(fd >= 0, "accept")
    expect(bytes(buffer[:4]), struct.pack("=H", PF_TLS) + b"\xaa\xaa")
    expect(size.value, 16)
    os.close(fd)
    client.close()


@case("io_uring: accept, receive, send")
def _():
    server = listener()
    os.set_inheritable(server.fileno(), True)
    for early in (False, True):
        if early:
            client = Client(server.getsockname(), context=CONTEXT).handshake()
        command = ["./io_uring_accept", str(server.fileno())]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, close_fds=False)
        if not early:
            time.sleep(0.3)
            client = Client(server.getsockname(), context=CONTEXT).handshake()
        client.send(b"through the ring")
        expect(client.receive(), b"through the ring")
        expect(process.communicate(timeout=10)[0], b"%d 16\n" % PF_TLS)
        expect(process.returncode, 0)


@case("io_uring: what fell back can send without a copy")
def _():
    server = listener()
    os.set_inheritable(server.fileno(), True)
    client = Client(server.getsockname(), groups="X448")
    hello = client.produce()
    client.sock.sendall(hello)
    command = ["./io_uring_accept", str(server.fileno())]
    output = subprocess.run(command, stdout=subprocess.PIPE, close_fds=False, timeout=10, check=True).stdout
    expect(output, b"%d %d\n" % (socket.AF_INET, len(hello)))
    expect(receive_exactly(client.sock, len(hello)), hello)


@case("a listener handed to another process, a connection handed on")
def _():
    server = listener()
    here, there = socket.socketpair()

    def child():
        # It knows of the listener by the message only.
        server.close()
        _, control, _, _ = there.recvmsg(1, 64)
        passed = socket.socket(fileno=array.array("i", control[0][2])[0])
        conn, family = accept(passed)
        rights = array.array("i", [conn.fileno()])
        there.sendmsg([bytes([family])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    pid = forked(child)
    rights = array.array("i", [server.fileno()])
    here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    client = Client(server.getsockname(), context=CONTEXT)
    client.handshake()
    message, control, _, _ = here.recvmsg(1, 64)
    joined(pid)
    expect(message, bytes([PF_TLS]))
    echo_check(socket.socket(fileno=array.array("i", control[0][2])[0]), client)


@case("four processes that fork()ed with the listener")
def _():
    server = listener()

    def child():
        for _ in range(5):
            conn, family = accept(server)
            conn.sendall(bytes([family]))
            conn.close()

    pids = [forked(child) for _ in range(4)]
    for _ in range(20):
        client = Client(server.getsockname(), context=CONTEXT).handshake()
        expect(client.receive(), bytes([PF_TLS]))
        client.close()
    for pid in pids:
        joined(pid)


# --- what listening sockets can do ---


@case("SO_REUSEPORT: every listener gets connections, and they survive one's close")
def _():
    option = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
    first = listener(options=option)
    second = listener(port=first.getsockname()[1], options=option)
    count = {first: 0, second: 0}
    for _ in range(40):
        client = Client(first.getsockname(), context=CONTEXT).handshake()
        (server,) = select.select([first, second], [], [], 5)[0]
        conn, family = accept(server)
        expect(family, PF_TLS)
        count[server] += 1
        conn.close()
        client.close()
    expect_true(min(count.values()) > 3, f"spread: {list(count.values())}")
    first.close()
    connected(second, context=CONTEXT)


@case("SO_REUSEPORT with a plain listener: each keeps its kind")
def _():
    option = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
    tls = listener(options=option)
    plain = bound(port=tls.getsockname()[1], options=option)
    plain.listen()
    seen = set()
    for _ in range(40):
        client = Client(tls.getsockname(), context=CONTEXT)
        client.sock.sendall(client.produce())
        time.sleep(0.01)
        if ready(plain, 0.1):
            conn, family = accept(plain)
            expect(family, socket.AF_INET)
        else:
            client.handshake()
            conn, family = accept(tls)
            expect(family, PF_TLS)
        seen.add(family)
        conn.close()
        client.close()
    expect(seen, {socket.AF_INET, PF_TLS})


@case("TCP_DEFER_ACCEPT")
def _():
    server = listener(options=[(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 5)])
    for pause in (0, 0.3):
        sock = tcp_connect(server.getsockname())
        time.sleep(pause)
        client = Client(None, context=CONTEXT, sock=sock).handshake()
        conn, family = accept(server)
        expect(family, PF_TLS)
        echo_check(conn, client)


@case("SYN cookies for every connection", limit=60)
def _():
    with sysctl_set("net.ipv4.tcp_syncookies", 2):
        for family in (socket.AF_INET, socket.AF_INET6):
            server = listener(family)
            with counted(admitted=10, completed=10):
                for _ in range(10):
                    _, conn, client = connected(server, context=CONTEXT)
                    echo_check(conn, client)


@case("a client that uses TCP fast open is served, without it")
def _():
    with sysctl_set("net.ipv4.tcp_fastopen", 0x603):
        # 0x600: listeners have it without asking, and need no cookie.
        server = listener()
        for _ in range(3):
            client = Client(None, context=CONTEXT, sock=socket.socket())
            hello = client.produce()
            client.sock.sendto(hello, socket.MSG_FASTOPEN, server.getsockname())
            client.sock.settimeout(10)
            client.take()
            client.sock.sendall(client.last_flight())
            conn, family = accept(server)
            expect(family, PF_TLS)
            echo_check(conn, client)


@case("options of the listener are inherited")
def _():
    server = listener()
    server.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 5000)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 7)
    _, conn, _client = connected(server, context=CONTEXT)
    expect(conn.getsockopt(socket.SOL_TCP, socket.TCP_NODELAY), 1)
    expect(conn.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
    expect(conn.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT), 5000)
    expect(conn.getsockopt(socket.SOL_SOCKET, socket.SO_MARK), 7)


@case("TCP_CORK of the listener: inherited, and delays no flight")
def _():
    # What is held back is sent by a timer that is not shorter than this.
    with sysctl_set("net.ipv4.tcp_rto_min_us", 60_000_000):
        server = listener(options=[(socket.SOL_TCP, socket.TCP_CORK, 1)])
        _, conn, client = connected(server, context=CONTEXT)
    expect(conn.getsockopt(socket.SOL_TCP, socket.TCP_CORK), 1)
    conn.sendall(b"corked")
    conn.setsockopt(socket.SOL_TCP, socket.TCP_CORK, 0)
    expect(client.receive(), b"corked")
    fallback = Client(server.getsockname(), groups="X448")
    fallback.sock.sendall(fallback.produce())
    expect(accept(server)[0].getsockopt(socket.SOL_TCP, socket.TCP_CORK), 1)


@case("shutdown() of the listener, then listen() again")
def _():
    server = listener()
    started(server)
    server.shutdown(socket.SHUT_RDWR)
    with raises(errno.EINVAL):
        server.accept()
    server.listen()
    connected(server, context=CONTEXT)


@case("a full accept queue: nobody is lost who is let in", limit=60)
def _():
    server = listener(backlog=3)
    clients = []

    def try_one():
        client = Client(server.getsockname(), context=CONTEXT)
        client.sock.settimeout(4)
        client.handshake()
        client.send(b"here")
        return client

    attempts = [Background(try_one) for _ in range(12)]
    time.sleep(2)
    served = 0
    server.settimeout(5)
    while True:
        try:
            conn, family = accept(server)
        except TimeoutError:
            break
        expect(family, PF_TLS)
        conn.settimeout(5)
        expect(conn.recv(16), b"here")
        served += 1
        conn.close()
    for attempt in attempts:
        try:
            clients.append(attempt.result())
        except (OSError, Failure):
            pass
    expect_true(served >= 4, f"served {served}")
    server.settimeout(None)
    connected(server, context=CONTEXT)


if __name__ == "__main__":
    run()

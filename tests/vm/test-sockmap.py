#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# BPF sockmaps change the struct proto of sockets, which TLS_HS must not meet: refused both ways,
# and by programs that put sockets into maps when a connection is made.

import contextlib
import ctypes
import errno
import os
import platform
import socket
import struct

from tls_life import *

CONTEXT = client_context()
OTHER = client_context(groups="X448")
libc = ctypes.CDLL(None, use_errno=True)

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, PROG_LOAD, PROG_ATTACH, PROG_DETACH = 0, 1, 2, 3, 5, 8, 9
ARRAY, SOCKMAP, SOCKHASH = 2, 15, 18
SOCK_OPS, CGROUP_SOCK_OPS = 13, 3


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = libc.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def new_map(kind, entries=8):
    return bpf(MAP_CREATE, struct.pack("=IIIII", kind, 4, 4, entries, 0))


def _element(command, fd, key, value=None):
    key = ctypes.create_string_buffer(struct.pack("=I", key), 4)
    if value is None:
        return bpf(command, struct.pack("=IIQ", fd, 0, ctypes.addressof(key)))
    value = ctypes.create_string_buffer(struct.pack("=I", value), 4)
    bpf(command, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
    return struct.unpack("=i", value.raw)[0]


def put(fd, sock, key=0):
    _element(MAP_UPDATE, fd, key, sock.fileno())


def remove(fd, key=0):
    _element(MAP_DELETE, fd, key)


@contextlib.contextmanager
def sockmaps():
    fds = [new_map(SOCKMAP), new_map(SOCKHASH)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


@case("a socket with the ULP is refused by sockmaps, in every state, and serves on")
def _():
    with nothing_left(), sockmaps() as maps:
        for family in (socket.AF_INET, socket.AF_INET6):
            sock = bound(family)
            set_ulp(sock)
            for fd in maps:
                # No map takes a socket in this state.
                with raises(errno.EOPNOTSUPP):
                    put(fd, sock)
            sock.listen()
            for fd in maps:
                with raises(errno.EINVAL):
                    put(fd, sock)
            sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
            for fd in maps:
                with raises(errno.EINVAL):
                    put(fd, sock)
            _, conn, client = connected(sock, context=CONTEXT)
            echo_check(conn, client)
            for each in (conn, client, sock):
                each.close()


@case("a socket in a sockmap is refused the ULP, and gets it when it is out of the map")
def _():
    with nothing_left(), sockmaps() as maps:
        for family in (socket.AF_INET, socket.AF_INET6):
            for fd in maps:
                sock = bound(family)
                sock.listen()
                put(fd, sock)
                with raises(errno.ENOTCONN):
                    set_ulp(sock)
                plain = tcp_connect(sock.getsockname())
                conn, kind = accept(sock)
                expect(kind, family)
                plain.sendall(b"plain")
                expect(conn.recv(16), b"plain")
                conn.close()
                plain.close()
                remove(fd)
                set_ulp(sock)
                sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
                _, conn, client = connected(sock, context=CONTEXT)
                echo_check(conn, client)
                for each in (conn, client, sock):
                    each.close()


@case("accepted connections: with TLS refused, fallbacks taken, and neither is the worse for it")
def _():
    with nothing_left(), sockmaps() as maps:
        server = listener()
        for fd in maps:
            _, conn, client = connected(server, context=CONTEXT)
            with raises(errno.EINVAL):
                put(fd, conn)
            echo_check(conn, client)
            conn.close()
            client.close()
            other = Client(server.getsockname(), context=OTHER)
            hello = other.produce()
            other.sock.sendall(hello)
            conn, kind = accept(server)
            expect(kind, socket.AF_INET)
            put(fd, conn)
            expect(receive_exactly(conn, len(hello)), hello)
            conn.sendall(b"plain")
            expect(other.sock.recv(16), b"plain")
            conn.close()
            other.close()
        server.close()


def stock_answers(maps):
    """What an established socket in a sockmap gets of the ULP, and one with the ULP of a sockmap."""
    answers = []
    for fd in maps:
        for first, second in ((lambda sock: put(fd, sock), set_ulp), (set_ulp, lambda sock: put(fd, sock))):
            server = bound()
            server.listen()
            client = tcp_connect(server.getsockname())
            conn, _ = server.accept()
            for step in (first, second):
                try:
                    step(conn)
                    answers.append(0)
                except OSError as error:
                    answers.append(error.errno)
            client.sendall(b"plain")
            conn.settimeout(5)
            answers.append(conn.recv(16))
            for sock in (conn, client, server):
                sock.close()
    return answers


@case("established sockets in sockmaps: as without the module")
def _():
    with sockmaps() as maps:
        with nothing_left():
            with_module = stock_answers(maps)
        unload()
        expect(with_module, stock_answers(maps))
        load()


# --- a program that is there when a connection is made --------------------------------


def instruction(code, to=0, source=0, offset=0, value=0):
    return struct.pack("=BBhi", code, source << 4 | to, offset, value)


def load_map(register, fd):
    return instruction(0x18, register, 1, 0, fd) + instruction(0)


PASSIVE_ESTABLISHED = 5
CALL_MAP_UPDATE, CALL_SOCK_MAP_UPDATE = 2, 53


def program(sockmap, results):
    """Puts every connection that a listener gets into a sockmap, and the result into an array."""
    body = b"".join(
        (
            instruction(0x62, 10, offset=-4, value=0),
            load_map(2, sockmap),
            instruction(0xBF, 3, 10),
            instruction(0x07, 3, value=-4),
            instruction(0xB7, 4, value=0),
            instruction(0xBF, 1, 6),
            instruction(0x85, value=CALL_SOCK_MAP_UPDATE),
            instruction(0x63, 10, 0, -8),
            load_map(1, results),
            instruction(0xBF, 2, 10),
            instruction(0x07, 2, value=-4),
            instruction(0xBF, 3, 10),
            instruction(0x07, 3, value=-8),
            instruction(0xB7, 4, value=0),
            instruction(0x85, value=CALL_MAP_UPDATE),
        )
    )
    code = b"".join(
        (
            instruction(0xBF, 6, 1),
            instruction(0x61, 2, 1, 0),
            instruction(0x55, 2, 0, len(body) // 8, PASSIVE_ESTABLISHED),
            body,
            instruction(0xB7, 0, value=1),
            instruction(0x95),
        )
    )
    text, license_ = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    return bpf(
        PROG_LOAD,
        struct.pack(
            "=IIQQIIQII16sII",
            SOCK_OPS,
            len(code) // 8,
            ctypes.addressof(text),
            ctypes.addressof(license_),
            *(0, 0, 0, 0, 0),
            b"hs",
            0,
            CGROUP_SOCK_OPS,
        ),
    )


@contextlib.contextmanager
def attached(prog):
    cgroup = os.open("/sys/fs/cgroup", os.O_RDONLY)
    attributes = struct.pack("=IIII", cgroup, prog, CGROUP_SOCK_OPS, 0)
    bpf(PROG_ATTACH, attributes)
    try:
        yield
    finally:
        bpf(PROG_DETACH, attributes)
        os.close(cgroup)


@case("a program that puts new connections into a sockmap is refused those of TLS_HS")
def _():
    sockmap, results = new_map(SOCKMAP), new_map(ARRAY)
    prog = program(sockmap, results)
    # The key types are those of another module than before.
    ring = host()
    with nothing_left(), attached(prog):
        # It does its work.
        plain = bound()
        plain.listen()
        _element(MAP_UPDATE, results, 0, 1)
        client = tcp_connect(plain.getsockname())
        conn, _ = plain.accept()
        expect(_element(MAP_LOOKUP, results, 0, 0), 0)
        for sock in (conn, client, plain):
            sock.close()
        for options in ((), [(socket.SOL_TCP, socket.TCP_DEFER_ACCEPT, 5)]):
            for cookies in (1, 2):
                with sysctl_set("net.ipv4.tcp_syncookies", cookies):
                    server = listener(ring=ring, options=options)
                    for context, family in ((CONTEXT, PF_TLS), (OTHER, socket.AF_INET)):
                        _element(MAP_UPDATE, results, 0, 1)
                        client = Client(server.getsockname(), context=context)
                        if family == PF_TLS:
                            client.handshake()
                        else:
                            client.sock.sendall(client.produce())
                        conn, kind = accept(server)
                        expect(kind, family)
                        expect(_element(MAP_LOOKUP, results, 0, 0), -errno.EINVAL)
                        if family == PF_TLS:
                            echo_check(conn, client)
                        conn.close()
                        client.close()
                    server.close()
    for fd in (prog, sockmap, results):
        os.close(fd)


if __name__ == "__main__":
    run()

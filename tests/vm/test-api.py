#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# The socket options: TCP_ULP "tls" and TLS_HS on sockets in every state, the
# structure that grows, wrong masks and keyrings, and what stays as it was.

import ctypes
import errno
import mmap
import socket
import struct

from tls_hs import *

E = errno
EKEYREJECTED, ENOKEY = 129, 126
IPV6_ADDRFORM = 1
libc = ctypes.CDLL(None, use_errno=True)


def with_ulp(family=socket.AF_INET):
    sock = bound(family)
    set_ulp(sock)
    return sock


def set_tls_hs(sock, value):
    sock.setsockopt(SOL_TLS, TLS_HS, value)


def established():
    server = bound()
    server.listen()
    client = tcp_connect(server.getsockname())
    conn, _ = server.accept()
    return conn, client


# --- the structure ---


@case("a short structure is refused, the first published size is taken")
def _():
    info = crypto_info(host())
    for size in (0, 1, 4, INFO_SIZE - 1):
        with raises(E.EINVAL):
            set_tls_hs(with_ulp(), info[:size])
    set_tls_hs(with_ulp(), info)


def present(ring):
    """The structure in its present size, every newer field 0."""
    return crypto_info(ring).ljust(INFO_SIZE_NOW, b"\0")


@case("a longer structure is taken if the rest is zero")
def _():
    info = crypto_info(host())
    for extra in (1, 4, 8, 40, 64, 65, 1000, 4096 - INFO_SIZE):
        set_tls_hs(with_ulp(), info + bytes(extra))
    for extra in (1, 4, 8, 63, 64, 65, 1000):
        set_tls_hs(with_ulp(), info.ljust(INFO_SIZE_NOW + extra, b"\0"))


@case("a longer structure with something in it: E2BIG")
def _():
    info = present(host())
    for extra in (1, 4, 63, 64, 65, 1000):
        for place in {0, extra // 2, extra - 1}:
            tail = bytearray(extra)
            tail[place] = 1
            with raises(E.E2BIG):
                set_tls_hs(with_ulp(), info + bytes(tail))
    with raises(E.E2BIG):
        set_tls_hs(with_ulp(), info.ljust(4097, b"\0"))


@case("memory that can't be read: EFAULT")
def _():
    info = crypto_info(host())
    page = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    expect(libc.mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 0), 0)
    sock = with_ulp()

    def call(address, size):
        value = ctypes.c_void_p(address)
        if libc.setsockopt(sock.fileno(), SOL_TLS, TLS_HS, value, ctypes.c_uint(size)):
            raise OSError(ctypes.get_errno(), "setsockopt")

    for address, size in ((0, INFO_SIZE), (start + mmap.PAGESIZE, INFO_SIZE)):
        with raises(E.EFAULT):
            call(address, size)
    # The structure itself can be read, what follows it can't.
    place = mmap.PAGESIZE - INFO_SIZE
    page[place : mmap.PAGESIZE] = info
    with raises(E.EFAULT):
        call(start + place, INFO_SIZE + 8)
    with raises(E.EFAULT):
        call(start + place + 1, INFO_SIZE)
    call(start + place, INFO_SIZE)


@case("lengths that are no lengths: EINVAL or E2BIG")
def _():
    sock = with_ulp()
    buffer = ctypes.create_string_buffer(crypto_info(host()), 8192)
    for size in (-1, -(2**31), 2**31 - 1, 8192):
        if libc.setsockopt(sock.fileno(), SOL_TLS, TLS_HS, buffer, ctypes.c_int(size)) == 0:
            raise Failure(f"a length of {size} is taken")
        expect_true(ctypes.get_errno() in (E.EINVAL, E.E2BIG), f"{size}: {ctypes.get_errno()}")


@case("masks: each defined bit is taken, each other is EINVAL")
def _():
    ring = host()
    masks = {
        "versions": ("TLS_HS_VERSION_",),
        "suites12": ("TLS_HS_ECDHE_",),
        "suites13": ("TLS_HS_AES_", "TLS_HS_CHACHA20_"),
        "groups": ("TLS_HS_SECP256R1", "TLS_HS_X25519"),
    }
    for field, prefixes in masks.items():
        defined = 0
        for name, value in HEADER.items():
            if name.startswith(prefixes):
                defined |= value
        expect_true(defined, field)
        for bit in range(32):
            value = 1 << bit
            sock = with_ulp()
            if value & defined:
                set_tls_hs(sock, crypto_info(ring, **{field: value}))
            else:
                with raises(E.EINVAL):
                    set_tls_hs(sock, crypto_info(ring, **{field: value}))
                with raises(E.EINVAL):
                    set_tls_hs(sock, crypto_info(ring, **{field: value | defined}))
        set_tls_hs(with_ulp(), crypto_info(ring, **{field: defined}))


@case("flags: each defined one is taken, each other is EINVAL")
def _():
    ring = host()
    defined = HEADER.get("TLS_HS_STRICT_SNI", 0)
    for bit in range(32):
        info = crypto_info(ring, flags=1 << bit)
        if defined & 1 << bit:
            set_tls_hs(with_ulp(), info)
        else:
            with raises(E.EINVAL):
                set_tls_hs(with_ulp(), info)


# --- the keyring ---


@case("keyrings that are none")
def _():
    cert = add_key(CERT, read_cert("localhost.pem"), keyring())
    for ring, number in (
        (0, E.EINVAL),
        (0x7FFFFFF0, ENOKEY),
        (cert, E.ENOTDIR),
        (-100, E.EINVAL),
    ):
        with raises(number):
            set_tls_hs(with_ulp(), crypto_info(ring))


@case("keyrings without what is needed: ENOKEY")
def _():
    empty, cert, priv, nested = keyring(), keyring(), keyring(), keyring()
    add_key(CERT, read_cert("localhost.pem"), cert)
    add_key(PRIV, read_cert("localhost.key"), priv)
    keyring("one.example.com", nested)
    for ring in (empty, cert, priv, nested):
        with raises(ENOKEY):
            set_tls_hs(with_ulp(), crypto_info(ring))


@case("two certificates or two keys in one keyring: ENOTUNIQ")
def _():
    ring = host()
    add_key(CERT, read_cert("one.pem"), ring, "tlscrt:other")
    with raises(E.ENOTUNIQ):
        set_tls_hs(with_ulp(), crypto_info(ring))
    ring = host()
    add_key(PRIV, read_cert("one.key"), ring, "tlspk:other")
    with raises(E.ENOTUNIQ):
        set_tls_hs(with_ulp(), crypto_info(ring))


@case("key and certificate that do not belong together: EKEYREJECTED")
def _():
    ring = keyring()
    add_key(CERT, read_cert("localhost.pem"), ring)
    add_key(PRIV, read_cert("one.key"), ring)
    with raises(EKEYREJECTED):
        set_tls_hs(with_ulp(), crypto_info(ring))
    outer = host()
    inner = keyring("one.example.com", outer)
    add_key(CERT, read_cert("one.pem"), inner)
    add_key(PRIV, read_cert("two.key"), inner)
    with raises(EKEYREJECTED):
        set_tls_hs(with_ulp(), crypto_info(outer))


@case("server names that are too long, or the same in another case")
def _():
    ring = keyring()
    host(ring=keyring("x" * 256, ring))
    with raises(E.ENAMETOOLONG):
        set_tls_hs(with_ulp(), crypto_info(ring))
    ring = keyring()
    host(ring=keyring("example.com", ring))
    host(ring=keyring("EXAMPLE.com", ring))
    with raises(E.EEXIST):
        set_tls_hs(with_ulp(), crypto_info(ring))


@case("a refused TLS_HS leaves what was set before")
def _():
    server = listener()
    with raises(E.EINVAL):
        set_tls_hs(server, crypto_info(0))
    with raises(ENOKEY):
        set_tls_hs(server, crypto_info(keyring()))
    connected(server)


@case("TLS_HS again, on the listening socket, counts for new connections")
def _():
    server = listener()
    connected(server)
    set_tls_hs(server, crypto_info(host("one")))
    client = Client(server.getsockname(), name="one.example.com").handshake()
    expect(accept(server)[1], PF_TLS)
    client.close()


# --- the order of calls, and other sockets ---


@case("TLS_HS before TCP_ULP: ENOPROTOOPT")
def _():
    with raises(E.ENOPROTOOPT):
        set_tls_hs(bound(), crypto_info(host()))


@case("TCP_ULP before bind, TLS_HS after listen")
def _():
    server = socket.socket()
    set_ulp(server)
    server.bind(("127.0.0.1", 0))
    server.listen()
    set_tls_hs(server, crypto_info(host()))
    connected(server)


@case("TCP_ULP twice: EEXIST")
def _():
    with raises(E.EEXIST):
        set_ulp(with_ulp())
    with raises(E.EEXIST):
        set_ulp(listener())


@case("a listener with TCP_ULP but without TLS_HS is a plain one")
def _():
    server = with_ulp()
    server.listen()
    client = tcp_connect(server.getsockname())
    conn, family = accept(server)
    expect(family, socket.AF_INET)
    expect(get_ulp(conn), b"")
    client.sendall(b"plain")
    expect(conn.recv(16), b"plain")
    conn.sendall(b"text")
    expect(client.recv(16), b"text")


@case("other options of SOL_TLS on a listener are refused, others pass")
def _():
    server = listener()
    for option in (TLS_TX, TLS_RX, 3, 4, 99, 101):
        with raises(E.ENOPROTOOPT, E.ENOTCONN, E.EINVAL, E.EOPNOTSUPP):
            server.setsockopt(SOL_TLS, option, bytes(64))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100000)
    server.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
    expect(server.getsockopt(socket.SOL_TCP, socket.TCP_NODELAY), 1)
    connected(server)


@case("connect() on a socket that has the ULP is refused")
def _():
    plain = bound()
    plain.listen()
    for sock in (with_ulp(), listener()):
        with raises(E.EOPNOTSUPP):
            sock.connect(plain.getsockname())
    expect(ready(plain), False, "no connection was made")


@case("connect(AF_UNSPEC) is not refused")
def _():
    sock = with_ulp()
    expect(libc.connect(sock.fileno(), struct.pack("=H14x", socket.AF_UNSPEC), 16), 0)


@case("connect() with an address that has no family: EINVAL, and nothing has happened")
def _():
    server = listener()
    conn, client = connected(server)[1:]
    for length in (0, 1):
        expect(libc.connect(server.fileno(), bytes(16), length), -1)
        expect(ctypes.get_errno(), E.EINVAL)
    echo_check(conn, client)
    connected(server)


@case("a message that connects: EOPNOTSUPP, and TLS_HS again, after which it serves")
def _():
    ring = host()
    sock = with_ulp(socket.AF_INET6)
    for _ in range(3):
        set_tls_hs(sock, crypto_info(ring))
        for address in ("::ffff:255.255.255.255", "::ffff:127.0.0.1", "::1"):
            with raises(E.EOPNOTSUPP):
                sock.sendto(b"x", socket.MSG_FASTOPEN, (address, 9))
        with raises(E.EOPNOTSUPP):
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_ADDRFORM, socket.AF_INET)
    with raises(E.EPIPE, E.ENOTCONN):
        sock.send(b"x", socket.MSG_NOSIGNAL)
    sock.listen()
    connected(sock)
    client = socket.create_connection(sock.getsockname()[:2])
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    client.close()
    connected(sock)


@case("TCP fast open and TCP_REPAIR are refused")
def _():
    with sysctl_set("net.ipv4.tcp_fastopen", 3):
        for sock in (with_ulp(), listener()):
            with raises(E.EOPNOTSUPP):
                sock.setsockopt(socket.SOL_TCP, socket.TCP_FASTOPEN, 5)
            with raises(E.EOPNOTSUPP):
                sock.setsockopt(socket.SOL_TCP, 19, 1)


@case("MPTCP sockets are refused")
def _():
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    except OSError:
        raise Failure("this kernel has no MPTCP") from None
    with raises(E.EOPNOTSUPP, E.ENOPROTOOPT, E.EINVAL, E.ENOTCONN):
        set_ulp(sock)


@case("UDP, UNIX and other ULPs are as they were")
def _():
    with raises(E.EOPNOTSUPP, E.ENOPROTOOPT, E.EINVAL):
        socket.socketpair()[0].setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
    with raises(E.ENOENT):
        bound().setsockopt(socket.SOL_TCP, TCP_ULP, b"nosuch\0")


# --- established sockets: stock behaviour ---


def stock_ktls(conn, client):
    key = struct.pack("=HH8s16s4s8s", TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, b"i" * 8, b"k" * 16, b"salt", bytes(8))
    for sock in (conn, client):
        set_ulp(sock)
        expect(get_ulp(sock), b"tls")
        sock.setsockopt(SOL_TLS, TLS_TX, key)
        sock.setsockopt(SOL_TLS, TLS_RX, key)
    conn.sendall(b"to the client")
    expect(client.recv(64), b"to the client")
    client.sendall(b"to the server")
    expect(conn.recv(64), b"to the server")
    client.sendmsg([b"\1\0"], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([ALERT]))])
    expect(receive(conn), (ALERT, b"\1\0"))


@case("kTLS on established sockets works as ever")
def _():
    with counted():
        stock_ktls(*established())


@case("TLS_HS on an established socket is stock's ENOPROTOOPT")
def _():
    conn, client = established()
    for sock in (conn, client):
        set_ulp(sock)
        with raises(E.ENOPROTOOPT):
            set_tls_hs(sock, crypto_info(host()))
    # Without keys they are still plain.
    client.sendall(b"plain")
    expect(conn.recv(16), b"plain")


@case("an established socket with the stock ULP does not hold the module")
def _():
    pair = established()
    stock_ktls(*pair)
    unload()
    pair[0].sendall(b"without the module")
    expect(pair[1].recv(64), b"without the module")
    stock_ktls(*established())
    load()


@case("a socket whose connection is over")
def _():
    conn, client = established()
    client.close()
    expect(conn.recv(1), b"")
    # CLOSE_WAIT: stock takes established sockets only.
    with raises(E.ENOTCONN):
        set_ulp(conn)


def listeners():
    with open("/proc/net/tls_hs_sockets") as file:
        return int(dict(line.split() for line in file)["listeners"])


@case("a socket whose connection was reset: ENOTCONN, as of stock")
def _():
    conn, client = established()
    reset(client)
    with raises(E.ECONNRESET):
        conn.recv(1)
    before = listeners()
    with raises(E.ENOTCONN):
        set_ulp(conn)
    expect(listeners(), before)
    # Once it is disconnected it can become anything.
    expect(libc.connect(conn.fileno(), struct.pack("=H14x", socket.AF_UNSPEC), 16), 0)
    set_ulp(conn)
    expect(listeners(), before + 1)


if __name__ == "__main__":
    run()

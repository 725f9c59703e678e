#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# After the handshake: a program that only reads and writes sees data, end of file
# and errors, while alerts, close_notify and KeyUpdate are handled below it.

import errno
import fcntl
import os
import socket
import ssl
import struct
import time

from tls_session import *

TCP_NOTSENT_LOWAT = 25

# --- the end ---


@case("close_notify is the end of file, and what came before is read first")
def _():
    conn, client = pair()
    client.send(b"one")
    client.send(b"two")
    client.send(CLOSE, ALERT)
    expect(receive_exactly(conn, 6), b"onetwo")
    expect(ready(conn), True, "readable")
    for _ in range(3):
        expect(conn.recv(10), b"")
    # RFC 8446, 6.1: it closes one direction only.
    conn.sendall(b"still here")
    expect(client.receive(), (DATA, b"still here"))


@case("close() sends close_notify, once")
def _():
    conn, client = pair()
    conn.sendall(b"bye")
    conn.close()
    expect(client.receive(), (DATA, b"bye"))
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"")


@case("shutdown(SHUT_WR) sends close_notify, and reading goes on")
def _():
    for how in (socket.SHUT_WR, socket.SHUT_RDWR):
        conn, client = pair()
        conn.shutdown(how)
        expect(client.receive(), (ALERT, CLOSE))
        expect(client.sock.recv(1), b"")
        if how == socket.SHUT_WR:
            client.send(b"late")
            expect(conn.recv(10), b"late")
        with raises(errno.EPIPE):
            conn.send(b"x")
        conn.close()


@case("a program that sends close_notify itself sends the only one")
def _():
    conn, client = pair()
    send_close_notify(conn)
    conn.close()
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"", "nothing more")


def fill(conn):
    """Sends until nothing more fits; returns how much that was."""
    conn.setblocking(False)
    sent = 0
    try:
        while True:
            sent += conn.send(bytes(5000))
    except BlockingIOError:
        return sent


def drain(client):
    """How much data comes before close_notify and the end."""
    got = 0
    while True:
        kind, content = client.receive()
        if kind == ALERT:
            expect(content, CLOSE)
            expect(client.sock.recv(1), b"")
            return got
        expect(kind, DATA, f"after {got} bytes")
        got += len(content)


@case("close() and SHUT_WR with a full send buffer: nothing that was sent is lost")
def _():
    for end in (lambda conn: conn.close(), lambda conn: conn.shutdown(socket.SHUT_WR)):
        for options in ((), ((socket.SOL_SOCKET, socket.SO_SNDBUF, 5000),), ((socket.SOL_TCP, TCP_NOTSENT_LOWAT, 1),)):
            conn, client = pair()
            for option in options:
                conn.setsockopt(*option)
            sent = fill(conn)
            # Perhaps there is room again.
            sent += fill(conn)
            end(conn)
            expect(drain(client), sent, f"{options}")


@case("SO_LINGER of some time: close() waits until the client has everything")
def _():
    conn, client = pair()
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 20))
    sent = fill(conn)
    conn.setblocking(True)
    closer = Background(conn.close)
    time.sleep(0.2)
    expect(drain(client), sent)
    client.sock.close()
    closer.result()


@case("SO_LINGER of 0: a reset, and no close_notify")
def _():
    conn, client = pair()
    conn.sendall(b"data")
    expect(client.receive(), (DATA, b"data"))
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()
    with raises(errno.ECONNRESET):
        client.receive()


@case("SHUT_WR of another thread ends a write that waits")
def _():
    conn, _client = pair()
    writer = Background(conn.sendall, bytes(40_000_000))
    time.sleep(0.3)
    Background(conn.shutdown, socket.SHUT_WR).result()
    with raises(errno.EPIPE):
        writer.result()


@case("poll sees the end after MSG_PEEK has met it")
def _():
    conn, client = pair()
    client.send(CLOSE, ALERT)
    expect(conn.recv(1, socket.MSG_PEEK), b"")
    expect(ready(conn, 1), True)
    expect(conn.recv(1), b"")
    expect(ready(conn, 1), True)


@case("a program that is killed leaves close_notify")
def _():
    reader, writer = os.pipe()

    def child():
        conn, _ = accept(server())
        os.write(writer, b"x")
        conn.recv(1)

    server()
    pid = forked(child)
    client = Client(server().getsockname()).handshake()
    os.read(reader, 1)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    expect(client.receive(), b"", "close_notify")


@case("a fatal alert of the client: ECONNRESET, then end of file")
def _():
    conn, client = pair()
    with counted(peer_alert=1):
        client.send(b"data")
        client.send(bytes([FATAL, 80]), ALERT)
        expect(conn.recv(10), b"data")
        with raises(errno.ECONNRESET):
            conn.recv(10)
    expect(conn.recv(10), b"")


@case("the end without close_notify is the end of file as well")
def _():
    conn, client = pair()
    client.send(b"data")
    client.sock.shutdown(socket.SHUT_WR)
    expect(conn.recv(10), b"data")
    expect(conn.recv(10), b"")


@case("non-blocking: EAGAIN, not the end, while nothing has come")
def _():
    conn, client = pair()
    conn.setblocking(False)
    with raises(errno.EAGAIN):
        conn.recv(10)
    client.send(CLOSE, ALERT)
    wait_until(lambda: ready(conn))
    expect(conn.recv(10), b"")


@case("a reader that waits is woken by close_notify")
def _():
    conn, client = pair()
    reader = Background(conn.recv, 10)
    time.sleep(0.2)
    client.send(CLOSE, ALERT)
    expect(reader.result(), b"")


@case("who asks for control messages gets records as from kTLS")
def _():
    conn, client = pair()
    client.send(b"data")
    client.send(CLOSE, ALERT)
    expect(receive(conn), (DATA, b"data"))
    expect(receive(conn), (ALERT, CLOSE))


@case("close() with an unread close_notify of the client is no reset")
def _():
    conn, client = pair()
    conn.sendall(b"answer")
    client.send(CLOSE, ALERT)
    wait_until(lambda: ready(conn))
    conn.close()
    expect(client.receive(), (DATA, b"answer"))
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"", "no reset")


# --- what breaks the protocol ---


@case("messages that have no place after the handshake: alert and EPROTO")
def _():
    for kind, content, alert in (
        (HANDSHAKE, b"\x01\0\0\0", UNEXPECTED_MESSAGE),
        (HANDSHAKE, b"\x14\0\0\x20" + bytes(32), UNEXPECTED_MESSAGE),
        (HANDSHAKE, b"\x18\0\0\1\2", ILLEGAL_PARAMETER),
        (HANDSHAKE, b"\x18\0\0\2\0\0", DECODE_ERROR),
        (99, b"x", UNEXPECTED_MESSAGE),
    ):
        conn, client = pair()
        client.send(content, kind)
        with raises(errno.EPROTO):
            conn.recv(10)
        expect(client.receive(), (ALERT, bytes([FATAL, alert])), f"{kind} {content!r}")
        expect(conn.recv(10), b"")
        conn.close()


@case("records without end that are not data do not keep a reader busy for ever")
def _():
    conn, client = pair()
    with raises(errno.EPROTO, errno.ECONNRESET):
        def send():
            try:
                for _ in range(2000):
                    client.send(KEY_UPDATE, HANDSHAKE)
                    client.update(TLS_TX)
            except OSError:
                pass

        sender = Background(send)
        conn.recv(1)
    conn.close()
    sender.result()


# --- calls besides read and write ---


@case("readv, recvmsg, MSG_PEEK, MSG_WAITALL, writev, send with MSG_MORE")
def _():
    conn, client = pair()
    client.send(b"abcdef")
    expect(conn.recv(3, socket.MSG_PEEK), b"abc")
    one, two = bytearray(2), bytearray(2)
    expect(os.readv(conn.fileno(), [one, two]), 4)
    expect(one + two, b"abcd")
    expect(conn.recvmsg(10)[0], b"ef")
    waiter = Background(conn.recv, 8, socket.MSG_WAITALL)
    client.send(b"1234")
    time.sleep(0.1)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"5678")
    expect(waiter.result(), b"12345678")
    os.writev(conn.fileno(), [b"gather", b"ed"])
    expect(client.receive(), (DATA, b"gathered"))
    conn.send(b"to", socket.MSG_MORE)
    conn.send(b"gether")
    expect(client.receive(), (DATA, b"together"))


@case("sendfile() and splice() both ways")
def _():
    conn, client = pair()
    path = f"{os.environ['HS_TMP']}/file"
    data = os.urandom(50000)
    with open(path, "wb") as file:
        file.write(data)
    with open(path, "rb") as file:
        sender = Background(conn.sendfile, file)
        got = b""
        while len(got) < len(data):
            got += client.receive()[1]
        expect(got == data, True, "sendfile()")
        sender.result()

    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 17)
    client.send(b"x" * 10000)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"y" * 10000)
    client.send(CLOSE, ALERT)
    moved = 0
    while True:
        size = os.splice(conn.fileno(), writer, 65536)
        if not size:
            break
        moved += size
    expect(moved, 20000)
    expect(os.read(reader, 65536), b"x" * 10000 + b"y" * 10000)
    os.write(writer, b"from a pipe")
    os.splice(reader, conn.fileno(), 11)
    expect(client.receive(), (DATA, b"from a pipe"))


@case("several threads read and write one connection", limit=60)
def _():
    conn, client = pair()
    readers = [Background(lambda: sum(len(conn.recv(100, socket.MSG_WAITALL)) for _ in range(50))) for _ in range(4)]
    writers = [Background(lambda: [conn.sendall(b"y" * 50) for _ in range(50)]) for _ in range(4)]
    for number in range(200):
        client.send(b"x" * 100)
        if number % 20 == 0:
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
    got = 0
    while got < 4 * 50 * 50:
        got += len(client.receive()[1])
    expect(sum(reader.result() for reader in readers), 20000)
    for writer in writers:
        writer.result()


# --- what was agreed on ---


@case("TLS_HS_INFO tells version, suite, group and server name")
def _():
    for name in ("localhost", None, "some.other.name"):
        client = Client(server().getsockname(), name=name, verify=False).handshake()
        conn, _ = accept(server())
        expect(session_info(conn), (TLS_1_3_VERSION, 0x1301, 23, 0, name or ""))
        client.close()


@case("TLS_HS_INFO tells how old the client's ticket is")
def _():
    ring = host()
    add_key(HEADER["TLS_HS_KEY_TYPE_TICKET"], os.urandom(48), ring, HEADER["TLS_HS_KEY_DESC_TICKET"])
    own = listener(ring=ring)
    resumed, aged = HEADER["TLS_HS_INFO_RESUMED"], HEADER["TLS_HS_INFO_TICKET_AGE"]

    def connect(session=None):
        client = Client(own.getsockname(), context=context, session=session).handshake()
        conn, _ = accept(own)
        conn.sendall(b"x")
        client.receive_exactly(1)
        value = conn.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)
        (age,) = struct.unpack("=I", value[HEADER["TLS_HS_INFO_SIZE_VER0"] :])
        return session_info(conn)[3], age, client.tls.session

    for version, flags in ((ssl.TLSVersion.TLSv1_3, resumed | aged), (ssl.TLSVersion.TLSv1_2, resumed)):
        context = client_context(maximum=version)
        *first, session = connect()
        expect(first, [0, 0])
        time.sleep(2)
        got, age, _ = connect(session)
        expect(got, flags)
        # OpenSSL counts in seconds.
        expect_true(1000 <= age < 60000 if got & aged else age == 0, f"{age} ms")


@case("TLS_HS_INFO gives as much as there is room for")
def _():
    conn, _client = pair()
    whole = conn.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)
    for size in (1, 2, 7, 8, 100, len(whole)):
        expect(conn.getsockopt(SOL_TLS, TLS_HS_INFO, size), whole[:size])
    expect(conn.getsockopt(SOL_TLS, TLS_HS_INFO, 1), whole[:1])


@case("TLS_HS_INFO of sockets that have no session is an error")
def _():
    client = Client(server().getsockname(), groups="X448")
    client.sock.sendall(client.produce())
    conn, family = accept(server())
    expect(family, socket.AF_INET)
    for sock in (conn, client.sock, server()):
        with raises(errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ENOTCONN):
            sock.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)


if __name__ == "__main__":
    run()

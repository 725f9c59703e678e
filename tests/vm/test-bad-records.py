#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# After the handshake: records that are damaged or no records at all. The client gets
# an alert, the program one error and then the end of file, and EPIPE when it writes.

import ctypes
import errno
import os
import select
import signal
import socket
import ssl
import struct
import time

from tls_session import *

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MAC, OVERFLOW = ("bad_record_mac", "BAD_RECORD_MAC"), ("record_overflow", "RECORD_OVERFLOW")
VERSION = ("record_version", "PROTOCOL_VERSION")
UNEXPECTED = ("unexpected_record", "UNEXPECTED_MESSAGE")


def connect(version=TLS13, ciphers=None):
    context = client_context(maximum=version)
    if ciphers:
        context.set_ciphers(ciphers)
    client = Client(server().getsockname(), context=context).handshake()
    conn, family = accept(server())
    expect(family, PF_TLS)
    return conn, client


def damaged(client):
    """Data whose last octet of the tag is changed."""
    sealed = bytearray(client.seal(b"x" * 1000))
    sealed[-1] ^= 1
    return bytes(sealed)


def expect_alert(client, name):
    try:
        while client.receive():
            pass
    except ssl.SSLError as error:
        expect_true((error.reason or "").endswith("ALERT_" + name), f"{error.reason}, want {name}")
    else:
        raise Failure(f"close_notify, want {name}")
    # OpenSSL is done; TCP ends as well.
    expect(client.sock.recv(1), b"", "the end")


def expect_over(conn):
    for _ in range(2):
        expect(conn.recv(10), b"")
        expect(receive(conn)[1], b"", "with control messages")
        expect(ready(conn), True, "poll sees the end")
        with raises(errno.EPIPE):
            conn.send(b"x")


def refused(conn, client, bad, reason, read=lambda conn: conn.recv(10)):
    """The server gets these octets, or a damaged record, behind the data "before"."""
    counter, alert = reason
    with counted(**{counter: 1}):
        client.sock.sendall(client.seal(b"before") + (damaged(client) if bad is None else bad))
        expect(receive_exactly(conn, 6), b"before")
        with raises(errno.EBADMSG):
            read(conn)
        expect_alert(client, alert)
        expect_over(conn)
    conn.close()
    client.close()


def header(kind=DATA, version=0x0303, size=100):
    return struct.pack(">BHH", kind, version, size) + bytes(200)


def spliced(conn):
    reader, writer = os.pipe()
    try:
        return os.splice(conn.fileno(), writer, 1000)
    finally:
        os.close(reader)
        os.close(writer)


def amount(result):
    """How many octets one of the READS returned."""
    if isinstance(result, tuple):
        result = next(part for part in result if isinstance(part, bytes))
    return result if isinstance(result, int) else len(result)


READS = {
    "recv()": lambda conn: conn.recv(10),
    "recv() of more than there is": lambda conn: conn.recv(100000),
    "recvmsg() with control messages": receive,
    "recvmsg() with too little room for one": lambda conn: conn.recvmsg(100, 8),
    "MSG_PEEK": lambda conn: conn.recv(10, socket.MSG_PEEK),
    "MSG_WAITALL": lambda conn: conn.recv(10, socket.MSG_WAITALL),
    "splice()": spliced,
}


@case("a damaged record, by way of reading", limit=60)
def _():
    for read in READS.values():
        for version in (TLS12, TLS13):
            conn, client = connect(version)
            refused(conn, client, None, MAC, read)


@case("a damaged record, by cipher suite")
def _():
    for ciphers in ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        conn, client = connect(TLS12, ciphers)
        refused(conn, client, None, MAC)


@case("headers that nothing is behind, by version", limit=60)
def _():
    for bad, by12, by13 in (
        (header(size=16384 + 17), MAC, MAC),
        (header(size=16384 + 18), MAC, OVERFLOW),
        (header(size=16384 + 25), OVERFLOW, OVERFLOW),
        (header(size=0xFFFF), OVERFLOW, OVERFLOW),
        (header(version=0x0301), VERSION, VERSION),
        (header(version=0x0203), VERSION, VERSION),
        (header(size=3), MAC, MAC),
        (header(kind=ALERT, size=2), MAC, UNEXPECTED),
        (b"\x14\3\3\0\1\1" + bytes(20), MAC, UNEXPECTED),
        (header(kind=99), UNEXPECTED, UNEXPECTED),
        (b"GET / HTTP/1.0\r\n\r\n", UNEXPECTED, UNEXPECTED),
    ):
        for version, reason in ((TLS12, by12), (TLS13, by13)):
            if reason == MAC and bad[3:5] > b"\x40\0":
                # A size that is allowed: the record has to come.
                bad += bytes(17000)
            conn, client = connect(version)
            refused(conn, client, bad, reason)


@case("a bad header, by way of reading", limit=60)
def _():
    for name, read in READS.items():
        for bad, reason in ((header(version=0x0301), VERSION), (header(size=20000), OVERFLOW)):
            conn, client = connect()
            try:
                refused(conn, client, bad, reason, read)
            except Failure as error:
                raise Failure(f"{name}: {error}") from error


@case("an authentic record of zeros only, or of nothing, has no content type", limit=60)
def _():
    for size in (0, 1, 100, 16385):
        for read in READS.values():
            conn, client = record_client(server(), Sealer)
            with counted(empty_record=1):
                client.send(b"before")
                client.sock.sendall(client.seal(bytes(size)))
                expect(receive_exactly(conn, 6), b"before")
                with raises(errno.EBADMSG):
                    read(conn)
                expect_alert(client, UNEXPECTED[1])
                expect_over(conn)
            conn.close()


@case("records without content do not end a read")
def _():
    for name, read in READS.items():
        for padding in (0, 50):
            conn, client = record_client(server(), Sealer)
            reader = Background(read, conn)
            for _ in range(3):
                client.send(b"", padding=padding)
            client.send(b"0123456789", padding=padding)
            client.sock.shutdown(socket.SHUT_WR)
            expect(amount(reader.result()), 10, name)
            conn.close()


@case("behind a record without content: the client's alert, not the end of file")
def _():
    conn, client = record_client(server(), Sealer)
    client.send(b"")
    client.send(bytes([FATAL, 80]), kind=ALERT)
    time.sleep(0.1)
    with raises(errno.ECONNRESET):
        conn.recv(100)
    expect(conn.recv(100), b"", "then the end")
    # Who asks for control messages gets the alert.
    conn, client = record_client(server(), Sealer)
    client.send(b"")
    client.send(bytes([FATAL, 80]), kind=ALERT)
    time.sleep(0.1)
    expect(conn.recvmsg(100, 64)[0], bytes([FATAL, 80]))


@case("a reader that waits, one that polls and one that does not block")
def _():
    for bad, reason in ((None, MAC), (header(version=0x0301), VERSION)):
        for how in ("wait", "poll", "epoll", "error"):
            conn, client = connect()
            with counted(**{reason[0]: 1}):
                if how == "wait":
                    reader = Background(conn.recv, 10)
                    time.sleep(0.1)
                client.sock.sendall(bad or damaged(client))
                if how == "wait":
                    with raises(errno.EBADMSG):
                        reader.result()
                else:
                    conn.setblocking(False)
                    if how == "epoll":
                        with select.epoll() as epoll:
                            epoll.register(conn, select.EPOLLIN | select.EPOLLRDHUP)
                            expect_true(epoll.poll(5 * SLOW), "epoll")
                    else:
                        expect(ready(conn, 5), True, "select")
                    if how == "error":
                        # Who looks there first takes it away.
                        conn.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                        expect(ready(conn, 5), True, "still")
                    with raises(errno.EBADMSG):
                        conn.recv(10)
                expect_alert(client, reason[1])
                expect_over(conn)
            conn.close()


@case("a program that only writes gets EPIPE, and SIGPIPE")
def _():
    got = []
    before = signal.signal(signal.SIGPIPE, lambda *_: got.append(1))
    try:
        for flags, signals in ((socket.MSG_NOSIGNAL, 0), (0, 1)):
            conn, client = connect()
            with counted(record_version=1):
                client.sock.sendall(header(version=0x0301))
                with raises(errno.EPIPE):
                    while True:
                        conn.send(b"x", flags)
                        time.sleep(0.02)
                expect_alert(client, VERSION[1])
                expect(len(got), signals, "SIGPIPE")
                with raises(errno.EBADMSG):
                    conn.recv(10)
                expect(conn.recv(10), b"")
            conn.close()
    finally:
        signal.signal(signal.SIGPIPE, before)


@case("what came before a bad record is read, whoever meets that first")
def _():
    for bad, reason in ((None, MAC), (header(version=0x0301), VERSION)):
        conn, client = connect()
        with counted(**{reason[0]: 1}):
            client.sock.sendall(client.seal(b"one") + client.seal(b"two") + (bad or damaged(client)))
            wait_until(lambda: ready(conn))
            expect(conn.recv(100, socket.MSG_PEEK), b"onetwo")
            if bad:
                # A bad header is seen before it is read.
                with raises(errno.EPIPE):
                    while True:
                        conn.send(b"x", socket.MSG_NOSIGNAL)
                        time.sleep(0.02)
            expect(conn.recv(4), b"onet")
            expect(conn.recv(100), b"wo")
            with raises(errno.EBADMSG):
                conn.recv(10)
            expect_alert(client, reason[1])
            expect_over(conn)
        conn.close()


@case("MSG_WAITALL: the data, then the error")
def _():
    conn, client = connect()
    client.sock.sendall(client.seal(b"data") + damaged(client))
    expect(conn.recv(100, socket.MSG_WAITALL), b"data")
    with raises(errno.EBADMSG):
        conn.recv(100, socket.MSG_WAITALL)
    expect(conn.recv(10), b"")
    # The same where the session is over because of what an authentic record says.
    conn, client = pair()
    client.send(b"data")
    client.send(bytes([FATAL, 80]), ALERT)
    expect(conn.recv(100, socket.MSG_WAITALL), b"data")
    with raises(errno.ECONNRESET):
        conn.recv(100, socket.MSG_WAITALL)


@case("a writer that waits for room is told, and the client gets the alert")
def _():
    conn, client = connect()
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    writer = Background(conn.sendall, bytes(4000000))
    time.sleep(0.3)
    client.sock.sendall(damaged(client))
    with raises(errno.EBADMSG):
        conn.recv(10)
    expect_alert(client, MAC[1])
    with raises(errno.EPIPE):
        writer.result()
    conn.close()


@case("what is behind a bad record does no harm, and closing is no reset")
def _():
    for bad in (None, header(version=0x0301)):
        conn, client = connect()
        client.sock.sendall((bad or damaged(client)) + client.seal(b"y" * 10000) * 3)
        wait_until(lambda: ready(conn))
        with raises(errno.EBADMSG):
            conn.recv(10)
        conn.close()
        _, was_reset = read_to_end(client.sock)
        expect(was_reset, False, "reset")


@case("closing without a read is no harm either")
def _():
    for bad in (None, header(version=0x0301), header(size=20000)):
        conn, client = connect()
        client.sock.sendall(bad or damaged(client))
        wait_until(lambda: ready(conn))
        conn.close()
        read_to_end(client.sock)


@case("a program's bad buffer breaks nothing")
def _():
    for version in (TLS12, TLS13):
        conn, client = connect(version)
        client.send(b"data")
        wait_until(lambda: ready(conn))
        libc = ctypes.CDLL(None, use_errno=True)
        with counted():
            expect(libc.recv(conn.fileno(), ctypes.c_void_p(1), 100, 0), -1)
            expect(ctypes.get_errno(), errno.EFAULT)
            echo_check(conn, client, b"", b"still")
        conn.close()


@case("a connection that ends in the middle of a record: end of file")
def _():
    for size in (1, 5, 6, 500):
        for read in READS.values():
            conn, client = connect()
            client.sock.sendall(client.seal(b"before") + client.seal(b"y" * 1000)[:size])
            client.sock.shutdown(socket.SHUT_WR)
            expect(receive_exactly(conn, 6), b"before")
            expect(amount(read(conn)), 0)
            expect(conn.recv(10), b"")
            # Only one direction has ended.
            conn.sendall(b"answer")
            conn.close()
            expect(client.receive_exactly(6), b"answer")
            expect(client.receive(), b"", "close_notify")


if __name__ == "__main__":
    run()

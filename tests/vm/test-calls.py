#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Calls on established connections that programs make seldom, and what they must not
# get: the keys.

import ctypes
import errno
import os
import select
import socket
import struct
import time

from tls_session import *

USER_CANCELED = bytes([1, 90])
LIBC = ctypes.CDLL(None, use_errno=True)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("vector", ctypes.POINTER(Vector)),
        ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Counted(ctypes.Structure):
    """struct mmsghdr"""

    _fields_ = [("message", Message), ("len", ctypes.c_uint)]


def message(data):
    vector = Vector(data, len(data))
    return Message(vector=ctypes.pointer(vector), vectors=1)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# --- keys ---


@case("session keys can't be read, only what they are for")
def _():
    conn, client = pair()
    for option in (TLS_TX, TLS_RX):
        for size in (4, 40, 56, 1024):
            expect(conn.getsockopt(SOL_TLS, option, size), struct.pack("=HH", TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128))
        expect(conn.getsockopt(SOL_TLS, option, 3), struct.pack("=H", TLS_1_3_VERSION) + struct.pack("=H", TLS_CIPHER_AES_GCM_128)[:1])
    flows(conn, client)


@case("session keys can't be set")
def _():
    conn, client = pair()
    key = struct.pack("=HH8s16s4s8s", TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, b"i" * 8, b"k" * 16, b"salt", bytes(8))
    for option in (TLS_TX, TLS_RX):
        for value in (key, bytes(40), b"", bytes(4096)):
            with raises(errno.EBUSY):
                conn.setsockopt(SOL_TLS, option, value)
    flows(conn, client)


@case("TLS_TX_MAX_PAYLOAD_LEN: a number of 16 bits that a record may have")
def _():
    conn, client = pair()
    for value in (b"", b"\0", bytes(2), struct.pack("=H", 10), struct.pack("=H", 16385), struct.pack("=I", 1000)):
        with raises(errno.EINVAL):
            conn.setsockopt(SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, value)
    conn.setsockopt(SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, struct.pack("=H", 1000))
    expect(struct.unpack("=H", conn.getsockopt(SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, 2)), (1000,))
    flows(conn, client, bytes(range(100)))


# --- receiving ---


@case("MSG_WAITALL: data, then the reset behind it")
def _():
    conn, client = pair()
    client.send(b"data")
    wait_until(lambda: ready(conn))
    reset(client.sock)
    expect(conn.recv(100, socket.MSG_WAITALL), b"data")
    with raises(errno.ECONNRESET):
        conn.recv(10)
    expect(conn.recv(10), b"")


@case("MSG_WAITALL: data, a KeyUpdate, then a reset")
def _():
    conn, client = pair()
    client.send(b"data")
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    reader = Background(conn.recv, 100, socket.MSG_WAITALL)
    time.sleep(0.2)
    reset(client.sock)
    expect(reader.result(), b"data")
    with raises(errno.ECONNRESET):
        conn.recv(10)
    expect(conn.recv(10), b"")


@case("MSG_PEEK behind an empty record: what follows, not the end")
def _():
    conn, client = record_client(server(), Sealer)
    client.send(b"")
    client.send(USER_CANCELED, kind=ALERT)
    client.send(b"data")
    for _ in range(3):
        expect(conn.recv(10, socket.MSG_PEEK), b"data")
    expect(conn.recv(10), b"data")
    expect(conn.recvmsg(0, 0, socket.MSG_PEEK)[0], b"", "no room, nothing there")


@case("MSG_PEEK of many small records")
def _():
    conn, client = record_client(server(), Sealer)
    data = bytes(number % 251 for number in range(1000))
    for number in data:
        client.send(bytes([number]))
    for _ in range(3):
        seen = conn.recv(2000, socket.MSG_PEEK)
        expect_true(seen and data.startswith(seen), f"{len(seen)} bytes")
        time.sleep(0.05)
    expect(receive_exactly(conn, 1000) == data, True)


def available():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


@case("records without content take no memory, whoever looks at them", limit=100)
def _():
    ways = {
        "SHUT_RD": lambda conn: conn.shutdown(socket.SHUT_RD),
        "control messages": receive,
        "MSG_PEEK": lambda conn: conn.recv(10, socket.MSG_PEEK),
    }
    for name, way in ways.items():
        conn, client = record_client(server(), Sealer)
        # Each was more than a page.
        records = b"".join(client.seal(bytes([DATA])) for _ in range(8000))
        reader = Background(way, conn)
        time.sleep(0.2)
        before = available()
        client.sock.sendall(records)
        wait_until(lambda: unread(conn) == 0, 20, f"{name}: all is taken in")
        time.sleep(0.2)
        lost = before - available()
        print(f"# {name}: {lost} KiB")
        expect_true(lost < 16000, f"{name}: {lost} KiB for {len(records)} bytes")
        client.send(b"end")
        reader.result()
        conn.close()


@case("MSG_PEEK over data and a KeyUpdate: poll still sees the data")
def _():
    conn, client = pair()
    client.send(b"data")
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    for _ in range(5):
        expect(conn.recv(100, socket.MSG_PEEK), b"data")
        time.sleep(0.02)
    expect(ready(conn, 1), True)
    expect(conn.recv(100), b"data")
    flows(conn, client)


@case("room for control messages, but no buffer: as without room")
def _():
    conn, client = pair()
    client.send(b"data")
    client.send(CLOSE, ALERT)
    for wanted in (b"data", b""):
        buffer = ctypes.create_string_buffer(100)
        msg = message(b"")
        msg.vector[0] = Vector(ctypes.cast(buffer, ctypes.c_char_p), 100)
        msg.controllen = 64
        expect(checked(LIBC.recvmsg(conn.fileno(), ctypes.byref(msg), 0)), len(wanted))
        expect(buffer.value, wanted)


@case("splice() from a socket that does not block, with nothing to read")
def _():
    conn, client = pair()
    reader, writer = os.pipe()
    conn.setblocking(False)
    with raises(errno.EAGAIN):
        os.splice(conn.fileno(), writer, 100)
    client.send(b"data")
    wait_until(lambda: ready(conn))
    expect(os.splice(conn.fileno(), writer, 100), 4)
    expect(os.read(reader, 100), b"data")


@case("after SHUT_RD a reset is still said, also right behind data", limit=60)
def _():
    for number in range(60):
        conn, client = pair()
        conn.shutdown(socket.SHUT_RD)
        if number:
            client.send(bytes(16000))
        reset(client.sock)
        poll = select.poll()
        poll.register(conn, 0)
        wait_until(lambda: poll.poll(0), what="POLLHUP")
        time.sleep(0.02)
        expect(conn.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNRESET, f"number {number}")
        conn.close()


# --- sending ---


@case("sendmmsg(), and flags that say nothing to a sender")
def _():
    conn, client = pair()
    messages = (Counted * 3)(*(Counted(message(data)) for data in (b"one", b"two", b"three")))
    expect(checked(LIBC.sendmmsg(conn.fileno(), messages, 3, 0)), 3)
    expect([each.len for each in messages], [3, 3, 5])
    got = b""
    while len(got) < 11:
        got += client.receive()[1]
    expect(got, b"onetwothree")
    expect(conn.send(b"all", socket.MSG_WAITALL), 3)
    expect(client.receive(), (DATA, b"all"))
    for flag in (socket.MSG_OOB, 0x4000000):
        with raises(errno.EOPNOTSUPP):
            conn.send(b"x", flag)


@case("what is written behind an alert of the program's own is sent")
def _():
    conn, client = pair()
    conn.setsockopt(socket.SOL_TCP, socket.TCP_CORK, 1)
    conn.sendmsg([USER_CANCELED], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([ALERT]))])
    conn.sendall(b"data")
    conn.close()
    expect(client.receive(), (ALERT, USER_CANCELED))
    expect(client.receive(), (DATA, b"data"))


if __name__ == "__main__":
    run()

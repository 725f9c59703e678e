#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# The sizes of records that an accepted connection sends: as large as the windows of
# TCP, whatever the sizes of writes, and what that is good for.

import contextlib
import ctypes
import errno
import os
import select
import socket
import ssl
import statistics
import struct
import subprocess
import time

from tls_hs import *

RECORD_MAX = 16384
# Of TLS 1.3 with a tag of 16 bytes: header, tag, type.
OVERHEAD = 22
MSS = 1448
INITIAL_WINDOW = 10 * MSS
CORK = 3
TLS_HS_RECORD_SIZE = HEADER["TLS_HS_RECORD_SIZE"]
SERVER = None


def shell(command):
    subprocess.run(command.split(), check=True, capture_output=True)


@contextlib.contextmanager
def netem(rules):
    """A loopback with segments as on an Ethernet, and these rules."""
    try:
        shell(f"tc qdisc replace dev lo root netem {rules}")
    except subprocess.CalledProcessError as error:
        raise Failure("no netem in this kernel") from error
    try:
        yield
    finally:
        shell("tc qdisc del dev lo root")


def server():
    global SERVER
    SERVER = SERVER or listener()
    return SERVER


class Watcher:
    """A client that sees records and what is in them as they come."""

    def __init__(self, options=(), nodelay=False, **client):
        sock = tcp_connect(server().getsockname(), options=options)
        self.client = Client(None, sock=sock, **client).handshake()
        self.conn, family = accept(server())
        expect(family, PF_TLS)
        if nodelay:
            self.conn.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
        self.raw = b""
        self.lengths = []
        self.data = b""
        self.first = None
        # Tickets come first.
        self.client.send(b"request")
        expect(self.conn.recv(100), b"request")
        time.sleep(0.05)

    def take(self):
        """Takes in what has come: lengths of records with data, and the data."""
        more = self.client.sock.recv(65536)
        expect_true(more, "the connection ended")
        self.raw += more
        while len(self.raw) >= 5:
            (length,) = struct.unpack(">H", self.raw[3:5])
            if len(self.raw) < 5 + length:
                break
            self.client.incoming.write(self.raw[: 5 + length])
            self.raw = self.raw[5 + length :]
            before = len(self.data)
            with contextlib.suppress(ssl.SSLWantReadError):
                while more := self.client.tls.read(1 << 20):
                    self.data += more
            if len(self.data) > before:
                self.first = self.first or time.monotonic()
                self.lengths.append(len(self.data) - before)

    def take_all(self, size):
        while len(self.data) < size:
            self.take()
        return self.lengths

    def sends(self, data):
        """Contents of the records that these bytes come in, when written at once."""
        writer = Background(self.conn.sendall, data)
        lengths = self.take_all(len(data))
        writer.result()
        expect(self.data == data, True, "the data")
        return lengths

    def close(self):
        self.conn.close()
        self.client.close()


# --- what TCP may send ---


@case("a new connection: the first record fits the congestion window, in whole segments")
def _():
    with netem("delay 100ms"):
        watcher = Watcher()
        first, *rest = watcher.sends(os.urandom(100000))
        expect_true(first + OVERHEAD <= INITIAL_WINDOW, f"first record of {first}, then {rest}")
        expect((first + OVERHEAD) % MSS, 0, f"{first} bytes are whole segments")
        expect_true(first >= 4 * MSS, f"first record of {first}, then {rest}")
        watcher.close()


@case_in_real_time("an open window: records are full, whatever the size of a write", limit=60)
def _():
    watcher = Watcher()
    watcher.sends(os.urandom(2000000))
    for size in (50000, 1000000):
        watcher.lengths, watcher.data = [], b""
        lengths = watcher.sends(os.urandom(size))
        # The first may have to do with what the last acknowledgments have left.
        first, *rest, _last = lengths
        expect(rest, [RECORD_MAX] * len(rest), f"{size} bytes")
        expect_true(first + OVERHEAD >= INITIAL_WINDOW, f"{lengths}")
    watcher.close()


@case("a small window of the peer: records fit it")
def _():
    with netem("delay 20ms"):
        watcher = Watcher(options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
        lengths = watcher.sends(os.urandom(100000))
        expect_true(max(lengths) <= 8192, f"{lengths}")
        expect_true(statistics.median(lengths) >= 1024, f"{lengths}")
        watcher.close()


@case("segments of 88 bytes do not make records of 88 bytes", limit=60)
def _():
    watcher = Watcher(options=[(socket.SOL_TCP, socket.TCP_MAXSEG, 88)])
    lengths = watcher.sends(os.urandom(20000))
    expect_true(min(lengths[:-1]) >= 1024, f"{lengths}")
    watcher.close()


def first_byte(size):
    """Seconds from a write of 60 KB on a new connection to its first byte at the client."""
    watcher = Watcher()
    watcher.conn.setsockopt(SOL_TLS, TLS_HS_RECORD_SIZE, size)
    start = time.monotonic()
    watcher.conn.sendall(bytes(60000))
    while not watcher.data:
        watcher.take()
    seconds = watcher.first - start
    watcher.take_all(60000)
    watcher.close()
    return seconds


@case_in_real_time("the first byte comes a round trip earlier than from a full record", limit=60)
def _():
    with netem("delay 200ms"):
        times = {size: [first_byte(size) for _ in range(3)] for size in (0, RECORD_MAX)}
    fits, full = (statistics.median(times[size]) for size in (0, RECORD_MAX))
    print(f"# seconds to the first byte, round trip 0.4: {fits:.3f}, with full records {full:.3f}")
    expect_true(full - fits > 0.2, f"{times}")


@case("net.tls_hs.record_size is what new connections begin with")
def _():
    for size, wanted in ((0, 5000), (1000, 1000), (1, 64)):
        with sysctl_set("net.tls_hs.record_size", size):
            watcher = Watcher()
        expect(watcher.conn.getsockopt(SOL_TLS, TLS_HS_RECORD_SIZE), size)
        expect(watcher.sends(os.urandom(5000))[0], wanted)
        watcher.close()


@case("TLS_HS_RECORD_SIZE: records of one size, and only sensible ones")
def _():
    watcher = Watcher()
    for size in (64, 1000, RECORD_MAX):
        watcher.lengths, watcher.data = [], b""
        watcher.conn.setsockopt(SOL_TLS, TLS_HS_RECORD_SIZE, size)
        expect(watcher.conn.getsockopt(SOL_TLS, TLS_HS_RECORD_SIZE), size)
        lengths = watcher.sends(os.urandom(3 * size + 1))
        expect(lengths, [size] * 3 + [1])
    for size in (1, 63, RECORD_MAX + 1, -1):
        with raises(errno.EINVAL):
            watcher.conn.setsockopt(SOL_TLS, TLS_HS_RECORD_SIZE, size)
    for value in (b"", b"\0\1", struct.pack("=Q", 1000)):
        with raises(errno.EINVAL):
            watcher.conn.setsockopt(SOL_TLS, TLS_HS_RECORD_SIZE, value)
    # Not more than the client takes, whatever the program says.
    watcher.conn.setsockopt(SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, struct.pack("=H", 500))
    watcher.lengths, watcher.data = [], b""
    expect(max(watcher.sends(os.urandom(3000))), 500)
    with raises(errno.ENOPROTOOPT):
        server().setsockopt(SOL_TLS, TLS_HS_RECORD_SIZE, 1000)
    watcher.close()


# --- several writes ---


@case_in_real_time("MSG_MORE: writes of any size join to full records")
def _():
    watcher = Watcher()
    watcher.sends(os.urandom(2000000))
    for size in (1000, 10000, 20000):
        watcher.lengths, watcher.data = [], b""
        data = os.urandom(200000)

        def write():
            for at in range(0, len(data), size):
                more = socket.MSG_MORE if at + size < len(data) else 0
                part = memoryview(data)[at : at + size]
                while part:
                    part = part[watcher.conn.send(part, more) :]

        writer = Background(write)
        lengths = watcher.take_all(len(data))
        writer.result()
        expect(lengths[:-1], [RECORD_MAX] * (len(lengths) - 1), f"writes of {size}")
    expect(watcher.data == data, True, "the data")
    watcher.close()


@case("TCP_CORK: header and body are one record, which the end of the cork ends")
def _():
    watcher = Watcher()
    watcher.conn.setsockopt(socket.SOL_TCP, CORK, 1)
    watcher.conn.sendall(b"header")
    watcher.conn.sendall(b"body" * 100)
    watcher.conn.setsockopt(socket.SOL_TCP, CORK, 0)
    expect(watcher.take_all(406), [406])
    watcher.conn.sendall(b"next")
    expect(watcher.take_all(410)[-1], 4)
    watcher.close()


@case("TCP_CORK that is never taken off delays a record, but not for ever")
def _():
    watcher = Watcher()
    watcher.conn.setsockopt(socket.SOL_TCP, CORK, 1)
    watcher.conn.sendall(b"header")
    expect(watcher.take_all(6), [6])
    # And nothing is lost at the end.
    watcher.conn.sendall(b"last")
    watcher.conn.close()
    expect(watcher.take_all(10)[-1], 4)
    watcher.client.close()


@case("TCP_CORK and sendfile(): header, file and trailer")
def _():
    path = f"{os.environ['HS_TMP']}/file"
    with open(path, "wb") as file:
        file.write(os.urandom(5000))
    watcher = Watcher()
    watcher.conn.setsockopt(socket.SOL_TCP, CORK, 1)
    watcher.conn.sendall(b"header")
    with open(path, "rb") as file:
        expect(os.sendfile(watcher.conn.fileno(), file.fileno(), 0, 5000), 5000)
        watcher.conn.setsockopt(socket.SOL_TCP, CORK, 0)
        lengths = watcher.take_all(5006)
        file.seek(0)
        expect(watcher.data == b"header" + file.read(), True, "the data")
    expect_true(len(lengths) <= 2, f"{lengths}")
    watcher.close()


def small_writes(watcher, size=4000, count=300):
    data = os.urandom(size * count)

    def write():
        for at in range(0, len(data), size):
            watcher.conn.sendall(data[at : at + size])

    writer = Background(write)
    watcher.take_all(len(data))
    writer.result()
    expect(watcher.data == data, True, "the data")
    return watcher.lengths


@case_in_real_time("small writes join while TCP has enough to send, and not with TCP_NODELAY", limit=60)
def _():
    with netem("delay 20ms rate 20mbit limit 10000"):
        watcher = Watcher()
        lengths = small_writes(watcher)
        full = sum(length > 12000 for length in lengths)
        expect_true(full >= 20, f"{full} large records of {lengths}")
        watcher.close()
        watcher = Watcher(nodelay=True)
        lengths = small_writes(watcher, count=100)
        expect_true(max(lengths) <= 4000, f"{lengths}")
        watcher.close()


@case("a write that TCP can send at once is a record of its own")
def _():
    watcher = Watcher()
    for number in range(50):
        watcher.conn.sendall(b"x" * 100)
        expect(watcher.take_all(100 * (number + 1))[-1], 100)
    watcher.close()


# --- calls ---


@case("sendfile(), splice() and non-blocking writes with no room", limit=60)
def _():
    path = f"{os.environ['HS_TMP']}/file"
    data = os.urandom(700000)
    with open(path, "wb") as file:
        file.write(data)
    with netem("delay 5ms"):
        watcher = Watcher()
        with open(path, "rb") as file:
            sender = Background(watcher.conn.sendfile, file)
            lengths = watcher.take_all(len(data))
            sender.result()
        expect(watcher.data == data, True, "sendfile()")
        expect_true(lengths[0] + OVERHEAD <= INITIAL_WINDOW, f"{lengths}")
        expect_true(statistics.median(lengths) >= RECORD_MAX // 2, f"{lengths}")

        watcher.lengths, watcher.data = [], b""
        watcher.conn.setblocking(False)

        def write():
            rest = memoryview(data)
            while rest:
                try:
                    rest = rest[watcher.conn.send(rest[:100000]) :]
                except BlockingIOError:
                    select.select([], [watcher.conn], [], 1)

        writer = Background(write)
        watcher.take_all(len(data))
        writer.result()
        expect(watcher.data == data, True, "send()")
        watcher.close()


@case("a write of nothing, from nowhere, and of what is only partly there")
def _():
    watcher = Watcher()
    expect(watcher.conn.send(b""), 0)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.send.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    expect(libc.send(watcher.conn.fileno(), 8, 100000, 0), -1)
    expect(ctypes.get_errno(), errno.EFAULT)
    page = libc.mmap(None, 40960, 3, 0x22, -1, 0)
    libc.munmap(page + 20480, 20480)
    sent = libc.send(watcher.conn.fileno(), page, 40960, 0)
    expect_true(0 < sent <= 20480, f"{sent} of 20480 bytes that are there")
    watcher.conn.sendall(b"end")
    watcher.take_all(sent + 3)
    expect(watcher.data, bytes(sent) + b"end")
    watcher.close()


if __name__ == "__main__":
    # Not of other tests: sizes of segments.
    os.unshare(os.CLONE_NEWNET)
    shell("ip link set lo mtu 1500 up")
    run()

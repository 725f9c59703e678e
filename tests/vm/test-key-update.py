#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# After the handshake: KeyUpdates of the client and our own, of which a program that only
# reads and writes sees nothing.

import errno
import os
import select
import socket
import ssl
import struct
import subprocess
import time

from tls_session import *



@case("KeyUpdate of the client: data goes on")
def _():
    conn, client = pair()
    with counted(key_update=10):
        for number in range(10):
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
            flows(conn, client, b"after %d" % number)


@case("KeyUpdate that asks for one of ours: it goes before the next data")
def _():
    conn, client = pair()
    with counted(key_update=10, own_key_update=10):
        for number in range(10):
            client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"request")
            expect(conn.recv(100), b"request")
            conn.sendall(b"answer %d" % number)
            expect(client.receive(), (HANDSHAKE, KEY_UPDATE))
            client.update(TLS_RX)
            expect(client.receive(), (DATA, b"answer %d" % number))


@case("KeyUpdate behind data, in the middle of a large read")
def _():
    conn, client = pair()
    client.send(b"a" * 1000)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"b" * 1000)
    expect(receive_exactly(conn, 2000), b"a" * 1000 + b"b" * 1000)


@case("KeyUpdate with poll and a non-blocking socket")
def _():
    conn, client = pair()
    conn.setblocking(False)
    for number in range(5):
        client.send(KEY_UPDATE, HANDSHAKE)
        client.update(TLS_TX)
        wait_until(lambda: ready(conn), what="poll sees the KeyUpdate")
        with raises(errno.EAGAIN):
            conn.recv(10)
        expect(ready(conn), False, "nothing to read")
        client.send(b"%d" % number)
        expect(ready(conn, 5), True, "poll sees data behind a KeyUpdate")
        expect(conn.recv(10), b"%d" % number)
        # Both at once.
        client.send(KEY_UPDATE, HANDSHAKE)
        client.update(TLS_TX)
        client.send(b"more")
        got = b""
        while len(got) < 4:
            expect(ready(conn, 5), True, "poll sees KeyUpdate and data")
            try:
                got += conn.recv(10)
            except BlockingIOError:
                pass
        expect(got, b"more")


@case("several KeyUpdates with data between, all queued: poll sees each")
def _():
    for blocking in (True, False):
        conn, client = pair()
        client.send(b"data")
        for _ in range(5):
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"data")
        conn.setblocking(blocking)
        got = b""
        while len(got) < 24:
            expect(ready(conn, 2), True, f"poll after {got!r}")
            got += conn.recv(100)
        expect(got, b"data" * 6)


@case("KeyUpdate while a reader waits, and while a writer writes", limit=60)
def _():
    conn, client = pair()
    reader = Background(receive_exactly, conn, 5)
    time.sleep(0.1)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"woken")
    expect(reader.result(), b"woken")

    data = os.urandom(500000)
    writer = Background(conn.sendall, data)
    reader = Background(receive_exactly, conn, 20)
    for _ in range(20):
        client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
        client.update(TLS_TX)
        client.send(b"x")
    # poll() of kTLS does not show a KeyUpdate that was met behind data.
    client.sock.settimeout(None)
    got = b""
    while len(got) < len(data):
        kind, content = client.receive()
        if kind == HANDSHAKE:
            expect(content, KEY_UPDATE)
            client.update(TLS_RX)
        else:
            got += content
    expect(got == data, True, "all of it")
    writer.result()
    expect(reader.result(), b"x" * 20)


@case("openssl s_client asks for new keys")
def _():
    port = server().getsockname()[1]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-groups", "P-256", "-msg"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    conn, family = accept(server())
    expect(family, PF_TLS)
    conn.settimeout(10)
    got = b""
    try:
        with counted(key_update=2, own_key_update=1):
            for text in (b"K\n", b"first\n", b"k\n", b"second\n"):
                process.stdin.write(text)
                process.stdin.flush()
                time.sleep(0.3)
            got = receive_exactly(conn, 13)
            expect(got, b"first\nsecond\n")
            conn.sendall(b"third\n")
    except TimeoutError:
        raise Failure(f"timed out after {got!r}") from None
    finally:
        conn.close()
        process.stdin.close()
        output = process.stdout.read()
        process.wait(10)
        print("# " + output.decode(errors="replace")[-1500:].replace("\n", "\n# "))
    expect_true(b"third" in output, output[-500:])
    expect(output.count(b"KeyUpdate"), 3, "two of the client, one of the server")


@case("KeyUpdate of our own after net.tls_hs.rekey_records records")
def _():
    with sysctl_set("net.tls_hs.rekey_records", 10):
        conn, client = pair()
        with counted(own_key_update=4):
            updates = 0
            for number in range(50):
                conn.sendall(b"%d" % number)
                kind, content = client.receive()
                if kind == HANDSHAKE:
                    expect(content, KEY_UPDATE)
                    client.update(TLS_RX)
                    updates += 1
                    kind, content = client.receive()
                expect((kind, content), (DATA, b"%d" % number))
            expect(updates, 4)
        # In the middle of a large write as well. poll() of kTLS does not show a KeyUpdate that
        # was met behind data.
        client.sock.settimeout(None)
        writer = Background(conn.sendall, bytes(1000000))
        got = 0
        while got < 1000000:
            try:
                kind, content = client.receive()
            except TimeoutError as error:
                writer.result(1)
                raise Failure(f"nothing more after {got} bytes, {updates} updates") from error
            if kind == HANDSHAKE:
                client.update(TLS_RX)
                updates += 1
            else:
                got += len(content)
        writer.result()
        expect_true(updates >= 8, f"{updates} updates")
        client.send(b"data")
        expect(conn.recv(10), b"data")


@case("KeyUpdates of our own between writes that do not block, into a full buffer", limit=60)
def _():
    with sysctl_set("net.tls_hs.rekey_records", 3):
        conn, client = pair()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
        conn.setblocking(False)
        data = os.urandom(400000)

        def write():
            sent = 0
            while sent < len(data):
                try:
                    sent += conn.send(data[sent : sent + 3000])
                except BlockingIOError:
                    select.select([], [conn], [], 5)

        writer = Background(write)
        # poll() of kTLS does not show a KeyUpdate that was met behind data.
        client.sock.settimeout(None)
        got, updates = b"", 0
        while len(got) < len(data):
            kind, content = client.receive()
            if kind == HANDSHAKE:
                client.update(TLS_RX)
                updates += 1
            else:
                got += content
            time.sleep(0.001)
        writer.result()
        expect(got == data, True, "all of it")
        expect_true(updates > 20, f"{updates} updates")


@case("TLS 1.2 has no KeyUpdate: its keys stay")
def _():
    with sysctl_set("net.tls_hs.rekey_records", 1):
        client = Client(server().getsockname(), maximum=ssl.TLSVersion.TLSv1_2).handshake()
        conn, _ = accept(server())
        with counted():
            for _ in range(20):
                echo_check(conn, client)


@case("who asks for control messages has KeyUpdates handled all the same")
def _():
    conn, client = pair()
    with counted(key_update=6, own_key_update=3):
        for number in range(3):
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"%d" % number)
            expect(receive(conn), (DATA, b"%d" % number))
            # While the reader waits.
            reader = Background(receive, conn)
            time.sleep(0.1)
            client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"more")
            expect(reader.result(), (DATA, b"more"))
            conn.sendall(b"answer")
            expect(client.receive(), (HANDSHAKE, KEY_UPDATE))
            client.update(TLS_RX)
            expect(client.receive(), (DATA, b"answer"))
    # Any number of them, as long as there is data between.
    for number in range(40):
        client.send(KEY_UPDATE, HANDSHAKE)
        client.update(TLS_TX)
        client.send(b"%d" % number)
        expect(receive(conn), (DATA, b"%d" % number))
    conn.setblocking(False)
    with raises(errno.EAGAIN):
        receive(conn)
    client.send(b"\x01\0\0\0", HANDSHAKE)
    wait_until(lambda: ready(conn))
    with raises(errno.EPROTO):
        receive(conn)
    expect(client.receive(), (ALERT, bytes([FATAL, UNEXPECTED_MESSAGE])))


@case("who asks for control messages may be told of new keys as often as there is data between")
def _():
    conn, client = pair()
    for number in range(40):
        client.send(b"data")
        client.send(KEY_UPDATE, HANDSHAKE)
        client.update(TLS_TX)
        client.send(b"more")
        wait_until(lambda: ready(conn))
        got = b""
        while len(got) < 8:
            expect(ready(conn) or wait_until(lambda: ready(conn)), True, f"readable, {number}")
            got += conn.recvmsg(100, 64)[0]
        expect(got, b"datamore")


@case("the type of a record may be said of data, too, while TCP has much to send")
def _():
    conn, client = pair()
    conn.setsockopt(socket.SOL_TCP, socket.TCP_CORK, 1)
    conn.sendmsg([b"one"], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([DATA]))])
    conn.sendall(b"two")
    conn.setsockopt(SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, struct.pack("=H", 1000))
    conn.setsockopt(socket.SOL_TCP, socket.TCP_CORK, 0)
    got = b""
    while len(got) < 6:
        got += client.receive()[1]
    expect(got, b"onetwo")


if __name__ == "__main__":
    run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# After shutdown(SHUT_RD): reads end, and what the client sends is taken in all the same.

import errno
import socket
import ssl
import time

from tls_session import *


def deaf():
    conn, client = pair()
    conn.shutdown(socket.SHUT_RD)
    return conn, client


@case("SHUT_RD: reads end, whatever comes; writes and KeyUpdates go on")
def _():
    conn, client = pair()
    client.send(b"before")
    wait_until(lambda: ready(conn))
    conn.shutdown(socket.SHUT_RD)
    with counted(key_update=5, own_key_update=5):
        before = counters()["key_update"]
        for number in range(5):
            expect(conn.recv(10), b"")
            client.send(b"nobody reads this")
            client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"nor this")
            expect(conn.recv(10), b"")
            wait_until(lambda: conn.recv(1) or counters()["key_update"] - before > number)
            conn.sendall(b"answer %d" % number)
            expect(client.receive(), (HANDSHAKE, KEY_UPDATE))
            client.update(TLS_RX)
            expect(client.receive(), (DATA, b"answer %d" % number))
    expect(receive(conn), (None, b""), "for who asks for control messages, too")


@case("SHUT_RD: the client's alert ends the session, and writes fail")
def _():
    conn, client = deaf()
    with counted(peer_alert=1):
        client.send(b"data")
        client.send(bytes([FATAL, 80]), ALERT)
        with raises(errno.EPIPE):
            for _ in range(100):
                conn.send(b"x")
                time.sleep(0.05)
    conn.close()
    while client.receive()[0] == DATA:
        pass


@case("SHUT_RD: the end is a close_notify and no reset, though data was not read")
def _():
    conn, client = deaf()
    client.send(b"x" * 50000)
    client.send(CLOSE, ALERT)
    conn.sendall(b"answer")
    time.sleep(0.2)
    conn.close()
    expect(client.receive(), (DATA, b"answer"))
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"", "no reset")


@case("SHUT_RD: what breaks the protocol is answered")
def _():
    for kind, content in ((HANDSHAKE, b"\x01\0\0\0"), (99, b"x")):
        conn, client = deaf()
        client.send(content, kind)
        with raises(errno.EPIPE):
            for _ in range(100):
                conn.send(b"x")
                time.sleep(0.05)
        conn.close()
        while (got := client.receive())[0] == DATA:
            pass
        expect(got, (ALERT, bytes([FATAL, UNEXPECTED_MESSAGE])))


@case("a reader that waits is woken by SHUT_RD of another thread")
def _():
    conn, client = pair()
    reader = Background(conn.recv, 10)
    time.sleep(0.2)
    conn.shutdown(socket.SHUT_RD)
    expect(reader.result(), b"")
    conn.sendall(b"still")
    expect(client.receive(), (DATA, b"still"))



# --- while the program makes no call ---


def counter_grows(name):
    """Waits until a counter that is 0 now is not."""
    before = counters()[name]
    return lambda: wait_until(lambda: counters()[name] > before, what=name)


@case("SHUT_RD: what comes is taken in when it comes", limit=60)
def _():
    conn, client = deaf()
    before = counters()["key_update"]
    with counted(key_update=2, own_key_update=1):

        def send():
            for number in range(64):
                client.send(bytes(16384))
                if number % 40 == 39:
                    client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
                    client.update(TLS_TX)
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
            client.send(CLOSE, ALERT)

        # More than the server's window, and then nothing is left.
        Background(send).result()
        wait_until(lambda: counters()["key_update"] == before + 2, what="KeyUpdates")
        wait_until(lambda: not unread(conn), what="everything is taken in")
        conn.sendall(b"answer")
        expect(client.receive(), (HANDSHAKE, KEY_UPDATE))
        client.update(TLS_RX)
        expect(client.receive(), (DATA, b"answer"))
    expect(conn.recv(10), b"")
    conn.close()
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"", "no reset")


@case("SHUT_RD: after the client's alert the first write fails")
def _():
    conn, client = deaf()
    seen = counter_grows("peer_alert")
    client.send(b"data")
    client.send(bytes([FATAL, 80]), ALERT)
    seen()
    with raises(errno.EPIPE):
        conn.send(b"x")
    with raises(errno.ECONNRESET):
        conn.recv(1)
    expect(conn.recv(1), b"")


@case("SHUT_RD: a writer that waits is woken by the client's alert")
def _():
    conn, client = deaf()
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    writer = Background(conn.sendall, bytes(8000000))
    time.sleep(0.3)
    client.send(bytes([FATAL, 80]), ALERT)
    with raises(errno.EPIPE):
        writer.result()


@case("SHUT_RD: what breaks the protocol is answered at once")
def _():
    conn, client = deaf()
    with counted(unexpected_message=1):
        client.send(b"\x01\0\0\0", HANDSHAKE)
        expect(client.receive(), (ALERT, bytes([FATAL, UNEXPECTED_MESSAGE])))
    with raises(errno.EPIPE):
        conn.send(b"x")
    for damage in (b"\x17\3\1\0\x40" + bytes(64), b"\x17\3\3\0\x40" + bytes(64)):
        conn, client = record_client(server(), Sealer)
        conn.shutdown(socket.SHUT_RD)
        client.sock.sendall(damage)
        try:
            client.receive()
        except ssl.SSLError as error:
            expect_true("ALERT" in error.reason, error.reason)
        with raises(errno.EPIPE):
            conn.send(b"x")


@case("SHUT_RD: closing while the client sends", limit=60)
def _():
    for number in range(30):
        conn, client = deaf()
        client.sock.settimeout(5)

        def send():
            try:
                while True:
                    client.send(bytes(16000))
            except OSError:
                pass

        sender = Background(send)
        time.sleep(number * 0.002)
        if number % 3 == 0:
            shutters = [Background(conn.shutdown, socket.SHUT_RD) for _ in range(3)]
            for shutter in shutters:
                shutter.result()
        conn.close()
        sender.result()


if __name__ == "__main__":
    run()

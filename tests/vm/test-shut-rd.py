#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# After shutdown(SHUT_RD): reads end, and what the client sends is taken in all the same.

import errno
import socket
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


if __name__ == "__main__":
    run()

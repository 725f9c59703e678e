#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# Little room: send and receive buffers, windows and segments that are much smaller
# than the handshake's messages.

import os
import socket
import ssl
import subprocess
import time

from tls_hs import *
from tls_tun import *

TIMEOUT_MS = 3000
MAXSEG, WINDOW_CLAMP = 2, 10
SNDBUF = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)]
RCVBUF = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)]


def big_host(names=550):
    """A certificate of about 20 KB: the server's flight fits neither the smallest buffers nor a record."""
    files = os.environ["HS_TMP"]
    alternatives = ",".join(f"DNS:a-rather-long-name-{number}.example.com" for number in range(names))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=big"]
        + ["-keyout", f"{files}/big.key", "-out", f"{files}/big.pem", "-addext", f"subjectAltName=DNS:localhost,{alternatives}"],
        check=True,
        capture_output=True,
    )
    ring = keyring()
    for kind, name in ((CERT, "big.pem"), (PRIV, "big.key")):
        with open(f"{files}/{name}", "rb") as file:
            add_key(kind, file.read(), ring)
    context = ssl.create_default_context(cafile=f"{files}/big.pem")
    context.set_ecdh_curve("prime256v1")
    return ring, context


BIG, BIG_CONTEXT = None, None


def big_listener(**options):
    global BIG, BIG_CONTEXT
    if BIG is None:
        BIG, BIG_CONTEXT = big_host()
    return listener(ring=BIG, **options)


def completes(server, client):
    with counted(completed=1):
        client.handshake()
        conn, family = accept(server)
    expect(family, PF_TLS)
    echo_check(conn, client)
    data = os.urandom(100000)
    sender = Background(conn.sendall, data)
    expect(client.receive_exactly(len(data)) == data, True, "a lot of data afterwards")
    sender.result()
    conn.close()
    client.close()


@case("a flight of 20 KB")
def _():
    server = big_listener()
    completes(server, Client(server.getsockname(), context=BIG_CONTEXT))


@case("the smallest send buffer", limit=60)
def _():
    server = big_listener(options=SNDBUF)
    completes(server, Client(server.getsockname(), context=BIG_CONTEXT))


@case("the smallest receive buffers on both sides", limit=60)
def _():
    server = big_listener(options=SNDBUF + RCVBUF)
    sock = tcp_connect(server.getsockname(), options=RCVBUF)
    completes(server, Client(None, context=BIG_CONTEXT, sock=sock))


@case("a ClientHello of 1.6 KB into the smallest receive buffer", limit=60)
def _():
    server = listener(options=RCVBUF)
    for _ in range(5):
        completes(server, Client(server.getsockname(), groups=None))


@case("a ClientHello of nearly 16 KB", limit=60)
def _():
    # OpenSSL offers as many protocols as it is told: 60 names of 250 bytes.
    names = [(b"%03d" % number + b"x" * 250).decode()[:250] for number in range(60)]
    for options in ([], RCVBUF):
        server = listener(options=options)
        client = Client(server.getsockname(), alpn=names)
        hello = client.produce()
        expect_true(15000 < len(hello) < 16384, f"{len(hello)} bytes")
        client.sock.sendall(hello)
        completes(server, client)


@case("segments of 88 bytes", limit=60)
def _():
    server = big_listener(options=[(socket.SOL_TCP, MAXSEG, 88)])
    sock = tcp_connect(server.getsockname(), options=[(socket.SOL_TCP, MAXSEG, 88)])
    completes(server, Client(None, context=BIG_CONTEXT, sock=sock))


def stuck(server):
    """A client whose window is full of half of the server's flight."""
    sock = tcp_connect(server.getsockname(), options=RCVBUF)
    client = Client(None, context=BIG_CONTEXT, sock=sock)
    client.sock.sendall(client.produce())
    time.sleep(0.3)
    return client


@case("a client that does not read for a while", limit=60)
def _():
    server = big_listener(options=SNDBUF)
    client = stuck(server)
    time.sleep(1)
    completes(server, client)


@case("a client that never reads: the deadline ends it", limit=60)
def _():
    server = big_listener(options=SNDBUF)
    with counted(admitted=1, failed=1, timeout=1):
        client = stuck(server)
        time.sleep(TIMEOUT_MS / 1000)
    client.close()


@case("a client that resets while the flight is stuck", limit=60)
def _():
    server = big_listener(options=SNDBUF)
    with counted(admitted=5, failed=5, peer_reset=5):
        for _ in range(5):
            reset(stuck(server).sock)


@case("a listener that is closed while flights are stuck", limit=60)
def _():
    server = big_listener(options=SNDBUF)
    clients = [stuck(server) for _ in range(5)]
    with counted(failed=5, listener_closed=5):
        server.close()
    for client in clients:
        read_to_end(client.sock)


@case("the client's last flight comes before it has read the server's", limit=60)
def _():
    # Garbage where Finished should be, but the flight is still stuck: no crash, an end.
    server = big_listener(options=SNDBUF)
    client = stuck(server)
    with counted(failed=1, bad_record_mac=1):
        client.sock.sendall(record(bytes(60), kind=DATA, version=0x0303))
        read_to_end(client.sock)


@case("a client that ends its side with its last flight and acknowledges nothing", limit=60)
def _():
    ring, context = big_host(names=90)
    add_key(HEADER["TLS_HS_KEY_TYPE_TICKET"], os.urandom(48), ring, HEADER["TLS_HS_KEY_DESC_TICKET"])
    tun = Tun()
    server = listener(address=tun.there, ring=ring, options=SNDBUF)
    client = Client(None, context=context, sock=tun.client(server.getsockname()[1]).connect())
    flight = client.last_flight()
    with counted(completed=1):
        client.sock.sendall(flight)
        tun.send(client.sock, FIN | ACK)
        client.sock.seq += 1
        # The session tickets have no room in the send buffer.
        expect(ready(server, 0.2), False, "complete")
        client.sock.acknowledge()
        conn, family = accept(server)
    expect(family, PF_TLS)
    client.sock.wait(lambda: client.sock.data)
    client.sock.acknowledge()
    conn.sendall(b"an answer")
    expect(client.receive(), b"an answer")
    conn.close()
    client.sock.reset()
    tun.close()


@case("memory of TCP is short", limit=60)
def _():
    server = listener()
    with sysctl_set("net.ipv4.tcp_mem", "8 12 40"):
        done = 0
        for _ in range(10):
            client = Client(server.getsockname())
            client.sock.settimeout(2)
            try:
                client.handshake()
                done += 1
            except (OSError, Failure):
                pass
            client.close()
        server.settimeout(0.5)
        try:
            while True:
                accept(server)[0].close()
        except OSError:
            pass
    server.settimeout(None)
    connected(server)


if __name__ == "__main__":
    load(handshake_timeout_ms=TIMEOUT_MS)
    run(load_module=False)

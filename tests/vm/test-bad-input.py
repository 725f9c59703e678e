#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# What no TLS client sends: garbage, broken records, messages out of place, at every
# stage. The right alert goes out, the connection ends, a counter says why, nothing
# comes out of accept(), and nothing is left behind.

import random
import socket
import ssl
import struct

from tls_hs import *

CONTEXT = client_context()
SERVER = None


def server():
    global SERVER
    SERVER = SERVER or listener()
    return SERVER


def alert_of(data):
    """The plaintext alert that ends what the server sent, or None."""
    last = None
    for kind, content in records(data):
        last = (kind, content)
    if last and last[0] == ALERT and len(last[1]) == 2:
        return last[1][1]
    return None


def refused(data, reason, alert):
    """The server answers these bytes with this alert, unencrypted, and closes."""
    with counted(admitted=1, failed=1, **{reason: 1}):
        sock = tcp_connect(server().getsockname())
        sock.sendall(data)
        got, was_reset = read_to_end(sock)
    expect(was_reset, False, "closed in order")
    expect(alert_of(got), alert, "alert")
    expect(ready(server()), False, "nothing for accept()")
    sock.close()


def refused_encrypted(client, data, reason, alert):
    """The same after the handshake keys are in use."""
    with counted(failed=1, **{reason: 1}):
        client.sock.sendall(data)
        got, was_reset = read_to_end(client.sock)
    expect(was_reset, False, "closed in order")
    client.incoming.write(got)
    try:
        client.tls.read(1)
        raise Failure("no alert")
    except ssl.SSLError as error:
        expect_true(alert in str(error).lower(), f"{alert} in: {error}")
    expect(ready(server()), False, "nothing for accept()")
    client.close()


HELLO = client_hello(context=CONTEXT)
BODY = HELLO[5:]


# --- before and instead of a ClientHello ---


@case("not TLS at all")
def _():
    for data in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.0\r\n",
        b"\n" * 10,
        bytes(100),
        b"\xff" * 100,
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(37),
    ):
        refused(data, "not_tls", UNEXPECTED_MESSAGE)


@case("another major version in the record header")
def _():
    for version in (0x0200, 0x0400, 0xFFFF):
        refused(record(BODY, version=version), "record_version", PROTOCOL_VERSION)


@case("a record that is too long, or empty")
def _():
    refused(record(bytes(16385)), "record_overflow", RECORD_OVERFLOW)
    refused(struct.pack(">BHH", HANDSHAKE, 0x0301, 0xFFFF), "record_overflow", RECORD_OVERFLOW)
    refused(record(b""), "empty_record", UNEXPECTED_MESSAGE)


@case("records of other types first")
def _():
    refused(record(b"data", kind=DATA), "not_tls", UNEXPECTED_MESSAGE)
    refused(record(b"x", kind=24), "not_tls", UNEXPECTED_MESSAGE)


@case("other handshake messages first")
def _():
    for kind in (0, 2, 8, 11, 15, 16, 20, 24, 254):
        refused(record(bytes([kind]) + BODY[1:]), "unexpected_message", UNEXPECTED_MESSAGE)


@case("a ClientHello that does not parse")
def _():
    def message(content):
        return record(b"\1" + struct.pack(">I", len(content))[1:] + content)

    content = BODY[4:]
    for broken in (
        b"",
        content[:1],
        content[:33],
        content[:-1],
        content + b"\0",
        content[:34] + b"\x21" + content[35:],
    ):
        refused(message(broken), "decode_error", DECODE_ERROR)


@case("an extension twice")
def _():
    # The last extension again; the lengths of list, message and record grow.
    at = 2 + 32
    content = BODY[4:]
    at += 1 + content[at]
    at += 2 + int.from_bytes(content[at : at + 2], "big")
    at += 1 + content[at]
    extensions = content[at + 2 :]
    again = extensions + extensions[: 4 + int.from_bytes(extensions[2:4], "big")]
    content = content[:at] + struct.pack(">H", len(again)) + again
    data = record(b"\1" + struct.pack(">I", len(content))[1:] + content)
    refused(data, "duplicate_extension", DECODE_ERROR)


@case("an alert instead of a ClientHello")
def _():
    for alert in (bytes([2, 40]), bytes([1, 0])):
        sock = tcp_connect(server().getsockname())
        sock.sendall(record(alert, kind=ALERT))
        got, _ = read_to_end(sock)
        expect_true(alert_of(got) in (None, UNEXPECTED_MESSAGE), f"{got}")
        expect(ready(server()), False)


@case("a fragmented ClientHello with something between")
def _():
    split = record(BODY[:100]) + record(b"\1", kind=20) + record(BODY[100:])
    refused(split, "interleaved_record", UNEXPECTED_MESSAGE)


@case("a second message behind the ClientHello")
def _():
    refused(record(BODY + b"\x14\0\0\0"), "excess_handshake_data", UNEXPECTED_MESSAGE)


@case("a key share that is no point of the curve")
def _():
    client = Client(server().getsockname(), context=CONTEXT)
    hello = bytearray(client.produce())
    place = hello.index(bytes.fromhex("00170041") + b"\4")
    for change in (lambda at: at + 4, lambda at: at + 5, lambda at: at + 68):
        broken = bytearray(hello)
        broken[change(place)] ^= 1
        refused(bytes(broken), "bad_key_share", ILLEGAL_PARAMETER)


# --- after the server's flight ---


def after_flight():
    """A client that has the server's flight, and what it would send."""
    client = Client(server().getsockname(), context=CONTEXT)
    return client, client.last_flight()


@case("a Finished that was changed on the way")
def _():
    for place in (-1, -20):
        client, flight = after_flight()
        broken = bytearray(flight)
        broken[place] ^= 1
        refused_encrypted(client, bytes(broken), "bad_record_mac", "bad record mac")


@case("plaintext instead of Finished")
def _():
    client, _ = after_flight()
    refused_encrypted(client, record(b"\x14\0\0\x20" + bytes(32), version=0x0303), "unexpected_record", "unexpected message")


@case("application data instead of Finished")
def _():
    client, flight = after_flight()
    sealed = client.seal(b"GET / HTTP/1.0\r\n\r\n")
    # Its keys are other ones than the handshake's.
    refused_encrypted(client, sealed, "bad_record_mac", "bad record mac")


@case("a protected record that is too long")
def _():
    client, _ = after_flight()
    header = struct.pack(">BHH", DATA, 0x0303, 16384 + 257)
    refused_encrypted(client, header + bytes(16384 + 257), "record_overflow", "record overflow")


@case("a protected record that is too short for its tag")
def _():
    for size in (0, 1, 15, 16):
        client, _ = after_flight()
        short = record(bytes(size), kind=DATA, version=0x0303)
        refused_encrypted(client, short, "bad_record_mac", "bad record mac")


@case("change_cipher_spec that is none, and too many")
def _():
    for content in (b"\0", b"\1\1", b"\2"):
        client, _ = after_flight()
        refused_encrypted(client, record(content, kind=20, version=0x0303), "bad_change_cipher_spec", "unexpected message")
    client, _ = after_flight()
    many = record(b"\1", kind=20, version=0x0303) * 40
    refused_encrypted(client, many, "too_many_change_cipher_specs", "unexpected message")


@case("the client ends the handshake with an alert")
def _():
    # A client that does not trust the certificate: OpenSSL sends unknown_ca.
    context = ssl.create_default_context()
    context.set_ecdh_curve("prime256v1")
    client = Client(server().getsockname(), context=context)
    with counted(failed=1, alert_received=1):
        client.sock.sendall(client.produce())
        client.take()
        try:
            client.last_flight()
            raise Failure("verified")
        except ssl.SSLCertVerificationError:
            client.sock.sendall(client.outgoing.read())
        read_to_end(client.sock)


# --- at random ---


@case("every octet of a ClientHello changed: an alert, a fallback or a server's flight", limit=110)
def _():
    generator = random.Random(2)
    before = counters()
    total = 0
    for place in range(len(HELLO)):
        broken = bytearray(HELLO)
        broken[place] ^= 1 << generator.randrange(8)
        sock = tcp_connect(server().getsockname())
        # The length may promise more than comes.
        sock.sendall(broken)
        sock.shutdown(socket.SHUT_WR)
        read_or_accept(sock)
        total += 1

    def growth():
        return {name: value - before[name] for name, value in counters().items() if value != before[name]}

    def ended():
        return sum(growth().get(name, 0) for name in ("failed", "fell_back", "completed")) == total

    try:
        wait_until(ended, 5)
    except Failure:
        raise Failure(f"{total} handshakes, but {growth()}") from None
    expect(counters()["admitted"] - before["admitted"], total)


def read_or_accept(sock):
    """Waits for the connection's end, or takes it out of accept() and ends it."""
    while True:
        if ready(sock, 0.02):
            read_to_end(sock)
            break
        if ready(server()):
            conn, family = accept(server())
            expect_true(family != PF_TLS, "the handshake was completed")
            conn.close()
            break
    sock.close()


@case("random bytes in random pieces", limit=60)
def _():
    generator = random.Random(3)
    for _ in range(100):
        data = generator.choice((b"", HELLO[:5], HELLO[: generator.randrange(len(HELLO))]))
        data += generator.randbytes(generator.randrange(1, 400))
        sock = tcp_connect(server().getsockname())
        try:
            while data:
                size = generator.randrange(1, 100)
                sock.send(data[:size])
                data = data[size:]
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The server closed before everything was sent.
            sock.close()
            continue
        read_or_accept(sock)
    # And it still serves.
    while ready(server()):
        accept(server())[0].close()
    connected(server(), context=CONTEXT)


if __name__ == "__main__":
    run()

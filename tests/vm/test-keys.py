#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Certificates and keys: what add_key() takes and why it refuses the rest, that
# nobody reads a key back, which virtual host serves which name, and that updates,
# revocation and expiry count without a new TLS_HS.

import ctypes
import errno
import os
import socket
import subprocess
import time

from tls_keys import *

E = errno

KEY = read_cert("localhost.key")
CHAIN = read_cert("localhost.pem")
KEY_DER = openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", data=KEY)
SEC1 = read_cert("sec1.key")
SEC1_DER = openssl("ec", "-outform", "DER", data=SEC1)
LEAF_DER = openssl("x509", "-outform", "DER", data=CHAIN)
BEGIN = b"-----BEGIN CERTIFICATE-----"
CHAIN_DER = b"".join(
    openssl("x509", "-outform", "DER", data=BEGIN + block) for block in CHAIN.split(BEGIN)[1:]
)


def refused(kind, number, *payloads):
    ring = keyring()
    for payload in payloads:
        with raises(number):
            add_key(kind, payload, ring)


# --- what add_key() takes ---


@case("private keys in every form, certificates in every form")
def _():
    for key in (KEY, KEY_DER, SEC1, SEC1_DER, KEY.replace(b"\n", b"\r\n"), b"# text\n" + KEY):
        for cert in (CHAIN, CHAIN_DER, CHAIN.replace(b"\n", b"\r\n")):
            ring = keyring()
            add_key(PRIV, key, ring)
            add_key(CERT, cert, ring)
            serves(listener(ring=ring), "localhost", "localhost")


@case("garbage: EBADMSG")
def _():
    for kind in (CERT, PRIV):
        refused(kind, E.EBADMSG, b"x", b"garbage" * 100, bytes(500), b"\x30", b"\x30\x82\xff\xff")
    refused(PRIV, E.EBADMSG, CHAIN, LEAF_DER, KEY[:-30], KEY_DER[:-1], KEY_DER + b"\0")
    refused(CERT, E.EBADMSG, KEY, KEY_DER, CHAIN[:-30], LEAF_DER[:-1], LEAF_DER + b"\0")
    refused(PRIV, E.EBADMSG, KEY + KEY, KEY.replace(b"\nM", b"\n*"))
    refused(CERT, E.EBADMSG, CHAIN + KEY)


@case("an empty payload: EINVAL")
def _():
    for kind in (CERT, PRIV):
        refused(kind, E.EINVAL, None)


@case("keys of other kinds and on other curves: ENOPKG")
def _():
    refused(PRIV, E.ENOPKG, read_cert("rsa.key"), read_cert("p384.key"))
    refused(PRIV, E.ENOPKG, openssl("genpkey", "-algorithm", "ed25519"))
    refused(CERT, E.ENOPKG, read_cert("rsa.pem"), read_cert("p384.pem"))


@case("an encrypted key: EKEYREJECTED")
def _():
    traditional = openssl("ec", "-aes128", "-passout", "pass:x", data=KEY)
    refused(PRIV, EKEYREJECTED, read_cert("encrypted.key"), traditional)


@case("a scalar out of range, a public key of another scalar: EKEYREJECTED")
def _():
    order = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    place = SEC1_DER.index(b"\x04\x20") + 2

    def with_scalar(scalar, der):
        return der[:place] + scalar + der[place + 32 :]

    # Without the public key, so that only the scalar can be wrong.
    no_public = openssl("ec", "-no_public", "-outform", "DER", data=KEY)
    for scalar in (bytes(32), order, b"\xff" * 32):
        refused(PRIV, EKEYREJECTED, with_scalar(scalar, no_public))
    add_key(PRIV, with_scalar((int.from_bytes(order, "big") - 1).to_bytes(32, "big"), no_public), keyring())
    refused(PRIV, EKEYREJECTED, with_scalar(bytes(31) + b"\1", SEC1_DER))


@case("too many certificates, too long a key: EMSGSIZE")
def _():
    leaf = openssl("x509", data=CHAIN)
    add_key(CERT, leaf * 10, keyring())
    refused(CERT, E.EMSGSIZE, leaf * 11)
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"MIIB" * 1000 + b"\n-----END PRIVATE KEY-----\n"
    refused(PRIV, E.EMSGSIZE, key)


# --- reading back ---


@case("nobody reads a key back, not even its owner")
def _():
    ring = keyring()
    buffer = ctypes.create_string_buffer(65536)
    for kind, payload in ((PRIV, KEY), (CERT, CHAIN)):
        key = add_key(kind, payload, ring)
        keyctl(KEYCTL_SETPERM, key, 0x3F3F3F3F)
        with raises(E.EOPNOTSUPP):
            keyctl(KEYCTL_READ, key, buffer, ctypes.c_size_t(len(buffer)))
    expect(buffer.raw.strip(b"\0"), b"")


@case("/proc/keys tells nothing of what a key holds")
def _():
    ring = keyring()
    serial = add_key(PRIV, KEY, ring)
    with open("/proc/keys") as file:
        lines = [line for line in file if int(line.split()[0], 16) == serial]
    expect(len(lines), 1)
    expect_true("tls_priv" in lines[0] and "tlspk:" in lines[0], lines[0])
    scalar = SEC1_DER[SEC1_DER.index(b"\x04\x20") + 2 :][:32]
    expect_true(scalar.hex()[:8] not in lines[0].lower(), "the scalar is in /proc/keys")


# --- quota ---


def charged():
    """Bytes of root's quota that are used."""
    with open("/proc/key-users") as file:
        users = {line.split(":")[0].strip(): line for line in file}
    return int(users["0"].split()[-1].partition("/")[0])


@case("a key gives back all of the quota that it took, however long its payload")
def _():
    ring = keyring()
    # The key service counts in 16 bits.
    long = b"#\n" * 35000 + CHAIN
    before = charged()
    for description in ("tlscrt:", "x" * 4095):
        for payloads in ((long,), (long,) * 6, (CHAIN, long, CHAIN)):
            for payload in payloads:
                key = add_key(CERT, payload, ring, description)
            expect_true(charged() - before > len(CHAIN), "something is charged")
            keyctl(KEYCTL_UNLINK, key, ring)
            wait_until(lambda: charged() <= before, 5, f"from {charged()} bytes back to {before}")


@case("a key that is revoked gives back what its payload took")
def _():
    ring = keyring()
    before = charged()
    key = add_key(CERT, CHAIN, ring)
    expect_true(charged() - before > len(CHAIN), "something is charged")
    keyctl(KEYCTL_REVOKE, key)
    expect_true(charged() - before < len(CHAIN), f"from {before} to {charged()} bytes")


# --- virtual hosts ---


def hosts(default=None, **names):
    ring = host(default) if default else keyring()
    for cert, name in names.items():
        host(cert, keyring(name, ring))
    return ring


@case("a keyring for each server name")
def _():
    server = listener(ring=hosts("localhost", one="one.example.com", two="two.example.com"))
    serves(server, "one.example.com", "one")
    serves(server, "two.example.com", "two")
    serves(server, "ONE.Example.Com", "one")
    serves(server, "other.example.com", "localhost")
    serves(server, "localhost", "localhost")
    serves(server, None, "localhost")


@case("a wildcard stands for one label, an exact name goes before it")
def _():
    server = listener(ring=hosts("localhost", wild="*.example.com", one="one.example.com"))
    serves(server, "any.example.com", "wild")
    serves(server, "one.example.com", "one")
    serves(server, "a.b.example.com", "localhost")
    serves(server, "example.com", "localhost")
    serves(server, "example.com.org", "localhost")


@case("without a default a name that is nobody's falls back")
def _():
    server = listener(ring=hosts(one="one.example.com"))
    serves(server, "one.example.com", "one")
    falls_back(server, "two.example.com")
    falls_back(server, "example.com")
    falls_back(server, "one.example.com.org")
    falls_back(server, "xone.example.com")
    falls_back(server, None)


@case("a hundred virtual hosts")
def _():
    ring = keyring()
    for number in range(100):
        host(("one", "two")[number % 2], keyring(f"host{number}.example.com", ring))
    server = listener(ring=ring)
    for number in (0, 1, 42, 57, 98, 99):
        serves(server, f"host{number}.example.com", ("one", "two")[number % 2])
    falls_back(server, "host100.example.com")


# --- keys that change ---


@case("an update counts for the next handshake")
def _():
    ring = keyring()
    add_key(CERT, read_cert("one.pem"), ring)
    add_key(PRIV, read_cert("one.key"), ring)
    server = listener(ring=ring)
    serves(server, "localhost", "one")
    # add_key() of the same type and description updates.
    add_key(CERT, read_cert("two.pem"), ring)
    # Only one of the two is new: they do not belong together.
    falls_back(server, "localhost")
    add_key(PRIV, read_cert("two.key"), ring)
    serves(server, "localhost", "two")


@case("a refused update leaves the key as it was")
def _():
    ring = host("one")
    server = listener(ring=ring)
    for payload, number in ((b"garbage", E.EBADMSG), (read_cert("rsa.key"), E.ENOPKG)):
        with raises(number):
            add_key(PRIV, payload, ring)
    serves(server, "localhost", "one")


@case("a revoked key falls back at once, established connections go on")
def _():
    for kind in (CERT, PRIV):
        ring = keyring()
        keys = {
            CERT: add_key(CERT, read_cert("one.pem"), ring),
            PRIV: add_key(PRIV, read_cert("one.key"), ring),
        }
        server, conn, client = connected(listener(ring=ring), name="one.example.com")
        keyctl(KEYCTL_REVOKE, keys[kind])
        falls_back(server, "one.example.com")
        echo_check(conn, client)


def with_one():
    """A keyring with one host, its private key, and a listener that serves it."""
    ring = keyring()
    add_key(CERT, read_cert("one.pem"), ring)
    key = add_key(PRIV, read_cert("one.key"), ring)
    return ring, key, listener(ring=ring)


@case("an expired key falls back")
def _():
    _ring, key, server = with_one()
    serves(server, "one.example.com", "one")
    keyctl(KEYCTL_SET_TIMEOUT, key, 1)
    time.sleep(2.1)
    falls_back(server, "one.example.com")


@case("an update makes a key that has expired a good one")
def _():
    ring, key, server = with_one()
    keyctl(KEYCTL_SET_TIMEOUT, key, 1)
    time.sleep(2.1)
    falls_back(server, "one.example.com")
    expect(add_key(PRIV, read_cert("one.key"), ring), key)
    serves(server, "one.example.com", "one")


@case("an update ends the timeout that was set before")
def _():
    ring, key, server = with_one()
    keyctl(KEYCTL_SET_TIMEOUT, key, 1)
    add_key(PRIV, read_cert("one.key"), ring)
    time.sleep(2.1)
    serves(server, "one.example.com", "one")


@case("keyrings without anything that holds them but the listener")
def _():
    ring = host("one")
    server = listener(ring=ring)
    keyctl(KEYCTL_UNLINK, ring, SESSION_KEYRING)
    time.sleep(0.5)
    serves(server, "one.example.com", "one")


# --- permissions ---


@case("a worker without privileges accepts, reads and writes, but has no access to the keys")
def _():
    ring = host("one")
    server = listener(ring=ring)
    client = Client(server.getsockname(), name="one.example.com").handshake()
    client.send(b"request")

    def worker():
        conn, family = accept(server)
        if family != PF_TLS or conn.recv(64) != b"request":
            raise OSError(E.EPROTO, "request")
        conn.sendall(b"response")

    as_nobody(worker)
    expect(client.receive(), b"response")

    def use_keys():
        sock = bound()
        set_ulp(sock)
        sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(ring))

    with raises(E.EACCES, ENOKEY, E.EPERM):
        as_nobody(use_keys)


if __name__ == "__main__":
    run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# What client and kernel can agree on, with OpenSSL's and GnuTLS's clients: versions,
# suites, groups, resumption, protocols, stapling, record sizes, strict names.
#
# timeout: 240

import ctypes
import errno
import os
import socket
import struct
import subprocess
import threading

from tls_hs import *

TMP = os.environ["HS_TMP"]
ALPN, OCSP, TICKET = (HEADER[f"TLS_HS_KEY_TYPE_{kind}"] for kind in ("ALPN", "OCSP", "TICKET"))
V12, V13 = 0x0303, 0x0304
P256, X25519 = 0x17, 0x1D
KEYCTL_UPDATE = 2
SUITES = {
    V12: {
        "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
        "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
        "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
    },
    V13: {
        "TLS_AES_128_GCM_SHA256": 0x1301,
        "TLS_AES_256_GCM_SHA384": 0x1302,
        "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    },
}
VERSION_FLAG = {V12: "-tls1_2", V13: "-tls1_3"}


def info(conn):
    data = conn.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)
    version, suite, group, flags = struct.unpack_from("=4H", data)
    name, protocol = (data[at : at + 256].rstrip(b"\0").decode() for at in (8, 264))
    return {
        "version": version,
        "suite": suite,
        "group": group,
        "resumed": bool(flags & HEADER["TLS_HS_INFO_RESUMED"]),
        "name": name,
        "protocol": protocol,
    }


def s_client(server, *options, ca=None, name="localhost"):
    """What the kernel says of a connection of openssl s_client, and the client's output."""
    port = server.getsockname()[1]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name]
    if "-noservername" in options:
        command = command[:-2]
    command += ["-CAfile", ca or f"{CERTS}/ca.pem", "-verify_return_error", *options]
    client = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    conn, family = accept(server)
    expect(family, PF_TLS)
    agreed = info(conn)
    # The client shows that it reads and writes, and keeps its session after the tickets.
    client.stdin.write(b"ping\n")
    client.stdin.flush()
    expect(receive_exactly(conn, 5), b"ping\n")
    conn.sendall(b"pong\n")
    conn.close()
    output = client.communicate(timeout=20)[0].decode(errors="replace")
    expect_true("pong" in output, output[-300:])
    return agreed, output


def fails(server, alert, *options):
    port = server.getsockname()[1]
    client = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    expect_true(f"alert number {alert}" in client.stderr.decode(), client.stderr.decode())


@case("every suite with every group, in both versions", 120)
def _():
    server = listener()
    for version, suites in SUITES.items():
        for name, code in suites.items():
            for group, groups in ((P256, "P-256"), (X25519, "X25519:P-256")):
                which = "-cipher" if version == V12 else "-ciphersuites"
                agreed, _ = s_client(
                    server, VERSION_FLAG[version], which, name, "-groups", groups
                )
                expect(
                    [agreed[key] for key in ("version", "suite", "group", "resumed", "name")],
                    [version, code, group, False, "localhost"],
                )


def falls_back(server, *options):
    """A client that the kernel leaves to user space, which leaves it, too."""
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.getsockname()[1], *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    conn, family = accept(server)
    expect(family, socket.AF_INET)
    conn.close()
    client.wait(20)


@case("TLS 1.2 needs the certificate's curve among the client's groups")
def _():
    with counted(admitted=1, fell_back=1, no_common_group=1):
        falls_back(listener(), "-tls1_2", "-groups", "X25519")


def resumes(server, version, name="localhost"):
    """Whether the session of the last call with this name and version is resumed; keeps the
    session of this one if there was none."""
    session = f"{TMP}/session-{version:x}"
    options = ["-sess_in", session] if os.path.exists(session) else ["-sess_out", session]
    return s_client(server, VERSION_FLAG[version], *options, name=name)[0]["resumed"]


def forget():
    for version in VERSION_FLAG:
        if os.path.exists(f"{TMP}/session-{version:x}"):
            os.remove(f"{TMP}/session-{version:x}")


@case("tickets in both versions, and their keys rotated by one update", 120)
def _():
    first, second = os.urandom(48), os.urandom(48)
    ring = host()
    key = add_key(TICKET, first, ring, HEADER["TLS_HS_KEY_DESC_TICKET"])
    server = listener(ring=ring)
    forget()
    for version in VERSION_FLAG:
        expect(resumes(server, version), False, "new")
        expect(resumes(server, version), True, "with its ticket")
    # Another socket with the same keys, as on another machine.
    other = listener(ring=ring)
    for version in VERSION_FLAG:
        expect(resumes(other, version), True, "elsewhere")
    update(key, second + first)
    for version in VERSION_FLAG:
        expect(resumes(server, version), True, "the key is the second now")
    update(key, second)
    for version in VERSION_FLAG:
        expect(resumes(server, version), False, "the key is gone")
    with raises(errno.EBADMSG):
        update(key, second[:-1])
    with raises(errno.EMSGSIZE):
        update(key, bytes(9 * 48))


def update(key, payload):
    keyctl(KEYCTL_UPDATE, key, payload, ctypes.c_size_t(len(payload)))


@case("a ticket is bound to its certificate and its name", 60)
def _():
    outer = keyring()
    add_key(TICKET, os.urandom(48), outer, HEADER["TLS_HS_KEY_DESC_TICKET"])
    host(ring=outer)
    host("one", keyring("one.example.com", outer))
    server = listener(ring=outer)
    forget()
    for version in VERSION_FLAG:
        expect(resumes(server, version), False)
        expect(resumes(server, version, "one.example.com"), False, "another host")
        expect(resumes(server, version), True)


@case("without a ticket key there are no tickets")
def _():
    server = listener(ring=host())
    _, output = s_client(server, "-tls1_3", "-msg")
    expect("NewSessionTicket" in output, False)
    _, output = s_client(server, "-tls1_2")
    expect("TLS session ticket" in output, False)


@case("application protocols: the server's order, none in common, none offered")
def _():
    ring = host()
    add_key(ALPN, b"h2,http/1.1\n", ring, HEADER["TLS_HS_KEY_DESC_ALPN"])
    server = listener(ring=ring)
    for version in VERSION_FLAG.values():
        expect(s_client(server, version, "-alpn", "http/1.1,h2")[0]["protocol"], "h2")
        expect(s_client(server, version, "-alpn", "x,http/1.1")[0]["protocol"], "http/1.1")
        expect(s_client(server, version)[0]["protocol"], "")
        with counted(admitted=1, failed=1, no_application_protocol=1):
            fails(server, 120, version, "-alpn", "x")
    for bad in (b"", b"h2,,http/1.1", b"x" * 256):
        with raises(errno.EINVAL):
            add_key(ALPN, bad, ring, "bad")


@case("256 application protocols, and not one more")
def _():
    ring = host()
    names = [b"%02x" % number for number in range(256)]
    add_key(ALPN, b",".join(names), ring, HEADER["TLS_HS_KEY_DESC_ALPN"])
    server = listener(ring=ring)
    for name in ("00", "fe", "ff"):
        expect(s_client(server, "-alpn", name)[0]["protocol"], name)
    with raises(errno.EMSGSIZE):
        add_key(ALPN, b",".join(names + [b"x"]), ring, "bad")


@case("a stapled OCSP response", 60)
def _():
    ca = f"{TMP}/ocsp-ca"
    leaf = f"{TMP}/ocsp"

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    for name in (ca, leaf):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
    openssl(
        *["req", "-x509", "-new", "-key", f"{ca}.key", "-subj", "/CN=test CA"],
        *["-days", "30", "-out", f"{ca}.pem"],
    )
    openssl("req", "-new", "-key", f"{leaf}.key", "-subj", "/CN=localhost", "-out", f"{leaf}.csr")
    openssl(
        *["x509", "-req", "-in", f"{leaf}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key"],
        *["-days", "30", "-out", f"{leaf}.pem"],
    )
    serial = subprocess.check_output(["openssl", "x509", "-in", f"{leaf}.pem", "-noout", "-serial"])
    with open(f"{TMP}/index.txt", "w") as file:
        file.write(f"V\t401231235959Z\t\t{serial.decode().strip()[7:]}\tunknown\t/CN=localhost\n")
    openssl("ocsp", "-issuer", f"{ca}.pem", "-cert", f"{leaf}.pem", "-reqout", f"{TMP}/request")
    openssl(
        *["ocsp", "-index", f"{TMP}/index.txt", "-CA", f"{ca}.pem", "-rsigner", f"{ca}.pem"],
        *["-rkey", f"{ca}.key", "-reqin", f"{TMP}/request", "-respout", f"{TMP}/response"],
    )
    ring = keyring()
    for kind, path in ((CERT, f"{leaf}.pem"), (PRIV, f"{leaf}.key"), (OCSP, f"{TMP}/response")):
        with open(path, "rb") as file:
            add_key(kind, file.read(), ring, "x:")
    server = listener(ring=ring)
    for version in VERSION_FLAG.values():
        _, output = s_client(server, version, "-status", ca=f"{ca}.pem")
        expect_true("OCSP Response Status: successful" in output, output[-500:])
        expect_true("Cert Status: good" in output, output[-500:])
        _, output = s_client(server, version, ca=f"{ca}.pem")
        expect("OCSP Response Status" in output, False, "only who asks gets it")
    with raises(errno.EBADMSG):
        add_key(OCSP, b"\x30\x01", ring, "bad")


class Tap:
    """Sits between a client and a server and keeps the lengths of the server's records."""

    def __init__(self, server):
        self.front = socket.create_server(("127.0.0.1", 0))
        self.back = server.getsockname()
        self.bytes = b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        client, _ = self.front.accept()
        server = socket.create_connection(self.back)
        up = threading.Thread(target=self.pump, args=(client, server, False), daemon=True)
        up.start()
        self.pump(server, client, True)

    def pump(self, source, sink, keep):
        try:
            while data := source.recv(65536):
                if keep:
                    self.bytes += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def records(self):
        at, lengths = 0, []
        while at + 5 <= len(self.bytes):
            kind, length = self.bytes[at], struct.unpack_from(">H", self.bytes, at + 3)[0]
            lengths.append((kind, length))
            at += 5 + length
        return lengths


@case("record_size_limit binds handshake and data, in both versions", 60)
def _():
    server = listener()
    for version, overhead in (("TLS1.3", 17), ("TLS1.2", 24)):
        tap = Tap(server)
        client = subprocess.Popen(
            ["gnutls-cli", "--x509cafile", f"{CERTS}/ca.pem", "--sni-hostname", "localhost"]
            + ["--verify-hostname", "localhost", "--recordsize", "512"]
            + ["--priority", f"NORMAL:-VERS-ALL:+VERS-{version}"]
            + ["-p", str(tap.front.getsockname()[1]), "127.0.0.1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        conn, family = accept(server)
        expect(family, PF_TLS)
        # A program may ask for less, but not for more.
        conn.setsockopt(SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, struct.pack("=H", 16384))
        conn.sendall(b"x" * 4000 + b"\n")
        conn.close()
        output = client.communicate(timeout=20)[0]
        expect_true(b"x" * 4000 in output, output[-300:])
        data = [length for kind, length in tap.records() if kind == DATA]
        expect_true(len(data) >= 8, data)
        expect_true(max(data) <= 512 + overhead, data)


@case("strict names: the default serves only who sends none")
def _():
    server = listener(ring=host(), flags=HEADER["TLS_HS_STRICT_SNI"])
    with counted(admitted=1, fell_back=1, unrecognized_name=1):
        falls_back(server, "-servername", "other.example.com")
    agreed, _ = s_client(server, "-noservername", name="x")
    expect(agreed["name"], "")


run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes the seed corpora beside it anew: ClientHellos of the clients that are
installed, and connections for a server without cryptography made of them."""

import pathlib
import shutil
import socket
import subprocess

HERE = pathlib.Path(__file__).parent
CLIENTS = {
    "openssl-tls12": "openssl s_client -connect 127.0.0.1:{port} -tls1_2 -servername localhost",
    "openssl-tls13": "openssl s_client -connect 127.0.0.1:{port} -tls1_3 -groups X25519 -servername localhost -alpn http/1.1",
    "openssl-p256": "openssl s_client -connect 127.0.0.1:{port} -groups P-256:X25519 -status",
    "curl": "curl -s --max-time 2 https://localhost:{port}/",
    "gnutls": "gnutls-cli --insecure localhost:{port}",
    "gnutls-tls12": "gnutls-cli --insecure --priority NORMAL:-VERS-ALL:+VERS-TLS1.2 localhost:{port}",
    "python": "python3 -c import\tssl,socket;ssl._create_unverified_context().wrap_socket(socket.create_connection(('127.0.0.1',{port})),server_hostname='localhost')",
    "node": "node -e require('tls').connect({port},'127.0.0.1',{{servername:'localhost',ALPNProtocols:['h2']}}).on('error',()=>0)",
    "chromium": "chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync --user-data-dir=/tmp/capture-chromium https://localhost:{port}/",
}


def capture(command):
    """The first record that a client sends."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)
    words = command.format(port=listener.getsockname()[1]).split(" ")
    words = [word.replace("\t", " ") for word in words]
    client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        connection, _ = listener.accept()
        connection.settimeout(5)
        data = b""
        while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
            data += connection.recv(65536)
        connection.close()
        return data
    finally:
        listener.close()
        client.kill()
        client.wait()


def record(kind, content):
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


def sealed13(kind, content):
    """A protected record of TLS 1.3: no encryption, a tag of zeros."""
    return record(23, content + bytes([kind]) + bytes(16))


def sealed12(kind, content):
    return record(kind, bytes(8) + content + bytes(16))


def message(kind, body):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


CCS = record(20, b"\1")
FINISHED13 = sealed13(22, message(20, bytes(32)))
FINISHED12 = CCS + sealed12(22, message(20, bytes(12)))
SHARES = {29: bytes(range(32)), 23: bytes([4]) + bytes(64)}
KEY_UPDATE = bytes([22, 5, 24, 0, 0, 1, 1])
CLOSE_NOTIFY = bytes([21, 2, 1, 0])


def client_key_exchange(group):
    share = SHARES[group]
    return record(22, message(16, bytes([len(share)]) + share))


def save(target, name, data):
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def main():
    for name, command in CLIENTS.items():
        if not shutil.which(command.split(" ")[0]):
            print("not installed:", name)
            continue
        hello = capture(command)
        if name in ("openssl-tls12", "openssl-tls13"):
            save("hello", name, hello)
        save("client_hello", name, b"\0" + hello[9:])
        tail = KEY_UPDATE + CLOSE_NOTIFY
        save("server", name + "-13", b"\1\0" + hello + CCS + FINISHED13 + tail)
        save("server", name + "-12", b"\2\7" + hello + client_key_exchange(29) + FINISHED12 + tail)
        save("server", name + "-12-p256",
             b"\6\7" + hello + client_key_exchange(23) + FINISHED12 + tail)
    for seed, flight in ((0, client_key_exchange(29) + FINISHED12), (1, CCS + FINISHED13)):
        data = b""
        while flight:
            size = int.from_bytes(flight[3:5], "big")
            data += flight[:1] + flight[3:5 + size]
            flight = flight[5 + size:]
        save("record", f"flight-{seed}", bytes([0, seed]) + data)
    state = lambda version, secret: bytes([version, 0, 1, 1]) + (1 << 21).to_bytes(8, "big") + secret
    for version in (0, 1):
        ticket = bytes(32) + state(version, bytes(48)) + bytes(16)
        save("tickets", f"version-{version}", b"\0\0" + ticket)
    credentials = HERE.parent.parent.parent / "tls_hs/tests/credential"
    for name in ("pkcs8.pem", "pkcs8.der", "sec1.pem", "sec1.der", "chain.pem", "leaf.der", "p384.pem"):
        data = (credentials / name).read_bytes()
        save("credential", name, data)
        save("der" if name.endswith("der") else "pem", name, data)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# The demo server, with clients as people have them: through the kernel and through the
# library.

import os
import signal
import ssl
import subprocess
import time

from tls_hs import *

LOCALHOST = ["--cert", f"{CERTS}/localhost.pem", "--key", f"{CERTS}/localhost.key"]


class Server:
    """tls_hs_httpd on a free port."""

    def __init__(self, *options, credentials=LOCALHOST):
        command = ["tls_hs_httpd", "-v", "--address", "::", "--port", "0", *credentials, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready_line = self.process.stdout.readline()
        expect_true(ready_line.startswith("ready "), f"first line: {ready_line!r}")
        self.port = int(ready_line.rsplit(":", 1)[1])
        self.address = ("127.0.0.1", self.port)

    def line(self):
        """The next line about a connection, as a dictionary."""
        line = self.process.stdout.readline()
        expect_true(line.startswith("conn "), f"line: {line!r}")
        return dict(field.split("=", 1) for field in line.split()[1:])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        expect(self.process.wait(10), 0, "status of the server")
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


def response(client):
    """Reads a response: status line, headers, body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.receive()
        expect_true(more, f"closed after {data!r}")
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body += client.receive_exactly(int(headers["content-length"]) - len(body))
    return status, headers, body


def get(client):
    """Fetches the page and goes. A client that goes with tickets unread resets the connection,
    and if accept() has not come by then, the server never hears of it."""
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    result = response(client)
    client.close()
    return result


def curl(server, *options, name="localhost"):
    """Fetches the page with curl; returns the body and what -w says."""
    with open(f"{os.environ['HS_TMP']}/body", "w+b") as body:
        process = subprocess.run(
            ["curl", "-sS", "-m", "20", "--cacert", f"{CERTS}/ca.pem", "-o", body.name, "--resolve"]
            + [f"{name}:{server.port}:127.0.0.1", "-w", "%{http_code} %{http_version} %{num_connects}\n", *options]
            + [f"https://{name}:{server.port}/"],
            capture_output=True,
            text=True,
        )
        if process.returncode:
            raise Failure(f"curl: {process.stderr}")
        return body.read(), process.stdout.splitlines()


REQUESTS = (
    (b"GET / HTTP/1.0\r\n\r\n", True),
    (b"GET / HTTP/1.0\n\n", True),
    (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", True),
    (b"GET / HTTP/1.1\nHost: localhost\nconnection: Foo, CLOSE\n\n", True),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", False),
    (b"GET / HTTP/1.1\n\n", False),
)


@case("requests in every form; close_notify and the end where it belongs", limit=60)
def _():
    with Server("--body-size", "5000") as server:
        for groups, by in (("prime256v1", "kernel"), ("X448", "library")):
            for request, closes in REQUESTS:
                client = Client(server.address, groups=groups).handshake()
                client.send(request)
                status, headers, body = response(client)
                expect(status, "HTTP/1.1 200 OK", request)
                expect(len(body), 5000, request)
                expect(headers["x-tls"].split()[0], by, request)
                expect(headers["connection"], "close" if closes else "keep-alive", request)
                if closes:
                    expect(client.receive(), b"", f"{request}: close_notify")
                    expect(client.sock.recv(1), b"", f"{request}: end of stream")
                else:
                    client.send(request)
                    expect(response(client)[2], body, "the second one on the connection")
                client.close()
                line = server.line()
                expect(line["tls"], by)
                expect("error" in line, False, str(line))
                expect(line["version"], "TLSv1.3")
                expect_true(int(line["bytes"]) > 5000, str(line))


@case("header and body leave in one record")
def _():
    with Server("--body-size", "10000", "--tickets", "0") as server:
        for groups in ("prime256v1", "X448"):
            client = Client(server.address, groups=groups).handshake()
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            data = b""
            while len(data) < 10000:
                data += client.sock.recv(65536)
            expect([kind for kind, _ in records(data)], [DATA], groups)


@case("a request in pieces, two requests in one record")
def _():
    with Server() as server:
        client = Client(server.address).handshake()
        for piece in (b"GE", b"T / HTTP/1.1\r", b"\nHost: x\r\n", b"\r", b"\n"):
            client.send(piece)
            time.sleep(0.05)
        expect(response(client)[0], "HTTP/1.1 200 OK")
        client.send(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        data = b""
        while True:
            more = client.receive()
            if not more:
                break
            data += more
        expect(data.count(b"HTTP/1.1 200 OK"), 2)


@case("what is not GET / of HTTP/1")
def _():
    with Server() as server:
        for request, status in (
            (b"GET /x HTTP/1.0\r\n\r\n", "404 Not Found"),
            (b"POST / HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            (b"hello\r\n\r\n", "400 Bad Request"),
            (b"GET / HTTP/2.0\r\n\r\n", "400 Bad Request"),
        ):
            client = Client(server.address).handshake()
            client.send(request)
            expect(response(client)[0], "HTTP/1.1 " + status)
            client.close()
        client = Client(server.address).handshake()
        client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 9000)
        expect(read_to_end(client.sock)[1] in (True, False), True)
        connected_again = Client(server.address).handshake()
        connected_again.send(b"GET / HTTP/1.0\r\n\r\n")
        expect(response(connected_again)[0], "HTTP/1.1 200 OK")


@case("a client that closes without a request, one that resets, one with close_notify")
def _():
    with Server("--tickets", "0") as server:
        Client(server.address).handshake().close()
        expect(server.line()["bytes"], "0")
        # A reset that comes before accept() leaves nothing to accept, and no line.
        reset(Client(server.address).handshake().sock)
        client = Client(server.address).handshake()
        port = client.sock.getsockname()[1]
        client.sock.sendall(client.close_notify())
        expect(client.receive(), b"", "close_notify")
        expect(client.sock.recv(1), b"")
        client.close()
        line = server.line()
        if not line["peer"].endswith(f":{port}"):
            expect(line["bytes"], "0")
            line = server.line()
        expect_true(line["peer"].endswith(f":{port}"), str(line))
        expect("error" in line, False)


@case("curl: keep-alive, HTTP/1.0, a file")
def _():
    with Server("--file", f"{CERTS}/ca.pem") as server:
        page = read_cert("ca.pem")
        expect(curl(server), (page, ["200 1.1 1"]))
        expect(curl(server, "--http1.0"), (page, ["200 1.1 1"]))
        url = f"https://localhost:{server.port}/"
        expect(curl(server, url, "-o", "/dev/null")[1], ["200 1.1 1", "200 1.1 0"])
        for _ in range(3):
            line = server.line()
            expect((line["tls"], line["suite"]), ("kernel", "TLS_AES_128_GCM_SHA256"))
            expect((line["alpn"], line["sni"]), ("http/1.1", "localhost"))


@case("curl: a virtual host")
def _():
    one = f"one.example.com:{CERTS}/one.pem:{CERTS}/one.key"
    with Server("--vhost", one) as server:
        for name in ("one.example.com", "localhost", "example.com"):
            expect(len(curl(server, name=name)[0]), 1024)
            expect(server.line()["tls"], "kernel")
        # And the same through the library.
        expect(len(curl(server, "--curves", "X448", name="one.example.com")[0]), 1024)
        line = server.line()
        expect((line["tls"], line["sni"]), ("library", "one.example.com"))


@case("openssl s_client and gnutls-cli")
def _():
    with Server() as server:
        for command in (
            ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}", "-CAfile", f"{CERTS}/ca.pem"]
            + ["-verify_return_error", "-servername", "localhost"],
            ["gnutls-cli", "--x509cafile", f"{CERTS}/ca.pem", "--port", str(server.port), "--logfile", "/dev/null"]
            + ["localhost"],
        ):
            process = subprocess.run(
                command, input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=20
            )
            expect_true(b"HTTP/1.1 200 OK" in process.stdout, f"{command[0]}: {process.stderr[-300:]}")
            expect_true(b"X-TLS: kernel TLSv1.3" in process.stdout, f"{command[0]}: {process.stdout[:300]}")
            expect(server.line()["tls"], "kernel")


@case("a page of 3 MB", limit=60)
def _():
    with Server("--body-size", "3000000") as server:
        for options in ([], ["--curves", "X448"]):
            expect(len(curl(server, *options)[0]), 3000000)


@case("ALPN: http/1.1 unless told otherwise, no overlap is an alert")
def _():
    for options, offered, chosen in (
        ([], ["http/1.1"], "http/1.1"),
        ([], ["h2", "http/1.1"], "http/1.1"),
        ([], None, "-"),
        (["--alpn", "foo,http/1.1"], ["http/1.1", "foo"], "foo"),
        ([], ["h2"], None),
    ):
        with Server(*options) as server:
            for groups, by in (("prime256v1", "kernel"), ("X448", "library")):
                client = Client(server.address, groups=groups, alpn=offered)
                if chosen is None:
                    try:
                        client.handshake()
                        raise Failure("no alert")
                    except ssl.SSLError as error:
                        expect_true("no application protocol" in str(error).lower(), str(error))
                    client.close()
                    continue
                client.handshake()
                expect(client.tls.selected_alpn_protocol() or "-", chosen)
                get(client)
                line = server.line()
                expect((line["tls"], line["alpn"]), (by, chosen))


@case("tickets: a client that comes back is resumed, with --tickets 0 it is not", limit=60)
def _():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for options, resumed in (([], "yes"), (["--tickets", "0"], "no")):
            with Server(*options) as server:
                context = client_context(maximum=version)
                session = None
                for wanted in ("no", resumed, resumed):
                    client = Client(server.address, context=context, session=session).handshake()
                    expect(len(get(client)[2]), 1024)
                    session = client.tls.session
                    line = server.line()
                    expect((line["tls"], line["resumed"]), ("kernel", wanted), str(version))


@case("a hundred connections at a time", limit=100)
def _():
    context = client_context()
    with Server() as server:
        clients = [Client(server.address, context=context).handshake() for _ in range(100)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
        for client in clients:
            expect(len(response(client)[2]), 1024)
        for client in clients:
            client.close()
        for _ in clients:
            expect(server.line()["tls"], "kernel")


@case("options narrow what the kernel serves, and what the library does")
def _():
    with Server("--groups", "x25519") as server:
        get(Client(server.address, groups="X25519").handshake())
        line = server.line()
        expect((line["tls"], line["group"]), ("kernel", "x25519"))
        client = Client(server.address)
        try:
            client.handshake()
            raise Failure("P-256 was not allowed")
        except (ssl.SSLError, Failure) as error:
            expect_true("allowed" not in str(error), str(error))
    with Server("--versions", "1.2") as server:
        expect(curl(server, "--tls-max", "1.2")[1], ["200 1.1 1"])
        line = server.line()
        expect((line["tls"], line["version"]), ("kernel", "TLSv1.2"))


@case("keys in a keyring that somebody else made, and the private key nowhere else")
def _():
    ring = host()
    with Server("--keyring", str(ring), credentials=[]) as server:
        expect(len(curl(server)[0]), 1024)
        expect(server.line()["tls"], "kernel")


@case("wrong arguments and wrong files end it with a reason")
def _():
    for options, reason in (
        (["--port", "x"], "x:"),
        (["--groups", "p521"], "p521"),
        (["--cert", f"{CERTS}/localhost.pem", "--key", f"{CERTS}/one.key"], ""),
        (["--cert", f"{CERTS}/rsa.pem", "--key", f"{CERTS}/rsa.key"], "tls_cert"),
        (["--cert", "/nonexistent", "--key", "/nonexistent"], "nonexistent"),
    ):
        process = subprocess.run(["tls_hs_httpd", *options], capture_output=True, text=True, timeout=10)
        expect_true(process.returncode not in (0, None), f"{options}: {process.returncode}")
        expect_true(reason in process.stderr, f"{options}: {process.stderr}")


if __name__ == "__main__":
    run()

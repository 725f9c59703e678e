# SPDX-License-Identifier: GPL-2.0
"""client.py HOST PORT CA VERSION MODE: fetches the page; resumed: twice."""

import socket
import ssl
import sys

host, port, ca, version, mode = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = {
    "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
session = None
for attempt in range(2 if mode == "resumed" else 1):
    with socket.create_connection((host, int(port))) as transport:
        with context.wrap_socket(transport, server_hostname=host, session=session) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            page = b""
            while data := tls.recv(65536):
                page += data
            # In TLS 1.3 the ticket comes behind the handshake.
            session = tls.session
            assert page.startswith(b"HTTP/1.1 200 OK\r\n") and page.endswith(b"x" * 1024)
            assert tls.session_reused == (attempt == 1)
            assert tls.version() == "TLSv" + version

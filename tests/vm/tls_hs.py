# SPDX-License-Identifier: GPL-2.0
#
# What the VM tests share: see tap.py, tls_server.py and tls_client.py. Here are
# connections with both ends.

import ctypes
import errno
import os
import socket
import ssl
import struct
import subprocess
import time

from tap import *
from tls_client import *
from tls_server import *


def run(load_module=True):
    if load_module:
        load()
    run_cases()


def record_client(server, kind=RecordClient):
    """A connection of the server and a RecordClient, or a Sealer, at its other end."""
    keylog = f"{os.environ['HS_TMP']}/keylog"
    context = client_context()
    # Only what this connection's keys are made of.
    if os.path.exists(keylog):
        os.remove(keylog)
    context.keylog_filename = keylog
    client = Client(server.getsockname(), context=context).handshake()
    conn, family = accept(server)
    expect(family, PF_TLS)
    expect(client.tls.cipher()[0], "TLS_AES_128_GCM_SHA256")
    return conn, kind(client, keylog)


def echo_check(conn, client, up=b"ping", down=b"pong"):
    """Data flows both ways between a kTLS socket and the client."""
    client.send(up)
    expect(receive_exactly(conn, len(up)), up, "client to server")
    conn.sendall(down)
    expect(client.receive_exactly(len(down)), down, "server to client")


def connected(server=None, **options):
    """A listener, an accepted connection and its client, after the handshake."""
    server = server or listener()
    client = Client(server.getsockname(), **options).handshake()
    conn, family = accept(server)
    expect(family, PF_TLS, "family")
    return server, conn, client


def library_context(cert="localhost"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{CERTS}/{cert}.pem", f"{CERTS}/{cert}.key")
    return context

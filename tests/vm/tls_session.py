# SPDX-License-Identifier: GPL-2.0
#
# What the tests of established connections share: pairs of an accepted socket and a
# client that sends records of any type.

import fcntl
import struct
import termios

from tls_hs import *

CLOSE = bytes([1, CLOSE_NOTIFY])
KEY_UPDATE, KEY_UPDATE_REQUEST = b"\x18\0\0\1\0", b"\x18\0\0\1\1"
_server = None


def server():
    global _server
    _server = _server or listener()
    return _server


def pair():
    return record_client(server())


def flows(conn, client, text=b"data"):
    client.send(text)
    expect(conn.recv(100), text)
    conn.sendall(text[::-1])
    expect(client.receive(), (DATA, text[::-1]))


def unread(conn):
    """Octets in TCP's receive queue."""
    return struct.unpack("i", fcntl.ioctl(conn, termios.FIONREAD, bytes(4)))[0]

# SPDX-License-Identifier: GPL-2.0
#
# A TLS client over OpenSSL, whose every byte is in the test's hands, and one on
# kTLS, which sends records of any type.

import ctypes
import hashlib
import hmac
import os
import socket
import ssl
import struct

from tap import *
from tls_server import *


def client_context(groups="prime256v1", maximum=None, minimum=None, alpn=None):
    context = ssl.create_default_context(cafile=f"{CERTS}/ca.pem")
    if groups:
        context.set_ecdh_curve(groups)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def tcp_connect(address, nodelay=True, options=(), source=None):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    for level, option, value in options:
        sock.setsockopt(level, option, value)
    if nodelay:
        sock.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(20)
    if source:
        sock.bind(source)
    sock.connect(address[:2])
    return sock


class Client:
    """A TLS client over OpenSSL, whose every byte the test moves by hand."""

    def __init__(self, address, name="localhost", context=None, sock=None, verify=True, session=None, **options):
        context = context or client_context(**options)
        if not verify or name is None:
            context.check_hostname = False
        self.sock = sock or tcp_connect(address)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name, session=session)
        self.done = False

    def produce(self):
        """Goes on with what has come in; returns what has to go out."""
        if not self.done:
            try:
                self.tls.do_handshake()
                self.done = True
            except ssl.SSLWantReadError:
                pass
        return self.outgoing.read()

    def take(self):
        """Waits for bytes from the server and takes them in."""
        data = self.sock.recv(65536)
        if not data:
            raise Failure("the server closed the connection")
        self.incoming.write(data)
        return data

    def last_flight(self):
        """Everything up to the server's flight; returns the client's last flight, unsent."""
        flight = self.produce()
        while not self.done:
            self.sock.sendall(flight)
            self.take()
            flight = self.produce()
        return flight

    def handshake(self):
        self.sock.sendall(self.last_flight())
        return self

    def seal(self, data):
        """Application data as records, unsent."""
        self.tls.write(data)
        return self.outgoing.read()

    def send(self, data):
        self.sock.sendall(self.seal(data))

    def close_notify(self):
        """The close_notify record, unsent."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def receive(self, size=65536):
        """Application data; b"" on close_notify."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                data = self.sock.recv(65536)
                if not data:
                    raise Failure("EOF without close_notify") from None
                self.incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""

    def receive_exactly(self, size):
        return exactly(self.receive, size)

    def close(self):
        self.sock.close()


def _traffic_secrets(keylog):
    secrets = {}
    with open(keylog) as file:
        for line in file:
            if not line.startswith("#"):
                label, _random, secret = line.split()
                secrets[label] = bytes.fromhex(secret)
    return secrets


def _expand(secret, label, size):
    """HKDF-Expand-Label of RFC 8446, 7.1, with an empty context."""
    label = b"tls13 " + label
    info = struct.pack(">HB", size, len(label)) + label + b"\0\1"
    return hmac.new(secret, info, hashlib.sha256).digest()[:size]


class Sealer:
    """A client after its handshake of TLS 1.3 with TLS_AES_128_GCM_SHA256, which protects
    whatever the test wants to have in a record, and receives over OpenSSL."""

    def __init__(self, client, keylog):
        secret = _traffic_secrets(keylog)["CLIENT_TRAFFIC_SECRET_0"]
        self.sock = client.sock
        self.receive = client.receive
        self._key = _expand(secret, b"key", 16)
        self._iv = int.from_bytes(_expand(secret, b"iv", 12))
        self._number = 0

    def seal(self, inner):
        """The record of a TLSInnerPlaintext (RFC 8446, 5.2), unsent."""
        crypto = ctypes.CDLL("libcrypto.so.3")
        crypto.EVP_CIPHER_CTX_new.restype = crypto.EVP_aes_128_gcm.restype = ctypes.c_void_p
        context, cipher = (ctypes.c_void_p(f()) for f in (crypto.EVP_CIPHER_CTX_new, crypto.EVP_aes_128_gcm))
        nonce = (self._iv ^ self._number).to_bytes(12)
        self._number += 1
        head = struct.pack(">BHH", DATA, 0x0303, len(inner) + 16)
        out, tag, size = ctypes.create_string_buffer(len(inner) + 16), ctypes.create_string_buffer(16), ctypes.c_int()
        crypto.EVP_EncryptInit_ex(context, cipher, None, self._key, nonce)
        crypto.EVP_EncryptUpdate(context, None, ctypes.byref(size), head, len(head))
        crypto.EVP_EncryptUpdate(context, out, ctypes.byref(size), inner, len(inner))
        crypto.EVP_EncryptFinal_ex(context, None, ctypes.byref(size))
        crypto.EVP_CIPHER_CTX_ctrl(context, 16, 16, tag)
        crypto.EVP_CIPHER_CTX_free(context)
        return head + out.raw[: len(inner)] + tag.raw

    def send(self, content, kind=DATA, padding=0):
        self.sock.sendall(self.seal(content + bytes([kind]) + bytes(padding)))


class RecordClient:
    """A client after its handshake of TLS 1.3 with TLS_AES_128_GCM_SHA256, on kTLS: it sends
    and receives records of any type, and changes its keys when the test says so."""

    def __init__(self, client, keylog):
        secrets = _traffic_secrets(keylog)
        self.sock = client.sock
        self.secrets = {
            TLS_TX: secrets["CLIENT_TRAFFIC_SECRET_0"],
            TLS_RX: secrets["SERVER_TRAFFIC_SECRET_0"],
        }
        set_ulp(self.sock)
        for direction in self.secrets:
            self._set_keys(direction)

    def _set_keys(self, direction):
        secret = self.secrets[direction]
        key, iv = _expand(secret, b"key", 16), _expand(secret, b"iv", 12)
        info = struct.pack("=HH8s16s4s8s", TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, iv[4:], key, iv[:4], bytes(8))
        self.sock.setsockopt(SOL_TLS, direction, info)

    def update(self, direction):
        """The next keys of a direction (RFC 8446, 7.2)."""
        self.secrets[direction] = _expand(self.secrets[direction], b"traffic upd", 32)
        self._set_keys(direction)

    def send(self, data, kind=DATA):
        self.sock.sendmsg([data], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([kind]))])

    def receive(self):
        return receive(self.sock)


def client_hello(name="localhost", context=None, **options):
    """The ClientHello record that OpenSSL sends."""
    context = context or client_context(**options)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def record(content, kind=HANDSHAKE, version=0x0301):
    return struct.pack(">BHH", kind, version, len(content)) + content


def records(data):
    """Splits a byte string into (type, content) of its records."""
    while data:
        kind, _version, size = struct.unpack(">BHH", data[:5])
        yield kind, data[5 : 5 + size]
        data = data[5 + size :]


def read_to_end(sock):
    """What comes until the connection ends, and whether it ended by a reset."""
    data = b""
    try:
        while True:
            more = sock.recv(65536)
            if not more:
                return data, False
            data += more
    except ConnectionResetError:
        return data, True


def reset(sock):
    """Closes with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()

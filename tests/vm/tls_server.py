# SPDX-License-Identifier: GPL-2.0
#
# The module and its interface as a server uses it: constants of the user header,
# counters, keys, listeners, accepted sockets.

import contextlib
import ctypes
import functools
import gc
import os
import re
import select
import socket
import struct
import subprocess

from tap import *

CERTS = os.environ["HS_CERTS"]
KO = os.environ["HS_KO"]


def _header():
    path = os.environ.get("TLS_HS_UAPI", "../../src/uapi/tls_hs.h")
    with open(path) as file:
        text = file.read()
    constants = {}
    for name, value in re.findall(r"^#define\s+(\w+)\s+(\S.*?)\s*$", text, re.M):
        shift = re.fullmatch(r"\(1U << (\d+)\)", value)
        if shift:
            constants[name] = 1 << int(shift[1])
        elif value.isdigit():
            constants[name] = int(value)
        elif value.startswith('"'):
            constants[name] = value.strip('"')
    return constants


def _size(struct_name):
    """Octets of a structure of 32-bit fields."""
    with open(os.environ.get("TLS_HS_UAPI", "../../src/uapi/tls_hs.h")) as file:
        body = re.search(rf"^struct {struct_name} {{(.*?)^}};", file.read(), re.M | re.S)[1]
    return 4 * len(re.findall(r"^\t__[us]32\t", body, re.M))


HEADER = _header()
PF_TLS = HEADER["PF_TLS"]
TLS_HS = HEADER["TLS_HS"]
TLS_HS_INFO = HEADER["TLS_HS_INFO"]
# The first published size of struct tls_hs_crypto_info, and the present one.
INFO_SIZE = HEADER["TLS_HS_CRYPTO_INFO_SIZE_VER0"]
INFO_SIZE_NOW = _size("tls_hs_crypto_info")

SOL_TLS = 282
TCP_ULP = 31
TLS_TX, TLS_RX, TLS_TX_MAX_PAYLOAD_LEN = 1, 2, 5
TLS_SET_RECORD_TYPE, TLS_GET_RECORD_TYPE = 1, 2
TLS_1_3_VERSION = 0x0304
TLS_CIPHER_AES_GCM_128 = 51
ULP_TLS = b"tls\0"

# RFC 8446, 5.1 and 6
ALERT, HANDSHAKE, DATA = 21, 22, 23
FATAL = 2
CLOSE_NOTIFY = 0
UNEXPECTED_MESSAGE = 10
BAD_RECORD_MAC = 20
RECORD_OVERFLOW = 22
ILLEGAL_PARAMETER = 47
DECODE_ERROR = 50
PROTOCOL_VERSION = 70


# ServerHello.random of a HelloRetryRequest begins so (RFC 8446, 4.1.3).
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891")
# Clients of today offer shares for other groups than this one.
P256_ONLY = {"groups": HEADER["TLS_HS_SECP256R1"]}


# --- module and counters ----------------------------------------------------


def load(*parameters, **sysctls):
    subprocess.run(["insmod", KO, *parameters], check=True)
    for name, value in sysctls.items():
        sysctl(f"net.tls_hs.{name}", value)


def unload():
    """Removes the module once its last user has gone."""

    gc.collect()

    def removed():
        return subprocess.run(["rmmod", "tls_hs"], stderr=subprocess.PIPE).returncode == 0

    wait_until(removed, 10, "rmmod")


def counters():
    with open("/proc/net/tls_hs_stat") as file:
        return {name: int(value) for name, value in (line.split() for line in file)}


# How often these count depends on time and CPU.
UNCERTAIN = ("accepted", "closed", "deferred", "batched")


@contextlib.contextmanager
def counted(**wanted):
    """In the block the counters grow by exactly this, those apart that tell of no outcome
    unless they are named."""
    before = counters()
    yield
    got = {}

    def settled():
        got.clear()
        for name, value in counters().items():
            if value != before[name] and (name in wanted or name not in UNCERTAIN):
                got[name] = value - before[name]
        return got == {name: value for name, value in wanted.items() if value}

    try:
        wait_until(settled, 5)
    except Failure:
        raise Failure(f"counters: got {got}, want {wanted}") from None


def slab(*names):
    """Objects in use in these slab caches."""
    in_use = {}
    for name in names:
        # What a CPU keeps at hand counts as in use until it is given back.
        with contextlib.suppress(FileNotFoundError):
            with open(f"/sys/kernel/slab/{name}/shrink", "w") as file:
                file.write("1")
    with open("/proc/slabinfo") as file:
        for line in file:
            fields = line.split()
            if fields[0] in names:
                in_use[fields[0]] = int(fields[1])
    return in_use


def sysctl(name, value):
    """Sets a sysctl and returns what it was."""
    path = "/proc/sys/" + name.replace(".", "/")
    with open(path) as file:
        before = file.read().strip()
    with open(path, "w") as file:
        file.write(str(value))
    return before


@contextlib.contextmanager
def sysctl_set(name, value):
    before = sysctl(name, value)
    try:
        yield
    finally:
        sysctl(name, before)


# --- keys ---------------------------------------------------------------------

_keyutils = ctypes.CDLL("libkeyutils.so.1", use_errno=True)
_keyutils.keyctl.restype = ctypes.c_long
# The runner gives each test a session keyring of its own.
SESSION_KEYRING = -3
KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_REVOKE, KEYCTL_SETPERM, KEYCTL_CLEAR = 1, 3, 5, 7
KEYCTL_UNLINK, KEYCTL_READ, KEYCTL_SET_TIMEOUT = 9, 11, 15
CERT, PRIV = HEADER["TLS_HS_KEY_TYPE_CERT"], HEADER["TLS_HS_KEY_TYPE_PRIV"]
DESCRIPTION = {CERT: HEADER["TLS_HS_KEY_DESC_CERT"], PRIV: HEADER["TLS_HS_KEY_DESC_PRIV"]}


def _checked(value):
    if value < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return value


def add_key(kind, payload, ring, description=None):
    description = DESCRIPTION[kind] if description is None else description
    size = 0 if payload is None else len(payload)
    return _checked(
        _keyutils.add_key(kind.encode(), description.encode(), payload, ctypes.c_size_t(size), ring)
    )


def keyctl(command, *arguments):
    return _checked(_keyutils.keyctl(command, *arguments))


@functools.cache
def read_cert(name):
    with open(f"{CERTS}/{name}", "rb") as file:
        return file.read()


def keyring(name="test", parent=SESSION_KEYRING):
    # A keyring of the same name in the same parent would replace the other.
    keyring.serial = getattr(keyring, "serial", 0) + 1
    if parent == SESSION_KEYRING:
        name = f"{name}-{keyring.serial}"
    return add_key("keyring", None, parent, name)


def host(cert="localhost", ring=None):
    """A keyring with a certificate and its key."""
    ring = keyring() if ring is None else ring
    add_key(CERT, read_cert(cert + ".pem"), ring)
    add_key(PRIV, read_cert(cert + ".key"), ring)
    return ring


# --- listener -------------------------------------------------------------------


def crypto_info(ring, versions=0, suites12=0, suites13=0, groups=0, flags=0):
    info = struct.pack("=IIIIiI", versions, suites12, suites13, groups, ring, flags)
    assert len(info) == INFO_SIZE
    return info


def set_ulp(sock):
    sock.setsockopt(socket.SOL_TCP, TCP_ULP, ULP_TLS)


def get_ulp(sock):
    return sock.getsockopt(socket.SOL_TCP, TCP_ULP, 16).rstrip(b"\0")


def bound(family=socket.AF_INET, address=None, port=0, options=()):
    sock = socket.socket(family, socket.SOCK_STREAM)
    for level, option, value in options:
        sock.setsockopt(level, option, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address is None:
        address = "127.0.0.1" if family == socket.AF_INET else "::1"
    sock.bind((address, port))
    return sock


_ring = None


def listener(family=socket.AF_INET, address=None, port=0, ring=None, backlog=64, options=(), **info):
    """A listening socket whose handshakes the kernel does."""
    global _ring
    if ring is None:
        _ring = _ring or host()
        ring = _ring
    sock = bound(family, address, port, options)
    set_ulp(sock)
    sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(ring, **info))
    sock.listen(backlog)
    return sock


def accept(sock):
    """The connection and the address family that accept() gave for it."""
    conn, address = sock.accept()
    # Python knows no addresses of PF_TLS and gives (family, bytes) for them.
    family = address[0] if address and isinstance(address[0], int) else conn.family
    return conn, family


def ready(sock, seconds=0.0):
    return bool(select.select([sock], [], [], seconds)[0])


def tls_info(sock, direction=TLS_TX):
    """Version and cipher of kTLS."""
    return struct.unpack("=HH", sock.getsockopt(SOL_TLS, direction, 4))


def receive(sock, size=65536):
    """Type and content of a record of a kTLS socket."""
    data, control, _flags, _address = sock.recvmsg(size, socket.CMSG_SPACE(1))
    for level, kind, value in control:
        if (level, kind) == (SOL_TLS, TLS_GET_RECORD_TYPE):
            return value[0], data
    return None, data


def session_info(sock):
    """Version, suite, group, flags and server name that were agreed on."""
    value = sock.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)
    version, suite, group, flags = struct.unpack("=HHHH", value[:8])
    return version, suite, group, flags, value[8:264].rstrip(b"\0").decode()


def exactly(receive, size):
    """As much as receive(most) gives, called as often as it takes; less at the end."""
    data = b""
    while len(data) < size:
        more = receive(size - len(data))
        if not more:
            break
        data += more
    return data


def receive_exactly(sock, size):
    return exactly(sock.recv, size)


def send_close_notify(sock):
    sock.sendmsg([bytes([1, CLOSE_NOTIFY])], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([ALERT]))])

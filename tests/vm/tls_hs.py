# SPDX-License-Identifier: GPL-2.0
#
# What the VM tests in Python share: the constants of the user header, keys,
# listeners, a TLS client whose bytes are in the test's hands, counters, and a
# runner that prints TAP.
#
#	@case("what holds")
#	def _():
#		expect(got, wanted)
#
#	run()

import contextlib
import ctypes
import errno
import gc
import hashlib
import hmac
import os
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import traceback

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
TLS_TX, TLS_RX = 1, 2
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

# --- runner ---------------------------------------------------------------

_cases = []


class Failure(Exception):
    pass


def case(name, limit=30):
    """Registers a function as one TAP point, with a time limit in seconds."""

    def register(function):
        _cases.append((name, limit, function))
        return function

    return register


def expect(got, wanted, what=""):
    if got != wanted:
        raise Failure(f"{what + ': ' if what else ''}got {got!r}, want {wanted!r}")


def expect_true(condition, what):
    if not condition:
        raise Failure(what)


@contextlib.contextmanager
def raises(*numbers):
    """The block ends in an OSError with one of these numbers."""
    names = [errno.errorcode.get(number, number) for number in numbers]
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            got = errno.errorcode.get(error.errno, error.errno)
            raise Failure(f"got {got}, want {names}") from error
    else:
        raise Failure(f"succeeded, want {names}")


def _too_long(_signal, _frame):
    raise Failure("time limit")


def run(load_module=True):
    if load_module:
        load()
    signal.signal(signal.SIGALRM, _too_long)
    print(f"1..{len(_cases)}", flush=True)
    failed = 0
    for number, (name, limit, function) in enumerate(_cases, 1):
        start = time.monotonic()
        try:
            signal.alarm(limit)
            function()
            signal.alarm(0)
            print(f"ok {number} - {name}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            signal.alarm(0)
            failed += 1
            why = str(error).replace("\n", " ") or type(error).__name__
            print(f"not ok {number} - {name} # {why}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        # Sockets that only an old traceback still knows are not to be there for the next one.
        gc.collect()
        print(f"# {time.monotonic() - start:.1f} s", flush=True)
    sys.exit(1 if failed else 0)


def wait_until(condition, seconds=10, what="condition"):
    """Polls until condition() is true and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.02)


# --- module and counters ----------------------------------------------------


def load(**parameters):
    settings = [f"{name}={value}" for name, value in parameters.items()]
    subprocess.run(["insmod", KO, *settings], check=True)


def unload():
    """Removes the module once its last user has gone."""

    gc.collect()

    def removed():
        return subprocess.run(["rmmod", "tls_hs"], stderr=subprocess.PIPE).returncode == 0

    wait_until(removed, 10, "rmmod")


def counters():
    with open("/proc/net/tls_hs_stat") as file:
        return {name: int(value) for name, value in (line.split() for line in file)}


@contextlib.contextmanager
def counted(**wanted):
    """In the block the counters grow by exactly this, "accepted" and "closed" apart
    unless they are named."""
    before = counters()
    yield
    got = {}

    def settled():
        got.clear()
        for name, value in counters().items():
            if value != before[name] and (name in wanted or name not in ("accepted", "closed")):
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


def receive_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def send_close_notify(sock):
    sock.sendmsg([bytes([1, CLOSE_NOTIFY])], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([ALERT]))])


# --- client ---------------------------------------------------------------------


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
        data = b""
        while len(data) < size:
            more = self.receive(size - len(data))
            if not more:
                break
            data += more
        return data

    def close(self):
        self.sock.close()


class RecordClient:
    """A client after its handshake of TLS 1.3 with TLS_AES_128_GCM_SHA256, on kTLS: it sends
    and receives records of any type, and changes its keys when the test says so."""

    def __init__(self, client, keylog):
        secrets = {}
        with open(keylog) as file:
            for line in file:
                if not line.startswith("#"):
                    label, _random, secret = line.split()
                    secrets[label] = bytes.fromhex(secret)
        self.sock = client.sock
        self.secrets = {
            TLS_TX: secrets["CLIENT_TRAFFIC_SECRET_0"],
            TLS_RX: secrets["SERVER_TRAFFIC_SECRET_0"],
        }
        set_ulp(self.sock)
        for direction in self.secrets:
            self._set_keys(direction)

    @staticmethod
    def _expand(secret, label, size):
        """HKDF-Expand-Label of RFC 8446, 7.1, with an empty context."""
        label = b"tls13 " + label
        info = struct.pack(">HB", size, len(label)) + label + b"\0\1"
        return hmac.new(secret, info, hashlib.sha256).digest()[:size]

    def _set_keys(self, direction):
        secret = self.secrets[direction]
        key, iv = self._expand(secret, b"key", 16), self._expand(secret, b"iv", 12)
        info = struct.pack("=HH8s16s4s8s", TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, iv[4:], key, iv[:4], bytes(8))
        self.sock.setsockopt(SOL_TLS, direction, info)

    def update(self, direction):
        """The next keys of a direction (RFC 8446, 7.2)."""
        self.secrets[direction] = self._expand(self.secrets[direction], b"traffic upd", 32)
        self._set_keys(direction)

    def send(self, data, kind=DATA):
        self.sock.sendmsg([data], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([kind]))])

    def receive(self):
        return receive(self.sock)


def record_client(server):
    """A connection of the server and a RecordClient at its other end."""
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
    return conn, RecordClient(client, keylog)


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


class Background:
    """Runs a function in a thread; result() gives what it returned or raised."""

    def __init__(self, function, *arguments):
        self._value = None
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(function, *arguments), daemon=True)
        self._thread.start()

    def _run(self, function, *arguments):
        try:
            self._value = function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            self._error = error

    def result(self, seconds=20):
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise Failure("the thread does not end")
        if self._error:
            raise self._error
        return self._value


def forked(function):
    """Runs a function in a child and returns its process ID; the exit status says how it went."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def joined(pid):
    expect(os.waitpid(pid, 0)[1], 0, "status of the child")


def library_context(cert="localhost"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{CERTS}/{cert}.pem", f"{CERTS}/{cert}.key")
    return context

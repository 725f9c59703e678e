#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 1200
#
# Random calls on sockets, keys and clients by several processes that share them:
# socket options, key payloads that were valid before they were changed, every way
# to end. Errors must be errors of the interface, the kernel log clean, and nothing
# left in the end. hs.fuzz_s=SECONDS and hs.fuzz_seed=NUMBER on the kernel's command
# line (VM_APPEND) make it longer or the same again.

import contextlib
import ctypes
import errno
import random
import re
import socket
import ssl
import struct
import time

from tls_keys import *

KEYCTL_UPDATE, KEYCTL_CHOWN, KEYCTL_DESCRIBE, KEYCTL_LINK, KEYCTL_INVALIDATE, KEYCTL_MOVE = 2, 4, 6, 8, 21, 30
TYPES = {name: HEADER[f"TLS_HS_KEY_TYPE_{name}"] for name in ("CERT", "PRIV", "ALPN", "OCSP", "TICKET")}
DESCRIPTION.update({kind: HEADER[f"TLS_HS_KEY_DESC_{name}"] for name, kind in TYPES.items()})
NAMES = ("one.example.com", "*.example.com", "localhost", "ONE.example.com", "x" * 300, ".", "*", "a..b")
CONTEXT = client_context()
CONTEXT.check_hostname = False
LIBRARY_CONTEXT = client_context(groups="X448")
LIBRARY_CONTEXT.check_hostname = False
PROCESSES = 3
CACHES = ("TCP", "TCPv6", "request_sock_TCP", "request_sock_TCPv6", "tls_hs_child", "key_jar")
libc = ctypes.CDLL(None, use_errno=True)


def payloads():
    """Of each key type some that are taken."""
    pem = [(read_cert(f"{name}.pem"), read_cert(f"{name}.key")) for name in ("localhost", "one", "two")]
    return {
        TYPES["CERT"]: [cert for cert, _ in pem] + [leaf("one")],
        TYPES["PRIV"]: [key for _, key in pem] + [openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", data=pem[1][1])],
        TYPES["ALPN"]: [b"h2,http/1.1", b"x"],
        TYPES["OCSP"]: [b"\x30\x82\x01\x00" + bytes(256)],
        TYPES["TICKET"]: [bytes(range(48)), bytes(48 * 8)],
    }


def setting(name, default):
    with open("/proc/cmdline") as file:
        found = re.search(rf"\bhs\.{name}=(\d+)", file.read())
    return int(found[1]) if found else default


class Fuzzer:
    """One process's calls."""

    def __init__(self, seed, listeners, rings, bases):
        self.random = random.Random(seed)
        self.listeners = list(listeners)
        self.rings = list(rings)
        self.keys = []
        self.clients = []
        self.conns = []
        self.bases = bases
        self.errors = {}
        self.done = {}

    def pick(self, things):
        if not things:
            # Nothing to do it with: as if it were closed.
            raise OSError(errno.EBADF, "nothing")
        return self.random.choice(things)

    def mutated(self, data):
        data = bytearray(data)
        chance = self.random.randrange
        for _ in range(chance(4)):
            at = chance(len(data) + 1)
            kind = chance(6)
            if kind == 0 and at < len(data):
                data[at] ^= 1 << chance(8)
            elif kind == 1 and at < len(data):
                data[at] = self.random.choice((0, 1, 0x30, 0x7F, 0x80, 0x84, 0xFF, 10, 45))
            elif kind == 2:
                del data[at:]
            elif kind == 3:
                data[at:at] = self.random.randbytes(chance(40))
            elif kind == 4:
                del data[at : at + chance(20)]
            else:
                data += data[at:][:4000]
        return bytes(data[:100000])

    # --- keys ---

    def key_add(self):
        kind = self.random.choice(list(self.bases))
        payload = self.pick(self.bases[kind])
        if self.random.randrange(2):
            payload = self.mutated(payload)
        description = DESCRIPTION[kind] + self.random.choice(("", "", "", "other"))
        key = add_key(kind, payload or None, self.pick(self.rings), description)
        if len(self.keys) < 100:
            self.keys.append((key, kind))

    def key_host(self):
        ring = self.pick(self.rings)
        cert = self.random.choice(("localhost", "one", "two"))
        add_key(CERT, read_cert(cert + ".pem"), ring)
        add_key(PRIV, read_cert(cert + ".key"), ring)

    def key_ring(self):
        if self.random.randrange(2):
            # Some die: listeners need those that live.
            self.rings[self.random.randrange(len(self.rings))] = host(self.random.choice(("localhost", "one")))
            return
        ring = add_key("keyring", None, self.pick(self.rings), self.random.choice(NAMES))
        if ring not in self.rings and len(self.rings) < 12:
            self.rings.append(ring)

    def key_update(self):
        key, kind = self.pick(self.keys)
        payload = self.mutated(self.pick(self.bases[self.random.choice((kind, kind, TYPES["ALPN"]))]))
        keyctl(KEYCTL_UPDATE, key, payload, ctypes.c_size_t(len(payload)))

    def key_end(self):
        serial = self.random.choice((self.pick(self.keys)[0], self.pick(self.keys)[0], self.pick(self.rings)))
        end = self.random.randrange(9)
        if end == 0:
            keyctl(KEYCTL_REVOKE, serial)
        elif end == 1:
            keyctl(KEYCTL_INVALIDATE, serial)
        elif end in (2, 3):
            keyctl(KEYCTL_UNLINK, serial, self.pick(self.rings))
        elif end == 4:
            keyctl(KEYCTL_SETPERM, serial, self.random.choice((0x3F3F0000, 0x3F3F3F3F, 0x3F010000, 0x37373737)))
        elif end == 5:
            keyctl(KEYCTL_SET_TIMEOUT, serial, self.random.randrange(3))
        elif end == 6:
            keyctl(KEYCTL_LINK, serial, self.pick(self.rings))
        elif end == 7:
            keyctl(KEYCTL_MOVE, serial, self.pick(self.rings), self.pick(self.rings), 0)
        else:
            keyctl(KEYCTL_CLEAR, self.pick(self.rings))

    def key_look(self):
        key, _kind = self.pick(self.keys)
        buffer = ctypes.create_string_buffer(200)
        keyctl(KEYCTL_DESCRIBE, key, buffer, ctypes.c_size_t(200))
        with raises(errno.EOPNOTSUPP, errno.EACCES, 126, 127, 128):
            keyctl(KEYCTL_READ, key, buffer, ctypes.c_size_t(200))

    # --- listeners ---

    def info(self):
        value = struct.pack(
            "=IIIIiIII",
            self.random.choice((0, 0, 1, 2, 3)),
            self.random.choice((0, 0, 7, 1, 4)),
            self.random.choice((0, 0, 7, 2)),
            self.random.choice((0, 0, 1, 2, 3)),
            self.random.choice((*self.rings, 0, -3, -1, 0x7FFFFFFF)),
            self.random.choice((0, 0, 1)),
            self.random.choice((0, 1, 8)),
            self.random.choice((0, 1, 604800, 0xFFFFFFFF)),
        )
        if self.random.randrange(4):
            return value[: self.random.choice((24, 28, 32))]
        return self.mutated(value + bytes(self.random.randrange(40)))

    def listener_new(self):
        family = self.random.choice((socket.AF_INET, socket.AF_INET, socket.AF_INET6))
        sock = socket.socket(family)
        sock.setblocking(False)
        steps = [
            lambda: sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1),
            lambda: sock.bind(("127.0.0.1" if family == socket.AF_INET else "::", self.random.choice((0, 4433)))),
            lambda: set_ulp(sock),
            lambda: sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(self.pick(self.rings))),
            lambda: sock.listen(self.random.choice((0, 1, 16, -1))),
        ]
        if self.random.randrange(3) == 0:
            self.random.shuffle(steps)
        for step in steps:
            with contextlib.suppress(OSError):
                step()
        if len(self.listeners) > 10:
            self.listeners.pop(self.random.randrange(len(self.listeners))).close()
        self.listeners.append(sock)

    def listener_set(self):
        self.pick(self.listeners).setsockopt(SOL_TLS, TLS_HS, self.info())

    def option_any(self):
        sock = self.pick(self.listeners + self.conns)
        level, option = self.random.choice(
            ((SOL_TLS, self.random.randrange(105)), (socket.SOL_TCP, TCP_ULP), (socket.SOL_TCP, self.random.randrange(45)))
        )
        value = self.random.choice((b"tls\0", b"tls", b"tls_hs\0", b"espintcp\0", self.random.randbytes(self.random.randrange(60))))
        # Without a limit of these a process may wait for long.
        if (level, option) not in ((socket.SOL_TCP, 6), (socket.SOL_TCP, 18)):
            sock.setsockopt(level, option, value)

    def option_get(self):
        sock = self.pick(self.listeners + self.conns)
        level, option = self.random.choice(
            ((SOL_TLS, TLS_HS_INFO), (SOL_TLS, TLS_HS), (SOL_TLS, self.random.randrange(105)), (socket.SOL_TCP, TCP_ULP), (socket.SOL_TCP, 11))
        )
        sock.getsockopt(level, option, self.random.choice((1, 4, 8, 100, 600, 1024)))

    def option_pointers(self):
        sock = self.pick(self.listeners + self.conns)
        bad = self.random.choice((0, 8, 2**47 - 16, 2**64 - 4096))
        size = ctypes.c_int(self.random.choice((-1, 0, 4, 24, 32, 520, 2**31 - 1)))
        level, option = SOL_TLS, self.random.choice((TLS_HS, TLS_HS_INFO, TLS_TX, TLS_RX))
        if self.random.randrange(2):
            result = libc.setsockopt(sock.fileno(), level, option, ctypes.c_void_p(bad), size)
        else:
            result = libc.getsockopt(sock.fileno(), level, option, ctypes.c_void_p(bad), ctypes.byref(size))
        if result < 0:
            raise OSError(ctypes.get_errno(), "option")

    def listener_stop(self):
        sock = self.pick(self.listeners)
        stop = self.random.randrange(5)
        if stop == 0:
            sock.shutdown(self.random.randrange(3))
        elif stop == 1:
            if libc.connect(sock.fileno(), bytes(128), self.random.choice((2, 16, 128))) < 0:
                raise OSError(ctypes.get_errno(), "connect")
        elif stop == 2:
            sock.listen(self.random.randrange(20))
        elif stop == 3:
            sock.connect(("127.0.0.1" if sock.family == socket.AF_INET else "::1", 4433))
        else:
            self.listeners.remove(sock)
            sock.close()

    def listener_accept(self):
        conn, family = accept(self.pick(self.listeners))
        conn.setblocking(False)
        self.conns.append(conn)
        kind = "PF_TLS" if family == PF_TLS else "plain"
        self.done[kind] = self.done.get(kind, 0) + 1
        if len(self.conns) > 12:
            self.conns.pop(0).close()

    # --- connections ---

    def conn_use(self):
        conn = self.pick(self.conns)
        use = self.random.randrange(8)
        if use == 0:
            conn.recv(self.random.choice((1, 100, 65536)))
        elif use == 1:
            conn.recv(100, socket.MSG_PEEK)
        elif use == 2:
            conn.recvmsg(100, 100)
        elif use == 3:
            conn.send(self.random.randbytes(self.random.choice((1, 1000, 40000))))
        elif use == 4:
            kind = self.random.choice((20, 21, 22, 23, 24, 255))
            conn.sendmsg([self.random.randbytes(self.random.randrange(1, 9))], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([kind]))])
        elif use == 5:
            conn.shutdown(self.random.randrange(3))
        elif use == 6:
            conn.setsockopt(SOL_TLS, self.random.choice((TLS_TX, TLS_RX)), self.random.randbytes(40))
        else:
            self.conns.remove(conn)
            conn.close()

    # --- clients ---

    def client_new(self):
        address = self.pick(self.listeners).getsockname()
        if not address[1]:
            raise OSError(errno.EBADF, "not bound")
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
        sock.settimeout(0.5)
        sock.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", address[1]))
        sock.setblocking(False)
        context = self.random.choice((CONTEXT, CONTEXT, CONTEXT, LIBRARY_CONTEXT))
        name = self.random.choice(("one.example.com", "localhost", "any.example.com", "other.org"))
        client = Client(None, name=name, context=context, sock=sock, verify=False)
        self.clients.append(client)
        if len(self.clients) > 12:
            self.clients.pop(0).close()

    def client_go(self):
        # The newest more often than others, so that it gets somewhere.
        client = self.random.choice((self.pick(self.clients), self.clients[-1]))
        way = self.random.randrange(10)
        try:
            if way == 0:
                client.sock.send(self.random.randbytes(self.random.randrange(1, 300)))
                return
            if way == 1:
                self.clients.remove(client)
                self.random.choice((reset, lambda sock: sock.close()))(client.sock)
                return
            if way == 2:
                client.sock.shutdown(self.random.randrange(3))
                return
            with contextlib.suppress(BlockingIOError):
                client.take()
            flight = client.produce()
            if client.done and not flight:
                flight = client.seal(self.random.randbytes(self.random.randrange(1, 5000)))
            if way == 3:
                flight = self.mutated(flight)
            client.sock.send(flight if way > 4 else flight[: self.random.randrange(len(flight) + 1)])
        except (ssl.SSLError, Failure):
            # It was told something that is not TLS, or nothing any more.
            if client in self.clients:
                self.clients.remove(client)
            client.close()

    def run(self, seconds):
        calls = [
            (self.key_add, 6), (self.key_host, 4), (self.key_ring, 3), (self.key_update, 3), (self.key_end, 2),
            (self.key_look, 1), (self.listener_new, 2), (self.listener_set, 4), (self.option_any, 2),
            (self.option_get, 2), (self.option_pointers, 2), (self.listener_stop, 2), (self.listener_accept, 10),
            (self.conn_use, 10), (self.client_new, 10), (self.client_go, 30),
        ]  # fmt: skip
        functions, weights = zip(*calls)
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            call = self.random.choices(functions, weights)[0]
            count += 1
            try:
                call()
                self.done[call.__name__] = self.done.get(call.__name__, 0) + 1
            except OSError as error:
                # An error number that user space knows: ERESTARTSYS and such are the kernel's own.
                expect_true(0 < (error.errno or 1) < 134, f"{call.__name__}: error number {error.errno}")
                self.errors[error.errno] = self.errors.get(error.errno, 0) + 1
        for sock in (*self.listeners, *self.conns, *self.clients):
            sock.close()
        missing = [function.__name__ for function in functions if function.__name__ not in self.done]
        names = {errno.errorcode.get(number, number): times for number, times in self.errors.items()}
        print(f"# {count} calls, not one succeeded of {missing}, {self.done}, errors {names}", flush=True)


def nothing_left(start):
    def counts():
        with open("/sys/module/tls_hs/parameters/in_use") as file:
            in_use = [line.split() for line in file]
        return {**slab(*CACHES), **{name: int(value) for name, value in in_use}}

    # Keys and their quota are freed by the key service's collector.
    wait_until(lambda: all(value <= start.get(name, 0) for name, value in counts().items()), 30, f"was {start}, is {counts()}")


SECONDS = min(setting("fuzz_s", 10), 1000)


@case("random calls on sockets and keys", limit=SECONDS + 120)
def _():
    seed = setting("fuzz_seed", 1)
    print(f"# VM_APPEND='hs.fuzz_s={SECONDS} hs.fuzz_seed={seed}'", flush=True)
    bases = payloads()
    start = slab(*CACHES)

    def child(number):
        # Sockets and keyrings are shared with the other processes.
        Fuzzer(seed * PROCESSES + number, listeners, rings, bases).run(SECONDS)

    with sysctl_set("net.ipv4.tcp_migrate_req", 1):
        rings = [host("localhost"), host("one"), keyring()]
        listeners = [
            listener(ring=rings[0], port=4433, options=[(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]),
            listener(socket.AF_INET6, "::", ring=rings[1]),
        ]
        for sock in listeners:
            sock.setblocking(False)
        pids = [forked(lambda number=number: child(number)) for number in range(PROCESSES)]
        for sock in listeners:
            sock.close()
        for pid in pids:
            joined(pid)
    # What was moved into the session's keyring is there still.
    keyctl(KEYCTL_CLEAR, SESSION_KEYRING)
    nothing_left(start)
    unload()
    load()
    connected(listener(ring=host()))


if __name__ == "__main__":
    load(handshake_timeout_ms=2000)
    run(load_module=False)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# Keyrings that change under a listener: keys and virtual hosts that are unlinked are
# not used from the next handshake on, those that are linked are found. Who may set
# TLS_HS with which keyring: possession, permissions, other users, user namespaces.

import contextlib
import ctypes
import errno
import os
import socket
import ssl
import struct
import subprocess
import time

from tls_keys import *

KEYCTL_CHOWN, KEYCTL_LINK, KEYCTL_INVALIDATE = 4, 8, 21
ALPN, TICKET = HEADER["TLS_HS_KEY_TYPE_ALPN"], HEADER["TLS_HS_KEY_TYPE_TICKET"]
DESCRIPTION[ALPN], DESCRIPTION[TICKET] = HEADER["TLS_HS_KEY_DESC_ALPN"], HEADER["TLS_HS_KEY_DESC_TICKET"]
# Who possesses a key may do all with it, who owns it only view it.
POSSESSOR_ONLY = 0x3F010000
# Who owns a key may do all with it, too.
OWNER_TOO = 0x3F3F0000
CLONE_NEWUSER = 0x10000000
PR_SET_DUMPABLE = 4
TRACE = "/sys/kernel/tracing"
libc = ctypes.CDLL(None, use_errno=True)
# Those without privileges can't read the files.
CONTEXT = client_context()
CERTIFICATES = ("one", "two", "localhost", "wild")
LEAVES = {leaf(cert): cert for cert in CERTIFICATES if read_cert(cert + ".key")}


def unlink(key, ring):
    keyctl(KEYCTL_UNLINK, key, ring)


def link(key, ring):
    keyctl(KEYCTL_LINK, key, ring)


def pair(cert, ring, suffix=""):
    """A certificate and its key in a keyring."""
    return (
        add_key(CERT, read_cert(f"{cert}.pem"), ring, DESCRIPTION[CERT] + suffix),
        add_key(PRIV, read_cert(f"{cert}.key"), ring, DESCRIPTION[PRIV] + suffix),
    )


def served_with(server, name):
    """The certificate that answers to a name, None if the client falls back."""
    client = Client(server.getsockname(), name=name, context=CONTEXT, verify=False)
    client.sock.sendall(client.produce())
    # Either an answer comes or the connection can be accepted.
    while not ready(server) and not client.done:
        if ready(client.sock, 0.02):
            client.take()
            client.sock.sendall(client.produce())
    conn, family = accept(server)
    got = client.tls.getpeercert(binary_form=True) if family == PF_TLS else None
    conn.close()
    client.close()
    return LEAVES.get(got, got)


def links(ring):
    """The keys that are linked to a keyring, in the order in which the kernel meets them."""
    buffer = ctypes.create_string_buffer(65536)
    size = keyctl(KEYCTL_READ, ring, buffer, ctypes.c_size_t(len(buffer)))
    return struct.unpack(f"={size // 4}i", buffer.raw[:size])


def comes_to(server, name, cert):
    """The listener finds out by itself: new links count soon after a handshake has seen them."""
    wait_until(lambda: served_with(server, name) == cert, 10, f"{name} is served with {cert}")


# --- keyrings that change ---


@case("a key that is unlinked is not used any more, from the next handshake on")
def _():
    for which in (0, 1):
        ring = keyring()
        keys = pair("one", ring)
        server, conn, client = connected(listener(ring=ring), name="one.example.com")
        unlink(keys[which], ring)
        # Nobody has looked yet: not the second handshake, the first.
        time.sleep(0.2)
        falls_back(server, "one.example.com")
        falls_back(server, "one.example.com")
        echo_check(conn, client)
        # add_key() makes a new key: it is found.
        pair("one", ring)
        comes_to(server, "one.example.com", "one")


@case("keys that take the place of others")
def _():
    ring = keyring()
    old = pair("one", ring, "old")
    server = listener(ring=ring)
    expect(served_with(server, "localhost"), "one")
    # Two of a kind: nothing changes until it is clear which of them counts.
    pair("two", ring, "new")
    for _ in range(5):
        expect(served_with(server, "localhost"), "one")
        time.sleep(0.06)
    for key in old:
        unlink(key, ring)
    comes_to(server, "localhost", "two")


@case("a cleared, revoked, invalidated, expired keyring serves nobody")
def _():
    for end in (
        lambda ring: keyctl(KEYCTL_CLEAR, ring),
        lambda ring: keyctl(KEYCTL_REVOKE, ring),
        lambda ring: keyctl(KEYCTL_INVALIDATE, ring),
        lambda ring: (keyctl(KEYCTL_SET_TIMEOUT, ring, 1), time.sleep(2.1)),
    ):
        ring = host("one")
        server = listener(ring=ring)
        expect(served_with(server, "localhost"), "one")
        end(ring)
        time.sleep(0.1)
        falls_back(server, "localhost")


@case("virtual hosts come and go")
def _():
    outer = host("localhost")
    inner = keyring("one.example.com", outer)
    pair("one", inner)
    server = listener(ring=outer)
    expect(served_with(server, "one.example.com"), "one")
    unlink(inner, outer)
    time.sleep(0.1)
    # At once the default's.
    expect(served_with(server, "one.example.com"), "localhost")
    for name, cert in (("one.example.com", "two"), ("two.example.com", "two"), ("*.example.com", "wild")):
        pair(cert, keyring(name, outer))
        comes_to(server, name.replace("*", "any"), cert)
    expect(served_with(server, "other.org"), "localhost")
    # An inner keyring changes.
    second = keyring("second.example.com", outer)
    keys = pair("one", second)
    comes_to(server, "second.example.com", "one")
    for key in keys:
        unlink(key, second)
    time.sleep(0.1)
    falls_back(server, "second.example.com")
    comes_to(server, "second.example.com", "wild")
    pair("two", second)
    comes_to(server, "second.example.com", "two")
    # One that is broken does not stop the others.
    broken = keyring("broken.example.com", outer)
    add_key(CERT, read_cert("one.pem"), broken)
    pair("one", keyring("third.example.com", outer))
    comes_to(server, "third.example.com", "one")
    expect(served_with(server, "broken.example.com"), "wild")


@case("with a hundred virtual hosts: those that change are found")
def _():
    outer = keyring()
    rings = []
    for number in range(100):
        rings.append(keyring(f"host{number}.example.com", outer))
        pair(("one", "two")[number % 2], rings[-1])
    server = listener(ring=outer)
    expect(served_with(server, "host40.example.com"), "one")
    unlink(rings[40], outer)
    time.sleep(0.1)
    expect(served_with(server, "host40.example.com"), None)
    expect(served_with(server, "host41.example.com"), "two")
    pair("two", keyring("host40.example.com", outer))
    comes_to(server, "host40.example.com", "two")


@case("protocols and ticket keys are unlinked and linked")
def _():
    ring = host()
    server = listener(ring=ring)
    context = client_context(alpn=["h2", "http/1.1"])

    def protocol():
        client = Client(server.getsockname(), context=context).handshake()
        conn, _family = accept(server)
        conn.sendall(b"x")
        expect(client.receive(1), b"x")
        result = client.tls.selected_alpn_protocol(), client.tls.session.has_ticket
        conn.close()
        client.close()
        return result

    expect(protocol(), (None, False))
    keys = add_key(ALPN, b"http/1.1", ring), add_key(TICKET, os.urandom(48), ring)
    wait_until(lambda: protocol() == ("http/1.1", True))
    unlink(keys[1], ring)
    time.sleep(0.1)
    expect(protocol(), ("http/1.1", False))
    unlink(keys[0], ring)
    time.sleep(0.1)
    expect(protocol(), (None, False))


@case("listeners and processes share keyrings")
def _():
    ring = keyring()
    keys = pair("one", ring)
    servers = [listener(family, ring=ring) for family in (socket.AF_INET, socket.AF_INET6)]
    other = listener(ring=ring)

    def child():
        # It has the listener only.
        for wanted in ("one", None, "two"):
            os.read(go_child, 1)
            if wanted == "two":
                comes_to(other, "localhost", "two")
            expect(served_with(other, "localhost"), wanted)
            os.write(done_child, b"x")

    go_child, go = os.pipe()
    done, done_child = os.pipe()
    pid = forked(child)

    def all_serve(wanted, comes=False):
        os.write(go, b"x")
        for server in servers:
            if comes:
                comes_to(server, "localhost", wanted)
            expect(served_with(server, "localhost"), wanted)
        os.read(done, 1)

    all_serve("one")
    for key in keys:
        unlink(key, ring)
    time.sleep(0.1)
    all_serve(None)
    pair("two", ring)
    all_serve("two", comes=True)
    joined(pid)


@case("who has set TLS_HS may be gone: the keyrings are read as that process")
def _():
    ring = host("localhost")
    here, there = socket.socketpair()

    def child():
        server = listener(ring=ring)
        socket.send_fds(there, [b"x"], [server.fileno()])

    joined(forked(child))
    _, fds, _, _ = socket.recv_fds(here, 1, 1)
    server = socket.socket(fileno=fds[0])
    pair("one", keyring("one.example.com", ring))
    comes_to(server, "one.example.com", "one")
    # What that process may not search is not used.
    hidden = keyring("two.example.com", ring)
    pair("two", hidden)
    keyctl(KEYCTL_SETPERM, hidden, 0x37373737)
    pair("two", keyring("three.example.com", ring))
    comes_to(server, "three.example.com", "two")
    expect(served_with(server, "two.example.com"), "localhost")


@case("keys that change all the time, and clients all the time", limit=60)
def _():
    outer = host("localhost")
    inner = keyring("one.example.com", outer)
    pair("one", inner)
    server = listener(ring=outer, backlog=128)
    end = time.monotonic() + 8
    seen = set()

    def change():
        while time.monotonic() < end:
            unlink(inner, outer)
            link(inner, outer)
            for key in pair("one", inner):
                unlink(key, inner)
            pair("one", inner)
            keyctl(KEYCTL_CLEAR, inner)
            pair("one", inner)
            time.sleep(0.005)

    changes = [Background(change) for _ in range(2)]
    while time.monotonic() < end:
        seen.add(served_with(server, "one.example.com"))
        seen.add(served_with(server, "localhost"))
    for thread in changes:
        try:
            thread.result()
        except OSError:
            # The other thread had unlinked it.
            pass
    expect_true("localhost" in seen and seen <= {"one", "localhost", None}, seen)
    for name in ("one.example.com", "localhost"):
        expect_true(served_with(server, name) in ("one", "localhost", None), name)


@case("links that go hide none of the others", limit=100)
def _():
    # The kernel's keyrings do not bear it when many links come and go: none come here.
    for _ in range(4):
        outer = keyring()
        rings = {keyring(f"host{number}.example.com", outer): number for number in range(500)}
        *others, last = links(outer)
        pair("one", last)
        server = listener(ring=outer)

        def change():
            for ring in others:
                unlink(ring, outer)
                time.sleep(0.002)

        pid = forked(change)
        seen = []
        while not os.waitpid(pid, os.WNOHANG)[0]:
            seen.append(served_with(server, f"host{rings[last]}.example.com"))
        expect(seen.count(None), 0, f"of {len(seen)}")
        expect(links(outer), (last,))
        server.close()


@case("keys that the process does not possess any more are used as long as they are linked")
def _():
    outer = host("localhost")
    inner = keyring("one.example.com", outer)
    keys = pair("one", inner)
    later = keyring("two.example.com", keyring())
    for key in (outer, inner, later, *pair("two", later)):
        keyctl(KEYCTL_SETPERM, key, OWNER_TOO)
    server = listener(ring=outer)
    unlink(outer, SESSION_KEYRING)
    # This one may be searched by who owns it, so it is found.
    link(later, outer)
    comes_to(server, "two.example.com", "two")
    for name, cert in (("localhost", "localhost"), ("one.example.com", "one")):
        expect(served_with(server, name), cert)
    unlink(keys[0], inner)
    time.sleep(0.1)
    expect(served_with(server, "one.example.com"), None)


@contextlib.contextmanager
def calls(function):
    """Counts the calls of a function of the kernel's."""

    def write(path, text):
        with open(f"{TRACE}/{path}", "w") as file:
            file.write(text)

    def count():
        with open(f"{TRACE}/kprobe_profile") as file:
            return next(int(line.split()[1]) for line in file if "tls_hs_test" in line)

    write("kprobe_events", f"p:tls_hs_test {function}\n")
    write("events/kprobes/tls_hs_test/enable", "1")
    try:
        yield count
    finally:
        write("events/kprobes/tls_hs_test/enable", "0")
        # Opening is what removes it.
        write("kprobe_events", "")


@case_in_real_time("a keyring with which something is wrong is read again now and then, not all the time")
def _():
    ring = keyring()
    old = pair("one", ring, "old")
    server = listener(ring=ring)
    pair("two", ring, "new")
    with calls("lookup_user_key") as count:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            expect(served_with(server, "localhost"), "one")
        # One for each link.
        times = count() / 4
    expect_true(2 <= times <= 6, f"{times} times in 4 seconds")
    # That changes no link.
    for key in old:
        keyctl(KEYCTL_REVOKE, key)
    comes_to(server, "localhost", "two")


@case("keys under construction are not waited for", limit=60)
def _():
    slow, program = f"{os.environ['TMPDIR']}/slow", f"{os.environ['TMPDIR']}/program"
    open(slow, "w").close()
    with open(program, "w") as file:
        file.write(f"#!/bin/sh\nwhile [ -e {slow} ]; do sleep 0.1; done\n")
    os.chmod(program, 0o755)
    with open("/etc/request-key.d/slow.conf", "w") as file:
        file.write(f"create {ALPN} slow * {program} %k\n")
    ring = host("localhost")
    server = listener(ring=ring)

    # It is never ready: keyctl fails.
    request = ["keyctl", "request2", ALPN, "slow", "x", str(ring)]
    process = subprocess.Popen(request, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(links(ring)) == 3)
        pair("one", keyring("one.example.com", ring))
        comes_to(server, "one.example.com", "one")
        server.close()
        expect(process.poll(), None, "the key is under construction")
    finally:
        os.unlink(slow)
        process.wait()


# --- permissions ---


def use(ring):
    sock = bound()
    set_ulp(sock)
    sock.setsockopt(SOL_TLS, TLS_HS, crypto_info(ring))
    return sock


@case("search permission is what it takes, of the keyring and of each key")
def _():
    for order in range(3):
        ring = keyring()
        objects = (ring, *pair("one", ring))
        keyctl(KEYCTL_SETPERM, objects[order], 0x37373737)
        with raises(errno.EACCES if order == 0 else ENOKEY):
            use(ring)
        # View, read and write do not count; search alone is enough.
        keyctl(KEYCTL_SETPERM, objects[order], 0x28282828)
        use(ring)


@case("who possesses a key may use it, who only owns it may not")
def _():
    ring = keyring()
    objects = (ring, *pair("one", ring))
    for key in reversed(objects):
        keyctl(KEYCTL_SETPERM, key, POSSESSOR_ONLY)
    use(ring)

    def child():
        # The same user with a session keyring of its own.
        keyctl(KEYCTL_JOIN_SESSION_KEYRING, None)
        with raises(errno.EACCES):
            use(ring)

    joined(forked(child))
    use(ring)


@case("keys of another user")
def _():
    ring = keyring()
    objects = (ring, *pair("one", ring))
    with raises(errno.EACCES):
        as_nobody(lambda: use(ring))
    # A key that everybody may search; what is in it is nobody's to read all the same.
    for key in objects:
        keyctl(KEYCTL_SETPERM, key, 0x3F3F0008)
    as_nobody(lambda: use(ring))
    for key in objects[1:]:
        with raises(errno.EACCES):
            as_nobody(lambda key=key: keyctl(KEYCTL_READ, key, None, 0))
    # A user's own keys.
    as_nobody(lambda: use(host("two")))


@case("a worker without privileges: new keys count, but not by its doing")
def _():
    ring = host("one")
    server = listener(ring=ring)

    def worker():
        expect(served_with(server, "localhost"), "one")
        for key in (ring,):
            with raises(errno.EACCES):
                use(key)
            with raises(errno.EACCES):
                keyctl(KEYCTL_CLEAR, key)
        # It may set its own keys on the listener that it was given, not somebody else's.
        with raises(errno.EACCES):
            server.setsockopt(SOL_TLS, TLS_HS, crypto_info(ring))

    as_nobody(worker)
    as_nobody(lambda: expect(served_with(server, "localhost"), "one"))


@case("in a user namespace: one's own keys, not those outside")
def _():
    ring = host("one")

    def inside():
        # /proc/self is root's otherwise, since the user ID was changed.
        libc.prctl(PR_SET_DUMPABLE, 1)
        if libc.unshare(CLONE_NEWUSER):
            raise OSError(ctypes.get_errno(), "unshare")
        with open("/proc/self/setgroups", "w") as file:
            file.write("deny")
        with open("/proc/self/uid_map", "w") as file:
            file.write("0 65534 1")
        expect(os.getuid(), 0)
        with raises(errno.EACCES, ENOKEY):
            use(ring)
        server = use(host("two"))
        server.listen()
        expect(served_with(server, "localhost"), "two")

    as_nobody(inside)


@case("the quota of a user holds: EDQUOT")
def _():
    def fill():
        count = 0
        try:
            while count < 1000:
                add_key(CERT, read_cert("localhost.pem"), SESSION_KEYRING, f"tlscrt:{count}")
                count += 1
        except OSError as error:
            expect(error.errno, errno.EDQUOT)
        expect_true(0 < count < 1000, f"{count} keys")
        # What is there can still be used, and smaller ones still updated.
        add_key(CERT, read_cert("localhost.pem"), SESSION_KEYRING, "tlscrt:0")

    as_nobody(fill)


if __name__ == "__main__":
    run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# The files of /proc/sys/net/tls_hs: bounds, permissions, namespaces, and that
# they come and go with the module.

import ctypes
import errno
import os
import subprocess

from tls_hs import *

FOLDER = "/proc/sys/net/tls_hs"
NAME = "net.tls_hs.max_pending"
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def read(name):
    with open(f"{FOLDER}/{name}") as file:
        return int(file.read())


def unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def in_namespace(function, flags=CLONE_NEWNET):
    def child():
        unshare(flags)
        # A file of /proc/self/net and /proc/sys/net is of the namespace of who opens it.
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        function()

    joined(forked(child))


@case("each file has bounds: nothing else can be written")
def _():
    names = os.listdir(FOLDER)
    expect_true({"handshake_timeout_ms", "max_pending"} <= set(names), f"files: {names}")
    for name in names:
        value = read(name)
        for wrong in ("-1", "4294967296", "99999999999999999999", "x"):
            with raises(errno.EINVAL, errno.ERANGE):
                sysctl(f"net.tls_hs.{name}", wrong)
        expect(read(name), value, name)
    for name, wrong in (("handshake_timeout_ms", (0, 3600001)), ("max_pending", (16777217,))):
        for value in wrong:
            with raises(errno.EINVAL):
                sysctl(f"net.tls_hs.{name}", value)
        expect(oct(os.stat(f"{FOLDER}/{name}").st_mode & 0o777), "0o644", name)


@case("a namespace begins with the defaults, and has its own values")
def _():
    with sysctl_set(NAME, 7):

        def check():
            expect(read("max_pending"), 65536)
            sysctl(NAME, 3)
            expect(read("max_pending"), 3)

        in_namespace(check)
        expect(read("max_pending"), 7)


@case("a value counts in its own namespace")
def _():
    def refused():
        sysctl(NAME, 0)
        server = listener()
        client = Client(server.getsockname())
        client.sock.sendall(client.produce())
        wait_until(lambda: counters()["pending_full"] > 0, what="pending_full")
        sysctl(NAME, 1)
        client.take()
        client.sock.sendall(client.last_flight())
        expect(accept(server)[1], PF_TLS)

    in_namespace(refused)
    connected()


@case("without privilege: nobody writes, root of an own namespace does")
def _():
    def nobody():
        os.setresuid(65534, 65534, 65534)
        with raises(errno.EACCES, errno.EPERM):
            sysctl(NAME, 5)
        expect(read("max_pending"), 65536)
        # An own user namespace does not help with the files of another's network namespace.
        unshare(CLONE_NEWUSER)
        with raises(errno.EACCES, errno.EPERM):
            sysctl(NAME, 5)

    def owner():
        os.setresuid(65534, 65534, 65534)
        unshare(CLONE_NEWUSER | CLONE_NEWNET)
        sysctl(NAME, 5)
        expect(read("max_pending"), 5)

    for function in (nobody, owner):
        joined(forked(function))
    expect(read("max_pending"), 65536)


@case("writers and readers while namespaces come and go", limit=60)
def _():
    def hammer():
        for _ in range(20):
            unshare(CLONE_NEWNET)
            for value in range(1, 20):
                sysctl(NAME, value)
                expect(read("max_pending"), value)

    for pid in [forked(hammer) for _ in range(3)]:
        joined(pid)


@case("the files go with the module, and come again with defaults")
def _():
    sysctl(NAME, 5)
    with open(f"{FOLDER}/max_pending") as held:
        unload()
        expect_true(not os.path.exists(FOLDER), "the folder is still there")
        with raises(errno.ENOENT):
            held.read()
    load()
    expect(read("max_pending"), 65536)


if __name__ == "__main__":
    load()
    run(load_module=False)

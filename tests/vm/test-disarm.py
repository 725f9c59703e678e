#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# The step before rmmod: the parameters disarm and in_use, what each kind of socket
# counts as, and tlshs-disarm, which waits for them.

import ctypes
import errno
import os
import socket
import subprocess
import threading
import time

from tls_hs import *

CONTEXT = client_context()
PARAMETERS = "/sys/module/tls_hs/parameters"


def refcount():
    with open("/sys/module/tls_hs/refcnt") as file:
        return int(file.read())


def read_file(path):
    with open(path) as file:
        return file.read()


def lines(path):
    return {name: int(value) for name, value in (line.split() for line in read_file(path).splitlines())}


def in_use():
    return lines(f"{PARAMETERS}/in_use")


def here():
    return lines("/proc/net/tls_hs_sockets")


def disarm(value="1"):
    with open(f"{PARAMETERS}/disarm", "w") as file:
        file.write(value)


def disarmed():
    return read_file(f"{PARAMETERS}/disarm").strip()


def tool(*arguments):
    result = subprocess.run(["tlshs-disarm", *arguments], capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def stock_tls():
    """TCP_ULP "tls" on an established connection."""
    server = bound()
    server.listen()
    client = tcp_connect(server.getsockname())
    conn, _ = server.accept()
    set_ulp(conn)
    expect(get_ulp(conn), b"tls")
    with raises(errno.ENOTCONN):
        set_ulp(server)


def fresh():
    return listener(ring=host())


@case("each kind of socket is counted as long as it is there")
def _():
    load()
    nothing = {"listeners": 0, "pending": 0, "connections": 0}

    def expect_use(**changed):
        wanted = {**nothing, **changed}
        wait_until(lambda: here() == wanted, 10, f"{wanted}, is {here()}")
        total = in_use()
        expect({name: total[name] for name in nothing}, wanted)

    expect_use()
    ring = host()
    expect(in_use()["keys"], 2)
    # The ULP alone is enough.
    bare = bound()
    set_ulp(bare)
    expect_use(listeners=1)
    bare.close()
    expect_use()
    server = listener(ring=ring)
    expect_use(listeners=1)
    client = Client(server.getsockname(), context=CONTEXT)
    expect_use(listeners=1, pending=1)
    client.handshake()
    wait_until(lambda: ready(server))
    expect_use(listeners=1, pending=1)
    conn, _family = accept(server)
    expect_use(listeners=1, connections=1)
    fallback = Client(server.getsockname(), groups="X448")
    fallback.sock.sendall(fallback.produce())
    wait_until(lambda: ready(server))
    expect_use(listeners=1, pending=1, connections=1)
    plain, family = accept(server)
    expect(family, socket.AF_INET)
    # What fell back is no socket of the module any more.
    expect_use(listeners=1, connections=1)
    gone = Client(server.getsockname(), context=CONTEXT)
    expect_use(listeners=1, pending=1, connections=1)
    reset(gone.sock)
    expect_use(listeners=1, connections=1)
    queued = Client(server.getsockname(), context=CONTEXT).handshake()
    half = Client(server.getsockname(), context=CONTEXT)
    expect_use(listeners=1, pending=2, connections=1)
    server.close()
    expect_use(connections=1)
    conn.close()
    expect_use()
    keyctl(KEYCTL_CLEAR, ring)
    wait_until(lambda: in_use()["keys"] == 0)
    expect(refcount(), 0)
    for sock in (plain, queued.sock, half.sock):
        sock.close()
    unload()


@case("disarmed: no new socket, those that are there go on")
def _():
    load()
    expect(disarmed(), "0")
    server, conn, client = connected(fresh(), context=CONTEXT)
    without = bound()
    set_ulp(without)
    for _ in range(3):
        disarm()
        expect(disarmed(), "1")
        with raises(errno.ENOTCONN):
            set_ulp(bound())
        stock_tls()
        # Keys may still be renewed, connections still come to the listener.
        server.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
        connected(server, context=CONTEXT)
        echo_check(conn, client)
        disarm("0")
        expect(disarmed(), "0")
        set_ulp(bound())
    disarm()
    without.setsockopt(SOL_TLS, TLS_HS, crypto_info(host()))
    without.listen()
    connected(without, context=CONTEXT)
    for sock in (server, conn, without):
        sock.close()
    unload()


@case("what is no truth value is refused, a repetition is not")
def _():
    load()
    for value in ("x", "2", "-1", ""):
        with raises(errno.EINVAL):
            with open(f"{PARAMETERS}/disarm", "wb", buffering=0) as file:
                file.write(value.encode() or b"\n")
    for value in "1100":
        disarm(value)
        expect(disarmed(), value)
    connected(fresh(), context=CONTEXT)
    with raises(errno.EACCES, errno.EPERM):
        with open(f"{PARAMETERS}/in_use", "w") as file:
            file.write("1")
    unload()


@case("loaded with disarm=1: stock until it is armed")
def _():
    load("disarm=1")
    expect(disarmed(), "1")
    with raises(errno.ENOTCONN):
        set_ulp(bound())
    stock_tls()
    disarm("0")
    connected(fresh(), context=CONTEXT)
    unload()


@case('"tls" is found at all times while the module is armed, disarmed, removed', limit=90)
def _():
    server = bound()
    server.listen()
    tcp_connect(server.getsockname())
    stop = threading.Event()
    tries = [0]
    missing = []

    def look():
        # Not connected: stock says ENOTCONN, the front nothing. Only ENOENT must not be.
        while not stop.is_set():
            sock = socket.socket()
            try:
                set_ulp(sock)
            except OSError as error:
                if error.errno != errno.ENOTCONN:
                    missing.append(error)
            sock.close()
            tries[0] += 1

    load()
    lookers = [Background(look) for _ in range(2)]
    try:
        for _ in range(10):
            disarm()
            disarm("0")
        disarm()
        before = tries[0]
        wait_until(lambda: tries[0] > before + 20)
        wait_until(lambda: refcount() == 0, 10, "free after disarm")
        expect(subprocess.run(["rmmod", "tls_hs"], capture_output=True).returncode, 0, "rmmod")
        before = tries[0]
        wait_until(lambda: tries[0] > before + 20)
    finally:
        stop.set()
    for looker in lookers:
        looker.result()
    expect(missing, [])


@case("tlshs-disarm says what it waits for, waits, and removes")
def _():
    load()
    server, conn, client = connected(fresh(), context=CONTEXT)
    status, said = tool("--show")
    expect(status, 1)
    expect_true("listeners 1, connections 1" in said, said)
    expect(disarmed(), "0", "--show")
    status, said = tool()
    expect(status, 1)
    expect(disarmed(), "1")
    inode = os.stat("/proc/self/ns/net").st_ino
    expect_true(f"net:[{inode}]" in said, said)
    expect(tool("--undo"), (0, ""))
    expect(disarmed(), "0")
    expect(tool("--wait=1")[0], 1, "gives up")
    waiter = Background(tool, "--wait", "--remove")
    server.close()
    time.sleep(1.5)
    expect(os.path.exists(PARAMETERS), True, "removed under a connection")
    conn.close()
    client.close()
    status, said = waiter.result()
    expect(status, 0, said)
    expect_true("in use: connections 1" in said and said.endswith("not in use\n"), said)
    expect(os.path.exists(PARAMETERS), False)
    expect(tool()[0], 2, "without the module")
    for wrong in ("--wait=", "--wait=x", "--what", "5"):
        expect(tool(wrong)[0], 2, wrong)


CLONE_NEWNET = 0x40000000


@case("network namespaces: each has its own, in_use has all", limit=60)
def _():
    load()
    libc = ctypes.CDLL(None, use_errno=True)
    read_here, write_here = os.pipe()
    read_there, write_there = os.pipe()

    def child():
        os.close(write_here)
        expect(libc.unshare(CLONE_NEWNET), 0)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        sockets = connected(fresh(), context=CONTEXT)
        expect(here(), {"listeners": 1, "pending": 0, "connections": 1})
        os.write(write_there, b"x")
        os.read(read_here, 1)
        for sock in sockets:
            sock.close()

    pid = forked(child)
    os.close(read_here)
    os.read(read_there, 1)
    expect(set(here().values()), {0})
    expect(in_use()["connections"], 1)
    status, said = tool()
    expect(status, 1)
    expect_true(f"(process {pid}): listeners 1, connections 1" in said, said)
    os.close(write_here)
    joined(pid)
    expect(tool("--wait=20", "--remove")[0], 0)


if __name__ == "__main__":
    run(load_module=False)

# SPDX-License-Identifier: GPL-2.0
#
# What sockets leave behind: nothing, if all is well.

import contextlib
import errno
import gc
import os
import socket
import struct
import subprocess

from tls_hs import *

CACHES = ("TCP", "TCPv6", "request_sock_TCP", "request_sock_TCPv6", "tls_hs_child")


def refcount():
    with open("/sys/module/tls_hs/refcnt") as file:
        return int(file.read())


def in_use():
    """Listeners, pending children and connections of all namespaces."""
    with open("/sys/module/tls_hs/parameters/in_use") as file:
        counts = {name: int(value) for name, value in (line.split() for line in file)}
    del counts["keys"]
    return counts


def growth(before):
    return {name: value - before[name] for name, value in counters().items() if value != before[name]}


def unused():
    """Waits until nobody holds the module any more."""
    gc.collect()
    free = lambda: refcount() == 0 and not any(in_use().values())
    try:
        wait_until(free, 20)
    except Failure:
        raise Failure(f"in use: {refcount()}, {in_use()}") from None


@contextlib.contextmanager
def nothing_left(seconds=30):
    """What begins in the block has ended after it: handshakes have been counted, sockets, requests
    and children are freed, nobody holds the module."""
    gc.collect()
    start, before = slab(*CACHES), counters()
    yield
    unused()
    balance = lambda: (grown := growth(before)).get("admitted", 0) == sum(
        grown.get(name, 0) for name in ("completed", "fell_back", "failed")
    )
    try:
        wait_until(balance, 5)
    except Failure:
        raise Failure(f"handshakes without an end: {growth(before)}") from None
    try:
        wait_until(lambda: all(now <= start[name] for name, now in slab(*CACHES).items()), seconds)
    except Failure:
        raise Failure(f"was {start}, is {slab(*CACHES)}: {growth(before)}") from None


def ends(sock, seconds=10):
    """What came before the server ended the connection, which it must do."""
    sock.settimeout(seconds)
    try:
        return read_to_end(sock)
    except TimeoutError:
        raise Failure("the connection goes on") from None
    except OSError as error:
        return b"", error.errno
    finally:
        sock.close()


def ss_kill(*arguments):
    subprocess.run(["ss", "-K", "-t", *arguments], check=True, stdout=subprocess.DEVNULL)


def abort_listener(server):
    """SOCK_DESTROY of just this listener, which ss can't say: the kernel looks a listener of the
    group up by a hash of ports and addresses, and then compares the cookie."""
    cookie = server.getsockopt(socket.SOL_SOCKET, 57, 8)
    port = server.getsockname()[1].to_bytes(2, "big")
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)

    def destroy(peer):
        # struct inet_diag_sockid
        here = socket.inet_aton("127.0.0.1") + bytes(12)
        sockid = port + peer.to_bytes(2, "big") + here + here + bytes(4) + cookie
        # struct inet_diag_req_v2: family, protocol, ext, pad, states
        request = bytes([socket.AF_INET, socket.IPPROTO_TCP, 0, 0]) + (1 << 10).to_bytes(4, "little") + sockid
        # SOCK_DESTROY with NLM_F_REQUEST and NLM_F_ACK
        netlink.send(struct.pack("=IHHII", 16 + len(request), 21, 5, 0, 0) + request)
        return -struct.unpack("=i", netlink.recv(4096)[16:20])[0]

    for peer in range(1, 100):
        error = destroy(peer)
        if error == 0:
            return
        expect(error, errno.ENOENT, "SOCK_DESTROY")
    raise Failure("the listener is not found")


@contextlib.contextmanager
def child_process(function):
    """A process that runs function(command), where command() returns the parent's next one and
    command(answer) answers the one before; the block gets ask(command)."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def command(answer=None):
        if answer is not None:
            there.send(repr(answer).encode())
        return there.recv(4096).decode()

    def run_child():
        here.close()
        function(command)

    pid = forked(run_child)
    there.close()

    def ask(text=""):
        here.settimeout(30 * SLOW)
        here.send(text.encode() or b" ")
        answer = here.recv(4096)
        if not answer:
            raise Failure("the process has ended")
        return eval(answer.decode())  # pylint: disable=eval-used

    ask.pid = pid
    try:
        yield ask
    finally:
        here.close()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, 9)
            os.waitpid(pid, 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# A BPF program that sets options of every connection that a cgroup's listeners get.

import contextlib
import os
import socket

from tls_bpf import *
from tls_hs import *

ROOT = "/sys/fs/cgroup"
PROG_ATTACH, PROG_DETACH = 8, 9
PROG_SOCK_OPS, CGROUP_SOCK_OPS = 13, 3
PASSIVE_ESTABLISHED = 5
SETSOCKOPT = 49


def program(level, option, value):
    """Sets an option when the three-way handshake of a server's connection is over."""
    code = [
        insn(0x61, R[2], R[1], 0),  # r2 = what has happened
        insn(0x55, R[2], 0, 7, PASSIVE_ESTABLISHED),  # if r2 != ... goto + 7
        insn(0x62, R[10], 0, -4, value),  # *(u32 *)(r10 - 4) = value
        insn(0xB7, R[2], 0, 0, level),
        insn(0xB7, R[3], 0, 0, option),
        insn(0xBF, R[4], R[10]),
        insn(0x07, R[4], 0, 0, -4),  # r4 = r10 - 4
        insn(0xB7, R[5], 0, 0, 4),
        insn(0x85, 0, 0, 0, SETSOCKOPT),
        insn(0xB7, R[0], 0, 0, 1),
        insn(0x95),
    ]
    return load_program(PROG_SOCK_OPS, code)


@contextlib.contextmanager
def attached(*option):
    """In the block every connection gets this option."""
    group, loaded = os.open(ROOT, os.O_RDONLY), program(*option)
    bpf(PROG_ATTACH, "=IIII", group, loaded, CGROUP_SOCK_OPS, 0)
    try:
        yield
    finally:
        bpf(PROG_DETACH, "=IIII", group, loaded, CGROUP_SOCK_OPS, 0)
        os.close(loaded)
        os.close(group)


@case("SO_RCVLOWAT that a program sets is kept, and the handshake does not wait for it")
def _():
    option, value = (socket.SOL_SOCKET, socket.SO_RCVLOWAT), 4096
    with attached(*option, value):
        server, conn, client = connected()
        expect(conn.getsockopt(*option), value)
        fallback = Client(server.getsockname(), groups="X448")
        fallback.sock.sendall(fallback.produce())
        expect(accept(server)[0].getsockopt(*option), value, "of a fallback")


if __name__ == "__main__":
    run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# A BPF program on each tracepoint, which is what bpftrace and perf trace do: it
# attaches, finds the fields where tracefs says they are, and sees every event.

import contextlib
import ctypes
import fcntl
import os
import re
import socket
import struct
import subprocess

from tls_bpf import *
from tls_hs import *

TRACE = "/sys/kernel/tracing"
SYS_PERF_EVENT_OPEN = 298
MAP_CREATE, MAP_LOOKUP = 0, 1
MAP_ARRAY, PROG_TRACEPOINT = 2, 5
PERF_TYPE_TRACEPOINT = 2
IOC_ENABLE, IOC_SET_BPF = 0x2400, 0x40042408
# What the program leaves behind: how often it ran, a number and two strings of the last time.
VALUE = struct.Struct("=QQ64s64s")


def mount():
    if not os.path.exists(f"{TRACE}/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACE], check=True)


def fields(event):
    """Offsets of the fields, and the event's number."""
    with open(f"{TRACE}/events/tls_hs/{event}/format") as file:
        text = file.read()
    found = re.findall(r"field:[^;]*?(\w+)(?:\[\d+\])?;\s*offset:(\d+);", text)
    return {name: int(offset) for name, offset in found}, int(re.search(r"^ID: (\d+)", text, re.M)[1])


def program(table, number, strings):
    """Counts, adds up a number of 32 bits and copies strings, all at these offsets of the event."""
    code = [
        insn(0xBF, R[6], R[1]),  # r6 = event
        insn(0x62, R[10], 0, -4, 0),  # *(u32 *)(r10 - 4) = 0
        insn(0x18, R[1], 1, 0, table) + insn(0),  # r1 = table
        insn(0xBF, R[2], R[10]),
        insn(0x07, R[2], 0, 0, -4),  # r2 = r10 - 4
        insn(0x85, 0, 0, 0, 1),  # r0 = bpf_map_lookup_elem()
        insn(0x55, R[0], 0, 2, 0),  # if r0 != 0 goto + 2
        insn(0xB7, R[0]),
        insn(0x95),
        insn(0xBF, R[7], R[0]),
        insn(0xB7, R[1], 0, 0, 1),
        insn(0xDB, R[7], R[1], 0),  # lock *(u64 *)(r7 + 0) += 1
        insn(0x61, R[1], R[6], number),
        insn(0xDB, R[7], R[1], 8),  # lock *(u64 *)(r7 + 8) += number
    ]
    for at, offset in enumerate(strings):
        code += [
            insn(0xBF, R[3], R[6]),
            insn(0x07, R[3], 0, 0, offset),  # r3 = string
            insn(0xBF, R[1], R[7]),
            insn(0x07, R[1], 0, 0, 16 + 64 * at),
            insn(0xB7, R[2], 0, 0, 64),
            insn(0x85, 0, 0, 0, 115),  # bpf_probe_read_kernel_str()
        ]
    return load_program(PROG_TRACEPOINT, code + [insn(0xB7, R[0]), insn(0x95)])


@contextlib.contextmanager
def attached(event):
    """Gives a function that tells what the program has seen of an event."""
    places, number = fields(event)
    table = bpf(MAP_CREATE, "=IIII", MAP_ARRAY, 4, VALUE.size, 1)
    code = program(table, places["us"], (places["sni"], places["reason"]))
    attributes = struct.pack("=IIQ", PERF_TYPE_TRACEPOINT, 64, number).ljust(64, b"\0")
    opened = syscall(SYS_PERF_EVENT_OPEN, ctypes.create_string_buffer(attributes, 64), -1, 0, -1, 8)
    fcntl.ioctl(opened, IOC_SET_BPF, code)
    fcntl.ioctl(opened, IOC_ENABLE, 0)

    def seen():
        key, value = ctypes.create_string_buffer(4), ctypes.create_string_buffer(VALUE.size)
        bpf(MAP_LOOKUP, "=IIQQQ", table, 0, ctypes.addressof(key), ctypes.addressof(value), 0)
        count, total, *strings = VALUE.unpack(value.raw)
        return count, total, *(string.partition(b"\0")[0].decode() for string in strings)

    try:
        yield seen
    finally:
        for number in (opened, code, table):
            os.close(number)


@case("a program on each tracepoint sees what happens, with its fields")
def _():
    mount()
    server = listener()
    events = ("start", "hello", "done", "fallback", "fail")
    with contextlib.ExitStack() as stack:
        seen = {event: stack.enter_context(attached(f"tls_hs_{event}")) for event in events}
        for _ in range(5):
            _, conn, client = connected(server)
            conn.close()
            client.close()
        client = Client(server.getsockname(), groups="X448")
        client.sock.sendall(client.produce())
        conn, family = accept(server)
        expect(family, socket.AF_INET)
        broken = tcp_connect(server.getsockname())
        broken.sendall(b"GET / HTTP/1.0\r\n\r\n")
        read_to_end(broken)
        wait_until(lambda: seen["fail"]()[0], what="a failure")
        got = {event: function() for event, function in seen.items()}
    expect({event: values[0] for event, values in got.items()}, dict(zip(events, (7, 5, 5, 1, 1))), "events")
    expect_true(got["done"][1] > got["start"][1], f"microseconds: {got}")
    expect(got["start"][2:], ("", ""))
    expect(got["done"][2:], ("localhost", ""))
    expect(got["fallback"][2:], ("", "no_common_group"))
    expect(got["fail"][2:], ("", "not_tls"))


@case("the module stays while a program is attached, and goes when none is")
def _():
    mount()
    with attached("tls_hs_done"):
        expect(subprocess.run(["rmmod", "tls_hs"], stderr=subprocess.PIPE).returncode, 1, "rmmod")
    unload()


if __name__ == "__main__":
    # What the kernel's BPF_EVENTS needs; the debug kernels have not got it.
    mount()
    if any(os.path.exists(f"/sys/kernel/tracing/{kind}_events") for kind in ("kprobe", "uprobe")):
        run()
    else:
        print("1..0 # SKIP this kernel has no BPF programs for tracepoints")

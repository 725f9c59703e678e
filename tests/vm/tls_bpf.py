# SPDX-License-Identifier: GPL-2.0
#
# BPF programs, a few instructions each, without a library.

import ctypes
import os
import struct

from tap import *

SYS_BPF = 321
PROG_LOAD = 5
R = range(11)

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number, *arguments):
    result = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def bpf(command, layout, *values):
    attributes = ctypes.create_string_buffer(struct.pack(layout, *values), 128)
    return syscall(SYS_BPF, command, attributes, 128)


def insn(code, dst=0, src=0, offset=0, value=0):
    return struct.pack("=BBhi", code, src << 4 | dst, offset, value)


def load_program(kind, code):
    """Gives the program's descriptor."""
    code = b"".join(code)
    log = ctypes.create_string_buffer(65536)
    text, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    layout = "=IIQQIIQII"
    values = (len(code) // 8, ctypes.addressof(text), ctypes.addressof(licence), 1, len(log), ctypes.addressof(log), 0, 0)
    try:
        return bpf(PROG_LOAD, layout, kind, *values)
    except OSError as error:
        raise Failure(f"{error}: {log.value.decode()[-2000:]}") from error

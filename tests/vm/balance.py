# SPDX-License-Identifier: GPL-2.0
#
# What must be even after any number of handshakes: counters and memory.

from tls_hs import *

CACHES = ("TCP", "TCPv6", "request_sock_TCP", "request_sock_TCPv6", "tls_hs_child")


def connection_slabs():
    """Objects in use in the slab caches that a connection takes from."""
    return slab(*CACHES)


def account(before):
    """Every handshake that began has ended, one way."""

    def balance():
        growth = {name: value - before[name] for name, value in counters().items()}
        ended = growth["completed"] + growth["fell_back"] + growth["failed"]
        return growth["admitted"] == ended and growth

    try:
        return wait_until(balance, 20)
    except Failure:
        growth = {name: value - before[name] for name, value in counters().items() if value != before[name]}
        raise Failure(f"handshakes unaccounted for: {growth}") from None


def nothing_left(start):
    def settled():
        now = connection_slabs()
        return all(now[name] <= start[name] for name in start)

    try:
        wait_until(settled, 30)
    except Failure:
        raise Failure(f"was {start}, is {connection_slabs()}") from None

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Generates the fixed-base comb tables of crypto_p256.

    tools/gen-comb.py --width 6 --tables 43 > crypto_p256/src/comb/table.rs
    tools/gen-comb.py --curve x25519 --width 5 --tables 26 > crypto_p256/src/x25519/comb/table.rs

A signed multi-table comb (Lim and Lee, CRYPTO '94) of `width` rows and `tables` tables cuts the
sign bits of an odd scalar into `width` rows of d = ceil(256 / width) columns, d rounded up to a
multiple of `tables`. Table t holds the 2^(width-1) points 2^(e*t) * (2^(d*(width-1)) +- ... +- 1) * G
with e = d / tables columns to a table, so that a multiplication is d additions and e - 1 doublings.

The incomplete addition formulas of P-256 fail when an accumulator equals plus or minus the point to add.
Each partial sum is a sum of powers of two with all signs free, and such a sum has one
representation only, so the scalars that fail can be listed exactly. The generator refuses a choice
of width and tables for which there is one; most choices with one column to a table have none.
The formulas of the Edwards form of Curve25519 are complete, so that any choice will do.
"""

import argparse
import sys

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

# Curve25519 as the twisted Edwards curve -x^2 + y^2 = 1 + D x^2 y^2 (RFC 7748 section 4.1).
Q = 2**255 - 19
D = -121665 * pow(121666, -1, Q) % Q
BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def add(a, b):
    """Affine addition with every exceptional case; None is the identity."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def neg(a):
    return a[0], -a[1] % P


def ed_add(a, b):
    product = D * a[0] * b[0] * a[1] * b[1] % Q
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, Q)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, Q)
    return x % Q, y % Q


def ed_neg(a):
    return -a[0] % Q, a[1]


def can_fail(width, d, e):
    """Whether an incomplete addition of the comb fails for some scalar in [1, N - 1]."""
    done = []
    for c in reversed(range(e)):
        done = [pos + 1 for pos in done]
        for t in range(d // e):
            done.append(e * t)
            if len(done) == 1:
                continue
            last = c == 0 and t == d // e - 1
            mask = sum(1 << pos + d * j for j in range(width) for pos in done)
            added = [e * t + d * j for j in range(width)]
            for m in range(-(mask // N), mask // N + 1):
                # A sign choice with value m*N: the sum of its positive powers is (m*N + mask) / 2.
                plus, odd = divmod(m * N + mask, 2)
                if odd or plus < 0 or plus & ~mask:
                    continue
                # With D the point's multiplier as signed here, the accumulator is m*N - D: adding
                # D gives the identity (the scalar is 0 mod N: excluded), adding -D is a doubling.
                diff = sum((1 if plus >> q & 1 else -1) << q for q in added)
                if not last or 0 < m * N - 2 * diff < N:
                    return True
    return False


def words(values):
    return ", ".join(f"0x{v >> 64 * i & 2**64 - 1:016x}" for v in values for i in range(4))


def entry(pt):
    """x and y in Montgomery form."""
    return words([c * 2**256 % P for c in pt])


def ed_entry(pt):
    """y + x, y - x and 2 D x y: what a mixed addition takes."""
    x, y = pt
    return words([(y + x) % Q, (y - x) % Q, 2 * D * x * y % Q])


CURVES = {
    "p256": (G, add, neg, entry, "P-256 generator, Montgomery form, little-endian limbs, x then y"),
    "x25519": (BASE, ed_add, ed_neg, ed_entry, "base point of Curve25519: y + x, y - x, 2 d x y, little-endian limbs"),
}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--curve", choices=CURVES, default="p256")
    ap.add_argument("--width", type=int, default=6)
    ap.add_argument("--tables", type=int, default=0, help="0: one for each column, no doublings")
    args = ap.parse_args()
    base, plus, minus, encode, what = CURVES[args.curve]
    w = args.width
    d = -(-256 // w)
    tables = args.tables or d
    e = -(-d // tables)
    d = e * tables
    if args.curve == "p256" and can_fail(w, d, e):
        sys.exit("an addition can meet an exceptional case: choose another width or number of tables")
    print("// SPDX-License-Identifier: GPL-2.0")
    print(f"//! Comb table of the {what}.")
    print("//!")
    options = f"--curve {args.curve} " if args.curve != "p256" else ""
    print(f"//! Generated by `tools/gen-comb.py {options}--width {w} --tables {tables}`; do not edit.")
    print()
    print("use super::{Entry, Table};")
    print()
    print("/// Rows of the comb: sign bits to a digit.")
    print(f"pub(super) const WIDTH: usize = {w};")
    print("/// Tables of the comb.")
    print(f"pub(super) const TABLES: usize = {tables};")
    print("/// Columns to a table: one less is the number of doublings of a multiplication.")
    print(f"pub(super) const COLUMNS: usize = {e};")
    print("/// Entries of one table.")
    print(f"pub(super) const ENTRIES: usize = {1 << (w - 1)};")
    print()
    print("#[rustfmt::skip]")
    print("pub(super) static TABLE: Table = Table([")
    # rows[j] is 2^(d j) times the base point, then 2^(e t) times that.
    rows = [base]
    for _ in range(w - 1):
        pt = rows[-1]
        for _ in range(d):
            pt = plus(pt, pt)
        rows.append(pt)
    for t in range(tables):
        print("    [")
        for idx in range(1 << (w - 1)):
            pt = rows[w - 1]
            for j in range(w - 1):
                pt = plus(pt, rows[j] if idx >> j & 1 else minus(rows[j]))
            print(f"        Entry([{encode(pt)}]),")
        print("    ],")
        for _ in range(e):
            rows = [plus(r, r) for r in rows]
    print("]);")


main()

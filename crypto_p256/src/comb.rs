// SPDX-License-Identifier: GPL-2.0
//! Multiplication of the generator, by a signed multi-table comb (Lim and Lee, CRYPTO '94).
//!
//! An odd scalar k is a sum of signed powers of two, s_0 + s_1 2 + ... + s_(L-1) 2^(L-1) with all
//! s_i in {1, -1}: s_i is 1 where bit i + 1 of k + 2^L is 1. With [`WIDTH`] rows of d = L / WIDTH
//! bits, digit i gathers the signs i, i + d, i + 2d, ...; its table holds the multiples of the
//! generator for all choices with the last sign positive, and the others are their negatives. So no
//! digit is zero, and with a table for each column there is nothing to double.
//!
//! For an even k, n - k is odd.
//!
//! # Why the incomplete addition is enough
//!
//! The generator of the tables lists the scalars for which an accumulator could equal plus or minus
//! the point to add, and refuses a choice of width and tables for which there is one.
//!
//! # Constant time
//!
//! Every lookup reads its whole table.

mod table;

use crate::arith::Arith;
use crate::limbs::Limbs;
use crate::lookup::Entry;
use crate::point::Accumulator;
use crate::scalar::Scalar;
use crate::wipe::wipe;
use table::{COLUMNS, ENTRIES, TABLE, TABLES, WIDTH};

/// The tables, on cache lines of their own.
#[repr(align(64))]
struct Table([[Entry; ENTRIES]; TABLES]);

/// Columns of the comb.
const DEPTH: usize = TABLES * COLUMNS;

const _: () = assert!(WIDTH * DEPTH >= 256 && WIDTH * DEPTH <= 318 && DEPTH < 64);

/// `k * G` for k in [1, n - 1].
pub(crate) fn mul<A: Arith>(arith: A, k: &Scalar) -> Accumulator {
    let (k, negate) = k.to_odd();
    let mut rows = rows(&k.0);
    let select = |table, column| Entry::select(arith, table, digit(&rows, column));
    let [first, ..] = &TABLE.0;
    let mut acc = Accumulator::new(&select(first, COLUMNS - 1));
    for column in (0..COLUMNS).rev() {
        let started = usize::from(column == COLUMNS - 1);
        if started == 0 {
            acc.double(arith);
        }
        for (table, t) in TABLE.0.iter().zip(0..TABLES).skip(started) {
            let point = select(table, column.wrapping_add(t.wrapping_mul(COLUMNS)));
            acc.add(arith, &point);
        }
    }
    wipe(&mut rows);
    acc.negate_if(negate);
    acc
}

/// The sign bits of odd k, [`DEPTH`] to a row.
fn rows(k: &Limbs) -> [u64; WIDTH] {
    let word = |i: usize| k.get(i).copied().unwrap_or(0);
    let mut rows = [0; WIDTH];
    for (j, row) in rows.iter_mut().enumerate() {
        let bit = j.wrapping_mul(DEPTH).wrapping_add(1);
        let shift = (bit % 64) as u32;
        let low = word(bit / 64) >> shift;
        let high = word((bit / 64).wrapping_add(1))
            .wrapping_shl(1)
            .wrapping_shl(63 - shift);
        *row = (low | high) & ((1 << DEPTH) - 1);
        if j == WIDTH - 1 {
            // 2^L, one bit down.
            *row |= 1 << (DEPTH - 1);
        }
    }
    rows
}

/// The sign bits of column `i`, that of the last row highest.
#[inline(always)]
fn digit(rows: &[u64; WIDTH], i: usize) -> u64 {
    let mut u = 0;
    for row in rows.iter().rev() {
        u = (u << 1) | (row.wrapping_shr(i as u32) & 1);
    }
    u
}

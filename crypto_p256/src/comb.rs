// SPDX-License-Identifier: GPL-2.0
//! Multiplication of the generator of P-256, by a signed multi-table comb: see [`digits`].
//!
//! With a table for each column there is nothing to double. For an even k, n - k is odd.
//!
//! # Why the incomplete addition is enough
//!
//! The generator of the tables lists the scalars for which an accumulator could equal plus or minus
//! the point to add, and refuses a choice of width and tables for which there is one.
//!
//! # Constant time
//!
//! Every lookup reads its whole table.
//!
//! [`digits`]: crate::digits

mod table;

use crate::arith::Arith;
use crate::digits::Rows;
use crate::lookup::Entry;
use crate::point::Accumulator;
use crate::scalar::Scalar;
use table::{COLUMNS, ENTRIES, TABLE, TABLES, WIDTH};

/// The tables, on cache lines of their own.
#[repr(align(64))]
struct Table([[Entry<8>; ENTRIES]; TABLES]);

/// Columns of the comb.
const DEPTH: usize = TABLES * COLUMNS;

const _: () = assert!(WIDTH * DEPTH >= 256 && WIDTH * DEPTH <= 318 && DEPTH < 64);

/// `k * G` for k in [1, n - 1].
pub(crate) fn mul<A: Arith>(arith: A, k: &Scalar) -> Accumulator {
    let (k, negate) = k.to_odd();
    let rows = Rows::<WIDTH>::new(&k.0, DEPTH);
    let select = |table, column| Entry::select(arith, table, rows.digit(column));
    let [first, rest @ ..] = &TABLE.0;
    let mut acc = Accumulator::new(arith, &select(first, COLUMNS - 1));
    let mut tables = (rest.as_slice(), 1);
    for column in (0..COLUMNS).rev() {
        if column != COLUMNS - 1 {
            acc.double(arith);
            tables = (TABLE.0.as_slice(), 0);
        }
        for (table, t) in tables.0.iter().zip(tables.1..TABLES) {
            let point = select(table, column.wrapping_add(t.wrapping_mul(COLUMNS)));
            acc.add(arith, &point);
        }
    }
    acc.negate_if(arith, negate);
    acc
}

// SPDX-License-Identifier: GPL-2.0
//! Multiplication of the base point of Curve25519, by a signed multi-table comb ([`digits`]) on the
//! twisted Edwards form -x^2 + y^2 = 1 + d x^2 y^2, whose addition has no exceptional cases.
//!
//! # Constant time
//!
//! Every lookup reads its whole table.
//!
//! [`digits`]: crate::digits

mod table;

use super::field::{Addend, Arith25519, Extended, Fe};
use crate::digits::Rows;
use crate::limbs::{self, Limbs};
use crate::lookup::{signed_index, Entry};
use table::{COLUMNS, ENTRIES, TABLE, TABLES, WIDTH};

/// The tables, on cache lines of their own.
#[repr(align(64))]
struct Table([[Entry<12>; ENTRIES]; TABLES]);

/// Columns of the comb.
const DEPTH: usize = TABLES * COLUMNS;

const _: () = assert!(WIDTH * DEPTH >= 256 && WIDTH * DEPTH <= 318 && DEPTH < 64);

/// The order of the base point: 2^252 + 27742317777372353535851937790883648493.
const ORDER: Limbs = [
    0x5812_631a_5cf5_d3ed,
    0x14de_f9de_a2f7_9cd6,
    0,
    0x1000_0000_0000_0000,
];

/// The u coordinate of `k` times the base point, for k a clamped scalar (RFC 7748 section 5): even,
/// and below 2^255.
pub(super) fn mul<A: Arith25519>(arith: A, k: &Limbs) -> Fe {
    // k + ORDER is odd, below 2^256, and the same multiple.
    let rows = Rows::<WIDTH>::new(&limbs::add(k, &ORDER).0, DEPTH);
    let mut acc = Extended::IDENTITY;
    for column in (0..COLUMNS).rev() {
        if column != COLUMNS - 1 {
            acc.double(arith);
        }
        for (table, t) in TABLE.0.iter().zip(0..TABLES) {
            let column = column.wrapping_add(t.wrapping_mul(COLUMNS));
            acc.addend = select(arith, table, rows.digit(column));
            arith.add_addend(&mut acc);
        }
    }
    // u = (1 + y) / (1 - y). y is not 1: k is not a multiple of the order.
    let denominator = arith.sub(&acc.z, &acc.y).invert(arith);
    arith.mul(&arith.add(&acc.z, &acc.y), &denominator)
}

/// The multiple for a digit. Reads the whole table.
#[inline(always)]
fn select<A: Arith25519>(arith: A, table: &[Entry<12>; ENTRIES], digit: u64) -> Addend {
    let (index, negative) = signed_index(ENTRIES, digit);
    let [s0, s1, s2, s3, d0, d1, d2, d3, p0, p1, p2, p3] = arith.lookup(table, index).0;
    let (sum, difference, product) = ([s0, s1, s2, s3], [d0, d1, d2, d3], Fe([p0, p1, p2, p3]));
    // -(x, y) is (-x, y).
    let negated = arith.sub(&Fe::ZERO, &product);
    Addend {
        sum: Fe(limbs::select(negative, &sum, &difference)),
        difference: Fe(limbs::select(negative, &difference, &sum)),
        product: Fe(limbs::select(negative, &product.0, &negated.0)),
    }
}

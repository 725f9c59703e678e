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

use super::field::{Arith25519, Fe};
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

/// A point (x / z, y / z), with t = x y / z; all reduced.
struct Extended {
    x: Fe,
    y: Fe,
    z: Fe,
    t: Fe,
}

/// y + x, y - x and 2 d x y of a point to be added; all reduced.
struct Addend {
    sum: Fe,
    difference: Fe,
    product: Fe,
}

/// The u coordinate of `k` times the base point, for k a clamped scalar (RFC 7748 section 5): even,
/// and below 2^255.
pub(super) fn mul<A: Arith25519>(arith: A, k: &Limbs) -> Fe {
    // k + ORDER is odd, below 2^256, and the same multiple.
    let rows = Rows::<WIDTH>::new(&limbs::add(k, &ORDER).0, DEPTH);
    let mut acc = Extended {
        x: Fe::ZERO,
        y: Fe::ONE,
        z: Fe::ONE,
        t: Fe::ZERO,
    };
    for column in (0..COLUMNS).rev() {
        if column != COLUMNS - 1 {
            acc.double(arith);
        }
        for (table, t) in TABLE.0.iter().zip(0..TABLES) {
            let column = column.wrapping_add(t.wrapping_mul(COLUMNS));
            acc.add(arith, &select(arith, table, rows.digit(column)));
        }
    }
    // u = (1 + y) / (1 - y). y is not 1: k is not a multiple of the order.
    let denominator = arith.sub(&acc.z, &acc.y).invert();
    arith.mul(&arith.add(&acc.z, &acc.y), &denominator)
}

/// The multiple for a digit. Reads the whole table.
#[inline(always)]
fn select<A: Arith25519>(arith: A, table: &[Entry<12>], digit: u64) -> Addend {
    let (index, negative) = signed_index(table.len(), digit);
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

impl Extended {
    /// `self + b`: 7 multiplications (Hisil, Wong, Carter, Dawson, "Twisted Edwards curves
    /// revisited", 2008, section 3.1).
    #[inline]
    fn add<A: Arith25519>(&mut self, arith: A, b: &Addend) {
        let p = arith.mul(&arith.sub(&self.y, &self.x), &b.difference);
        let q = arith.mul(&arith.add(&self.y, &self.x), &b.sum);
        let c = arith.mul(&self.t, &b.product);
        let d = arith.add(&self.z, &self.z);
        self.complete(
            arith,
            &arith.sub(&q, &p),
            &arith.sub(&d, &c),
            &arith.add(&d, &c),
            &arith.add(&q, &p),
        );
    }

    /// `2 self`: 4 multiplications and 4 squarings (section 3.3 there), with all signs turned.
    #[inline]
    fn double<A: Arith25519>(&mut self, arith: A) {
        let (a, b) = (arith.sqr(&self.x), arith.sqr(&self.y));
        let zz = arith.sqr(&self.z);
        let square = arith.sqr(&arith.add(&self.x, &self.y));
        // E = 2xy, G = y^2 - x^2, F = 2z^2 - G, H = -(x^2 + y^2).
        let e = arith.sub(&arith.sub(&square, &a), &b);
        let g = arith.sub(&b, &a);
        let f = arith.add(&arith.sub(&arith.add(&zz, &zz), &b), &a);
        let h = arith.add(&a, &b);
        self.complete(arith, &e, &f, &g, &h);
    }

    /// x = e f, y = g h, t = e h, z = f g.
    #[inline(always)]
    fn complete<A: Arith25519>(&mut self, arith: A, e: &Fe, f: &Fe, g: &Fe, h: &Fe) {
        self.x = arith.mul(e, f);
        self.y = arith.mul(g, h);
        self.t = arith.mul(e, h);
        self.z = arith.mul(f, g);
    }
}

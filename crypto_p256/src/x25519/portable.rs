// SPDX-License-Identifier: GPL-2.0
//! Plain Rust, for any processor with a 64-bit multiplication.

use super::field::{Arith25519, Fe, Ladder};
use crate::arith::portable::{mul_wide, sqr_wide};
use crate::arith::{Arith, Portable};
use crate::limbs::{self, mac, Limbs};
use crate::lookup::Entry;

/// (486662 - 2) / 4.
const A24: u64 = 121665;

impl Arith25519 for Portable {
    #[inline]
    fn mul(self, a: &Fe, b: &Fe) -> Fe {
        mul(a, b)
    }

    #[inline]
    fn sqr(self, a: &Fe) -> Fe {
        sqr(a)
    }

    #[inline]
    fn add(self, a: &Fe, b: &Fe) -> Fe {
        add(a, b)
    }

    #[inline]
    fn sub(self, a: &Fe, b: &Fe) -> Fe {
        sub(a, b)
    }

    fn step(self, ladder: &mut Ladder, swap: u64) {
        let swap = limbs::mask(swap);
        let choose = |a: &Fe, b: &Fe| Fe(limbs::select(swap, &a.0, &b.0));
        let (x2, x3) = (
            choose(&ladder.x2, &ladder.x3),
            choose(&ladder.x3, &ladder.x2),
        );
        let (z2, z3) = (
            choose(&ladder.z2, &ladder.z3),
            choose(&ladder.z3, &ladder.z2),
        );
        let (a, b) = (add(&x2, &z2), sub(&x2, &z2));
        let (c, d) = (add(&x3, &z3), sub(&x3, &z3));
        let (da, cb) = (mul(&d, &a), mul(&c, &b));
        let (aa, bb) = (sqr(&a), sqr(&b));
        ladder.x3 = sqr(&add(&da, &cb));
        let difference = sqr(&sub(&da, &cb));
        ladder.z3 = mul(&ladder.x1, &difference);
        ladder.x2 = mul(&aa, &bb);
        let e = sub(&aa, &bb);
        ladder.z2 = mul(&e, &mul_add(&e, A24, &aa));
    }

    #[inline]
    fn lookup<const E: usize>(self, table: &[Entry<12>; E], index: u64) -> Entry<12> {
        Arith::lookup(self, table, index)
    }
}

#[inline(always)]
fn mul(a: &Fe, b: &Fe) -> Fe {
    reduce(&mul_wide(&a.0, &b.0))
}

#[inline(always)]
fn sqr(a: &Fe) -> Fe {
    reduce(&sqr_wide(&a.0))
}

/// A sum that carries is below 2^255 + 2^11, so that the 38 for 2^256 does not carry.
#[inline(always)]
fn add(a: &Fe, b: &Fe) -> Fe {
    let (s, carry) = limbs::add(&a.0, &b.0);
    Fe(limbs::add(&s, &[0u64.wrapping_sub(carry) & 38, 0, 0, 0]).0)
}

/// A difference that borrows is at least 2^255 - 2^11, so that the 38 for 2^256 does not borrow.
#[inline(always)]
fn sub(a: &Fe, b: &Fe) -> Fe {
    let (d, borrow) = limbs::sub(&a.0, &b.0);
    Fe(limbs::sub(&d, &[0u64.wrapping_sub(borrow) & 38, 0, 0, 0]).0)
}

/// 38 times the high half goes to the low half, as 2^256 = 38; what is above 2^256 then is at most 38.
#[inline(always)]
fn reduce(t: &[u64; 8]) -> Fe {
    let (r0, c) = mac(t[0], t[4], 38, 0);
    let (r1, c) = mac(t[1], t[5], 38, c);
    let (r2, c) = mac(t[2], t[6], 38, c);
    let (r3, c) = mac(t[3], t[7], 38, c);
    fold(&[r0, r1, r2, r3], c)
}

/// `a * small + b`, not reduced, for `small` below 2^17.
#[inline(always)]
fn mul_add(a: &Fe, small: u64, b: &Fe) -> Fe {
    let (r0, c) = mac(b.0[0], a.0[0], small, 0);
    let (r1, c) = mac(b.0[1], a.0[1], small, c);
    let (r2, c) = mac(b.0[2], a.0[2], small, c);
    let (r3, c) = mac(b.0[3], a.0[3], small, c);
    fold(&[r0, r1, r2, r3], c)
}

/// `r + top * 2^256` with 19 for each 2^255: below 2^255 + 2^11 for `top` at most 38, and below 2^256
/// for `top` below 2^18.
#[inline(always)]
fn fold(r: &Limbs, top: u64) -> Fe {
    let top = (top << 1) | (r[3] >> 63);
    let low = [r[0], r[1], r[2], r[3] & (u64::MAX >> 1)];
    Fe(limbs::add(&low, &[top.wrapping_mul(19), 0, 0, 0]).0)
}

// SPDX-License-Identifier: GPL-2.0
//! Multiplication of any point, by a signed fixed window.
//!
//! The odd one of k and n - k is written with 52 digits of 5 bits, each odd and in [-31, 31]:
//! bits 5i + 1 to 5i + 5 of the scalar are the number u for digit 2u - 31 (the least bit of the
//! scalar is 1, and the digits below contribute the rest). The last digit is 1 for every scalar.
//!
//! # Why the incomplete addition is enough
//!
//! With A the accumulator's multiplier before digit d is added, 32 <= |A| and |d| <= 31, so that
//! A = +-d cannot hold over the integers. A + d is the scalar shifted right, in [1, n - 1]. A - d can
//! be a multiple of n only at the least digit, as n: for the scalar n - 2t with the digit -t. The
//! least digit of k is (k mod 64) - 32, so that t = n - 32 = 49 mod 64, which is no digit.

use crate::arith::Arith;
use crate::limbs::{is_zero_word, mask};
use crate::point::{Affine, Cached, Jacobian};
use crate::scalar::Scalar;

/// Bits of a digit.
const WIDTH: u32 = 5;
/// Odd multiples in the table: 1, 3, ... 31.
const ENTRIES: usize = 16;
/// Digits below the last one, which is always 1.
const DIGITS: u32 = 51;

/// `k * point` for k in [1, n - 1] and a point of the curve. In constant time for both.
pub(crate) fn mul<A: Arith>(arith: A, k: &Scalar, point: &Affine) -> Jacobian {
    let (k, negate) = k.to_odd();
    let table = odd_multiples(arith, point);
    let mut acc = point.to_jacobian();
    for i in (0..DIGITS).rev() {
        for _ in 0..WIDTH {
            acc = acc.double(arith);
        }
        acc = acc.add(arith, &select(&table, digit(&k, i)));
    }
    acc.y = acc.y.negate_if(negate);
    acc
}

/// u of digit `i` as in the module's documentation.
#[inline(always)]
fn digit(k: &Scalar, i: u32) -> u64 {
    let bit = i.wrapping_mul(WIDTH).wrapping_add(1);
    let word = |i: u32| k.0.get(i as usize).copied().unwrap_or(0);
    let shift = bit % 64;
    let low = word(bit / 64) >> shift;
    let high = word((bit / 64).wrapping_add(1))
        .wrapping_shl(1)
        .wrapping_shl(63 - shift);
    (low | high) & 31
}

/// point, 3 point, ... 31 point. No two summands are equal or opposite: the order n is prime.
fn odd_multiples<A: Arith>(arith: A, point: &Affine) -> [Cached; ENTRIES] {
    let mut acc = point.to_jacobian();
    let twice = Cached::new(arith, &acc.double(arith));
    let mut table = [Cached::ZERO; ENTRIES];
    let mut first = true;
    for entry in &mut table {
        if !first {
            acc = acc.add(arith, &twice);
        }
        first = false;
        *entry = Cached::new(arith, &acc);
    }
    table
}

/// The multiple for a digit: entry u - 16 for u >= 16, the negated entry 15 - u below. Reads the
/// whole table.
#[inline(always)]
fn select(table: &[Cached; ENTRIES], u: u64) -> Cached {
    let negative = mask((u >> 4) ^ 1);
    let index = (u ^ negative) & 15;
    let mut r = Cached::ZERO;
    for (entry, i) in table.iter().zip(0u64..) {
        let chosen = mask(is_zero_word(i ^ index));
        for (to, from) in [
            (&mut r.x, &entry.x),
            (&mut r.y, &entry.y),
            (&mut r.z, &entry.z),
            (&mut r.zz, &entry.zz),
            (&mut r.zzz, &entry.zzz),
        ] {
            for (to, from) in to.0.iter_mut().zip(&from.0) {
                *to |= from & chosen;
            }
        }
    }
    r.y = r.y.negate_if(negative);
    r
}

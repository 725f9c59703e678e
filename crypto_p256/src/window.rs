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
//!
//! # Constant time
//!
//! For the scalar. The point is public, and the inversion that makes its table affine takes a time
//! that depends on it.

use crate::arith::Arith;
use crate::field::Fe;
use crate::lookup::Entry;
use crate::point::{Accumulator, Affine, CommonZ};
use crate::scalar::Scalar;

/// Bits of a digit.
const WIDTH: u32 = 5;
/// Odd multiples in the table: 1, 3, ... 31.
const ENTRIES: usize = 16;
/// Digits below the last one, which is always 1.
const DIGITS: u32 = 51;

/// `k * point` for k in [1, n - 1] and a public point of the curve. In constant time for k.
pub(crate) fn mul<A: Arith>(arith: A, k: &Scalar, point: &Affine) -> Accumulator {
    let (k, negate) = k.to_odd();
    let table = odd_multiples(arith, point);
    // The last digit, doubled five times: 31 + 1.
    let [_, .., last] = &table;
    let mut acc = Accumulator::new(arith, &last.point());
    acc.add(arith, point);
    for i in (0..DIGITS).rev() {
        acc.add(arith, &Entry::select(arith, &table, digit(&k, i)));
        if i != 0 {
            for _ in 0..WIDTH {
                acc.double(arith);
            }
        }
    }
    acc.negate_if(arith, negate);
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
///
/// One inversion makes all of them affine: each z is the one before times a known factor. In
/// variable time, as the point is public.
fn odd_multiples<A: Arith>(arith: A, point: &Affine) -> [Entry<8>; ENTRIES] {
    let mut table = [Entry::new(point); ENTRIES];
    let mut factors = [Fe::ONE; ENTRIES - 1];
    let [_, multiples @ ..] = &mut table;
    let mut pair = CommonZ::double(arith, point);
    let mut z = point.y;
    for (entry, factor) in multiples.iter_mut().zip(&mut factors) {
        *factor = pair.add_second(arith);
        z = arith.mul(&z, factor);
        *entry = Entry::new(&Affine {
            x: pair.x1,
            y: pair.y1,
        });
    }
    let mut z_inverse = z.invert_vartime(arith);
    for (entry, factor) in multiples.iter_mut().rev().zip(factors.iter().rev()) {
        let p = entry.point();
        let zz = arith.sqr(&z_inverse);
        let zzz = arith.mul(&zz, &z_inverse);
        *entry = Entry::new(&Affine {
            x: arith.mul(&p.x, &zz),
            y: arith.mul(&p.y, &zzz),
        });
        z_inverse = arith.mul(&z_inverse, factor);
    }
    table
}

// SPDX-License-Identifier: GPL-2.0
//! Plain Rust, for any processor with a 64-bit multiplication; the reference for the other paths.

use super::Arith;
use crate::field::{Fe, P};
use crate::inverse::DivSteps;
use crate::limbs::{adc, mac, reduce_once, Limbs};
use crate::scalar::{Scalar, N};

/// -1/n mod 2^64. For p it is 1, because p = -1 mod 2^64.
const N0: u64 = 0xccd1_c8aa_ee00_bc4f;

/// The path that needs nothing.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl DivSteps for Portable {}

impl Arith for Portable {
    #[inline]
    fn mul(self, a: &Fe, b: &Fe) -> Fe {
        Fe(reduce_p(&mul_wide(&a.0, &b.0)))
    }

    #[inline]
    fn sqr(self, a: &Fe) -> Fe {
        Fe(reduce_p(&sqr_wide(&a.0)))
    }

    #[inline]
    fn mul_n(self, a: &Scalar, b: &Scalar) -> Scalar {
        Scalar(reduce_n(&mul_wide(&a.0, &b.0)))
    }
}

/// `acc + a * b` as (low four limbs, high limb).
#[inline(always)]
fn mac_row(acc: &Limbs, a: u64, b: &Limbs) -> (Limbs, u64) {
    let (r0, c) = mac(acc[0], a, b[0], 0);
    let (r1, c) = mac(acc[1], a, b[1], c);
    let (r2, c) = mac(acc[2], a, b[2], c);
    let (r3, c) = mac(acc[3], a, b[3], c);
    ([r0, r1, r2, r3], c)
}

/// `a * b`, 512 bits.
#[inline(always)]
pub(crate) fn mul_wide(a: &Limbs, b: &Limbs) -> [u64; 8] {
    let ([r0, t1, t2, t3], t4) = mac_row(&[0; 4], a[0], b);
    let ([r1, t2, t3, t4], t5) = mac_row(&[t1, t2, t3, t4], a[1], b);
    let ([r2, t3, t4, t5], t6) = mac_row(&[t2, t3, t4, t5], a[2], b);
    let ([r3, r4, r5, r6], r7) = mac_row(&[t3, t4, t5, t6], a[3], b);
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// `a^2`, 512 bits: the products of unequal limbs once, doubled, and the squares added.
#[inline(always)]
pub(crate) fn sqr_wide(a: &Limbs) -> [u64; 8] {
    let (t1, c) = mac(0, a[0], a[1], 0);
    let (t2, c) = mac(0, a[0], a[2], c);
    let (t3, t4) = mac(0, a[0], a[3], c);
    let (t3, c) = mac(t3, a[1], a[2], 0);
    let (t4, t5) = mac(t4, a[1], a[3], c);
    let (t5, t6) = mac(t5, a[2], a[3], 0);

    let t7 = t6 >> 63;
    let t6 = (t6 << 1) | (t5 >> 63);
    let t5 = (t5 << 1) | (t4 >> 63);
    let t4 = (t4 << 1) | (t3 >> 63);
    let t3 = (t3 << 1) | (t2 >> 63);
    let t2 = (t2 << 1) | (t1 >> 63);
    let t1 = t1 << 1;

    let (r0, h) = mac(0, a[0], a[0], 0);
    let (r1, c) = adc(t1, h, 0);
    let (l, h) = mac(0, a[1], a[1], 0);
    let (r2, c) = adc(t2, l, c);
    let (r3, c) = adc(t3, h, c);
    let (l, h) = mac(0, a[2], a[2], 0);
    let (r4, c) = adc(t4, l, c);
    let (r5, c) = adc(t5, h, c);
    let (l, h) = mac(0, a[3], a[3], 0);
    let (r6, c) = adc(t6, l, c);
    let (r7, _) = adc(t7, h, c);
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// `t / 2^256 mod p` for `t < p * 2^256`.
///
/// Each round adds `t0 * p`, which clears the lowest limb: `t0 * (2^96 - 1)` turns it into
/// `t0 * 2^96`, and `2^256 - 2^224 + 2^192` is the top limb of p at its place.
#[inline(always)]
fn reduce_p(t: &[u64; 8]) -> Limbs {
    #[inline(always)]
    fn round(t: &Limbs) -> Limbs {
        let (r0, c) = adc(t[1], t[0] << 32, 0);
        let (r1, c) = adc(t[2], t[0] >> 32, c);
        let (r2, r3) = mac(t[3], t[0], P[3], c);
        [r0, r1, r2, r3]
    }
    let low = round(&round(&round(&round(&[t[0], t[1], t[2], t[3]]))));
    let (sum, carry) = crate::limbs::add(&low, &[t[4], t[5], t[6], t[7]]);
    reduce_once(&sum, carry, &P)
}

/// `t / 2^256 mod n` for `t < n * 2^256`.
#[inline(always)]
fn reduce_n(t: &[u64; 8]) -> Limbs {
    #[inline(always)]
    fn round(t: &Limbs) -> Limbs {
        let ([_, r0, r1, r2], r3) = mac_row(t, t[0].wrapping_mul(N0), &N);
        [r0, r1, r2, r3]
    }
    let low = round(&round(&round(&round(&[t[0], t[1], t[2], t[3]]))));
    let (sum, carry) = crate::limbs::add(&low, &[t[4], t[5], t[6], t[7]]);
    reduce_once(&sum, carry, &N)
}

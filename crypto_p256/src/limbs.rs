// SPDX-License-Identifier: GPL-2.0
//! 256-bit numbers as four 64-bit limbs, little-endian, and constant-time choices between them.

use core::hint::black_box;

/// A 256-bit number: the sum of `limb[i] * 2^(64 i)`.
pub(crate) type Limbs = [u64; 4];

/// `a + b + carry` as (sum, carry out); `carry` is at most 1.
#[inline(always)]
pub(crate) const fn adc(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let t = (a as u128)
        .wrapping_add(b as u128)
        .wrapping_add(carry as u128);
    (t as u64, (t >> 64) as u64)
}

/// `a - b - borrow` as (difference, borrow out); `borrow` is at most 1.
#[inline(always)]
pub(crate) const fn sbb(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let t = (a as u128)
        .wrapping_sub(b as u128)
        .wrapping_sub(borrow as u128);
    (t as u64, (t >> 64) as u64 & 1)
}

/// `acc + a * b + carry` as (low, high); cannot overflow 128 bits.
#[inline(always)]
pub(crate) const fn mac(acc: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let t = (a as u128)
        .wrapping_mul(b as u128)
        .wrapping_add(acc as u128)
        .wrapping_add(carry as u128);
    (t as u64, (t >> 64) as u64)
}

/// `a + b` as (sum, carry out).
#[inline(always)]
pub(crate) const fn add(a: &Limbs, b: &Limbs) -> (Limbs, u64) {
    let (r0, c) = adc(a[0], b[0], 0);
    let (r1, c) = adc(a[1], b[1], c);
    let (r2, c) = adc(a[2], b[2], c);
    let (r3, c) = adc(a[3], b[3], c);
    ([r0, r1, r2, r3], c)
}

/// `a - b` as (difference, borrow out).
#[inline(always)]
pub(crate) const fn sub(a: &Limbs, b: &Limbs) -> (Limbs, u64) {
    let (r0, c) = sbb(a[0], b[0], 0);
    let (r1, c) = sbb(a[1], b[1], c);
    let (r2, c) = sbb(a[2], b[2], c);
    let (r3, c) = sbb(a[3], b[3], c);
    ([r0, r1, r2, r3], c)
}

/// A mask that is all ones when `bit` is 1 and zero when it is 0, opaque to the optimiser so that
/// what is chosen with it does not become a branch.
#[inline(always)]
pub(crate) fn mask(bit: u64) -> u64 {
    black_box(0u64.wrapping_sub(bit))
}

/// Makes a fact public: whether `bit` is 1. The only place where a secret decides on a branch, so
/// that checks for constant time can tell the intended from the others.
#[inline(never)]
pub(crate) fn declassify(bit: u64) -> bool {
    if bit == 1 {
        black_box(true)
    } else {
        black_box(false)
    }
}

/// `b` where `mask` is all ones, `a` where it is zero.
#[inline(always)]
pub(crate) const fn select(mask: u64, a: &Limbs, b: &Limbs) -> Limbs {
    [
        a[0] ^ (mask & (a[0] ^ b[0])),
        a[1] ^ (mask & (a[1] ^ b[1])),
        a[2] ^ (mask & (a[2] ^ b[2])),
        a[3] ^ (mask & (a[3] ^ b[3])),
    ]
}

/// 1 when `a` is 0, else 0.
#[inline(always)]
pub(crate) const fn is_zero_word(a: u64) -> u64 {
    ((a | 0u64.wrapping_sub(a)) >> 63) ^ 1
}

/// 1 when `a` is 0, else 0.
#[inline(always)]
pub(crate) const fn is_zero(a: &Limbs) -> u64 {
    is_zero_word(a[0] | a[1] | a[2] | a[3])
}

/// 1 when `a` equals `b`, else 0.
#[inline(always)]
pub(crate) const fn eq(a: &Limbs, b: &Limbs) -> u64 {
    is_zero_word((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]))
}

/// 1 when `a < b`, else 0.
#[inline(always)]
pub(crate) const fn lt(a: &Limbs, b: &Limbs) -> u64 {
    sub(a, b).1
}

/// `a - m` when `carry * 2^256 + a` is at least `m`, else `a`. The result is below `m` when
/// `carry * 2^256 + a < 2 m`.
#[inline(always)]
pub(crate) fn reduce_once(a: &Limbs, carry: u64, m: &Limbs) -> Limbs {
    let (d, borrow) = sub(a, m);
    let (_, keep) = sbb(carry, 0, borrow);
    select(0u64.wrapping_sub(keep), &d, a)
}

/// `a + b mod m` for `a`, `b` below `m`.
#[inline(always)]
pub(crate) fn add_mod(a: &Limbs, b: &Limbs, m: &Limbs) -> Limbs {
    let (s, carry) = add(a, b);
    reduce_once(&s, carry, m)
}

/// `a - b mod m` for `a`, `b` below `m`.
#[inline(always)]
pub(crate) fn sub_mod(a: &Limbs, b: &Limbs, m: &Limbs) -> Limbs {
    let (d, borrow) = sub(a, b);
    let mask = 0u64.wrapping_sub(borrow);
    add(&d, &[m[0] & mask, m[1] & mask, m[2] & mask, m[3] & mask]).0
}

/// The number that 32 big-endian octets stand for (SEC 1 section 2.3.8).
pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut r = [0; 4];
    for (limb, chunk) in r.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |acc, &b| (acc << 8) | u64::from(b));
    }
    r
}

/// 32 big-endian octets (SEC 1 section 2.3.7).
pub(crate) fn to_be_bytes(a: &Limbs) -> [u8; 32] {
    let mut r = [0; 32];
    for (chunk, limb) in r.chunks_exact_mut(8).zip(a.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    r
}

// SPDX-License-Identifier: GPL-2.0
//! Arithmetic in the two prime fields: the part that differs between processors.

#[cfg(target_arch = "x86_64")]
pub(crate) mod adx;
pub(crate) mod portable;

use crate::field::{Fe, P};
use crate::inverse::DivSteps;
use crate::limbs;
use crate::lookup::Entry;
use crate::point::Accumulator;
use crate::scalar::Scalar;

#[cfg(target_arch = "x86_64")]
pub(crate) use adx::Adx;
pub(crate) use portable::Portable;

/// Montgomery arithmetic with R = 2^256 mod p (the curve's field) and mod n (its order).
///
/// Operands and results are below their modulus, so that all implementations give the same limbs.
/// `self` is the proof that the processor can do what the implementation asks of it.
///
/// # Constant time
///
/// Every method runs in constant time.
pub(crate) trait Arith: DivSteps {
    /// `a * b / R mod p`.
    fn mul(self, a: &Fe, b: &Fe) -> Fe;
    /// `a^2 / R mod p`.
    fn sqr(self, a: &Fe) -> Fe;
    /// `a * b / R mod n`.
    fn mul_n(self, a: &Scalar, b: &Scalar) -> Scalar;

    /// `a + b mod p`.
    #[inline(always)]
    fn add(self, a: &Fe, b: &Fe) -> Fe {
        Fe(limbs::add_mod(&a.0, &b.0, &P))
    }

    /// `a - b mod p`.
    #[inline(always)]
    fn sub(self, a: &Fe, b: &Fe) -> Fe {
        Fe(limbs::sub_mod(&a.0, &b.0, &P))
    }

    /// `a / 2 mod p`.
    #[inline(always)]
    fn half(self, a: &Fe) -> Fe {
        let odd = 0u64.wrapping_sub(a.0[0] & 1);
        let p = [P[0] & odd, P[1] & odd, P[2] & odd, P[3] & odd];
        let (s, carry) = limbs::add(&a.0, &p);
        Fe([
            (s[0] >> 1) | (s[1] << 63),
            (s[1] >> 1) | (s[2] << 63),
            (s[2] >> 1) | (s[3] << 63),
            (s[3] >> 1) | (carry << 63),
        ])
    }

    /// Entry `index` of `table`; every entry is read.
    #[inline(always)]
    fn lookup<const N: usize, const E: usize>(self, table: &[Entry<N>; E], index: u64) -> Entry<N> {
        let mut r = [0; N];
        for (entry, i) in table.iter().zip(0u64..) {
            let chosen = limbs::mask(limbs::is_zero_word(i ^ index));
            for (to, from) in r.iter_mut().zip(&entry.0) {
                *to |= from & chosen;
            }
        }
        Entry(r)
    }

    /// A random number other than 0 to multiply coordinates with, in the randomised build.
    #[inline(always)]
    fn blinding(self) -> Option<Fe> {
        None
    }

    /// `2 p`; the identity gives the identity. 4 multiplications and 4 squarings.
    ///
    /// With the usual denominator halved: m = 3/2 (x - z^2)(x + z^2), as a = -3; t = x y^2;
    /// x' = m^2 - 2t, y' = m (t - x') - y^4, z' = y z.
    fn double(self, p: &mut Accumulator) {
        let zz = self.sqr(&p.z);
        let yy = self.sqr(&p.y);
        let m = self.mul(&self.sub(&p.x, &zz), &self.add(&p.x, &zz));
        let t = self.mul(&p.x, &yy);
        let m = self.add(&m, &self.half(&m));
        p.z = self.mul(&p.y, &p.z);
        p.x = self.sub(&self.sub(&self.sqr(&m), &t), &t);
        p.y = self.sub(&self.mul(&m, &self.sub(&t, &p.x)), &self.sqr(&yy));
    }

    /// `p` plus its addend, for a point other than the identity, the addend and its opposite; for
    /// its opposite the identity comes out. 8 multiplications and 3 squarings.
    fn add_addend(self, p: &mut Accumulator) {
        let zz = self.sqr(&p.z);
        let zzz = self.mul(&zz, &p.z);
        let h = self.sub(&self.mul(&p.addend.x, &zz), &p.x);
        let r = self.sub(&self.mul(&p.addend.y, &zzz), &p.y);
        let hh = self.sqr(&h);
        p.z = self.mul(&p.z, &h);
        let hhh = self.mul(&hh, &h);
        let v = self.mul(&p.x, &hh);
        p.x = self.sub(&self.sub(&self.sub(&self.sqr(&r), &hhh), &v), &v);
        p.y = self.sub(&self.mul(&r, &self.sub(&v, &p.x)), &self.mul(&p.y, &hhh));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Numbers mod n, the order of the curve's group.

use crate::arith::Arith;
use crate::inverse;
use crate::limbs::{self, Limbs};
use crate::wipe::wipe;

/// n.
pub(crate) static N: Limbs = [
    0xf3b9_cac2_fc63_2551,
    0xbce6_faad_a717_9e84,
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_0000_0000,
];

/// A number mod n; each use says whether it is in Montgomery form, `a * 2^256 mod n`.
///
/// # Invariants
///
/// The limbs are below n, so that a number has one representation. Wiped when dropped.
pub(crate) struct Scalar(pub(crate) Limbs);

impl Drop for Scalar {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl Scalar {
    /// 2^512 mod n, which takes a number into Montgomery form.
    const R2: Scalar = Scalar([
        0x8324_4c95_be79_eea2,
        0x4699_799c_49bd_6fa6,
        0x2845_b239_2b6b_ec59,
        0x66e1_2d94_f3d9_5620,
    ]);

    /// A scalar in [1, n - 1] from 32 big-endian octets, not in Montgomery form. Whether it is in
    /// range is public.
    pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Option<Scalar> {
        let a = Scalar(limbs::from_be_bytes(bytes));
        let valid = limbs::lt(&a.0, &N) & (limbs::is_zero(&a.0) ^ 1);
        limbs::declassify(valid).then_some(a)
    }

    /// 32 big-endian octets of the limbs.
    pub(crate) fn to_be_bytes(&self) -> [u8; 32] {
        limbs::to_be_bytes(&self.0)
    }

    /// The number that 32 big-endian octets stand for, mod n: one subtraction is enough, as
    /// 2^256 < 2 n.
    pub(crate) fn reduce_be_bytes(bytes: &[u8; 32]) -> Scalar {
        Scalar(limbs::reduce_once(&limbs::from_be_bytes(bytes), 0, &N))
    }

    /// `(c mod (n - 1)) + 1` for 40 big-endian octets c: FIPS 186-5 appendix A.2.1 and A.3.1 with
    /// 64 extra bits. Not in Montgomery form.
    pub(crate) fn from_extra_bits(bytes: &[u8; 40]) -> Scalar {
        // n - 1 and 2^256 - (n - 1).
        const M: Limbs = [N[0] - 1, N[1], N[2], N[3]];
        const FOLD: Limbs = [
            0x0c46_353d_039c_dab0,
            0x4319_0552_58e8_617b,
            0,
            0x0000_0000_ffff_ffff,
        ];
        let mut low = [0; 32];
        let mut high = 0u64;
        for (i, &byte) in bytes.iter().enumerate() {
            match low.get_mut(i.wrapping_sub(8)) {
                Some(b) => *b = byte,
                None => high = (high << 8) | u64::from(byte),
            }
        }
        let mut r = limbs::from_be_bytes(&low);
        wipe(&mut low);
        // 2^256 = FOLD < 2^224 mod n - 1: the part above 2^256 shrinks from 64 bits to 33, to 2,
        // and after the third round the sum is below 2^256.
        for _ in 0..3 {
            let (t0, c) = limbs::mac(r[0], high, FOLD[0], 0);
            let (t1, c) = limbs::mac(r[1], high, FOLD[1], c);
            let (t2, c) = limbs::mac(r[2], high, FOLD[2], c);
            let (t3, c) = limbs::mac(r[3], high, FOLD[3], c);
            r = [t0, t1, t2, t3];
            high = c;
        }
        let r = limbs::reduce_once(&r, high, &M);
        // r <= n - 2, so that r + 1 needs no reduction.
        Scalar(limbs::add(&r, &[1, 0, 0, 0]).0)
    }

    /// Into Montgomery form.
    pub(crate) fn to_montgomery<A: Arith>(&self, arith: A) -> Scalar {
        arith.mul_n(self, &Scalar::R2)
    }

    /// `self + b`.
    pub(crate) fn add(&self, b: &Scalar) -> Scalar {
        Scalar(limbs::add_mod(&self.0, &b.0, &N))
    }

    /// `1 / self` in Montgomery form, for `self` not in Montgomery form; 0 for 0.
    pub(crate) fn invert_to_montgomery<A: Arith>(&self, arith: A) -> Scalar {
        Scalar(inverse::invert(arith, &self.0, &inverse::N)).to_montgomery(arith)
    }

    /// 1 when `self` is 0, else 0.
    pub(crate) fn is_zero(&self) -> u64 {
        limbs::is_zero(&self.0)
    }

    /// For `self` other than 0: the odd one of `self` and `n - self`, and a mask that is all ones
    /// when it is the latter.
    pub(crate) fn to_odd(&self) -> (Scalar, u64) {
        let even = limbs::mask((self.0[0] & 1) ^ 1);
        let negative = limbs::sub(&N, &self.0).0;
        (Scalar(limbs::select(even, &self.0, &negative)), even)
    }
}

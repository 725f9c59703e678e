// SPDX-License-Identifier: GPL-2.0
//! The field of the curve: numbers mod p = 2^256 - 2^224 + 2^192 + 2^96 - 1.

use crate::arith::Arith;
use crate::inverse;
use crate::limbs::{self, Limbs};

/// p.
pub(crate) const P: Limbs = [
    0xffff_ffff_ffff_ffff,
    0x0000_0000_ffff_ffff,
    0,
    0xffff_ffff_0000_0001,
];

/// An element `a` of the field in Montgomery form, `a * 2^256 mod p`.
///
/// # Invariants
///
/// The limbs are below p, so that an element has one representation.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Fe(pub(crate) Limbs);

impl Fe {
    /// 0.
    pub(crate) const ZERO: Fe = Fe([0; 4]);
    /// 1.
    pub(crate) const ONE: Fe = Fe([
        1,
        0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_ffff,
        0x0000_0000_ffff_fffe,
    ]);
    /// 2^512 mod p, which takes a number into Montgomery form.
    const R2: Fe = Fe([
        3,
        0xffff_fffb_ffff_ffff,
        0xffff_ffff_ffff_fffe,
        0x0000_0004_ffff_fffd,
    ]);

    /// From 32 big-endian octets; `None` when the number is not below p. Whether it is, is public.
    pub(crate) fn from_be_bytes<A: Arith>(arith: A, bytes: &[u8; 32]) -> Option<Fe> {
        let a = limbs::from_be_bytes(bytes);
        if limbs::lt(&a, &P) == 0 {
            return None;
        }
        Some(arith.mul(&Fe(a), &Fe::R2))
    }

    /// 32 big-endian octets.
    pub(crate) fn to_be_bytes<A: Arith>(self, arith: A) -> [u8; 32] {
        limbs::to_be_bytes(&arith.mul(&self, &Fe([1, 0, 0, 0])).0)
    }

    /// `-self` where `mask` is all ones, `self` where it is zero.
    #[inline(always)]
    pub(crate) fn negate_if<A: Arith>(&self, arith: A, mask: u64) -> Fe {
        Fe(limbs::select(mask, &self.0, &arith.sub(&Fe::ZERO, self).0))
    }

    /// 2^768 mod p. The limbs of a are a R; their inverse is 1/(a R), which R^3 in Montgomery form
    /// takes to R/a.
    const R3: Fe = Fe([
        0xffff_fffd_0000_000a,
        0xffff_ffed_ffff_fff7,
        0x0000_0005_ffff_fffc,
        0x0000_0018_0000_0001,
    ]);

    /// `1 / self`, and 0 for 0.
    pub(crate) fn invert<A: Arith>(&self, arith: A) -> Fe {
        arith.mul(&Fe(inverse::invert(arith, &self.0, &inverse::P)), &Self::R3)
    }

    /// `1 / self`, and 0 for 0; only for public numbers.
    pub(crate) fn invert_vartime<A: Arith>(&self, arith: A) -> Fe {
        arith.mul(
            &Fe(inverse::invert_vartime(&self.0, &inverse::P)),
            &Self::R3,
        )
    }

    /// 1 when `self` equals `b`, else 0.
    #[inline]
    pub(crate) fn eq(&self, b: &Fe) -> u64 {
        limbs::eq(&self.0, &b.0)
    }
}

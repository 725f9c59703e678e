// SPDX-License-Identifier: GPL-2.0
//! Verification (FIPS 186-5 section 6.4.2): for tests and for the check of a key against its
//! certificate. A server does not verify, so it is made of the parts that signing has.

use super::{reduce_coordinate, Signature};
use crate::arith::Arith;
use crate::cpu::on_path;
use crate::ecdh::PublicKey;
use crate::field::Fe;
use crate::limbs;
use crate::point::{Accumulator, Affine};
use crate::scalar::Scalar;
use crate::{comb, window, Cpu, Error};

/// Verifies `signature` on a SHA-256 `digest`. Everything is public.
///
/// # Errors
///
/// [`Error::InvalidSignature`].
pub fn verify_vartime(
    cpu: Cpu,
    key: &PublicKey,
    digest: &[u8; 32],
    signature: &Signature,
) -> Result<(), Error> {
    if on_path!(cpu, arith => verify(arith, key, digest, signature)) == Some(true) {
        Ok(())
    } else {
        Err(Error::InvalidSignature)
    }
}

#[inline(never)]
fn verify<A: Arith>(
    arith: A,
    key: &PublicKey,
    digest: &[u8; 32],
    signature: &Signature,
) -> Option<bool> {
    let (r, s) = signature.0.split_at(32);
    let r = Scalar::from_be_bytes(r.first_chunk()?)?;
    let s = Scalar::from_be_bytes(s.first_chunk()?)?;
    let w = s.invert_to_montgomery(arith);
    let u = arith.mul_n(&Scalar::reduce_be_bytes(digest), &w);
    let v = arith.mul_n(&r, &w);
    // v is a product of two numbers other than 0.
    let vq = window::mul(arith, &v, &key.0).to_affine(arith);
    let sum = if u.is_zero() == 1 {
        Accumulator::new(arith, &vq)
    } else {
        add_vartime(arith, comb::mul(arith, &u), &vq)?
    };
    Some(limbs::eq(&reduce_coordinate(arith, sum.to_affine(arith).x).0, &r.0) == 1)
}

/// `a + b` for points other than the identity; `None` when the sum is the identity.
fn add_vartime<A: Arith>(arith: A, mut a: Accumulator, b: &Affine) -> Option<Accumulator> {
    let mut sum = a.clone();
    sum.add(arith, b);
    if sum.z.eq(&Fe::ZERO) == 0 {
        return Some(sum);
    }
    // Equal x: the same point or opposite ones.
    if a.to_affine(arith).y.eq(&b.y) == 0 {
        return None;
    }
    a.double(arith);
    Some(a)
}

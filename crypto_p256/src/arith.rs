// SPDX-License-Identifier: GPL-2.0
//! Multiplication in the two prime fields: the part that differs between processors.

mod portable;

use crate::field::Fe;
use crate::scalar::Scalar;

pub(crate) use portable::Portable;

/// Montgomery arithmetic with R = 2^256 mod p (the curve's field) and mod n (its order).
///
/// Operands and results are below their modulus. `self` is the proof that the processor can do
/// what the implementation asks of it.
///
/// # Constant time
///
/// Every method runs in constant time.
pub(crate) trait Arith: Copy {
    /// `a * b / R mod p`.
    fn mul(self, a: &Fe, b: &Fe) -> Fe;
    /// `a^2 / R mod p`.
    fn sqr(self, a: &Fe) -> Fe;
    /// `a * b / R mod n`.
    fn mul_n(self, a: &Scalar, b: &Scalar) -> Scalar;
}

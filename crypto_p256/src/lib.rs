// SPDX-License-Identifier: GPL-2.0
//! Constant-time NIST P-256 (SP 800-186) and X25519 (RFC 7748) for one operation at a time.
//!
//! * [`ecdh`] and [`x25519`]: ephemeral key pairs and the shared secrets of RFC 8446 section 7.4.2.
//! * [`ecdsa`]: signing (FIPS 186-5 section 6.4.1) with hedged RFC 6979 nonces, and verification.
//! * [`self_test()`]: known answers, to run before anything else is trusted.
//!
//! The crate allocates nothing, reads no clock and no randomness, and cannot panic: randomness and
//! the hash come from the caller, and every result is in the caller's memory.
//!
//! # Paths
//!
//! Every operation takes a [`Cpu`], which names the field arithmetic to use. All paths compute the
//! same values, limb for limb; only their speed differs.
//!
//! # Constant time
//!
//! No branch and no address depends on a secret. Secret are: private keys and scalars, nonces,
//! caller's randomness, shared secrets, and every value computed from them that is not output.
//! Public are: peers' points, digests, signatures, and whether an operation failed. Functions that
//! take public input only and do not run in constant time have names that end in `_vartime`.
//!
//! # The randomised build
//!
//! With `--cfg crypto_p256_direct_lookup` the BMI2/ADX path of P-256 reads only the table entry that
//! it needs, and starts each multiplication from coordinates blinded by RDRAND. It is faster and
//! **not** constant time: the coordinates of intermediate points are hidden, so that their values
//! do not show in power or in data-dependent timing, but the addresses of the entries are the digits
//! of the scalar. Whoever can watch the cache lines of the table learns them, and one nonce is
//! enough to learn the signing key. It is for machines that run nobody else's code.
//!
//! # Wiping
//!
//! Types that hold a secret wipe themselves when dropped. What an operation left on the stack is
//! wiped once, when it ends ([`wipe`]). Buffers of the caller are the caller's.

#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]
// A build option is a cfg of the compiler, which it cannot know.
#![allow(unexpected_cfgs)]

#[cfg(test)]
extern crate std;

mod arith;
mod comb;
mod cpu;
#[cfg(test)]
mod cycles;
mod digits;
pub mod ecdh;
pub mod ecdsa;
mod field;
mod inverse;
mod limbs;
mod lookup;
mod point;
mod scalar;
mod self_test;
mod window;
pub mod wipe;
pub mod x25519;

pub use cpu::Cpu;
pub use self_test::self_test;

/// Why an operation was refused. Carries no secret: all of these may be made public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A private scalar is not in [1, n - 1] (FIPS 186-5 section 6.2.1).
    InvalidScalar,
    /// A peer's public value is not one that SP 800-186 appendix D.1.1 calls valid: wrong length
    /// or form, a coordinate out of range, or a point that is not on the curve.
    InvalidPoint,
    /// A signature is not the DER form of RFC 3279 section 2.2.3, or is out of range, or does not
    /// verify.
    InvalidSignature,
    /// The nonce generator gave no usable nonce: the caller's HMAC is broken.
    Nonce,
    /// A result contradicts its own check: a fault in the machine. Nothing was output.
    Fault,
}

// SPDX-License-Identifier: GPL-2.0
//! ECDSA on P-256 with SHA-256 digests (FIPS 186-5 section 6).
//!
//! The nonce is that of RFC 6979 hedged with the caller's entropy (section 3.6 there): a broken
//! random generator does not repeat a nonce, and a fault does not meet the same nonce twice.
//!
//! A fault must not leave: the multiple of the generator is checked to be on the curve, and s against
//! k s = e + r d, for 1 % of a signature's time. A wrong digit of the comb passes both, but a signature
//! with a fresh nonce that is wrong in that way alone gives one equation in two unknowns.
//!
//! Signing has an offline part that depends on neither message nor peer: [`NoncePair::new`]. Pairs
//! can be made ahead and kept; [`SigningKey::sign_prepared`] is then a few multiplications.

mod der;
mod nonce;
mod verify;

use crate::arith::Arith;
use crate::cpu::on_path;
use crate::field::Fe;
use crate::limbs::{self, declassify};
use crate::point::Affine;
use crate::scalar::Scalar;
use crate::wipe::{wipe, wipe_stack, SHALLOW};
use crate::{comb, ecdh, Cpu, Error};

pub use der::DER_MAX_LEN;
pub use nonce::HmacSha256;
pub use verify::verify_vartime;

use nonce::Drbg;

/// Octets of entropy for a signature or a nonce pair.
pub const ENTROPY_LEN: usize = 32;

/// Candidates of the nonce generator tried before it is called broken. One is refused with
/// probability 2^-32.
const NONCE_TRIES: usize = 8;

/// A private signing key. Wiped when dropped.
pub struct SigningKey(Scalar);

/// A signature: r and s, 32 big-endian octets each. Public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// A nonce prepared for one signature: its inverse, and r. Secret, and usable once: it is consumed
/// by the signature and cannot be copied. Wiped when dropped.
///
/// # Invariants
///
/// `k_inverse` is in Montgomery form; neither is 0.
pub struct NoncePair {
    k: Scalar,
    k_inverse: Scalar,
    r: Scalar,
}

impl SigningKey {
    /// A place for a key: [`SigningKey::set_bytes`] puts it there. Signatures made before do not
    /// verify.
    pub const fn empty() -> Self {
        SigningKey(Scalar([0; 4]))
    }

    /// Sets the scalar d, 32 big-endian octets, and leaves no other copy of it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidScalar`] when it is not in [1, n - 1]. The key is as before then.
    pub fn set_bytes(&mut self, scalar: &[u8; 32]) -> Result<(), Error> {
        let r = self.set_bytes_on_stack(scalar);
        wipe_stack::<SHALLOW>();
        r
    }

    #[inline(never)]
    fn set_bytes_on_stack(&mut self, scalar: &[u8; 32]) -> Result<(), Error> {
        *self = Self::from_bytes(scalar)?;
        Ok(())
    }

    /// From the scalar d, 32 big-endian octets. A value that is moved leaves a copy behind, which
    /// nothing wipes: for a key that matters there is [`SigningKey::set_bytes`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidScalar`] when it is not in [1, n - 1].
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, Error> {
        Scalar::from_be_bytes(scalar)
            .map(SigningKey)
            .ok_or(Error::InvalidScalar)
    }

    /// The public key, for a check against a certificate.
    pub fn public_key(&self, cpu: Cpu) -> ecdh::PublicKey {
        let point = on_path!(cpu, arith => self.public_on(arith));
        wipe_stack::<SHALLOW>();
        ecdh::PublicKey(point)
    }

    /// Signs a SHA-256 `digest`. `entropy` hedges the nonce: [`ENTROPY_LEN`] fresh random octets, or
    /// none for the deterministic signature of RFC 6979.
    ///
    /// # Errors
    ///
    /// [`Error::Nonce`] when `hmac` is broken, [`Error::Fault`] when a computation contradicts
    /// its check.
    pub fn sign(
        &self,
        cpu: Cpu,
        digest: &[u8; 32],
        entropy: Option<&[u8; ENTROPY_LEN]>,
        hmac: &dyn HmacSha256,
    ) -> Result<Signature, Error> {
        let r = on_path!(cpu, arith => self.sign_on(arith, digest, entropy, hmac));
        wipe_stack::<SHALLOW>();
        r
    }

    /// Signs a SHA-256 `digest` with a nonce prepared ahead.
    ///
    /// # Errors
    ///
    /// [`Error::Nonce`] when digest and nonce give s = 0 (never seen by chance), [`Error::Fault`]
    /// when a computation contradicts its check.
    pub fn sign_prepared(
        &self,
        cpu: Cpu,
        digest: &[u8; 32],
        nonce: NoncePair,
    ) -> Result<Signature, Error> {
        let r = on_path!(cpu, arith => self.finish(arith, digest, &nonce));
        wipe_stack::<SHALLOW>();
        r?.ok_or(Error::Nonce)
    }

    #[inline(never)]
    fn public_on<A: Arith>(&self, arith: A) -> Affine {
        comb::mul(arith, &self.0).to_affine(arith)
    }

    #[inline(never)]
    fn sign_on<A: Arith>(
        &self,
        arith: A,
        digest: &[u8; 32],
        entropy: Option<&[u8; ENTROPY_LEN]>,
        hmac: &dyn HmacSha256,
    ) -> Result<Signature, Error> {
        let extra: &[u8] = match entropy {
            Some(entropy) => entropy,
            None => &[],
        };
        let h = Scalar::reduce_be_bytes(digest).to_be_bytes();
        let mut drbg = Drbg::new(hmac, &self.0, &[&h, extra]);
        for _ in 0..NONCE_TRIES {
            let Some(k) = drbg.candidate() else { continue };
            let Some(nonce) = NoncePair::from_scalar(arith, k)? else {
                continue;
            };
            if let Some(signature) = self.finish(arith, digest, &nonce)? {
                return Ok(signature);
            }
        }
        Err(Error::Nonce)
    }

    /// s = (e + r d) / k; `None` when that is 0.
    #[inline(never)]
    fn finish<A: Arith>(
        &self,
        arith: A,
        digest: &[u8; 32],
        nonce: &NoncePair,
    ) -> Result<Option<Signature>, Error> {
        let e = Scalar::reduce_be_bytes(digest);
        let rd = arith.mul_n(&nonce.r, &self.0.to_montgomery(arith));
        let sum = e.add(&rd);
        let s = arith.mul_n(&nonce.k_inverse, &sum);
        // Fault check: k s must be e + r d again.
        let again = arith.mul_n(&nonce.k, &s.to_montgomery(arith));
        if !declassify(limbs::eq(&again.0, &sum.0)) {
            return Err(Error::Fault);
        }
        if declassify(s.is_zero()) {
            return Ok(None);
        }
        let mut octets = [0; 64];
        let (r_half, s_half) = octets.split_at_mut(32);
        r_half.copy_from_slice(&nonce.r.to_be_bytes());
        s_half.copy_from_slice(&s.to_be_bytes());
        Ok(Some(Signature(octets)))
    }
}

impl NoncePair {
    /// Prepares a nonce for one signature with `key`. It is drawn as RFC 6979 does with `entropy`
    /// in the place of the digest, so that key and entropy must both be known to predict it.
    /// `serial` must differ between calls with one key for as long as the caller can make it: it keeps
    /// nonces apart should the entropy repeat.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::sign`].
    pub fn new(
        cpu: Cpu,
        key: &SigningKey,
        entropy: &[u8; ENTROPY_LEN],
        serial: u64,
        hmac: &dyn HmacSha256,
    ) -> Result<Self, Error> {
        let r = on_path!(cpu, arith => Self::new_on(arith, key, entropy, serial, hmac));
        wipe_stack::<SHALLOW>();
        r
    }

    #[inline(never)]
    fn new_on<A: Arith>(
        arith: A,
        key: &SigningKey,
        entropy: &[u8; ENTROPY_LEN],
        serial: u64,
        hmac: &dyn HmacSha256,
    ) -> Result<Self, Error> {
        // The label keeps these inputs from being those of a signature: 32 octets follow there.
        let mut drbg = Drbg::new(
            hmac,
            &key.0,
            &[entropy, b"nonce pair", &serial.to_be_bytes()],
        );
        for _ in 0..NONCE_TRIES {
            let Some(k) = drbg.candidate() else { continue };
            if let Some(nonce) = Self::from_scalar(arith, k)? {
                return Ok(nonce);
            }
        }
        Err(Error::Nonce)
    }

    /// r = x(k G) mod n and 1/k; `None` when r is 0.
    fn from_scalar<A: Arith>(arith: A, k: Scalar) -> Result<Option<Self>, Error> {
        let point = comb::mul(arith, &k).to_affine(arith);
        if !declassify(point.on_curve(arith)) {
            return Err(Error::Fault);
        }
        let r = reduce_coordinate(arith, point.x);
        if declassify(r.is_zero()) {
            return Ok(None);
        }
        let k_inverse = k.invert_to_montgomery(arith);
        Ok(Some(NoncePair { k, k_inverse, r }))
    }
}

impl Signature {
    /// From r and s, 32 big-endian octets each (IEEE P1363). Their range is checked by
    /// verification.
    pub const fn from_raw(octets: &[u8; 64]) -> Self {
        Signature(*octets)
    }

    /// r and s, 32 big-endian octets each.
    pub const fn to_raw(&self) -> [u8; 64] {
        self.0
    }
}

/// A coordinate as a number mod n.
fn reduce_coordinate<A: Arith>(arith: A, x: Fe) -> Scalar {
    let mut octets = x.to_be_bytes(arith);
    let r = Scalar::reduce_be_bytes(&octets);
    wipe(&mut octets);
    r
}

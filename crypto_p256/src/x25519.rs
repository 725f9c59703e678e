// SPDX-License-Identifier: GPL-2.0
//! X25519 (RFC 7748): key pairs and shared secrets.
//!
//! A public key is made on the Edwards form of the curve with a comb, a shared secret by the
//! Montgomery ladder. Private keys are 32 plain octets, as in [`ecdh`](crate::ecdh).

#[cfg(target_arch = "x86_64")]
mod adx;
mod comb;
mod field;
mod portable;

use crate::cpu::on_path;
use crate::limbs::{declassify, is_zero_word, Limbs};
use crate::wipe::{wipe, wipe_stack, SHALLOW};
use crate::{Cpu, Error};
use field::{Arith25519, Fe, Ladder};

/// Octets of randomness for a key pair.
pub const RANDOM_LEN: usize = 32;
/// Octets of a private key.
pub const PRIVATE_LEN: usize = 32;
/// Octets of a public key.
pub const PUBLIC_LEN: usize = 32;
/// Octets of a shared secret.
pub const SHARED_LEN: usize = 32;

/// Makes an ephemeral key pair from [`RANDOM_LEN`] octets that must be uniformly random, secret,
/// and used for nothing else. Independent of any peer: may be done ahead.
pub fn make_share(
    cpu: Cpu,
    random: &[u8; RANDOM_LEN],
    private: &mut [u8; PRIVATE_LEN],
    public: &mut [u8; PUBLIC_LEN],
) {
    *private = *random;
    on_path!(cpu, arith => public_on(arith, private, public));
    wipe_stack::<SHALLOW>();
}

/// Writes X25519(`private`, `peer`) to `shared`.
///
/// # Errors
///
/// [`Error::InvalidPoint`] when `peer` is not 32 octets, or is a point of small order: the secret is
/// all zeros then, which RFC 8446 section 7.4.2 requires to be refused. `shared` is zeros then.
pub fn derive(
    cpu: Cpu,
    private: &[u8; PRIVATE_LEN],
    peer: &[u8],
    shared: &mut [u8; SHARED_LEN],
) -> Result<(), Error> {
    wipe(shared);
    let peer = peer.try_into().map_err(|_| Error::InvalidPoint)?;
    on_path!(cpu, arith => derive_on(arith, private, peer, shared));
    wipe_stack::<SHALLOW>();
    let bits = shared.iter().fold(0, |acc, &b| acc | u64::from(b));
    if declassify(is_zero_word(bits)) {
        return Err(Error::InvalidPoint);
    }
    Ok(())
}

#[inline(never)]
fn public_on<A: Arith25519>(arith: A, private: &[u8; PRIVATE_LEN], public: &mut [u8; PUBLIC_LEN]) {
    let mut k = clamp(private);
    *public = comb::mul(arith, &k).to_octets();
    wipe(&mut k);
}

#[inline(never)]
fn derive_on<A: Arith25519>(arith: A, private: &[u8; 32], peer: &[u8; 32], shared: &mut [u8; 32]) {
    let mut k = clamp(private);
    let mut ladder = Ladder::new(&Fe::from_octets(peer));
    let mut swap = 0;
    for i in (0..255).rev() {
        let word = k.get(i / 64).copied().unwrap_or(0);
        let bit = (word >> (i % 64)) & 1;
        arith.step(&mut ladder, swap ^ bit);
        swap = bit;
    }
    wipe(&mut k);
    // The last bit of a clamped scalar is 0: nothing is left to swap.
    *shared = arith.mul(&ladder.x2, &ladder.z2.invert(arith)).to_octets();
}

/// The scalar of a private key, with the bits that RFC 7748 section 5 fixes.
fn clamp(private: &[u8; PRIVATE_LEN]) -> Limbs {
    let [r0, r1, r2, r3] = Fe::from_octets(private).0;
    [r0 & !7, r1, r2, r3 | (1 << 62)]
}

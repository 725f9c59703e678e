// SPDX-License-Identifier: GPL-2.0
//! Ephemeral Diffie-Hellman on P-256: key pairs and shared secrets.
//!
//! A private key is 32 plain octets, so that whoever drives a handshake can keep it between its
//! steps; it is the keeper's to wipe.

use crate::arith::Arith;
use crate::cpu::on_path;
use crate::field::Fe;
use crate::point::Affine;
use crate::scalar::Scalar;
use crate::wipe::{wipe, wipe_stack, DEEP, SHALLOW};
use crate::{comb, window, Cpu, Error};

/// Octets of randomness for a key pair: 64 bits more than the order has (FIPS 186-5 A.2.1).
pub const RANDOM_LEN: usize = 40;
/// Octets of a private key: the scalar, big-endian.
pub const PRIVATE_LEN: usize = 32;
/// Octets of a public key: 0x04, x, y (SEC 1 section 2.3.3, uncompressed).
pub const PUBLIC_LEN: usize = 65;
/// Octets of a shared secret: the x coordinate.
pub const SHARED_LEN: usize = 32;

/// A point of the curve other than the identity.
#[derive(Clone, Copy)]
pub struct PublicKey(pub(crate) Affine);

impl PublicKey {
    /// From SEC 1 octets, which must be the uncompressed form: full validation as in SP 800-186
    /// appendix D.1.1 (the cofactor is 1).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPoint`].
    pub fn from_sec1(cpu: Cpu, octets: &[u8]) -> Result<Self, Error> {
        on_path!(cpu, arith => parse(arith, octets)).map(PublicKey)
    }

    /// The uncompressed SEC 1 form.
    pub fn to_sec1(&self, cpu: Cpu) -> [u8; PUBLIC_LEN] {
        on_path!(cpu, arith => encode(arith, &self.0))
    }
}

/// Makes an ephemeral key pair from [`RANDOM_LEN`] octets that must be uniformly random, secret,
/// and used for nothing else. Independent of any peer: may be done ahead.
pub fn make_share(
    cpu: Cpu,
    random: &[u8; RANDOM_LEN],
    private: &mut [u8; PRIVATE_LEN],
    public: &mut [u8; PUBLIC_LEN],
) {
    on_path!(cpu, arith => make_share_on(arith, random, private, public));
    wipe_stack::<SHALLOW>();
}

/// The public key of `private`.
///
/// # Errors
///
/// [`Error::InvalidScalar`] when `private` is not in [1, n - 1].
pub fn public_key(cpu: Cpu, private: &[u8; PRIVATE_LEN]) -> Result<PublicKey, Error> {
    let r = on_path!(cpu, arith => public_key_on(arith, private));
    wipe_stack::<SHALLOW>();
    r
}

/// Writes the x coordinate of `private * peer` to `shared` (SP 800-56A section 5.7.1.2), for `peer`
/// an uncompressed SEC 1 point.
///
/// # Errors
///
/// [`Error::InvalidPoint`] for a point that fails validation, [`Error::InvalidScalar`] when
/// `private` is not in [1, n - 1]. `shared` is zeros then.
pub fn derive(
    cpu: Cpu,
    private: &[u8; PRIVATE_LEN],
    peer: &[u8],
    shared: &mut [u8; SHARED_LEN],
) -> Result<(), Error> {
    let r = on_path!(cpu, arith => derive_on(arith, private, peer, shared));
    wipe_stack::<DEEP>();
    r
}

#[inline(never)]
fn make_share_on<A: Arith>(
    arith: A,
    random: &[u8; RANDOM_LEN],
    private: &mut [u8; PRIVATE_LEN],
    public: &mut [u8; PUBLIC_LEN],
) {
    let k = Scalar::from_extra_bits(random);
    *private = k.to_be_bytes();
    *public = encode(arith, &comb::mul(arith, &k).to_affine(arith));
}

#[inline(never)]
fn public_key_on<A: Arith>(arith: A, private: &[u8; PRIVATE_LEN]) -> Result<PublicKey, Error> {
    let k = Scalar::from_be_bytes(private).ok_or(Error::InvalidScalar)?;
    Ok(PublicKey(comb::mul(arith, &k).to_affine(arith)))
}

#[inline(never)]
fn derive_on<A: Arith>(
    arith: A,
    private: &[u8; PRIVATE_LEN],
    peer: &[u8],
    shared: &mut [u8; SHARED_LEN],
) -> Result<(), Error> {
    wipe(shared);
    let peer = parse(arith, peer)?;
    let k = Scalar::from_be_bytes(private).ok_or(Error::InvalidScalar)?;
    *shared = window::mul(arith, &k, &peer)
        .to_affine(arith)
        .x
        .to_be_bytes(arith);
    Ok(())
}

/// A valid point from its uncompressed form. Public input.
fn parse<A: Arith>(arith: A, octets: &[u8]) -> Result<Affine, Error> {
    let octets: &[u8; PUBLIC_LEN] = octets.try_into().map_err(|_| Error::InvalidPoint)?;
    let (form, coordinates) = octets.split_at(1);
    let coordinate = |half: &[u8]| {
        let octets = half.first_chunk().ok_or(Error::InvalidPoint)?;
        Fe::from_be_bytes(arith, octets).ok_or(Error::InvalidPoint)
    };
    let (x, y) = coordinates.split_at(32);
    let point = Affine {
        x: coordinate(x)?,
        y: coordinate(y)?,
    };
    if form != [4] || point.on_curve(arith) == 0 {
        return Err(Error::InvalidPoint);
    }
    Ok(point)
}

pub(crate) fn encode<A: Arith>(arith: A, point: &Affine) -> [u8; PUBLIC_LEN] {
    let mut r = [4; PUBLIC_LEN];
    let (_, coordinates) = r.split_at_mut(1);
    let (x, y) = coordinates.split_at_mut(32);
    x.copy_from_slice(&point.x.to_be_bytes(arith));
    y.copy_from_slice(&point.y.to_be_bytes(arith));
    r
}

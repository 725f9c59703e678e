// SPDX-License-Identifier: GPL-2.0
//! Known answers: RFC 5903 section 8.1 and RFC 7748 section 6.1 for Diffie-Hellman, RFC 6979 appendix
//! A.2.5 for signatures.

use crate::ecdsa::{verify_vartime, HmacSha256, SigningKey};
use crate::{ecdh, x25519, Cpu, Error};

/// Runs every operation on the path of `cpu` and compares with published answers: to be run for
/// each path before that path is used, and none used that fails. `hmac` is tested with it.
///
/// # Errors
///
/// [`Error::Fault`] on a mismatch.
pub fn self_test(cpu: Cpu, hmac: &dyn HmacSha256) -> Result<(), Error> {
    let key_agreement = key_agreement(cpu).unwrap_or(false);
    let x25519 = x25519_key_agreement(cpu).unwrap_or(false);
    let signature = signature(cpu, hmac).unwrap_or(false);
    if key_agreement && x25519 && signature {
        Ok(())
    } else {
        Err(Error::Fault)
    }
}

/// The initiator's private key, i.
const PRIVATE: [u8; 32] = hex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
const PUBLIC_X: [u8; 32] = hex("dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180");
const PUBLIC_Y: [u8; 32] = hex("5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3");
/// The responder's public key, g^r.
const PEER_X: [u8; 32] = hex("d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63");
const PEER_Y: [u8; 32] = hex("56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab");
/// x of g^(ir).
const SHARED: [u8; 32] = hex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");

fn key_agreement(cpu: Cpu) -> Result<bool, Error> {
    // The randomness that leads to PRIVATE is one less, after eight zeros.
    let mut random = [0; ecdh::RANDOM_LEN];
    for (to, from) in random.iter_mut().skip(8).zip(&PRIVATE) {
        *to = *from;
    }
    if let Some(last) = random.last_mut() {
        *last ^= 1;
    }
    let mut private = [0; ecdh::PRIVATE_LEN];
    let mut public = [0; ecdh::PUBLIC_LEN];
    ecdh::make_share(cpu, &random, &mut private, &mut public);
    let mut shared = [0; ecdh::SHARED_LEN];
    ecdh::derive(cpu, &private, &point(&PEER_X, &PEER_Y), &mut shared)?;
    let off_curve = ecdh::derive(cpu, &private, &point(&PEER_Y, &PEER_X), &mut [0; 32]);
    Ok(private == PRIVATE
        && public == point(&PUBLIC_X, &PUBLIC_Y)
        && shared == SHARED
        && off_curve == Err(Error::InvalidPoint))
}

/// Alice's private key, a.
const ALICE: [u8; 32] = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
const ALICE_PUBLIC: [u8; 32] =
    hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
/// Bob's public key, X25519(b, 9).
const BOB_PUBLIC: [u8; 32] =
    hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
/// Their shared secret, K.
const SECRET: [u8; 32] = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");

fn x25519_key_agreement(cpu: Cpu) -> Result<bool, Error> {
    let mut private = [0; x25519::PRIVATE_LEN];
    let mut public = [0; x25519::PUBLIC_LEN];
    x25519::make_share(cpu, &ALICE, &mut private, &mut public);
    let mut shared = [0; x25519::SHARED_LEN];
    x25519::derive(cpu, &private, &BOB_PUBLIC, &mut shared)?;
    let zero = x25519::derive(cpu, &private, &[0; 32], &mut [0; 32]);
    Ok(public == ALICE_PUBLIC && shared == SECRET && zero == Err(Error::InvalidPoint))
}

/// The private key, x.
const KEY: [u8; 32] = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
/// SHA-256 of "sample".
const DIGEST: [u8; 32] = hex("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf");
const R: [u8; 32] = hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716");
const S: [u8; 32] = hex("f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");

fn signature(cpu: Cpu, hmac: &dyn HmacSha256) -> Result<bool, Error> {
    let mut key = SigningKey::empty();
    key.set_bytes(&KEY)?;
    let signature = key.sign(cpu, &DIGEST, None, hmac)?;
    let raw = signature.to_raw();
    let (r, s) = raw.split_at(32);
    let public = key.public_key(cpu);
    let accepted = verify_vartime(cpu, &public, &DIGEST, &signature);
    let refused = verify_vartime(cpu, &public, &R, &signature);
    Ok(r == R && s == S && accepted.is_ok() && refused.is_err())
}

/// The uncompressed form of (x, y).
fn point(x: &[u8; 32], y: &[u8; 32]) -> [u8; ecdh::PUBLIC_LEN] {
    let mut octets = [4; ecdh::PUBLIC_LEN];
    for (to, from) in octets.iter_mut().skip(1).zip(x.iter().chain(y)) {
        *to = *from;
    }
    octets
}

/// 32 octets from hexadecimal digits, at compile time.
const fn hex(digits: &str) -> [u8; 32] {
    let digits = digits.as_bytes();
    let mut octets = [0; 32];
    let mut i = 0;
    while i < 64 {
        let d = digits[i];
        let value = if d >= b'a' { d - b'a' + 10 } else { d - b'0' };
        octets[i / 2] = (octets[i / 2] << 4) | value;
        i += 1;
    }
    octets
}

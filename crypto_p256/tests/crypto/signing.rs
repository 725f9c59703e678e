// SPDX-License-Identifier: GPL-2.0
//! Signing: the vectors of RFC 6979, the hedge, prepared nonces, the DER form.

use crate::hmac::{Constant, Hmac};
use crate::paths;
use crypto_p256::ecdsa::{verify_vartime, NoncePair, Signature, SigningKey, DER_MAX_LEN};
use crypto_p256::Error;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};

const KEY: &str = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";

fn unhex<const N: usize>(digits: &str) -> [u8; N] {
    let mut r = [0; N];
    for (i, byte) in r.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap();
    }
    r
}

/// RFC 6979 appendix A.2.5, SHA-256.
#[test]
fn rfc6979_vectors() {
    let vectors = [
        (
            "sample",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
             F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            "test",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367\
             019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        ),
    ];
    for cpu in paths() {
        let key = SigningKey::from_bytes(&unhex(KEY)).unwrap();
        for (message, signature) in vectors {
            let digest = Sha256::digest(message).into();
            assert_eq!(
                key.sign(cpu, &digest, None, &Hmac).unwrap().to_raw(),
                unhex(signature)
            );
        }
    }
}

/// A key that was set in its place signs like one that was made, and stays when another is refused.
#[test]
fn key_set_in_place() {
    for cpu in paths() {
        let made = SigningKey::from_bytes(&unhex(KEY)).unwrap();
        let mut key = SigningKey::empty();
        assert_eq!(key.set_bytes(&[0; 32]), Err(Error::InvalidScalar));
        key.set_bytes(&[1; 32]).unwrap();
        key.set_bytes(&unhex(KEY)).unwrap();
        assert_eq!(key.set_bytes(&[0xff; 32]), Err(Error::InvalidScalar));
        assert_eq!(
            key.sign(cpu, &[1; 32], None, &Hmac),
            made.sign(cpu, &[1; 32], None, &Hmac)
        );
    }
}

/// Entropy changes the nonce; so does a change of the digest alone; every result verifies, here
/// and elsewhere.
#[test]
fn hedged_signatures_verify() {
    for cpu in paths() {
        for i in 0..50u8 {
            let key = SigningKey::from_bytes(&[i + 1; 32]).unwrap();
            let public = key.public_key(cpu);
            let theirs = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public.to_sec1(cpu)).unwrap();
            let digest = [i ^ 0x5a; 32];
            let mut seen = std::collections::BTreeSet::new();
            for entropy in [None, Some([i; 32]), Some([i + 1; 32])] {
                let signature = key.sign(cpu, &digest, entropy.as_ref(), &Hmac).unwrap();
                verify_vartime(cpu, &public, &digest, &signature).unwrap();
                let other = p256::ecdsa::Signature::from_slice(&signature.to_raw()).unwrap();
                theirs.verify_prehash(&digest, &other).unwrap();
                assert!(
                    seen.insert(signature.to_raw()[..32].to_vec()),
                    "a nonce came twice"
                );
                assert!(verify_vartime(cpu, &public, &[i; 32], &signature).is_err());
            }
        }
    }
}

#[test]
fn prepared_signatures_verify() {
    for cpu in paths() {
        let key = SigningKey::from_bytes(&unhex(KEY)).unwrap();
        let public = key.public_key(cpu);
        let mut seen = std::collections::BTreeSet::new();
        for serial in 0..50 {
            // The same entropy each time: the serial number alone keeps the nonces apart.
            let nonce = NoncePair::new(cpu, &key, &[7; 32], serial, &Hmac).unwrap();
            let signature = key.sign_prepared(cpu, &[9; 32], nonce).unwrap();
            verify_vartime(cpu, &public, &[9; 32], &signature).unwrap();
            assert!(seen.insert(signature.to_raw()));
        }
    }
}

#[test]
fn broken_hmac_is_refused() {
    for cpu in paths() {
        let key = SigningKey::from_bytes(&[1; 32]).unwrap();
        for octet in [0, 0xff] {
            assert_eq!(
                key.sign(cpu, &[1; 32], None, &Constant(octet)),
                Err(Error::Nonce)
            );
            assert!(NoncePair::new(cpu, &key, &[1; 32], 0, &Constant(octet)).is_err());
        }
    }
}

/// DER against an independent encoder, for all lengths of r and s; and back.
#[test]
fn der_round_trip() {
    for r_len in 1..=32 {
        for s_len in 1..=32 {
            for first in [0x01, 0x7f, 0x80, 0xff] {
                let mut raw = [0; 64];
                raw[32 - r_len] = first;
                raw[64 - s_len] = first;
                raw[31] |= 1;
                raw[63] |= 1;
                let signature = Signature::from_raw(&raw);
                let mut der = [0; DER_MAX_LEN];
                let len = signature.to_der(&mut der);
                assert_eq!(Signature::from_der(&der[..len]), Ok(signature));
                for cut in 0..len {
                    assert!(Signature::from_der(&der[..cut]).is_err());
                }
                // The other crate refuses r and s of n and above.
                if let Ok(other) = p256::ecdsa::Signature::from_slice(&raw) {
                    assert_eq!(other.to_der().as_bytes(), &der[..len]);
                }
            }
        }
    }
}

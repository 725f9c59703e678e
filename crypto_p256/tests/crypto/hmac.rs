// SPDX-License-Identifier: GPL-2.0
//! HMAC-SHA-256 for the nonces, from a crate, and a broken one.

use crypto_p256::ecdsa::HmacSha256;
use hmac::Mac;

pub struct Hmac;

impl HmacSha256 for Hmac {
    fn mac(&self, key: &[u8; 32], parts: &[&[u8]], out: &mut [u8; 32]) {
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        for part in parts {
            mac.update(part);
        }
        *out = mac.finalize().into_bytes().into();
    }
}

/// Always the same code: 32 times this octet.
pub struct Constant(pub u8);

impl HmacSha256 for Constant {
    fn mac(&self, _: &[u8; 32], _: &[&[u8]], out: &mut [u8; 32]) {
        *out = [self.0; 32];
    }
}

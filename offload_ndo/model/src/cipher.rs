// SPDX-License-Identifier: GPL-2.0
//! A toy AEAD with the properties that matter to an offload: a byte's key stream depends on the
//! nonce and the place in the record, the tag on every byte of ciphertext in its order, and both
//! can be continued in the middle of a record.

use offload_ndo::Aad;

/// The state in the middle of a record.
#[derive(Clone, Debug)]
pub struct Cipher {
    key: u64,
    hash: u128,
    at: u64,
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Cipher {
    /// At the first byte of content.
    pub fn new(nonce: &[u8; 12], aad: &Aad) -> Self {
        let mut key = 0;
        for byte in nonce {
            key = mix(key ^ u64::from(*byte)).wrapping_add(1);
        }
        let mut cipher = Cipher {
            key,
            hash: u128::from(key),
            at: 0,
        };
        cipher.absorb(aad.as_ref());
        cipher
    }

    fn absorb(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u128::from(*byte))
                .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
                .rotate_left(7);
        }
    }

    fn stream(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte ^= mix(self.key ^ self.at.rotate_left(20)) as u8;
            self.at += 1;
        }
    }

    /// Encrypts the next bytes of content.
    pub fn encrypt(&mut self, bytes: &mut [u8]) {
        self.stream(bytes);
        self.absorb(bytes);
    }

    /// Decrypts the next bytes of content.
    pub fn decrypt(&mut self, bytes: &mut [u8]) {
        self.absorb(bytes);
        self.stream(bytes);
    }

    /// The tag behind the content.
    pub fn tag(&self) -> [u8; 16] {
        let at = u128::from(mix(self.at));
        (self.hash ^ at).to_be_bytes()
    }
}

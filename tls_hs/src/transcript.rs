// SPDX-License-Identifier: GPL-2.0
//! The transcript hash, RFC 8446 section 4.4.1.

use crate::{codec::Sink, Crypto, Hash, HashAlgorithm};

/// A public hash value of the length of its algorithm.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; 48],
    len: u8,
}

impl Digest {
    fn new(value: &[u8]) -> Self {
        let mut bytes = [0; 48];
        let len = crate::codec::copy(value, &mut bytes) as u8;
        Digest { bytes, len }
    }

    /// The value in the front of a slot of 48 bytes.
    pub fn of_slot(slot: &[u8; 48], algorithm: HashAlgorithm) -> Self {
        Digest {
            bytes: *slot,
            len: algorithm.output_len() as u8,
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or(&self.bytes)
    }
}

/// The running hash of all handshake messages, in the algorithm of the cipher suite.
pub enum Transcript<C: Crypto> {
    /// Not begun: takes nothing and has no hash.
    Empty,
    /// For suites with SHA-256.
    Sha256(C::Sha256),
    /// For suites with SHA-384.
    Sha384(C::Sha384),
}

impl<C: Crypto> Transcript<C> {
    /// The transcript of no message.
    pub fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha256 => Transcript::Sha256(C::Sha256::new()),
            HashAlgorithm::Sha384 => Transcript::Sha384(C::Sha384::new()),
        }
    }

    /// Transcript-Hash of the messages so far.
    pub fn hash(&self) -> Digest {
        match self {
            Transcript::Empty => Digest::new(&[]),
            Transcript::Sha256(hash) => Digest::new(&hash.clone().finish()),
            Transcript::Sha384(hash) => Digest::new(&hash.clone().finish()),
        }
    }

    /// The hash of nothing, which Derive-Secret takes for an empty list of messages.
    pub fn hash_of_nothing(algorithm: HashAlgorithm) -> Digest {
        Self::new(algorithm).hash()
    }
}

impl<C: Crypto> Sink for Transcript<C> {
    fn put(&mut self, bytes: &[u8]) {
        match self {
            Transcript::Empty => {}
            Transcript::Sha256(hash) => hash.update(bytes),
            Transcript::Sha384(hash) => hash.update(bytes),
        }
    }
}

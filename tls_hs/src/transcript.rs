// SPDX-License-Identifier: GPL-2.0
//! The transcript hash, RFC 8446 section 4.4.1.

use crate::codec::{Short, Sink};
use crate::{Crypto, Hash, HashAlgorithm};

/// A public hash value of the length of its algorithm.
#[derive(Clone, Copy)]
pub struct Digest(Short<48>);

impl Digest {
    /// This value, of at most 48 bytes.
    pub fn new(value: &[u8]) -> Self {
        Digest(Short::new(value))
    }

    /// The hash of nothing, which Derive-Secret takes for an empty list of messages.
    pub fn of_nothing(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha256 => Digest::new(&SHA256_OF_NOTHING),
            HashAlgorithm::Sha384 => Digest::new(&SHA384_OF_NOTHING),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// `printf '' | sha256sum`.
const SHA256_OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// `printf '' | sha384sum`.
const SHA384_OF_NOTHING: [u8; 48] = [
    0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
    0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
    0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
];

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

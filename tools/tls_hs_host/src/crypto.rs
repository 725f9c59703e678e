// SPDX-License-Identifier: GPL-2.0
//! [`tls_hs::Crypto`] on RustCrypto's hashes and AEADs, and the public-key operations that the
//! engine asks for on `crypto_p256`.

use aes_gcm::aead::{AeadInPlace, KeyInit};
use crypto_p256::{ecdh, ecdsa, x25519, Cpu};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, RngCore, SeedableRng};
use sha2::Digest;
use tls_hs::{wipe, Aead, Crypto, Error, Hash, Hmac, NamedGroup, Reason};

use crate::hmac::{HmacSha256, HmacSha384};

/// A running hash.
#[derive(Clone)]
pub struct Running<D>(D);

macro_rules! hash {
    ($type:ty, $len:literal) => {
        impl Hash<$len> for Running<$type> {
            fn new() -> Self {
                Running(<$type>::new())
            }

            fn update(&mut self, data: &[u8]) {
                self.0.update(data);
            }

            fn finish(self) -> [u8; $len] {
                self.0.finalize().into()
            }
        }
    };
}
hash!(sha2::Sha256, 32);
hash!(sha2::Sha384, 48);

/// Cryptography of one thread.
pub struct HostCrypto {
    cpu: Cpu,
    random: ChaCha20Rng,
    /// Random bytes that come before those of the generator.
    ready: Vec<u8>,
}

impl HostCrypto {
    /// With a random number generator that is seeded by the system.
    pub fn new() -> Self {
        HostCrypto {
            cpu: crate::cpu::detect(),
            random: ChaCha20Rng::from_rng(OsRng).expect("the system has random numbers"),
            ready: Vec::new(),
        }
    }

    /// With a random number generator that gives the same for the same seed: for fuzzing and for
    /// tests that must be repeatable, and for nothing else.
    pub fn seeded(seed: u64) -> Self {
        HostCrypto {
            cpu: crate::cpu::detect(),
            random: ChaCha20Rng::seed_from_u64(seed),
            ready: Vec::new(),
        }
    }

    /// Gives these bytes as the next random ones: for traces that were published, and for nothing
    /// else.
    pub fn lay_ready(&mut self, bytes: Vec<u8>) {
        self.ready = bytes;
    }

    /// A fresh key pair: the private key, and the public key as it goes on the wire.
    pub fn make_share(&mut self, group: NamedGroup, private: &mut [u8; 32]) -> Vec<u8> {
        match group {
            NamedGroup::Secp256r1 => {
                let mut random = [0; ecdh::RANDOM_LEN];
                let mut public = [0; ecdh::PUBLIC_LEN];
                self.random(&mut random);
                ecdh::make_share(self.cpu, &random, private, &mut public);
                wipe(&mut random);
                public.to_vec()
            }
            NamedGroup::X25519 => {
                let mut random = [0; x25519::RANDOM_LEN];
                let mut public = [0; x25519::PUBLIC_LEN];
                self.random(&mut random);
                x25519::make_share(self.cpu, &random, private, &mut public);
                wipe(&mut random);
                public.to_vec()
            }
        }
    }

    /// The shared secret, or nothing if the peer's share is not valid.
    pub fn derive(&self, group: NamedGroup, private: &[u8; 32], peer: &[u8]) -> Option<[u8; 32]> {
        match group {
            NamedGroup::Secp256r1 => {
                let mut shared = [0; ecdh::SHARED_LEN];
                ecdh::derive(self.cpu, private, peer, &mut shared).ok()?;
                Some(shared)
            }
            NamedGroup::X25519 => {
                let mut shared = [0; x25519::SHARED_LEN];
                x25519::derive(self.cpu, private, peer, &mut shared).ok()?;
                Some(shared)
            }
        }
    }

    /// The DER of an ECDSA signature of `digest`.
    pub fn sign(&mut self, key: &ecdsa::SigningKey, digest: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let mut entropy = [0; 32];
        self.random(&mut entropy);
        let signature = key
            .sign(self.cpu, digest, Some(&entropy), &SigningHmac)
            .map_err(|_| Reason::CryptoFailed)?;
        wipe(&mut entropy);
        let mut der = [0; 72];
        let len = signature.to_der(&mut der);
        Ok(der[..len].to_vec())
    }
}

impl Default for HostCrypto {
    fn default() -> Self {
        Self::new()
    }
}

/// HMAC-SHA-256 for the nonces of RFC 6979.
struct SigningHmac;

impl ecdsa::HmacSha256 for SigningHmac {
    fn mac(&self, key: &[u8; 32], parts: &[&[u8]], out: &mut [u8; 32]) {
        let mut mac = HmacSha256::new();
        mac.set_key(key);
        mac.mac(parts, out);
    }
}

fn seal_with<A: KeyInit + AeadInPlace>(
    key: &[u8],
    nonce: &[u8; 12],
    aad: &[u8],
    data: &mut [u8],
) -> Result<[u8; 16], Error> {
    let failed = Error(Reason::CryptoFailed);
    let tag = A::new_from_slice(key)
        .map_err(|_| failed)?
        .encrypt_in_place_detached(nonce.as_slice().into(), aad, data)
        .map_err(|_| failed)?;
    tag[..].try_into().map_err(|_| failed)
}

fn open_with<A: KeyInit + AeadInPlace>(
    key: &[u8],
    nonce: &[u8; 12],
    aad: &[u8],
    data: &mut [u8],
    tag: &[u8; 16],
) -> Result<(), Error> {
    A::new_from_slice(key)
        .map_err(|_| Reason::CryptoFailed)?
        .decrypt_in_place_detached(nonce.as_slice().into(), aad, data, tag.as_slice().into())
        .map_err(|_| Reason::BadRecordMac.into())
}

impl Crypto for HostCrypto {
    type Sha256 = Running<sha2::Sha256>;
    type Sha384 = Running<sha2::Sha384>;
    type HmacSha256 = HmacSha256;
    type HmacSha384 = HmacSha384;

    fn seal(
        &mut self,
        aead: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        match aead {
            Aead::Aes128Gcm => seal_with::<aes_gcm::Aes128Gcm>(key, nonce, aad, data),
            Aead::Aes256Gcm => seal_with::<aes_gcm::Aes256Gcm>(key, nonce, aad, data),
            Aead::Chacha20Poly1305 => {
                seal_with::<chacha20poly1305::ChaCha20Poly1305>(key, nonce, aad, data)
            }
        }
    }

    fn open(
        &mut self,
        aead: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        match aead {
            Aead::Aes128Gcm => open_with::<aes_gcm::Aes128Gcm>(key, nonce, aad, data, tag),
            Aead::Aes256Gcm => open_with::<aes_gcm::Aes256Gcm>(key, nonce, aad, data, tag),
            Aead::Chacha20Poly1305 => {
                open_with::<chacha20poly1305::ChaCha20Poly1305>(key, nonce, aad, data, tag)
            }
        }
    }

    fn random(&mut self, out: &mut [u8]) {
        let ready = self.ready.len().min(out.len());
        let (front, rest) = out.split_at_mut(ready);
        front.copy_from_slice(&self.ready[..ready]);
        self.ready.drain(..ready);
        self.random.fill_bytes(rest);
    }
}

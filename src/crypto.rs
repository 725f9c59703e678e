// SPDX-License-Identifier: GPL-2.0

//! The engine's cryptography: hashes and AEADs of the kernel's library, curves of `crypto_p256`.

use crate::kern::crypto::{self as lib, cpu, AesGcm, ChaChaPoly, Secret};
use crypto_p256::ecdsa::{HmacSha256, SigningKey, DER_MAX_LEN};
use crypto_p256::{ecdh, x25519, Cpu};
use kernel::prelude::*;
use tls_hs::{Aead, Error as TlsError, Hmac, NamedGroup, Reason};

/// Longest public share: an uncompressed point.
pub(crate) const SHARE_MAX: usize = ecdh::PUBLIC_LEN;

/// Runs the known-answer tests, of the portable path and of the one that is used here. Process
/// context, at load time.
pub(crate) fn self_test() -> Result {
    for cpu in [Cpu::portable(), cpu()] {
        crypto_p256::self_test(cpu, &Lib).map_err(|_| {
            pr_err!("the self test of the curve arithmetic failed\n");
            EIO
        })?;
    }
    Ok(())
}

/// The kernel's library. Any context.
pub(crate) struct Lib;

impl HmacSha256 for Lib {
    fn mac(&self, key: &[u8; 32], parts: &[&[u8]], out: &mut [u8; 32]) {
        let mut mac = lib::HmacSha256::new();
        mac.set_key(key);
        mac.mac(parts, out);
    }
}

impl tls_hs::Crypto for Lib {
    type Sha256 = lib::Sha256;
    type Sha384 = lib::Sha384;
    type HmacSha256 = lib::HmacSha256;
    type HmacSha384 = lib::HmacSha384;

    // Not inlined, as open() below: keys lie in frames of their own, where tools/check-copies sees
    // that they are not copied.
    #[inline(never)]
    fn seal(
        &mut self,
        aead: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], TlsError> {
        let tag = match aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => {
                let mut gcm = AesGcm::new();
                gcm.set_key(key).map(|()| gcm.seal(nonce, aad, data))
            }
            Aead::Chacha20Poly1305 => {
                let mut chacha = ChaChaPoly::new();
                let set = chacha.set_key(key, nonce);
                set.map(|()| chacha.seal(aad, data))
            }
        };
        tag.map_err(|_| Reason::CryptoFailed.into())
    }

    #[inline(never)]
    fn open(
        &mut self,
        aead: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), TlsError> {
        let authentic = match aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => {
                let mut gcm = AesGcm::new();
                gcm.set_key(key).map(|()| gcm.open(nonce, aad, data, tag))
            }
            Aead::Chacha20Poly1305 => {
                let mut chacha = ChaChaPoly::new();
                let set = chacha.set_key(key, nonce);
                set.map(|()| chacha.open(aad, data, tag))
            }
        };
        match authentic {
            Ok(true) => Ok(()),
            _ => Err(Reason::BadRecordMac.into()),
        }
    }

    fn random(&mut self, out: &mut [u8]) {
        lib::random(out);
    }
}

/// Makes an ephemeral key pair; returns the length of the public share. Any context.
pub(crate) fn make_share(
    group: NamedGroup,
    private: &mut Secret<32>,
    public: &mut [u8; SHARE_MAX],
) -> Result<usize, Reason> {
    match group {
        NamedGroup::Secp256r1 => {
            let mut random = Secret::<{ ecdh::RANDOM_LEN }>::zero();
            lib::random(&mut random.0);
            ecdh::make_share(cpu(), &random.0, &mut private.0, public);
            Ok(ecdh::PUBLIC_LEN)
        }
        NamedGroup::X25519 => {
            let mut random = Secret::<{ x25519::RANDOM_LEN }>::zero();
            lib::random(&mut random.0);
            let public = public.first_chunk_mut().ok_or(Reason::CryptoFailed)?;
            x25519::make_share(cpu(), &random.0, &mut private.0, public);
            Ok(x25519::PUBLIC_LEN)
        }
    }
}

/// Replaces the private key in `secret` by the secret shared with the peer, whose share is `peer`.
/// Any context.
///
/// # Errors
///
/// `peer` is not a valid public key.
pub(crate) fn derive(
    group: NamedGroup,
    secret: &mut Secret<32>,
    peer: &[u8],
) -> Result<(), Reason> {
    let mut shared = Secret::<32>::zero();
    let valid = match group {
        NamedGroup::Secp256r1 => ecdh::derive(cpu(), &secret.0, peer, &mut shared.0).is_ok(),
        NamedGroup::X25519 => x25519::derive(cpu(), &secret.0, peer, &mut shared.0).is_ok(),
    };
    secret.0 = shared.0;
    match valid {
        true => Ok(()),
        false => Err(Reason::BadKeyShare),
    }
}

/// A private key that signs, and its public point.
pub(crate) struct Signer {
    key: SigningKey,
    /// SEC 1, uncompressed.
    pub(crate) point: [u8; ecdh::PUBLIC_LEN],
}

impl Signer {
    /// Without a key yet, so that none is left where the value was moved from.
    pub(crate) const fn empty() -> Self {
        Self {
            key: SigningKey::empty(),
            point: [0; ecdh::PUBLIC_LEN],
        }
    }

    /// Sets the key, in place. Process context.
    ///
    /// # Errors
    ///
    /// The scalar is out of range.
    pub(crate) fn set(&mut self, scalar: &[u8; 32]) -> Result<(), crypto_p256::Error> {
        self.key.set_bytes(scalar)?;
        self.point = self.key.public_key(cpu()).to_sec1(cpu());
        Ok(())
    }

    /// Writes ECDSA-Sig-Value in DER to `der`; returns its length. Any context.
    pub(crate) fn sign(
        &self,
        digest: &[u8; 32],
        der: &mut [u8; DER_MAX_LEN],
    ) -> Result<usize, Reason> {
        let mut entropy = Secret::<32>::zero();
        lib::random(&mut entropy.0);
        let signature = self
            .key
            .sign(cpu(), digest, Some(&entropy.0), &Lib)
            .map_err(|_| Reason::CryptoFailed)?;
        Ok(signature.to_der(der))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Certificate chains and private keys.

use crate::crypto::Signer;
use crate::kern::crypto::{sha256, Secret};
use crate::kern::errno::{EBADMSG, EKEYREJECTED, EMSGSIZE, ENOPKG};
use crate::kern::key::{KeyType, Payload};
use kernel::prelude::*;
use tls_hs::credential::{self, Error as CredentialError, Point};

/// What `add_key(2)` says of a payload that is not taken.
fn errno(error: CredentialError) -> Error {
    let errno = match error {
        CredentialError::OtherKind | CredentialError::OtherCurve | CredentialError::NoCurve => {
            ENOPKG
        }
        CredentialError::Encrypted => EKEYREJECTED,
        CredentialError::TooLong
        | CredentialError::TooManyCertificates
        | CredentialError::NoSpace => EMSGSIZE,
        CredentialError::PublicKeyMismatch | CredentialError::BadPoint => EKEYREJECTED,
        _ => EBADMSG,
    };
    errno.into()
}

/// Payload of a `tls_cert` key: a certificate chain.
pub(crate) struct Certificate {
    entries: KVVec<u8>,
    point: Point,
    digest: [u8; 32],
}

impl Certificate {
    /// The chain, leaf first, each certificate behind its length in three bytes.
    pub(crate) fn entries(&self) -> &[u8] {
        &self.entries
    }

    /// The leaf's public key: SEC 1, uncompressed.
    pub(super) fn point(&self) -> &Point {
        &self.point
    }

    /// SHA-256 of the chain.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl Payload for Certificate {
    const NAME: &'static CStr = c"tls_cert";

    fn key_type() -> &'static KeyType<Self> {
        static TYPE: KeyType<Certificate> = KeyType::new();
        &TYPE
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let len = credential::chain_len(bytes).map_err(errno)?;
        let mut entries = KVVec::new();
        entries.resize(len, 0, GFP_KERNEL)?;
        let chain = credential::write_chain(bytes, &mut entries).map_err(errno)?;
        let digest = sha256(&[&entries]);
        Ok(Self {
            entries,
            point: chain.leaf,
            digest,
        })
    }
}

/// Payload of a `tls_priv` key: a private key. It stays where it was set: what moves is a pointer.
pub(crate) struct PrivateKey(KBox<Signer>);

impl PrivateKey {
    pub(crate) fn signer(&self) -> &Signer {
        &self.0
    }
}

impl Payload for PrivateKey {
    const NAME: &'static CStr = c"tls_priv";

    fn key_type() -> &'static KeyType<Self> {
        static TYPE: KeyType<PrivateKey> = KeyType::new();
        &TYPE
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut signer = KBox::new(Signer::empty(), GFP_KERNEL)?;
        let mut scalar = Secret::<{ credential::SCALAR_LEN }>::zero();
        let point = credential::read_private_key(bytes, &mut scalar.0).map_err(errno)?;
        signer.set(&scalar.0).map_err(|_| EKEYREJECTED)?;
        match point {
            Some(point) if point != signer.point => Err(EKEYREJECTED.into()),
            _ => Ok(Self(signer)),
        }
    }
}

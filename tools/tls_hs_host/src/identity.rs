// SPDX-License-Identifier: GPL-2.0
//! A private key and its certificate chain.

use std::path::Path;

use crypto_p256::ecdsa::SigningKey;
use crypto_p256::Cpu;
use sha2::{Digest, Sha256};
use tls_hs::{credential, Secret};

/// Who the server is.
pub struct Identity {
    /// Certificates as the engine wants them: uint24 length and DER, leaf first.
    pub chain: Vec<u8>,
    /// The key of the leaf.
    pub key: SigningKey,
    /// OCSP response in DER to staple; none if empty.
    pub ocsp_response: Vec<u8>,
    /// Digest of the chain: tickets are bound to it.
    pub(crate) digest: [u8; 32],
}

/// Why there is no identity.
#[derive(Debug)]
pub enum IdentityError {
    /// A file could not be read.
    Io(std::io::Error),
    /// The key or the chain is not taken.
    Credential(credential::Error),
    /// The private key is not in [1, n-1].
    BadScalar,
    /// The leaf certifies another key.
    Mismatch,
}

impl IdentityError {
    /// Whether the files are sound, but not of P-256.
    pub fn is_other_kind(&self) -> bool {
        use credential::Error::{OtherCurve, OtherKind};
        matches!(self, IdentityError::Credential(OtherKind | OtherCurve))
    }
}

impl From<credential::Error> for IdentityError {
    fn from(error: credential::Error) -> Self {
        IdentityError::Credential(error)
    }
}

impl From<std::io::Error> for IdentityError {
    fn from(error: std::io::Error) -> Self {
        IdentityError::Io(error)
    }
}

impl std::fmt::Display for IdentityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            IdentityError::Io(error) => write!(f, "{error}"),
            IdentityError::Credential(error) => f.write_str(error.reason()),
            IdentityError::BadScalar => f.write_str("the private key is out of range"),
            IdentityError::Mismatch => f.write_str("the certificate is of another key"),
        }
    }
}

impl std::error::Error for IdentityError {}

impl Identity {
    /// From the contents of a chain's and a key's file, PEM or DER.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let mut entries = vec![0; credential::chain_len(chain)?];
        let leaf = credential::write_chain(chain, &mut entries)?.leaf;
        let mut scalar = Secret::<32>::zero();
        credential::read_private_key(key, scalar.bytes_mut())?;
        let key = SigningKey::from_bytes(scalar.bytes()).map_err(|_| IdentityError::BadScalar)?;
        let cpu = Cpu::portable();
        if key.public_key(cpu).to_sec1(cpu) != leaf {
            return Err(IdentityError::Mismatch);
        }
        Ok(Identity {
            digest: Sha256::digest(&entries).into(),
            chain: entries,
            key,
            ocsp_response: Vec::new(),
        })
    }

    /// From files.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, IdentityError> {
        Self::new(&std::fs::read(chain)?, &std::fs::read(key)?)
    }
}
